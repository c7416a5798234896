/* Solver auto where there are many more columns than rows, and no penalty but L2: the descent takes place in the span of the rows
 * (span.h), on a matrix no larger than n x n, by the same solver. What it records are the numbers of the problem itself; weights are
 * made of its own where somebody looks at them. Without any penalty what a start has besides the span stays: from zeros, the answer is
 * that of least norm.
 *
 * Products of rows have half of the digits of X. So E at the answer, from a pass over X, must be what the descent thinks it is, and its
 * gradient as long; else solver auto goes on from there as it does elsewhere.
 */
#include "wide.h"

#include <math.h>
#include <string.h>

#include "metric.h"
#include "span.h"
#include "updates.h"

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
 * more; or beyond GD_WIDEST_METRIC a diagonal one, some 30 reads of X if all goes well. */
int gd_is_wide(const gd_problem *problem) {
    int64_t n = problem->n, d = problem->X.n_cols;
    return !gd_is_proximal(problem) && !problem->X.indptr && d > n && n <= GD_WIDEST_METRIC && (d <= GD_WIDEST_METRIC || n * n <= 128 * d);
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
        *there = report->reason != GD_STOP_CONVERGED || (fabs(error - wide->error) <= enough && left <= enough);
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
    gd_hooks hooks = {poll, wide};
    gd_settings settings = *run->settings;
    settings.keep_path = 0; /* the problem itself keeps it */
    gd_status status = set_out(wide, inner, base);
    if (status) return status;
    status = gd_descend(&wide->span.problem, NULL, &settings, &hooks, on_epoch, inner, &own);
    if (wide->status) status = wide->status;
    if (report->reason != GD_STOP_VALIDATION && report->reason != GD_STOP_CALLBACK) report->reason = own.reason;
    report->method = own.method, report->separable = own.separable;
    report->missing_threads += own.missing_threads;
    if (status == GD_DIVERGED)
        report->error = own.error, report->diverged_epoch = own.diverged_epoch, report->diverged_step = own.diverged_step;
    double left = own.suboptimality * fabs(own.error);
    gd_report_free(&own);
    if (!status) status = find_weights(wide, inner->answer);
    if (!status) status = look_back(wide, problem, isfinite(left) ? left : 0.0, there);
    return status;
}

/* The answer: where the descent ended, or the epoch that validated best. */
static gd_status answer(gd_run *run, const gd_problem *problem, const gd_hooks *hooks) {
    const double *weights = run->state->weights;
    gd_status status = GD_OK;
    if (run->validates && run->report->best_epoch) {
        weights = run->best;
        status = gd_error_and_gradient(problem, weights, weights + run->n_coef, run->settings->n_threads, hooks, &run->report->error,
                                       NULL, NULL);
    }
    memcpy(run->state->answer, weights, sizeof *weights * (size_t)run->size);
    return status;
}

gd_status gd_descend_wide(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks, int *there) {
    gd_wide wide = {.run = run, .hooks = hooks, .seen = validation || run->on_epoch || run->settings->keep_path};
    gd_state inner = {0};
    double *base = NULL;
    int64_t k = problem->n_outputs;
    int usable = 0;
    *there = 0;
    gd_status status = gd_span_init(&wide.span, problem, run->settings->n_threads, hooks, &usable);
    if (!status && usable) {
        if (validation) status = gd_engine_init(&run->validation, validation, run->settings->n_threads, hooks);
        if (!status) status = gd_state_init(&inner, run->settings, k * wide.span.rank + k);
        if (!status && !(wide.gradient = gd_alloc(inner.size, 8))) status = GD_NO_MEMORY;
        if (!status && problem->l2 == 0.0 && !(base = gd_alloc(run->size, 8))) status = GD_NO_MEMORY;
        if (!status) status = descend(&wide, problem, &inner, base, there);
        if (!status && *there) status = answer(run, problem, hooks);
        else run->report->reason = GD_STOP_MAX_ITER;
    }
    run->report->n_passes = (int64_t)(wide.span.rows_read / (double)problem->n + 0.5);
    run->report->missing_threads += wide.span.missing_threads + run->validation.missing_threads;
    gd_engine_free(&run->validation);
    gd_release(wide.gradient);
    gd_release(base);
    gd_state_free(&inner);
    gd_span_free(&wide.span);
    return status;
}
