#include "descend.h"

#include <math.h>
#include <string.h>

gd_settings plain_settings(int solver) {
    return (gd_settings){.solver = solver, .schedule = GD_CONSTANT, .eta0 = 0.05, .power_t = 0.25, .beta_1 = 0.9, .beta_2 = 0.999,
                         .seed = 7, .max_iter = 5, .tol = -1.0, .n_iter_no_change = 5, .n_threads = 1};
}

outcome descend(const gd_problem *problem, const gd_problem *validation, const gd_settings *settings, const double *start,
                const gd_hooks *hooks, gd_epoch_hook on_epoch) {
    outcome o;
    int64_t size = problem->n_outputs * (problem->X.n_cols + 1);
    memset(&o, 0, sizeof o);
    o.status = gd_state_init(&o.state, settings, size);
    if (o.status) return o;
    if (start) memcpy(o.state.weights, start, sizeof *start * (size_t)size);
    o.status = gd_descend(problem, validation, settings, hooks, on_epoch, &o.state, &o.report);
    return o;
}

void outcome_free(outcome *o) {
    gd_state_free(&o->state);
    gd_report_free(&o->report);
}

static int curves_equal(const gd_curve *a, const gd_curve *b) {
    return a->size == b->size && (!a->size || !memcmp(a->data, b->data, sizeof *a->data * (size_t)a->size));
}

int outcomes_equal(const outcome *a, const outcome *b) {
    const gd_report *p = &a->report, *q = &b->report;
    return a->status == b->status && p->reason == q->reason && p->n_iter == q->n_iter && p->error == q->error &&
           !memcmp(a->state.answer, b->state.answer, sizeof(double) * (size_t)a->state.size) && curves_equal(&p->loss, &q->loss) &&
           curves_equal(&p->validation, &q->validation) && curves_equal(&p->gradient_norm, &q->gradient_norm) &&
           curves_equal(&p->eta, &q->eta) && curves_equal(&p->path, &q->path);
}

static int all_finite(const double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

int outcome_finite(const outcome *o) {
    return all_finite(o->state.answer, o->state.size) && isfinite(o->report.error) && all_finite(o->report.loss.data, o->report.loss.size) &&
           all_finite(o->report.gradient_norm.data, o->report.gradient_norm.size);
}
