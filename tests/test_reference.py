"""The NumPy twin against mathematics: differences, closed forms, and rules that other libraries implement.

The twin is what the kernels are compared with, so nothing here touches a kernel.
"""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest
from problems import LOSSES, MARGIN_LOSSES, central_differences, problem, targets
from scipy.special import log_softmax, softmax
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from gdfast import reference
from gdfast.reference import error_and_gradient, gradient_descent

KINKED = ("absolute_error", "quantile", "epsilon_insensitive", "hinge", "perceptron")
MEMORYLESS = {"learning_rate": "constant", "tol": None}


# ---- losses --------------------------------------------------------------------------------------


def test_it_shares_nothing_with_the_engine_and_stays_short():
    source = inspect.getsource(reference)
    imported = {
        name.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    assert imported == {"__future__", "types", "typing", "numpy", "numpy.typing"}
    assert len(source.splitlines()) < 370


@pytest.mark.parametrize("loss", LOSSES)
def test_derivative_and_curvature_are_slopes(loss):
    rng = np.random.default_rng(1)
    z = rng.uniform(-4, 4, 2000)
    y = targets(loss, z.size, rng)
    h = 1e-6
    parameters = {"epsilon": 0.7, "quantile": 0.3}
    (below, slope_below, curvature_below), (above, slope_above, curvature_above) = (
        reference.loss(loss, z + step, y, **parameters) for step in (-h, h)
    )
    _, slope, curvature = reference.loss(loss, z, y, **parameters)
    assert np.ptp(slope) > 0.5
    smooth = (np.abs(slope_above - slope_below) < 0.1) & (curvature_below == curvature_above)
    if loss in ("poisson", "gamma", "log_loss"):
        smooth = np.ones_like(smooth)
    assert smooth.mean() > 0.99
    np.testing.assert_allclose(slope[smooth], ((above - below) / (2 * h))[smooth], rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(curvature[smooth], ((slope_above - slope_below) / (2 * h))[smooth], rtol=1e-7, atol=1e-8)
    assert (curvature.any()) != (loss in KINKED)


@pytest.mark.parametrize(
    "loss, z, y, error, slope",
    [
        ("squared_error", 3.0, 1.0, 2.0, 2.0),
        ("absolute_error", 1.0, 3.0, 2.0, -1.0),
        ("absolute_error", 3.0, 3.0, 0.0, 0.0),
        ("huber", 3.5, 3.0, 0.125, 0.5),
        ("huber", 0.0, 3.0, 1.5 * 3 - 1.125, -1.5),
        ("quantile", 1.0, 3.0, 0.2 * 2, -0.2),
        ("quantile", 3.0, 1.0, 0.8 * 2, 0.8),
        ("quantile", 1.0, 1.0, 0.0, 0.6),
        ("epsilon_insensitive", 1.0, 3.0, 0.5, -1.0),
        ("epsilon_insensitive", 2.0, 3.0, 0.0, 0.0),
        ("epsilon_insensitive", 1.5, 0.0, 0.0, 1.0),
        ("squared_epsilon_insensitive", 5.0, 3.0, 0.25, 1.0),
        ("poisson", 0.0, 3.0, 1.0, -2.0),
        ("gamma", 0.0, 3.0, 3.0, -2.0),
        ("log_loss", 0.0, 1.0, np.log(2), -0.5),
        ("log_loss", np.log(3), 0.0, np.log(4), 0.75),
        ("hinge", 0.5, 1.0, 0.5, -1.0),
        ("hinge", 1.0, 1.0, 0.0, -1.0),
        ("hinge", 1.5, 1.0, 0.0, 0.0),
        ("squared_hinge", 0.5, -1.0, 2.25, 3.0),
        ("modified_huber", -1.0, 1.0, 4.0, -4.0),
        ("modified_huber", -3.0, 1.0, 12.0, -4.0),
        ("modified_huber", 0.5, 1.0, 0.25, -1.0),
        ("perceptron", -2.0, 1.0, 2.0, -1.0),
        ("perceptron", 0.0, -1.0, 0.0, 1.0),
        ("perceptron", 2.0, 1.0, 0.0, 0.0),
    ],
)
def test_values_by_hand(loss, z, y, error, slope):
    got_error, got_slope, _ = reference.loss(loss, z, y, epsilon=1.5, quantile=0.2)
    assert got_error == pytest.approx(error, rel=1e-15) and got_slope == pytest.approx(slope, rel=1e-15)


def test_softmax_against_scipy_and_differences():
    rng = np.random.default_rng(2)
    Z, Y = rng.normal(scale=3, size=(50, 4)), rng.random((50, 4))
    error, slope = reference.softmax_loss(Z, Y)
    np.testing.assert_allclose(error, -(Y * log_softmax(Z, axis=1)).sum(axis=1), rtol=1e-13)
    np.testing.assert_allclose(slope, Y.sum(axis=1, keepdims=True) * softmax(Z, axis=1) - Y, atol=1e-14)
    np.testing.assert_allclose(
        slope, central_differences(lambda Z: reference.softmax_loss(Z, Y)[0].sum(), Z), atol=1e-7
    )


def test_softmax_of_two_classes_is_log_loss():
    z, y = np.linspace(-30, 30, 61), np.linspace(0, 1, 61)[::-1]
    error, slope = reference.softmax_loss(np.column_stack([0 * z, z]), np.column_stack([1 - y, y]))
    expected, expected_slope, _ = reference.loss("log_loss", z, y)
    np.testing.assert_allclose(error, expected, rtol=1e-14)
    np.testing.assert_allclose(slope, np.column_stack([-expected_slope, expected_slope]), atol=3e-16)


# ---- error and gradient --------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_the_slope_of_the_error(loss, k):
    X, y, coef, intercept = problem(loss, k)
    rng = np.random.default_rng(4)
    options = {
        "loss": loss, "alpha": 0.3, "l1_ratio": 0.4, "sample_weight": rng.random(len(X)),
        "offset": rng.normal(size=len(X)), "epsilon": 0.2, "quantile": 0.7,
    }  # fmt: skip
    error, grad_coef, grad_intercept = error_and_gradient(X, y, coef, intercept, **options)
    assert isinstance(error, float) and np.shape(grad_coef) == np.shape(coef)
    assert isinstance(grad_intercept, float) if k == 1 else grad_intercept.shape == (k,)
    slopes = central_differences(lambda w: error_and_gradient(X, y, w, intercept, **options)[0], coef)
    bias_slopes = central_differences(
        lambda b: error_and_gradient(X, y, coef, b if k > 1 else float(b[0]), **options)[0],
        np.atleast_1d(intercept),
    )
    np.testing.assert_allclose(grad_coef, slopes, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(np.atleast_1d(grad_intercept), bias_slopes, rtol=1e-6, atol=1e-7)


def test_objective_by_hand():
    X, y = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([1.0, 2.0])
    s, offset, w, b = np.array([1.0, 3.0]), np.array([0.5, -0.5]), np.array([2.0, -1.0]), 0.25
    r = np.array([1 * 2 - 2 + 0.25 + 0.5 - 1, 6 + 1 + 0.25 - 0.5 - 2])
    error = (1 * r[0] ** 2 + 3 * r[1] ** 2) / 2 / 4 + 0.8 * (0.75 / 2 * 5 + 0.25 * 3)
    grad = (r[0] * X[0] + 3 * r[1] * X[1]) / 4 + 0.8 * (0.75 * w + 0.25 * np.sign(w))
    got = error_and_gradient(X, y, w, b, alpha=0.8, l1_ratio=0.25, sample_weight=s, offset=offset)
    np.testing.assert_allclose(got[0], error, rtol=1e-15)
    np.testing.assert_allclose(got[1], grad, rtol=1e-15)
    np.testing.assert_allclose(got[2], (r[0] + 3 * r[1]) / 4, rtol=1e-15)


def test_shortest_subgradient_at_zero():
    X, y, coef, _ = problem("squared_error", d=8)
    coef[::2] = 0
    strength = 0.1
    smooth = error_and_gradient(X, y, coef)[1]
    got = error_and_gradient(X, y, coef, alpha=strength, l1_ratio=1.0)[1]
    np.testing.assert_array_equal(got[1::2], (smooth + strength * np.sign(coef))[1::2])
    for g, shortest in zip(smooth[::2], got[::2], strict=True):
        slopes = g + strength * np.linspace(-1, 1, 20001)
        assert abs(shortest) == pytest.approx(np.abs(slopes).min(), abs=1e-4)
    assert (got == 0).any() and (got[::2] != 0).any()


@pytest.mark.parametrize("loss", ["log_loss", *MARGIN_LOSSES])
def test_class_codes(loss):
    X, _, coef, intercept = problem(loss, k=3)
    codes = np.random.default_rng(5).integers(0, 3, len(X))
    columns = np.where(codes[:, None] == np.arange(3), 1.0, 0.0 if loss == "log_loss" else -1.0)
    by_code = error_and_gradient(X, codes, coef, intercept, loss=loss)
    by_column = error_and_gradient(X, columns, coef, intercept, loss=loss)
    for a, b in zip(by_code, by_column, strict=True):
        np.testing.assert_array_equal(a, b)
    if loss != "log_loss":  # one against the rest: the errors of three neurons add up
        alone = [
            error_and_gradient(X, c, w, b, loss=loss)[0] for c, w, b in zip(columns.T, coef, intercept, strict=True)
        ]
        assert by_code[0] == pytest.approx(sum(alone))


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_a_weight_counts_as_repetition(loss):
    X, y, coef, intercept = problem(loss)
    times = np.arange(len(X)) % 3
    weighted = error_and_gradient(X, y, coef, intercept, loss=loss, sample_weight=times)
    repeated = error_and_gradient(X.repeat(times, axis=0), y.repeat(times), coef, intercept, loss=loss)
    np.testing.assert_allclose(weighted[0], repeated[0], rtol=1e-13)
    np.testing.assert_allclose(weighted[1], repeated[1], rtol=1e-12)


# ---- descent: closed forms -----------------------------------------------------------------------


def quadratic(n=60, d=4, alpha=0.3):
    """A least-squares problem with its Hessian and optimum, weights and bias in one vector."""
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    A = np.column_stack([X, np.ones(n)])
    H = A.T @ A / n + alpha * np.diag([1.0] * d + [0.0])
    return X, y, H, np.linalg.solve(H, A.T @ y / n)


def test_plain_descent_is_a_power_of_the_hessian():
    X, y, H, optimum = quadratic()
    result = gradient_descent(X, y, alpha=0.3, eta0=0.2, max_iter=30, keep_path=True, **MEMORYLESS)
    shrink = np.eye(5) - 0.2 * H
    for t, W in enumerate(result.path[:, 0]):
        np.testing.assert_allclose(W, optimum - np.linalg.matrix_power(shrink, t) @ optimum, atol=1e-13)
    assert (result.n_iter, result.t, len(result.path)) == (30, 30, 31)
    np.testing.assert_array_equal(result.path[-1, 0], [*result.coef, result.intercept])
    errors = [error_and_gradient(X, y, W[:-1], W[-1], alpha=0.3)[0] for W in result.path[1:, 0]]
    np.testing.assert_allclose(result.loss_curve, errors, rtol=1e-14)
    assert result.error == result.loss_curve[-1] < result.loss_curve[0]


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_a_two_step_recurrence(nesterov):
    """w_{t+1} = w_t + m (w_t - w_{t-1}) - eta g(w_t); Nesterov's form takes the gradient's change along."""
    X, y, H, optimum = quadratic()
    m, eta = 0.8, 0.1
    path = gradient_descent(X, y, alpha=0.3, eta0=eta, momentum=m, nesterovs_momentum=nesterov, max_iter=20,
                            keep_path=True, **MEMORYLESS).path[:, 0]  # fmt: skip
    g = (path - optimum) @ H
    for t in range(1, 20):
        step = path[t + 1] - path[t] - m * (path[t] - path[t - 1])
        # Nesterov: from v_{t+1} = m v_t - eta g_t and w_{t+1} - w_t = m v_{t+1} - eta g_t
        expected = -eta * g[t] - m * eta * (g[t] - g[t - 1]) if nesterov else -eta * g[t]
        np.testing.assert_allclose(step, expected, atol=1e-13)


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "sgd", "batch_size": 60, "momentum": 0.5},
        {"solver": "adagrad", "batch_size": 60, "eta0": 0.5},
        {"solver": "rmsprop", "batch_size": 60, "eta0": 0.05, "learning_rate": "invscaling", "power_t": 0.7},
        {"solver": "adam", "batch_size": 60, "eta0": 0.05, "learning_rate": "invscaling", "power_t": 0.5},
    ],
)
def test_every_rule_finds_the_optimum(options):
    X, y, _, optimum = quadratic()
    result = gradient_descent(X, y, alpha=0.3, **{"eta0": 0.2, "tol": None, "max_iter": 3000, **options})
    np.testing.assert_allclose([*result.coef, result.intercept], optimum, atol=2e-3)


