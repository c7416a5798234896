/* Many models that share every read of X: each against the definition of its own, and the same bits whatever goes with it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/many.h"
#include "book.h"
#include "check.h"
#include "naive.h"

enum { N_SPLITS = 4, N_CODES = 20 };

/* A recipe with models of all kinds: `losses` of them, in turn. */
typedef struct grid {
    data c;
    gd_grid grid;
    gd_model *models;
    int8_t *roles;
    double *class_weight[2], *weights; /* (N_CODES); (n_models) of (size) */
} grid;

static grid grid_make(const recipe *r, int64_t n_models, int n_losses, const int *losses) {
    grid g = {.c = data_make(r), .models = calloc((size_t)n_models, sizeof *g.models), .roles = calloc((size_t)(N_SPLITS * r->n), 1)};
    dice d = {r->seed + 77};
    if (!g.models || !g.roles) abort();
    for (int i = 0; i < 2; i++) {
        g.class_weight[i] = room(N_CODES);
        for (int j = 0; j < N_CODES; j++) g.class_weight[i][j] = 0.5 * (double)(1 + roll_below(&d, 4));
    }
    for (int64_t i = 0; i < N_SPLITS * r->n; i++) g.roles[i] = (int8_t)(roll_below(&d, 6) - 2);
    for (int s = 0; s < N_SPLITS; s++)
        for (int64_t i = 0; i < r->n; i++)
            if (g.c.s[i] > 0.0) {
                g.roles[s * r->n + i] = 1; /* a row at least that trains */
                break;
            }
    g.weights = room(n_models * g.c.size);
    for (int64_t m = 0; m < n_models; m++) {
        int loss = n_losses ? losses[m % n_losses] : r->loss;
        g.models[m] = (gd_model){.loss = loss, .loss_param = loss_param(loss) + 0.01 * (double)(m % 3), .l2 = m % 4 == 3 ? 0.2 : 0.0,
                                 .l1 = m % 5 == 4 ? 0.05 : 0.0, .split = m % (N_SPLITS + 1) - 1};
        if (r->codes && m % 3) g.models[m].class_weight = g.class_weight[m % 2];
        double size = loss == gd_loss_log_loss && m % 6 == 5 ? 800.0 : 1.0 + 0.1 * (double)(m % 7 - 3); /* beyond what exp can tell from 0 */
        for (int64_t j = 0; j < g.c.size; j++) g.weights[m * g.c.size + j] = g.c.weights[j] * size;
    }
    g.grid = (gd_grid){.problem = g.c.problem, .models = g.models, .n_models = n_models, .roles = g.roles, .n_splits = N_SPLITS};
    return g;
}

static void grid_free(grid *g) {
    free(g->models), free(g->roles), free(g->weights), free(g->class_weight[0]), free(g->class_weight[1]);
    data_free(&g->c);
}

/* out (n_models) of (2 + size): error, validation, gradient. */
static gd_status evaluate_grid(const grid *g, int n_threads, double *out) {
    int64_t n = g->grid.n_models, size = g->c.size, k = g->c.problem.n_outputs, n_coef = size - k;
    double *coef = room(n * n_coef), *intercept = room(n * k), *error = room(n), *validation = room(n), *grad = room(n * n_coef),
        *bias = room(n * k);
    for (int64_t m = 0; m < n; m++) {
        memcpy(coef + m * n_coef, g->weights + m * size, sizeof *coef * (size_t)n_coef);
        memcpy(intercept + m * k, g->weights + m * size + n_coef, sizeof *coef * (size_t)k);
    }
    gd_status status = gd_grid_error_and_gradient(&g->grid, coef, intercept, n_threads, NULL, error, validation, grad, bias);
    for (int64_t m = 0; m < n; m++) {
        double *to = out + m * (2 + size);
        to[0] = error[m], to[1] = validation[m];
        memcpy(to + 2, grad + m * n_coef, sizeof *coef * (size_t)n_coef);
        memcpy(to + 2 + n_coef, bias + m * k, sizeof *coef * (size_t)k);
    }
    free(coef), free(intercept), free(error), free(validation), free(grad), free(bias);
    return status;
}

