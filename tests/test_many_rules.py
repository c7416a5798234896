"""fit_many by update rules on all rows: each model with its own rate, each what a fit of it alone is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from searches import COUNTS, LINE, OFFSET, THREE, TWO, WEIGHT, N, X
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from gdfast import DivergenceError, GDClassifier, GDRegressor, _core, fit_many

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SCHEDULES = ["auto", "constant", "invscaling", "optimal", "adaptive"]
RULES = ["gd", "sgd", "adagrad", "rmsprop", "adam"]


def rule(Estimator, solver, **settings):
    """All rows at once."""
    whole = {} if solver == "gd" else {"batch_size": N}
    return Estimator(**{"solver": solver, "max_iter": 25, "random_state": 0, **whole, **settings})


def assert_same_fit(found, alone, rtol=1e-10):
    """Of one estimator: all that there is to be known of a fit."""
    assert (found.n_iter_, found.t_) == (alone.n_iter_, alone.t_)
    for name in ("coef_", "intercept_", "loss_", "loss_curve_", "validation_curve_", "best_validation_loss_"):
        ours, expected = getattr(found, name), getattr(alone, name)
        assert (ours is None) == (expected is None), name
        if expected is not None:
            assert_allclose(ours, expected, rtol=rtol, atol=rtol * np.abs(expected).max(), err_msg=name)
    state, expected = found._standing.state, alone._standing.state
    assert found._standing.rule == alone._standing.rule and (state.t, state.epoch) == (expected.t, expected.epoch)
    for name in ("weights", "velocity", "square", "mean", "eta"):
        ours, theirs = getattr(state, name), getattr(expected, name)
        assert (ours is None) == (theirs is None), name
        if theirs is not None:
            assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max(), err_msg=name)


def assert_each_as_alone(estimator, grid, X, y, n_groups=1, **fit):
    """Every point of the grid beside a fit of its own, diverging ones too; how many of those there were."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        found = fit_many(estimator, grid, X, y, **fit)
    assert found.n_groups == n_groups
    failed = 0
    for params, model in zip(found.params, found.estimators, strict=True):
        alone = type(estimator)(**{**estimator.get_params(), **params})
        try:
            alone.fit(X, y, **fit)
        except DivergenceError:
            assert model is None, params
            failed += 1
        else:
            assert model is not None, params
            assert_same_fit(model, alone)
    return failed


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", RULES)
def test_each_schedule_and_rate(solver, early_stopping):
    own = {"gd": {"momentum": [0.0, 0.8], "nesterovs_momentum": [True, False]}, "adam": {"beta_1": [0.5, 0.9]}}
    grid = {"learning_rate": SCHEDULES, "eta0": [1e-3, 0.02], **own.get(solver, {})}
    stopping = {"early_stopping": early_stopping, "n_iter_no_change": 2}
    assert_each_as_alone(rule(GDClassifier, solver, alpha=0.05, penalty="l1", **stopping), grid, X, TWO)
    assert_each_as_alone(rule(GDRegressor, solver, alpha=0.05, **stopping), grid, X, LINE, sample_weight=WEIGHT)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_else_models_may_differ_in(early_stopping):
    stopping = {"early_stopping": early_stopping}
    grid = [
        {"solver": ["gd", "adam"], "loss": ["log_loss", "hinge", "modified_huber"], "class_weight": [None, "balanced"]},
        {"average": [True, 3], "max_iter": [1, 7], "tol": [None, 1e-3], "n_iter_no_change": [1, 4], "power_t": [0.5]},
    ]
    estimator = rule(GDClassifier, "gd", batch_size=N, learning_rate="invscaling", eta0=0.02, **stopping)
    assert_each_as_alone(estimator, grid, X, TWO, sample_weight=WEIGHT, offset=OFFSET)
    grid = {"loss": ["squared_error", "absolute_error", "huber", "quantile", "epsilon_insensitive", "poisson"]}
    assert_each_as_alone(rule(GDRegressor, "gd", **stopping), grid, X, COUNTS + 1.0)


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "perceptron"])
def test_several_classes(loss):
    """Softmax, and one against the rest."""
    grid = {"eta0": [1e-3, 1e-2], "alpha": [0.1, 1e-3], "class_weight": [None, {0: 2.0}]}
    for schedule in ("constant", "auto"):
        assert_each_as_alone(rule(GDClassifier, "gd", loss=loss, learning_rate=schedule), grid, X, THREE)


