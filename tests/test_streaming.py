"""`partial_fit`: the epochs of one fit, call by call; what it refuses; what it leaves alone."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.preprocessing import StandardScaler

from gdfast import GDClassifier, GDRegressor
from gdfast.exceptions import DivergenceError

both = pytest.mark.parametrize("Estimator", [GDRegressor, GDClassifier])
RULES = [
    {"solver": "sgd", "batch_size": 1},
    {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True},
    {"solver": "sgd", "average": True},
    {"solver": "sgd", "average": 11},
    {"solver": "sgd", "learning_rate": "invscaling", "eta0": 0.1},
    {"solver": "sgd", "learning_rate": "optimal", "alpha": 1.0},
    {"solver": "sgd", "learning_rate": "constant", "penalty": "l1", "alpha": 0.01},
    {"solver": "adagrad"},
    {"solver": "rmsprop"},
    {"solver": "adam"},
    {"solver": "adam", "average": True, "learning_rate": "constant"},
    {"solver": "gd"},
    {"solver": "gd", "momentum": 0.5, "learning_rate": "constant"},
]


def data(Estimator, n=100, d=5, seed=0):
    X, labels = make_classification(n, d, n_informative=d - 2, n_redundant=0, random_state=seed, flip_y=0.2)
    return X, labels if Estimator is GDClassifier else X @ np.arange(1.0, d + 1) + labels


def part(model, X, y, classes=None, **more):
    """One call of `partial_fit`, with the classes if it takes any."""
    given = {"classes": [0, 1] if classes is None else classes} if isinstance(model, GDClassifier) else {}
    return model.partial_fit(X, y, **given, **more)


def assert_same_fit(a, b):
    assert {name for name in vars(a) if name.endswith("_")} == {name for name in vars(b) if name.endswith("_")}
    for name in vars(a):
        if name.endswith("_"):
            assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


# --------------------------------------------------------------------------------------------- the same rule


@both
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_calls_are_the_epochs_of_one_fit(Estimator, rule):
    X, y = data(Estimator)
    whole = Estimator(**rule, max_iter=6, tol=None, random_state=4).fit(X, y)
    parts = Estimator(**rule, random_state=4)
    curve = []
    for _ in range(6):
        part(parts, X, y)
        curve += parts.loss_curve_.tolist()
        assert parts.n_iter_ == 1
    assert_array_equal(parts.coef_, whole.coef_)
    assert_array_equal(parts.intercept_, whole.intercept_)
    assert parts.t_ == whole.t_
    assert curve == whole.loss_curve_.tolist()


@both
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_going_on_after_fit_a_pickle_and_a_copy(Estimator, rule):
    X, y = data(Estimator)
    whole = Estimator(**rule, max_iter=6, tol=None, random_state=4).fit(X, y)
    model = Estimator(**rule, max_iter=3, tol=None, random_state=4).fit(X, y)
    model = pickle.loads(pickle.dumps(part(model, X, y)))
    model = part(copy.deepcopy(part(model, X, y)), X, y)
    assert_array_equal(model.coef_, whole.coef_)
    assert model.t_ == whole.t_


@pytest.mark.parametrize("schedule", ["constant", "invscaling"])
@pytest.mark.parametrize("average", [False, True, 30])
def test_one_row_per_update_is_scikit_learns_rule(schedule, average):
    X, y = data(GDRegressor, n=40)
    X = X / 4  # scikit-learn clips steps that are too large
    settings = {"learning_rate": schedule, "eta0": 0.01, "alpha": 0.01, "shuffle": False, "average": average}
    ours = GDRegressor(solver="sgd", batch_size=1, power_t=0.25, **settings)
    theirs = SGDRegressor(power_t=0.25, **settings)
    for rows in (slice(0, 15), slice(15, 16), slice(16, 40), slice(0, 40)):
        ours.partial_fit(X[rows], y[rows])
        theirs.partial_fit(X[rows], y[rows])
        assert ours.t_ == theirs.t_
        assert ours.n_iter_ == theirs.n_iter_
        assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
        assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8)


def test_classes_are_learnt_as_scikit_learn_does():
    X, y = data(GDClassifier, n=60)
    settings = {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.05, "alpha": 0.01, "shuffle": False}
    ours = GDClassifier(solver="sgd", batch_size=1, **settings)
    theirs = SGDClassifier(**settings)
    for start in range(0, 60, 20):
        rows = slice(start, start + 20)
        ours.partial_fit(X[rows], y[rows], classes=[0, 1])
        theirs.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8)


@both
def test_auto_streams_by_the_rule_sgd(Estimator):
    X, y = data(Estimator)
    auto = part(part(Estimator(random_state=0), X, y), X[:50], y[:50])
    rule = part(part(Estimator(random_state=0, solver="sgd"), X, y), X[:50], y[:50])
    assert_array_equal(auto.coef_, rule.coef_)
    assert_array_equal(auto.intercept_, rule.intercept_)
    assert auto.solver == "auto"


def test_a_step_of_gd_lowers_the_error_of_its_rows():
    X, y = data(GDRegressor)
    model = GDRegressor(solver="gd")
    for start in range(0, 100, 10):
        rows = slice(start, start + 10)
        before = 0.5 * np.mean((y[rows] - (model.predict(X[rows]) if start else 0.0)) ** 2)
        model.partial_fit(X[rows], y[rows])
        assert 0.5 * np.mean((y[rows] - model.predict(X[rows])) ** 2) < before


@pytest.mark.parametrize("loss", ["log_loss", "hinge", "modified_huber"])
def test_streams_of_several_classes_learn(loss):
    X, y = load_iris(return_X_y=True)
    X, names = StandardScaler().fit_transform(X), np.array(["setosa", "versicolor", "virginica"])[y]
    order = np.random.default_rng(0).permutation(150)
    model = GDClassifier(loss=loss, random_state=0, batch_size=4, alpha=1e-3)
    for _ in range(20):
        for rows in np.array_split(order, 5):
            model.partial_fit(X[rows], names[rows], classes=["virginica", "setosa", "versicolor"])
    assert model.coef_.shape == (3, 4)
    assert_array_equal(model.classes_, ["setosa", "versicolor", "virginica"])
    assert model.score(X, names) > 0.9


def test_several_outputs_stream():
    X, y = data(GDRegressor)
    Y = np.column_stack([y, -y, y**2])
    model = GDRegressor(random_state=0)
    alone = GDRegressor(random_state=0)
    for rows in (slice(0, 50), slice(50, 100)):
        model.partial_fit(X[rows], Y[rows])
        alone.partial_fit(X[rows], y[rows])
    assert model.coef_.shape == (3, 5)
    assert model.predict(X).shape == (100, 3)
    for bad in (Y[:, :2], y):
        with pytest.raises(ValueError, match="y must have as many outputs as y in training"):
            model.partial_fit(X, bad)
    with pytest.raises(ValueError, match="y must have as many outputs as y in training"):
        alone.partial_fit(X, Y)


# ------------------------------------------------------------------------------------------ weights, offsets


@both
@pytest.mark.parametrize("batch_size", [1, 7])
def test_weights_count_against_those_of_all_rows_so_far(Estimator, batch_size):
    """A book of the rule: each batch steps by sum s_i g_i over its rows times the mean weight seen by then."""
    X, y = data(Estimator, n=42)
    weight = np.random.default_rng(3).uniform(0.0, 5.0, 42)
    settings = {"learning_rate": "constant", "eta0": 0.02, "alpha": 0.1, "shuffle": False, "solver": "sgd"}
    model = Estimator(**settings, batch_size=batch_size)
    w, b, seen = np.zeros(5), 0.0, []
    for start in range(0, 42, 21):
        rows = slice(start, start + 21)
        part(model, X[rows], y[rows], sample_weight=weight[rows])
        seen.extend(weight[rows])
        for first in range(start, start + 21, batch_size):
            i = slice(first, first + batch_size)
            z = X[i] @ w + b
            slope = weight[i] * (z - y[i] if Estimator is GDRegressor else 1 / (1 + np.exp(-z)) - y[i])
            slope /= batch_size * np.mean(seen)
            w, b = w - 0.02 * (X[i].T @ slope + 0.1 * w), b - 0.02 * slope.sum()
    assert_allclose(model.coef_.ravel(), w, rtol=1e-10)
    assert_allclose(model.intercept_, b, rtol=1e-10)


def test_class_weights_count_although_calls_bring_one_class_each():
    X, y = data(GDClassifier)
    settings = {"learning_rate": "constant", "solver": "sgd", "shuffle": False}
    weighted = GDClassifier(class_weight={0: 1.0, 1: 9.0}, **settings)
    by_hand = GDClassifier(**settings)
    plain = GDClassifier(**settings)
    for label in (0, 1, 0, 1):
        rows = y == label
        weighted.partial_fit(X[rows], y[rows], classes=[0, 1])
        by_hand.partial_fit(X[rows], y[rows], classes=[0, 1], sample_weight=np.full(rows.sum(), 1.0 + 8.0 * label))
        plain.partial_fit(X[rows], y[rows], classes=[0, 1])
    assert_array_equal(weighted.coef_, by_hand.coef_)
    assert weighted.intercept_[0] > plain.intercept_[0] + 0.01


def test_an_offset_is_left_out_of_predictions():
    rng = np.random.default_rng(0)
    X, exposure = rng.normal(size=(4000, 3)), rng.uniform(0.1, 10.0, 4000)
    y = rng.poisson(exposure * np.exp(X @ [0.3, -0.2, 0.1] + 0.5))
    model = GDRegressor(loss="poisson", alpha=0, random_state=0, solver="sgd", learning_rate="invscaling", eta0=0.02)
    blind = clone(model)
    for _ in range(10):
        for rows in np.array_split(np.arange(4000), 8):
            model.partial_fit(X[rows], y[rows], offset=np.log(exposure[rows]))
            blind.partial_fit(X[rows], y[rows])
    assert_allclose(model.coef_, [0.3, -0.2, 0.1], atol=0.05)
    assert_allclose(model.intercept_, [0.5], atol=0.1)
    assert_allclose(model.predict(X), np.exp(X @ model.coef_ + model.intercept_))
    assert blind.intercept_[0] > 1.5
    with pytest.raises(ValueError, match="offset has 3"):
        model.partial_fit(X, y, offset=np.zeros(3))


# -------------------------------------------------------------------------------- fit before, after, between


@both
def test_going_on_from_a_fit_to_the_optimum(Estimator):
    X, y = data(Estimator)
    model = Estimator(random_state=0).fit(X, y)
    coef, intercept, t = model.coef_.copy(), model.intercept_.copy(), model.t_
    part(model, X, y)
    epoch = Estimator(random_state=0, solver="sgd", max_iter=1, tol=None).fit(X, y, coef, intercept)
    assert_array_equal(model.coef_, epoch.coef_)
    assert_array_equal(model.intercept_, epoch.intercept_)
    assert model.t_ == t + 4  # updates: batches of 32, 32, 32 and 4 rows


@both
def test_fit_starts_anew_unless_warm_start(Estimator):
    X, y = data(Estimator)
    settings = {"solver": "adam", "random_state": 0, "max_iter": 3, "tol": None}
    fresh = Estimator(**settings).fit(X, y)
    model = part(part(Estimator(**settings), X[:50], y[:50]), X, y)
    coef, intercept = model.coef_, model.intercept_
    warm = copy.deepcopy(model).set_params(warm_start=True).fit(X, y)
    assert_same_fit(model.fit(X, y), fresh)
    assert_same_fit(warm, Estimator(**settings).fit(X, y, coef, intercept))
    assert warm.t_ == fresh.t_ == 13


@both
def test_a_fit_that_kept_its_best_epoch_goes_on_from_that(Estimator):
    X, y = data(Estimator)
    model = Estimator(solver="sgd", learning_rate="constant", eta0=0.05, batch_size=1, random_state=0)
    model.fit(X, y, X_val=X[:20], y_val=y[:20][::-1])
    best = model.coef_.copy()
    model.set_params(learning_rate="constant", eta0=1e-12)
    assert_allclose(part(model, X, y).coef_, best, rtol=1e-6)


@both
@pytest.mark.parametrize("average", [False, True])
def test_weights_that_were_set_are_where_the_rule_goes_on(Estimator, average):
    """As machines do that learn apart and then take the mean of what they learnt."""
    X, y = data(Estimator)
    model = part(Estimator(solver="sgd", learning_rate="constant", eta0=1e-12, average=average), X, y)
    model.coef_ = model.coef_ + 3.0
    model.intercept_ = model.intercept_ - 2.0
    part(model, X, y)
    assert_allclose(model.coef_, 3.0, rtol=1e-6)
    assert_allclose(model.intercept_, -2.0, rtol=1e-6)


@both
def test_another_rule_takes_over_the_weights(Estimator):
    X, y = data(Estimator)
    model = part(Estimator(solver="sgd", random_state=0), X, y)
    coef, intercept, t = model.coef_.copy(), model.intercept_.copy(), model.t_
    part(model.set_params(solver="adam"), X, y)
    adam = Estimator(solver="adam", random_state=0, max_iter=1, tol=None).fit(X, y, coef, intercept)
    assert_array_equal(model.coef_, adam.coef_)
    assert model.t_ == t + 4


@both
def test_adaptive_stays_at_eta0(Estimator):
    X, y = data(Estimator)
    models = [Estimator(solver="sgd", learning_rate=rate, random_state=0) for rate in ("adaptive", "constant")]
    for _ in range(3):
        for model in models:
            part(model, X, y)
    for model in models:
        part(model.set_params(eta0=0.003), X, y)
    assert_array_equal(models[0].coef_, models[1].coef_)


@both
def test_each_call_has_an_order_of_its_own(Estimator):
    X, y = data(Estimator)
    first = Estimator(solver="sgd", batch_size=1, learning_rate="constant", random_state=0, max_iter=1, tol=None)
    start = first.fit(X, y)
    again = clone(first).fit(X, y, start.coef_, start.intercept_)
    assert not np.array_equal(part(start, X, y).coef_, again.coef_)


@both
def test_sparse_weights_are_made_dense(Estimator):
    X, y = data(Estimator)
    plain, sparse = (part(Estimator(random_state=0, penalty="l1", alpha=0.1), X, y) for _ in range(2))
    part(plain, X, y)
    part(sparse.sparsify(), X, y)
    assert_same_fit(sparse, plain)


@both
def test_float32_streams_lose_nothing_between_calls(Estimator):
    X, y = data(Estimator)
    X = X.astype(np.float32)
    parts = Estimator(solver="sgd", random_state=0)
    for _ in range(5):
        part(parts, X, y)
    whole = Estimator(solver="sgd", random_state=0, max_iter=5, tol=None).fit(X, y)
    assert parts.coef_.dtype == whole.coef_.dtype == np.float32
    assert_array_equal(parts.coef_, whole.coef_)


@both
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_rows_stream_as_dense_ones_do(Estimator, dtype):
    X, y = data(Estimator)
    X = np.where(np.abs(X) > 1.0, X, 0.0).astype(dtype)
    dense, sparse = (Estimator(random_state=0, solver="sgd", penalty=None) for _ in range(2))
    for rows in (slice(0, 50), slice(50, 100), slice(0, 100)):
        part(dense, X[rows], y[rows], offset=X[rows, 0])
        part(sparse, csr_array(X[rows]), y[rows], offset=X[rows, 0])
    assert sparse.coef_.dtype == dtype
    assert_allclose(sparse.coef_, dense.coef_, rtol=1e-9 if dtype is np.float64 else 1e-4)
    assert sparse.t_ == dense.t_


@both
def test_bounds_hold_in_every_call(Estimator):
    X, y = data(Estimator)
    X = X * [1, -1, 1, -1, 1]
    bounded, free = Estimator(random_state=0, positive=True), Estimator(random_state=0)
    for rows in (slice(0, 50), slice(50, 100)):
        assert (part(bounded, X[rows], y[rows]).coef_ >= 0).all()
        assert (part(free, X[rows], y[rows]).coef_ < 0).any()


@both
def test_a_call_within_a_call_is_refused(Estimator):
    X, y = data(Estimator)
    model = Estimator(callback=lambda state: model.partial_fit(X, y) and None)
    with pytest.raises(RuntimeError, match="estimator is being fitted"):
        part(model, X, y)
    assert not hasattr(model, "coef_")


def test_callbacks_and_lines_of_each_call(capsys):
    X, y = data(GDRegressor)
    seen = []
    model = GDRegressor(callback=lambda state: seen.append(state.error), verbose=1)
    for _ in range(3):
        model.partial_fit(X, y)
        assert seen[-1] == model.loss_curve_[0]
    assert capsys.readouterr().out.count("Epoch 1: error") == len(seen) == 3


# -------------------------------------------------------------------------------------------- what is refused


def bad_calls(Estimator, X, y):
    """Changes of the parameters, arguments, keywords, and what the message must say."""
    nan = X.copy()
    nan[3, 2] = np.nan
    yield {}, (X[:, :3], y), {}, "X has 3 features, but .* is expecting 5"
    yield {}, (nan, y), {}, "Input X contains NaN.*row 3, column 2"
    yield {}, (X, y[:-1]), {}, "inconsistent numbers of samples"
    yield {}, (X, y), {"sample_weight": -np.ones(100)}, "sample_weight must be >= 0"
    yield {}, (X, y), {"offset": np.full(100, np.inf)}, "Input offset contains infinity"
    yield {"early_stopping": True}, (X, y), {}, "early_stopping should be False with partial_fit"
    yield {"eta0": -1.0}, (X, y), {}, "'eta0' parameter"
    yield {"penalty": "elasticnet", "l1_ratio": None}, (X, y), {}, "l1_ratio must be set when penalty is 'elasticnet'"
    if Estimator is GDClassifier:
        yield {"class_weight": "balanced"}, (X, y), {}, "class_weight 'balanced' is not supported for partial_fit"
        yield {}, (X, y + 1), {}, r"y must hold labels of classes_, \[0, 1\], got 2 at row"
        yield {}, (X, y + 0.5), {}, r"got 0.5 at row|got 1.5 at row"
        yield {}, (X, y.astype(str)), {}, r"y must hold labels of classes_, \[0, 1\], got '[01]' at row 0"
        yield {}, (X, y), {"classes": [0, 1, 2]}, "is not the same as on last call to partial_fit"


@both
def test_a_failed_call_leaves_the_model_as_it_was(Estimator):
    X, y = data(Estimator)
    model = part(part(Estimator(random_state=0, solver="adam"), X, y), X, y)
    before = pickle.dumps(vars(model))
    count = 0
    for change, arguments, keywords, message in bad_calls(Estimator, X, y):
        parameters = model.get_params()
        model.set_params(**change)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(*arguments, **keywords)
        model.set_params(**parameters)
        assert pickle.dumps(vars(model)) == before, message
        count += 1
    assert count >= 8


def test_what_leaves_the_finite_range_leaves_the_model():
    X, y = data(GDRegressor)
    model = GDRegressor(solver="sgd", learning_rate="constant", eta0=0.01).partial_fit(X, y)
    coef = model.coef_.copy()
    with pytest.raises(DivergenceError, match="Floating-point under-/overflow occurred at epoch #1"):
        model.set_params(eta0=1e6).partial_fit(X * 1e6, y)
    assert_array_equal(model.coef_, coef)
    assert_allclose(model.set_params(eta0=0.01).partial_fit(X, y).t_, 9)


def test_an_interrupted_call_leaves_the_model():
    X, y = data(GDRegressor)
    model = GDRegressor(random_state=0).partial_fit(X, y)
    coef = model.coef_.copy()

    def interrupt(state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.set_params(callback=interrupt).partial_fit(X, y)
    assert_array_equal(model.coef_, coef)
    assert model.t_ == 5


def test_the_first_call_must_name_the_classes():
    X, y = data(GDClassifier)
    model = GDClassifier()
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        model.partial_fit(X, y)
    with pytest.raises(ValueError, match="The number of classes has to be greater than one; got 1 class"):
        model.partial_fit(X, np.zeros(100), classes=[0])
    assert not hasattr(model, "classes_")
    assert not hasattr(model, "n_features_in_")
    model.fit(X, y).partial_fit(X[:1], y[:1])


@pytest.mark.parametrize("kind", [str, object, bool, float, np.float32, np.uint8])
def test_labels_are_compared_as_they_are(kind):
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    labels = np.array(["a", "b"], dtype=object) if kind is object else np.array([0, 1]).astype(kind)
    y = labels[[0, 1, 0, 1]]
    model = GDClassifier(random_state=0).partial_fit(X, y, classes=labels)
    assert model.classes_.dtype.kind == labels.dtype.kind or kind is object
    whole = GDClassifier(random_state=0, solver="sgd", max_iter=1, tol=None).fit(X, y)
    assert_array_equal(model.coef_, whole.coef_)
    longer = np.array(["ab" if kind in (str, object) else 0.5] * 4, dtype=object if kind is object else None)
    with pytest.raises(ValueError, match="y must hold labels of classes_"):
        model.partial_fit(X, longer)


def test_real_data_stream_to_a_good_model():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = GDClassifier(random_state=0)
    for start in range(0, 569, 50):
        model.partial_fit(X[start : start + 50], y[start : start + 50], classes=[0, 1])
    assert model.score(X, y) > 0.95
