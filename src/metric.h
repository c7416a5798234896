/* Private to src/: the metric that the auto solver descends in, made from the curvature of E at a sample of rows. */
#ifndef GDFAST_METRIC_H
#define GDFAST_METRIC_H

#include "cholesky.h"
#include "run.h"
#include "sample.h"

/* Coordinates. Columns are centred and scaled in algebra only: u_j = (x_j - center_j) scale_j, so that with
 *   w_j = scale_j v_j,   b = b' - sum_j center_j w_j   the scores are the same, z = u.v + b'.
 * A vector of the descent is (k, p): for each output v (d), then b' if there is an intercept; p = d + fit_intercept. */
typedef struct gd_metric {
    gd_engine engine;      /* passes over the rows that the metric is made from */
    int64_t *rows;         /* those rows, NULL: all */
    gd_gathered gathered;  /* copies of those, if they are small */
    gd_columns columns;
    int64_t k, p, p_pad, size; /* size = k p */
    int64_t n_factors;     /* 1: shared by the outputs, or k */
    int diagonal;          /* 1: only the diagonal is kept */
    int joint;             /* 1: one matrix for all outputs together, see joint.h; they have k curvatures nevertheless */
    int64_t order, pad;    /* of a matrix: p and p_pad; joint: size, and that rounded up */
    int proximal;          /* 1: L1 or bounds need the matrix itself (gd_metric_minimise) */
    double *center, *scale;
    double *moment;        /* (d) mean of u^2 over all rows, for columns that the sample hardly sees; 0 for the others */
    double *model;         /* (n_factors, p, p_pad) H, symmetric; or (n_factors, p) its diagonal; joint: (order, pad) */
    double *factor;        /* (as model) Cholesky, in the memory of model; proximal: room of a quadratic */
    double *h, *h_built;   /* (n_factors, m) curvature now, and when the metric was built */
    double *bias;          /* (k) without an intercept to fit: the given biases, which stay */
    double *least;         /* (n_factors, p) smallest pivots */
    const double *row_weight; /* (m) what s of a row is multiplied with, NULL: 1 */
    double row_weight_sum;    /* then: the sum of s times that */
    void *arena;
    int64_t m;             /* rows that each matrix is made from, the more likely the more they bend; 0: all of the engine's */
    int64_t *chosen;       /* (n_factors, m) */
    double *chosen_h;      /* (n_factors, m) */
    int64_t bent_rows;     /* had any curvature when it was built: of each output on average */
    int built;
    gd_engine *watch;      /* whom gd_metric_minimise asks whether to stop, and on which thread */
    int worker;
} gd_metric;

enum { GD_WIDEST_METRIC = 2048 /* columns: beyond, only the diagonal */ };

/* GD_METRIC_JOINT is for softmax and all rows. */
typedef enum gd_metric_kind { GD_METRIC_FULL, GD_METRIC_DIAGONAL, GD_METRIC_JOINT } gd_metric_kind;

/* m rows at most; 0: all of them. */
gd_status gd_metric_init(gd_metric *metric, const gd_problem *problem, int64_t m, gd_metric_kind kind, int float_lanes, int n_threads,
                         const gd_hooks *hooks);
void gd_metric_free(gd_metric *metric);

/* Is it made from all rows that the engine reads, which are all? */
int gd_metric_is_exact(const gd_metric *metric);

/* Does what it says of some columns rest on a guess, where a metric of all n rows, which knows, would not cost too much? */
int gd_metric_guesses(const gd_metric *metric, int64_t n);

/* Build at these weights (gd_run layout), unless the curvature has moved by less than `unless_moved` of itself since. */
gd_status gd_metric_build(gd_metric *metric, const double *weights, double unless_moved);

/* Of a diagonal: the least share that the penalty has in what a weight bends E by. */
double gd_metric_penalty_share(const gd_metric *metric);

/* The next build is for this model; row_weight (m) or NULL, and its sum, as above. */
void gd_metric_aim(gd_metric *metric, const gd_model *model, const double *row_weight, double row_weight_sum);

/* The same columns and coordinates with the penalty of this model and matrices of its own, which are not the metric's to build or free:
 * gd_metric_matrices() doubles, laid out like those at metric->model. */
gd_metric gd_metric_view(const gd_metric *metric, const gd_model *model, double *matrices);
int64_t gd_metric_matrices(const gd_metric *metric);

/* What a view needs for a while to work on some thread: gd_metric_scratch() doubles. */
void gd_metric_lend(gd_metric *view, double *scratch, gd_engine *watch, int worker);
int64_t gd_metric_scratch(const gd_metric *metric);

/* out = M^-1 in, both (size). */
void gd_metric_solve(const gd_metric *metric, const double *in, double *out);

/* in' M^-1 in; not of a diagonal. room (size) */
double gd_metric_norm(const gd_metric *metric, const double *in, double *room);

/* Where L1 or bounds act: x (p) = argmin gradient.delta + delta'H delta / 2 + l1 ||w||_1 within the bounds, x = v + delta, for one output.
 * Returns how much less that is than at v. joint: for all outputs at once, output 0. */
double gd_metric_minimise(gd_metric *metric, int64_t output, const double *v, const double *gradient, double *x);

/* What a pass may be off by for rounding in the slope of E along p (p), one output, where scores are about 1. */
double gd_metric_rounding(const gd_metric *metric, const double *p);

/* The nearest value to v that weight j of an output may have; the bias, j = d, any. */
double gd_metric_clip(const gd_metric *metric, int64_t output, int64_t j, double v);

/* Weights (k d, k) <-> descent coordinates (k, p). */
void gd_metric_gradient(const gd_metric *metric, const double *gradient, double *out);
void gd_metric_to_weights(const gd_metric *metric, const double *v, double *weights);
void gd_metric_from_weights(const gd_metric *metric, const double *weights, double *v);

#endif
