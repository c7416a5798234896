"""Numerics, cases 17 to 21, 23 and 26: whatever the numbers, a right answer, a warning or an error.

Never a fit that is wrong and says nothing; never NaN or infinity in what is returned.
"""

from __future__ import annotations

import math
import time
import warnings

import mpmath
import numpy as np
import pytest
from hostile import SOLVERS, both, data, state, targets
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge

from gdfast import DivergenceError, GDClassifier, GDRegressor, _core, error_and_gradient, gradient_descent, scores
from gdfast.functional import LOSSES

pytestmark = pytest.mark.timeout(60)


def right_or_said_so(fit, is_right):
    """Case 19's rule: a right answer, a ConvergenceWarning, or a DivergenceError. Returns which."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = fit()
        except DivergenceError:
            return "error"
    said = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    assert np.isfinite(result.coef).all()
    assert np.isfinite(result.intercept).all()
    assert said or is_right(result), f"wrong, and nothing said: {result.message}"
    return "warning" if said else "right"


# ---- extreme raw scores: cases 17 and 18 --------------------------------------------------------------------------

EXTREME = [0.0, -0.0, 1e-320, 1.0, 30.0, 37.0, 709.0, 710.0, 745.2, 1e3, 1e15, 1e30, 1e153, 1e155, 1e308]
EXTREME = [*EXTREME, *(-z for z in EXTREME)]


def exact(loss, z, y):
    """Error and derivative by mpmath, rounded once: overflow is infinity, underflow 0."""
    with mpmath.workdps(60):
        z, y, one = mpmath.mpf(z), mpmath.mpf(y), mpmath.mpf(1)
        if loss == "poisson":
            e = mpmath.exp(z) if z < 1e6 else mpmath.inf
            return float(e - y * z), float(e - y)
        if abs(z) > 1e6:
            sigmoid = one if z > 0 else mpmath.mpf(0)
            return float(max(z, 0) - y * z), float(sigmoid - y)
        return float(mpmath.log1p(mpmath.exp(z)) - y * z), float(1 / (1 + mpmath.exp(-z)) - y)


@pytest.mark.parametrize("loss", ["log_loss", "poisson"])
@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.parametrize("way", ["coef", "intercept", "offset"])
def test_extreme_raw_scores(loss, y, way):
    """Case 17: error and gradient as by mpmath within 4 ulp of the larger operand, or correctly saturated."""
    for z in EXTREME:
        given = {"coef": [0.0], "intercept": 0.0, "offset": [0.0]} | {way: z if way == "intercept" else [z]}
        error, grad_coef, grad_intercept = error_and_gradient([[1.0]], [y], loss=loss, **given)
        expected, slope = exact(loss, z, y)
        room = 4 * np.spacing(max(abs(slope), y))
        for found, wanted, larger in (
            (error, expected, abs(y * z)),
            (grad_intercept, slope, 0),
            (grad_coef[0], slope, 0),
        ):
            if np.isinf(wanted):
                assert found == wanted, (z, found)
            else:
                assert abs(found - wanted) <= max(room, 4 * np.spacing(max(abs(wanted), larger))), (z, found, wanted)


@pytest.mark.parametrize(
    "z",
    [
        [0.0, 0.0, 0.0], [5.0, 5.0, 5.0], [1e308, 1e308, 1e308], [-1e308, -1e308, -1e308], [1e308, 0.0, -1e308],
        [0.0, 1e308, 0.0], [-1e308, -1e308, 0.0], [-1e3, -1e3 + 1, -1e3 + 2], [1e3, 0.0, 0.0], [710.0, -710.0, 0.0],
        [1e-320, 0.0, -1e-320], [1.7e308, -1.7e308, 1.7e308],
    ],
    ids=str,
)  # fmt: skip
def test_extreme_softmax_scores(z):
    """Case 18: all equal, one at 1e308, all at -1e308: the probabilities are valid and those of mpmath."""
    with mpmath.workdps(700):
        top = max(mpmath.mpf(value) for value in z)
        terms = [mpmath.exp(max(mpmath.mpf(value) - top, -1e5)) for value in z]
        probabilities = np.array([float(term / sum(terms)) for term in terms])
        errors = [float(mpmath.log(sum(terms)) - (mpmath.mpf(value) - top)) for value in z]
    for code in range(3):
        error, _, slope = error_and_gradient([[1.0]], np.array([code]), np.zeros((3, 1)), z, loss="log_loss")
        if np.isfinite(errors[code]):
            assert error == pytest.approx(errors[code], rel=1e-15, abs=1e-300)
        else:
            assert error == np.inf
        assert_allclose(slope, probabilities - (np.arange(3) == code), rtol=1e-15, atol=1e-15)
    model = GDClassifier().fit([[0.0], [1.0], [2.0]], [0, 1, 2])
    model.coef_, model.intercept_ = np.zeros((3, 1)), np.array(z)
    found = model.predict_proba([[1.0], [-3.0]])
    assert_allclose(found, [probabilities, probabilities], rtol=1e-15, atol=1e-300)
    assert_allclose(found.sum(axis=1), 1.0, rtol=4 * np.finfo(float).eps)
    assert not np.isnan(model.predict_log_proba([[1.0]])).any()


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
def test_extreme_binary_probabilities(dtype):
    """Case 17: rows of predict_proba sum to 1, without NaN; the logarithm is right where the probability underflows."""
    model = GDClassifier().fit([[0.0], [1.0]], [0, 1])
    limit = float(np.finfo(dtype).max)
    z = np.array([0, 1, 30, 1e3, 1e4, limit, -1, -30, -1e3, -1e4, -limit], dtype=dtype)[:, None]
    model.coef_, model.intercept_ = np.ones((1, 1)), np.zeros(1)
    found = model.predict_proba(z)
    assert_allclose(found.sum(axis=1), 1.0, rtol=4 * np.finfo(found.dtype).eps)
    assert_array_equal(found[[5, 10]], [[0.0, 1.0], [1.0, 0.0]])
    assert_allclose(model.predict_log_proba(z)[8, 1], -1e3, rtol=1e-3)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_descents_from_extreme_weights(loss, solver):
    """Case 17: from raw scores of 1e3, 1e150 and 1e308, up or down: a finite answer or a DivergenceError."""
    X, y = data(n=60)
    y = targets(loss, y)
    for start in (1e3, -1e3, 1e150, 1e300, 1e308, -1e308):
        for given in ({"coef_init": np.full(5, start)}, {"intercept_init": start}):
            settings = {"loss": loss, "solver": solver, "alpha": 1e-3, "max_iter": 5, "tol": None, "random_state": 0}
            try:
                result = gradient_descent(X, y, **settings, **given)
            except DivergenceError:
                continue
            for part in (result.coef, result.intercept, result.error, result.loss_curve, result.gradient_norm_curve):
                assert np.isfinite(part).all(), (start, given.keys(), result)


# ---- scales: case 19 ---------------------------------------------------------------------------------------------


def r2(result, X, y):
    return 1.0 - np.mean((scores(X, result.coef, result.intercept) - y) ** 2) / np.var(y)


@pytest.mark.parametrize("solver", ["auto", "gd"])
@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1e-6, 1e-3, 1.0, 1e2, 1e3, 1e4, 1e6, 1e8, 1e20, 1e150])
def test_one_feature_of_another_scale(solver, scale):
    """Case 19: right, or said so. A flat stretch of E is no optimum."""
    X, _ = data()
    y = X @ np.arange(1.0, 6.0) + np.random.default_rng(0).normal(size=300) * 1e-3
    X[:, 3] *= scale
    how = right_or_said_so(
        lambda: gradient_descent(X, y, solver=solver, max_iter=3000), lambda result: r2(result, X, y) > 0.999
    )
    if solver == "auto":
        assert how == "right"


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_features_of_scales_1e_minus_150_to_1e150(loss):
    """Case 19: in one matrix; the default solver of the estimators."""
    X, _ = data(d=3)
    y = X @ [1.0, -2.0, 1.5]
    X *= [1e-150, 1.0, 1e150]
    if loss == "squared_error":
        model = GDRegressor(penalty=None).fit(X, y)
        assert model.score(X, y) > 0.999999
    else:
        y = y + np.random.default_rng(0).normal(size=300) > 0
        model = GDClassifier(penalty=None).fit(X, y)
        plain = GDClassifier(penalty=None, tol=1e-12).fit(X / [1e-150, 1.0, 1e150], y)
        assert_allclose(model.loss_, plain.loss_, rtol=1e-5)
        assert_allclose(model.coef_ * [1e-150, 1.0, 1e150], plain.coef_, rtol=2e-2)


@pytest.mark.parametrize("size", [1e-300, 1e-17, 1e-12, 1e-8, 1e-5])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "perceptron"])
def test_a_column_of_next_to_nothing(loss, l1_ratio, size):
    """Case 19: rounding noise, or grams in tons. Under a penalty the other weights are what they are without it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    z = X @ rng.normal(size=5)
    positive = {"log_loss": (z > 0) * 1.0, "poisson": np.exp(z / 2), "gamma": np.exp(z / 2)}
    y = np.sign(z) if loss in _core.MARGIN_LOSSES else positive.get(loss, z + rng.normal(size=200))
    wide = np.column_stack([X[:, :2], size * rng.normal(size=200), X[:, 2:]])
    terms = {"loss": loss, "alpha": 1e-2, "l1_ratio": l1_ratio, "solver": "auto", "max_iter": 1000}
    least = gradient_descent(X, y, tol=1e-9, **terms).error
    result = gradient_descent(wide, y, **terms)
    assert result.converged and abs(result.coef[2] * size) < 1e-3
    assert_allclose(result.error, least, rtol=2e-6)
    if loss in _core.SMOOTH_LOSSES:
        model = {"loss": loss, "param": 0.1, "l2": 1e-2 * (1 - l1_ratio), "l1": 1e-2 * l1_ratio}
        grid = _core.Grid(_core.Problem(wide, y, loss=loss, param=0.1), [model])
        assert_allclose(_core.descend_grid(grid, tol=1e-6, max_iter=1000)[1]["error"], least, rtol=2e-6)