/* The problem of model m alone; its rows count as those that train, or that validate. */
static data alone(const grid *g, int64_t m, int validates) {
    const gd_model *model = &g->models[m];
    data c = g->c;
    int64_t n = c.problem.n, k = c.problem.n_outputs;
    c.problem.loss = model->loss, c.problem.loss_param = model->loss_param;
    c.problem.l2 = validates ? 0.0 : model->l2, c.problem.l1 = validates ? 0.0 : model->l1;
    c.s = room(n), c.y = room(n * k);
    for (int64_t i = 0; i < n; i++) {
        int role = model->split < 0 ? 1 : g->roles[model->split * n + i], code = 0;
        for (int64_t j = 0; j < k; j++) {
            int is = g->c.y[i * k + j] == 1.0;
            if (is) code = k > 1 ? (int)j : 1;
            c.y[i * k + j] = c.problem.target == GD_VALUES ? g->c.y[i * k + j] : is ? 1.0 : gd_loss_is_margin(model->loss) ? -1.0 : 0.0;
        }
        c.s[i] = g->c.s[i] * (validates ? role < 0 ? -role : 0 : role > 0 ? role : 0);
        if (model->class_weight) c.s[i] *= model->class_weight[code];
    }
    return c;
}

static void check_model(const grid *g, int64_t m, const double *out, const recipe *r) {
    const double *weights = g->weights + m * g->c.size;
    for (int validates = 0; validates < 2; validates++) {
        data c = alone(g, m, validates);
        double any = 0.0;
        for (int64_t i = 0; i < c.problem.n; i++) any += c.s[i];
        if (any == 0.0) CHECK(validates && isnan(out[1]), "model %d: validation %g without rows, %s", (int)m, out[1], describe(r));
        else {
            naive_sums expected = naive_evaluate(&c, weights, lane_eps(&c.problem));
            CHECK(fabs(out[validates] - expected.error) <= expected.slack, "model %d, %s%s: error %.17g, expected %.17g +- %.2g, %s",
                (int)m,
                  gd_loss_name(g->models[m].loss), validates ? " validation" : "", out[validates], expected.error, expected.slack,
                      describe(r));
            for (int64_t j = 0; !validates && j < c.size; j++)
                if (!(fabs(out[2 + j] - expected.gradient[j]) <= expected.slacks[j])) {
                    CHECK(0, "model %d, %s: gradient[%d] %.17g, expected %.17g +- %.2g, %s", (int)m, gd_loss_name(g->models[m].loss),
                        (int)j, out[2 + j],
                          expected.gradient[j], expected.slacks[j], describe(r));
                    break;
                }
            naive_free(&expected);
        }
        free(c.s), free(c.y);
    }
}

/* On every instruction set: right, and the same bits on AVX2 and AVX-512. */
static void check_grid(const recipe *r, int64_t n_models, int n_losses, const int *losses) {
    grid g = grid_make(r, n_models, n_losses, losses);
    int64_t each = g.c.size + 2;
    double *out = room(n_models * each), *wide = room(n_models * each);
    for (int i = 0; i < N_ISAS; i++) {
        if (!has_isa(isas[i])) continue;
        gd_init(isas[i]);
        gd_status status = evaluate_grid(&g, 1, out);
        CHECK(status == GD_OK, "status %d, %s", status, describe(r));
        for (int64_t m = 0; m < n_models; m += n_models > 30 ? 23 : 1) check_model(&g, m, out + m * each, r);
        if (i == 1) memcpy(wide, out, sizeof *out * (size_t)(n_models * each));
        if (i == 2) CHECK(bits_equal(out, wide, n_models * each), "AVX2 and AVX-512 differ, %s", describe(r));
    }
    gd_init(NULL);
    free(out), free(wide);
    grid_free(&g);
}