def test_several_outputs_and_sparse_rows():
    grid = {"eta0": [1e-3, 1e-2], "momentum": [0.0, 0.5], "learning_rate": ["constant", "auto"]}
    assert_each_as_alone(rule(GDRegressor, "gd"), grid, X, np.column_stack([LINE, COUNTS]))
    assert_each_as_alone(rule(GDRegressor, "sgd"), grid, sp.csr_matrix(np.where(np.abs(X) > 1, X, 0.0)), LINE)


def test_bounds():
    grid = {"eta0": [1e-3, 1e-2], "momentum": [0.0, 0.9], "penalty": ["l1", "l2"]}
    for bounds in ((0.0, None), (0.1, 0.5)):
        for solver in ("gd", "adam"):
            estimator = rule(GDClassifier, solver, bounds=bounds, learning_rate="constant")
            assert_each_as_alone(estimator, grid, X, TWO)
    found = fit_many(rule(GDClassifier, "gd"), {"bounds": [None, (0, None), (0.0, np.inf)]}, X, TWO)
    assert found.groups == [0, 1, 1]
    assert (found.estimators[1].coef_ >= 0).all() and (found.estimators[0].coef_ < 0).any()


def test_bounds_of_the_solver_auto():
    for estimator, y in (
        (GDClassifier(tol=1e-12), TWO),
        (GDClassifier(tol=1e-12), THREE),
        (GDRegressor(loss="poisson", tol=1e-12), COUNTS),
        (GDRegressor(loss="huber", tol=1e-12), LINE),
    ):
        for bounds in ({"positive": [True]}, {"bounds": [(0.05, 0.3)]}):
            found = fit_many(estimator, {"alpha": [1.0, 0.1, 1e-3], "penalty": ["l1", "l2"], **bounds}, X, y)
            assert found.n_groups == 1
            for params, model in zip(found.params, found.estimators, strict=True):
                alone = type(estimator)(**{**estimator.get_params(), **params}).fit(X, y)
                assert_allclose(model.loss_, alone.loss_, rtol=1e-11)
                assert_allclose(model.coef_, alone.coef_, rtol=1e-4, atol=1e-6)
                low, high = (0.0, np.inf) if "positive" in params else params["bounds"]
                assert (model.coef_ >= low).all() and (model.coef_ <= high).all()


def test_splits():
    """Held-out rows score, whatever their order; a row that is named twice counts twice.

    Where its copies could also say when to stop, models are fitted one by one.
    """
    once = list(ShuffleSplit(3, random_state=1).split(X))
    twice = [(np.append(train, train[:20]), test) for train, test in once]
    grid = {"eta0": [1e-3, 1e-2], "learning_rate": ["constant", "auto"], "alpha": [0.1, 1e-3]}
    scoring = {"own": "neg_log_loss", "loss": "loss"}
    for early_stopping, splits, n_groups in ((False, once, 1), (True, once, 1), (False, twice, 1), (True, twice, 8)):
        estimator = rule(GDClassifier, "gd", early_stopping=early_stopping)
        found = fit_many(estimator, grid, X, TWO, cv=splits, scoring=scoring, refit="own")
        theirs = GridSearchCV(estimator, grid, cv=splits, scoring="neg_log_loss").fit(X, TWO)
        assert found.n_groups == n_groups
        for i in range(3):
            expected = theirs.cv_results_[f"split{i}_test_score"]
            assert_allclose(found.cv_results_[f"split{i}_test_own"], expected, rtol=1e-9)
            assert_allclose(found.cv_results_[f"split{i}_test_loss"], expected, rtol=1e-9)
        assert found.best_params_ == theirs.best_params_


def test_a_rate_that_diverges_harms_no_other():
    grid = {"eta0": [1e-4, 1e-3, 10.0, 1e4], "momentum": [0.0, 0.9]}
    estimator = rule(GDRegressor, "gd", learning_rate="constant", max_iter=200, tol=None)
    assert assert_each_as_alone(estimator, grid, X, LINE) == 4
    with pytest.warns(FitFailedWarning, match=r"4 fits failed.*\neta0=10.0, momentum=0.0 on all rows: .*try eta0=0"):
        among = fit_many(estimator, grid, X, LINE).estimators[1]
    alone = fit_many(estimator, {"eta0": [1e-4], "momentum": [0.9]}, X, LINE).estimators[0]
    assert_array_equal(among.coef_, alone.coef_)
    assert_array_equal(among.loss_curve_, alone.loss_curve_)


