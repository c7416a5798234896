"""What docs/coming_from_sgd.md says: how parameters of scikit-learn's models map, and where SGD differs on purpose."""

from __future__ import annotations

import pathlib
import re
from inspect import signature

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from problems import problem
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import (
    ElasticNet,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.fixes import parse_version

import gdfast
from gdfast import GDClassifier, GDRegressor

SEQUENTIAL = {"solver": "sgd", "batch_size": 1, "shuffle": False, "tol": None}


def numbers():
    X, y = load_diabetes(return_X_y=True)
    return 10 * X, y


def labels():
    X, y = load_breast_cancer(return_X_y=True)
    return (X - X.mean(axis=0)) / X.std(axis=0), y


# ---- the same optimum, with weights whose sum takes the place of n ------------------------------------------------

# Before scikit-learn 1.8, l1_ratio alone meant nothing.
PURE_L1 = {"l1_ratio": 1} if parse_version(sklearn.__version__) >= parse_version("1.8") else {"penalty": "l1"}

MAPPED = {
    "Ridge": lambda n: (Ridge(3.0, solver="svd"), GDRegressor(alpha=3.0 / n)),
    "Lasso": lambda n: (Lasso(2.0, tol=1e-13, max_iter=10**5), GDRegressor(penalty="l1", alpha=2.0)),
    "ElasticNet": lambda n: (
        ElasticNet(0.5, l1_ratio=0.3, tol=1e-13, max_iter=10**5),
        GDRegressor(penalty="elasticnet", alpha=0.5, l1_ratio=0.3),
    ),
    "PoissonRegressor": lambda n: (
        PoissonRegressor(alpha=0.1, solver="newton-cholesky", tol=1e-12),
        GDRegressor(loss="poisson", alpha=0.1),
    ),
    "GammaRegressor": lambda n: (
        GammaRegressor(alpha=0.1, solver="newton-cholesky", tol=1e-12),
        GDRegressor(loss="gamma", alpha=0.1),
    ),
    "QuantileRegressor": lambda n: (
        QuantileRegressor(quantile=0.8, alpha=0.05),
        GDRegressor(loss="quantile", quantile=0.8, penalty="l1", alpha=0.05),
    ),
    "LogisticRegression": lambda n: (
        LogisticRegression(C=0.2, solver="newton-cholesky", tol=1e-12),
        GDClassifier(alpha=1 / (0.2 * n)),
    ),
    "LogisticRegression, l1": lambda n: (
        LogisticRegression(C=0.2, **PURE_L1, solver="saga", tol=1e-12, max_iter=10**5),
        GDClassifier(penalty="l1", alpha=1 / (0.2 * n)),
    ),
    "LinearSVC": lambda n: (
        LinearSVC(C=0.2, dual=False, intercept_scaling=1e4, tol=1e-12, max_iter=10**5),
        GDClassifier(loss="squared_hinge", alpha=1 / (0.2 * n)),
    ),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", MAPPED)
def test_the_same_optimum(name, weighted):
    theirs = MAPPED[name](1)[0]
    X, y = labels() if hasattr(theirs, "decision_function") else numbers()
    s = np.random.default_rng(0).integers(1, 4, len(y)).astype(float) if weighted else np.ones(len(y))
    theirs, ours = MAPPED[name](s.sum())
    theirs.fit(X, y, sample_weight=s)
    ours.set_params(tol=1e-14).fit(X, y, sample_weight=s)
    rtol = 1e-3 if name in ("LinearSVC", "LogisticRegression, l1") else 1e-6
    scale = np.abs(theirs.coef_).max()
    assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol * scale)
    assert_allclose(ours.intercept_, np.ravel(theirs.intercept_), rtol=rtol, atol=rtol * scale)
    if isinstance(theirs, (Lasso, ElasticNet, QuantileRegressor)):
        assert_array_equal(ours.coef_ == 0, np.abs(theirs.coef_) < 1e-12)


def test_huber_regressor_has_a_scale_of_its_own():
    """It minimises over sigma too: the same optimum is at epsilon = epsilon sigma and alpha = alpha sigma / n."""
    X, y = numbers()
    theirs = HuberRegressor(epsilon=1.5, alpha=2.0, tol=1e-10, max_iter=10**5).fit(X, y)
    sigma = theirs.scale_
    ours = GDRegressor(loss="huber", epsilon=1.5 * sigma, alpha=2.0 * sigma / len(y), tol=1e-13).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-4 * np.abs(theirs.coef_).max())
    assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-5)


