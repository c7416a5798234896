/* gdfast: training linear neurons by the gradient descent rule.
 *
 * The C API. Plain C11: no globals that change after gd_init(), no output, no exit; every call returns a status.
 *
 * A neuron reads n samples X (n, d), has weights w (d) and a bias b, and answers z = Xw + b. For k outputs the
 * weights are (k, d), row-major, and the biases (k). The error that everything here evaluates and descends is
 *
 *     E(w, b) = sum_i s_i loss(y_i, x_i.w + b + offset_i) / sum_i s_i + l2/2 ||w||^2 + l1 ||w||_1
 *
 * Determinism: rows are cut into blocks of GD_BLOCK_ROWS by their number, sums inside a block run over fixed lanes in
 * a fixed order, and block sums (double) combine in a fixed binary tree. Results do not depend on the number of
 * threads, on the layout of X, nor on whether AVX2 or AVX-512 is used.
 */
#ifndef GDFAST_H
#define GDFAST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever something declared here changes in a way that a caller compiled before would notice: a field, a value,
 * an argument. New functions leave it as it is. Callers that did not compile the engine themselves compare it with
 * gd_api_version(). */
#define GD_API_VERSION 2

enum { GD_BLOCK_ROWS = 256 };

/* What a call came to. Python turns everything but GD_OK into an exception. */
typedef enum gd_status {
    GD_OK = 0,
    GD_NO_MEMORY,    /* an allocation failed; nothing leaks */
    GD_BAD_ARGUMENT, /* a struct breaks a rule stated below */
    GD_NOT_FINITE,   /* the very first pass met NaN or infinity: see gd_find_not_finite */
    GD_DIVERGED,     /* error or weights left the finite range: see gd_report */
    GD_BAD_ROWS,     /* the structure of CSR rows is broken: an index that is no column, entries that are not there */
    GD_INTERRUPTED   /* a hook asked to stop at once */
} gd_status;

/* Stored types, all read in place. Compute runs in double for GD_F64, the 32- and 64-bit integers and sparse rows, in float
 * lanes with double block sums for the rest. */
typedef enum gd_type {
    GD_F64, GD_F32, GD_F16, GD_U8, GD_I8, GD_U16, GD_I16, GD_U32, GD_I32, GD_U64, GD_I64,
    GD_N_TYPES
} gd_type;

/* A matrix somebody else owns and nobody here writes to. data == NULL means "absent" where that is allowed.
 * Strided, if indptr is NULL: strides are in bytes, of any sign, also 0; elements may be unaligned and byte-swapped.
 * Sparse rows (CSR), if it is not, which only X may be: row i is entries indptr[i] ... indptr[i + 1] - 1 of data, native and
 * aligned GD_F32 or GD_F64, in the columns that indices names, in any order; entries of the same place add up. At most INT32_MAX
 * columns. Whoever changes data, indices or indptr during a call gets a wrong answer or GD_BAD_ROWS, no more. */
typedef struct gd_matrix {
    const char *data;
    int64_t n_rows, n_cols;
    int64_t row_stride, col_stride;
    int32_t type;        /* gd_type */
    int32_t swapped;     /* 1: the bytes of each element are in the other order */
    const void *indices; /* CSR: (n_stored) column numbers */
    const void *indptr;  /* CSR: (n_rows + 1) */
    int64_t n_stored;    /* CSR: how long data and indices are */
    int32_t wide;        /* CSR: indices and indptr are int64_t, else int32_t */
} gd_matrix;

/* How y is to be read. */
typedef enum gd_target {
    GD_VALUES, /* y (n, k): the values themselves */
    GD_CODES   /* y (n, 1): class codes; output j sees "is it first_code + j": 1 or 0, for margin losses +1 or -1 */
} gd_target;

/* Everything the error is made of. rows, if set, lists the n rows of X, y, weight and offset that count. */
typedef struct gd_problem {
    gd_matrix X;          /* (., d) samples */
    gd_matrix y;          /* (., k) values or (., 1) codes */
    gd_matrix weight;     /* (., 1) s >= 0, absent: all 1 */
    gd_matrix offset;     /* (., k) or (., 1), absent: 0 */
    const int64_t *rows;  /* (n) row numbers, or NULL: 0 ... n-1 */
    int64_t n;            /* how many rows count */
    int64_t n_outputs;    /* k >= 1 */
    int32_t loss;         /* gd_loss */
    int32_t target;       /* gd_target */
    int32_t first_code;   /* of output 0, see gd_target; 0 for all classes, 1 for k = 1 and codes 0 and 1 */
    int32_t softmax;      /* 1: one distribution over the k outputs (log_loss), 0: independent outputs */
    int32_t fit_intercept;
    double weight_mean;   /* what mini-batches divide s by; 0: the mean of s over the rows that count, which gd_descend finds */
    double loss_param;    /* huber: epsilon; quantile: level; (squared_)epsilon_insensitive: epsilon */
    double smoothing;     /* > 0: kinks of the piecewise linear losses are rounded off over this width */
    double l2, l1;        /* strengths of the two penalties */
    const double *lower, *upper; /* (k, d) bounds of the weights, NULL: none; lower <= upper. Infinite ones do not bind */
    int32_t double_lanes; /* 1: compute in double whatever the stored type; -1: in float */
} gd_problem;

