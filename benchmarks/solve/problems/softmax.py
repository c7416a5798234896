"""Log loss of several classes."""

from __future__ import annotations

import numpy as np

from benchmarks.solve.problems import real
from benchmarks.solve.problems.synthetic import rows_of, unscaled
from benchmarks.solve.task import Problem, Task

__all__ = ["PROBLEMS"]


def _mnist(scale: float) -> Task:
    X, y = real.mnist()
    return Task(X, y, "log_loss", alpha=1e-4 * 255**2, unit=255.0).share(scale)


def _news20(scale: float) -> Task:
    X, y = real.news20()
    return Task(X, y, "log_loss", alpha=1e-5).share(scale)


def _unscaled(scale: float) -> Task:
    rng = np.random.default_rng(7)
    X, even = unscaled(rng, rows_of(200_000, scale), 30)
    Z = even @ rng.standard_normal((30, 5)) * 0.4
    return Task(X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=1), "log_loss", alpha=1e-4)


LBFGS = ("scikit_learn", "LogisticRegression(lbfgs)")
PROBLEMS = (
    Problem(
        "mnist",
        "Softmax, MNIST",
        _mnist,
        LBFGS,
        "uint8 pixels 0 ... 255 as they are stored; alpha is that of 1e-4 on pixels / 255, which the others are given, "
        "as part of their time.",
    ),
    Problem("news20", "Softmax, 20 newsgroups", _news20, LBFGS, "Sparse tf-idf, 101 631 columns, 20 classes."),
    Problem("softmax_tall", "Softmax, n >> d", _unscaled, ("scikit_learn", "LogisticRegression(newton-cholesky)")),
)
