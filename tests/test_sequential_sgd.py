"""One row per update, in the given order: the loop that is written out here, to 14 decimals, and scikit-learn's SGD."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import problem
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier, SGDRegressor

import gdfast
from gdfast import GDClassifier, GDRegressor

pytestmark = pytest.mark.filterwarnings("ignore:Maximum number of iteration")

# ---- the loop -----------------------------------------------------------------------------------------------------

EPSILON, LEVEL = 0.3, 0.37
LOSSES = {  # (error, slope) at raw score z and target y, both numbers
    "squared_error": lambda z, y: ((z - y) ** 2 / 2, z - y),
    "absolute_error": lambda z, y: (abs(z - y), np.sign(z - y)),
    "huber": lambda z, y: (
        ((z - y) ** 2 / 2, z - y)
        if abs(z - y) <= EPSILON
        else (EPSILON * abs(z - y) - EPSILON**2 / 2, EPSILON * np.sign(z - y))
    ),
    "quantile": lambda z, y: (LEVEL * (y - z), -LEVEL) if z < y else ((1 - LEVEL) * (z - y), 1 - LEVEL),
    "epsilon_insensitive": lambda z, y: (abs(z - y) - EPSILON, np.sign(z - y)) if abs(z - y) > EPSILON else (0.0, 0.0),
    "squared_epsilon_insensitive": lambda z, y: (
        ((abs(z - y) - EPSILON) ** 2, 2 * (abs(z - y) - EPSILON) * np.sign(z - y))
        if abs(z - y) > EPSILON
        else (0.0, 0.0)
    ),
    "poisson": lambda z, y: (np.exp(z) - y * z, np.exp(z) - y),
    "gamma": lambda z, y: (z + y * np.exp(-z), 1 - y * np.exp(-z)),
    "log_loss": lambda z, y: (np.log1p(np.exp(z)) - y * z, 1 / (1 + np.exp(-z)) - y),
    "hinge": lambda z, y: (1 - y * z, -y) if y * z <= 1 else (0.0, 0.0),
    "squared_hinge": lambda z, y: ((1 - y * z) ** 2, -2 * y * (1 - y * z)) if y * z < 1 else (0.0, 0.0),
    "modified_huber": lambda z, y: (
        (-4 * y * z, -4 * y) if y * z < -1 else ((1 - y * z) ** 2, -2 * y * (1 - y * z)) if y * z < 1 else (0.0, 0.0)
    ),
    "perceptron": lambda z, y: (-y * z, -y) if y * z <= 0 else (0.0, 0.0),
}
ETA0, POWER_T, ALPHA = 0.05, 0.4, 0.3
PENALTIES = {"none": (0.0, 0.0), "l2": (ALPHA, 0.0), "l1": (0.0, ALPHA / 30)}
FIRST_RATE = ALPHA**-0.25  # "optimal": the size that weights are expected to have; the slope there is below 1


def rate(schedule, t, adaptive):
    """The learning rate of update t = 1, 2 ..."""
    if schedule == "invscaling":
        return ETA0 / t**POWER_T
    if schedule == "optimal":
        return 1 / (ALPHA * (1 / (ALPHA * FIRST_RATE) + t - 1))
    return adaptive if schedule == "adaptive" else ETA0


def sequential_sgd(X, y, loss, schedule, penalty, *, epochs, average=0, weight=None, fit_intercept=True):
    """w <- w - eta dE/dw row by row, with the proximal step for L1 and the mean of the weights from `average` on."""
    l2, l1 = PENALTIES[penalty]
    n, d = X.shape
    share = np.ones(n) if weight is None else weight / weight.mean()
    w, b, mean_w, mean_b = np.zeros(d), 0.0, np.zeros(d), 0.0
    t, adaptive, best, waited = 0, ETA0, np.inf, 0
    for _ in range(epochs):
        met = 0.0
        for x, target, s in zip(X, y, share, strict=True):
            t += 1
            eta = rate(schedule, t, adaptive)
            error, slope = LOSSES[loss](x @ w + b, target)
            met += s * error / n
            w = w - eta * (s * slope * x + l2 * w)
            w = np.sign(w) * np.maximum(abs(w) - eta * l1, 0)
            b = b - eta * s * slope * fit_intercept
            if 0 < average <= t:
                mean_w = mean_w + (w - mean_w) / (t - average + 1)
                mean_b = mean_b + (b - mean_b) / (t - average + 1)
        kept = mean_w if 0 < average <= t else w
        met += l2 / 2 * kept @ kept + l1 * abs(kept).sum()
        waited = 0 if met < best - TOL * abs(best) or best == np.inf else waited + 1
        best = min(best, met)
        if waited == PATIENCE:
            adaptive, waited = adaptive / 5, 0
    return (mean_w, mean_b) if 0 < average <= t else (w, b)


TOL, PATIENCE = 0.9, 2  # no epoch gains that much: the adaptive rate falls every second epoch


@pytest.mark.parametrize("average", [False, True, 50])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "optimal", "adaptive"])
@pytest.mark.parametrize("loss", LOSSES)
def test_it_is_the_loop_to_14_decimals(loss, schedule, penalty, average):
    X, y, _, _ = problem(loss, n=30, d=5)
    X = 0.3 * X
    s = 0.1 + np.random.default_rng(1).random(30)
    l2, l1 = PENALTIES[penalty]
    options = {"loss": loss, "alpha": l2 + l1, "l1_ratio": float(l1 > 0), "learning_rate": schedule, "eta0": ETA0}
    options |= {"power_t": POWER_T, "average": average, "epsilon": EPSILON, "quantile": LEVEL, "max_iter": 7}
    options |= {"tol": TOL, "n_iter_no_change": PATIENCE} if schedule == "adaptive" else {"tol": None}
    options |= {"optimal_alpha": ALPHA} if schedule == "optimal" else {}
    for weight, fit_intercept in [(None, True), (s, True), (s, False)]:
        ours = gdfast.gradient_descent(
            X,
            y,
            solver="sgd",
            batch_size=1,
            shuffle=False,
            sample_weight=weight,
            fit_intercept=fit_intercept,
            **options,
        )
        w, b = sequential_sgd(
            X, y, loss, schedule, penalty, epochs=7, average=int(average), weight=weight, fit_intercept=fit_intercept
        )
        assert ours.t == 210 and np.abs(w).max() > 1e-3
        assert_allclose(ours.coef, w, rtol=0, atol=1.5e-14 * max(1, np.abs(w).max()))
        assert_allclose(ours.intercept, b, rtol=0, atol=1.5e-14 * max(1, abs(b)))


@pytest.mark.parametrize("average", [False, True])
def test_softmax_is_the_loop_to_14_decimals(average):
    X, codes = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    W, b = np.zeros((3, 4)), np.zeros(3)
    path = []
    for _ in range(2):
        for x, code in zip(X, codes, strict=True):
            odds = np.exp(W @ x + b)
            slope = odds / odds.sum() - np.eye(3)[code]
            W, b = W - 0.1 * (np.outer(slope, x) + 0.01 * W), b - 0.1 * slope
            path.append(np.column_stack([W, b]))
    expected = np.mean(path, axis=0) if average else path[-1]
    options = {"alpha": 0.01, "solver": "sgd", "batch_size": 1, "shuffle": False, "learning_rate": "constant"}
    ours = gdfast.gradient_descent(
        X, codes, loss="log_loss", eta0=0.1, average=average, max_iter=2, tol=None, **options
    )
    assert_allclose(np.column_stack([ours.coef, ours.intercept]), expected, rtol=0, atol=1.5e-14)


# ---- scikit-learn's SGD -------------------------------------------------------------------------------------------

SEQUENTIAL = {"solver": "sgd", "batch_size": 1}
OF_REGRESSORS = ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive")
OF_CLASSIFIERS = ("log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron")


def labels_or_numbers(loss, n=60, d=6):
    """X, y, our estimator and theirs."""
    X, y, _, _ = problem(loss, n=n, d=d)
    X = 0.2 * X  # so that no rate of "optimal" is so large that rounding grows
    if loss in OF_REGRESSORS:
        return X, y, GDRegressor, SGDRegressor
    return X, np.where(y > 0.5, "yes", "no"), GDClassifier, SGDClassifier


def assert_same_weights(ours, theirs):
    assert ours.t_ == theirs.t_ and ours.n_iter_ == theirs.n_iter_
    assert ours.coef_.shape == theirs.coef_.shape and ours.intercept_.shape == theirs.intercept_.shape
    scale = np.abs(theirs.coef_).max()
    assert scale > 1e-3
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-12, atol=1e-12 * scale)
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-12, atol=1e-12 * scale)


@pytest.mark.parametrize("average", [False, True, 100])
@pytest.mark.parametrize("penalty", ["l2", None])
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "optimal"])
@pytest.mark.parametrize("loss", OF_REGRESSORS + OF_CLASSIFIERS)
def test_it_is_scikit_learns_sgd(loss, schedule, penalty, average):
    X, y, Ours, Theirs = labels_or_numbers(loss)
    options = {"loss": loss, "penalty": penalty, "alpha": 0.1, "learning_rate": schedule, "eta0": 0.03}
    options |= {"power_t": 0.3, "average": average, "epsilon": 0.2, "max_iter": 4, "tol": None, "shuffle": False}
    for fit_intercept in (True, False):
        ours = Ours(fit_intercept=fit_intercept, **SEQUENTIAL, **options).fit(X, y)
        assert_same_weights(ours, Theirs(fit_intercept=fit_intercept, **options).fit(X, y))


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "epsilon_insensitive", "log_loss", "hinge", "modified_huber"])
def test_sample_weights_of_mean_1_are_scikit_learns(loss, average):
    X, y, Ours, Theirs = labels_or_numbers(loss)
    s = np.random.default_rng(0).random(len(X))
    options = {"loss": loss, "learning_rate": "invscaling", "average": average, "max_iter": 4, "tol": None}
    options |= {"shuffle": False, "power_t": 0.25, "eta0": 0.01}
    ours = Ours(**SEQUENTIAL, **options).fit(X, y, sample_weight=7 * s)
    assert_same_weights(ours, Theirs(**options).fit(X, y, sample_weight=s / s.mean()))


@pytest.mark.parametrize("loss", OF_CLASSIFIERS)
def test_class_weights_of_two_classes_are_scikit_learns(loss):
    X, y, _, _ = labels_or_numbers(loss, n=61)
    options = {"loss": loss, "learning_rate": "constant", "eta0": 0.02, "max_iter": 4, "tol": None, "shuffle": False}
    ours = GDClassifier(class_weight="balanced", **SEQUENTIAL, **options).fit(X, y)
    assert_same_weights(ours, SGDClassifier(class_weight="balanced", **options).fit(X, y))
    share = np.mean(y == "yes")
    mean = 3 * share + 0.5 * (1 - share)
    ours = GDClassifier(class_weight={"yes": 3.0, "no": 0.5}, **SEQUENTIAL, **options).fit(X, y)
    theirs = SGDClassifier(class_weight={"yes": 3 / mean, "no": 0.5 / mean}, **options).fit(X, y)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "modified_huber", "perceptron"])
def test_one_against_the_rest_is_scikit_learns(loss, average):
    X, y = load_iris(return_X_y=True)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    options = {"loss": loss, "learning_rate": "optimal", "alpha": 0.01, "average": average, "max_iter": 5, "tol": None}
    ours = GDClassifier(shuffle=False, **SEQUENTIAL, **options).fit(X, y)
    theirs = SGDClassifier(shuffle=False, **options).fit(X, y)
    assert_same_weights(ours, theirs)
    assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-10, atol=1e-10)
    assert list(ours.predict(X)) == list(theirs.predict(X))
    if loss == "modified_huber":
        assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-10)


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_initial_weights_and_warm_starts_are_scikit_learns(loss):
    X, y, Ours, Theirs = labels_or_numbers(loss)
    options = {
        "loss": loss,
        "learning_rate": "invscaling",
        "power_t": 0.5,
        "eta0": 0.01,
        "max_iter": 2,
        "tol": None,
        "shuffle": False,
    }
    ours, theirs = Ours(**SEQUENTIAL, **options), Theirs(**options)
    start = {"coef_init": np.linspace(-1, 1, 6), "intercept_init": 0.5}
    assert_same_weights(ours.fit(X, y, **start), theirs.fit(X, y, **start))
    for model in (ours, theirs):
        model.set_params(warm_start=True, eta0=0.05)
    assert_same_weights(ours.fit(X, y), theirs.fit(X, y))
