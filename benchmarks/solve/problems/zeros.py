"""Squared error with L1: lasso and elastic net."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.solve.problems import real
from benchmarks.solve.problems.synthetic import correlated, rows_of, weights_of
from benchmarks.solve.task import Problem, Task

__all__ = ["PROBLEMS"]


def _california(scale: float) -> Task:
    X, y = real.california()
    return Task(X, y, "squared_error", alpha=1000.0, l1_ratio=0.9).share(scale)


def _beijing(scale: float, l1_ratio: float) -> Task:
    X, y = real.beijing()
    return Task(X, y, "squared_error", alpha=0.3, l1_ratio=l1_ratio).share(scale)


def _correlated(scale: float, full: int, d: int, rho: float, l1_ratio: float) -> Task:
    """A tenth of the largest alpha that leaves anything."""
    rng = np.random.default_rng(3)
    X = correlated(rng, rows_of(full, scale, 200), d, rho)
    y = X @ weights_of(rng, d, 1.0, nonzero=min(d, 50)) + 0.5 * rng.standard_normal(len(X))
    most = np.abs(X.T @ (y - y.mean())).max() / len(y)
    return Task(X, y, "squared_error", alpha=0.1 * most, l1_ratio=l1_ratio)


JUDGE = ("scikit_learn", "ElasticNet")
PROBLEMS = (
    Problem("california_elastic_net", "Elastic net, California housing", _california, JUDGE),
    Problem("beijing_lasso", "Lasso, Beijing air", partial(_beijing, l1_ratio=1.0), JUDGE),
    Problem("beijing_elastic_net", "Elastic net, Beijing air", partial(_beijing, l1_ratio=0.5), JUDGE),
    Problem(
        "lasso_correlated",
        "Lasso, n >> d, neighbours correlated by 0.95",
        partial(_correlated, full=50_000, d=500, rho=0.95, l1_ratio=1.0),
        JUDGE,
    ),
    Problem(
        "lasso_wide",
        "Lasso, d >> n",
        partial(_correlated, full=1000, d=10_000, rho=0.5, l1_ratio=1.0),
        ("celer", "Lasso"),
    ),
    Problem(
        "elastic_net_wide",
        "Elastic net, d >> n",
        partial(_correlated, full=1000, d=10_000, rho=0.9, l1_ratio=0.5),
        JUDGE,
    ),
)
