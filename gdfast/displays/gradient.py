"""`GradientDisplay`: which way each weight moves the error, how steeply, and the step that the rule takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gdfast._arguments import count, positive
from gdfast._messages import short
from gdfast._types import Doubles, Loss, Matrix
from gdfast.displays._runs import (
    check_estimator,
    feature_names,
    is_rule,
    output_number,
    refuse_without_path,
    rows_of,
    weights_of,
)
from gdfast.displays._style import axes_for, colours, number, require_matplotlib, short_name
from gdfast.functional import DescentResult, error_and_gradient
from gdfast.rows.sparse import as_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class GradientDisplay:
    """The gradient as a neuron reads it: one bar per weight, its direction the sign, its length the magnitude.

    A bar to the right: the error rises with that weight, so the rule makes it smaller; to the left: the error falls
    with it, and the rule makes it larger. The step of the rule, -eta dE/dw, stands beside each bar.

    Make it by `from_estimator` or `from_result`.

    Parameters
    ----------
    gradient : ndarray of shape (m,)
        dE/dw of each weight, the bias among them if it is fitted.
    names : sequence of m str
    eta : float or None, default=None
        Learning rate; None leaves the steps out.
    title : str, default=""

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib.figure.Figure
    shown_ : ndarray of int
        The weights that have a bar, by number, from the top down.

    See Also
    --------
    ErrorSurfaceDisplay : The gradient as an arrow on the error surface.
    gdfast.error_and_gradient : The gradient as numbers.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("Agg")
    >>> import numpy as np, gdfast
    >>> display = gdfast.GradientDisplay(np.array([0.5, -2.0]), ["age", "bmi"], eta=0.1).plot()
    >>> display.shown_
    array([1, 0])
    """

    def __init__(self, gradient: Doubles, names: Sequence[str], *, eta: float | None = None, title: str = "") -> None:
        self.gradient, self.names = np.asarray(gradient, dtype=np.float64), list(names)
        if self.gradient.ndim != 1 or len(self.names) != len(self.gradient) or not len(self.names):
            raise ValueError(f"names must be one per weight, {self.gradient.shape}, got {len(self.names)} names")
        self.eta = None if eta is None else positive(eta, "eta")
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Matrix,
        y: ArrayLike,
        *,
        output: Any = 0,
        eta: float | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        max_bars: int = 20,
        ax: Any = None,
    ) -> GradientDisplay:
        """Draw the gradient of a fitted estimator's error at its weights, on any rows.

        On the rows of its training there is nothing left to see but what keeps the weights from falling further;
        on other rows the gradient says where these would have them go.

        Parameters
        ----------
        estimator : fitted GDRegressor or GDClassifier
        X, y, sample_weight, offset
            Rows as in the estimator's `fit`.
        output : int or class label, default=0
            Which output's weights, where there are several.
        eta : float, optional
            Learning rate of the steps; the estimator's `eta0`, if its learning rate is constant, by default.
        feature_names : sequence of str, optional
            Names in place of those of a table's columns.
        max_bars, ax
            As in `plot`.

        Returns
        -------
        GradientDisplay

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            As `fit`; outputs that there are not.
        ModuleNotFoundError
            Without matplotlib.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> from sklearn.datasets import load_diabetes
        >>> import gdfast
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> model = gdfast.GDRegressor().fit(X[:200], y[:200])
        >>> display = gdfast.GradientDisplay.from_estimator(model, X[200:], y[200:], eta=0.1)
        >>> len(display.names), display.names[-1]
        (11, 'bias')
        """
        from sklearn.utils.validation import check_is_fitted

        require_matplotlib(cls.__name__)
        check_is_fitted(check_estimator(estimator), "coef_")
        rows = rows_of(estimator, X, y, sample_weight, offset)
        alpha, l1_ratio = estimator._penalty()
        _, coef, intercept = estimator._neurons(X)
        _, slopes, slope = error_and_gradient(
            rows.X,
            rows.y,
            coef,
            intercept,
            loss=estimator.loss,
            alpha=alpha,
            l1_ratio=l1_ratio,
            sample_weight=rows.sample_weight,
            offset=rows.offset,
            epsilon=estimator.epsilon,
            quantile=getattr(estimator, "quantile", 0.5),
            n_threads=estimator.n_threads,
        )
        if eta is None and estimator.solver != "auto" and estimator.learning_rate == "constant":
            eta = estimator.eta0
        names = _names(feature_names, X, estimator)
        where = "at the weights of the estimator"
        display = cls._of(slopes, slope, output, names, eta, where, estimator.fit_intercept, estimator)
        return display.plot(ax, max_bars=max_bars)

    @classmethod
    def from_result(
        cls,
        result: DescentResult,
        X: Matrix,
        y: ArrayLike,
        *,
        epoch: int | None = None,
        loss: Loss = "squared_error",
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        output: int = 0,
        eta: float | None = None,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        n_threads: int | None = None,
        max_bars: int = 20,
        ax: Any = None,
    ) -> GradientDisplay:
        """Draw the gradient at a point of a descent.

        Parameters
        ----------
        result : DescentResult
        epoch : int, optional
            After which epoch, 0 for the start, negative numbers from the end; this takes `keep_path=True`. By default
            at the weights that came out.
        X, y, loss, alpha, l1_ratio, epsilon, quantile, sample_weight, offset, n_threads
            As they were given to `gradient_descent`.
        output : int, default=0
            Which output's weights, where there are several.
        eta : float, optional
            Learning rate of the steps; by default the descent's own in the epoch that follows.
        feature_names : sequence of str, optional
            Names in place of those of a table's columns.
        max_bars, ax
            As in `plot`.

        Returns
        -------
        GradientDisplay

        Raises
        ------
        TypeError
            If the result is something else.
        ValueError
            If the path was not kept, or has no such epoch; as `error_and_gradient`.
        ModuleNotFoundError
            Without matplotlib.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import gdfast
        >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]], [1.0, 3.0, 5.0]
        >>> result = gdfast.gradient_descent(X, y, max_iter=5, tol=None, keep_path=True)
        >>> display = gdfast.GradientDisplay.from_result(result, X, y, epoch=0)
        >>> display.gradient.round(3)
        array([-4.333, -0.333, -3.   ])
        """
        require_matplotlib(cls.__name__)
        if not isinstance(result, DescentResult):
            raise TypeError(f"result must be a DescentResult, got {short(result)}")
        coef, intercept, where = _weights_at(result, epoch)
        _, slopes, slope = error_and_gradient(
            X,
            y,
            coef,
            intercept,
            loss=loss,
            alpha=alpha,
            l1_ratio=l1_ratio,
            sample_weight=sample_weight,
            offset=offset,
            epsilon=epsilon,
            quantile=quantile,
            n_threads=n_threads,
        )
        if eta is None and is_rule(result) and len(result.eta):
            share = (
                1.0 if epoch is None or result.path is None else _number(result, epoch) / (len(result.path.coef) - 1)
            )
            eta = float(result.eta[min(int(share * len(result.eta)), len(result.eta) - 1)])
        display = cls._of(slopes, slope, output, _names(feature_names, X), eta, where, result.fit_intercept)
        return display.plot(ax, max_bars=max_bars)

    @classmethod
    def _of(
        cls,
        slopes: Any,
        slope: Any,
        output: Any,
        names: list[str],
        eta: float | None,
        where: str,
        biased: bool,
        model: Any = None,
    ) -> GradientDisplay:
        slopes, slope = weights_of(slopes, slope)
        c = output_number(output, len(slopes), model)
        if len(slopes) > 1:
            label = model.classes_[c] if hasattr(model, "classes_") else None
            where = f"{f'output {c}' if label is None else f'class {label}'}, {where}"
        if not biased:
            return cls(slopes[c], names, eta=eta, title=where)
        return cls(np.append(slopes[c], slope[c]), [*names, "bias"], eta=eta, title=where)

    def plot(self, ax: Any = None, *, max_bars: int = 20) -> GradientDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new figure by default.
        max_bars : int, default=20
            Weights shown at most, those with the largest magnitudes; the others are summed up in a line.

        Returns
        -------
        self : GradientDisplay

        Raises
        ------
        ValueError
            If max_bars or ax is wrong.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import numpy as np, gdfast
        >>> display = gdfast.GradientDisplay(np.linspace(0, 1, 100), [f"pixel {j}" for j in range(100)])
        >>> display.plot(max_bars=3).shown_
        array([99, 98, 97])
        """
        require_matplotlib(type(self).__name__)
        most = count(max_bars, "max_bars")
        order = np.argsort(-np.abs(self.gradient), kind="stable")
        self.shown_ = order[:most]
        self.figure_: Figure
        self.ax_: Axes
        if ax is None:
            from matplotlib import pyplot

            size = (7.6, 2.2 + 0.3 * len(self.shown_))
            self.figure_, self.ax_ = pyplot.subplots(figsize=size, layout="constrained")
        else:
            (self.ax_,) = axes_for(ax, 1, "gradient")
            self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self._bars(self.ax_, colours(self.figure_))
        self._title(self.ax_, self.gradient[order[most:]])
        if ax is None:
            self.figure_.legend(loc="outside lower center", fontsize="small", frameon=False)
        else:
            self.ax_.legend(fontsize="small", framealpha=0.8)
        return self

    def _bars(self, axes: Axes, palette: tuple[str, ...]) -> None:
        values = self.gradient[self.shown_]
        places = np.arange(len(values))
        for up, colour, label in (
            (True, palette[1], "error rises with the weight: the rule lowers it"),
            (False, palette[0], "error falls with the weight: the rule raises it"),
        ):
            chosen = values > 0 if up else values < 0
            if chosen.any():
                axes.barh(places[chosen], values[chosen], color=colour, label=label, height=0.72)
        widest = np.abs(values[np.isfinite(values)]).max(initial=0.0) or 1.0
        for place, value in zip(places, values, strict=True):
            side = 1 if value >= 0 else -1
            side_of_text = "left" if side > 0 else "right"
            look: dict[str, Any] = dict(textcoords="offset points", va="center", ha=side_of_text, fontsize="small")
            axes.annotate(number(value), (value, place), (3 * side, 0), **look)
        axes.set_xlim(-1.25 * widest, 1.25 * widest)
        axes.axvline(0, color="0.5", linewidth=0.8)
        axes.set_yticks(places, [short_name(self.names[j]) for j in self.shown_], fontsize="small")
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.set_xlabel("∂E/∂w (error per unit of the weight)")
        axes.grid(axis="x", alpha=0.3)
        if self.eta is not None:
            steps = axes.secondary_yaxis("right")
            steps.set_yticks(places, [number(step) for step in -self.eta * values], fontsize="small")
            words = f"step −η ∂E/∂w\nη = {number(self.eta)}"
            below: dict[str, Any] = dict(textcoords="offset points", ha="left", va="top", fontsize="small")
            axes.annotate(words, (1, 0), (6, -16), xycoords="axes fraction", **below)  # below the numbers of the axis

    def _title(self, axes: Axes, rest: Doubles) -> None:
        norm = float(np.linalg.norm(self.gradient))
        lines = [", ".join(filter(None, ("Gradient", self.title, f"norm {number(norm)}")))]
        if len(rest):
            share = float(rest @ rest) / norm**2 if norm > 0 else 0.0
            largest = number(float(np.abs(rest).max()))
            lines.append(f"{len(rest):,} more weights: none above {largest}, together {share:.1%} of the squared norm")
        axes.set_title("\n".join(lines), fontsize="medium")


def _names(given: Any, X: Any, model: Any = None) -> list[str]:
    return feature_names(given, X, as_rows(X).shape[1] if model is None else model.n_features_in_, model)


def _number(result: DescentResult, epoch: int) -> int:
    """The epoch counted from the start."""
    assert result.path is not None
    last = len(result.path.coef) - 1
    if isinstance(epoch, bool) or not isinstance(epoch, (int, np.integer)):
        raise TypeError(f"epoch must be an integer, got {short(epoch)}")
    if not -last - 1 <= epoch <= last:
        raise ValueError(f"epoch must be in [{-last - 1}, {last}], the epochs of the path, got {short(epoch)}")
    return int(epoch) % (last + 1)


def _weights_at(result: DescentResult, epoch: int | None) -> tuple[Any, Any, str]:
    """The weights after an epoch, or those that came out, and where that is in words."""
    if epoch is None:
        return result.coef, result.intercept, "at the end of the descent"
    refuse_without_path({"": result})
    assert result.path is not None
    at = _number(result, epoch)
    where = f"after epoch {at:,}" if at else "at the start of the descent"
    return result.path.coef[at], result.path.intercept[at], where
