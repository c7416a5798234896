"""Log loss of two classes, with L2, L1, both, and no penalty."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from benchmarks.solve.problems import real
from benchmarks.solve.problems.synthetic import correlated, ill_conditioned, rows_of, unscaled, weights_of
from benchmarks.solve.task import Problem, Task

__all__ = ["PROBLEMS"]

A9A = "a9a/a9a.gz"


def _labels(rng: np.random.Generator, z: NDArray[Any]) -> NDArray[np.int64]:
    return (z + rng.logistic(size=len(z)) > 0).astype(np.int64)


def _a9a(scale: float, copies: int = 1, alpha: float = 1e-4, l1_ratio: float = 0.0) -> Task:
    X, y = real.svmlight(A9A)
    if copies > 1:
        X, y = sp.vstack([X] * copies, format="csr"), np.tile(y, copies)
    return Task(X, y, "log_loss", alpha=alpha, l1_ratio=l1_ratio).share(scale)


def _ijcnn1(scale: float, alpha: float = 1e-5, l1_ratio: float = 0.0) -> Task:
    X, y = real.svmlight("ijcnn1/ijcnn1.trn.svmlight.gz")
    return Task(X.toarray(), y, "log_loss", alpha=alpha, l1_ratio=l1_ratio).share(scale)


def _unscaled(scale: float, full: int, d: int) -> Task:
    rng = np.random.default_rng(0)
    X, even = unscaled(rng, rows_of(full, scale), d)
    return Task(X, _labels(rng, even @ weights_of(rng, d, 2.0)), "log_loss", alpha=1e-4)


def _wide(scale: float, full: int, d: int, alpha: float, l1_ratio: float) -> Task:
    rng = np.random.default_rng(4)
    X = correlated(rng, rows_of(full, scale, 200), d, 0.5)
    y = _labels(rng, X @ weights_of(rng, d, 3.0, nonzero=min(d, 50)))
    return Task(X, y, "log_loss", alpha=alpha, l1_ratio=l1_ratio)


def _ill(scale: float) -> Task:
    rng = np.random.default_rng(5)
    X = ill_conditioned(rng, rows_of(100_000, scale), 50, 1e8)
    return Task(X, _labels(rng, X @ rng.standard_normal(50)), "log_loss")


def _separable(scale: float) -> Task:
    rng = np.random.default_rng(6)
    X = rng.standard_normal((rows_of(50_000, scale), 20))
    z = X @ weights_of(rng, 20, 1.0)
    X, z = X[np.abs(z) > 0.1], z[np.abs(z) > 0.1]
    return Task(X, (z > 0).astype(np.int64), "log_loss")


NEWTON = ("scikit_learn", "LogisticRegression(newton-cholesky)")
SAGA = ("scikit_learn", "LogisticRegression(saga)")
CG = ("scikit_learn", "LogisticRegression(newton-cg)")
LBFGS = ("scikit_learn", "LogisticRegression(lbfgs)")
PROBLEMS = (
    Problem("a9a", "Logistic, a9a", _a9a, NEWTON, "Sparse, 123 columns of 0 and 1."),
    Problem("a9a_tiled", "Logistic, a9a 20 times over", partial(_a9a, copies=20), NEWTON, "Sparse."),
    Problem("ijcnn1", "Logistic, ijcnn1", _ijcnn1, NEWTON),
    Problem("logistic_small", "Logistic, 1 000 x 10", partial(_unscaled, full=1000, d=10), NEWTON, "Overhead counts."),
    Problem("logistic_tall", "Logistic, n >> d", partial(_unscaled, full=500_000, d=50), NEWTON),
    Problem(
        "logistic_square",
        "Logistic, n about d",
        partial(_wide, full=2000, d=2000, alpha=1e-3, l1_ratio=0.0),
        NEWTON,
    ),
    Problem("logistic_wide", "Logistic, d >> n", partial(_wide, full=500, d=20_000, alpha=1e-2, l1_ratio=0.0), CG),
    Problem(
        "logistic_ill",
        "Logistic, condition number 1e8",
        _ill,
        NEWTON,
        "No penalty; the covariance of the columns has condition number 1e8, in no direction of its own.",
    ),
    Problem(
        "separable",
        "Logistic, separable classes, no penalty",
        _separable,
        LBFGS,
        "No weights reach the infimum 0. Suboptimality is relative to E at zero weights, log 2.",
        least=0.0,
    ),
    Problem("a9a_l1", "Logistic with L1, a9a", partial(_a9a, alpha=1e-3, l1_ratio=1.0), SAGA, "Sparse."),
    Problem(
        "ijcnn1_elastic_net",
        "Logistic with elastic net, ijcnn1",
        partial(_ijcnn1, alpha=1e-3, l1_ratio=0.5),
        SAGA,
    ),
    Problem(
        "logistic_l1_wide",
        "Logistic with L1, d >> n",
        partial(_wide, full=500, d=20_000, alpha=2e-2, l1_ratio=1.0),
        ("skglm", "ProxNewton"),
    ),
)
