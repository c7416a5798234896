/* Errors at many points: each against the definition of its own, and the same bits whatever goes with it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "naive.h"

static const double double_eps = 1e-13;

/* coef (n_points, k, d), intercept (n_points, k) around the weights of a recipe. */
typedef struct points { int64_t n, n_coef, k; double *coef, *intercept; } points;

static points points_make(const data *c, int64_t n) {
    points p = {.n = n, .k = c->problem.n_outputs, .n_coef = c->size - c->problem.n_outputs};
    dice d = {(uint64_t)n + 5};
    p.coef = room(n * p.n_coef), p.intercept = room(n * p.k);
    for (int64_t m = 0; m < n; m++) {
        for (int64_t j = 0; j < p.n_coef; j++) p.coef[m * p.n_coef + j] = c->weights[j] * roll_between(&d, -2.0, 2.0);
        for (int64_t j = 0; j < p.k; j++) p.intercept[m * p.k + j] = c->weights[p.n_coef + j] * roll_between(&d, -2.0, 2.0);
    }
    return p;
}

static void points_free(points *p) { free(p->coef), free(p->intercept); }

static gd_status errors_at(const data *c, const points *p, int narrow, int n_threads, double *error) {
    return gd_errors(&c->problem, p->n, p->coef, p->intercept, narrow, n_threads, NULL, error);
}

/* The error at point m by the definition, and how far off doubles may be. */
static naive_sums definition(const data *c, const points *p, int64_t m) {
    double *weights = room(c->size);
    memcpy(weights, p->coef + m * p->n_coef, sizeof *weights * (size_t)p->n_coef);
    memcpy(weights + p->n_coef, p->intercept + m * p->k, sizeof *weights * (size_t)p->k);
    naive_sums sums = naive_evaluate(c, weights, double_eps);
    free(weights);
    return sums;
}

/* On every instruction set: right, and the same bits on AVX2 and AVX-512. */
static void check_points(const recipe *r, int64_t n_points) {
    data c = data_make(r);
    points p = points_make(&c, n_points);
    double *out = room(n_points), *wide = room(n_points);
    for (int narrow = 0; narrow < 2; narrow++)
        for (int i = 0; i < N_ISAS; i++) {
            if (!has_isa(isas[i])) continue;
            gd_init(isas[i]);
            gd_status status = errors_at(&c, &p, narrow, 1, out);
            CHECK(status == GD_OK, "status %d, %s", status, describe(r));
            for (int64_t m = 0; m < n_points; m += n_points > 30 ? 17 : 1) {
                naive_sums sums = definition(&c, &p, m);
                double slack = sums.slack + (narrow ? 1e-6 * fabs(sums.error) : 0.0);
                CHECK(fabs(out[m] - sums.error) <= slack, "point %d, narrow %d: %.17g, expected %.17g +- %.2g, %s", (int)m, narrow,
                      out[m], sums.error, slack, describe(r));
                naive_free(&sums);
            }
            if (i == 1) memcpy(wide, out, sizeof *out * (size_t)n_points);
            if (i == 2) CHECK(bits_equal(out, wide, n_points), "AVX2 and AVX-512 differ, %s", describe(r));
        }
    gd_init(NULL);
    free(out), free(wide);
    points_free(&p);
    data_free(&c);
}

static void every_loss(void) {
    static const int64_t dims[] = {1, 2, 3, 21}, counts[] = {1, 6, 7, 40};
    for (int loss = 0; loss < GD_N_LOSSES; loss++)
        for (int i = 0; i < 4; i++)
            for (int storage = 0; storage < 4; storage++) {
                int variant = loss + i + storage;
                recipe r = {.n = 250 + 9 * i, .d = dims[i], .k = 1, .type = storage % 2 ? GD_F32 : GD_F64, .loss = loss,
                            .sparse = storage / 2 * (1 + i % 2), .weighted = variant / 2 % 2, .subset = variant % 3 == 1,
                            .offset_cols = variant % 2, .l2 = variant % 4 ? 0.0 : 0.2, .l1 = variant % 5 ? 0.0 : 0.1,
                            .seed = (uint64_t)variant};
                r.codes = gd_loss_is_margin(loss) || (loss == gd_loss_log_loss && variant % 2);
                check_points(&r, counts[(i + storage) % 4]);
            }
}

