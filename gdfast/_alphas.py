"""Strengths of penalty to try, from the data: from where the penalty rules down to where it hardly matters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from gdfast import _core
from gdfast._arguments import error_terms
from gdfast._estimator import Rows
from gdfast._grid import copied, weigh, weighed
from gdfast._threads import threads
from gdfast._types import Array, Doubles
from gdfast.functional import error_and_gradient
from gdfast.rows.sparse import as_rows, is_sparse

_CURVED = ("squared_error", "poisson", "gamma", "log_loss", "squared_hinge", "modified_huber")
_SAMPLE = 10_000  # rows that the curvature is taken from
_BLOCK = 256
_STEPS = 30  # of the power iteration: more digits than the end of a grid needs


def alpha_grid(model: Any, data: Rows, l1_ratios: list[float], n_alphas: int) -> Doubles:
    """Alphas (n_l1_ratios, n_alphas), descending, geometric.

    With L1, from the least alpha that makes all weights zero, max_j |dE/dw_j| / l1_ratio at the best constant model
    (Friedman, Hastie & Tibshirani 2010, section 2.5), down to 1e-3 of it, 1e-2 if there are fewer rows than features.

    With L2 alone a direction of curvature c keeps the share c / (c + alpha) of its weight. The first alpha is the
    largest curvature at the best constant model, where every direction loses half of its weight or more; the last is
    1e-4 of the least curvature along a single feature, where a feature that stands for itself loses nothing to speak
    of, however small its scale. Not less than 1e-16 of the first, which is what float64 resolves.
    """
    train = Rows(data.X, model._for_engine(data.y), weighed(data, weigh(model, data, None)), data.offset)
    intercept = _best_constant(model, train)
    n, d = data.X.shape
    steepest = _steepest(model, train, intercept) if any(l1_ratios) else 0.0
    largest, least = (0.0, 0.0) if all(l1_ratios) else _curvatures(model, train, intercept)
    grid = np.empty((len(l1_ratios), n_alphas))
    for line, l1_ratio in zip(grid, l1_ratios, strict=True):
        if l1_ratio:
            first, share = steepest / l1_ratio, 1e-2 if n < d else 1e-3
        else:
            first, share = largest, max(1e-4 * least / largest, 1e-16) if largest > 0 else 1e-4
        # A target that no feature says anything of leaves no scale: any alpha gives the same weights, all zero.
        line[:] = np.geomspace(first, first * share, n_alphas) if first > 0 else np.geomspace(1.0, share, n_alphas)
    return grid


def _best_constant(model: Any, train: Rows) -> Doubles:
    """Biases of the best model without weights."""
    constant = copied(model, {"positive": False, "bounds": None})
    nothing = np.broadcast_to(np.float64(0.0), (train.X.shape[0], 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a single class, say, whose bias grows for ever
        result = constant._descend(train._replace(X=nothing), (0.0, 0.0), max_iter=1000, tol=1e-14)
    return np.atleast_1d(result.intercept)


def _steepest(model: Any, train: Rows, intercept: Doubles) -> float:
    """The largest slope of the error along a weight."""
    d = train.X.shape[1]
    _, gradient, _ = error_and_gradient(
        train.X,
        train.y,
        np.zeros(d if len(intercept) == 1 else (len(intercept), d)),
        intercept,
        loss=model.loss,
        sample_weight=train.sample_weight,
        offset=train.offset,
        epsilon=model.epsilon,
        quantile=getattr(model, "quantile", 0.5),
        n_threads=model.n_threads,
    )
    return float(np.abs(gradient).max())


def _curvatures(model: Any, train: Rows, intercept: Doubles) -> tuple[float, float]:
    """The largest curvature of the error along any direction, and the least along a feature that varies.

    The bias follows the weights, and some of the rows are enough. The curvature is X' C X, C the pointwise curvatures:
    the second derivative of the mean of c_i (x_i.w + b)^2 / 2. Of softmax, which couples the outputs, its blocks on the
    diagonal are looked at, which have half of it or more.
    """
    n = train.X.shape[0]
    rows = np.arange(n) if n <= _SAMPLE else np.linspace(0, n - 1, _SAMPLE).astype(np.int64)
    weight = np.ones(len(rows)) if train.sample_weight is None else train.sample_weight[rows].astype(np.float64)
    largest, least = 0.0, np.inf
    for j in range(len(intercept)):
        curvature = _pointwise(model, train, intercept, j)[rows] * weight / weight.mean() if weight.any() else weight
        if curvature.any():
            with np.errstate(invalid="ignore", over="ignore"):  # the descent finds what is not finite
                along = _along_features(train.X[rows], curvature, model.fit_intercept)
            largest = max(largest, _largest_eigenvalue(as_rows(train.X), rows, curvature, model))
            least = min(least, along[along > 0].min(initial=np.inf))
    return largest, float(least) if np.isfinite(least) else largest


def _along_features(X: Any, curvature: Doubles, centred: bool) -> Doubles:
    """Diagonal (d,) of X' C X."""
    total, square = curvature.sum(), np.zeros(X.shape[1])
    mean: Doubles = np.asarray(X.T @ curvature, dtype=np.float64) / total if centred else square
    if is_sparse(X):
        X = X.tocsr(copy=True)
        X.data = np.square(X.data.astype(np.float64))
        square = np.maximum(X.T @ curvature - total * np.square(mean), 0.0)
    else:
        for start in range(0, len(X), _BLOCK):
            part = slice(start, start + _BLOCK)
            square += curvature[part] @ np.square(X[part].astype(np.float64) - mean)
    along: Doubles = square / X.shape[0]
    return along


