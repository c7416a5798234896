"""GDRegressorCV and GDClassifierCV: scores, choice and weights beside GridSearchCV's and scikit-learn's own."""

from __future__ import annotations

import pathlib
import pickle
import re

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from searches import ALPHAS, COUNTS, LINE, OFFSET, THREE, TIGHT, TWO, WEIGHT, N, X, Z, both, searched
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import ElasticNetCV, LogisticRegression, RidgeCV
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
)
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version

from gdfast import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, error_and_gradient

REGRESSION = [("squared_error", LINE), ("huber", LINE), ("poisson", COUNTS), ("squared_epsilon_insensitive", LINE)]
CLASSIFICATION = [("log_loss", TWO), ("log_loss", THREE), ("squared_hinge", TWO), ("modified_huber", TWO)]
EVERY = [
    *((GDRegressorCV, GDRegressor, loss, y) for loss, y in REGRESSION),
    *((GDClassifierCV, GDClassifier, loss, y) for loss, y in CLASSIFICATION),
]


# ---- scikit-learn's checks -------------------------------------------------------------------------------------------


def checks():
    """Estimator and check. That weights are repetitions is checked to seven digits of the scores: `tol` gives them.

    Three folds, as check_sparsify_coefficients has three rows of each class.
    """
    for model in (
        GDRegressorCV(alphas=4, cv=3),
        GDRegressorCV(alphas=[1.0, 0.01], cv=3, l1_ratio=[0.0, 0.5], loss="huber", scoring="loss"),
        GDRegressorCV(alphas=[1.0, 0.1], cv=3, positive=True, rule="one_standard_error"),
        GDClassifierCV(alphas=[1.0, 0.01], cv=3),
        GDClassifierCV(alphas=[1.0, 0.1], cv=3, l1_ratio=0.5, class_weight="balanced"),
        GDClassifierCV(alphas=[1.0, 0.1], cv=3, loss="squared_hinge", scoring="loss"),
    ):
        for estimator, check in estimator_checks_generator(model):
            name = getattr(check, "func", check).__name__
            if name.startswith("check_sample_weight_equivalence"):
                estimator = clone(estimator).set_params(tol=1e-14)
            yield pytest.param(estimator, check, id=re.sub(r"\s+", "", f"{model!r}-{name}"))


# some checks set max_iter to 5, or train on a single class, whose bias grows for ever
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_scikit_learn(estimator, check):
    check(estimator)


# ---- beside GridSearchCV ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("CV", "Estimator", "loss", "y"), EVERY)
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_scores_choice_and_weights_are_those_of_a_search(CV, Estimator, loss, y, l1_ratio):
    tight = {"tol": 1e-9} if y is THREE and l1_ratio else TIGHT
    model = CV(alphas=ALPHAS, l1_ratio=l1_ratio, loss=loss, **tight).fit(X, y)
    single = Estimator(penalty="elasticnet", l1_ratio=l1_ratio, loss=loss, **tight)
    scores, best, fitted = searched(single, 5, y, alpha=ALPHAS)
    assert_allclose(model.scores_, scores, rtol=1e-6, atol=1e-8)
    assert {"alpha": model.alpha_} == best and model.l1_ratio_ == l1_ratio
    close = {"rtol": 1e-5, "atol": 1e-7} if tight is TIGHT else {"rtol": 1e-3, "atol": 1e-4}
    assert_allclose(model.coef_, fitted.coef_, **close)
    assert_allclose(model.intercept_, fitted.intercept_, **close)
    assert_allclose(model.best_score_, scores.mean(axis=1).max(), rtol=1e-6)
    assert_array_equal(model.coef_path_[ALPHAS.index(model.alpha_)], model.coef_)
    assert_array_equal(model.intercept_path_[ALPHAS.index(model.alpha_)], model.intercept_)


