"""The strength of the penalty, and the share of L1 in it, by cross-validation: what `gdfast train --cv` adds."""

from __future__ import annotations

import dataclasses
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np

from gdfast._types import Arrivals, ChoiceRule, Doubles
from gdfast.splitting import Folds, Splits, folds
from gdfast.table import TableError

if TYPE_CHECKING:
    from gdfast.training import Problem, Settings

__all__ = ["RULES", "Choice", "Chosen", "Grid", "Point", "choose"]

RULES: tuple[str, ...] = get_args(ChoiceRule)
"""How one point of a grid is taken, the default first."""

_UNSCORED = "a model could not be scored: "


@dataclasses.dataclass(frozen=True)
class Grid:
    """What is to be tried, and how it is judged.

    Attributes
    ----------
    folds : gdfast.splitting.Folds
    alphas : int or list of float
        How many, from the data, or which.
    l1_ratios : list of float
    rule : {"best", "one_standard_error"}
    scoring : str
        "loss", or the name of a scorer of scikit-learn's.
    """

    folds: Folds
    alphas: int | list[float] = 20
    l1_ratios: list[float] = dataclasses.field(default_factory=lambda: [0.0])
    rule: str = "best"
    scoring: str = "loss"


class Point(NamedTuple):
    """A penalty and how it did: mean and standard deviation of its score over the folds, None where a model has none;
    how many weights of the model of all rows are not zero, None where no L1 is tried.
    """

    alpha: float
    l1_ratio: float
    mean: float | None
    spread: float | None
    non_zero: int | None


@dataclasses.dataclass(frozen=True)
class Choice:
    """What was tried, how it scored, and what was taken.

    Attributes
    ----------
    folds : str
        In words.
    scoring, rule : str
        As in `Grid`. The loss is the better the less it is, any other score the more.
    points : list of Point
        By l1_ratio, and for each by falling alpha.
    best, simplest : int
        The point with the best mean; and that with the strongest penalty, of the same l1_ratio, whose mean is within
        one standard error of it.
    """

    folds: str
    scoring: str
    rule: str
    points: list[Point]
    best: int
    simplest: int

    @property
    def chosen(self) -> int:
        """The point that the rule takes, an int."""
        return self.best if self.rule == "best" else self.simplest

    @property
    def of_loss(self) -> bool:
        """Whether the score is a loss, of which less is better, a bool."""
        return self.scoring == "loss"

    def merit(self, point: Point) -> float:
        """How good a point is: more is better, whatever the score.

        Parameters
        ----------
        point : Point

        Returns
        -------
        merit : float
        """
        if point.mean is None:
            return -np.inf
        return -point.mean if self.of_loss else point.mean


class Chosen(NamedTuple):
    """A choice, the problem of the chosen model, the time it took, and what was warned of on the way, a line each."""

    choice: Choice
    problem: Problem
    seconds: float
    warnings: list[str]


def choose(problem: Problem, arrived: Arrivals | None = None) -> Chosen:
    """Try every point of the grid in every fold of the rows to train on; those held out take no part.

    Parameters
    ----------
    problem : gdfast.training.Problem
        With a grid in its settings.
    arrived : callable, optional
        Told how many models have arrived, and of how many, as they descend.

    Returns
    -------
    chosen : Chosen

    Raises
    ------
    TableError
        When the folds cannot be, or no point of the grid has a score.
    gdfast.exceptions.DivergenceError
        When the error of the best model of all rows is not finite.
    """
    settings, train = problem.settings, problem.train
    grid = _grid(settings)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        splits = folds(grid.folds, train.y, problem.classes, problem.groups, train.sample_weight, settings.seed)
        search = _search(problem, grid, splits)
        search._arrived = arrived
        try:
            search.fit(train.X, train.y, train.sample_weight, offset=train.offset)
        except ValueError:
            failures = [message for message in map(_message, caught) if message.startswith(_UNSCORED)]
            if not failures:
                raise
            raise TableError(
                f"--scoring {grid.scoring} must suit the {settings.task}, got {failures[0].removeprefix(_UNSCORED)}"
            ) from None
    seconds = time.perf_counter() - start
    messages = list(dict.fromkeys(map(_message, caught)))
    choice = _choice(search, grid, bool(problem.classes))
    params = {**settings.params, **_penalty(choice.points[choice.chosen])}
    settings = dataclasses.replace(settings, params=params)
    return Chosen(choice, dataclasses.replace(problem, settings=settings, choice=choice), seconds, messages)


def _message(warning: warnings.WarningMessage) -> str:
    """A warning in one line; of a score that failed, why, without where in scikit-learn that was."""
    text = str(warning.message).strip()
    return _UNSCORED + text.splitlines()[-1] if text.startswith("Scoring failed") else " ".join(text.split())


def _penalty(point: Point) -> dict[str, Any]:
    """Parameters of the estimator, as a user would name this penalty."""
    if point.l1_ratio in (0.0, 1.0):
        return {"penalty": "l1" if point.l1_ratio else "l2", "alpha": point.alpha}
    return {"penalty": "elasticnet", "alpha": point.alpha, "l1_ratio": point.l1_ratio}


def _grid(settings: Settings) -> Grid:
    if settings.grid is None:
        raise ValueError("settings.grid must say what is to be tried, got None")
    return settings.grid


def _search(problem: Problem, grid: Grid, splits: Splits) -> Any:
    """The search, not fitted, with those parameters of the estimator that count in it."""
    import gdfast

    settings = problem.settings
    kind = gdfast.GDClassifierCV if problem.classes else gdfast.GDRegressorCV
    known = set(kind().get_params())
    params = {"loss": settings.loss, "random_state": settings.seed, **settings.params}
    return kind(
        alphas=grid.alphas,
        l1_ratio=grid.l1_ratios,
        cv=splits,
        scoring=grid.scoring,
        refit=any(grid.l1_ratios),  # the models of all rows are asked for their zeros
        **{name: value for name, value in params.items() if name in known},
    )


def _choice(search: Any, grid: Grid, of_classes: bool) -> Choice:
    from gdfast._search import choose as point_of

    scores: Doubles = search.scores_  # (n_l1_ratios, n_alphas, n_folds)
    best, simplest = (point_of(scores, rule) for rule in RULES)
    alphas = np.broadcast_to(search.alphas_, scores.shape[:2]).ravel().tolist()
    l1_ratios = np.repeat(grid.l1_ratios, scores.shape[1]).tolist()
    means = map(_finite, (-1.0 if grid.scoring == "loss" else 1.0) * scores.mean(axis=2).ravel())
    spreads = map(_finite, scores.std(axis=2, ddof=1).ravel())
    if any(grid.l1_ratios):
        counts = np.count_nonzero(search.coef_path_.reshape(len(alphas), -1), axis=1).tolist()
    else:
        counts = [None] * len(alphas)
    points = [Point(*values) for values in zip(alphas, l1_ratios, means, spreads, counts, strict=True)]
    return Choice(grid.folds.words(of_classes), grid.scoring, grid.rule, points, best, simplest)


def _finite(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