static const int of_values[] = {gd_loss_squared_error, gd_loss_absolute_error, gd_loss_huber, gd_loss_quantile, gd_loss_epsilon_insensitive,
                                gd_loss_squared_epsilon_insensitive};
static const int of_codes[] = {gd_loss_log_loss, gd_loss_hinge, gd_loss_squared_hinge, gd_loss_modified_huber, gd_loss_perceptron,
    gd_loss_squared_error};

/* Every loss alone, then in mixtures; one model and several. */
static void every_loss(void) {
    static const int64_t dims[] = {1, 7, 16, 33}, models[] = {1, 2, 3, 19};
    for (int loss = 0; loss < GD_N_LOSSES + 2; loss++)
        for (int i = 0; i < 4; i++)
            for (int storage = 0; storage < 4; storage++) {
                int variant = loss + i + storage;
                recipe r = {.n = 300 + 7 * i, .d = dims[i], .k = 1, .type = storage % 2 ? GD_F32 : GD_F64, .loss = loss,
                    .sparse = storage / 2 * (1 + i % 2)};
                if (loss >= GD_N_LOSSES) r.loss = loss == GD_N_LOSSES ? gd_loss_squared_error : gd_loss_log_loss;
                r.codes = loss == GD_N_LOSSES + 1 || gd_loss_is_margin(r.loss) || (r.loss == gd_loss_log_loss && variant % 2);
                r.weighted = variant / 2 % 2, r.subset = variant % 3 == 1, r.offset_cols = variant % 2, r.seed = (uint64_t)variant;
                if (loss < GD_N_LOSSES) check_grid(&r, models[(i + storage) % 4], 0, NULL);
                else check_grid(&r, models[(i + storage) % 4], 6, loss == GD_N_LOSSES ? of_values : of_codes);
            }
}

/* Any mixture of everything: types, layouts, sparse rows, outputs, softmax. */
static void random_recipes(void) {
    dice d = {1618};
    for (int i = 0; i < (UNDER_ASAN ? 40 : 200); i++) {
        recipe r = random_recipe(&d, 70, 5);
        int mixed = r.k == 1 && r.codes;
        check_grid(&r, 1 + roll_below(&d, 12), mixed ? 6 : 0, of_codes);
    }
    recipe r = {.n = 300, .d = 21, .k = 1, .type = GD_F32, .loss = gd_loss_log_loss, .codes = 1, .seed = 4};
    check_grid(&r, 300, 6, of_codes);
    r.k = 3, r.softmax = 1, r.type = GD_F64;
    check_grid(&r, 100, 0, NULL);
    r.d = 2500, r.n = 70; /* so wide that tiles have fewer rows */
    check_grid(&r, 3, 0, NULL);
}

/* Every layout gives the bits of C order, at the edges of lanes and tiles. */
static void every_layout(void) {
    for (int64_t d = 1; d <= 40; d += 3)
        for (int type = 0; type < GD_N_TYPES; type++) {
            recipe r = {.n = 341, .d = d == 40 ? 300 : d, .k = type % 3 ? 1 : 3, .type = type, .loss = (int)(d + type) % GD_N_LOSSES,
                .seed = 6};
            grid plain = grid_make(&r, 7, 0, NULL);
            int64_t count = 7 * (plain.c.size + 2);
            double *expected = room(count), *out = room(count);
            gd_init(has_isa(isas[d % N_ISAS]) ? isas[d % N_ISAS] : NULL);
            evaluate_grid(&plain, 1, expected);
            for (int how = 1; how < N_LAYOUTS; how++) {
                r.how = how, r.y_how = (how + type) % N_LAYOUTS;
                grid g = grid_make(&r, 7, 0, NULL);
                gd_status status = evaluate_grid(&g, 1, out);
                CHECK(status == GD_OK && bits_equal(out, expected, count), "status %d, %s", status, describe(&r));
                grid_free(&g);
            }
            gd_init(NULL);
            grid_free(&plain);
            free(expected), free(out);
        }
}

