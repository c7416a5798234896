/* solver auto: preconditioned gradient descent. The gradient always comes from a full pass; the metric M, from the curvature
 * at a sample of rows (metric.c), turns it into a step that no feature's scale can slow down:
 *
 *     delta = -M^-1 grad E,  corrected by the last few steps (L-BFGS, Nocedal & Wright, algorithm 7.4, with H_0 = M^-1)
 *     delta = argmin grad E.delta + delta'M delta / 2 + l1 ||w + delta||_1   (L1: quadratic.c)
 *
 * A line search with the pass's own error and gradient safeguards it. -grad E.delta / 2, half the squared Newton decrement,
 * estimates E - E*. Descent begins on the sample itself, in cache, since the sample's optimum is within about p / 2m of E*.
 * Losses with kinks: kinks.inc.
 */
#include <math.h>
#include <string.h>

#include "joint.h"
#include "updates.h"
#include "walk.h"

enum { FEWEST_SAMPLED = 4096, MANY_TIMES = 8 /* of a sample, are there rows where one pays */ };
enum { MOST_SAMPLE_STEPS = 50, MOST_ROWS = 1 << 19 /* of a sample */, DEAR = 100 /* passes that making a metric costs */ };

/* ---- evaluation ----------------------------------------------------------------------------------------------------- */

static gd_status evaluate(gd_walk *work, gd_engine *engine, const double *v, double *error, double *gradient) {
    gd_metric_to_weights(work->metric, v, work->weights);
    gd_status status = gd_engine_evaluate(engine, work->weights, error, work->full_gradient);
    if (status) return status;
    gd_add_l1(&engine->problem, work->weights, error, NULL);
    gd_metric_gradient(work->metric, work->full_gradient, gradient);
    return GD_OK;
}

/* Record an accepted point: work->weights and full_gradient are its own. With rounded kinks the error recorded is the true
 * one all the same, at the price of a pass. */
static gd_status record(gd_walk *work, double eta, int *stop) {
    double ignored = 0.0, error = work->error;
    gd_problem *problem = &work->run->engine.problem;
    if (problem->smoothing > 0.0) {
        double width = problem->smoothing;
        problem->smoothing = 0.0;
        gd_status status = gd_engine_evaluate(&work->run->engine, work->weights, &error, NULL);
        problem->smoothing = width;
        if (status) return status;
        gd_add_l1(problem, work->weights, &error, NULL);
    }
    gd_add_l1(&work->run->engine.problem, work->weights, &ignored, work->full_gradient);
    memcpy(work->run->state->weights, work->weights, sizeof *work->weights * (size_t)work->run->size);
    work->run->state->t++;
    return gd_run_record(work->run, work->weights, error, gd_norm(work->run->size, work->full_gradient), eta, stop);
}

/* ---- the loop -------------------------------------------------------------------------------------------------------- */

static gd_status rebuild(gd_walk *work) {
    gd_metric_to_weights(work->metric, work->v, work->weights);
    if (work->metric->m) work->pairs.count = 0; /* of steps where classes bent otherwise */
    return gd_metric_build(work->metric, work->weights, work->exact || (work->metric->m && !work->metric->proximal) ? 0.0 : 0.1);
}

/* Descend E over the engine's rows from work->v until the decrement is within tol of E. recording: these are the caller's
 * epochs, else a warm-up on the sample. *stop: converged or ended by the caller; 0: out of steps. */
static gd_status minimise(gd_walk *work, gd_engine *engine, double tol, int64_t max_steps, int recording, int *stop) {
    int same_width = work->metric->engine.problem.smoothing == engine->problem.smoothing;
    gd_walk_begin(work, &engine->problem, engine->pass.narrow, gd_metric_is_exact(work->metric) && same_width);
    if (!recording) work->doubled_error = 0.0; /* a sample may be told apart where all rows are not: no further than noise */
    if (!recording && engine->problem.loss == gd_loss_log_loss && !engine->problem.softmax) work->floor_share = tol;
    for (gd_status status = GD_OK; work->n_steps < max_steps && !*stop;) {
        gd_next next = gd_walk_plan(work, tol, 0);
        if (next == GD_REBUILD) {
            if ((status = rebuild(work))) return status;
            next = gd_walk_plan(work, tol, 1);
        }
        if (work->metric->engine.interrupted) return GD_INTERRUPTED;
        while (next == GD_TRY) {
            if ((status = evaluate(work, engine, work->new_v, &work->new_error, work->new_gradient))) return status;
            next = gd_walk_judge(work);
        }
        if (next == GD_ARRIVED) *stop = 1;
        if (next == GD_PLAN) gd_metric_to_weights(work->metric, work->v, work->weights);
        if (next == GD_TAKEN && recording && (status = record(work, work->t, stop))) return status;
    }
    return GD_OK;
}

