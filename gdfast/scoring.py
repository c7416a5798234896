"""Rows and a model: predictions, probabilities, and how good they are beside a constant answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gdfast._types import Array, Doubles
from gdfast.encoder import label_positions
from gdfast.table import TableError, column_kind, complete_numbers, number_array, weight_array

if TYPE_CHECKING:
    from gdfast.modelfile import Estimator, Model

__all__ = [
    "Part",
    "has_probabilities",
    "predict",
    "probabilities",
    "rows_of",
    "rows_with_target",
    "score",
    "scores_beside_constant",
]

_LOG_LINK = ("poisson", "gamma")


@dataclasses.dataclass
class Part:
    """Encoded rows: those trained on, those held out, or those to score."""

    X: Array
    y: Any  # an array; None where no answer is known
    sample_weight: Doubles | None
    offset: Doubles | None


def predict(model: Model, part: Part) -> Array:
    """Predictions of a model: numbers, or positions of classes.

    Parameters
    ----------
    model : gdfast.modelfile.Model
    part : Part
        Its offset counts, `y` and weights do not.

    Returns
    -------
    y : ndarray of shape (n,)
    """
    answers: Array = model.estimator.predict(part.X)
    if part.offset is not None and model.estimator.loss in _LOG_LINK:
        answers = answers * np.exp(part.offset)
    elif part.offset is not None:
        answers = answers + part.offset
    return answers


def probabilities(model: Model, X: Array) -> Doubles:
    """Probability of each class.

    Parameters
    ----------
    model : gdfast.modelfile.Model
    X : ndarray of shape (n, n_features)

    Returns
    -------
    p : ndarray of shape (n, n_classes), float64
        Rows sum to 1.

    Raises
    ------
    AttributeError
        Where there are none: see `has_probabilities`.
    """
    p: Doubles = model.estimator.predict_proba(X).astype(np.float64)
    p /= p.sum(axis=1, keepdims=True)  # float32 rows sum to 1 in float32 only
    return p


def has_probabilities(model: Model) -> bool:
    """Whether the model is a classification with a loss that yields probabilities.

    Parameters
    ----------
    model : gdfast.modelfile.Model

    Returns
    -------
    answer : bool
    """
    return hasattr(model.estimator, "predict_proba")


def rows_of(model: Model, table: pa.Table) -> Part:
    """Encode rows to predict.

    Parameters
    ----------
    model : gdfast.modelfile.Model
    table : pyarrow.Table
        With at least the model's columns.

    Returns
    -------
    part : Part
        Without `y`.

    Raises
    ------
    TableError
        When a column is missing or holds what it must not.
    """
    X = model.encoder.encode(table)
    offset = None if model.offset is None else complete_numbers(model.offset, table[model.offset])
    return Part(X, None, None, offset)


def rows_with_target(model: Model, table: pa.Table, part: Part) -> Part | None:
    """The rows of `part` whose true answer the table holds, ready to be scored.

    Parameters
    ----------
    model : gdfast.modelfile.Model
    table : pyarrow.Table
    part : Part
        Its rows, as `rows_of` gives them.

    Returns
    -------
    scored : Part or None
        None where no row has a target that the model knows.

    Raises
    ------
    TableError
        When the target column holds the other kind of value, or a weight is missing or negative.
    """
    if model.target not in table.column_names:
        return None
    column = table[model.target]
    if model.classes:
        if (column_kind(model.target, column.type) == "text") != (model.kind == "text"):
            raise TableError(f"target column {model.target!r} must hold {model.kind} as in training")
        y = label_positions(model.classes, column)
        known = y >= 0
    else:
        y = number_array(model.target, column).astype(np.float64)
        known = np.isfinite(y)
    if not known.any():
        return None
    weight = None
    if model.weight is not None and model.weight in table.column_names:
        weight = weight_array(model.weight, table[model.weight])
    if known.all():
        return Part(part.X, y, weight, part.offset)
    weight, offset = (None if values is None else values[known] for values in (weight, part.offset))
    return Part(part.X[known], y[known], weight, offset)


def score(model: Model, part: Part) -> dict[str, float | None]:
    """How good a model's answers are.

    Parameters
    ----------
    model : gdfast.modelfile.Model
    part : Part
        Rows with their true `y`.

    Returns
    -------
    scores : dict of str to (float or None)
        None where the rows do not allow the score (one class only, for the ROC AUC).
    """
    if not model.classes:
        return _regression_scores(model.estimator, part, predict(model, part))
    p = probabilities(model, part.X) if has_probabilities(model) else None
    ranks = model.estimator.decision_function(part.X) if p is None else p[:, 1]
    return _classification_scores(part, predict(model, part), p, ranks, len(model.classes))


def scores_beside_constant(model: Model, train: Part, held_out: Part) -> list[list[Any]]:
    """Scores of a model and of the best answer that ignores the features.

    Parameters
    ----------
    model : gdfast.modelfile.Model
    train, held_out : Part
        The constant is learnt from the one; both are scored on the other.

    Returns
    -------
    scores : list of [str, float or None, float or None]
        Name, model, constant.
    """
    scores = score(model, held_out)
    constant = _constant_scores(model, train, held_out)
    return [[name, value, constant.get(name)] for name, value in scores.items()]


def _regression_scores(estimator: Estimator, part: Part, answers: Array) -> dict[str, float | None]:
    from sklearn import metrics

    if estimator.loss in _LOG_LINK:  # a deviance wants answers above 0, where exp(z) may have underflowed
        answers = np.maximum(answers, np.finfo(np.float64).tiny)
    arguments = {"y_true": part.y, "y_pred": answers, "sample_weight": part.sample_weight}
    scores = {
        "R2": metrics.r2_score(**arguments) if len(part.y) > 1 else np.nan,
        "RMSE": metrics.root_mean_squared_error(**arguments),
        "MAE": metrics.mean_absolute_error(**arguments),
    }
    if estimator.loss in _LOG_LINK:
        power = 1 + _LOG_LINK.index(estimator.loss)
        scores = {
            f"D2 ({estimator.loss} deviance)": metrics.d2_tweedie_score(**arguments, power=power),
            **scores,
        }
    elif estimator.loss == "quantile":
        level = estimator.quantile
        scores = {
            f"D2 (pinball {level:g})": metrics.d2_pinball_score(**arguments, alpha=level),
            "rows below": float(np.average(part.y <= answers, weights=part.sample_weight)),
            **scores,
        }
    return _finite_or_none(scores)


def _classification_scores(
    part: Part, answers: Array, p: Doubles | None, ranks: Array, n_classes: int
) -> dict[str, float | None]:
    from sklearn import metrics

    weight = part.sample_weight
    scores = {"accuracy": metrics.accuracy_score(part.y, answers, sample_weight=weight)}
    if p is not None:
        scores["log loss"] = metrics.log_loss(part.y, p, labels=range(n_classes), sample_weight=weight)
    if len(np.unique(part.y)) < n_classes:
        return _finite_or_none(scores)  # the ROC AUC needs every class
    if n_classes == 2:
        scores["ROC AUC"] = metrics.roc_auc_score(part.y, ranks, sample_weight=weight)
    elif p is not None:
        auc = metrics.roc_auc_score(part.y, p, multi_class="ovr", labels=range(n_classes), sample_weight=weight)
        scores["ROC AUC (mean over classes)"] = auc
    return _finite_or_none(scores)


def _finite_or_none(scores: dict[str, Any]) -> dict[str, float | None]:
    return {name: float(value) if np.isfinite(value) else None for name, value in scores.items()}


def _constant_scores(model: Model, train: Part, held_out: Part) -> dict[str, float | None]:
    """Scores of scikit-learn's dummies: the class shares, or the mean, median or quantile of the target."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    X, X_held_out = np.zeros((len(train.y), 1)), np.zeros((len(held_out.y), 1))
    if model.classes:
        dummy = DummyClassifier(strategy="prior").fit(X, train.y, sample_weight=train.sample_weight)
        p = np.zeros((len(held_out.y), len(model.classes)))
        p[:, dummy.classes_] = dummy.predict_proba(X_held_out)
        ranks, answers = p[:, 1], dummy.predict(X_held_out)
        return _classification_scores(held_out, answers, p if has_probabilities(model) else None, ranks, p.shape[1])
    loss = model.estimator.loss
    robust = loss in ("absolute_error", "epsilon_insensitive", "huber")
    level = model.estimator.quantile if loss == "quantile" else 0.5
    dummy = DummyRegressor(strategy="quantile", quantile=level) if robust or loss == "quantile" else DummyRegressor()
    y, weight, undo = _without_offset(loss, train, held_out.offset)
    answers = undo(dummy.fit(X, y, sample_weight=weight).predict(X_held_out))
    return _regression_scores(model.estimator, held_out, answers)


def _without_offset(
    loss: str, train: Part, offset: Doubles | None
) -> tuple[Array, Doubles | None, Callable[[Array], Array]]:
    """Target and weights whose weighted mean is the best constant beside an offset, and the way back."""
    if train.offset is None or offset is None:
        return train.y, train.sample_weight, lambda answers: answers
    if loss not in _LOG_LINK:
        return train.y - train.offset, train.sample_weight, lambda answers: answers + offset
    exposure = np.exp(train.offset)
    weight = exposure if loss == "poisson" else np.ones_like(exposure)
    weight = weight if train.sample_weight is None else weight * train.sample_weight
    return train.y / exposure, weight, lambda answers: answers * np.exp(offset)
