"""celer: coordinate descent with screening by dual extrapolation."""

from __future__ import annotations

import celer

from benchmarks.solve.library import Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "celer"
NOTE = "Lasso and ElasticNet; its LogisticRegression has no bias. One thread."


def solvers(task: Task) -> list[Solver]:
    """Squared error with L1."""
    if task.loss != "squared_error" or not task.l1_ratio or task.sample_weight is not None:
        return []
    return [Solver("Lasso" if task.l1_ratio == 1 else "ElasticNet", _fit)]


def _fit(task: Task, tol: float) -> Weights:
    options = {"tol": tol, "max_iter": 1000}
    if task.l1_ratio == 1:
        model = celer.Lasso(alpha=task.alpha, **options)
    else:
        model = celer.ElasticNet(alpha=task.alpha, l1_ratio=task.l1_ratio, **options)
    model.fit(task.X, task.y)
    return model.coef_, model.intercept_
