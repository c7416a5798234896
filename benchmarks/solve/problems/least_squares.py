"""Squared error with and without an L2 penalty."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.solve.problems import real
from benchmarks.solve.problems.synthetic import correlated, ill_conditioned, rows_of, unscaled, weights_of
from benchmarks.solve.task import Problem, Task

__all__ = ["PROBLEMS"]


def _california(scale: float) -> Task:
    X, y = real.california()
    return Task(X, y, "squared_error", alpha=1e-2).share(scale)


def _beijing(scale: float) -> Task:
    X, y = real.beijing()
    return Task(X, y, "squared_error", alpha=1e-4).share(scale)


def _unscaled(scale: float, full: int, d: int) -> Task:
    rng = np.random.default_rng(0)
    X, even = unscaled(rng, rows_of(full, scale), d, spread=2.0 if d > 10 else 1.0)
    y = even @ weights_of(rng, d, 1.0) + rng.standard_normal(len(X))
    return Task(X, y, "squared_error", alpha=1e-4)


def _correlated(scale: float, full: int, d: int) -> Task:
    rng = np.random.default_rng(1)
    X = correlated(rng, rows_of(full, scale, 200), d, 0.5)
    return Task(X, X @ weights_of(rng, d, 1.0) + rng.standard_normal(len(X)), "squared_error", alpha=1e-2)


def _ill(scale: float) -> Task:
    rng = np.random.default_rng(2)
    X = ill_conditioned(rng, rows_of(100_000, scale), 100, 1e8)
    y = X @ rng.standard_normal(100) + rng.standard_normal(len(X))
    return Task(X, y, "squared_error")


CHOLESKY = ("scikit_learn", "Ridge(cholesky)")
SVD = ("scikit_learn", "Ridge(svd)")
PROBLEMS = (
    Problem("california_ridge", "Ridge, California housing", _california, SVD),
    Problem("beijing_ridge", "Ridge, Beijing air", _beijing, SVD),
    Problem("ridge_small", "Ridge, 200 x 10", partial(_unscaled, full=200, d=10), SVD, "Overhead counts."),
    Problem(
        "ridge_tall",
        "Ridge, n >> d",
        partial(_unscaled, full=500_000, d=50),
        CHOLESKY,
        "Columns in units that are e^N(0, 4) apart.",
    ),
    Problem("ridge_square", "Ridge, n about d", partial(_correlated, full=2000, d=2000), CHOLESKY),
    Problem("ridge_wide", "Ridge, d >> n", partial(_correlated, full=500, d=20_000), CHOLESKY),
    Problem(
        "least_squares_ill",
        "Least squares, condition number 1e8",
        _ill,
        ("scikit_learn", "LinearRegression"),
        "No penalty; the covariance of the columns has condition number 1e8, in no direction of its own.",
    ),
)
