"""Scores of many models on held-out rows. The raw scores of all of them come from shared reads of X; what a scorer is
given is a fitted estimator that knows its raw scores on these rows already.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn.metrics._scorer import _BaseScorer, _MultimetricScorer, _PassthroughScorer
from sklearn.model_selection._validation import _score
from sklearn.utils import _safe_indexing

from gdfast import _core
from gdfast._estimator import Rows
from gdfast._grid import Fit, Fits, Point, copied
from gdfast._splits import Split
from gdfast._threads import threads
from gdfast._types import Array, Numbers, Scores
from gdfast.functional import type_of_scores
from gdfast.rows.sparse import as_rows, check_rows_finite

_MOST_BYTES = 2**27  # of raw scores at a time


def minus_loss(model: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """The scorer "loss": what the descent has measured itself, weights and all."""
    return -float(model._held_out)


def takes_weights(scorer: Any) -> bool:
    """Whether a scorer has a parameter sample_weight."""
    if isinstance(scorer, _MultimetricScorer):
        return all(takes_weights(each) for each in scorer._scorers.values())
    if isinstance(scorer, _PassthroughScorer):
        return True
    return "sample_weight" in inspect.signature(getattr(scorer, "_score_func", scorer)).parameters


def score_fits(
    points: Sequence[Point],
    data: Rows,
    y: Array,
    fits: Fits,
    splits: Sequence[Split],
    scorer: Any,
    score_params: dict[str, Any],
    error_score: Any,
) -> tuple[list[list[Any]], list[list[float]]]:
    """Score and seconds of each [point][split]: what `scorer` says of the test rows.

    score_params: keywords of the scorer, arrays with an element per row. error_score: the score of a model whose fit or
    scoring failed.
    """
    results: list[list[Any]] = [[error_score] * len(splits) for _ in points]
    seconds = [[0.0] * len(splits) for _ in points]
    whole = _looks_at_rows(scorer, points)
    for s, split in enumerate(splits):
        y_test = y[split.test]
        X_test = _safe_indexing(data.X, split.test) if whole else _Unseen(len(split.test))
        params = {name: _safe_indexing(value, split.test) for name, value in score_params.items()}
        fitted = [i for i in range(len(points)) if not fits.fits[i][s].failure]
        models = [
            copied(points[i], {**f.attributes, "_held_out": f.held_out}) for i in fitted for f in [fits.fits[i][s]]
        ]
        start = time.perf_counter()
        for i, model in zip(fitted, _knowing(models, data.X, split.test, X_test, scorer), strict=True):
            results[i][s] = _score(model, X_test, y_test, scorer, params, error_score)
            now = time.perf_counter()
            seconds[i][s], start = now - start, now
    return _with_error_scores(results, error_score), seconds


def _with_error_scores(results: list[list[Any]], error_score: Any) -> list[list[Any]]:
    """The scores of failed fits as dicts where those of the others are."""
    names = next((score for row in results for score in row if isinstance(score, dict)), None)
    if names is None:
        return results
    failed = dict.fromkeys(names, error_score)
    return [[score if isinstance(score, dict) else dict(failed) for score in row] for row in results]


class _Unseen:
    """Stands for rows at which nobody looks."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n


def _looks_at_rows(scorer: Any, points: Sequence[Point]) -> bool:
    """Whether a scorer may do with the rows what it likes; scikit-learn's hand them to the estimator and no more."""
    from gdfast.classifier import GDClassifier
    from gdfast.regressor import GDRegressor

    each = scorer._scorers.values() if isinstance(scorer, _MultimetricScorer) else [scorer]
    ours = all(type(point) in (GDClassifier, GDRegressor) for point in points)
    return not ours or any(not isinstance(s, (_BaseScorer, _PassthroughScorer)) and s is not minus_loss for s in each)


def _fitted(point: Point, fit: Fit) -> Any:
    return copied(point, {**fit.attributes, "_held_out": fit.held_out})


def _knowing(models: list[Any], X: Any, rows: Numbers, X_test: Any, scorer: Any) -> Iterator[Any]:
    """The models, one by one, as ones that know their raw scores on `X_test`, the rows of X of these numbers."""
    if scorer is minus_loss or not models:
        yield from models
        return
    readable = as_rows(X)
    dtype, k = type_of_scores(readable), len(np.atleast_1d(models[0].intercept_))
    batch = max(1, _MOST_BYTES // (len(rows) * k * dtype.itemsize))
    for first in range(0, len(models), batch):
        part = models[first : first + batch]
        z = _raw_scores(readable, rows, part, np.empty((len(rows), k * len(part)), dtype=dtype))
        for i, model in enumerate(part):
            yield _with_scores(model, X_test, z[:, i] if k == 1 else z[:, i * k : (i + 1) * k])


def _raw_scores(X: Any, rows: Numbers, models: list[Any], out: Scores) -> Scores:
    """Raw scores of several models side by side, from one read of the rows."""
    coef = np.concatenate([np.atleast_2d(model.coef_) for model in models]).astype(np.float64)
    intercept = np.concatenate([np.atleast_1d(model.intercept_) for model in models]).astype(np.float64)
    nothing = np.broadcast_to(np.float64(0.0), (X.shape[0], len(coef)))
    problem = _core.Problem(X, nothing, loss="squared_error", n_outputs=len(coef), rows=rows)
    _core.scores(problem, coef, intercept, out, threads(models[0].n_threads))
    if not np.isfinite(out).all():
        check_rows_finite(X, "X", rows)
    return out


def _with_scores(model: Any, X_test: Any, z: Scores) -> Any:
    """The model, with its raw scores on X_test known; on other rows it works them out as ever."""
    compute, answer = model._raw_scores, model._answers

    def raw_scores(X: Any) -> Scores:
        return np.array(z, order="C") if X is X_test else compute(X)

    def answers(X: Any, of_scores: Callable[[Scores], Array]) -> Array:
        return of_scores(raw_scores(X)) if X is X_test else answer(X, of_scores)

    return copied(model, {"_raw_scores": raw_scores, "_answers": answers})
