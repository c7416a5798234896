"""What a call costs beside its work: small problems, and the import.

Whole calls of `fit` from construction on, float64, every default but alpha = 1e-4, beside the quicker of scikit-learn's
solvers of the same objective (`Ridge(a)` at a = alpha n; `LogisticRegression(C=C)` at C = 1 / (alpha n)). "Left" is
E / E* - 1, E* from a fit to 1e-12. Where the time of a fit goes: to the checks of parameters and data until
`gradient_descent` is called, to its own checks and the problem's set-up, to the C call, and to what is made of its
result; the share is that of the C call. The import is timed in fresh processes.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from benchmarks.report import Row
from benchmarks.solve.task import Task
from benchmarks.timing import OURS, quartiles
from gdfast import GDClassifier, GDRegressor, _core, _estimator

ALPHA = 1e-4
SIZES = ((100, 5), (1000, 10), (10_000, 20))
LOSSES = ("squared_error", "log_loss")
PARTS = ("checks", "set-up", "C call", "result")


def _task(n: int, d: int, loss: str) -> Task:
    """X (n, d) of noise with a numeric target, or with two classes."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, d))
    z = X @ rng.standard_normal(d)
    y = z + rng.standard_normal(n) if loss == "squared_error" else (z + rng.logistic(size=n) > 0).astype(np.int64)
    return Task(X, y, loss, alpha=ALPHA)


def _models(task: Task) -> dict[str, Callable[[], Any]]:
    """Makers of gdfast's model, first, and of scikit-learn's."""
    strength = ALPHA * len(task.y)
    if task.classes:
        rivals = {
            f"LogisticRegression({name})": partial(LogisticRegression, C=1 / strength, solver=name, max_iter=1000)
            for name in ("lbfgs", "newton-cholesky")
        }
        return {"GDClassifier": partial(GDClassifier, alpha=ALPHA), **rivals}
    rivals = {f"Ridge({name})": partial(Ridge, strength, solver=name) for name in ("cholesky", "svd")}
    return {"GDRegressor": partial(GDRegressor, alpha=ALPHA), **rivals}


@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("loss", LOSSES)
def test_fit(loss, n, d, compare, section):
    """A whole fit takes less than that of scikit-learn's quickest solver."""
    task = _task(n, d, loss)
    models = _models(task)
    fits = {name: _fit_of(make, task) for name, make in models.items()}
    (name, ours), *others = fits.items()
    times = compare(ours, dict(others), rounds=max(50, 40_000 // n))
    rival = times.quickest()
    exact = models[name](tol=1e-12).fit(task.X, task.y)
    least = task.error(exact.coef_, exact.intercept_)
    cells = (
        f"{times.seconds(who) * 1e3:.3f} ms, {_left(task, model, least):.0e} left"
        for who, model in ((OURS, ours()), (rival, fits[rival]()))
    )
    share = times.ratio(OURS, rival)
    what, against = f"{name}().fit, {n:,} x {d}", f"{rival}, share of its time"
    row = Row(what, against, *cells, share, "share", 1.0, at_least=False, lost=share.value > 1)
    section.rows.append(row)


@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("loss", LOSSES)
def test_where_the_time_goes(loss, n, d, benchmark, section):
    """Medians of the parts of a fit."""
    task = _task(n, d, loss)
    name, make = next(iter(_models(task).items()))
    seen: list[list[float]] = []
    benchmark.pedantic(lambda: seen.append(_parts(_fit_of(make, task))), rounds=100, warmup_rounds=5)
    share = quartiles([times[2] / sum(times) for times in seen[5:]])
    medians = [statistics.median(times) * 1e3 for times in zip(*seen[5:], strict=True)]
    ours = ", ".join(f"{part} {value:.3f}" for part, value in zip(PARTS, medians, strict=True))
    what = f"{name}().fit, {n:,} x {d}, where the time goes"
    section.rows.append(Row(what, "the C call, its share", f"{ours} ms", f"{medians[2]:.3f} ms", share, "share"))


def _left(task: Task, model: Any, least: float) -> float:
    return max(0.0, task.error(model.coef_, model.intercept_) / least - 1)


def _fit_of(make: Callable[[], Any], task: Task) -> Callable[[], Any]:
    return lambda: make().fit(task.X, task.y)


def _parts(fit: Callable[[], Any]) -> list[float]:
    """Seconds of each of PARTS."""
    with _stamped() as seen:
        start = time.perf_counter()
        fit()
        end = time.perf_counter()
    descent, call, returned, _ = seen
    return [descent - start, call - descent, returned - call, end - returned]


@contextlib.contextmanager
def _stamped() -> Iterator[list[float]]:
    """When `gradient_descent` and the C call within begin, and when they end."""
    seen: list[float] = []

    def stamped(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            seen.append(time.perf_counter())
            try:
                return function(*args, **options)
            finally:
                seen.append(time.perf_counter())

        return call

    outer = mock.patch.object(_estimator, "gradient_descent", stamped(_estimator.gradient_descent))
    inner = mock.patch.object(_core, "descend", stamped(_core.descend))
    with outer, inner:
        yield seen


def test_import(benchmark, section):
    """gdfast over NumPy, each in a process of its own."""
    seconds = {"numpy": [], "gdfast": []}

    def turn(module):
        seconds[module].append(_import_seconds(module))

    benchmark.pedantic(turn, args=("gdfast",), setup=partial(turn, "numpy"), rounds=15, warmup_rounds=1)
    ours, theirs = seconds["gdfast"][1:], seconds["numpy"][1:]
    over = quartiles([a - b for a, b in zip(ours, theirs, strict=True)])
    ours, theirs = f"{statistics.median(ours):.3f} s", f"{statistics.median(theirs):.3f} s"
    section.rows.append(
        Row("import gdfast", "import numpy, difference", ours, theirs, over, "s", target=0.1, at_least=False)
    )


def _import_seconds(module):
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)
