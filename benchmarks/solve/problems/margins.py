"""Squared hinge and hinge: support vector machines."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.solve.problems import real
from benchmarks.solve.problems.synthetic import rows_of, unscaled, weights_of
from benchmarks.solve.task import Problem, Task

__all__ = ["PROBLEMS"]


def _ijcnn1(scale: float, loss: str) -> Task:
    X, y = real.svmlight("ijcnn1/ijcnn1.trn.svmlight.gz")
    return Task(X.toarray(), y, loss, alpha=1e-4).share(scale)


def _a9a(scale: float) -> Task:
    X, y = real.svmlight("a9a/a9a.gz")
    return Task(X, y, "squared_hinge", alpha=1e-4).share(scale)


def _unscaled(scale: float) -> Task:
    rng = np.random.default_rng(11)
    X, even = unscaled(rng, rows_of(300_000, scale), 30)
    z = even @ weights_of(rng, 30, 2.0)
    return Task(X, (z + rng.logistic(size=len(z)) > 0).astype(np.int64), "squared_hinge", alpha=1e-4)


PRIMAL = ("liblinear", "primal (-s 2)")
PROBLEMS = (
    Problem("ijcnn1_squared_hinge", "Squared hinge, ijcnn1", partial(_ijcnn1, loss="squared_hinge"), PRIMAL),
    Problem("a9a_squared_hinge", "Squared hinge, a9a", _a9a, PRIMAL, "Sparse."),
    Problem("squared_hinge_tall", "Squared hinge, n >> d", _unscaled, PRIMAL),
    Problem("ijcnn1_hinge", "Hinge, ijcnn1", partial(_ijcnn1, loss="hinge"), ("liblinear", "dual (-s 3)")),
)
