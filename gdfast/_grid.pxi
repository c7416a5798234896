# Grids of models that share every read of X: part of _core.pyx.


cdef class Grid:
    """Models that share every read of a problem's X; keeps the arrays alive that `c` points to.

    models: for each a dict of what differs from the problem: loss, param, l2, l1, split (a row of roles, -1: trains on
    all rows), class_weight (float64, one for each class code, or None).
    roles: int8 (n_splits, n): r > 0 trains, r times; r < 0 validates, -r times; 0 neither.
    """
    cdef gd_grid c
    cdef readonly Problem problem
    cdef readonly object roles
    cdef object kept, room, codes

    def __init__(self, Problem problem, models, roles=None):
        cdef int64_t m = 0, n_models = len(models)
        cdef gd_model *to
        memset(&self.c, 0, sizeof(self.c))
        self.problem, self.roles, self.kept = problem, roles, []
        self.room = np.zeros(max(n_models, 1) * sizeof(gd_model), dtype=np.uint8)
        to = <gd_model *>cnp.PyArray_DATA(self.room)
        for model in models:
            to[m].loss, to[m].loss_param = LOSSES.index(model["loss"]), model.get("param", 0.0)
            to[m].l2, to[m].l1, to[m].split = model.get("l2", 0.0), model.get("l1", 0.0), model.get("split", -1)
            to[m].class_weight = self._class_weight(model.get("class_weight"))
            m += 1
        self.c.problem, self.c.models, self.c.n_models = problem.c, to, n_models
        if roles is not None:
            if roles.dtype != np.int8 or roles.ndim != 2 or roles.shape[1] != problem.c.n \
                    or not roles.flags.c_contiguous:
                raise ValueError(f"roles must be C-contiguous int8 of shape (n_splits, {problem.c.n})")
            self.c.roles, self.c.n_splits = <const int8_t *>cnp.PyArray_DATA(roles), roles.shape[0]

    cdef const double *_class_weight(self, values) except? NULL:
        cdef const double[::1] view
        if values is None:
            return NULL
        view = values
        if self.codes is None:
            self.codes = self.problem.y.min(), self.problem.y.max()
        if self.problem.c.target != GD_CODES or not 0 <= self.codes[0] <= self.codes[1] < view.shape[0]:
            raise ValueError(f"y must be class codes below {view.shape[0]} where class_weight is given")
        self.kept.append(values)
        return &view[0]


def grid_error_and_gradient(Grid grid, const double[:, :, ::1] coef, const double[:, ::1] intercept, int n_threads=1):
    """Each model's E, validation error (NaN if no row validates), dE/dcoef and dE/dintercept, from one read of X.

    coef (n_models, k, d), intercept (n_models, k); the same shapes come out.
    """
    cdef int64_t n = grid.c.n_models, k = grid.problem.k, d = grid.problem.d
    if n < 1 or coef.shape[0] != n or coef.shape[1] != k or coef.shape[2] != d:
        raise ValueError(f"coef must be of shape ({n}, {k}, {d})")
    if intercept.shape[0] != n or intercept.shape[1] != k:
        raise ValueError(f"intercept must be of shape ({n}, {k})")
    errors, grad_coef, grad_intercept = np.empty((2, n)), np.empty((n, k, d)), np.empty((n, k))
    cdef double[:, ::1] e = errors, gi = grad_intercept
    cdef double[:, :, ::1] gc = grad_coef
    cdef gd_hooks hooks = make_hooks()
    cdef gd_status status
    with nogil:
        status = gd_grid_error_and_gradient(&grid.c, &coef[0, 0, 0], &intercept[0, 0], n_threads, &hooks, &e[0, 0],
                                            &e[1, 0], &gc[0, 0, 0], &gi[0, 0])
    raise_status(status, grid.problem)
    return errors[0], errors[1], grad_coef, grad_intercept


cdef class _Arrivals:
    """Carries what is to be called with the number of models that have arrived, and its exception out again."""
    cdef object function, error

    cdef int call(self, int64_t n_models) noexcept:
        try:
            self.function(n_models)
            return 0
        except BaseException as error:  # any: it travels through C and is raised again
            self.error = error
            return 1


cdef int tell_arrivals(void *context, int64_t n_models) noexcept nogil:
    with gil:
        return (<_Arrivals>context).call(n_models)


