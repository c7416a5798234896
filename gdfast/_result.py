"""What comes out of a descent: states, curves, the result, and the messages and warnings about how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gdfast._messages import short, warn
from gdfast._model import Shape
from gdfast._types import Doubles, Numbers
from gdfast.rows.sparse import SparseRows


class DescentState(NamedTuple):
    """What a callback sees after each epoch. `validation_error` is NaN without a validation set, `t` counts updates.

    Examples
    --------
    >>> import gdfast
    >>> enough = lambda state: state.error < 0.1
    >>> result = gdfast.gradient_descent([[0.0], [1.0]], [0.0, 1.0], callback=enough)
    >>> result.converged, bool(result.error < 0.1)
    (False, True)
    """

    epoch: int
    error: float
    validation_error: float
    gradient_norm: float
    eta: float
    coef: Doubles
    intercept: float | Doubles
    t: int


class DescentPath(NamedTuple):
    """The weights along the descent, the start first: coef (steps + 1, [k,] d), intercept (steps + 1, [k]).

    Examples
    --------
    >>> import gdfast
    >>> result = gdfast.gradient_descent([[0.0], [1.0]], [0.0, 1.0], max_iter=3, tol=None, keep_path=True)
    >>> result.path.coef.shape, result.path.intercept.shape
    ((4, 1), (4,))
    """

    coef: Doubles
    intercept: Doubles


@dataclass(frozen=True)
class RuleState:
    """Where a rule stands: all that its next update depends on, settings and data aside.

    Attributes
    ----------
    weights : ndarray of shape (k d + k,)
        Weights (k, d), then biases (k,), before any averaging.
    velocity, square, mean : ndarray of shape (k d + k,) or None
        Momentum or Adam's first moment; second moment of the rules that have one; averaged weights.
    t : int
        Updates done.
    epoch : int
        Epochs done: the order of the rows of the next one depends on it.
    eta : float
        Learning rate in force, from which the schedules "auto" and "adaptive" go on.

    Examples
    --------
    >>> import gdfast
    >>> X, y, rule = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], dict(solver="adam", random_state=0, tol=None)
    >>> once = gdfast.gradient_descent(X, y, max_iter=7, **rule)
    >>> half = gdfast.gradient_descent(X, y, max_iter=3, **rule)
    >>> rest = gdfast.gradient_descent(X, y, max_iter=4, state=half.state, **rule)
    >>> bool(rest.coef == once.coef), rest.t
    (True, 7)
    """

    weights: np.ndarray
    velocity: np.ndarray | None
    square: np.ndarray | None
    mean: np.ndarray | None
    t: int
    epoch: int
    eta: float


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
        Whether the descent ended by itself before `max_iter`, and no warning says that it fell short.
    message : str
        How it ended, and which method was used.
    loss_curve : ndarray of shape (n_iter,)
        E per epoch: after each step for solvers "auto" and "gd"; for mini-batches the mean over the epoch, each
        batch's error taken before its update.
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
        Estimate of ``(E - E*) / |E*|`` at the end; NaN where the solver has none.
    state : RuleState
        Where the rule stands, to go on from.
    fit_intercept : bool
        Whether the bias was fitted too, or stayed what it was.

    Examples
    --------
    >>> import gdfast
    >>> result = gdfast.gradient_descent([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], solver="auto")
    >>> result.coef.round(6), round(result.intercept, 6), len(result.loss_curve) == result.n_iter
    (array([2.]), 1.0, True)
    """

    coef: Doubles
    intercept: float | Doubles
    error: float
    n_iter: int
    converged: bool
    message: str
    loss_curve: Doubles
    validation_curve: Doubles | None
    gradient_norm_curve: Doubles
    eta: Doubles
    path: DescentPath | None
    t: int
    n_passes: int
    suboptimality: float
    state: RuleState
    fit_intercept: bool = True

    def _repr_html_(self) -> str:
        """What a notebook shows: the numbers, and the curves of the errors."""
        from gdfast._html import result_html

        return result_html(self)


def epoch_hook(callback: Callable[[DescentState], Any], shape: Shape) -> Callable[..., bool]:
    """What the engine calls after each epoch, made of what the user wants called."""

    def hook(
        epoch: int, t: int, error: float, validation_error: float, gradient_norm: float, eta: float, weights: Doubles
    ) -> bool:
        state = DescentState(epoch, error, validation_error, gradient_norm, eta, *shape.split(weights), t)
        answer = callback(state)
        if answer is not None and not isinstance(answer, (bool, np.bool_)):
            raise TypeError(f"callback must return True, False or None, got {short(answer)}")
        return bool(answer)

    return hook


_SQUARES = ("squared_error", "huber", "squared_epsilon_insensitive")
_SMALLEST_SQUARE = 1e-150  # below, errors are rounded to 0 and any answer would look perfect
VANISHED = "The squares of y vanish in float64, and with them the error. Scale y."
_METHODS = {
    "newton": "preconditioned gradient descent, metric from a sample of rows",
    "diagonal": "preconditioned gradient descent, diagonal metric, conjugate or quasi-Newton steps",
    "gram": "preconditioned gradient descent, exact metric X'X from one pass",
    "smoothed": "preconditioned gradient descent on ever less rounded kinks",
    "proximal": "coordinate descent and Newton on a quadratic model",
    "dual": "conjugate gradients on dual coefficients of the rows",
}
_REASONS = {
    "converged": "the error is within tol of its minimum",
    "no_improvement": "no improvement by tol for n_iter_no_change epochs",
    "validation": "the validation error has not improved for n_iter_no_change epochs",
    "callback": "the callback asked to stop",
    "precision": "no further progress is possible in this arithmetic",
    "max_iter": "max_iter was reached",
}


