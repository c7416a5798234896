"""Solver auto on losses with kinks: the optimum itself, against linear programs and the conditions of optimality."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog, lsq_linear
from sklearn.datasets import load_breast_cancer, load_diabetes

import gdfast
from gdfast import reference

# Each loss as a sum of ramps, max(0, t) with t = sign z + shift(y), times a cost: rows (cost, sign, shift).
RAMPS = {
    "absolute_error": lambda y: [(1.0, -1.0, y), (1.0, 1.0, -y)],
    "quantile": lambda y: [(0.3, -1.0, y), (0.7, 1.0, -y)],
    "epsilon_insensitive": lambda y: [(1.0, -1.0, y - 0.5), (1.0, 1.0, -y - 0.5)],
    "hinge": lambda y: [(1.0, -y, 1.0)],
}
PARAMETERS = {"quantile": 0.3, "epsilon": 0.5}


def problem(loss, n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * 10.0 ** rng.integers(-2, 3, size=d)
    z = (X / X.std(axis=0)) @ rng.normal(size=d) + 2 * rng.normal(size=n)
    return X, np.where(z > 0, 1.0, -1.0) if loss == "hinge" else z, rng.integers(0, 4, size=n).astype(float)


def linear_program(loss, X, y, s, alpha):
    """E at the optimum with an L1 penalty: weights and bias as differences of numbers >= 0, one slack for each ramp."""
    n = len(X)
    scale = X.std(axis=0)  # the program's own unknowns are w scale: simplex methods, too, like columns of one size
    ramps = RAMPS[loss](y)
    Xb = np.column_stack([X / scale, np.ones(n)])
    rows, limits = [], []
    for i, (_, sign, shift) in enumerate(ramps):
        slack = np.zeros((n, n * len(ramps)))
        slack[:, i * n : (i + 1) * n] = -np.eye(n)
        signed = Xb * np.broadcast_to(sign, n)[:, None]
        rows.append(np.hstack([signed, -signed, slack]))
        limits.append(-np.broadcast_to(shift, n))
    penalty = alpha * np.append(1 / scale, 0.0)
    costs = np.concatenate([penalty, penalty, *(cost * s / s.sum() for cost, _, _ in ramps)])
    solved = linprog(costs, np.vstack(rows), np.concatenate(limits), method="highs-ds")
    assert solved.success
    return solved.fun


@pytest.mark.parametrize(("n", "d"), [(15, 30), (60, 8), (150, 4)])
@pytest.mark.parametrize("loss", RAMPS)
def test_with_l1_it_is_the_optimum_of_a_linear_program(loss, n, d):
    X, y, s = problem(loss, n, d)
    for alpha in (1e-3, 3e-2):
        options = {"loss": loss, "alpha": alpha, "l1_ratio": 1.0, "sample_weight": s, **PARAMETERS}
        result = gdfast.gradient_descent(X, y, solver="auto", tol=1e-9, **options)
        error, _, _ = reference.error_and_gradient(X, y, result.coef, result.intercept, **options)
        assert result.converged
        assert_allclose(error, linear_program(loss, X, y, s, alpha), rtol=1e-7)
        assert_allclose(result.error, error, rtol=1e-12)


@pytest.mark.parametrize("loss", RAMPS)
def test_with_l1_and_ties_it_is_the_optimum_of_a_linear_program(loss):
    """Many rows on one kink: integers as targets, zeros as features, more rows than weights at one score."""
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(40, 3))
    X[X < 0.6] = 0.0
    y = (4 * rng.uniform(size=40)).astype(int).astype(float)
    for target in [np.where(y == c, 1.0, -1.0) for c in range(4)] if loss == "hinge" else [y]:
        options = {"loss": loss, "alpha": 0.01, "l1_ratio": 1.0, **PARAMETERS}
        result = gdfast.gradient_descent(X, target, solver="auto", tol=1e-10, **options)
        assert result.converged and "precision" not in result.message and result.n_passes < 500
        assert_allclose(result.error, linear_program(loss, X, target, np.ones(40), 0.01), rtol=1e-9)


@pytest.mark.parametrize("loss", RAMPS)
def test_with_l1_it_is_the_optimum_of_nearly_collinear_columns(loss):
    """Far from 0 in units of their spread, and more of them than rows: descent by coordinates alone would crawl."""
    rng = np.random.default_rng(1)
    for n, d in [(15, 30), (60, 8)]:
        X = rng.normal(size=(n, d)) + 100.0 * rng.normal(size=(n, 1))
        z = X[:, :8] @ rng.normal(size=8)
        y = np.where(z > np.median(z), 1.0, -1.0) if loss == "hinge" else np.round(z)
        for alpha in (1e-3, 3e-2):
            options = {"loss": loss, "alpha": alpha, "l1_ratio": 1.0, **PARAMETERS}
            result = gdfast.gradient_descent(X, y, solver="auto", tol=1e-8, **options)
            least = linear_program(loss, X, y, np.ones(n), alpha)
            assert result.converged and result.n_passes < 1000
            assert -1e-9 * least <= result.error - least <= 1e-7 * least


def unbalanced(loss, X, y, s, w, b, alpha, l1_ratio):
    """How far 0 is from the gradients that E has at (w, b), its kinks allowed for, in units of the columns' size."""
    Xb = np.column_stack([X / np.abs(X).max(axis=0), np.ones(len(X))])
    l1 = alpha * l1_ratio / np.abs(X).max(axis=0)
    fixed = np.append(alpha * (1 - l1_ratio) * w / np.abs(X).max(axis=0) + l1 * np.where(w == 0, -1.0, np.sign(w)), 0.0)
    free = [np.diag(np.append(2 * l1, 0.0))[:-1][w == 0]]
    for cost, sign, shift in RAMPS[loss](y):
        t = sign * (X @ w + b) + shift
        slopes = (cost * s / s.sum() * sign)[:, None] * Xb
        at_kink = np.abs(t) <= 1e-6
        fixed += slopes[(t > 0) & ~at_kink].sum(axis=0)
        free.append(slopes[at_kink])
    free = np.vstack(free)
    if not len(free):
        return np.abs(fixed).max()
    return np.abs(lsq_linear(free.T, -fixed, bounds=(0, 1), tol=1e-14).fun).max()