/* out (count) of (2 + size), by a grid made ready, `most` models a read. */
static gd_status evaluate_some(const grid *g, int n_threads, int64_t most, int64_t count, const int64_t *numbers, double *out) {
    int64_t size = g->c.size;
    gd_many many;
    const double **weights = calloc((size_t)count, sizeof *weights);
    double **gradient = calloc((size_t)count, sizeof *gradient), *error = room(2 * count);
    if (!weights || !gradient) abort();
    for (int64_t i = 0; i < count; i++) weights[i] = g->weights + numbers[i] * size, gradient[i] = out + i * (2 + size) + 2;
    gd_status status = gd_many_init(&many, &g->grid, n_threads, NULL);
    CHECK(n_threads == 1 || many.n_threads > 1, "%d threads", many.n_threads);
    if (most) many.most_models = most;
    for (int again = 0; !status && again < 2; again++) status = gd_many_evaluate(&many, count, numbers, weights, error, error + count,
        gradient);
    for (int64_t i = 0; i < count; i++) out[i * (2 + size)] = error[i], out[i * (2 + size) + 1] = error[count + i];
    gd_many_free(&many);
    free(weights), free(gradient), free(error);
    return status;
}

/* A model's bits depend neither on threads, nor on which models share its reads, nor in which order. */
static void company(void) {
    static const int threads[] = {1, 2, 3, 7};
    for (int variant = 0; variant < 12; variant++) {
        recipe r = {.n = 9001 + 500 * variant, .d = 5 + 11 * variant, .k = variant % 4 == 3 ? 3 : 1, .type = variant % 2 ? GD_F32 : GD_F64,
                    .loss = gd_loss_log_loss, .softmax = variant % 4 == 3, .codes = 1, .weighted = variant % 2, .sparse = variant % 3 == 2,
                    .offset_cols = variant % 2, .seed = (uint64_t)variant};
        grid g = grid_make(&r, 40, r.k == 1 ? 6 : 0, of_codes);
        int64_t each = g.c.size + 2, numbers[40], mixed[40];
        double *expected = room(40 * each), *out = room(40 * each);
        dice d = {(uint64_t)variant};
        for (int64_t m = 0; m < 40; m++) numbers[m] = mixed[m] = m;
        for (int64_t m = 39; m > 0; m--) {
            int64_t other = roll_below(&d, m + 1), number = mixed[m];
            mixed[m] = mixed[other], mixed[other] = number;
        }
        gd_status status = evaluate_some(&g, 1, 0, 40, numbers, expected);
        CHECK(status == GD_OK, "status %d", status);
        for (int t = 1; t < 4; t++) {
            evaluate_some(&g, threads[t], 0, 40, numbers, out);
            CHECK(bits_equal(out, expected, 40 * each), "%d threads, %s", threads[t], describe(&r));
        }
        for (int64_t most = 1; most < 40; most += 6) {
            evaluate_some(&g, 2, most, 40, numbers, out);
            CHECK(bits_equal(out, expected, 40 * each), "%d models a read, %s", (int)most, describe(&r));
        }
        for (int64_t count = 1; count < 40; count += 5) {
            evaluate_some(&g, 1, 0, count, mixed, out);
            int equal = 1;
            for (int64_t i = 0; i < count; i++) equal &= bits_equal(out + i * each, expected + mixed[i] * each, each);
            CHECK(equal, "%d other models, %s", (int)count, describe(&r));
        }
        grid_free(&g);
        free(expected), free(out);
    }
}

