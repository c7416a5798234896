/* See rules.h. The update rules themselves are in updates.h. */
#include "rules.h"

#include <float.h>
#include <math.h>

#include "metric.h"
#include "updates.h"

/* ---- learning rate --------------------------------------------------------------------------------------------- */

/* Bottou's heuristic as scikit-learn has it: the first step has the size that weights are expected to have,
 * sqrt(1 / sqrt(alpha)), over the slope of the loss there. */
static double optimal_start(const gd_problem *problem, double alpha) {
    double typical = sqrt(1.0 / sqrt(alpha)), z = -typical, y = 1.0, error, slope, curvature;
    gd_pointwise(NULL, problem->loss, problem->loss_param, 0.0, 1, &z, &y, &error, &slope, &curvature);
    return 1.0 / (typical / fmax(1.0, slope) * alpha);
}

int gd_rate_adapts(const gd_settings *settings) { return settings->schedule == GD_AUTO || settings->schedule == GD_ADAPTIVE; }

double gd_rate_now(const gd_settings *settings, const gd_rates *rates, int64_t t) {
    switch (settings->schedule) {
    case GD_INVSCALING: return rates->eta0 / pow((double)t, settings->power_t);
    case GD_OPTIMAL: return 1.0 / (rates->alpha * (rates->optimal_start + (double)t - 1.0));
    case GD_CONSTANT: return rates->eta0;
    default: return rates->eta;
    }
}

/* Rules that scale each weight's step themselves need no curvature: 0.001 is Adam's, 0.01 AdaGrad's own default. For
 * mini-batches of b rows the safe step shrinks from 1 / L towards 1 / max_i ||x_i||^2 (Gower et al. 2019, eq. 12). */
gd_status gd_find_rates(gd_run *run, gd_rates *rates) {
    const gd_settings *settings = run->settings;
    const gd_problem *problem = &run->engine.problem;
    rates->alpha = settings->optimal_alpha > 0.0 ? settings->optimal_alpha : problem->l2 + problem->l1;
    rates->eta0 = settings->eta0;
    int resumed = run->state->t > 0 && gd_rate_adapts(settings);
    if (settings->schedule == GD_OPTIMAL) rates->optimal_start = optimal_start(problem, rates->alpha);
    if (settings->schedule == GD_AUTO && !resumed) {
        double largest = 0.0;
        if (run->state->square) rates->eta0 = settings->solver == GD_SOLVER_ADAGRAD ? 0.01 : 0.001;
        else {
            gd_status status = gd_run_curvature(run, &largest);
            if (status) return status;
            double rows = settings->batch_size ? (double)settings->batch_size : (double)problem->n;
            double share = settings->solver == GD_SOLVER_GD ? 0.0 : fmin(1.0, (double)problem->X.n_cols / rows);
            rates->eta0 = largest > 0.0 ? (1.0 - settings->momentum) / (largest * (1.0 + share)) : 1.0;
        }
    }
    if (settings->schedule == GD_AUTO && resumed) rates->eta0 = run->state->eta;
    rates->eta = resumed ? run->state->eta : rates->eta0;
    return GD_OK;
}

/* ---- divergence ------------------------------------------------------------------------------------------------ */

gd_status gd_diverged(gd_run *run, double error) {
    double largest;
    run->report->error = isnan(error) ? INFINITY : error;
    run->report->diverged_epoch = run->report->n_iter + 1;
    run->report->diverged_step = run->state->t;
    if (!gd_run_curvature(run, &largest) && largest > 0.0 && isfinite(largest))
        run->report->usable_eta = (1.0 - run->settings->momentum) / largest;
    return GD_DIVERGED;
}

/* ---- going back ------------------------------------------------------------------------------------------------ */

int64_t gd_trial_vectors(const gd_state *state) { return 2 + !!state->velocity + !!state->square + !!state->mean; }

