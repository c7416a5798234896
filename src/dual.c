/* Solver auto for sparse rows with more columns than rows and an L2 penalty: the descent takes place in dual coefficients.
 *
 * At the optimum, and wherever a descent from zeros in the metric of the penalty gets to, weights are sums of the centred rows,
 * W = (X - c)'A with A (n, k) (the representer theorem). With scores Z = (X - c) W kept beside A,
 *
 *     <W, V> = <A_W, Z_V>,    grad_W E = (X - c)'(R + l2 A),   R = s dloss / dz / sum s,
 *
 * everything but one product with (X - c)(X - c)' for each step takes vectors of n k numbers where weights have d k. Steps are those of
 * nonlinear conjugate gradients (Hestenes & Stiefel's beta, not below 0: Nocedal & Wright, 5.2), preconditioned by a number for all
 * weights and by E's curvature for each bias. Scores along a line are known, so that looking for its minimum needs no read of X.
 *
 * E at the best biases bends by l2 along every weight at least: E - E* <= |grad_W E|^2 / 2 l2 there. Whoever does not get near in time
 * leaves the rest to the metric of the columns, which stands features of different scale better.
 *
 * Weights w0 to start from are one row more, with a coefficient for each output and no error of its own.
 */
#include "dual.h"

#include <math.h>
#include <string.h>

#include "dual_space.h"
#include "metric.h"
#include "updates.h"
#include "walk.h"

enum { SOON = 50 /* steps before which nothing can be told */, MOST_TRIALS = 30, MOST_LOOKS = 3, MOST_TURNS = 30 };

static const double FLAT = 0.1 /* of the slope at its start: the minimum of a line */, SURE = 0.9 /* of tol: the rest is for rounding */;
static const double PATIENCE = 3.0 /* gaps shrink faster in the end */;
static const double ROUGHLY = 1e-6, LEAST_SHARE = 1e-8 /* of E, and of tol E: what biases may leave */;

/* A step costs about what two reads of X do, and a few dozen vectors of n k numbers; beside the metric of some columns, nothing. */
int gd_is_dual(const gd_problem *problem, const gd_settings *settings) {
    if (!problem->X.indptr || gd_is_proximal(problem) || !(problem->l2 > 0.0) || !(settings->tol > 0.0)) return 0;
    if (!gd_loss_is_smooth(problem->loss) || problem->n > INT32_MAX - 1) return 0;
    return problem->X.n_cols > GD_WIDEST_METRIC && problem->n <= 2 * problem->X.n_cols;
}

/* ---- steps ----------------------------------------------------------------------------------------------------------------- */

/* From the slopes of the rows, the gradient at the end of the line, which is where we are from now on; how far E* can be. *dot:
 * <gradient, before>; both by the preconditioner, <gradient, gradient> in *own. */
static gd_status arrive(gd_dual *dual, double *own, double *dot) {
    const gd_problem *problem = &dual->engine.problem;
    int64_t k = dual->product.k;
    dual->at_at = gd_dual_sweep(dual, gd_dual_advance).first;
    for (int64_t c = 0; c < k; c++) dual->at.b[c] += dual->t * dual->along.b[c];
    for (int64_t c = 0; c < k; c++) dual->gradient.b[c] = problem->fit_intercept ? dual->outs[3 + c] / dual->total : 0.0;
    gd_status status = gd_multiply(&dual->product, dual->gradient.a, NULL, 1);
    gd_dual_sums of = gd_dual_sweep(dual, gd_dual_gather);
    *own = of.first / dual->scale, *dot = of.second / dual->scale;
    dual->gap = 0.5 * dual->product.square / problem->l2;
    for (int64_t c = 0; c < k; c++) {
        double g = dual->gradient.b[c];
        *own += g * g / dual->bend[c], *dot += g * dual->before.b[c] / dual->bend[c], dual->gap += 0.5 * g * g / dual->bend[c];
    }
    return status;
}

