"""What tables say of themselves: pandas, polars, pyarrow. None of them is imported; scikit-learn reads their values."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _get_feature_names


def columns(X: Any) -> list[tuple[Any, Any]]:
    """Name and type of each column of a table; nothing of what is no table."""
    if hasattr(X, "schema") and hasattr(X, "column_names"):  # pyarrow
        return list(zip(X.column_names, X.schema.types, strict=True))
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return list(zip(X.columns, X.dtypes, strict=True))
    return []


class _Named:
    """A table as scikit-learn before 1.9 knows it: an array, and names by the protocol that polars has given up."""

    def __init__(self, table: Any):
        self._table = table
        self.shape: tuple[int, int] = table.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._table, dtype=dtype)

    def __dataframe__(self) -> Any:
        return self

    def column_names(self) -> list[str]:
        return [name for name, _ in columns(self._table)]


def with_names(X: Any) -> Any:
    """Return X, or what makes its names known where scikit-learn would not look for them, nor check them."""
    named = columns(X) and not hasattr(X, "iloc")
    return _Named(X) if named and _get_feature_names(X) is None else X


def refuse_lazy(values: Any, name: str) -> None:
    """Raise TypeError for a polars LazyFrame, of which NumPy would make an array of one object."""
    if hasattr(values, "collect_schema") and not hasattr(values, "shape"):
        raise TypeError(f"{name} must hold its rows in memory, got {type(values).__name__}: call collect() first")


def refuse_missing(values: Any, name: str) -> None:
    """Raise ValueError for a column with missing values; they are of all kinds, and not all become NaN in an array."""
    if hasattr(values, "isna"):
        missing = values.isna()
    elif hasattr(values, "is_null"):
        missing = values.is_null()
    else:
        return
    missing = np.asarray(missing)
    if missing.any():
        row = int(missing.reshape(len(missing), -1).any(axis=1).argmax())
        raise ValueError(f"Input {name} contains NaN, or values that are missing. (first at row {row})")
