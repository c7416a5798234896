"""Sparse rows that are refused, each for its own reason, and rows of any length."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sparse_rows import RULES, by_hand, dense, descend, task

import gdfast
from gdfast.functional import scores_in_blocks


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(value):
    X = dense()
    X[70, 11] = value
    y = task("log_loss", 1, X)[0]
    found = r"Input X contains (NaN|infinity).*\(first at row 70, column 11\)"
    calls = [
        lambda rows, s=s, b=b: descend(rows, y, loss="log_loss", solver=s, batch_size=b)
        for s in ("auto", *RULES)
        for b in (1, 32)
    ]
    calls += [
        lambda rows: gdfast.scores(rows, np.ones(15)),
        lambda rows: gdfast.error_and_gradient(rows, y, np.ones(15)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=found):
            call(by_hand(X))
    with pytest.raises(ValueError, match="X_val contains"):
        descend(by_hand(dense()), y, loss="log_loss", solver="sgd", X_val=by_hand(X), y_val=y)
    listed = np.delete(np.arange(len(X)), 70)
    descend(by_hand(X), y, loss="log_loss", solver="auto", rows=listed)


def test_too_large_values_are_named_by_column():
    X = dense()
    X[7, 4] = 1e308
    with pytest.raises(gdfast.DivergenceError, match=r"column 4 has scale 1e\+308"):
        gdfast.gradient_descent(by_hand(X), 1e10 * task("squared_error", 1, X)[0])


@pytest.mark.parametrize(
    ("X", "error"),
    [
        (sp.csr_matrix((0, 5)), "0 sample"),
        (sp.csr_matrix((5, 0)), "0 feature"),
        (sp.csr_array((0, 0)), "0 sample"),
        *((X, "Expected 2D array, got 1D") for X in (sp.coo_array([1.0, 0]), sp.csr_array([1.0, 0])) if X.ndim == 1),
        (sp.csr_matrix(np.ones((3, 2), dtype=complex)), "Complex data not supported"),
    ],
)
def test_what_is_no_matrix_of_numbers(X, error):
    for call in (
        lambda: gdfast.scores(X, np.ones(5)),
        lambda: gdfast.error_and_gradient(X, np.ones(5), np.ones(5)),
        lambda: gdfast.gradient_descent(X, np.ones(5)),
    ):
        with pytest.raises(ValueError, match=error):
            call()


def test_targets_and_weights_must_be_dense():
    X, y = sp.csr_matrix(dense()), sp.csr_matrix(np.ones((1, 120)))
    with pytest.raises(ValueError, match="y must be an array of numbers"):
        gdfast.gradient_descent(X, y)
    with pytest.raises(ValueError, match="sample_weight must be an array of numbers"):
        gdfast.gradient_descent(X, np.ones(120), sample_weight=y)


def at(name, place, value):
    def change(X):
        values = getattr(X, name).copy()
        values[place(X) if callable(place) else place] = value(X) if callable(value) else value
        setattr(X, name, values)

    return change


BROKEN = {  # what is wrong with row 50, and how it is put
    "negative pointer": (at("indptr", 51, -1), "row 50 has entries"),
    "falling pointers": (at("indptr", 51, lambda X: X.indptr[50] - 1), "row 50 has entries"),
    "pointer too large": (at("indptr", 51, lambda X: len(X.data) + 1), "row 50 has entries"),
    "negative column": (at("indices", lambda X: X.indptr[50], -1), "row 50 has column -1 of 15"),
    "column beyond": (at("indices", lambda X: X.indptr[51] - 1, 15), "row 50 has column 15 of 15"),
    "column far beyond": (at("indices", lambda X: X.indptr[50], 2**31 - 1), "row 50 has column 2147483647 of 15"),
}


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("name", BROKEN)
def test_broken_rows_are_named(name, index):
    change, what = BROKEN[name]
    X, y = sp.csr_matrix(dense()), task("log_loss", 1, dense())[0]
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    sound = X.copy()
    change(X)
    calls = [
        lambda s=s, b=b: descend(X, y, loss="log_loss", solver=s, batch_size=b)
        for s in ("auto", *RULES)
        for b in (1, 32)
    ]
    calls += [lambda: gdfast.scores(X, np.ones(15)), lambda: gdfast.error_and_gradient(X, y, np.ones(15))]
    calls += [lambda: list(scores_in_blocks(X, np.ones((3, 15))))]
    for call in calls:
        with pytest.raises(ValueError, match=f"X must be a sound CSR matrix, got an invalid sparse structure: {what}"):
            call()
    for solver in ("auto", "sgd"):
        with pytest.raises(
            ValueError, match=f"X_val must be a sound CSR matrix, got an invalid sparse structure: {what}"
        ):
            descend(sound, y, loss="log_loss", solver=solver, X_val=X, y_val=y)


@pytest.mark.parametrize("name", ["data", "indices", "indptr"])
def test_arrays_that_do_not_fit_together(name):
    X = sp.csr_matrix(dense())
    setattr(X, name, getattr(X, name)[:-1])
    with pytest.raises(ValueError, match="invalid sparse structure: X of shape"):
        gdfast.scores(X, np.ones(15))
    X.indices = X.indices.astype(float)
    with pytest.raises(ValueError, match="X must have index arrays of integers, got float64"):
        gdfast.scores(X, np.ones(15))


def test_broken_rows_of_a_later_block_are_named_as_the_caller_counts():
    n = 600_000
    X = sp.csr_matrix((np.ones(n), np.zeros(n, np.int32), np.arange(n + 1, dtype=np.int32)), shape=(n, 2))
    X.indices[n - 5] = 2
    with pytest.raises(ValueError, match=f"row {n - 5} has column 2 of 2"):
        for _ in scores_in_blocks(X, np.ones(2)):
            pass


def test_structures_that_scipy_would_follow_outside_are_refused():
    """CSC, BSR and COO are converted by code that writes to where the indices say."""
    X = dense(20, 6)
    csc, bsr, coo = sp.csc_matrix(X), sp.bsr_matrix(X, blocksize=(2, 3)), sp.coo_matrix(X)
    csc.indices[csc.indptr[4]] = 10**9
    bsr.indices[bsr.indptr[3]] = -5
    coo.row[7] = 10**9
    for broken, what in (
        (csc, "sound CSC matrix, got an invalid sparse structure: column 4 has row 1000000000 of 20"),
        (bsr, "sound BSR matrix, got an invalid sparse structure: block row 3 has block column -5 of 2"),
        (coo, r"sound COO matrix, got an invalid sparse structure: entry 7 is at \(1000000000, "),
    ):
        with pytest.raises(ValueError, match=what):
            gdfast.scores(broken, np.ones(6))
    csc = sp.csc_matrix(X)
    csc.indptr[3] = 10**9
    with pytest.raises(ValueError, match="invalid sparse structure: column 2 has entries"):
        gdfast.scores(csc, np.ones(6))


@pytest.mark.parametrize("kind", ["csr", "coo"])
def test_more_columns_than_32_bits_count(kind):
    X = sp.csr_matrix((np.ones(1), np.array([2**31 - 1]), np.array([0, 1])), shape=(1, 2**31)).asformat(kind)
    for call in (
        lambda: gdfast.scores(X, np.ones(1)),
        lambda: gdfast.error_and_gradient(X, np.ones(1), np.ones(1)),
        lambda: gdfast.gradient_descent(X, np.ones(1)),
        lambda: gdfast.GDRegressor().fit(X, np.ones(1)),
        lambda: gdfast.GDRegressor().partial_fit(X, np.ones(1)),
    ):
        with pytest.raises(ValueError, match="X must have at most 2147483647 columns, got 2147483648"):
            call()


def test_rows_of_any_length():
    """A row that is longer than what the engine copies at once comes in parts."""
    rng = np.random.default_rng(0)
    lengths = rng.permutation([0, 3, 9000, 20, 50_000, 1, 16_384, 8192] * 3)
    n, d, nnz = len(lengths), 30, lengths.sum()
    X = sp.csr_matrix(
        (rng.normal(size=nnz) / 100, rng.integers(0, d, nnz), np.append(0, lengths.cumsum())), shape=(n, d)
    )
    full = X.toarray()
    for k, solver, batch_size in itertools.product((1, 3), ("auto", "gd", "sgd", "adam"), (1, 5, None)):
        y = task("log_loss", k, full)[0]
        more = {"loss": "log_loss", "solver": solver, "batch_size": batch_size if solver in ("sgd", "adam") else None}
        for value, twin in zip(descend(X, y, **more), descend(full, y, **more), strict=True):
            assert_allclose(value, twin, rtol=1e-7, atol=1e-9)
    assert_allclose(gdfast.scores(X, np.ones(d)), full @ np.ones(d), rtol=1e-10, atol=1e-12)
    row = int(np.flatnonzero(lengths == 50_000)[1])
    X.indices[X.indptr[row + 1] - 1] = d
    with pytest.raises(ValueError, match=f"row {row} has column 30 of 30"):
        gdfast.error_and_gradient(X, y[:, 0], np.ones(d))
