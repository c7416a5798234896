"""`DescentDisplay`: error, length of the gradient and learning rate, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gdfast._arguments import choice
from gdfast._messages import short
from gdfast._types import Doubles, Matrix
from gdfast.displays._runs import Results, is_rule, named, record
from gdfast.displays._style import axes_for, colours, loss_words, require_matplotlib, scale_errors, short_name
from gdfast.functional import DescentResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Scale = Literal["auto", "linear", "log"]
_SCALES = ("auto", "linear", "log")
_PANELS = ("error", "gradient_norm", "eta")
_MOST_MARKERS = 40


class Curves(NamedTuple):
    """A descent as it went: arrays of shape (n_epochs,), None where nothing is known.

    rule: whether eta is a learning rate, not a share of a preconditioned step; stops: whether the validation rows said
    which epoch's weights to keep.

    Examples
    --------
    >>> import numpy as np
    >>> from gdfast.displays.descent import Curves
    >>> Curves("gd", np.array([2.0, 1.0]), np.array([2.5, 2.0])).best
    2
    """

    label: str
    error: Doubles
    validation: Doubles | None = None
    gradient_norm: Doubles | None = None
    eta: Doubles | None = None
    rule: bool = True
    stops: bool = True

    @property
    def best(self) -> int | None:
        """The epoch, from 1 on, whose weights were kept because the validation error was least."""
        if not self.stops or self.validation is None or not np.isfinite(self.validation).any():
            return None
        return int(np.nanargmin(self.validation)) + 1


class DescentDisplay:
    """How a descent went: training and validation error, gradient norm and learning rate of each epoch.

    Make it by `from_estimator` or `from_result`. The epoch whose weights were kept is marked, and what came after it,
    where the neuron only learnt its training rows by heart, is shaded.

    Parameters
    ----------
    curves : sequence of Curves
        One for each descent.
    error_label : str, default="error E (mean loss + penalty)"
        What the errors are.
    rows : tuple of two str, default=("training rows", "validation rows")
        What their rows are called.
    title : str, default=""

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of them
        Where `plot` drew, one for each panel.
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    ErrorSurfaceDisplay : The same descent on the error surface.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("Agg")
    >>> import gdfast
    >>> result = gdfast.gradient_descent([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> display = gdfast.DescentDisplay.from_result(result)
    >>> [axes.get_ylabel().split()[0] for axes in display.ax_]
    ['error', 'gradient', 'learning']
    """

    def __init__(
        self,
        curves: Sequence[Curves],
        *,
        error_label: str = "error E (mean loss + penalty)",
        rows: tuple[str, str] = ("training rows", "validation rows"),
        title: str = "",
    ) -> None:
        self.curves = list(curves)
        self.error_label, self.rows, self.title = error_label, rows, title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Matrix,
        y: ArrayLike,
        *,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
        ax: Any = None,
        panels: Sequence[str] | None = None,
        yscale: Scale = "auto",
        xscale: Scale = "linear",
    ) -> DescentDisplay:
        """Draw the descent that `fit` of a copy of the estimator runs on the rows.

        Parameters
        ----------
        estimator : GDRegressor or GDClassifier
            May be unfitted, and stays as it is.
        X, y, X_val, y_val, sample_weight, sample_weight_val, offset, offset_val
            As in the estimator's `fit`.
        ax, panels, yscale, xscale
            As in `plot`.

        Returns
        -------
        DescentDisplay

        Raises
        ------
        ValueError, TypeError
            As `fit` and `plot`.
        ModuleNotFoundError
            Without matplotlib.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> from sklearn.datasets import load_breast_cancer
        >>> import gdfast
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> model = gdfast.GDClassifier(early_stopping=True, random_state=0)
        >>> display = gdfast.DescentDisplay.from_estimator(model, X, y, panels=["error"])
        >>> display.ax_.get_xlabel()
        'epoch'
        """
        require_matplotlib(cls.__name__)
        _check_look(panels, yscale, xscale)
        done = record(
            estimator,
            X,
            y,
            X_val=X_val,
            y_val=y_val,
            sample_weight=sample_weight,
            sample_weight_val=sample_weight_val,
            offset=offset,
            offset_val=offset_val,
            keep_path=False,
        )
        terms = done.terms
        label = f"error E (mean {loss_words(terms['loss'])}{' + penalty' if terms['l1'] or terms['l2'] else ''})"
        display = cls([_curves("", done.result)], error_label=label)
        return display.plot(ax, panels=panels, yscale=yscale, xscale=xscale)

    @classmethod
    def from_result(
        cls,
        results: Results,
        *,
        ax: Any = None,
        panels: Sequence[str] | None = None,
        yscale: Scale = "auto",
        xscale: Scale = "linear",
    ) -> DescentDisplay:
        """Draw one descent or several.

        Parameters
        ----------
        results : DescentResult, or dict or list of them
            A dict names the descents in the legend.
        ax, panels, yscale, xscale
            As in `plot`.

        Returns
        -------
        DescentDisplay

        Raises
        ------
        TypeError
            If results are something else.
        ValueError
            As `plot`.
        ModuleNotFoundError
            Without matplotlib.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import gdfast
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
        >>> runs = {solver: gdfast.gradient_descent(X, y, solver=solver) for solver in ("gd", "auto")}
        >>> len(gdfast.DescentDisplay.from_result(runs, yscale="log").curves)
        2
        """
        require_matplotlib(cls.__name__)
        _check_look(panels, yscale, xscale)
        display = cls([_curves(name, result) for name, result in named(results).items()])
        return display.plot(ax, panels=panels, yscale=yscale, xscale=xscale)

    def plot(
        self,
        ax: Any = None,
        *,
        panels: Sequence[str] | None = None,
        yscale: Scale = "auto",
        xscale: Scale = "linear",
    ) -> DescentDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, optional
            One for each panel; a single one shows the error. A new figure by default.
        panels : sequence of {"error", "gradient_norm", "eta"}, optional
            What to show; all that is known by default.
        yscale : {"auto", "linear", "log"}, default="auto"
            Of the error and of the gradient norm; "auto" is logarithmic where they span much.
        xscale : {"linear", "log"}, default="linear"
            Of the epochs.

        Returns
        -------
        self : DescentDisplay

        Raises
        ------
        ValueError
            If a panel, a scale or the number of axes is wrong.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> from matplotlib import pyplot
        >>> import gdfast
        >>> result = gdfast.gradient_descent([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> _, (above, below) = pyplot.subplots(2)
        >>> display = gdfast.DescentDisplay.from_result(result, ax=above)
        >>> display.plot(below, panels=["eta"]).ax_.get_ylabel()
        'learning rate η'
        """
        require_matplotlib(type(self).__name__)
        _check_look(panels, yscale, xscale)
        wanted = self._panels(ax, panels)
        self.figure_: Figure
        if ax is None:
            from matplotlib import pyplot

            heights = [1.6 if panel == "error" else 1.0 for panel in wanted]
            size = (7.2, 1.0 + 1.9 * sum(heights))
            self.figure_, axes = pyplot.subplots(
                len(wanted), sharex=True, figsize=size, layout="constrained", height_ratios=heights, squeeze=False
            )
            chosen = list(axes[:, 0])
        else:
            chosen = axes_for(ax, len(wanted), "panel")
            self.figure_ = chosen[0].figure  # type: ignore[assignment]
        palette = colours(self.figure_)
        for panel, axes in zip(wanted, chosen, strict=True):
            getattr(self, f"_plot_{panel}")(axes, palette, yscale)
            axes.grid(alpha=0.3)
            _scale_epochs(axes, xscale, max(len(one.error) for one in self.curves))
        for axes in chosen if ax is not None else chosen[-1:]:
            axes.set_xlabel("epoch")
        if self.title:
            chosen[0].set_title(short_name(self.title, 80), fontsize="medium")
        self.ax_ = chosen[0] if len(chosen) == 1 else np.array(chosen, dtype=object)
        return self

    def _panels(self, ax: Any, panels: Sequence[str] | None) -> list[str]:
        known = [panel for panel in _PANELS if any(getattr(one, panel) is not None for one in self.curves)]
        if panels is None:
            return ["error"] if ax is not None and np.ndim(np.asarray(ax, dtype=object)) == 0 else known
        for panel in panels:
            if panel not in known:
                raise ValueError(f"panels must be of {', '.join(known)}, which are known, got {short(panel)}")
        return list(panels)

    # ------------------------------------------------------------------------------------------------- panels

    def _plot_error(self, axes: Axes, palette: tuple[str, ...], yscale: str) -> None:
        several = len(self.curves) > 1
        values = []
        for i, one in enumerate(self.curves):
            train = palette[i % len(palette)]
            held_out = train if several else palette[1]
            name = short_name(one.label, 40)
            parts = [(one.error, train, "-", self.rows[0])]
            if one.validation is not None:
                parts.append((one.validation, held_out, "--", self.rows[1]))
            for curve, colour, line, rows in parts:
                label = ", ".join(filter(None, (name, rows if not several or one.validation is not None else "")))
                _line(axes, curve, colour, line, label)
                values.append(curve)
            if one.best is not None and one.validation is not None:
                mark = None if several else f"weights kept: epoch {one.best:,}"
                height = one.validation[one.best - 1]
                star: dict[str, Any] = dict(color=held_out, markersize=13, markeredgecolor="0.2", label=mark, zorder=5)
                axes.plot(one.best, height, "*", **star)
                if not several and np.nanmax(one.validation[one.best - 1 :]) > height:
                    span: dict[str, Any] = dict(color="0.5", alpha=0.18, linewidth=0, label="over-fitting")
                    axes.axvspan(one.best, len(one.validation), **span)
        scale_errors(axes, yscale, np.concatenate(values))
        axes.set_ylabel(self.error_label)
        axes.legend(fontsize="small", framealpha=0.8)

    def _plot_gradient_norm(self, axes: Axes, palette: tuple[str, ...], yscale: str) -> None:
        self._plot_plain(axes, palette, yscale, "gradient_norm")
        axes.set_ylabel("gradient norm\n(error per weight)")

    def _plot_eta(self, axes: Axes, palette: tuple[str, ...], yscale: str) -> None:
        self._plot_plain(axes, palette, yscale, "eta")
        rules = {one.rule for one in self.curves if one.eta is not None}
        words = "learning rate η" if rules == {True} else "share of the\nstep taken"
        axes.set_ylabel(words if len(rules) == 1 else "learning rate η, or\nshare of the step")

    def _plot_plain(self, axes: Axes, palette: tuple[str, ...], yscale: str, what: str) -> None:
        values = [getattr(one, what) for one in self.curves]
        for i, curve in enumerate(values):
            if curve is not None:
                _line(axes, curve, palette[i % len(palette)], "-", "")
        scale_errors(axes, yscale, np.concatenate([curve for curve in values if curve is not None]))


def _line(axes: Axes, curve: Doubles, colour: str, style: str, label: str) -> None:
    """A curve as far as it is finite; where it ends before its time, a cross."""
    epochs, finite = np.arange(1, len(curve) + 1), np.isfinite(curve)
    shown = np.where(finite, curve, np.nan)
    marker = dict(marker="o", markersize=3.5) if len(curve) <= _MOST_MARKERS else {}
    axes.plot(epochs, shown, style, color=colour, label=label or None, **marker)  # type: ignore[arg-type]
    last = len(curve) if finite.all() else int(finite.argmin())  # before the first that is not finite
    if 0 < last < len(curve):
        text = f"left the finite range at epoch {last + 1:,}" if style == "-" else None
        axes.plot(last, curve[last - 1], "X", color=colour, markersize=10, label=text, zorder=5)


def _scale_epochs(axes: Axes, xscale: str, n: int) -> None:
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    if xscale == "log":
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if n == 1:
            axes.set_xlim(0, 2)


def _check_look(panels: Any, yscale: Any, xscale: Any) -> None:
    choice(yscale, "yscale", options=_SCALES)
    choice(xscale, "xscale", options=_SCALES[1:])
    if panels is None:
        return
    if isinstance(panels, str) or not isinstance(panels, Sequence) or not len(panels):
        raise ValueError(f"panels must be a sequence of {', '.join(_PANELS)}, got {short(panels)}")
    for panel in panels:
        choice(panel, "panels", options=_PANELS)


def _curves(name: str, result: DescentResult) -> Curves:
    return Curves(
        name,
        result.loss_curve,
        result.validation_curve,
        result.gradient_norm_curve,
        result.eta,
        rule=is_rule(result),
    )
