/* Without L1 and bounds by Cholesky and refinement; else by coordinate descent (Friedman, Hastie & Tibshirani 2010), which finds the
 * weights that are free, neither 0 under L1 nor at a bound, and by steps to the minimum over those (Lee, Battle, Raina & Ng 2007) as often
 * as they cost no more than the sweeps between them: sweeps alone would take for ever where H is ill-conditioned. */
#include "quadratic.h"

#include <math.h>
#include <string.h>

#include "metric.h"
#include "updates.h"

enum { FEWEST_SWEEPS = 4, FEWEST_FACTORS = 3 };

/* Of the scale of E: gains below FLOOR are but rounding; so are differences of E below NOISE. */
static const double FLOOR = 1e-20, NOISE = 1e-14;

int64_t gd_quadratic_room_size(int64_t p, int64_t p_pad) { return (p + 7) * p_pad; }

void gd_quadratic_room_cut(gd_quadratic_room *room, int64_t p, int64_t p_pad, double *memory) {
    room->factor = memory, memory += p * p_pad;
    room->least = memory, room->g = memory + p_pad, room->h = memory + 2 * p_pad;
    room->step = memory + 3 * p_pad, room->along = memory + 4 * p_pad;
    room->piece = memory + 5 * p_pad, room->free = (int64_t *)(void *)(memory + 6 * p_pad);
}

static int interrupted(const gd_quadratic_room *room) { return room->effort <= 0.0 || gd_engine_ends(room->engine, room->worker); }

/* Its place among the weights of its output, d: it is a bias. */
static int64_t place(const gd_quadratic *q, int64_t j) { return gd_min(q->each ? j % q->each : j, q->d); }
static double at_weight(const gd_quadratic *q, const double *bound, int64_t j) {
    return bound[(q->each ? j / q->each : 0) * q->d + place(q, j)] / q->scale[place(q, j)];
}

static double penalty(const gd_quadratic *q, int64_t j) {
    int64_t of = place(q, j);
    return of < q->d ? q->l2 * q->scale[of] * q->scale[of] : 0.0;
}
static double threshold(const gd_quadratic *q, int64_t j) { return place(q, j) < q->d ? q->l1 * q->scale[place(q, j)] : 0.0; }
static double lowest(const gd_quadratic *q, int64_t j) { return q->lower && place(q, j) < q->d ? at_weight(q, q->lower, j) : -INFINITY; }
static double highest(const gd_quadratic *q, int64_t j) { return q->upper && place(q, j) < q->d ? at_weight(q, q->upper, j) : INFINITY; }
static double origin(const gd_quadratic *q, int64_t j) { return q->origin ? q->origin[j] : 0.0; }
static double within(const gd_quadratic *q, int64_t j, double v) { return fmin(fmax(v, lowest(q, j)), highest(q, j)); }

/* out = (H + l2) x */
static void multiply(const gd_quadratic *q, const gd_kernels *kernels, const double *x, double *out) {
    memset(out, 0, sizeof *out * (size_t)q->p_pad);
    for (int64_t j = 0; j < q->p; j++)
        if (x[j] != 0.0) kernels->add(q->p_pad, x[j], q->H + j * q->p_pad, out);
    for (int64_t j = 0; j < q->p; j++)
        if (x[j] != 0.0) out[j] += penalty(q, j) * x[j];
}

/* room->g = gradient of the smooth part. */
static void gradient(const gd_quadratic *q, gd_quadratic_room *room, const double *v) {
    const double *u = v;
    if (q->origin) {
        for (int64_t j = 0; j < q->p; j++) room->along[j] = v[j] - q->origin[j];
        u = room->along;
    }
    multiply(q, room->kernels, u, room->g);
    for (int64_t j = 0; j < q->p; j++) room->g[j] += q->b[j];
}

/* E where the smooth part has the gradient g. */
static double error_at(const gd_quadratic *q, const double *v, const double *g) {
    double smooth = q->yy, norm = 0.0;
    for (int64_t j = 0; j < q->p; j++) {
        double from = origin(q, j);
        smooth += (v[j] - from) * (g[j] + q->b[j]), norm += threshold(q, j) * (fabs(v[j]) - fabs(from));
    }
    return (q->origin ? 0.5 * smooth : fmax(0.5 * smooth, 0.0)) + norm;
}

/* What rounding is measured by. */
static double scale_of(const gd_quadratic *q, double error) { return q->origin ? fabs(error) : q->yy; }