@pytest.mark.parametrize(("n", "d"), [(15, 30), (60, 8), (3000, 4)])
@pytest.mark.parametrize("loss", RAMPS)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_with_l2_rows_lie_on_their_kinks(loss, n, d, l1_ratio):
    X, y, s = problem(loss, n, d)
    X = X / np.abs(X).max(axis=0)
    for alpha in (1e-3, 3e-2):
        options = {"loss": loss, "alpha": alpha, "l1_ratio": l1_ratio, "sample_weight": s, **PARAMETERS}
        result = gdfast.gradient_descent(X, y, solver="auto", tol=1e-12, **options)
        assert result.converged
        assert unbalanced(loss, X, y, s, result.coef, result.intercept, alpha, l1_ratio) < 1e-6


@pytest.mark.parametrize("loss", RAMPS)
def test_no_more_than_tol_is_left(loss):
    """On raw features, at the default tol: beside a descent to 1e-12."""
    X, y = load_breast_cancer(return_X_y=True) if loss == "hinge" else load_diabetes(return_X_y=True)
    y = np.where(y > 0, 1.0, -1.0) if loss == "hinge" else y
    for alpha in (1e-4, 1e-2):
        options = {"loss": loss, "alpha": alpha, "solver": "auto", **PARAMETERS}
        result = gdfast.gradient_descent(X, y, **options)
        best = gdfast.gradient_descent(X, y, tol=1e-12, **options)
        assert result.converged and best.converged and result.n_passes < 500
        assert 0 <= result.error - best.error + 1e-12 * best.error <= 1e-6 * best.error


def test_max_iter_and_callbacks_hold_up_to_the_last_step():
    """The step to where the widths lead is an epoch like any other."""
    X, y, s = problem("hinge", 60, 8)
    options = {"loss": "hinge", "alpha": 1e-2, "sample_weight": s, "solver": "auto", "tol": 1e-10}
    whole = gdfast.gradient_descent(X, y, keep_path=True, **options)
    assert_allclose(whole.path.coef[-1], whole.coef, rtol=0)
    assert_allclose(whole.loss_curve[-1], whole.error, rtol=1e-14)
    with pytest.warns(UserWarning, match="max_iter"):
        short = gdfast.gradient_descent(X, y, max_iter=whole.n_iter - 1, **options)
    assert not short.converged and short.n_iter == whole.n_iter - 1
    stopped = gdfast.gradient_descent(X, y, callback=lambda state: state.epoch == whole.n_iter, **options)
    assert not stopped.converged and stopped.n_iter == whole.n_iter and "callback" in stopped.message
