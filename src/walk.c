/* Steps in a metric, and whether they will do: see walk.h. The only code that decides where the auto solver goes. */
#include "walk.h"

#include <math.h>
#include <string.h>

#include "updates.h"

enum { MOST_TRIALS = 40, WINDOW = GD_WALK_WINDOW, FEW_PAIRS = 4 };
enum { APART = 2 /* falls of E along the weights, in E */ };
enum { DOUBT = 2 /* gains shrink ever more slowly */, MOST_DOUBT = 10, UTMOST_DOUBT = 100 };

int64_t gd_walk_vectors(int most) { return 8 + 2 * most; }

double *gd_walk_place(gd_walk *walk, int64_t size, int most, double *at) {
    double **slots[] = {&walk->v, &walk->gradient, &walk->new_v, &walk->new_gradient, &walk->step, &walk->target,
                        &walk->room, &walk->previous};
    for (int i = 0; i < 8; i++, at += size) *slots[i] = at;
    for (int i = 0; i < most; i++, at += 2 * size) walk->pairs.s[i] = at, walk->pairs.y[i] = at + size;
    walk->pairs.most = most;
    return at;
}

/* ---- directions ----------------------------------------------------------------------------------------------------- */

static void remember(gd_walk *walk) {
    gd_pairs *pairs = &walk->pairs;
    int64_t size = walk->metric->size;
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
    for (int64_t j = 0; j < size; j++) s[j] = walk->new_v[j] - walk->v[j], y[j] = walk->new_gradient[j] - walk->gradient[j];
    double product = gd_dot(size, s, y);
    if (product > 1e-12 * gd_norm(size, s) * gd_norm(size, y)) pairs->rho[pairs->count++] = 1.0 / product;
}

/* argmin_t sum_c l1 |w_c - t| + l2 / 2 (w_c - t)^2 of k weights, which are sorted here: their mean without L1, a median without L2, the one
 * nearest to 0 if there are several. */
static double best_shift(int64_t k, double *w, double l1, double l2) {
    double sum = 0.0;
    for (int64_t c = 0; c < k; c++) {
        double own = w[c];
        int64_t at = c;
        for (sum += own; l1 > 0.0 && at > 0 && w[at - 1] > own; at--) w[at] = w[at - 1];
        w[at] = own;
    }
    if (l1 == 0.0) return sum / (double)k;
    for (int64_t c = 0; c < k; c++) { /* the slope beyond w_c is that of c + 1 weights less that of the others */
        double lean = l1 * (double)(2 * (c + 1) - k), beyond = lean + l2 * ((double)k * w[c] - sum);
        if (beyond < 0.0) continue;
        if (beyond == 0.0 && c + 1 < k) return fmin(fmax(w[c], 0.0), w[c + 1]);
        double before = beyond - 2.0 * l1; /* > 0: between w_c and the one below */
        return before > 0.0 ? (sum - (lean - 2.0 * l1) / l2) / (double)k : w[c];
    }
    return w[k - 1];
}

/* Softmax does not change where the same is added to all outputs, so that at the minimum the weights of a feature are where that penalises
 * them least. The metric, made for each output by itself, does not see how little else there is to gain in that direction: go there at
 * once. */
static void recentre(gd_walk *walk) {
    const gd_metric *metric = walk->metric;
    const gd_problem *problem = &metric->engine.problem;
    int64_t k = metric->k, p = metric->p;
    double *w = walk->room;
    for (int64_t j = 0; j < p; j++) {
        double scale = j < metric->columns.d ? metric->scale[j] : 0.0;
        for (int64_t c = 0; c < k; c++) w[c] = walk->target[c * p + j];
        double shift = best_shift(k, w, problem->l1 * scale, problem->l2 * scale * scale);
        for (int64_t c = 0; c < k; c++) {
            walk->target[c * p + j] -= shift;
            walk->step[c * p + j] = walk->target[c * p + j] - walk->v[c * p + j];
        }
    }
}

