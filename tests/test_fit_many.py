"""fit_many: results of the shape and with the numbers of GridSearchCV's, whatever the grid; what shares its reads."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from searches import ALPHAS, COUNTS, LINE, OFFSET, THREE, TIGHT, TWO, WEIGHT, X, both
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.svm import SVC

from gdfast import DivergenceError, GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, ManyFits, fit_many


def assert_same_results(ours, theirs, **close):
    """Equal keys, types and masks; numbers but times."""
    assert set(ours) == set(theirs)
    for name, expected in theirs.items():
        found = ours[name]
        if name == "params":
            assert found == expected
            continue
        assert type(found) is type(expected) and found.shape == expected.shape and found.dtype == expected.dtype, name
        if name.startswith("param_"):
            assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
            assert found.tolist() == expected.tolist()
        elif not name.endswith("_time"):
            assert_allclose(found, expected, err_msg=name, **close)


GRIDS = [
    (GDRegressor(), LINE, {"alpha": ALPHAS, "penalty": ["l2", "l1", None]}, [0] * 9),
    (
        GDRegressor(penalty="elasticnet"),
        COUNTS,
        {"l1_ratio": [0.1, 0.9], "loss": ["poisson", "squared_error"]},
        [0] * 4,
    ),
    (GDRegressor(loss="huber"), LINE, {"epsilon": [0.5, 2.0], "alpha": [0.1, 1.0]}, [0] * 4),
    (GDRegressor(), LINE, {"fit_intercept": [True, False], "alpha": [0.1, 1.0]}, [0, 1, 0, 1]),
    (GDRegressor(), LINE, [{"alpha": [0.1]}, {"positive": [True, False]}, {"max_iter": [50]}], [0, 1, 0, 2]),
    (
        GDRegressor(random_state=0, max_iter=5, tol=None),
        LINE,
        {"solver": ["sgd", "gd"], "learning_rate": ["constant"], "eta0": [1e-3, 1e-2]},
        [0, 1, 2, 1],
    ),
    (GDClassifier(), TWO, {"alpha": ALPHAS, "class_weight": [None, "balanced", {"no": 2.0}]}, [0] * 9),
    (GDClassifier(alpha=0.1), TWO, {"loss": ["log_loss", "squared_hinge", "modified_huber"]}, [0, 1, 1]),
    (GDClassifier(), THREE, {"alpha": ALPHAS, "loss": ["log_loss", "squared_hinge"]}, [0, 1, 0, 2, 0, 3]),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "y", "grid", "groups"), GRIDS)
def test_results_are_those_of_a_search(estimator, y, grid, groups):
    estimator = estimator if estimator.tol is None else type(estimator)(**{**estimator.get_params(), **TIGHT})
    scoring = None if y is not TWO else ["accuracy", "neg_log_loss"] if "loss" not in grid else "roc_auc"
    refit = "neg_log_loss" if isinstance(scoring, list) else True
    found = fit_many(estimator, grid, X, y, cv=4, scoring=scoring, refit=refit)
    theirs = GridSearchCV(estimator, grid, cv=4, scoring=scoring, refit=refit).fit(X, y)
    assert_same_results(found.cv_results_, theirs.cv_results_, rtol=1e-5, atol=1e-7)
    assert found.groups == groups and found.n_groups == len(set(groups))
    assert found.params == theirs.cv_results_["params"] and found.n_splits_ == 4 and found.estimators is None
    assert (found.best_index_, found.best_params_) == (theirs.best_index_, theirs.best_params_)
    assert found.best_score_ == pytest.approx(theirs.best_score_, rel=1e-5)
    assert_array_equal(found.best_estimator_.coef_, theirs.best_estimator_.coef_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "y", "grid", "groups"), GRIDS)
def test_without_folds_every_model_is_that_of_a_fit(estimator, y, grid, groups):
    estimator = estimator if estimator.tol is None else type(estimator)(**{**estimator.get_params(), **TIGHT})
    found = fit_many(estimator, grid, X, y, sample_weight=WEIGHT)
    assert found.groups == groups and found.cv_results_ is None and found.best_estimator_ is None
    for params, model in zip(found.params, found.estimators, strict=True):
        alone = type(estimator)(**{**estimator.get_params(), **params}).fit(X, y, sample_weight=WEIGHT)
        assert model.get_params() == alone.get_params()
        assert_allclose(model.coef_, alone.coef_, rtol=1e-4, atol=1e-6)
        assert_allclose(model.intercept_, alone.intercept_, rtol=1e-4, atol=1e-6)
        assert_allclose(model.loss_, alone.loss_, rtol=1e-9)
        assert model.n_features_in_ == 5 and model.n_iter_ >= 1
        assert type(model.n_passes_) is int and model.n_passes_ >= 1
        assert type(model).from_dict(model.to_dict()).score(X, y) == model.score(X, y)
        if getattr(model, "class_weight", None) != "balanced":
            model.partial_fit(X, y)  # goes on


@both
@pytest.mark.parametrize("solver", ["auto", "sgd"])
def test_early_stopping(CV, y, solver):
    """Each split holds out a part of its training rows, the same as a fit on these rows does."""
    Estimator = GDClassifier if y is TWO else GDRegressor
    estimator = Estimator(
        early_stopping=True, random_state=3, solver=solver, validation_fraction=0.2, n_iter_no_change=2
    )
    scoring = {"own": "accuracy" if y is TWO else "r2", "loss": "loss"}
    found = fit_many(estimator, {"alpha": [1.0, 0.1]}, X, y, cv=3, scoring=scoring, refit="own")
    assert found.groups == ([0, 0] if solver == "auto" else [0, 1])
    theirs = GridSearchCV(estimator, {"alpha": [1.0, 0.1]}, cv=3).fit(X, y)
    # where the validation rows end a descent depends on the way it took
    close = {"rtol": 1e-12} if solver == "sgd" else {"atol": 0.05}
    for i in range(3):
        assert_allclose(found.cv_results_[f"split{i}_test_own"], theirs.cv_results_[f"split{i}_test_score"], **close)
    if solver == "sgd":
        name = "neg_log_loss" if y is TWO else "neg_mean_squared_error"
        loss = (
            GridSearchCV(estimator, {"alpha": [1.0, 0.1]}, cv=3, scoring=name).fit(X, y).cv_results_["mean_test_score"]
        )
        assert_allclose(found.cv_results_["mean_test_loss"], loss * (1 if y is TWO else 0.5), rtol=1e-9)
    models = fit_many(estimator, {"alpha": [1.0, 0.1]}, X, y).estimators
    assert all(model.best_validation_loss_ > 0 for model in models)


def test_the_loss_of_early_stopping_is_that_of_the_test_rows():
    estimator = GDRegressor(early_stopping=True, random_state=0)
    found = fit_many(
        estimator, {"alpha": [1.0, 0.1]}, X, LINE, cv=3, scoring={"l": "loss", "s": "neg_mean_squared_error"}, refit="l"
    )
    assert_allclose(2 * found.cv_results_["mean_test_l"], found.cv_results_["mean_test_s"], rtol=1e-9)


def test_agrees_with_the_cv_estimators():
    for CV, Estimator, y in ((GDRegressorCV, GDRegressor, LINE), (GDClassifierCV, GDClassifier, TWO)):
        model = CV(alphas=ALPHAS, cv=4).fit(X, y, sample_weight=WEIGHT)
        found = fit_many(Estimator(), {"alpha": sorted(ALPHAS, reverse=True)}, X, y, cv=4, sample_weight=WEIGHT)
        scores = np.transpose([found.cv_results_[f"split{i}_test_score"] for i in range(4)])
        assert_array_equal(model.scores_, scores)


def test_groups_weights_and_offsets():
    by = np.arange(len(X)) % 5
    rows = {"groups": by, "sample_weight": WEIGHT, "offset": OFFSET}
    scored = {"cv": GroupKFold(3), "scoring": "neg_mean_poisson_deviance"}
    found = fit_many(GDRegressor(loss="poisson", **TIGHT), {"alpha": ALPHAS}, X, COUNTS, **scored, **rows)
    for fold, (train, test) in enumerate(GroupKFold(3).split(X, COUNTS, by)):
        for i, alpha in enumerate(ALPHAS):
            one = GDRegressor(loss="poisson", alpha=alpha, **TIGHT)
            one.fit(X[train], COUNTS[train], sample_weight=WEIGHT[train], offset=OFFSET[train])
            expected = get_scorer("neg_mean_poisson_deviance")(one, X[test], COUNTS[test], sample_weight=WEIGHT[test])
            assert_allclose(found.cv_results_[f"split{fold}_test_score"][i], expected, rtol=1e-6)


@pytest.mark.parametrize("scoring", [["r2", "loss"], {"a": "r2", "b": "loss"}, "several"])
def test_several_scores(scoring):
    if scoring == "several":

        def scoring(model, X, y):
            return {"one": model.score(X, y), "two": -1.0}

    refit = {str: None}.get(type(scoring)) or ("one" if callable(scoring) else next(iter(scoring)))
    found = fit_many(GDRegressor(), {"alpha": ALPHAS}, X, LINE, cv=3, scoring=scoring, refit=refit)
    names = {"one", "two"} if callable(scoring) else set(scoring)
    assert {f"mean_test_{name}" for name in names} <= set(found.cv_results_)
    assert found.best_index_ == found.cv_results_[f"rank_test_{refit}"].argmin()
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        fit_many(GDRegressor(), {"alpha": ALPHAS}, X, LINE, cv=3, scoring=scoring)
    unfitted = fit_many(GDRegressor(), {"alpha": ALPHAS}, X, LINE, cv=3, scoring=scoring, refit=False)
    assert unfitted.best_estimator_ is None and unfitted.best_index_ is None and unfitted.cv_results_ is not None


def test_refit():
    grid = {"alpha": ALPHAS}
    last = fit_many(GDRegressor(), grid, X, LINE, cv=3, refit=lambda results: len(results["params"]) - 1)
    assert last.best_index_ == 2 and last.best_score_ is None and last.best_estimator_.alpha == ALPHAS[2]
    without = fit_many(GDRegressor(), grid, X, LINE, cv=3, refit=False)
    assert without.best_params_ in without.params and without.best_estimator_ is None


def test_a_model_that_diverges_harms_no_other():
    estimator = GDRegressor(learning_rate="constant", solver="gd", max_iter=50, tol=None)
    grid = {"eta0": [1e-4, 100.0]}
    said = r"2 fits failed out of a total of 4.*\neta0=100.0 on split 0: Floating"
    with pytest.warns(FitFailedWarning, match=said), pytest.warns(UserWarning, match="non-finite"):
        found = fit_many(estimator, grid, X, LINE, cv=2)
    assert np.isfinite(found.cv_results_["mean_test_score"]).tolist() == [True, False]
    assert found.best_params_ == {"eta0": 1e-4}
    with pytest.raises(DivergenceError, match=r"eta0=100.0 on split 0"):
        fit_many(estimator, grid, X, LINE, cv=2, error_score="raise")
    with pytest.warns(FitFailedWarning, match=r"eta0=100.0 on all rows"):
        found = fit_many(estimator, grid, X, LINE)
    assert found.estimators[0].n_iter_ == 50 and found.estimators[1] is None
    with pytest.warns(FitFailedWarning):
        found = fit_many(estimator, grid, X, LINE, cv=2, error_score=-7.0)
    assert found.cv_results_["mean_test_score"][1] == -7.0


def test_an_estimator_of_ones_own():
    """Its `predict` may do with the rows what it likes."""

    class Doubled(GDRegressor):
        def predict(self, X):
            return 2 * (X @ self.coef_ + self.intercept_)

    found = fit_many(Doubled(**TIGHT), {"alpha": ALPHAS}, X, LINE, cv=3)
    theirs = GridSearchCV(Doubled(**TIGHT), {"alpha": ALPHAS}, cv=3).fit(X, LINE)
    assert_allclose(found.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], rtol=1e-6)
    assert isinstance(found.best_estimator_, Doubled)


def test_scores_in_several_reads(monkeypatch):
    from gdfast import _held_out

    whole = fit_many(GDClassifier(), {"alpha": ALPHAS}, X, THREE, cv=3, scoring="neg_log_loss")
    monkeypatch.setattr(_held_out, "_MOST_BYTES", 1)
    parts = fit_many(GDClassifier(), {"alpha": ALPHAS}, X, THREE, cv=3, scoring="neg_log_loss")
    assert_array_equal(parts.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"])


def test_threads_change_no_bit():
    grid = {"alpha": ALPHAS, "class_weight": [None, "balanced"]}
    one, two, seven = (fit_many(GDClassifier(), grid, X, TWO, cv=3, n_threads=n) for n in (1, 2, 7))
    for other in (two, seven):
        assert_array_equal(other.cv_results_["mean_test_score"], one.cv_results_["mean_test_score"])
        assert_array_equal(other.best_estimator_.coef_, one.best_estimator_.coef_)


def test_callbacks_see_their_epochs():
    epochs = []
    grid = {"callback": [None, lambda state: epochs.append(state.epoch)]}
    found = fit_many(GDRegressor(), grid, X, LINE, cv=KFold(2), refit=False)
    assert found.groups == [0, 1] and epochs.count(1) == 2


def test_verbose(capsys):
    assert isinstance(fit_many(GDRegressor(), {"alpha": [1.0]}, X, LINE, cv=2, verbose=1), ManyFits)
    assert capsys.readouterr().out == "fit_many: 1 points in 2 splits, in 1 groups.\n"


@pytest.mark.parametrize("estimator", [Ridge(), SVC(), GDRegressorCV(), None, GDRegressor])
def test_estimators_of_others_are_refused(estimator):
    with pytest.raises(TypeError, match="estimator must be a GDRegressor or a GDClassifier, got"):
        fit_many(estimator, {"alpha": [1.0]}, X, LINE)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"alpha": []}, "alpha"),
        ({"alpha": [-1.0]}, "The 'alpha' parameter of GDRegressor"),
        ({"colour": [1]}, "Invalid parameter 'colour'"),
    ],
)
def test_bad_grids(grid, message):
    with pytest.raises(ValueError, match=message):
        fit_many(GDRegressor(), grid, X, LINE)


def test_bad_grids_of_another_kind():
    with pytest.raises(TypeError):
        fit_many(GDRegressor(), 3, X, LINE)
    with pytest.raises(ValueError, match="error_score"):
        fit_many(GDRegressor(), {"alpha": [1.0]}, X, LINE, error_score="ignore")


def test_too_few_steps_are_said_once():
    with pytest.warns(ConvergenceWarning, match="to improve .* of 3 fits") as caught:
        fit_many(GDClassifier(max_iter=1, tol=1e-12), {"alpha": ALPHAS}, X, TWO)
    assert len(caught) == 1 and caught[0].filename == __file__
