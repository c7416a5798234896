"""What there is to see: results of descents under their names, and the descent of an estimator, run for the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gdfast._arguments import error_terms, seed
from gdfast._messages import short
from gdfast._result import DescentResult
from gdfast._types import Doubles
from gdfast.displays._section import Data

Results = DescentResult | Mapping[str, DescentResult] | Sequence[DescentResult]


class Recorded(NamedTuple):
    """A descent, its rows, held-out rows if there are some, and what its error was made of."""

    model: Any
    result: DescentResult
    train: Data
    validation: Data | None
    terms: dict[str, Any]


def named(results: Results) -> dict[str, DescentResult]:
    """Results by their names; a single one has none."""
    if isinstance(results, DescentResult):
        return {"": results}
    several = isinstance(results, (Mapping, Sequence)) and not isinstance(results, str)
    found: list[Any] = list(results.values() if isinstance(results, Mapping) else results) if several else []
    if not found or not all(isinstance(result, DescentResult) for result in found):
        rule = "a DescentResult, a dict of them by name, or a list of them"
        kind = TypeError if found or not several else ValueError
        raise kind(f"results must be {rule}, got {short(results)}")
    names = map(str, results) if isinstance(results, Mapping) else (f"descent {i + 1}" for i in range(len(found)))
    return dict(zip(names, found, strict=True))


def refuse_without_path(results: Mapping[str, DescentResult]) -> None:
    """Raise ValueError unless every path was kept."""
    for name, result in results.items():
        if result.path is None:
            which = f" of {name!r}" if name else ""
            raise ValueError(f"results must have a path: give gradient_descent keep_path=True, got None{which}")


def is_rule(result: DescentResult) -> bool:
    """Whether eta is that of the rule w <- w - eta dE/dw, not a share of a preconditioned step."""
    return "(update rule" in result.message


def eta_words(result: DescentResult) -> str:
    """The learning rate in a few signs."""
    if not is_rule(result):
        return "preconditioned steps"
    first, last = float(result.eta[0]), float(result.eta[-1])
    return f"η = {first:.3g}" if np.allclose(result.eta, first, rtol=1e-3) else f"η = {first:.3g} … {last:.3g}"


def record(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    X_val: Any = None,
    y_val: Any = None,
    sample_weight: Any = None,
    sample_weight_val: Any = None,
    offset: Any = None,
    offset_val: Any = None,
    keep_path: bool = True,
) -> Recorded:
    """Run the descent that `fit` of a copy of the estimator would run on the rows."""
    from sklearn.base import clone

    model = clone(check_estimator(estimator))
    model._validate_params()
    model.random_state = seed(model.random_state) % 2**32  # one split, for the descent and for the picture
    train = model._training_rows(X, y, sample_weight, offset)
    val = model._validation_rows(X_val, y_val, sample_weight_val, offset_val)
    rows = rows_val = None
    if val is None and model.early_stopping:
        rows, rows_val = model._hold_out(train)
    given = {} if val is None else dict(zip(("X_val", "y_val", "sample_weight_val", "offset_val"), val, strict=True))
    result = model._descend(
        train,
        model._penalty(),
        max_iter=model.max_iter,
        tol=model.tol,
        keep_path=keep_path,
        callback=model.callback,
        rows=rows,
        rows_val=rows_val,
        **given,
    )
    held_out = None if val is None else data_of(val, suffix="_val")
    if rows_val is not None:
        held_out = data_of(train, rows=rows_val)
    return Recorded(model, result, data_of(train, rows=rows), held_out, terms_of(model))


def data_of(given: Any, **more: Any) -> Data:
    """The same rows as a `Section` takes them."""
    return Data(given.X, given.y, given.sample_weight, given.offset, **more)


def rows_of(estimator: Any, X: Any, y: Any, sample_weight: Any, offset: Any) -> Any:
    """Rows as the engine takes them, by what a fitted estimator knows of its classes."""
    from gdfast._grid import copied

    model = copied(estimator, {})  # which may learn the weights of the classes
    known = hasattr(model, "classes_")
    learn = (lambda target: model._encode_target(target, "y")) if known else None
    return model._training_rows(X, y, sample_weight, offset, reset=False, learn=learn)


def check_estimator(estimator: Any) -> Any:
    """Return a GDRegressor or GDClassifier as it is, else raise TypeError."""
    from gdfast.classifier import GDClassifier
    from gdfast.regressor import GDRegressor

    if not isinstance(estimator, (GDRegressor, GDClassifier)):
        raise TypeError(f"estimator must be a GDRegressor or a GDClassifier, got {short(estimator)}")
    return estimator


def terms_of(model: Any) -> dict[str, Any]:
    """What the error of an estimator is made of, as `error_terms` says it."""
    alpha, l1_ratio = model._penalty()
    return error_terms(model.loss, alpha, l1_ratio, model.epsilon, getattr(model, "quantile", 0.5))


def weights_of(coef: Any, intercept: Any) -> tuple[Doubles, Doubles]:
    """Weights (k, d) and biases (k,), whatever shape one output has."""
    return np.atleast_2d(np.asarray(coef, dtype=np.float64)), np.atleast_1d(np.asarray(intercept, dtype=np.float64))


def output_number(output: Any, k: int, model: Any = None) -> int:
    """The number of an output, which may be given as a label of a classifier with several classes."""
    labels = getattr(model, "classes_", None)
    if labels is not None and k > 1:
        places = np.flatnonzero([label == output for label in labels])
        if len(places):
            return int(places[0])
        if not isinstance(output, (int, np.integer)) or isinstance(output, bool):
            raise ValueError(f"output must be one of the classes {short(labels.tolist())}, got {short(output)}")
    if isinstance(output, bool) or not isinstance(output, (int, np.integer)) or not 0 <= output < k:
        raise ValueError(f"output must be an integer in [0, {k - 1}], got {short(output)}")
    return int(output)


def feature_names(names: Any, X: Any, d: int, model: Any = None) -> list[str]:
    """Names of the features: those given, or those of a table's columns, or numbers."""
    if names is None:
        names = getattr(model, "feature_names_in_", None)
    if names is None and not isinstance(X, np.ndarray):
        from gdfast._tables import columns

        names = [name for name, _ in columns(X)] or None
    if names is None:
        return [f"feature {j}" for j in range(d)]
    if isinstance(names, str) or len(names) != d:
        raise ValueError(f"feature_names must be {d} names, one per feature, got {short(names)}")
    return [str(name) for name in names]
