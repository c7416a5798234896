# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Thin binding of the C engine: buffers in, one call without the GIL, a status out.

Arguments are checked by the callers (functional.py, the estimators); here only what memory safety needs.
"""
from libc.float cimport FLT_MIN
from libc.math cimport fabs
from libc.stdint cimport int8_t, uint64_t
from libc.string cimport memcpy, memset

cimport numpy as cnp

import os
import threading

import numpy as np

include "_exports.pxi"

cnp.import_array()
import_gdfast()

SOLVERS = ("auto", "gd", "sgd", "adagrad", "rmsprop", "adam")  # gd_solver, in order
SCHEDULES = ("auto", "constant", "invscaling", "optimal", "adaptive")  # gd_schedule, in order
REASONS = ("max_iter", "converged", "no_improvement", "validation", "callback", "precision")  # gd_reason, in order
METHODS = ("rule", "newton", "diagonal", "gram", "smoothed", "proximal", "dual")  # gd_method, in order
LOSSES = tuple(gd_loss_name(i).decode() for i in range(GD_N_LOSSES))
MARGIN_LOSSES = tuple(name for i, name in enumerate(LOSSES) if gd_loss_is_margin(i))
SMOOTH_LOSSES = tuple(name for i, name in enumerate(LOSSES) if gd_loss_is_smooth(i))


cdef extern from "Python.h":
    # Declared without Cython's error checks: an exception that a signal handler raises inside a hook stays
    # pending until the engine has returned, see raise_status.
    int PyErr_CheckSignals() nogil
    void *PyErr_Occurred() nogil


# NumPy's kind and size -> gd_type; the only list of stored types on this side.
_TYPES = {
    "f8": GD_F64, "f4": GD_F32, "f2": GD_F16, "u1": GD_U8, "b1": GD_U8, "i1": GD_I8, "u2": GD_U16, "i2": GD_I16,
    "u4": GD_U32, "i4": GD_I32, "u8": GD_U64, "i8": GD_I64,
}
STORED_TYPES = frozenset(_TYPES)


def _start():
    """Choose the instruction set, once, at import."""
    name = os.environ.get("GDFAST_ISA", "")
    encoded = name.encode()
    cdef const char *isa = NULL
    if name:
        isa = encoded
    if gd_init(isa) != GD_OK:
        raise ImportError(f"GDFAST_ISA must be one of {', '.join(available_isas())}, got {name!r}")


def available_isas():
    """Instruction sets that this machine runs, the slowest first."""
    return tuple(gd_available_isas().decode().split())


def isa():
    """The instruction set in force."""
    return gd_isa_name().decode()


cdef int describe(cnp.ndarray a, gd_matrix *m) except -1:
    """Fill in m from a 1-d or 2-d array of a stored type; a 1-d array is one column."""
    cdef str key = f"{a.dtype.kind}{a.dtype.itemsize}"
    m.type = _TYPES[key]
    m.data = <const char *>cnp.PyArray_DATA(a)
    m.n_rows = a.shape[0]
    m.row_stride = a.strides[0]
    m.n_cols = a.shape[1] if a.ndim == 2 else 1
    m.col_stride = a.strides[1] if a.ndim == 2 else a.dtype.itemsize
    m.swapped = not a.dtype.isnative
    return 0


cdef int describe_rows(X, gd_matrix *m) except -1:
    """Fill in m from a 2-d array, or from sparse rows: data, indices and indptr, contiguous and aligned."""
    if isinstance(X, np.ndarray):
        return describe(X, m)
    describe(X.data, m)
    m.n_rows, m.n_cols = X.shape
    m.n_stored = X.data.shape[0]
    m.indices, m.indptr = cnp.PyArray_DATA(X.indices), cnp.PyArray_DATA(X.indptr)
    m.wide = X.indptr.dtype == np.int64
    if X.indptr.shape[0] != m.n_rows + 1 or X.indices.shape[0] != m.n_stored or X.indices.dtype != X.indptr.dtype:
        raise ValueError("data, indices and indptr must fit together")
    return 0


def broken_row(X):
    """(row of the caller's matrix, what is wrong) of the first sparse row that does not hold what it says, or None."""
    starts, ends = X.indptr[: X.shape[0]], X.indptr[1:]
    wrong = (starts < 0) | (ends < starts) | (ends > X.data.shape[0])
    if wrong.any():
        row = int(wrong.argmax())
        return X.first + row, f"has entries {starts[row]} to {ends[row]} of {X.data.shape[0]}"
    wrong = (X.indices < 0) | (X.indices >= X.shape[1])
    at = np.flatnonzero(wrong[starts[0] : ends[X.shape[0] - 1]]) + starts[0]
    if not at.size:
        return None
    row = int(np.searchsorted(X.indptr, at[0], side="right")) - 1
    return X.first + row, f"has column {X.indices[at[0]]} of {X.shape[1]}"


cdef int poll_signals(void *context) noexcept nogil:
    """gd_hooks.poll: let Python see Ctrl-C; an exception stays pending until the call has ended."""
    with gil:
        return PyErr_CheckSignals() != 0


cdef class Problem:
    """What the error is made of; keeps the arrays alive that `c` points to.

    X (m, d), y (m,) or (m, k), weight (m,) or None, offset (m,), (m, k) or None: arrays of stored types, read in place.
    rows: int64 (n,) row numbers, or None for all rows.
    """
    cdef gd_problem c
    cdef readonly object X, y, weight, offset, rows, lower, upper
    cdef readonly int64_t d, k

    def __init__(self, X, y, *, str loss, int64_t n_outputs=1, weight=None, offset=None, rows=None, bint codes=False,
                 bint softmax=False, double param=0.0, double l2=0.0, double l1=0.0, bint fit_intercept=True,
                 double smoothing=0.0, double weight_mean=0.0, bint double_lanes=False, lower=None, upper=None):
        cdef int64_t m = X.shape[0]
        memset(&self.c, 0, sizeof(self.c))
        self.X, self.y, self.weight, self.offset = X, y, weight, offset
        describe_rows(X, &self.c.X)
        describe(y, &self.c.y)
        if y.shape[0] != m or (codes and y.ndim != 1) or (not codes and self.c.y.n_cols != n_outputs):
            raise ValueError(f"y must be of shape ({m},) or ({m}, {n_outputs}), got {y.shape}")
        if weight is not None:
            describe(weight, &self.c.weight)
            if weight.shape != (m,):
                raise ValueError(f"sample_weight must be of shape ({m},), got {weight.shape}")
        if offset is not None:
            describe(offset, &self.c.offset)
            if offset.shape[0] != m or self.c.offset.n_cols not in (1, n_outputs):
                raise ValueError(f"offset must be of shape ({m},) or ({m}, {n_outputs}), got {offset.shape}")
        self.c.n = m
        if rows is not None:
            self.rows = np.ascontiguousarray(rows, dtype=np.int64)
            if self.rows.ndim != 1 or (self.rows.size and not 0 <= self.rows.min() <= self.rows.max() < m):
                raise ValueError(f"rows must be row numbers 0 ... {m - 1}")
            self.c.n = self.rows.shape[0]
            self.c.rows = <const int64_t *>cnp.PyArray_DATA(self.rows)
        self.c.n_outputs, self.c.loss, self.c.target = n_outputs, LOSSES.index(loss), GD_CODES if codes else GD_VALUES
        self.c.first_code = 0 if n_outputs > 1 else 1
        self.c.softmax, self.c.fit_intercept, self.c.loss_param = softmax, fit_intercept, param
        self.c.l2, self.c.l1, self.c.smoothing, self.c.double_lanes = l2, l1, smoothing, double_lanes
        self.c.weight_mean = weight_mean
        self.d, self.k = X.shape[1], n_outputs
        self.lower, self.upper = lower, upper
        self.c.lower = self._bounds(lower, "lower")
        self.c.upper = self._bounds(upper, "upper")

    cdef const double *_bounds(self, values, str name) except? NULL:
        cdef const double[:, ::1] view
        if values is None:
            return NULL
        view = values
        if view.shape[0] != self.k or view.shape[1] != self.d:
            raise ValueError(f"{name} must be of shape ({self.k}, {self.d}), got {values.shape}")
        return &view[0, 0]


cdef int raise_status(gd_status status, Problem problem=None, Problem validation=None) except -1:
    """Turn a status into its exception; one that a hook left pending comes out unchanged."""
    if PyErr_Occurred() != NULL:
        return -1
    if status == GD_OK:
        return 0
    if status == GD_NO_MEMORY:
        raise MemoryError("not enough memory for the work space of the pass")
    if status == GD_BAD_ROWS:
        for name, given in (("X", problem), ("X_val", validation)):
            found = None if given is None or isinstance(given.X, np.ndarray) else broken_row(given.X)
            if found is not None:
                what = f"an invalid sparse structure: row {found[0]} {found[1]}"
                raise ValueError(f"{name} must be a sound CSR matrix, got {what}")
        raise ValueError("X must stay as it is during the call, got a sparse structure that was invalid for a while")
    raise ValueError(f"problem must be consistent, got status {<int>status}")


cdef gd_hooks make_hooks() except *:
    """Signals reach the main thread only: elsewhere nobody asks for them, and the call never wants the GIL."""
    cdef gd_hooks hooks
    memset(&hooks, 0, sizeof(hooks))
    if threading.get_ident() == threading.main_thread().ident:
        hooks.poll = poll_signals
    return hooks


def error_and_gradient(Problem problem, const double[:, ::1] coef, const double[::1] intercept, int n_threads=1):
    """E, dE/dcoef (k, d) and dE/dintercept (k,) from one read of X."""
    cdef double error = 0.0
    grad_coef = np.empty((problem.k, problem.d))
    grad_intercept = np.empty(problem.k)
    cdef double[:, ::1] gc = grad_coef
    cdef double[::1] gi = grad_intercept
    cdef gd_hooks hooks = make_hooks()
    cdef gd_status status
    if coef.shape[0] != problem.k or coef.shape[1] != problem.d or intercept.shape[0] != problem.k:
        raise ValueError(f"coef must be of shape ({problem.k}, {problem.d})")
    with nogil:
        status = gd_error_and_gradient(&problem.c, &coef[0, 0], &intercept[0], n_threads, &hooks, &error, &gc[0, 0],
                                       &gi[0])
    raise_status(status, problem)
    return error, grad_coef, grad_intercept


def errors(Problem problem, const double[:, :, ::1] coef, const double[:, ::1] intercept, *, bint narrow=False,
           int n_threads=1):
    """E (n_points,) at weights coef (n_points, k, d) and biases intercept (n_points, k), from one read of X.

    narrow: log_loss of one output to about 1e-6 of itself, in half the time.
    """
    cdef int64_t n = coef.shape[0]
    cdef gd_hooks hooks = make_hooks()
    cdef gd_status status
    if n < 1 or coef.shape[1] != problem.k or coef.shape[2] != problem.d:
        raise ValueError(f"coef must be of shape (n_points, {problem.k}, {problem.d}) with a point at least")
    if intercept.shape[0] != n or intercept.shape[1] != problem.k:
        raise ValueError(f"intercept must be of shape ({n}, {problem.k})")
    out = np.empty(n)
    cdef double[::1] e = out
    with nogil:
        status = gd_errors(&problem.c, n, &coef[0, 0, 0], &intercept[0, 0], narrow, n_threads, &hooks, &e[0])
    raise_status(status, problem)
    return out


def scores(Problem problem, const double[:, ::1] coef, const double[::1] intercept, cnp.ndarray out, int n_threads=1):
    """Write z = X w + b + offset into out (n, k) or (n,), C-contiguous float64 or float32."""
    cdef gd_hooks hooks = make_hooks()
    cdef gd_status status
    cdef void *data = cnp.PyArray_DATA(out)
    cdef int is_float = out.dtype == np.float32
    if coef.shape[0] != problem.k or coef.shape[1] != problem.d or intercept.shape[0] != problem.k:
        raise ValueError(f"coef must be of shape ({problem.k}, {problem.d})")
    if out.size != problem.c.n * problem.k or not out.flags.c_contiguous or out.dtype.char not in "fd":
        raise ValueError("out must be a C-contiguous float array of the size of the scores")
    with nogil:
        status = gd_scores(&problem.c, &coef[0, 0], &intercept[0], n_threads, &hooks, data, is_float)
    raise_status(status, problem)


def find_not_finite(X, rows=None):
    """(row, column) of the first NaN or infinity of a 1-d or 2-d array of a stored type, or None."""
    cdef gd_matrix m
    cdef gd_hooks hooks = make_hooks()
    cdef int64_t row = -1, col = -1, n = X.shape[0]
    cdef const int64_t *index = NULL
    cdef gd_status status
    describe(X, &m)
    if rows is not None:
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        index, n = <const int64_t *>cnp.PyArray_DATA(rows), rows.shape[0]
    with nogil:
        status = gd_find_not_finite(&m, index, n, &hooks, &row, &col)
    raise_status(status)
    if row < 0:
        return None
    return (int(rows[row]) if rows is not None else row), col


cdef copy_out(const double *values, int64_t size):
    """A new array; None for none. A fit makes a dozen: NumPy's own ways cost more than the copies."""
    cdef cnp.npy_intp n = size
    cdef cnp.ndarray out
    if values == NULL and size:
        return None
    out = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_FLOAT64)
    if size:
        memcpy(cnp.PyArray_DATA(out), values, size * sizeof(double))
    return out


