"""The gradient descent rule as functions: one evaluation of the error and its gradient, and the whole descent.

Everything here checks its arguments once, in the caller's terms, and leaves the work to the C engine (`gdfast._core`).
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from gdfast import _core
from gdfast.exceptions import DivergenceError
from gdfast.rows.arrays import as_column, as_matrix, as_weights, check_finite

__all__ = ["LOSSES", "DescentPath", "DescentResult", "DescentState", "error_and_gradient", "gradient_descent", "scores"]

LOSSES = _core.LOSSES
_MINI_BATCH_RULES = ("sgd", "adagrad", "rmsprop", "adam")
_LARGEST_COUNT = 2**62
_SQUARES = ("squared_error", "huber", "squared_epsilon_insensitive")
_SMALLEST_SQUARE = 1e-150  # below, errors are rounded to 0 and any answer would look perfect
_MOST_THREADS = 1024


class DescentState(NamedTuple):
    """What a callback sees after each epoch. `validation_error` is NaN without a validation set."""

    epoch: int
    error: float
    validation_error: float
    gradient_norm: float
    eta: float
    coef: np.ndarray
    intercept: float | np.ndarray


class DescentPath(NamedTuple):
    """The weights along the descent, the start first: coef (steps + 1, [k,] d), intercept (steps + 1, [k])."""

    coef: np.ndarray
    intercept: np.ndarray


@dataclass(frozen=True)
class DescentResult:
    """What a descent came to.

    Attributes
    ----------
    coef : ndarray of shape (d,) or (k, d)
        The weights. With a validation set those of its best epoch.
    intercept : float or ndarray of shape (k,)
        The biases.
    error : float
        E at these weights, penalty included.
    n_iter : int
        Epochs done (solver "auto" and "gd": steps).
    converged : bool
        Whether the descent ended by itself before `max_iter`.
    message : str
        How it ended, and which method was used.
    loss_curve : ndarray of shape (n_iter,)
        E per epoch: after each step for solvers "auto" and "gd"; for mini-batches the mean over the epoch, each batch's
        error taken before its update.
    validation_curve : ndarray of shape (n_iter,) or None
        Error on the validation set after each epoch, penalty included.
    gradient_norm_curve : ndarray of shape (n_iter,)
        Euclidean norm of the gradient of E (mini-batches: of the epoch's mean step over its mean learning rate).
    eta : ndarray of shape (n_iter,)
        Learning rate of each epoch; solver "auto": the share of the preconditioned step that was taken.
    path : DescentPath or None
        The weights after every step, if they were kept.
    t : int
        Updates done.
    n_passes : int
        Full reads of X that the descent took.
    suboptimality : float
        Estimate of (E - E*) / |E*| at the end; NaN where the solver has none.
    """

    coef: np.ndarray
    intercept: float | np.ndarray
    error: float
    n_iter: int
    converged: bool
    message: str
    loss_curve: np.ndarray
    validation_curve: np.ndarray | None
    gradient_norm_curve: np.ndarray
    eta: np.ndarray
    path: DescentPath | None
    t: int
    n_passes: int
    suboptimality: float


# ---- checks ------------------------------------------------------------------------------------------------------------


def _number(value: Any, name: str, rule: str, accept: Callable[[float], bool]) -> float:
    """Return value as a float if it is a real number that `accept` takes; bools and huge ints are refused."""
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        try:
            number = float(value)
        except OverflowError:
            number = math.nan
        if accept(number):
            return number
    elif not isinstance(value, (Real, np.generic)) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be {rule}, got {value!r}")
    raise ValueError(f"{name} must be {rule}, got {value!r}")


def _count(value: Any, name: str, least: int = 1) -> int:
    if not isinstance(value, Integral) or isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be an integer >= {least}, got {value!r}")
    if not least <= int(value) <= _LARGEST_COUNT:
        raise ValueError(f"{name} must be an integer >= {least} and < 2**62, got {_short(value)}")
    return int(value)


def _short(value: Any) -> str:
    text = (
        repr(value) if not isinstance(value, Integral) or int(value).bit_length() < 4000 else "an integer of that size"
    )
    return text if len(text) <= 80 else text[:77] + "..."


def _choice(value: Any, name: str, options: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {value!r}")
    return value


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a bool, got {value!r}")
    return bool(value)


def _threads(n_threads: int | None) -> int:
    """Threads to use: as many as this process may run on, unless told; OMP_NUM_THREADS, which joblib sets, is heeded."""
    if n_threads is not None:
        return min(_count(n_threads, "n_threads"), _MOST_THREADS)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for limit in (os.environ.get("OMP_NUM_THREADS", ""), _cgroup_quota()):
        if limit.isdecimal() and int(limit) > 0:
            available = min(available, int(limit))
    return available


def _read_cgroup_quota() -> str:
    """Whole processors that the control group grants, rounded up, or "" (Linux, cgroup v2 and v1)."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with (
                open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as file,
                open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as other,
            ):
                quota, period = file.read().strip(), other.read().strip()
        except OSError:
            return ""
    return str(math.ceil(int(quota) / int(period))) if quota.isdigit() else ""


