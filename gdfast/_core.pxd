# The C API of src/gdfast.h, which documents it, for extensions: `from gdfast._core cimport gd_descend` calls the engine
# that gdfast has loaded, without linking anything. Plain C types only; nothing here needs the GIL but import_gdfast.
from libc.stdint cimport int8_t, int32_t, int64_t, uint64_t


cdef extern from "gdfast.h" nogil:
    int GD_API_VERSION, GD_BLOCK_ROWS

    ctypedef enum gd_status:
        GD_OK, GD_NO_MEMORY, GD_BAD_ARGUMENT, GD_NOT_FINITE, GD_DIVERGED, GD_BAD_ROWS, GD_INTERRUPTED

    ctypedef enum gd_type:
        GD_F64, GD_F32, GD_F16, GD_U8, GD_I8, GD_U16, GD_I16, GD_U32, GD_I32, GD_U64, GD_I64, GD_N_TYPES

    ctypedef struct gd_matrix:
        const char *data
        int64_t n_rows, n_cols, row_stride, col_stride
        int32_t type, swapped
        const void *indices
        const void *indptr
        int64_t n_stored
        int32_t wide

    ctypedef enum gd_target:
        GD_VALUES, GD_CODES

    ctypedef struct gd_problem:
        gd_matrix X, y, weight, offset
        const int64_t *rows
        int64_t n, n_outputs
        int32_t loss, target, first_code, softmax, fit_intercept
        double weight_mean, loss_param, smoothing, l2, l1
        const double *lower
        const double *upper
        int32_t double_lanes

    ctypedef struct gd_hooks:
        int (*poll)(void *) noexcept nogil
        void *context
        int (*arrived)(void *, int64_t) noexcept nogil

    ctypedef struct gd_model:
        int32_t loss
        double loss_param, l2, l1
        int64_t split
        const double *class_weight

    ctypedef struct gd_grid:
        gd_problem problem
        const gd_model *models
        int64_t n_models
        const int8_t *roles
        int64_t n_splits

    ctypedef struct gd_fit:
        double error, validation, suboptimality
        int64_t n_iter
        int32_t reason, missing_threads

    ctypedef enum gd_solver:
        GD_SOLVER_AUTO, GD_SOLVER_GD, GD_SOLVER_SGD, GD_SOLVER_ADAGRAD, GD_SOLVER_RMSPROP, GD_SOLVER_ADAM

    ctypedef enum gd_schedule:
        GD_AUTO, GD_CONSTANT, GD_INVSCALING, GD_OPTIMAL, GD_ADAPTIVE

    ctypedef struct gd_settings:
        int32_t solver, schedule
        double eta0, power_t, optimal_alpha, momentum
        int32_t nesterov
        double beta_1, beta_2
        int64_t batch_size
        int32_t shuffle
        uint64_t seed
        int64_t max_iter
        double tol
        int64_t n_iter_no_change, average
        int32_t n_threads, keep_path

    ctypedef struct gd_state:
        int64_t size
        double *weights
        double *answer
        double *velocity
        double *square
        double *mean
        int64_t t, epoch
        double eta

    ctypedef struct gd_curve:
        double *data
        int64_t size, capacity

    ctypedef enum gd_reason:
        GD_STOP_MAX_ITER, GD_STOP_CONVERGED, GD_STOP_NO_IMPROVEMENT, GD_STOP_VALIDATION, GD_STOP_CALLBACK
        GD_STOP_PRECISION

    ctypedef struct gd_report:
        gd_curve loss, validation, gradient_norm, eta, path
        double error, best_validation, suboptimality, usable_eta
        int64_t n_iter, n_passes, best_epoch
        int32_t reason, method, separable
        int64_t diverged_epoch, diverged_step
        int32_t missing_threads

    ctypedef struct gd_descent:
        gd_settings settings
        gd_state state
        gd_report report
        gd_status status
        double validation

    ctypedef enum gd_method:
        GD_METHOD_RULE, GD_METHOD_NEWTON, GD_METHOD_DIAGONAL, GD_METHOD_GRAM, GD_METHOD_SMOOTHED, GD_METHOD_PROXIMAL
        GD_METHOD_DUAL

    ctypedef struct gd_epoch:
        int64_t epoch, t
        double error, validation_error, gradient_norm, eta
        const double *weights

    ctypedef int (*gd_epoch_hook)(void *, const gd_epoch *) noexcept nogil

    ctypedef enum gd_loss:
        gd_loss_squared_error, gd_loss_absolute_error, gd_loss_huber, gd_loss_quantile, gd_loss_epsilon_insensitive
        gd_loss_squared_epsilon_insensitive, gd_loss_poisson, gd_loss_gamma, gd_loss_log_loss, gd_loss_hinge
        gd_loss_squared_hinge, gd_loss_modified_huber, gd_loss_perceptron, GD_N_LOSSES


