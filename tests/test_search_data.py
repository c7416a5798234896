"""GDRegressorCV and GDClassifierCV: every split, weight, type and mistake."""

from __future__ import annotations

import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hostile import run_python
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from searches import ALPHAS, COUNTS, LINE, OFFSET, THREE, TIGHT, TWO, WEIGHT, N, X, both, searched
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning, NotFittedError
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gdfast import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, error_and_gradient

# ---- splits ----------------------------------------------------------------------------------------------------------

GROUPS = np.arange(N) % 7
SPLITTERS = [
    2,
    KFold(3, shuffle=True, random_state=0),
    StratifiedKFold(3),
    ShuffleSplit(3, test_size=0.3, random_state=0),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    TimeSeriesSplit(3),
    PredefinedSplit(np.arange(N) % 3 - 1),
    [(np.arange(60), np.arange(60, 90)), (np.arange(30, 120), np.arange(30))],
    [(np.arange(N) % 3 > 0, np.arange(N) % 3 == 0)],
    [(np.r_[0:60, 0:30, -5:0], np.r_[60:80, 60:70])],  # rows named twice, counted from the end
]


@both
@pytest.mark.parametrize("cv", SPLITTERS, ids=str)
def test_every_splitter(CV, y, cv):
    if y is TWO or not isinstance(cv, StratifiedKFold):
        model = CV(alphas=ALPHAS, cv=cv, **TIGHT).fit(X, y)
        scores, best, _ = searched((GDClassifier if y is TWO else GDRegressor)(**TIGHT), cv, y, alpha=ALPHAS)
        assert_allclose(model.scores_, scores, rtol=1e-6)
        assert {"alpha": model.alpha_} == best


@both
@pytest.mark.parametrize("cv", [GroupKFold(3), LeaveOneGroupOut()])
def test_groups(CV, y, cv):
    model = CV(alphas=ALPHAS, cv=cv, **TIGHT).fit(X, y, groups=GROUPS)
    single = (GDClassifier if y is TWO else GDRegressor)(**TIGHT)
    assert_allclose(model.scores_, searched(single, cv, y, {"groups": GROUPS}, alpha=ALPHAS)[0], rtol=1e-6)