_quota: str | None = None


def _cgroup_quota() -> str:
    global _quota
    if _quota is None:
        _quota = _read_cgroup_quota()
    return _quota


def _seed(random_state: Any) -> int:
    """A 64-bit key from an int, a RandomState, a Generator, or None for a fresh one."""
    if random_state is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**63))
    return _count(random_state, "random_state", least=0)


def _loss_parameter(loss: str, epsilon: float, quantile: float) -> float:
    if loss in ("huber", "epsilon_insensitive", "squared_epsilon_insensitive"):
        return _number(epsilon, "epsilon", "a finite float >= 0", lambda v: 0 <= v < math.inf)
    if loss == "quantile":
        return _number(quantile, "quantile", "a float in (0, 1)", lambda v: 0 < v < 1)
    return 0.0


def _penalties(alpha: float, l1_ratio: float) -> tuple[float, float]:
    alpha = _number(alpha, "alpha", "a finite float >= 0", lambda v: 0 <= v < math.inf)
    ratio = _number(l1_ratio, "l1_ratio", "a float in [0, 1]", lambda v: 0 <= v <= 1)
    return alpha * (1.0 - ratio), alpha * ratio


def _weights_column(sample_weight: Any, n: int, name: str = "sample_weight") -> np.ndarray | None:
    if sample_weight is None:
        return None
    weight = as_column(sample_weight, n, name)
    if weight.ndim != 1:
        raise ValueError(f"{name} must be of shape ({n},), got {weight.shape}")
    if weight.min() < 0:
        raise ValueError(f"{name} must be >= 0, found {weight.min()} at row {int(weight.argmin())}")
    largest = float(weight.max())
    if largest == 0.0:
        raise ValueError(f"{name} must have a non-zero entry, got all zeros")
    if not 1e-150 < largest < 1e150:  # sums and products of these stay in range; E does not depend on the scale
        weight = weight.astype(np.float64) / largest
    return weight


class _Targets(NamedTuple):
    y: np.ndarray
    k: int
    codes: bool
    softmax: bool


