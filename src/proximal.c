/* argmin gradient.delta + delta'H delta / 2 + sum_j threshold_j |v_j + delta_j| within the bounds: the step that solver auto takes
 * where L1 or bounds act.
 *
 * Sweeps over the coordinates (Friedman, Hastie & Tibshirani 2010) find which weights are free: neither 0 under L1 nor at a bound.
 * Alone they would take for ever where H is ill-conditioned, as it is wherever few rows bend. So the free ones are solved for at
 * once, up to where the first of them stops being free (Lee, Battle, Raina & Ng 2007), and sweeps ask again who is. Done once
 * a sweep after a full step frees and stops nobody. */
#include <math.h>
#include <string.h>

#include "metric.h"
#include "updates.h"

enum { MOST_SWEEPS = 1000 };

typedef struct gd_quadratic { /* of one output */
    gd_metric *metric;
    const double *H, *v, *gradient;
    double *x, *product;       /* (p) v + delta, H delta */
    double *step, *piece;      /* (p) of the free ones; where each x is: if fixed x itself, if free the infinity on its side of 0 */
    int64_t *free, n_free;
    int64_t output, p, stride; /* stride 0: H is a diagonal */
} gd_quadratic;

double gd_metric_clip(const gd_metric *metric, int64_t output, int64_t j, double v) {
    int64_t d = metric->columns.d;
    return j < d ? gd_clip(&metric->engine.problem, output * d + j, v * metric->scale[j]) / metric->scale[j] : v;
}

static double threshold(const gd_quadratic *q, int64_t j) {
    return j < q->metric->columns.d ? q->metric->engine.problem.l1 * q->metric->scale[j] : 0.0;
}

/* The end of the piece that x_j is in, in the direction of step: a bound, or 0 where L1 has its kink. */
static double end_of_piece(const gd_quadratic *q, int64_t j, double step) {
    double end = gd_metric_clip(q->metric, q->output, j, copysign(INFINITY, step));
    return threshold(q, j) > 0.0 && q->x[j] * step < 0.0 ? (step > 0.0 ? fmin(end, 0.0) : fmax(end, 0.0)) : end;
}

static int is_free(const gd_quadratic *q, int64_t j) {
    double x = q->x[j];
    if (x == 0.0 && threshold(q, j) > 0.0) return 0;
    return x != end_of_piece(q, j, 1.0) && x != end_of_piece(q, j, -1.0);
}

static void move(gd_quadratic *q, int64_t j, double to) {
    double change = to - q->x[j];
    q->x[j] = to;
    if (!q->stride) q->product[j] += q->H[j] * change;
    else
        for (int64_t l = 0; l < q->p; l++) q->product[l] += q->H[j * q->stride + l] * change;
}

/* Each coordinate in turn to its own minimum, those that stay fixed too if everything. Returns the largest gain. */
static double sweep(gd_quadratic *q, int everything) {
    double gain = 0.0;
    for (int64_t i = 0; i < (everything ? q->p : q->n_free); i++) {
        int64_t j = everything ? i : q->free[i];
        double bend = q->stride ? q->H[j * q->stride + j] : q->H[j];
        double to = gd_soft(q->x[j] - (q->gradient[j] + q->product[j]) / bend, threshold(q, j) / bend);
        to = gd_metric_clip(q->metric, q->output, j, to);
        if (to == q->x[j]) continue;
        gain = fmax(gain, bend * (to - q->x[j]) * (to - q->x[j]));
        move(q, j, to);
    }
    return gain;
}

/* Who is free now. Returns whether that has changed. */
static int find_free(gd_quadratic *q) {
    int changed = 0;
    q->n_free = 0;
    for (int64_t j = 0; j < q->p; j++) {
        int free = is_free(q, j);
        double piece = !free ? q->x[j] : threshold(q, j) > 0.0 ? copysign(INFINITY, q->x[j]) : INFINITY;
        changed |= piece != q->piece[j];
        q->piece[j] = piece;
        if (free) q->free[q->n_free++] = j;
    }
    return changed;
}

/* The free ones to their common minimum, or as far as all stay free. Returns whether they got there. */
static int solve_free(gd_quadratic *q) {
    double share = 1.0;
    gd_metric_factor_part(q->metric, q->H, q->free, q->n_free);
    for (int refinement = 0; refinement < 2 && share == 1.0; refinement++) {
        int64_t first = -1;
        for (int64_t i = 0; i < q->n_free; i++) {
            int64_t j = q->free[i];
            q->step[i] = -(q->gradient[j] + q->product[j] + copysign(threshold(q, j), q->x[j]));
        }
        gd_metric_solve_part(q->metric, q->n_free, q->step);
        for (int64_t i = 0; i < q->n_free; i++) {
            double room = (end_of_piece(q, q->free[i], q->step[i]) - q->x[q->free[i]]) / q->step[i];
            if (q->step[i] != 0.0 && room < share) share = room, first = i;
        }
        for (int64_t i = 0; i < q->n_free; i++) {
            int64_t j = q->free[i];
            double end = end_of_piece(q, j, q->step[i]), to = q->x[j] + share * q->step[i];
            int beyond = i == first || (q->step[i] > 0.0 ? to > end : to < end);
            if (q->step[i] != 0.0) move(q, j, beyond ? end : to);
        }
    }
    return share == 1.0;
}

void gd_metric_minimise(gd_metric *metric, int64_t output, const double *v, const double *gradient, double *x, double *product) {
    int64_t p = metric->p, stride = metric->diagonal ? 0 : metric->p_pad;
    const double *H = metric->model + (metric->n_factors == 1 ? 0 : output) * p * (stride ? stride : 1);
    double *room = metric->room, spent = 0.0, most = (double)MOST_SWEEPS * (double)p * (double)p, first = 0.0;
    gd_quadratic q = {metric, H, v, gradient, x, product, room, room + p, (int64_t *)(void *)(room + 2 * p), 0, output, p, stride};
    int solved = 0;
    memcpy(x, v, sizeof *x * (size_t)p);
    memset(product, 0, sizeof *x * (size_t)p);
    if (metric->diagonal) {
        sweep(&q, 1);
        return;
    }
    for (int64_t j = 0; j < p; j++) q.piece[j] = NAN;
    while (spent < most && !gd_engine_ends(metric->watch, metric->worker)) {
        double gain = sweep(&q, 1);
        int changed = find_free(&q);
        first = fmax(first, gain), spent += (double)p * (double)p;
        if (gain == 0.0 || (solved && (!changed || gain <= 1e-28 * first))) return;
        double free = (double)q.n_free, solve = free * free * free / 3.0;
        for (double swept = 0.0; swept < solve && gain > 1e-16 * first && !gd_engine_ends(metric->watch, metric->worker); swept += free * (double)p)
            gain = sweep(&q, 0);
        spent += solve;
        do {
            find_free(&q);
            spent += (double)q.n_free * (double)q.n_free * (double)q.n_free / 3.0;
            solved = solve_free(&q);
        } while (!solved && spent < most && !gd_engine_ends(metric->watch, metric->worker));
    }
}