cdef curve_array(const gd_curve *curve):
    return copy_out(curve.data, curve.size)


def to_float32(values):
    """Rounded to the nearest float32, halves to even, whatever rounding is in force; subnormal numbers count as 0."""
    cdef cnp.ndarray doubles = np.ascontiguousarray(values, dtype=np.float64)
    cdef cnp.ndarray floats = cnp.PyArray_SimpleNew(doubles.ndim, doubles.shape, cnp.NPY_FLOAT32)
    cdef const uint64_t *exact = <const uint64_t *>cnp.PyArray_DATA(doubles)
    cdef float *out = <float *>cnp.PyArray_DATA(floats)
    cdef uint64_t bits
    cdef double value
    cdef cnp.npy_intp i
    for i in range(doubles.size):
        bits = exact[i] + 0x0FFFFFFF + (exact[i] >> 29 & 1) & ~<uint64_t>0x1FFFFFFF
        memcpy(&value, &bits, sizeof(double))
        out[i] = <float>value if not fabs(value) < FLT_MIN else 0.0
    return floats


cdef class _Hook:
    """Carries the Python callable into the engine and its exception out again."""
    cdef object function, error
    cdef int64_t size

    def __init__(self, function, int64_t size):
        self.function, self.size = function, size

    cdef int call(self, const gd_epoch *epoch) noexcept:
        try:
            weights = copy_out(epoch.weights, self.size)
            return bool(self.function(epoch.epoch, epoch.t, epoch.error, epoch.validation_error, epoch.gradient_norm,
                                      epoch.eta, weights))
        except BaseException as error:  # any: it travels through C and is raised again by descend
            self.error = error
            return -1


