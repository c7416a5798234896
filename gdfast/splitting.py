"""Which rows are held out, and which rows each fold of a choice scores: rows that belong together stay together."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from gdfast._types import Array, Doubles, Numbers
from gdfast.table import TableError

__all__ = ["Folds", "Splits", "check_classes", "folds", "hold_out"]

Splits = list[tuple[Numbers, Numbers]]
"""Row numbers to train on and to score, fold by fold."""


@dataclasses.dataclass(frozen=True)
class Folds:
    """How rows are parted.

    Attributes
    ----------
    n : int
        How many folds, at least 2.
    in_time : bool
        Whether rows stand in the order of time: each fold is scored by a model of the rows before it.
    groups : str or None
        Column of the groups whose rows stay together.

    Examples
    --------
    >>> Folds(5).words(of_classes=True), Folds(5, groups="town").words(of_classes=False)
    ('5 stratified folds', "5 folds of whole groups of 'town'")
    """

    n: int
    in_time: bool = False
    groups: str | None = None

    def words(self, of_classes: bool) -> str:
        """The folds in words.

        Parameters
        ----------
        of_classes : bool
            Whether the rows have classes, of which every fold gets its share.

        Returns
        -------
        words : str
        """
        if self.in_time:
            return f"{self.n} folds in order of time"
        plain = f"{self.n} stratified folds" if of_classes else f"{self.n} folds"
        return plain if self.groups is None else f"{plain} of whole groups of {self.groups!r}"


def hold_out(
    share: float, codes: Array | None, n_rows: int, groups: Numbers | None, in_time: bool, seed: int
) -> tuple[Numbers, Numbers] | tuple[None, None]:
    """Part the rows into those to train on and those that only score.

    Classes are held out in equal shares; a class with a single row can only be trained on, so such rows stay out of the
    draw. Of groups, whole ones are held out; of rows in order of time, the last.

    Parameters
    ----------
    share : float
        Of the rows, 0 for none.
    codes : ndarray of shape (n_rows,) or None
        Class of each row.
    n_rows : int
    groups : ndarray of shape (n_rows,) or None
    in_time : bool
    seed : int

    Returns
    -------
    train, held_out : ndarray of int, or None, None
        Sorted row numbers; none where nothing is held out.

    Raises
    ------
    TableError
        When the rows cannot be parted so, or a class has no row left to train on.

    Examples
    --------
    >>> [part.tolist() for part in hold_out(0.4, None, 5, None, in_time=True, seed=0)]
    [[0, 1, 2], [3, 4]]
    """
    from sklearn.model_selection import GroupShuffleSplit, train_test_split

    if share == 0:
        return None, None
    rows = np.arange(n_rows)
    try:
        if in_time:
            train, held_out = train_test_split(rows, test_size=share, shuffle=False)
        elif groups is not None:
            train, held_out = next(GroupShuffleSplit(1, test_size=share, random_state=seed).split(rows, groups=groups))
        else:
            alone = np.zeros(n_rows, dtype=bool) if codes is None else np.bincount(codes)[codes] < 2
            train, held_out = train_test_split(
                rows[~alone],
                test_size=share,
                random_state=seed,
                stratify=None if codes is None else codes[~alone],
            )
            train = np.concatenate([train, rows[alone]])
    except ValueError as error:
        raise TableError(f"--validation {share:g} of {n_rows} rows cannot be held out: {error}") from None
    return np.sort(train), np.sort(held_out)


def folds(
    wanted: Folds, y: Array, classes: Sequence[Any], groups: Numbers | None, weight: Doubles | None, seed: int
) -> Splits:
    """Part the rows to choose by into folds, in a drawn order unless time gives one, and check every fold.

    Parameters
    ----------
    wanted : Folds
    y : ndarray of shape (n,)
        Positions of the classes, or numbers.
    classes : list
        Labels; empty for a regression.
    groups : ndarray of shape (n,) or None
    weight : ndarray of shape (n,) or None
    seed : int

    Returns
    -------
    splits : list of (train, test)

    Raises
    ------
    TableError
        When there are more folds than rows, groups or rows of a class allow, or a fold would leave a class, or all
        weights, out of what it trains on.

    Warns
    -----
    UserWarning
        When a class has fewer rows than there are folds.

    Examples
    --------
    >>> y = np.array([0.5, 1.5, 2.5, 3.5])
    >>> [(train.tolist(), test.tolist()) for train, test in folds(Folds(3, in_time=True), y, [], None, None, 0)]
    [([0], [1]), ([0, 1], [2]), ([0, 1, 2], [3])]
    """
    _check_counts(wanted, y, classes, groups)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class in y")  # said below, with the class's name
        splits = list(_splitter(wanted, bool(classes), seed).split(np.zeros((len(y), 1)), y, groups))
    for number, (train, test) in enumerate(splits, 1):
        where = f"fold {number} of --cv"
        if not len(train) or not len(test):
            raise TableError(f"{where} must have rows to train on and to score, got none; fewer folds may do")
        if classes:
            check_classes(y[train], classes, where)
        if weight is not None and not (weight[train].any() and weight[test].any()):
            raise TableError(f"{where} must have rows to train on and to score with a weight above 0, got only 0")
    return splits


def check_classes(y: Array, classes: Sequence[Any], where: str) -> None:
    """Refuse rows to train on that lack a class.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Positions of the classes.
    classes : list
    where : str
        What chose the rows, for the error.

    Raises
    ------
    TableError
    """
    found = np.bincount(y, minlength=len(classes)) > 0
    if not found.all():
        label = classes[int(found.argmin())]
        raise TableError(f"{where} must leave rows of each class to train on, got none of {label!r}")


def _check_counts(wanted: Folds, y: Array, classes: Sequence[Any], groups: Numbers | None) -> None:
    if groups is not None:
        most, of_what = len(np.unique(groups)), f"the number of groups in column {wanted.groups!r} to choose by"
    elif wanted.in_time:
        most, of_what = len(y) - 1, "one less than the number of rows to choose by"
    elif classes:
        most, of_what = int(np.bincount(y).max()), "the number of rows to choose by of the largest class"
    else:
        most, of_what = len(y), "the number of rows to choose by"
    if wanted.n > most:
        raise TableError(f"--cv must be at most {most}, {of_what}, got {wanted.n}")
    counts = np.bincount(y, minlength=len(classes)) if classes else np.array([wanted.n])
    if counts.min() < wanted.n and not wanted.in_time:
        label, count = classes[int(counts.argmin())], int(counts.min())
        warnings.warn(
            f"class {label!r} has {count} rows to choose by, fewer than the {wanted.n} folds: some score without it",
            stacklevel=2,
        )


def _splitter(wanted: Folds, of_classes: bool, seed: int) -> Any:
    from sklearn import model_selection

    if wanted.in_time:
        return model_selection.TimeSeriesSplit(wanted.n)
    kinds = ("KFold", "StratifiedKFold") if wanted.groups is None else ("GroupKFold", "StratifiedGroupKFold")
    return getattr(model_selection, kinds[of_classes])(wanted.n, shuffle=True, random_state=seed)