@pytest.mark.parametrize(
    ("CV", "Estimator", "loss", "y"),
    [
        (GDRegressorCV, GDRegressor, "absolute_error", LINE),
        (GDRegressorCV, GDRegressor, "quantile", LINE),
        (GDClassifierCV, GDClassifier, "hinge", TWO),
        (GDClassifierCV, GDClassifier, "squared_hinge", THREE),
        (GDClassifierCV, GDClassifier, "perceptron", TWO),
    ],
)
def test_losses_that_share_no_reads(CV, Estimator, loss, y):
    seed = {"random_state": 0} if CV is GDClassifierCV else {}
    model = CV(alphas=[1.0, 0.01], loss=loss, cv=3, **seed).fit(X, y)
    scores, best, fitted = searched(
        Estimator(penalty="elasticnet", l1_ratio=0, loss=loss, **seed), 3, y, alpha=[1.0, 0.01]
    )
    assert_allclose(model.scores_, scores, rtol=1e-4)
    assert {"alpha": model.alpha_} == best
    assert_allclose(model.coef_, fitted.coef_, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("bound", [{"positive": True}, {"bounds": (-0.1, 0.5)}])
def test_bounds(bound):
    model = GDRegressorCV(alphas=ALPHAS, cv=3, **bound, **TIGHT).fit(X, LINE)
    scores, _, fitted = searched(GDRegressor(**bound, **TIGHT), 3, LINE, alpha=ALPHAS)
    assert_allclose(model.scores_, scores, rtol=1e-7)
    assert_allclose(model.coef_, fitted.coef_, rtol=1e-6, atol=1e-12)
    assert model.coef_.min() >= (0 if "positive" in bound else -0.1)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_several_l1_ratios(loss):
    ratios = [0.0, 0.5, 1.0]
    model = GDRegressorCV(alphas=ALPHAS, l1_ratio=ratios, loss=loss, **TIGHT).fit(X, LINE)
    grid = {"l1_ratio": ratios, "alpha": ALPHAS}
    search = GridSearchCV(GDRegressor(penalty="elasticnet", loss=loss, **TIGHT), grid, cv=5).fit(X, LINE)
    means = search.cv_results_["mean_test_score"].reshape(3, 3).T  # params vary by alpha first
    assert_allclose(model.scores_.mean(axis=2), means, rtol=1e-7)
    assert search.best_params_ == {"alpha": model.alpha_, "l1_ratio": model.l1_ratio_}
    assert model.scores_.shape == (3, 3, 5) and model.coef_path_.shape == (3, 3, 5)
    assert model.intercept_path_.shape == (3, 3, 1) and model.alphas_.shape == (3,)
    counted = GDRegressorCV(alphas=4, l1_ratio=ratios, cv=3).fit(X, LINE)
    assert counted.alphas_.shape == (3, 4) and (np.diff(counted.alphas_) < 0).all()


def test_several_outputs():
    Y = np.column_stack([LINE, COUNTS])
    for loss in ("squared_error", "huber"):
        model = GDRegressorCV(alphas=ALPHAS, cv=3, loss=loss, **TIGHT).fit(X, Y)
        scores, best, fitted = searched(GDRegressor(loss=loss, **TIGHT), 3, Y, alpha=ALPHAS)
        assert_allclose(model.scores_, scores, rtol=1e-6)
        assert {"alpha": model.alpha_} == best
        assert model.coef_path_.shape == (3, 2, 5) and model.coef_.shape == (2, 5)
        assert_allclose(model.predict(X), fitted.predict(X), rtol=1e-4)


@both
@pytest.mark.parametrize("scoring", ["loss", "callable", "own", "sliced"])
def test_scoring(CV, y, scoring):
    """By name, by a callable of scikit-learn's, by one that looks at other rows than it is given."""
    name, loss = ("neg_log_loss", "log_loss") if y is TWO else ("neg_mean_squared_error", "squared_error")
    of = {"loss": name, "own": name, "callable": "r2", "sliced": name}[scoring]
    given = {"loss": "loss", "own": name, "callable": get_scorer("r2"), "sliced": None}[scoring]
    if scoring == "callable" and y is TWO:
        of = given = "roc_auc"
    elif scoring == "sliced":
        # the estimator that a scorer is given answers for any rows, not only for those held out
        def given(model, rows, truth):
            return get_scorer(name)(model, rows[::2], truth[::2]) + 0 * model.predict(X[:3]).shape[0]

        of = given
    model = CV(alphas=ALPHAS, scoring=given, loss=loss, **TIGHT).fit(X, y)
    single = (GDClassifier if y is TWO else GDRegressor)(**TIGHT)
    scores, best, _ = searched(single, 5, y, scoring=of, alpha=ALPHAS)
    factor = 0.5 if scoring == "loss" and y is LINE else 1.0  # squared_error is half of the square
    assert_allclose(model.scores_, factor * scores, rtol=1e-6, atol=1e-9)
    assert {"alpha": model.alpha_} == best


def test_a_scorer_that_fails():
    def refuses(model, X, y):
        raise ValueError("I refuse")

    with (
        pytest.warns(UserWarning, match="Scoring failed"),
        pytest.raises(ValueError, match="scoring must give a number"),
    ):
        GDRegressorCV(alphas=[1.0], cv=2, scoring=refuses).fit(X, LINE)


def test_r2_of_a_target_that_does_not_vary():
    y = np.r_[np.zeros(60), LINE[60:]]
    model = GDRegressorCV(alphas=ALPHAS, cv=KFold(2), **TIGHT).fit(X, y)
    assert_allclose(model.scores_, searched(GDRegressor(**TIGHT), KFold(2), y, alpha=ALPHAS)[0], rtol=1e-7)
    flat = GDRegressorCV(alphas=[1.0], cv=2).fit(X, np.zeros(N))
    assert_array_equal(flat.scores_, [[1.0, 1.0]])


# ---- beside scikit-learn's CV estimators -----------------------------------------------------------------------------


def test_elastic_net_cv():
    count = {"alphas": 12} if parse_version(sklearn.__version__) >= parse_version("1.7") else {"n_alphas": 12}
    theirs = ElasticNetCV(l1_ratio=[0.5, 1.0], cv=4, tol=1e-12, max_iter=100_000, **count).fit(X, LINE)
    ours = GDRegressorCV(l1_ratio=[0.5, 1.0], alphas=12, cv=4, scoring="neg_mean_squared_error", **TIGHT).fit(X, LINE)
    assert_allclose(ours.alphas_, theirs.alphas_, rtol=1e-12)
    assert_allclose(-ours.scores_[:, 1:], theirs.mse_path_[:, 1:], rtol=1e-6)
    assert (ours.alpha_, ours.l1_ratio_) == pytest.approx((theirs.alpha_, theirs.l1_ratio_), rel=1e-12)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-5, atol=1e-8)


