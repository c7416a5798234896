/* Independent outputs that bend differently share neither metric nor step: solver auto takes them one after the other. Each is
 * a problem of one output, and E is the sum of theirs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

/* Output c of the problem alone. */
static gd_problem one_output(const gd_problem *problem, int64_t c) {
    gd_problem one = *problem;
    one.n_outputs = 1;
    if (problem->target == GD_CODES) one.first_code = problem->first_code + (int32_t)c;
    else one.y.data += c * one.y.col_stride, one.y.n_cols = 1;
    if (one.offset.data && one.offset.n_cols > 1) one.offset.data += c * one.offset.col_stride, one.offset.n_cols = 1;
    return one;
}

/* An output that ended early stays where it is while the others go on. */
static double at(const gd_curve *curve, int64_t i) { return curve->data[gd_min(i, curve->size - 1)]; }

static gd_status merge(const gd_report *reports, int64_t k, gd_report *report) {
    int64_t n_iter = 0;
    double left = 0.0;
    for (int64_t c = 0; c < k; c++) {
        n_iter = gd_max(n_iter, reports[c].n_iter);
        report->n_passes += reports[c].n_passes;
        report->missing_threads += reports[c].missing_threads;
        report->separable |= reports[c].separable;
        report->method = reports[c].method;
        left += reports[c].suboptimality * fabs(reports[c].error);
        report->error += reports[c].error;
        if (c == 0 || reports[c].reason == GD_STOP_MAX_ITER || report->reason == GD_STOP_CONVERGED) report->reason = reports[c].reason;
    }
    report->n_iter = n_iter;
    report->suboptimality = report->error != 0.0 ? left / fabs(report->error) : 0.0;
    gd_curve *curves[] = {&report->loss, &report->gradient_norm, &report->eta};
    for (int i = 0; i < 3; i++) {
        if (!(curves[i]->data = calloc((size_t)n_iter, sizeof(double)))) return GD_NO_MEMORY;
        curves[i]->size = curves[i]->capacity = n_iter;
    }
    for (int64_t i = 0; i < n_iter; i++) {
        report->eta.data[i] = INFINITY;
        for (int64_t c = 0; c < k; c++) {
            report->loss.data[i] += at(&reports[c].loss, i);
            report->gradient_norm.data[i] = hypot(report->gradient_norm.data[i], at(&reports[c].gradient_norm, i));
            report->eta.data[i] = fmin(report->eta.data[i], at(&reports[c].eta, i));
        }
    }
    return GD_OK;
}

gd_status gd_descend_outputs(const gd_problem *problem, const gd_settings *settings, const gd_hooks *hooks, gd_state *state,
                             gd_report *report) {
    int64_t k = problem->n_outputs, d = problem->X.n_cols;
    gd_report *reports = gd_alloc(k, sizeof *reports);
    gd_status status = reports ? GD_OK : GD_NO_MEMORY;
    for (int64_t c = 0; !status && c < k; c++) {
        gd_problem one = one_output(problem, c);
        gd_state part;
        if ((status = gd_state_init(&part, settings, d + 1))) break;
        memcpy(part.weights, state->weights + c * d, sizeof(double) * (size_t)d);
        part.weights[d] = state->weights[k * d + c];
        status = gd_descend(&one, NULL, settings, hooks, NULL, &part, &reports[c]);
        memcpy(state->weights + c * d, part.weights, sizeof(double) * (size_t)d);
        state->weights[k * d + c] = part.weights[d];
        state->t += part.t;
        gd_state_free(&part);
    }
    if (!status) status = merge(reports, k, report);
    for (int64_t c = 0; reports && c < k; c++) gd_report_free(&reports[c]);
    gd_release(reports);
    return status;
}