static gd_minimum conclude(const gd_quadratic *q, const double *v, const double *g, double gap, double tol, int64_t n_iter,
                           int64_t max_iter) {
    double error = error_at(q, v, g), size = 0.0;
    for (int64_t j = 0; j < q->p; j++) size += fabs(v[j]) * sqrt(q->H[j * q->p_pad + j]);
    double rounding = 0x1p-51 * size * size; /* of v'H v, where columns that are nearly one have large weights against each other */
    if (rounding > 1e-12 * q->yy) gap += rounding;
    int there = gap <= fmax(fmax(tol, 0.0) * error, FLOOR * 0.5 * q->yy);
    return (gd_minimum){error, gap, n_iter, there ? GD_STOP_CONVERGED : n_iter >= max_iter ? GD_STOP_MAX_ITER : GD_STOP_PRECISION};
}

/* ---- factors ------------------------------------------------------------------------------------------------------- */

/* room->factor of H + l2 over the `count` weights in room->free. A trace of damping makes singular matrices solvable. */
static void factorise(const gd_quadratic *q, gd_quadratic_room *room, int64_t count) {
    double top = 0.0;
    for (int64_t j = 0; j < q->p; j++) top = fmax(top, q->H[j * q->p_pad + j]);
    if (top == 0.0) top = 1.0;
    for (int64_t a = 0; a < count; a++) {
        int64_t j = room->free[a];
        const double *from = q->H + j * q->p_pad;
        double *to = room->factor + a * q->p_pad;
        for (int64_t b = a; b < count; b++) to[b] = from[room->free[b]];
        to[a] = fmax((to[a] + penalty(q, j)) * (1.0 + q->damping), 1e-14 * top);
        room->least[a] = 1e-12 * to[a];
    }
    gd_cholesky(room->engine, room->worker, count, q->p_pad, room->factor, room->least);
    room->effort -= (double)count * (double)count * (double)count / 3.0;
}

void gd_quadratic_factorise(const gd_quadratic *q, gd_quadratic_room *room) {
    for (int64_t j = 0; j < q->p; j++) room->free[j] = j;
    factorise(q, room, q->p);
}

/* Newton steps until they stop gaining: one, and some more that take the damping back. Half the Newton decrement is E - E*. */
gd_minimum gd_quadratic_solve(const gd_quadratic *q, gd_quadratic_room *room, double tol, int64_t max_iter, double *v) {
    double gap = INFINITY, floor = FLOOR * 0.5 * q->yy;
    int64_t n_iter = 0;
    memset(v, 0, sizeof *v * (size_t)q->p);
    for (;; n_iter++) {
        gradient(q, room, v);
        gd_cholesky_solve(q->p, q->p_pad, room->factor, room->g, room->step);
        double before = gap;
        gap = fmax(0.5 * gd_dot(q->p, room->g, room->step), 0.0);
        if (gap <= floor || gap > 0.25 * before || n_iter >= max_iter || interrupted(room)) break;
        for (int64_t j = 0; j < q->p; j++) v[j] -= room->step[j];
    }
    return conclude(q, v, room->g, gap, tol, n_iter, max_iter);
}

/* ---- how far it is ------------------------------------------------------------------------------------------------- */

/* P(v) - D(s r): r the residual, the penalty's rows included, and s <= 1 the largest that leaves the dual finite. Each term is >= 0. */
static double duality_gap(const gd_quadratic *q, const double *v, const double *g) {
    double s = 1.0, square = q->yy, gap = 0.0;
    for (int64_t j = 0; j < q->p; j++) {
        double end = g[j] < 0.0 ? highest(q, j) : lowest(q, j);
        if (isinf(end) && fabs(g[j]) * s > threshold(q, j)) s = threshold(q, j) / fabs(g[j]);
        square += v[j] * (g[j] + q->b[j]);
    }
    /* sum r^2 = yy + 2 b.v + v'(H + l2) v */
    for (int64_t j = 0; j < q->p; j++) {
        double t = threshold(q, j), low = lowest(q, j), high = highest(q, j), zero = within(q, j, 0.0);
        double least = t * fabs(zero) + s * g[j] * zero;
        if (isfinite(low)) least = fmin(least, t * fabs(low) + s * g[j] * low);
        if (isfinite(high)) least = fmin(least, t * fabs(high) + s * g[j] * high);
        gap += fmax(t * fabs(v[j]) + s * g[j] * v[j] - least, 0.0);
    }
    return gap + 0.5 * (1.0 - s) * (1.0 - s) * fmax(square, NOISE * q->yy);
}

/* The subgradient of least norm along weight j, without what points out of the bounds. */
static double subgradient(const gd_quadratic *q, int64_t j, double v, double g) {
    double t = threshold(q, j), h = v != 0.0 ? g + copysign(t, v) : gd_soft(g, t);
    return (h > 0.0 && v <= lowest(q, j)) || (h < 0.0 && v >= highest(q, j)) ? 0.0 : h;
}