# Those of the loaded engine, all but gd_init, which gdfast has called: see _exports.pxi.
cdef gd_status gd_error_and_gradient(const gd_problem *problem, const double *coef, const double *intercept,
                                     int n_threads, const gd_hooks *hooks, double *error, double *grad_coef,
                                     double *grad_intercept) noexcept nogil
cdef gd_status gd_errors(const gd_problem *problem, int64_t n_points, const double *coef, const double *intercept,
                         int narrow, int n_threads, const gd_hooks *hooks, double *error) noexcept nogil
cdef gd_status gd_scores(const gd_problem *problem, const double *coef, const double *intercept, int n_threads,
                         const gd_hooks *hooks, void *out, int out_is_float) noexcept nogil
cdef gd_status gd_find_not_finite(const gd_matrix *X, const int64_t *rows, int64_t n, const gd_hooks *hooks,
                                  int64_t *row, int64_t *col) noexcept nogil
cdef gd_status gd_state_init(gd_state *state, const gd_settings *settings, int64_t size) noexcept nogil
cdef void gd_state_free(gd_state *state) noexcept nogil
cdef void gd_report_free(gd_report *report) noexcept nogil
cdef gd_status gd_descend(const gd_problem *problem, const gd_problem *validation, const gd_settings *settings,
                          const gd_hooks *hooks, gd_epoch_hook on_epoch, gd_state *state,
                          gd_report *report) noexcept nogil
cdef gd_status gd_grid_error_and_gradient(const gd_grid *grid, const double *coef, const double *intercept,
                                          int n_threads, const gd_hooks *hooks, double *error, double *validation,
                                          double *grad_coef, double *grad_intercept) noexcept nogil
cdef gd_status gd_descend_grid(const gd_grid *grid, const gd_settings *settings, int stop_early, const gd_hooks *hooks,
                               double *weights, gd_fit *fits, double *n_passes) noexcept nogil
cdef gd_status gd_descend_each(const gd_grid *grid, gd_descent *descents, int stop_early, int n_threads,
                               const gd_hooks *hooks, double *n_passes) noexcept nogil
cdef const char *gd_loss_name(int loss) noexcept nogil
cdef int gd_loss_is_margin(int loss) noexcept nogil
cdef int gd_loss_is_smooth(int loss) noexcept nogil
cdef double gd_loss_curvature_bound(const gd_problem *problem) noexcept nogil
cdef gd_status gd_pointwise(const char *isa, int loss, double param, double smoothing, int64_t n, const double *z,
                            const double *y, double *error, double *derivative, double *curvature) noexcept nogil
cdef gd_status gd_pointwise_softmax(const char *isa, int64_t n, int64_t k, const double *Z, const double *Y,
                                    double *error, double *derivative) noexcept nogil
cdef int gd_api_version() noexcept nogil
cdef const char *gd_isa_name() noexcept nogil
cdef const char *gd_available_isas() noexcept nogil


cdef inline int import_gdfast() except -1:
    """Call once when an extension is imported: ImportError unless it was compiled with the header of this engine."""
    cdef int mine = GD_API_VERSION, its = gd_api_version()
    if mine != its:
        raise ImportError(f"this extension was compiled with version {mine} of gdfast.h, the engine that gdfast has "
                          f"loaded is of version {its}: compile it again")
    return 0
