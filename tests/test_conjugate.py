"""Squared error and L2 with many columns: conjugate gradients, what they claim, and what comes where they are slow."""

from __future__ import annotations

import numpy as np
import pytest

import gdfast

CONJUGATE = "conjugate"
EXACT = "exact metric"


def rows(n, d, *, dtype=np.float64, raw=False, seed=0):
    """Neighbouring columns correlated; raw: in units far apart, and off zero."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[:, 1:] += 0.5 * X[:, :-1]
    y = X @ rng.normal(size=d) / np.sqrt(d) + rng.normal(size=n)
    if raw:
        X = (X + 100 * rng.normal(size=d)) * np.exp(2 * rng.normal(size=d))
    return X.astype(dtype), y


def optimum(X, y, alpha, *, s=None, intercept=True):
    """E at the minimum, by orthogonal factors of the rows and the penalty's."""
    X = X.astype(float)
    s = np.ones(len(X)) if s is None else s
    if intercept:
        X, y = X - np.average(X, axis=0, weights=s), y - np.average(y, weights=s)
    share = np.sqrt(s / s.sum())[:, None]
    A = np.vstack([X * share, np.sqrt(alpha) * np.eye(X.shape[1])])
    b = np.concatenate([y * share[:, 0], np.zeros(X.shape[1])])
    left = A @ np.linalg.lstsq(A, b, rcond=None)[0] - b
    return 0.5 * left @ left


def left_to_gain(result, X, y, alpha, **options):
    least = optimum(X, y, alpha, **options)
    return result.error / least - 1.0


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_a_strong_penalty_takes_few_reads(dtype, tol):
    X, y = rows(700, 600, dtype=dtype)
    result = gdfast.gradient_descent(X, y, solver="auto", alpha=2.0, tol=tol)
    assert CONJUGATE in result.message
    assert result.converged
    assert result.n_passes <= 25
    assert -1e-7 < left_to_gain(result, X, y, 2.0) <= tol + 1e-8 * (dtype != np.float64)
    assert np.all(np.diff(result.loss_curve) <= 1e-12)


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("alpha", [1.0, 2.0, 20.0])
def test_the_bound_holds(alpha, tol):
    """What is claimed is at least what is left, and not much more than was asked for."""
    X, y = rows(900, 600, seed=3)
    result = gdfast.gradient_descent(X, y, solver="auto", alpha=alpha, tol=tol)
    assert CONJUGATE in result.message
    assert left_to_gain(result, X, y, alpha) <= result.suboptimality * (1 + 1e-6) + 1e-14
    assert result.suboptimality <= tol


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_weights_and_intercepts(intercept, weighted):
    X, y = rows(800, 500)
    X, y = X + 3.0, y + 1000.0
    s = np.random.default_rng(1).integers(0, 4, len(X)).astype(float) if weighted else None
    options = {"alpha": 5.0, "tol": 1e-8}
    result = gdfast.gradient_descent(X, y, solver="auto", sample_weight=s, fit_intercept=intercept, **options)
    assert result.converged
    assert left_to_gain(result, X, y, 5.0, s=s, intercept=intercept) <= 1e-8
    options |= {"coef_init": result.coef, "intercept_init": result.intercept}
    again = gdfast.gradient_descent(X, y, solver="auto", sample_weight=s, fit_intercept=intercept, **options)
    assert again.n_iter <= 2
    assert again.error == pytest.approx(result.error, rel=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-8])
def test_a_weak_penalty_takes_the_exact_metric(alpha, dtype):
    """X'X in float where the penalty allows: columns are centred before they lose digits."""
    X, y = rows(500, 400, dtype=dtype)
    X = X + dtype(1000 if dtype == np.float64 else 1)
    result = gdfast.gradient_descent(X, y, solver="auto", alpha=alpha, tol=1e-9)
    assert EXACT in result.message
    assert abs(left_to_gain(result, X, y, alpha)) <= (1e-9 if dtype == np.float64 else 1e-6)


def test_raw_columns():
    X, y = rows(600, 500, raw=True)
    for alpha in (1e-4, 1.0, 1e4):
        result = gdfast.gradient_descent(X, y, solver="auto", alpha=alpha, tol=1e-6)
        assert result.converged
        assert left_to_gain(result, X, y, alpha) <= 1e-6


def test_the_same_bits():
    X, y = rows(1000, 600)
    one, two = (gdfast.gradient_descent(X, y, solver="auto", alpha=3.0, tol=1e-6, n_threads=n) for n in (1, 2))
    assert CONJUGATE in one.message
    assert np.array_equal(one.coef, two.coef)
    assert np.array_equal(one.loss_curve, two.loss_curve)


def test_epochs_are_told_of_and_may_end_it():
    X, y = rows(900, 600)
    seen = []

    def stop_at_four(state):
        seen.append(state.error)
        return len(seen) == 4

    result = gdfast.gradient_descent(X, y, solver="auto", alpha=3.0, tol=1e-6, callback=stop_at_four)
    assert len(seen) == 4
    assert result.n_iter == 4
    kept = gdfast.gradient_descent(X, y, solver="auto", alpha=3.0, tol=1e-6, keep_path=True)
    assert CONJUGATE in kept.message
    curves = zip(kept.loss_curve, kept.gradient_norm_curve, kept.path.coef[1:], kept.path.intercept[1:], strict=True)
    for error, slope, w, b in curves:
        at, gradient, bias = gdfast.error_and_gradient(X, y, w, b, alpha=3.0)
        assert error == pytest.approx(at, rel=1e-12)
        assert slope == pytest.approx(np.hypot(np.linalg.norm(gradient), bias), rel=1e-6, abs=1e-12)


def test_it_stops_where_held_out_rows_say():
    X, y = rows(1200, 600)
    result = gdfast.gradient_descent(X[:800], y[:800], solver="auto", alpha=3.0, tol=1e-6, X_val=X[800:], y_val=y[800:])
    assert CONJUGATE in result.message
    held_out, *_ = gdfast.error_and_gradient(X[800:], y[800:], result.coef, result.intercept, alpha=3.0)
    assert held_out == pytest.approx(min(result.validation_curve), rel=1e-12)
