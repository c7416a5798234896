/* See lazy.h. What is here touches all weights, and is called once an epoch or more rarely. */
#include "lazy.h"

#include <math.h>
#include <string.h>

#include "engine.h"
#include "updates.h"

gd_status gd_lazy_init(gd_lazy *lazy, const gd_problem *problem, const gd_settings *settings, int64_t k_pad, double *bias) {
    int64_t d = problem->X.n_cols, k = problem->n_outputs, size = d * k_pad, with_l1 = problem->l1 > 0.0, averaged = settings->average > 0;
    *lazy = (gd_lazy){.d = d, .k = k, .k_pad = k_pad, .bias = bias, .batch = settings->batch_size, .average = settings->average, .scale = 1.0};
    double *at = lazy->arena = gd_alloc(size * (1 + averaged) + with_l1 * d + k + lazy->batch * k_pad, 8);
    if (!at) return GD_NO_MEMORY;
    lazy->v = at, at += size;
    if (averaged) lazy->sum = at, at += size;
    if (with_l1) lazy->paid = at, at += d;
    lazy->bias_sum = at, at += k;
    lazy->slopes = at;
    return GD_OK;
}

void gd_lazy_free(gd_lazy *lazy) { gd_release(lazy->arena); }

static double averaged_updates(const gd_lazy *lazy) { return (double)(lazy->t - lazy->average + 1); }

void gd_lazy_take(gd_lazy *lazy, const gd_state *state) {
    int64_t d = lazy->d, k = lazy->k;
    lazy->t = state->t;
    lazy->scale = 1.0, lazy->due = lazy->scale_sum = 0.0;
    double updates = lazy->sum && lazy->t >= lazy->average ? averaged_updates(lazy) : 0.0;
    if (lazy->paid) memset(lazy->paid, 0, sizeof *lazy->paid * (size_t)d);
    for (int64_t c = 0; c < k; c++) {
        for (int64_t j = 0; j < d; j++) lazy->v[j * lazy->k_pad + c] = state->weights[c * d + j];
        lazy->bias[c] = state->weights[k * d + c];
        if (!lazy->sum) continue;
        for (int64_t j = 0; j < d; j++) lazy->sum[j * lazy->k_pad + c] = updates * state->mean[c * d + j];
        lazy->bias_sum[c] = updates * state->mean[k * d + c];
    }
}

void gd_lazy_flush(gd_lazy *lazy, double factor) {
    for (int64_t j = 0; j < lazy->d; j++)
        for (int64_t c = 0; c < lazy->k; c++) {
            double *v = &lazy->v[j * lazy->k_pad + c];
            if (lazy->sum) lazy->sum[j * lazy->k_pad + c] += lazy->scale_sum * *v;
            if (lazy->paid) *v = gd_soft(*v, lazy->due - lazy->paid[j]);
            *v *= lazy->scale * factor;
        }
    if (lazy->paid) memset(lazy->paid, 0, sizeof *lazy->paid * (size_t)lazy->d);
    lazy->scale = 1.0, lazy->due = lazy->scale_sum = 0.0;
}

void gd_lazy_put(gd_lazy *lazy, gd_state *state) {
    int64_t d = lazy->d, k = lazy->k;
    gd_lazy_flush(lazy, 1.0);
    state->t = lazy->t;
    int averages = lazy->sum && lazy->t >= lazy->average;
    double share = averages ? 1.0 / averaged_updates(lazy) : 0.0;
    for (int64_t c = 0; c < k; c++) {
        for (int64_t j = 0; j < d; j++) state->weights[c * d + j] = lazy->v[j * lazy->k_pad + c];
        state->weights[k * d + c] = lazy->bias[c];
        if (!averages) continue;
        for (int64_t j = 0; j < d; j++) state->mean[c * d + j] = share * lazy->sum[j * lazy->k_pad + c];
        state->mean[k * d + c] = share * lazy->bias_sum[c];
    }
}
