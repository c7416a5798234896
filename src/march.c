/* See march.h. The update rules themselves are in updates.h, what they are told and how they go back in rules.c. */
#include "march.h"

#include <float.h>
#include <math.h>

#include "updates.h"

enum { MOST_REFUSED_STEPS = 100, MOST_REFUSED_EPOCHS = 200 };

static void look(gd_march *march, const double *at, int wants, gd_status (*next)(gd_march *)) {
    if (at != march->at) march->knows = 0;
    march->at = at, march->wants = wants, march->next = next;
}

gd_status gd_march_on(gd_march *march) {
    gd_status status;
    do status = march->next(march);
    while (!status && march->at && !(march->wants & ~march->knows));
    return status;
}

gd_status gd_march_alone(gd_march *march) {
    gd_run *run = march->run;
    gd_status status = GD_OK;
    while (!status && march->at) {
        int wants = march->wants & ~march->knows, slope = wants & GD_WANTS_SLOPE;
        if (wants & (GD_WANTS_ERROR | GD_WANTS_SLOPE)) status = gd_engine_evaluate(&run->engine, march->at, &march->error, slope ? run->gradient : NULL);
        if (!status && wants & GD_WANTS_VALIDATION) status = gd_engine_evaluate(&run->validation, march->at, &march->validation, NULL);
        march->knows |= wants | (slope ? GD_WANTS_ERROR : 0);
        if (!status) status = gd_march_on(march);
    }
    return status;
}

/* E with L1, of a smooth part that has been found at march->at. */
static double with_l1(const gd_march *march, double error) {
    gd_add_l1(&march->run->engine.problem, march->at, &error, NULL);
    return error;
}

static gd_status note(gd_march *march, double error, double norm, double eta, int *stop) {
    double validation = march->run->validates ? with_l1(march, march->validation) : NAN;
    return gd_run_note(march->run, march->at, error, validation, norm, eta, stop);
}

/* ---- the end --------------------------------------------------------------------------------------------------- */

static gd_status check_answer(gd_march *march) {
    double error = march->run->report->error = with_l1(march, march->error);
    march->at = NULL;
    return isfinite(error) ? GD_OK : gd_diverged(march->run, error);
}

static gd_status choose_answer(gd_march *march) {
    gd_run *run = march->run;
    gd_copy(run, run->state->answer, run->validates && run->report->best_epoch > 0 ? run->best : gd_run_weights(run));
    look(march, run->state->answer, GD_WANTS_ERROR, check_answer);
    return GD_OK;
}

static gd_status record_start(gd_march *march) {
    int stop = 1;
    gd_status status = note(march, with_l1(march, march->error), gd_norm(march->run->size, march->run->gradient), march->run->state->eta, &stop);
    return status ? status : choose_answer(march);
}

gd_status gd_march_end(gd_march *march) {
    if (march->run->report->n_iter) return choose_answer(march);
    /* no step could be taken: the start is the one epoch that there is */
    look(march, march->run->state->weights, GD_WANTS_SLOPE | (march->run->validates ? GD_WANTS_VALIDATION : 0), record_start);
    return GD_OK;
}

static gd_status leave_rule(gd_march *march) {
    if (gd_rate_adapts(march->run->settings)) march->run->state->eta = march->rates.eta;
    return gd_march_end(march);
}

static gd_status stop_because(gd_march *march, gd_reason reason) {
    march->run->report->reason = reason;
    return leave_rule(march);
}

/* ---- steps judged by E ----------------------------------------------------------------------------------------- */

static gd_status judge_step(gd_march *march);

static gd_status take_step(gd_march *march) {
    gd_run *run = march->run;
    if (run->report->n_iter >= run->settings->max_iter) return leave_rule(march);
    march->eta = gd_rate_now(run->settings, &march->rates, run->state->t + 1);
    gd_update(&run->engine.problem, run->settings, run->state, run->gradient, march->eta);
    march->knows = 0;
    look(march, run->state->weights, GD_WANTS_SLOPE, judge_step);
    return GD_OK;
}

static gd_status start_steps(gd_march *march) {
    gd_run *run = march->run;
    double error = with_l1(march, march->error);
    if (!isfinite(error) || !gd_all_finite(run->size, run->gradient)) return GD_NOT_FINITE;
    march->scale = fabs(error);
    march->before = INFINITY;
    march->fresh = 1, march->patience = 3;
    run->best_monitor = run->validates ? INFINITY : error;
    gd_trial_save(run, error, &march->good);
    return take_step(march);
}