def test_first_steps_of_the_adaptive_rules():
    """One gradient of known size: the rate that each rule gives it."""
    X, y = np.array([[2.0]]), np.array([3.0])
    g = -6.0
    options = {"eta0": 0.1, "max_iter": 1, "fit_intercept": False, "tol": None}
    assert gradient_descent(X, y, solver="adagrad", **options).coef[0] == pytest.approx(
        -0.1 * g / (6 + 1e-10), rel=1e-15
    )
    assert gradient_descent(X, y, solver="rmsprop", **options).coef[0] == pytest.approx(0.1 / np.sqrt(0.1), rel=1e-8)
    assert gradient_descent(X, y, solver="adam", **options).coef[0] == pytest.approx(0.1, rel=1e-6)
    assert gradient_descent(X, y, solver="adam", **options).intercept == 0.0


def test_proximal_steps_solve_the_lasso():
    """With orthonormal columns the lasso is the least-squares answer moved towards 0."""
    rng = np.random.default_rng(7)
    Q = np.linalg.qr(rng.normal(size=(50, 6)))[0] * np.sqrt(50)
    y = Q @ np.array([3.0, -2.0, 0.2, -0.1, 0.0, 1.0]) + 0.01 * rng.normal(size=50)
    plain = Q.T @ y / 50
    expected = np.sign(plain) * np.maximum(np.abs(plain) - 0.5, 0)
    result = gradient_descent(Q, y, alpha=0.5, l1_ratio=1.0, eta0=1.0, fit_intercept=False, max_iter=3, tol=None)
    np.testing.assert_allclose(result.coef, expected, atol=1e-14)
    assert (result.coef == 0).sum() == 3