def test_ridge_cv():
    """Ridge's alpha is n times ours, of the training rows in the folds: all of one size here."""
    theirs = RidgeCV(alphas=np.array(ALPHAS) * 96, cv=5).fit(X, LINE)
    ours = GDRegressorCV(alphas=ALPHAS, **TIGHT).fit(X, LINE)
    assert ours.alpha_ * 96 == pytest.approx(theirs.alpha_)
    assert_allclose(ours.best_score_, theirs.best_score_, rtol=1e-9)


def test_logistic_regression():
    folds = StratifiedKFold(5)
    ours = GDClassifierCV(alphas=ALPHAS, cv=folds, scoring="neg_log_loss", **TIGHT).fit(X, TWO)
    for fold, (train, test) in enumerate(folds.split(X, TWO)):
        for i, alpha in enumerate(sorted(ALPHAS, reverse=True)):
            theirs = LogisticRegression(C=1 / (alpha * len(train)), tol=1e-12, max_iter=10_000).fit(
                X[train], TWO[train]
            )
            expected = get_scorer("neg_log_loss")(theirs, X[test], TWO[test])
            assert_allclose(ours.scores_[i, fold], expected, rtol=1e-6)


# ---- the grid of alphas ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("CV", "Estimator", "loss", "y"), EVERY)
def test_the_largest_alpha_is_the_least_that_makes_all_weights_zero(CV, Estimator, loss, y):
    model = CV(alphas=2, l1_ratio=1.0, loss=loss, cv=2).fit(X, y)
    assert_allclose(model.alphas_[1] / model.alphas_[0], 1e-3)
    for factor, zero in ((1.001, True), (0.98, False)):
        fitted = Estimator(penalty="l1", loss=loss, alpha=factor * model.alphas_[0], tol=1e-12).fit(X, y)
        assert (fitted.coef_ == 0).all() == zero


