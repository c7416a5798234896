"""Checks that the estimators make on top of scikit-learn's; those of the functions follow anyway (`_arguments.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval

from gdfast._types import Array


class Number(Interval):
    """An interval without bools, and without integers that no float can hold."""

    def is_satisfied_by(self, val: Any) -> bool:
        if isinstance(val, bool) or not isinstance(val, self.type):
            return False
        try:
            float(val)
        except OverflowError:
            return False
        return bool(super().is_satisfied_by(val))


COUNT = Number(Integral, 1, 2**53, closed="both")
NOT_NEGATIVE = Number(Real, 0, None, closed="left")
POSITIVE = Number(Real, 0, None, closed="neither")
FRACTION = Number(Real, 0, 1, closed="neither")
DECAY = Number(Real, 0, 1, closed="left")
BOOLEAN = [bool, np.bool_]


def check_dtype(X: Array, given: Any) -> Array:
    """Return `X`, given as `given`, if it holds real numbers."""
    if X.dtype.kind == "O":  # pandas strings, which older versions of scikit-learn let through
        X = X.astype(np.float64)
    if X.dtype.kind not in "biuf":
        column = getattr(given, "columns", [0])[0]
        raise TypeError(f"X must be numeric, got dtype {X.dtype} (first at column {column!r})")
    return X


def name_bad_column(error: Exception, X: Any) -> None:
    """Add the column that is no number to an error about converting `X`; does nothing if there is none."""
    values = np.asarray(X) if hasattr(X, "columns") or isinstance(X, np.ndarray) else None
    if values is None or values.ndim != 2 or values.dtype.kind in "biufc":
        return
    names = getattr(X, "columns", range(values.shape[1]))
    for j, name in enumerate(names):
        try:
            values[:, j].astype(np.float64)
        except (TypeError, ValueError):
            dtype = getattr(X, "dtypes", [values.dtype] * len(names))
            dtype = dtype.iloc[j] if hasattr(dtype, "iloc") else dtype[j]
            error.args = (f"{error} (column {name!r} of X has dtype {dtype})",)
            return


@contextmanager
def located(values: Any, name: str) -> Iterator[None]:
    """Add the first row to scikit-learn's errors about NaN or infinity in the numbers `values`."""
    try:
        yield
    except ValueError as error:
        text = str(error).splitlines()[0]
        if text.startswith(f"Input {name} contains") and np.asarray(values).dtype.kind == "f":
            row = (~np.isfinite(values)).reshape(len(values), -1).any(axis=1).argmax()
            raise ValueError(f"{text} (first at row {row})") from None
        raise