def test_leave_one_out():
    model = GDRegressorCV(alphas=ALPHAS, cv=LeaveOneOut(), scoring="neg_mean_squared_error").fit(X[:20], LINE[:20])
    assert model.scores_.shape == (3, 20) and np.isfinite(model.scores_).all()


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([], "cv must make at least one split, got none"),
        ([([0, 1], [])], "cv must leave rows in every part, got none in the test set of split 0"),
        ([([0, 1], [2]), ([], [2])], "cv must leave rows in every part, got none in the training set of split 1"),
        ([([0, 1, 50], [3, 50])], "cv must keep training and test rows apart, got row 50 in both of split 0"),
        ([([0, N], [1])], f"cv must yield row numbers 0 ... {N - 1}, got {N} in the training set of split 0"),
        ([([0, -N - 1], [1])], f"got {-N - 1} in the training set of split 0"),
        ([([0.5, 1.0], [1])], "cv must yield row numbers, got [0.5, 1.0] in the training set of split 0"),
        ([([0] * 128, [1])], "cv must name a row at most 127 times, got 128 times in the training set of split 0"),
    ],
)
def test_bad_splits(cv, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        GDRegressorCV(alphas=[1.0], cv=cv).fit(X, LINE)


def test_a_training_set_without_a_class():
    rows = np.flatnonzero(TWO == "yes")
    cv = [(np.arange(60), np.arange(60, N)), (rows, np.setdiff1d(np.arange(N), rows))]
    message = "cv must leave rows of each class in every training set, got none of class 'no' in split 1"
    with pytest.raises(ValueError, match=message):
        GDClassifierCV(alphas=[1.0], cv=cv).fit(X, TWO)


# ---- weights, offsets ------------------------------------------------------------------------------------------------


@both
def test_weights_count_in_training_and_in_scores(CV, y):
    model = CV(alphas=ALPHAS, cv=3, **TIGHT).fit(X, y, sample_weight=WEIGHT)
    single = (GDClassifier if y is TWO else GDRegressor)(**TIGHT)
    folds = (StratifiedKFold if y is TWO else KFold)(3)
    for fold, (train, test) in enumerate(folds.split(X, y)):
        for i, alpha in enumerate(sorted(ALPHAS, reverse=True)):
            fitted = clone(single).set_params(alpha=alpha).fit(X[train], y[train], sample_weight=WEIGHT[train])
            assert_allclose(model.scores_[i, fold], fitted.score(X[test], y[test], WEIGHT[test]), rtol=1e-6)


def test_a_scorer_that_takes_no_weights():
    unweighted = make_scorer(lambda y, z: -np.abs(y - z).max())
    model = GDRegressorCV(alphas=ALPHAS, cv=3, scoring=unweighted).fit(X, LINE, sample_weight=WEIGHT)
    assert np.isfinite(model.scores_).all()


@pytest.mark.parametrize("class_weight", ["balanced", {"yes": 3.0}])
@pytest.mark.parametrize(("loss", "y"), [("log_loss", TWO), ("hinge", TWO), ("log_loss", THREE)])
def test_class_weights_are_those_of_each_training_set(class_weight, loss, y):
    class_weight = {1: 2.0} if y is THREE and class_weight != "balanced" else class_weight
    tight = {"tol": 1e-9} if loss == "hinge" else TIGHT
    y = np.where(np.arange(N) < 20, y[0], y)  # folds differ in their classes
    model = GDClassifierCV(alphas=[1.0, 0.1], cv=KFold(3), class_weight=class_weight, loss=loss, **tight).fit(X, y)
    single = GDClassifier(class_weight=class_weight, loss=loss, **tight)
    scores, _, _ = searched(single, KFold(3), y, alpha=[1.0, 0.1], scoring="accuracy")
    assert_allclose(model.scores_, scores, rtol=1e-9)
    alpha_fit = clone(single).set_params(alpha=model.alpha_).fit(X, y)
    assert_allclose(model.coef_, alpha_fit.coef_, rtol=1e-3 if loss == "hinge" else 1e-5, atol=1e-6)


@pytest.mark.parametrize(("loss", "y"), [("poisson", COUNTS), ("absolute_error", LINE)])
def test_offsets(loss, y):
    tight = TIGHT if loss == "poisson" else {"tol": 1e-8}
    model = GDRegressorCV(alphas=ALPHAS, cv=3, loss=loss, scoring="loss", **tight).fit(X, y, offset=OFFSET)
    for fold, (train, test) in enumerate(KFold(3).split(X)):
        for i, alpha in enumerate(sorted(ALPHAS, reverse=True)):
            one = GDRegressor(alpha=alpha, loss=loss, **tight).fit(X[train], y[train], offset=OFFSET[train])
            error, _, _ = error_and_gradient(
                X[test], y[test], one.coef_, one.intercept_[0], loss=loss, offset=OFFSET[test]
            )
            assert_allclose(-model.scores_[i, fold], error, rtol=1e-6 if loss == "poisson" else 1e-3)


# ---- data ------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("kind", ["float32", "uint8", "float16", "F", "sparse", "sparse32", "list"])
def test_stored_types(CV, y, kind):
    data = np.round(np.abs(X) * 10)
    given = {"F": np.asfortranarray(data), "sparse": csr_array(data), "list": data.tolist()}.get(kind)
    if given is None:
        given = csr_array(data.astype("float32")) if kind == "sparse32" else data.astype(kind)
    model = CV(alphas=ALPHAS, cv=3, tol=1e-10).fit(given, y)
    like = CV(alphas=ALPHAS, cv=3, tol=1e-10).fit(data, y)
    assert_allclose(model.scores_, like.scores_, rtol=1e-3)
    assert model.coef_.dtype == (np.float32 if kind in ("float32", "sparse32") else np.float64)
    single = (GDClassifier if y is TWO else GDRegressor)(alpha=model.alpha_, tol=1e-10).fit(given, y)
    assert_allclose(model.coef_, single.coef_, rtol=1e-3, atol=1e-4)


@both
def test_tables(CV, y):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcde"))
    model = CV(alphas=ALPHAS, cv=3).fit(table, pandas.Series(y, index=np.arange(N) + 7))
    assert_array_equal(model.scores_, CV(alphas=ALPHAS, cv=3).fit(X, y).scores_)
    assert list(model.feature_names_in_) == list("abcde") == list(model.best_estimator_.feature_names_in_)
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table[list("edcba")])


