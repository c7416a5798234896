"""Many models, one read of X.

100 models (20 strengths of the penalty x 5 folds) or 10, log_loss, 100 000 rows of 100 features: errors of training and
validation and gradients of all of them. The limit is the machine's matrix product, NumPy's `A @ A` for 2048 x 2048 of
the same type by as many threads: the share is of its operations per second, 4 n d for each model. "One by one"
evaluates each model by `error_and_gradient` on all rows.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from benchmarks import THREADS, scaled
from benchmarks.report import Row
from benchmarks.timing import Ratio
from gdfast import _core

D, FOLDS, SIDE = 100, 5, 2048


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_share_of_the_product(dtype, compare, section):
    """Operations per second, over those of a matrix product."""
    problem, grid, coef, intercept = _models(dtype, 100)
    A = np.random.default_rng(0).random((SIDE, SIDE)).astype(dtype)
    ours = partial(_core.grid_error_and_gradient, grid, coef, intercept, THREADS)
    times = compare(ours, {"NumPy": lambda: A @ A}, rounds=15)
    work, theirs = 4.0 * len(problem.X) * D * len(coef), 2.0 * SIDE**3
    share = Ratio(*(each * work / theirs for each in times.ratio("NumPy")))
    speeds = (f"{much / times.seconds(name) / 1e9:.0f} GFlop/s" for much, name in ((work, "gdfast"), (theirs, "NumPy")))
    section.rows.append(Row(f"100 models, {dtype}", "matrix product", *speeds, share, "share", 0.6))


@pytest.mark.parametrize("n_models, target", [(100, 8.0), (10, 3.0)])
def test_one_by_one(n_models, target, compare, section):
    """How much less a model costs in company."""
    problem, grid, coef, intercept = _models("float32", n_models)
    ours = partial(_core.grid_error_and_gradient, grid, coef, intercept, THREADS)

    def one_by_one():
        for w, b in zip(coef, intercept, strict=True):
            _core.error_and_gradient(problem, w, b, THREADS)

    times = compare(ours, {"one by one": one_by_one}, rounds=9)
    each = (f"{times.seconds(name) / n_models * 1e3:.2f} ms a model" for name in ("gdfast", "one by one"))
    section.rows.append(
        Row(f"{n_models} models, float32", "one by one", *each, times.ratio("one by one"), target=target)
    )


def _models(dtype, n_models):
    rng = np.random.default_rng(0)
    X = rng.random((scaled(100_000), D), dtype=np.float32).astype(dtype)
    y = (X[:, 0] > 0.5).astype(np.int8)
    problem = _core.Problem(X, y, loss="log_loss", codes=True)
    roles = np.where(rng.integers(FOLDS, size=len(X)) == np.arange(FOLDS)[:, None], -1, 1).astype(np.int8)
    models = [{"loss": "log_loss", "l2": 10.0 ** -(m // FOLDS), "split": m % FOLDS} for m in range(n_models)]
    return problem, _core.Grid(problem, models, roles), rng.normal(size=(n_models, 1, D)) / 5, np.zeros((n_models, 1))
