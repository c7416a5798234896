/* Grids of models descend together: to the minima that each finds alone, with the same bits whoever goes along. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/gdfast.h"
#include "book.h"
#include "check.h"
#include "descend.h"

enum { N_SPLITS = 3, MOST = 12 };

typedef struct grid { data c; gd_grid grid; gd_model models[MOST]; int8_t *roles; double *weights; gd_fit fits[MOST]; double n_passes; } grid;

/* Three penalties, each on all rows and on those of every split: a third of the rows validates. */
static grid grid_of(const recipe *r, double l1_share) {
    grid g = {.c = data_make(r), .roles = calloc((size_t)(N_SPLITS * r->n), 1)};
    if (!g.roles) abort();
    for (int s = 0; s < N_SPLITS; s++)
        for (int64_t i = 0; i < r->n; i++) g.roles[s * r->n + i] = (int8_t)(i % N_SPLITS == s ? -1 : 1 + (i % 7 == 0));
    for (int m = 0; m < MOST; m++) {
        double alpha = pow(10.0, -1 - m / (N_SPLITS + 1));
        g.models[m] = (gd_model){.loss = r->loss, .loss_param = loss_param(r->loss), .l2 = alpha * (1.0 - l1_share), .l1 = alpha * l1_share,
                                 .split = m % (N_SPLITS + 1) - 1};
    }
    g.weights = room(MOST * g.c.size);
    g.grid = (gd_grid){.problem = g.c.problem, .models = g.models, .n_models = MOST, .roles = g.roles, .n_splits = N_SPLITS};
    return g;
}

static void grid_free(grid *g) {
    free(g->roles), free(g->weights);
    data_free(&g->c);
}

static gd_settings settings_of(double tol, int n_threads) {
    gd_settings settings = {.solver = GD_SOLVER_AUTO, .max_iter = 500, .tol = tol, .n_iter_no_change = 5, .n_threads = n_threads};
    return settings;
}

static gd_status descend_all(grid *g, double tol, int n_threads, const gd_hooks *hooks) {
    gd_settings settings = settings_of(tol, n_threads);
    g->grid.models = g->models;
    return gd_descend_grid(&g->grid, &settings, 0, hooks, g->weights, g->fits, &g->n_passes);
}

/* E of model m over its own rows where these weights are, by the pass of a single model. */
static double error_at(const grid *g, int m, const double *weights, double *gradient) {
    const gd_model *model = &g->models[m];
    gd_problem problem = g->c.problem;
    int64_t n = problem.n, k = problem.n_outputs, n_coef = g->c.size - k, rows = problem.X.n_rows;
    double *s = room(rows), error = NAN;
    for (int64_t i = 0; i < n; i++)
        s[problem.rows ? problem.rows[i] : i] = g->c.s[i] * (model->split < 0 ? 1.0 : fmax(g->roles[model->split * n + i], 0.0));
    problem.weight = (gd_matrix){.data = (const char *)s, .n_rows = rows, .n_cols = 1, .row_stride = 8, .col_stride = 8, .type = GD_F64};
    problem.l2 = model->l2, problem.l1 = model->l1, problem.loss_param = model->loss_param;
    gd_status status = gd_error_and_gradient(&problem, weights, weights + n_coef, 1, NULL, &error, gradient, gradient ? gradient + n_coef : NULL);
    CHECK(!status, "status %d", (int)status);
    free(s);
    return error;
}

/* No direction leads down from the minimum: the subgradient of least norm is next to nothing beside that at all-zero weights. */
static void check_minimum(const grid *g, int m, const recipe *r) {
    const double *weights = g->weights + m * g->c.size;
    double *gradient = room(2 * g->c.size), *zero = gradient + g->c.size, most = 0.0, start = 0.0;
    double error = error_at(g, m, weights, gradient), at_zero;
    CHECK(fabs(error - g->fits[m].error) <= 1e-7 * fabs(error) + 1e-9, "model %d: error %.17g, by itself %.17g, %s", m, g->fits[m].error, error, describe(r));
    for (int64_t j = 0; j < g->c.size; j++) most = fmax(most, fabs(gradient[j]));
    memset(zero, 0, sizeof *zero * (size_t)g->c.size);
    double *at = room(g->c.size);
    at_zero = error_at(g, m, zero, at);
    for (int64_t j = 0; j < g->c.size; j++) start = fmax(start, fabs(at[j]));
    CHECK(error <= at_zero && most <= 3e-4 * (start + 1.0), "model %d: |gradient| %.3g of %.3g, E %.9g of %.9g, reason %d, %s", m, most, start, error,
          at_zero, (int)g->fits[m].reason, describe(r));
    CHECK(isnan(g->fits[m].validation) == (g->models[m].split < 0), "model %d: validation %g", m, g->fits[m].validation);
    free(gradient), free(at);
}

