"""A descent that goes on from another's state is one descent in two parts, to the last bit."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

import gdfast

RULES = [
    {"solver": "sgd", "batch_size": 1},
    {"solver": "sgd", "batch_size": 8, "momentum": 0.9, "nesterovs_momentum": True},
    {"solver": "sgd", "average": 40},
    {"solver": "sgd", "learning_rate": "invscaling", "eta0": 0.1},
    {"solver": "sgd", "learning_rate": "optimal", "l1_ratio": 0.3},
    {"solver": "sgd", "learning_rate": "adaptive", "eta0": 0.1},
    {"solver": "adagrad"},
    {"solver": "rmsprop"},
    {"solver": "adam", "average": True},
    {"solver": "gd", "learning_rate": "constant", "momentum": 0.5},
    {"solver": "gd"},
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(203, 7))
    return X, (X @ rng.normal(size=7) + rng.logistic(size=203) > 0).astype(float)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_two_parts_are_one_descent(data, rule):
    settings = {"loss": "log_loss", "alpha": 1e-3, "tol": None, "random_state": 3, **rule}
    whole = gdfast.gradient_descent(*data, max_iter=9, **settings)
    first = gdfast.gradient_descent(*data, max_iter=4, **settings)
    state = pickle.loads(pickle.dumps(first.state))
    rest = gdfast.gradient_descent(*data, max_iter=5, state=state, **settings)
    assert np.array_equal(rest.coef, whole.coef)
    assert rest.intercept == whole.intercept
    assert rest.t == whole.t and rest.state.epoch == whole.state.epoch
    assert np.array_equal(np.append(first.loss_curve, rest.loss_curve), whole.loss_curve)


def test_resuming_leaves_the_state_alone(data):
    first = gdfast.gradient_descent(*data, solver="adam", max_iter=2, tol=None, random_state=0)
    before = pickle.dumps(first.state)
    gdfast.gradient_descent(*data, solver="adam", max_iter=2, tol=None, random_state=0, state=first.state)
    assert pickle.dumps(first.state) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"weights": np.zeros(3)}, ValueError, r"state.weights must be of size 8, got 3"),
        ({"square": None}, ValueError, r"state.square must be present for this rule"),
        ({"mean": np.zeros(8)}, ValueError, r"state.mean must be absent for this rule"),
        ({"velocity": np.full(8, np.nan)}, ValueError, r"state.velocity contains NaN"),
        ({"t": -1}, ValueError, r"state.t must be an integer >= 0"),
        ({"epoch": 1.5}, TypeError, r"state.epoch must be an integer >= 0"),
        ({"eta": np.inf}, ValueError, r"state.eta must be a finite float >= 0"),
    ],
)
def test_bad_states_are_refused(data, change, error, message):
    state = gdfast.gradient_descent(*data, solver="adam", max_iter=1, tol=None).state
    with pytest.raises(error, match=message):
        gdfast.gradient_descent(*data, solver="adam", state=dataclasses.replace(state, **change))


def test_a_state_is_a_state(data):
    with pytest.raises(TypeError, match="state must be a RuleState, got 7"):
        gdfast.gradient_descent(*data, state=7)
    state = gdfast.gradient_descent(*data, max_iter=1, tol=None).state
    with pytest.raises(ValueError, match="coef_init and intercept_init must be None where state is given"):
        gdfast.gradient_descent(*data, state=state, coef_init=np.zeros(7))


@pytest.mark.parametrize("batch_size", [1, 20])
def test_weights_of_a_part_count_against_those_of_the_whole(data, batch_size):
    X, y = data[0][:200], data[1][:200]
    weight = np.linspace(0.1, 4.0, 200)
    settings = {"solver": "sgd", "loss": "log_loss", "learning_rate": "constant", "eta0": 0.1, "shuffle": False}
    settings |= {"batch_size": batch_size, "tol": None, "max_iter": 1}
    whole = gdfast.gradient_descent(X, y, sample_weight=weight, **settings)
    state = None
    for rows in (slice(0, 80), slice(80, 200)):
        part = {"sample_weight": weight[rows], "mean_weight": weight.mean()}
        result = gdfast.gradient_descent(X[rows], y[rows], state=state, **part, **settings)
        state = result.state
    np.testing.assert_allclose(result.coef, whole.coef, rtol=1e-13)
    with pytest.raises(ValueError, match="mean_weight must be a finite float > 0, got 0"):
        gdfast.gradient_descent(X, y, mean_weight=0.0)
