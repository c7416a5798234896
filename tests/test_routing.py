"""Metadata routing: weights, offsets, validation rows reach `fit`, `partial_fit`, `score` through meta-estimators."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gdfast import GDClassifier, GDRegressor

rng = np.random.default_rng(0)
X = rng.normal(3.0, [1.0, 5.0, 0.2], size=(90, 3))
LINE = X @ [1.0, -0.5, 2.0] + rng.normal(size=90)
LABELS = (np.median(LINE) < LINE).astype(int)
WEIGHT = rng.uniform(0.1, 3.0, 90)
OFFSET = rng.normal(size=90)

both = pytest.mark.parametrize(("Estimator", "y"), [(GDRegressor, LINE), (GDClassifier, LABELS)])
FIT = ["X_val", "coef_init", "intercept_init", "offset", "offset_val", "sample_weight", "sample_weight_val", "y_val"]


@pytest.fixture(autouse=True)
def routing():
    with config_context(enable_metadata_routing=True):
        yield


@both
def test_what_can_be_asked_for(Estimator, y):
    model = Estimator()
    assert sorted(model.get_metadata_routing().fit.requests) == FIT
    streamed = {"offset", "sample_weight"} | ({"classes"} if Estimator is GDClassifier else set())
    assert set(model.get_metadata_routing().partial_fit.requests) == streamed
    assert set(model.get_metadata_routing().score.requests) == {"sample_weight"}
    model.set_fit_request(sample_weight=True, X_val=True, y_val=True, sample_weight_val="w_val", offset="log_exposure")
    model.set_partial_fit_request(sample_weight=True, offset=True)
    model.set_score_request(sample_weight=False)
    assert model.get_metadata_routing().fit.requests["offset"] == "log_exposure"


@both
def test_a_pipeline_transforms_the_validation_rows(Estimator, y):
    scale = StandardScaler().fit(X[:60])
    model = Estimator(solver="gd", learning_rate="constant", eta0=0.1, max_iter=200, tol=None, n_iter_no_change=3)
    expected = model.fit(
        scale.transform(X[:60]),
        y[:60],
        X_val=scale.transform(X[60:]),
        y_val=y[60:],
        sample_weight=WEIGHT[:60],
        sample_weight_val=WEIGHT[60:],
        offset=OFFSET[:60],
        offset_val=OFFSET[60:],
    )
    inner = Estimator(**model.get_params()).set_fit_request(**dict.fromkeys(set(FIT) - {"coef_init"}, True))
    pipeline = Pipeline(
        [("scale", StandardScaler().set_fit_request(sample_weight=False)), ("model", inner)], transform_input=["X_val"]
    )
    pipeline.fit(
        X[:60],
        y[:60],
        X_val=X[60:],
        y_val=y[60:],
        sample_weight=WEIGHT[:60],
        sample_weight_val=WEIGHT[60:],
        offset=OFFSET[:60],
        offset_val=OFFSET[60:],
    )
    assert_array_equal(pipeline[-1].coef_, expected.coef_)
    assert_array_equal(pipeline[-1].validation_curve_, expected.validation_curve_)


@both
def test_a_search_hands_each_fold_its_weights(Estimator, y):
    model = Estimator().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"alpha": [0.01, 1.0]}, cv=3, refit=False)
    search.fit(X, y, sample_weight=WEIGHT)
    found = search.cv_results_
    for fold, (train, test) in enumerate(search_folds(y)):
        for i, alpha in enumerate([0.01, 1.0]):
            fitted = Estimator(alpha=alpha).fit(X[train], y[train], sample_weight=WEIGHT[train])
            expected = fitted.score(X[test], y[test], sample_weight=WEIGHT[test])
            assert_allclose(found[f"split{fold}_test_score"][i], expected)


def search_folds(y):
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter = StratifiedKFold(3) if y.dtype.kind == "i" else KFold(3)
    return list(splitter.split(X, y))


@both
def test_offsets_reach_the_folds_of_a_cross_validation(Estimator, y):
    model = make_pipeline(StandardScaler(), Estimator(alpha=0.1).set_fit_request(offset="known"))
    result = cross_validate(model, X, y, cv=3, params={"known": OFFSET}, return_estimator=True)
    for (train, _), fitted in zip(search_folds(y), result["estimator"], strict=True):
        scaled = StandardScaler().fit_transform(X[train])
        assert_array_equal(fitted[-1].coef_, Estimator(alpha=0.1).fit(scaled, y[train], offset=OFFSET[train]).coef_)


@both
def test_what_was_not_asked_for_is_refused(Estimator, y):
    with pytest.raises(UnsetMetadataPassedError, match=r"sample_weight.* not explicitly set as requested or not"):
        cross_validate(Estimator().set_fit_request(sample_weight=True), X, y, cv=3, params={"sample_weight": WEIGHT})
    model = Estimator().set_fit_request(sample_weight=False).set_score_request(sample_weight=True)
    scores = cross_validate(model, X, y, cv=3, params={"sample_weight": WEIGHT})["test_score"]
    for score, (train, test) in zip(scores, search_folds(y), strict=True):
        assert_allclose(score, Estimator().fit(X[train], y[train]).score(X[test], y[test], WEIGHT[test]))


def test_streams_through_a_meta_estimator():
    three = np.digitize(LINE, np.quantile(LINE, [0.3, 0.6]))
    model = GDClassifier(random_state=0, solver="sgd").set_partial_fit_request(sample_weight=True)
    model = OneVsRestClassifier(model.set_fit_request(sample_weight=True))
    for rows in (slice(0, 45), slice(45, 90)):
        model.partial_fit(X[rows], three[rows], classes=[0, 1, 2], sample_weight=WEIGHT[rows])
    for k, estimator in enumerate(model.estimators_):
        alone = GDClassifier(random_state=0, solver="sgd")
        for rows in (slice(0, 45), slice(45, 90)):
            alone.partial_fit(X[rows], three[rows] == k, classes=[0, 1], sample_weight=WEIGHT[rows])
        assert_array_equal(estimator.coef_, alone.coef_)