/* How long the gradient was, in weights, from which the line sets out: with a bias the centre has a part in it. */
static double gradient_norm(const gd_dual *dual) {
    double square = dual->product.square, center = gd_dot(dual->product.X.d, dual->product.X.center, dual->product.X.center);
    for (int64_t c = 0; c < dual->product.k; c++) {
        double g = dual->before.b[c];
        square += g * (2.0 * dual->product.center_along[c] + (center + 1.0) * g);
    }
    return sqrt(fmax(square, 0.0));
}

static void swap_gradients(gd_dual *dual) {
    gd_dual_vector gradient = dual->gradient;
    dual->gradient = dual->before, dual->before = gradient;
}

/* along = share along - gradient by the preconditioner. From now on the gradient is the one before. */
static void set_line(gd_dual *dual, double share, double slope) {
    dual->t = share;
    gd_dual_sums of = gd_dual_sweep(dual, gd_dual_bend_line);
    dual->at_along = of.first, dual->along_along = of.second, dual->slope = slope;
    for (int64_t c = 0; c < dual->product.k; c++) dual->along.b[c] = share * dual->along.b[c] - dual->gradient.b[c] / dual->bend[c];
    swap_gradients(dual);
}

/* E's curvature along each bias where we are. */
static gd_status find_bends(gd_dual *dual) {
    double top = 0.0;
    gd_status status = gd_dual_add_up_rows(dual, 0.0, dual->product.parts);
    for (int64_t c = 0; c < dual->product.k; c++) dual->bend[c] = dual->outs[3 + c] / dual->total, top = fmax(top, dual->bend[c]);
    for (int64_t c = 0; c < dual->product.k; c++) dual->bend[c] = top > 0.0 && isfinite(top) ? fmax(dual->bend[c], 1e-6 * top) : 1.0;
    return status;
}

/* From where we are, as if from the start. */
static gd_status restart(gd_dual *dual) {
    double own, dot, slope;
    gd_status status = find_bends(dual);
    if (!status) status = gd_dual_evaluate(dual, 0.0, &dual->error, &slope);
    dual->t = 0.0;
    if (!status) status = arrive(dual, &own, &dot);
    if (!status) set_line(dual, 0.0, -own);
    return status;
}

/* E's curvature along the weights of the gradient, by a difference of slopes: the preconditioner. Then along that line for good. */
static gd_status find_scale(gd_dual *dual) {
    double error, slope, largest = 0.0, own = dual->along_along;
    for (int64_t c = 0; c < dual->product.k; c++) dual->along.b[c] = 0.0;
    for (int64_t i = 0; i < dual->product.size; i++) largest = fmax(largest, fabs(dual->along.z[i]));
    gd_status status = GD_OK;
    if (largest > 0.0 && own > 0.0) {
        double t = 1e-4 / largest;
        status = gd_dual_evaluate(dual, t, &error, &slope);
        double scale = (slope + own) / (t * own); /* the slope at t = 0 is that of -gradient */
        if (isfinite(scale)) dual->scale = fmax(scale, dual->engine.problem.l2);
    }
    swap_gradients(dual);
    own /= dual->scale;
    for (int64_t c = 0; c < dual->product.k; c++) own += dual->gradient.b[c] * dual->gradient.b[c] / dual->bend[c];
    set_line(dual, 0.0, -own);
    return status;
}

/* To the minimum of the line, by secants of its slope, which is known without a read of X, and every third time by halves: with kinks in
 * the slope secants may leave one end where it is. E is convex: a slope that has changed sign has passed it. *found 0: rounding is all
 * that is left. */