/* step = -H gradient by the two-loop recursion. */
static void quasi_newton_step(gd_walk *walk) {
    const gd_pairs none = {0}, *pairs = walk->trust_metric ? &none : &walk->pairs;
    int64_t size = walk->metric->size;
    double *q = walk->room, *r = walk->step, a[GD_WALK_MEMORY];
    memcpy(q, walk->gradient, sizeof *q * (size_t)size);
    for (int i = pairs->count - 1; i >= 0; i--) {
        a[i] = pairs->rho[i] * gd_dot(size, pairs->s[i], q);
        for (int64_t j = 0; j < size; j++) q[j] -= a[i] * pairs->y[i][j];
    }
    gd_metric_solve(walk->metric, q, r);
    if (walk->rescale && pairs->count) { /* the metric leaves something out: let the last step set its size */
        const double *s = pairs->s[pairs->count - 1], *y = pairs->y[pairs->count - 1];
        gd_metric_solve(walk->metric, y, walk->target);
        double scale = gd_dot(size, s, y) / gd_dot(size, y, walk->target);
        for (int64_t j = 0; j < size; j++) r[j] *= scale;
    }
    for (int i = 0; i < pairs->count; i++) {
        double b = pairs->rho[i] * gd_dot(size, pairs->y[i], r);
        for (int64_t j = 0; j < size; j++) r[j] += (a[i] - b) * pairs->s[i][j];
    }
    for (int64_t j = 0; j < size; j++) r[j] = -r[j], walk->target[j] = walk->v[j] + r[j];
    if (walk->metric->engine.problem.softmax && walk->metric->engine.problem.l2 > 0.0) recentre(walk);
    walk->slope = gd_dot(size, walk->gradient, r);
    walk->decrement = -0.5 * walk->slope;
    if (walk->rescale || !pairs->count) return;
    /* a memory from across a kink makes light of what is left */
    walk->decrement = fmax(walk->decrement, 0.5 * gd_metric_norm(walk->metric, walk->gradient, q));
}

static double l1_norm(const gd_metric *metric, const double *v) {
    double norm = 0.0;
    for (int64_t c = 0; c < metric->k; c++)
        for (int64_t j = 0; j < metric->columns.d; j++) norm += metric->scale[j] * fabs(v[c * metric->p + j]);
    return metric->engine.problem.l1 * norm;
}

static void proximal_step(gd_walk *walk) {
    gd_metric *metric = walk->metric;
    const gd_problem *problem = &metric->engine.problem;
    int64_t p = metric->p;
    walk->decrement = 0.0;
    for (int64_t c = 0; c < (metric->joint ? 1 : metric->k); c++)
        walk->decrement += gd_metric_minimise(metric, c, walk->v + c * p, walk->gradient + c * p, walk->target + c * p);
    if (problem->softmax && !problem->lower && !problem->upper) recentre(walk);
    for (int64_t j = 0; j < metric->size; j++) walk->step[j] = walk->target[j] - walk->v[j];
    walk->slope = gd_dot(metric->size, walk->gradient, walk->step) + l1_norm(metric, walk->target) - l1_norm(metric, walk->v);
}

static void find_step(gd_walk *walk) {
    if (gd_is_proximal(&walk->metric->engine.problem)) proximal_step(walk);
    else quasi_newton_step(walk);
}

/* ---- setting out -------------------------------------------------------------------------------------------------- */

double gd_walk_best_bias(const gd_problem *problem, double slope) {
    double share = (problem->softmax ? 1.0 / (double)problem->n_outputs : 0.5) - slope;
    if (!isfinite(slope)) return 0.0;
    switch (problem->loss) {
    case gd_loss_squared_error: return -slope;
    case gd_loss_poisson:
    case gd_loss_gamma: return log(fmax(1.0 - slope, 1e-10));
    case gd_loss_log_loss:
        share = fmin(fmax(share, 1e-9), 1.0 - 1e-9);
        return problem->softmax ? log(share) : log(share / (1.0 - share));
    default: return 0.0;
    }
}

