"""The gradient descent rule as functions: one evaluation of the error and its gradient, and the whole descent.

Everything here checks its arguments once, in the caller's terms, and leaves the work to the C engine (`gdfast._core`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from gdfast import _core
from gdfast._arguments import count, error_terms, flag, positive, settings_for
from gdfast._model import read_bounds, read_model, read_start, read_state
from gdfast._result import (
    DescentPath,
    DescentResult,
    DescentState,
    RuleState,
    descent_result,
    divergence_message,
    epoch_hook,
    overflow_message,
    vanishes,
)
from gdfast._targets import Targets, largest, read_offset, read_rows, read_targets, read_weights
from gdfast._threads import threads
from gdfast._types import Bounds, Callback, Doubles, LearningRate, Loss, Matrix, RandomState, ReadRows, Scores, Solver
from gdfast.exceptions import DivergenceError
from gdfast.rows.sparse import as_rows, check_rows_finite

__all__ = [
    "LOSSES",
    "DescentPath",
    "DescentResult",
    "DescentState",
    "RuleState",
    "error_and_gradient",
    "gradient_descent",
    "scores",
]

LOSSES = _core.LOSSES
_BLOCK_BYTES = 2**22  # of scores that are looked at and forgotten


# ---- one evaluation --------------------------------------------------------------------------------------------------


def error_and_gradient(
    X: Matrix,
    y: ArrayLike,
    coef: ArrayLike,
    intercept: ArrayLike = 0.0,
    *,
    loss: Loss = "squared_error",
    alpha: float = 0.0,
    l1_ratio: float = 0.0,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    epsilon: float = 0.1,
    quantile: float = 0.5,
    n_threads: int | None = None,
) -> tuple[float, Doubles, float | Doubles]:
    """The error of a linear neuron and its gradient, from one read of X.

    E(w, b) = sum_i s_i loss(y_i, x_i.w + b + offset_i) / sum_i s_i
              + alpha ((1 - l1_ratio)/2 ||w||^2 + l1_ratio ||w||_1)

    The gradient has one element per weight: its sign says which way that weight moves the error up, its magnitude how
    steeply.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n, d)
        Samples, read as stored: float64, float32, float16, any integer type, bool; any strides and byte order; never
        copied. float64 and integers of 32 or 64 bits are computed in double, the rest in float lanes with double sums.
        Sparse rows (CSR of float32 or float64) are read in place too, and computed in double; other sparse formats and
        types are converted to that once.
    y : array-like of shape (n,) or (n, k)
        Targets. loss "log_loss": values in [0, 1] for one neuron; class codes 0 ... k-1 of shape (n,) or soft labels
        (n, k) for k > 1, which is softmax. Margin losses: -1 or +1, or with k > 1 class codes (n,), one against the
        rest. Otherwise numbers, one column per output.
    coef : array-like of shape (d,) or (k, d)
        Weights.
    intercept : float or array-like of shape (k,), default=0.0
        Biases.
    loss : str, default="squared_error"
        One of `gdfast.functional.LOSSES`.
    alpha, l1_ratio : float, default=0.0
        Strength of the penalty, >= 0, and the share of L1 in it, in [0, 1]. Biases are not penalised.
    sample_weight : array-like of shape (n,), optional
        s >= 0, not all zero.
    offset : array-like of shape (n,) or (n, k), optional
        Added to the raw scores.
    epsilon : float, default=0.1
        Width of "huber" and of the tube of the epsilon-insensitive losses.
    quantile : float, default=0.5
        Level of loss "quantile".
    n_threads : int, optional
        Threads to use at most; all that the process may run on by default. The result does not depend on it.

    Returns
    -------
    error : float
    grad_coef : ndarray of the shape of coef
        With an L1 penalty the subgradient of least norm.
    grad_intercept : float or ndarray of shape (k,)

    Raises
    ------
    ValueError
        Shapes that do not fit, values that are not finite or out of the loss's range: the message names row and column.
    TypeError
        Arguments of a wrong type.

    Examples
    --------
    >>> import numpy as np, gdfast
    >>> X, y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([1.0, -1.0])
    >>> error, grad_coef, grad_intercept = gdfast.error_and_gradient(X, y, coef=[0.0, 0.0])
    >>> error, grad_coef.tolist(), grad_intercept
    (0.5, [-0.5, 1.0], 0.0)
    """
    terms = error_terms(loss, alpha, l1_ratio, epsilon, quantile)
    X = as_rows(X)
    n, d = X.shape
    weights, biases, single = read_model(coef, intercept, d)
    k = weights.shape[0]
    targets = read_targets(y, n, loss, k)
    weight, offset = read_weights(sample_weight, n), read_offset(offset, n, k)
    problem = _problem(X, targets, weight, offset, **terms)
    error, grad_coef, grad_intercept = _core.error_and_gradient(problem, weights, biases, threads(n_threads))
    if not (math.isfinite(error) and np.isfinite(grad_coef).all()):
        check_rows_finite(X, "X")
    return (error, grad_coef[0], float(grad_intercept[0])) if single else (error, grad_coef, grad_intercept)


def _problem(X: ReadRows, targets: Targets, weight: Any, offset: Any, **terms: Any) -> _core.Problem:
    """What the error is made of, as the engine takes it."""
    return _core.Problem(
        X,
        targets.y,
        n_outputs=targets.k,
        codes=targets.codes,
        softmax=targets.softmax,
        weight=weight,
        offset=offset,
        **terms,
    )


def scores(
    X: Matrix,
    coef: ArrayLike,
    intercept: ArrayLike = 0.0,
    *,
    offset: ArrayLike | None = None,
    n_threads: int | None = None,
) -> Scores:
    """Raw scores z = X w + b + offset, in one read of X, without a copy and without a temporary beyond the answer.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n, d)
        Samples, of any type that `error_and_gradient` reads.
    coef : array-like of shape (d,) or (k, d)
    intercept : float or array-like of shape (k,), default=0.0
    offset : array-like of shape (n,) or (n, k), optional
    n_threads : int, optional
        Threads to use at most. The result does not depend on it.

    Returns
    -------
    ndarray of shape (n,), or (n, k) if coef is two-dimensional
        float32 for float32 and narrower X, else float64.

    Raises
    ------
    ValueError
        Shapes that do not fit; NaN or infinity in X (the message names row and column).

    Examples
    --------
    >>> import gdfast
    >>> gdfast.scores([[1.0, 2.0], [3.0, 4.0]], coef=[1.0, -1.0], intercept=0.5).tolist()
    [-0.5, -0.5]
    """
    X = as_rows(X)
    weights, biases, single = read_model(coef, intercept, X.shape[1])
    n, k = X.shape[0], weights.shape[0]
    out = np.empty(n if single else (n, k), dtype=type_of_scores(X))
    _write_scores(X, weights, biases, read_offset(offset, n, k), out, threads(n_threads))
    _check_scores(out, X)
    return out


def scores_in_blocks(
    X: Matrix,
    coef: ArrayLike,
    intercept: ArrayLike = 0.0,
    *,
    in_double: bool = False,
    n_threads: int | None = None,
) -> Iterator[tuple[slice, Scores]]:
    """Raw scores of a block of rows at a time, for answers that need no scores of all rows.

    Parameters
    ----------
    X, coef, intercept, n_threads
        As in `scores`.
    in_double : bool, default=False
        Compute in float64 whatever the type of X.

    Yields
    ------
    rows : slice
        Which rows of X.
    z : ndarray of shape (rows,) or (rows, k)
        Their `scores`, in an array that is used again for the next block.

    Raises
    ------
    ValueError
        As `scores`; row numbers are those of X.

    Examples
    --------
    >>> from gdfast.functional import scores_in_blocks
    >>> for rows, z in scores_in_blocks([[1.0, 2.0], [3.0, 4.0]], coef=[1.0, -1.0]):
    ...     print(rows, z)
    slice(0, 2, None) [-1. -1.]
    """
    X = as_rows(X)
    weights, biases, single = read_model(coef, intercept, X.shape[1])
    n, k, n_threads = X.shape[0], weights.shape[0], threads(n_threads)
    dtype = np.dtype(np.float64) if in_double else type_of_scores(X)
    size = min(n, max(1, _BLOCK_BYTES // (k * dtype.itemsize)))
    out = np.empty(size if single else (size, k), dtype=dtype)
    for start in range(0, n, size):
        rows = slice(start, min(start + size, n))
        part = out[: rows.stop - start]
        _write_scores(X[rows], weights, biases, None, part, n_threads)
        _check_scores(part, X)
        yield rows, part


def type_of_scores(X: ReadRows) -> np.dtype[Any]:
    narrow = (X.dtype.kind == "f" and X.dtype.itemsize <= 4) or X.dtype.itemsize <= 2
    return np.dtype(np.float32 if narrow else np.float64)


def _write_scores(X: ReadRows, weights: Doubles, biases: Doubles, offset: Any, out: Scores, n_threads: int) -> None:
    k, wide = weights.shape[0], out.dtype == np.float64
    nothing = np.broadcast_to(np.float64(0.0), (X.shape[0], k))
    problem = _core.Problem(X, nothing, loss="squared_error", n_outputs=k, offset=offset, double_lanes=wide)
    _core.scores(problem, weights, biases, out, n_threads)


def _check_scores(z: Scores, X: ReadRows) -> None:
    """Scores that are not finite give the reason to look through X for what is not."""
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(z.sum(dtype=np.float64)):
            check_rows_finite(X, "X")


# ---- the descent -----------------------------------------------------------------------------------------------------


def gradient_descent(
    X: Matrix,
    y: ArrayLike,
    *,
    loss: Loss = "squared_error",
    coef_init: ArrayLike | None = None,
    intercept_init: ArrayLike | None = None,
    alpha: float = 0.0,
    l1_ratio: float = 0.0,
    solver: Solver = "gd",
    learning_rate: LearningRate = "auto",
    eta0: float = 0.01,
    power_t: float = 0.25,
    optimal_alpha: float | None = None,
    momentum: float = 0.0,
    nesterovs_momentum: bool = False,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    batch_size: int | None = None,
    shuffle: bool = True,
    average: bool | int = False,
    max_iter: int = 1000,
    tol: float | None = 1e-6,
    n_iter_no_change: int = 5,
    fit_intercept: bool = True,
    bounds: Bounds | None = None,
    X_val: Matrix | None = None,
    y_val: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    sample_weight_val: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    offset_val: ArrayLike | None = None,
    epsilon: float = 0.1,
    quantile: float = 0.5,
    n_outputs: int | None = None,
    random_state: RandomState | None = None,
    n_threads: int | None = None,
    keep_path: bool | Literal["step"] = False,
    callback: Callback | None = None,
    rows: ArrayLike | None = None,
    rows_val: ArrayLike | None = None,
    state: RuleState | None = None,
    mean_weight: float | None = None,
) -> DescentResult:
    """Train linear neurons by the gradient descent rule: delta w = -eta dE/dw, with E as in `error_and_gradient`.

    Parameters
    ----------
    X, y, loss, alpha, l1_ratio, sample_weight, offset, epsilon, quantile, n_threads
        As in `error_and_gradient`. With loss "log_loss", integer codes of shape (n,) beyond 1 mean softmax.
    coef_init : array-like of shape (d,) or (k, d), optional
        Where to start; zeros by default.
    intercept_init : float or array-like of shape (k,), optional
        Where the biases start.
    solver : {"gd", "auto", "sgd", "adagrad", "rmsprop", "adam"}, default="gd"
        "gd": steepest descent on all rows. "auto": the fastest road to the optimum, preconditioned descent in a metric
        that no feature's scale can slow down (loss "perceptron", whose optimum is w = 0: "sgd"). The others:
        mini-batches, rules as in the papers they are named after.
    learning_rate : {"auto", "constant", "invscaling", "optimal", "adaptive"}, default="auto"
        "auto" finds eta in the curvature of E and never diverges on convex smooth losses. "constant": eta0.
        "invscaling": eta0 / t^power_t. "optimal": 1 / (alpha (t0 + t - 1)), t0 by Bottou's heuristic. "adaptive": eta0,
        divided by 5 whenever n_iter_no_change epochs brought no improvement. Solver "auto" needs none.
    eta0 : float, default=0.01
        Learning rate of the schedules that are given one.
    power_t : float, default=0.25
        Exponent of "invscaling".
    optimal_alpha : float, optional
        alpha in the schedule "optimal"; that of the penalty by default. Needed where there is none.
    momentum : float in [0, 1), default=0.0
        Share of the last step that is kept; solvers "gd" and "sgd".
    nesterovs_momentum : bool, default=False
        Look ahead along the velocity (Sutskever et al. 2013).
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        Decay rates of Adam's moments.
    batch_size : int, optional
        Rows per update of the mini-batch rules, 32 by default; may exceed n. With weights s a batch of B rows steps
        along sum s_i grad_i / (B mean s), so that a weight counts against those of other batches.
    shuffle : bool, default=True
        Visit rows in a fresh order each epoch.
    average : bool or int, default=False
        Return the mean of the weights over the updates: from the first, or from this one on.
    max_iter : int, default=1000
        Epochs at most; solver "auto" descends independent outputs one after the other, in so many epochs each.
    tol : float or None, default=1e-6
        Relative suboptimality ``(E - E*) / |E*|`` to stop at; the mini-batch rules stop after n_iter_no_change epochs
        without an improvement by tol of the best error. None: run max_iter.
    n_iter_no_change : int, default=5
        Patience, in epochs, of the mini-batch rules and of the validation set.
    fit_intercept : bool, default=True
        Whether biases are trained; else they stay at intercept_init.
    bounds : (low, high), optional
        What every weight must lie between, biases excepted: numbers or arrays that broadcast to the shape of coef, -inf
        and inf or None where there is no limit; (0, None) for weights that must not be negative. Steps are projected.
    X_val, y_val, sample_weight_val, offset_val : array-like, optional
        Held-out rows. Their error is recorded after each epoch, n_iter_no_change epochs without an improvement end the
        descent, and the weights of the best epoch are returned: training stops where the neuron generalises.
    n_outputs : int, optional
        k, with class codes of shape (n,): softmax for "log_loss", one against the rest for margin losses. By default
        "log_loss" takes the largest code, unless that would make more classes than rows, and than 1000.
    random_state : int, RandomState, Generator or None, default=None
        Key of the shuffling.
    keep_path : bool or "step", default=False
        Keep the weights after every epoch ("step": after every update, mini-batches included).
    callback : callable, optional
        Called as callback(state) after each epoch with a `DescentState`; return True to stop, None or False to go on.
    rows, rows_val : array-like of int, optional
        Train on X[rows] and validate on X[rows_val], read in place without a copy. rows_val takes the place of X_val.
    state : RuleState, optional
        `DescentResult.state` of an earlier descent by the same rule, to go on from, on the same rows or on others: as
        if there had been one descent. Takes the place of coef_init and intercept_init.
    mean_weight : float, optional
        What the mini-batch rules divide weights by, in place of their mean: for rows that are a part of more rows, the
        mean over all of them, 1 for a row without a weight.

    Returns
    -------
    DescentResult

    Raises
    ------
    DivergenceError
        The error left the finite range or grew without bound. Names epoch, error and a rate that would work.
    ValueError, TypeError
        As `error_and_gradient`; parameters out of range.
    TypeError
        The callback returned something else than a bool or None.

    Warns
    -----
    ConvergenceWarning
        max_iter ended the descent before tol was reached.

    Examples
    --------
    >>> import numpy as np, gdfast
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> result = gdfast.gradient_descent(X, 2.0 * X[:, 0] + 1.0, tol=1e-12)
    >>> float(result.coef[0].round(3)), round(result.intercept, 3), result.converged
    (2.0, 1.0, True)
    """
    terms = error_terms(loss, alpha, l1_ratio, epsilon, quantile)
    settings = settings_for(
        loss,
        terms["l2"] + terms["l1"],
        solver=solver,
        learning_rate=learning_rate,
        eta0=eta0,
        power_t=power_t,
        optimal_alpha=optimal_alpha,
        momentum=momentum,
        nesterovs_momentum=nesterovs_momentum,
        beta_1=beta_1,
        beta_2=beta_2,
        batch_size=batch_size,
        shuffle=shuffle,
        average=average,
        max_iter=max_iter,
        tol=tol,
        n_iter_no_change=n_iter_no_change,
        random_state=random_state,
        keep_path=keep_path,
    )
    n_threads = threads(n_threads)
    terms["fit_intercept"] = flag(fit_intercept, "fit_intercept")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")

    X = as_rows(X)
    n, d = X.shape
    targets = read_targets(y, n, loss, None if n_outputs is None else count(n_outputs, "n_outputs"))
    weight, offset = read_weights(sample_weight, n), read_offset(offset, n, targets.k)
    rows, rows_val = read_rows(rows, n, "rows", weight), read_rows(rows_val, n, "rows_val", weight)
    weight_mean = 0.0 if mean_weight is None else positive(mean_weight, "mean_weight")
    terms["lower"], terms["upper"] = read_bounds(bounds, targets.k, d)
    problem = _problem(X, targets, weight, offset, rows=rows, weight_mean=weight_mean, **terms)
    validation = None
    if rows_val is not None:
        check_rows_finite(X, "X", rows_val)
        validation = _problem(X, targets, weight, offset, rows=rows_val, **terms)
    elif X_val is not None or y_val is not None:
        validation = _validation_problem(X_val, y_val, sample_weight_val, offset_val, d, targets, terms)
    start: Any
    start, shape = read_start(coef_init, intercept_init, targets.k, d, targets.k == 1 and targets.y.ndim == 1)
    if state is not None:
        if coef_init is not None or intercept_init is not None:
            raise ValueError("coef_init and intercept_init must be None where state is given")
        start = read_state(state)
    hook = None if callback is None else epoch_hook(callback, shape)
    settings["batch_size"] = min(settings["batch_size"], n if rows is None else len(rows))

    status, weights, report = _core.descend(problem, validation, start, callback=hook, n_threads=n_threads, **settings)
    reach = largest(targets.low, targets.high)
    if status != "ok":
        check_rows_finite(X, "X", rows)
        if validation is not None:
            check_rows_finite(validation.X, "X" if validation.X is X else "X_val", rows_val)
        overflow = status == "not_finite"
        raise DivergenceError(
            overflow_message(X, reach, rows) if overflow else divergence_message(report, settings["eta0"])
        )
    report["vanished"] = vanishes(report["error"], loss, reach)
    more = {"validated": validation is not None, "fit_intercept": terms["fit_intercept"]}
    return descent_result(weights, report, settings, shape, **more)


def _validation_problem(
    X_val: Any, y_val: Any, sample_weight_val: Any, offset_val: Any, d: int, targets: Targets, terms: dict[str, Any]
) -> _core.Problem:
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together, got only one of them")
    X_val = as_rows(X_val, "X_val")
    n = X_val.shape[0]
    if X_val.shape[1] != d:
        raise ValueError(f"X_val must have the {d} features of X, got {X_val.shape[1]}")
    held_out = read_targets(y_val, n, terms["loss"], targets.k, "y_val")
    weight = read_weights(sample_weight_val, n, "sample_weight_val")
    return _problem(X_val, held_out, weight, read_offset(offset_val, n, targets.k, "offset_val"), **terms)
