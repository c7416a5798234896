"""Cyanure: variance reduction and quasi-Newton steps, stopped by a duality gap."""

from __future__ import annotations

from typing import Any

import numpy as np
from cyanure import estimators

from benchmarks import THREADS
from benchmarks.solve.library import TOLERANCES, Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "cyanure"
NOTE = (
    "Classifier and Regression with solver `auto`. The wheel from PyPI; one built for MKL would be faster on dense "
    "rows. Its authors advise normalised rows, another objective here."
)
LOSSES = {"squared_error": "square", "log_loss": "logistic", "squared_hinge": "sqhinge"}
MANY_PASSES = 100_000


def solvers(task: Task) -> list[Solver]:
    """Its losses, without sample weights, which it does not have."""
    if task.loss not in LOSSES or task.sample_weight is not None:
        return []
    return [Solver("auto", _fit, TOLERANCES[:10], types=("float32", "float64"), exact=False)]


def _fit(task: Task, tol: float) -> Weights:
    # its squared hinge is half of ours, so is the penalty then
    alpha = task.alpha / 2 if task.loss == "squared_hinge" else task.alpha
    l1, l2 = alpha * task.l1_ratio, alpha * (1 - task.l1_ratio)
    penalty = {0.0: "l2", 1.0: "l1"}.get(task.l1_ratio, "elasticnet") if alpha else "none"
    first, second = (l2, 0.0) if penalty == "l2" else (l1, l2)
    options: dict[str, Any] = {
        "penalty": penalty,
        "lambda_1": first,
        "lambda_2": second,
        "tol": tol,
        "max_iter": MANY_PASSES,
        "n_threads": THREADS,
        "verbose": False,
        "random_state": 0,
    }
    if not task.classes:
        model = estimators.Regression(**options)
        model.fit(task.X, task.y.astype(task.X.dtype))
    else:
        loss = "multiclass-logistic" if task.n_outputs > 1 else LOSSES[task.loss]
        model = estimators.Classifier(loss=loss, **options)
        model.fit(task.X, task.y if task.n_outputs > 1 else np.where(task.y > 0, 1, -1))
    coef = np.asarray(model.coef_)
    return coef.reshape(task.n_outputs, task.X.shape[1]), model.intercept_