/* Hooks: called by the calling thread only, between blocks, never inside a kernel. NULL where not wanted.
 * poll, at most every 20 ms: return non-zero to end the call with GD_INTERRUPTED.
 * arrived, as many models descend together: about how many of them have ended, after each read of X that they share; the same to return.
 * The number may fall: models that seemed to have arrived may have to go on. */
typedef struct gd_hooks {
    int (*poll)(void *context);
    void *context;
    int (*arrived)(void *context, int64_t n_models);
} gd_hooks;

/* ---- one pass ------------------------------------------------------------------------------------------------- */

/* E and its gradient from one read of X.
 *   coef (k, d), intercept (k), grad_coef (k, d) or NULL, grad_intercept (k) or NULL.
 * With l1 > 0 the gradient of the L1 part is the subgradient of least norm. */
gd_status gd_error_and_gradient(const gd_problem *problem, const double *coef, const double *intercept, int n_threads,
                                const gd_hooks *hooks, double *error, double *grad_coef, double *grad_intercept);

/* E at many points from one read of X, without gradients: of the error surface, say.
 *   coef (n_points, k, d), intercept (n_points, k), error (n_points).
 * Scores are double whatever is stored. narrow: log_loss of one output goes on from them in float, in half the time, and is off by
 * less than 1e-6 of itself and 1e-36. On a plane of the weights of many features, their scores at its origin are the offset, those of its
 * two directions the columns of X: each row costs a point two products however many features there are. */
gd_status gd_errors(const gd_problem *problem, int64_t n_points, const double *coef, const double *intercept, int narrow, int n_threads,
                    const gd_hooks *hooks, double *error);

/* z = X w + b + offset for every row that counts. out (n, k), row-major, double or (out_is_float) float. */
gd_status gd_scores(const gd_problem *problem, const double *coef, const double *intercept, int n_threads,
                    const gd_hooks *hooks, void *out, int out_is_float);

/* The first element (in row order) of a strided matrix that is NaN or infinite; *row = -1 if there is none. */
gd_status gd_find_not_finite(const gd_matrix *X, const int64_t *rows, int64_t n, const gd_hooks *hooks, int64_t *row,
                             int64_t *col);

/* ---- many models ---------------------------------------------------------------------------------------------- */

/* One of several models that share every read of X: weights (k, d) and biases (k) of its own, and an error of its own. */
typedef struct gd_model {
    int32_t loss;                 /* gd_loss; with softmax that of the problem */
    double loss_param, l2, l1;    /* as in gd_problem */
    int64_t split;                /* which row of gd_grid.roles tells its rows; -1: it trains on all */
    const double *class_weight;   /* codes as targets: what s of the rows of each code is multiplied with, whatever they do; NULL: 1 */
} gd_model;

/* A row that validates counts for nothing in a model's error and gradient, and for its validation error in the same read. */
typedef struct gd_grid {
    gd_problem problem;           /* what the models share; its loss_param, l2 and l1 are not looked at, its loss tells how y is read */
    const gd_model *models;       /* (n_models) */
    int64_t n_models;
    const int8_t *roles;          /* (n_splits, n) of the rows that count: r > 0 trains, r times; r < 0 validates, -r times; 0 neither */
    int64_t n_splits;
} gd_grid;

/* E, its gradient and the validation error (loss alone, without penalty; NaN if no row validates) of each model, from one read of X.
 *   coef (n_models, k, d), intercept (n_models, k); error, validation (n_models) or NULL; grad_coef, grad_intercept like the weights,
 *   or NULL. */
gd_status gd_grid_error_and_gradient(const gd_grid *grid, const double *coef, const double *intercept, int n_threads, const gd_hooks *hooks,
                                     double *error, double *validation, double *grad_coef, double *grad_intercept);

/* ---- descent -------------------------------------------------------------------------------------------------- */