static void random_recipes(void) {
    dice d = {2718};
    for (int i = 0; i < (UNDER_ASAN ? 40 : 200); i++) {
        recipe r = random_recipe(&d, 40, 9);
        check_points(&r, 1 + roll_below(&d, 20));
    }
    recipe wide = {.n = 70, .d = 2500, .k = 3, .softmax = 1, .loss = gd_loss_log_loss}; /* so wide that tiles have fewer rows */
    check_points(&wide, 3);
}

/* Every layout gives the bits of C order, at the edges of lanes and tiles. */
static void every_layout(void) {
    for (int64_t d = 1; d <= 10; d += 3)
        for (int type = 0; type < GD_N_TYPES; type++) {
            recipe r = {.n = 256 + 17 * (d - 1), .d = d, .k = type % 3 ? 1 : 3, .type = type, .loss = (int)(d + type) % GD_N_LOSSES,
                        .seed = 6};
            double expected[9], out[9];
            data plain = data_make(&r);
            points p = points_make(&plain, 9);
            errors_at(&plain, &p, 1, 1, expected);
            for (int how = 1; how < N_LAYOUTS; how++) {
                r.how = how, r.y_how = (how + type) % N_LAYOUTS;
                data c = data_make(&r);
                gd_status status = errors_at(&c, &p, 1, 1, out);
                CHECK(status == GD_OK && bits_equal(out, expected, 9), "status %d, %s", status, describe(&r));
                data_free(&c);
            }
            points_free(&p);
            data_free(&plain);
        }
}

/* A point's bits depend neither on threads nor on the other points, of which there may be more than share a read. */
static void company(void) {
    for (int variant = 0; variant < 6; variant++) {
        recipe r = {.n = variant < 4 ? 40001 : 300, .d = 2, .k = variant % 3 == 2 ? 3 : 1, .weighted = variant / 2 % 2,
                    .loss = variant % 2 ? gd_loss_log_loss : gd_loss_poisson, .sparse = variant == 3, .seed = (uint64_t)variant};
        int64_t n = variant < 4 ? 30 : 20000;
        data c = data_make(&r);
        points p = points_make(&c, n);
        double *expected = room(n), *out = room(n);
        errors_at(&c, &p, 1, 1, expected);
        for (int n_threads = 2; n_threads < 9; n_threads += 2) {
            errors_at(&c, &p, 1, n_threads, out);
            CHECK(bits_equal(out, expected, n), "%d threads, %s", n_threads, describe(&r));
        }
        for (int64_t from = 0; from < n; from += n / 3) {
            points some = {.n = (n - from + 1) / 2, .n_coef = p.n_coef, .k = p.k, .coef = p.coef + from * p.n_coef,
                           .intercept = p.intercept + from * p.k};
            errors_at(&c, &some, 1, 2, out);
            CHECK(bits_equal(out, expected + from, some.n), "from point %d, %s", (int)from, describe(&r));
        }
        free(expected), free(out);
        points_free(&p);
        data_free(&c);
    }
}

/* Points that are not finite have the error NaN, far ones any error, and both leave those of the others as they are. */
static void points_far_away(void) {
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e308, -1e308};
    for (int variant = 0; variant < 40; variant++) {
        recipe r = {.n = 300, .d = 2, .k = variant % 4 == 3 ? 3 : 1, .type = variant % 2 ? GD_F32 : GD_F64,
                    .loss = variant / 5 % 2 ? gd_loss_hinge : gd_loss_log_loss, .codes = 1, .seed = (uint64_t)variant};
        r.softmax = r.k > 1 && r.loss == gd_loss_log_loss;
        data c = data_make(&r);
        points p = points_make(&c, 10);
        double expected[10], out[10];
        errors_at(&c, &p, 1, 1, expected);
        p.coef[4 * p.n_coef + variant % 2] = bad[variant % 5];
        gd_status status = errors_at(&c, &p, 1, 1, out);
        CHECK(status == GD_OK, "status %d", status);
        CHECK(variant % 5 < 3 ? isnan(out[4]) : out[4] > 1e300 || isnan(out[4]), "error %g at %g, %s", out[4], bad[variant % 5],
              describe(&r));
        CHECK(bits_equal(out, expected, 4) && bits_equal(out + 5, expected + 5, 5), "beside %g, %s", bad[variant % 5], describe(&r));
        points_free(&p);
        data_free(&c);
    }
}

