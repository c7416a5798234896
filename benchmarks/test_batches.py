"""The mini-batch loop: one epoch, shuffled.

From an array larger than the caches. The NumPy reference is `gdfast.reference.gradient_descent`: fancy indexing
and two matrix-vector products per batch. Both evaluate the error of all rows once at the end of the epoch. At batch
size 1 the whole calls of `fit` are compared; E is the error over all rows after that epoch, in float64, median of 5
seeds: the last weights of such a short run are noisy.
"""

from __future__ import annotations

import statistics
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier

import gdfast
from benchmarks import THREADS, scaled
from benchmarks.report import Row
from benchmarks.solve.task import Task
from gdfast import reference

D = 30
ALPHA = 1e-4


@pytest.fixture(scope="module")
def rows():
    """X (n, 30) float32 and labels 0, 1."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((scaled(2_000_000), D), dtype=np.float32)
    z = X @ rng.standard_normal(D, dtype=np.float32)
    return X, (z + rng.logistic(size=len(z)) > 0).astype(np.int64)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_batch_of_32(loss, rows, compare, section):
    """Against the same loop in NumPy."""
    X, y = rows
    settings = dict(
        loss=loss,
        alpha=ALPHA,
        solver="sgd",
        batch_size=32,
        learning_rate="constant",
        eta0=0.01,
        max_iter=1,
        tol=None,
    )
    rng = np.random.default_rng(2)
    in_numpy = partial(reference.gradient_descent, X, y, **settings, permutation=lambda epoch, n: rng.permutation(n))
    ours = partial(gdfast.gradient_descent, X, y, **settings, random_state=0, n_threads=THREADS)
    times = compare(ours, {"NumPy": in_numpy}, rounds=5)
    section.rows.append(
        Row(
            f"{loss}, batch 32, {len(X):,} x {D} float32", "NumPy reference loop", _per_row(X, times.seconds()),
            _per_row(X, times.seconds("NumPy")), times.ratio("NumPy"), target=20,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "schedule"), [("log_loss", "constant"), ("log_loss", "optimal"), ("hinge", "optimal")]
)
def test_batch_of_1(loss, schedule, rows, compare, section):
    """Against scikit-learn's stochastic gradient descent, whose batch is always one row."""
    X, y = rows
    settings = dict(loss=loss, alpha=ALPHA, learning_rate=schedule, eta0=0.01, max_iter=1, tol=None, random_state=0)
    ours = gdfast.GDClassifier(solver="sgd", batch_size=1, n_threads=THREADS, **settings)
    theirs = SGDClassifier(**settings)
    times = compare(partial(ours.fit, X, y), {"SGDClassifier": partial(theirs.fit, X, y)}, rounds=5)
    cells = [
        f"{_per_row(X, times.seconds(name))}, E {_error(model, X, y):.3f}"
        for name, model in (("gdfast", ours), ("SGDClassifier", theirs))
    ]
    what = f"{loss}, {schedule} rate, batch 1, {len(X):,} x {D} float32"
    section.rows.append(Row(what, "SGDClassifier", *cells, times.ratio("SGDClassifier"), target=5))


def _error(model, X, y):
    task = Task(X, y, model.loss, alpha=ALPHA)
    fits = (model.set_params(random_state=seed).fit(X, y) for seed in range(5))
    return statistics.median(task.error(fitted.coef_, fitted.intercept_) for fitted in fits)


def _per_row(X, seconds):
    return f"{seconds:.3f} s, {seconds / len(X) * 1e9:.0f} ns a row"