@pytest.mark.parametrize("value", [0.1, 7.7, 1e5 + 0.1])
@pytest.mark.parametrize("alpha", [0.0, 1e-4, 1.0])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber", "absolute_error", "hinge"])
def test_a_constant_column_whose_mean_is_rounded(loss, alpha, value):
    """Case 22: what is left of it less its mean is rounding, and no feature of tiny numbers."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 5))
    z = X @ np.ones(5) + rng.normal(size=1000)
    y = {"log_loss": (z > 0) * 1.0, "hinge": np.sign(z)}.get(loss, z)
    terms = {"loss": loss, "alpha": alpha, "solver": "auto", "max_iter": 1000}
    least = gradient_descent(X, y, tol=1e-9, **terms).error
    result = gradient_descent(np.column_stack([X[:, :2], np.full(1000, value), X[:, 2:]]), y, **terms)
    assert result.converged
    assert_allclose(result.error, least, rtol=2e-6)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-160, 1e-100, 1e100, 1e160, 1e200])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_all_features_of_one_extreme_scale(scale, dtype):
    """Case 19: weights of 1e200 have squares beyond the range, and features of 1e-310 are subnormal."""
    X, _ = data()
    y = X @ np.arange(1.0, 6.0)
    if dtype == "f4":
        scale = scale ** (38 / 310)
    X = (X * scale).astype(dtype)
    right_or_said_so(lambda: gradient_descent(X, y, solver="auto"), lambda result: r2(result, X, y) > 0.999)


@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-160, 1e-100, 1e100, 1e150])
def test_targets_of_extreme_scale(scale):
    """Case 19: squares of 1e-200 underflow; the answer is right or it is said that it is not."""
    X, _ = data()
    y = X @ np.arange(1.0, 6.0) * scale
    right_or_said_so(
        lambda: gradient_descent(X, y, solver="auto"),
        lambda result: np.allclose(result.coef / scale, np.arange(1.0, 6.0), rtol=1e-3),
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_timestamps_in_milliseconds(solver):
    """Case 19: 1.7e12 + 0 ... 2e4 and an exact line: R^2 > 0.999999, or said so."""
    x = 1.7e12 + np.linspace(0.0, 2e4, 500)
    y = 3e-4 * (x - 1.7e12) + 2.0
    model = GDRegressor(solver=solver, penalty=None, max_iter=200, random_state=0)
    before = state(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(x[:, None], y)
        except DivergenceError:
            assert state(model) == before
            return
    said = any(issubclass(w.category, ConvergenceWarning) for w in caught)
    assert said or model.score(x[:, None], y) > 0.999999
    if solver == "auto":
        assert not said


# ---- learning rates: case 20 --------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("solver", ["gd", "sgd"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_learning_rate_a_million_times_too_large(Estimator, solver, momentum):
    """Case 20: a DivergenceError within two epochs that names epoch, step, error and a rate; the old fit is kept."""
    X, y = data()
    y = y if Estimator is GDClassifier else X @ np.arange(1.0, 6.0)
    settings = {"solver": solver, "learning_rate": "constant", "momentum": momentum, "random_state": 0}
    model = Estimator(**settings, eta0=0.01, max_iter=50, tol=None).fit(X, y)
    before = state(model) | {"eta0": 1e4}
    with pytest.raises(DivergenceError, match=r"epoch #[12], step \d+: the error reached.*try eta0=[\d.e-]+") as caught:
        model.set_params(eta0=1e4).fit(X, y)
    assert state(model) == before
    usable = float(str(caught.value).split("try eta0=")[1].split()[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert model.set_params(eta0=usable).fit(X, y).loss_ < model.loss_curve_[0] * 1.001


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("solver", [solver for solver in SOLVERS if solver != "auto"])
def test_no_learning_rate_gives_anything_but_numbers(loss, solver):
    """Case 20: up to the largest there is: finite, or a DivergenceError that does not say NaN."""
    X, y = data(n=100)
    y = targets(loss, y)
    settings = {
        "loss": loss,
        "solver": solver,
        "alpha": 1e-3,
        "l1_ratio": 0.3,
        "random_state": 0,
        "max_iter": 20,
        "tol": None,
    }
    for schedule in ("constant", "invscaling", "adaptive"):
        for eta0 in (5e-324, 1e4, 1e8, 1e300, 1.7e308):
            try:
                result = gradient_descent(X, y, eta0=eta0, learning_rate=schedule, **settings)
            except DivergenceError as error:
                assert "nan" not in str(error), (schedule, eta0)
                continue
            for part in (result.coef, result.intercept, result.error, result.loss_curve, result.gradient_norm_curve):
                assert np.isfinite(part).all(), (schedule, eta0, result)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_no_penalty_gives_anything_but_numbers(loss, solver):
    """Case 20, for alpha: from the smallest to the largest number."""
    X, y = data(n=100)
    y = targets(loss, y)
    for alpha in (5e-324, 1e-300, 1e10, 1e150, 1e300, 1.7e308):
        for l1_ratio in (0.0, 0.5, 1.0):
            settings = {"alpha": alpha, "l1_ratio": l1_ratio, "max_iter": 20, "tol": None, "random_state": 0}
            try:
                result = gradient_descent(X, y, loss=loss, solver=solver, **settings)
            except DivergenceError:
                assert alpha > 1e100
                continue
            for part in (result.coef, result.intercept, result.error, result.loss_curve):
                assert np.isfinite(part).all(), (alpha, l1_ratio, result)
            if solver == "auto" and alpha >= 1e10 and loss != "perceptron":
                assert np.abs(result.coef).max() < 1e-6


# ---- subnormal weights: case 21 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["gd", "sgd"])
def test_weights_that_decay_into_subnormals(solver):
    """Case 21: an epoch costs no more; a hundred cycles for each product would make it tens of times slower."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4000, 64)), np.zeros(4000)

    def seconds(start):
        settings = {
            "coef_init": np.full(64, start),
            "learning_rate": "constant",
            "eta0": 1e-9,
            "max_iter": 3,
            "tol": None,
        }
        best = math.inf
        for _ in range(5):
            before = time.perf_counter()
            gradient_descent(X, y, solver=solver, shuffle=False, n_threads=1, **settings)
            best = min(best, time.perf_counter() - before)
        return best

    assert seconds(1e-310) < 3.0 * seconds(1.0)


