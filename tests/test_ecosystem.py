"""The estimators inside other tools and libraries: the numbers are those of the plain model, or known ones."""

from __future__ import annotations

import copy
import pickle

import joblib
import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_regression
from sklearn.ensemble import BaggingClassifier, StackingClassifier, StackingRegressor, VotingClassifier
from sklearn.feature_selection import RFE, SelectFromModel, SequentialFeatureSelector
from sklearn.inspection import DecisionBoundaryDisplay, partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from gdfast import GDClassifier, GDRegressor

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def twins(n, alpha=1e-2):
    """Our model and scikit-learn's with the same optimum for n rows."""
    return GDClassifier(alpha=alpha, tol=1e-10), LogisticRegression(C=1 / (alpha * n), tol=1e-10, max_iter=10_000)


# ---- composition --------------------------------------------------------------------------------------------------


def test_pipeline_and_column_transformer():
    frame = load_iris(as_frame=True).frame
    frame["kind"] = np.where(frame["sepal width (cm)"] > 3, "wide", "narrow")
    y = frame.pop("target")
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), list(frame.columns[:4])),
            ("kinds", OneHotEncoder(sparse_output=False), ["kind"]),
        ]
    )
    ours, theirs = (make_pipeline(columns, model).fit(frame, y) for model in twins(150))
    assert_allclose(ours.predict_proba(frame), theirs.predict_proba(frame), atol=1e-5)
    assert ours[-1].n_features_in_ == 6
    named = make_pipeline(columns.set_output(transform="pandas"), GDClassifier()).fit(frame, y)
    assert list(named[-1].feature_names_in_)[-2:] == ["kinds__kind_narrow", "kinds__kind_wide"]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_grid_search_in_parallel(cancer, backend):
    X, y = cancer
    grid = {"gdclassifier__alpha": [1e-4, 1e-2, 1.0]}
    search = GridSearchCV(make_pipeline(StandardScaler(), GDClassifier()), grid, scoring="neg_log_loss", cv=3, n_jobs=2)
    with parallel_config(backend=backend):
        search.fit(X, y)
    scores = []
    for alpha in grid["gdclassifier__alpha"]:
        folds = StratifiedKFold(3).split(X, y)
        models = (
            (make_pipeline(StandardScaler(), GDClassifier(alpha=alpha)).fit(X[a], y[a]).predict_proba(X[b]), y[b])
            for a, b in folds
        )
        scores.append(np.mean([-log_loss(target, p) for p, target in models]))
    assert_allclose(search.cv_results_["mean_test_score"], scores, rtol=1e-6)
    assert search.best_params_ == {"gdclassifier__alpha": 1e-2}
    assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


def test_transformed_target(diabetes):
    X, y = diabetes
    log = TransformedTargetRegressor(GDRegressor(alpha=1e-4, tol=1e-12), func=np.log, inverse_func=np.exp).fit(X, y)
    assert_allclose(log.predict(X), np.exp(Ridge(1e-4 * len(y)).fit(X, np.log(y)).predict(X)), rtol=1e-6)


# ---- cross-validation ---------------------------------------------------------------------------------------------


def test_cross_validated_predictions(diabetes):
    X, y = diabetes
    ours = cross_val_predict(GDRegressor(alpha=1e-3, tol=1e-12), X, y, cv=KFold(5))
    expected = np.concatenate([Ridge(1e-3 * len(a)).fit(X[a], y[a]).predict(X[b]) for a, b in KFold(5).split(X)])
    assert_allclose(ours, expected, rtol=1e-6)


def test_cross_validated_probabilities_of_missing_classes():
    X, y = load_iris(return_X_y=True)
    p = cross_val_predict(GDClassifier(), X, y, cv=StratifiedKFold(3), method="predict_proba")
    assert p.shape == (150, 3) and log_loss(y, p) < 0.2


def test_learning_curve(cancer):
    X, y = cancer
    sizes, train, test = learning_curve(
        GDClassifier(alpha=1e-2),
        X,
        y,
        train_sizes=[50, 200, 379],
        cv=3,
        scoring="neg_log_loss",
        n_jobs=2,
        shuffle=True,
        random_state=0,
    )
    assert_array_equal(sizes, [50, 200, 379])
    gaps = (train - test).mean(axis=1)
    assert gaps[0] > 2 * gaps[2] > 0 and test.mean(axis=1)[2] > -0.11


