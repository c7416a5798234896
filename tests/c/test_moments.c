/* Grids of squared error: each model against the conditions of its optimum, its error and its validation error against their
 * definitions, in long double, over all types, layouts and kinds of splits; the same bits for any number of threads and on AVX2 and
 * AVX-512; degenerate data, faults, interruption. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "book.h"
#include "check.h"
#include "faults.h"
#include "squared.h"

enum { SPLITS = 4, MOST_MODELS = 40 };
typedef enum kind { FOLDS, SHUFFLED, BOOTSTRAP, FORWARD, SCATTERED, N_KINDS } kind;

typedef struct trial {
    data c;
    gd_grid grid;
    gd_model models[MOST_MODELS];
    int8_t *roles;
    gd_settings settings;
    double *weights, lower[64], upper[64];
    gd_fit fits[MOST_MODELS];
    int bounded;
} trial;

static int8_t role(dice *d, kind how, int64_t split, int64_t i, int64_t n) {
    switch (how) {
    case FOLDS: return i * SPLITS / n == split ? -1 : 1;
    case SHUFFLED: return i * 7 % 11 % SPLITS == split ? -1 : 1;
    case BOOTSTRAP: return (int8_t)(roll_below(d, 3) ? roll_below(d, 3) + 1 : -1); /* rows that train several times */
    case FORWARD: return i * (SPLITS + 1) / n > split + 1 ? 0 : i * (SPLITS + 1) / n == split + 1 ? -1 : 1;
    default: return (int8_t)(roll_below(d, 6) - 2); /* more patterns than can be told apart */
    }
}

/* Models of all kinds for every split, in no order; half of them with L1, and, with `bounded`, all within bounds. */
static trial prepare(const recipe *r, kind how, int bounded) {
    trial t = {.c = data_make(r), .bounded = bounded};
    dice d = {(uint64_t)(how * 7 + 1)};
    int64_t n = r->n;
    t.roles = malloc((size_t)(n * SPLITS * 4));
    t.weights = room(MOST_MODELS * t.c.size);
    if (!t.roles) abort();
    for (int64_t split = 0; split < SPLITS; split++)
        for (int64_t i = 0; i < n; i++) t.roles[split * n + i] = role(&d, how, split, i, n);
    for (int m = 0; m < 3 * (SPLITS + 1); m++) {
        double strength = pow(0.3, (m * 2 % 5) + 1), ratio = m % 3 / 2.0, size = draw_size(r->type);
        t.models[m] = (gd_model){.loss = gd_loss_squared_error, .split = m % (SPLITS + 1) - 1, .l1 = strength * ratio * size};
        t.models[m].l2 = strength * (1.0 - ratio) * size * size;
    }
    for (int64_t j = 0; j < 64; j++) t.lower[j] = j % 3 ? 0.0 : -INFINITY, t.upper[j] = j % 4 == 2 ? 0.05 / draw_size(r->type) : INFINITY;
    t.grid = (gd_grid){.problem = t.c.problem, .n_models = 3 * (SPLITS + 1), .n_splits = SPLITS};
    t.settings = plain_settings(GD_SOLVER_AUTO);
    t.settings.tol = 0.0, t.settings.max_iter = 100;
    return t;
}

/* Pointers are set now that it no longer moves. */
static gd_status run(trial *t, int n_threads, const gd_hooks *hooks) {
    t->grid.problem = t->c.problem;
    t->grid.models = t->models, t->grid.roles = t->roles;
    if (t->bounded) t->grid.problem.lower = t->lower, t->grid.problem.upper = t->upper;
    t->settings.n_threads = n_threads;
    return gd_grid_squared(&t->grid, &t->settings, hooks, t->weights, t->fits);
}

static void trial_free(trial *t) {
    free(t->roles), free(t->weights);
    data_free(&t->c);
}

/* ---- by the definition ----------------------------------------------------------------------------------------------- */

static double times(const trial *t, int64_t split, int64_t i, int validating) {
    int r = split < 0 ? !validating : t->roles[split * t->c.problem.n + i] * (validating ? -1 : 1);
    return r > 0 ? r : 0;
}