def test_fewer_rows_than_features():
    wide = np.random.default_rng(1).normal(size=(20, 30))
    assert_allclose(GDRegressorCV(alphas=3, l1_ratio=1.0, cv=2).fit(wide, wide[:, 0]).alphas_[2] * 100, 1.0, rtol=1.0)
    alphas = GDRegressorCV(alphas=3, l1_ratio=1.0, cv=2).fit(wide, wide[:, 0]).alphas_
    assert_allclose(alphas[0] / alphas, [1, 10, 100])


@pytest.mark.parametrize(("CV", "Estimator", "loss", "y"), EVERY)
@pytest.mark.parametrize("offset", [None, OFFSET])
def test_with_l2_the_largest_alpha_is_the_largest_curvature(CV, Estimator, loss, y, offset):
    if y is THREE and offset is not None:
        offset = np.column_stack([offset, offset, offset])
    model = CV(alphas=3, loss=loss, cv=2, fit_intercept=False).fit(X, y, offset=offset)
    assert_allclose(model.alphas_[1] ** 2, model.alphas_[0] * model.alphas_[2])
    target, h = np.unique(y, return_inverse=True)[1].astype(float) if y.dtype.kind == "U" else y, 1e-4
    if loss in ("squared_hinge", "modified_huber"):
        target = 2 * target - 1

    def gradient(w):
        return error_and_gradient(X, target, w, np.zeros(3) if y is THREE else 0.0, loss=loss, offset=offset)[1]

    shape = (3, 5) if y is THREE else (5,)
    steps = np.eye(15 if y is THREE else 5).reshape(-1, *shape) * h
    hessian = np.array([(gradient(step) - gradient(-step)).ravel() for step in steps]) / (2 * h)
    exact = {"huber": None, "squared_epsilon_insensitive": None}.get(loss, np.linalg.eigvalsh(hessian).max())
    if exact is None:
        assert 0.03 < model.alphas_[0] / np.linalg.eigvalsh(X.T @ X / N).max() < 3
    else:
        assert_allclose(model.alphas_[0], exact, rtol=0.5 if y is THREE else 1e-3)
        if y is not THREE:
            assert_allclose(model.alphas_[2], 1e-4 * np.diag(hessian).min(), rtol=1e-3)


@pytest.mark.parametrize("make", [np.asarray, csr_array, lambda X: X.astype("float32")])
def test_alphas_of_scales_that_differ(make):
    """The last alpha is small enough for the smallest scale; a column that does not vary says nothing."""
    scales = np.array([1e3, 1.0, 1e-4])
    columns, y = np.random.default_rng(2).normal(size=(500, 3)), np.random.default_rng(3).normal(size=500)
    given = make(np.column_stack([columns * scales, np.full(500, 7.0)]))
    largest, middle, least = (columns * scales).var(axis=0)
    alphas = GDRegressorCV(alphas=2, cv=2).fit(given, y).alphas_
    assert_allclose(alphas, [largest, max(1e-4 * least, 1e-16 * largest)], rtol=0.01)
    alphas = GDRegressorCV(alphas=2, cv=2).fit(given[:, 1:], y).alphas_
    assert_allclose(alphas, [middle, 1e-4 * least], rtol=0.01)


def test_alphas_count_weights_as_copies():
    repeated = np.repeat(np.arange(N), WEIGHT)
    for ratio in (0.0, 1.0):
        weighted = GDRegressorCV(alphas=3, l1_ratio=ratio, cv=2).fit(X, LINE, WEIGHT)
        copies = GDRegressorCV(alphas=3, l1_ratio=ratio, cv=2).fit(X[repeated], LINE[repeated])
        assert_allclose(weighted.alphas_, copies.alphas_, rtol=1e-9)


@pytest.mark.parametrize("loss", ["absolute_error", "squared_error"])
def test_a_target_that_says_nothing(loss):
    for ratio in (0.0, 1.0):
        model = GDRegressorCV(alphas=3, l1_ratio=ratio, loss=loss, cv=2).fit(X, np.full(N, 2.0))
        assert np.isfinite(model.alphas_).all() and (model.alphas_ > 0).all()
        assert_allclose(model.predict(X), 2.0)


# ---- the choice ------------------------------------------------------------------------------------------------------