static gd_status search_line(gd_dual *dual, double *end, int *found) {
    double low = 0.0, low_slope = dual->slope, high = INFINITY, high_slope = 0.0, t = dual->first, start = dual->slope, error;
    gd_status status = GD_OK;
    *found = 0;
    for (int trial = 0; !status && trial < MOST_TRIALS && start < 0.0; trial++) {
        status = gd_dual_evaluate(dual, t, &error, end);
        int finite = isfinite(error) && isfinite(*end);
        *found = finite && fabs(*end) <= -FLAT * start && error <= dual->error + 1e-14 * fabs(dual->error);
        if (*found) {
            dual->t = dual->first = t, dual->error = error;
            return status;
        }
        if (finite && *end < 0.0) low = t, low_slope = *end;
        else high = t, high_slope = finite ? *end : INFINITY;
        if (isinf(high)) t *= *end > start ? fmin(fmax(start / (start - *end), 1.1), 4.0) : 4.0;
        else if (isinf(high_slope)) t = low + 0.1 * (high - low);
        else t = low + (high - low) * (trial % 3 == 2 ? 0.5 : fmin(fmax(low_slope / (low_slope - high_slope), 0.05), 0.95));
    }
    return status;
}

/* Hestenes & Stiefel: share = <gradient - before, gradient> / <gradient - before, along>, by the preconditioner. */
static gd_status take_step(gd_dual *dual, int *found) {
    double start = dual->slope, end, own, dot;
    gd_status status = search_line(dual, &end, found);
    if (status || !*found) return status;
    status = arrive(dual, &own, &dot);
    double share = fmax((own - dot) / (end - start), 0.0);
    if (!(share * end < own)) share = 0.0; /* no way down */
    if (!status) set_line(dual, share, share * end - own);
    return status;
}

/* ---- biases --------------------------------------------------------------------------------------------------------------- */

/* Biases at their minimum, scores by weights as they are. Then E - E* <= |grad_W E|^2 / 2 l2 holds as it stands: E at the best biases
 * bends by l2 along weights, too, and has the same gradient. Biases may leave that share of E. The line and the gradients are lost. */
static gd_status settle(gd_dual *dual, double share, int *settled, double *moved) {
    size_t bytes = sizeof(double) * (size_t)dual->product.size;
    double first = dual->first, end, ignored;
    gd_status status = GD_OK;
    int found = 1;
    *settled = !dual->engine.problem.fit_intercept;
    if (*settled) return GD_OK;
    memset(dual->along.a, 0, bytes), memset(dual->along.z, 0, bytes);
    memset(dual->along.b, 0, sizeof(double) * (size_t)dual->product.k);
    dual->at_along = dual->along_along = 0.0;
    for (int turn = 0; !status && found && turn < MOST_TURNS; turn++) {
        status = find_bends(dual);
        if (!status) status = gd_dual_evaluate(dual, 0.0, &dual->error, &ignored);
        double far = 1.0, step = 0.0;
        dual->slope = 0.0;
        for (int64_t c = 0; c < dual->product.k; c++) {
            double g = dual->outs[3 + c] / dual->total;
            dual->along.b[c] = -g / dual->bend[c], dual->slope -= g * g / dual->bend[c];
            far = fmax(far, fabs(dual->at.b[c])), step = fmax(step, fabs(dual->along.b[c]));
        }
        dual->first = fmin(1.0, far / step); /* where hardly any row bends Newton's step may be of any length */
        *settled = -dual->slope <= share * fabs(dual->error);
        if (status || *settled || !isfinite(dual->slope)) break;
        status = search_line(dual, &end, &found);
        for (int64_t c = 0; found && c < dual->product.k; c++) {
            dual->at.b[c] += dual->t * dual->along.b[c];
            *moved = fmax(*moved, fabs(dual->t * dual->along.b[c]));
        }
    }
    memset(dual->along.b, 0, sizeof(double) * (size_t)dual->product.k);
    dual->first = first;
    return status;
}

/* ---- the descent -------------------------------------------------------------------------------------------------------- */

/* Weights at `at`, in the caller's coordinates; their scores, if wanted, in parts. */
static gd_status find_weights(gd_dual *dual, int scores) {
    double *weights = dual->run->state->weights, *bias = weights + dual->run->n_coef;
    gd_status status = gd_multiply(&dual->product, dual->at.a, weights, scores);
    for (int64_t c = 0; c < dual->product.k; c++) bias[c] = dual->at.b[c] - dual->product.center_along[c];
    return status;
}