/* Residuals of output c of row i. */
static long double residual(const trial *t, const double *w, int64_t i, int64_t c) {
    int64_t d = t->c.problem.X.n_cols, k = t->c.problem.n_outputs;
    long double z = (long double)w[k * d + c] + t->c.offset[i * k + c] - t->c.y[i * k + c];
    for (int64_t j = 0; j < d; j++) z += (long double)w[c * d + j] * t->c.X[i * d + j];
    return z;
}

static void check_model(const trial *t, int m, double eps, const char *what) {
    const gd_problem *problem = &t->grid.problem;
    const gd_model *model = &t->models[m];
    int64_t d = problem->X.n_cols, k = problem->n_outputs, n = problem->n;
    const double *w = t->weights + m * t->c.size;
    long double error[2] = {0}, weight[2] = {0}, top = 0, norm = 0;
    for (int part = 0; part < 2; part++)
        for (int64_t i = 0; i < n; i++) {
            long double s = times(t, model->split, i, part) * t->c.s[i];
            weight[part] += s;
            for (int64_t c = 0; s > 0 && c < k; c++) error[part] += s * residual(t, w, i, c) * residual(t, w, i, c) / 2;
        }
    for (int64_t c = 0; c < k; c++) {
        long double slope = 0, square = 0;
        for (int64_t i = 0; i < n; i++) {
            long double s = times(t, model->split, i, 0) * t->c.s[i] / weight[0], y = t->c.y[i * k + c] - t->c.offset[i * k + c];
            slope += s * residual(t, w, i, c), square += s * y * y;
        }
        top += square;
        CHECK(!problem->fit_intercept || fabsl(slope) <= eps * sqrtl(square), "%s, model %d: slope of the bias %Lg", what, m, slope);
        for (int64_t j = 0; j < d; j++) {
            long double g = (long double)model->l2 * w[c * d + j], size = 0, v = w[c * d + j];
            for (int64_t i = 0; i < n; i++) {
                long double s = times(t, model->split, i, 0) * t->c.s[i] / weight[0], x = t->c.X[i * d + j];
                g += s * residual(t, w, i, c) * x, size += s * x * x;
            }
            norm += model->l2 / 2 * v * v + model->l1 * fabsl(v);
            g = v != 0 ? g + (v > 0 ? model->l1 : -model->l1) : fabsl(g) > model->l1 ? g - copysignl(model->l1, g) : 0;
            int low = problem->lower && v <= problem->lower[c * d + j], high = problem->upper && v >= problem->upper[c * d + j];
            int inside = !problem->lower || (v >= problem->lower[c * d + j] && v <= problem->upper[c * d + j]);
            if ((low && g > 0) || (high && g < 0)) g = 0;
            CHECK(inside && fabsl(g) <= eps * (sqrtl(size * square) + model->l1), "%s, model %d: weight %d at %Lg, slope %Lg", what, m,
                  (int)j, v, g);
        }
    }
    const gd_fit *fit = &t->fits[m];
    CHECK(fabsl(fit->error - error[0] / weight[0] - norm) <= 1e-11 * (double)(top + norm), "%s, model %d: error %g", what, m, fit->error);
    long double left = error[1] / weight[1];
    if (weight[1] == 0) CHECK(isnan(fit->validation), "%s, model %d: nothing validates", what, m);
    else CHECK(fabsl(fit->validation - left) <= 1e-9 * (left + top), "%s, model %d: validation %g not %Lg", what, m, fit->validation, left);
    CHECK(fit->suboptimality >= 0.0 && fit->suboptimality * fit->error <= 1e-16 * (double)top, "%s, model %d: suboptimality %g, reason %d",
          what, m, fit->suboptimality, fit->reason);
}

static void check_trial(trial *t, double eps, const char *what) {
    gd_status status = run(t, 1, NULL);
    CHECK(status == GD_OK, "%s: status %d", what, status);
    for (int m = 0; !status && m < t->grid.n_models; m++) check_model(t, m, eps, what);
}

