"""`GDRegressorCV` and `GDClassifierCV`: the strength of the penalty, and the share of L1 in it, by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions

from gdfast._checks import FRACTION, NOT_NEGATIVE
from gdfast._search import Search
from gdfast._types import Bounds, ChoiceRule, ClassificationLoss, RegressionLoss
from gdfast.classifier import ClassModel, GDClassifier
from gdfast.regressor import GDRegressor, NumberModel

__all__ = ["GDClassifierCV", "GDRegressorCV"]


class GDRegressorCV(Search, NumberModel):  # type: ignore[misc]
    """Linear regression, penalty by cross-validation: `GDRegressor` for every point of a grid at once.

    All points and all splits share every read of ``X``: the grid costs little more than a fit. The held-out rows of a
    split weigh nothing in its models' gradients, and are scored from reads that all models share as well.

    Parameters
    ----------
    alphas : int or array-like of shape (n_alphas,), default=20
        Strengths of the penalty to try. A count: so many, evenly spaced on a logarithmic scale, from the data, for each
        ``l1_ratio`` its own. With L1, from the least that makes all weights zero down to 1e-3 of it (1e-2 if there are
        fewer samples than features). With L2 alone, from the largest curvature of the error at the best constant model,
        where every direction loses half of its weight or more, down to 1e-4 of the least curvature along a single
        feature, however small its scale (but not below 1e-16 of the first).
    l1_ratio : float in [0, 1] or list of floats, default=0.0
        Share of L1 in the penalty ``alpha * ((1 - l1_ratio)/2 * ||w||^2 + l1_ratio * ||w||_1)``; of several, the best.
    cv : int, splitter or iterable of (train, test), default=5
        How the rows are split, as scikit-learn's `check_cv` reads it. Pairs hold row numbers; a row that is
        named several times counts as many copies, up to 127.
    scoring : str, callable or None, default=None
        What the held-out rows say is best. None: the estimator's own score, R2. "loss": minus the mean loss, which
        costs nothing: the passes that train measure it. Otherwise a name or a callable ``scorer(estimator, X, y)`` of
        scikit-learn's.
    rule : {"best", "one_standard_error"}, default="best"
        "best": the best mean score over the splits. "one_standard_error": of the same ``l1_ratio``, the strongest
        penalty whose mean score is within one standard error of the best.
    refit : bool, default=True
        Whether the chosen model is fitted to all rows. It is part of the same passes, and so is ``coef_path_``.
    loss : {"squared_error", "absolute_error", "huber", "quantile", "epsilon_insensitive", \
            "squared_epsilon_insensitive", "poisson", "gamma"}, default="squared_error"
        As in GDRegressor.
    fit_intercept : bool, default=True
        Whether there is a bias.
    max_iter : int, default=1000
        Most epochs of each model.
    tol : float or None, default=1e-6
        Relative distance of each objective from its optimum aimed at.
    epsilon : float, default=0.1
        Where "huber" turns linear; half the width of the insensitive tube.
    quantile : float in (0, 1), default=0.5
        Level that ``loss="quantile"`` estimates.
    positive : bool, default=False
        Whether weights must not be negative. Bounds of any kind share the reads too; losses with kinks are fitted one
        by one.
    bounds : tuple (low, high) or None, default=None
        What every weight must lie between, as in GDRegressor.
    n_threads : int or None, default=None
        Most threads; None chooses by the size of the work. The result does not depend on it.
    verbose : int, default=0
        Whether ``fit`` shows a bar of the models that have arrived, on a terminal or in a notebook (by tqdm), and
        prints a line with the choice.

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The choice.
    best_score_ : float
        Mean score of the choice over the splits.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        Strengths tried, descending; of two dimensions if each of several ``l1_ratio`` has its own.
    scores_ : ndarray of shape (n_alphas, n_splits) or (n_l1_ratios, n_alphas, n_splits)
        Score of each model on the rows it was not trained on; NaN where its error was not finite. Without the first
        dimension if ``l1_ratio`` is a single number.
    coef_path_ : ndarray of shape (n_alphas, [n_outputs,] n_features) or (n_l1_ratios, n_alphas, ...)
        Weights of every point, trained on all rows.
    intercept_path_ : ndarray of shape (n_alphas, n_outputs) or (n_l1_ratios, n_alphas, n_outputs)
        Their biases.
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Weights of the choice, trained on all rows: float32 for ``X`` of float32, else float64.
    intercept_ : ndarray of shape (n_outputs,)
        Its biases.
    n_iter_ : int
        Epochs of the fit to all rows.
    n_passes_ : int
        Reads of X, rounded, by all models that were trained together with the choice, of other penalties and folds.
    loss_ : float
        Its objective.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had names that are all strings.
    best_estimator_ : GDRegressor
        The choice as an estimator of its own, which has `partial_fit`, `to_dict` and the like.

    See Also
    --------
    GDRegressor : One point of the grid.
    gdfast.fit_many : Any grid, over any parameter.

    Notes
    -----
    With ``refit=False`` there is no attribute after ``scores_``.

    Examples
    --------
    >>> from gdfast import GDRegressorCV
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = GDRegressorCV(l1_ratio=[0.5, 1.0], rule="one_standard_error").fit(X, y)
    >>> model.scores_.shape, model.coef_path_.shape
    ((2, 20, 5), (2, 20, 10))
    >>> int((model.coef_ != 0).sum()), model.best_score_ > 0.45
    (5, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Search._parameter_constraints,
        "loss": [StrOptions(set(get_args(RegressionLoss)))],
        "epsilon": [NOT_NEGATIVE],
        "quantile": [FRACTION],
    }

    def __init__(
        self,
        *,
        alphas: int | ArrayLike = 20,
        l1_ratio: float | Sequence[float] = 0.0,
        cv: Any = 5,
        scoring: Any = None,
        rule: ChoiceRule = "best",
        refit: bool = True,
        loss: RegressionLoss = "squared_error",
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-6,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        positive: bool = False,
        bounds: Bounds | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.refit = refit
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.epsilon = epsilon
        self.quantile = quantile
        self.positive = positive
        self.bounds = bounds
        self.n_threads = n_threads
        self.verbose = verbose

    def _point(self, alpha: float, l1_ratio: float) -> GDRegressor:
        return GDRegressor(
            penalty="elasticnet",
            alpha=alpha,
            l1_ratio=l1_ratio,
            loss=self.loss,
            fit_intercept=self.fit_intercept,
            max_iter=self.max_iter,
            tol=self.tol,
            epsilon=self.epsilon,
            quantile=self.quantile,
            positive=self.positive,
            bounds=self.bounds,
            n_threads=self.n_threads,
        )


class GDClassifierCV(Search, ClassModel):  # type: ignore[misc]
    """Linear classification, penalty by cross-validation: `GDClassifier` for every point of a grid at once.

    All points and all splits share every read of ``X``: the grid costs little more than a fit. The held-out rows of a
    split weigh nothing in its models' gradients, and are scored from reads that all models share as well.

    Parameters
    ----------
    alphas : int or array-like of shape (n_alphas,), default=20
        Strengths of the penalty to try. A count: so many, evenly spaced on a logarithmic scale, from the data, for each
        ``l1_ratio`` its own. With L1, from the least that makes all weights zero down to 1e-3 of it (1e-2 if there are
        fewer samples than features). With L2 alone, from the largest curvature of the error at the best constant model,
        where every direction loses half of its weight or more, down to 1e-4 of the least curvature along a single
        feature, however small its scale (but not below 1e-16 of the first).
    l1_ratio : float in [0, 1] or list of floats, default=0.0
        Share of L1 in the penalty ``alpha * ((1 - l1_ratio)/2 * ||w||^2 + l1_ratio * ||w||_1)``; of several, the best.
    cv : int, splitter or iterable of (train, test), default=5
        How the rows are split, as scikit-learn's `check_cv` reads it; a count makes stratified folds. Pairs hold row
        numbers; a row that is named several times counts as many copies, up to 127.
    scoring : str, callable or None, default=None
        What the held-out rows say is best. None: the estimator's own score, the accuracy. "loss": minus the mean loss,
        which costs nothing: the passes that train measure it. Otherwise a name or a callable
        ``scorer(estimator, X, y)`` of scikit-learn's.
    rule : {"best", "one_standard_error"}, default="best"
        "best": the best mean score over the splits. "one_standard_error": of the same ``l1_ratio``, the strongest
        penalty whose mean score is within one standard error of the best.
    refit : bool, default=True
        Whether the chosen model is fitted to all rows. It is part of the same passes, and so is ``coef_path_``.
    loss : {"log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron"}, default="log_loss"
        As in GDClassifier. For more than two classes, losses other than "log_loss" are fitted one by one.
    fit_intercept : bool, default=True
        Whether there is a bias.
    max_iter : int, default=1000
        Most epochs of each model.
    tol : float or None, default=1e-6
        Relative distance of each objective from its optimum aimed at.
    class_weight : dict, "balanced" or None, default=None
        Weight per class label, times the sample weights. "balanced" gives every class of each training set the same
        total weight. It counts in training and in the score "loss".
    positive : bool, default=False
        Whether weights must not be negative. Bounds of any kind share the reads too; losses with kinks are fitted one
        by one.
    bounds : tuple (low, high) or None, default=None
        What every weight must lie between, as in GDClassifier.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling, for ``loss="perceptron"`` only.
    n_threads : int or None, default=None
        Most threads; None chooses by the size of the work. The result does not depend on it.
    verbose : int, default=0
        Whether ``fit`` shows a bar of the models that have arrived, on a terminal or in a notebook (by tqdm), and
        prints a line with the choice.

    Attributes
    ----------
    alpha_, l1_ratio_ : float
        The choice.
    best_score_ : float
        Mean score of the choice over the splits.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratios, n_alphas)
        Strengths tried, descending; of two dimensions if each of several ``l1_ratio`` has its own.
    scores_ : ndarray of shape (n_alphas, n_splits) or (n_l1_ratios, n_alphas, n_splits)
        Score of each model on the rows it was not trained on; NaN where its error was not finite. Without the first
        dimension if ``l1_ratio`` is a single number.
    coef_path_ : ndarray of shape (n_alphas, n_neurons, n_features) or (n_l1_ratios, n_alphas, ...)
        Weights of every point, trained on all rows.
    intercept_path_ : ndarray of shape (n_alphas, n_neurons) or (n_l1_ratios, n_alphas, n_neurons)
        Their biases.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights of the choice, trained on all rows: float32 for ``X`` of float32, else float64.
    intercept_ : ndarray of shape (n_neurons,)
        Its biases.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_iter_ : int
        Epochs of the fit to all rows.
    n_passes_ : int
        Reads of X, rounded, by all models that were trained together with the choice, of other penalties and folds.
    loss_ : float
        Its objective.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had names that are all strings.
    best_estimator_ : GDClassifier
        The choice as an estimator of its own, which has `partial_fit`, `to_dict` and the like.

    See Also
    --------
    GDClassifier : One point of the grid.
    gdfast.fit_many : Any grid, over any parameter.

    Notes
    -----
    With ``refit=False`` there is no attribute after ``scores_``.

    Examples
    --------
    >>> from gdfast import GDClassifierCV
    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = GDClassifierCV(scoring="roc_auc").fit(X, y)
    >>> model.best_score_ > 0.99, model.scores_.shape
    (True, (20, 5))
    >>> model.predict_proba(X[:1]).shape
    (1, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Search._parameter_constraints,
        "loss": [StrOptions(set(get_args(ClassificationLoss)))],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        alphas: int | ArrayLike = 20,
        l1_ratio: float | Sequence[float] = 0.0,
        cv: Any = 5,
        scoring: Any = None,
        rule: ChoiceRule = "best",
        refit: bool = True,
        loss: ClassificationLoss = "log_loss",
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-6,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        positive: bool = False,
        bounds: Bounds | None = None,
        random_state: int | np.random.RandomState | None = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.scoring = scoring
        self.rule = rule
        self.refit = refit
        self.loss = loss
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.class_weight = class_weight
        self.positive = positive
        self.bounds = bounds
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def _point(self, alpha: float, l1_ratio: float) -> GDClassifier:
        return GDClassifier(
            penalty="elasticnet",
            alpha=alpha,
            l1_ratio=l1_ratio,
            loss=self.loss,
            fit_intercept=self.fit_intercept,
            max_iter=self.max_iter,
            tol=self.tol,
            class_weight=self.class_weight,
            positive=self.positive,
            bounds=self.bounds,
            random_state=self.random_state,
            n_threads=self.n_threads,
        )
