"""Rows from NumPy arrays and whatever converts to one (lists, DataFrames, memory maps)."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from gdfast import _core
from gdfast._messages import warn
from gdfast._types import Array, Doubles, Numbers

__all__ = [
    "as_column", "as_matrix", "as_weights", "blocks", "check_finite", "extremes", "not_finite", "refuse_masked",
    "warn_of_rounding",
]  # fmt: skip

_BLOCK = 2**16  # values that several looks find in cache


def as_matrix(X: ArrayLike, name: str = "X") -> Array:
    """Return X as a 2-d array of a type that the engine reads as stored, without a copy where there is a choice.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Any float but complex, any integer, bool; any strides and byte order. longdouble and objects that are numbers
        are converted to float64, which copies.
    name : str
        What error messages call it.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    ValueError
        Not two-dimensional, empty, complex, with masked entries, or not numbers.
    """
    X = _as_numbers(X, name)
    if X.ndim != 2:
        hint = "Reshape your data: array.reshape(-1, 1) for one feature, array.reshape(1, -1) for one sample."
        if X.ndim < 2:
            raise ValueError(f"Expected 2D array, got {'scalar' if X.ndim == 0 else '1D'} array instead. {hint}")
        raise ValueError(f"Found array with dim {X.ndim}, while {name} must be of shape (n, d)")
    if X.shape[0] == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
    if X.shape[1] == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required.")
    return X


def as_column(values: ArrayLike, n: int, name: str, *, n_columns: int = 1) -> Array:
    """Return values as an array of shape (n,), or (n, n_columns) if it is two-dimensional, whatever its values.

    Parameters
    ----------
    values : array-like of shape (n,), (n, 1) or (n, n_columns)
        Of the types that `as_matrix` takes; (n, 1) becomes (n,) where one column is expected.
    n : int
        Samples in X.
    name : str
        What error messages call it.
    n_columns : int, default=1
        Columns expected.

    Returns
    -------
    ndarray of shape (n,) or (n, n_columns)

    Raises
    ------
    ValueError
        Of another shape, with masked entries, or not numbers.
    """
    values = _as_numbers(values, name)
    if values.ndim == 2 and values.shape[1] == 1 and n_columns == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != n_columns):
        wanted = f"({n},)" if n_columns == 1 else f"({n},) or ({n}, {n_columns})"
        raise ValueError(f"{name} must be of shape {wanted}, got {values.shape}")
    if values.shape[0] != n:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n}, {name} has {values.shape[0]}"
        )
    return values


def as_weights(values: ArrayLike, name: str) -> Doubles:
    """Return values as a C-contiguous array of doubles of any shape.

    Raises
    ------
    ValueError
        Complex, with masked entries, or not numbers.
    """
    return np.asarray(_as_numbers(values, name), dtype=np.float64, order="C")


def blocks(values: Array) -> Iterator[Array]:
    """Cut an array of one or two dimensions into blocks of rows that stay in cache while they are looked at."""
    rows = max(1, _BLOCK * len(values) // max(values.size, 1))
    for start in range(0, len(values), rows):
        yield values[start : start + rows]


def extremes(values: Array, name: str) -> tuple[float, float]:
    """Return the least and the largest of `values` (1-d or 2-d, not empty), ints of integers, from one read of them.

    Raises
    ------
    ValueError
        As `check_finite`.
    """
    if values.size <= _BLOCK:
        low, high = np.minimum.reduce(values, None).item(), np.maximum.reduce(values, None).item()
    else:
        lows, highs = zip(*((block.min(), block.max()) for block in blocks(values)), strict=True)
        low, high = np.min(lows).item(), np.max(highs).item()
    if not (math.isfinite(low) and math.isfinite(high)):
        check_finite(values, name)
    return low, high


def check_finite(values: Array, name: str, rows: Numbers | None = None) -> None:
    """Raise ValueError naming the first row and column of `values` (1-d or 2-d) that is NaN or infinite."""
    found = _core.find_not_finite(values, rows)
    if found is None:
        return
    row, column = found
    if values.ndim == 1:
        raise not_finite(name, values[row], f"row {row}")
    raise not_finite(name, values[row, column], f"row {row}, column {column}")


def not_finite(name: str, value: float, where: str) -> ValueError:
    """The error about a value that is NaN or infinite."""
    what = "NaN" if np.isnan(value) else "infinity or a value too large for its type"
    cure = ": missing values must be filled or dropped first" if np.isnan(value) else ""
    return ValueError(f"Input {name} contains {what}. (first at {where}){cure}")


def refuse_masked(values: ArrayLike | None, name: str) -> None:
    """Raise ValueError for an array with masked entries: NumPy would silently drop the mask."""
    if type(values) is not np.ndarray and np.ma.is_masked(values):
        raise ValueError(f"Input {name} contains missing values: masked entries are not accepted")


def _as_numbers(values: ArrayLike, name: str) -> Array:
    refuse_masked(values, name)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array of numbers, got {type(values).__name__}: {error}") from error
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} is {array.dtype}")
    if f"{array.dtype.kind}{array.dtype.itemsize}" in _core.STORED_TYPES:
        if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
            warn_of_rounding(array, name)
        return array
    if array.dtype.kind not in "fO":
        raise ValueError(f"{name} must be an array of numbers, got dtype {array.dtype}")
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        where = _first_bad_column(array)
        raise ValueError(f"{name} must be an array of numbers, got dtype {array.dtype}{where}: {error}") from error


def _first_bad_column(array: Array) -> str:
    for j in range(array.shape[1] if array.ndim == 2 else 0):
        try:
            array[:, j].astype(np.float64)
        except (TypeError, ValueError):
            return f" (first in column {j})"
    return ""


def warn_of_rounding(array: Array, name: str) -> None:
    """Warn of integers that float64 does not hold."""
    if array.size:
        low, high = extremes(np.atleast_1d(array), name)
        if low < -(2**53) or high > 2**53:
            warn(f"{name}: integer values above 2**53 lose precision in float64", UserWarning)