static void check_recipe(const recipe *r, double l1_share) {
    grid g = grid_of(r, l1_share), other = grid_of(r, l1_share);
    gd_status status = descend_all(&g, 1e-10, 1, NULL);
    CHECK(!status, "status %d, %s", (int)status, describe(r));
    for (int m = 0; !status && m < MOST; m++) check_minimum(&g, m, r);
    for (int n_threads = 2; n_threads <= 7; n_threads += 5) {
        status = descend_all(&other, 1e-10, n_threads, NULL);
        CHECK(!status && !memcmp(g.weights, other.weights, sizeof *g.weights * (size_t)(MOST * g.c.size)), "%d threads: status %d, other bits, %s", n_threads,
              (int)status, describe(r));
    }
    /* two of the models by themselves, the other way round; those with moments and L1 set out from their neighbours' minima */
    int warm = r->loss == gd_loss_squared_error && l1_share > 0.0;
    memcpy(other.models, g.models, sizeof g.models);
    other.models[0] = g.models[7], other.models[1] = g.models[2], other.grid.n_models = 2;
    status = descend_all(&other, 1e-10, 1, NULL);
    CHECK(warm || (!status && !memcmp(other.weights, g.weights + 7 * g.c.size, sizeof *g.weights * (size_t)g.c.size) &&
              !memcmp(other.weights + g.c.size, g.weights + 2 * g.c.size, sizeof *g.weights * (size_t)g.c.size)),
          "two alone: status %d, other bits, %s", (int)status, describe(r));
    grid_free(&g), grid_free(&other);
}

static int stop_at_once(void *context) {
    ++*(int *)context;
    return 1;
}

static void interruption(void) {
    recipe r = {.n = 60000, .d = 20, .k = 1, .loss = gd_loss_log_loss, .codes = 1, .seed = 5};
    grid g = grid_of(&r, 0.0);
    int calls = 0;
    gd_hooks hooks = {stop_at_once, &calls};
    gd_status status = descend_all(&g, 1e-10, 2, &hooks);
    CHECK(status == GD_INTERRUPTED && calls == 1, "status %d after %d calls", (int)status, calls);
    grid_free(&g);
}

/* Rows that validate and are far off make the first weights the best. */
static void early_stopping(void) {
    recipe r = {.n = 400, .d = 30, .k = 1, .loss = gd_loss_log_loss, .codes = 1, .seed = 9};
    grid g = grid_of(&r, 0.0);
    gd_settings settings = settings_of(1e-10, 1);
    double last[MOST];
    for (int m = 0; m < MOST; m++) g.models[m].l2 = 1e-6;
    g.grid.models = g.models;
    gd_status status = gd_descend_grid(&g.grid, &settings, 0, NULL, g.weights, g.fits, &g.n_passes);
    for (int m = 0; m < MOST; m++) last[m] = g.fits[m].validation;
    CHECK(!status, "status %d", (int)status);
    status = gd_descend_grid(&g.grid, &settings, 1, NULL, g.weights, g.fits, &g.n_passes);
    CHECK(!status, "status %d", (int)status);
    for (int m = 0; m < MOST; m++)
        if (g.models[m].split >= 0)
            CHECK(g.fits[m].validation <= last[m] * (1.0 + 1e-9), "model %d: validation %.9g, at the minimum %.9g", m, g.fits[m].validation, last[m]);
    grid_free(&g);
}

static void refusals(void) {
    recipe r = {.n = 50, .d = 3, .k = 1, .seed = 3};
    grid g = grid_of(&r, 0.0);
    g.models[3].loss = gd_loss_absolute_error;
    gd_status status = descend_all(&g, 1e-6, 1, NULL);
    CHECK(status == GD_BAD_ARGUMENT, "a loss with kinks: status %d", (int)status);
    g.models[3].loss = r.loss, g.models[3].split = N_SPLITS;
    status = descend_all(&g, 1e-6, 1, NULL);
    CHECK(status == GD_BAD_ARGUMENT, "no such split: status %d", (int)status);
    grid_free(&g);
}

void test_grid(void) {
    static const int losses[] = {gd_loss_log_loss, gd_loss_huber, gd_loss_poisson, gd_loss_gamma, gd_loss_squared_hinge, gd_loss_modified_huber,
                                 gd_loss_squared_error, gd_loss_squared_epsilon_insensitive};
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++)
        for (int share = 0; share < 2; share++) {
            recipe r = {.n = 700, .d = 9, .k = 1, .loss = losses[i], .codes = losses[i] == gd_loss_log_loss, .weighted = (int)i % 2, .seed = 40 + i};
            check_recipe(&r, 0.5 * share);
        }
    for (int sparse = 0; sparse < 2; sparse++) { /* large enough for samples */
        recipe r = {.n = 40000, .d = 6, .k = 1, .loss = gd_loss_log_loss, .codes = 1, .sparse = sparse, .seed = 60};
        check_recipe(&r, 0.0);
        check_recipe(&r, 0.5);
    }
    recipe softmax = {.n = 900, .d = 5, .k = 3, .loss = gd_loss_log_loss, .softmax = 1, .codes = 1, .seed = 70};
    check_recipe(&softmax, 0.0);
    recipe wide = {.n = 60, .d = 100, .k = 1, .loss = gd_loss_log_loss, .codes = 1, .seed = 71};
    check_recipe(&wide, 0.0);
    check_recipe(&wide, 0.5);
    interruption();
    early_stopping();
    refusals();
}
