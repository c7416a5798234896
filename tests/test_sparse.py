"""Sparse rows: what dense rows give, whatever format, type and order, without a copy."""

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
from problems import LOSSES
from sklearn.linear_model import ElasticNet, Lasso
from sparse_rows import RULES, by_hand, dense, descend, task

import gdfast
from gdfast import reference
from gdfast.rows.sparse import as_rows

SMOOTH = [loss for loss in LOSSES if loss in gdfast._core.SMOOTH_LOSSES]


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
