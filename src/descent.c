/* The loop: epochs, batches, schedules, stop tests, validation; the update rules themselves are in updates.h. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metric.h"
#include "rng.h"
#include "run.h"
#include "threads.h"
#include "updates.h"

/* ---- state ----------------------------------------------------------------------------------------------------- */

gd_status gd_state_init(gd_state *state, const gd_settings *settings, int64_t size) {
    int rule = settings->solver;
    memset(state, 0, sizeof *state);
    state->size = size;
    state->weights = gd_alloc(size, 8);
    state->answer = gd_alloc(size, 8);
    int failed = !state->weights || !state->answer;
    if (rule == GD_SOLVER_ADAM || ((rule == GD_SOLVER_GD || rule == GD_SOLVER_SGD) && settings->momentum > 0.0))
        failed |= !(state->velocity = gd_alloc(size, 8));
    if (rule == GD_SOLVER_ADAGRAD || rule == GD_SOLVER_RMSPROP || rule == GD_SOLVER_ADAM)
        failed |= !(state->square = gd_alloc(size, 8));
    if (settings->average > 0 && rule != GD_SOLVER_AUTO) failed |= !(state->mean = gd_alloc(size, 8));
    if (failed) gd_state_free(state);
    return failed ? GD_NO_MEMORY : GD_OK;
}

void gd_state_free(gd_state *state) {
    gd_release(state->weights);
    gd_release(state->answer);
    gd_release(state->velocity);
    gd_release(state->square);
    gd_release(state->mean);
    memset(state, 0, sizeof *state);
}

/* ---- learning rate --------------------------------------------------------------------------------------------- */

typedef struct gd_rates {
    double eta0;          /* given, or found from the curvature */
    double eta;           /* in force for the schedules that adapt */
    double optimal_start; /* Bottou's t0 */
    double alpha;
} gd_rates;

/* Bottou's heuristic as scikit-learn has it: the first step has the size that weights are expected to have,
 * sqrt(1 / sqrt(alpha)), over the slope of the loss there. */
static double optimal_start(const gd_problem *problem, double alpha) {
    double typical = sqrt(1.0 / sqrt(alpha)), z = -typical, y = 1.0, error, slope, curvature;
    gd_pointwise(NULL, problem->loss, problem->loss_param, 0.0, 1, &z, &y, &error, &slope, &curvature);
    return 1.0 / (typical / fmax(1.0, slope) * alpha);
}

static int adapts(const gd_settings *settings) { return settings->schedule == GD_AUTO || settings->schedule == GD_ADAPTIVE; }

static double rate_now(const gd_settings *settings, const gd_rates *rates, int64_t t) {
    switch (settings->schedule) {
    case GD_INVSCALING: return rates->eta0 / pow((double)t, settings->power_t);
    case GD_OPTIMAL: return 1.0 / (rates->alpha * (rates->optimal_start + (double)t - 1.0));
    case GD_CONSTANT: return rates->eta0;
    default: return rates->eta;
    }
}

/* Rules that scale each weight's step themselves need no curvature: 0.001 is Adam's, 0.01 AdaGrad's own default. For
 * mini-batches of b rows the safe step shrinks from 1 / L towards 1 / max_i ||x_i||^2 (Gower et al. 2019, eq. 12). */
