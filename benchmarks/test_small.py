"""What a call costs beside its work: small problems, and the import.

Whole calls of `fit` from construction on, with equal optima (`Ridge(a)` at alpha = a / n, `LogisticRegression(C=C)` at
alpha = 1 / (C n)). The import is timed in fresh processes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from benchmarks.report import Row
from benchmarks.timing import quartiles
from gdfast import GDClassifier, GDRegressor

ALPHA = 1e-4


@pytest.fixture(scope="module")
def rows():
    """X (200, 10), a target and labels."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((200, 10))
    y = X @ rng.standard_normal(10) + rng.standard_normal(200)
    return X, y


def test_regressor(rows, compare, section):
    """A whole fit within 1.5 times Ridge's."""
    X, y = rows
    times = compare(
        lambda: GDRegressor(alpha=ALPHA).fit(X, y),
        {"Ridge": lambda: Ridge(ALPHA * len(X)).fit(X, y)},
        rounds=400,
    )
    _add(section, times, "GDRegressor().fit, 200 x 10", "Ridge", target=1.5)


def test_classifier(rows, compare, section):
    """The same with labels."""
    X, y = rows[0], rows[1] > 0
    rival = "LogisticRegression"
    times = compare(
        lambda: GDClassifier(alpha=ALPHA).fit(X, y),
        {rival: lambda: LogisticRegression(C=1 / (ALPHA * len(X)), max_iter=1000).fit(X, y)},
        rounds=200,
    )
    _add(section, times, "GDClassifier().fit, 200 x 10", rival)


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


def _add(section, times, what, rival, target=None):
    """A row with the time of gdfast over that of the rival: less is better."""
    ratio = quartiles([ours / theirs for ours, theirs in zip(times["gdfast"], times[rival], strict=True)])
    ours, theirs = (f"{times.seconds(name) * 1e3:.2f} ms" for name in ("gdfast", rival))
    section.rows.append(
        Row(
            what, f"{rival}, share of its time", ours, theirs, ratio, "share", target, at_least=False,
            lost=ratio.value > 1,
        )
    )  # fmt: skip