/* E - E* <= h'(H + l2)^-1 h / 2 for any subgradient h, since the smooth part is quadratic and the rest convex. */
static double newton_gap(const gd_quadratic *q, gd_quadratic_room *room, const double *v) {
    for (int64_t j = 0; j < q->p; j++) room->h[j] = subgradient(q, j, v[j], room->g[j]);
    gd_quadratic_factorise(q, room);
    gd_cholesky_solve(q->p, q->p_pad, room->factor, room->h, room->step);
    return fmax(0.5 * gd_dot(q->p, room->h, room->step), 0.0);
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

/* Each weight in turn to its minimum, g kept up to date. Returns what E fell by. */
static double sweep(const gd_quadratic *q, gd_quadratic_room *room, double *v) {
    double *g = room->g, gain = 0.0;
    for (int64_t j = 0; j < q->p; j++) {
        double bend = q->H[j * q->p_pad + j] + penalty(q, j), t = threshold(q, j);
        if (bend == 0.0) continue; /* nothing depends on it */
        double to = within(q, j, gd_soft(v[j] - g[j] / bend, t / bend)), change = to - v[j];
        if (change == 0.0) continue;
        gain -= change * (g[j] + 0.5 * bend * change) + t * (fabs(to) - fabs(v[j]));
        v[j] = to;
        room->kernels->add(q->p_pad, change, q->H + j * q->p_pad, g);
        g[j] += penalty(q, j) * change;
        room->effort -= (double)q->p_pad;
    }
    return gain;
}

/* Which weights stand at neither a kink nor a bound. */
static int64_t find_free(const gd_quadratic *q, const double *v, int64_t *free) {
    int64_t count = 0;
    for (int64_t j = 0; j < q->p; j++)
        if ((v[j] != 0.0 || threshold(q, j) == 0.0) && v[j] > lowest(q, j) && v[j] < highest(q, j)) free[count++] = j;
    return count;
}

/* room->step: towards the joint minimum of the free weights; *slope and *bend: of E along it, until a weight meets a kink or a bound. */
static void find_step(const gd_quadratic *q, gd_quadratic_room *room, int64_t count, const double *v, double *slope, double *bend) {
    for (int64_t a = 0; a < count; a++) room->h[a] = subgradient(q, room->free[a], v[room->free[a]], room->g[room->free[a]]);
    factorise(q, room, count);
    gd_cholesky_solve(count, q->p_pad, room->factor, room->h, room->along);
    memset(room->step, 0, sizeof *room->step * (size_t)q->p_pad);
    *slope = -gd_dot(count, room->h, room->along);
    for (int64_t a = 0; a < count; a++) room->step[room->free[a]] = -room->along[a];
    multiply(q, room->kernels, room->step, room->along);
    *bend = gd_dot(q->p, room->step, room->along);
}

/* Where weight j is when it has gone t of its step: held where it meets a kink or a bound. */
static double go(const gd_quadratic *q, int64_t j, double v, double step, double t) {
    double to = within(q, j, v + t * step);
    return threshold(q, j) > 0.0 && v * to < 0.0 ? 0.0 : to;
}

/* How much of the step can be taken before a weight meets one. *first: which. */
static double reach(const gd_quadratic *q, const gd_quadratic_room *room, int64_t count, const double *v, double t, int64_t *first) {
    *first = -1;
    for (int64_t a = 0; a < count; a++) {
        int64_t j = room->free[a];
        double to = go(q, j, v[j], room->step[j], t);
        if (to == v[j] + t * room->step[j] || room->step[j] == 0.0) continue;
        t = (to - v[j]) / room->step[j], *first = j;
    }
    return t;
}

/* How much of a step is best: more than 1 along directions that hardly bend, where damping makes it too short, unless what that promises
 * is more than there is to gain, or drowns in rounding. */
static double length(const gd_quadratic *q, double slope, double bend, double error) {
    double t = -slope / bend, gain = -0.5 * t * slope;
    return t > 1.0 && (gain > error || gain <= NOISE * scale_of(q, error)) ? 1.0 : t;
}

/* The free weights to their joint minimum. Those that meet a kink or a bound on the way stay there, and the others go on: all of them at
 * once if that lowers E, else the first. At most so many times, each with a factor of its own. Returns what E fell by. */
static double step_free(const gd_quadratic *q, gd_quadratic_room *room, int64_t most, double *v) {
    double gain = 0.0, *target = room->h;
    int64_t first = 0;
    for (int64_t count; first >= 0 && most > 0 && (count = find_free(q, v, room->free)) > 0; most--) {
        double slope, bend;
        find_step(q, room, count, v, &slope, &bend);
        if (!(slope < 0.0) || !(bend > 0.0) || interrupted(room)) break;
        double before = error_at(q, v, room->g), t = length(q, slope, bend, before);
        memcpy(target, v, sizeof *v * (size_t)q->p);
        for (int64_t a = 0; a < count; a++) target[room->free[a]] = go(q, room->free[a], v[room->free[a]], room->step[room->free[a]], t);
        double least = reach(q, room, count, v, t, &first);
        gradient(q, room, target);
        double fell = before - error_at(q, target, room->g);
        if (first >= 0 && !(fell > NOISE * scale_of(q, before))) {
            t = least, fell = 0.0;
            double meets = go(q, first, v[first], room->step[first], 1.0);
            for (int64_t a = 0; a < count; a++) v[room->free[a]] = go(q, room->free[a], v[room->free[a]], room->step[room->free[a]], t);
            v[first] = meets;
            gradient(q, room, v);
        } else memcpy(v, target, sizeof *v * (size_t)q->p);
        gain += first < 0 ? -t * (slope + 0.5 * t * bend) : fell;
    }
    return gain;
}

/* How many sweeps cost what the step after them does. */
static int64_t sweeps_for(const gd_quadratic *q, gd_quadratic_room *room, const double *v) {
    int64_t count = find_free(q, v, room->free);
    return FEWEST_SWEEPS + count * count / (3 * q->p);
}

gd_minimum gd_quadratic_descend(const gd_quadratic *q, gd_quadratic_room *room, double tol, int64_t max_iter, double *v) {
    double gap = INFINITY, floor = FLOOR * 0.5 * q->yy, gain = INFINITY;
    int64_t n_iter = 0;
    for (int64_t j = 0; j < q->p; j++) v[j] = within(q, j, v[j]);
    gradient(q, room, v);
    for (; n_iter < max_iter && gain > floor; n_iter++) {
        int64_t sweeps = sweeps_for(q, room, v);
        gain = 0.0;
        for (int64_t i = 0; i < sweeps; i++) {
            if (interrupted(room)) return (gd_minimum){0};
            double fell = sweep(q, room, v);
            gain += fell;
            gap = duality_gap(q, v, room->g);
            if (gap <= fmax(fmax(tol, 0.0) * error_at(q, v, room->g), floor))
                return conclude(q, v, room->g, gap, tol, n_iter + 1, max_iter);
            if (fell <= floor) break;
        }
        gain += step_free(q, room, FEWEST_FACTORS + n_iter, v); /* sweeps find out for less which weights are free */
    }
    gap = fmin(duality_gap(q, v, room->g), newton_gap(q, room, v)); /* a small l1 or none leaves nothing to the former */
    return conclude(q, v, room->g, gap, tol, n_iter, max_iter);
}

/* room->piece: where each weight stands, or if it is free, the infinity on its side of 0. Returns whether any has changed. */
static int find_pieces(const gd_quadratic *q, gd_quadratic_room *room, const double *v) {
    int changed = 0;
    int64_t count = find_free(q, v, room->free), next = 0;
    for (int64_t j = 0; j < q->p; j++) {
        int free = next < count && room->free[next] == j;
        double piece = !free ? v[j] : threshold(q, j) > 0.0 ? copysign(INFINITY, v[j]) : INFINITY;
        next += free, changed |= piece != room->piece[j];
        room->piece[j] = piece;
    }
    return changed;
}

double gd_quadratic_minimise(const gd_quadratic *q, gd_quadratic_room *room, double *v) {
    double error = 0.0;
    memcpy(v, q->origin, sizeof *v * (size_t)q->p);
    memcpy(room->g, q->b, sizeof *v * (size_t)q->p);
    for (int64_t j = 0; j < q->p; j++) room->piece[j] = NAN;
    for (int settled = 0; settled < 2 && !interrupted(room);) { /* twice: the second step takes back what the first was off by */
        double fell = sweep(q, room, v), gain = fell;
        settled = find_pieces(q, room, v) ? 0 : settled + 1;
        if (gain <= -NOISE * error) break;
        for (int64_t sweeps = sweeps_for(q, room, v); !settled && sweeps > 1 && fell > NOISE * gain && !interrupted(room); sweeps--)
            gain += fell = sweep(q, room, v);
        step_free(q, room, INT64_MAX, v);
        find_pieces(q, room, v);
        error = error_at(q, v, room->g);
    }
    return error;
}
