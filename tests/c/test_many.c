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
        for (int64_t j = 0; j < g.c.size; j++) g.weights[m * g.c.size + j] = g.c.weights[j] * (1.0 + 0.1 * (double)(m % 7 - 3));
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
    double *coef = room(n * n_coef), *intercept = room(n * k), *error = room(n), *validation = room(n), *grad = room(n * n_coef), *bias = room(n * k);
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
        if (model->class_weight && !validates) c.s[i] *= model->class_weight[code];
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
            CHECK(fabs(out[validates] - expected.error) <= expected.slack, "model %d, %s%s: error %.17g, expected %.17g +- %.2g, %s", (int)m,
                  gd_loss_name(g->models[m].loss), validates ? " validation" : "", out[validates], expected.error, expected.slack, describe(r));
            for (int64_t j = 0; !validates && j < c.size; j++)
                if (!(fabs(out[2 + j] - expected.gradient[j]) <= expected.slacks[j])) {
                    CHECK(0, "model %d, %s: gradient[%d] %.17g, expected %.17g +- %.2g, %s", (int)m, gd_loss_name(g->models[m].loss), (int)j, out[2 + j],
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
static const int of_codes[] = {gd_loss_log_loss, gd_loss_hinge, gd_loss_squared_hinge, gd_loss_modified_huber, gd_loss_perceptron, gd_loss_squared_error};

/* Every loss alone, then in mixtures; one model and several. */
static void every_loss(void) {
    static const int64_t dims[] = {1, 7, 16, 33}, models[] = {1, 2, 3, 19};
    for (int loss = 0; loss < GD_N_LOSSES + 2; loss++)
        for (int i = 0; i < 4; i++)
            for (int storage = 0; storage < 4; storage++) {
                int variant = loss + i + storage;
                recipe r = {.n = 300 + 7 * i, .d = dims[i], .k = 1, .type = storage % 2 ? GD_F32 : GD_F64, .loss = loss, .sparse = storage / 2 * (1 + i % 2)};
                if (loss >= GD_N_LOSSES) r.loss = loss == GD_N_LOSSES ? gd_loss_squared_error : gd_loss_log_loss;
                r.codes = loss == GD_N_LOSSES + 1 || gd_loss_is_margin(r.loss) || (r.loss == gd_loss_log_loss && variant % 2);
                r.weighted = variant / 2 % 2, r.subset = variant % 3 == 1, r.offset_cols = variant % 2, r.seed = (uint64_t)variant;
                if (loss < GD_N_LOSSES) check_grid(&r, models[(i + storage) % 4], 0, NULL);
                else check_grid(&r, models[(i + storage) % 4], 6, loss == GD_N_LOSSES ? of_values : of_codes);
            }
}

void test_many(void) { every_loss(); }
