"""Scores of many models on held-out rows. The raw scores of all of them come from shared reads of X; what a scorer is
given is a fitted estimator that knows its raw scores on these rows already.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics._scorer import _BaseScorer, _PassthroughScorer
from sklearn.model_selection._validation import _score
from sklearn.utils import _safe_indexing

from gdfast import _core
from gdfast._estimator import Rows
from gdfast._grid import Fit, Fits, Point, copied
from gdfast._splits import Split
from gdfast._threads import threads
from gdfast._types import Array, Doubles, Numbers, Scores
from gdfast.classifier import GDClassifier
from gdfast.functional import type_of_scores
from gdfast.regressor import LOG_LINK, GDRegressor
from gdfast.rows.sparse import as_rows, check_rows_finite

_MOST_BYTES = 2**26  # of raw scores at a time


class Scorer(NamedTuple):
    """What is called as call(estimator, X, y, **params), each param an array with an element per row."""

    call: Any
    params: dict[str, Any]


def minus_loss(model: Any, X: Any, y: Any) -> float:
    """The scorer "loss": what the descent has measured itself, weights and all."""
    return -float(model._held_out)


def weighted(call: Any, sample_weight: Array | None) -> Scorer:
    """A scorer, and the weights if it has a parameter for them."""
    function = getattr(call, "_score_func", call)
    takes = isinstance(call, _PassthroughScorer) or "sample_weight" in inspect.signature(function).parameters
    return Scorer(call, {"sample_weight": sample_weight} if takes and sample_weight is not None else {})


def score_fits(
    points: Sequence[Point],
    data: Rows,
    y: Array,
    fits: Fits,
    splits: Sequence[Split],
    scorers: Mapping[str, Scorer],
    error_score: Any,
) -> tuple[list[list[dict[str, Any]]], list[list[float]]]:
    """Scores by name, and seconds, of each [point][split]: what the scorers say of the test rows.

    error_score: the score of a model whose fit or scoring failed.
    """
    results: list[list[Any]] = [[None] * len(splits) for _ in points]
    seconds = [[0.0] * len(splits) for _ in points]
    for s, split in enumerate(splits):
        if data.sample_weight is not None and not data.sample_weight[split.test].any():
            raise ValueError(
                f"sample_weight must be > 0 for a row of each part, got only zeros in the test set of split {s}"
            )
        fitted = [i for i in range(len(points)) if not fits.fits[i][s].failure]
        models = [_fitted(points[i], fits.fits[i][s]) for i in fitted]
        start = time.perf_counter()
        for i, scores in zip(fitted, _scores(models, data, y, split.test, scorers, error_score), strict=True):
            results[i][s] = scores
            now = time.perf_counter()
            seconds[i][s], start = now - start, now
    names = next((scores for row in results for scores in row if scores), scorers)
    failed = dict.fromkeys(names, error_score)
    return [[scores or dict(failed) for scores in row] for row in results], seconds


def _fitted(point: Point, fit: Fit) -> Any:
    return copied(point, {**fit.attributes, "_held_out": fit.held_out})


def _scores(
    models: list[Any], data: Rows, y: Array, test: Numbers, scorers: Mapping[str, Scorer], error_score: Any
) -> Iterator[dict[str, Any]]:
    """Scores of each model on the test rows."""
    X_test = _safe_indexing(data.X, test) if _look_at_rows(scorers, models) else _Unseen(len(test))
    y_test = y[test]
    cut = {name: {key: given[test] for key, given in scorer.params.items()} for name, scorer in scorers.items()}
    own = [name for name, scorer in scorers.items() if _is_own(scorer, models, len(test))]
    silent = all(scorer.call is minus_loss for scorer in scorers.values())
    for part, z in [(models, None)] if silent else _with_raw_scores(models, data.X, test):
        known = {name: _own_scores(part, z, data.y[test], **cut[name]) for name in own}
        for i, model in enumerate(part):
            model = model if z is None else _knowing(model, X_test, z[:, i])
            scores: dict[str, Any] = {}
            for name, scorer in scorers.items():
                if name in own:
                    scores[name] = float(known[name][i])
                    continue
                found = _score(model, X_test, y_test, scorer.call, cut[name], error_score)
                scores |= found if isinstance(found, dict) else {name: found}
            yield scores


class _Unseen:
    """Stands for rows at which nobody looks."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n


