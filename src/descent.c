/* A descent: its state, and the call that runs whatever solver is asked for. */
#include <math.h>
#include <string.h>

#include "conjugate.h"
#include "dual.h"
#include "march.h"
#include "squared.h"
#include "threads.h"
#include "updates.h"
#include "wide.h"
#include "working.h"

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

/* ---- the call -------------------------------------------------------------------------------------------------- */

/* Epochs may divide by a mean weight that is that of other rows. */
static int steps_on_all_rows(const gd_run *run) {
    const gd_problem *problem = &run->engine.problem;
    int own_mean = problem->weight_mean == 0.0 || (problem->weight_mean == 1.0 && !problem->weight.data);
    return gd_is_judged_by_error(run->settings) || (own_mean && gd_takes_all_rows(run->settings, problem->n));
}

static gd_status descend_rule(gd_run *run) {
    gd_problem *problem = &run->engine.problem;
    double *room = gd_alloc(gd_march_vectors(run->state) * run->size, 8);
    gd_march march = {.run = run};
    gd_status status = room ? GD_OK : GD_NO_MEMORY;
    run->report->method = GD_METHOD_RULE;
    if (!status && steps_on_all_rows(run)) {
        status = gd_march_begin(&march, room);
        if (!status) status = gd_march_alone(&march);
    } else if (!status) {
        if (problem->weight.data && !(problem->weight_mean > 0.0))
            status = gd_weight_mean(problem, run->engine.hooks, &problem->weight_mean);
        if (!status) status = gd_descend_batches(run, room);
    }
    gd_release(room);
    return status;
}

/* The last epoch is the answer, and its error known. */
static gd_status end_at_last(gd_run *run) {
    memcpy(run->state->answer, run->state->weights, sizeof *run->state->answer * (size_t)run->size);
    run->report->error = run->report->loss.data[run->report->loss.size - 1];
    return GD_OK;
}

static gd_status descend_auto(gd_run *run) {
    gd_march march = {.run = run};
    int there = 0;
    gd_status status = GD_OK;
    if (gd_takes_moments(&run->engine.problem, run->settings)) status = gd_descend_moments(run, &there);
    else if (gd_takes_conjugate(&run->engine.problem, run->settings)) status = gd_descend_conjugate(run, &there);
    else if (gd_takes_working_sets(&run->engine.problem)) status = gd_descend_working(run, &there);
    if (!status && there && !run->validates) return end_at_last(run);
    if (!status && !there) status = gd_newton(run);
    if (!status) status = gd_march_end(&march);
    return status ? status : gd_march_alone(&march);
}

static gd_status descend_all(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks) {
    int solves = run->settings->solver == GD_SOLVER_AUTO, n_threads = run->settings->n_threads;
    gd_problem fine = *problem; /* near a kink float lanes would see noise only */
    fine.double_lanes |= solves && !gd_loss_is_smooth(problem->loss);
    gd_status status = gd_engine_init(&run->engine, &fine, n_threads, hooks);
    if (!status && validation) status = gd_engine_init(&run->validation, validation, n_threads, hooks);
    if (!status) status = solves ? descend_auto(run) : descend_rule(run);
    run->report->n_passes += (int64_t)(run->engine.rows_read / fmax((double)problem->n, 1.0) + 0.5);
    run->report->missing_threads += run->engine.missing_threads + run->validation.missing_threads;
    gd_engine_free(&run->validation);
    gd_engine_free(&run->engine);
    return status;
}

gd_status gd_descend(const gd_problem *problem, const gd_problem *validation, const gd_settings *settings,
                     const gd_hooks *hooks, gd_epoch_hook on_epoch, gd_state *state, gd_report *report) {
    gd_run run = {.settings = settings, .on_epoch = on_epoch, .context = hooks ? hooks->context : NULL, .state = state,
                  .report = report, .validates = validation != NULL};
    unsigned long fp = gd_fp_enter();
    memset(report, 0, sizeof *report);
    double *room = gd_alloc(2 * state->size, 8);
    gd_status status = room ? gd_run_start(&run, problem, room) : GD_NO_MEMORY;
    int one_by_one = problem->n_outputs > 1 && !problem->softmax && problem->loss != gd_loss_squared_error;
    int solves = settings->solver == GD_SOLVER_AUTO, there = 0;
    if (!status && solves && gd_is_wide(problem) && !(one_by_one && validation)) /* outputs stop early one by one */
        status = gd_descend_wide(&run, problem, validation, hooks, &there);
    else if (!status && solves && !one_by_one && gd_is_dual(problem, settings))
        status = gd_descend_dual(&run, problem, validation, hooks, &there);
    if (!status && !there) status = solves && one_by_one ? gd_descend_outputs(&run, problem, validation, hooks)
                                                         : descend_all(&run, problem, validation, hooks);
    if (status && room) gd_run_recover(&run);
    gd_release(room);
    gd_fp_restore(fp);
    return status;
}
