"""Bounds on the weights: the optimum within them, beside independent solvers and by its own conditions."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from problems import LOSSES, problem
from scipy.optimize import lsq_linear, minimize, nnls
from sklearn.linear_model import ElasticNet, Ridge

import gdfast
from gdfast import reference

SMOOTH = [loss for loss in LOSSES if loss in gdfast._core.SMOOTH_LOSSES]
CONVEX = [loss for loss in LOSSES if loss != "perceptron"]
RULES = ("gd", "sgd", "adagrad", "rmsprop", "adam")


def limits(shape, seed=0):
    """Of every kind: none, on one side, both, 0 at an end, one value only."""
    rng = np.random.default_rng(seed)
    kinds = [
        (-np.inf, np.inf),
        (0.0, np.inf),
        (-np.inf, 0.0),
        (-0.1, 0.2),
        (0.15, 0.15),
        (0.1, np.inf),
        (-np.inf, -0.1),
    ]
    chosen = np.array(kinds)[rng.integers(0, len(kinds), shape)]
    return np.ascontiguousarray(chosen[..., 0]), np.ascontiguousarray(chosen[..., 1])


def assert_within(coef, low, high):
    assert (coef >= low).all()
    assert (coef <= high).all()


def assert_optimal(X, y, result, low, high, **terms):
    """KKT: the slope is 0 inside, points outwards at a bound, biases have none; up to a share of the slopes at 0."""
    coef, intercept = result.coef, result.intercept
    _, slope, of_bias = reference.error_and_gradient(X, y, coef, intercept, **terms)
    _, at_start, _ = reference.error_and_gradient(X, y, np.zeros_like(coef), np.zeros_like(intercept) + 0.0, **terms)
    l1 = terms.get("alpha", 0.0) * terms.get("l1_ratio", 0.0)
    small = 2e-4 * (np.abs(at_start).max() + l1)
    at_low, at_high = coef <= low, coef >= high
    down = np.where(coef == 0, slope - l1, slope)  # where l1 has a range of slopes, `slope` is the one nearest to 0
    assert (np.abs(slope[~at_low & ~at_high]) <= small).all()
    assert (np.where(coef == 0, np.maximum(slope, down), slope)[at_low & ~at_high] >= -small).all()
    assert (slope[at_high & ~at_low] <= small + (l1 if l1 else 0)).all()
    assert (np.abs(of_bias) <= small).all()


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", SMOOTH)
def test_auto_meets_the_conditions_of_optimality(loss, k):
    X, y, _, _ = problem(loss, k=k, n=150, d=9)
    shape = (k, 9) if k > 1 else (9,)
    for seed, l1_ratio, rows in itertools.product(range(3), (0.0, 0.6), (np.asarray, sp.csr_matrix)):
        low, high = limits(shape, seed)
        terms = {"loss": loss, "alpha": 0.01, "l1_ratio": l1_ratio}
        result = gdfast.gradient_descent(rows(X), y, solver="auto", bounds=(low, high), tol=1e-11, **terms)
        assert result.converged
        assert_within(result.coef, low, high)
        assert_optimal(X, y, result, low, high, **terms)


@pytest.mark.parametrize("loss", CONVEX)
def test_auto_and_an_independent_solver_end_at_one_error(loss):
    """L-BFGS-B, which needs smooth losses; for the others no feasible neighbour is better."""
    X, y, _, _ = problem(loss, n=120, d=6)
    low, high = limits(6, 4)
    smooth = loss in SMOOTH
    result = gdfast.gradient_descent(
        X, y, loss=loss, alpha=0.01, solver="auto", bounds=(low, high), tol=1e-10 if smooth else 1e-7
    )
    assert_within(result.coef, low, high)

    def error(w):
        value, slope, of_bias = reference.error_and_gradient(X, y, w[:-1], w[-1], loss=loss, alpha=0.01)
        return value, np.append(slope, of_bias)

    found = np.append(result.coef, result.intercept)
    assert result.error == pytest.approx(error(found)[0], rel=1e-12)
    if smooth:
        start = np.append(np.clip(np.zeros(6), low, high), 0.0)
        other = minimize(
            error,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[*zip(low, high, strict=True), (None, None)],
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 10_000, "maxfun": 10**6},
        )
        assert result.error <= other.fun * (1 + 1e-9)
        assert result.error == pytest.approx(other.fun, rel=1e-6)
        return
    rng = np.random.default_rng(0)
    for length in (1e-4, 1e-3, 1e-2, 0.1):
        for _ in range(200):
            there = found + length * rng.normal(size=7)
            there[:6] = np.clip(there[:6], low, high)
            assert error(there)[0] >= result.error * (1 - 2e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steepest_descent_meets_them_too(loss, momentum, l1_ratio):
    X, y, _, _ = problem(loss, n=150, d=7)
    for seed, nesterov in itertools.product(range(3), (False, True)):
        low, high = limits(7, seed)
        terms = {"loss": loss, "alpha": 0.05, "l1_ratio": l1_ratio}
        result = gdfast.gradient_descent(
            X,
            y,
            solver="gd",
            momentum=momentum,
            nesterovs_momentum=nesterov,
            bounds=(low, high),
            tol=1e-11,
            max_iter=20_000,
            coef_init=np.full(7, 5.0),
            **terms,
        )
        assert result.converged
        assert_within(result.coef, low, high)
        assert_optimal(X, y, result, low, high, **terms)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_that_overshoots_to_a_bound_comes_back(nesterov):
    """For some steps the weight stands still there: that is no convergence."""
    for start in 1.3 ** np.arange(15):
        result = gdfast.gradient_descent(
            np.ones((2, 1)),
            np.ones(2),
            momentum=0.95,
            nesterovs_momentum=nesterov,
            coef_init=[start],
            fit_intercept=False,
            bounds=(0, None),
            tol=1e-8,
            max_iter=5000,
        )
        assert result.coef[0] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("solver", ["auto", *RULES])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_epoch_of_every_rule_is_within_them(loss, solver):
    """From a start that is not, on dense and sparse rows, averaged or not."""
    if loss == "perceptron" and solver == "auto":
        return
    X, y, _, _ = problem(loss, k=2, n=60, d=5)
    low, high = limits((2, 5), 1)
    for rows, average in ((X, False), (sp.csr_matrix(X), False), (X, solver == "sgd")):
        result = gdfast.gradient_descent(
            rows,
            y,
            loss=loss,
            solver=solver,
            bounds=(low, high),
            coef_init=np.full((2, 5), 0.5),
            max_iter=4,
            tol=None,
            random_state=0,
            keep_path=True,
            average=average,
            eta0=0.01,
            learning_rate="constant",
        )
        assert_within(result.coef, low, high)
        assert_within(np.asarray(result.path.coef), low, high)


def test_a_callback_that_ends_the_first_output_leaves_the_others_within_them():
    X, y, _, _ = problem("huber", k=3)
    seen = []
    result = gdfast.gradient_descent(
        X,
        y,
        loss="huber",
        solver="auto",
        bounds=(0, None),
        coef_init=np.full((3, 6), -1.0),
        callback=lambda state: seen.append(state.coef) or True,
    )
    assert (result.coef >= 0).all()
    assert (np.array(seen) >= 0).all()


# ---- beside others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_least_squares_within_bounds(scale):
    """Beside lsq_linear, nnls and Ridge(positive=True), also on features of scales far apart."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8)) * scale ** rng.uniform(-1, 1, 8)
    y = X @ (rng.normal(size=8) / np.abs(X).max(axis=0)) + rng.normal(size=200)
    low, high = -0.1 / np.abs(X).max(axis=0), 0.15 / np.abs(X).max(axis=0)
    result = gdfast.gradient_descent(X, y, solver="auto", fit_intercept=False, bounds=(low, high), tol=1e-13)
    assert_allclose(result.coef, lsq_linear(X, y, (low, high), tol=1e-14).x, rtol=1e-4, atol=1e-5 * np.abs(high).min())
    result = gdfast.gradient_descent(X, y, solver="auto", fit_intercept=False, bounds=(0, None), tol=1e-13)
    assert_allclose(result.coef, nnls(X, y)[0], rtol=1e-5, atol=1e-6 * np.abs(high).min())
    result = gdfast.gradient_descent(X, y, solver="auto", bounds=(0, None), alpha=0.01, tol=1e-13)
    other = Ridge(2.0, positive=True, tol=1e-8).fit(X, y)
    error = reference.error_and_gradient(X, y, other.coef_, other.intercept_, alpha=0.01)[0]
    assert result.error <= error * (1 + 1e-9)
    assert result.error == pytest.approx(error, rel=1e-4)