def _is_ours(models: list[Any]) -> bool:
    return all(type(model) in (GDClassifier, GDRegressor) for model in models)


def _look_at_rows(scorers: Mapping[str, Scorer], models: list[Any]) -> bool:
    """Whether a scorer may do with the rows what it likes; scikit-learn's hand them to the estimator and no more."""
    harmless = (_BaseScorer, _PassthroughScorer)
    known = all(isinstance(scorer.call, harmless) or scorer.call is minus_loss for scorer in scorers.values())
    return not known or not _is_ours(models)


# ---- raw scores ------------------------------------------------------------------------------------------------------


def _with_raw_scores(models: list[Any], X: Any, rows: Numbers) -> Iterator[tuple[list[Any], Scores]]:
    """The models, some at a time, and their raw scores (rows, models, k) from one read of these rows."""
    readable = as_rows(X)
    dtype, n = type_of_scores(readable), len(rows)
    k = len(np.atleast_1d(models[0].intercept_)) if models else 1
    batch = max(1, _MOST_BYTES // (n * k * dtype.itemsize))
    for first in range(0, len(models), batch):
        part = models[first : first + batch]
        coef = np.concatenate([np.atleast_2d(model.coef_) for model in part]).astype(np.float64)
        intercept = np.concatenate([model.intercept_ for model in part]).astype(np.float64)
        nothing = np.broadcast_to(np.float64(0.0), (readable.shape[0], len(coef)))
        problem = _core.Problem(readable, nothing, loss="squared_error", n_outputs=len(coef), rows=rows)
        z = np.empty((n, len(part), k), dtype=dtype)
        _core.scores(problem, coef, intercept, z.reshape(n, -1), threads(models[0].n_threads))
        if not np.isfinite(z).all():
            check_rows_finite(readable, "X", rows)
        yield part, z


def _knowing(model: Any, X_test: Any, z: Scores) -> Any:
    """The model, with its raw scores (rows, k) on X_test known; on other rows it works them out as ever."""
    compute, answer = model._raw_scores, model._answers
    z = z[:, 0] if z.shape[1] == 1 else z

    def raw_scores(X: Any) -> Scores:
        return np.array(z, order="C") if X is X_test else compute(X)

    def answers(X: Any, of_scores: Callable[[Scores], Array]) -> Array:
        return of_scores(raw_scores(X)) if X is X_test else answer(X, of_scores)

    return copied(model, {"_raw_scores": raw_scores, "_answers": answers})


# ---- the estimators' own score ---------------------------------------------------------------------------------------


def _is_own(scorer: Scorer, models: list[Any], n: int) -> bool:
    """Whether the score is R2 or the accuracy, of several models faster at once than one by one."""
    return isinstance(scorer.call, _PassthroughScorer) and _is_ours(models) and n > 1


def _own_scores(models: list[Any], z: Any, y: Array, sample_weight: Array | None = None) -> Doubles:
    """What `score` says of each of the models, by their raw scores (rows, models, k)."""
    if isinstance(models[0], GDClassifier):
        codes = z[:, :, 0] > 0 if z.shape[2] == 1 else z.argmax(axis=2)
        accuracy: Doubles = np.average(codes == y[:, None], axis=0, weights=sample_weight)
        return accuracy
    y = y.reshape(len(y), 1, -1).astype(np.float64)
    exponential = np.array([[model.loss in LOG_LINK] for model in models])
    answers = np.exp(z, out=z.copy(), where=exponential)
    weight = np.ones(len(y)) if sample_weight is None else sample_weight.astype(np.float64)
    with np.errstate(all="ignore"):  # an answer far out scores -inf, and what divides by 0 is not taken
        left = np.einsum("i,imk->mk", weight, np.square(y - answers))
        spread = np.einsum("i,imk->mk", weight, np.square(y - np.average(y, axis=0, weights=weight)))
        # r2_score's answers where the target does not vary: 1 for a perfect model, else 0
        r2 = np.where(spread > 0, 1 - left / spread, np.where(left > 0, 0.0, 1.0))
    mean: Doubles = r2.mean(axis=1)
    return mean
