/* Solver auto where there are many more columns than rows, and no penalty but L2: the descent takes place in the span of the rows
 * (span.h), on a matrix no larger than n x n, by the same solver. What it records are the numbers of the problem itself; weights are
 * made of its own where somebody looks at them. Without any penalty what a start has besides the span stays: from zeros, the answer is
 * that of least norm.
 *
 * Products of rows have half of the digits of X. Unless rows are far from depending on each other, E at the answer, from a pass over X, must
 * be what the descent thinks it is, and its gradient as long; else solver auto goes on from there as it does elsewhere.
 */
#include "wide.h"

#include <math.h>
#include <string.h>

#include "metric.h"
#include "span.h"
#include "updates.h"

enum { FEW_COLUMNS = 128 };

typedef struct gd_wide {
    gd_run *run;             /* of the problem itself: validation, records, the answer */
    const gd_hooks *hooks;   /* the caller's */
    gd_span span;
    const double *base;      /* (run->size) what weights have besides the span, NULL: nothing */
    int seen;                /* somebody looks at the weights of each epoch */
    double *gradient;        /* (k rank + k) */
    double error, norm;      /* at the last epoch */
    gd_status status;
} gd_wide;

/* Products of rows take n^2 d / 2 multiplications, factors and each metric n^3 or so. The alternatives: a metric of all columns, d^3 and
 * more, which is nothing for a few; or beyond GD_WIDEST_METRIC a diagonal one, some 30 reads of X if all goes well. */
int gd_is_wide(const gd_problem *problem) {
    int64_t n = problem->n, d = problem->X.n_cols;
    if (gd_is_proximal(problem) || problem->X.indptr || d <= n || d <= FEW_COLUMNS || n > GD_WIDEST_METRIC) return 0;
    return d <= GD_WIDEST_METRIC || n * n <= 128 * d;
}

static gd_status find_weights(gd_wide *wide, const double *u) {
    double *weights = wide->run->state->weights;
    gd_status status = gd_span_to_weights(&wide->span, 1, u, weights);
    for (int64_t j = 0; !status && wide->base && j < wide->run->size; j++) weights[j] += wide->base[j];
    return status;
}

/* Where to start, in the span; and what of it is not in the span, if that is to stay. */
static gd_status set_out(gd_wide *wide, gd_state *inner, double *base) {
    const double *weights = wide->run->state->weights;
    int64_t size = wide->run->size, n_coef = wide->run->n_coef, k = size - n_coef;
    if (gd_norm(n_coef, weights) == 0.0) {
        memcpy(inner->weights + inner->size - k, weights + n_coef, sizeof *weights * (size_t)k);
        return GD_OK;
    }
    gd_status status = gd_span_from_weights(&wide->span, weights, inner->weights);
    if (status || !base) return status;
    status = gd_span_to_weights(&wide->span, 1, inner->weights, base);
    for (int64_t j = 0; j < size; j++) base[j] = weights[j] - base[j];
    wide->base = base;
    return status;
}

static int poll(void *context) {
    const gd_hooks *hooks = ((gd_wide *)context)->hooks;
    return hooks && hooks->poll ? hooks->poll(hooks->context) : 0;
}

/* With a bias the centre of the rows has a part in the gradient. That of a rounded error stays what it is. */
static gd_status find_norm(gd_wide *wide, const gd_epoch *epoch) {
    const gd_problem *problem = &wide->span.problem;
    int64_t n_coef = problem->n_outputs * wide->span.rank;
    double ignored;
    wide->norm = epoch->gradient_norm;
    if (!problem->fit_intercept || !gd_loss_is_smooth(problem->loss)) return GD_OK;
    gd_status status = gd_error_and_gradient(problem, epoch->weights, epoch->weights + n_coef, wide->run->settings->n_threads, wide->hooks,
                                             &ignored, wide->gradient, wide->gradient + n_coef);
    wide->norm = gd_span_norm(&wide->span, wide->gradient);
    return status;
}

