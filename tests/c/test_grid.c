/* Grids of models descend together: to the minima that each finds alone, or by rules as each alone, with the same bits whoever goes along. */
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
    gd_hooks hooks = {.poll = stop_at_once, .context = &calls};
    gd_status status = descend_all(&g, 1e-10, 2, &hooks);
    CHECK(status == GD_INTERRUPTED && calls == 1, "status %d after %d calls", (int)status, calls);
    grid_free(&g);
}

typedef struct { int calls, fell; int64_t last, most, stop_at; } arrivals;

static int count_arrivals(void *context, int64_t n_models) {
    arrivals *a = context;
    a->calls++, a->fell += n_models < a->last, a->last = n_models;
    a->most = n_models > a->most ? n_models : a->most;
    return a->calls == a->stop_at;
}

/* Whoever waits is told of every read, never of more models than there are, and may end the call. */
static void waiting(int loss) {
    recipe r = {.n = 20000, .d = 12, .k = 1, .loss = loss, .codes = loss == gd_loss_log_loss, .seed = 6};
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        grid g = grid_of(&r, 0.0);
        arrivals a = {.stop_at = -1};
        gd_hooks hooks = {.context = &a, .arrived = count_arrivals};
        gd_status status = descend_all(&g, 1e-10, n_threads, &hooks);
        CHECK(!status && a.calls > 1 && !a.fell && a.most > g.grid.n_models / 2 && a.most <= g.grid.n_models,
              "%s: status %d, %d calls, the last %d", gd_loss_name(loss), (int)status, a.calls, (int)a.last);
        a = (arrivals){.stop_at = 2};
        status = descend_all(&g, 1e-10, n_threads, &hooks);
        CHECK(status == GD_INTERRUPTED && a.calls == 2, "%s: status %d after %d calls", gd_loss_name(loss), (int)status, a.calls);
        grid_free(&g);
    }
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

/* ---- rules ------------------------------------------------------------------------------------------------------------ */

/* Every model its own rule, schedule and rate; the last one's is far too large. */
static gd_settings rule_of(int m, int schedule, int64_t n) {
    gd_settings settings = plain_settings(GD_SOLVER_GD + m % 5);
    settings.schedule = schedule, settings.eta0 = m == MOST - 1 ? 1e6 : 0.01 * (1 + m % 4), settings.max_iter = 15 + m % 3, settings.tol = 1e-4;
    settings.n_iter_no_change = 3, settings.batch_size = m % 2 ? n : 0, settings.shuffle = m % 3 > 0;
    settings.average = m % 4 == 3 ? 2 : 0;
    if (settings.solver <= GD_SOLVER_SGD) settings.momentum = 0.3 * (m % 3), settings.nesterov = m % 2;
    if (m == MOST - 1) settings.solver = GD_SOLVER_GD, settings.momentum = 0.0, settings.tol = -1.0;
    return settings;
}

static gd_status descend_by_rules(grid *g, int schedule, int stop_early, int n_threads, gd_descent *descents) {
    g->grid.models = g->models;
    for (int m = 0; m < g->grid.n_models; m++) {
        descents[m] = (gd_descent){.settings = rule_of(m, schedule, 2 * g->c.problem.n)};
        if (gd_state_init(&descents[m].state, &descents[m].settings, g->c.size)) abort();
    }
    return gd_descend_each(&g->grid, descents, stop_early, n_threads, NULL, &g->n_passes);
}

static void free_descents(const grid *g, gd_descent *descents) {
    for (int m = 0; m < g->grid.n_models; m++) gd_state_free(&descents[m].state), gd_report_free(&descents[m].report);
}

/* The rows of model m that train or validate, as a problem of its own. */
static gd_problem rows_of(const grid *g, int m, int sign, int64_t *rows) {
    gd_problem problem = g->c.problem;
    const gd_model *model = &g->models[m];
    int64_t n = problem.n, count = 0;
    problem.l2 = model->l2, problem.l1 = model->l1, problem.loss_param = model->loss_param, problem.weight_mean = 0.0;
    if (model->split < 0) return problem;
    for (int64_t i = 0; i < n; i++)
        for (int copy = 0; copy < sign * g->roles[model->split * n + i]; copy++) rows[count++] = problem.rows ? problem.rows[i] : i;
    problem.rows = rows, problem.n = count;
    return problem;
}

