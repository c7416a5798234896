/* A descent: its state, steps on all rows, and the call that runs whatever solver is asked for. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "rules.h"
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

/* ---- full batch ------------------------------------------------------------------------------------------------ */

/* E - E* after steps that gained `before` and then `gained`, if gains go on shrinking by the same factor (Aitken). */
static double remaining(double before, double gained) {
    if (!(gained > 0.0)) return gained == 0.0 ? 0.0 : INFINITY;
    double factor = gained / before;
    return factor < 1.0 ? gained * factor / (1.0 - factor) : INFINITY;
}

static double full_gradient_norm(gd_run *run, double *room) {
    double ignored = 0.0;
    memcpy(room, run->gradient, sizeof *room * (size_t)run->size);
    gd_add_l1(&run->engine.problem, run->state->weights, &ignored, room);
    return gd_norm(run->size, room);
}

/* Steepest descent on all rows. schedule auto: a step that fails to lower E is taken back and the rate halved (with
 * momentum: the velocity dropped first), a step that succeeds lets it grow by a tenth; so E never rises. */
static gd_status descend_full(gd_run *run, gd_rates *rates, double *room) {
    gd_trial trial = gd_trial_in(room, run->state), *good = &trial;
    room += gd_trial_vectors(run->state) * run->size;
    const gd_settings *settings = run->settings;
    gd_state *state = run->state;
    double error, scale, before = INFINITY, least = 0.0;
    gd_status status = gd_rule_error(run, &error, run->gradient);
    if (status) return status;
    if (!isfinite(error) || !gd_all_finite(run->size, run->gradient)) return GD_NOT_FINITE;
    scale = fabs(error);
    run->best_monitor = run->validation.arena ? INFINITY : error;
    gd_trial_save(run, error, good);
    int fresh = 1, stop = 0;
    int64_t refused = 0, slow = 0, patience = 3;
    while (!stop && run->report->n_iter < settings->max_iter) {
        double eta = gd_rate_now(settings, rates, state->t + 1);
        gd_update(&run->engine.problem, settings, state, run->gradient, eta);
        if ((status = gd_rule_error(run, &error, run->gradient))) return status;
        int bad = !isfinite(error) || !gd_all_finite(run->size, run->gradient);
        if (settings->schedule == GD_AUTO && (bad || error > good->error)) {
            gd_trial_restore(run, good); /* but a momentum that led uphill is forgotten */
            if (state->velocity) memset(state->velocity, 0, sizeof *state->velocity * (size_t)run->size);
            if (fresh) rates->eta *= 0.5;
            fresh = 1;
            if (++refused > 100) { /* not even the smallest step lowers E: the end of what doubles can resolve */
                run->report->reason = GD_STOP_PRECISION;
                if ((status = gd_certify(run, good->error, &run->report->suboptimality))) return status;
                break;
            }
            continue;
        }
        if (!bad && (status = gd_exploded(run, error, 1e3, &scale, &bad))) return status;
        if (bad) return gd_diverged(run, error);
        refused = 0;
        fresh = !state->velocity;
        if (settings->schedule == GD_AUTO) rates->eta *= 1.1;
        double gained = good->error - error;
        least = remaining(before, gained);
        before = gained;
        gd_trial_save(run, error, good);
        if ((status = gd_run_record(run, gd_run_weights(run), error, full_gradient_norm(run, room), eta, &stop))) return status;
        good->path_size = run->report->path.size;
        if (stop) break;
        slow = settings->tol >= 0.0 && least <= settings->tol * fabs(error) ? slow + 1 : 0;
        if (slow >= patience) { /* several times in a row, for gains need not shrink evenly */
            double left;
            if ((status = gd_certify(run, error, &left))) return status;
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

/* ---- the call -------------------------------------------------------------------------------------------------- */

static gd_status descend_rule(gd_run *run) {
    const gd_settings *settings = run->settings;
    gd_problem *problem = &run->engine.problem;
    int full = settings->solver == GD_SOLVER_GD || (!settings->batch_size && !settings->shuffle);
    double *room = gd_alloc((2 * gd_trial_vectors(run->state) + 1) * run->size, 8);
    gd_status status = room ? GD_OK : GD_NO_MEMORY;
    gd_rates rates = {0};
    run->report->method = GD_METHOD_RULE;
    if (!status && !full && problem->weight.data && !(problem->weight_mean > 0.0))
        status = gd_weight_mean(problem, run->engine.hooks, &problem->weight_mean);
    if (!status) status = gd_find_rates(run, &rates);
    if (!status) status = full ? descend_full(run, &rates, room) : gd_descend_batches(run, &rates, room);
    if (!status && gd_rate_adapts(settings)) run->state->eta = rates.eta;
    gd_release(room);
    return status;
}

/* The answer, and the exact error at it. */
static gd_status conclude(gd_run *run) {
    double *answer = run->state->answer;
    int best = run->validation.arena && run->report->best_epoch > 0;
    gd_copy(run, answer, best ? run->best : gd_run_weights(run));
    gd_status status = gd_engine_evaluate(&run->engine, answer, &run->report->error, NULL);
    if (!status) gd_add_l1(&run->engine.problem, answer, &run->report->error, NULL);
    return status || isfinite(run->report->error) ? status : gd_diverged(run, run->report->error);
}

/* No step could be taken: the start is the one epoch that there is. */
static gd_status record_start(gd_run *run) {
    double error;
    int stop = 1;
    gd_status status = gd_rule_error(run, &error, run->gradient);
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
        if (status && !gd_all_finite(run.size, state->weights)) gd_copy(&run, state->weights, run.best); /* the start */
        report->n_passes = (int64_t)(run.engine.rows_read / (double)problem->n + 0.5);
        report->missing_threads = run.engine.missing_threads + run.validation.missing_threads;
    }
    gd_release(room);
    gd_engine_free(&run.validation);
    gd_engine_free(&run.engine);
    gd_fp_restore(fp);
    return status;
}