/* ---- setting out ----------------------------------------------------------------------------------------------------- */

/* From all-zero weights: the biases of the best constant model. */
static gd_status start_biases(gd_walk *work) {
    gd_engine *engine = &work->metric->engine;
    const gd_problem *problem = &engine->problem;
    int64_t size = work->run->size, n_coef = work->run->n_coef;
    double *weights = work->run->state->weights, error;
    if (!problem->fit_intercept || gd_norm(size, weights) != 0.0) return GD_OK;
    gd_status status = gd_engine_evaluate(engine, weights, &error, work->full_gradient);
    if (!status && isfinite(error)) work->first_error = fabs(error); /* the scale of E, which the biases may all but remove */
    for (int64_t c = 0; !status && c < problem->n_outputs; c++)
        weights[n_coef + c] = gd_walk_best_bias(problem, work->full_gradient[n_coef + c]);
    return status;
}

static gd_status allocate(gd_walk *work, double **arena) {
    int64_t size = work->metric->size, full = work->run->size;
    int most = (int)gd_max(5, gd_min(GD_WALK_MEMORY, (1 << 24) / size)); /* in 256 MB, but for the very largest models */
    *arena = gd_alloc(gd_walk_vectors(most) * size + 2 * full, 8);
    if (!*arena) return GD_NO_MEMORY;
    work->weights = gd_walk_place(work, size, most, *arena);
    work->full_gradient = work->weights + full;
    return GD_OK;
}

/* First the sample, where steps are cheap: its optimum is as near to E* as its noise allows. Kept only if it is no worse a
 * start than the given one. */
static gd_status warm_up(gd_walk *work) {
    gd_engine *sample = &work->metric->engine;
    const gd_settings *settings = work->run->settings;
    double tol = fmax(settings->tol, 0.05 * (double)work->metric->p / (double)sample->problem.n);
    int stop = 0;
    gd_status status = evaluate(work, sample, work->v, &work->error, work->gradient);
    if (status) return status;
    if (!isfinite(work->error)) return GD_NOT_FINITE;
    work->first_error = fmax(work->first_error, fabs(work->error));
    return minimise(work, sample, tol, MOST_SAMPLE_STEPS, 0, &stop);
}

static void classify(gd_walk *work, int stop) {
    gd_report *report = work->run->report;
    const gd_problem *problem = &work->run->engine.problem;
    report->suboptimality = work->error != 0.0 ? work->decrement / fabs(work->error) : 0.0;
    report->separable = problem->loss == gd_loss_log_loss && problem->l1 + problem->l2 == 0.0 && work->error < 1e-6 * work->first_error;
    if (stop && report->reason == GD_STOP_MAX_ITER) report->reason = work->precise_enough ? GD_STOP_PRECISION : GD_STOP_CONVERGED;
    memcpy(work->run->state->weights, work->weights, sizeof *work->weights * (size_t)work->run->size);
}

/* The metric has proved too coarse: one of more rows, 0 of all, or of all classes together. Where we are stays where it is. */
static gd_status refine(gd_walk *work, int64_t rows, gd_metric_kind kind, int float_lanes) {
    gd_run *run = work->run;
    gd_metric *metric = work->metric;
    const gd_problem *problem = &run->engine.problem;
    gd_metric_to_weights(metric, work->v, work->weights);
    gd_metric_free(metric);
    gd_status status = gd_metric_init(metric, problem, rows, kind, float_lanes, run->settings->n_threads, run->engine.hooks);
    if (!status) status = gd_metric_build(metric, work->weights, 0.0);
    if (status) return status;
    work->sure = 0;
    work->rescale = problem->softmax && metric->n_factors == 1;
    gd_metric_from_weights(metric, work->weights, work->v);
    return evaluate(work, &run->engine, work->v, &work->error, work->gradient);
}

/* Steps in the metric of ever larger samples, as long as making it costs no more than some ten passes. Whoever has arrived by a guess at
 * what the sample hardly sees makes sure over all rows. Where making one is dear, quasi-Newton steps from its diagonal alone may take as
 * many passes first: where the penalty is large enough to prove that they have arrived, to the end, in which case float lanes are
 * good enough for the metric, too; else to where it need not be made several times, and whether they have arrived, it has to tell. */