/* In room (trial_vectors, size). */
gd_trial gd_trial_in(double *room, const gd_state *state) {
    int64_t size = state->size;
    gd_trial trial = {.error = NAN, .gradient = room, .weights = room + size};
    room += 2 * size;
    if (state->velocity) trial.velocity = room, room += size;
    if (state->square) trial.square = room, room += size;
    if (state->mean) trial.mean = room;
    return trial;
}

void gd_trial_save(const gd_run *run, double error, gd_trial *good) {
    const gd_state *state = run->state;
    good->error = error, good->t = state->t, good->path_size = run->report->path.size;
    gd_copy(run, good->gradient, run->gradient);
    gd_copy(run, good->weights, state->weights);
    gd_copy(run, good->velocity, state->velocity);
    gd_copy(run, good->square, state->square);
    gd_copy(run, good->mean, state->mean);
}

void gd_trial_restore(gd_run *run, const gd_trial *good) {
    gd_state *state = run->state;
    state->t = good->t, run->report->path.size = good->path_size;
    gd_copy(run, run->gradient, good->gradient);
    gd_copy(run, state->weights, good->weights);
    if (state->velocity) gd_copy(run, state->velocity, good->velocity);
    if (state->square) gd_copy(run, state->square, good->square);
    if (state->mean) gd_copy(run, state->mean, good->mean);
}

/* ---- how far it is --------------------------------------------------------------------------------------------- */

/* E at w = 0, which X has no part in: where a column of zeros stands for it, it need not be read. */
static gd_status error_at_zero(gd_run *run, double *error) {
    static const double zero = 0.0;
    gd_problem blind = run->engine.problem;
    gd_engine engine = {0};
    blind.X = (gd_matrix){.data = (const char *)&zero, .n_rows = blind.X.n_rows, .n_cols = 1, .type = GD_F64};
    double *weights = gd_alloc(2 * blind.n_outputs, 8);
    gd_status status = weights ? gd_engine_init(&engine, &blind, run->settings->n_threads, run->engine.hooks) : GD_NO_MEMORY;
    if (!status) status = gd_engine_evaluate(&engine, weights, error, NULL);
    gd_engine_free(&engine);
    gd_release(weights);
    return status;
}

gd_status gd_exploded(gd_run *run, double error, double factor, double *scale, int *answer) {
    *answer = 0;
    if (!gd_loss_is_smooth(run->engine.problem.loss) || error <= factor * *scale) return GD_OK;
    double at_zero = 0.0;
    gd_status status = error_at_zero(run, &at_zero);
    *scale = fmax(*scale, fabs(at_zero));
    *answer = error > factor * *scale;
    return status;
}

/* AdaGrad, RMSprop and Adam take steps of a size of their own, at first the wrong one. */
double gd_explosion(const gd_state *state) { return state->square ? 1e6 : 1e3; }

/* Along a feature of small scale a rule may hardly move at all. Before it may stop, half the squared Newton decrement, in the metric of a
 * sample of rows, must agree that tol is reached. */
gd_status gd_certify(gd_run *run, double error, double *suboptimality) {
    const gd_problem *problem = &run->engine.problem;
    gd_metric metric;
    *suboptimality = 0.0;
    if (!gd_loss_is_smooth(problem->loss) || gd_is_proximal(problem)) return GD_OK;
    gd_status status = gd_metric_init(&metric, problem, 4096, problem->X.n_cols > 256, 0, 1, run->engine.hooks);
    double *gradient = status ? NULL : gd_alloc(2 * metric.size, 8);
    if (!status && !gradient) status = GD_NO_MEMORY;
    if (!status) status = gd_metric_build(&metric, run->state->weights, 0.0);
    if (!status) {
        gd_metric_gradient(&metric, run->gradient, gradient);
        gd_metric_solve(&metric, gradient, gradient + metric.size);
        *suboptimality = 0.5 * gd_dot(metric.size, gradient, gradient + metric.size) / fmax(fabs(error), DBL_MIN);
    }
    gd_release(gradient);
    gd_metric_free(&metric);
    return status;
}