/* Scores have been added up over many steps: those of the very weights, and E there. */
static gd_status look_back(gd_dual *dual) {
    double ignored;
    gd_dual_vector kept = dual->gradient;
    gd_status status = find_weights(dual, 1);
    dual->gradient.a = dual->at.a, dual->gradient.z = dual->at.z;
    dual->at_at = gd_dual_sweep(dual, gd_dual_gather).first;
    dual->gradient = kept;
    return status ? status : gd_dual_evaluate(dual, 0.0, &dual->error, &ignored);
}

/* Means of the columns, weighted as the rows are. */
static void find_center(gd_dual *dual, const double *s) {
    gd_turned *X = &dual->product.X;
    double sum = 0.0;
    for (int64_t i = 0; i < dual->engine.problem.n; i++) sum += s[i];
    for (int64_t j = 0; dual->engine.problem.fit_intercept && sum > 0.0 && j < X->d; j++) {
        for (int64_t e = X->starts[j]; e < X->starts[j + 1]; e++) X->center[j] += s[X->rows[e]] * X->values[e];
        X->center[j] /= sum;
    }
}

/* The best constant model, or given weights; the centre; the best biases there. */
static gd_status set_out(gd_dual *dual) {
    const gd_problem *problem = &dual->engine.problem;
    int64_t k = dual->product.k, d = dual->product.X.d;
    double slope, *bias = dual->run->state->weights + dual->run->n_coef, *s = dual->product.parts;
    double moved = 0.0;
    int ignored;
    memcpy(dual->at.b, bias, sizeof *bias * (size_t)k);
    gd_status status = gd_dual_evaluate(dual, 0.0, &dual->error, &slope);
    if (problem->fit_intercept && !dual->product.start && gd_norm(k, bias) == 0.0)
        for (int64_t c = 0; c < k; c++) dual->at.b[c] = gd_walk_best_bias(problem, dual->outs[3 + c] / dual->total);
    if (!status) status = gd_dual_add_up_rows(dual, 0.0, s);
    find_center(dual, s);
    dual->scale = dual->first = 1.0;
    for (int64_t c = 0; dual->product.start && c < k; c++) {
        dual->at.a[gd_dual_start_place(dual, c)] = 1.0;
        dual->at.b[c] += gd_dot(d, dual->product.X.center, dual->product.start + c * d);
    }
    if (!status && dual->product.start) status = look_back(dual);
    return status ? status : settle(dual, ROUGHLY, &ignored, &moved);
}

static gd_status record(gd_dual *dual, int seen, int *stop) {
    gd_run *run = dual->run;
    double norm = gradient_norm(dual);
    gd_status status = seen ? find_weights(dual, 0) : GD_OK;
    run->state->t++;
    return status ? status : gd_run_record(run, run->state->weights, dual->error, norm, dual->t, stop);
}

/* After three quarters of the steps that there are: would gaps that go on shrinking as they did over the second half of those take more than
 * the rest? Before that they tell little: under a small penalty they are far beyond E for long, and up and down. */
typedef struct gd_pace { double least, before; } gd_pace;

static int is_slow(gd_pace *pace, double gap, int64_t step, double enough, int64_t most) {
    int64_t late = most - most / 4, middle = late / 2;
    pace->least = fmin(pace->least, gap);
    if (step == middle) pace->before = pace->least;
    if (step != late || late < SOON) return 0;
    double log_rate = log(pace->least / pace->before) / (double)(late - middle), left = log(enough / pace->least) / log_rate;
    return !(log_rate < 0.0 && left <= PATIENCE * (double)(most - late));
}

/* Is it near enough? By the gradient at the very weights, and the best biases there, a step of their own; else from there as if from the
 * start. */
