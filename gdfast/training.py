"""From a table to a trained and scored model: what `gdfast train` does, without its words.

`prepare` finds the task, holds rows out and encodes; `fit` trains, scores beside the constant model and hands
back all that a printout, a picture or a report may want to show.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gdfast._result import DescentState
from gdfast._types import Array, ClassificationLoss, Doubles, Numbers, RegressionLoss
from gdfast.encoder import MAX_CATEGORIES, Encoder, label_positions
from gdfast.modelfile import Model, software_versions
from gdfast.scoring import Part, scores_beside_constant
from gdfast.splitting import check_classes, hold_out
from gdfast.table import (
    TableError,
    column_kind,
    complete_numbers,
    data_row,
    first_text,
    number_array,
    weight_array,
)

if TYPE_CHECKING:
    from gdfast.choosing import Choice, Grid
    from gdfast.modelfile import Estimator

__all__ = ["LOSSES", "Outcome", "Problem", "Settings", "fit", "prepare"]

LOSSES: dict[str, tuple[str, ...]] = {
    "regression": get_args(RegressionLoss),
    "classification": get_args(ClassificationLoss),
}
"""Losses by task, the default first."""

_MOST_WHOLE_NUMBERS = 20  # a target of at most that many different whole numbers is taken for class labels
_SPREAD_ROWS = 100_000  # rows looked at for the spread of a feature, which only ranks the printed coefficients


@dataclasses.dataclass
class Settings:
    """What the user asked for.

    Attributes
    ----------
    target : str
        Column to predict.
    task : {"auto", "regression", "classification"}
    loss : str or None
        None takes the task's first.
    weight, offset : str or None
        Columns of sample weights, and of what is added to the raw score.
    validation : float
        Share of rows held out, 0 for none.
    seed : int
    early_stopping : bool
        Whether the held-out rows say when to stop with solver "auto" too.
    params : dict
        Further parameters of the estimator.
    grid : gdfast.choosing.Grid or None
        What is to be chosen among before the training.
    """

    target: str
    task: str = "auto"
    loss: str | None = None
    weight: str | None = None
    offset: str | None = None
    validation: float = 0.2
    seed: int = 0
    early_stopping: bool = False
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    grid: Grid | None = None

    @property
    def groups(self) -> str | None:
        """Column of the groups whose rows stay together, a str or None."""
        return None if self.grid is None else self.grid.folds.groups


@dataclasses.dataclass
class Problem:
    """A table made ready: what is to be learnt from which rows.

    Attributes
    ----------
    settings : Settings
        With task and loss decided.
    kind : {"number", "text"}
        What the target column holds.
    classes : list
        Sorted labels; `y` holds their positions. Empty for a regression.
    encoder : Encoder
    train : Part
    held_out : Part or None
    groups : ndarray of shape (n_train,) or None
        Group of each row to train on.
    notes : list of str
        What was decided or left out on the way.
    choice : gdfast.choosing.Choice or None
        What was chosen, once it was.
    """

    settings: Settings
    kind: str
    classes: list[Any]
    encoder: Encoder
    train: Part
    held_out: Part | None
    groups: Numbers | None
    notes: list[str]
    choice: Choice | None = None


@dataclasses.dataclass
class Outcome:
    """A trained model and how it came about.

    Attributes
    ----------
    model : gdfast.modelfile.Model
    seconds : float
        Time of the fit alone.
    warnings : list of str
        One line each.
    loss_curve : ndarray of shape (n_epochs,)
        The objective on the training rows after each epoch.
    held_out_curve : ndarray of shape (n_epochs,) or None
        The error on the held-out rows, without penalty.
    """

    model: Model
    seconds: float
    warnings: list[str]
    loss_curve: Doubles
    held_out_curve: Doubles | None


def prepare(table: pa.Table, settings: Settings) -> Problem:
    """Find the task, leave out what cannot be used, split the rows and encode them.

    Parameters
    ----------
    table : pyarrow.Table
    settings : Settings

    Returns
    -------
    problem : Problem

    Raises
    ------
    TableError
        When a column is not what its part in the problem asks for.
    """
    notes: list[str] = []
    table, row_numbers = _with_target(table, settings.target, notes)
    kind = column_kind(settings.target, table.schema.field(settings.target).type)
    settings = _with_task(settings, table[settings.target], kind, notes)
    classes, y = _encode_target(settings, table[settings.target], kind, row_numbers)
    weight, offset = (
        None if name is None else read(name, table[name], row_numbers)
        for name, read in ((settings.weight, weight_array), (settings.offset, complete_numbers))
    )
    features = _features(table, settings, notes)
    _refuse_infinite(features, row_numbers)
    groups = None if settings.groups is None else _group_numbers(settings.groups, table[settings.groups], row_numbers)
    in_time = settings.grid is not None and settings.grid.folds.in_time
    codes = y if classes else None
    rows, held_out_rows = hold_out(settings.validation, codes, len(y), groups, in_time, settings.seed)
    if classes and rows is not None:
        check_classes(y[rows], classes, f"--validation {settings.validation:g}")
    for part, chosen in (("train on", rows), ("hold out", held_out_rows)):
        if weight is not None and chosen is not None and not weight[chosen].any():
            raise TableError(f"weight column {settings.weight!r} must be > 0 in some rows to {part}, got only 0")
    chosen = features if rows is None else features.take(rows)
    encoder = Encoder.fit(chosen)
    train = Part(encoder.encode(chosen), *_take(rows, y, weight, offset))
    held_out = None
    if held_out_rows is not None:
        chosen = features.take(held_out_rows)
        held_out = Part(encoder.encode(chosen), *_take(held_out_rows, y, weight, offset))
    return Problem(settings, kind, classes, encoder, train, held_out, _take(rows, groups)[0], notes)


def fit(problem: Problem, *, callback: Callable[[DescentState], Any] | None = None, curves: bool = False) -> Outcome:
    """Train and score.

    The textbook rules (every solver but "auto") stop where the held-out error no longer falls and keep the
    best weights. "auto" goes to the optimum of the objective and the held-out rows only measure, unless
    `early_stopping` is set.

    Parameters
    ----------
    problem : Problem
    callback : callable, default=None
        Called with the engine's state once per epoch.
    curves : bool, default=False
        Whether to measure the held-out error after each epoch also where training does not need it.

    Returns
    -------
    outcome : Outcome

    Raises
    ------
    ValueError
        When a parameter is out of range, or no training is possible on this data.
    gdfast.exceptions.DivergenceError
        When the learning rate is too large.
    """
    from sklearn.exceptions import ConvergenceWarning

    import gdfast

    settings, train, held_out = problem.settings, problem.train, problem.held_out
    params = {"loss": settings.loss, "random_state": settings.seed, **settings.params}
    estimator = gdfast.GDClassifier(**params) if problem.classes else gdfast.GDRegressor(**params)
    validation: dict[str, Any] = {}
    measured: list[float] = []
    if held_out is not None and stops_early(problem):
        validation = {
            "X_val": held_out.X,
            "y_val": held_out.y,
            "sample_weight_val": held_out.sample_weight,
            "offset_val": held_out.offset,
        }
    elif curves and held_out is not None:
        callback = _measuring(held_out, len(problem.classes), estimator, measured, callback)
    estimator.set_params(callback=callback)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(train.X, train.y, sample_weight=train.sample_weight, offset=train.offset, **validation)
    seconds = time.perf_counter() - start
    messages = list(dict.fromkeys(" ".join(str(warning.message).split()) for warning in caught))
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    model = Model(
        task=settings.task,
        target=settings.target,
        kind=problem.kind,
        classes=problem.classes,
        offset=settings.offset,
        weight=settings.weight,
        encoder=problem.encoder,
        estimator=estimator,
        spread=_spread(train.X),
        summary=_summary(problem, converged, messages),
        choice=problem.choice,
        versions=software_versions(),
    )
    if held_out is not None:
        scores = model.summary["scores"] = scores_beside_constant(model, train, held_out)
        name, value, constant = scores[0]  # of these, more is better
        if value is not None and constant is not None and value < constant:
            messages.append(f"the model's {name} on the held-out rows is worse than that of a constant answer")
    held_out_curve = np.array(measured) if measured else estimator.validation_curve_
    return Outcome(model, seconds, messages, estimator.loss_curve_, held_out_curve)


def stops_early(problem: Problem) -> bool:
    """Whether the held-out rows also say when to stop and which weights to keep.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    answer : bool
    """
    settings = problem.settings
    asked = settings.early_stopping or settings.params.get("solver", "auto") != "auto"
    return asked and problem.held_out is not None


# ---------------------------------------------------------------------------------------- target and task


def _with_target(table: pa.Table, target: str, notes: list[str]) -> tuple[pa.Table, Numbers]:
    """The table without the rows that have no target, and the numbers that the others have in the file."""
    column = table[target]
    if column_kind(target, column.type) == "number" and pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
        table = table.set_column(table.column_names.index(target), target, column)
    missing = pc.is_null(column, nan_is_null=True)
    row_numbers = np.flatnonzero(~missing.to_numpy()) + 1
    n_missing = table.num_rows - len(row_numbers)
    if not len(row_numbers):
        raise TableError(f"target column {target!r} must hold values, got none")
    if n_missing:
        notes.append(f"left out {n_missing:,} rows without {target}")
        table = table.filter(pc.invert(missing))
    return table, row_numbers


def _with_task(settings: Settings, column: pa.ChunkedArray, kind: str, notes: list[str]) -> Settings:
    """Settings with task and loss decided, or an error when target, task and loss do not go together."""
    task = settings.task
    if settings.loss is not None:
        implied = next(task for task, losses in LOSSES.items() if settings.loss in losses)
        if task not in ("auto", implied):
            raise TableError(f"--loss {settings.loss} is for a {implied}, got --task {task}")
        task = implied
    if task == "regression" and kind == "text":
        value, row = first_text(column)
        rule = f"target column {settings.target!r} must hold numbers for a regression"
        raise TableError(f"{rule}, got {value!r} in data row {row}")
    if task == "auto":
        task, reason = _guess_task(column, kind)
        notes.append(f"{task}, since {settings.target} holds {reason}")
    if settings.offset is not None and task == "classification":
        raise TableError("--offset must go with a regression, got a classification")
    return dataclasses.replace(settings, task=task, loss=settings.loss or LOSSES[task][0])


def _guess_task(column: pa.ChunkedArray, kind: str) -> tuple[str, str]:
    if kind == "text":
        return "classification", "text"
    if pa.types.is_boolean(column.type):
        return "classification", "true and false"
    different = pc.unique(column)
    whole = not pa.types.is_floating(column.type) or bool(pc.all(pc.equal(different, pc.floor(different))).as_py())
    if whole and len(different) <= min(_MOST_WHOLE_NUMBERS, len(column) // 2):
        return (
            "classification",
            f"{len(different)} different whole numbers (--task regression: as quantities)",
        )
    return "regression", f"{len(different):,} different numbers"


def _encode_target(
    settings: Settings, column: pa.ChunkedArray, kind: str, row_numbers: Numbers
) -> tuple[list[Any], Array]:
    """Class labels and the position of each row's label, or no labels and the numbers themselves."""
    name = settings.target
    if settings.task == "regression":
        y = complete_numbers(name, column, row_numbers)
        bad, rule = {"poisson": (y < 0, ">= 0"), "gamma": (y <= 0, "> 0")}.get(settings.loss or "", (y != y, ""))
        if bad.any():
            value, place = y[bad][0], data_row(bad, row_numbers)
            rule = f"{rule} for --loss {settings.loss}"
            raise TableError(f"target column {name!r} must be {rule}, got {value:g} in {place}")
        return [], y
    if kind != "text" and not pa.types.is_boolean(column.type):
        values = complete_numbers(name, column, row_numbers)
        column = pa.chunked_array([values.astype(np.int64) if (values == np.floor(values)).all() else values])
    classes = sorted(pc.unique(column).to_pylist())
    most = max(2, min(MAX_CATEGORIES, len(column) // 2))  # a class for each row or so is no class
    if not 2 <= len(classes) <= most:
        shown = repr(classes[0]) if len(classes) == 1 else f"in {len(column):,} rows"
        raise TableError(f"target column {name!r} must hold 2 to {most} classes, got {len(classes):,} ({shown})")
    return classes, label_positions(classes, column)


def _features(table: pa.Table, settings: Settings, notes: list[str]) -> pa.Table:
    """The columns to learn from; those without any value are left out."""
    used = {settings.target, settings.weight, settings.offset, settings.groups}
    names = [name for name in table.column_names if name not in used]
    empty = [name for name in names if table[name].null_count == table.num_rows]
    if empty:
        notes.append(f"left out {', '.join(map(repr, empty))}: no value at all")
    features = table.select([name for name in names if name not in empty])
    if not features.num_columns:
        raise TableError(f"the data must have a column to learn from beside {settings.target!r}, got none")
    return features


def _take(rows: Numbers | None, *arrays: Any) -> list[Any]:
    """The chosen rows of arrays that may be None; all rows if `rows` is None."""
    return [values if rows is None or values is None else values[rows] for values in arrays]


def _refuse_infinite(features: pa.Table, row_numbers: Numbers) -> None:
    """Name an infinite number while the rows still have the numbers that they have in the file."""
    for name in features.column_names:
        if pa.types.is_floating(features.schema.field(name).type):
            infinite = np.isinf(number_array(name, features[name]))
            if infinite.any():
                place = data_row(infinite, row_numbers)
                raise TableError(f"column {name!r} must hold finite numbers, got an infinite one in {place}")


def _group_numbers(name: str, column: pa.ChunkedArray, row_numbers: Numbers) -> Numbers:
    """A number per group of rows; a row must have one."""
    if pa.types.is_nested(column.type):
        raise TableError(f"group column {name!r} must hold plain values, got {column.type}")
    missing = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type)).to_numpy()
    if missing.any():
        place = data_row(missing, row_numbers)
        raise TableError(f"group column {name!r} must hold values, got a missing value in {place}")
    numbers: Numbers = column.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    return numbers