static gd_status find_rates(gd_run *run, gd_rates *rates) {
    const gd_settings *settings = run->settings;
    const gd_problem *problem = &run->engine.problem;
    rates->alpha = problem->l2 + problem->l1;
    rates->eta0 = settings->eta0;
    int resumed = run->state->t > 0 && adapts(settings);
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

static gd_status diverged(gd_run *run, double error) {
    double largest;
    run->report->error = isnan(error) ? INFINITY : error;
    run->report->diverged_epoch = run->report->n_iter + 1;
    run->report->diverged_step = run->state->t;
    if (!gd_run_curvature(run, &largest) && largest > 0.0 && isfinite(largest))
        run->report->usable_eta = (1.0 - run->settings->momentum) / largest;
    return GD_DIVERGED;
}

/* ---- full batch ------------------------------------------------------------------------------------------------ */

/* E - E* after steps that gained `before` and then `gained`, if gains go on shrinking by the same factor (Aitken). */
static double remaining(double before, double gained) {
    if (!(gained > 0.0)) return gained == 0.0 ? 0.0 : INFINITY;
    double factor = gained / before;
    return factor < 1.0 ? gained * factor / (1.0 - factor) : INFINITY;
}

/* The last good point, with all that the rule remembers, to go back to. */
typedef struct gd_trial {
    double error;
    int64_t t, path_size;
    double *gradient, *weights, *velocity, *square, *mean; /* (size) each, NULL where the rule has none */
} gd_trial;

static int64_t trial_vectors(const gd_state *state) { return 2 + !!state->velocity + !!state->square + !!state->mean; }

/* In room (trial_vectors, size). */
static gd_trial trial_in(double *room, const gd_state *state) {
    int64_t size = state->size;
    gd_trial trial = {.error = NAN, .gradient = room, .weights = room + size};
    room += 2 * size;
    if (state->velocity) trial.velocity = room, room += size;
    if (state->square) trial.square = room, room += size;
    if (state->mean) trial.mean = room;
    return trial;
}

static gd_status evaluate(gd_run *run, double *error, double *gradient) {
    gd_status status = gd_engine_evaluate(&run->engine, run->state->weights, error, gradient);
    if (!status) gd_add_l1(&run->engine.problem, run->state->weights, error, NULL);
    return status;
}

static void copy(const gd_run *run, double *to, const double *from) {
    if (from) memcpy(to, from, sizeof *to * (size_t)run->size);
}

static void save(const gd_run *run, double error, gd_trial *good) {
    const gd_state *state = run->state;
    good->error = error, good->t = state->t, good->path_size = run->report->path.size;
    copy(run, good->gradient, run->gradient);
    copy(run, good->weights, state->weights);
    copy(run, good->velocity, state->velocity);
    copy(run, good->square, state->square);
    copy(run, good->mean, state->mean);
}

static void restore(gd_run *run, const gd_trial *good) {
    gd_state *state = run->state;
    state->t = good->t, run->report->path.size = good->path_size;
    copy(run, run->gradient, good->gradient);
    copy(run, state->weights, good->weights);
    if (state->velocity) copy(run, state->velocity, good->velocity);
    if (state->square) copy(run, state->square, good->square);
    if (state->mean) copy(run, state->mean, good->mean);
}

static double full_gradient_norm(gd_run *run, double *room) {
    double ignored = 0.0;
    memcpy(room, run->gradient, sizeof *room * (size_t)run->size);
    gd_add_l1(&run->engine.problem, run->state->weights, &ignored, room);
    return gd_norm(run->size, room);
}

/* Has a smooth error grown `factor` times over what it was at the start and is at w = 0? That pass is made only once it is
 * in question. Losses with kinks grow linearly and have no such scale: they must leave the finite range. */
static gd_status exploded(gd_run *run, double error, double factor, double *scale, int *answer) {
    if (!gd_loss_is_smooth(run->engine.problem.loss) || error <= factor * *scale) return GD_OK;
    double *zero = gd_alloc(run->size, 8), at_zero = 0.0;
    gd_status status = zero ? gd_engine_evaluate(&run->engine, zero, &at_zero, NULL) : GD_NO_MEMORY;
    gd_release(zero);
    *scale = fmax(*scale, fabs(at_zero));
    if (!status && error > factor * *scale) status = gd_engine_evaluate(&run->engine, run->best, &at_zero, NULL); /* the start */
    *scale = fmax(*scale, fabs(at_zero));
    *answer = error > factor * *scale;
    return status;
}

/* Slow progress is not convergence: along a feature of small scale a rule may hardly move at all. Before it may stop, half the
 * squared Newton decrement, in the metric of a sample of rows, must agree that tol is reached. */
static gd_status certify(gd_run *run, double error, double *suboptimality) {
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

/* Steepest descent on all rows. schedule auto: a step that fails to lower E is taken back and the rate halved (with
 * momentum: the velocity dropped first), a step that succeeds lets it grow by a tenth; so E never rises. */
static gd_status descend_full(gd_run *run, gd_rates *rates, gd_trial *good, double *room) {
    const gd_settings *settings = run->settings;
    gd_state *state = run->state;
    double error, scale, before = INFINITY, least = 0.0;
    gd_status status = evaluate(run, &error, run->gradient);
    if (status) return status;
    if (!isfinite(error) || !gd_all_finite(run->size, run->gradient)) return GD_NOT_FINITE;
    scale = fabs(error);
    run->best_monitor = run->validation.arena ? INFINITY : error;
    save(run, error, good);
    int fresh = 1, stop = 0;
    int64_t refused = 0, slow = 0, patience = 3;
    while (!stop && run->report->n_iter < settings->max_iter) {
        double eta = rate_now(settings, rates, state->t + 1);
        gd_update(&run->engine.problem, settings, state, run->gradient, eta);
        if ((status = evaluate(run, &error, run->gradient))) return status;
        int bad = !isfinite(error) || !gd_all_finite(run->size, run->gradient);
        if (settings->schedule == GD_AUTO && (bad || error > good->error)) {
            restore(run, good); /* but a momentum that led uphill is forgotten */
            if (state->velocity) memset(state->velocity, 0, sizeof *state->velocity * (size_t)run->size);
            if (fresh) rates->eta *= 0.5;
            fresh = 1;
            if (++refused > 100) { /* not even the smallest step lowers E: the end of what doubles can resolve */
                run->report->reason = GD_STOP_PRECISION;
                if ((status = certify(run, good->error, &run->report->suboptimality))) return status;
                break;
            }
            continue;
        }
        if (!bad && (status = exploded(run, error, 1e3, &scale, &bad))) return status;
        if (bad) return diverged(run, error);
        refused = 0;
        fresh = !state->velocity;
        if (settings->schedule == GD_AUTO) rates->eta *= 1.1;
        double gained = good->error - error;
        least = remaining(before, gained);
        before = gained;
        save(run, error, good);
        if ((status = gd_run_record(run, gd_run_weights(run), error, full_gradient_norm(run, room), eta, &stop))) return status;
        good->path_size = run->report->path.size;
        if (stop) break;
        slow = settings->tol >= 0.0 && least <= settings->tol * fabs(error) ? slow + 1 : 0;
        if (slow >= patience) { /* several times in a row, for gains need not shrink evenly */
            double left;
            if ((status = certify(run, error, &left))) return status;
            run->report->suboptimality = fmax(left, least / fmax(fabs(error), DBL_MIN));
            if (left <= settings->tol || fabs(error) <= 1e-14 * scale) {
                run->report->reason = GD_STOP_CONVERGED;
                break;
            }
            slow = 0, patience *= 2; /* the check costs a few passes over its sample */
        }
        if (settings->schedule == GD_ADAPTIVE && settings->tol >= 0.0 && run->stale >= settings->n_iter_no_change) {
            run->stale = 0;
            if ((rates->eta /= 5.0) < 1e-6) {
                run->report->reason = GD_STOP_NO_IMPROVEMENT;
                break;
            }
        }
    }
    run->report->error = good->error;
    return GD_OK;
}

/* ---- mini-batches ---------------------------------------------------------------------------------------------- */

enum { ORDER = 4096, AHEAD = 32 };

/* The order of an epoch, produced a piece at a time. */
typedef struct gd_order {
    gd_shuffle shuffle;
    int shuffled;
    int64_t n, at;       /* rows handed out so far */
    int64_t have, next;  /* of the piece in `rows` */
    int64_t last;        /* size of the batch handed out last */
    int64_t capacity, *rows;
} gd_order;

static void order_start(gd_order *order, const gd_settings *settings, int64_t n, int64_t epoch) {
    order->shuffled = settings->shuffle;
    order->n = n;
    order->at = order->have = order->next = 0;
    if (order->shuffled) gd_shuffle_start(&order->shuffle, n, settings->seed, epoch);
}

/* The next batch of up to `count` rows: NULL means the rows `*first`, `*first` + 1, ... themselves. */
static const int64_t *order_next(gd_order *order, const gd_problem *problem, int64_t count, int64_t *first, int64_t *got) {
    *got = gd_min(count, order->n - order->at);
    *first = order->at;
    order->last = *got;
    order->at += *got;
    if (!order->shuffled) return NULL;
    if (order->have - order->next < *got + AHEAD) {
        int64_t left = order->have - order->next;
        memmove(order->rows, order->rows + order->next, sizeof *order->rows * (size_t)left);
        int64_t fresh = gd_shuffle_next(&order->shuffle, order->capacity - left, order->rows + left);
        if (problem->rows)
            for (int64_t i = left; i < left + fresh; i++) order->rows[i] = problem->rows[order->rows[i]];
        order->have = left + fresh;
        order->next = 0;
    }
    const int64_t *rows = order->rows + order->next;
    order->next += *got;
    *first = 0;
    return rows;
}

/* Entries from the batch just handed out to the end of the piece: rows to come may be fetched ahead. */
static int64_t order_known(const gd_order *order) { return order->have - (order->next - order->last); }

typedef struct gd_epoch_sums { double error, weight, eta; int64_t updates; } gd_epoch_sums;

/* The plain rule has kernels of its own: for one row per update, and for batches of sparse rows. */
static int is_plain(const gd_run *run) {
    const gd_settings *settings = run->settings;
    const gd_problem *problem = &run->engine.problem;
    if (settings->solver != GD_SOLVER_SGD || settings->momentum != 0.0 || settings->keep_path == 2 || problem->lower || problem->upper)
        return 0;
    if (problem->X.indptr) return settings->batch_size >= 1 && settings->batch_size <= ORDER && !(settings->average && problem->l1 > 0.0);
    return settings->batch_size == 1 && !settings->average && problem->n_outputs == 1 && problem->l1 == 0.0;
}

/* As many whole batches as fit into a block. lazy: of sparse rows. */
static gd_status plain_steps(gd_run *run, const gd_rates *rates, gd_order *order, gd_lazy *lazy, gd_epoch_sums *sums) {
    gd_state *state = run->state;
    double eta[GD_BLOCK_ROWS];
    int64_t first, count, batch = run->settings->batch_size;
    int64_t wanted = batch < GD_BLOCK_ROWS ? GD_BLOCK_ROWS / batch * batch : batch;
    const int64_t *rows = order_next(order, &run->engine.problem, wanted, &first, &count);
    int64_t updates = (count + batch - 1) / batch;
    for (int64_t i = 0; i < updates; i++) sums->eta += eta[i] = rate_now(run->settings, rates, state->t + 1 + i);
    gd_steps steps = {.eta = eta, .weights = state->weights, .lazy = lazy};
    gd_status status = gd_engine_steps(&run->engine, rows, order_known(order), first, count, &steps);
    state->t += updates;
    sums->updates += updates;
    sums->error += steps.error;
    sums->weight += steps.weight;
    return status;
}

static gd_status one_batch(gd_run *run, const gd_rates *rates, gd_order *order, gd_epoch_sums *sums) {
    const gd_settings *settings = run->settings;
    gd_state *state = run->state;
    int64_t first, count;
    double error, weight;
    const int64_t *rows = order_next(order, &run->engine.problem, settings->batch_size ? settings->batch_size : order->n, &first, &count);
    gd_status status = gd_engine_batch(&run->engine, rows, order_known(order), first, count, state->weights, &error, run->gradient, &weight);
    if (status) return status;
    double eta = rate_now(settings, rates, state->t + 1);
    gd_update(&run->engine.problem, settings, state, run->gradient, eta);
    sums->error += weight * error;
    sums->weight += weight;
    sums->eta += eta;
    sums->updates++;
    return settings->keep_path == 2 ? gd_run_keep(run, gd_run_weights(run)) : GD_OK;
}

/* lazy->v NULL: rows are not sparse, or the rule is not plain. */
static gd_status epoch_of_batches(gd_run *run, const gd_rates *rates, gd_order *order, gd_lazy *lazy, gd_epoch_sums *sums) {
    int plain = is_plain(run);
    gd_status status = GD_OK;
    memset(sums, 0, sizeof *sums);
    order_start(order, run->settings, run->engine.problem.n, run->state->epoch);
    if (lazy->v) { /* what an epoch costs beside its rows, they may be few */
        if (gd_engine_poll(&run->engine)) return GD_INTERRUPTED;
        gd_lazy_take(lazy, run->state);
    }
    while (!status && order->at < order->n) {
        status = plain ? plain_steps(run, rates, order, lazy, sums) : one_batch(run, rates, order, sums);
        if (!status && !isfinite(sums->error)) status = GD_DIVERGED;
    }
    if (lazy->v) gd_lazy_put(lazy, run->state);
    return status || gd_all_finite(run->size, run->state->weights) ? status : GD_DIVERGED;
}

/* Has the first epoch failed because X is not finite? A pass at w = 0 tells: then scores are not finite only if X is not. */
static gd_status why_not_finite(gd_run *run, double error) {
    double at_zero;
    memset(run->gradient, 0, sizeof *run->gradient * (size_t)run->size);
    gd_status status = gd_engine_evaluate(&run->engine, run->gradient, &at_zero, NULL);
    return status ? status : isfinite(at_zero) ? diverged(run, error) : GD_NOT_FINITE;
}

/* schedule auto: an epoch that left the finite range, or whose mean error is over ten times the error it began with, is to be
 * taken back. good->error, NAN at first, becomes the exact error at its beginning once that is in question. */
static gd_status must_go_back(gd_run *run, const double *before, double error, int bad, gd_trial *good, int *answer) {
    *answer = 0;
    if (!bad && fabs(error) <= 10.0 * fabs(*before)) return GD_OK;
    if (isnan(good->error)) {
        gd_status status = gd_engine_evaluate(&run->engine, good->weights, &good->error, NULL);
        if (status) return status;
        if (isnan(good->error)) good->error = INFINITY;
    }
    *answer = bad || fabs(error) > 10.0 * fabs(good->error) + 1.0;
    return GD_OK;
}

/* Back to where the refused epoch began; one further if that was bad already, by the last update of the epoch before. */
static void go_back(gd_run *run, gd_trial *good, gd_trial *older) {
    if (!isfinite(good->error) && older->t < good->t) {
        gd_trial bad = *good;
        *good = *older, *older = bad;
        good->path_size = bad.path_size; /* its epoch has been recorded */
        older->t = good->t;
    }
    restore(run, good);
}

/* The mean error of an epoch, each batch's taken before its update, plus the penalty at its end. The gradient norm is that
 * of the mean step over the mean rate: for plain sgd, of the mean gradient. */
static void close_epoch(gd_run *run, const gd_epoch_sums *sums, const gd_trial *good, double *room, double *error, double *norm) {
    const gd_problem *problem = &run->engine.problem;
    const double *weights = gd_run_weights(run);
    for (int64_t j = 0; j < run->size; j++) room[j] = run->state->weights[j] - good->weights[j];
    *norm = sums->eta > 0.0 ? gd_norm(run->size, room) / sums->eta : 0.0;
    *error += gd_l2_penalty(problem, weights);
    gd_add_l1(problem, weights, error, NULL);
    run->state->epoch++;
}

/* schedule auto: nobody has seen the weights of the last epoch's last update. Where their error is not finite, those that the
 * epoch began with are returned. */
static gd_status check_last(gd_run *run, const gd_trial *good) {
    double error;
    gd_status status = gd_engine_evaluate(&run->engine, gd_run_weights(run), &error, NULL);
    int64_t kept = run->report->path.size;
    if (!status && !isfinite(error)) restore(run, good);
    run->report->path.size = kept;
    return status;
}

static gd_status descend_batches(gd_run *run, gd_rates *rates, gd_order *order, gd_lazy *lazy, gd_trial *good, gd_trial *older,
                                 double *room) {
    const gd_settings *settings = run->settings;
    double before = NAN, scale = 0.0;
    int stop = 0;
    run->best_monitor = INFINITY;
    for (int64_t refused = 0; !stop && run->report->n_iter < settings->max_iter;) {
        gd_epoch_sums sums;
        if (!refused) {
            gd_trial next = *older;
            *older = *good, *good = next;
            save(run, NAN, good);
        }
        gd_status status = epoch_of_batches(run, rates, order, lazy, &sums);
        if (status && status != GD_DIVERGED) return status;
        double error = sums.weight > 0.0 ? sums.error / sums.weight : 0.0, norm;
        int bad = status != GD_OK, back = 0;
        if (settings->schedule == GD_AUTO) {
            if ((status = must_go_back(run, &before, error, bad, good, &back))) return status;
            if (back && !refused && bad && (status = why_not_finite(run, error)) == GD_NOT_FINITE) return status;
        } else if (bad) return why_not_finite(run, error);
        else if ((status = exploded(run, error, run->state->square ? 1e6 : 1e3, &scale, &bad)) || bad) return status ? status : diverged(run, error);
        if (back) {
            if (++refused > 200) return diverged(run, error);
            go_back(run, good, older);
            rates->eta *= 0.5;
            continue;
        }
        refused = 0;
        before = error;
        close_epoch(run, &sums, good, room, &error, &norm);
        if (!isfinite(error)) return diverged(run, error);
        status = gd_run_record(run, gd_run_weights(run), error, norm, sums.updates ? sums.eta / (double)sums.updates : 0.0, &stop);
        if (status) return status;
        if (!stop && settings->tol >= 0.0 && run->stale >= settings->n_iter_no_change) {
            run->stale = 0;
            if (adapts(settings)) rates->eta /= 5.0;
            if (!adapts(settings) || rates->eta < fmin(1e-6, 1e-3 * rates->eta0)) {
                run->report->reason = GD_STOP_NO_IMPROVEMENT;
                stop = 1;
            }
        }
    }
    gd_status status = settings->schedule == GD_AUTO ? check_last(run, good) : GD_OK;
    if (status || run->report->reason != GD_STOP_NO_IMPROVEMENT) return status;
    status = evaluate(run, &before, run->gradient); /* no improvement where, though? */
    return status ? status : certify(run, before, &run->report->suboptimality);
}

/* ---- the call -------------------------------------------------------------------------------------------------- */

static gd_status descend_rule(gd_run *run) {
    int64_t size = run->size, batch = run->settings->batch_size;
    int full = run->settings->solver == GD_SOLVER_GD || (!batch && !run->settings->shuffle);
    if (batch > run->engine.problem.n) batch = run->engine.problem.n;
    gd_order order = {.capacity = full ? 0 : gd_max(ORDER, 2 * (batch ? batch : run->engine.problem.n) + AHEAD)};
    int64_t vectors = trial_vectors(run->state);
    double *room = gd_alloc((2 * vectors + 1) * size, 8);
    order.rows = gd_alloc(full || !run->settings->shuffle ? 0 : order.capacity, sizeof *order.rows);
    gd_status status = room && order.rows ? GD_OK : GD_NO_MEMORY;
    gd_rates rates = {0};
    gd_lazy lazy = {0};
    if (!status && !full && run->engine.pass.sparse && is_plain(run))
        status = gd_lazy_init(&lazy, &run->engine.problem, run->settings, run->engine.pass.k_pad, run->engine.bias);
    run->report->method = GD_METHOD_RULE;
    if (!status && !full && run->engine.problem.weight.data && !(run->engine.problem.weight_mean > 0.0))
        status = gd_weight_mean(&run->engine.problem, run->engine.hooks, &run->engine.problem.weight_mean);
    if (!status) status = find_rates(run, &rates);
    if (!status) {
        gd_trial good = trial_in(room, run->state), older = trial_in(room + vectors * size, run->state);
        run->path_by_update = !full && run->settings->keep_path == 2;
        status = full ? descend_full(run, &rates, &good, room + 2 * vectors * size)
                      : descend_batches(run, &rates, &order, &lazy, &good, &older, room + 2 * vectors * size);
        if (adapts(run->settings)) run->state->eta = rates.eta;
    }
    gd_lazy_free(&lazy);
    gd_release(order.rows);
    gd_release(room);
    return status;
}

/* The answer, and the exact error at it. */
static gd_status conclude(gd_run *run) {
    double *answer = run->state->answer;
    int best = run->validation.arena && run->report->best_epoch > 0;
    copy(run, answer, best ? run->best : gd_run_weights(run));
    gd_status status = gd_engine_evaluate(&run->engine, answer, &run->report->error, NULL);
    if (!status) gd_add_l1(&run->engine.problem, answer, &run->report->error, NULL);
    return status || isfinite(run->report->error) ? status : diverged(run, run->report->error);
}

/* No step could be taken: the start is the one epoch that there is. */
static gd_status record_start(gd_run *run) {
    double error;
    int stop = 1;
    gd_status status = evaluate(run, &error, run->gradient);
    return status ? status : gd_run_record(run, run->state->weights, error, gd_norm(run->size, run->gradient), run->state->eta, &stop);
}

gd_status gd_descend(const gd_problem *problem, const gd_problem *validation, const gd_settings *settings,
                     const gd_hooks *hooks, gd_epoch_hook on_epoch, gd_state *state, gd_report *report) {
    gd_run run = {.settings = settings, .on_epoch = on_epoch, .context = hooks ? hooks->context : NULL, .state = state,
                  .report = report, .best_monitor = INFINITY};
    unsigned long fp = gd_fp_enter();
    memset(report, 0, sizeof *report);
    report->suboptimality = report->best_validation = NAN;
    run.size = state->size;
    run.n_coef = problem->n_outputs * problem->X.n_cols;
    for (int64_t j = 0; j < gd_min(run.n_coef, run.size); j++) state->weights[j] = gd_clip(problem, j, state->weights[j]);
    if (settings->solver == GD_SOLVER_AUTO && problem->n_outputs > 1 && !problem->softmax && problem->loss != gd_loss_squared_error) {
        gd_status each = gd_descend_outputs(&run, problem, validation, hooks);
        gd_fp_restore(fp);
        return each;
    }
    gd_status status = run.size == run.n_coef + problem->n_outputs ? GD_OK : GD_BAD_ARGUMENT;
    gd_problem fine = *problem; /* near a kink float lanes would see noise only */
    fine.double_lanes |= settings->solver == GD_SOLVER_AUTO && !gd_loss_is_smooth(problem->loss);
    if (!status) status = gd_engine_init(&run.engine, &fine, settings->n_threads, hooks);
    if (!status && validation) status = gd_engine_init(&run.validation, validation, settings->n_threads, hooks);
    double *room = status ? NULL : gd_alloc(2 * run.size, 8);
    if (!status && !room) status = GD_NO_MEMORY;
    if (!status) {
        run.gradient = room, run.best = room + run.size;
        memcpy(run.best, state->weights, sizeof *room * (size_t)run.size);
        if (settings->keep_path) status = gd_run_keep(&run, state->weights);
        if (!status) status = settings->solver == GD_SOLVER_AUTO ? gd_newton(&run) : descend_rule(&run);
        if (!status && report->n_iter == 0) status = record_start(&run);
        if (!status) status = conclude(&run);
        if (status && !gd_all_finite(run.size, state->weights)) copy(&run, state->weights, run.best); /* the start */
        report->n_passes = (int64_t)(run.engine.rows_read / (double)problem->n + 0.5);
        report->missing_threads = run.engine.missing_threads + run.validation.missing_threads;
    }
    gd_release(room);
    gd_engine_free(&run.validation);
    gd_engine_free(&run.engine);
    gd_fp_restore(fp);
    return status;
}
