/* solver auto: preconditioned gradient descent. The gradient always comes from a full pass; the metric M, from the curvature
 * at a sample of rows (metric.c), turns it into a step that no feature's scale can slow down:
 *
 *     delta = -M^-1 grad E,  corrected by the last few steps (L-BFGS, Nocedal & Wright, algorithm 7.4, with H_0 = M^-1)
 *     delta = argmin grad E.delta + delta'M delta / 2 + l1 ||w + delta||_1   (L1: proximal.c)
 *
 * A line search with the pass's own error and gradient safeguards it. -grad E.delta / 2, half the squared Newton decrement,
 * estimates E - E*. Descent begins on the sample itself, in cache, since the sample's optimum is within about p / 2m of E*.
 * Losses with kinks: kinks.inc.
 */
#include <math.h>
#include <string.h>

#include "metric.h"
#include "updates.h"

enum { MEMORY = 20, MOST_SAMPLE_STEPS = 50, MOST_TRIALS = 40, WIDEST = 2048, WINDOW = 4,
       MOST_ROWS = 1 << 19 /* of a sample */ };

typedef struct gd_pairs { /* the last steps s and gradient changes y, oldest first */
    int count, most;
    double *s[MEMORY], *y[MEMORY], rho[MEMORY];
} gd_pairs;

typedef struct gd_newton_work {
    gd_run *run;
    gd_metric *metric;
    double *v, *gradient;             /* (size) where we are */
    double *new_v, *new_gradient;     /* (size) where we try to go */
    double *step, *target, *room;     /* (size) target = v + step, with exact zeros */
    double *previous;                 /* (size) rounded kinks: the minimiser of the width before */
    double *weights, *full_gradient;  /* (run->size) the same in the caller's coordinates */
    gd_pairs pairs;
    double error, new_error;
    double first_error;               /* |E| at the start: the scale of rounding errors */
    double decrement;                 /* estimate of E - E* */
    double slope;                     /* of E (with L1: of its model) along the step */
    int rescale;                      /* the metric is only proportional to the curvature: diagonal, or shared by outputs */
    int trust_metric;                 /* it is that of all rows, here and now, and full steps succeed: no memory needed */
    int precise_enough;               /* no further progress is possible in this arithmetic */
} gd_newton_work;

/* ---- evaluation ----------------------------------------------------------------------------------------------------- */

static gd_status evaluate(gd_newton_work *work, gd_engine *engine, const double *v, double *error, double *gradient) {
    gd_metric_to_weights(work->metric, v, work->weights);
    gd_status status = gd_engine_evaluate(engine, work->weights, error, work->full_gradient);
    if (status) return status;
    gd_add_l1(&engine->problem, work->weights, error, NULL);
    gd_metric_gradient(work->metric, work->full_gradient, gradient);
    return GD_OK;
}

/* Record an accepted point: work->weights and full_gradient are its own. With rounded kinks the error recorded is the true
 * one all the same, at the price of a pass. */