typedef enum gd_solver { GD_SOLVER_AUTO, GD_SOLVER_GD, GD_SOLVER_SGD, GD_SOLVER_ADAGRAD, GD_SOLVER_RMSPROP, GD_SOLVER_ADAM } gd_solver;
typedef enum gd_schedule { GD_AUTO, GD_CONSTANT, GD_INVSCALING, GD_OPTIMAL, GD_ADAPTIVE } gd_schedule;

typedef struct gd_settings {
    int32_t solver, schedule;
    double eta0, power_t;
    double optimal_alpha;    /* of schedule optimal; 0: l1 + l2 */
    double momentum;         /* gd, sgd: 0 <= momentum < 1 */
    int32_t nesterov;
    double beta_1, beta_2;   /* adam */
    int64_t batch_size;      /* rows per update; 0: all of them */
    int32_t shuffle;         /* visit the rows in a fresh order each epoch */
    uint64_t seed;
    int64_t max_iter;        /* epochs, or steps of solver auto: for each of several independent outputs but in squared error */
    double tol;              /* relative suboptimality aimed at; < 0: run max_iter */
    int64_t n_iter_no_change;
    int64_t average;         /* > 0: return the mean of the weights from this update on */
    int32_t n_threads;
    int32_t keep_path;       /* 0 no, 1 after every epoch, 2 after every update */
} gd_settings;

/* The neuron and all the state that the next update of a rule depends on: a descent that starts from the state that another
 * left goes on as if there had been one. Managed by gd_state_init / gd_state_free. size = k*d + k, laid out coef first. */
typedef struct gd_state {
    int64_t size;
    double *weights;        /* (size) coef (k, d), then intercept (k): where the rule stands */
    double *answer;         /* (size) the weights to use: these, their mean, or those of the best epoch */
    double *velocity;       /* (size) momentum, or adam's first moment; NULL if unused */
    double *square;         /* (size) adagrad, rmsprop, adam: second moment; NULL if unused */
    double *mean;           /* (size) averaged weights; NULL if unused */
    int64_t t;              /* updates done */
    int64_t epoch;          /* epochs done */
    double eta;             /* learning rate in force; where t > 0, schedules that adapt go on from it */
} gd_state;

gd_status gd_state_init(gd_state *state, const gd_settings *settings, int64_t size);
void gd_state_free(gd_state *state);

/* Growing records, one entry an epoch. */
typedef struct gd_curve {
    double *data;
    int64_t size, capacity;
} gd_curve;

typedef enum gd_reason {
    GD_STOP_MAX_ITER, GD_STOP_CONVERGED, GD_STOP_NO_IMPROVEMENT, GD_STOP_VALIDATION, GD_STOP_CALLBACK, GD_STOP_PRECISION
} gd_reason;

typedef struct gd_report {
    gd_curve loss, validation, gradient_norm, eta, path; /* path: rows of `size` weights, the start first */
    double error;            /* E at the weights returned */
    double best_validation;
    double suboptimality;    /* estimate of (E - E*) / E* at the end; NaN if unknown */
    double usable_eta;       /* a learning rate that the curvature allows; 0 if unknown */
    int64_t n_iter, n_passes, best_epoch;
    int32_t reason;          /* gd_reason */
    int32_t method;          /* gd_method: what was actually run */
    int32_t separable;       /* the error tends to 0 while the weights grow: no finite optimum */
    int64_t diverged_epoch, diverged_step;
    int32_t missing_threads; /* threads that could not be started */
} gd_report;

typedef enum gd_method {
    GD_METHOD_RULE,      /* the update rule named in the settings */
    GD_METHOD_NEWTON,    /* preconditioned descent, full metric */
    GD_METHOD_DIAGONAL,  /* preconditioned descent, diagonal metric, conjugate or quasi-Newton steps */
    GD_METHOD_GRAM,      /* squared error: the metric is exact */
    GD_METHOD_SMOOTHED,  /* piecewise linear loss: rounded kinks, width shrinking */
    GD_METHOD_PROXIMAL,  /* L1: coordinate steps on the quadratic model */
    GD_METHOD_DUAL       /* weights as sums of sparse rows, conjugate gradients on their coefficients */
} gd_method;

void gd_report_free(gd_report *report);

/* What an epoch looks like to a hook; the arrays are on loan for the duration of the call. */
typedef struct gd_epoch {
    int64_t epoch, t;                                   /* epochs and updates done */
    double error, validation_error, gradient_norm, eta; /* validation_error NaN if there is none */
    const double *weights;                              /* (size) */
} gd_epoch;

/* Return 0 to go on, 1 to stop after this epoch, < 0 to end at once with GD_INTERRUPTED. */
typedef int (*gd_epoch_hook)(void *context, const gd_epoch *epoch);

