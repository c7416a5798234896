"""What tables say of themselves: pandas, polars, pyarrow. None of them is imported; scikit-learn reads their values."""

from __future__ import annotations

from typing import Any

import numpy as np


def columns(X: Any) -> list[tuple[Any, Any]]:
    """Name and type of each column of a table; nothing of what is no table."""
    if hasattr(X, "schema") and hasattr(X, "column_names"):  # pyarrow
        return list(zip(X.column_names, X.schema.types, strict=True))
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        return list(zip(X.columns, X.dtypes, strict=True))
    return []


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
