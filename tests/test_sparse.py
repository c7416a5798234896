"""Sparse rows: what dense rows give, whatever format, type and order, without a copy; broken ones are refused."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
from hostile import run_python, same_bits, unchanged
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from problems import LOSSES, targets
from sklearn.linear_model import ElasticNet, Lasso

import gdfast
from gdfast import reference
from gdfast.functional import scores_in_blocks
from gdfast.rows.sparse import as_rows

SMOOTH = [loss for loss in LOSSES if loss in gdfast._core.SMOOTH_LOSSES]
RULES = ("gd", "sgd", "adagrad", "rmsprop", "adam")


def dense(n=120, d=15, *, share=0.3, seed=0, dtype=np.float64):
    """X (n, d), most of it 0, every fifth row all of it."""
    rng = np.random.default_rng([seed, n, d])
    X = rng.normal(size=(n, d)).astype(np.float32) * (rng.random((n, d)) < share)
    X[3::5] = 0
    return X.astype(dtype)


def task(loss, k, X, seed=0):
    """y (n,) or (n, k), coef and intercept of scores of about 1."""
    rng = np.random.default_rng([seed, k])
    y, coef, intercept = targets(loss, (len(X), k), rng), rng.normal(size=(k, X.shape[1])), rng.normal(size=k)
    return (y, coef / 2, intercept) if k > 1 else (y[:, 0], coef[0] / 2, float(intercept[0]))


def by_hand(X, *, dtype=np.float64, index=np.int32, seed=0):
    """CSR of dense X as SciPy would not make it, but accepts it.

    Entries of a row in no order, some in two halves, some zeros among them; in front of the first row and behind the
    last there are entries that belong to none, NaN in column 0.
    """
    rng = np.random.default_rng(seed)
    data, indices, indptr = [np.nan] * 3, [0] * 3, [3]
    for row in X:
        stored = rng.permutation(np.flatnonzero((row != 0) | (rng.random(len(row)) < 0.1)))
        for j in stored:
            parts = 1 + (rng.random() < 0.2)
            data += [row[j] / parts] * parts
            indices += [j] * parts
        indptr.append(len(data))
    made = sp.csr_matrix(X.shape, dtype=dtype)
    made.data = np.array([*data, np.nan, np.nan], dtype=dtype)
    made.indices, made.indptr = np.array([*indices, 0, 0], dtype=index), np.array(indptr, dtype=index)
    return made


def descend(X, y, **more):
    result = gdfast.gradient_descent(X, y, **{"tol": None, "max_iter": 4, "random_state": 0, "alpha": 0.01, **more})
    return result.coef, result.intercept, result.error, result.loss_curve, result.gradient_norm_curve, result.eta


# ---- equal to dense --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_pass_equals_that_of_the_twin(loss, k):
    X = dense()
    y, coef, intercept = task(loss, k, X)
    weight = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    offset = np.random.default_rng(2).normal(size=len(X))
    for index, more in itertools.product(
        (np.int32, np.int64),
        ({}, {"alpha": 0.3, "l1_ratio": 0.4}, {"sample_weight": weight}, {"offset": offset, "sample_weight": weight}),
    ):
        more = {"loss": loss, "epsilon": 0.3, "quantile": 0.3, **more}
        expected = reference.error_and_gradient(X, y, coef, intercept, **more)
        got = gdfast.error_and_gradient(by_hand(X, index=index), y, coef, intercept, **more)
        for value, twin in zip(got, expected, strict=True):
            assert_allclose(value, twin, rtol=1e-11, atol=1e-12)
        got = gdfast.error_and_gradient(by_hand(X, dtype=np.float32, index=index), y, coef, intercept, **more)
        for value, twin in zip(got, expected, strict=True):
            assert_allclose(value, twin, rtol=1e-6, atol=1e-6)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 700),
    st.integers(1, 60),
    st.integers(1, 20),
    st.floats(0, 1),
    st.sampled_from(list(LOSSES)),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**32 - 1),
)
def test_any_pass_equals_that_of_the_twin(n, d, k, share, loss, dtype, seed):
    X = dense(n, d, share=share, seed=seed)
    y, coef, intercept = task(loss, k, X, seed)
    sparse = by_hand(X, dtype=dtype, seed=seed)
    tolerance = 1e-5 if dtype == np.float32 and loss == "log_loss" else 1e-10
    expected = reference.error_and_gradient(X, y, coef, intercept, loss=loss, alpha=0.1)
    got = gdfast.error_and_gradient(sparse, y, coef, intercept, loss=loss, alpha=0.1)
    for value, twin in zip(got, expected, strict=True):
        assert_allclose(value, twin, rtol=tolerance, atol=tolerance)
    z = X @ np.atleast_2d(coef).T + intercept
    assert_allclose(gdfast.scores(sparse, coef, intercept), z[:, 0] if k == 1 else z, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("solver", RULES)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge", "huber", "poisson"])
def test_every_rule_takes_the_steps_of_dense_rows(loss, solver, k):
    """Lazily, where the plain rule is: the steps are the same, whatever the batch, penalty, weights and average."""
    X = dense()
    y = task(loss, k, X)[0]
    weight = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    for i, batch_size in enumerate([1, 10, 120]):
        more = {
            "loss": loss,
            "solver": solver,
            "batch_size": batch_size,
            "l1_ratio": 0.5 * (i % 2),
            "eta0": 0.02,
            "learning_rate": ("constant", "invscaling", "auto")[i],
            "average": i == 2,
            "sample_weight": None if i else weight,
        }
        for value, twin in zip(descend(by_hand(X), y, **more), descend(X, y, **more), strict=True):
            assert_allclose(value, twin, rtol=1e-7, atol=1e-9, err_msg=f"{batch_size}")


@pytest.mark.filterwarnings("ignore:Maximum number of iteration")  # kinks: a bound of what is left, not what is left
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "perceptron"])
def test_auto_finds_the_optimum_of_dense_rows(loss, k):
    X = dense()
    y = task(loss, k, X)[0]
    smooth = loss in SMOOTH
    for l1_ratio in (0.0, 0.5):
        more = {"loss": loss, "solver": "auto", "alpha": 0.02, "l1_ratio": l1_ratio, "tol": 1e-10 if smooth else 1e-6}
        found, expected = (gdfast.gradient_descent(rows, y, **more) for rows in (by_hand(X), X))
        assert found.error == pytest.approx(expected.error, rel=1e-9 if smooth else 1e-4)
        if smooth:
            assert_allclose(found.coef, expected.coef, atol=2e-4)


def test_softmax_of_codes_and_of_soft_labels():
    X = dense(300)
    codes = np.random.default_rng(0).integers(0, 4, 300)
    for y, solver in itertools.product((codes, np.eye(4)[codes]), ("auto", "gd", "sgd")):
        more = {"loss": "log_loss", "solver": solver, "max_iter": 6}
        for value, twin in zip(descend(by_hand(X), y, **more), descend(X, y, **more), strict=True):
            assert_allclose(value, twin, rtol=1e-6, atol=1e-8)


def test_zero_columns_keep_their_zeros():
    X = dense()
    X[:, 4] = 0
    y = task("squared_error", 1, X)[0]
    for solver in ("auto", *RULES):
        for l1_ratio in (0.0, 0.5):
            assert descend(by_hand(X), y, solver=solver, l1_ratio=l1_ratio)[0][4] == 0.0


@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_l1_and_wide_rows_end_at_scikit_learns_optimum(l1_ratio):
    """Of few columns, and of more than the full metric is made for."""
    for n, d in ((400, 30), (300, 3000)):
        X = dense(n, d, share=0.02 if d > 100 else 0.3)
        y = X[:, :10].sum(axis=1) + 0.1 * np.random.default_rng(0).normal(size=n)
        other = (
            Lasso(0.01, tol=1e-10, max_iter=10**5)
            if l1_ratio == 1
            else ElasticNet(0.01, l1_ratio=0.5, tol=1e-10, max_iter=10**5)
        )
        other.fit(sp.csc_matrix(X), y)
        error = reference.error_and_gradient(X, y, other.coef_, other.intercept_, alpha=0.01, l1_ratio=l1_ratio)[0]
        found = gdfast.gradient_descent(sp.csr_matrix(X), y, alpha=0.01, l1_ratio=l1_ratio, solver="auto", tol=1e-8)
        assert found.converged
        assert found.error == pytest.approx(error, rel=1e-7)
        assert np.count_nonzero(found.coef) <= 1.1 * np.count_nonzero(other.coef_) + 2


# ---- what is accepted ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["matrix", "array"])
@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
def test_every_format(kind, container):
    X = dense(40, 12)
    y = task("squared_error", 1, X)[0]
    csr = sp.csr_matrix(X)
    given = getattr(sp, f"{kind}_{container}")(X)
    before = {name: value for name, value in vars(given).items() if not isinstance(value, np.ndarray)}
    arrays = [value for value in vars(given).values() if isinstance(value, np.ndarray)]
    with unchanged(*arrays):
        for solver in ("auto", "sgd"):
            assert same_bits(descend(given, y, solver=solver), descend(csr, y, solver=solver))
        assert same_bits([gdfast.scores(given, np.ones(12))], [gdfast.scores(csr, np.ones(12))])
    assert type(given) is getattr(sp, f"{kind}_{container}")
    assert {name: vars(given)[name] for name in before} == before or kind in ("lil", "dok")
    assert (given.toarray() == X).all()


@pytest.mark.parametrize(
    "dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", ">f4", ">f8", ">i4", "g"]
)
def test_every_type(dtype):
    values = np.abs(dense(60, 9) * 20).astype(dtype)
    X = sp.csr_matrix(values.astype(np.dtype(dtype).newbyteorder("=")))
    X.data = X.data.astype(dtype)
    y = task("squared_error", 1, values)[0]
    expected = gdfast.error_and_gradient(values.astype(float), y, np.ones(9))
    for value, twin in zip(gdfast.error_and_gradient(X, y, np.ones(9)), expected, strict=True):
        assert_allclose(value, twin, rtol=1e-12)
    narrow = np.dtype(dtype).itemsize <= 2 or np.dtype(dtype).newbyteorder("=") == np.float32
    assert gdfast.scores(X, np.ones(9)).dtype == (np.float32 if narrow else np.float64)


def test_half_precision_values_by_hand():
    X = sp.csr_matrix(dense(60, 9))
    expected = gdfast.scores(X.astype(np.float32), np.ones(9))
    X.data = X.data.astype(np.float16)
    assert_allclose(gdfast.scores(X, np.ones(9)), expected, rtol=2e-2, atol=1e-2)


def test_whole_numbers_beyond_doubles_are_warned_of():
    X = sp.csr_matrix(np.array([[2**53 + 1, 0], [1, 2]]))
    with pytest.warns(UserWarning, match=r"integer values above 2\*\*53 lose precision"):
        gdfast.scores(X, np.ones(2))


def test_nothing_is_written_to_or_sorted(tmp_path):
    """Read-only arrays, memory maps; a matrix that is not sorted stays as it is, and does not come to know it."""
    X, y = dense(), task("log_loss", 1, dense())[0]
    given = by_hand(X)
    expected = [descend(given, y, loss="log_loss", solver=solver) for solver in ("auto", *RULES)]
    names = {name for name in vars(given)}
    with unchanged(given.data, given.indices, given.indptr):
        assert all(
            same_bits(descend(given, y, loss="log_loss", solver=s), e)
            for s, e in zip(("auto", *RULES), expected, strict=True)
        )
    assert {name for name in vars(given)} == names
    assert not given.has_sorted_indices
    for name in ("data", "indices", "indptr"):
        values = getattr(given, name)
        values.setflags(write=False)
        values.tofile(tmp_path / name)
    assert same_bits(descend(given, y, loss="log_loss", solver="auto"), expected[0])
    for name in ("data", "indices", "indptr"):
        setattr(given, name, np.memmap(tmp_path / name, dtype=getattr(given, name).dtype, mode="r"))
    assert same_bits(descend(given, y, loss="log_loss", solver="auto"), expected[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_csr_rows_are_not_copied(dtype):
    X = sp.random(20_000, 500, 0.1, format="csr", dtype=dtype, random_state=0)
    y = np.random.default_rng(0).random(20_000)
    rows = as_rows(X)
    assert all(np.shares_memory(getattr(rows, name), getattr(X, name)) for name in ("data", "indices", "indptr"))
    tracemalloc.start()
    gdfast.error_and_gradient(X, y, np.zeros(500))
    gdfast.gradient_descent(X, y, solver="sgd", max_iter=1, tol=None)
    gdfast.gradient_descent(X, y, solver="auto", max_iter=2, tol=None)
    gdfast.scores(X, np.zeros(500))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 60 < X.data.nbytes / 3


def test_row_numbers_and_held_out_rows():
    X = dense(200)
    y = task("squared_error", 1, X)[0]
    given, order = by_hand(X), np.random.default_rng(0).permutation(200)
    train, held_out = order[:140], order[140:]
    for solver in ("auto", "gd", "sgd", "adam"):
        more = {"solver": solver, "tol": None, "max_iter": 5, "random_state": 0}
        listed = gdfast.gradient_descent(given, y, rows=train, rows_val=held_out, **more)
        expected = gdfast.gradient_descent(X, y, rows=train, rows_val=held_out, **more)
        assert_allclose(listed.coef, expected.coef, rtol=1e-9, atol=1e-11)
        assert listed.validation_curve[-1] == pytest.approx(expected.validation_curve[-1], rel=1e-9)
        for left, right in itertools.product((np.asarray, by_hand), repeat=2):
            mixed = gdfast.gradient_descent(
                left(X[train]), y[train], X_val=right(X[held_out]), y_val=y[held_out], **more
            )
            assert_allclose(mixed.coef, expected.coef, rtol=1e-9, atol=1e-11)
            assert mixed.validation_curve[-1] == pytest.approx(expected.validation_curve[-1], rel=1e-9)


@pytest.mark.parametrize("solver", ["auto", "gd", "sgd"])
def test_any_number_of_threads_gives_the_same_bits(solver):
    X = sp.random(60_000, 40, 0.3, format="csr", random_state=0)
    y = (np.random.default_rng(0).random(60_000) < 0.5).astype(float)
    more = {"loss": "log_loss", "solver": solver, "batch_size": 3000 if solver == "sgd" else None}
    one = descend(X, y, n_threads=1, **more)
    assert all(same_bits(descend(X, y, n_threads=n, **more), one) for n in (2, 3, 7))


# ---- what is refused -------------------------------------------------------------------------------------------------


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


# ---- very many columns -----------------------------------------------------------------------------------------------

HUGE = """
import resource, warnings
import numpy as np, scipy.sparse as sp
import gdfast
warnings.simplefilter("ignore")
n, d = 500, {d}
rng = np.random.default_rng(0)
X = sp.csr_matrix((np.ones(5 * n, np.float32), rng.integers(0, d, 5 * n).astype(np.int32),
                   np.arange(0, 5 * n + 1, 5, dtype=np.int32)), shape=(n, d))