def test_average_is_the_mean_of_the_path():
    X, y, _, _ = quadratic()
    options = {"eta0": 0.1, "solver": "sgd", "batch_size": 7, "max_iter": 3, "keep_path": True, **MEMORYLESS}
    plain = gradient_descent(X, y, **options)
    for first in (1, 5):
        mean = plain.path[first:, 0].mean(axis=0)
        result = gradient_descent(X, y, average=first if first > 1 else True, **options)
        np.testing.assert_allclose([*result.coef, result.intercept], mean, rtol=1e-13)
        np.testing.assert_array_equal(result.path, plain.path)
    np.testing.assert_array_equal(gradient_descent(X, y, average=1000, **options).coef, plain.coef)


def test_batches_cover_every_row_once_an_epoch_in_the_given_order():
    """Rows that are unit vectors leave a trace of when they were seen."""
    n = 7
    seen = []

    def permutation(epoch, rows):
        seen.append((epoch, rows))
        return np.roll(np.arange(rows), epoch)

    result = gradient_descent(np.eye(n), np.ones(n), solver="sgd", batch_size=3, permutation=permutation,
                              max_iter=2, eta0=1e-3, fit_intercept=False, keep_path=True,
                              **MEMORYLESS)  # fmt: skip
    moved = [np.flatnonzero(step).tolist() for step in np.diff(result.path[:, 0, :-1], axis=0)]
    assert moved == [[0, 1, 2], [3, 4, 5], [6], [0, 1, 6], [2, 3, 4], [5]]
    assert seen == [(0, n), (1, n)] and result.t == 6 and result.n_iter == 2