static const double NEAR = 1e-3, ENOUGH_PENALTY = 1e-3;

static gd_status descend_in_stages(gd_walk *work) {
    gd_run *run = work->run;
    gd_metric *metric = work->metric;
    const gd_settings *settings = run->settings;
    gd_metric_kind kind = GD_METRIC_FULL;
    gd_status status = GD_OK;
    int stop = 0, joined = 0;
    for (int64_t stage = metric->engine.problem.softmax ? 16 : 12, sure = work->sure; !status; stage *= 2) {
        int64_t left = settings->max_iter - run->report->n_iter;
        int64_t n = run->engine.problem.n, rows = 4 * metric->engine.problem.n;
        double a_pass = (double)run->engine.problem.n * (double)metric->k;
        int first = metric->diagonal && metric->columns.d <= GD_WIDEST_METRIC;
        int last = !first && (!metric->rows || metric->diagonal || rows > MOST_ROWS || (double)rows * (double)metric->p > 40.0 * a_pass);
        int joins = !first && !metric->joint && !joined && gd_joint_pays(&run->engine.problem, 1);
        int64_t most = first ? (int64_t)gd_metric_cost(&run->engine.problem) : last && !joins ? left : stage;
        double tol = first && !sure ? fmax(settings->tol, NEAR) : settings->tol;
        status = minimise(work, &run->engine, tol, gd_min(most, left), 1, &stop);
        int goes_on = run->report->reason == GD_STOP_MAX_ITER && run->report->n_iter < settings->max_iter;
        if (first && goes_on && !(stop && sure)) {
            stop = 0, rows = gd_metric_rows(&run->engine.problem, 1), stage = 6;
            run->report->method = GD_METHOD_NEWTON;
        } else if (!stop && goes_on && joins) rows = n, kind = GD_METRIC_JOINT;
        else if (stop && goes_on && metric->joint && work->precise_enough)
            stop = 0, rows = n, joined = 1, kind = GD_METRIC_FULL; /* along what hardly bends it leads too far: shorter steps may get on */
        else if (stop && goes_on && gd_metric_guesses(metric, n)) stop = 0, rows = n;
        else if (stop || last || !goes_on) break;
        if (!status) status = refine(work, rows > n / 2 ? 0 : rows, kind, first && sure);
    }
    if (status) return status;
    gd_metric_to_weights(metric, work->v, work->weights);
    classify(work, stop);
    return GD_OK;
}

#include "hidden.inc"

static gd_status descend_smooth(gd_walk *work) {
    gd_run *run = work->run;
    gd_metric *metric = work->metric;
    int stop = 0;
    gd_status status = GD_OK;
    gd_metric_from_weights(metric, run->state->weights, work->v);
    int warm = metric->rows && !metric->diagonal && metric->engine.problem.n >= 4 * metric->size; /* else it would overfit */
    if (warm) status = warm_up(work);
    if (!status) status = evaluate(work, &run->engine, work->v, &work->error, work->gradient);
    if (!status && warm) { /* was the sample misleading? */
        double start_error;
        double *given = run->state->weights;
        if (!(work->error <= work->first_error) || !gd_all_finite(metric->size, work->gradient)) {
            status = gd_engine_evaluate(&run->engine, given, &start_error, NULL);
            if (!status) gd_add_l1(&run->engine.problem, given, &start_error, NULL);
            if (!status && !(work->error <= start_error)) {
                gd_metric_from_weights(metric, given, work->v);
                status = evaluate(work, &run->engine, work->v, &work->error, work->gradient);
                if (!status) status = gd_metric_build(metric, given, 0.0);
            }
        }
    }
    if (status) return status;
    if (!isfinite(work->error) || !gd_all_finite(metric->size, work->gradient)) return GD_NOT_FINITE;
    work->first_error = fmax(work->first_error, fabs(work->error));
    status = record(work, 0.0, &stop);
    if (!status && stop) classify(work, stop);
    if (status || stop) return status;
    return hides(work) ? descend_hidden(work) : descend_in_stages(work);
}

#include "kinks.inc"

/* Huber: which rows bend is known near the answer only, and a sample's own is near, unless that is where rounding begins. Whatever comes of
 * it is but a start; the scale of rounding errors stays E at zero weights. */