def _pointwise(model: Any, train: Rows, intercept: Doubles, j: int) -> Doubles:
    """Curvature of each row's loss in output j.

    Losses with kinks, and those that are straight far out, have none at most rows: instead mean slope over mean
    distance, the curvature of a parabola as high and as steep.
    """
    n, k = train.X.shape[0], len(intercept)
    z = np.full(n, intercept[j])
    if train.offset is not None:
        offset = np.asarray(train.offset, dtype=np.float64)
        z += offset[:, j] if offset.ndim == 2 and offset.shape[1] > 1 else offset.reshape(n)
    y = np.asarray(train.y)
    codes = model._n_outputs() is not None
    y = (y == j).astype(np.float64) if codes else y.reshape(n, k)[:, j].astype(np.float64)
    if codes and model.loss == "log_loss":
        p = np.exp(z - np.logaddexp.reduce(intercept)) if train.offset is None else np.full(n, y.mean())
        spread: Doubles = p * (1 - p)
        return spread
    if codes:
        y = 2 * y - 1
    terms = error_terms(model.loss, 0.0, 0.0, model.epsilon, getattr(model, "quantile", 0.5))
    curvature: Doubles
    _, slope, curvature = _core.pointwise(model.loss, z, y, param=terms["param"])
    if model.loss in _CURVED:
        return curvature
    distance = np.abs(z - y).mean()
    return np.full(n, np.abs(slope).mean() / distance if distance > 0 else 0.0)


def _largest_eigenvalue(X: Any, rows: Array, curvature: Doubles, model: Any) -> float:
    """Of X' C X, centred if there is a bias to follow, by power iteration; curvature (rows,) of the rows."""
    whole = np.zeros(X.shape[0])
    whole[rows] = curvature
    zero = np.broadcast_to(np.float64(0.0), (X.shape[0],))
    problem = _core.Problem(X, zero, loss="squared_error", weight=whole, rows=rows)
    n_threads = threads(model.n_threads)
    v = np.random.default_rng(0).normal(size=(1, X.shape[1]))
    centre = np.zeros_like(v)
    if model.fit_intercept:
        centre = _core.error_and_gradient(problem, centre, np.ones(1), n_threads)[1]
    size = 0.0
    for _ in range(_STEPS):
        v /= np.sqrt(np.square(v).sum())
        bias = np.array([-(centre * v).sum()])
        v = _core.error_and_gradient(problem, v, bias, n_threads)[1]
        size = float(np.sqrt(np.square(v).sum()))
        if not 0.0 < size < np.inf:
            break
    return size * float(curvature.mean()) if np.isfinite(size) else 0.0
