"""Memory: the most that a call takes beyond the arrays given to it.

Each call in a fresh process, after a small one that loads the libraries: the peak of resident memory during the
call less that before it, answers included (Linux only). 500 000 rows of 100 features; beside scikit-learn where it
has the same.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import THREADS, scaled
from benchmarks.report import Row
from benchmarks.timing import Ratio

N, D = scaled(500_000, 20_000), 100
PROGRAM = """
import ctypes, gc, re
import numpy as np
import gdfast
from sklearn.linear_model import LogisticRegression, Ridge
rng = np.random.default_rng(0)
X = np.empty(({n}, {d}), dtype="{dtype}", order="{order}")
for at in range(0, {n}, 1000):
    X[at : at + 1000] = np.clip(rng.standard_normal(X[at : at + 1000].shape) * {spread} + {middle}, {low}, {high})
y = np.arange({n}) % 2
w = np.full({d}, 1e-3)

def call(X, y):
    return {call}

def resident(name):
    with open("/proc/self/status") as file:
        return int(re.search(name + r":\\s+(\\d+) kB", file.read())[1]) * 1024

model = {model}
call(X[:5000], y[:5000])
gc.collect()
ctypes.CDLL(None).malloc_trim(0)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak starts anew
before = resident("VmRSS")
answer = call(X, y)
print((resident("VmHWM") - before) / 1e6, X.nbytes / 1e6)
"""

PASS = 'gdfast.error_and_gradient(X, y, w, loss="log_loss", n_threads={threads})'
FIT = "gdfast.GDClassifier(n_threads={threads}).fit(X, y)"
BATCHES = 'gdfast.GDClassifier(solver="sgd", max_iter=2, tol=None, n_threads={threads}).fit(X, y)'
THEIR_FIT = 'LogisticRegression(C=1 / (1e-4 * len(X)), solver="{solver}").fit(X, y)'
PREDICT = "model.predict(X)"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize(
    ("what", "dtype", "order", "ours", "theirs"),
    [
        ("error_and_gradient", "float32", "C", PASS, None),
        ("error_and_gradient", "float32", "F", PASS, None),
        ("error_and_gradient", "uint8", "C", PASS, None),
        ("GDClassifier.fit", "float32", "C", FIT, THEIR_FIT.format(solver="lbfgs")),
        ("GDClassifier.fit", "float64", "C", FIT, THEIR_FIT.format(solver="newton-cholesky")),
        ("GDClassifier.fit", "uint8", "F", FIT, None),
        ("GDClassifier.fit, solver sgd", "float32", "C", BATCHES, None),
        ("predict", "float32", "C", PREDICT, PREDICT),
    ],
    ids=["pass", "pass-F", "pass-uint8", "fit", "fit-float64", "fit-uint8-F", "fit-sgd", "predict"],
)
def test_peak(what, dtype, order, ours, theirs, benchmark, section):
    """Megabytes beyond the arrays, beside those of X itself."""
    mine, size = benchmark.pedantic(_peak, args=(ours, dtype, order, "gdfast.GDClassifier()"), rounds=1)
    rival, cell = "X itself", f"{size:.0f} MB"
    if theirs:
        rival, (more, _) = "LogisticRegression", _peak(theirs, dtype, order, "LogisticRegression()")
        cell = f"{more:.1f} MB more"
    what = f"{what}, {dtype}, {order} order, {N:,} x {D}"
    result = Ratio(mine, mine, mine)
    section.rows.append(Row(what, rival, f"{mine:.1f} MB more", cell, result, "MB", lost=bool(theirs) and mine > more))


def _peak(call, dtype, order, model):
    """Megabytes of the call, and of X."""
    spread, middle, low, high = (50, 100, 0, 255) if dtype == "uint8" else (1, 0, -9, 9)
    program = PROGRAM.format(
        n=N, d=D, dtype=dtype, order=order, spread=spread, middle=middle, low=low, high=high,
        call=call.format(threads=THREADS), model=f"{model}.fit(X[:5000], y[:5000])",
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    mine, size = map(float, done.stdout.split())
    return mine, size
