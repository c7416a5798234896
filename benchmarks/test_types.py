"""Stored types: rows a second from fewer bytes or more, and the share of the read limit.

`gdfast.error_and_gradient` as users call it, squared error, whose work on a row is least; the same whole numbers
0 ... 100 in every type, beyond the caches. The limit is a pure read of the bytes of X and y in that type by as many
threads. "Within cache": X of half the L2 cache, one thread, 300 steps of solver `gd` in one call, beside as many reads
of the same bytes, which come from L2 then. The other losses are in the part `pass`.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import gdfast
from benchmarks import THREADS, scaled
from benchmarks.machine import cache_sizes
from benchmarks.readlimit import readers
from benchmarks.report import Row
from benchmarks.timing import OURS

TYPES = ("uint8", "int8", "float16", "uint16", "float32", "float64")
COLUMNS = (8, 30, 100, 784, 4096)
ROWS_OF_FLOAT32 = {"uint8": 2.5, "int8": 2.5, "float16": 1.8, "uint16": 1.8}
SHARE, SHARE_OF_L2 = 0.9, 0.6
STEPS = 300
L2 = cache_sizes().get("2", 2**20)


@pytest.fixture(scope="module")
def whole():
    """Numbers 0 ... 100, uint8: 200 MB."""
    return np.random.default_rng(5).integers(0, 101, scaled(200_000_000), dtype=np.uint8)


@pytest.fixture(scope="module")
def wide(whole):
    """The same in float32."""
    return whole.astype(np.float32)


@pytest.fixture(scope="module", params=TYPES)
def stored(request, whole):
    """The same in each type."""
    return whole.astype(request.param)


@pytest.mark.parametrize("n_threads", sorted({1, THREADS}))
@pytest.mark.parametrize("d", COLUMNS)
def test_beyond_the_caches(d, n_threads, stored, wide, compare, section):
    """Share of the read limit, and rows a second over those of float32."""
    X, in_float32 = _rows(stored, d), _rows(wide, d)
    y = _targets(X)
    evaluate = partial(gdfast.error_and_gradient, y=y, coef=np.full(d, 1e-4), loss="squared_error", n_threads=n_threads)
    ways = readers(X, y, n_threads=n_threads)
    times = compare(partial(evaluate, X), {**ways, "float32": partial(evaluate, in_float32)}, rounds=5, pause=0.0)
    read = times.quickest(*ways)
    what = f"{X.dtype}, d = {d}, {n_threads} thread{'s' * (n_threads > 1)}"
    cells = (_speed(X.nbytes + y.nbytes, times.seconds(name)) for name in (OURS, read))
    section.rows.append(Row(what, read, *cells, times.ratio(read), "share", SHARE))
    if X.dtype != np.float32:
        cells = (f"{len(X) / times.seconds(name) / 1e6:.2f} million rows/s" for name in (OURS, "float32"))
        target = ROWS_OF_FLOAT32.get(str(X.dtype))
        section.rows.append(Row(what, "gdfast, float32", *cells, times.ratio("float32"), target=target))


@pytest.mark.parametrize(("dtype", "d"), [(name, 100) for name in TYPES] + [("float32", d) for d in (8, 30, 784)])
def test_within_cache(dtype, d, compare, section):
    """Share of the read rate of L2."""
    X = np.random.default_rng(6).integers(0, 101, (L2 // 2 // (d * np.dtype(dtype).itemsize), d)).astype(dtype)
    y = _targets(X)
    options = {"solver": "gd", "learning_rate": "constant", "eta0": 1e-9, "max_iter": STEPS, "tol": None}
    descend = partial(gdfast.gradient_descent, X, y, n_threads=1, **options)
    n_passes = descend().n_passes
    ways = readers(X, y, n_threads=1, times=n_passes)
    times = compare(descend, ways, rounds=9, pause=0.0)
    read = times.quickest(*ways)
    cells = (_speed((X.nbytes + y.nbytes) * n_passes, times.seconds(name)) for name in (OURS, read))
    what = f"{dtype}, d = {d}, within cache, 1 thread"
    section.rows.append(Row(what, f"{read}, from L2", *cells, times.ratio(read), "share", SHARE_OF_L2))


def _rows(flat, d):
    return flat[: flat.size // d * d].reshape(-1, d)


def _targets(X):
    """0 or 1 for each row, float32."""
    return (X[:, 0] > 50).astype(np.float32)


def _speed(size, seconds):
    return f"{seconds * 1e3:.2f} ms, {size / seconds / 1e9:.1f} GB/s"