/* ---- the machine ---------------------------------------------------------------------------------------------------- */

/* What is still to be gained if the gains of the last few steps go on shrinking as they did (Aitken), from the errors of the last
 * 2 `window` steps. Where the metric is only proportional to the curvature, the decrement alone would promise too much. */
static double extrapolate(const double *errors, int64_t step, int64_t window, double floor) {
    double now = errors[step % GD_WALK_ERRORS], middle = errors[(step - window) % GD_WALK_ERRORS];
    double then = errors[(step - 2 * window) % GD_WALK_ERRORS], gained = middle - now, factor = gained / (then - middle);
    if (gained <= floor) return 0.0;
    return factor < 1.0 ? fmax(gained * factor / (1.0 - factor), 0.0) : INFINITY;
}

/* The most that any of the last few steps promised, less what has been gained since: gains come in fits and starts, and one step that
 * gains little says nothing. */
static double still_to_gain(const double *errors, int64_t step, int64_t window, double floor) {
    if (step < 2 * window) return INFINITY;
    double most = 0.0, now = errors[step % GD_WALK_ERRORS];
    for (int64_t at = gd_max(2 * window, step - GD_WALK_AGREE + 1); at <= step; at++)
        most = fmax(most, extrapolate(errors, at, window, floor) - (errors[at % GD_WALK_ERRORS] - now));
    return most;
}

void gd_walk_begin(gd_walk *walk, const gd_problem *problem, int narrow, int exact) {
    walk->constant = problem->loss == gd_loss_squared_error;
    walk->floor_share = problem->loss == gd_loss_log_loss ? 1e-14 : walk->constant ? 1e-20 : 1e-17;
    walk->exact = exact && !walk->rescale && (!problem->softmax || walk->metric->joint);
    walk->narrow = narrow;
    walk->refreshed = 1;
    walk->stalled = walk->trial = walk->precise_enough = walk->pairs.count = 0;
    walk->n_steps = 0;
    walk->before = 0.0;
    walk->t = 1.0, walk->least = INFINITY;
    walk->built_error = NAN;
    walk->doubles = 0, walk->doubled_error = INFINITY;
}

/* E - E* at most: with l2, E bends by l2 at least along every weight, so that it cannot fall by more than |gradient|^2 / 2 l2. The bias,
 * which is not penalised, has its column to itself, centred, and a diagonal metric knows how E bends along it. */
static double farthest(const gd_walk *walk) {
    const gd_metric *metric = walk->metric;
    int64_t p = metric->p, d = metric->columns.d;
    double sum = 0.0;
    for (int64_t c = 0; c < metric->k; c++) {
        const double *g = walk->gradient + c * p, *H = metric->model + (metric->n_factors == 1 ? 0 : c) * p;
        for (int64_t j = 0; j < d; j++) sum += g[j] / metric->scale[j] * (g[j] / metric->scale[j]) / metric->engine.problem.l2;
        if (p > d) sum += g[d] * g[d] / H[d];
    }
    return 0.5 * sum;
}

/* How many times more than the model promises is left, if steps go on as the last did: that gained more than was promised, and left a
 * share of it. Where E falls like an exponential each leaves 1 / e, and half of what is left is promised. */
static double doubt(const gd_walk *walk) {
    if (!(walk->before > 0.0)) return 1.0;
    double noise = (walk->narrow ? 1e-9 : 1e-14) * fabs(walk->error), share = walk->promised / walk->before;
    double more = fmax(1.0, (walk->gained - noise) / walk->before);
    return share < 1.0 ? fmin(more / (1.0 - share), UTMOST_DOUBT) : MOST_DOUBT;
}

/* Classes told apart without a penalty: E is a sum of exp(-margin), a Newton step divides it by e, and twice the
 * weights square it. As far as E falls along the weights themselves, dE / dlog |v|, says whether they are: one pass tries. */