static void by_the_definition(void) {
    int turn = 0;
    for (int type = 0; type < GD_N_TYPES; type++)
        for (int how = 0; how < N_LAYOUTS; how++, turn++) {
            recipe r = {.n = 150 + 137 * (turn % 5), .d = 1 + turn * 5 % 19, .k = turn % 4 == 3 ? 3 : 1, .type = type, .how = how,
                        .weighted = turn % 3 == 1, .subset = turn % 5 == 2, .offset_cols = turn % 7 == 3 ? 1 : 0, .codes = turn % 11 == 7,
                        .seed = (uint64_t)turn};
            if (r.k > 1 && turn % 8 == 3) r.offset_cols = 3;
            if (turn % 6 == 5 && type <= GD_F32) r.sparse = 1 + turn % 2, r.how = LAYOUT_C;
            for (int bounded = 0; bounded < 2; bounded++) {
                trial t = prepare(&r, (kind)(turn % N_KINDS), bounded);
                t.c.problem.fit_intercept = turn % 9 != 4;
                check_trial(&t, 1e-10, describe(&r));
                trial_free(&t);
            }
        }
}

/* Large enough for parts and panels. */
static void large(void) {
    recipe r = {.n = 9000, .d = 20, .k = 1, .seed = 5};
    for (int how = 0; how < N_KINDS; how++) {
        trial t = prepare(&r, (kind)how, how % 2);
        check_trial(&t, 1e-10, "large");
        trial_free(&t);
    }
    r = (recipe){.n = 700, .d = 140, .k = 1, .type = GD_F32, .seed = 6};
    trial t = prepare(&r, SHUFFLED, 0);
    t.grid.n_models = 5;
    check_trial(&t, 1e-10, "panels");
    trial_free(&t);
}

/* ---- bits ------------------------------------------------------------------------------------------------------------ */

static void same_bits(void) {
    for (int turn = 0; turn < 4; turn++) {
        recipe r = {.n = turn == 3 ? 3000 : 60000, .d = turn == 3 ? 150 : 21, .k = 1 + turn % 2, .type = turn % 2 ? GD_F32 : GD_F64,
                    .weighted = turn == 2, .seed = 3};
        trial t = prepare(&r, turn == 1 ? SCATTERED : SHUFFLED, turn == 2);
        double *expected = room(MOST_MODELS * t.c.size);
        gd_fit fits[MOST_MODELS];
        size_t size = sizeof *expected * (size_t)(t.grid.n_models * t.c.size);
        static const int threads[] = {1, 2, 3, 7};
        for (int i = 0; i < 4; i++) {
            long before = fault_threads_ever();
            CHECK(run(&t, threads[i], NULL) == GD_OK, "turn %d", turn);
            if (i == 0) memcpy(expected, t.weights, size), memcpy(fits, t.fits, sizeof fits);
            CHECK(i == 0 || fault_threads_ever() > before, "turn %d: no threads", turn);
            CHECK(!memcmp(expected, t.weights, size) && !memcmp(fits, t.fits, sizeof fits), "turn %d, %d threads", turn, threads[i]);
        }
        if (has_isa("avx512")) {
            gd_init("avx2");
            CHECK(run(&t, 2, NULL) == GD_OK, "turn %d: AVX2", turn);
            CHECK(!memcmp(expected, t.weights, size) && !memcmp(fits, t.fits, sizeof fits), "turn %d: AVX2", turn);
        }
        gd_init("baseline");
        CHECK(run(&t, 2, NULL) == GD_OK, "turn %d: baseline", turn);
        for (int m = 0; m < 2; m++) check_model(&t, m, 1e-9, "baseline");
        gd_init(NULL);
        free(expected);
        trial_free(&t);
    }
}

/* ---- degenerate data ------------------------------------------------------------------------------------------------- */

/* X is (n, d) C order in double: written to before the pages are sealed is not possible, so a copy takes its place. */
static double *own(trial *t) {
    int64_t n = t->c.problem.n, d = t->c.problem.X.n_cols;
    double *X = room(n * d);
    memcpy(X, t->c.X, sizeof *X * (size_t)(n * d));
    t->c.problem.X.data = (const char *)X;
    return X;
}