def test_a_strong_penalty_takes_weights_to_nothing():
    """Case 21: 20 000 epochs of decay end in weights of 0 or next to it, not in NaN."""
    X, y = data(n=50)
    result = gradient_descent(
        X, np.zeros(50), coef_init=np.ones(5), alpha=1.0, learning_rate="constant", eta0=0.05, max_iter=20_000, tol=None
    )
    assert np.abs(result.coef).max() < 1e-300
    assert np.isfinite(result.loss_curve).all()
    assert y.shape == (50,)


# ---- degenerate data: case 23 ---------------------------------------------------------------------------------------


def shapes():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    low = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 6))
    return {
        "constant column": np.c_[X[:, :5], np.full(40, 3.0)], "zero column": np.c_[X[:, :5], np.zeros(40)],
        "huge constant": np.c_[X[:, :5], np.full(40, 1e12)], "duplicates": X[:, [0, 1, 2, 0, 1, 2]], "rank 2": low,
        "p >> n": rng.normal(size=(10, 300)), "n = 1": X[:1], "n = 2": X[:2],
        "p = 1": X[:, :1], "n = p = 1": X[:1, :1], "zeros": np.zeros((40, 6)), "ones": np.ones((40, 6)),
        "one row repeated": np.tile(X[:1], (40, 1)), "subnormal": np.full((40, 6), 5e-324),
        "nearly constant": 1e8 + X * 1e-8,
    }  # fmt: skip


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("constant", [False, True], ids=["y varies", "y constant"])
def test_degenerate_data(solver, loss, constant):
    """Case 23: a finite fit, no worse than the constant model, whatever the solver."""
    for name, X in shapes().items():
        y = np.arange(len(X)) % 2.0 if not constant else np.ones(len(X))
        y = targets(loss, y)
        for alpha in (0.0, 1e-3):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                result = gradient_descent(X, y, loss=loss, solver=solver, alpha=alpha, max_iter=10, random_state=0)
            for part in (result.coef, result.intercept, result.error, result.loss_curve, result.gradient_norm_curve):
                assert np.isfinite(part).all(), (name, alpha, result)
            start, _, _ = error_and_gradient(X, y, np.zeros(X.shape[1]), loss=loss)
            if solver in ("auto", "gd") and loss != "perceptron":  # that one is about the way, not the optimum
                assert result.error <= start * (1 + 1e-9) + 1e-12, (name, alpha, result)