static int on_epoch(void *context, const gd_epoch *epoch) {
    gd_wide *wide = context;
    int stop = 0;
    if (wide->seen && (wide->status = find_weights(wide, epoch->weights))) return -1;
    wide->error = epoch->error;
    if ((wide->status = find_norm(wide, epoch))) return -1;
    wide->run->state->t++;
    wide->status = gd_run_record(wide->run, wide->run->state->weights, epoch->error, wide->norm, epoch->eta, &stop);
    return wide->status ? -1 : stop;
}

/* How much of E - E* is out of the descent's sight, by the length of the gradient at the answer: of a smooth loss, since E bends as the
 * penalty does at least. Without a penalty nobody knows; what is but rounding counts as nothing. */
static double out_of_sight(const gd_wide *wide, const gd_problem *problem, double norm) {
    if (!gd_loss_is_smooth(problem->loss)) return 0.0;
    if (problem->l2 > 0.0) return fmax(norm * norm - wide->norm * wide->norm, 0.0) / (2.0 * problem->l2);
    return norm > 2.0 * wide->norm + 1e-12 * wide->run->report->gradient_norm.data[0] ? INFINITY : 0.0;
}

/* Would a pass find what the descent did, since scores in the span are those of X to 1e-10 or better, and with them the gradient? */
static int is_clear(const gd_wide *wide, const gd_problem *problem, double left) {
    const gd_report *report = wide->run->report;
    double tol = wide->run->settings->tol;
    if (!wide->span.clear || wide->base || report->reason != GD_STOP_CONVERGED || !gd_loss_is_smooth(problem->loss)) return 0;
    return wide->error > 1e-6 * report->loss.data[0] && left <= tol * wide->error && tol * problem->l2 > 1e-20 * wide->span.square;
}

/* E at the answer by a pass over X: is it what the descent arrived at? */
static gd_status look_back(gd_wide *wide, const gd_problem *problem, double left, int *there) {
    gd_run *run = wide->run;
    gd_report *report = run->report;
    gd_problem fine = *problem;
    double *gradient = gd_alloc(run->size, 8), error = NAN;
    gd_engine engine = {0};
    fine.double_lanes = 1;
    gd_status status = gradient ? gd_engine_init(&engine, &fine, run->settings->n_threads, wide->hooks) : GD_NO_MEMORY;
    if (!status) status = gd_engine_evaluate(&engine, run->state->weights, &error, gradient);
    if (!status) {
        double nothing = 1e-16 * fabs(report->loss.data[0]), enough = fmax(run->settings->tol, 1e-12) * fabs(error) + nothing;
        if (fabs(error) > nothing) left += out_of_sight(wide, problem, gd_norm(run->size, gradient));
        int as_thought = fabs(error - wide->error) <= enough && left <= enough;
        *there = left < INFINITY && (report->reason != GD_STOP_CONVERGED || as_thought);
        report->suboptimality = error != 0.0 ? left / fabs(error) : 0.0;
        report->error = error;
        wide->span.rows_read += (double)problem->n;
    }
    report->missing_threads += engine.missing_threads;
    gd_engine_free(&engine);
    gd_release(gradient);
    return status;
}

static gd_status descend(gd_wide *wide, const gd_problem *problem, gd_state *inner, double *base, int *there) {
    gd_run *run = wide->run;
    gd_report *report = run->report, own;
    gd_hooks hooks = {.poll = poll, .context = wide};
    gd_settings settings = *run->settings;
    settings.keep_path = 0; /* the problem itself keeps it */
    if (settings.tol > 0.0 && gd_loss_is_smooth(problem->loss)) settings.tol *= 1e-8; /* the last steps cost next to nothing */
    gd_status status = set_out(wide, inner, base);
    if (status) return status;
    status = gd_descend(&wide->span.problem, NULL, &settings, &hooks, on_epoch, inner, &own);
    if (wide->status) status = wide->status;
    if (report->reason != GD_STOP_VALIDATION && report->reason != GD_STOP_CALLBACK) report->reason = own.reason;
    /* What a descent out of steps promises is a guess; with a penalty the length of the gradient proves it. */
    if (!status && report->reason == own.reason && problem->l2 > 0.0 && gd_loss_is_smooth(problem->loss) &&
        wide->norm * wide->norm <= 2.0 * problem->l2 * run->settings->tol * fabs(wide->error))
        report->reason = GD_STOP_CONVERGED;
    report->method = own.method, report->separable = own.separable;
    report->missing_threads += own.missing_threads;
    if (status == GD_DIVERGED)
        report->error = own.error, report->diverged_epoch = own.diverged_epoch, report->diverged_step = own.diverged_step;
    double left = own.suboptimality * fabs(own.error);
    gd_report_free(&own);
    if (!status) status = find_weights(wide, inner->answer);
    *there = !status && is_clear(wide, problem, left);
    if (*there) report->error = wide->error, report->suboptimality = left / wide->error;
    else if (!status) status = look_back(wide, problem, isnan(left) ? 0.0 : left, there);
    return status;
}