cdef gd_hooks hooks_of_grid(_Arrivals arrivals, function) except *:
    """Hooks that call function(n_models), unless it is None, after each read of X."""
    cdef gd_hooks hooks = make_hooks()
    arrivals.function = function
    hooks.context = <void *>arrivals
    if function is not None:
        hooks.arrived = tell_arrivals
    return hooks


cdef int raise_status_of_grid(gd_status status, Grid grid, _Arrivals arrivals) except -1:
    if arrivals.error is not None:
        raise arrivals.error
    return raise_status(status, grid.problem)


def descend_grid(Grid grid, *, int64_t max_iter, double tol, int64_t n_iter_no_change=5, bint stop_early=False,
                 int n_threads=1, arrived=None):
    """All models to their minima; arrived(n) is called after each read of X with about how many are there.

    Returns weights (n_models, k*d + k) and a dict of arrays (n_models,): error (NaN: the data or the start are not
    finite), validation, suboptimality, n_iter, reason; n_passes, how often X was read, and missing_threads, how many
    could not be started.
    """
    cdef int64_t m = grid.c.n_models, i
    cdef gd_settings settings
    cdef _Arrivals arrivals = _Arrivals()
    cdef gd_hooks hooks = hooks_of_grid(arrivals, arrived)
    cdef gd_status status
    cdef double n_passes = 0.0
    if m < 1:
        raise ValueError("models must not be empty")
    weights = np.zeros((m, grid.problem.k * (grid.problem.d + 1)))
    room = np.zeros(m * sizeof(gd_fit), dtype=np.uint8)
    cdef double[:, ::1] w = weights
    cdef gd_fit *fits = <gd_fit *>cnp.PyArray_DATA(room)
    memset(&settings, 0, sizeof(settings))
    settings.solver, settings.max_iter, settings.tol = GD_SOLVER_AUTO, max_iter, tol
    settings.n_iter_no_change, settings.n_threads = n_iter_no_change, n_threads
    with nogil:
        status = gd_descend_grid(&grid.c, &settings, stop_early, &hooks, &w[0, 0], fits, &n_passes)
    raise_status_of_grid(status, grid, arrivals)
    return weights, {
        "error": np.array([fits[i].error for i in range(m)]),
        "validation": np.array([fits[i].validation for i in range(m)]),
        "suboptimality": np.array([fits[i].suboptimality for i in range(m)]),
        "n_iter": np.array([fits[i].n_iter for i in range(m)]),
        "reason": np.array([REASONS[fits[i].reason] for i in range(m)]),
        "n_passes": n_passes,
        "missing_threads": fits[0].missing_threads,
    }


def descend_each(Grid grid, settings, *, bint stop_early=False, int n_threads=1, arrived=None):
    """All models by update rules on all rows, from all-zero weights; settings: for each a dict of what `descend` takes;
    arrived as in `descend_grid`.

    Returns for each what `descend` returns, their validation errors (n_models,), and how often X was read.
    """
    cdef int64_t n = grid.c.n_models, size = grid.problem.k * (grid.problem.d + 1), i
    cdef _Arrivals arrivals = _Arrivals()
    cdef gd_hooks hooks = hooks_of_grid(arrivals, arrived)
    cdef gd_status status
    cdef double n_passes = 0.0
    if n < 1 or len(settings) != n:
        raise ValueError(f"settings must be those of the {n} models, got {len(settings)}")
    room = np.zeros(n * sizeof(gd_descent), dtype=np.uint8)
    cdef gd_descent *descents = <gd_descent *>cnp.PyArray_DATA(room)
    try:
        for i in range(n):
            read_settings(&descents[i].settings, settings[i])
            raise_status(gd_state_init(&descents[i].state, &descents[i].settings, size))
        with nogil:
            status = gd_descend_each(&grid.c, descents, stop_early, n_threads, &hooks, &n_passes)
        raise_status_of_grid(status, grid, arrivals)
        fits = [report_of(descents[i].status, &descents[i].state, &descents[i].report) for i in range(n)]
        return fits, np.array([descents[i].validation for i in range(n)]), n_passes
    finally:
        for i in range(n):
            gd_state_free(&descents[i].state)
            gd_report_free(&descents[i].report)
