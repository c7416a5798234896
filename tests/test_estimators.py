"""What both estimators do alike: parameters, validation and stopping, state, callbacks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from gdfast import GDClassifier, GDRegressor, gradient_descent
from gdfast.exceptions import DivergenceError

pd = pytest.importorskip("pandas")

both = pytest.mark.parametrize("Estimator", [GDRegressor, GDClassifier])


def data(Estimator, n=120, d=6, seed=0):
    X, labels = make_classification(n, d, n_informative=d - 2, random_state=seed, flip_y=0.2)
    return X, labels if Estimator is GDClassifier else X @ np.arange(1.0, d + 1) + labels


def fitted_state(model):
    return {name: copy.deepcopy(value) for name, value in vars(model).items() if name.endswith("_")}


def assert_same_state(state, expected):
    assert state.keys() == expected.keys()
    for name in state:
        assert_array_equal(state[name], expected[name], err_msg=name)


@both
@pytest.mark.parametrize("solver", ["auto", "gd", "sgd"])
def test_passes_are_those_of_the_descent(Estimator, solver):
    X, y = data(Estimator)
    given = {"solver": solver, "max_iter": 7, "tol": None, "random_state": 0, "alpha": 1e-2}
    model = Estimator(**given).fit(X, y)
    loss = "log_loss" if Estimator is GDClassifier else "squared_error"
    result = gradient_descent(X, y, loss=loss, **given)
    assert type(model.n_passes_) is int
    assert model.n_passes_ == result.n_passes >= 1
    if solver == "sgd":
        assert model.partial_fit(X, y).n_passes_ < result.n_passes


# ------------------------------------------------------------------------------------------------- parameters


@both
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", -1.0),
        ("alpha", np.nan),
        ("alpha", np.inf),
        ("alpha", 10**400),
        ("alpha", "abc"),
        ("alpha", True),
        ("l1_ratio", 1.5),
        ("loss", "abc"),
        ("penalty", "l3"),
        ("solver", "lbfgs"),
        ("max_iter", 0),
        ("max_iter", 10**400),
        ("max_iter", 2.5),
        ("max_iter", True),
        ("tol", -1e-3),
        ("tol", np.nan),
        ("learning_rate", "fast"),
        ("learning_rate", 0.1),
        ("eta0", 0.0),
        ("eta0", np.inf),
        ("power_t", np.nan),
        ("early_stopping", "yes"),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("warm_start", 2),
        ("average", -1),
        ("batch_size", 0),
        ("batch_size", 2.0),
        ("momentum", 1.0),
        ("beta_1", 1.0),
        ("n_threads", 0),
        ("n_threads", -2),
        ("n_threads", True),
        ("random_state", "seed"),
        ("verbose", -1),
        ("callback", 3),
    ],
)
def test_bad_parameters_are_named_before_any_work(Estimator, name, value):
    X, y = data(Estimator)
    with pytest.raises((ValueError, TypeError), match=f"'{name}' parameter of {Estimator.__name__} must be"):
        Estimator(**{name: value}).fit(X, y)


@both
def test_numpy_scalars_are_legal_parameters(Estimator):
    X, y = data(Estimator)
    plain = Estimator(alpha=0.5, max_iter=50, early_stopping=False).fit(X, y)
    numpy = Estimator(alpha=np.float64(0.5), max_iter=np.int32(50), early_stopping=np.bool_(False)).fit(X, y)
    assert_array_equal(plain.coef_, numpy.coef_)


@both
def test_parameters_that_do_not_go_together(Estimator):
    X, y = data(Estimator)
    with pytest.raises(ValueError, match="l1_ratio must be set when penalty is 'elasticnet'"):
        Estimator(penalty="elasticnet", l1_ratio=None).fit(X, y)
    with pytest.raises(ValueError, match="alpha must be > 0 since learning_rate is 'optimal'"):
        Estimator(learning_rate="optimal", alpha=0, solver="sgd").fit(X, y)


@both
def test_huge_counts_are_accepted_or_refused_but_never_overflow(Estimator):
    X, y = data(Estimator)
    with pytest.raises(ValueError, match="'max_iter' parameter"):
        Estimator(max_iter=2**70).fit(X, y)


# --------------------------------------------------------------------------------------- validation, stopping


@both
def test_early_stopping_is_a_fit_on_the_other_rows(Estimator):
    X, y = data(Estimator, n=400)
    model = Estimator(early_stopping=True, validation_fraction=0.25, random_state=3).fit(X, y)
    rows, rows_val = model._split(y)
    rows, rows_val = np.sort(rows), np.sort(rows_val)
    assert len(rows_val) == 100
    subset = Estimator(random_state=3).fit(X[rows], y[rows], X_val=X[rows_val], y_val=y[rows_val])
    assert_array_equal(model.coef_, subset.coef_)
    assert_array_equal(model.intercept_, subset.intercept_)
    assert_array_equal(model.validation_curve_, subset.validation_curve_)


@both
@pytest.mark.parametrize("solver", ["gd", "sgd", "adam"])
def test_best_weights_are_restored(Estimator, solver):
    X, y = data(Estimator, n=60, d=40)
    X_val, y_val = data(Estimator, n=200, d=40, seed=1)
    seen = []
    model = Estimator(
        solver=solver,
        alpha=0,
        learning_rate="constant",
        eta0=1e-3,
        tol=None,
        max_iter=40,
        random_state=0,
        callback=lambda state: seen.append((state.validation_error, state.coef.copy())),
    ).fit(X, y, X_val=X_val, y_val=y_val)
    best = np.argmin([error for error, _ in seen])
    assert len(model.validation_curve_) == len(seen) == model.n_iter_
    assert model.best_validation_loss_ == model.validation_curve_.min() == seen[best][0]
    assert_array_equal(model.coef_.ravel(), seen[best][1].ravel())


@both
def test_validation_data_are_checked(Estimator):
    X, y = data(Estimator)
    with pytest.raises(ValueError, match="X_val is provided, but y_val was not provided"):
        Estimator().fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="y_val is provided, but X_val was not provided"):
        Estimator().fit(X, y, y_val=y)
    with pytest.raises(ValueError, match="sample_weight_val is provided, but"):
        Estimator().fit(X, y, sample_weight_val=y)
    with pytest.raises(ValueError, match="X has 3 features"):
        Estimator().fit(X, y, X_val=X[:, :3], y_val=y)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        Estimator().fit(X, y, X_val=X, y_val=y[:-1])
    with pytest.raises(ValueError, match=r"sample_weight_val must be >= 0, found -1(\.0)? at row 0"):
        Estimator().fit(X, y, X_val=X, y_val=y, sample_weight_val=np.full(120, -1.0))
    bad = X.copy()
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        Estimator().fit(X, y, X_val=bad, y_val=y)


@both
def test_validation_weights_and_offsets_count(Estimator):
    X, y = data(Estimator)
    weight = (np.arange(120) % 3).astype(float)
    kept = weight > 0
    one = Estimator().fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)
    other = Estimator().fit(X, y, X_val=X[kept], y_val=y[kept], sample_weight_val=weight[kept])
    assert_allclose(one.validation_curve_, other.validation_curve_, rtol=1e-12)
    offset = X[:, 0]
    shifted = Estimator().fit(X, y, offset=offset, X_val=X, y_val=y, offset_val=offset)
    early = shifted.loss_curve_ - shifted.validation_curve_  # the rest is the penalty
    assert (early >= 0).all() and early.max() < 1e-2 * shifted.loss_curve_.max()
    without = Estimator().fit(X, y, offset=offset, X_val=X, y_val=y)
    assert np.abs(shifted.validation_curve_ / without.validation_curve_ - 1).max() > 1e-3


@both
def test_held_out_weights_must_not_be_all_zero(Estimator):
    X, y = data(Estimator)
    model = Estimator(early_stopping=True, random_state=0)
    model.fit(X, y)
    rows_val = model._split(y)[1]
    weight = np.ones(120)
    weight[rows_val] = 0
    with pytest.raises(ValueError, match="sample weights for validation set are all zero"):
        model.fit(X, y, sample_weight=weight)


@both
def test_more_patience_means_more_epochs(Estimator):
    X, y = data(Estimator, n=300)
    epochs = [
        Estimator(
            solver="sgd",
            learning_rate="constant",
            eta0=1e-3,
            early_stopping=True,
            n_iter_no_change=n,
            tol=1e-2,
            random_state=0,
        )
        .fit(X, y)
        .n_iter_
        for n in (2, 5, 10)
    ]
    assert epochs[0] < epochs[1] < epochs[2]


# ----------------------------------------------------------------------------------- starts, state, callbacks


@both
def test_warm_start_and_initial_weights(Estimator):
    X, y = data(Estimator)
    model = Estimator(warm_start=True, solver="gd", tol=None, max_iter=10)
    first = model.fit(X, y).coef_.copy()
    intercept = model.intercept_.copy()
    again = model.fit(X, y)
    given = Estimator(solver="gd", tol=None, max_iter=10).fit(X, y, coef_init=first, intercept_init=intercept)
    assert_array_equal(again.coef_, given.coef_)
    assert again.loss_ < Estimator(solver="gd", tol=None, max_iter=10).fit(X, y).loss_
    flat = Estimator(solver="gd", tol=None, max_iter=10).fit(X, y, first.ravel(), float(intercept[0]))
    assert_array_equal(flat.coef_, given.coef_)
    with pytest.raises(ValueError, match="Provided coef_init does not match dataset"):
        model.fit(X, y, coef_init=np.zeros(3))
    with pytest.raises(ValueError, match="intercept"):
        model.fit(X, y, intercept_init=np.zeros(3))
    with pytest.raises(ValueError, match="Input coef_init contains NaN"):
        model.fit(X, y, coef_init=np.full(6, np.nan))


@both
def test_a_warm_start_at_the_optimum_ends_at_once(Estimator):
    X, y = data(Estimator)
    model = Estimator(warm_start=True).fit(X, y)
    before, epochs = model.coef_.copy(), model.n_iter_
    model.fit(X, y)
    assert 1 <= model.n_iter_ <= epochs
    assert_allclose(model.coef_, before, rtol=1e-2, atol=1e-3)


@both
def test_a_failed_fit_leaves_the_model_as_it_was(Estimator):
    X, y = data(Estimator)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = Estimator(random_state=0).fit(frame, y)
    state = fitted_state(model)
    bad = X[:, :4].copy()
    bad[3, 3] = np.nan

    def explode(epoch):
        raise KeyError("mine")

    for change, arguments, error in [
        ({}, (bad, y), ValueError),
        ({}, (X[:, :3], y[:-1]), ValueError),
        ({"max_iter": -1}, (X, y), ValueError),
        ({"callback": explode}, (X[:, :5], y), KeyError),
        ({"solver": "gd", "learning_rate": "constant", "eta0": 1e6, "loss": model.loss}, (X * 1e3, y), None),
    ]:
        parameters = model.get_params()
        model.set_params(**change)
        if error is None:  # a classifier's logistic loss may saturate instead of diverging
            error = DivergenceError
            model.set_params(loss="squared_error" if Estimator is GDRegressor else "squared_hinge")
        with pytest.raises(error):
            model.fit(*arguments)
        model.set_params(**parameters)
        assert_same_state(fitted_state(model), state)
    assert_array_equal(model.predict(frame), clone(model).fit(frame, y).predict(frame))


@both
def test_callbacks_see_every_epoch_and_can_stop(Estimator):
    X, y = data(Estimator)
    seen = []

    def callback(state):
        seen.append((state.epoch, state.error, state.gradient_norm, state.eta))
        assert np.isnan(state.validation_error)
        return state.epoch >= 3

    model = Estimator(solver="gd", tol=None, max_iter=50, callback=callback).fit(X, y)
    assert model.n_iter_ == len(seen) == 3
    assert_allclose([error for _, error, _, _ in seen], model.loss_curve_)


@both
def test_an_exception_in_a_callback_comes_out_unchanged(Estimator):
    X, y = data(Estimator)
    mine = KeyError("mine")

    def callback(state):
        raise mine

    with pytest.raises(KeyError) as caught:
        Estimator(callback=callback).fit(X, y)
    assert caught.value is mine


@both
def test_fitting_inside_its_own_fit_is_refused(Estimator):
    X, y = data(Estimator)
    model = Estimator(callback=lambda state: model.fit(X, y) and None)
    with pytest.raises(RuntimeError, match="estimator is being fitted"):
        model.fit(X, y)
    other = Estimator()
    model.set_params(callback=lambda state: other.fit(X, y) and None).fit(X, y)
    assert_array_equal(model.coef_, other.coef_)


@both
def test_verbose_prints_a_line_per_epoch(Estimator, capsys):
    X, y = data(Estimator)
    called = []
    model = Estimator(verbose=2, callback=lambda state: called.append(state.epoch))
    model.fit(X, y, X_val=X, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(called) == model.n_iter_
    assert "error" in lines[0] and "validation error" in lines[0]


@both
def test_pickle_copy_and_clone(Estimator):
    X, y = data(Estimator)
    model = Estimator(random_state=0).fit(X, y)
    for same in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert_array_equal(same.predict(X), model.predict(X))
        assert_same_state(fitted_state(same), fitted_state(model))
        same.fit(X, y)
    assert not hasattr(clone(model), "coef_")
    assert clone(model).get_params() == model.get_params()


@both
def test_random_state_objects_move_on_and_integers_do_not(Estimator):
    X, y = data(Estimator, n=400)

    def coef(seed):
        model = Estimator(solver="sgd", learning_rate="constant", max_iter=1, tol=None, random_state=seed)
        return model.fit(X, y).coef_

    generator = np.random.RandomState(0)
    assert_array_equal(coef(1), coef(1))
    assert np.abs(coef(1) - coef(2)).max() > 1e-6
    assert np.abs(coef(generator) - coef(generator)).max() > 1e-6
    assert_array_equal(coef(np.random.RandomState(0)), coef(np.random.RandomState(0)))


@both
def test_running_out_of_epochs_warns(Estimator):
    loader = load_diabetes if Estimator is GDRegressor else load_breast_cancer
    X, y = loader(return_X_y=True)
    model = Estimator(solver="gd", max_iter=3)
    for way in (model, make_pipeline(model)):
        with pytest.warns(ConvergenceWarning, match="max_iter") as caught:
            way.fit(X, y)
        assert [warning.filename for warning in caught] == [__file__]  # the caller's line, not one of gdfast
    assert model.n_iter_ == 3
    assert model.t_ == 4


@both
def test_default_fits_of_real_data_raise_no_warning(Estimator):
    for loader in (load_diabetes, load_breast_cancer):
        X, y = loader(return_X_y=True)
        if Estimator is GDClassifier:
            y = y > np.median(y)
        if len(np.unique(y)) > 1:
            model = Estimator().fit(X, y)
            assert np.isfinite(model.coef_).all()
            assert model.n_iter_ == len(model.loss_curve_)
            assert_allclose(model.loss_, model.loss_curve_[-1], rtol=1e-6)