def test_nobody_changes_a_bit_of_anybody():
    """Neither threads nor who shares the reads; enough rows for threads."""
    rng = np.random.default_rng(0)
    many = rng.normal(size=(9000, 20))
    y = (many[:, 0] + rng.normal(size=9000) > 0).astype(int)
    grid = {"solver": ["gd", "adam"], "eta0": [1e-3, 0.1], "learning_rate": ["auto", "constant"]}
    estimator = GDClassifier(batch_size=9000, max_iter=12, early_stopping=True, random_state=0)
    one, two, three = (fit_many(estimator, grid, many, y, n_threads=n) for n in (1, 2, 3))
    for params, *models in zip(one.params, one.estimators, two.estimators, three.estimators, strict=True):
        alone = fit_many(estimator, {name: [value] for name, value in params.items()}, many, y).estimators
        for model in models + alone:
            assert_array_equal(model.coef_, models[0].coef_)
            assert_array_equal(model.validation_curve_, models[0].validation_curve_)


def test_who_shares():
    grid = {"batch_size": [N - 1, N, 10 * N], "solver": ["sgd", "auto", "gd"]}
    found = fit_many(GDClassifier(max_iter=3, random_state=0), grid, X, TWO)
    assert found.groups == [0, 1, 2, 2, 1, 2, 2, 1, 2]
    found = fit_many(GDClassifier(max_iter=3, random_state=0), grid, X, TWO, cv=4, refit=False)
    assert found.groups == [0, 1, 0, 0, 1, 0, 0, 1, 0]  # no split trains on all rows


def test_a_model_goes_on_by_its_rule():
    grid = {"eta0": [1e-3], "momentum": [0.0, 0.9]}
    estimator = rule(GDRegressor, "gd", learning_rate="constant")
    found = fit_many(estimator, grid, X, LINE)
    for params, model in zip(found.params, found.estimators, strict=True):
        alone = type(estimator)(**{**estimator.get_params(), **params}).fit(X, LINE)
        assert_allclose(model.partial_fit(X, LINE).coef_, alone.partial_fit(X, LINE).coef_, rtol=1e-10)


def test_data_that_are_not_finite_are_named():
    broken = X.copy()
    broken[17, 2] = np.nan
    with pytest.raises(ValueError, match="row 17"):
        fit_many(rule(GDRegressor, "gd"), {"eta0": [0.1, 0.2]}, broken, LINE)


def test_unfinished_fits_are_told_of_once():
    estimator = rule(GDRegressor, "gd", max_iter=2, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match=r"3 of 3 fits ended away from .*: Maximum number of iter") as caught:
        fit_many(estimator, {"alpha": [0.1, 0.2, 0.3]}, X, LINE)
    assert len(caught) == 1 and caught[0].filename == __file__


@pytest.mark.parametrize("solver", ["auto", "gd"])
def test_squares_that_vanish_are_told_of(solver):
    """An error of 0 that is one of float64, in each model that shares the reads."""
    settings = {"solver": solver, "max_iter": 3}
    with pytest.warns(ConvergenceWarning, match=r"4 of 4 fits ended away from .*: The squares of y vanish"):
        fit_many(GDRegressor(**settings), {"alpha": [0.1, 0.2], "loss": ["squared_error", "huber"]}, X, LINE * 1e-170)


@pytest.mark.parametrize("solver", ["auto", "gd"])
def test_missing_threads_are_told_of_once(solver, monkeypatch):
    name = "descend_grid" if solver == "auto" else "descend_each"
    descend = getattr(_core, name)

    def on_fewer_threads(*args, **settings):
        answer = descend(*args, **settings)
        for report in [answer[1]] if solver == "auto" else [report for _, _, report in answer[0]]:
            assert report["missing_threads"] == 0
            report["missing_threads"] = 3
        return answer

    monkeypatch.setattr(_core, name, on_fewer_threads)
    with pytest.warns(RuntimeWarning, match="3 threads could not be started") as caught:
        fit_many(GDRegressor(solver=solver, max_iter=2, tol=None), {"alpha": [0.1, 0.2]}, X, LINE)
    assert len(caught) == 1
