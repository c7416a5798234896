"""Labels of any kind and the codes 0 ... k-1 that the engine knows them by; weights of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from gdfast._messages import short
from gdfast._types import Array


def encode_labels(y: Array) -> tuple[Array, Array]:
    """Sorted labels and, per sample, the number of its label in the smallest type that holds it."""
    integers = _as_integers(y)
    if integers is None:
        encoder = LabelEncoder()
        try:
            check_classification_targets(y)
            codes = encoder.fit_transform(y)
        except TypeError as error:
            raise ValueError(
                f"Unknown label type: labels must be all numbers or all strings, none missing ({error})"
            ) from None
        return encoder.classes_, codes.astype(_smallest_type(len(encoder.classes_)))
    # Whole numbers in a small range are counted into a table, many times faster than sorting them.
    least = integers.min()
    distance = np.subtract(integers, least, dtype=np.int64, casting="unsafe")
    present = np.zeros(int(distance.max()) + 1, dtype=bool)
    present[distance] = True
    found = np.flatnonzero(present)
    code_of = (np.cumsum(present) - 1).astype(_smallest_type(len(found)))
    classes = (found.astype(integers.dtype) + least).astype(y.dtype)
    return classes, code_of[distance]


def codes_of(y: Array, classes: Array, name: str) -> Array:
    """Per sample, the number of its label in `classes`, compared as it is: 1.5 is not the label 1, nor "ab" the "a"."""
    y = column_or_1d(y, warn=True)
    kinds = "".join("n" if values.dtype.kind in "biuf" else values.dtype.kind for values in (y, classes))
    if kinds in ("nn", "UU"):
        codes = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        known = classes[codes] == y
    else:
        numbers = {label: number for number, label in enumerate(classes.tolist())}
        codes = np.fromiter((numbers.get(label, -1) for label in y.tolist()), dtype=np.int64, count=len(y))
        known = codes >= 0
    if not known.all():
        row = int(known.argmin())
        label = short(y[row : row + 1].tolist()[0])
        raise ValueError(f"{name} must hold labels of classes_, {short(classes.tolist())}, got {label} at row {row}")
    return codes.astype(_smallest_type(len(classes)))


def _as_integers(y: Array) -> Array | None:
    """`y` as integers if that is what its values are, and their range is small; else None."""
    if y.dtype.kind == "b":
        return y.view(np.uint8)
    if y.dtype.kind == "f":
        whole = float(np.abs(y).max()) < 2**53 and (y == np.floor(y)).all()
        y = y.astype(np.int64) if whole else y
    if y.dtype.kind not in "iu":
        return None
    return y if int(y.max()) - int(y.min()) <= max(2**16, len(y)) else None


def _smallest_type(n_classes: int) -> np.dtype[Any]:
    return np.min_scalar_type(n_classes - 1)


def class_weights(
    class_weight: Mapping[Any, float] | str, classes: Array, codes: Array, sample_weight: Array | None
) -> Array:
    """Weight of each class; "balanced" counts a sample by its weight, so that weight 2 is two samples."""
    if class_weight == "balanced":
        totals = np.bincount(codes, weights=sample_weight, minlength=len(classes)).astype(np.float64)
        balanced = np.zeros(len(classes))
        np.divide(totals.sum() / len(classes), totals, out=balanced, where=totals > 0)
        return balanced
    weights: Array = compute_class_weight(class_weight, classes=classes, y=classes)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"class_weight must be finite and >= 0, got {class_weight!r}")
    if not weights.all() and not np.bincount(codes, sample_weight, len(classes))[weights > 0].any():
        raise ValueError(f"class_weight must leave samples with a weight above 0, got none under {class_weight!r}")
    return weights