/* Weights that are not finite make the errors of their own model NaN and leave the others' bits. */
static void diverged_models(void) {
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (int variant = 0; variant < 36; variant++) {
        recipe r = {.n = 700, .d = 9, .k = variant % 3 == 2 ? 3 : 1, .type = variant % 2 ? GD_F32 : GD_F64,
            .loss = variant % 4 ? gd_loss_log_loss : gd_loss_hinge,
                    .codes = 1, .sparse = variant % 5 == 0, .seed = (uint64_t)variant};
        r.softmax = r.k > 1 && r.loss == gd_loss_log_loss;
        grid g = grid_make(&r, 20, 0, NULL);
        int64_t each = g.c.size + 2;
        double *expected = room(20 * each), *out = room(20 * each);
        evaluate_grid(&g, 1, expected);
        for (int64_t m = 3; m < 20; m += 7)
            for (int64_t j = 0; j < (variant % 2 ? g.c.size : 1); j++)
                g.weights[m * g.c.size + (variant % 3 ? j : g.c.size - 1)] = bad[variant / 3 % 3];
        gd_status status = evaluate_grid(&g, 1, out);
        CHECK(status == GD_OK, "status %d", status);
        for (int64_t m = 0; m < 20; m++)
            if (m % 7 == 3) CHECK(isnan(out[m * each]) && isnan(out[m * each + 1]), "model %d: errors %g %g, %s", (int)m, out[m * each],
                out[m * each + 1], describe(&r));
            else CHECK(bits_equal(out + m * each, expected + m * each, each), "model %d beside others that diverged, %s", (int)m,
                describe(&r));
        grid_free(&g);
        free(expected), free(out);
    }
}

/* Rows that count for nothing, by weight or by role, may have any error; models without rows have none. */
static void rows_of_no_weight(void) {
    for (int variant = 0; variant < 8; variant++) {
        recipe r = {.n = 300, .d = 20, .k = 1, .type = variant % 2 ? GD_F32 : GD_F64, .seed = 8, .sparse = variant / 4};
        grid g = grid_make(&r, 3, 0, NULL);
        pool memory = {.n = 0};
        int64_t each = g.c.size + 2;
        double *expected = room(3 * each), *out = room(3 * each), *s = room(r.n);
        for (int64_t i = 0; i < r.n; i++) {
            s[i] = variant / 2 % 2 && i % 3 == 0 ? 0.0 : 1.0;
            for (int split = 0; split < N_SPLITS; split++) g.roles[split * r.n + i] = (int8_t)(i % 3 ? (i % 2 ? 1 : -2) : variant / 2 % 2);
        }
        for (int64_t m = 0; m < 3; m++) g.models[m].split = m;
        g.grid.problem.weight = store(&memory, s, r.n, 1, GD_F64, LAYOUT_C);
        evaluate_grid(&g, 1, expected);
        for (int64_t i = 0; i < r.n; i += 3)
            for (int64_t j = 0; j < r.d; j++) g.c.X[i * r.d + j] = r.type == GD_F32 && !r.sparse ? 1e30 : r.type == GD_F32 ? 3e38 : 1e200;
        if (!r.sparse) {
            g.grid.problem.X = store(&memory, g.c.X, r.n, r.d, r.type, LAYOUT_C);
            evaluate_grid(&g, 1, out);
            CHECK(bits_equal(out, expected, 3 * each), "rows of weight 0, %s", describe(&r));
        }
        memset(g.roles, variant % 2 ? 0 : -1, (size_t)(N_SPLITS * r.n));
        gd_status status = evaluate_grid(&g, 1, out);
        CHECK(status == GD_OK && out[0] == 0.0 && (variant % 2 ? isnan(out[1]) : out[1] > 0.0), "no row trains: errors %g %g", out[0],
            out[1]);
        for (int64_t j = 0; j < g.c.size; j++) CHECK(out[2 + j] == 0.0, "no row trains: gradient %g", out[2 + j]);
        pool_free(&memory);
        grid_free(&g);
        free(expected), free(out), free(s);
    }
}