def test_one_standard_error():
    model = GDRegressorCV(alphas=20, l1_ratio=[0.5, 1.0]).fit(X, LINE)
    simple = GDRegressorCV(alphas=20, l1_ratio=[0.5, 1.0], rule="one_standard_error").fit(X, LINE)
    assert simple.l1_ratio_ == model.l1_ratio_ and simple.alpha_ > model.alpha_
    line = [0.5, 1.0].index(model.l1_ratio_)
    scores, alphas = model.scores_[line], model.alphas_[line]
    best = scores[alphas == model.alpha_][0]
    enough = scores.mean(axis=1) >= best.mean() - best.std(ddof=1) / np.sqrt(5)
    assert simple.alpha_ == alphas[enough].max()
    assert_allclose(simple.best_score_, scores[alphas == simple.alpha_].mean())


def test_of_equal_scores_the_strongest_penalty_is_taken():
    assert GDClassifierCV(alphas=[1e-9, 1e-3, 1e-6], cv=3).fit(np.sign(Z)[:, None], Z > 0).alpha_ == 1e-3


def test_without_refit():
    model = GDRegressorCV(alphas=ALPHAS, refit=False).fit(X, LINE)
    whole = GDRegressorCV(alphas=ALPHAS).fit(X, LINE)
    assert model.alpha_ == whole.alpha_ and not hasattr(model, "coef_") and not hasattr(model, "coef_path_")
    assert_array_equal(model.scores_, whole.scores_)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert pickle.loads(pickle.dumps(model)).alpha_ == model.alpha_


def test_one_point():
    model = GDRegressorCV(alphas=[0.1], cv=2).fit(X, LINE)
    assert (model.alpha_, model.scores_.shape, model.coef_path_.shape) == (0.1, (1, 2), (1, 5))


def test_several_thousand_points():
    model = GDRegressorCV(alphas=np.geomspace(1e-4, 10, 700), l1_ratio=[0.0, 0.5, 1.0], cv=2).fit(X[:40], LINE[:40])
    assert model.scores_.shape == (3, 700, 2) and np.isfinite(model.scores_).all()


def test_the_document(capsys, tmp_path, monkeypatch):
    """The examples of docs/many_models.md run and say what the text says of them."""
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    text = (pathlib.Path(__file__).parent.parent / "docs" / "many_models.md").read_text()
    names = {}
    for example in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(example, "many_models.md", "exec"), names)
    assert names["model"].score(names["X_test"], names["y_test"]) > 0.93
    assert 0 < (names["simple"].coef_ != 0).sum() < (names["best"].coef_ != 0).sum()
    assert names["used"][0] == 0 and names["used"][-1] >= 4
    assert names["found"].n_groups == 1 and names["found"].best_score_ > 0.98
    assert names["tried"].n_groups == 1 and names["tried"].estimators[-1] is None
    assert capsys.readouterr().out.count("True") == 3
    assert (tmp_path / "path.png").read_bytes().startswith(b"\x89PNG")


def test_softmax_of_many_rows_shares_metrics_and_arrives():
    """Each point of the grid has a metric per class, of rows that bend; all of its folds descend in it."""
    rng = np.random.default_rng(5)
    n, d, k = 9000, 150, 6
    rows = rng.standard_normal((n, d)) * np.exp(rng.standard_normal(d))
    rows = rows.astype(np.float32)
    scores = rows @ (rng.standard_normal((d, k)) * 0.2)
    y = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    alphas = [1e-2, 1e-4]
    model = GDClassifierCV(alphas=alphas, cv=3, n_threads=2).fit(rows, y)
    for alpha, coef, intercept in zip(alphas, model.coef_path_, model.intercept_path_, strict=True):
        best = GDClassifier(alpha=alpha, tol=1e-10).fit(rows, y)
        found = error_and_gradient(rows, y, coef, intercept, loss="log_loss", alpha=alpha)[0]
        least = error_and_gradient(rows, y, best.coef_, best.intercept_, loss="log_loss", alpha=alpha)[0]
        assert found - least <= 1e-6 * least
    assert_array_equal(GDClassifierCV(alphas=alphas, cv=3, n_threads=3).fit(rows, y).coef_path_, model.coef_path_)
