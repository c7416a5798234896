"""`coef_` and `intercept_`: single precision for single precision, sparse on demand, set by hand, averaged."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import issparse
from sklearn.linear_model import SGDClassifier, SGDRegressor

from gdfast import GDClassifier, GDRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 6))
LINE = X @ [1.0, -2.0, 0.5, 0.0, 0.0, 0.0] + 0.3 + rng.normal(size=200)
LABELS, LEVELS = (LINE > 0).astype(int), np.digitize(LINE, [-1.0, 1.0])
KINDS = {
    "regressor": (GDRegressor, LINE),
    "outputs": (GDRegressor, np.column_stack([LINE, -LINE])),
    "binary": (GDClassifier, LABELS),
    "softmax": (GDClassifier, LEVELS),
}
kinds = pytest.mark.parametrize(("Estimator", "y"), KINDS.values(), ids=KINDS)


# -------------------------------------------------------------------------------------------------- precision


@kinds
@pytest.mark.parametrize("solver", ["auto", "gd", "adam"])
def test_float32_in_float32_out(Estimator, y, solver):
    single = X.astype(np.float32)
    model = Estimator(solver=solver, random_state=0, max_iter=300, alpha=0.1, tol=None if solver == "adam" else 1e-3)
    double = copy.deepcopy(model).fit(single.astype(np.float64), y)
    model.fit(single, y)
    answers = [model.coef_, model.intercept_]
    if Estimator is GDClassifier:
        answers += [model.decision_function(single), model.predict_proba(single), model.predict_log_proba(single)]
    else:
        answers.append(model.predict(single))
    assert [answer.dtype for answer in answers] == [np.float32] * len(answers)
    assert_allclose(model.coef_, double.coef_, rtol=1e-4, atol=1e-4)
    assert double.coef_.dtype == double.intercept_.dtype == np.float64
    assert model.loss_curve_.dtype == np.float64
    assert model.predict(X).dtype == (y.dtype if Estimator is GDClassifier else np.float64)


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f2", "i1", "u2", "i4", "i8", "?"])
def test_other_types_are_answered_in_double(dtype):
    model = GDRegressor().fit((4 * X).astype(dtype), LINE)
    assert model.coef_.dtype == model.intercept_.dtype == np.float64


def test_byte_order_does_not_matter():
    swapped = X.astype(">f4")
    model = GDRegressor().fit(swapped, LINE)
    assert model.coef_.dtype == np.float32
    assert_array_equal(model.coef_, GDRegressor().fit(X.astype(np.float32), LINE).coef_)
    assert model.predict(swapped).dtype == np.float32


def test_predictions_of_float32_are_those_of_the_weights_trained():
    """The engine multiplies in single precision: rounding the weights before takes nothing away."""
    single = X.astype(np.float32)
    model = GDRegressor(solver="sgd", random_state=0, fit_intercept=False).fit(single, LINE)
    trained = copy.deepcopy(model)
    trained.coef_ = model._standing.state.weights[:6]
    assert trained.coef_.dtype == np.float64
    assert_array_equal(model.predict(single), trained.predict(single))


# ----------------------------------------------------------------------------------------------------- sparse


@kinds
def test_sparse_weights_predict_the_same(Estimator, y):
    model = Estimator(penalty="l1", alpha=0.1).fit(X, y)
    coef = model.coef_.copy()
    assert 0 < np.count_nonzero(coef) < coef.size
    methods = ["predict", *(["decision_function", "predict_proba"] if Estimator is GDClassifier else [])]
    before = [getattr(model, method)(X) for method in methods]
    assert model.sparsify() is model
    assert issparse(model.coef_)
    assert model.coef_.shape == np.atleast_2d(coef).shape
    assert model.coef_.nnz == np.count_nonzero(coef)
    for again in (model, pickle.loads(pickle.dumps(model)), model.sparsify()):
        assert issparse(again.coef_)
        for method, expected in zip(methods, before, strict=True):
            assert_array_equal(getattr(again, method)(X), expected)
    assert model.densify() is model
    assert_array_equal(model.coef_, coef)
    assert model.coef_.shape == coef.shape
    assert model.densify().coef_ is model.coef_
    assert not issparse(model.sparsify().fit(X, y).coef_)


@kinds
def test_a_warm_start_from_sparse_weights(Estimator, y):
    models = [Estimator(penalty="l1", alpha=0.1, warm_start=True, max_iter=5, tol=None, solver="gd") for _ in range(2)]
    for model in models:
        model.fit(X, y)
    models[0].sparsify()
    for model in models:
        model.fit(X, y)
    assert_array_equal(models[0].coef_, models[1].coef_)


def test_the_sparse_kind_is_scikit_learns():
    ours = GDClassifier(penalty="l1", alpha=0.1).fit(X, LABELS).sparsify()
    theirs = SGDClassifier(penalty="l1", alpha=0.1, random_state=0).fit(X, LABELS).sparsify()
    assert type(ours.coef_) is type(theirs.coef_)
    assert ours.coef_.shape == theirs.coef_.shape


# ------------------------------------------------------------------------------------------------------ starts


@pytest.mark.parametrize("average", [False, True, 150, 10_000])
@pytest.mark.parametrize("shape", [(6,), (1, 6)])
def test_starts_and_averages_are_scikit_learns(average, shape):
    """Where theirs do that: SGDRegressor's averages run on over a new start, SGDClassifier's forget the intercept
    that `partial_fit` goes on from."""
    start = np.linspace(-1.0, 1.0, 6).reshape(shape), np.array([0.4])
    settings = {"learning_rate": "constant", "eta0": 0.005, "shuffle": False, "average": average, "alpha": 0.0}
    settings |= {"max_iter": 2, "tol": None, "warm_start": True}
    pairs = [(GDClassifier(solver="sgd", batch_size=1, **settings), SGDClassifier(loss="log_loss", **settings), LABELS)]
    pairs.append((GDRegressor(solver="sgd", batch_size=1, **settings), SGDRegressor(**settings), LINE))
    for ours, theirs, y in pairs:
        for step in range(3):
            for model in (ours, theirs):
                if step < 2:
                    model.fit(X, y, *(() if step else start))
                else:
                    model.partial_fit(X, y)
            assert ours.t_ == theirs.t_ == (401, 401, 601)[step]
            if not average or step == 0 or (step == 1 and isinstance(ours, GDClassifier)):
                assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8)
                assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-8)


@kinds
def test_a_warm_start_is_a_start_from_the_weights(Estimator, y):
    settings = {"solver": "adam", "random_state": 0, "max_iter": 4, "tol": None, "average": 10}
    model = Estimator(**settings).fit(X, y)
    given = Estimator(**settings).fit(X, y, coef_init=model.coef_, intercept_init=model.intercept_)
    warm = model.set_params(warm_start=True).fit(X, y)
    assert_array_equal(warm.coef_, given.coef_)
    assert_array_equal(warm.intercept_, given.intercept_)
    assert warm.t_ == given.t_
    other = warm.fit(X, y, coef_init=np.zeros_like(given.coef_))
    start = Estimator(**settings).fit(X, y, np.zeros_like(given.coef_), given.intercept_)
    assert_array_equal(other.coef_, start.coef_)


@kinds
def test_a_start_alone_is_enough(Estimator, y):
    intercept = np.full(1 if y.ndim == 1 and y is not LEVELS else len(np.unique(LEVELS)) if y is LEVELS else 2, 0.5)
    model = Estimator(solver="sgd", learning_rate="constant", eta0=1e-12, max_iter=1, tol=None)
    assert_allclose(model.fit(X, y, intercept_init=intercept).intercept_, 0.5)
    assert_allclose(model.coef_, 0.0, atol=1e-9)
    assert_allclose(model.fit(X, y, coef_init=np.full_like(model.coef_, 2.0)).coef_, 2.0)
    assert_allclose(model.intercept_, 0.0, atol=1e-9)