def test_ridge_classifier_is_a_regression_on_signs():
    X, y = labels()
    theirs = RidgeClassifier(5.0).fit(X, y)
    ours = GDRegressor(alpha=5.0 / len(y), tol=1e-14).fit(X, np.where(y == 1, 1.0, -1.0))
    assert_allclose(ours.coef_, np.ravel(theirs.coef_), rtol=1e-6, atol=1e-9)


def test_softmax_is_logistic_regression():
    X, y = load_iris(return_X_y=True)
    theirs = LogisticRegression(C=10.0, solver="newton-cholesky", tol=1e-12).fit(X, y)
    ours = GDClassifier(alpha=1 / (10.0 * 150), tol=1e-14).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-6)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-6)


def uncorrelated():
    X = np.random.default_rng(0).normal(size=(300, 6))
    return X, X @ [2.0, -1.0, 0.5, 0.1, 0.0, 0.0] + np.random.default_rng(1).logistic(size=300) > 0


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_alpha_is_that_of_sgd(penalty):
    """Long after its rate has fallen, scikit-learn's SGD is where the default solver is at once."""
    X, y = uncorrelated()
    shared = {"loss": "log_loss", "penalty": penalty, "alpha": 0.03, "l1_ratio": 0.5}
    ours = GDClassifier(**shared, tol=1e-10).fit(X, y)
    theirs = SGDClassifier(**shared, learning_rate="optimal", max_iter=1000, tol=None, random_state=0)
    assert_allclose(theirs.fit(X, y).coef_, ours.coef_, atol=0.02 * np.abs(ours.coef_).max())


def test_averages_contain_the_steps_of_l1():
    """scikit-learn's mean is taken before the penalty's step, and comes to lie where its weights are not."""
    X, y = uncorrelated()
    shared = {"penalty": "l1", "alpha": 0.03, "learning_rate": "optimal", "max_iter": 200, "tol": None}
    best = GDClassifier(penalty="l1", alpha=0.03, tol=1e-10).fit(X, y).coef_
    ours = GDClassifier(average=10**4, solver="sgd", batch_size=1, random_state=0, **shared).fit(X, y).coef_
    theirs = SGDClassifier(average=10**4, loss="log_loss", random_state=0, **shared).fit(X, y).coef_
    assert np.abs(ours - best).max() < 0.02 * np.abs(best).max() < 0.1 * np.abs(theirs - best).max()


# ---- differences on purpose ---------------------------------------------------------------------------------------


def test_only_the_ratio_of_weights_matters():
    X, y = numbers()
    s = np.linspace(0.5, 1.5, len(y))
    shared = {"learning_rate": "constant", "eta0": 1e-4, "max_iter": 2}
    ours = [GDRegressor(**shared, **SEQUENTIAL).fit(X, y, sample_weight=c * s).coef_ for c in (1, 100)]
    assert_allclose(*ours, rtol=1e-12)
    theirs = SGDRegressor(**shared, shuffle=False, tol=None)
    assert_array_equal(np.abs(theirs.fit(X, y, sample_weight=100 * s).coef_ - ours[0]) > 0.1 * abs(ours[0]), True)


def test_l1_is_a_proximal_step():
    """Each update moves weights towards 0 by eta alpha and stops there; scikit-learn's collects what it still owes."""
    X, y, _, _ = problem("squared_error", n=50, d=6)
    shared = {"penalty": "l1", "alpha": 0.2, "learning_rate": "constant", "eta0": 0.01, "max_iter": 40}
    ours = GDRegressor(**shared, **SEQUENTIAL).fit(X, y)
    theirs = SGDRegressor(**shared, shuffle=False, tol=None).fit(X, y)
    assert 1e-5 < np.abs(ours.coef_ - theirs.coef_).max() < 0.1
    once = GDRegressor(**shared | {"max_iter": 1}, **SEQUENTIAL).fit(X[:1], y[:1], coef_init=np.full(6, 1e-9))
    slope = X[0] * (X[0].sum() * 1e-9 - y[0])
    moved = 1e-9 - 0.01 * slope
    assert_allclose(once.coef_, np.sign(moved) * np.maximum(np.abs(moved) - 0.01 * 0.2, 0), rtol=1e-9)