def _targets(y: Any, n: int, loss: str, k: int | None, name: str = "y") -> _Targets:
    """How y is to be read: values of one or k outputs, or class codes. k None: find out from y."""
    array = np.asarray(y) if not np.ma.isMaskedArray(y) else y
    columns = array.shape[1] if array.ndim == 2 else 1
    if k is None:
        k = columns
        if loss == "log_loss" and array.ndim == 1 and array.dtype.kind in "iu" and array.size and array.max() > 1:
            k = int(array.max()) + 1
    y = as_column(array, n, name, n_columns=k, finite=loss not in ("log_loss", "poisson"))  # their ranges say so too
    codes = y.ndim == 1 and k > 1
    if codes and loss != "log_loss" and loss not in _core.MARGIN_LOSSES:
        raise ValueError(f"y must be of shape ({n}, {k}) for loss={loss!r} and {k} outputs, got {y.shape}")
    if codes:
        _check_codes(y, k, name)
    elif loss == "log_loss":
        _check_range(y, 0.0, 1.0, f"{name} must be in [0, 1] for loss='log_loss'")
    elif loss == "poisson":
        _check_range(y, 0.0, math.inf, f"{name} must be >= 0")
    elif loss == "gamma" and y.min() <= 0:
        raise ValueError(f"{name} must be > 0, found {y.min()} at row {int(np.argmin(y) // k)}")
    elif loss in _core.MARGIN_LOSSES and not np.isin(y, (-1, 1)).all():
        row = int(np.argmin(np.isin(y, (-1, 1))) // k)
        raise ValueError(f"{name} must be -1 or +1 for loss={loss!r}, found {y[row]} at row {row}")
    return _Targets(y, k, codes, loss == "log_loss" and k > 1)


def _check_codes(y: np.ndarray, k: int, name: str) -> None:
    whole = y if y.dtype.kind in "iub" else np.floor(y)
    if (whole != y).any() or y.min() < 0 or y.max() >= k:
        row = int(np.argmax((whole != y) | (y < 0) | (y >= k)))
        raise ValueError(f"{name} must be class codes 0 ... {k - 1}, found {y[row]} at row {row}")


def _check_range(y: np.ndarray, low: float, high: float, rule: str) -> None:
    if (y.dtype.kind in "ub" and high == math.inf) or (low <= y.min() and y.max() <= min(high, np.finfo(np.float64).max)):
        return
    check_finite(y, rule.split()[0])
    row = np.argmax((y < low) | (y > high))
    raise ValueError(f"{rule}, found {y.reshape(-1)[row]} at row {int(row // (y.size // y.shape[0]))}")


# ---- one evaluation ----------------------------------------------------------------------------------------------------


def error_and_gradient(
    X,
    y,
    coef,
    intercept=0.0,
    *,
    loss="squared_error",
    alpha=0.0,
    l1_ratio=0.0,
    sample_weight=None,
    offset=None,
    epsilon=0.1,
    quantile=0.5,
    n_threads=None,
):
    """The error of a linear neuron and its gradient, from one read of X.

    E(w, b) = sum_i s_i loss(y_i, x_i.w + b + offset_i) / sum_i s_i + alpha ((1 - l1_ratio)/2 ||w||^2 + l1_ratio ||w||_1)

    The gradient has one element per weight: its sign says which way that weight moves the error up, its magnitude how
    steeply.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Samples, read as stored: float64, float32, float16, any integer type, bool; any strides and byte order; never
        copied. float64 and integers of 32 or 64 bits are computed in double, the rest in float lanes with double sums.
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
    loss = _choice(loss, "loss", LOSSES)
    X = as_matrix(X)
    n, d = X.shape
    weights, biases, single = _model(coef, intercept, d)
    k = weights.shape[0]
    targets = _targets(y, n, loss, k)
    l2, l1 = _penalties(alpha, l1_ratio)
    problem = _core.Problem(
        X,
        targets.y,
        loss=loss,
        n_outputs=k,
        weight=_weights_column(sample_weight, n),
        offset=_offset(offset, n, k),
        codes=targets.codes,
        softmax=targets.softmax,
        param=_loss_parameter(loss, epsilon, quantile),
        l2=l2,
        l1=l1,
    )
    error, grad_coef, grad_intercept = _core.error_and_gradient(problem, weights, biases, _threads(n_threads))
    if not (math.isfinite(error) and np.isfinite(grad_coef).all()):
        check_finite(X, "X")
    return (error, grad_coef[0], float(grad_intercept[0])) if single else (error, grad_coef, grad_intercept)


def _model(coef: Any, intercept: Any, d: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Weights (k, d) and biases (k,) of doubles, and whether coef is that of one neuron, of shape (d,)."""
    weights = as_weights(coef, "coef")
    if weights.ndim not in (1, 2) or weights.shape[-1] != d or weights.shape[0] == 0:
        raise ValueError(f"coef must be of shape ({d},) or (k, {d}), got {weights.shape}")
    single = weights.ndim == 1
    weights = np.atleast_2d(weights)
    check_finite(weights, "coef")
    return weights, _biases(intercept, weights.shape[0], "intercept"), single


def _biases(intercept: Any, k: int, name: str) -> np.ndarray:
    biases = as_weights(intercept, name)
    if biases.ndim == 0 or biases.shape == (1,):
        biases = np.full(k, biases.reshape(-1)[0] if biases.ndim else biases)
    if biases.shape != (k,):
        raise ValueError(f"{name} must be a float or of shape ({k},), got {biases.shape}")
    check_finite(biases, name)
    return biases


def _offset(offset: Any, n: int, k: int, name: str = "offset") -> np.ndarray | None:
    return None if offset is None else as_column(offset, n, name, n_columns=k)


def scores(X, coef, intercept=0.0, *, offset=None, n_threads=None):
    """Raw scores z = X w + b + offset, in one read of X, without a copy and without a temporary beyond the answer.

    Parameters
    ----------
    X : array-like of shape (n, d)
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
    X = as_matrix(X)
    weights, biases, single = _model(coef, intercept, X.shape[1])
    k = weights.shape[0]
    narrow = (X.dtype.kind == "f" and X.dtype.itemsize <= 4) or X.dtype.itemsize <= 2
    out = np.empty(X.shape[0] if single else (X.shape[0], k), dtype=np.float32 if narrow else np.float64)
    nothing = np.broadcast_to(np.float64(0.0), (X.shape[0], k))
    problem = _core.Problem(X, nothing, loss="squared_error", n_outputs=k, offset=_offset(offset, X.shape[0], k))
    _core.scores(problem, weights, biases, out, _threads(n_threads))
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(out.sum(dtype=np.float64)):
            check_finite(X, "X")
    return out


# ---- the descent -------------------------------------------------------------------------------------------------------


def gradient_descent(
    X,
    y,
    *,
    loss="squared_error",
    coef_init=None,
    intercept_init=None,
    alpha=0.0,
    l1_ratio=0.0,
    solver="gd",
    learning_rate="auto",
    eta0=0.01,
    power_t=0.25,
    momentum=0.0,
    nesterovs_momentum=False,
    beta_1=0.9,
    beta_2=0.999,
    batch_size=None,
    shuffle=True,
    average=False,
    max_iter=1000,
    tol=1e-6,
    n_iter_no_change=5,
    fit_intercept=True,
    X_val=None,
    y_val=None,
    sample_weight=None,
    sample_weight_val=None,
    offset=None,
    offset_val=None,
    epsilon=0.1,
    quantile=0.5,
    n_outputs=None,
    random_state=None,
    n_threads=None,
    keep_path=False,
    callback=None,
    rows=None,
    rows_val=None,
):
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
        that no feature's scale can slow down (loss "perceptron", whose optimum is w = 0: "sgd"). The others: mini-batches, rules as in the papers they are named after.
    learning_rate : {"auto", "constant", "invscaling", "optimal", "adaptive"}, default="auto"
        "auto" finds eta in the curvature of E and never diverges on convex smooth losses. "constant": eta0.
        "invscaling": eta0 / t^power_t. "optimal": 1 / (alpha (t0 + t - 1)), t0 by Bottou's heuristic. "adaptive": eta0,
        divided by 5 whenever n_iter_no_change epochs brought no improvement. Solver "auto" needs none.
    eta0 : float, default=0.01
        Learning rate of the schedules that are given one.
    power_t : float, default=0.25
        Exponent of "invscaling".
    momentum : float in [0, 1), default=0.0
        Share of the last step that is kept; solvers "gd" and "sgd".
    nesterovs_momentum : bool, default=False
        Look ahead along the velocity (Sutskever et al. 2013).
    beta_1, beta_2 : float in [0, 1), default=0.9, 0.999
        Decay rates of Adam's moments.
    batch_size : int, optional
        Rows per update of the mini-batch rules, 32 by default; may exceed n. With weights s a batch of B rows steps along
        sum s_i grad_i / (B mean s), so that a weight counts against those of other batches.
    shuffle : bool, default=True
        Visit rows in a fresh order each epoch.
    average : bool or int, default=False
        Return the mean of the weights over the updates: from the first, or from this one on.
    max_iter : int, default=1000
        Epochs at most.
    tol : float or None, default=1e-6
        Relative suboptimality (E - E*) / |E*| to stop at; the mini-batch rules stop after n_iter_no_change epochs
        without an improvement by tol of the best error. None: run max_iter.
    n_iter_no_change : int, default=5
        Patience, in epochs, of the mini-batch rules and of the validation set.
    fit_intercept : bool, default=True
        Whether biases are trained; else they stay at intercept_init.
    X_val, y_val, sample_weight_val, offset_val : array-like, optional
        Held-out rows. Their error is recorded after each epoch, n_iter_no_change epochs without an improvement end the
        descent, and the weights of the best epoch are returned: training stops where the neuron generalises.
    n_outputs : int, optional
        k, with class codes of shape (n,): softmax for "log_loss", one against the rest for margin losses.
    random_state : int, RandomState, Generator or None, default=None
        Key of the shuffling.
    keep_path : bool or "step", default=False
        Keep the weights after every epoch ("step": after every update, mini-batches included).
    callback : callable, optional
        Called as callback(state) after each epoch with a `DescentState`; return True to stop, None or False to go on.
    rows, rows_val : array-like of int, optional
        Train on X[rows] and validate on X[rows_val], read in place without a copy. rows_val takes the place of X_val.

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
    solver = _choice(solver, "solver", _core.SOLVERS)
    loss = _choice(loss, "loss", LOSSES)
    l2, l1 = _penalties(alpha, l1_ratio)
    if loss == "perceptron":  # w = 0 minimises its error but separates nothing: its rule is the thing, not its optimum
        solver = "sgd" if solver == "auto" else solver
        if learning_rate == "auto" and solver == "gd":
            learning_rate, eta0 = "constant", 1.0 / max(1.0, l2 + l1)  # any rate gives the same decisions
    settings = _settings(
        solver,
        learning_rate,
        eta0,
        power_t,
        momentum,
        nesterovs_momentum,
        beta_1,
        beta_2,
        batch_size,
        shuffle,
        average,
        max_iter,
        tol,
        n_iter_no_change,
        random_state,
        n_threads,
        keep_path,
    )
    if settings["learning_rate"] == "optimal" and l2 + l1 == 0.0:
        raise ValueError("alpha must be > 0 for learning_rate='optimal', got 0")
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable, got {callback!r}")

    X = as_matrix(X)
    n = X.shape[0]
    targets = _targets(y, n, loss, None if n_outputs is None else _count(n_outputs, "n_outputs"))
    common = dict(
        loss=loss,
        n_outputs=targets.k,
        softmax=targets.softmax,
        param=_loss_parameter(loss, epsilon, quantile),
        l2=l2,
        l1=l1,
        fit_intercept=_flag(fit_intercept, "fit_intercept"),
    )
    weight, shift = _weights_column(sample_weight, n), _offset(offset, n, targets.k)
    rows = _row_numbers(rows, n, "rows", weight)
    settings["batch_size"] = min(settings["batch_size"], n if rows is None else len(rows))
    problem = _core.Problem(X, targets.y, codes=targets.codes, weight=weight, offset=shift, rows=rows, **common)
    validation = None
    if rows_val is not None:
        rows_val = _row_numbers(rows_val, n, "rows_val", weight)
        check_finite(X, "X", rows_val)
        validation = _core.Problem(
            X, targets.y, codes=targets.codes, weight=weight, offset=shift, rows=rows_val, **common
        )
    elif X_val is not None or y_val is not None:
        validation = _validation(X_val, y_val, sample_weight_val, offset_val, X.shape[1], targets, common)

    start, single = _start(coef_init, intercept_init, targets.k, X.shape[1], np.ndim(targets.y) == 1 and targets.k == 1)
    hook = None if callback is None else _hook(callback, targets.k, X.shape[1], single)
    status, weights, report = _core.descend(problem, validation, start, callback=hook, **settings)
    if status != "ok":
        check_finite(X, "X", rows)
        if validation is not None:
            check_finite(validation.X, "X" if validation.X is X else "X_val", rows_val)
        overflow = status == "not_finite"
        raise DivergenceError(
            _overflow_message(X, targets.y, rows) if overflow else _divergence_message(report, settings["eta0"])
        )
    report["vanished"] = (
        report["error"] == 0.0 and loss in _SQUARES and targets.y.any() and np.abs(targets.y).max() < _SMALLEST_SQUARE
    )
    return _result(weights, report, settings, targets.k, X.shape[1], single, validation is not None)


def _settings(
    solver,
    learning_rate,
    eta0,
    power_t,
    momentum,
    nesterovs_momentum,
    beta_1,
    beta_2,
    batch_size,
    shuffle,
    average,
    max_iter,
    tol,
    n_iter_no_change,
    random_state,
    n_threads,
    keep_path,
) -> dict[str, Any]:
    """The keyword arguments of `_core.descend`, checked."""
    if not isinstance(keep_path, (bool, np.bool_)) and not (isinstance(keep_path, str) and keep_path == "step"):
        raise ValueError(f"keep_path must be False, True or 'step', got {keep_path!r}")
    in_unit = lambda v: 0 <= v < 1  # noqa: E731
    positive = lambda v: 0 < v < math.inf  # noqa: E731
    mini_batch = solver in _MINI_BATCH_RULES
    size = 32 if mini_batch and batch_size is None else 0 if batch_size is None else _count(batch_size, "batch_size")
    from_update = int(average) if isinstance(average, (bool, np.bool_)) else _count(average, "average")
    return dict(
        solver=solver,
        learning_rate=_choice(learning_rate, "learning_rate", _core.SCHEDULES),
        eta0=_number(eta0, "eta0", "a finite float > 0", positive),
        power_t=_number(power_t, "power_t", "a finite float", math.isfinite),
        momentum=_number(momentum, "momentum", "a float in [0, 1)", in_unit),
        nesterov=_flag(nesterovs_momentum, "nesterovs_momentum"),
        beta_1=_number(beta_1, "beta_1", "a float in [0, 1)", in_unit),
        beta_2=_number(beta_2, "beta_2", "a float in [0, 1)", in_unit),
        batch_size=size if mini_batch else 0,
        shuffle=_flag(shuffle, "shuffle"),
        seed=_seed(random_state) if mini_batch and shuffle else 0,
        max_iter=_count(max_iter, "max_iter"),
        tol=-1.0 if tol is None else _number(tol, "tol", "a finite float >= 0 or None", lambda v: 0 <= v < math.inf),
        n_iter_no_change=_count(n_iter_no_change, "n_iter_no_change"),
        average=from_update if solver != "auto" else 0,
        n_threads=_threads(n_threads),
        keep_path=2 if keep_path == "step" else int(keep_path),
    )


def _row_numbers(rows: Any, n: int, name: str, weight: np.ndarray | None) -> np.ndarray | None:
    if rows is None:
        return None
    rows = np.array(rows)  # a copy: C trusts these numbers, whoever changes the caller's array meanwhile
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.size == 0 or rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"{name} must be row numbers 0 ... {n - 1}, at least one, got {rows!r}")
    if weight is not None and not weight[rows].any():
        raise ValueError(f"sample_weight must have a non-zero entry among {name}, got all zeros")
    return rows.astype(np.int64, copy=False)


def _validation(X_val, y_val, sample_weight_val, offset_val, d, targets: _Targets, common) -> _core.Problem:
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together, got only one of them")
    X_val = as_matrix(X_val, "X_val")
    n = X_val.shape[0]
    if X_val.shape[1] != d:
        raise ValueError(f"X_val must have the {d} features of X, got {X_val.shape[1]}")
    held_out = _targets(y_val, n, common["loss"], targets.k, "y_val")
    return _core.Problem(
        X_val,
        held_out.y,
        codes=held_out.codes,
        weight=_weights_column(sample_weight_val, n, "sample_weight_val"),
        offset=_offset(offset_val, n, targets.k, "offset_val"),
        **common,
    )


def _start(coef_init, intercept_init, k: int, d: int, single: bool) -> tuple[np.ndarray, bool]:
    """The weights to start from, coef then intercepts in one array, and whether the answer is that of one neuron (d,)."""
    start = np.zeros(k * d + k)
    if coef_init is not None:
        coef = as_weights(coef_init, "coef_init")
        if coef.shape != (k, d) and not (k == 1 and coef.shape == (d,)):
            raise ValueError(
                f"Provided coef_init does not match dataset: coef_init must be of shape {(d,) if k == 1 else (k, d)}, got {coef.shape}"
            )
        check_finite(coef, "coef_init")
        start[: k * d] = coef.reshape(-1)
        single = coef.ndim == 1
    if intercept_init is not None:
        start[k * d :] = _biases(intercept_init, k, "intercept_init")
    return start, single


def _shaped(weights: np.ndarray, k: int, d: int, single: bool) -> tuple[np.ndarray, Any]:
    """coef and intercept of one or, along the leading axis, many weight vectors."""
    lead = weights.shape[:-1]
    coef, intercept = weights[..., : k * d].reshape(*lead, k, d), weights[..., k * d :]
    if not single:
        return coef, intercept
    return coef[..., 0, :], intercept[..., 0] if lead else float(intercept[0])


def _hook(callback: Callable[[DescentState], Any], k: int, d: int, single: bool) -> Callable[..., bool]:
    def hook(epoch, error, validation_error, gradient_norm, eta, weights):
        answer = callback(
            DescentState(epoch, error, validation_error, gradient_norm, eta, *_shaped(weights, k, d, single))
        )
        if answer is not None and not isinstance(answer, (bool, np.bool_)):
            raise TypeError(f"callback must return True, False or None, got {answer!r}")
        return bool(answer)

    return hook


def _overflow_message(X: np.ndarray, y: np.ndarray, rows: np.ndarray | None) -> str:
    largest = max(abs(float(y.max())), abs(float(y.min())))
    if largest > 1e150:
        return f"Floating-point under-/overflow occurred at epoch #1. The error is not finite; scale y (it reaches {largest:.3g})."
    with np.errstate(over="ignore", invalid="ignore"):
        sample = X[:1000] if rows is None else X[rows[:1000]]
        column = int(np.argmax(np.abs(sample.astype(np.float64)).max(axis=0)))
        scale = float(np.abs(sample[:, column].astype(np.float64)).max())
    return (
        "Floating-point under-/overflow occurred at epoch #1. The error is not finite although X is; scale the features "
        f"(column {column} has scale {scale:.3g}). Scaling input data with StandardScaler or MinMaxScaler might help."
    )


def _divergence_message(report: dict[str, Any], eta0: float) -> str:
    cure = "scale the features"
    if report["usable_eta"] > 0:
        cure = f"try eta0={report['usable_eta']:.2g} (eta0={eta0:.3g} was given) or learning_rate='auto'"
    return (
        f"Floating-point under-/overflow occurred at epoch #{report['diverged_epoch']}, step {report['diverged_step']}: the "
        f"error reached {report['error']:.4g}. The learning rate is too large for the curvature of the error surface; {cure}. "
        "Scaling input data with StandardScaler or MinMaxScaler might help."
    )


_METHODS = {
    "newton": "preconditioned gradient descent, metric from a sample of rows",
    "diagonal": "preconditioned gradient descent, diagonal metric and quasi-Newton memory",
    "gram": "preconditioned gradient descent, exact metric X'X from one pass",
    "smoothed": "preconditioned gradient descent on ever less rounded kinks",
    "proximal": "proximal steps in the metric of a sample of rows",
}
_REASONS = {
    "converged": "the error is within tol of its minimum",
    "no_improvement": "no improvement by tol for n_iter_no_change epochs",
    "validation": "the validation error has not improved for n_iter_no_change epochs",
    "callback": "the callback asked to stop",
    "precision": "no further progress is possible in this arithmetic",
    "max_iter": "max_iter was reached",
}


def _result(weights, report, settings, k, d, single, validated) -> DescentResult:
    reason = report["reason"]
    method = _METHODS.get(report["method"], f"update rule {settings['solver']!r}")
    coef, intercept = _shaped(weights, k, d, single)
    path = DescentPath(*_shaped(report["path"], k, d, single)) if settings["keep_path"] else None
    message = f"Stopped after {report['n_iter']} epochs and {report['n_passes']} passes: {_REASONS[reason]} ({method})."
    if validated and report["best_epoch"]:
        message += f" Weights of the best epoch, {report['best_epoch']}."
    if report["missing_threads"]:
        warnings.warn(
            f"{report['missing_threads']} threads could not be started; the work ran on fewer",
            RuntimeWarning,
            stacklevel=3,
        )
    _warn_unless_converged(report, settings)
    return DescentResult(
        coef=coef,
        intercept=intercept,
        error=report["error"],
        n_iter=report["n_iter"],
        converged=reason not in ("max_iter", "callback"),
        message=message,
        loss_curve=report["loss_curve"],
        validation_curve=report["validation_curve"] if validated else None,
        gradient_norm_curve=report["gradient_norm_curve"],
        eta=report["eta"],
        path=path,
        t=report["t"],
        n_passes=report["n_passes"],
        suboptimality=report["suboptimality"],
    )


def _much_is_left(report: dict[str, Any], tol: float) -> bool:
    """Whether rounding stopped a descent where both the error at the end and that at the start say it matters."""
    left = report["suboptimality"] * abs(report["error"])
    return report["suboptimality"] > max(100 * tol, 1e-6) and left > 1e-9 * abs(report["loss_curve"][0])


def _warn_unless_converged(report: dict[str, Any], settings: dict[str, Any]) -> None:
    cause = ""
    if report["separable"]:
        cause = (
            "The classes are separated perfectly: without a penalty the error tends to 0 while the weights grow for ever. "
            "Set alpha > 0."
        )
    elif report["reason"] == "max_iter" and settings["tol"] >= 0:
        left = (
            f" (about {report['suboptimality']:.1e} of the error is left to gain)"
            if report["suboptimality"] > 0
            else ""
        )
        cure = (
            "Consider increasing max_iter to improve the fit"
            if settings["solver"] == "auto"
            else (
                "Features of different scales slow this rule down: scale them, use solver='auto', or increase max_iter"
            )
        )
        cause = f"Maximum number of iteration reached before convergence{left}. {cure}."
    elif report["vanished"]:
        cause = "The squares of y vanish in float64, and with them the error. Scale y."
    elif report["reason"] == "no_improvement" and report["suboptimality"] > 0.1:
        cause = (
            f"The rule came to a halt far from the optimum (about {report['suboptimality']:.1e} of the error is left to gain), "
            "as it does where features differ in scale. Scale them, or use solver='auto'."
        )
    elif report["reason"] == "precision" and _much_is_left(report, settings["tol"]):
        cause = (
            f"Rounding ended the descent before convergence (about {report['suboptimality']:.1e} of the error is left to "
            "gain). Scale the features and y to moderate sizes, or pass float64."
        )
    if cause:
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(cause, ConvergenceWarning, stacklevel=4)
