"""What users of SGDClassifier and SGDRegressor rely on, by the textbook rule and by the default solver."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from gdfast import GDClassifier, GDRegressor

both = pytest.mark.parametrize("Estimator", [GDRegressor, GDClassifier])
each_solver = pytest.mark.parametrize("solver", ["auto", "gd", "sgd"])
CLASSIFICATION = ("log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron")

TOY = np.array([[-2.0, -1.0], [-1.0, -1.0], [-1.0, -2.0], [1.0, 1.0], [1.0, 2.0], [2.0, 1.0]])
TOY_LABELS = np.array(["a", "a", "a", "b", "b", "b"])
UNSEEN, UNSEEN_LABELS = [[-1.0, -1.0], [2.0, 2.0], [3.0, 2.0]], ["a", "b", "b"]


def data(Estimator, n=200):
    X, y = make_classification(n, 6, n_informative=4, class_sep=1.5, random_state=0)
    return X, y if Estimator is GDClassifier else X @ np.arange(6.0) + 0.1 * y


# ---- learning -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Maximum number of iteration")  # of the perceptron, whose E falls for ever
@each_solver
@pytest.mark.parametrize("loss", CLASSIFICATION)
def test_every_loss_learns_the_toy_set(loss, solver):
    model = GDClassifier(loss=loss, solver=solver, alpha=0.01, max_iter=2000, random_state=0).fit(TOY, TOY_LABELS)
    assert_array_equal(model.predict(TOY), TOY_LABELS)
    assert_array_equal(model.predict(UNSEEN), UNSEEN_LABELS)
    assert_array_equal(model.decision_function(UNSEEN) > 0, [False, True, True])


@pytest.mark.parametrize("noise, least", [(0.0, 0.99), (0.5, 0.5)])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"])
def test_a_line_is_found_in_twenty_epochs(loss, noise, least):
    X = np.linspace(-5, 5, 100)[:, None]
    y = 0.5 * X[:, 0] + noise * np.random.default_rng(0).normal(size=100)
    options = {"loss": loss, "epsilon": 0.1, "alpha": 0.01, "fit_intercept": False, "max_iter": 20, "tol": None}
    model = GDRegressor(solver="sgd", batch_size=1, learning_rate="invscaling", random_state=0, **options).fit(X, y)
    assert model.score(X, y) > least
    assert GDRegressor(**options).fit(X, y).score(X, y) > least


@pytest.mark.parametrize("l1_ratio", [0.5, 0.9])
@pytest.mark.parametrize("alpha", [0.01, 0.1])
def test_sequential_steps_come_near_the_elastic_net(alpha, l1_ratio):
    X = np.random.default_rng(0).normal(size=(1000, 5))
    y = X @ [3.0, 0.0, -2.0, 1.0, 0.5]
    theirs = ElasticNet(alpha=alpha, l1_ratio=l1_ratio, fit_intercept=False).fit(X, y)
    options = {"penalty": "elasticnet", "alpha": alpha, "l1_ratio": l1_ratio, "fit_intercept": False}
    rule = {"solver": "sgd", "batch_size": 1, "learning_rate": "invscaling", "max_iter": 50, "tol": None}
    assert_allclose(GDRegressor(**options, **rule, random_state=0).fit(X, y).coef_, theirs.coef_, atol=0.01)


@pytest.mark.parametrize("extreme, penalty", [(1 - 1e-10, "l1"), (1e-10, "l2")])
def test_the_ends_of_the_elastic_net_are_the_two_penalties(extreme, penalty):
    X, y = data(GDClassifier)
    options = {"alpha": 0.02, "tol": 1e-14}
    mixed = GDClassifier(penalty="elasticnet", l1_ratio=extreme, **options).fit(X, y)
    assert_allclose(mixed.coef_, GDClassifier(penalty=penalty, **options).fit(X, y).coef_, atol=1e-6)


@both
@pytest.mark.parametrize("penalty", ["l1", "l2", None])
def test_l1_ratio_counts_for_the_elastic_net_only(Estimator, penalty):
    X, y = data(Estimator)
    one, other = (Estimator(penalty=penalty, l1_ratio=ratio, alpha=0.1).fit(X, y) for ratio in (None, 0.9))
    assert_array_equal(one.coef_, other.coef_)


@each_solver
def test_l1_leaves_out_what_does_not_inform(solver):
    X = np.random.default_rng(13).normal(size=(100, 20))
    y = np.where(X[:, 3] - X[:, 7] > 0, 1, -1)
    model = GDClassifier(penalty="l1", alpha=0.1, solver=solver, max_iter=2000, random_state=0).fit(X, y)
    assert_array_equal(np.flatnonzero(np.abs(model.coef_[0]) > 1e-2), [3, 7])
    assert (model.coef_ == 0).sum() >= 12 and model.score(X, y) > 0.95


# ---- starts -------------------------------------------------------------------------------------------------------


@both
def test_starting_at_ones_own_weights_changes_nothing(Estimator):
    X, y = data(Estimator)
    options = {"solver": "sgd", "learning_rate": "constant", "max_iter": 3, "tol": None, "random_state": 0}
    first = Estimator(**options).fit(X, y)
    start = {"coef_init": first.coef_, "intercept_init": first.intercept_}
    given = Estimator(**options).fit(X, y, **start)
    warm = Estimator(warm_start=True, **options).fit(X, y).fit(X, y)
    assert_array_equal(given.coef_, warm.coef_)
    assert given.t_ == warm.t_ and np.abs(given.coef_ - first.coef_).max() > 1e-6
    settled = Estimator(tol=1e-12).fit(X, y)
    again = Estimator(tol=1e-12).fit(X, y, coef_init=settled.coef_, intercept_init=settled.intercept_)
    assert_allclose(again.coef_, settled.coef_, rtol=1e-6)
    assert again.n_iter_ <= 3


def test_starts_of_several_classes():
    X, y = load_iris(return_X_y=True)
    for shape in [(3, 4), (2, 4), (3, 3), (4,)]:
        if shape == (3, 4):
            GDClassifier(max_iter=3, tol=None).fit(X, y, coef_init=np.zeros(shape), intercept_init=np.zeros(3))
            continue
        with pytest.raises(ValueError, match="coef_init"):
            GDClassifier().fit(X, y, coef_init=np.zeros(shape))
    with pytest.raises(ValueError, match="intercept_init"):
        GDClassifier().fit(X, y, intercept_init=np.zeros(2))


def test_one_estimator_is_fitted_to_ever_other_data():
    model = GDClassifier()
    assert_array_equal(model.fit(TOY, TOY_LABELS).classes_, ["a", "b"])
    X, y = load_iris(return_X_y=True)
    assert model.fit(X, y).coef_.shape == (3, 4)
    assert_array_equal(model.fit(X[:, :2], y > 0).classes_, [False, True])
    assert model.coef_.shape == (1, 2)


# ---- weights ------------------------------------------------------------------------------------------------------


@each_solver
def test_weights_move_the_border(solver):
    X, y = np.array([[-1.0], [0.5], [-0.5], [1.0]]), [0, 0, 1, 1]
    options = {"alpha": 0.01, "solver": solver, "batch_size": None if solver == "auto" else 4, "max_iter": 3000}
    options |= {"tol": 1e-8, "random_state": 0}
    assert_array_equal(GDClassifier(**options).fit(X, y).predict([[-0.2], [0.2]]), [0, 1])
    light = GDClassifier(class_weight={1: 0.1}, **options).fit(X, y)
    assert_array_equal(light.predict([[-0.2], [0.2]]), [0, 0])
    same = GDClassifier(**options).fit(X, y, sample_weight=[1, 1, 0.1, 0.1])
    assert_allclose(same.coef_, light.coef_, rtol=1e-9)
    both = GDClassifier(class_weight={1: 0.5}, **options).fit(X, y, sample_weight=[1, 1, 0.2, 0.2])
    assert_allclose(both.coef_, light.coef_, rtol=1e-9)


def test_balancing_helps_the_rare_class():
    X, y = make_classification(2000, 6, weights=[0.95], flip_y=0.02, class_sep=0.6, random_state=3)
    plain, balanced = (GDClassifier(class_weight=weight).fit(X, y) for weight in (None, "balanced"))
    recall = [(model.predict(X)[y == 1] == 1).mean() for model in (plain, balanced)]
    assert recall[1] > recall[0] + 0.2
    assert f1_score(y, balanced.predict(X), average="macro") > 0.5
    even = GDClassifier(class_weight="balanced").fit(TOY, TOY_LABELS)
    assert_array_equal(even.coef_, GDClassifier().fit(TOY, TOY_LABELS).coef_)


# ---- stopping -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:The rule came to a halt far from the optimum")
@both
def test_tol_and_max_iter(Estimator):
    X, y = data(Estimator)
    options = {"solver": "sgd", "learning_rate": "constant", "random_state": 0, "eta0": 1e-3}
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        assert Estimator(max_iter=3, tol=0, **options).fit(X, y).n_iter_ == 3
    assert Estimator(max_iter=7, tol=None, **options).fit(X, y).n_iter_ == 7
    epochs = [Estimator(max_iter=3000, tol=tol, **options).fit(X, y).n_iter_ for tol in (0.1, 1e-3)]
    assert 5 < epochs[0] < epochs[1] < 3000


@both
def test_adaptive_goes_on_where_constant_stops(Estimator):
    X, y = data(Estimator)
    X = StandardScaler().fit_transform(X)
    options = {"solver": "sgd", "eta0": 0.02, "tol": 1e-3, "max_iter": 500, "random_state": 0}
    epochs = {
        schedule: Estimator(learning_rate=schedule, **options).fit(X, y).n_iter_
        for schedule in ("constant", "adaptive")
    }
    assert epochs["adaptive"] > epochs["constant"] + 5


@both
@pytest.mark.parametrize("solver", ["auto", "sgd"])
def test_early_stopping_ends_before_max_iter_and_needs_enough_rows(Estimator, solver):
    X, y = data(Estimator)
    options = {"early_stopping": True, "solver": solver, "max_iter": 1000, "random_state": 0}
    model = Estimator(**options).fit(X, y)
    assert model.n_iter_ < 1000 and model.score(X, y) > 0.8
    with pytest.raises(ValueError, match=r"train_size|test_size|train set|n_samples|classes"):
        Estimator(validation_fraction=0.99, **options).fit(X[:5], y[:5])


# ---- numbers of every size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_a_strong_penalty_gives_zeros_without_a_complaint_of_numpy(penalty):
    X, y = load_iris(return_X_y=True)
    with np.errstate(all="raise"):
        model = GDClassifier(alpha=1e5, penalty=penalty).fit(X, y)
        answers = model.predict_proba(X)
    assert np.abs(model.coef_).max() < 1e-4 and (penalty == "l2" or (model.coef_ == 0).all())
    assert_allclose(answers, 1 / 3, atol=1e-4)


@both
def test_float32_rows_give_nearly_the_weights_of_float64_rows(Estimator):
    X, y = data(Estimator)
    single = X.astype(np.float32)
    for options in ({"tol": 1e-12}, {"solver": "sgd", "learning_rate": "constant", "random_state": 0, "tol": None}):
        options = {"max_iter": 20, "alpha": 0.01} | options
        one, other = (Estimator(**options).fit(rows, y) for rows in (single, single.astype(np.float64)))
        assert_allclose(one.coef_, other.coef_, rtol=1e-4, atol=1e-5)