def test_elastic_net_of_positive_weights():
    X, y, _, _ = problem("squared_error", n=200, d=30)
    other = ElasticNet(0.05, l1_ratio=0.7, positive=True, tol=1e-12, max_iter=10**5).fit(X, y)
    result = gdfast.gradient_descent(X, y, solver="auto", alpha=0.05, l1_ratio=0.7, bounds=(0, None), tol=1e-13)
    assert_allclose(result.coef, other.coef_, atol=1e-6)
    assert_array_equal(result.coef == 0, other.coef_ == 0)


@pytest.mark.parametrize("codes", [True, False])
def test_softmax_within_bounds_of_each_class(codes):
    X = np.random.default_rng(0).normal(size=(200, 4))
    y = np.random.default_rng(1).integers(0, 3, 200)
    labels = np.eye(3)[y]
    low, high = limits((3, 4), 2)
    result = gdfast.gradient_descent(
        X, y if codes else labels, loss="log_loss", alpha=0.01, solver="auto", bounds=(low, high), tol=1e-11
    )
    assert_within(result.coef, low, high)
    assert_optimal(X, labels, result, low, high, loss="log_loss", alpha=0.01)


def test_softmax_of_labels_that_do_not_sum_to_1():
    """From a start far off, where rows of more than one whole label once seemed to bend the wrong way."""
    X, y, _, _ = problem("log_loss", k=2, n=60, d=5)
    assert y.sum(axis=1).max() > 1.5
    low, high = limits((2, 5), 1)
    for start in (np.full((2, 5), 3.0), np.zeros((2, 5))):
        terms = {"loss": "log_loss", "alpha": 0.001}
        result = gdfast.gradient_descent(X, y, solver="auto", bounds=(low, high), coef_init=start, tol=1e-11, **terms)
        assert result.converged
        assert_optimal(X, y, result, low, high, **terms)