@both
def test_the_same_bits_for_any_number_of_threads(CV, y):
    for scoring in (None, "loss"):
        one, *others = (
            CV(alphas=8, l1_ratio=[0.0, 0.5], cv=3, scoring=scoring, n_threads=threads).fit(X, y)
            for threads in (1, 2, 7)
        )
        for other in others:
            for name in ("alphas_", "scores_", "coef_path_", "coef_", "intercept_"):
                assert_array_equal(getattr(other, name), getattr(one, name))


@both
def test_pickles_clones_and_the_estimator_inside(CV, y):
    model = CV(alphas=ALPHAS, l1_ratio=[0.0, 1.0], cv=3).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(X), model.predict(X))
    assert clone(model).get_params() == model.get_params()
    inside = model.best_estimator_
    assert (inside.alpha, inside.l1_ratio) == (model.alpha_, model.l1_ratio_)
    assert_array_equal(inside.predict(X), model.predict(X))
    assert inside.n_passes_ == model.n_passes_ >= 1
    assert type(inside).from_dict(inside.to_dict()).score(X, y) == model.score(X, y)
    inside.partial_fit(X, y)
    assert not hasattr(model, "partial_fit") and not hasattr(model, "set_callbacks") and not hasattr(model, "to_dict")
    with pytest.raises(NotFittedError):
        CV().best_estimator_.coef_  # noqa: B018


def test_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), GDClassifierCV(alphas=3, cv=3)).fit(X, TWO)
    assert pipeline.score(X, TWO) > 0.7


# ---- routing ---------------------------------------------------------------------------------------------------------


def test_routing_to_splitter_scorer_and_fit():
    pinball = make_scorer(mean_pinball_loss, greater_is_better=False)
    with config_context(enable_metadata_routing=True):
        for asked in (True, False):
            scoring = pinball.set_score_request(sample_weight=asked)
            model = GDRegressorCV(alphas=ALPHAS, cv=GroupKFold(3), scoring=scoring, **TIGHT)
            model.fit(X, LINE, sample_weight=WEIGHT, groups=GROUPS)
            single = GDRegressor(**TIGHT).set_fit_request(sample_weight=True)
            search = GridSearchCV(single, {"alpha": ALPHAS}, cv=GroupKFold(3), scoring=scoring)
            search.fit(X, LINE, sample_weight=WEIGHT, groups=GROUPS)
            scores = [search.cv_results_[f"split{i}_test_score"] for i in range(3)]
            assert_allclose(model.scores_, np.transpose(scores), rtol=1e-6)
        outer = make_pipeline(StandardScaler(), GDRegressorCV(alphas=ALPHAS, cv=GroupKFold(3)))
        assert outer.fit(X, LINE, groups=GROUPS)[-1].scores_.shape == (3, 3)
        with pytest.raises(TypeError, match="groups"):
            GDRegressorCV(cv=3).fit(X, LINE, groups=GROUPS)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        GDRegressorCV(cv=3).fit(X, LINE, colour=GROUPS)


# ---- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alphas": []}, "alphas must be a count or finite floats >= 0, at least one, got []"),
        ({"alphas": [1.0, -1.0]}, "alphas must be a count or finite floats >= 0, at least one, got [1.0, -1.0]"),
        ({"alphas": [np.inf]}, "alphas must be a count or finite floats >= 0"),
        ({"alphas": [[1.0]]}, "alphas must be a count or finite floats >= 0"),
        ({"alphas": ["a"]}, "alphas must be a count or finite floats >= 0"),
        ({"alphas": 0}, "The 'alphas' parameter"),
        ({"alphas": 0.5}, "The 'alphas' parameter"),
        ({"l1_ratio": [0.5, 2.0]}, "l1_ratio must be a float in [0, 1] or several, got [0.5, 2.0]"),
        ({"l1_ratio": []}, "l1_ratio must be a float in [0, 1] or several, got []"),
        ({"l1_ratio": 2.0}, "The 'l1_ratio' parameter"),
        ({"scoring": "nonsense"}, "The 'scoring' parameter"),
        ({"rule": "two_standard_errors"}, "The 'rule' parameter"),
        ({"cv": 1}, "The 'cv' parameter"),
        ({"positive": True, "bounds": (0, 1)}, "bounds must be None where positive is True"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        GDRegressorCV(**params).fit(X, LINE)


def test_bad_data():
    broken = X.copy()
    broken[17, 3] = np.nan
    for model in (GDRegressorCV(), GDRegressorCV(alphas=[1.0]), GDRegressorCV(alphas=[1.0], loss="absolute_error")):
        with pytest.raises(ValueError, match=r"Input X contains NaN.*row 17, column 3"):
            model.fit(broken, LINE)
        assert not hasattr(model, "alpha_")
    with pytest.raises(ValueError, match="y must be >= 0, found -"):
        GDRegressorCV(loss="poisson", alphas=[1.0]).fit(X, LINE)
    with pytest.raises(ValueError, match="sample_weight must have a non-zero entry among training rows"):
        GDRegressorCV(alphas=[1.0], cv=[(np.arange(60), np.arange(60, N))]).fit(X, LINE, np.arange(N) >= 60)
    with pytest.raises(ValueError, match="offset must be of shape"):
        GDRegressorCV(alphas=[1.0]).fit(X, LINE, offset=np.zeros((N, 2)))


def test_a_failed_fit_leaves_the_model_as_it_was():
    model = GDRegressorCV(alphas=ALPHAS, cv=3).fit(X, LINE)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="NaN"):
        model.fit(X * np.nan, LINE)
    assert vars(model) == before