y = rng.integers(0, 2, n).astype(float)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{call}
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / (8 * d))
"""
CALLS = {  # and how many times the weights they may need
    "scores": ("gdfast.scores(X, np.ones(d))", 6),
    "sgd": ("gdfast.gradient_descent(X, y, loss='log_loss', solver='sgd', alpha=1e-5, max_iter=3, tol=None)", 30),
    "auto": ("gdfast.gradient_descent(X, y, loss='log_loss', solver='auto', alpha=1e-3)", 75),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("d", [10**6, pytest.param(2 * 10**7, marks=pytest.mark.slow)])
def test_many_columns_of_few_entries(name, d):
    """Memory grows by a number of weight vectors, not with rows times columns; the time limit of the suite holds."""
    call, vectors = CALLS[name]
    assert float(run_python(HUGE.format(d=d, call=call), timeout=110)) < vectors + 30e6 / (8 * d)


def test_interrupted_among_many_columns():
    """Case 31: an epoch of a few rows touches millions of weights."""
    code = (
        HUGE.split("before")[0].format(d=2 * 10**6)
        + """
import os, signal, threading, time
for solver, batch_size in (("sgd", 32), ("sgd", 1), ("adam", 32), ("gd", 1), ("auto", 1)):
    def interrupt():
        global sent
        sent = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)
    timer = threading.Timer(0.5, interrupt)
    timer.start()
    try:
        gdfast.gradient_descent(X[:40], y[:40], loss="log_loss", solver=solver, batch_size=batch_size, alpha=1e-12,
                                tol=None, max_iter=10**7)
        timer.join()
    except KeyboardInterrupt:
        print(solver, time.perf_counter() - sent < 2.0)
"""
    )
    assert set(run_python(code, timeout=100).splitlines()) <= {"sgd True", "adam True", "gd True", "auto True"}