@pytest.mark.parametrize("solver", ["sgd", "gd"])
def test_a_rate_that_the_penalty_forbids_is_an_error(solver):
    """At eta alpha > 2 the rule diverges; scikit-learn clips the weights' decay at 0, which hides the rate."""
    X, y = labels()
    shared = {"alpha": 1e5, "learning_rate": "constant", "eta0": 0.1, "max_iter": 6, "tol": None}
    theirs = SGDClassifier(loss="log_loss", shuffle=False, **shared).fit(X, y)
    assert np.abs(theirs.coef_).max() < 1
    with pytest.raises(gdfast.DivergenceError, match="try eta0="):
        GDClassifier(solver=solver, **shared).fit(X, y)
    assert np.abs(GDClassifier(alpha=1e5).fit(X, y).coef_).max() < 1e-4  # no rate, no difficulty
    gentle = {"loss": "log_loss", "alpha": 10.0, "learning_rate": "constant", "eta0": 0.05, "max_iter": 3}
    ours = GDClassifier(**gentle, **SEQUENTIAL).fit(X, y)
    assert_allclose(ours.coef_, SGDClassifier(**gentle, shuffle=False, tol=None).fit(X, y).coef_, rtol=1e-11)


def test_slopes_are_not_clipped():
    """A feature of 1e300: scikit-learn asks for scaling, as the rule does; solver auto needs none."""
    X, y = load_breast_cancer(return_X_y=True)
    X = X.copy()
    X[:, 0] *= 1e300
    with pytest.raises(ValueError, match="under-/overflow"):
        SGDClassifier(loss="squared_hinge", random_state=0).fit(X, y)
    assert GDClassifier(loss="squared_hinge").fit(X, y).score(X, y) > 0.95
    with pytest.raises(gdfast.DivergenceError):
        GDClassifier(loss="squared_hinge", solver="sgd", learning_rate="constant").fit(X, y)


def test_more_classes_are_one_softmax_not_one_against_the_rest():
    X, y = load_iris(return_X_y=True)
    shared = {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.01, "max_iter": 3}
    theirs = SGDClassifier(**shared, shuffle=False, tol=None).fit(X, y)
    ours = GDClassifier(**shared, **SEQUENTIAL)
    assert np.abs(ours.fit(X, y).coef_ - theirs.coef_).max() > 0.01
    assert_allclose(ours.coef_.sum(axis=0), 0, atol=1e-12)  # of a softmax alone
    each = OneVsRestClassifier(ours).fit(X, y)
    assert_allclose(np.vstack([one.coef_ for one in each.estimators_]), theirs.coef_, rtol=1e-11)
    assert_allclose(each.predict_proba(X), theirs.predict_proba(X), atol=1e-11)


def test_a_class_weight_is_a_sample_weight_also_with_more_classes():
    """scikit-learn weighs a class in its own problem only, and not among the rest of the others."""
    X, y = load_iris(return_X_y=True)
    weight = {0: 3.0, 1: 1.0, 2: 0.5}
    shared = {"loss": "hinge", "learning_rate": "constant", "eta0": 0.01, "max_iter": 3}
    ours = GDClassifier(class_weight=weight, **shared, **SEQUENTIAL).fit(X, y)
    s = np.array([weight[label] for label in y])
    same = GDClassifier(**shared, **SEQUENTIAL).fit(X, y, sample_weight=s)
    assert_array_equal(ours.coef_, same.coef_)
    theirs = SGDClassifier(class_weight=weight, **shared, shuffle=False, tol=None).fit(X, y)
    assert np.abs(theirs.coef_ - ours.coef_).max() > 0.01


def test_the_slope_at_a_kink_is_1():
    """y = epsilon and z = 0: scikit-learn stays, we leave; a difference only if targets lie on the kink exactly."""
    X, y = np.ones((4, 1)), np.array([0.5, -0.5, 0.5, 0.5])
    shared = {"loss": "epsilon_insensitive", "epsilon": 0.5, "learning_rate": "constant", "max_iter": 1}
    assert GDRegressor(**shared, **SEQUENTIAL).fit(X, y).coef_ != 0
    assert SGDRegressor(**shared, shuffle=False, tol=None).fit(X, y).coef_ == 0


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_tol_is_relative(unit):
    """The same epochs whatever y is measured in; scikit-learn's tol is in the units of the loss."""
    X, y, _, _ = problem("squared_error", n=200, d=6)
    options = {"solver": "sgd", "learning_rate": "constant", "eta0": 1e-3, "tol": 1e-3, "penalty": None}
    model = GDRegressor(**options, random_state=0, max_iter=500)
    assert model.fit(X, unit * y).n_iter_ == model.fit(X, y).n_iter_ < 500
    theirs = SGDRegressor(learning_rate="constant", eta0=1e-3, tol=1e-3, penalty=None, random_state=0)
    assert theirs.fit(X, 1e-6 * y).n_iter_ == 1 + 5  # any progress is below tol


