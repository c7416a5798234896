"""scikit-learn: every solver that fits the objective."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from sklearn import linear_model, svm

from benchmarks import THREADS
from benchmarks.solve.library import EPOCHS, Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "scikit-learn"
NOTE = (
    "Raw features, as for everybody: lbfgs, sag, saga and SGD would like them standardised, which with a penalty is "
    "another objective. HuberRegressor finds its scale itself; huber_heavy has the epsilon to which that leads. "
    "liblinear penalises the bias; `intercept_scaling=100` makes that small."
)
BOTH = ("float32", "float64")
FEW_COLUMNS = 3000  # for solvers that factorise d x d
MANY_ITERATIONS = 100_000


def solvers(task: Task) -> list[Solver]:
    """Those of the estimators of that loss, and stochastic gradient descent."""
    found = {
        "squared_error": _squared_error,
        "log_loss": _log_loss,
        "squared_hinge": _support_vectors,
        "hinge": _support_vectors,
        "huber": _huber,
        "quantile": _quantile,
        "absolute_error": _quantile,
        "poisson": _generalised,
        "gamma": _generalised,
    }[task.loss](task)
    if task.loss in _SGD_LOSSES:
        name = "SGDClassifier" if task.classes else "SGDRegressor"
        found.append(Solver(name, _sgd, EPOCHS, "max_iter", BOTH, exact=False))
    return found


def _weights(model: Any, task: Task) -> Weights:
    model.fit(task.X, task.y, sample_weight=task.sample_weight)
    return model.coef_, model.intercept_


# ---- squared error -------------------------------------------------------------------------------


def _squared_error(task: Task) -> list[Solver]:
    if task.l1_ratio:
        types = ("float64",) if task.sparse else BOTH
        return [
            Solver("ElasticNet", partial(_elastic_net, selection="cyclic"), types=types),
            Solver("ElasticNet(random)", partial(_elastic_net, selection="random"), types=types),
        ]
    small = task.X.shape[1] <= FEW_COLUMNS or len(task.y) <= FEW_COLUMNS
    direct = ("cholesky", *(() if task.sparse or max(task.X.shape) > 1e6 else ("svd",))) if small else ()
    found = [Solver(f"Ridge({name})", partial(_ridge, solver=name), (1,), "", BOTH) for name in direct]
    iterative = ("sparse_cg", "sag", "saga") if task.sparse else ("lsqr", "sparse_cg", "sag", "saga")
    found += [
        Solver(f"Ridge({name})", partial(_ridge, solver=name), types=BOTH, exact=name[:3] != "sag")
        for name in iterative
    ]
    if not task.alpha:
        found.append(Solver("LinearRegression", _least_squares, (1,), "", BOTH))
    return found


def _ridge(task: Task, tol: float, *, solver: str) -> Weights:
    limit = {"lsqr": 10_000, "sparse_cg": 10_000}.get(solver, MANY_ITERATIONS)
    alpha = task.alpha * task.total_weight
    return _weights(linear_model.Ridge(alpha=alpha, solver=solver, tol=tol, max_iter=limit, random_state=0), task)


def _least_squares(task: Task, _: int) -> Weights:
    return _weights(linear_model.LinearRegression(n_jobs=THREADS), task)


def _elastic_net(task: Task, tol: float, *, selection: str) -> Weights:
    model = linear_model.ElasticNet(
        alpha=task.alpha,
        l1_ratio=task.l1_ratio,
        tol=tol,
        max_iter=MANY_ITERATIONS,
        selection=selection,
        random_state=0,
    )
    return _weights(model, task)


# ---- classes -------------------------------------------------------------------------------------


def _log_loss(task: Task) -> list[Solver]:
    names = ["saga"]
    if not task.l1_ratio:
        names = ["lbfgs", "newton-cg", "sag", "saga"]
        if task.X.shape[1] * task.n_outputs <= FEW_COLUMNS:
            names.insert(0, "newton-cholesky")
    found = [
        Solver(f"LogisticRegression({name})", partial(_logistic, solver=name), types=BOTH, exact=name[:3] != "sag")
        for name in names
    ]
    if task.n_outputs == 1 and task.l1_ratio in (0, 1) and task.alpha:
        fit = partial(_logistic, solver="liblinear")
        found.append(Solver("LogisticRegression(liblinear)", fit, exact=False))
    return found


def _logistic(task: Task, tol: float, *, solver: str) -> Weights:
    model = linear_model.LogisticRegression(
        C=1 / (task.alpha * task.total_weight) if task.alpha else np.inf,
        l1_ratio=task.l1_ratio,
        solver=solver,
        tol=tol,
        max_iter=MANY_ITERATIONS,
        intercept_scaling=100.0 if solver == "liblinear" else 1.0,
        random_state=0,
    )
    return _weights(model, task)


def _support_vectors(task: Task) -> list[Solver]:
    if task.l1_ratio:
        return []
    ways = (False, True) if task.loss == "squared_hinge" else (True,)
    return [Solver(f"LinearSVC(dual={dual})", partial(_svc, dual=dual), exact=False) for dual in ways]


def _svc(task: Task, tol: float, *, dual: bool) -> Weights:
    model = svm.LinearSVC(
        loss=task.loss,
        C=1 / (task.alpha * len(task.y)),
        dual=dual,
        tol=tol,
        max_iter=MANY_ITERATIONS,
        intercept_scaling=100.0,
        random_state=0,
    )
    return _weights(model, task)


# ---- the rest ------------------------------------------------------------------------------------


def _generalised(task: Task) -> list[Solver]:
    names = ("newton-cholesky", "lbfgs") if task.X.shape[1] <= FEW_COLUMNS else ("lbfgs",)
    name = {"poisson": "PoissonRegressor", "gamma": "GammaRegressor"}[task.loss]
    return [Solver(f"{name}({solver})", partial(_glm, name=name, solver=solver), types=BOTH) for solver in names]


def _glm(task: Task, tol: float, *, name: str, solver: str) -> Weights:
    model = getattr(linear_model, name)(alpha=task.alpha, solver=solver, tol=tol, max_iter=10_000)
    return _weights(model, task)


HUBER_EPSILON = 1.35  # HuberRegressor's default, in units of the scale that it finds


def _huber(task: Task) -> list[Solver]:
    return [] if task.l1_ratio or task.sparse else [Solver("HuberRegressor", _huber_fit, exact=False)]


def _huber_fit(task: Task, tol: float) -> Weights:
    """Its alpha, so that at the scale epsilon / 1.35 its optimum is the task's."""
    scale = task.epsilon / HUBER_EPSILON
    alpha = task.alpha * task.total_weight / scale
    return _weights(linear_model.HuberRegressor(epsilon=HUBER_EPSILON, alpha=alpha, tol=tol, max_iter=10_000), task)


