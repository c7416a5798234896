/* Independent outputs that bend differently share neither metric nor step: solver auto takes them one after the other. Each is
 * a problem of one output, and E is the sum of theirs. Epochs are told as those of the whole, where one output moves and the others
 * stand still. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

typedef struct gd_relay {
    gd_run run;                     /* of the whole: validation, records, best weights */
    const gd_hooks *hooks;          /* the caller's */
    int64_t k, d, c;                /* output c is being descended */
    double *errors, *norms;         /* (k) of each output, and the norm of its gradient */
    gd_status status;
} gd_relay;

/* Output c of the problem alone. */
static gd_problem one_output(const gd_problem *problem, int64_t c) {
    gd_problem one = *problem;
    one.n_outputs = 1;
    if (problem->target == GD_CODES) one.first_code = problem->first_code + (int32_t)c;
    else one.y.data += c * one.y.col_stride, one.y.n_cols = 1;
    if (one.offset.data && one.offset.n_cols > 1) one.offset.data += c * one.offset.col_stride, one.offset.n_cols = 1;
    if (one.lower) one.lower += c * one.X.n_cols;
    if (one.upper) one.upper += c * one.X.n_cols;
    return one;
}

/* Weights of output c, (d) and the bias: out of those of the whole, and into them. */
static void take(const gd_relay *relay, const double *all, double *part) {
    memcpy(part, all + relay->c * relay->d, sizeof *part * (size_t)relay->d);
    part[relay->d] = all[relay->k * relay->d + relay->c];
}

static void put(const gd_relay *relay, const double *part, double *all) {
    memcpy(all + relay->c * relay->d, part, sizeof *part * (size_t)relay->d);
    all[relay->k * relay->d + relay->c] = part[relay->d];
}

static int poll(void *context) {
    const gd_hooks *hooks = ((gd_relay *)context)->hooks;
    return hooks && hooks->poll ? hooks->poll(hooks->context) : 0;
}

static int on_epoch(void *context, const gd_epoch *epoch) {
    gd_relay *relay = context;
    double *weights = relay->run.state->weights, error = 0.0;
    int stop = 0;
    put(relay, epoch->weights, weights);
    relay->errors[relay->c] = epoch->error;
    relay->norms[relay->c] = epoch->gradient_norm;
    for (int64_t c = 0; c < relay->k; c++) error += relay->errors[c];
    relay->run.state->t++;
    relay->status = gd_run_record(&relay->run, weights, error, gd_norm(relay->k, relay->norms), epoch->eta, &stop);
    return relay->status ? -1 : stop;
}

/* Where the outputs stand before the first step. */
static gd_status measure(gd_relay *relay, const gd_problem *problem, double *weights, double *gradient) {
    gd_status status = GD_OK;
    for (relay->c = 0; !status && relay->c < relay->k; relay->c++) {
        gd_problem one = one_output(problem, relay->c);
        take(relay, relay->run.state->weights, weights);
        status = gd_error_and_gradient(&one, weights, weights + relay->d, relay->run.settings->n_threads, relay->hooks,
                                       &relay->errors[relay->c], gradient, gradient + relay->d);
        relay->norms[relay->c] = gd_norm(relay->d + problem->fit_intercept, gradient);
    }
    return status;
}

static gd_status descend_one(gd_relay *relay, const gd_problem *problem, double *left) {
    const gd_settings *settings = relay->run.settings;
    gd_report *report = relay->run.report, own;
    int32_t before = report->reason;
    gd_problem one = one_output(problem, relay->c);
    gd_hooks hooks = {.poll = poll, .context = relay};
    gd_state part;
    gd_status status = gd_state_init(&part, settings, relay->d + 1);
    if (status) return status;
    report->reason = GD_STOP_MAX_ITER;
    gd_settings without_path = *settings;
    without_path.keep_path = 0; /* the whole keeps it */
    take(relay, relay->run.state->weights, part.weights);
    status = gd_descend(&one, NULL, &without_path, &hooks, on_epoch, &part, &own);
    put(relay, part.weights, relay->run.state->weights);
    report->n_passes += own.n_passes;
    report->missing_threads += own.missing_threads;
    report->separable |= own.separable;
    report->method = own.method;
    *left += own.suboptimality * fabs(own.error);
    if (report->reason != GD_STOP_VALIDATION && report->reason != GD_STOP_CALLBACK) report->reason = own.reason;
    /* the whole ended as its outputs did; one short of steps counts most */
    if (relay->c > 0 && report->reason != GD_STOP_CALLBACK && before != GD_STOP_CONVERGED && report->reason != GD_STOP_MAX_ITER)
        report->reason = before;
    if (status == GD_DIVERGED) {
        report->error = own.error, report->usable_eta = own.usable_eta;
        report->diverged_epoch = own.diverged_epoch, report->diverged_step = own.diverged_step;
    }
    gd_state_free(&part);
    gd_report_free(&own);
    return relay->status ? relay->status : status;
}

static gd_status descend_each(gd_relay *relay, const gd_problem *problem, double *room) {
    gd_run *run = &relay->run;
    double left = 0.0;
    int stopped = 0;
    gd_status status = measure(relay, problem, room, room + relay->d + 1);
    for (relay->c = 0; !status && !stopped && relay->c < relay->k; relay->c++) {
        run->stale = 0;
        status = descend_one(relay, problem, &left);
        stopped = run->report->reason == GD_STOP_CALLBACK;
        if (status || !run->validates || !run->report->best_epoch) continue;
        take(relay, run->best, room);
        put(relay, room, run->state->weights);
    }
    const double *weights = run->state->weights;
    if (!status)
        status = gd_error_and_gradient(problem, weights, weights + run->n_coef, run->settings->n_threads, relay->hooks,
                                       &run->report->error, NULL, NULL);
    if (!status) memcpy(run->state->answer, weights, sizeof *weights * (size_t)run->size);
    run->report->suboptimality = run->report->error != 0.0 ? left / fabs(run->report->error) : 0.0;
    return status;
}

gd_status gd_descend_outputs(gd_run *run, const gd_problem *problem, const gd_problem *validation, const gd_hooks *hooks) {
    gd_relay relay = {.run = *run, .hooks = hooks, .k = problem->n_outputs, .d = problem->X.n_cols};
    double *room = gd_alloc(2 * relay.k + 2 * (relay.d + 1), 8);
    gd_status status = room ? GD_OK : GD_NO_MEMORY;
    if (!status && validation) status = gd_engine_init(&relay.run.validation, validation, run->settings->n_threads, hooks);
    if (!status) {
        relay.errors = room, relay.norms = relay.errors + relay.k;
        status = descend_each(&relay, problem, relay.norms + relay.k);
    }
    gd_engine_free(&relay.run.validation);
    gd_release(room);
    return status;
}