# ---- descent: rules that scikit-learn has too ----------------------------------------------------


@pytest.mark.parametrize("schedule", ["constant", "invscaling", "optimal"])
@pytest.mark.parametrize("average", [False, 7])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "log_loss", "hinge", "modified_huber", "perceptron"])
def test_one_row_at_a_time_is_scikit_learns_sgd(loss, schedule, average):
    X, y, _, _ = problem(loss)
    y = np.sign(y - 0.5) if loss == "log_loss" else y
    model = SGDClassifier if loss in ("log_loss", *MARGIN_LOSSES) else SGDRegressor
    options = {
        "loss": loss, "alpha": 0.05, "learning_rate": schedule, "eta0": 0.02, "power_t": 0.4, "max_iter": 3,
        "tol": None, "average": average, "epsilon": 0.3,
    }  # fmt: skip
    theirs = model(penalty="l2", shuffle=False, **options).fit(X, y)
    y = (y + 1) / 2 if loss == "log_loss" else y
    ours = gradient_descent(X, y, solver="sgd", batch_size=1, **options)
    assert ours.t == theirs.t_ - 1 == 120
    np.testing.assert_allclose(ours.coef, theirs.coef_.ravel(), rtol=1e-10)
    np.testing.assert_allclose(ours.intercept, theirs.intercept_[0], rtol=1e-10)


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"momentum": 0.7, "nesterovs_momentum": True}, {}])
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_rules_of_scikit_learns_networks(rule, options):
    rng = np.random.default_rng(8)
    W = rng.normal(size=(2, 5))
    params = [W.copy()]
    if rule == "adam":
        options = {"beta_1": 0.8, "beta_2": 0.95} if options else {}
        theirs = AdamOptimizer(params, 0.05, **options)
    else:
        theirs = SGDOptimizer(params, 0.05, momentum=options.get("momentum", 0.0),
                              nesterov=options.get("nesterovs_momentum", False))  # fmt: skip
    memory = {}
    for t in range(1, 15):
        G = rng.normal(size=W.shape)
        step, rate = reference.RULES[rule](memory, G, 0.05, t, **options)
        W = W + step
        theirs.update_params(params, [G])
        np.testing.assert_allclose(W, params[0], rtol=1e-13)
        assert np.all(rate > 0)


