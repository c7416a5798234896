"""Searches given what nobody should give them, dense and sparse: the answer, or an error that names what is wrong."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from searches import LINE, TWO, N, X
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import KFold, PredefinedSplit

from gdfast import DivergenceError, GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, fit_many

stored = pytest.mark.parametrize("store", [np.asarray, csr_array], ids=["dense", "sparse"])


def by_search(X, y, weight=None, **params):
    kind = GDClassifierCV if y.dtype.kind == "U" else GDRegressorCV
    return kind(**{"alphas": [1.0, 0.1], **params}).fit(X, y, sample_weight=weight)


def by_many(X, y, weight=None, *, cv, **params):
    estimator = (GDClassifier if y.dtype.kind == "U" else GDRegressor)(**params)
    return fit_many(estimator, {"alpha": [1.0, 0.1]}, X, y, sample_weight=weight, cv=cv)


either = pytest.mark.parametrize("fit", [by_search, by_many])


def refuse(message, fit, *given, error=ValueError, **params):
    with pytest.raises(error, match=re.escape(message)):
        fit(*given, **params)


# ---- splits ----------------------------------------------------------------------------------------------------------


@either
@stored
@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([([0], [1], [2])], "cv must yield pairs (train, test), got ([0], [1], [2]) as split 0"),
        ([([0, 1], [2]), 3], "cv must yield pairs (train, test), got 3 as split 1"),
        (
            [(np.array([0, 2**64 - 1], np.uint64), [1])],
            f"0 ... {N - 1}, got {2**64 - 1} in the training set of split 0",
        ),
        ([([0, N], [1])], f"cv must yield row numbers 0 ... {N - 1}, got {N} in the training set of split 0"),
        ([([0, 1, 5], [5])], "cv must keep training and test rows apart, got row 5 in both of split 0"),
        ([([0, 1], [])], "cv must leave rows in every part, got none in the test set of split 0"),
        ([(np.ones(N - 1, bool), [1])], "cv must yield row numbers, got "),
        (iter([]), "cv must make at least one split, got none"),
        (N + 1, f"Cannot have number of splits n_splits={N + 1} greater than the number of samples"),
    ],
    ids=str,
)
def test_splits_that_cannot_be(fit, store, cv, message):
    if hasattr(cv, "__next__"):
        cv = iter([])  # a test's parameters are made once
    refuse(message, fit, store(X), LINE, cv=cv)


@stored
def test_splits_that_come_once_and_pairs_of_any_kind(store):
    of_lists = by_search(store(X), LINE, cv=list(KFold(3).split(X)))
    halves = np.arange(N).reshape(2, -1)
    assert by_search(store(X), LINE, cv=[halves]).scores_.shape == (2, 1)
    once = by_search(store(X), LINE, cv=(pair for pair in KFold(3).split(X)))
    assert_array_equal(once.scores_, of_lists.scores_)
    found = by_many(store(X), LINE, cv=KFold(3).split(X))
    assert_allclose(found.cv_results_["mean_test_score"], of_lists.scores_.mean(axis=1), rtol=1e-12)


@either
@stored
def test_more_folds_than_the_rarest_class_has_rows(fit, store):
    y = np.where(np.arange(N) % 40 == 7, "rare", "often")
    with pytest.warns(
        UserWarning, match="least populated class in y has only 3 members, which is less than n_splits=4"
    ):
        fit(store(X), y, cv=4)
    y[np.flatnonzero(y == "rare")[1:]] = "often"
    with pytest.warns(UserWarning, match="only 1 members"):
        refuse(
            "cv must leave rows of each class in every training set, got none of class 'rare'", fit, store(X), y, cv=4
        )
    refuse("n_splits=119 cannot be greater than the number of members in each class", fit, store(X), TWO, cv=119)


@stored
def test_a_test_set_without_a_class_is_scored_by_what_can(store):
    rows = np.flatnonzero(TWO == "yes")
    cv = [(np.setdiff1d(np.arange(N), rows[:9]), rows[:9])]
    assert 0 <= by_search(store(X), TWO, cv=cv).best_score_ <= 1
    assert by_search(store(X), TWO, cv=cv, scoring="loss").best_score_ < 0


# ---- points ----------------------------------------------------------------------------------------------------------


@stored
@pytest.mark.parametrize(
    "alphas",
    [{0.1: 1.0}, {0.1}, [0.1, np.nan], [-0.1], ["0.1"], [None], [1j], [True], np.array(0.5), np.array(3)],
    ids=str,
)
def test_alphas_that_are_none(store, alphas):
    refuse("alphas", by_search, store(X), LINE, alphas=alphas)


@pytest.mark.parametrize("alpha", [np.nan, -1.0, "0.1", None])
def test_alphas_of_fit_many_that_are_none(alpha):
    with pytest.raises(ValueError, match="The 'alpha' parameter of GDRegressor must be a float"):
        fit_many(GDRegressor(), {"alpha": [1.0, alpha]}, X, LINE, cv=3)


@stored
def test_alphas_in_any_order_twice_huge_and_zero(store):
    alphas = [0.1, 1e300, 0.0, 0.1, 1.0]
    model = by_search(store(X), LINE, alphas=alphas, l1_ratio=[0.0, 0.5], cv=3, tol=1e-12)
    assert_array_equal(model.alphas_, sorted(alphas, reverse=True))
    assert_allclose(model.scores_[:, 2], model.scores_[:, 3], rtol=1e-9)
    assert_allclose(model.coef_path_[:, 0], 0, atol=1e-290)
    plain = GDRegressor(penalty=None, tol=1e-12).fit(store(X), LINE)
    for of_ratio in model.coef_path_:
        assert_allclose(of_ratio[-1], plain.coef_, rtol=1e-5)


@stored
def test_ten_thousand_points(store):
    model = by_search(store(X[:30, :2]), LINE[:30], alphas=10_000, cv=2, scoring="loss")
    assert model.scores_.shape == (10_000, 2) and np.isfinite(model.scores_).all()
    assert model.alphas_[0] >= model.alpha_ >= model.alphas_[-1]


# ---- data ------------------------------------------------------------------------------------------------------------


@either
@stored
def test_a_target_or_features_that_say_nothing(fit, store):
    empty = X.copy()
    empty[:, 2] = 0.0
    for y in (LINE, TWO):
        found = fit(store(empty), y, cv=3)
        model = getattr(found, "best_estimator_", found)
        assert model.coef_.reshape(-1)[2] == 0.0
        fit(store(np.zeros_like(X)), y, cv=3)
    found = fit(store(X), np.full(N, 3.0), cv=3)
    assert_allclose(found.best_estimator_.predict(store(X)), 3.0, rtol=1e-9)
    refuse("The number of classes has to be greater than one; got 1 class", fit, store(X), np.full(N, "a"), cv=3)


@either
@stored
def test_missing_values_are_named(fit, store):
    broken = X.copy()
    broken[17, 3] = np.nan
    for y in (LINE, TWO):
        refuse("Input X contains NaN. (first at row 17, column 3)", fit, store(broken), y, cv=3)


@pytest.mark.parametrize("loss", ["squared_error", "squared_epsilon_insensitive"])
def test_models_that_all_fail_are_named(loss):
    y = np.where(np.arange(N) == 5, 1e300, np.abs(LINE))
    with pytest.raises(DivergenceError, match=r"alpha=1, l1_ratio=0 on split \d: the error is not finite"):
        by_search(X, y, loss=loss, cv=3)
    non_finite = pytest.warns(UserWarning, match="One or more of the test scores are non-finite")
    with non_finite, pytest.warns(FitFailedWarning, match="fits failed out of a total of 6"):
        found = fit_many(GDRegressor(loss=loss), {"alpha": [1.0, 0.1]}, X, y, cv=3, refit=False, scoring="loss")
    assert np.isnan(found.cv_results_["mean_test_score"]).all()


def test_answers_far_out_score_without_noise():
    far = X.copy()
    far[5] *= 1e200
    model = by_search(far, LINE, loss="absolute_error", cv=3)
    assert np.isinf(model.scores_).any() or np.isfinite(model.scores_).all()


# ---- weights ---------------------------------------------------------------------------------------------------------


@either
@stored
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_weights_that_leave_nothing_of_a_part(fit, store, loss):
    part = np.arange(N) % 3
    weight, cv = np.minimum(part, 1.0), list(PredefinedSplit(part).split())
    message = "sample_weight must be > 0 for a row of each part, got only zeros in the test set of split 0"
    refuse(message, fit, store(X), LINE, weight, cv=cv, loss=loss)
    backwards = [(test, train) for train, test in cv]
    refuse("sample_weight must have a non-zero entry among ", fit, store(X), LINE, weight, cv=backwards, loss=loss)


@either
@stored
def test_a_class_that_weighs_nothing_is_not_learnt(fit, store):
    found = fit(store(X), TWO, (TWO == "yes") * 1.0, cv=3)
    assert (found.best_estimator_.predict(store(X)) == "yes").all()


@either
@stored
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("cv", [3, KFold(3)])
def test_class_weights_that_leave_nothing(fit, store, loss, cv):
    message = "class_weight must leave samples with a weight above 0, got none under "
    params = {"cv": cv, "loss": loss}
    refuse(message, fit, store(X), TWO, class_weight={"no": 0, "yes": 0}, **params)
    refuse(message, fit, store(X), TWO, (TWO == "no") * 1.0, class_weight={"no": 0.0}, **params)
    # Only the third training set has nothing left.
    weight = np.where((TWO == "yes") & (np.arange(N) < 80), 0.0, 1.0)
    assert (weight[80:][TWO[80:] == "yes"] > 0).any()
    refuse(message, fit, store(X), TWO, weight, class_weight={"no": 0.0}, cv=KFold(3), loss=loss)


# ---- scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, "good", {"a": 1.0}])
def test_scores_that_are_no_numbers(answer):
    refuse("scoring must return a number, got ", by_search, X, LINE, scoring=lambda model, X, y: answer, cv=3)


@pytest.mark.parametrize("rule", ["best", "one_standard_error"])
def test_infinite_scores(rule):
    for answer in (np.inf, -np.inf):
        assert by_search(X, LINE, scoring=lambda model, X, y, z=answer: z, rule=rule, cv=3).best_score_ == answer
    model = by_search(X, LINE, scoring=lambda model, X, y: -np.inf if model.alpha > 0.5 else 1.0, rule=rule, cv=3)
    assert (model.alpha_, model.best_score_) == (0.1, 1.0)
