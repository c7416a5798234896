"""Sparse rows of real data, where they are at hand (GDFAST_DATA or ../shared/data): scikit-learn's optimum."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_svmlight_file
from sklearn.linear_model import LogisticRegression

import gdfast

FOLDER = Path(os.environ.get("GDFAST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
FILES = {
    "a9a": "a9a/a9a.gz",
    "ijcnn1": "ijcnn1/ijcnn1.trn.svmlight.gz",
    "news20": "news20/20news-bydate_train.svmlight.gz",
}


@cache
def load(name):
    """X (n, d) CSR, y of class codes."""
    if not (FOLDER / FILES[name]).exists():
        pytest.skip(f"{FILES[name]} is not in {FOLDER}")
    X, y = load_svmlight_file(str(FOLDER / FILES[name]))
    return X, np.unique(y, return_inverse=True)[1]


def error(X, y, coef, intercept, alpha):
    k = len(coef)
    w, b = (coef[0], float(intercept[0])) if k == 1 else (coef, intercept)
    return gdfast.error_and_gradient(X, y, w, b, loss="log_loss", alpha=alpha)[0]


@pytest.mark.parametrize("name", ["a9a", "ijcnn1"])
@pytest.mark.parametrize("C", [0.1, 10.0])
def test_two_classes(name, C):
    X, y = load(name)
    alpha = 1 / (C * len(y))
    other = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=200).fit(X.toarray(), y)
    least = error(X, y, other.coef_, other.intercept_, alpha)
    for solver, tol, more in (("auto", 1e-6, 4e-6), ("sgd", 1e-4, 0.02)):
        found = gdfast.gradient_descent(X, y, loss="log_loss", alpha=alpha, solver=solver, tol=tol, random_state=0)
        assert least * (1 - 1e-9) <= found.error <= least * (1 + more)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_classes_of_wide_rows():
    """101 631 columns of raw counts: a descent to a thousandth of the tolerance gains no more than was said."""
    X, y = load("news20")
    options = {"loss": "log_loss", "alpha": 1e-3, "solver": "auto", "max_iter": 20_000}
    found, closer = (gdfast.gradient_descent(X, y, tol=tol, **options) for tol in (1e-6, 1e-9))
    assert found.converged and closer.converged
    assert closer.error <= found.error <= closer.error * (1 + 1e-6)
