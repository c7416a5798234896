"""What sample weights mean where scikit-learn's check of repetitions cannot be made: mini-batches, rows held out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import problem

import gdfast
from gdfast import GDClassifier, GDRegressor

RULES = ("sgd", "adagrad", "rmsprop", "adam")
LOSSES = ("squared_error", "huber", "log_loss", "hinge", "poisson")
pytestmark = pytest.mark.filterwarnings("ignore:Maximum number of iteration")


def weighted(loss, n=40):
    X, y, _, _ = problem(loss, n=n, d=5)
    return 0.3 * X, y, np.random.default_rng(3).integers(0, 4, n)


def repeated(X, y, s):
    return X.repeat(s, axis=0), y.repeat(s)


def end(X, y, **options):
    result = gdfast.gradient_descent(X, y, alpha=0.1, **options)
    return np.append(result.coef, result.intercept)


@pytest.mark.parametrize("options", [{}, {"average": True}, {"l1_ratio": 0.5}, {"learning_rate": "optimal"}])
@pytest.mark.parametrize("solver", RULES)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_of_all_rows_counts_repetitions(loss, solver, options):
    X, y, s = weighted(loss)
    options = {"learning_rate": "constant", "eta0": 0.05, "max_iter": 20, "tol": None} | options
    options |= {"loss": loss, "solver": solver, "batch_size": 1000, "random_state": 0}
    expected = end(*repeated(X, y, s), **options)
    assert_allclose(end(X, y, sample_weight=s, **options), expected, rtol=1e-9, atol=1e-12)
    assert np.abs(end(X, y, **options) - expected).max() > 1e-4


@pytest.mark.parametrize("solver", RULES)
def test_rows_of_weight_0_are_absent_from_a_batch_of_all_rows(solver):
    X, y, s = weighted("log_loss")
    s = np.where(s == 0, 0, 1)
    X[s == 0] *= 1e3
    options = {"loss": "log_loss", "solver": solver, "batch_size": 40, "learning_rate": "constant", "eta0": 0.1}
    options |= {"max_iter": 20, "tol": None, "shuffle": False}
    assert_allclose(end(X, y, sample_weight=s, **options), end(X[s > 0], y[s > 0], **options), rtol=1e-10)


@pytest.mark.parametrize("batch_size", [1, 7, 28])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_mean_step_of_an_epoch_is_the_gradient_of_the_weighted_error(loss, batch_size):
    """At a rate so small that nothing moves meanwhile: weights and repetitions agree on where an epoch leads."""
    X, y, s = weighted(loss, n=56)
    w, b = np.linspace(-1, 1, 5), 0.3
    _, g, h = gdfast.error_and_gradient(X, y, w, b, loss=loss, sample_weight=s, alpha=0.1)
    start = {"coef_init": w, "intercept_init": b}
    options = {"loss": loss, "solver": "sgd", "learning_rate": "constant", "eta0": 1e-9, "max_iter": 1, "tol": None}
    options |= {"batch_size": batch_size, "random_state": 1, "alpha": 0.1} | start
    steps = 56 // batch_size
    result = gdfast.gradient_descent(X, y, sample_weight=s, **options)
    moved = np.append(result.coef - w, result.intercept - b) / (-1e-9 * steps)
    assert_allclose(moved, np.append(g, h), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("solver", ["auto", "gd", *RULES])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_unit_of_the_weights_does_not_matter(loss, solver):
    X, y, s = weighted(loss)
    options = {
        "loss": loss,
        "solver": solver,
        "max_iter": 20,
        "tol": None,
        "random_state": 0,
        "learning_rate": "constant",
    }
    assert_allclose(
        end(X, y, sample_weight=1024.0 * s, **options), end(X, y, sample_weight=s, **options), rtol=1e-9, atol=1e-12
    )
    assert_allclose(end(X, y, sample_weight=np.full(40, 8.0), **options), end(X, y, **options), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("Estimator", [GDRegressor, GDClassifier])
def test_validation_rows_of_ones_own_may_be_weighted_or_repeated(Estimator):
    """A draw of rows to hold out differs; rows that are given do not."""
    X, y, s = weighted("log_loss" if Estimator is GDClassifier else "squared_error", n=300)
    y = y > 0.5 if Estimator is GDClassifier else y
    train, val = slice(0, 200), slice(200, 300)
    model = Estimator(tol=1e-10, alpha=1e-3)
    many = model.fit(*repeated(X[train], y[train], s[train]), X_val=X[val], y_val=y[val])
    many_coef, many_curve = many.coef_, many.validation_curve_
    few = Estimator(tol=1e-10, alpha=1e-3).fit(X[train], y[train], sample_weight=s[train], X_val=X[val], y_val=y[val])
    assert_allclose(few.coef_, many_coef, rtol=1e-7)
    assert_allclose(few.validation_curve_, many_curve, rtol=1e-7)
    X_val, y_val = repeated(X[val], y[val], s[val])
    once = Estimator(random_state=0).fit(X[train], y[train], X_val=X_val, y_val=y_val)
    again = Estimator(random_state=0).fit(X[train], y[train], X_val=X[val], y_val=y[val], sample_weight_val=s[val])
    assert_allclose(once.validation_curve_, again.validation_curve_, rtol=1e-12)


def test_weights_move_with_their_rows_when_rows_are_held_out():
    X, y, s = weighted("log_loss", n=300)
    model = GDClassifier(early_stopping=True, validation_fraction=0.2, random_state=4)
    model.fit(X, y > 0.5, sample_weight=s)
    rows, held_out = (np.sort(part) for part in model._split((y > 0.5).astype(np.uint8)))
    same = GDClassifier(random_state=4).fit(
        X[rows],
        y[rows] > 0.5,
        sample_weight=s[rows],
        X_val=X[held_out],
        y_val=y[held_out] > 0.5,
        sample_weight_val=s[held_out],
    )
    assert_array_equal(model.coef_, same.coef_)
    assert_array_equal(model.validation_curve_, same.validation_curve_)
