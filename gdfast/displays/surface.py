"""`ErrorSurfaceDisplay`: the error over two directions of the weights, and descents on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gdfast._arguments import choice, count, error_terms
from gdfast._messages import short, warn
from gdfast._threads import threads
from gdfast._types import Doubles, Loss, Matrix
from gdfast.displays._plane import Axis, find_plane, points_shown, window
from gdfast.displays._runs import (
    Results,
    eta_words,
    feature_names,
    named,
    output_number,
    record,
    refuse_without_path,
    weights_of,
)
from gdfast.displays._section import Data, Section
from gdfast.displays._style import loss_words, require_matplotlib
from gdfast.functional import DescentResult
from gdfast.rows.sparse import as_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["contour", "surface", "both"]
_KINDS = ("contour", "surface", "both")


class Surface(NamedTuple):
    """The error over the grid.

    rows: which; errors (len(y), len(x)); label: what they are; minimum (2,) the lowest point, if there is one near.

    Examples
    --------
    >>> import numpy as np
    >>> from gdfast.displays.surface import Surface
    >>> Surface("training", np.zeros((2, 3)), "error E", None, np.nan).errors.shape
    (2, 3)
    """

    rows: str
    errors: Doubles
    label: str
    minimum: Doubles | None
    minimum_error: float


class Track(NamedTuple):
    """A descent in the plane.

    points (t, 2); errors (surfaces, t) their heights on each surface; gradients (t, 2) of the training error there;
    epochs (t,) their numbers, 0 for the start; kept (2,) the weights that came out; eta in words; unit: "epoch", or
    "update" where the path was kept step by step.

    Examples
    --------
    >>> import numpy as np
    >>> from gdfast.displays.surface import Track
    >>> Track("gd", np.zeros((1, 2)), np.zeros((1, 1)), np.ones((1, 2)), np.arange(1), np.zeros(2), "").label
    'gd'
    """

    label: str
    points: Doubles
    errors: Doubles
    gradients: Doubles
    epochs: np.ndarray
    kept: Doubles
    eta: str
    unit: str = "epoch"


class ErrorSurfaceDisplay:
    """The error surface of a neuron over two of its weights, or over the plane in which its descent moved most.

    Make it by `from_estimator` or `from_result`.

    Parameters
    ----------
    x, y : ndarray of shape (resolution,)
        Coordinates of the grid.
    surfaces : sequence of Surface
        On the training rows, and on the validation rows if there are any.
    tracks : sequence of Track
        The descents.
    labels : tuple of two str
        What the two axes are.
    title : str
        What is held fixed.

    Attributes
    ----------
    ax_ : matplotlib Axes or ndarray of them
        Where `plot` drew: one for each surface; for kind "both" of shape (2, surfaces).
    figure_ : matplotlib.figure.Figure

    See Also
    --------
    DescentDisplay : The error per epoch.
    GradientDisplay : The gradient, weight by weight.
    descent_animation : The path running down the surface.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("Agg")
    >>> import gdfast
    >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
    >>> result = gdfast.gradient_descent(X, y, keep_path=True)
    >>> display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, features=(0, "bias"))
    >>> display.ax_.get_xlabel()
    'weight of feature 0 (score per unit)'
    >>> display.surfaces[0].minimum.round(3)
    array([2., 1.])
    """

    def __init__(
        self,
        *,
        x: Doubles,
        y: Doubles,
        surfaces: Sequence[Surface],
        tracks: Sequence[Track],
        labels: tuple[str, str],
        title: str = "",
    ) -> None:
        self.x, self.y = x, y
        self.surfaces, self.tracks = list(surfaces), list(tracks)
        self.labels, self.title = labels, title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Matrix,
        y: ArrayLike,
        *,
        features: Sequence[Axis] | None = None,
        output: Any = 0,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        resolution: int = 100,
        limits: Sequence[Sequence[float]] | None = None,
        ax: Any = None,
        kind: Kind = "contour",
        epoch: int = 0,
        cmap: str = "viridis",
    ) -> ErrorSurfaceDisplay:
        """Draw the surface of an estimator's error, and its descent.

        A copy of the estimator is fitted on the rows, as `LearningCurveDisplay` does, and its path is kept. The
        estimator itself may be unfitted, and stays as it is.

        Parameters
        ----------
        estimator : GDRegressor or GDClassifier
        X, y, X_val, y_val, sample_weight, sample_weight_val, offset, offset_val
            As in the estimator's `fit`. With validation rows, given or held out by `early_stopping`, their error is
            drawn beside that of the training rows.
        features : pair of int, str or "bias", optional
            The two weights, by number or name of the feature. The others stay what the descent found. By default both
            weights of two features, weight and bias of one; of more, the plane of the two directions in which the path
            moved most.
        output : int or class label, default=0
            Which output's weights, where there are several. The weights of the others stay what the descent found.
        feature_names : sequence of str, optional
            Names in place of those of a table's columns.
        resolution : int, default=100
            Points of the grid along each axis.
        limits : pair of pairs of float, optional
            ((low, high), (low, high)) of the axes. By default start and minima are in the picture.
        ax, kind, epoch, cmap
            As in `plot`.

        Returns
        -------
        ErrorSurfaceDisplay

        Raises
        ------
        ValueError, TypeError
            As `fit`; features, outputs or limits that there are not.
        ModuleNotFoundError
            Without matplotlib.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> from sklearn.datasets import load_diabetes
        >>> import gdfast
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> model = gdfast.GDRegressor(alpha=1e-3)
        >>> display = gdfast.ErrorSurfaceDisplay.from_estimator(model, X, y, features=("bmi", "bp"), resolution=20)
        >>> display.labels[1], display.surfaces[0].errors.shape
        ('weight of bp (score per unit)', (20, 20))
        """
        require_matplotlib(cls.__name__)
        _check_look(kind, epoch, resolution)
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
        )
        display = draw_up(
            cls,
            {"": done.result},
            done.train,
            done.validation,
            done.terms,
            names=_names(feature_names, X, done.model),
            features=features,
            output=output,
            resolution=resolution,
            limits=limits,
            n_threads=done.model.n_threads,
            model=done.model,
        )
        return display.plot(ax, kind=kind, epoch=epoch, cmap=cmap)

    @classmethod
    def from_result(
        cls,
        results: Results,
        X: Matrix,
        y: ArrayLike,
        *,
        loss: Loss = "squared_error",
        alpha: float = 0.0,
        l1_ratio: float = 0.0,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        features: Sequence[Axis] | None = None,
        output: int = 0,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
        feature_names: Sequence[str] | None = None,
        resolution: int = 100,
        limits: Sequence[Sequence[float]] | None = None,
        n_threads: int | None = None,
        ax: Any = None,
        kind: Kind = "contour",
        epoch: int = 0,
        cmap: str = "viridis",
    ) -> ErrorSurfaceDisplay:
        """Draw the surface and the path of one descent or several.

        Parameters
        ----------
        results : DescentResult, or dict or list of them
            What `gradient_descent` returned with `keep_path=True`; a dict names the descents in the legend. Where not
            all weights are in the picture, the others are those of the first result.
        X, y, loss, alpha, l1_ratio, epsilon, quantile, sample_weight, offset, X_val, y_val, sample_weight_val, \
        offset_val, n_threads
            As they were given to `gradient_descent`.
        features, output, feature_names, resolution, limits, ax, kind, epoch, cmap
            As in `from_estimator`; `output` is a number.

        Returns
        -------
        ErrorSurfaceDisplay

        Raises
        ------
        ValueError
            If a path was not kept; as `error_and_gradient`; features, outputs or limits that there are not.
        TypeError
            If results are something else.
        ModuleNotFoundError
            Without matplotlib.

        Warns
        -----
        UserWarning
            If the error at the end of a descent is not what the descent said: rows or objective differ.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import numpy as np, gdfast
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> y = X @ [1.0, -2.0]
        >>> runs = {m: gdfast.gradient_descent(X, y, momentum=m, keep_path=True) for m in (0.0, 0.9)}
        >>> display = gdfast.ErrorSurfaceDisplay.from_result(runs, X, y, kind="surface", resolution=30)
        >>> [track.label for track in display.tracks]
        ['0.0', '0.9']
        """
        require_matplotlib(cls.__name__)
        _check_look(kind, epoch, resolution)
        runs = named(results)
        refuse_without_path(runs)
        held_out = Data(X_val, y_val, sample_weight_val, offset_val, suffix="_val")
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val must be given together, got only one of them")
        if X_val is None and (sample_weight_val is not None or offset_val is not None):
            raise ValueError("X_val and y_val must be given with sample_weight_val and offset_val, got None")
        display = draw_up(
            cls,
            runs,
            Data(X, y, sample_weight, offset),
            None if X_val is None else held_out,
            error_terms(loss, alpha, l1_ratio, epsilon, quantile),
            names=_names(feature_names, X),
            features=features,
            output=output,
            resolution=resolution,
            limits=limits,
            n_threads=n_threads,
        )
        return display.plot(ax, kind=kind, epoch=epoch, cmap=cmap)

    def plot(
        self, ax: Any = None, *, kind: Kind = "contour", epoch: int = 0, cmap: str = "viridis"
    ) -> ErrorSurfaceDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or array of them, optional
            One for each surface, three-dimensional for kind "surface"; twice as many for kind "both". A new figure by
            default.
        kind : {"contour", "surface", "both"}, default="contour"
            Filled contours, a surface in space, or the one above the other.
        epoch : int, default=0
            Where the current point stands, with the gradient and its negation as arrows: 0 is the start, where the
            gradient is large; negative numbers count from the end. The arrows show directions, in the units of the
            axes, not magnitudes; with several descents they are those of the first.
        cmap : str or Colormap, default="viridis"

        Returns
        -------
        self : ErrorSurfaceDisplay

        Raises
        ------
        ValueError
            If kind, epoch or the number of axes is wrong.

        Examples
        --------
        >>> import matplotlib; matplotlib.use("Agg")
        >>> import gdfast
        >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
        >>> result = gdfast.gradient_descent(X, y, max_iter=5, tol=None, keep_path=True)
        >>> display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, resolution=20)
        >>> display.plot(kind="surface", epoch=-1).ax_.get_zlabel()
        'mean squared error / 2'
        """
        from gdfast.displays._surface_plot import draw

        require_matplotlib(type(self).__name__)
        choice(kind, "kind", options=_KINDS)
        self.figure_: Figure
        self.ax_, self.figure_ = draw(self, ax, kind, epoch, cmap)
        return self


