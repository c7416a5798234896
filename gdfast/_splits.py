"""Splits of the rows into training and test rows: whatever scikit-learn calls a `cv`, read and checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import check_cv

from gdfast._messages import short
from gdfast._types import Array, Numbers

_MOST_COPIES = 127  # of a row in a split: what a role can count


class Split(NamedTuple):
    """Row numbers; of a row named several times as many copies count."""

    train: Numbers
    test: Numbers


def read_splits(cv: Any, X: Any, y: Array, classes: Array | None, codes: Array, **params: Any) -> list[Split]:
    """The splits that `cv` makes of the rows; of a classifier, `codes` number its `classes`.

    `params` go to the splitter: `groups`, say.
    """
    if np.iterable(cv) and not hasattr(cv, "split"):
        cv = [_pair(given, i) for i, given in enumerate(cv)]
    splitter = check_cv(cv, y, classifier=classes is not None)
    splits = [
        Split(
            _numbers(train, len(y), f"training set of split {i}"),
            _numbers(test, len(y), f"test set of split {i}"),
        )
        for i, (train, test) in enumerate(splitter.split(X, y, **params))
    ]
    if not splits:
        raise ValueError(f"cv must make at least one split, got none from {short(cv)}")
    for i, split in enumerate(splits):
        trains = np.zeros(len(y), dtype=bool)
        trains[split.train] = True
        if trains[split.test].any():
            row = split.test[trains[split.test]].min()
            raise ValueError(f"cv must keep training and test rows apart, got row {row} in both of split {i}")
        if classes is not None:
            found = np.bincount(codes[split.train], minlength=len(classes)) > 0
            if not found.all():
                raise ValueError(
                    "cv must leave rows of each class in every training set, got none of class "
                    f"{short(classes[found.argmin()].item())} in split {i}"
                )
    return splits


def _pair(given: Any, i: int) -> tuple[Any, Any]:
    try:
        train, test = given
    except (TypeError, ValueError):
        raise ValueError(f"cv must yield pairs (train, test), got {short(given)} as split {i}") from None
    return train, test


def _numbers(rows: Any, n: int, where: str) -> Numbers:
    numbers: Array = np.asarray(rows)
    if numbers.dtype.kind == "b" and numbers.shape == (n,):
        numbers = np.flatnonzero(numbers)
    if numbers.size == 0:
        raise ValueError(f"cv must leave rows in every part, got none in the {where}")
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
        raise ValueError(f"cv must yield row numbers, got {short(rows)} in the {where}")
    if numbers.min() < -n or numbers.max() >= n:
        wrong = numbers[(numbers < -n) | (numbers >= n)][0]
        raise ValueError(f"cv must yield row numbers 0 ... {n - 1}, got {wrong} in the {where}")
    numbers = numbers.astype(np.int64)
    numbers[numbers < 0] += n
    most = int(np.bincount(numbers).max())
    if most > _MOST_COPIES:
        raise ValueError(f"cv must name a row at most {_MOST_COPIES} times, got {most} times in the {where}")
    return numbers


def roles(train: Numbers, validate: Numbers | None, n: int) -> Array:
    """What each of n rows does for a model: how often it trains, less how often it validates."""
    counts: Array = np.bincount(train, minlength=n).astype(np.int8)
    return counts if validate is None else counts - np.bincount(validate, minlength=n).astype(np.int8)