cdef int epoch_hook(void *context, const gd_epoch *epoch) noexcept nogil:
    with gil:
        return (<_Hook>context).call(epoch)


_STATE_ARRAYS = ("weights", "velocity", "square", "mean")  # of gd_state


cdef double *state_array(gd_state *state, int i) noexcept:
    if i < 2:
        return state.velocity if i else state.weights
    return state.mean if i == 3 else state.square


cdef int load_state(gd_state *state, resume) except -1:
    """Fill in what gd_state_init has allocated from what `state_of` made."""
    cdef const double[::1] values
    for i, name in enumerate(_STATE_ARRAYS):
        given = resume[name]
        if (given is not None) != (state_array(state, i) != NULL):
            raise ValueError(f"state.{name} must be {'absent' if given is not None else 'present'} for this rule")
        if given is None:
            continue
        values = given
        if values.shape[0] != state.size:
            raise ValueError(f"state.{name} must be of size {state.size}, got {values.shape[0]}")
        memcpy(state_array(state, i), &values[0], state.size * sizeof(double))
    state.t, state.epoch, state.eta = resume["t"], resume["epoch"], resume["eta"]
    return 0


cdef state_of(gd_state *state):
    arrays = {name: copy_out(state_array(state, i), state.size) for i, name in enumerate(_STATE_ARRAYS)}
    return {**arrays, "t": state.t, "epoch": state.epoch, "eta": state.eta}