static void check_same(const gd_descent *found, const outcome *alone, const recipe *r, int m, int schedule) {
    const gd_report *ours = &found->report, *theirs = &alone->report;
    CHECK(found->status == alone->status, "model %d, schedule %d: status %d, alone %d, %s", m, schedule, (int)found->status, (int)alone->status, describe(r));
    if (found->status != alone->status || found->status) return;
    double worst = 0.0, size = 1e-3;
    for (int64_t j = 0; j < found->state.size; j++) {
        worst = fmax(worst, fabs(found->state.answer[j] - alone->state.answer[j]));
        size = fmax(size, fabs(alone->state.answer[j]));
    }
    double most = schedule == GD_AUTO ? 1e-8 : 1e-10; /* a rate that grows until it is too large makes much of rounding */
    CHECK(worst <= most * size, "model %d, schedule %d: off by %.3g of %.3g, %s", m, schedule, worst, size, describe(r));
    CHECK(ours->n_iter == theirs->n_iter && ours->reason == theirs->reason && ours->best_epoch == theirs->best_epoch &&
              ours->loss.size == theirs->loss.size && ours->validation.size == theirs->validation.size && found->state.t == alone->state.t,
          "model %d, schedule %d: %d epochs and reason %d, alone %d and %d, %s", m, schedule, (int)ours->n_iter, (int)ours->reason, (int)theirs->n_iter,
          (int)theirs->reason, describe(r));
    for (int64_t i = 0; i < ours->loss.size && i < theirs->loss.size; i++)
        CHECK(fabs(ours->loss.data[i] - theirs->loss.data[i]) <= 1e-10 * (1.0 + fabs(theirs->loss.data[i])), "model %d: epoch %d, %s", m, (int)i, describe(r));
    CHECK(fabs(ours->error - theirs->error) <= 1e-10 * (1.0 + fabs(theirs->error)), "model %d: E %.17g, alone %.17g", m, ours->error, theirs->error);
}

static void check_rules(const recipe *r, int schedule, int stop_early) {
    grid g = grid_of(r, 0.3);
    gd_descent descents[MOST], others[MOST];
    int64_t *rows = malloc(sizeof *rows * (size_t)(4 * r->n));
    if (!rows) abort();
    gd_status status = descend_by_rules(&g, schedule, stop_early, 1, descents);
    CHECK(!status && g.n_passes < 200.0, "status %d after %g passes, %s", (int)status, g.n_passes, describe(r));
    for (int m = 0; !status && m < MOST; m++) {
        gd_settings settings = rule_of(m, schedule, 2 * r->n);
        gd_problem problem = rows_of(&g, m, 1, rows), held_out = rows_of(&g, m, -1, rows + 2 * r->n);
        outcome alone = descend(&problem, stop_early && g.models[m].split >= 0 ? &held_out : NULL, &settings, NULL, NULL, NULL);
        check_same(&descents[m], &alone, r, m, schedule);
        CHECK(isnan(descents[m].validation) == (g.models[m].split < 0 || descents[m].status), "model %d: validation %g", m, descents[m].validation);
        outcome_free(&alone);
    }
    for (int n_threads = 2; n_threads <= 3; n_threads++) {
        status = descend_by_rules(&g, schedule, stop_early, n_threads, others);
        for (int m = 0; !status && m < MOST; m++)
            CHECK(!memcmp(others[m].state.answer, descents[m].state.answer, sizeof(double) * (size_t)g.c.size), "%d threads: model %d, %s", n_threads, m, describe(r));
        free_descents(&g, others);
    }
    g.grid.n_models = 3; /* some of them by themselves */
    status = descend_by_rules(&g, schedule, stop_early, 1, others);
    for (int m = 0; !status && m < 3; m++)
        CHECK(!memcmp(others[m].state.answer, descents[m].state.answer, sizeof(double) * (size_t)g.c.size), "alone: model %d, %s", m, describe(r));
    free_descents(&g, others);
    g.grid.n_models = MOST;
    free_descents(&g, descents);
    free(rows);
    grid_free(&g);
}