@pytest.mark.parametrize("name", [name for name in shapes() if name != "subnormal"])
def test_degenerate_data_has_the_optimum_of_the_objective(name):
    """Case 23: against Ridge and LogisticRegression on the same objective."""
    X = shapes()[name]
    y = np.random.default_rng(1).normal(size=len(X))
    found = GDRegressor(alpha=0.01, tol=1e-10).fit(X, y)
    other = Ridge(alpha=0.01 * len(X), solver="svd").fit(X, y)
    assert found.loss_ <= error_and_gradient(X, y, other.coef_, other.intercept_, alpha=0.01)[0] * (1 + 1e-8) + 1e-14
    if len(X) < 2:
        return
    labels = np.arange(len(X)) % 2
    found = GDClassifier(alpha=0.01, tol=1e-10).fit(X, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = LogisticRegression(C=1 / (0.01 * len(X)), solver="newton-cholesky", tol=1e-10).fit(X, labels)
    least, _, _ = error_and_gradient(X, labels, other.coef_[0], other.intercept_[0], loss="log_loss", alpha=0.01)
    assert found.loss_ <= least * (1 + 1e-8) + 1e-14


@pytest.mark.parametrize("alpha", [0.0, 1e-6, 1e-2])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "poisson"])
def test_duplicate_columns_get_equal_weights(loss, alpha):
    """Case 23: tied coefficients, as the optimum of least norm has them."""
    X, y = data()
    X = X[:, [0, 1, 0, 2, 1]]
    y = y if loss != "squared_error" else X @ np.arange(1.0, 6.0) + y
    result = gradient_descent(X, y, loss=loss, alpha=alpha, solver="auto", tol=1e-12)
    assert_allclose(result.coef[[2, 4]], result.coef[[0, 1]], rtol=1e-4)