cdef int read_settings(gd_settings *to, given) except -1:
    """From a dict of what `descend` takes; what is missing is 0."""
    memset(to, 0, sizeof(gd_settings))
    to.solver, to.schedule = SOLVERS.index(given["solver"]), SCHEDULES.index(given["learning_rate"])
    to.eta0, to.power_t = given["eta0"], given["power_t"]
    to.momentum, to.nesterov = given["momentum"], given["nesterov"]
    to.optimal_alpha, to.beta_1, to.beta_2 = given.get("optimal_alpha", 0.0), given["beta_1"], given["beta_2"]
    to.batch_size, to.shuffle, to.seed = given["batch_size"], given["shuffle"], given["seed"]
    to.max_iter, to.tol, to.n_iter_no_change = given["max_iter"], given["tol"], given["n_iter_no_change"]
    to.average, to.keep_path = given["average"], given["keep_path"]
    return 0


cdef report_of(gd_status status, gd_state *state, gd_report *report):
    """What came of a descent: status name, weights, report dict."""
    name = {GD_OK: "ok", GD_NOT_FINITE: "not_finite", GD_DIVERGED: "diverged"}[status]
    return name, copy_out(state.answer, state.size), {
        "state": state_of(state),
        "loss_curve": curve_array(&report.loss), "validation_curve": curve_array(&report.validation),
        "gradient_norm_curve": curve_array(&report.gradient_norm), "eta": curve_array(&report.eta),
        "path": curve_array(&report.path).reshape(-1, state.size), "error": report.error,
        "suboptimality": report.suboptimality, "usable_eta": report.usable_eta, "n_iter": report.n_iter,
        "n_passes": report.n_passes, "best_epoch": report.best_epoch, "t": state.t,
        "reason": REASONS[report.reason], "method": METHODS[report.method], "separable": bool(report.separable),
        "diverged_epoch": report.diverged_epoch, "diverged_step": report.diverged_step,
        "missing_threads": report.missing_threads,
    }


