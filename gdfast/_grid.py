"""Many models on the same rows: parameter points times splits.

Models that can share every read of X do (`_together`), the others are fitted one after the other (`_alone`). Either way
each is what a fit on the training rows of its split alone would give.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from gdfast import _core
from gdfast._arguments import DEFAULT_BATCH, error_terms, settings_for
from gdfast._estimator import Rows
from gdfast._labels import class_weights
from gdfast._messages import warn
from gdfast._model import Shape, read_bounds
from gdfast._result import (
    VANISHED,
    complaint,
    divergence_message,
    overflow_message,
    silent_result,
    vanishes,
    warn_of_missing,
)
from gdfast._splits import Split, roles
from gdfast._targets import largest, read_offset, read_rows, read_targets, read_weights
from gdfast._threads import threads
from gdfast._types import Array, Arrivals, Doubles, Numbers
from gdfast.exceptions import DivergenceError
from gdfast.rows.sparse import as_rows, check_rows_finite

if TYPE_CHECKING:
    from gdfast.classifier import GDClassifier
    from gdfast.regressor import GDRegressor

Point: TypeAlias = "GDRegressor | GDClassifier"  # with its parameters, and what `read_data` learnt

_LEARNT = ("n_features_in_", "feature_names_in_", "classes_", "_shape_of_answer")


class Fit(NamedTuple):
    """What came of a model: fitted attributes, or why there are none; its mean loss on the test rows, NaN without."""

    attributes: dict[str, Any]
    held_out: float
    failure: str = ""


class Company(NamedTuple):
    """Models that share their reads of X, and their estimators, point by point with a model for each split."""

    grid: _core.Grid
    models: list[dict[str, Any]]  # as the engine knows them
    points: Sequence[Point]  # of each model
    data: Rows
    shape: Shape
    arrived: Callable[[int], None] | None


class Fits(NamedTuple):
    """fits[point][split], the group that each point was fitted in, seconds per model of each point."""

    fits: list[list[Fit]]
    groups: list[int]
    seconds: list[float]


# ---- the rows --------------------------------------------------------------------------------------------------------


def read_data(model: Any, X: Any, y: Any, sample_weight: Any, offset: Any) -> tuple[Rows, Array]:
    """The rows, checked as a fit of the model would, with class codes as target, and the labels or numbers themselves.

    The model keeps what it learnt of the features and of the target.
    """
    X, y = model._check_X(X, y, reset=True, **model._checks_of_y())
    target = model._learn_target(y)
    return Rows(X, model._codes(target), read_weights(sample_weight, X.shape[0]), offset), y


def learn(point: Any, model: Any) -> Any:
    """Give a point what the model has learnt from the data."""
    point.__dict__.update({name: value for name, value in vars(model).items() if name in _LEARNT})
    return point


def copied(model: Any, attributes: dict[str, Any]) -> Any:
    """A model like this one, but for these attributes."""
    other = model.__class__.__new__(model.__class__)
    other.__dict__.update(vars(model), **attributes)
    return other


def weigh(point: Any, data: Rows, rows: Numbers | None) -> Array | None:
    """Weight of each class where these rows train; None if they all count alike."""
    class_weight = getattr(point, "class_weight", None)
    if class_weight is None:
        return None
    codes, weight = data.y, data.sample_weight
    if rows is not None:
        codes, weight = codes[rows], None if weight is None else weight[rows]
    return class_weights(class_weight, point.classes_, codes, weight)


def weighed(data: Rows, by_class: Array | None) -> Array | None:
    """Sample weights times class weights."""
    if by_class is None:
        return data.sample_weight
    weight: Array = by_class[data.y]
    return weight if data.sample_weight is None else weight * data.sample_weight


# ---- all of them -----------------------------------------------------------------------------------------------------


def fit_points(
    points: Sequence[Point], data: Rows, splits: Sequence[Split | None], arrived: Arrivals | None = None
) -> Fits:
    """Fit each point on the training rows of each split, None standing for all rows.

    arrived is told, as they descend, how many models are there, and of how many.
    """
    found: dict[Any, list[int]] = {}
    ambiguous = any(point.early_stopping for point in points) and _name_rows_twice(splits)
    for i, point in enumerate(points):
        alone = ambiguous and point.early_stopping  # copies of a row may train and say when to stop
        found.setdefault((None if alone else _company(point, data, splits)) or i, []).append(i)
    fits: list[list[Fit]] = [[] for _ in points]
    groups, seconds = [0] * len(points), [0.0] * len(points)
    done, of = 0, len(points) * len(splits)

    def tell(now: int) -> None:
        if arrived is not None:
            arrived(done + now, of)

    tell(0)
    for number, (company, members) in enumerate(found.items()):
        start = time.perf_counter()
        chosen = [points[i] for i in members]
        if isinstance(company, int):
            made = [_alone(chosen[0], data, splits, tell)]
        else:
            made = _together(chosen, data, splits, tell if arrived is not None else None)
        done += len(members) * len(splits)
        tell(0)
        each = (time.perf_counter() - start) / (len(members) * len(splits))
        for i, of_point in zip(members, made, strict=True):
            fits[i], groups[i], seconds[i] = of_point, number, each
    return Fits(fits, groups, seconds)


def _name_rows_twice(splits: Sequence[Split | None]) -> bool:
    return any(split is not None and bool(np.bincount(split.train).max() > 1) for split in splits)


def _company(point: Point, data: Rows, splits: Sequence[Split | None]) -> tuple[Any, ...] | None:
    """Equal for points that can share their reads of X; None for a point that cannot."""
    classes = point._n_outputs()
    several = classes is not None or data.y.ndim == 2
    stops = (point.validation_fraction, point.random_state) if point.early_stopping else None
    shared = (point.fit_intercept, point.n_threads, stops)
    if point.callback is not None:
        return None
    if point._solver() != "auto":
        same = point.loss if several else ""
        return ("rule", same, *shared, _limits(point, data)) if _takes_all_rows(point, data, splits) else None
    if point.loss not in _core.SMOOTH_LOSSES or (classes is not None and point.loss != "log_loss"):
        return None  # one class against the rest: several descents
    kind = point.loss if several else point.loss in _core.MARGIN_LOSSES
    patience = point.n_iter_no_change if point.early_stopping else None
    return ("auto", kind, *shared, _limits(point, data), point.max_iter, point.tol, patience)


def _takes_all_rows(point: Point, data: Rows, splits: Sequence[Split | None]) -> bool:
    """Whether each update of the rule is by all rows that train."""
    most = max(data.X.shape[0] if split is None else len(split.train) for split in splits)
    return point.solver == "gd" or (point.batch_size or DEFAULT_BATCH) >= most


def _n_outputs(point: Point, data: Rows) -> int:
    return point._n_outputs() or (data.y.shape[1] if data.y.ndim == 2 else 1)


def _limits(point: Point, data: Rows) -> tuple[bytes | None, ...]:
    """The bounds of the weights, equal where they are."""
    bounds = read_bounds(point._bounds(), _n_outputs(point, data), data.X.shape[1])
    return tuple(None if limit is None else limit.tobytes() for limit in bounds)


def _validation(point: Point, data: Rows, rows: Numbers | None) -> tuple[Numbers | None, Numbers | None]:
    """The rows that train, and those that say when to stop: none without early stopping."""
    if not point.early_stopping:
        return rows, None
    y, model = point._for_engine(data.y), fresh(point)
    train, validate = model._hold_out(Rows(data.X, y, data.sample_weight, data.offset), rows)
    return train, validate


def fresh(point: Point) -> Any:
    """A copy of the point whose random numbers are those of a fit that is the first."""
    return copied(point, {"random_state": copy.deepcopy(point.random_state)})


def warn_of_failures(fits: Fits, names: Sequence[str], n_splits: int, error_score: Any) -> None:
    """Say which models failed; raise if that is what error_score says."""
    failed = [
        (f"{name} on {f'split {i}' if i < n_splits else 'all rows'}", fit.failure)
        for name, of_point in zip(names, fits.fits, strict=True)
        for i, fit in enumerate(of_point)
        if fit.failure
    ]
    if not failed:
        return
    if error_score == "raise":
        raise DivergenceError(": ".join(failed[0]))
    from sklearn.exceptions import FitFailedWarning

    shown = "\n".join(map(": ".join, failed[:10])) + ("\n..." if len(failed) > 10 else "")
    warn(
        f"{len(failed)} fits failed out of a total of {sum(map(len, fits.fits))}. The score on these train-test"
        f" partitions for these parameters will be set to {error_score}.\n{shown}",
        FitFailedWarning,
    )


# ---- together --------------------------------------------------------------------------------------------------------


def _together(
    points: Sequence[Point], data: Rows, splits: Sequence[Split | None], arrived: Callable[[int], None] | None
) -> list[list[Fit]]:
    one = points[0]
    n, d = data.X.shape
    k = _n_outputs(one, data)
    codes = hasattr(one, "classes_")
    for loss in dict.fromkeys(point.loss for point in points if not codes):
        read_targets(data.y, n, loss, None)
    lower, upper = read_bounds(one._bounds(), k, d)
    problem = _core.Problem(
        as_rows(data.X),
        data.y,
        loss=one.loss,
        n_outputs=k,
        codes=codes,
        softmax=codes and k > 1 and one.loss == "log_loss",
        weight=data.sample_weight,
        offset=read_offset(data.offset, n, k),
        fit_intercept=bool(one.fit_intercept),
        lower=lower,
        upper=upper,
    )
    parts = [_validation(one, data, None if split is None else split.train) for split in splits]
    for part in parts:
        for rows, name in zip(part, ("training rows", "validation rows"), strict=True):
            read_rows(rows, n, name, data.sample_weight)
    train, early = [part[0] for part in parts], bool(one.early_stopping)
    tests = _table(train, [None if split is None else split.test for split in splits], n)
    table = _table(train, [part[1] for part in parts], n) if early else tests
    models = _models(points, data, [None if split is None else split.train for split in splits], _lines(train))
    repeated = [point for point in points for _ in splits]
    road = _minima if one._solver() == "auto" else _marches
    grid = _core.Grid(problem, models, table)
    weights, held_out, made = road(Company(grid, models, repeated, data, Shape(k, d, k == 1), arrived))
    if early:
        coef, intercept = np.split(weights, [k * d], axis=1)
        given = np.ascontiguousarray(coef).reshape(-1, k, d), np.ascontiguousarray(intercept)
        held_out = _core.grid_error_and_gradient(_core.Grid(problem, models, tests), *given, threads(one.n_threads))[1]
    fits = [fit._replace(held_out=float(error)) for fit, error in zip(made, held_out, strict=True)]
    return [fits[i : i + len(splits)] for i in range(0, len(fits), len(splits))]


_Made: TypeAlias = tuple[Doubles, Doubles, list[Fit]]  # weights (models, k d + k), validation errors, fits without them


def _minima(company: Company) -> _Made:
    """By solver "auto"."""
    grid, models, points, data, shape, arrived = company
    one = points[0]
    settings: dict[str, Any] = {"max_iter": one.max_iter, "tol": -1.0 if one.tol is None else one.tol}
    settings |= {"n_iter_no_change": one.n_iter_no_change, "stop_early": bool(one.early_stopping), "arrived": arrived}
    weights, report = descend_together(grid.problem, models, grid.roles, **settings, n_threads=threads(one.n_threads))
    if np.isnan(report["error"]).any():
        check_rows_finite(grid.problem.X, "X")
    warn_of_missing(report["missing_threads"])
    _warn_of_reasons(report, one.tol)
    vanished = [_vanished(error, point, data) for error, point in zip(report["error"], points, strict=True)]
    _warn_of_complaints([VANISHED if each else "" for each in vanished])
    fits = [_fit_of(point, data, shape, weights[i], report, i) for i, point in enumerate(points)]
    return weights, report["validation"], fits


def _marches(company: Company) -> _Made:
    """By update rules, each point with settings of its own."""
    grid, models, points, data, shape, arrived = company
    n, n_threads = data.X.shape[0], threads(points[0].n_threads)
    settings = [
        settings_for(
            point.loss,
            model["l2"] + model["l1"],
            max_iter=point.max_iter,
            tol=point.tol,
            keep_path=False,
            **point._settings(),
        )
        for point, model in zip(points, models, strict=True)
    ]
    counts = [] if grid.roles is None else [int(np.maximum(role, 0).sum(dtype=np.int64)) for role in grid.roles]
    for model, told in zip(models, settings, strict=True):
        trained = n if model["split"] < 0 else counts[model["split"]]
        told["batch_size"] = min(told["batch_size"], trained)
    early = bool(points[0].early_stopping)
    made, held_out, _ = _core.descend_each(grid, settings, stop_early=early, n_threads=n_threads, arrived=arrived)
    if any(status != "ok" for status, _, _ in made):
        check_rows_finite(grid.problem.X, "X")
    warn_of_missing(max(report["missing_threads"] for _, _, report in made))
    whole: dict[int, Rows] = {}
    fits, complaints = [], []
    for point, model, told, (status, weights, report) in zip(points, models, settings, made, strict=True):
        if status != "ok":
            diverged = status == "diverged"
            text = (
                divergence_message(report, told["eta0"])
                if diverged
                else overflow_message(grid.problem.X, _reach(data), None)
            )
            fits.append(Fit({}, np.nan, text))
            continue
        by_class = model["class_weight"]
        if id(by_class) not in whole:
            whole[id(by_class)] = data._replace(sample_weight=weighed(data, by_class))
        train = whole[id(by_class)]
        report["vanished"] = _vanished(report["error"], point, data)
        complaints += [complaint(report, told)]
        result = silent_result(weights, report, told, shape, validated=early)
        fits.append(Fit(point._fitted(result, train), np.nan))
    _warn_of_complaints(complaints)
    return np.stack([weights for _, weights, _ in made]), held_out, fits


def _reach(data: Rows) -> float:
    """The largest magnitude in y."""
    return largest(float(data.y.min()), float(data.y.max()))


def _vanished(error: float, point: Point, data: Rows) -> bool:
    return error == 0.0 and vanishes(error, point.loss, _reach(data))


def descend_together(
    problem: _core.Problem, models: list[dict[str, Any]], table: Array | None, **settings: Any
) -> tuple[Doubles, dict[str, Any]]:
    """The fastest road for all models at once."""
    return _core.descend_grid(_core.Grid(problem, models, table), **settings)


def _table(train: Sequence[Numbers | None], validate: Sequence[Numbers | None], n: int) -> Array | None:
    """Roles of the rows, a line per split that leaves some out."""
    lines = [roles(rows, held_out, n) for rows, held_out in zip(train, validate, strict=True) if rows is not None]
    return np.stack(lines) if lines else None


def _lines(train: Sequence[Numbers | None]) -> list[int]:
    """Which line of the table is that of each split; -1: all rows train."""
    counted = np.cumsum([rows is not None for rows in train]) - 1
    return [-1 if rows is None else int(line) for rows, line in zip(train, counted, strict=True)]


def _models(
    points: Sequence[Point], data: Rows, whole: Sequence[Numbers | None], lines: Sequence[int]
) -> list[dict[str, Any]]:
    """Models as the engine knows them, those of a point side by side; whole: the rows by which classes are balanced."""
    found: dict[Any, Array | None] = {}
    same: dict[bytes, Array] = {}  # one array for equal weights: the engine tells them apart by it
    models = []
    for point in points:
        terms = error_terms(point.loss, *point._penalty(), point.epsilon, getattr(point, "quantile", 0.5))
        class_weight = getattr(point, "class_weight", None)
        for i, (rows, line) in enumerate(zip(whole, lines, strict=True)):
            key = (class_weight if isinstance(class_weight, str) else id(class_weight), i)
            if key not in found:
                by_class = weigh(point, data, rows)
                found[key] = None if by_class is None else same.setdefault(by_class.tobytes(), by_class)
            models.append({**terms, "split": line, "class_weight": found[key]})
    return models


def _fit_of(point: Any, data: Rows, shape: Shape, weights: Doubles, report: dict[str, Any], i: int) -> Fit:
    if not np.isfinite(report["error"][i]):
        return Fit({}, np.nan, "the error is not finite")
    stopped = point.early_stopping
    n_iter = max(1, int(report["n_iter"][i]))  # 0 where the start, found in few rows, was the minimum over all
    attributes = {
        "n_iter_": n_iter,
        "n_passes_": max(1, round(report["n_passes"])),
        "t_": 1.0 + n_iter,
        "loss_": float(report["error"][i]),
        "validation_curve_": None,
        "best_validation_loss_": float(report["validation"][i]) if stopped else None,
        "_standing": point._standing_after(None, data),
        **point._model_attributes(*shape.split(weights), data),
    }
    return Fit(attributes, np.nan)


def _warn_of_complaints(complaints: Sequence[str]) -> None:
    """One warning for all models that ended away from their optimum, in the words of the first."""
    from sklearn.exceptions import ConvergenceWarning

    told = [text for text in complaints if text]
    if told:
        warn(
            f"{len(told)} of {len(complaints)} fits ended away from their optimum, the first for this: {told[0]}",
            ConvergenceWarning,
        )


def _warn_of_reasons(report: dict[str, Any], tol: float | None) -> None:
    """One warning for all models that ended away from their optimum."""
    from sklearn.exceptions import ConvergenceWarning

    left = report["suboptimality"]
    for reason, far, cure in (
        ("max_iter", 0.0, "Maximum number of iteration reached before convergence. Consider increasing max_iter"),
        ("precision", max(100 * (tol or 0.0), 1e-6), "Rounding ended the descent before convergence. Scale X and y"),
    ):
        short_of = (report["reason"] == reason) & (left > far)
        if tol is not None and short_of.any():
            warn(
                f"{cure} to improve {int(short_of.sum())} of {len(left)} fits (about {left[short_of].max():.1e} of the"
                " error is left to gain).",
                ConvergenceWarning,
            )


# ---- alone -----------------------------------------------------------------------------------------------------------


def _alone(point: Point, data: Rows, splits: Sequence[Split | None], arrived: Callable[[int], None]) -> list[Fit]:
    fits = []
    for split in splits:
        fits.append(_one_fit(fresh(point), data, split))
        arrived(len(fits))
    return fits


def _one_fit(model: Any, data: Rows, split: Split | None) -> Fit:
    rows = None if split is None else split.train
    by_class = weigh(model, data, rows)
    train = Rows(data.X, model._for_engine(data.y), weighed(data, by_class), data.offset)
    rows, rows_val = _validation(model, data, rows)
    try:
        result = model._descend(
            train,
            model._penalty(),
            max_iter=model.max_iter,
            tol=model.tol,
            rows=rows,
            rows_val=rows_val,
            callback=model.callback,
        )
    except DivergenceError as error:
        return Fit({}, np.nan, str(error))
    attributes = model._fitted(result, train)
    held_out = np.nan if split is None else _mean_loss(model, train, result.coef, result.intercept, split.test)
    return Fit(attributes, held_out)


def _mean_loss(model: Any, data: Rows, coef: Doubles, intercept: Any, rows: Numbers) -> float:
    """Mean loss of some rows, without penalty."""
    n = data.X.shape[0]
    coef = np.atleast_2d(coef)
    targets = read_targets(data.y, n, model.loss, model._n_outputs())
    terms = error_terms(model.loss, 0.0, 0.0, model.epsilon, getattr(model, "quantile", 0.5))
    problem = _core.Problem(
        as_rows(data.X),
        targets.y,
        n_outputs=targets.k,
        codes=targets.codes,
        softmax=targets.softmax,
        weight=data.sample_weight,
        offset=read_offset(data.offset, n, targets.k),
        rows=rows,
        **terms,
    )
    return _core.error_and_gradient(problem, coef, np.atleast_1d(intercept), threads(model.n_threads))[0]