static gd_status record(gd_newton_work *work, double eta, int *stop) {
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

/* ---- directions ----------------------------------------------------------------------------------------------------- */

static void remember(gd_newton_work *work) {
    gd_pairs *pairs = &work->pairs;
    int64_t size = work->metric->size;
    if (pairs->count == pairs->most) {
        double *s = pairs->s[0], *y = pairs->y[0];
        size_t kept = (size_t)pairs->most - 1;
        memmove(pairs->s, pairs->s + 1, sizeof *pairs->s * kept);
        memmove(pairs->y, pairs->y + 1, sizeof *pairs->y * kept);
        memmove(pairs->rho, pairs->rho + 1, sizeof *pairs->rho * kept);
        pairs->s[kept] = s, pairs->y[kept] = y;
        pairs->count--;
    }
    double *s = pairs->s[pairs->count], *y = pairs->y[pairs->count];
    for (int64_t j = 0; j < size; j++) s[j] = work->new_v[j] - work->v[j], y[j] = work->new_gradient[j] - work->gradient[j];
    double product = gd_dot(size, s, y);
    if (product > 1e-12 * gd_norm(size, s) * gd_norm(size, y)) pairs->rho[pairs->count++] = 1.0 / product;
}

/* step = -H gradient by the two-loop recursion. */
static void quasi_newton_step(gd_newton_work *work) {
    const gd_pairs none = {0}, *pairs = work->trust_metric ? &none : &work->pairs;
    int64_t size = work->metric->size;
    double *q = work->room, *r = work->step, a[MEMORY];
    memcpy(q, work->gradient, sizeof *q * (size_t)size);
    for (int i = pairs->count - 1; i >= 0; i--) {
        a[i] = pairs->rho[i] * gd_dot(size, pairs->s[i], q);
        for (int64_t j = 0; j < size; j++) q[j] -= a[i] * pairs->y[i][j];
    }
    gd_metric_solve(work->metric, q, r);
    if (work->rescale && pairs->count) { /* the metric leaves something out: let the last step set its size */
        const double *s = pairs->s[pairs->count - 1], *y = pairs->y[pairs->count - 1];
        gd_metric_solve(work->metric, y, work->target);
        double scale = gd_dot(size, s, y) / gd_dot(size, y, work->target);
        for (int64_t j = 0; j < size; j++) r[j] *= scale;
    }
    for (int i = 0; i < pairs->count; i++) {
        double b = pairs->rho[i] * gd_dot(size, pairs->y[i], r);
        for (int64_t j = 0; j < size; j++) r[j] += (a[i] - b) * pairs->s[i][j];
    }
    for (int64_t j = 0; j < size; j++) r[j] = -r[j], work->target[j] = work->v[j] + r[j];
    work->slope = gd_dot(size, work->gradient, r);
    work->decrement = -0.5 * work->slope;
    if (work->rescale || !pairs->count) return;
    gd_metric_solve(work->metric, work->gradient, q); /* a memory from across a kink makes light of what is left */
    work->decrement = fmax(work->decrement, 0.5 * gd_dot(size, work->gradient, q));
}

static void proximal_step(gd_newton_work *work) {
    gd_metric *metric = work->metric;
    double l1 = metric->engine.problem.l1, quadratic = 0.0, kinks = 0.0;
    int64_t p = metric->p;
    for (int64_t c = 0; c < metric->k; c++) {
        gd_metric_minimise(metric, c, work->v + c * p, work->gradient + c * p, work->target + c * p, work->room + c * p);
        for (int64_t j = c * p; j < (c + 1) * p; j++) {
            work->step[j] = work->target[j] - work->v[j];
            quadratic += work->step[j] * work->room[j];
            if (j - c * p < metric->columns.d)
                kinks += l1 * metric->scale[j - c * p] * (fabs(work->target[j]) - fabs(work->v[j]));
        }
    }
    work->slope = gd_dot(metric->size, work->gradient, work->step) + kinks;
    work->decrement = -(work->slope + 0.5 * quadratic);
}

static void find_step(gd_newton_work *work) {
    if (gd_is_proximal(&work->metric->engine.problem)) proximal_step(work);
    else quasi_newton_step(work);
}

/* ---- line search ----------------------------------------------------------------------------------------------------- */

/* Find t with E(v + t step) sufficiently below E(v): 1 first, then by interpolation. Where differences of E drown in rounding,
 * a smaller slope decides instead. *t = 0 if there is none. */
static gd_status line_search(gd_newton_work *work, gd_engine *engine, double *t) {
    int64_t size = work->metric->size;
    double noise = (engine->pass.narrow ? 1e-9 : 1e-14) * (fabs(work->error) + 1e-16 * work->first_error);
    *t = 1.0;
    for (int trial = 0; trial < MOST_TRIALS; trial++) {
        if (*t == 1.0) memcpy(work->new_v, work->target, sizeof *work->v * (size_t)size);
        else
            for (int64_t j = 0; j < size; j++) work->new_v[j] = work->v[j] + *t * work->step[j];
        gd_status status = evaluate(work, engine, work->new_v, &work->new_error, work->new_gradient);
        if (status) return status;
        double rise = work->new_error - work->error;
        if (isfinite(work->new_error) && gd_all_finite(size, work->new_gradient)) {
            if (rise <= 1e-4 * *t * work->slope) return GD_OK;
            int flatter = fabs(gd_dot(size, work->new_gradient, work->step)) <= 0.5 * fabs(work->slope);
            if (fabs(rise) <= noise && (gd_is_proximal(&engine->problem) ? trial == 0 : flatter)) return GD_OK;
            if (fabs(*t * work->slope) <= 0.1 * noise) break;
            double best = -work->slope * *t * *t / (2.0 * (rise - work->slope * *t));
            *t = fmin(0.5 * *t, fmax(0.1 * *t, best));
        } else *t *= 0.1;
    }
    *t = 0.0;
    return GD_OK;
}

/* ---- the loop -------------------------------------------------------------------------------------------------------- */

static void accept(gd_newton_work *work) {
    double *v = work->v, *gradient = work->gradient;
    work->v = work->new_v, work->gradient = work->new_gradient, work->error = work->new_error;
    work->new_v = v, work->new_gradient = gradient;
}

/* What is still to be gained if the gains of the last few steps go on shrinking as they did (Aitken), from the errors of the last
 * 2 WINDOW steps. Where the metric is only proportional to the curvature, the decrement alone would promise too much. */
static double still_to_gain(const double *errors, int64_t step, double floor) {
    if (step < 2 * WINDOW) return INFINITY;
    double now = errors[step % (2 * WINDOW + 1)], middle = errors[(step - WINDOW) % (2 * WINDOW + 1)];
    double then = errors[(step - 2 * WINDOW) % (2 * WINDOW + 1)], gained = middle - now, factor = gained / (then - middle);
    if (gained <= floor) return 0.0;
    return factor < 1.0 ? fmax(gained * factor / (1.0 - factor), 0.0) : INFINITY;
}

/* Descend E over the engine's rows from work->v until the decrement is within tol of E. recording: these are the caller's
 * epochs, else a warm-up on the sample. *stop: converged or ended by the caller; 0: out of steps. */
static gd_status minimise(gd_newton_work *work, gd_engine *engine, double tol, int64_t max_steps, int recording, int *stop) {
    int constant = engine->problem.loss == gd_loss_squared_error, refreshed = 1, stalled = 0;
    const gd_problem *of_metric = &work->metric->engine.problem;
    int exact = !work->metric->rows && !work->rescale && !of_metric->softmax && of_metric->smoothing == engine->problem.smoothing;
    double t = 1.0, least = INFINITY, errors[2 * WINDOW + 1];
    work->pairs.count = 0;
    work->precise_enough = 0;
    for (int64_t step = 0; step < max_steps;) {
        double before = work->decrement;
        work->trust_metric = exact && refreshed && t == 1.0;
        find_step(work);
        if (!(work->decrement >= 0.0) || !(work->slope <= 0.0)) { /* a stale memory: back to the metric alone */
            work->pairs.count = 0;
            find_step(work);
        }
        if (!constant && !refreshed && (t < 1.0 || work->decrement > 0.1 * before)) {
            gd_metric_to_weights(work->metric, work->v, work->weights);
            gd_status status = gd_metric_build(work->metric, work->weights, exact ? 0.0 : 0.1);
            if (status) return status;
            refreshed = 1;
            work->trust_metric = exact && t == 1.0;
            find_step(work);
        }
        if (work->metric->engine.interrupted) return GD_INTERRUPTED;
        errors[step % (2 * WINDOW + 1)] = work->error;
        double floor = (engine->problem.loss == gd_loss_log_loss ? 1e-14 : constant ? 1e-20 : 1e-17) * work->first_error; /* E* may be 0 */
        if (work->rescale) work->decrement = fmax(work->decrement, still_to_gain(errors, step, fmax(floor, 1e-3 * tol * fabs(work->error))));
        stalled = work->decrement < 0.5 * least ? 0 : stalled + 1;
        least = fmin(least, work->decrement);
        if (work->decrement <= fmax(tol * fabs(work->error), tol >= 0.0 ? floor : 0.0) || work->decrement == 0.0) {
            *stop = 1;
            return GD_OK;
        }
        gd_status status = line_search(work, engine, &t);
        if (status) return status;
        if (t == 0.0 || (stalled > 10 && work->decrement <= (engine->pass.narrow ? 1e-9 : 1e-13) * fabs(work->error))) {
            if (t == 0.0 && work->pairs.count) { /* once more without the memory */
                work->pairs.count = 0, refreshed = 0;
                gd_metric_to_weights(work->metric, work->v, work->weights);
                continue;
            }
            work->precise_enough = *stop = 1;
            return GD_OK;
        }
        if (!gd_is_proximal(&engine->problem)) remember(work);
        accept(work);
        refreshed = 0;
        step++;
        if (recording && (status = record(work, t, stop))) return status;
        if (*stop) return GD_OK;
    }
    return GD_OK;
}

/* ---- setting out ----------------------------------------------------------------------------------------------------- */

/* From all-zero weights: the biases of the best constant model, which the gradient at 0 gives away (offsets aside). */
static gd_status start_biases(gd_newton_work *work) {
    gd_engine *engine = &work->metric->engine;
    const gd_problem *problem = &engine->problem;
    int64_t size = work->run->size, n_coef = work->run->n_coef;
    double *weights = work->run->state->weights, error;
    if (!problem->fit_intercept || gd_norm(size, weights) != 0.0) return GD_OK;
    gd_status status = gd_engine_evaluate(engine, weights, &error, work->full_gradient);
    if (!status && isfinite(error)) work->first_error = fabs(error); /* the scale of E, which the biases may all but remove */
    for (int64_t c = 0; !status && c < problem->n_outputs; c++) {
        double g = work->full_gradient[n_coef + c], *b = &weights[n_coef + c], share;
        if (!isfinite(g)) continue;
        switch (problem->loss) {
        case gd_loss_squared_error: *b = -g; break;
        case gd_loss_poisson:
        case gd_loss_gamma: *b = log(fmax(1.0 - g, 1e-10)); break;
        case gd_loss_log_loss:
            share = fmin(fmax((problem->softmax ? 1.0 / (double)problem->n_outputs : 0.5) - g, 1e-9), 1.0 - 1e-9);
            *b = problem->softmax ? log(share) : log(share / (1.0 - share));
            break;
        default: break;
        }
    }
    return status;
}

/* How many rows the metric is made from: enough that its error, about sqrt(p / m), makes each pass count, few enough that
 * building it costs less than a few passes; all rows (0) where that is not much more, or where only the rows near a kink bend. */
static int64_t metric_rows(const gd_problem *problem, int smooth) {
    int64_t n = problem->n, p = problem->X.n_cols + 1;
    smooth = smooth && problem->loss != gd_loss_huber;
    if (problem->loss == gd_loss_squared_error && p <= 128) return 0;
    int64_t m = gd_max(gd_max(5 * p, 4096), gd_min(20000, 4 * n / p));
    return !smooth || m >= n / 4 ? 0 : m;
}

static gd_status allocate(gd_newton_work *work, void **arena) {
    int64_t size = work->metric->size, full = work->run->size;
    int most = work->pairs.most = (int)gd_max(5, gd_min(MEMORY, (1 << 24) / size)); /* in 256 MB, but for the very largest models */
    double *at = *arena = gd_alloc((8 + 2 * most) * size + 2 * full, 8);
    if (!at) return GD_NO_MEMORY;
    double **slots[] = {&work->v, &work->gradient, &work->new_v, &work->new_gradient, &work->step, &work->target,
                        &work->room, &work->previous};
    for (int i = 0; i < 8; i++, at += size) *slots[i] = at;
    for (int i = 0; i < most; i++, at += 2 * size) work->pairs.s[i] = at, work->pairs.y[i] = at + size;
    work->weights = at, work->full_gradient = at + full;
    return GD_OK;
}

/* First the sample, where steps are cheap: its optimum is as near to E* as its noise allows. Kept only if it is no worse a
 * start than the given one. */
static gd_status warm_up(gd_newton_work *work) {
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

static void classify(gd_newton_work *work, int stop) {
    gd_report *report = work->run->report;
    const gd_problem *problem = &work->run->engine.problem;
    report->suboptimality = work->error != 0.0 ? work->decrement / fabs(work->error) : 0.0;
    report->separable = problem->loss == gd_loss_log_loss && problem->l1 + problem->l2 == 0.0 && work->error < 1e-6 * work->first_error;
    if (stop && report->reason == GD_STOP_MAX_ITER) report->reason = work->precise_enough ? GD_STOP_PRECISION : GD_STOP_CONVERGED;
    memcpy(work->run->state->weights, work->weights, sizeof *work->weights * (size_t)work->run->size);
}

/* The sample has proved too small: a metric of four times as many rows, or of all. Where we are stays where it is. */
static gd_status refine(gd_newton_work *work) {
    gd_run *run = work->run;
    gd_metric *metric = work->metric;
    const gd_problem *problem = &run->engine.problem;
    int64_t rows = 4 * metric->engine.problem.n;
    gd_metric_to_weights(metric, work->v, work->weights);
    gd_metric_free(metric);
    gd_status status = gd_metric_init(metric, problem, rows > problem->n / 2 ? 0 : rows, 0, 0, run->settings->n_threads, run->engine.hooks);
    if (!status) status = gd_metric_build(metric, work->weights, 0.0);
    if (status) return status;
    work->rescale = problem->softmax && metric->n_factors == 1;
    gd_metric_from_weights(metric, work->weights, work->v);
    return evaluate(work, &run->engine, work->v, &work->error, work->gradient);
}

/* Steps in the metric of ever larger samples, as long as making it costs no more than some ten passes. */
static gd_status descend_in_stages(gd_newton_work *work) {
    gd_run *run = work->run;
    gd_metric *metric = work->metric;
    const gd_settings *settings = run->settings;
    gd_status status = GD_OK;
    int stop = 0;
    for (int64_t stage = 12; !status; stage *= 2) {
        int64_t left = settings->max_iter - run->report->n_iter;
        double rows = 4.0 * (double)metric->engine.problem.n, a_pass = (double)run->engine.problem.n * (double)metric->k;
        int last = !metric->rows || metric->diagonal || rows > MOST_ROWS || rows * (double)metric->p > 40.0 * a_pass;
        status = minimise(work, &run->engine, settings->tol, last ? left : gd_min(stage, left), 1, &stop);
        if (stop || last || run->report->n_iter >= settings->max_iter) break;
        if (!status) status = refine(work);
    }
    if (status) return status;
    gd_metric_to_weights(metric, work->v, work->weights);
    classify(work, stop);
    return GD_OK;
}

static gd_status descend_smooth(gd_newton_work *work) {
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
    run->best_monitor = INFINITY;
    status = record(work, 0.0, &stop);
    if (!status && stop) classify(work, stop);
    return status || stop ? status : descend_in_stages(work);
}

#include "kinks.inc"

gd_status gd_newton(gd_run *run) {
    const gd_problem *problem = &run->engine.problem;
    int smooth = gd_loss_is_smooth(problem->loss), wide = problem->X.n_cols > WIDEST;
    int exact = problem->loss == gd_loss_squared_error;
    gd_metric metric;
    gd_newton_work work = {.run = run, .metric = &metric};
    void *arena = NULL;
    int64_t rows = wide ? 4096 : metric_rows(problem, smooth);
    int float_lanes = exact && rows == 0 && !run->engine.pass.doubles && problem->n > 20000;
    gd_status status = gd_metric_init(&metric, problem, rows, wide, float_lanes, run->settings->n_threads, run->engine.hooks);
    work.rescale = wide || (problem->softmax && metric.n_factors == 1);
    if (!status) status = allocate(&work, &arena);
    if (!status) status = start_biases(&work);
    if (!status && smooth) status = gd_metric_build(&metric, run->state->weights, 0.0);
    if (!status && problem->loss == gd_loss_huber && !metric.rows) /* a bend that few rows reach is a kink */
        smooth = gd_metric_bent_rows(&metric) >= gd_max(5 * metric.p, problem->n / 10);
    run->report->method = !smooth ? GD_METHOD_SMOOTHED : gd_is_proximal(problem) ? GD_METHOD_PROXIMAL : wide ? GD_METHOD_DIAGONAL
                          : exact && rows == 0 ? GD_METHOD_GRAM : GD_METHOD_NEWTON;
    if (!status) status = smooth ? descend_smooth(&work) : descend_smoothed(&work);
    run->engine.rows_read += metric.rows ? 0.0 : metric.engine.rows_read;
    gd_release(arena);
    gd_metric_free(&metric);
    return status;
}