static int may_double(const gd_walk *walk) {
    const gd_problem *problem = &walk->metric->engine.problem;
    if (problem->loss != gd_loss_log_loss || gd_is_proximal(problem) || problem->l2 > 0.0) return 0;
    if (walk->error >= 0.1 * walk->doubled_error) return 0;
    return -gd_dot(walk->metric->size, walk->gradient, walk->v) > APART * walk->error;
}

static void try_double(gd_walk *walk) {
    int64_t size = walk->metric->size;
    memcpy(walk->step, walk->v, sizeof *walk->v * (size_t)size);
    for (int64_t j = 0; j < size; j++) walk->new_v[j] = 2.0 * walk->v[j];
    walk->slope = gd_dot(size, walk->gradient, walk->v);
    walk->doubles = 1;
}

static const double STALE = 0.9; /* of E where the metric was made */

static gd_next arrived_or_try(gd_walk *walk, double tol) {
    double floor = walk->floor_share * walk->first_error; /* E* may be 0 */
    walk->errors[walk->n_steps % GD_WALK_ERRORS] = walk->error;
    const gd_metric *metric = walk->metric;
    int softmax = metric->engine.problem.softmax;
    int by_class = softmax && !metric->joint && !walk->rescale; /* some directions bend less than the classes do one by one */
    int64_t window = walk->rescale ? WINDOW : walk->n_steps < 4 ? 1 : 2;
    double left = walk->promised = walk->decrement;
    double least = fmax(floor, 1e-3 * tol * fabs(walk->error)); /* gain that counts */
    if (walk->rescale || (by_class && walk->n_steps >= 2)) {
        left = fmax(left, DOUBT * still_to_gain(walk->errors, walk->n_steps, window, least));
        if (by_class) left = fmax(left, DOUBT * still_to_gain(walk->errors, walk->n_steps, 1, least)); /* gains may slow down at once */
        if (by_class && !gd_is_proximal(&metric->engine.problem) && walk->pairs.count < FEW_PAIRS) left = INFINITY; /* a memory yet to be */
    } else left *= by_class ? MOST_DOUBT : doubt(walk);
    if (walk->sure) left = farthest(walk);
    if (isfinite(left)) walk->decrement = left;
    walk->stalled = walk->decrement < 0.5 * walk->least ? 0 : walk->stalled + 1;
    walk->least = fmin(walk->least, walk->decrement);
    if (left <= fmax(tol * fabs(walk->error), tol >= 0.0 ? floor : 0.0) || left == 0.0) return GD_ARRIVED;
    walk->t = 1.0, walk->trial = 0;
    memcpy(walk->new_v, walk->target, sizeof *walk->v * (size_t)metric->size);
    return GD_TRY;
}

/* May the curvature have changed enough? That of log loss changes about as E does; memory makes up for the rest, where there is one. */
static int is_stale(const gd_walk *walk) {
    const gd_problem *problem = &walk->metric->engine.problem;
    int slow = (problem->softmax && !walk->metric->joint) || (walk->rescale && problem->loss == gd_loss_log_loss);
    return !slow || gd_is_proximal(problem) || walk->error < STALE * walk->built_error;
}

/* Is a claim to be looked at in the metric of this very place? One of all rows, made elsewhere, may overrate how E bends here, and by as
 * much underrate what is left: a few times over where curvatures change gradually, without limit where they end. */
static int is_doubtful(const gd_walk *walk, double tol) {
    const gd_problem *problem = &walk->metric->engine.problem;
    if (!walk->exact || walk->refreshed || walk->constant || problem->smoothing > 0.0 || walk->decrement == 0.0) return 0;
    return gd_loss_has_bends(problem->loss) || MOST_DOUBT * walk->promised > tol * fabs(walk->error);
}

