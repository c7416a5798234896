/* Squared error with L2: conjugate gradients from a diagonal metric D (Golub & Van Loan, 11.5), each a read of X, where they take fewer
 * than a metric of all columns costs. E bends along weights by l2 at least, by a share mu of D or more, and steps tell as they go how far
 * the minimum can be (Gauss-Radau quadrature: Meurant & Tichy 2013):
 *
 *     E - E* <= radau r'z / 2,   z = D^-1 r,   radau_0 = 1 / mu,   radau_k+1 = (radau_k - t) / (mu (radau_k - t) + r'z_k+1 / r'z_k)
 *
 * t the step along the direction. A pass at the end shows what rounding has added to the gradient r, and to that bound. */
#include "conjugate.h"

#include <math.h>
#include <string.h>

#include "metric.h"
#include "updates.h"

/* PRODUCTS: of a metric, in the time in which memory delivers 8 bytes of X. */
enum { FEWEST_COLUMNS = 128, FEWEST_STEPS = 8, MOST_STEPS = 400, MOST_LOOKS = 3, PRODUCTS = 14 };

static const double AIM = 0.9 /* of tol: the rest is for rounding */, PATIENCE = 1.5;

typedef struct gd_conjugate {
    gd_run *run;
    gd_metric metric;             /* D, and the coordinates of all below */
    gd_engine linear;             /* E with y = 0, whose gradient is a product with the curvature */
    double *v, *r, *z, *along;    /* (size) where we are, the gradient, D^-1 r, the direction */
    double *bent;                 /* (size) curvature times the direction */
    double *weights, *gradient;   /* (run->size) in the caller's coordinates */
    double gaps[MOST_STEPS + 1];  /* bounds of E - E* */
    double error, square, mu, radau, step; /* square: r'z */
    int64_t most;                 /* steps that a metric would cost */
} gd_conjugate;

/* In reads of X. */
static double metric_cost(const gd_problem *problem) {
    int64_t rows = gd_metric_rows(problem, 1);
    double n = (double)problem->n, p = (double)problem->X.n_cols + 1.0, m = rows ? (double)rows : n;
    double numbers = n * p * (double)gd_type_size(problem->X.type) / 8.0;
    return (m * p * p / 2.0 + p * p * p / 6.0) / (PRODUCTS * numbers);
}

/* Eigenvalues between mu and a few: E - E* shrinks by exp(-4 / sqrt(condition number)) a step. */
static double expected_steps(double mu, double tol) { return log(4.0 / fmin(tol, 1.0)) / (2.0 * sqrt(mu)); }

int gd_takes_conjugate(const gd_problem *problem, const gd_settings *settings) {
    if (problem->loss != gd_loss_squared_error || problem->n_outputs > 1 || gd_is_proximal(problem) || !(problem->l2 > 0.0)) return 0;
    if (problem->X.indptr || problem->X.n_cols <= FEWEST_COLUMNS || !(settings->tol > 0.0)) return 0;
    double steps = fmax(expected_steps(1.0, settings->tol), FEWEST_STEPS);
    return steps <= metric_cost(problem) && steps <= (double)settings->max_iter;
}

/* ---- E, gradient, metric --------------------------------------------------------------------------------------------- */

static gd_status evaluate(gd_conjugate *all, gd_engine *engine, const double *v, double *error, double *gradient) {
    gd_metric_to_weights(&all->metric, v, all->weights);
    gd_status status = gd_engine_evaluate(engine, all->weights, error, all->gradient);
    if (!status) gd_metric_gradient(&all->metric, all->gradient, gradient);
    return status;
}

/* z = D^-1 r, and r'z. */
static double precondition(gd_conjugate *all, const double *r) {
    gd_metric_solve(&all->metric, r, all->z);
    return gd_dot(all->metric.size, r, all->z);
}

static gd_status note(gd_conjugate *all, int *stop) {
    gd_run *run = all->run;
    const gd_metric *metric = &all->metric;
    int64_t d = metric->columns.d;
    double bias = metric->p > d ? all->r[d] : 0.0;
    for (int64_t j = 0; j < d; j++) all->gradient[j] = all->r[j] / metric->scale[j] + metric->center[j] * bias;
    all->gradient[d] = bias;
    gd_metric_to_weights(metric, all->v, run->state->weights);
    run->state->t++;
    return gd_run_record(run, run->state->weights, all->error, gd_norm(run->size, all->gradient), all->step, stop);
}

/* From r, as if from the start. */
static void begin(gd_conjugate *all) {
    all->square = precondition(all, all->r);
    all->radau = 1.0 / all->mu;
    for (int64_t j = 0; j < all->metric.size; j++) all->along[j] = -all->z[j];
}

/* Columns are centred, so that the bias bends E by itself, by 1: at once to where it is best. */
static gd_status set_out(gd_conjugate *all, int *stop) {
    gd_run *run = all->run;
    int64_t d = all->metric.columns.d;
    double at_start;
    gd_metric_from_weights(&all->metric, run->state->weights, all->v);
    gd_status status = evaluate(all, &run->engine, all->v, &at_start, all->r);
    if (status) return status;
    all->error = at_start;
    if (all->metric.p > d) {
        all->v[d] -= all->r[d], all->error -= 0.5 * all->r[d] * all->r[d], all->r[d] = 0.0;
        if (!(all->error > 1e-3 * at_start)) status = evaluate(all, &run->engine, all->v, &all->error, all->r);
    }
    if (status || !isfinite(all->error) || !gd_all_finite(all->metric.size, all->r)) return status ? status : GD_NOT_FINITE;
    begin(all);
    return note(all, stop);
}

