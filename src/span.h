/* Private to src/: the span of the rows, for problems with many more columns than rows and no penalty but L2.
 *
 * Let X_c be the rows less their mean c (0 without an intercept), K = X_c X_c' = L L', L (n, rank) lower triangular but for rows that
 * depend on those before them. Then X_c = L Q with orthonormal rows Q, and of w only its part in the span of these, w = Q'u, counts for
 * scores and, at the optimum, for the penalty (the representer theorem): X w + b = L u + b + c.w and ||w|| = ||u||. So E of X at (w, b) is
 * E of L at (u, b + c.w), and losses, weights and offsets stay what they are. A gradient (g, h) of that one is (Q'g + h c, h) of this. */
#ifndef GDFAST_SPAN_H
#define GDFAST_SPAN_H

#include "sample.h"

typedef struct gd_span {
    gd_problem problem;       /* the same with L for X, and all of its rows counting */
    const gd_problem *wide;   /* the one with X */
    int64_t rank;
    double *L;                /* (n, rank) */
    int64_t n_pad;
    int64_t *rows;            /* (rank) of X: the pivots, on which all others depend */
    int64_t *places;          /* (rank) of L: the same rows */
    double *center;           /* (d) c */
    double *mean;             /* (rank) Qc */
    double square;            /* mean square of the length of a centred row */
    int clear;                /* rounding of K is far below what no other rows explain of each */
    int n_threads, missing_threads;
    const gd_hooks *hooks;
    double rows_read;
    void *memory;
    gd_gathered gathered;     /* y, weight and offset of the rows that count, if they are some */
} gd_span;

/* One read of X, n^2 d / 2 multiplications. *usable 0: something is not finite, overflows or is all zero; then there is nothing to use. */
gd_status gd_span_init(gd_span *span, const gd_problem *problem, int n_threads, const gd_hooks *hooks, int *usable);
void gd_span_free(gd_span *span);

/* Each of n models, laid out as gd_state: from u (k rank + k) to weights (k d + k), in one read of X for several models; and, for one,
 * back, without what is orthogonal to the rows. */
gd_status gd_span_to_weights(gd_span *span, int64_t n_models, const double *u, double *weights);
gd_status gd_span_from_weights(gd_span *span, const double *weights, double *u);

/* How long the gradient of E of X is, from that of E of L (k rank + k). */
double gd_span_norm(const gd_span *span, const double *gradient);

#endif