static void degenerate(void) {
    static const char *const names[] = {"duplicates", "constant", "all zero", "constant where it trains", "fewer rows than columns",
                                        "one column", "huge", "tiny", "far from 0", "a huge value that no sample has"};
    for (int way = 0; way < 10; way++)
        for (int bounded = 0; bounded < 2; bounded++) {
            recipe r = {.n = way == 4 ? 24 : way == 9 ? 20000 : 200, .d = way == 4 ? 40 : way == 5 ? 1 : 6, .k = 1, .seed = (uint64_t)way};
            trial t = prepare(&r, FOLDS, bounded);
            double *X = own(&t);
            for (int64_t i = 0; i < r.n; i++) {
                double *x = X + i * r.d;
                if (way == 0) x[3] = x[1], x[4] = 2.0 * x[2];
                if (way == 1) x[2] = 1234.5;
                if (way == 2) x[2] = 0.0;
                if (way == 3) x[2] = t.roles[i] < 0 ? 1.0 : 0.3;
                for (int64_t j = 0; way >= 6 && way < 9 && j < r.d; j++)
                    x[j] = way == 6 ? x[j] * 1e200 : way == 7 ? x[j] * 1e-200 : x[j] + 1e4;
                if (way == 9 && i == 12345) x[2] = 1e250;
            }
            memcpy(t.c.X, X, sizeof *X * (size_t)(r.n * r.d));
            for (int64_t m = 0; m < t.grid.n_models; m++) {
                if (way == 6 || way == 7 || m % 3 == 0) t.models[m].l2 = 0.0;
                if (way == 6 || way == 7) t.models[m].l1 = t.models[m].l1 * (way == 6 ? 1e200 : 1e-200);
                if (way == 9 && bounded) t.models[m].l1 = 0.0;
            }
            for (int64_t j = 0; (way == 6 || way == 7) && j < 64; j++) t.upper[j] *= way == 6 ? 1e-200 : 1e200;
            if (way != 9) check_trial(&t, way == 8 ? 1e-8 : 1e-9, names[way]);
            else CHECK(run(&t, 2, NULL) == GD_OK && isfinite(t.fits[0].error), "%s", names[way]);
            free(X);
            trial_free(&t);
        }
}

static void not_finite(void) {
    recipe r = {.n = 5000, .d = 6, .k = 1, .weighted = 1};
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int b = 0; b < 3; b++) {
        trial t = prepare(&r, FOLDS, 0);
        double *X = own(&t), *y = room(r.n);
        memcpy(y, t.c.y, sizeof *y * (size_t)r.n);
        t.c.problem.y.data = (const char *)y;
        int64_t at = 4321;
        while (t.c.s[at] == 0.0) at++;
        X[at * 6 + 2] = bad[b];
        CHECK(run(&t, 2, NULL) == GD_NOT_FINITE, "%g in X", bad[b]);
        X[at * 6 + 2] = 1.0, y[at] = bad[b];
        CHECK(run(&t, 2, NULL) == GD_NOT_FINITE, "%g in y", bad[b]);
        y[at] = 1.0;
        while (t.c.s[at] > 0.0) at++;
        y[at] = bad[b];
        CHECK(run(&t, 2, NULL) == GD_OK, "%g in a target of no weight", bad[b]);
        free(X), free(y);
        trial_free(&t);
    }
}

/* ---- what may go wrong ----------------------------------------------------------------------------------------------- */

static void bad_arguments(void) {
    recipe r = {.n = 60, .d = 3, .k = 1};
    trial t = prepare(&r, FOLDS, 0);
    CHECK(run(&t, 1, NULL) == GD_OK && gd_grid_squared_fits(&t.grid), "as it is");
    t.models[2].split = SPLITS;
    CHECK(run(&t, 1, NULL) == GD_BAD_ARGUMENT, "a split that is not there");
    t.models[2].split = 1, t.models[2].l1 = -1.0;
    CHECK(run(&t, 1, NULL) == GD_BAD_ARGUMENT, "a negative penalty");
    t.models[2].l1 = 0.0, t.models[2].loss = gd_loss_huber;
    CHECK(run(&t, 1, NULL) == GD_BAD_ARGUMENT && !gd_grid_squared_fits(&t.grid), "another loss");
    t.models[2].loss = gd_loss_squared_error;
    for (int64_t i = 0; i < r.n; i++) t.roles[r.n + i] = i % 2 ? -1 : 0;
    CHECK(run(&t, 1, NULL) == GD_BAD_ARGUMENT, "nothing trains");
    t.grid.problem.X.n_cols = 5000;
    CHECK(!gd_grid_squared_fits(&t.grid), "too many columns");
    trial_free(&t);
    r.sparse = 1;
    t = prepare(&r, FOLDS, 0);
    CHECK(run(&t, 1, NULL) == GD_OK, "sparse rows");
    t.grid.problem.X.n_cols = 1000;
    CHECK(!gd_grid_squared_fits(&t.grid), "too many sparse columns");
    t.c.problem.X.n_stored = 20;
    CHECK(run(&t, 1, NULL) == GD_BAD_ROWS, "rows without entries");
    trial_free(&t);
}

