# Grids of models that share every read of X: part of _core.pyx.


cdef class Grid:
    """Models over one problem; keeps the arrays alive that `c` points to.

    models: sequence of (loss, param, l2, l1, split, class_weight): split a row of roles or -1, class_weight float64 by
    class code or None. roles: int8 (n_splits, n), C-contiguous, or None: > 0 trains so many times, < 0 validates.
    """
    cdef gd_grid c
    cdef gd_model *models
    cdef readonly Problem problem
    cdef readonly object roles, class_weights
    cdef readonly int64_t n_models, size

    def __cinit__(self):
        self.models = NULL

    def __dealloc__(self):
        free(self.models)

    def __init__(self, Problem problem, models, cnp.ndarray roles=None):
        cdef gd_model *model
        cdef const double[::1] by_class
        cdef int64_t i, splits = 0 if roles is None else roles.shape[0], n_classes = max(2, problem.k)
        self.problem, self.roles, self.class_weights = problem, roles, [given[5] for given in models]
        self.n_models, self.size = len(models), problem.k * (problem.d + 1)
        if not self.n_models:
            raise ValueError("models must not be empty")
        if roles is not None and (roles.dtype != np.int8 or not roles.flags.c_contiguous or roles.ndim != 2
                                  or roles.shape[1] != problem.c.n):
            raise ValueError(f"roles must be C-contiguous int8 of shape (n_splits, {problem.c.n})")
        self.models = <gd_model *>calloc(self.n_models, sizeof(gd_model))
        if self.models == NULL:
            raise MemoryError
        for i, (loss, param, l2, l1, split, class_weight) in enumerate(models):
            model = &self.models[i]
            if not -1 <= split < splits:
                raise ValueError(f"split must be -1 or a row of roles, got {split}")
            model.loss, model.loss_param, model.l2, model.l1, model.split = LOSSES.index(loss), param, l2, l1, split
            if class_weight is not None:
                by_class = class_weight
                if by_class.shape[0] != n_classes:
                    raise ValueError(f"class_weight must be of shape ({n_classes},), got {class_weight.shape}")
                model.class_weight = &by_class[0]
        self.c.problem, self.c.models, self.c.n_models, self.c.n_splits = problem.c, self.models, self.n_models, splits
        if roles is not None:
            self.c.roles = <const int8_t *>cnp.PyArray_DATA(roles)


def grid_error_and_gradient(Grid grid, const double[:, :, ::1] coef, const double[:, ::1] intercept, int n_threads=1):
    """E (M,), validation error (M,), dE/dcoef (M, k, d) and dE/dintercept (M, k) of M models from one read of X."""
    cdef int64_t m = grid.n_models, k = grid.problem.k, d = grid.problem.d
    error, validation = np.empty(m), np.empty(m)
    grad_coef, grad_intercept = np.empty((m, k, d)), np.empty((m, k))
    cdef double[::1] e = error, v = validation
    cdef double[:, :, ::1] gc = grad_coef
    cdef double[:, ::1] gi = grad_intercept
    cdef gd_hooks hooks = make_hooks()
    cdef gd_status status
    if coef.shape[0] != m or coef.shape[1] != k or coef.shape[2] != d or intercept.shape[0] != m or intercept.shape[1] != k:
        raise ValueError(f"coef must be of shape ({m}, {k}, {d}) and intercept ({m}, {k})")
    with nogil:
        status = gd_grid_error_and_gradient(&grid.c, &coef[0, 0, 0], &intercept[0, 0], n_threads, &hooks, &e[0], &v[0],
                                            &gc[0, 0, 0], &gi[0, 0])
    raise_status(status, grid.problem)
    return error, validation, grad_coef, grad_intercept


def descend_grid(Grid grid, *, int64_t max_iter, double tol, int64_t n_iter_no_change=5, bint stop_early=False,
                 int n_threads=1):
    """All models to their minima. Returns weights (M, k*d + k) and a dict of arrays (M,) and n_passes."""
    cdef int64_t m = grid.n_models, i
    cdef gd_settings settings
    cdef gd_hooks hooks = make_hooks()
    cdef gd_status status
    cdef double n_passes = 0.0
    cdef gd_fit *fits = <gd_fit *>calloc(m, sizeof(gd_fit))
    if fits == NULL:
        raise MemoryError
    memset(&settings, 0, sizeof(settings))
    settings.solver, settings.max_iter, settings.tol = GD_SOLVER_AUTO, max_iter, tol
    settings.n_iter_no_change, settings.n_threads = n_iter_no_change, n_threads
    try:
        weights = np.empty((m, grid.size))
        out = {name: np.empty(m) for name in ("error", "validation", "suboptimality")}
        return _descend_grid(grid, &settings, stop_early, &hooks, fits, weights, out)
    finally:
        free(fits)


cdef _descend_grid(Grid grid, gd_settings *settings, bint stop_early, gd_hooks *hooks, gd_fit *fits,
                   double[:, ::1] weights, dict out):
    cdef int64_t i
    cdef double n_passes = 0.0
    cdef gd_status status
    cdef double[::1] error = out["error"], validation = out["validation"], suboptimality = out["suboptimality"]
    with nogil:
        status = gd_descend_grid(&grid.c, settings, stop_early, hooks, &weights[0, 0], fits, &n_passes)
    raise_status(status, grid.problem)
    for i in range(grid.n_models):
        error[i], validation[i], suboptimality[i] = fits[i].error, fits[i].validation, fits[i].suboptimality
    out["n_iter"] = np.array([fits[i].n_iter for i in range(grid.n_models)])
    out["reason"] = [REASONS[fits[i].reason] for i in range(grid.n_models)]
    out["n_passes"] = n_passes
    return np.asarray(weights), out