/* 0 of any type, of either sign. */
static int is_zero(const gd_matrix *m, int64_t row) {
    const char *at = m->data + row * m->row_stride;
    int64_t size = gd_type_size(m->type), last = m->swapped == GD_BIG_ENDIAN ? size - 1 : 0;
    int is_float = m->type == GD_F64 || m->type == GD_F32 || m->type == GD_F16;
    for (int64_t b = 0; b < size; b++)
        if (at[b] & (is_float && b == last ? 0x7f : 0xff)) return 0;
    return 1;
}

/* Rows that weigh nothing span nothing. *rows: those that do, to be released; NULL: all. */
static gd_status leave_out(gd_problem *problem, int64_t **rows) {
    int64_t count = 0;
    if (!problem->weight.data) return GD_OK;
    if (!(*rows = gd_alloc(problem->n, sizeof **rows))) return GD_NO_MEMORY;
    for (int64_t i = 0; i < problem->n; i++) {
        int64_t row = problem->rows ? problem->rows[i] : i;
        if (!is_zero(&problem->weight, row)) (*rows)[count++] = row;
    }
    if (count == problem->n || count == 0) {
        gd_release(*rows);
        *rows = NULL;
    } else problem->rows = *rows, problem->n = count;
    return GD_OK;
}

gd_status gd_descend_wide(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks, int *there) {
    gd_wide wide = {.run = run, .hooks = hooks, .seen = validation || run->on_epoch || run->settings->keep_path};
    gd_state inner = {0};
    gd_problem weighty = *problem;
    double *base = NULL;
    int64_t *rows = NULL;
    int64_t k = problem->n_outputs;
    int usable = 0;
    *there = 0;
    gd_status status = leave_out(&weighty, &rows);
    if (!status) status = gd_span_init(&wide.span, &weighty, run->settings->n_threads, hooks, &usable);
    if (!status && usable) {
        if (validation) status = gd_engine_init(&run->validation, validation, run->settings->n_threads, hooks);
        if (!status) status = gd_state_init(&inner, run->settings, k * wide.span.rank + k);
        if (!status && !(wide.gradient = gd_alloc(inner.size, 8))) status = GD_NO_MEMORY;
        if (!status && problem->l2 == 0.0 && !(base = gd_alloc(run->size, 8))) status = GD_NO_MEMORY;
        if (!status) status = descend(&wide, problem, &inner, base, there);
        if (!status && *there) status = gd_run_answer(run, problem, hooks);
        else run->report->reason = GD_STOP_MAX_ITER;
    }
    run->report->n_passes = (int64_t)(wide.span.rows_read / (double)problem->n + 0.5);
    run->report->missing_threads += wide.span.missing_threads + run->validation.missing_threads;
    gd_engine_free(&run->validation);
    gd_release(wide.gradient);
    gd_release(base);
    gd_release(rows);
    gd_state_free(&inner);
    gd_span_free(&wide.span);
    return status;
}

/* ---- grids ----------------------------------------------------------------------------------------------------------- */

static int is_wide_grid(const gd_grid *grid) {
    gd_problem problem = grid->problem;
    for (int64_t m = 0; m < grid->n_models; m++)
        if (grid->models[m].l1 != 0.0 || !(grid->models[m].l2 > 0.0) || !gd_loss_is_smooth(grid->models[m].loss)) return 0;
    problem.l1 = 0.0;
    return gd_is_wide(&problem);
}

