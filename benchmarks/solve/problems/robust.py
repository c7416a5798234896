"""Huber's loss, and quantiles."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.solve.problems import real
from benchmarks.solve.problems.synthetic import rows_of, weights_of
from benchmarks.solve.task import Problem, Task

__all__ = ["PROBLEMS"]


def _heavy(scale: float, full: int, loss: str, least: int = 500) -> Task:
    """Noise of a t distribution with 1.5 degrees of freedom."""
    rng = np.random.default_rng(8)
    X = rng.standard_normal((rows_of(full, scale, least), 20))
    y = X @ weights_of(rng, 20, 1.0) + rng.standard_t(1.5, size=len(X)) + 1.0
    return Task(X, y, loss, epsilon=HUBER_EPSILON)


def _beijing(scale: float) -> Task:
    X, y = real.beijing()
    return Task(X, y, "huber", alpha=1e-4, epsilon=20.0).share(scale)


def _california(scale: float, quantile: float) -> Task:
    X, y = real.california()
    return Task(X, y, "quantile", quantile=quantile).share(scale)


HUBER_EPSILON = 1.1923824580517517  # 1.35 times the scale that HuberRegressor finds on all rows
HUBER = ("scikit_learn", "HuberRegressor")
HIGHS = ("scikit_learn", "QuantileRegressor(highs)")
PROBLEMS = (
    Problem(
        "huber_heavy",
        "Huber, heavy tails",
        partial(_heavy, full=200_000, loss="huber"),
        HUBER,
        "epsilon is 1.35 times the scale that HuberRegressor finds on these rows: its optimum is then this one.",
    ),
    Problem("beijing_huber", "Huber, Beijing air", _beijing, ("pytorch", "LBFGS")),
    Problem("median_5k", "Median, 5 000 x 20", partial(_heavy, full=5000, loss="absolute_error"), HIGHS),
    Problem("median_20k", "Median, 20 000 x 20", partial(_heavy, full=20_000, loss="absolute_error"), HIGHS),
    Problem("california_q90", "Quantile 0.9, California housing", partial(_california, quantile=0.9), HIGHS),
)