gd_next gd_walk_plan(gd_walk *walk, double tol, int again) {
    double before = walk->decrement;
    if (again || walk->n_steps == 0) walk->built_error = walk->error;
    walk->refreshed |= again;
    walk->trust_metric = walk->exact && walk->refreshed && walk->t == 1.0;
    find_step(walk);
    if (!again && (!(walk->decrement >= 0.0) || !(walk->slope <= 0.0))) { /* a stale memory: back to the metric alone */
        walk->pairs.count = 0;
        find_step(walk);
    }
    int doubles = may_double(walk);
    if (!walk->constant && !walk->refreshed && !doubles && (walk->t < 1.0 || walk->decrement > 0.1 * before) && is_stale(walk))
        return GD_REBUILD;
    if (doubles) walk->decrement = walk->error; /* E* is about 0, whatever the metric of an earlier step thinks */
    gd_next next = arrived_or_try(walk, tol);
    if (next == GD_TRY && doubles) try_double(walk);
    return next == GD_ARRIVED && is_doubtful(walk, tol) ? GD_REBUILD : next;
}

void gd_walk_accept(gd_walk *walk) {
    double *v = walk->v, *gradient = walk->gradient;
    walk->v = walk->new_v, walk->gradient = walk->new_gradient, walk->error = walk->new_error;
    walk->new_v = v, walk->new_gradient = gradient;
}

/* The next share of the step to try, 0: none will do. Where differences of E drown in rounding, a smaller slope decides. *taken: this
 * one will do. */
static double next_share(const gd_walk *walk, int *taken) {
    int64_t size = walk->metric->size;
    double t = walk->t, noise = (walk->narrow ? 1e-9 : 1e-14) * (fabs(walk->error) + 1e-16 * walk->first_error);
    double rise = walk->new_error - walk->error;
    if (!isfinite(walk->new_error) || !gd_all_finite(size, walk->new_gradient)) return 0.1 * t;
    int flatter = fabs(gd_dot(size, walk->new_gradient, walk->step)) <= 0.5 * fabs(walk->slope);
    int proximal = gd_is_proximal(&walk->metric->engine.problem);
    *taken = rise <= 1e-4 * t * walk->slope || (fabs(rise) <= noise && (proximal ? walk->trial == 0 : flatter));
    if (*taken) return t;
    if (fabs(t * walk->slope) <= 0.1 * noise) return 0.0;
    double best = -walk->slope * t * t / (2.0 * (rise - walk->slope * t));
    return fmin(0.5 * t, fmax(0.1 * t, best));
}

gd_next gd_walk_judge(gd_walk *walk) {
    int64_t size = walk->metric->size;
    int taken = 0, doubled = walk->doubles;
    walk->t = next_share(walk, &taken);
    if (doubled) {
        walk->doubles = 0, walk->decrement = 0.0; /* whatever is promised next, the metric has had its day */
        if (!taken || walk->new_error > 0.1 * walk->error) walk->doubled_error = walk->error;
        if (!taken) {
            walk->t = 1.0;
            return GD_PLAN;
        }
        walk->pairs.count = 0;
    }
    if (!taken && ++walk->trial == MOST_TRIALS) walk->t = 0.0;
    if (!taken && walk->t > 0.0) {
        for (int64_t j = 0; j < size; j++) walk->new_v[j] = walk->v[j] + walk->t * walk->step[j];
        return GD_TRY;
    }
    if (!taken && walk->pairs.count) { /* once more without the memory */
        walk->pairs.count = walk->refreshed = 0;
        return GD_PLAN;
    }
    if (!taken || (walk->stalled > 10 && walk->decrement <= (walk->narrow ? 1e-9 : 1e-13) * fabs(walk->error))) {
        walk->precise_enough = 1;
        return GD_ARRIVED;
    }
    if (!gd_is_proximal(&walk->metric->engine.problem) && !doubled) remember(walk);
    walk->before = walk->promised, walk->gained = walk->error - walk->new_error;
    gd_walk_accept(walk);
    walk->refreshed = 0;
    walk->n_steps++;
    return GD_TAKEN;
}
