"""Sparse rows: one pass, and one epoch of single rows, on real sets tiled up.

The limit of a pass is a pure read of the bytes of the CSR matrix (values, indices, row pointers) and of y. At batch
size 1 the whole calls of `fit` are compared. The sets are public; where their files are not at hand, the rows are
left out.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import SGDClassifier

import gdfast
from benchmarks import SCALE, THREADS
from benchmarks.data import DATA
from benchmarks.readlimit import readers
from benchmarks.report import Row

# File, features, times it is tiled: data well beyond the caches.
SETS = {
    "a9a": ("a9a/a9a.gz", 123, 60),
    "ijcnn1": ("ijcnn1/ijcnn1.trn.svmlight.gz", 22, 40),
    "news20": ("news20/20news-bydate_train.svmlight.gz", 101_631, 25),
}


def _load(name, times=None):
    """CSR (int32 indices) of float64, and labels 0, 1."""
    file, d, tiles = SETS[name]
    path = DATA / file
    if not path.exists():
        pytest.skip(f"the data set {name} is not at hand")
    X, y = load_svmlight_file(str(path), n_features=d)
    times = max(1, round(SCALE * (tiles if times is None else times)))
    X = scipy.sparse.vstack([X] * times, format="csr")
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return X, np.tile((y > np.median(y)).astype(np.float32), times)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SETS)
def test_pass(name, dtype, compare, section):
    """Share of the read limit."""
    X, y = _load(name)
    X = scipy.sparse.csr_matrix((X.data.astype(dtype), X.indices, X.indptr), shape=X.shape)
    coef = np.random.default_rng(0).normal(size=X.shape[1], scale=0.1)
    evaluate = partial(gdfast.error_and_gradient, X, y, coef, loss="log_loss", alpha=1e-4, n_threads=THREADS)
    arrays = (X.data, X.indices, X.indptr, y)
    ways = readers(*arrays)
    times = compare(evaluate, ways, rounds=7)
    read, size = times.quickest(*ways), sum(array.nbytes for array in arrays)
    ours, theirs = (_speed(size, times.seconds(way)) for way in ("gdfast", read))
    what = f"log_loss, {name}, {dtype}, {X.nnz / X.shape[0]:.0f} of {X.shape[1]:,} a row"
    section.rows.append(Row(what, read, ours, theirs, times.ratio(read), "share", 0.7))


@pytest.mark.parametrize("schedule", ["constant", "optimal"])
def test_batch_of_1(schedule, compare, section):
    """Against scikit-learn's stochastic gradient descent on the same matrix."""
    X, y = _load("a9a", 20)
    settings = dict(loss="log_loss", learning_rate=schedule, eta0=0.01, max_iter=1, tol=None, random_state=0)
    ours = gdfast.GDClassifier(solver="sgd", batch_size=1, n_threads=THREADS, **settings)
    theirs = SGDClassifier(**settings)
    times = compare(partial(ours.fit, X, y), {"SGDClassifier": partial(theirs.fit, X, y)}, rounds=5)
    cells = [
        f"{times.seconds(name):.3f} s, accuracy {model.score(X, y):.3f}"
        for name, model in (("gdfast", ours), ("SGDClassifier", theirs))
    ]
    what = f"log_loss, {schedule} rate, batch 1, a9a tiled, {X.shape[0]:,} x {X.shape[1]} float64"
    section.rows.append(Row(what, "SGDClassifier", *cells, times.ratio("SGDClassifier"), target=3))


def _speed(size, seconds):
    return f"{seconds * 1e3:.1f} ms, {size / seconds / 1e9:.1f} GB/s"