def test_an_interrupted_fit_leaves_the_model_as_it_was():
    code = """
import os, signal, threading
import numpy as np
import gdfast
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(200_000, 60)), rng.integers(0, 3, 200_000)
model = gdfast.GDClassifierCV(alphas=[1.0], cv=2).fit(X[:99], y[:99])
before = {name: value for name, value in vars(model).items() if name.endswith("_")}
model.set_params(alphas=60, l1_ratio=[0.0, 0.5, 1.0], cv=10, tol=1e-13)
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    model.fit(X, y)
except KeyboardInterrupt:
    print("interrupted", all(getattr(model, name) is value for name, value in before.items()))
"""
    assert run_python(code, timeout=60).split() == ["interrupted", "True"]


def test_threads_of_python_fit_at_once():
    models = [GDRegressorCV(alphas=6, cv=3, l1_ratio=ratio) for ratio in (0.0, 0.5, 1.0)]
    alone = [clone(model).fit(X, LINE).coef_path_ for model in models]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda model: model.fit(X, LINE).coef_path_, models))
    for one, other in zip(alone, together, strict=True):
        assert_array_equal(one, other)


def test_too_few_steps_are_said_once():
    with pytest.warns(ConvergenceWarning, match="to improve .* of 24 fits") as caught:
        GDClassifierCV(alphas=4, max_iter=1, tol=1e-12).fit(X, TWO)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_a_model_that_fails_harms_no_other(monkeypatch):
    from gdfast import _grid

    descend = _grid.descend_together

    def some_fail(problem, models, roles, **settings):
        weights, report = descend(problem, models, roles, **settings)
        report["error"][1] = np.nan
        return weights, report

    whole = GDRegressorCV(alphas=ALPHAS, cv=3).fit(X, LINE)
    monkeypatch.setattr(_grid, "descend_together", some_fail)
    with pytest.warns(
        FitFailedWarning, match=r"1 fits failed out of a total of 12.*nan.\nalpha=1, l1_ratio=0 on split 1: "
    ):
        model = GDRegressorCV(alphas=ALPHAS, cv=3).fit(X, LINE)
    expected = whole.scores_.copy()
    expected[0, 1] = np.nan
    assert_array_equal(model.scores_, expected)
    assert model.alpha_ == whole.alpha_


def test_verbose(capsys):
    GDRegressorCV(alphas=ALPHAS, cv=3, verbose=1).fit(X, LINE)
    assert re.match(
        r"GDRegressorCV: best of 3 points in 3 splits is alpha=.*, l1_ratio=0\.\n$", capsys.readouterr().out
    )


def test_test_rows_that_weigh_nothing_are_named():
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    weight = np.r_[np.zeros(20), np.ones(40)]
    for model, target in ((GDClassifierCV(cv=KFold(3)), y), (GDRegressorCV(cv=KFold(3)), X[:, 0])):
        with pytest.raises(ValueError, match=r"sample_weight must be > 0 .* only zeros in the test set of split 0"):
            model.fit(X, target, sample_weight=weight)