def _check_look(kind: str, epoch: Any, resolution: Any) -> None:
    """Say what is wrong with the picture's own parameters before there is any work."""
    choice(kind, "kind", options=_KINDS)
    count(resolution, "resolution", least=2)
    if isinstance(epoch, bool) or not isinstance(epoch, (int, np.integer)):
        raise TypeError(f"epoch must be an integer, got {short(epoch)}")


def _names(given: Any, X: Any, model: Any = None) -> list[str]:
    return feature_names(given, X, as_rows(X).shape[1] if model is None else model.n_features_in_, model)


def draw_up(
    cls: type[ErrorSurfaceDisplay],
    runs: Mapping[str, DescentResult],
    train: Data,
    validation: Data | None,
    terms: dict[str, Any],
    *,
    names: list[str],
    features: Any,
    output: Any,
    resolution: int,
    limits: Any,
    n_threads: int | None,
    model: Any = None,
) -> ErrorSurfaceDisplay:
    """The display of runs on rows: find the plane, and the errors on it."""
    n_threads = threads(n_threads)
    paths = [(*_of_path(result), result) for result in runs.values()]
    coef, intercept = weights_of(paths[0][2].coef, paths[0][2].intercept)
    if not (np.isfinite(coef).all() and np.isfinite(intercept).all()):
        raise ValueError("results must end at finite weights, which the surface goes through, got NaN or infinity")
    c = output_number(output, len(coef), model)
    if any(of.shape[1:] != coef.shape for of, _, _ in paths) or coef.shape[1] != len(names):
        raise ValueError(f"results must be of descents on the {len(names)} features of X, got coef {coef.shape}")
    moves = [(of[:, c], biases[:, c]) for of, biases, _ in paths]
    biased = any(result.fit_intercept for result in runs.values())
    plane, labels, title = find_plane(coef, intercept, c, moves, features, names, biased=biased)
    sections = [Section(train, terms, plane, n_threads)]
    if validation is not None:
        sections.append(Section(validation, terms, plane, n_threads, penalised=False))
    points = [plane.coordinates(*move) for move in moves]
    kept = [plane.coordinates(w[c : c + 1], b[c : c + 1])[0] for w, b in (_kept(result) for _, _, result in paths)]
    tracks = []
    for (label, result), path, end in zip(runs.items(), points, kept, strict=True):
        chosen = points_shown(path)
        heights = np.stack([section.errors(path[chosen]) for section in sections])
        slopes = sections[0].slopes(path[chosen])
        unit = "epoch" if len(path) == result.n_iter + 1 else "update"
        tracks.append(Track(label, path[chosen], heights, slopes, chosen, end, eta_words(result), unit))
    seen = np.concatenate([np.reshape(kept, (-1, 2)), *(_sensible(track) for track in tracks)])
    minima = [section.minimum(seen[np.isfinite(seen).all(axis=1)]) for section in sections]
    points = [path[np.isfinite(path).all(axis=1)] for path in points]
    x, y = window(points, kept, minima, sections[0].spread(), limits, resolution)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    surfaces = [
        Surface(
            rows,
            section.errors(grid, as_picture=True).reshape(len(y), len(x)),
            _error_words(terms, section),
            lowest,
            np.nan if lowest is None else section.error(lowest),
        )
        for rows, section, lowest in zip(("training", "validation"), sections, minima, strict=False)
    ]
    _check_end(runs, sections[0], kept, len(coef))
    output_words = "" if len(coef) == 1 else f"output {c}" if model is None else _class_words(model, c)
    title = ", ".join(filter(None, (output_words, title)))
    return cls(x=x, y=y, surfaces=surfaces, tracks=tracks, labels=labels, title=title)


