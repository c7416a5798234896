"""GDRegressor finds the optimum of the stated objective, for every loss and penalty, on raw features."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_diabetes, make_regression
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    Lasso,
    LinearRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
)
from sklearn.preprocessing import StandardScaler

from gdfast import GDRegressor, reference

SMOOTH = ("squared_error", "huber", "squared_epsilon_insensitive", "poisson", "gamma")
NOT_SMOOTH = ("absolute_error", "quantile", "epsilon_insensitive")
EVERY_LOSS = SMOOTH + NOT_SMOOTH


def diabetes():
    X, y = load_diabetes(return_X_y=True, scaled=False)
    return X, y


def breast_cancer():
    """29 raw measurements with scales from 1e-3 to 4e3, and the one to predict."""
    X = load_breast_cancer().data
    return np.delete(X, 3, axis=1), X[:, 3]


RAW = pytest.mark.parametrize("load", [diabetes, breast_cancer])


def objective(model, X, y, alpha, l1_ratio, **parameters):
    return reference.error_and_gradient(
        X, y, model.coef_, float(np.ravel(model.intercept_)[0]), alpha=alpha, l1_ratio=l1_ratio, **parameters
    )[0]


# -------------------------------------------------------------------------------------------- the same optima


@RAW
@pytest.mark.parametrize("strength", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_ridge(load, strength, fit_intercept):
    X, y = load()
    theirs = Ridge(strength, fit_intercept=fit_intercept, solver="svd").fit(X, y)
    ours = GDRegressor(alpha=strength / len(y), fit_intercept=fit_intercept, tol=1e-14).fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-6 * np.abs(theirs.coef_).max())
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-5, atol=1e-12)
    assert ours.coef_.shape == (X.shape[1],) and ours.intercept_.shape == (1,)


@RAW
def test_linear_regression(load):
    X, y = load()
    theirs = LinearRegression().fit(X, y)
    ours = GDRegressor(penalty=None, tol=1e-14).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-6 * np.abs(theirs.coef_).max())
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-5)
    assert_allclose(ours.predict(X).mean(), y.mean(), rtol=1e-9)


@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 1.0])
@pytest.mark.parametrize(("loss", "Theirs"), [("poisson", PoissonRegressor), ("gamma", GammaRegressor)])
def test_poisson_and_gamma(loss, Theirs, alpha):
    X, y = diabetes()
    theirs = Theirs(alpha=alpha, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
    ours = GDRegressor(loss=loss, alpha=alpha, tol=1e-14).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-7 * np.abs(theirs.coef_).max())
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-6)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)


def test_exposure_as_offset():
    X, y = diabetes()
    exposure = np.linspace(0.5, 3, len(y))
    theirs = PoissonRegressor(alpha=1e-3, solver="newton-cholesky", tol=1e-12)
    theirs.fit(X, y / exposure, sample_weight=exposure)
    # E divides by the sum of the weights, so the same optimum has the penalty times the mean exposure
    ours = GDRegressor(loss="poisson", alpha=1e-3 * exposure.mean(), tol=1e-14)
    ours.fit(X, y, offset=np.log(exposure))
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-8)


@RAW
@pytest.mark.parametrize("epsilon", [0.1, 5.0, 60.0])
def test_huber_optimum(load, epsilon):
    X, y = load()
    scaled = StandardScaler().fit_transform(X)

    def error(v):
        E, g, b = reference.error_and_gradient(scaled, y, v[:-1], v[-1], loss="huber", epsilon=epsilon)
        return E, np.append(g, b)

    best = minimize(error, np.zeros(X.shape[1] + 1), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 9999})
    ours = GDRegressor(loss="huber", epsilon=epsilon, penalty=None, tol=1e-10).fit(X, y)
    E = objective(ours, X, y, 0, 0, loss="huber", epsilon=epsilon)
    assert_allclose(E, best.fun, rtol=1e-8)
    assert_allclose(ours.loss_, E, rtol=1e-10)


@pytest.mark.parametrize("epsilon", [0.0, 10.0])
def test_squared_epsilon_insensitive_optimum(epsilon):
    X, y = diabetes()
    parameters = {"loss": "squared_epsilon_insensitive", "epsilon": epsilon}
    ours = GDRegressor(**parameters, alpha=1e-3, tol=1e-12).fit(X, y)
    _, g, b = reference.error_and_gradient(X, y, ours.coef_, ours.intercept_[0], **parameters, alpha=1e-3, l1_ratio=0)
    assert np.abs(g / np.abs(X).mean(axis=0)).max() < 1e-4 and abs(b) < 1e-4


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.0, 1e-3])
def test_quantile_objective(quantile, alpha):
    X, y = load_diabetes(return_X_y=True)
    parameters = {"loss": "quantile", "quantile": quantile}
    theirs = QuantileRegressor(quantile=quantile, alpha=alpha, solver="highs").fit(X, y)
    ours = GDRegressor(**parameters, penalty="l1", alpha=alpha).fit(X, y)
    best = objective(theirs, X, y, alpha, 1.0, **parameters)
    assert objective(ours, X, y, alpha, 1.0, **parameters) <= best * (1 + 1e-4)
    assert abs((y <= ours.predict(X)).mean() - quantile) < 0.02


def test_absolute_error_and_the_tube_share_the_median():
    X, y = load_diabetes(return_X_y=True)
    theirs = QuantileRegressor(quantile=0.5, alpha=0, solver="highs").fit(X, y)
    best = objective(theirs, X, y, 0, 0, loss="absolute_error")
    for parameters in ({"loss": "absolute_error"}, {"loss": "epsilon_insensitive", "epsilon": 0.0}):
        ours = GDRegressor(**parameters, penalty=None).fit(X, y)
        assert best <= objective(ours, X, y, 0, 0, **parameters) * (1 + 1e-12) <= best * (1 + 1e-4)


@pytest.mark.parametrize("alpha", [1e-2, 1.0])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@RAW
def test_lasso_and_elastic_net(load, l1_ratio, alpha):
    X, y = load()
    X = StandardScaler().fit_transform(X)
    model = Lasso(alpha) if l1_ratio == 1 else ElasticNet(alpha, l1_ratio=l1_ratio)
    theirs = model.set_params(tol=1e-12, max_iter=10**6).fit(X, y)
    ours = GDRegressor(penalty="elasticnet", l1_ratio=l1_ratio, alpha=alpha, tol=1e-12, max_iter=10**5).fit(X, y)
    best = objective(theirs, X, y, alpha, l1_ratio)
    assert objective(ours, X, y, alpha, l1_ratio) <= best * (1 + 1e-9)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3, atol=1e-4 * np.abs(theirs.coef_).max())
    assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


def test_lasso_on_raw_features():
    X, y = diabetes()
    theirs = Lasso(0.1, tol=1e-12, max_iter=10**6).fit(X, y)
    ours = GDRegressor(penalty="l1", alpha=0.1).fit(X, y)
    assert objective(ours, X, y, 0.1, 1.0) <= objective(theirs, X, y, 0.1, 1.0) * (1 + 1e-5)
    strong = GDRegressor(penalty="l1", alpha=1e6).fit(X, y)
    assert_array_equal(strong.coef_, 0)
    assert_allclose(strong.intercept_, y.mean(), rtol=1e-6)


@pytest.mark.parametrize("loss", SMOOTH)
@RAW
def test_default_tolerance_is_what_it_says(load, loss):
    X, y = load()
    ours, tight = (GDRegressor(loss=loss, tol=tol).fit(X, y) for tol in (1e-6, 1e-14))
    assert ours.loss_ - tight.loss_ <= 2e-6 * abs(tight.loss_)
    assert ours.n_iter_ <= tight.n_iter_ < 200


# ---------------------------------------------------------------------------------------- weights and outputs


@pytest.mark.parametrize("loss", SMOOTH)
def test_integer_weights_repeat_rows(loss):
    X, y = diabetes()
    weight = np.arange(len(y)) % 3
    tight = {"loss": loss, "tol": 1e-14, "epsilon": 5.0, "alpha": 1e-2}
    weighted = GDRegressor(**tight).fit(X, y, sample_weight=weight)
    repeated = GDRegressor(**tight).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-12)


@pytest.mark.parametrize("loss", EVERY_LOSS)
def test_several_outputs_are_independent(loss):
    X, y = load_diabetes(return_X_y=True)
    Y = np.column_stack([y, 2 * y[::-1] + 1, np.sqrt(y)])
    parameters = {"loss": loss, "tol": 1e-14 if loss in SMOOTH else 1e-6, "alpha": 1e-3}
    together = GDRegressor(**parameters).fit(X, Y)
    assert together.coef_.shape == (3, 10) and together.intercept_.shape == (3,)
    assert together.predict(X).shape == (442, 3)
    alone = [GDRegressor(**parameters).fit(X, Y[:, j]) for j in range(3)]
    assert_allclose(together.loss_, sum(model.loss_ for model in alone), rtol=1e-6 if loss in SMOOTH else 1e-3)
    if loss in SMOOTH:
        assert_allclose(together.predict(X), np.column_stack([model.predict(X) for model in alone]), rtol=1e-3)


def test_one_column_is_one_output():
    X, y = load_diabetes(return_X_y=True)
    with pytest.warns(UserWarning, match="column-vector"):
        model = GDRegressor().fit(X, y[:, None])
    assert model.coef_.shape == (10,) and model.predict(X).shape == (442,)


@pytest.mark.parametrize("dtype", ["f4", "f2", "u1", "i2", "i8", "?", ">f8", object])
def test_kinds_of_target(dtype):
    X, y = load_diabetes(return_X_y=True)
    y = (y > 140).astype(dtype) if dtype == "?" else (y / 2).astype(dtype)
    assert_allclose(
        GDRegressor(tol=1e-12).fit(X, y).coef_,
        GDRegressor(tol=1e-12).fit(X, y.astype(float)).coef_,
        rtol=1e-6,
    )


# ------------------------------------------------------------------------------------------------ bad targets


@pytest.mark.parametrize(
    ("loss", "value", "message"),
    [
        ("poisson", -1, r"must be >= 0, found -1(\.0)? at row 3"),
        ("gamma", 0, r"must be > 0, found 0(\.0)? at row 3"),
        ("gamma", -2.5, r"must be > 0, found -2\.5 at row 3"),
        ("squared_error", np.nan, r"Input y(_val)? contains NaN.*row 3"),
        ("squared_error", np.inf, r"Input y(_val)? contains infinity.*row 3"),
    ],
)
def test_targets_out_of_range(loss, value, message):
    X, y = load_diabetes(return_X_y=True)
    bad = y.copy()
    bad[3] = value
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss=loss).fit(X, bad)
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss=loss).fit(X, y, X_val=X, y_val=bad)
    with pytest.raises(ValueError, match=message):
        GDRegressor(loss=loss).fit(X, np.column_stack([y, bad]))


def test_targets_that_are_no_numbers():
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match=r"could not convert string to float|must be an array of numbers"):
        GDRegressor().fit(X, [*y[:-1].astype(str), "a"])
    with pytest.raises(ValueError, match="Complex data not supported"):
        GDRegressor().fit(X, y + 1j)
    with pytest.raises(ValueError, match="target y is None"):
        GDRegressor().fit(X, None)
    with pytest.raises(ValueError, match=r"outputs|shape|columns"):
        GDRegressor().fit(X, np.column_stack([y, y]), X_val=X, y_val=y)


# ----------------------------------------------------------------------------------------------- hostile data


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_degenerate_data_give_finite_models(loss):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 4))
    y = np.exp(X[:, 0])
    cases = {
        "constant column": (np.column_stack([X, np.full(40, 7.0)]), y),
        "duplicate columns": (np.column_stack([X, X[:, 1]]), y),
        "more features than rows": (rng.normal(size=(10, 60)), y[:10]),
        "one row": (X[:1], y[:1]),
        "one feature": (X[:, :1], y),
        "all zero": (np.zeros((40, 4)), y),
        "constant target": (X, np.full(40, 3.0)),
        "zero target": (np.zeros((40, 4)), np.zeros(40)),
    }
    for name, (X, y) in cases.items():
        model = GDRegressor(loss=loss).fit(X, y, X_val=X, y_val=y)
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all(), name
        assert 1 <= model.n_iter_ == len(model.loss_curve_) == len(model.validation_curve_), name
        if name == "duplicate columns":
            assert_allclose(model.coef_[1], model.coef_[4], rtol=1e-6)
        if name == "constant target":
            assert_allclose(model.predict(X), 3.0, rtol=1e-4)


def test_time_stamps_in_milliseconds():
    t = 1.7e12 + np.arange(20_000.0)
    model = GDRegressor(penalty=None).fit(t[:, None], 3e-3 * t - 5e9)
    assert model.score(t[:, None], 3e-3 * t - 5e9) > 0.999999


def test_feature_scales_far_apart():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)) * [1e-150, 1.0, 1e150]
    y = X @ [2e150, 1.0, 3e-150]
    model = GDRegressor(penalty=None).fit(X, y)
    assert model.score(X, y) > 0.999999


def test_many_equal_float32_rows_do_not_lose_count():
    X = np.broadcast_to(np.float32(1), (2**24 + 1, 1))
    model = GDRegressor(max_iter=20).fit(X, np.broadcast_to(np.float32(1), 2**24 + 1))
    assert_allclose(model.predict(X[:1]), 1.0, rtol=1e-6)


def test_large_data_on_several_threads_give_the_same_bits():
    X, y = make_regression(50_000, 20, noise=10, random_state=0)
    X = X.astype(np.float32)
    coefs = [GDRegressor(n_threads=n, loss="huber").fit(X, y).coef_ for n in (1, 2, 3)]
    assert_array_equal(coefs[0], coefs[1])
    assert_array_equal(coefs[0], coefs[2])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # some say that they halt far from it
@pytest.mark.parametrize("solver", ["gd", "sgd", "adagrad", "rmsprop", "adam"])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_textbook_rules_learn(solver, loss):
    X, y = make_regression(500, 5, noise=1, random_state=0)
    y = y / y.std()
    eta0 = {"gd": 0.3, "sgd": 0.02, "adagrad": 0.3, "rmsprop": 0.01, "adam": 0.02}[solver]
    model = GDRegressor(
        solver=solver, loss=loss, learning_rate="constant", eta0=eta0, epsilon=1.0, random_state=0, tol=1e-4
    ).fit(X, y)
    assert model.score(X, y) > 0.99
    assert model.loss_curve_[0] > model.loss_


def test_output_type_follows_the_input():
    X, y = load_diabetes(return_X_y=True)
    for dtype, expected in [("f8", "f8"), ("f4", "f4"), ("f2", "f4"), ("i8", "f8")]:
        model = GDRegressor().fit(X.astype(dtype), y)
        assert model.predict(X.astype(dtype)).dtype == np.dtype(expected)
    model = GDRegressor(loss="poisson").fit(X, y)
    assert_allclose(model.predict(X), np.exp(X @ model.coef_ + model.intercept_[0]), rtol=1e-12)
