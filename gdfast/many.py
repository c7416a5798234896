"""`fit_many`: any grid of parameters, with or without cross-validation, in as few reads of X as it takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid

from gdfast._estimator import Rows
from gdfast._grid import Fit, Fits, copied, fit_points, fresh, learn, read_data, warn_of_failures
from gdfast._held_out import minus_loss, score_fits, weighted
from gdfast._messages import short
from gdfast._progress import models_bar
from gdfast._splits import Split, read_splits
from gdfast._types import Array, Matrix
from gdfast.classifier import GDClassifier
from gdfast.regressor import GDRegressor

__all__ = ["ManyFits", "fit_many"]


@dataclass(frozen=True)
class ManyFits:
    """What `fit_many` found. Names that end in an underscore are those of GridSearchCV.

    Attributes
    ----------
    params : list of dict
        The points, in the order of scikit-learn's ParameterGrid.
    groups : list of int
        The group that each point was fitted in. Points of a group share every read of X.
    n_groups : int
        How many there are.
    estimators : list of estimators or None
        Without `cv`: the fitted model of each point, None where it failed. They lack ``loss_curve_`` where they
        shared their reads by ``solver="auto"``.
    cv_results_ : dict of arrays or None
        With `cv`: params, param_*, split*_test_*, mean_test_*, std_test_*, rank_test_*, fit and score times, as
        GridSearchCV has them.
    n_splits_ : int
        0 without `cv`.
    best_index_, best_params_, best_score_ : int, dict, float, or None
        The best point.
    best_estimator_ : estimator or None
        The best point, fitted to all rows.

    Examples
    --------
    >>> from gdfast import GDRegressor, fit_many
    >>> found = fit_many(GDRegressor(), {"alpha": [1.0, 0.1]}, [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> found.params, found.groups, found.n_groups, found.cv_results_
    ([{'alpha': 1.0}, {'alpha': 0.1}], [0, 0], 1, None)
    """

    params: list[dict[str, Any]]
    groups: list[int]
    n_groups: int
    estimators: list[Any] | None = None
    cv_results_: dict[str, Any] | None = None
    n_splits_: int = 0
    best_index_: int | None = None
    best_params_: dict[str, Any] | None = None
    best_score_: float | None = None
    best_estimator_: Any = None


def fit_many(
    estimator: GDRegressor | GDClassifier,
    param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]],
    X: Matrix,
    y: ArrayLike,
    *,
    cv: Any = None,
    scoring: Any = None,
    refit: Any = True,
    error_score: Any = np.nan,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    n_threads: int | None = None,
    verbose: int = 0,
) -> ManyFits:
    """Fit a model for every point of a grid of parameters, in every split of the rows.

    Points share every read of X if they have no callback, the same bounds, ``fit_intercept``, ``early_stopping`` and
    ``n_threads``, and either of these holds. ``solver="auto"``, a loss without kinks, and the same ``max_iter`` and
    ``tol``: they may differ in ``alpha``, ``l1_ratio``, ``penalty``, ``class_weight``, ``epsilon``, and with one output
    in ``loss``. Or update rules that take all rows at once, by ``solver="gd"`` or by a ``batch_size`` of no fewer rows
    than train: they may differ in these, and in all that makes the rule, ``eta0``, ``learning_rate`` and ``momentum``
    among them, and says when it stops. Other points are fitted one by one, in groups of their own, to the same end.

    Parameters
    ----------
    estimator : GDRegressor or GDClassifier
        Parameters that the grid does not name.
    param_grid : dict of str to list, or list of such dicts
        As for GridSearchCV.
    X : array-like or sparse matrix of shape (n_samples, n_features)
        Samples, read in place.
    y : array-like of shape (n_samples,) or, for a regressor, (n_samples, n_outputs)
        Target values, or class labels for a classifier.
    cv : int, splitter, iterable of (train, test) or None, default=None
        How the rows are split, as GridSearchCV reads it. None: they are not; every model is trained on all rows.
    scoring : str, callable, list, dict or None, default=None
        As for GridSearchCV, and "loss": minus the mean loss of the test rows, which the passes that train measure.
    refit : bool, str or callable, default=True
        As for GridSearchCV: whether the best point is fitted to all rows, and of several scores by which it is best.
    error_score : "raise" or float, default=nan
        The score of a model whose error is not finite or whose scoring fails; "raise" raises instead.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each sample, in training, and in scorers that have such a parameter.
    offset : array-like of shape (n_samples,), default=None
        Known part of the raw score. It counts in training and in the score "loss"; predictions, and with them all other
        scores, leave it out.
    groups : array-like of shape (n_samples,), default=None
        Groups of the rows, for splitters such as GroupKFold.
    n_threads : int or None, default=None
        Most threads; None leaves it to the estimator. The result does not depend on it.
    verbose : int, default=0
        Whether to show a bar of the models that have arrived, on a terminal or in a notebook (by tqdm), and to print a
        line with what was done.

    Returns
    -------
    found : ManyFits

    Raises
    ------
    TypeError
        If ``estimator`` is none of gdfast's.
    ValueError
        If a parameter, the data or the splits are not as described; the message names it.
    gdfast.exceptions.DivergenceError
        If a model's error is not finite and ``error_score="raise"``.

    Warns
    -----
    FitFailedWarning
        If models have no finite error; the message names them.
    ConvergenceWarning
        If models ended before they reached ``tol``.

    Notes
    -----
    ``best_estimator_`` is what a fit of the estimator with the best parameters gives, curves and all.

    Examples
    --------
    >>> from gdfast import GDClassifier, fit_many
    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> grid = {"alpha": [0.1, 1e-3, 1e-5], "class_weight": [None, "balanced"], "loss": ["log_loss", "hinge"]}
    >>> found = fit_many(GDClassifier(), grid, X, y, cv=3, scoring="roc_auc")
    >>> found.n_groups, found.groups
    (7, [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6])
    >>> found.best_params_["loss"], found.cv_results_["mean_test_score"].shape
    ('log_loss', (12,))
    """
    if not isinstance(estimator, (GDRegressor, GDClassifier)):
        raise TypeError(f"estimator must be a GDRegressor or a GDClassifier, got {short(estimator)}")
    search = GridSearchCV(
        estimator, param_grid, cv=cv, scoring=_with_loss(scoring), refit=refit, error_score=error_score
    )
    search._validate_params()
    params = list(ParameterGrid(param_grid))
    common = {} if n_threads is None else {"n_threads": n_threads}
    (model,) = _points(estimator, [common])
    data, labels = read_data(model, X, y, sample_weight, offset)
    points = [learn(point, model) for point in _points(estimator, [{**common, **values} for values in params])]
    splits = _NO_SPLITS if cv is None else _splits(cv, model, data, labels, groups)
    with models_bar("fit_many") if verbose else nullcontext() as arrived:
        fits = fit_points(points, data, splits, arrived)
    warn_of_failures(fits, list(map(_text, params)), 0 if cv is None else len(splits), error_score)
    found = ManyFits(params, fits.groups, len(set(fits.groups)))
    if cv is None:
        models = [_estimator(point, row[0]) for point, row in zip(points, fits.fits, strict=True)]
        found = dataclasses.replace(found, estimators=models)
    else:
        found = _cross_validated(search, found, points, data, labels, fits, splits)
        if refit:
            (best,) = _points(estimator, [{**common, **(found.best_params_ or {})}])
            best.fit(X, y, sample_weight=sample_weight, offset=offset)
            found = dataclasses.replace(found, best_estimator_=best)
    if verbose:
        print(f"fit_many: {len(points)} points in {len(splits)} splits, in {found.n_groups} groups.")
    return found


_NO_SPLITS: list[Any] = [None]


def _with_loss(scoring: Any) -> Any:
    """The scoring with the scorer "loss" in its place, which scikit-learn does not know by name."""
    if isinstance(scoring, Mapping):
        return {name: _with_loss(given) for name, given in scoring.items()}
    if isinstance(scoring, (list, tuple, set)) and "loss" in scoring:
        return {name: _with_loss(name) for name in scoring}
    return minus_loss if isinstance(scoring, str) and scoring == "loss" else scoring


def _points(estimator: Any, params: list[dict[str, Any]]) -> list[Any]:
    """The estimator with each of these sets of parameters, checked, not fitted."""
    for names in {tuple(values): values for values in params}.values():
        clone(estimator).set_params(**names)  # refuses names that it does not know
    base = clone(estimator)  # once: it looks at signatures for longer than a small model trains
    points = [copied(base, clone(values, safe=False)) for values in params]
    for point in points:
        point._validate_params()
    return points


def _text(params: dict[str, Any]) -> str:
    return ", ".join(f"{name}={short(value)}" for name, value in params.items()) or "no parameters"


def _splits(cv: Any, model: Any, data: Rows, labels: Array, groups: Any) -> list[Split]:
    for_splitter = {} if groups is None else {"groups": groups}
    return read_splits(cv, data.X, labels, getattr(model, "classes_", None), data.y, **for_splitter)


def _estimator(point: Any, fit: Fit) -> Any:
    return None if fit.failure else fresh(copied(point, fit.attributes))


def _cross_validated(
    search: GridSearchCV,
    found: ManyFits,
    points: list[Any],
    data: Rows,
    labels: Array,
    fits: Fits,
    splits: list[Split],
) -> ManyFits:
    """Scores, in the shape of GridSearchCV's, and the best of them."""
    given, metric = search._get_scorers()
    named = getattr(given, "_scorers", {"score": given})
    scorers = {name: weighted(call, data.sample_weight) for name, call in named.items()}
    scores, seconds = score_fits(points, data, labels, fits, splits, scorers, search.error_score)
    out = [
        {"test_scores": score, "fit_time": fits.seconds[i], "score_time": seconds[i][s]}
        for i, row in enumerate(scores)
        for s, score in enumerate(row)
    ]
    results = search._format_results(found.params, len(splits), out)
    several = set(scores[0][0]) != {"score"}
    if several and metric == "score":  # a callable that returned a dict
        search._check_refit_for_multimetric(scores[0][0])
        metric = search.refit
    found = dataclasses.replace(found, cv_results_=results, n_splits_=len(splits))
    if several and not search.refit:
        return found
    best = int(search._select_best_index(search.refit, metric, results))
    best_score = None if callable(search.refit) else float(results[f"mean_test_{metric}"][best])
    return dataclasses.replace(found, best_index_=best, best_params_=found.params[best], best_score_=best_score)