def _of_path(result: DescentResult) -> tuple[Doubles, Doubles]:
    """Weights (t, k, d) and biases (t, k) of a path."""
    assert result.path is not None
    coef, intercept = result.path
    return (coef[:, None, :], intercept[:, None]) if coef.ndim == 2 else (coef, intercept)


def _kept(result: DescentResult) -> tuple[Doubles, Doubles]:
    return weights_of(result.coef, result.intercept)


def _sensible(track: Track) -> Doubles:
    """A path without the points of a descent that ran away: those no higher than its start."""
    errors = track.errors[0]
    sensible: Doubles = track.points[errors <= errors[0]]
    return sensible


def _error_words(terms: dict[str, Any], section: Section) -> str:
    if section.l1 or section.l2:
        return f"error E = mean {loss_words(terms['loss'])} + penalty"
    no_penalty = ", without penalty" if terms["l1"] or terms["l2"] else ""
    return f"mean {loss_words(terms['loss'])}{no_penalty}"


def _class_words(model: Any, c: int) -> str:
    return f"class {model.classes_[c]}" if hasattr(model, "classes_") else f"output {c}"


def _check_end(runs: Mapping[str, DescentResult], section: Section, kept: list[Doubles], k: int) -> None:
    """Warn if the first descent's own error is not that of these rows and this objective: then the picture is of
    something else. Independent outputs have errors of their own, which no result tells."""
    name, result = next(iter(runs.items()))
    if k > 1 and not section.softmax:
        return
    error = section.error(kept[0])
    if abs(error - result.error) > 1e-3 * max(abs(error), abs(result.error)) + 1e-9:
        which = f" of {name!r}" if name else ""
        warn(
            f"The descent{which} ended at an error of {result.error:.6g}, which on these rows is {error:.6g}: X, y, "
            "sample_weight, offset, loss and penalty must be those of the descent, or the surface is not its own.",
            UserWarning,
        )
