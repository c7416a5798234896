# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""One neuron for every segment of a table (each shop, each sensor ...), by the engine that gdfast has loaded.

The loop over the segments is C: it holds no Python object and runs without the GIL, however many segments there are.
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from gdfast._core cimport (
    GD_F32, GD_F64, GD_NO_MEMORY, GD_OK, GD_SOLVER_AUTO, gd_descend, gd_epoch, gd_hooks, gd_loss_log_loss, gd_matrix,
    gd_problem, gd_report, gd_report_free, gd_scores, gd_settings, gd_state, gd_state_free, gd_state_init, gd_status,
    gd_type, import_gdfast,
)

import numpy as np

import_gdfast()  # ImportError if this was compiled for another version of the engine


cdef struct Watch:
    double good_enough
    int64_t n_epochs


cdef int after_epoch(void *context, const gd_epoch *epoch) noexcept nogil:
    """A gd_epoch_hook in C: counts, and ends the descent of a segment whose error is good enough."""
    cdef Watch *watch = <Watch *>context
    watch.n_epochs += 1
    return epoch.error <= watch.good_enough


cdef gd_matrix matrix(const void *data, int64_t n, int64_t m, gd_type type) noexcept nogil:
    """n rows of m doubles or floats, one behind the other, that somebody else owns."""
    cdef gd_matrix this
    memset(&this, 0, sizeof(this))  # gd_matrix(data, n, ...) would leave the fields that it does not name as they were
    this.data, this.type, this.n_rows, this.n_cols = <const char *>data, type, n, m
    this.col_stride = sizeof(double) if type == GD_F64 else sizeof(float)
    this.row_stride = m * this.col_stride
    return this


cdef void describe(gd_problem *problem, const float *X, const double *y, int64_t n, int64_t d,
                   double alpha) noexcept nogil:
    """A logistic neuron on n rows."""
    memset(problem, 0, sizeof(problem[0]))
    problem.X, problem.y = matrix(X, n, d, GD_F32), matrix(y, n, 1, GD_F64)
    problem.n, problem.n_outputs, problem.loss, problem.fit_intercept = n, 1, gd_loss_log_loss, 1
    problem.l2 = alpha


cdef gd_status train(const gd_problem *problem, const gd_settings *settings, Watch *watch,
                     double *weights) noexcept nogil:
    """Descend from `weights` (d + 1: the coefficients, then the bias), which get the result."""
    cdef gd_state state
    cdef gd_report report
    cdef gd_hooks hooks
    cdef int64_t size = problem.X.n_cols + 1
    cdef gd_status status = gd_state_init(&state, settings, size)
    if status != GD_OK:
        return status
    hooks.poll, hooks.context, hooks.arrived = NULL, watch, NULL
    memcpy(state.weights, weights, size * sizeof(double))
    status = gd_descend(problem, NULL, settings, &hooks, after_epoch, &state, &report)
    memcpy(weights, state.answer, size * sizeof(double))
    gd_report_free(&report)
    gd_state_free(&state)
    return status


def fit(const float[:, ::1] X, const double[::1] y, const int64_t[::1] starts, double alpha=1e-3,
        double good_enough=0.0):
    """Weights (m, d + 1), the bias last, of one logistic neuron for each of m segments, and the epochs it took in all.

    X (n, d) and y (n,) of 0 and 1 are sorted by segment; segment s has the rows starts[s] ... starts[s + 1] - 1.
    A descent ends at its optimum, or once its error is `good_enough`.
    """
    cdef int64_t m = starts.shape[0] - 1, d = X.shape[1], s = 0, first, n
    cdef gd_problem problem
    cdef gd_settings settings
    cdef gd_status status = GD_OK
    cdef Watch watch = Watch(good_enough, 0)
    _check_segments(X.shape, y.shape[0], starts)
    weights = np.zeros((m, d + 1))
    cdef double[:, ::1] w = weights
    memset(&settings, 0, sizeof(settings))
    settings.solver, settings.max_iter, settings.tol, settings.n_threads = GD_SOLVER_AUTO, 100, 1e-6, 1
    with nogil:
        for s in range(m):
            first, n = starts[s], starts[s + 1] - starts[s]
            describe(&problem, &X[first, 0], &y[first], n, d, alpha)
            status = train(&problem, &settings, &watch, &w[s, 0])
            if status != GD_OK:
                break
    _raise_status(status, s)
    return weights, watch.n_epochs


def predict(const float[:, ::1] X, const int64_t[::1] starts, const double[:, ::1] weights):
    """Raw scores (n,) of every row by the neuron of its segment; positive: class 1."""
    cdef int64_t m = starts.shape[0] - 1, d = X.shape[1], s = 0, first, n
    cdef gd_problem problem
    cdef gd_status status = GD_OK
    _check_segments(X.shape, X.shape[0], starts)
    if weights.shape[0] != m or weights.shape[1] != d + 1:
        raise ValueError(f"weights must be of shape ({m}, {d + 1}), got ({weights.shape[0]}, {weights.shape[1]})")
    scores = np.empty(X.shape[0])
    cdef double[::1] z = scores
    with nogil:
        for s in range(m):
            first, n = starts[s], starts[s + 1] - starts[s]
            describe(&problem, &X[first, 0], NULL, n, d, 0.0)
            status = gd_scores(&problem, &weights[s, 0], &weights[s, d], 1, NULL, &z[first], 0)
            if status != GD_OK:
                break
    _raise_status(status, s)
    return scores


def _check_segments(shape, n_targets, starts):
    """What memory safety needs: the engine believes what it is told."""
    starts = np.asarray(starts)
    if n_targets != shape[0]:
        raise ValueError(f"y must be of shape ({shape[0]},), got ({n_targets},)")
    if shape[1] < 1:
        raise ValueError("X must have a column")
    if starts.size < 2 or starts[0] != 0 or starts[starts.size - 1] != shape[0] or (np.diff(starts) < 1).any():
        raise ValueError("starts must rise from 0 to the number of rows")


cdef int _raise_status(gd_status status, int64_t segment) except -1:
    if status == GD_NO_MEMORY:
        raise MemoryError
    if status != GD_OK:
        raise ValueError(f"segment {segment}: gdfast.h has status {<int>status} for this")
    return 0