# ---- ensembles, wrappers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "method"), [("hinge", "sigmoid"), ("log_loss", "isotonic")])
def test_calibration(cancer, loss, method):
    X, y = cancer
    calibrated = CalibratedClassifierCV(GDClassifier(loss=loss, alpha=1e-2), method=method, cv=5)
    p = cross_val_predict(calibrated, X, y, cv=3, method="predict_proba")
    assert_allclose(p.sum(axis=1), 1)
    assert log_loss(y, p) < (0.15 if method == "sigmoid" else 0.25) and (p.argmax(axis=1) == y).mean() > 0.96


def test_stacking(cancer, diabetes):
    X, y = cancer
    models = [("log", GDClassifier(alpha=1e-2)), ("hinge", GDClassifier(loss="hinge", alpha=1e-2))]
    stacked = StackingClassifier(models, final_estimator=GDClassifier(), cv=3).fit(X, y)
    inputs = np.column_stack(
        [
            cross_val_predict(models[0][1], X, y, cv=3, method="predict_proba")[:, 1],
            cross_val_predict(models[1][1], X, y, cv=3, method="decision_function"),
        ]
    )
    assert_array_equal(stacked.final_estimator_.coef_, GDClassifier().fit(inputs, y).coef_)
    assert cross_val_score(stacked, X, y, cv=3).mean() > 0.96
    X, y = diabetes
    models = [("mean", GDRegressor()), ("median", GDRegressor(loss="absolute_error"))]
    stacked = StackingRegressor(models, final_estimator=GDRegressor(penalty=None), cv=3).fit(X, y)
    inputs = np.column_stack([cross_val_predict(model, X, y, cv=3) for _, model in models])
    assert_array_equal(stacked.final_estimator_.coef_, GDRegressor(penalty=None).fit(inputs, y).coef_)


def test_voting_and_bagging(cancer):
    X, y = cancer
    pair = [("a", GDClassifier(alpha=1e-3)), ("b", GDClassifier(alpha=1e-1))]
    vote = VotingClassifier(pair, voting="soft", n_jobs=2).fit(X, y)
    expected = np.mean([model.fit(X, y).predict_proba(X) for _, model in pair], axis=0)
    assert_allclose(vote.predict_proba(X), expected, rtol=1e-12)
    bag = BaggingClassifier(GDClassifier(), n_estimators=5, random_state=0, n_jobs=2).fit(X, y)
    for member, rows in zip(bag.estimators_, bag.estimators_samples_, strict=True):
        same = GDClassifier().fit(X, y, sample_weight=np.bincount(rows, minlength=len(y)))
        assert_allclose(member.predict_proba(X), same.predict_proba(X), atol=1e-3)


def test_one_against_the_rest_and_several_targets():
    X, y = load_iris(return_X_y=True)
    each = OneVsRestClassifier(GDClassifier(tol=1e-10), n_jobs=2).fit(X, y)
    for k, member in enumerate(each.estimators_):
        assert_allclose(member.coef_, GDClassifier(tol=1e-10).fit(X, y == k).coef_, rtol=1e-9)
    labels = np.column_stack([y > 0, y > 1])
    several = MultiOutputClassifier(GDClassifier(), n_jobs=2).fit(X, labels)
    assert_array_equal(several.predict(X)[:, 1], GDClassifier().fit(X, y > 1).predict(X))
    assert (several.predict(X) == labels).mean() > 0.97


def test_self_training(cancer):
    X, y = cancer
    known = np.random.default_rng(0).random(len(y)) < 0.1
    trained = SelfTrainingClassifier(GDClassifier(alpha=1e-2), threshold=0.9).fit(X, np.where(known, y, -1))
    assert (trained.transduction_ != -1).mean() > 0.7
    assert trained.score(X[~known], y[~known]) > 0.93
    model = GDClassifier(alpha=1e-2).fit(
        X[trained.transduction_ != -1], trained.transduction_[trained.transduction_ != -1]
    )
    assert_allclose(trained.estimator_.coef_, model.coef_, rtol=1e-4, atol=1e-5)


