"""What `GDRegressorCV` and `GDClassifierCV` do alike: the fit of a grid, and the choice."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metadata_routing import UNUSED, MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_is_fitted

from gdfast._alphas import alpha_grid
from gdfast._around_fit import only_fit_of
from gdfast._checks import BOOLEAN, COUNT, NOT_NEGATIVE, Number
from gdfast._grid import Fit, Point, copied, fit_points, learn, read_data, warn_of_failures
from gdfast._held_out import Scorer, minus_loss, score_fits, weighted
from gdfast._messages import short
from gdfast._progress import models_bar
from gdfast._sklearn import _fit_context
from gdfast._splits import read_splits
from gdfast._types import Arrivals, ChoiceRule, Doubles, Matrix
from gdfast.exceptions import DivergenceError

_Self = TypeVar("_Self", bound="Search")
_OF_THE_MODEL = (
    "coef_",
    "intercept_",
    "classes_",
    "n_iter_",
    "n_passes_",
    "loss_",
    "n_features_in_",
    "feature_names_in_",
)


class Search:
    """What both do alike: the fit. Everything after it they inherit from the estimators."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alphas": [COUNT, "array-like"],
        "l1_ratio": [Number(Real, 0, 1, closed="both"), "array-like"],
        "cv": ["cv_object"],
        "scoring": [StrOptions({*get_scorer_names(), "loss"}), callable, None],
        "rule": [StrOptions(set(get_args(ChoiceRule)))],
        "refit": BOOLEAN,
        "fit_intercept": BOOLEAN,
        "max_iter": [COUNT],
        "tol": [NOT_NEGATIVE, None],
        "positive": BOOLEAN,
        "bounds": [tuple, list, None],
        "n_threads": [COUNT, None],
        "verbose": [*BOOLEAN, Number(Integral, 0, None, closed="left")],
    }
    _arrived: Arrivals | None = None  # told of the models as they arrive; the command has a bar of its own
    # Not of the estimator but of the splitter, which says itself what it asks for.
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": UNUSED}

    if TYPE_CHECKING:
        alphas: int | ArrayLike
        l1_ratio: float | Sequence[float]
        cv: Any
        scoring: Any
        rule: ChoiceRule
        refit: bool
        verbose: int
        alpha_: float
        l1_ratio_: float
        n_iter_: int
        n_passes_: int

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

        def _publish(self, train: Any) -> None: ...

    def _point(self, alpha: float, l1_ratio: float) -> Point:
        """The estimator of one point of the grid."""
        raise NotImplementedError

    def fit(
        self: _Self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        **params: Any,
    ) -> _Self:
        """Find the best point of the grid and fit it to all rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training samples, read in place as those of the estimators are.
        y : array-like of shape (n_samples,) or, for a regressor, (n_samples, n_outputs)
            Target values, or class labels for a classifier.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0, in training and in the scores; scorers that have no parameter
            ``sample_weight`` do without. With metadata routing enabled, a ``scoring`` that is a name or a callable
            is given it if it asks for it.
        groups : array-like of shape (n_samples,), default=None
            Groups of the rows, for splitters such as GroupKFold.
        offset : array-like of shape (n_samples,), default=None
            Known part of the raw score. It counts in training and in the score "loss"; predictions, and with them
            all other scores, leave it out.
        **params : dict
            What else the splitter and the scorer ask for, with metadata routing enabled.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, the data or the splits are not as described; the message names it.
        gdfast.exceptions.DivergenceError
            If the chosen model has no finite error on all rows, or no point of the grid has one in all splits.
        RuntimeError
            If the estimator is being fitted already.

        Warns
        -----
        FitFailedWarning
            If models of the grid have no finite error: their score is NaN.
        ConvergenceWarning
            If models of the grid ended before they reached ``tol``.

        Notes
        -----
        A fit that fails or is interrupted leaves the estimator as it was before.

        Examples
        --------
        >>> from gdfast import GDRegressorCV
        >>> from sklearn.datasets import load_diabetes
        >>> X, y = load_diabetes(return_X_y=True)
        >>> model = GDRegressorCV(alphas=[1.0, 0.1, 1e-3, 1e-5]).fit(X, y)
        >>> model.alpha_, model.scores_.shape
        (1e-05, (4, 5))
        """
        with only_fit_of(self):
            self._fit((X, y, sample_weight, offset), groups, params)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def _fit(self, data: tuple[Any, ...], groups: Any, params: dict[str, Any]) -> None:
        self._publish(lambda draft: draft._search(data, groups, params))

    def _search(self, given: tuple[Any, ...], groups: Any, params: dict[str, Any]) -> dict[str, Any]:
        """Check everything, fit the grid, return the fitted attributes."""
        alphas, l1_ratios = _read_alphas(self.alphas), _read_l1_ratios(self.l1_ratio)
        model = self._point(0.0, 0.0)
        data, y = read_data(model, *given)
        for_splits, for_scores = self._routed(given[2], groups, params)
        call = minus_loss if self.scoring == "loss" else check_scoring(model, scoring=self.scoring)
        if for_scores is None:
            scorer = weighted(call, data.sample_weight)
        else:
            scorer = Scorer(call, {name: np.asarray(value) for name, value in for_scores.items()})
        splits = read_splits(self.cv, data.X, y, getattr(model, "classes_", None), data.y, **for_splits)
        lines = alpha_grid(model, data, l1_ratios, alphas) if isinstance(alphas, int) else [alphas] * len(l1_ratios)
        pairs = [(float(alpha), ratio) for line, ratio in zip(lines, l1_ratios, strict=True) for alpha in line]
        points = [learn(self._point(*pair), model) for pair in pairs]
        with models_bar(type(self).__name__) if self.verbose else nullcontext(self._arrived) as arrived:
            fits = fit_points(points, data, [*splits, None] if self.refit else splits, arrived)
        names = [f"alpha={alpha:.6g}, l1_ratio={ratio:g}" for alpha, ratio in pairs]
        none_left = all(any(fit.failure for fit in of_point[: len(splits)]) for of_point in fits.fits)
        warn_of_failures(fits, names, len(splits), "raise" if none_left else np.nan)
        scores, _ = score_fits(points, data, y, fits, splits, {"score": scorer}, np.nan)
        if set(scores[0][0]) != {"score"}:
            raise ValueError(f"scoring must return a number, got several: {short(scores[0][0])}")
        table = np.array([[score["score"] for score in row] for row in scores], dtype=np.float64)
        grid = table.reshape(len(l1_ratios), -1, len(splits))
        best = choose(grid, self.rule)
        shape = grid.shape[:2] if np.ndim(self.l1_ratio) else grid.shape[1:2]
        fitted = {
            "alpha_": pairs[best][0],
            "l1_ratio_": pairs[best][1],
            "alphas_": np.array(lines if isinstance(alphas, int) and len(shape) > 1 else lines[0]),
            "scores_": grid.reshape(*shape, -1),
            "best_score_": float(table[best].mean()),
        }
        if self.refit:
            fitted |= _refitted([row[-1] for row in fits.fits], best, names[best], shape)
        if self.verbose:
            print(f"{type(self).__name__}: best of {len(pairs)} points in {len(splits)} splits is {names[best]}.")
        return fitted

    def _routed(self, sample_weight: Any, groups: Any, params: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        """What the splitter gets, and the scorer: None where it is ours to say."""
        if not get_config()["enable_metadata_routing"]:
            if params:
                raise TypeError(f"fit() got an unexpected keyword argument {next(iter(params))!r}")
            return {"groups": groups}, None
        given = {"sample_weight": sample_weight, "groups": groups, **params}
        routed = process_routing(self, "fit", **{name: value for name, value in given.items() if value is not None})
        return routed.splitter.split, routed.scorer.score if self._has_scorer() else None

    def _has_scorer(self) -> bool:
        return self.scoring is not None and self.scoring != "loss"

    def get_metadata_routing(self) -> MetadataRouter:
        """Get metadata routing of this object.

        Returns
        -------
        routing : sklearn.utils.metadata_routing.MetadataRouter
            What goes where: to ``fit`` and ``score`` themselves, to the splitter and to the scorer.

        Examples
        --------
        >>> from gdfast import GDRegressorCV
        >>> from sklearn.model_selection import GroupKFold
        >>> sorted(GDRegressorCV(cv=GroupKFold(3)).get_metadata_routing().consumes("fit", ["groups", "y"]))
        ['groups']
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(splitter=check_cv(self.cv), method_mapping=MethodMapping().add(caller="fit", callee="split"))
        if self._has_scorer():
            scorer = check_scoring(self._point(0.0, 0.0), scoring=self.scoring)
            router.add(scorer=scorer, method_mapping=MethodMapping().add(caller="fit", callee="score"))
        return router

    @property
    def best_estimator_(self) -> Any:
        """The chosen model as an estimator of its own."""
        check_is_fitted(self, "coef_")
        fitted = {name: value for name, value in vars(self).items() if name in _OF_THE_MODEL}
        fitted |= {"t_": 1.0 + self.n_iter_, "validation_curve_": None, "best_validation_loss_": None}
        return copied(self._point(self.alpha_, self.l1_ratio_), fitted)


# ---- parameters ------------------------------------------------------------------------------------------------------


def _read_alphas(alphas: Any) -> int | Doubles:
    """A count, or the values, descending."""
    if isinstance(alphas, Integral):
        return int(alphas)
    values = _numbers(alphas)
    if values is None or not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"alphas must be a count or finite floats >= 0, at least one, got {short(alphas)}")
    return np.sort(values)[::-1]


def _read_l1_ratios(l1_ratio: Any) -> list[float]:
    values = _numbers(np.atleast_1d(l1_ratio))
    if values is None or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"l1_ratio must be a float in [0, 1] or several, got {short(l1_ratio)}")
    return [float(value) for value in values]


def _numbers(given: Any) -> Doubles | None:
    """A list of real numbers as an array; None if it is none, or empty."""
    values = np.asarray(given)
    return values.astype(np.float64) if values.ndim == 1 and values.size and values.dtype.kind in "iuf" else None


# ---- the choice ------------------------------------------------------------------------------------------------------


def choose(scores: Doubles, rule: str) -> int:
    """Which point of the grid (l1_ratios, alphas descending, splits) is taken, counted line by line.

    The best mean, the strongest penalty of equal ones; "one_standard_error": the strongest penalty of the same l1_ratio
    whose mean is no further from the best than the standard error of the best (Breiman et al. 1984, section 3.4.3;
    Hastie et al. 2009, section 7.10).
    """
    means = scores.mean(axis=2)
    if np.isnan(means).all():
        raise ValueError("scoring must give a number for one point of the grid at least, got NaN for all of them")
    best = int(np.nanargmax(means))
    line, n_splits = best // means.shape[1], scores.shape[2]
    if rule == "best" or n_splits == 1:
        return best
    of_best = scores[line, best % means.shape[1]]
    with np.errstate(invalid="ignore"):  # infinite scores have no spread
        enough = of_best.mean() - of_best.std(ddof=1) / np.sqrt(n_splits)
    return int(line * means.shape[1] + (means[line] >= enough).argmax())


def _refitted(path: Sequence[Fit], best: int, name: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """The fitted attributes of the chosen point, and the weights of all points."""
    chosen = path[best]
    if chosen.failure:
        raise DivergenceError(f"the model of {name} on all rows: {chosen.failure}")
    fitted = {name: value for name, value in chosen.attributes.items() if name in _OF_THE_MODEL}
    for attribute in ("coef", "intercept"):
        like = fitted[f"{attribute}_"]
        found = [fit.attributes.get(f"{attribute}_", np.full_like(like, np.nan)) for fit in path]
        fitted[f"{attribute}_path_"] = np.reshape(found, (*shape, *like.shape))
    return fitted
