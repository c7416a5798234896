# The functions of src/gdfast.h under their own names, for this module and for those that cimport it: Cython puts a
# pointer to each into __pyx_capi__, with its signature. The engine's own symbols stay hidden.

cdef extern from "gdfast.h" nogil:
    gd_status _error_and_gradient "gd_error_and_gradient"(const gd_problem *, const double *, const double *, int,
                                                          const gd_hooks *, double *, double *, double *)
    gd_status _errors "gd_errors"(const gd_problem *, int64_t, const double *, const double *, int, int,
                                  const gd_hooks *, double *)
    gd_status _scores "gd_scores"(const gd_problem *, const double *, const double *, int, const gd_hooks *, void *,
                                  int)
    gd_status _find_not_finite "gd_find_not_finite"(const gd_matrix *, const int64_t *, int64_t, const gd_hooks *,
                                                    int64_t *, int64_t *)
    gd_status _state_init "gd_state_init"(gd_state *, const gd_settings *, int64_t)
    void _state_free "gd_state_free"(gd_state *)
    void _report_free "gd_report_free"(gd_report *)
    gd_status _descend "gd_descend"(const gd_problem *, const gd_problem *, const gd_settings *, const gd_hooks *,
                                    gd_epoch_hook, gd_state *, gd_report *)
    gd_status _grid_error_and_gradient "gd_grid_error_and_gradient"(const gd_grid *, const double *, const double *,
                                                                    int, const gd_hooks *, double *, double *,
                                                                    double *, double *)
    gd_status _descend_grid_ "gd_descend_grid"(const gd_grid *, const gd_settings *, int, const gd_hooks *, double *,
                                               gd_fit *, double *)
    gd_status _descend_each "gd_descend_each"(const gd_grid *, gd_descent *, int, int, const gd_hooks *, double *)
    const char *_loss_name "gd_loss_name"(int)
    int _loss_is_margin "gd_loss_is_margin"(int)
    int _loss_is_smooth "gd_loss_is_smooth"(int)
    double _loss_curvature_bound "gd_loss_curvature_bound"(const gd_problem *)
    gd_status _pointwise "gd_pointwise"(const char *, int, double, double, int64_t, const double *, const double *,
                                        double *, double *, double *)
    gd_status _pointwise_softmax "gd_pointwise_softmax"(const char *, int64_t, int64_t, const double *, const double *,
                                                        double *, double *)
    gd_status gd_init(const char *)
    int _api_version "gd_api_version"()
    const char *_isa_name "gd_isa_name"()
    const char *_available_isas "gd_available_isas"()


cdef gd_status gd_error_and_gradient(const gd_problem *problem, const double *coef, const double *intercept,
                                     int n_threads, const gd_hooks *hooks, double *error, double *grad_coef,
                                     double *grad_intercept) noexcept nogil:
    return _error_and_gradient(problem, coef, intercept, n_threads, hooks, error, grad_coef, grad_intercept)

cdef gd_status gd_errors(const gd_problem *problem, int64_t n_points, const double *coef, const double *intercept,
                         int narrow, int n_threads, const gd_hooks *hooks, double *error) noexcept nogil:
    return _errors(problem, n_points, coef, intercept, narrow, n_threads, hooks, error)

cdef gd_status gd_scores(const gd_problem *problem, const double *coef, const double *intercept, int n_threads,
                         const gd_hooks *hooks, void *out, int out_is_float) noexcept nogil:
    return _scores(problem, coef, intercept, n_threads, hooks, out, out_is_float)

cdef gd_status gd_find_not_finite(const gd_matrix *X, const int64_t *rows, int64_t n, const gd_hooks *hooks,
                                  int64_t *row, int64_t *col) noexcept nogil:
    return _find_not_finite(X, rows, n, hooks, row, col)

cdef gd_status gd_state_init(gd_state *state, const gd_settings *settings, int64_t size) noexcept nogil:
    return _state_init(state, settings, size)

cdef void gd_state_free(gd_state *state) noexcept nogil:
    _state_free(state)

cdef void gd_report_free(gd_report *report) noexcept nogil:
    _report_free(report)

cdef gd_status gd_descend(const gd_problem *problem, const gd_problem *validation, const gd_settings *settings,
                          const gd_hooks *hooks, gd_epoch_hook on_epoch, gd_state *state,
                          gd_report *report) noexcept nogil:
    return _descend(problem, validation, settings, hooks, on_epoch, state, report)

cdef gd_status gd_grid_error_and_gradient(const gd_grid *grid, const double *coef, const double *intercept,
                                          int n_threads, const gd_hooks *hooks, double *error, double *validation,
                                          double *grad_coef, double *grad_intercept) noexcept nogil:
    return _grid_error_and_gradient(grid, coef, intercept, n_threads, hooks, error, validation, grad_coef,
                                    grad_intercept)

cdef gd_status gd_descend_grid(const gd_grid *grid, const gd_settings *settings, int stop_early, const gd_hooks *hooks,
                               double *weights, gd_fit *fits, double *n_passes) noexcept nogil:
    return _descend_grid_(grid, settings, stop_early, hooks, weights, fits, n_passes)

cdef gd_status gd_descend_each(const gd_grid *grid, gd_descent *descents, int stop_early, int n_threads,
                               const gd_hooks *hooks, double *n_passes) noexcept nogil:
    return _descend_each(grid, descents, stop_early, n_threads, hooks, n_passes)

cdef const char *gd_loss_name(int loss) noexcept nogil:
    return _loss_name(loss)

cdef int gd_loss_is_margin(int loss) noexcept nogil:
    return _loss_is_margin(loss)

cdef int gd_loss_is_smooth(int loss) noexcept nogil:
    return _loss_is_smooth(loss)

cdef double gd_loss_curvature_bound(const gd_problem *problem) noexcept nogil:
    return _loss_curvature_bound(problem)

cdef gd_status gd_pointwise(const char *isa, int loss, double param, double smoothing, int64_t n, const double *z,
                            const double *y, double *error, double *derivative, double *curvature) noexcept nogil:
    return _pointwise(isa, loss, param, smoothing, n, z, y, error, derivative, curvature)

cdef gd_status gd_pointwise_softmax(const char *isa, int64_t n, int64_t k, const double *Z, const double *Y,
                                    double *error, double *derivative) noexcept nogil:
    return _pointwise_softmax(isa, n, k, Z, Y, error, derivative)

cdef int gd_api_version() noexcept nogil:
    return _api_version()

cdef const char *gd_isa_name() noexcept nogil:
    return _isa_name()

cdef const char *gd_available_isas() noexcept nogil:
    return _available_isas()
