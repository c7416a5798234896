"""glum: generalised linear models by iteratively reweighted least squares."""

from __future__ import annotations

from functools import partial

import glum

from benchmarks.solve.library import Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "glum"
NOTE = (
    "GeneralizedLinearRegressor. It is at its best where columns are categories given as such (tabmat), which no other "
    "library here takes: one-hot columns are given to all."
)
FAMILIES = {"squared_error": "normal", "log_loss": "binomial", "poisson": "poisson", "gamma": "gamma"}
FEW_COLUMNS = 3000


def solvers(task: Task) -> list[Solver]:
    """Newton's steps where the Hessian fits, lbfgs where nothing is exactly zero."""
    if task.loss not in FAMILIES or task.n_outputs > 1:
        return []
    names = []
    if task.X.shape[1] <= FEW_COLUMNS:
        names.append("irls-cd" if task.l1_ratio else "irls-ls")
    if not task.l1_ratio:
        names.append("lbfgs")
    return [Solver(name, partial(_fit, solver=name), types=("float32", "float64")) for name in names]


def _fit(task: Task, tol: float, *, solver: str) -> Weights:
    model = glum.GeneralizedLinearRegressor(
        family=FAMILIES[task.loss],
        link={"gamma": "log"}.get(task.loss, "auto"),
        alpha=task.alpha,
        l1_ratio=task.l1_ratio,
        solver=solver,
        gradient_tol=tol,
        max_iter=10_000,
    )
    model.fit(task.X, task.y.astype(task.X.dtype, copy=False), sample_weight=task.sample_weight)
    return model.coef_, model.intercept_