/* E - E* after steps that gained `before` and then `gained`, if gains go on shrinking by the same factor (Aitken). */
static double remaining(double before, double gained) {
    if (!(gained > 0.0)) return gained == 0.0 ? 0.0 : INFINITY;
    double factor = gained / before;
    return factor < 1.0 ? gained * factor / (1.0 - factor) : INFINITY;
}

/* Where gains have become small, is it there? */
static gd_status is_there(gd_march *march, int *answer) {
    gd_run *run = march->run;
    const gd_settings *settings = run->settings;
    double left, size = fabs(march->good.error);
    march->slow = settings->tol >= 0.0 && march->least <= settings->tol * size ? march->slow + 1 : 0;
    if (march->slow < march->patience) return GD_OK; /* several times in a row, for gains need not shrink evenly */
    gd_status status = gd_certify(run, march->good.error, &left);
    run->report->suboptimality = fmax(left, march->least / fmax(size, DBL_MIN));
    *answer = left <= settings->tol || size <= 1e-14 * march->scale;
    march->slow = 0, march->patience *= 2; /* the check costs a few passes over its sample */
    return status;
}

static double full_gradient_norm(const gd_march *march) {
    const gd_run *run = march->run;
    double ignored = 0.0;
    gd_copy(run, march->room, run->gradient);
    gd_add_l1(&run->engine.problem, run->state->weights, &ignored, march->room);
    return gd_norm(run->size, march->room);
}

static gd_status record_step(gd_march *march) {
    gd_run *run = march->run;
    const gd_settings *settings = run->settings;
    int stop = 0, there = 0;
    gd_status status = note(march, march->good.error, full_gradient_norm(march), march->eta, &stop);
    if (status) return status;
    march->good.path_size = run->report->path.size;
    if (stop) return leave_rule(march);
    if ((status = is_there(march, &there))) return status;
    if (there) return stop_because(march, GD_STOP_CONVERGED);
    if (settings->schedule == GD_ADAPTIVE && settings->tol >= 0.0 && run->stale >= settings->n_iter_no_change) {
        run->stale = 0;
        if ((march->rates.eta /= 5.0) < 1e-6) return stop_because(march, GD_STOP_NO_IMPROVEMENT);
    }
    return take_step(march);
}

/* A step that fails to lower E is taken back and the rate halved; with momentum the velocity dropped first. */
static gd_status refuse_step(gd_march *march) {
    gd_run *run = march->run;
    gd_trial_restore(run, &march->good);
    if (run->state->velocity) memset(run->state->velocity, 0, sizeof *run->state->velocity * (size_t)run->size);
    if (march->fresh) march->rates.eta *= 0.5;
    march->fresh = 1;
    if (++march->refused <= MOST_REFUSED_STEPS) return take_step(march);
    /* not even the smallest step lowers E: the end of what doubles can resolve */
    march->knows = 0;
    gd_status status = gd_certify(run, march->good.error, &run->report->suboptimality);
    return status ? status : stop_because(march, GD_STOP_PRECISION);
}

/* schedule auto: E never rises, and a step that lowers it lets the rate grow by a tenth. */
static gd_status judge_step(gd_march *march) {
    gd_run *run = march->run;
    double error = with_l1(march, march->error);
    int bad = !isfinite(error) || !gd_all_finite(run->size, run->gradient), adapts = run->settings->schedule == GD_AUTO;
    if (adapts && (bad || error > march->good.error)) return refuse_step(march);
    gd_status status = bad ? GD_OK : gd_exploded(run, error, 1e3, &march->scale, &bad);
    if (status || bad) return status ? status : gd_diverged(run, error);
    march->refused = 0;
    march->fresh = !run->state->velocity;
    if (adapts) march->rates.eta *= 1.1;
    double gained = march->good.error - error;
    march->least = remaining(march->before, gained);
    march->before = gained;
    gd_trial_save(run, error, &march->good);
    look(march, gd_run_weights(run), run->validates ? GD_WANTS_VALIDATION : 0, record_step);
    return GD_OK;
}

/* ---- epochs ---------------------------------------------------------------------------------------------------- */

static gd_status run_epoch(gd_march *march);
static gd_status finish_epochs(gd_march *march);

static gd_status next_epoch(gd_march *march, int stop) {
    gd_run *run = march->run;
    if (stop || run->report->n_iter >= run->settings->max_iter) return finish_epochs(march);
    look(march, run->state->weights, march->epoch ? 0 : GD_WANTS_SLOPE, run_epoch);
    return GD_OK;
}

