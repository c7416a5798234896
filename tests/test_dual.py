"""Sparse rows with more columns than rows: dual coefficients, by conditions of optimality and other libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from problems import same_bits, targets
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

import gdfast
from gdfast import GDClassifier, GDRegressor
from gdfast.reference import LOSSES

SMOOTH = tuple(sorted(set(LOSSES) - {"absolute_error", "quantile", "epsilon_insensitive", "hinge", "perceptron"}))


def rows(n=300, d=2500, seed=0, density=0.02, dtype=np.float64):
    rng = np.random.default_rng([seed, n, d])
    X = sp.random(n, d, density=density, random_state=rng, format="csr", dtype=dtype)
    X.data += dtype(0.3)
    return X


def task(loss, seed=0, **shape):
    X = rows(seed=seed, **shape)
    return X, targets(loss, (X.shape[0], 1), np.random.default_rng(seed))[:, 0]


def descend(X, y, *, tol=1e-8, **options):
    return gdfast.gradient_descent(X, y, solver="auto", tol=tol, **options)


def is_dual(result):
    return "dual coefficients" in result.message


def gap(result, X, y, *, alpha, **options):
    """(E - E*) / |E| at most: E bends as the penalty does at least, once biases are right."""
    error, slope, bias = gdfast.error_and_gradient(X, y, result.coef, result.intercept, alpha=alpha, **options)
    assert_allclose(result.error, error, rtol=1e-11)
    return (np.sum(np.square(slope)) + np.sum(np.square(bias))) / (2 * alpha) / abs(error)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", SMOOTH)
def test_every_smooth_loss_arrives(loss, fit_intercept):
    X, y = task(loss)
    result = descend(X, y, loss=loss, alpha=0.01, fit_intercept=fit_intercept)
    assert is_dual(result) and result.converged and result.suboptimality <= 1e-8
    _, slope, bias = gdfast.error_and_gradient(X, y, result.coef, result.intercept, loss=loss, alpha=0.01)
    if fit_intercept:
        assert np.max(np.abs(bias)) <= 1e-3
        assert gap(result, X, y, loss=loss, alpha=0.01) <= 1e-6  # the bias by a penalty that it has not
    else:
        assert result.intercept == 0
        assert np.sum(slope**2) / 0.02 <= 1e-8 * abs(result.error)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6), st.sampled_from(SMOOTH), st.floats(-4, 1), st.sampled_from([1e-2, 1e-4, 1e-6]), st.booleans()
)
def test_what_is_claimed_is_so(seed, loss, log_alpha, tol, fit_intercept):
    rng = np.random.default_rng(seed)
    X, y = task(
        loss, seed=seed, n=int(rng.integers(2, 400)), d=int(rng.integers(2049, 3000)), density=10 ** rng.uniform(-3, -1)
    )
    options = {
        "loss": loss,
        "alpha": 10**log_alpha,
        "fit_intercept": fit_intercept,
        "sample_weight": rng.uniform(0, 2, len(y)),
        "offset": rng.normal(size=len(y)) / 2,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = descend(X, y, tol=tol, **options)
        best = min(descend(rows, y, tol=1e-11, max_iter=10_000, **options).error for rows in (X, X.toarray()))
    if is_dual(result) and result.converged:
        assert result.error - best <= tol * abs(result.error)


@pytest.mark.parametrize(
    ("loss", "start"),
    [
        ("huber", {}),
        ("poisson", {"coef_init": 2.0}),
        ("poisson", {"intercept_init": 40.0}),
        ("gamma", {"coef_init": -4.0}),
        ("log_loss", {"coef_init": 30.0}),
    ],
)
def test_nothing_is_claimed_for_biases_far_away(loss, start):
    """E's curvature along a bias there says nothing of that at the optimum: nearly none, or exp(40)."""
    X, y = task(loss, n=100, d=3000, density=0.01)
    options, tol = {"loss": loss, "alpha": 0.1}, 1e-6
    if loss == "huber":  # straight but for the 100th part of a unit around each target
        y, options, tol = np.repeat([100.0, 0.0], [60, 40]), {"loss": loss, "epsilon": 1e-2, "alpha": 10.0}, 1e-4
    if "coef_init" in start:
        start = {"coef_init": np.full(3000, start["coef_init"])}
    result = descend(X, y, tol=tol, **options, **start)
    best = descend(X.toarray(), y, tol=1e-10, **options)
    assert is_dual(result) and result.converged
    assert result.error <= best.error + tol * abs(best.error)


@pytest.mark.parametrize("total", [1e-3, 1.0, 300.0])
def test_from_given_weights_whatever_weights_of_rows_sum_to(total):
    X, y = task("squared_error")
    weight = np.random.default_rng(1).uniform(0.1, 2, 300)
    options = {"alpha": 1e-3, "sample_weight": weight * (total / weight.sum()), "coef_init": np.full(2500, 0.1)}
    result = descend(X, y, tol=1e-6, **options)
    assert is_dual(result) and result.n_iter <= 80
    slopes = gdfast.error_and_gradient(X, y, result.coef, result.intercept, alpha=1e-3, sample_weight=weight)[1:]
    norm = np.sqrt(sum(np.sum(np.square(slope)) for slope in slopes))
    assert_allclose(result.gradient_norm_curve[-1], norm, rtol=1e-3)