/* Errors (models) and gradients, k d and k of each model, from weights laid out as gd_state. All in one room. */
typedef struct gd_look { double *coef, *intercept, *errors, *grad_coef, *grad_intercept; } gd_look;

static gd_status look(const gd_grid *grid, const gd_settings *settings, const gd_hooks *hooks, const double *weights, gd_look *at) {
    int64_t k = grid->problem.n_outputs, n_coef = k * grid->problem.X.n_cols, models = grid->n_models;
    gd_grid fine = *grid;
    at->coef = gd_alloc(models * (2 * n_coef + 2 * k + 1), 8);
    if (!at->coef) return GD_NO_MEMORY;
    at->intercept = at->coef + models * n_coef, at->grad_coef = at->intercept + models * k;
    at->grad_intercept = at->grad_coef + models * n_coef, at->errors = at->grad_intercept + models * k;
    fine.problem.double_lanes = 1;
    for (int64_t m = 0; m < models; m++) {
        memcpy(at->coef + m * n_coef, weights + m * (n_coef + k), sizeof *weights * (size_t)n_coef);
        memcpy(at->intercept + m * k, weights + m * (n_coef + k) + n_coef, sizeof *weights * (size_t)k);
    }
    return gd_grid_error_and_gradient(&fine, at->coef, at->intercept, settings->n_threads, hooks, at->errors, NULL, at->grad_coef,
                                      at->grad_intercept);
}

/* E and its gradient, of each model by one read of X: are they what the descents arrived at? */
static gd_status check_fits(const gd_grid *grid, const gd_grid *inner, const gd_span *span, const gd_settings *settings,
                            const gd_hooks *hooks, const double *weights, const double *u, int *there) {
    int64_t k = grid->problem.n_outputs, n_coef = k * grid->problem.X.n_cols, n_inner = k * span->rank;
    gd_look out = {0}, in = {0};
    double *gradient = gd_alloc(n_inner + k, 8);
    gd_status status = gradient ? look(grid, settings, hooks, weights, &out) : GD_NO_MEMORY;
    if (!status) status = look(inner, settings, hooks, u, &in);
    for (int64_t m = 0; !status && m < grid->n_models; m++) {
        memcpy(gradient, in.grad_coef + m * n_inner, sizeof *gradient * (size_t)n_inner);
        memcpy(gradient + n_inner, in.grad_intercept + m * k, sizeof *gradient * (size_t)k);
        double enough = fmax(settings->tol, 1e-12) * fabs(out.errors[m]), seen = gd_span_norm(span, gradient);
        double coef = gd_norm(n_coef, out.grad_coef + m * n_coef), bias = gd_norm(k, out.grad_intercept + m * k);
        double beyond = (coef * coef + bias * bias - seen * seen) / (2.0 * grid->models[m].l2);
        *there &= fabs(out.errors[m] - in.errors[m]) <= enough && beyond <= enough;
    }
    gd_release(gradient), gd_release(out.coef), gd_release(in.coef);
    return status;
}

gd_status gd_descend_wide_grid(const gd_grid *grid, const gd_settings *settings, int stop_early, const gd_hooks *hooks, double *weights,
                               gd_fit *fits, double *n_passes, int *there) {
    gd_span span;
    gd_grid inner = *grid;
    *there = 0;
    if (!is_wide_grid(grid)) return GD_OK;
    gd_status status = gd_span_init(&span, &grid->problem, settings->n_threads, hooks, there);
    if (!status && *there) {
        double *u = gd_alloc(grid->n_models * grid->problem.n_outputs * (span.rank + 1), 8), ignored;
        inner.problem = span.problem;
        status = u ? gd_descend_grid(&inner, settings, stop_early, hooks, u, fits, &ignored) : GD_NO_MEMORY;
        if (!status) status = gd_span_to_weights(&span, grid->n_models, u, weights);
        for (int64_t i = 0; i < grid->n_models; i++) fits[i].missing_threads += span.missing_threads;
        if (!status) status = check_fits(grid, &inner, &span, settings, hooks, weights, u, there);
        *n_passes = span.rows_read / (double)grid->problem.n + 1.0;
        gd_release(u);
    }
    gd_span_free(&span);
    return status;
}
