"""scikit-learn-intelex: the linear models that it replaces."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from sklearnex import linear_model

from benchmarks import THREADS
from benchmarks.solve.library import Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "scikit-learn-intelex"
NOTE = (
    "The estimators of `sklearnex.linear_model`. What oneDAL does not do falls back to scikit-learn, and says so. "
    "oneDAL's AVX-512 code is for Intel's processors."
)
BOTH = ("float32", "float64")


def solvers(task: Task) -> list[Solver]:
    """Least squares and logistic regression, without sample weights, which oneDAL does not take."""
    if task.sample_weight is not None or task.l1_ratio:
        return []
    if task.loss == "squared_error":
        name = "Ridge" if task.alpha else "LinearRegression"
        return [Solver(name, _least_squares, (1,), "", BOTH, sparse=False)]
    if task.loss == "log_loss":
        names = ["lbfgs"] if task.n_outputs > 1 else ["lbfgs", "newton-cg"]
        return [Solver(f"LogisticRegression({name})", partial(_logistic, solver=name), types=BOTH) for name in names]
    return []


def _weights(model: Any, task: Task) -> Weights:
    model.fit(task.X, task.y)
    if not hasattr(model, "_onedal_estimator"):
        warnings.warn("fell back to scikit-learn", stacklevel=2)
    return model.coef_, model.intercept_


def _least_squares(task: Task, _: int) -> Weights:
    alpha = task.alpha * len(task.y)
    return _weights(linear_model.Ridge(alpha=alpha) if alpha else linear_model.LinearRegression(), task)


def _logistic(task: Task, tol: float, *, solver: str) -> Weights:
    C = 1 / (task.alpha * len(task.y)) if task.alpha else np.inf
    model = linear_model.LogisticRegression(C=C, solver=solver, tol=tol, max_iter=100_000, n_jobs=THREADS)
    return _weights(model, task)