static const double ALL_BUT = 1e-6;

static gd_status start_on_sample(gd_walk *work) {
    gd_run *run = work->run;
    gd_problem sample = run->engine.problem;
    gd_settings settings = *run->settings;
    gd_state inner = {0};
    gd_report report = {0};
    gd_gathered gathered = {0};
    int64_t p = sample.X.n_cols + 1, m = gd_max(5 * p, FEWEST_SAMPLED);
    if (sample.n < MANY_TIMES * m || gd_norm(run->size, run->state->weights) != 0.0) return GD_OK;
    int64_t *rows = gd_sample_rows(&sample, m);
    if (!rows) return GD_NO_MEMORY;
    sample.rows = rows, sample.n = m;
    settings.keep_path = 0, settings.max_iter = MOST_SAMPLE_STEPS;
    settings.tol = fmax(settings.tol, 0.05 * (double)p / (double)m);
    gd_status status = gd_gather_rows(&sample, &gathered);
    if (!status) status = gd_state_init(&inner, &settings, run->size);
    if (!status) status = gd_descend(&sample, NULL, &settings, run->engine.hooks, NULL, &inner, &report);
    if (!status && gd_all_finite(run->size, inner.answer) && report.error > ALL_BUT * report.loss.data[0]) {
        memcpy(run->state->weights, inner.answer, sizeof *inner.answer * (size_t)run->size);
        work->first_error = report.loss.data[0];
    }
    run->report->missing_threads += report.missing_threads;
    run->engine.rows_read += (double)report.n_passes * (double)m;
    gd_report_free(&report);
    gd_state_free(&inner);
    gd_gathered_free(&gathered);
    gd_release(rows);
    return status == GD_INTERRUPTED || status == GD_NO_MEMORY ? status : GD_OK;
}

/* Where the penalty has such a share in what each weight bends E by, X'X need not be exacter than floats make it. */
static const double FLOAT_PENALTY = 3e-4;

gd_status gd_newton(gd_run *run) {
    const gd_problem *problem = &run->engine.problem;
    int smooth = gd_loss_is_smooth(problem->loss), wide = problem->X.n_cols > GD_WIDEST_METRIC;
    int exact = problem->loss == gd_loss_squared_error, kinks = !smooth || problem->loss == gd_loss_huber;
    int joint = gd_joint_pays(problem, 0);
    int diagonal = wide || (!joint && !exact && !kinks && !gd_is_proximal(problem) && gd_metric_cost(problem) > DEAR);
    gd_metric metric;
    gd_walk work = {.run = run, .metric = &metric};
    double *arena = NULL;
    int64_t rows = wide ? 4096 : joint ? 0 : gd_metric_rows(problem, smooth);
    gd_metric_kind kind = diagonal ? GD_METRIC_DIAGONAL : joint ? GD_METRIC_JOINT : GD_METRIC_FULL;
    int float_lanes = exact && rows == 0 && ((!run->engine.pass.doubles && problem->n > 20000) || run->penalty_share >= FLOAT_PENALTY);
    gd_status status = gd_metric_init(&metric, problem, rows, kind, float_lanes, run->settings->n_threads, run->engine.hooks);
    work.rescale = diagonal || (problem->softmax && metric.n_factors == 1);
    if (!status) status = allocate(&work, &arena);
    if (!status && problem->loss == gd_loss_huber) status = start_on_sample(&work);
    if (!status) status = start_biases(&work);
    if (!status && smooth) status = gd_metric_build(&metric, run->state->weights, 0.0);
    work.sure = !status && diagonal && !wide && gd_metric_penalty_share(&metric) >= ENOUGH_PENALTY;
    if (!status && problem->loss == gd_loss_huber && !metric.rows) /* a bend that few rows reach is a kink */
        smooth = metric.bent_rows >= gd_max(5 * metric.p, problem->n / 10);
    run->report->method = !smooth ? GD_METHOD_SMOOTHED : gd_is_proximal(problem) ? GD_METHOD_PROXIMAL : diagonal ? GD_METHOD_DIAGONAL
                          : exact && rows == 0 ? GD_METHOD_GRAM : GD_METHOD_NEWTON;
    if (!status) status = smooth ? descend_smooth(&work) : descend_smoothed(&work);
    run->engine.rows_read += metric.rows ? 0.0 : metric.engine.rows_read;
    gd_release(arena);
    gd_metric_free(&metric);
    return status;
}
