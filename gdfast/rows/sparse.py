"""Rows from sparse matrices: CSR read in place, every other format converted to it once."""

from __future__ import annotations

from typing import Any

import numpy as np

from gdfast._types import Array, Numbers
from gdfast.rows.arrays import as_matrix, check_finite, not_finite

__all__ = ["SparseRows", "as_rows", "check_rows_finite", "is_sparse"]


class SparseRows:
    """The three arrays of a CSR matrix, as the engine reads them: float32 or float64 values, indices of one type.

    Parameters
    ----------
    data, indices : ndarray of shape (n_stored,)
        Values and their columns, row by row, in any order within a row; entries of the same place add up.
    indptr : ndarray of shape (n + 1,)
        Row i is entries indptr[i] ... indptr[i + 1] - 1. The engine checks each before it uses it.
    shape : tuple of int
        (n, d)

    Attributes
    ----------
    shape, dtype, ndim
        As those of the matrix. A slice of rows is another one on the same arrays.
    """

    ndim = 2

    def __init__(self, data: Array, indices: Array, indptr: Array, shape: tuple[int, int]) -> None:
        self.data, self.indices, self.indptr, self.shape = data, indices, indptr, shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> SparseRows:
        start, stop, _ = rows.indices(self.shape[0])
        return SparseRows(self.data, self.indices, self.indptr[start : stop + 1], (stop - start, self.shape[1]))

    def entry(self, at: int) -> tuple[int, int]:
        """Row and column of the entry at a place in `data`."""
        return int(np.searchsorted(self.indptr, at, side="right")) - 1, int(self.indices[at])


def is_sparse(X: Any) -> bool:
    """Whether X is a SciPy sparse matrix or array, told without importing SciPy."""
    return hasattr(X, "tocsr") and hasattr(X, "nnz")


def as_rows(X: Any, name: str = "X") -> Array | SparseRows:
    """Return X as the engine reads it: a 2-d array as `as_matrix` makes it, or the arrays of CSR rows.

    Parameters
    ----------
    X : array-like or sparse matrix of shape (n, d)
        CSR with float32 or float64 values and int32 or int64 indices is read in place. Other formats, and values of
        other types, are converted, which copies.
    name : str
        What error messages call it.

    Returns
    -------
    ndarray of shape (n, d) or SparseRows

    Raises
    ------
    ValueError
        As `as_matrix`; arrays of a CSR matrix that do not fit together.
    """
    if isinstance(X, SparseRows):
        return X
    if not is_sparse(X):
        return as_matrix(X, name)
    if X.ndim != 2:
        raise ValueError(f"Expected 2D array, got {X.ndim}D sparse array instead. Reshape your data.")
    for count, what in zip(X.shape, ("sample", "feature"), strict=True):
        if count == 0:
            raise ValueError(f"Found array with 0 {what}(s) (shape={X.shape}) while a minimum of 1 is required.")
    X = X.tocsr()
    return SparseRows(_values(X.data, name), *_structure(X, name), X.shape)


def _values(data: Array, name: str) -> Array:
    if data.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} is {data.dtype}")
    if data.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be a matrix of numbers, got dtype {data.dtype}")
    narrow = data.dtype.itemsize <= 2 or data.dtype in (np.float32, np.dtype(">f4"))
    return np.require(data, dtype=np.float32 if narrow else np.float64, requirements=["C", "A"])


def _structure(X: Any, name: str) -> tuple[Array, Array]:
    indices, indptr = X.indices, X.indptr
    integer = np.int32 if indices.dtype == indptr.dtype == np.int32 else np.int64
    for values in (indices, indptr):
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ValueError(f"{name} must have index arrays of integers, got {values.dtype} of shape {values.shape}")
    if len(indptr) != X.shape[0] + 1 or len(indices) != len(X.data):
        raise ValueError(
            f"invalid sparse structure: {name} of shape {X.shape} must have {X.shape[0] + 1} row pointers and as many "
            f"indices as values, got {len(indptr)}, {len(indices)} and {len(X.data)}"
        )
    return np.require(indices, integer, ["C", "A"]), np.require(indptr, integer, ["C", "A"])


def check_rows_finite(X: Array | SparseRows, name: str, rows: Numbers | None = None) -> None:
    """Raise ValueError naming the first row and column (of the rows listed) where X is NaN or infinite."""
    if not isinstance(X, SparseRows):
        check_finite(X, name, rows)
        return
    at = np.flatnonzero(~np.isfinite(X.data))
    if rows is not None:
        at = at[np.isin(np.searchsorted(X.indptr, at, side="right") - 1, rows)]
    if not at.size:
        return
    row, column = X.entry(at[0])
    raise not_finite(name, X.data[at[0]], f"row {row}, column {column}")
