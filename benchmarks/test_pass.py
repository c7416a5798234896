"""One pass: error and gradient from one read of X.

`gdfast.error_and_gradient` as users call it, checks included, on data larger than the caches. The limit is a pure read
of the same bytes, X and y, by as many threads, in whichever way reads fastest here: the share is the time of that read
over the time of the pass. "NumPy" is `gdfast.reference.error_and_gradient`, with the matrix products of its BLAS.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import gdfast
from benchmarks import THREADS, scaled
from benchmarks.readlimit import readers
from benchmarks.report import Row
from gdfast import reference

SHARES = {8: 0.6, 30: 0.75, 100: 0.85, 784: 0.85, 4096: 0.85}


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("d", SHARES)
def test_float32(d, loss, numbers, compare, section):
    """Share of the read limit, and the ratio to NumPy."""
    X = numbers[: numbers.size // d * d].reshape(-1, d)
    y = _targets(X)
    arguments = dict(X=X, y=y, coef=np.full(d, 0.1 / d), intercept=0.1, loss=loss, alpha=1e-4)
    ways = readers(X, y)
    others = {**ways, "NumPy": partial(reference.error_and_gradient, **arguments)}
    times = compare(partial(gdfast.error_and_gradient, **arguments, n_threads=THREADS), others, rounds=7)
    what, ours = f"{loss}, float32, d = {d}", _speed(X, y, times.seconds())
    read = times.quickest(*ways)
    share = times.ratio(read)
    section.rows.append(Row(what, read, ours, _speed(X, y, times.seconds(read)), share, "share", SHARES[d]))
    ratio = times.ratio("NumPy")
    section.rows.append(Row(what, "NumPy", ours, _speed(X, y, times.seconds("NumPy")), ratio, lost=ratio.value < 1))


@pytest.mark.parametrize(("dtype", "target"), [("uint8", 2.5), ("float16", 1.8)])
def test_narrow_types(dtype, target, numbers, compare, section):
    """Rows per second from fewer bytes, against the same rows in float32."""
    d = 784
    wide = numbers[: numbers.size // d * d].reshape(-1, d)
    X = np.empty(wide.shape, dtype)
    for at in range(0, len(X), 4096):
        X[at : at + 4096] = np.clip(wide[at : at + 4096] * 50 + 100, 0, 255)
    y = _targets(wide)
    evaluate = partial(gdfast.error_and_gradient, y=y, coef=np.full(d, 1e-4), loss="log_loss", n_threads=THREADS)
    times = compare(partial(evaluate, X), {"float32": partial(evaluate, wide)}, rounds=7)
    ratio = times.ratio("float32")
    ours, theirs = (f"{len(X) / times.seconds(name) / 1e6:.2f} million rows/s" for name in ("gdfast", "float32"))
    section.rows.append(Row(f"log_loss, {dtype}, d = {d}", "gdfast, float32", ours, theirs, ratio, target=target))


def test_two_threads(numbers, compare, section):
    """What the second thread brings."""
    d = 100
    X = numbers[: scaled(100_000_000) // d * d].reshape(-1, d)
    evaluate = partial(gdfast.error_and_gradient, X, _targets(X), np.full(d, 0.1 / d), loss="log_loss")
    times = compare(partial(evaluate, n_threads=THREADS), {"alone": partial(evaluate, n_threads=1)}, rounds=5)
    ours, theirs = (f"{times.seconds(name) * 1e3:.1f} ms" for name in ("gdfast", "alone"))
    section.rows.append(Row(f"log_loss, float32, d = {d}", "gdfast on 1 thread", ours, theirs, times.ratio("alone")))


def _targets(X):
    """0 or 1 for each row, float32."""
    return (X[:, 0] > 0).astype(np.float32)


def _speed(X, y, seconds):
    return f"{seconds * 1e3:.1f} ms, {(X.nbytes + y.nbytes) / seconds / 1e9:.1f} GB/s"