static void rules(void) {
    static const int losses[] = {gd_loss_squared_error, gd_loss_log_loss, gd_loss_hinge, gd_loss_quantile};
    for (int schedule = GD_AUTO; schedule <= GD_ADAPTIVE; schedule++)
        for (int variant = 0; variant < 4; variant++) {
            recipe r = {.n = 400 + 60 * variant, .d = 4 + variant, .k = 1, .loss = losses[variant], .codes = losses[variant] == gd_loss_log_loss,
                        .weighted = variant % 2, .sparse = variant == 1, .subset = variant == 3, .seed = 80 + (uint64_t)variant};
            check_rules(&r, schedule, variant % 2);
            check_rules(&r, schedule, !(variant % 2));
        }
}

static void refusals_of_rules(void) {
    recipe r = {.n = 50, .d = 3, .k = 1, .seed = 3};
    grid g = grid_of(&r, 0.0);
    gd_descent descents[MOST];
    g.grid.models = g.models;
    for (int wrong = 0; wrong < 3; wrong++) {
        for (int m = 0; m < MOST; m++) {
            descents[m] = (gd_descent){.settings = plain_settings(GD_SOLVER_SGD)};
            if (m == 4 && wrong == 0) descents[m].settings.solver = GD_SOLVER_AUTO;
            if (m == 4 && wrong == 1) descents[m].settings.batch_size = 49;
            if (gd_state_init(&descents[m].state, &descents[m].settings, g.c.size + (m == 4 && wrong == 2))) abort();
        }
        gd_status status = gd_descend_each(&g.grid, descents, 0, 1, NULL, &g.n_passes);
        CHECK(status == GD_BAD_ARGUMENT, "%d: status %d", wrong, (int)status);
        free_descents(&g, descents);
    }
    grid_free(&g);
}

/* ---- bounds ----------------------------------------------------------------------------------------------------------- */

/* As solver auto finds it alone. */
static void bounds(void) {
    static const int losses[] = {gd_loss_log_loss, gd_loss_huber, gd_loss_poisson, gd_loss_squared_hinge};
    for (int variant = 0; variant < 8; variant++) {
        recipe r = {.n = variant < 4 ? 700 : 20000, .d = 6, .k = 1, .loss = losses[variant % 4], .codes = variant % 4 == 0, .seed = 90 + (uint64_t)variant};
        grid g = grid_of(&r, variant % 2 ? 0.5 : 0.0);
        double lower[6], upper[6];
        int64_t *rows = malloc(sizeof *rows * (size_t)(2 * r.n));
        if (!rows) abort();
        for (int j = 0; j < 6; j++) lower[j] = variant % 3 == 2 && j < 2 ? 0.02 : 0.0, upper[j] = variant % 3 ? 0.1 : INFINITY;
        g.c.problem.lower = g.grid.problem.lower = lower, g.c.problem.upper = g.grid.problem.upper = upper;
        gd_status status = descend_all(&g, 1e-11, 1, NULL);
        CHECK(!status, "status %d, %s", (int)status, describe(&r));
        for (int m = 0; !status && m < MOST; m++) {
            gd_problem problem = rows_of(&g, m, 1, rows);
            gd_settings settings = settings_of(1e-11, 1);
            outcome alone = descend(&problem, NULL, &settings, NULL, NULL, NULL);
            CHECK(fabs(alone.report.error - g.fits[m].error) <= 1e-9 * fabs(alone.report.error), "model %d: E %.17g, alone %.17g, %s", m, g.fits[m].error,
                  alone.report.error, describe(&r));
            for (int j = 0; j < 6; j++) {
                double w = g.weights[m * g.c.size + j];
                CHECK(w >= lower[j] && w <= upper[j], "model %d: weight %d is %g, %s", m, j, w, describe(&r));
            }
            outcome_free(&alone);
        }
        free(rows);
        grid_free(&g);
    }
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
    waiting(gd_loss_log_loss);
    waiting(gd_loss_squared_error);
    early_stopping();
    refusals();
    rules();
    refusals_of_rules();
    bounds();
}
