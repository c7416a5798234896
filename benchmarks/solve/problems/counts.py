"""Poisson and gamma, with exposure."""

from __future__ import annotations

import numpy as np

from benchmarks.solve.problems import real
from benchmarks.solve.problems.synthetic import rows_of, unscaled, weights_of
from benchmarks.solve.task import Problem, Task

__all__ = ["PROBLEMS"]


def _fremtpl2(scale: float) -> Task:
    X, frequency, years = real.fremtpl2()
    return Task(X, frequency, "poisson", alpha=1e-4, sample_weight=years).share(scale, least=5000)


def _beijing(scale: float) -> Task:
    X, y = real.beijing()
    return Task(X, y, "gamma", alpha=1e-4).share(scale)


def _poisson(scale: float) -> Task:
    rng = np.random.default_rng(9)
    X, even = unscaled(rng, rows_of(300_000, scale), 30)
    years = rng.uniform(0.1, 1.0, len(X))
    mean = np.exp(even @ weights_of(rng, 30, 0.5) - 0.5)
    return Task(X, rng.poisson(mean * years) / years, "poisson", alpha=1e-4, sample_weight=years)


def _gamma(scale: float) -> Task:
    rng = np.random.default_rng(10)
    X, even = unscaled(rng, rows_of(300_000, scale), 30)
    claims = 1.0 + rng.poisson(0.5, len(X)).astype(float)
    mean = np.exp(even @ weights_of(rng, 30, 0.5) + 1.0)
    return Task(X, rng.gamma(2 * claims, mean / (2 * claims)), "gamma", alpha=1e-4, sample_weight=claims)


POISSON = ("scikit_learn", "PoissonRegressor(newton-cholesky)")
GAMMA = ("scikit_learn", "GammaRegressor(newton-cholesky)")
PROBLEMS = (
    Problem("fremtpl2", "Poisson, freMTPL2", _fremtpl2, POISSON, "Claims a year, weighted by years. One-hot columns."),
    Problem("poisson_tall", "Poisson with exposure, n >> d", _poisson, POISSON),
    Problem("beijing_gamma", "Gamma, Beijing air", _beijing, GAMMA),
    Problem("gamma_tall", "Gamma with exposure, n >> d", _gamma, GAMMA),
)
