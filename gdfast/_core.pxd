# The C API of src/gdfast.h, as far as the binding uses it. Plain C types only.
from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from "gdfast.h" nogil:
    ctypedef enum gd_status:
        GD_OK, GD_NO_MEMORY, GD_BAD_ARGUMENT, GD_NOT_FINITE, GD_DIVERGED, GD_INTERRUPTED

    int GD_F64, GD_F32, GD_F16, GD_U8, GD_I8, GD_U16, GD_I16, GD_U32, GD_I32, GD_U64, GD_I64
    int GD_VALUES, GD_CODES

    ctypedef struct gd_matrix:
        const char *data
        int64_t n_rows, n_cols, row_stride, col_stride
        int32_t type, swapped

    ctypedef struct gd_problem:
        gd_matrix X, y, weight, offset
        const int64_t *rows
        int64_t n, n_outputs
        int32_t loss, target, first_code, softmax, fit_intercept
        double weight_mean, loss_param, smoothing, l2, l1
        int32_t double_lanes

    ctypedef struct gd_hooks:
        int (*poll)(void *) noexcept nogil
        void *context

    gd_status gd_error_and_gradient(const gd_problem *, const double *, const double *, int, const gd_hooks *,
                                    double *, double *, double *)
    gd_status gd_scores(const gd_problem *, const double *, const double *, int, const gd_hooks *, void *, int)
    gd_status gd_find_not_finite(const gd_matrix *, const int64_t *, int64_t, const gd_hooks *, int64_t *, int64_t *)

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
        double *velocity
        double *square
        double *mean
        int64_t t, epoch
        double eta

    gd_status gd_state_init(gd_state *, const gd_settings *, int64_t)
    void gd_state_free(gd_state *)

    ctypedef struct gd_curve:
        double *data
        int64_t size, capacity

    ctypedef struct gd_report:
        gd_curve loss, validation, gradient_norm, eta, path
        double error, best_validation, suboptimality, usable_eta
        int64_t n_iter, n_passes, best_epoch
        int32_t reason, method, separable
        int64_t diverged_epoch, diverged_step
        int32_t missing_threads

    void gd_report_free(gd_report *)

    ctypedef struct gd_epoch:
        int64_t epoch
        double error, validation_error, gradient_norm, eta
        const double *weights

    ctypedef int (*gd_epoch_hook)(void *, const gd_epoch *) noexcept nogil

    gd_status gd_descend(const gd_problem *, const gd_problem *, const gd_settings *, const gd_hooks *, gd_epoch_hook,
                         gd_state *, gd_report *)

    int GD_N_LOSSES
    const char *gd_loss_name(int)
    int gd_loss_is_margin(int)
    int gd_loss_is_smooth(int)
    gd_status gd_pointwise(const char *, int, double, double, int64_t, const double *, const double *, double *,
                           double *, double *)
    gd_status gd_pointwise_softmax(const char *, int64_t, int64_t, const double *, const double *, double *, double *)
    gd_status gd_init(const char *)
    const char *gd_isa_name()
    const char *gd_available_isas()
