"""Prediction.

2 million rows of 30 float32 features. `X @ w + b` is NumPy's product and a second array for the sum.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import gdfast
from benchmarks import THREADS, scaled
from benchmarks.readlimit import readers
from benchmarks.report import Row


@pytest.fixture(scope="module")
def rows():
    """X (2 000 000, 30) float32, weights, labels."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((scaled(2_000_000), 30), dtype=np.float32)
    w = rng.standard_normal(30)
    return X, w, (X[:1000] @ w > 0).astype(np.int64)


def test_scores(rows, compare, section):
    """Raw scores, against NumPy and the read limit."""
    X, w, _ = rows
    w32 = w.astype(np.float32)
    ways = readers(X)
    others = {"X @ w + b": lambda: X @ w32 + np.float32(0.5), **ways}
    times = compare(partial(gdfast.scores, X, w, 0.5, n_threads=THREADS), others, rounds=15)
    what = f"scores, {len(X):,} x 30 float32"
    _add(section, times, what, "X @ w + b", times.ratio("X @ w + b"))
    read = times.quickest(*ways)
    _add(section, times, what, read, times.ratio(read), "share")


def test_classifier(rows, compare, section):
    """Labels."""
    X, _, y = rows
    ours = gdfast.GDClassifier(n_threads=THREADS).fit(X[:1000], y)
    theirs = LogisticRegression().fit(X[:1000], y)
    times = compare(partial(ours.predict, X), {"LogisticRegression": partial(theirs.predict, X)}, rounds=15)
    what = f"GDClassifier.predict, {len(X):,} x 30 float32"
    _add(section, times, what, "LogisticRegression", times.ratio("LogisticRegression"))


def test_probabilities(rows, compare, section):
    """Probabilities of two classes."""
    X, _, y = rows
    ours = gdfast.GDClassifier(n_threads=THREADS).fit(X[:1000], y)
    theirs = LogisticRegression().fit(X[:1000], y)
    others = {"LogisticRegression": partial(theirs.predict_proba, X)}
    times = compare(partial(ours.predict_proba, X), others, rounds=9)
    what = f"GDClassifier.predict_proba, {len(X):,} x 30 float32"
    _add(section, times, what, "LogisticRegression", times.ratio("LogisticRegression"))


def test_regressor(rows, compare, section):
    """Numbers."""
    X, w, _ = rows
    y = X[:1000] @ w
    ours = gdfast.GDRegressor(n_threads=THREADS).fit(X[:1000], y)
    theirs = LinearRegression().fit(X[:1000], y)
    times = compare(partial(ours.predict, X), {"LinearRegression": partial(theirs.predict, X)}, rounds=15)
    what = f"GDRegressor.predict, {len(X):,} x 30 float32"
    _add(section, times, what, "LinearRegression", times.ratio("LinearRegression"))


def _add(section, times, what, rival, ratio, unit="x"):
    ours, theirs = (f"{times.seconds(name) * 1e3:.1f} ms" for name in ("gdfast", rival))
    section.rows.append(Row(what, rival, ours, theirs, ratio, unit, lost=unit == "x" and ratio.value < 1))