static gd_status start_epochs(gd_march *march) {
    march->run->best_monitor = INFINITY;
    march->before = NAN;
    march->scale = march->epoch ? 0.0 : fabs(march->error);
    return next_epoch(march, 0);
}

/* Back to where the refused epoch began; one further if that was bad already, by the last update of the epoch before. */
static gd_status refuse_epoch(gd_march *march) {
    gd_trial *good = &march->good, *older = &march->older;
    if (++march->refused > MOST_REFUSED_EPOCHS) return gd_diverged(march->run, march->loss);
    if (!isfinite(good->error) && older->t < good->t) {
        gd_trial bad = *good;
        *good = *older, *older = bad;
        good->path_size = bad.path_size; /* its epoch has been recorded */
        older->t = good->t;
    }
    gd_trial_restore(march->run, good);
    march->rates.eta *= 0.5;
    march->knows = 0;
    return next_epoch(march, 0);
}

static gd_status record_epoch(gd_march *march) {
    gd_run *run = march->run;
    const gd_settings *settings = run->settings;
    gd_rates *rates = &march->rates;
    int stop = 0;
    gd_status status = note(march, march->loss, march->norm, march->sums.updates ? march->sums.eta / (double)march->sums.updates : 0.0, &stop);
    if (status) return status;
    if (!stop && settings->tol >= 0.0 && run->stale >= settings->n_iter_no_change) {
        run->stale = 0;
        if (gd_rate_adapts(settings)) rates->eta /= 5.0;
        if (!gd_rate_adapts(settings) || rates->eta < fmin(1e-6, 1e-3 * rates->eta0)) {
            run->report->reason = GD_STOP_NO_IMPROVEMENT;
            stop = 1;
        }
    }
    return next_epoch(march, stop);
}

/* The mean error of an epoch, each batch's taken before its update, plus the penalty at its end. The gradient norm is that
 * of the mean step over the mean rate: for plain sgd, of the mean gradient. */
static gd_status accept_epoch(gd_march *march) {
    gd_run *run = march->run;
    const gd_problem *problem = &run->engine.problem;
    const double *weights = gd_run_weights(run);
    march->refused = 0;
    march->before = march->loss;
    for (int64_t j = 0; j < run->size; j++) march->room[j] = run->state->weights[j] - march->good.weights[j];
    march->norm = march->sums.eta > 0.0 ? gd_norm(run->size, march->room) / march->sums.eta : 0.0;
    march->loss += gd_l2_penalty(problem, weights);
    gd_add_l1(problem, weights, &march->loss, NULL);
    run->state->epoch++;
    if (!isfinite(march->loss)) return gd_diverged(run, march->loss);
    int both = !march->epoch && weights == run->state->weights && run->report->n_iter + 1 < run->settings->max_iter; /* the next epoch's too */
    look(march, weights, !run->validates ? 0 : both ? GD_WANTS_VALIDATION | GD_WANTS_SLOPE : GD_WANTS_VALIDATION, record_epoch);
    return GD_OK;
}

/* Was it X that is not finite? At w = 0 scores are not finite only if X is not. */
static gd_status blame(gd_march *march) {
    if (!isfinite(march->error)) return GD_NOT_FINITE;
    return march->run->settings->schedule == GD_AUTO ? refuse_epoch(march) : gd_diverged(march->run, march->loss);
}

static gd_status look_at_zero(gd_march *march) {
    double *zeros = march->run->gradient;
    memset(zeros, 0, sizeof *zeros * (size_t)march->run->size);
    look(march, zeros, GD_WANTS_ERROR, blame);
    return GD_OK;
}

/* schedule auto: an epoch that left the finite range, or whose mean error is over ten times the exact error it began with, is to be taken
 * back. */
static gd_status compare_epoch(gd_march *march) {
    gd_trial *good = &march->good;
    if (isnan(good->error)) good->error = isnan(march->error) ? INFINITY : march->error;
    if (!march->bad && !(fabs(march->loss) > 10.0 * fabs(good->error) + 1.0)) return accept_epoch(march);
    return march->bad && !march->refused ? look_at_zero(march) : refuse_epoch(march);
}

/* Other schedules: has the error grown, measured by that at the start too? */
static gd_status compare_start(gd_march *march) {
    gd_run *run = march->run;
    if (march->epoch) march->scale = fmax(march->scale, fabs(march->error));
    int exploded = march->loss > gd_explosion(run->state) * march->scale;
    return exploded ? gd_diverged(run, march->loss) : accept_epoch(march);
}

