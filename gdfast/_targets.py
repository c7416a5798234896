"""What belongs to a row besides its features: its target, its weight, its offset, its number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gdfast import _core
from gdfast._messages import short
from gdfast._types import Array, Numbers
from gdfast.rows.arrays import as_column, blocks, check_finite, extremes

_MOST_GUESSED = 1000  # classes that y may have of itself, however few its rows


class Targets(NamedTuple):
    """y as the engine takes it: numbers of k outputs, or codes of k classes. low and high are its extremes."""

    y: Array
    k: int
    codes: bool
    softmax: bool
    low: float
    high: float


def read_targets(y: Any, n: int, loss: str, k: int | None, name: str = "y") -> Targets:
    """How y is to be read, checked for what the loss demands. k None: find out from y."""
    array = y if np.ma.isMaskedArray(y) else np.asarray(y)
    columns = array.shape[1] if array.ndim == 2 else 1
    y = as_column(array, n, name, n_columns=columns if k is None else k)
    if loss in _core.MARGIN_LOSSES and (y.ndim == 2 or k in (None, 1)):
        _check_signs(y, loss, name)
        low, high = -1.0, 1.0
    else:
        low, high = extremes(y, name)
    if k is None:
        guess = loss == "log_loss" and array.ndim == 1 and y.dtype.kind in "iu" and high > 1
        k = _guessed_classes(n, high, name) if guess else columns
    codes = y.ndim == 1 and k > 1
    if codes and loss != "log_loss" and loss not in _core.MARGIN_LOSSES:
        raise ValueError(f"{name} must be of shape ({n}, {k}) for loss={loss!r} and {k} outputs, got {y.shape}")
    if codes:
        _check_codes(y, k, low, high, name)
    elif loss == "log_loss" and not 0 <= low <= high <= 1:
        _refuse(y, (y < 0) | (y > 1), f"{name} must be in [0, 1] for loss='log_loss'")
    elif loss == "poisson" and low < 0:
        _refuse(y, y < 0, f"{name} must be >= 0")
    elif loss == "gamma" and low <= 0:
        _refuse(y, y <= 0, f"{name} must be > 0")
    return Targets(y, k, codes, loss == "log_loss" and k > 1, low, high)


def _guessed_classes(n: int, high: float, name: str) -> int:
    """Classes in codes that nobody has counted: times and identities, taken for codes, would be millions."""
    k = int(high) + 1
    if k > max(n, _MOST_GUESSED):
        raise ValueError(
            f"{name} must be class codes 0 ... k-1, with n_outputs=k for more than {max(n, _MOST_GUESSED)} classes, "
            f"got {int(high)} among {n} rows"
        )
    return k


def _check_codes(y: Array, k: int, low: float, high: float, name: str) -> None:
    whole = y.dtype.kind in "iub" or all((block == np.floor(block)).all() for block in blocks(y))
    if not whole or low < 0 or high >= k:
        _refuse(y, (y != np.floor(y)) | (y < 0) | (y >= k), f"{name} must be class codes 0 ... {k - 1}")


def _check_signs(y: Array, loss: str, name: str) -> None:
    if any(np.count_nonzero(block == 1) + np.count_nonzero(block == -1) < block.size for block in blocks(y)):
        check_finite(y, name)
        _refuse(y, (y != 1) & (y != -1), f"{name} must be -1 or +1 for loss={loss!r}")


def _refuse(y: Array, bad: Array, rule: str) -> None:
    where = np.unravel_index(int(np.argmax(bad)), bad.shape)
    raise ValueError(f"{rule}, found {y[where]} at row {int(where[0])}")


def read_weights(sample_weight: Any, n: int, name: str = "sample_weight") -> Array | None:
    """Weights of shape (n,), >= 0 and not all 0, of a size whose sums and products stay in range; None stays None."""
    if sample_weight is None:
        return None
    weight = as_column(sample_weight, n, name)
    if weight.ndim != 1:
        raise ValueError(f"{name} must be of shape ({n},), got {weight.shape}")
    low, high = extremes(weight, name)
    if low < 0:
        raise ValueError(f"{name} must be >= 0, found {low} at row {int(weight.argmin())}")
    if high == 0:
        raise ValueError(f"{name} must have a non-zero entry, got all zeros")
    scaled: Array = weight if 1e-150 < high < 1e150 else weight.astype(np.float64) / high
    return scaled  # E does not depend on their scale


def read_offset(offset: Any, n: int, k: int, name: str = "offset") -> Array | None:
    """Offsets of shape (n,) or (n, k), finite; None stays None."""
    if offset is None:
        return None
    values = as_column(offset, n, name, n_columns=k)
    extremes(values, name)
    return values


def read_rows(rows: Any, n: int, name: str, weight: Array | None) -> Numbers | None:
    """Row numbers, copied: the engine trusts them, whoever changes the caller's array meanwhile. None stays None."""
    if rows is None:
        return None
    numbers: Array = np.array(rows)
    countable = numbers.ndim == 1 and numbers.dtype.kind in "iu" and numbers.size > 0
    if not countable or numbers.min() < 0 or numbers.max() >= n:
        raise ValueError(f"{name} must be row numbers 0 ... {n - 1}, at least one, got {short(rows)}")
    if weight is not None and not weight[numbers].any():
        raise ValueError(f"sample_weight must have a non-zero entry among {name}, got all zeros")
    return numbers.astype(np.int64, copy=False)


def largest(low: float, high: float) -> float:
    """The largest magnitude between two extremes."""
    return max(abs(float(low)), abs(float(high)))