/* Rows of weight 0 may have any error; where all have, there is none. Weights count as shares, however large or small. */
static void weights_of_rows(void) {
    for (int variant = 0; variant < 8; variant++) {
        recipe r = {.n = 300, .d = 2, .k = 1, .loss = variant % 2 ? gd_loss_log_loss : gd_loss_poisson};
        data c = data_make(&r);
        points p = points_make(&c, 5);
        pool memory = {.n = 0};
        double *s = room(r.n), expected[5], out[5];
        for (int64_t i = 0; i < r.n; i++) s[i] = i % 3 ? 1.0 + (double)(i % 4) : 0.0;
        c.problem.weight = store(&memory, s, r.n, 1, GD_F64, LAYOUT_C);
        errors_at(&c, &p, variant / 2 % 2, 1, expected);
        for (int64_t i = 0; i < r.n; i += 3) c.X[i * r.d] = 1e200;
        for (int64_t i = 0; i < r.n; i++) s[i] *= variant / 4 ? 0x1p1000 : 0x1p-1000;
        c.problem.X = store(&memory, c.X, r.n, r.d, GD_F64, LAYOUT_C);
        c.problem.weight = store(&memory, s, r.n, 1, GD_F64, LAYOUT_C);
        gd_status status = errors_at(&c, &p, variant / 2 % 2, 1, out);
        CHECK(status == GD_OK && bits_equal(out, expected, 5), "status %d, %.17g, expected %.17g, variant %d", status, out[0],
              expected[0], variant);
        memset(s, 0, sizeof *s * (size_t)r.n);
        c.problem.weight = store(&memory, s, r.n, 1, GD_F64, LAYOUT_C);
        status = errors_at(&c, &p, variant / 2 % 2, 1, out);
        CHECK(status == GD_OK && out[0] == 0.0, "no row counts: %g", out[0]);
        free(s);
        pool_free(&memory);
        points_free(&p);
        data_free(&c);
    }
}

static int stop_at_second(void *calls) { return ++*(int *)calls > 1; }

static void refusals(void) {
    recipe r = {.n = 3000, .d = 2, .k = 1, .loss = gd_loss_log_loss, .sparse = 1};
    data c = data_make(&r);
    points p = points_make(&c, 400000); /* for much longer than the 20 ms between polls, whichever thread does the work */
    double *out = room(p.n);
    int calls = 0;
    gd_hooks hooks = {.poll = stop_at_second, .context = &calls};
    gd_status status = gd_errors(&c.problem, p.n, p.coef, p.intercept, 1, 2, &hooks, out);
    CHECK(status == GD_INTERRUPTED && calls == 2, "status %d, %d calls", status, calls);
    CHECK(gd_errors(&c.problem, 0, p.coef, p.intercept, 1, 2, NULL, out) == GD_BAD_ARGUMENT, "no point");
    gd_problem wrong = c.problem;
    wrong.n = 0;
    CHECK(gd_errors(&wrong, 1, p.coef, p.intercept, 0, 1, NULL, out) == GD_BAD_ARGUMENT, "no row");
    wrong = c.problem, wrong.X.n_cols = 1; /* entries of column 1 are of none */
    CHECK(gd_errors(&wrong, 1, p.coef, p.intercept, 0, 1, NULL, out) == GD_BAD_ROWS, "broken rows");
    free(out);
    points_free(&p);
    data_free(&c);
}

void test_points(void) {
    every_loss();
    random_recipes();
    every_layout();
    company();
    points_far_away();
    weights_of_rows();
    refusals();
}