static void allocations(void) {
    for (int sparse = 0; sparse < 2; sparse++)
        for (int how = 0; how < N_KINDS; how++) {
            recipe r = {.n = 2000, .d = 5, .k = 2, .sparse = sparse};
            trial t = prepare(&r, (kind)how, how % 2);
            double *expected = room(MOST_MODELS * t.c.size);
            size_t size = sizeof *expected * (size_t)(t.grid.n_models * t.c.size);
            long live = fault_live();
            CHECK(run(&t, 3, NULL) == GD_OK, "kind %d", how);
            memcpy(expected, t.weights, size);
            for (int lasting = 0; lasting < 2; lasting++)
                for (long k = 0, happened = 1; happened; k++) {
                    fault_allocations(k, lasting);
                    gd_status status = run(&t, 3, NULL);
                    happened = fault_happened();
                    fault_allocations(-1, 0);
                    CHECK(status == (happened ? GD_NO_MEMORY : GD_OK), "kind %d: allocation %ld fails, status %d", how, k, status);
                    CHECK(fault_live() == live, "kind %d: allocation %ld fails, memory left", how, k);
                }
            CHECK(run(&t, 3, NULL) == GD_OK && !memcmp(expected, t.weights, size), "kind %d, afterwards", how);
            free(expected);
            trial_free(&t);
        }
}

static void missing_threads(void) {
    recipe r = {.n = 60000, .d = 20, .k = 1};
    trial t = prepare(&r, FOLDS, 1);
    double *expected = room(MOST_MODELS * t.c.size);
    run(&t, 1, NULL);
    memcpy(expected, t.weights, sizeof *expected * (size_t)(t.grid.n_models * t.c.size));
    for (long allowed = 0; allowed < 3; allowed++) {
        fault_threads(allowed);
        CHECK(run(&t, 3, NULL) == GD_OK && (allowed > 1 || fault_happened()), "%ld threads more", allowed);
        CHECK(bits_equal(expected, t.weights, t.grid.n_models * t.c.size), "%ld threads more: other bits", allowed);
        CHECK(allowed > 0 || t.fits[0].missing_threads > 0, "none of the threads is missing");
    }
    fault_threads(-1);
    free(expected);
    trial_free(&t);
}

typedef struct limit { int polls, most; } limit;
static int stop_at(void *context) {
    limit *l = context;
    return ++l->polls >= l->most;
}

/* At every poll that there is: in the sample, in the sums, among the models. */
static void interruption(void) {
    recipe r = {.n = 30000, .d = 60, .k = 1};
    trial t = prepare(&r, SHUFFLED, 0);
    for (int n_threads = 1; n_threads <= 3; n_threads += 2)
        for (int most = 1;; most++) {
            limit l = {0, most};
            gd_hooks hooks = {.poll = stop_at, .context = &l};
            gd_status status = run(&t, n_threads, &hooks);
            CHECK(status == (l.polls >= most ? GD_INTERRUPTED : GD_OK) && l.polls <= most, "poll %d of %d, %d", most, l.polls, status);
            if (status == GD_OK) {
                CHECK(l.polls >= 2, "%d polls", l.polls);
                break;
            }
        }
    trial_free(&t);
}

void test_moments(void) {
    if (!UNDER_TSAN) by_the_definition(), degenerate(), allocations(); /* one thread mostly */
    large();
    same_bits();
    not_finite();
    bad_arguments();
    missing_threads();
    interruption();
}