def test_kinks_in_slopes_stop_no_line_search():
    X, rng = rows(n=100, d=3000, density=0.01, seed=1), np.random.default_rng(5)
    y = np.where(rng.random(100) < 0.05, 1.0, -1.0)
    for alpha in (1e-5, 1e-4):
        result = descend(X, y, loss="squared_hinge", alpha=alpha, tol=1e-3, max_iter=10_000)
        best = descend(X, y, loss="squared_hinge", alpha=alpha, tol=1e-9, max_iter=100_000)
        assert is_dual(result) and result.converged and is_dual(best)
        assert result.error <= best.error * (1 + 1e-3)


@pytest.mark.parametrize("k", [2, 3, 8, 9, 20])
def test_softmax(k):
    X, rng = rows(), np.random.default_rng(k)
    y = rng.integers(0, k, 300)
    y[:k] = np.arange(k)
    model = GDClassifier(alpha=1e-2, tol=1e-9).fit(X, y)
    theirs = LogisticRegression(C=1 / (1e-2 * 300), tol=1e-10, max_iter=10_000).fit(X, y)
    assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    if k > 2:
        assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-9)


def test_beside_ridge():
    X, y = task("squared_error")
    y += 5
    model, theirs = (
        GDRegressor(alpha=0.01, tol=1e-12).fit(X, y),
        Ridge(alpha=0.01 * 300, tol=1e-12, solver="lsqr", max_iter=10_000).fit(X, y),
    )
    assert_allclose(model.predict(X), theirs.predict(X), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_how_rows_are_stored(dtype, index):
    X, y = task("log_loss", dtype=dtype)
    X = sp.csr_array((X.data, X.indices.astype(index), X.indptr.astype(index)), shape=X.shape)
    result = descend(X, y, loss="log_loss", alpha=1e-3)
    fine = descend(X.astype(np.float64), y, loss="log_loss", alpha=1e-3)
    assert is_dual(result)
    assert_allclose(result.coef, fine.coef, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("k", [1, 5])
def test_the_same_bits_on_any_number_of_threads(k):
    X, rng = rows(n=3000, d=5000), np.random.default_rng(0)
    y = rng.integers(0, max(k, 2), 3000)
    fits = [GDClassifier(alpha=1e-3, n_threads=t).fit(X, y) for t in (1, 2, 5)]
    for fit in fits[1:]:
        same_bits(fit.coef_, fits[0].coef_)
        same_bits(fit.intercept_, fits[0].intercept_)


def test_rows_some_of_them_and_in_any_order():
    X, y = task("log_loss")
    chosen = np.random.default_rng(1).permutation(300)[:200]
    result = descend(X, y, loss="log_loss", alpha=1e-3, rows=chosen)
    assert is_dual(result)
    assert_allclose(
        result.coef, descend(X[np.sort(chosen)], y[np.sort(chosen)], loss="log_loss", alpha=1e-3).coef, atol=1e-4
    )


def test_weights_are_repetitions():
    X, y = task("poisson")
    times = np.random.default_rng(0).integers(0, 4, 300)
    weighted = descend(X, y, loss="poisson", alpha=1e-2, tol=1e-11, sample_weight=times.astype(float))
    repeated = descend(X[np.repeat(np.arange(300), times)], np.repeat(y, times), loss="poisson", alpha=1e-2, tol=1e-11)
    assert is_dual(weighted) and is_dual(repeated)
    assert_allclose(weighted.error, repeated.error, rtol=1e-10)
    assert_allclose(weighted.coef, repeated.coef, atol=1e-5)


@pytest.mark.parametrize("k", [1, 10])
def test_from_given_weights(k):
    X, rng = rows(), np.random.default_rng(3)
    y = rng.integers(0, max(k, 2), 300)
    options = {"loss": "log_loss", "alpha": 1e-3, "n_outputs": k if k > 1 else None}
    cold = descend(X, y, **options)
    again = descend(X, y, coef_init=cold.coef, intercept_init=cold.intercept, **options)
    assert is_dual(again) and again.n_iter <= 1
    assert_allclose(again.coef, cold.coef, atol=1e-4)
    anywhere = descend(
        X,
        y,
        coef_init=rng.normal(size=cold.coef.shape),
        intercept_init=rng.normal(size=np.shape(cold.intercept)),
        **options,
    )
    assert is_dual(anywhere) and anywhere.converged
    assert_allclose(anywhere.error, cold.error, rtol=2e-8)


def test_a_given_bias_stays_without_an_intercept():
    X, y = task("squared_error")
    result = descend(X, y, alpha=0.01, fit_intercept=False, intercept_init=0.5)
    assert is_dual(result) and result.intercept == 0.5
    assert_allclose(
        result.coef, descend(X, y, alpha=0.01, fit_intercept=False, offset=np.full(300, 0.5)).coef, atol=1e-4
    )


def test_epochs_are_seen():
    X, y = task("log_loss")
    seen = []
    result = descend(X, y, loss="log_loss", alpha=1e-3, keep_path=True, callback=lambda epoch: seen.append(epoch.error))
    assert is_dual(result)
    assert_array_equal(seen, result.loss_curve)
    assert len(result.path.coef) == result.n_iter + 1
    blind = descend(X, y, loss="log_loss", alpha=1e-3)
    same_bits(result.coef, blind.coef)
    assert np.all(np.diff(result.loss_curve) <= 1e-12)
    slopes = gdfast.error_and_gradient(X, y, result.coef, result.intercept, loss="log_loss", alpha=1e-3)[1:]
    norm = np.sqrt(sum(np.sum(np.square(slope)) for slope in slopes))
    assert_allclose(result.gradient_norm_curve[-1], norm, rtol=1e-5)


def test_a_callback_may_stop_it():
    X, y = task("log_loss")
    result = descend(X, y, loss="log_loss", alpha=1e-3, callback=lambda epoch: epoch.epoch == 3)
    assert result.n_iter == 3 and not result.converged
    error, *_ = gdfast.error_and_gradient(X, y, result.coef, result.intercept, loss="log_loss", alpha=1e-3)
    assert_allclose(result.error, error, rtol=1e-12)


def test_out_of_steps():
    X, y = task("log_loss")
    with pytest.warns(ConvergenceWarning):
        result = descend(X, y, loss="log_loss", alpha=1e-5, max_iter=4)
    assert result.n_iter == 4 and not result.converged
    error, *_ = gdfast.error_and_gradient(X, y, result.coef, result.intercept, loss="log_loss", alpha=1e-5)
    assert_allclose(result.error, error, rtol=1e-12)


def test_rows_that_validate_stop_it():
    X, rng = rows(n=600), np.random.default_rng(0)
    y = rng.integers(0, 2, 600)  # nothing to learn
    model = GDClassifier(alpha=1e-7, early_stopping=True, n_iter_no_change=3, random_state=0).fit(X, y)
    assert np.argmin(model.validation_curve_) < model.n_iter_ - 1


def test_there_is_an_epoch_where_the_start_is_near_enough():
    X, y = rows(n=200, d=3000, density=0.01), np.random.default_rng(0).integers(0, 2, 200)
    model = GDClassifier(alpha=0.1, early_stopping=True, warm_start=True, random_state=0, tol=1e-3).fit(X, y)
    model.set_params(alpha=1e3).fit(X, y)
    model.fit(X, y)
    assert model.n_iter_ >= 1 and len(model.validation_curve_) == model.n_iter_


@pytest.mark.parametrize("seed", range(3))
def test_the_best_epoch_is_the_answer_where_a_metric_goes_on(seed):
    rng, scale = np.random.default_rng(seed), np.geomspace(1e-3, 1e3, 2100)
    shapes = (1000, 2100), (300, 2100)
    X, held_out = ((sp.random(*shape, density=0.02, random_state=rng) @ sp.diags(scale)).tocsr() for shape in shapes)
    w = rng.normal(size=2100) / scale / 10
    y, y_val = (rows @ w + 3 * rng.normal(size=rows.shape[0]) for rows in (X, held_out))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = descend(X, y, alpha=1e-8, tol=1e-6, max_iter=200, X_val=held_out, y_val=y_val, n_iter_no_change=1000)
    assert not is_dual(result) and result.n_iter > 100
    error = np.mean((held_out @ result.coef + result.intercept - y_val) ** 2) / 2 + 5e-9 * np.sum(result.coef**2)
    assert_allclose(np.min(result.validation_curve), error, rtol=1e-9)


def test_columns_of_very_different_scale_are_left_to_a_metric():
    X, y = task("squared_error", n=1000, d=2100)
    X = (X @ sp.diags(np.geomspace(1e-4, 1e4, 2100))).tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = descend(X, y, alpha=1e-8, tol=1e-3, max_iter=200)
    assert not is_dual(result) and result.n_iter > 100


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(value):
    X, y = task("log_loss")
    X.data[1234] = value
    with pytest.raises(ValueError, match=r"NaN|infinity|finite"):
        descend(X, y, loss="log_loss", alpha=1e-3)


def test_rows_of_nothing():
    X = sp.csr_array((50, 3000))
    result = descend(X, np.arange(50.0), alpha=1e-3)
    assert result.converged and not np.any(result.coef)
    assert_allclose(result.intercept, 24.5)


def test_targets_without_spread():
    X = rows()
    for y in (np.zeros(300), np.full(300, 7.0)):
        result = descend(X, y, alpha=1e-3)
        assert result.converged and np.isfinite(result.suboptimality)
        assert_allclose(result.intercept, y[0], atol=1e-12)