def descend(Problem problem, Problem validation, start, *, int n_threads, callback=None, **given):
    """Run gd_descend from `start`: weights (k*d coef, then k intercepts), or report["state"] of an earlier call.

    Returns (status name, weights, report dict).

    `given` are the gd_settings; tol < 0 runs max_iter; callback(epoch, t, error, validation_error, gradient_norm, eta,
    weights) returns true to stop.
    """
    cdef gd_settings settings
    cdef gd_state state
    cdef gd_report report
    cdef gd_hooks hooks = make_hooks()
    cdef gd_problem *held_out = &validation.c if validation is not None else NULL
    cdef const double[::1] weights
    cdef int64_t size = problem.k * problem.d + problem.k
    cdef _Hook hook = _Hook(callback, size)
    cdef gd_epoch_hook on_epoch = NULL
    cdef gd_status status
    if validation is not None and (validation.d != problem.d or validation.k != problem.k):
        raise ValueError("validation must have the features and outputs of the problem")
    read_settings(&settings, given)
    settings.n_threads = n_threads
    hooks.context = <void *>hook
    if callback is not None:
        on_epoch = epoch_hook
    raise_status(gd_state_init(&state, &settings, size))
    try:
        if isinstance(start, dict):
            load_state(&state, start)
        else:
            weights = start
            if weights.shape[0] != size:
                raise ValueError(f"weights must be of size {size}, got {weights.shape[0]}")
            memcpy(state.weights, &weights[0], size * sizeof(double))
        with nogil:
            status = gd_descend(&problem.c, held_out, &settings, &hooks, on_epoch, &state, &report)
        try:
            if hook.error is not None:
                raise hook.error
            if status not in (GD_NOT_FINITE, GD_DIVERGED):
                raise_status(status, problem, validation)
            return report_of(status, &state, &report)
        finally:
            gd_report_free(&report)
    finally:
        gd_state_free(&state)


include "_grid.pxi"


def pointwise(str loss, z, y, *, double param=0.0, double smoothing=0.0, isa=None):
    """Error, derivative and curvature of a loss at raw scores z and targets y, float64 arrays of one shape."""
    z, y = np.broadcast_arrays(np.asarray(z, dtype=np.float64), np.asarray(y, dtype=np.float64))
    cdef double[::1] zs = np.ascontiguousarray(z).ravel(), ys = np.ascontiguousarray(y).ravel()
    out = np.empty((3, zs.shape[0]))
    cdef double[:, ::1] o = out
    cdef bytes name = (isa or gd_isa_name().decode()).encode()
    cdef const char *isa_name = name
    cdef int index = LOSSES.index(loss)
    cdef gd_status status
    if zs.shape[0]:
        with nogil:
            status = gd_pointwise(isa_name, index, param, smoothing, zs.shape[0], &zs[0], &ys[0], &o[0, 0], &o[1, 0],
                                  &o[2, 0])
        raise_status(status)
    return tuple(row.reshape(z.shape) for row in out)


def pointwise_softmax(Z, Y, *, isa=None):
    """Error (n,) and derivative (n, k) of softmax cross-entropy at scores Z and labels Y, both (n, k)."""
    cdef double[:, ::1] zs = np.ascontiguousarray(Z, dtype=np.float64), ys = np.ascontiguousarray(Y, dtype=np.float64)
    if zs.shape[0] != ys.shape[0] or zs.shape[1] != ys.shape[1] or zs.shape[0] == 0:
        raise ValueError("Z and Y must be of one shape (n, k)")
    error, derivative = np.empty(zs.shape[0]), np.empty((zs.shape[0], zs.shape[1]))
    cdef double[::1] e = error
    cdef double[:, ::1] s = derivative
    cdef bytes name = (isa or gd_isa_name().decode()).encode()
    cdef const char *isa_name = name
    cdef gd_status status
    with nogil:
        status = gd_pointwise_softmax(isa_name, zs.shape[0], zs.shape[1], &zs[0, 0], &ys[0, 0], &e[0], &s[0, 0])
    raise_status(status)
    return error, derivative


_start()