static gd_status prove(gd_dual *dual, int *there, int *stop) {
    gd_run *run = dual->run;
    double tol = run->settings->tol, *bias = run->state->weights + run->n_coef, moved = 0.0;
    int settled = 0;
    gd_status status = look_back(dual);
    for (int64_t c = 0; c < dual->product.k; c++) bias[c] -= dual->at.b[c];
    if (!status) status = settle(dual, LEAST_SHARE * tol, &settled, &moved);
    for (int64_t c = 0; c < dual->product.k; c++) bias[c] += dual->at.b[c];
    if (!status) status = restart(dual);
    *there = !status && settled && dual->gap <= tol * fabs(dual->error);
    if (*there && moved > 0.0) status = record(dual, 0, stop);
    if (*there && !*stop) run->report->reason = GD_STOP_CONVERGED;
    return status;
}

static gd_status descend(gd_dual *dual, int seen, int *there) {
    const gd_settings *settings = dual->run->settings;
    gd_report *report = dual->run->report;
    gd_pace pace = {INFINITY, INFINITY};
    int stop = 0, looks = 0, found = 1, fresh = 1;
    gd_status status = restart(dual);
    if (!status && isfinite(dual->error)) status = record(dual, seen, &stop); /* the start is the first epoch */
    if (!status) status = find_scale(dual);
    for (int64_t step = 0; !status && found && isfinite(dual->gap); step++) {
        double enough = settings->tol * fabs(dual->error);
        if (stop || report->n_iter >= settings->max_iter) {
            *there = 1;
            return look_back(dual);
        }
        if (dual->gap <= SURE * enough) {
            status = prove(dual, there, &stop);
            if (status || *there) return status;
            if (++looks == MOST_LOOKS) break;
        } else if (is_slow(&pace, dual->gap, step, enough, settings->max_iter)) break;
        status = take_step(dual, &found);
        if (!status && found) status = record(dual, seen, &stop), fresh = 0;
        else if (!status && !fresh) { /* scores have been added up over many steps: are they what is in the way? */
            status = look_back(dual);
            if (!status) status = restart(dual);
            found = fresh = 1;
        }
    }
    return status ? status : find_weights(dual, 0);
}

static gd_status descend_from(gd_dual *dual, int seen, int *there) {
    gd_report *report = dual->run->report;
    gd_status status = set_out(dual);
    if (!status && isfinite(dual->error)) status = descend(dual, seen, there);
    if (!*there || status) return status;
    int may_be_negative = dual->engine.problem.loss == gd_loss_poisson || dual->engine.problem.loss == gd_loss_gamma;
    report->error = dual->error, report->method = GD_METHOD_DUAL;
    report->suboptimality = dual->error != 0.0 ? dual->gap / fabs(dual->error) : 0.0;
    if (!may_be_negative) report->suboptimality = fmin(report->suboptimality, 1.0); /* E* >= 0 */
    return status;
}

gd_status gd_descend_dual(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks, int *there) {
    gd_dual dual = {.run = run, .product.engine = &dual.engine};
    gd_problem fine = *problem;
    double *start = NULL;
    int usable = 0;
    fine.double_lanes = 1;
    *there = 0;
    gd_status status = gd_engine_init(&dual.engine, &fine, run->settings->n_threads, hooks);
    if (!status) status = gd_turn(&dual.engine, &dual.product.X, &usable);
    if (!status && usable && gd_norm(run->n_coef, run->state->weights) != 0.0) {
        if (!(start = gd_alloc(run->n_coef, 8))) status = GD_NO_MEMORY;
        else memcpy(start, run->state->weights, sizeof *start * (size_t)run->n_coef);
        dual.product.start = start;
    }
    if (!status && usable) status = gd_dual_allocate(&dual, &usable);
    if (!status && usable && validation) status = gd_engine_init(&run->validation, validation, run->settings->n_threads, hooks);
    if (!status && usable) status = descend_from(&dual, validation || run->on_epoch || run->settings->keep_path, there);
    if (!status && *there) status = gd_run_answer(run, problem, hooks);
    run->report->n_passes += (int64_t)(dual.engine.rows_read / (double)problem->n + 0.5);
    run->report->missing_threads += dual.engine.missing_threads + run->validation.missing_threads;
    gd_engine_free(&run->validation);
    gd_release(start);
    gd_dual_release(&dual);
    return status;
}