def test_early_stopping_watches_the_error_and_keeps_the_best_weights():
    """On the rows that scikit-learn would hold out too; there accuracy or R2 count, and the last weights stay."""
    X, y = labels()
    shared = {"loss": "log_loss", "early_stopping": True, "validation_fraction": 0.3, "random_state": 3, "alpha": 1e-2}
    held_out = next(StratifiedShuffleSplit(test_size=0.3, random_state=3).split(X, y))[1]
    kept = np.setdiff1d(np.arange(len(y)), held_out)
    ours = GDClassifier(**shared, solver="sgd", learning_rate="constant", eta0=0.5).fit(X, y)
    same = GDClassifier(**{**shared, "early_stopping": False}, solver="sgd", learning_rate="constant", eta0=0.5)
    same.fit(X[kept], y[kept], X_val=X[held_out], y_val=y[held_out])
    assert_array_equal(ours.coef_, same.coef_)
    z = X[held_out] @ ours.coef_[0] + ours.intercept_[0]
    error = np.logaddexp(0, np.where(y[held_out] == 1, -z, z)).mean() + 0.5e-2 * (ours.coef_**2).sum()
    assert_allclose(ours.best_validation_loss_, error, rtol=1e-12)
    assert ours.best_validation_loss_ == ours.validation_curve_.min() < ours.validation_curve_[-1]


@pytest.mark.filterwarnings("ignore:The rule came to a halt far from the optimum")
def test_adaptive_ends_where_the_rate_falls_below_1e_6():
    X, y = labels()
    etas = []
    options = {"solver": "sgd", "learning_rate": "adaptive", "eta0": 0.1, "tol": 0.5, "n_iter_no_change": 2}
    GDClassifier(**options, random_state=0, callback=lambda state: etas.append(state.eta) or False).fit(X, y)
    assert etas[-1] >= 1e-6 > etas[-1] / 5
    assert_allclose(np.unique(np.round(np.log(0.1 / np.array(etas)) / np.log(5), 9)), range(8))


def test_float32_rows_are_summed_in_double():
    """scikit-learn keeps float32 weights for float32 rows, and adds to them in float32."""
    X, y = numbers()
    shared = {"learning_rate": "constant", "eta0": 1e-3, "max_iter": 20, "alpha": 0.1}
    single, double = X.astype(np.float32), X.astype(np.float32).astype(np.float64)
    ours = GDRegressor(**shared, **SEQUENTIAL)
    assert_array_equal(ours.fit(single, y).coef_, ours.fit(double, y).coef_.astype(np.float32))
    theirs = SGDRegressor(**shared, shuffle=False, tol=None)
    assert np.abs(theirs.fit(single, y).coef_ - theirs.fit(double, y).coef_).max() > 1e-6


# ---- the document -------------------------------------------------------------------------------------------------


def test_the_example_runs(capsys):
    text = (pathlib.Path(__file__).parent.parent / "docs" / "coming_from_sgd.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    exec(compile(example, "coming_from_sgd.md", "exec"), {})
    assert capsys.readouterr().out.split() == ["True", "True"]


@pytest.mark.parametrize(("Ours", "Theirs"), [(GDClassifier, SGDClassifier), (GDRegressor, SGDRegressor)])
def test_names_and_defaults(Ours, Theirs):
    ours, theirs = Ours().get_params(), Theirs().get_params()
    assert set(theirs) - set(ours) <= {"n_jobs"}
    differ = {name for name in set(theirs) & set(ours) if ours[name] != theirs[name]}
    differ -= {"eta0"}  # 0.0, an invalid value, in SGDClassifier before scikit-learn 1.8
    assert differ == {"learning_rate", "tol"} | ({"loss", "power_t"} if Ours is GDClassifier else set())
    assert list(signature(Ours.fit).parameters)[:6] == list(signature(Theirs.fit).parameters)


def test_divergence_is_a_value_error_too():
    assert issubclass(gdfast.DivergenceError, ValueError)