/* Run the rule from state->weights. validation may be NULL; if given, its error is recorded every epoch, the weights of
 * the best epoch are the answer, and n_iter_no_change epochs without an improvement end the descent. On any status but
 * GD_OK state->weights hold the last finite weights and must not be taken for a fit. */
gd_status gd_descend(const gd_problem *problem, const gd_problem *validation, const gd_settings *settings,
                     const gd_hooks *hooks, gd_epoch_hook on_epoch, gd_state *state, gd_report *report);

/* One of the descents of gd_descend_each: what gd_descend is told, and what it returns. */
typedef struct gd_descent {
    gd_settings settings; /* solver gd, or another rule with a batch_size of 0 or of no fewer rows than train; n_threads is not looked at */
    gd_state state;       /* from gd_state_init: where to start, and the answer */
    gd_report report;     /* to be freed by gd_report_free, whatever came of it */
    gd_status status;     /* GD_OK, GD_NOT_FINITE or GD_DIVERGED */
    double validation;    /* at the answer: mean loss of the rows that validate, NaN if there are none */
} gd_descent;

/* All models of a grid by update rules on all rows, each by settings of its own, sharing each read of X: what gd_descend makes of
 * each alone on its rows, to rounding. descents (n_models); n_passes: reads of X, whatever the number of models; stop_early: the rows
 * that validate end a descent as those of `validation` in gd_descend do. A descent that fails leaves the others alone. */
gd_status gd_descend_each(const gd_grid *grid, gd_descent *descents, int stop_early, int n_threads, const gd_hooks *hooks,
                          double *n_passes);

/* What came of a model. error NaN: the data or its start are not finite. */
typedef struct gd_fit {
    double error, validation; /* E over the rows that train; mean loss of those that validate, NaN if there are none */
    double suboptimality;     /* estimate of (E - E*) / E* */
    int64_t n_iter;
    int32_t reason;           /* gd_reason */
    int32_t missing_threads;  /* of the call: threads that could not be started */
} gd_fit;

/* All models of a grid to their minima by solver auto, sharing each read of X. Smooth losses only.
 *   weights (n_models, k*d + k) the answers; fits (n_models); n_passes: reads of X, whatever the number of models
 *   stop_early: a model ends where the error of the rows that validate has not improved for n_iter_no_change steps, at its best. */
gd_status gd_descend_grid(const gd_grid *grid, const gd_settings *settings, int stop_early, const gd_hooks *hooks, double *weights,
                          gd_fit *fits, double *n_passes);

/* ---- losses --------------------------------------------------------------------------------------------------- */

#define GD_LOSS_LIST(X)                                                                                               \
    X(squared_error) X(absolute_error) X(huber) X(quantile) X(epsilon_insensitive) X(squared_epsilon_insensitive)      \
    X(poisson) X(gamma) X(log_loss) X(hinge) X(squared_hinge) X(modified_huber) X(perceptron)

typedef enum gd_loss {
#define GD_LOSS_ENUM(name) gd_loss_##name,
    GD_LOSS_LIST(GD_LOSS_ENUM)
#undef GD_LOSS_ENUM
    GD_N_LOSSES
} gd_loss;

const char *gd_loss_name(int loss);   /* NULL past the end */
int gd_loss_is_margin(int loss);      /* y in {-1, +1} */
int gd_loss_is_smooth(int loss);      /* once continuously differentiable */
double gd_loss_curvature_bound(const gd_problem *problem); /* sup of d2 loss / dz2, or infinity (poisson, gamma) */

/* Pointwise, for tests and teaching: error, derivative, curvature (n) at raw scores z (n) and targets y (n), by the
 * kernels of one instruction set (NULL: the one in force). */
gd_status gd_pointwise(const char *isa, int loss, double param, double smoothing, int64_t n, const double *z,
                       const double *y, double *error, double *derivative, double *curvature);
/* Softmax: Z, Y, derivative (n, k) row-major, error (n). */
gd_status gd_pointwise_softmax(const char *isa, int64_t n, int64_t k, const double *Z, const double *Y,
                               double *error, double *derivative);

/* ---- machine -------------------------------------------------------------------------------------------------- */

/* Choose the instruction set: the best of this machine, or the one named ("baseline", "avx2", "avx512"). Call once,
 * before anything else; GD_BAD_ARGUMENT if the name is unknown or the machine lacks it. */
gd_status gd_init(const char *isa);
int gd_api_version(void);            /* the GD_API_VERSION that the engine was compiled with */
const char *gd_isa_name(void);
const char *gd_available_isas(void); /* space separated, the worst first */

#ifdef __cplusplus
}
#endif
#endif
