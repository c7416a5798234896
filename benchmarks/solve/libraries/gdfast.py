"""gdfast: solver "auto", data as they are, no parameter but the objective's and tol."""

from __future__ import annotations

from typing import Any

import gdfast
from benchmarks import THREADS
from benchmarks.solve.library import TOLERANCES, Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "gdfast"
NOTE = "GDRegressor and GDClassifier with `tol` alone; X in whatever type it has, raw."


def solvers(task: Task) -> list[Solver]:
    """The one that anybody gets."""
    return [Solver("gdfast", _fit, TOLERANCES[:9], types=())]


def _fit(task: Task, tol: float) -> Weights:
    estimator: Any = gdfast.GDClassifier if task.classes else gdfast.GDRegressor
    model = estimator(
        loss=task.loss,
        penalty="elasticnet" if task.l1_ratio else "l2",
        alpha=task.alpha,
        l1_ratio=task.l1_ratio,
        tol=tol,
        n_threads=THREADS,
        epsilon=task.epsilon,
        **({} if task.classes else {"quantile": task.quantile}),
    )
    model.fit(task.X, task.y, sample_weight=task.sample_weight)
    return model.coef_, model.intercept_