def _quantile(task: Task) -> list[Solver]:
    if task.alpha and task.l1_ratio != 1:
        return []
    names = ("highs", "highs-ipm")
    return [Solver(f"QuantileRegressor({name})", partial(_quantile_fit, solver=name), (1,), "") for name in names]


def _quantile_fit(task: Task, _: int, *, solver: str) -> Weights:
    quantile = 0.5 if task.loss == "absolute_error" else task.quantile
    return _weights(linear_model.QuantileRegressor(quantile=quantile, alpha=task.alpha, solver=solver), task)


_SGD_LOSSES: dict[str, dict[str, Any]] = {
    "squared_error": {"loss": "squared_error"},
    "huber": {"loss": "huber"},
    "absolute_error": {"loss": "epsilon_insensitive", "epsilon": 0.0},
    "log_loss": {"loss": "log_loss"},
    "hinge": {"loss": "hinge"},
    "squared_hinge": {"loss": "squared_hinge"},
}


def _sgd(task: Task, epochs: int) -> Weights:
    estimator = linear_model.SGDClassifier if task.classes else linear_model.SGDRegressor
    penalty = "elasticnet" if task.l1_ratio else "l2"
    options: dict[str, Any] = {"epsilon": task.epsilon} | _SGD_LOSSES[task.loss]
    model = estimator(
        penalty=penalty, alpha=task.alpha, l1_ratio=task.l1_ratio, max_iter=epochs, tol=None, random_state=0, **options
    )
    return _weights(model, task)