def test_adaptive_divides_by_five_after_epochs_without_improvement():
    X, y, _, _ = quadratic()
    options = {"eta0": 0.4, "tol": 1e-4, "n_iter_no_change": 3, "max_iter": 1000}
    result = gradient_descent(X, y, learning_rate="adaptive", **options)
    changes = np.flatnonzero(np.diff(result.eta)) + 1
    np.testing.assert_allclose(np.unique(result.eta)[::-1], 0.4 / 5.0 ** np.arange(len(changes) + 1))
    assert np.all(np.diff(changes) == 3) and result.eta[-1] / 5 < 1e-6 < result.eta[-1]
    assert result.n_iter == result.t == changes[-1] + 3


def test_stops_when_nothing_improves():
    X, y, _, _ = quadratic()
    result = gradient_descent(X, y, eta0=0.4, tol=1e-3, n_iter_no_change=4, max_iter=1000)
    improved = -np.diff(result.loss_curve) > 1e-3 * np.abs(result.loss_curve[:-1])
    assert result.n_iter < 100 and not improved[-4:].any() and improved[-5]
    assert gradient_descent(X, y, eta0=0.4, tol=None, max_iter=150).n_iter == 150


def test_weights_count_against_those_of_other_batches():
    """A batch steps along sum s g / (B mean s): a batch without weight leaves unpenalised weights where they are."""
    X, y, _, _ = quadratic()
    s = np.ones(60)
    s[20:40] = 0
    options = {"solver": "sgd", "batch_size": 20, "eta0": 0.1, "max_iter": 1, "keep_path": True, **MEMORYLESS}
    path = gradient_descent(X, y, sample_weight=s, **options).path
    without = gradient_descent(X, y, **(options | {"eta0": 0.15})).path  # mean s = 2/3
    np.testing.assert_array_equal(path[2], path[1])
    np.testing.assert_allclose(path[1], without[1], rtol=1e-14)