/* ---- steps ----------------------------------------------------------------------------------------------------------- */

static gd_status take_step(gd_conjugate *all) {
    int64_t size = all->metric.size;
    double ignored;
    gd_status status = evaluate(all, &all->linear, all->along, &ignored, all->bent);
    if (status) return status;
    double t = all->step = all->square / gd_dot(size, all->along, all->bent), before = all->square;
    for (int64_t j = 0; j < size; j++) all->v[j] += t * all->along[j], all->r[j] += t * all->bent[j];
    all->error -= 0.5 * t * before;
    all->square = precondition(all, all->r);
    double ratio = all->square / before, left = fmax(all->radau - t, 0.0);
    all->radau = left / (all->mu * left + ratio);
    for (int64_t j = 0; j < size; j++) all->along[j] = ratio * all->along[j] - all->z[j];
    return isfinite(all->error) && isfinite(all->square) ? GD_OK : GD_NOT_FINITE;
}

/* E and gradient by a pass, which stay. *gap: of E - E*, with what rounding has added: e of r, and of the length of r in the metric of E,
 * whose square is 2 (E - E*), the square root of e'D^-1 e / mu at most. */
static gd_status look_back(gd_conjugate *all, double *gap) {
    gd_status status = evaluate(all, &all->run->engine, all->v, &all->error, all->bent);
    if (status) return status;
    for (int64_t j = 0; j < all->metric.size; j++) {
        double now = all->bent[j];
        all->bent[j] -= all->r[j], all->r[j] = now;
    }
    double length = sqrt(2.0 * *gap) + sqrt(precondition(all, all->bent) / all->mu);
    *gap = 0.5 * length * length;
    return GD_OK;
}

/* By the second half of the steps taken: is a metric the shorter way? */
static int is_too_slow(const gd_conjugate *all, int64_t taken, double aim) {
    int64_t half = taken / 2;
    if (half < FEWEST_STEPS / 2) return 0;
    double gain = log(all->gaps[half] / all->gaps[taken]) / (double)(taken - half);
    return !(gain > 0.0) || (double)taken + log(all->gaps[taken] / aim) / gain > PATIENCE * (double)all->most;
}

static gd_status descend(gd_conjugate *all, int *there) {
    gd_run *run = all->run;
    gd_report *report = run->report;
    double tol = run->settings->tol;
    int stop = 0, looks = 0;
    gd_status status = set_out(all, &stop);
    double gap = all->gaps[0] = 0.5 * all->radau * all->square;
    int arrived = gap <= tol * all->error;
    report->method = GD_METHOD_DIAGONAL;
    for (int64_t taken = 0; !status && !stop && !arrived && report->n_iter < run->settings->max_iter; taken++) {
        if (taken == MOST_STEPS || looks == MOST_LOOKS || is_too_slow(all, taken, AIM * tol * all->error)) return GD_OK;
        status = take_step(all);
        gap = all->gaps[taken + 1] = 0.5 * all->radau * all->square;
        if (!status && gap <= AIM * tol * all->error) {
            status = look_back(all, &gap), looks++;
            arrived = gap <= tol * all->error;
            if (!arrived) begin(all);
        }
        if (!status) status = note(all, &stop);
    }
    if (status) return status;
    report->suboptimality = all->error != 0.0 ? gap / all->error : 0.0;
    if (!stop && arrived) report->reason = GD_STOP_CONVERGED;
    *there = 1;
    return GD_OK;
}

static gd_status prepare(gd_conjugate *all) {
    static const double zero = 0.0;
    gd_run *run = all->run;
    int64_t size = all->metric.size;
    gd_problem linear = gd_linear_problem(&run->engine.problem, &zero);
    linear.l2 = run->engine.problem.l2;
    double *at = all->v = gd_alloc(5 * size + 2 * run->size, 8);
    if (!at) return GD_NO_MEMORY;
    all->r = at + size, all->z = at + 2 * size, all->along = at + 3 * size, all->bent = at + 4 * size;
    all->weights = at + 5 * size, all->gradient = all->weights + run->size;
    return gd_engine_init(&all->linear, &linear, run->settings->n_threads, run->engine.hooks);
}

gd_status gd_descend_conjugate(gd_run *run, int *there) {
    const gd_settings *settings = run->settings;
    const gd_problem *problem = &run->engine.problem;
    gd_conjugate all = {.run = run, .most = (int64_t)fmin(metric_cost(problem), fmin((double)settings->max_iter, MOST_STEPS))};
    *there = 0;
    if (gd_has_given_bias(run)) return GD_OK;
    gd_status status = gd_metric_init(&all.metric, problem, 0, GD_METRIC_DIAGONAL, 0, settings->n_threads, run->engine.hooks);
    if (!status) status = gd_metric_build(&all.metric, run->state->weights, 0.0);
    if (!status) run->penalty_share = all.mu = gd_metric_penalty_share(&all.metric);
    if (!status && all.mu > 0.0 && expected_steps(all.mu, settings->tol) <= (double)all.most) {
        status = prepare(&all);
        if (!status) status = descend(&all, there);
    }
    run->engine.rows_read += all.metric.engine.rows_read + all.linear.rows_read;
    run->report->missing_threads += all.linear.missing_threads;
    gd_engine_free(&all.linear);
    gd_release(all.v);
    gd_metric_free(&all.metric);
    return status == GD_NOT_FINITE ? GD_OK : status; /* the next to try says what is wrong */
}
