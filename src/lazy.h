/* Private to src/: weights of CSR rows under plain mini-batch steps. A step costs the entries of its rows, not d: what a penalty
 * does to all weights is kept in two numbers and made up for when a weight is next needed.
 *
 *   L2: w = scale v, and w <- (1 - eta l2) w is scale <- (1 - eta l2) scale (Bottou 2012, section 5.1).
 *   L1: soft thresholds of successive steps add up. In units of v that of a step is eta l1 / |scale|; `due` is their sum, and a
 *       weight last brought up to date at due = paid[j] has become soft(v_j, due - paid[j]) (Duchi & Singer 2009, section 5.3).
 *   averages: the sum of w over updates is sum + scale_sum v, if each change of v by delta takes scale_sum delta off sum
 *       (Xu 2011, section 5.1). Not together with L1.
 */
#ifndef GDFAST_LAZY_H
#define GDFAST_LAZY_H

#include "gdfast.h"

typedef struct gd_lazy {
    int64_t d, k, k_pad;
    double *v;         /* (d, k_pad), padding 0 */
    double *bias;      /* (k) */
    double *paid;      /* (d), NULL without L1 */
    double *sum;       /* (d, k_pad), NULL without averaging */
    double *bias_sum;  /* (k) */
    double *slopes;    /* (batch, k_pad) dE/dz of a batch, padding 0 */
    double scale, due, scale_sum;
    int64_t batch;     /* rows per update */
    int64_t t, average; /* updates done; the one from which weights are averaged, 0 for never */
    void *arena;
} gd_lazy;

/* bias: where the kernels look for it. */
gd_status gd_lazy_init(gd_lazy *lazy, const gd_problem *problem, const gd_settings *settings, int64_t k_pad, double *bias);
void gd_lazy_free(gd_lazy *lazy);

void gd_lazy_take(gd_lazy *lazy, const gd_state *state); /* begin where the state stands */
void gd_lazy_put(gd_lazy *lazy, gd_state *state);        /* bring the state up to date */

/* Everything up to date at scale 1, and w <- factor w: before scale leaves the range where 1 / scale is exact enough. */
void gd_lazy_flush(gd_lazy *lazy, double factor);

#endif