static gd_status judge_epoch(gd_march *march) {
    gd_run *run = march->run;
    int exploded = 0;
    if (run->settings->schedule == GD_AUTO) {
        if (!march->bad && fabs(march->loss) <= 10.0 * fabs(march->before)) return accept_epoch(march);
        look(march, march->good.weights, isnan(march->good.error) ? GD_WANTS_ERROR : 0, compare_epoch);
        return GD_OK;
    }
    if (march->bad) return look_at_zero(march);
    gd_status status = gd_exploded(run, march->loss, gd_explosion(run->state), &march->scale, &exploded);
    if (status || !exploded) return status ? status : accept_epoch(march);
    look(march, run->best, march->epoch ? GD_WANTS_ERROR : 0, compare_start);
    return GD_OK;
}

/* An epoch of one update, by the gradient at the weights. */
static gd_status epoch_of_all_rows(gd_march *march) {
    gd_run *run = march->run;
    const gd_problem *problem = &run->engine.problem;
    double loss = march->error - gd_l2_penalty(problem, run->state->weights), eta = gd_rate_now(run->settings, &march->rates, run->state->t + 1);
    gd_update(problem, run->settings, run->state, run->gradient, eta);
    march->sums = (gd_epoch_sums){.error = loss, .weight = 1.0, .eta = eta, .updates = 1};
    return isfinite(loss) && gd_all_finite(run->size, run->state->weights) ? GD_OK : GD_DIVERGED;
}

static gd_status run_epoch(gd_march *march) {
    gd_run *run = march->run;
    if (!march->refused) {
        gd_trial next = march->older;
        march->older = march->good, march->good = next;
        gd_trial_save(run, march->epoch ? NAN : isnan(march->error) ? INFINITY : march->error, &march->good);
    }
    gd_status status = march->epoch ? march->epoch(march->context, &march->sums) : epoch_of_all_rows(march);
    if (status && status != GD_DIVERGED) return status;
    march->knows = 0;
    march->loss = march->sums.weight > 0.0 ? march->sums.error / march->sums.weight : 0.0;
    march->bad = status != GD_OK;
    return judge_epoch(march);
}

static gd_status certify_epochs(gd_march *march) {
    gd_status status = gd_certify(march->run, with_l1(march, march->error), &march->run->report->suboptimality);
    return status ? status : leave_rule(march);
}

/* No improvement where, though? */
static gd_status leave_epochs(gd_march *march) {
    if (march->run->report->reason != GD_STOP_NO_IMPROVEMENT) return leave_rule(march);
    look(march, march->run->state->weights, GD_WANTS_SLOPE, certify_epochs);
    return GD_OK;
}

/* schedule auto: nobody has seen the weights of the last epoch's last update. Where their error is not finite, those that the
 * epoch began with are returned. */
static gd_status check_last(gd_march *march) {
    gd_run *run = march->run;
    int64_t kept = run->report->path.size;
    if (!isfinite(march->error)) gd_trial_restore(run, &march->good), march->knows = 0;
    run->report->path.size = kept;
    return leave_epochs(march);
}

static gd_status finish_epochs(gd_march *march) {
    if (march->run->settings->schedule != GD_AUTO) return leave_epochs(march);
    look(march, gd_run_weights(march->run), GD_WANTS_ERROR, check_last);
    return GD_OK;
}

/* ---- setting out ----------------------------------------------------------------------------------------------- */

int gd_is_judged_by_error(const gd_settings *settings) {
    return settings->solver == GD_SOLVER_GD || (!settings->batch_size && !settings->shuffle);
}

int gd_takes_all_rows(const gd_settings *settings, int64_t n) {
    return settings->solver == GD_SOLVER_GD || settings->batch_size == 0 || settings->batch_size >= n;
}

int64_t gd_march_vectors(const gd_state *state) { return 2 * gd_trial_vectors(state) + 1; }

gd_status gd_march_begin(gd_march *march, double *room) {
    gd_run *run = march->run;
    const gd_settings *settings = run->settings;
    int64_t trial = gd_trial_vectors(run->state) * run->size;
    march->good = gd_trial_in(room, run->state);
    march->older = gd_trial_in(room + trial, run->state);
    march->room = room + 2 * trial;
    look(march, run->state->weights, march->epoch ? 0 : GD_WANTS_SLOPE, gd_is_judged_by_error(settings) ? start_steps : start_epochs);
    return gd_find_rates(run, &march->rates);
}