# ---- selection, inspection ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("Estimator", [GDRegressor, GDClassifier])
def test_selection_finds_the_informative_features(Estimator):
    X, y, coef = make_regression(300, 10, n_informative=3, coef=True, noise=5.0, random_state=1)
    y = y if Estimator is GDRegressor else y > 0
    informative = coef != 0
    l1 = Estimator(penalty="l1", alpha=3.0 if Estimator is GDRegressor else 0.05)
    assert_array_equal(SelectFromModel(l1).fit(X, y).get_support(), informative)
    assert_array_equal(RFE(Estimator(alpha=1e-2), n_features_to_select=3).fit(X, y).support_, informative)
    forward = SequentialFeatureSelector(Estimator(alpha=1e-2), n_features_to_select=3, cv=3, n_jobs=2)
    assert_array_equal(forward.fit(X, y).get_support(), informative)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_permutation_importance(diabetes, n_jobs):
    X, y = diabetes
    model, theirs = GDRegressor(alpha=1e-4, tol=1e-12).fit(X, y), Ridge(1e-4 * len(y)).fit(X, y)
    ours = permutation_importance(model, X, y, n_repeats=3, random_state=0, n_jobs=n_jobs)
    expected = permutation_importance(theirs, X, y, n_repeats=3, random_state=0)
    assert_allclose(ours.importances, expected.importances, rtol=1e-5, atol=1e-8)


def test_partial_dependence(diabetes, cancer):
    X, y = diabetes
    model = GDRegressor().fit(X, y)
    line = partial_dependence(model, X, [2], grid_resolution=5)
    slopes = np.diff(line["average"][0]) / np.diff(line["grid_values"][0])
    assert_allclose(slopes, model.coef_[2], rtol=1e-9)
    X, y = cancer
    model = GDClassifier().fit(X, y)
    curve = partial_dependence(model, X, [7], grid_resolution=4, response_method="predict_proba")
    at = X.copy()
    at[:, 7] = curve["grid_values"][0][2]
    assert_allclose(curve["average"][0][2], model.predict_proba(at)[:, 1].mean(), rtol=1e-9)


def test_pictures_of_scikit_learn(cancer):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot
    from sklearn.inspection import PartialDependenceDisplay

    X, y = cancer[0][:, :2], cancer[1]
    model = GDClassifier().fit(X, y)
    boundary = DecisionBoundaryDisplay.from_estimator(model, X, grid_resolution=20, response_method="predict_proba")
    points = np.column_stack([boundary.xx0.ravel(), boundary.xx1.ravel()])
    assert_allclose(boundary.response.ravel(), model.predict_proba(points)[:, 1], rtol=1e-12)
    lines = PartialDependenceDisplay.from_estimator(model, X, [0, 1], grid_resolution=5)
    assert lines.lines_.shape == (1, 2)
    pyplot.close("all")


# ---- copies, other libraries --------------------------------------------------------------------------------------


def test_copies_and_dumps_answer_alike(cancer, tmp_path):
    X, y = cancer
    model = GDClassifier(early_stopping=True, random_state=0).fit(X, y)
    cloudpickle = pytest.importorskip("cloudpickle")
    joblib.dump(model, tmp_path / "model.joblib", compress=3)
    copies = [
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        pickle.loads(cloudpickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
    ]
    for same in copies:
        assert_array_equal(same.predict_proba(X), model.predict_proba(X))
        assert same.get_params() == model.get_params() and same.n_iter_ == model.n_iter_
    mapped = tmp_path / "plain.joblib"
    joblib.dump(model, mapped)
    assert_array_equal(joblib.load(mapped, mmap_mode="r").predict_proba(X), model.predict_proba(X))
    assert clone(model).get_params() == model.get_params() and not hasattr(clone(model), "coef_")


def test_callbacks_of_cloudpickle_reach_other_processes(cancer):
    X, y = cancer
    limit = 3
    model = GDClassifier(callback=lambda state: state.epoch >= limit, tol=None)
    scores = cross_val_score(model, X, y, cv=3, n_jobs=2)
    assert_array_equal(scores, cross_val_score(model, X, y, cv=3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("Estimator", [GDRegressor, GDClassifier])
def test_shap_explains_each_score_by_weight_times_deviation(Estimator, cancer):
    shap = pytest.importorskip("shap", reason="SHAP is not installed")
    X, y = cancer
    model = Estimator(alpha=1e-2).fit(X, y)
    explained = shap.LinearExplainer(model, shap.maskers.Independent(X, max_samples=len(X)))(X[:20])
    assert_allclose(explained.values, (X[:20] - X.mean(axis=0)) * np.ravel(model.coef_), rtol=1e-6, atol=1e-9)
    z = X @ np.ravel(model.coef_) + model.intercept_[0]
    assert_allclose(np.ravel(explained.base_values) + explained.values.sum(axis=1), z[:20], rtol=1e-6, atol=1e-9)