def descent_result(
    weights: Doubles, report: dict[str, Any], settings: dict[str, Any], shape: Shape, **more: bool
) -> DescentResult:
    """The engine's report in the caller's terms, and the warnings that go with it."""
    warn_of_missing(report["missing_threads"])
    text = complaint(report, settings)
    if text:
        from sklearn.exceptions import ConvergenceWarning

        warn(text, ConvergenceWarning)
    return silent_result(weights, report, settings, shape, **more)


def warn_of_missing(n_threads: int) -> None:
    """Say that the machine gave fewer threads than were asked for: slower, the answer is the same."""
    if n_threads:
        warn(f"{n_threads} threads could not be started; the work ran on fewer", RuntimeWarning)


def silent_result(
    weights: Doubles,
    report: dict[str, Any],
    settings: dict[str, Any],
    shape: Shape,
    *,
    validated: bool,
    fit_intercept: bool = True,
) -> DescentResult:
    """The engine's report in the caller's terms."""
    coef, intercept = shape.split(weights)
    method = _METHODS.get(report["method"], f"update rule {settings['solver']!r}")
    reason = _REASONS[report["reason"]]
    message = f"Stopped after {report['n_iter']} epochs and {report['n_passes']} passes: {reason} ({method})."
    if validated and report["best_epoch"]:
        message += f" Weights of the best epoch, {report['best_epoch']}."
    return DescentResult(
        coef=coef,
        intercept=intercept,
        error=report["error"],
        n_iter=report["n_iter"],
        converged=report["reason"] not in ("max_iter", "callback") and not complaint(report, settings),
        message=message,
        loss_curve=report["loss_curve"],
        validation_curve=report["validation_curve"] if validated else None,
        gradient_norm_curve=report["gradient_norm_curve"],
        eta=report["eta"],
        path=DescentPath(*shape.split(report["path"])) if settings["keep_path"] else None,
        t=report["t"],
        n_passes=report["n_passes"],
        suboptimality=report["suboptimality"],
        state=RuleState(**report["state"]),
        fit_intercept=fit_intercept,
    )


def complaint(report: dict[str, Any], settings: dict[str, Any]) -> str:
    """Cause and cure where the descent ended away from the optimum, else ""."""
    left = f"(about {report['suboptimality']:.1e} of the error is left to gain)"
    if report["separable"]:
        return (
            "The classes are separated perfectly: without a penalty the error tends to 0 while the weights grow for "
            "ever. Set alpha > 0."
        )
    if report["reason"] == "max_iter" and settings["tol"] >= 0:
        known = f" {left}" if report["suboptimality"] > 0 else ""
        other = "" if settings["solver"] == "auto" else " Scaling the features, or solver='auto', may do more."
        return (
            "Maximum number of iteration reached before convergence. Consider increasing max_iter to improve the fit"
            f"{known}.{other}"
        )
    if report.get("vanished"):
        return VANISHED
    if report["reason"] == "no_improvement" and report["suboptimality"] > 0.1:
        return (
            f"The rule came to a halt far from the optimum {left}, as it does where features differ in scale. Scale "
            "them, or use solver='auto'."
        )
    if report["reason"] == "precision" and _much_is_left(report, settings["tol"]):
        return (
            f"Rounding ended the descent before convergence {left}. Scale the features and y to moderate sizes, or "
            "pass float64."
        )
    return ""


def vanishes(error: float, loss: str, reach: float) -> bool:
    """Whether an error of 0 is that of squares too small for float64, y reaching no further than this."""
    return error == 0.0 and loss in _SQUARES and 0.0 < reach < _SMALLEST_SQUARE


def _much_is_left(report: dict[str, Any], tol: float) -> bool:
    """Whether rounding stopped a descent where both the error at the end and that at the start say it matters."""
    left = report["suboptimality"] * abs(report["error"])
    return bool(report["suboptimality"] > max(100 * tol, 1e-6) and left > 1e-9 * abs(report["loss_curve"][0]))


def overflow_message(X: Any, largest_y: float, rows: Numbers | None) -> str:
    """Why the error is not finite although all numbers are: which of them are too large."""
    text = "Floating-point under-/overflow occurred at epoch #1. The error is not finite"
    if largest_y > 1e150:
        return f"{text}; scale y (it reaches {largest_y:.3g})."
    column, scale = _largest(X, rows)
    return (
        f"{text} although X is; scale the features (column {column} has scale {scale:.3g}). Scaling input data with "
        "StandardScaler or MinMaxScaler might help."
    )


def _largest(X: Any, rows: np.ndarray | None) -> tuple[int, float]:
    """The column of the largest value, and that value: of a sample of dense rows, of all entries of sparse ones."""
    if isinstance(X, SparseRows):
        at = int(X.places(lambda values: np.abs(values) == np.abs(values).max())[0])
        return X.entry(at)[1], float(abs(X.data[at]))
    with np.errstate(over="ignore", invalid="ignore"):
        sample = np.abs((X[:1000] if rows is None else X[rows[:1000]]).astype(np.float64)).max(axis=0)
    return int(sample.argmax()), float(sample.max())


def divergence_message(report: dict[str, Any], eta0: float) -> str:
    """Where the error grew without bound, and which learning rate would do."""
    cure = "scale the features"
    if report["usable_eta"] > 0:
        cure = f"try eta0={report['usable_eta']:.2g} (eta0={eta0:.3g} was given) or learning_rate='auto'"
    return (
        f"Floating-point under-/overflow occurred at epoch #{report['diverged_epoch']}, step "
        f"{report['diverged_step']}: the error reached {report['error']:.4g}. The learning rate is too large for the "
        f"curvature of the error surface; {cure}. Scaling input data with StandardScaler or MinMaxScaler might help."
    )
