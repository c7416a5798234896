"""L1 and many columns: beside scikit-learn's elastic net, and the gap that is claimed."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from problems import DTYPES, LAYOUTS, same_bits, samples
from sklearn.linear_model import ElasticNet, LogisticRegression
from sparse_rows import by_hand

import gdfast
from gdfast import GDRegressor
from gdfast.reference import MARGIN_LOSSES, error_and_gradient


def task(n=60, d=600, k=1, seed=0):
    """X (n, d), neighbours alike, columns of different size and off zero; y of some of them."""
    rng = np.random.default_rng([seed, n, d])
    X = rng.normal(size=(n, d))
    X[:, 1:] += 0.7 * X[:, :-1]
    Y = X[:, ::37] @ rng.normal(size=(len(range(0, d, 37)), k)) + rng.normal(size=(n, k)) + 3.0
    return X * np.geomspace(0.5, 2.0, d) + rng.normal(size=d), Y if k > 1 else Y[:, 0]


def largest(X, y):
    """The least alpha under which nothing is left."""
    return np.abs(X.T @ (y - y.mean(axis=0))).max() / len(y)


def descend(X, y, share=0.1, ratio=1.0, tol=1e-10, **options):
    alpha = share * largest(X.astype(float), y) / ratio
    options = {"max_iter": 200} | options
    return alpha, gdfast.gradient_descent(X, y, solver="auto", alpha=alpha, l1_ratio=ratio, tol=tol, **options)


def theirs(X, y, alpha, ratio, s=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it goes as far as it can
        return ElasticNet(alpha, l1_ratio=ratio, tol=1e-14, max_iter=10**5, **options).fit(X.astype(float), y, s)


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.05])
@pytest.mark.parametrize("share", [0.5, 0.1, 0.01])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_elastic_net(share, ratio, fit_intercept):
    X, y = task()
    X, y = (X, y) if fit_intercept else (X - X.mean(axis=0), y - y.mean())
    alpha, result = descend(X, y, share, ratio, fit_intercept=fit_intercept)
    model = theirs(X, y, alpha, ratio, fit_intercept=fit_intercept)
    best = error_and_gradient(X, y, model.coef_, model.intercept_, alpha=alpha, l1_ratio=ratio)[0]
    assert result.converged and result.n_iter < 30
    assert abs(result.error - best) <= 1e-9 * best
    assert_allclose(result.coef, model.coef_, atol=1e-4 * np.abs(model.coef_).max())


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("share", [0.3, 0.05, 1e-3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_more_rows_than_columns(share, ratio, order):
    """Under the smallest penalty nearly all columns have a weight, and join at once."""
    X, y = task(400, 200)
    alpha, result = descend(np.asarray(X, order=order), y, share, ratio)
    model = theirs(X, y, alpha, ratio)
    best = error_and_gradient(X, y, model.coef_, model.intercept_, alpha=alpha, l1_ratio=ratio)[0]
    assert result.converged and result.n_iter < 15
    assert abs(result.error - best) <= 1e-9 * best
    assert_allclose(result.coef, model.coef_, atol=1e-5 * np.abs(model.coef_).max())


@pytest.mark.parametrize("share", [1e-3, 1e-8])
def test_small_penalties_are_come_to_along_the_path(share):
    """Where there are never more weights than rows."""
    rng = np.random.default_rng(0)
    X = sp.random(100, 4000, 0.02, format="csr", random_state=rng)
    y = X @ rng.normal(size=4000) + 0.1 * rng.normal(size=100)
    weights = []
    _, result = descend(X, y, share, tol=1e-5, callback=lambda state: weights.append(np.count_nonzero(state.coef)))
    _, best = descend(X, y, share, tol=1e-9)
    assert result.converged and max(weights) <= 105
    assert best.error <= result.error <= best.error * (1 + 1e-5)


@pytest.mark.parametrize("tol", [1e-2, 1e-5, 1e-9])
def test_tol_is_kept_and_the_gap_a_bound(tol):
    X, y = task(200, 3000)
    _, result = descend(X, y, 0.05, 0.7, tol=tol)
    _, best = descend(X, y, 0.05, 0.7, tol=1e-13)
    assert result.converged
    assert result.error <= best.error * (1 + tol)
    assert np.all(np.diff(result.loss_curve[1:]) <= 1e-12 * result.error)


def test_outputs_weights_and_offsets():
    X, Y = task(k=3)
    s, offset = np.random.default_rng(1).integers(0, 4, len(X)), np.random.default_rng(2).normal(size=len(X))
    alpha, result = descend(X, Y, sample_weight=s, offset=offset)
    rows = X.repeat(s, axis=0), (Y - offset[:, None]).repeat(s, axis=0)
    again = gdfast.gradient_descent(*rows, alpha=alpha, l1_ratio=1.0, solver="auto", tol=1e-10)
    assert_allclose(result.coef, again.coef, atol=1e-6 * np.abs(again.coef).max())
    for coef, intercept, y in zip(result.coef, result.intercept, (Y - offset[:, None]).T, strict=True):
        model = theirs(X, y, alpha, 1.0, s)
        assert_allclose(coef, model.coef_, atol=1e-5 * np.abs(model.coef_).max())
        assert_allclose(intercept, model.intercept_, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_stored_types(dtype):
    X, y = samples(dtype, 30, 500), np.random.default_rng(0).normal(size=30)
    alpha, result = descend(X, y, 0.2)
    model = theirs(X, y, alpha, 1.0)
    best = error_and_gradient(X.astype(float), y, model.coef_, model.intercept_, alpha=alpha, l1_ratio=1.0)[0]
    ours = error_and_gradient(X.astype(float), y, result.coef, result.intercept, alpha=alpha, l1_ratio=1.0)[0]
    assert result.converged
    assert abs(ours - best) <= 1e-8 * best


def test_the_same_bits_in_every_layout_and_on_any_number_of_threads():
    X, y = task(80, 3000)
    expected = descend(X, y, n_threads=1)[1]
    for n_threads in (2, 3, 16):
        assert same_bits(descend(X, y, n_threads=n_threads)[1].coef, expected.coef)
    for name, make in LAYOUTS.items():
        assert same_bits(descend(make(X), y, n_threads=2)[1].coef, expected.coef), name


def test_starts_of_any_kind_end_at_the_same_place():
    X, y = task()
    _, cold = descend(X, y)
    for start in (cold.coef, np.ones(600), np.where(np.arange(600) % 50, 0.0, -5.0)):
        _, warm = descend(X, y, coef_init=start, intercept_init=1.0)
        assert_allclose(warm.coef, cold.coef, atol=1e-6 * np.abs(cold.coef).max())
    assert descend(X, y, coef_init=cold.coef, intercept_init=cold.intercept)[1].n_iter == 1


@pytest.mark.parametrize("size", [1.0, 1e4])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "softmax", "huber", "squared_hinge"])
def test_starts_far_off_are_left_for_no_weights(loss, size):
    X, y, options = labelled(loss, 60, 2100)
    k = options.get("n_outputs", 1)
    options |= {"alpha": 0.05, "l1_ratio": 1.0, "solver": "auto", "tol": 1e-6}
    cold = gdfast.gradient_descent(X, y * 1, **options)
    start = np.random.default_rng(0).normal(scale=size, size=(k, 2100) if k > 1 else 2100)
    warm = gdfast.gradient_descent(X, y * 1, coef_init=start, **options)
    assert warm.converged and abs(warm.error - cold.error) <= 2e-6 * cold.error


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "softmax"])
def test_sparse_rows(loss, dtype, index):
    """What the same rows, dense, come to."""
    X, y, options = labelled(loss)
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.2, X, 0.0).astype(dtype)
    rows = np.random.default_rng(2).permutation(60)[:50]
    options |= {"alpha": 0.01, "l1_ratio": 0.9, "solver": "auto", "tol": 1e-9, "rows": rows}
    expected = gdfast.gradient_descent(X.astype(float), y * 1, **options)
    results = [
        gdfast.gradient_descent(by_hand(X, dtype=dtype, index=index), y * 1, n_threads=n, **options) for n in (1, 3)
    ]
    assert results[0].converged and results[0].n_iter < 20 and expected.coef.any()
    assert_allclose(results[0].error, expected.error, rtol=1e-7 if dtype == np.float32 else 1e-8)
    assert same_bits(results[0].coef, results[1].coef)


def test_sparse_columns_beyond_what_moments_are_made_of():
    """More weights than GD_MOMENT_SPARSE."""
    rng = np.random.default_rng(0)
    X = sp.random(1500, 3000, 0.02, format="csr", random_state=rng)
    y = X @ rng.normal(size=3000) + 0.1 * rng.normal(size=1500)
    result = gdfast.gradient_descent(X, y, alpha=5e-3, l1_ratio=1.0, solver="auto", tol=1e-6)
    assert result.converged and np.count_nonzero(result.coef) > 512
    model = theirs(X.toarray(), y, 5e-3, 1.0)
    best = error_and_gradient(X.toarray(), y, model.coef_, model.intercept_, alpha=5e-3, l1_ratio=1.0)[0]
    assert result.error <= best * (1 + 1e-6)


def test_so_strong_a_penalty_that_nothing_is_left():
    X, y = task()
    _, result = descend(X, y, 1.001)
    assert result.converged and result.n_iter == 1
    assert not result.coef.any()
    assert_allclose(result.intercept, y.mean())


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber"])
@pytest.mark.parametrize("bias", [0.0, 1.0, 3.7])
@pytest.mark.parametrize("offset", [False, True])
def test_a_bias_that_is_wrong_is_found_where_no_column_has_a_weight(loss, bias, offset):
    rng = np.random.default_rng(5)
    X, y = by_hand(rng.normal(size=(100, 5000)) * (rng.random((100, 5000)) < 0.02)), rng.normal(size=100) + 2.0
    if loss == "log_loss":
        y = (y > 1.0).astype(float)
    extra = {"epsilon": 0.1} if loss == "huber" else {}
    extra |= {"offset": rng.normal(size=100)} if offset else {}
    options = extra | {"loss": loss, "solver": "auto", "alpha": 10.0, "l1_ratio": 1.0}
    result = gdfast.gradient_descent(X, y, coef_init=np.zeros(5000), intercept_init=bias, tol=1e-6, **options)
    alone = gdfast.gradient_descent(np.zeros((100, 1)), y, tol=1e-12, **options)
    assert result.converged and not np.any(result.coef)
    assert result.error <= alone.error * (1 + 1e-6)


def test_more_columns_than_a_set_may_have():
    """A weak penalty that is mostly L2 leaves weights to nearly all columns."""
    X, y = task(40, 2500)
    alpha, result = descend(X, y, 1e-4, 1e-3, tol=1e-6, max_iter=2000)
    model = theirs(X, y, alpha, 1e-3)
    best = error_and_gradient(X, y, model.coef_, model.intercept_, alpha=alpha, l1_ratio=1e-3)[0]
    assert abs(result.error - best) <= 1e-3 * best


def test_epochs_validation_and_callbacks():
    X, y = task(120, 2100)
    seen = []
    alpha, result = descend(X[:80], y[:80], 0.01, callback=lambda state: seen.append(state), X_val=X[80:], y_val=y[80:])
    assert len(seen) == result.n_iter == len(result.validation_curve)
    for state in seen:
        error = error_and_gradient(X[:80], y[:80], state.coef, state.intercept, alpha=alpha, l1_ratio=1.0)[0]
        assert_allclose(state.error, error, rtol=1e-10)
    held_out = error_and_gradient(X[80:], y[80:], result.coef, result.intercept)[0]
    assert_allclose(held_out, min(result.validation_curve), rtol=1e-10)
    model = GDRegressor(penalty="l1", alpha=alpha, early_stopping=True, random_state=0).fit(X, y)
    assert model.best_validation_loss_ == min(model.validation_curve_)
    assert descend(X, y, callback=lambda state: state.epoch == 2)[1].n_iter == 2
    with pytest.warns(match="max_iter|Maximum number"):
        assert descend(X, y, max_iter=2, tol=1e-12)[1].n_iter == 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named(value):
    X, y = task()
    X[3, 77] = value
    with pytest.raises(ValueError, match="row 3, column 77"):
        gdfast.gradient_descent(X, y, alpha=0.1, l1_ratio=1.0, solver="auto")


OTHERS = ("log_loss", "huber", "squared_hinge", "modified_huber", "squared_epsilon_insensitive", "softmax")


def labelled(loss, n=60, d=2100):
    X, y = task(n, d)
    X, rng = (X - X.mean(axis=0)) / 3, np.random.default_rng(3)
    if loss == "softmax":
        return X, np.argmax(X[:, :3] + 0.3 * rng.normal(size=(n, 3)), axis=1), {"loss": "log_loss", "n_outputs": 3}
    codes = np.sign(y - np.median(y)) if loss in MARGIN_LOSSES else np.abs(y) > 2
    return X, codes if loss in MARGIN_LOSSES or loss == "log_loss" else y, {"loss": loss}


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("loss", OTHERS)
def test_other_losses(loss, ratio):
    """By the conditions of the optimum: slopes of -l1 sign(w), or within the threshold where there is no weight."""
    X, y, options = labelled(loss)
    alpha = 0.02 / ratio
    options |= {"alpha": alpha, "l1_ratio": ratio}
    result = gdfast.gradient_descent(X, y * 1.0, solver="auto", tol=1e-6, max_iter=500, **options)
    _, slope, bias = error_and_gradient(X, y * 1.0, result.coef, result.intercept, loss=options["loss"])
    slope += alpha * (1 - ratio) * result.coef
    left = np.where(result.coef != 0, slope + 0.02 * np.sign(result.coef), np.maximum(np.abs(slope) - 0.02, 0))
    assert result.converged and result.coef.any() and not result.coef.all()
    assert np.abs(left).max() <= 2e-3 * 0.02 and np.abs(bias).max() <= 1e-4
    assert result.n_iter < 20


def test_logistic_regression():
    X, y, _ = labelled("log_loss")
    options = {"solver": "liblinear", "tol": 1e-10, "max_iter": 10**5, "fit_intercept": False}
    old = LogisticRegression().penalty == "l2"  # scikit-learn before 1.8
    l1 = {"penalty": "l1"} if old else {"l1_ratio": 1.0}
    model = LogisticRegression(**l1, C=1 / (60 * 0.02), **options).fit(X, y)
    options = {"loss": "log_loss", "alpha": 0.02, "l1_ratio": 1.0}
    best = error_and_gradient(X, y * 1.0, model.coef_[0], 0.0, **options)[0]
    options |= {"solver": "auto", "tol": 1e-8, "fit_intercept": False}
    results = [gdfast.gradient_descent(X, y * 1.0, n_threads=n, **options) for n in (1, 3)]
    assert abs(results[0].error - best) <= 1e-7 * best
    assert same_bits(results[0].coef, results[1].coef)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(401, 440), st.integers(0, 10**6), st.sampled_from([1.0, 0.5]), st.booleans())
def test_any_rows_with_columns_that_repeat(n, d, seed, ratio, fit_intercept):
    rng = np.random.default_rng(seed)
    X = rng.integers(-2, 3, size=(n, 40))[:, rng.integers(40, size=d)].astype(float)
    y, s = rng.normal(size=n), rng.integers(1, 3, size=n).astype(float)
    options = {"alpha": 0.1, "l1_ratio": ratio, "fit_intercept": fit_intercept, "sample_weight": s}
    result = gdfast.gradient_descent(X, y, solver="auto", tol=1e-8, max_iter=300, **options)
    model = theirs(X, y, 0.1, ratio, s, fit_intercept=fit_intercept)
    best = error_and_gradient(X, y, model.coef_, model.intercept_, alpha=0.1, l1_ratio=ratio, sample_weight=s)[0]
    assert result.error <= best * (1 + 2e-8) + 1e-15