@pytest.mark.parametrize("solver", ["auto", "gd"])
def test_equal_bounds_fix_a_weight(solver):
    """As an offset would."""
    X, y, _, _ = problem("log_loss", n=200, d=5)
    low, high = np.full(5, -np.inf), np.full(5, np.inf)
    low[2] = high[2] = 0.7
    terms = {"loss": "log_loss", "solver": solver, "tol": 1e-12, "max_iter": 10_000}
    fixed = gdfast.gradient_descent(X, y, bounds=(low, high), **terms)
    free = gdfast.gradient_descent(np.delete(X, 2, axis=1), y, offset=0.7 * X[:, 2], **terms)
    assert fixed.coef[2] == 0.7
    assert_allclose(np.delete(fixed.coef, 2), free.coef, atol=1e-4)
    assert fixed.error == pytest.approx(free.error, rel=1e-9)


@pytest.mark.parametrize("solver", ["auto", *RULES])
def test_bounds_that_nowhere_bind_change_nothing(solver):
    X, y, _, _ = problem("log_loss", n=100, d=5)
    terms = {"loss": "log_loss", "solver": solver, "alpha": 0.1, "random_state": 0, "max_iter": 50, "tol": None}
    free, wide, none = (gdfast.gradient_descent(X, y, bounds=b, **terms) for b in (None, (-1e3, 1e3), (None, np.inf)))
    assert_array_equal(free.coef, none.coef)
    assert_allclose(free.coef, wide.coef, rtol=1e-4, atol=1e-5)


def test_wide_rows_within_bounds():
    """More columns than the full metric is made for."""
    rng = np.random.default_rng(0)
    X = sp.random(300, 3000, 0.02, format="csr", random_state=0)
    y = (X @ rng.normal(size=3000) > 0).astype(float)
    result = gdfast.gradient_descent(X, y, loss="log_loss", alpha=0.01, solver="auto", bounds=(0, None), tol=1e-9)
    assert result.converged
    assert_optimal(X.toarray(), y, result, 0, np.inf, loss="log_loss", alpha=0.01)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        (0, "bounds must be a pair (low, high), got 0"),
        ((0, 1, 2), "bounds must be a pair (low, high), got (0, 1, 2)"),
        ((1, 0), "bounds must have low <= high, got 1.0 > 0.0 for coef[0, 0]"),
        ((np.zeros(5), [1, 1, 1, -2, 1]), "bounds must have low <= high, got 0.0 > -2.0 for coef[0, 3]"),
        ((np.zeros(4), None), "bounds must broadcast to the shape (1, 5) of coef, got (4,)"),
        ((np.nan, None), "bounds must be numbers or None, got NaN"),
        ((np.inf, None), "bounds must leave room for finite weights, got inf"),
        ((None, -np.inf), "bounds must leave room for finite weights, got -inf"),
        (("a", None), "bounds must be an array of numbers"),
        ((1j, None), "Complex data not supported: bounds is complex128"),
    ],
)
def test_bad_bounds_are_named(bounds, message):
    X, y, _, _ = problem("log_loss", d=5)
    for solver in ("auto", "sgd"):
        with pytest.raises(ValueError, match=re.escape(message)):
            gdfast.gradient_descent(X, y, solver=solver, bounds=bounds)


def test_bounds_are_not_written_to():
    X, y, _, _ = problem("log_loss", d=5)
    low = np.zeros(5)
    low.setflags(write=False)
    gdfast.gradient_descent(X, y, bounds=(low, None), max_iter=3, tol=None)
    assert not low.any()