# -------------------------------------------------------------------------------------- around the fit


def _measuring(
    held_out: Part, k: int, estimator: Estimator, measured: list[float], callback: Callable[[DescentState], Any] | None
) -> Callable[[DescentState], Any]:
    """A callback that appends the held-out error to a list after each epoch, and then calls the given one."""
    from gdfast import error_and_gradient

    margin_loss = k and estimator.loss != "log_loss"
    y = 2.0 * held_out.y - 1.0 if margin_loss and k == 2 else held_out.y

    def measure(state: DescentState) -> Any:
        error, _, _ = error_and_gradient(
            held_out.X,
            y,
            state.coef,
            state.intercept,
            loss=estimator.loss,
            sample_weight=held_out.sample_weight,
            offset=held_out.offset,
            epsilon=estimator.epsilon,
            quantile=getattr(estimator, "quantile", 0.5),
            n_threads=estimator.n_threads,
        )
        measured.append(error)
        return None if callback is None else callback(state)

    return measure


def _spread(X: Array) -> Doubles:
    """Standard deviation of each feature, from at most `_SPREAD_ROWS` rows evenly spread."""
    spread: Doubles = X[:: -(-len(X) // _SPREAD_ROWS)].std(axis=0, dtype=np.float64)
    return spread


def _summary(problem: Problem, converged: bool, messages: list[str]) -> dict[str, Any]:
    held_out = problem.held_out
    return {
        "rows": len(problem.train.y),
        "held_out_rows": 0 if held_out is None else len(held_out.y),
        "converged": converged,
        "message": " ".join(messages),
        "scores": [],
    }