@pytest.mark.parametrize(("loss", "value", "z"), [
    ("squared_error", 7.25, 7.25), ("squared_error", 0.0, 0.0), ("absolute_error", -3.5, -3.5), ("huber", 4.0, 4.0),
    ("quantile", 2.0, 2.0), ("poisson", 5.0, math.log(5.0)), ("gamma", 5.0, math.log(5.0)),
    ("log_loss", 0.25, math.log(1 / 3)),
])  # fmt: skip
def test_a_constant_target_is_answered_by_the_intercept(loss, value, z):
    """Case 23: weights of 0."""
    X, _ = data()
    result = gradient_descent(X, np.full(300, value), loss=loss, solver="auto", alpha=1e-3, tol=1e-12)
    assert_allclose(result.coef, 0.0, atol=1e-6)
    assert result.intercept == pytest.approx(z, abs=1e-5)


# ---- counters that stand still: case 26 ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2**24 + 1, 2**24 + 3])
def test_sums_do_not_stop_at_2_to_24(n):
    """Case 26: ones of float32; sums of rows, weights and errors are those of doubles."""
    one = np.float32(1.0)
    X, y, weight = np.broadcast_to(one, (n, 1)), np.broadcast_to(one, n), np.broadcast_to(one, n)
    error, grad_coef, grad_intercept = error_and_gradient(X, y, [0.0], sample_weight=weight)
    assert (error, grad_coef.tolist(), grad_intercept) == (0.5, [-1.0], -1.0)
    y = np.zeros(n)
    y[-1] = n  # the mean is 1 only if every row counted
    assert error_and_gradient(X, y, [0.0], sample_weight=weight)[2] == -1.0
    assert error_and_gradient(X, y, [0.0])[2] == -1.0


def test_the_intercept_of_2_to_24_ones_is_exact():
    """Case 26: through the estimator."""
    n = 2**24 + 1
    X = np.broadcast_to(np.float32(0.0), (n, 1))
    model = GDRegressor(penalty=None).fit(X, np.ones(n, dtype=np.float32))
    assert model.intercept_[0] == 1.0
    assert model.coef_[0] == 0.0


# ---- weights that are published as float32 --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2000,), (40, 50), (0,)])
def test_weights_are_rounded_to_the_nearest_float32(shape):
    """Halves to even, as NumPy does; what float32 holds as subnormal numbers only counts as 0."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape) * 10.0 ** rng.integers(-37, 38, shape)
    values.flat[:4] = [1 + 2**-24, 1 + 3 * 2**-24, 1e-40, -0.0][: values.size]
    rounded = _core.to_float32(values)
    assert rounded.dtype == np.float32 and rounded.shape == shape
    assert_array_equal(rounded, np.where(np.abs(values) < np.finfo(np.float32).tiny, 0.0, values).astype(np.float32))
    assert_array_equal(_core.to_float32(values.T), rounded.T)