/* One model by itself is what gd_error_and_gradient says. */
static void one_model(void) {
    for (int variant = 0; variant < 60; variant++) {
        recipe r = {.n = 2000, .d = 1 + variant, .k = variant % 3 == 2 ? 4 : 1, .loss = variant % GD_N_LOSSES, .sparse = variant % 5 == 1,
            .offset_cols = variant % 2,
                    .weighted = variant % 2, .type = variant % 7 == 3 ? GD_F32 : GD_F64, .seed = (uint64_t)variant};
        grid g = grid_make(&r, 1, 0, NULL);
        double *out = room(g.c.size + 2), *expected = room(g.c.size + 1);
        g.models[0].loss_param = g.c.problem.loss_param;
        evaluate_grid(&g, 1, out);
        evaluate(&g.c.problem, g.weights, 1, expected);
        double worst = fabs(out[0] - expected[0]) / (1.0 + fabs(expected[0])), eps = r.type == GD_F64 || r.sparse ? 1e-10 : 1e-4;
        for (int64_t j = 0; j < g.c.size; j++) worst = fmax(worst, fabs(out[2 + j] - expected[1 + j]) / (1.0 + fabs(expected[1 + j])));
        CHECK(worst <= eps && isnan(out[1]), "off by %g, validation %g, %s", worst, out[1], describe(&r));
        grid_free(&g);
        free(out), free(expected);
    }
}

static int stop_at_once(void *calls) { return ++*(int *)calls > 0; }

static void refusals(void) {
    recipe r = {.n = 5000, .d = 6, .k = 1, .loss = gd_loss_log_loss, .codes = 1, .seed = 2};
    grid g = grid_make(&r, 4, 0, NULL);
    double out[4 * 9], *w = g.weights;
    int calls = 0;
    gd_hooks hooks = {.poll = stop_at_once, .context = &calls};
    gd_status status = gd_grid_error_and_gradient(&g.grid, w, w, 2, &hooks, out, NULL, NULL, NULL);
    CHECK(status == GD_INTERRUPTED && calls == 1, "status %d, %d calls", status, calls);
    CHECK(gd_grid_error_and_gradient(&g.grid, w, w, 2, NULL, NULL, NULL, NULL, NULL) == GD_OK, "nothing asked for");
    for (int wrong = 0; wrong < 9; wrong++) {
        grid other = g;
        gd_model models[4];
        memcpy(models, g.models, sizeof models);
        other.grid.models = models;
        if (wrong == 0) other.grid.n_models = 0;
        if (wrong == 1) models[2].loss = GD_N_LOSSES;
        if (wrong == 2) models[2].loss = -1;
        if (wrong == 3) models[2].split = N_SPLITS;
        if (wrong == 4) models[2].split = -2;
        if (wrong == 5) models[2].split = 0, other.grid.roles = NULL;
        if (wrong == 6) other.grid.problem.target = GD_VALUES, models[2].class_weight = g.class_weight[0];
        if (wrong == 7) other.grid.problem.n_outputs = 2, models[2].loss = gd_loss_hinge;
        if (wrong == 8) other.grid.problem.n = 0;
        status = gd_grid_error_and_gradient(&other.grid, w, w, 1, NULL, out, NULL, NULL, NULL);
        CHECK(status == GD_BAD_ARGUMENT, "%d: status %d", wrong, status);
    }
    grid_free(&g);
    r.sparse = 1;
    g = grid_make(&r, 4, 0, NULL);
    int32_t *indices = malloc(sizeof *indices * (size_t)g.grid.problem.X.n_stored);
    if (!indices) abort();
    memcpy(indices, g.grid.problem.X.indices, sizeof *indices * (size_t)g.grid.problem.X.n_stored);
    indices[g.grid.problem.X.n_stored / 2] = (int32_t)r.d;
    g.grid.problem.X.indices = indices;
    status = gd_grid_error_and_gradient(&g.grid, g.weights, g.weights, 2, NULL, out, NULL, NULL, NULL);
    CHECK(status == GD_BAD_ROWS, "a column that is none: status %d", status);
    free(indices);
    grid_free(&g);
}

void test_many(void) {
    if (UNDER_TSAN) { /* what threads are in */
        company();
        return;
    }
    every_loss();
    random_recipes();
    every_layout();
    company();
    diverged_models();
    rows_of_no_weight();
    one_model();
    refusals();
}
