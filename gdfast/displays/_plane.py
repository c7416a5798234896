"""Which plane of weights to look at, and which part of it."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from gdfast._messages import short
from gdfast._types import Doubles, Numbers
from gdfast.displays._section import Plane
from gdfast.displays._style import short_name

Axis = int | str
_MOST_POINTS = 2000  # of a path whose heights are asked for; longer ones are thinned out
_MOST_STEPS = 1000  # of a path that say where it moved most
_MARGIN = 0.25
_BEYOND = 3.0  # times the extent of starts and minima: paths that go further are cut off
_NARROW = 0.4  # an axis along which nothing moved shows this share of what the other does, in terms of scores


def find_plane(
    coef: Doubles,
    intercept: Doubles,
    output: int,
    paths: Sequence[tuple[Doubles, Doubles]],
    features: Sequence[Axis] | None,
    names: list[str],
    *,
    biased: bool = True,
) -> tuple[Plane, tuple[str, str], str]:
    """The plane, what its axes are, and what else there is to say; biased: whether there is a bias, that was fitted."""
    d = len(names)
    if d == 1 and not biased:
        raise ValueError("X must have two features where no bias is fitted, for a surface over two weights, got 1")
    if features is None and d <= 2:
        features = (0, "bias") if d == 1 else (0, 1)
    if features is None:
        return _plane_of_paths(coef, intercept, output, paths, biased=biased)
    columns = _columns(features, names, biased=biased)
    directions = np.zeros((2, d + 1))
    directions[[0, 1], columns] = 1.0
    weights = np.append(coef[output], intercept[output])
    plane = Plane(coef, intercept, output, directions, weights[columns])
    labels = [f"weight of {short_name(names[j])} (score per unit)" if j < d else "bias (score)" for j in columns]
    others = d - sum(j < d for j in columns)
    fixed = ["the other weight" if others == 1 else f"the {others:,} other weights"] if others else []
    fixed += ["bias"] * (biased and d not in columns)
    return plane, (labels[0], labels[1]), f"{' and '.join(fixed)} as at the end" if fixed else ""


def _columns(features: Any, names: list[str], *, biased: bool) -> list[int]:
    """Numbers of two weights, that of the bias behind those of the features."""
    d = len(names)
    rule = f"two different features, by number below {d} or by name" + ", or 'bias'" * biased
    if isinstance(features, str) or not isinstance(features, (Sequence, np.ndarray)) or len(features) != 2:
        raise ValueError(f"features must be {rule}, got {short(features)}")
    columns = []
    for feature in features:
        if isinstance(feature, str):
            places = [d] if biased and feature == "bias" else [j for j, name in enumerate(names) if name == feature]
        else:
            whole = isinstance(feature, Integral) and not isinstance(feature, bool)
            places = [int(feature)] if whole and 0 <= feature < d else []
        if len(places) != 1:
            known = "" if places else f"; the names are {short(names)}"
            raise ValueError(f"features must be {rule}, got {short(feature)}{known}")
        columns += places
    if columns[0] == columns[1]:
        raise ValueError(f"features must be {rule}, got {short(list(features))}")
    return columns


def _plane_of_paths(
    coef: Doubles,
    intercept: Doubles,
    output: int,
    paths: Sequence[tuple[Doubles, Doubles]],
    *,
    biased: bool,
) -> tuple[Plane, tuple[str, str], str]:
    """Through the end of the first descent, in the two directions in which all of them moved most."""
    count = coef.shape[1] + biased
    end = np.append(coef[output], intercept[output])[:count]
    each = max(_MOST_STEPS // len(paths), 2)
    parts = []
    for weights, biases in paths:
        chosen = np.unique(np.linspace(0, len(weights) - 1, min(len(weights), each)).round().astype(int))
        steps = np.column_stack([weights[chosen], biases[chosen]])[:, :count] - end
        parts.append(steps[np.isfinite(steps).all(axis=1)])
    moved = np.concatenate(parts)
    largest = np.abs(moved).max(initial=0.0)
    _, sizes, found = np.linalg.svd(moved / (largest if largest > 0 else 1.0), full_matrices=False)
    directions = np.zeros((2, coef.shape[1] + 1))
    directions[:, :count] = _two(found[sizes > 1e-9 * sizes.max(initial=1e-300)][:2], count)
    shares = np.zeros(2)
    shares[: len(sizes[:2])] = sizes[:2] ** 2 / max((sizes**2).sum(), 1e-300)
    labels = [f"direction {i + 1} of the descent, {share:.1%} of its motion" for i, share in enumerate(shares)]
    labels = [f"{label}\n(length in weights)" for label in labels]
    plane = Plane(coef, intercept, output, directions, np.zeros(2))
    return plane, (labels[0], labels[1]), f"plane of the descent through {count:,} weights"


def _two(found: Doubles, size: int) -> Doubles:
    """Two orthonormal directions, of which some are found, each with its largest part positive."""
    rows = list(found)
    while len(rows) < 2:  # what is least like those that there are
        least = int((np.asarray(rows) ** 2).sum(axis=0).argmin()) if rows else len(rows)
        new = np.zeros(size)
        new[least] = 1.0
        for row in rows:
            new -= (new @ row) * row
        rows.append(new / np.linalg.norm(new))
    directions = np.asarray(rows)
    signs = np.sign(directions[np.arange(2), np.abs(directions).argmax(axis=1)])
    turned: Doubles = directions * signs[:, None]
    return turned


def points_shown(path: Doubles) -> Numbers:
    """Numbers of the points of a path that are drawn: not those that are not finite, nor more than are seen."""
    finite = np.flatnonzero(np.isfinite(path).all(axis=1))
    if not finite.size:
        raise ValueError("results must have a path with finite weights, got none")
    shown: Numbers = finite[np.linspace(0, len(finite) - 1, min(len(finite), _MOST_POINTS)).round().astype(int)]
    return shown


def window(
    paths: Sequence[Doubles],
    kept: Sequence[Doubles],
    minima: Sequence[Doubles | None],
    spread: Doubles,
    limits: Any,
    resolution: int,
) -> tuple[Doubles, Doubles]:
    """Coordinates of the grid: those asked for, or starts and minima, and paths as far as they stay near."""
    if limits is None:
        low, high = _extent(paths, kept, minima, spread)
    else:
        low, high = _given(limits)
    x, y = np.linspace(low, high, resolution).T
    return x, y


def _extent(
    paths: Sequence[Doubles], kept: Sequence[Doubles], minima: Sequence[Doubles | None], spread: Doubles
) -> tuple[Doubles, Doubles]:
    lowest = [point for point in minima if point is not None] or [kept[0]]
    core = np.array([*(path[0] for path in paths), *lowest])
    low, high = core.min(axis=0), core.max(axis=0)
    spread = np.where(spread > 0, spread, spread.max() if spread.max() > 0 else 1.0)
    moved = ((high - low) * spread).max()  # in terms of scores
    least = _NARROW * (moved if moved > 0 else 2.0) / spread
    beyond = _BEYOND * np.maximum(high - low, least)
    for path in [*paths, *(end[None, :] for end in kept)]:
        if not np.isfinite(path).all():
            continue
        reach = path.min(axis=0), path.max(axis=0)
        if (reach[0] >= core.min(axis=0) - beyond).all() and (reach[1] <= core.max(axis=0) + beyond).all():
            low, high = np.minimum(low, reach[0]), np.maximum(high, reach[1])
    middle, half = (low + high) / 2, np.maximum(high - low, least) / 2 * (1 + 2 * _MARGIN)
    return middle - half, middle + half


def _given(limits: Any) -> tuple[Doubles, Doubles]:
    rule = "((low, high), (low, high)) with low < high"
    try:
        pairs = np.asarray(limits, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"limits must be {rule}, got {short(limits)}") from None
    if pairs.shape != (2, 2) or not np.isfinite(pairs).all() or not (pairs[:, 0] < pairs[:, 1]).all():
        raise ValueError(f"limits must be {rule}, got {short(limits)}")
    return pairs[:, 0], pairs[:, 1]
