"""skglm: coordinate descent on working sets, and proximal Newton, compiled by Numba."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import skglm
from skglm.datafits import Gamma, Huber, Logistic, Poisson, Quadratic
from skglm.penalties import L1_plus_L2
from skglm.solvers import AndersonCD, ProxNewton

from benchmarks.solve.library import Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "skglm"
NOTE = (
    "GeneralizedLinearEstimator with the datafit and an elastic net. Compilation is not counted: a call on 300 rows "
    "goes before. One thread. Its L-BFGS has no free bias. Meant for penalties that make zeros."
)
SOLVERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "AndersonCD": (AndersonCD, {"max_iter": 1000}),
    "ProxNewton": (ProxNewton, {"max_iter": 1000}),
}
KINDS = {
    "squared_error": ("AndersonCD",),
    "huber": ("AndersonCD",),
    "log_loss": ("AndersonCD", "ProxNewton"),
    "poisson": ("ProxNewton",),
    "gamma": ("ProxNewton",),
}


def solvers(task: Task) -> list[Solver]:
    """For one output and without sample weights."""
    if task.n_outputs > 1 or task.sample_weight is not None or not task.alpha:
        return []
    return [Solver(name, partial(_fit, solver=name), exact=False) for name in KINDS.get(task.loss, ())]


def _fit(task: Task, tol: float, *, solver: str) -> Weights:
    datafit = {
        "squared_error": Quadratic,
        "huber": partial(Huber, task.epsilon),
        "log_loss": Logistic,
        "poisson": Poisson,
        "gamma": Gamma,
    }[task.loss]()
    make, options = SOLVERS[solver]
    model = skglm.GeneralizedLinearEstimator(
        datafit, L1_plus_L2(task.alpha, task.l1_ratio), make(tol=tol, fit_intercept=True, **options)
    )
    X = task.X.tocsc() if task.sparse else task.X
    model.fit(X, np.where(task.y > 0, 1.0, -1.0) if task.classes else task.y.astype(X.dtype))
    return model.coef_, model.intercept_
