/* Private to src/: the metric that the auto solver descends in, made from the curvature of E at a sample of rows. */
#ifndef GDFAST_METRIC_H
#define GDFAST_METRIC_H

#include "run.h"

/* Coordinates. Columns are centred and scaled in algebra only: u_j = (x_j - center_j) scale_j, so that with
 *   w_j = scale_j v_j,   b = b' - sum_j center_j w_j   the scores are the same, z = u.v + b'.
 * A vector of the descent is (k, p): for each output v (d), then b' if there is an intercept; p = d + fit_intercept. */
typedef struct gd_metric {
    gd_engine engine;      /* passes over the rows that the metric is made from */
    int64_t *rows;         /* those rows, NULL: all */
    gd_columns columns;
    int64_t k, p, p_pad, size; /* size = k p */
    int64_t n_factors;     /* 1: shared by the outputs, or k */
    int diagonal;          /* 1: only the diagonal is kept */
    int keep_model;        /* 1: the matrix itself is needed beside its factor (L1) */
    double *center, *scale;
    double *moment;        /* (d) mean of u^2 over all rows, for columns that the sample hardly sees; 0 for the others */
    double *model;         /* (n_factors, p, p_pad) H, symmetric; or (n_factors, p) its diagonal */
    double *factor;        /* (n_factors, p, p_pad) Cholesky; the same memory as model unless keep_model */
    double *h, *h_built;   /* (n_factors, m) curvature now, and when the metric was built */
    double *bias;          /* (k) without an intercept to fit: the given biases, which stay */
    double *least;         /* (p) smallest pivots */
    void *arena, *room;    /* room: scratch of the gram tasks */
    int built;
} gd_metric;

/* m rows at most; 0: all of them. */
gd_status gd_metric_init(gd_metric *metric, const gd_problem *problem, int64_t m, int diagonal, int float_lanes, int n_threads,
                         const gd_hooks *hooks);
void gd_metric_free(gd_metric *metric);

/* Row numbers (m), one in each of m equal stretches of a problem's rows; NULL if out of memory. */
int64_t *gd_sample_rows(const gd_problem *problem, int64_t m);

/* U'U x = in, U (p, p_pad) as gd_kernels.cholesky leaves it. */
void gd_cholesky_solve(int64_t p, int64_t p_pad, const double *U, const double *in, double *x);

/* Build at these weights (gd_run layout), unless the curvature has moved by less than `unless_moved` of itself since. */
gd_status gd_metric_build(gd_metric *metric, const double *weights, double unless_moved);

/* How many rows (over all outputs) had any curvature when the metric was built. */
int64_t gd_metric_bent_rows(const gd_metric *metric);

/* out = M^-1 in, both (size). */
void gd_metric_solve(const gd_metric *metric, const double *in, double *out);

/* Weights (k d, k) <-> descent coordinates (k, p). */
void gd_metric_gradient(const gd_metric *metric, const double *gradient, double *out);
void gd_metric_to_weights(const gd_metric *metric, const double *v, double *weights);
void gd_metric_from_weights(const gd_metric *metric, const double *weights, double *v);

#endif
