"""Many more columns than rows: the span of the rows, by conditions of optimality and beside other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from problems import DTYPES, LAYOUTS, same_bits, samples, targets
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score

import gdfast
from gdfast import GDClassifier, GDRegressor, GDRegressorCV
from gdfast.reference import LOSSES, error_and_gradient

KINKED = ("absolute_error", "quantile", "epsilon_insensitive", "hinge")
SMOOTH = tuple(sorted(set(LOSSES) - {*KINKED, "perceptron"}))


def rows(n=30, d=200, seed=0):
    """X (n, d) with columns that go together, of different size, off zero."""
    rng = np.random.default_rng([seed, n, d])
    X = (rng.normal(size=(n, d)) + rng.normal(size=(n, 1))) * np.geomspace(0.1, 3.0, d) / np.sqrt(d)
    return X + rng.normal(size=d)


def task(loss, n=30, d=200, k=1, seed=0):
    X, rng = rows(n, d, seed), np.random.default_rng(seed)
    y = targets(loss, (n, k), rng)
    return X, y if k > 1 else y[:, 0]


def descend(X, y, *, tol=1e-13, **options):
    return gdfast.gradient_descent(X, y, solver="auto", tol=tol, max_iter=300, **options)


def assert_optimal(result, X, y, *, alpha, within=1e-8, **options):
    """E bends as the penalty does at least, so the gradient bounds E - E*."""
    error, slope, bias = error_and_gradient(X.astype(float), y, result.coef, result.intercept, alpha=alpha, **options)
    assert (np.sum(slope**2) + np.sum(np.square(bias))) / (2 * alpha) <= within * abs(error)
    assert_allclose(result.error, error, rtol=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 1e-3])
@pytest.mark.parametrize("loss", SMOOTH)
def test_every_smooth_loss_arrives(loss, alpha):
    X, y = task(loss)
    result = descend(X, y, loss=loss, alpha=alpha)
    assert result.converged and result.n_passes <= 4
    assert_optimal(result, X, y, loss=loss, alpha=alpha)


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber"])
def test_a_pass_looks_back_unless_rows_stand_apart(loss, apart):
    X, y = task(loss)
    if not apart:
        X[1] = X[0] + 1e-4 * X[1]
    result = descend(X, y, loss=loss, alpha=0.1)
    assert result.converged and result.n_passes == (2 if apart else 3)
    assert_optimal(result, X, y, loss=loss, alpha=0.1)


@pytest.mark.parametrize("loss", KINKED)
def test_kinks(loss):
    """The optimum of a taller problem: the same rows in an orthonormal basis of their span."""
    X, y = task(loss)
    basis = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][:29]
    result = descend(X, y, loss=loss, alpha=0.01, tol=1e-7)
    narrow = descend(X @ basis.T, y, loss=loss, alpha=0.01, tol=1e-7)
    assert_allclose(result.error, narrow.error, rtol=1e-6)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
def test_outputs(loss):
    X, y = task(loss, k=3)
    result = descend(X, y, loss=loss, alpha=0.01)
    assert result.n_passes <= 4
    assert_optimal(result, X, y, loss=loss, alpha=0.01)


def test_softmax():
    X, y = rows(40, 300), np.arange(40) % 4
    result = descend(X, y, loss="log_loss", alpha=0.01, n_outputs=4)
    assert result.n_passes <= 4
    assert_optimal(result, X, y, loss="log_loss", alpha=0.01)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1.0, 1e-6])
def test_ridge(alpha, fit_intercept):
    X, y = rows(50, 700), np.random.default_rng(1).normal(size=50)
    s = np.random.default_rng(2).random(50)
    theirs = Ridge(alpha * s.sum(), solver="svd", fit_intercept=fit_intercept).fit(X, y, s)
    ours = GDRegressor(alpha=alpha, fit_intercept=fit_intercept, tol=1e-12).fit(X, y, sample_weight=s)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-9 * np.abs(theirs.coef_).max())
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_regression(n_classes):
    X, y = rows(60, 500), np.arange(60) % n_classes
    theirs = LogisticRegression(C=1 / (60 * 1e-2), solver="newton-cg", tol=1e-12, max_iter=1000).fit(X, y)
    ours = GDClassifier(alpha=1e-2, tol=1e-13).fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    assert_allclose(ours.coef_, theirs.coef_, atol=1e-5 * np.abs(theirs.coef_).max())


@pytest.mark.parametrize("dtype", DTYPES)
def test_stored_types(dtype):
    X = samples(dtype, 30, 150)
    y = np.random.default_rng(0).normal(size=30)
    alpha = 1e-2 * float(np.mean(X.astype(float) ** 2))
    result = descend(X, y, alpha=alpha)
    assert result.n_passes <= 3
    assert_optimal(result, X, y, alpha=alpha, loss="squared_error")


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_the_same_bits_in_every_layout_and_on_any_number_of_threads(loss):
    X, y = task(loss, 40, 3000)
    expected = descend(X, y, loss=loss, alpha=0.01, n_threads=1)
    for n_threads in (2, 3, 16):
        assert same_bits(descend(X, y, loss=loss, alpha=0.01, n_threads=n_threads).coef, expected.coef)
    for name, make in LAYOUTS.items():
        assert same_bits(descend(make(X), y, loss=loss, alpha=0.01, n_threads=2).coef, expected.coef), name


def test_no_penalty_gives_the_answer_of_least_norm():
    X, y = rows(30, 200), np.random.default_rng(0).normal(size=30)
    result = descend(X, y, fit_intercept=False)
    assert_allclose(result.coef, np.linalg.lstsq(X, y, rcond=None)[0], rtol=1e-6, atol=1e-10)
    assert result.error < 1e-20


def test_what_a_start_has_beside_the_rows_stays_without_a_penalty_and_goes_with_one():
    X, y = rows(30, 200), np.random.default_rng(0).normal(size=30)
    start = np.random.default_rng(1).normal(size=200)
    span = np.linalg.svd(X, full_matrices=False)[2]
    beside = start - span.T @ (span @ start)
    least = np.linalg.lstsq(X, y, rcond=None)[0]
    assert_allclose(descend(X, y, fit_intercept=False, coef_init=start).coef, least + beside, rtol=1e-6, atol=1e-9)
    warm, cold = (descend(X, y, alpha=0.1, **more) for more in ({"coef_init": start}, {}))
    assert_allclose(warm.coef, cold.coef, rtol=1e-6, atol=1e-9)
    again = descend(X, y, alpha=0.1, coef_init=cold.coef, intercept_init=cold.intercept)
    assert again.n_iter <= 2
    assert_allclose(again.coef, cold.coef, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "hinge"])
def test_records_are_those_of_the_problem_itself(loss):
    X, y = task(loss)
    seen = []
    result = descend(X, y, loss=loss, alpha=0.01, keep_path=True, callback=lambda state: seen.append(state))
    plain = descend(X, y, loss=loss, alpha=0.01)
    assert same_bits(plain.coef, result.coef) and same_bits(plain.loss_curve, result.loss_curve)
    assert len(seen) == result.n_iter == len(result.path.coef) - 1
    curves = result.loss_curve, result.gradient_norm_curve
    for state, coef, recorded, norm in zip(seen, result.path.coef[1:], *curves, strict=True):
        error, slope, bias = error_and_gradient(X, y, state.coef, state.intercept, loss=loss, alpha=0.01)
        assert same_bits(state.coef, coef) and state.error == recorded
        assert_allclose(error, recorded, rtol=1e-9)
        if loss in SMOOTH and norm > 1e-8:
            assert_allclose(np.hypot(np.linalg.norm(slope), bias), norm, rtol=1e-6)


def test_rows_that_validate_end_the_descent():
    X, y = task("log_loss", 60, 400)
    result = descend(X[:40], y[:40], loss="log_loss", alpha=1e-8, X_val=X[40:], y_val=y[40:])
    assert len(result.validation_curve) == result.n_iter
    held_out = error_and_gradient(X[40:], y[40:], result.coef, result.intercept, loss="log_loss")[0]
    assert_allclose(held_out, np.min(result.validation_curve), rtol=1e-9)
    model = GDClassifier(early_stopping=True, alpha=1e-8, random_state=0).fit(X, y > 0.5)
    assert model.best_validation_loss_ == min(model.validation_curve_)


def test_weights_are_repetitions_and_none_at_all():
    X, y = task("log_loss", 30, 150)
    s = np.random.default_rng(5).integers(0, 4, 30)
    for options in ({"loss": "log_loss", "alpha": 0.01}, {"alpha": 1e-4}, {}):
        weighted = descend(X, y, sample_weight=s, tol=1e-6, **options)
        repeated = descend(X.repeat(s, axis=0), y.repeat(s), tol=1e-6, **options)
        assert_allclose(weighted.coef, repeated.coef, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("columns", [slice(0, 1), slice(0, 20)])
@pytest.mark.parametrize("size", [1e4, 1e8])
@pytest.mark.parametrize("alpha", [1e-2, 1e-7])
def test_columns_beside_which_the_others_drown_in_rounding(size, columns, alpha):
    X, y = np.random.default_rng(0).normal(size=(40, 300)), np.random.default_rng(1).normal(size=40)
    X[:, columns] *= size
    result = descend(X, y, alpha=alpha, tol=1e-8)
    theirs = Ridge(40 * alpha, solver="svd").fit(X, y)
    best = 0.5 * np.mean((X @ theirs.coef_ + theirs.intercept_ - y) ** 2) + 0.5 * alpha * np.sum(theirs.coef_**2)
    assert result.error <= best * (1 + 2e-8) + 1e-15


def test_rows_of_any_size_off_zero():
    X, y = np.random.default_rng(0).normal(size=(40, 300)) + 1e6, np.random.default_rng(1).normal(size=40)
    result = descend(X, y, alpha=0.1, tol=1e-8)
    theirs = Ridge(4.0, solver="svd").fit(X - X.mean(axis=0), y)
    assert_allclose(result.coef, theirs.coef_, rtol=1e-5, atol=1e-6 * np.abs(theirs.coef_).max())
    tiny = descend(1e-120 * rows(), y[:30], alpha=1e-240)
    assert_allclose(tiny.error, descend(rows(), y[:30], alpha=1.0).error, rtol=1e-8)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_named(value):
    X, y = task("squared_error")
    X[3, 77] = value
    with pytest.raises(ValueError, match="row 3, column 77"):
        descend(X, y, alpha=0.1)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 10**6),
    st.sampled_from(["squared_error", "log_loss", "huber"]),
    st.booleans(),
)
def test_any_shape_with_rows_that_repeat(n, d, seed, loss, fit_intercept):
    rng = np.random.default_rng(seed)
    d += 128 * rng.integers(2)
    X = rng.integers(-2, 3, size=(max(n // 2, 1), d))[rng.integers(max(n // 2, 1), size=n)].astype(float)
    X[rng.random(n) < 0.2] = 0.0
    y, s = targets(loss, n, rng), rng.integers(1, 3, size=n).astype(float)
    result = descend(X, y, loss=loss, alpha=0.1, sample_weight=s, fit_intercept=fit_intercept)
    error, slope, bias = error_and_gradient(X, y, result.coef, result.intercept, loss=loss, alpha=0.1, sample_weight=s)
    assert (slope @ slope + fit_intercept * bias**2) / 0.2 <= 1e-7 * error + 1e-15


@pytest.mark.parametrize("cv", [3, None])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_grids_take_one_span_for_all_models_and_folds(loss, cv):
    X, y = rows(60, 400), np.random.default_rng(0).normal(size=60)
    y, kind = (y > 0, GDClassifier) if loss == "log_loss" else (y, GDRegressor)
    alphas = [1.0, 0.1, 1e-3]
    found = gdfast.fit_many(kind(tol=1e-10), {"alpha": alphas}, X, y, cv=cv)
    splits = list(KFold(3).split(X)) if loss == "squared_error" else list(StratifiedKFold(3).split(X, y))
    for i, alpha in enumerate(alphas):
        for fold, (train, test) in enumerate(splits if cv else []):
            model = kind(alpha=alpha, tol=1e-12).fit(X[train], y[train])
            score = found.cv_results_[f"split{fold}_test_score"][i]
            assert_allclose(score, model.score(X[test], y[test]), rtol=1e-5, atol=1e-6)


def test_a_search_over_wide_rows_beside_ridge():
    X, y = rows(60, 700), np.random.default_rng(0).normal(size=60)
    ours = GDRegressorCV(alphas=[10.0, 0.1, 1e-3], cv=4, tol=1e-10).fit(X, y)
    for alpha in (10.0, 0.1, 1e-3):
        scores = cross_val_score(Ridge(45 * alpha, solver="svd"), X, y, cv=4)
        found = ours.scores_[np.flatnonzero(ours.alphas_ == alpha)[0]].ravel()
        assert_allclose(np.sort(found), np.sort(scores), rtol=1e-5)
    assert_allclose(ours.coef_, Ridge(60 * ours.alpha_, solver="svd").fit(X, y).coef_, rtol=1e-5, atol=1e-8)


def test_a_grid_whose_columns_drown_in_rounding_goes_another_way():
    X, y = np.random.default_rng(0).normal(size=(40, 300)), np.random.default_rng(1).normal(size=40)
    X[:, :20] *= 1e8
    ours = GDRegressorCV(alphas=[1e-3], cv=4, tol=1e-8).fit(X, y)
    theirs = Ridge(40e-3, solver="svd").fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-6)
