"""Rows from sparse matrices: CSR read in place, every other format converted to it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gdfast import _core
from gdfast._types import Array, Numbers
from gdfast.rows.arrays import as_matrix, check_finite, not_finite, warn_of_rounding

__all__ = ["MOST_COLUMNS", "SparseRows", "as_rows", "check_rows_finite", "is_sparse"]

MOST_COLUMNS = 2**31 - 1  # of sparse rows: the engine works on 32 bits of a column number


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
    first : int, default=0
        Which row of the caller's matrix is the first here, for messages.

    Attributes
    ----------
    shape, dtype, ndim
        As those of the matrix. A slice of rows is another one on the same arrays.
    """

    ndim = 2

    def __init__(self, data: Array, indices: Array, indptr: Array, shape: tuple[int, int], first: int = 0) -> None:
        self.data, self.indices, self.indptr, self.shape, self.first = data, indices, indptr, shape, first

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> SparseRows:
        start, stop, _ = rows.indices(self.shape[0])
        indptr, shape = self.indptr[start : stop + 1], (stop - start, self.shape[1])
        return SparseRows(self.data, self.indices, indptr, shape, self.first + start)

    def places(self, what: Callable[[Array], Array]) -> Array:
        """Where in `data` is what(values) true? What lies before the first row or behind the last is not looked at."""
        start, stop = int(self.indptr[0]), int(self.indptr[-1])
        return np.flatnonzero(what(self.data[start:stop])) + start

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
        As `as_matrix`; arrays of a CSR matrix that do not fit together; more than 2147483647 columns.
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
    if X.shape[1] > MOST_COLUMNS:
        raise ValueError(f"{name} must have at most {MOST_COLUMNS} columns, got {X.shape[1]}")
    _check_before_conversion(X, name)
    X = X.tocsr()
    return SparseRows(_values(X.data, name), *_structure(X, X.shape, name), X.shape)


def _values(data: Array, name: str) -> Array:
    if data.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} is {data.dtype}")
    if data.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be a matrix of numbers, got dtype {data.dtype}")
    if data.dtype.kind in "iu" and data.dtype.itemsize == 8:
        warn_of_rounding(data, name)
    narrow = data.dtype.itemsize <= 2 or data.dtype in (np.float32, np.dtype(">f4"))
    return np.require(data, dtype=np.float32 if narrow else np.float64, requirements=["C", "A"])


def _structure(X: Any, shape: tuple[int, int], name: str) -> tuple[Array, Array]:
    indices, indptr = X.indices, X.indptr
    integer = np.int32 if indices.dtype == indptr.dtype == np.int32 else np.int64
    for values in (indices, indptr):
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise ValueError(f"{name} must have index arrays of integers, got {values.dtype} of shape {values.shape}")
    if len(indptr) != shape[0] + 1 or len(indices) != len(X.data):
        raise ValueError(
            f"invalid sparse structure: {name} of shape {X.shape} must have {shape[0] + 1} pointers and as many "
            f"indices as values, got {len(indptr)}, {len(indices)} and {len(X.data)}"
        )
    return np.require(indices, integer, ["C", "A"]), np.require(indptr, integer, ["C", "A"])


def _check_before_conversion(X: Any, name: str) -> None:
    """Raise ValueError where SciPy's conversion to CSR would write to where the indices point, outside."""
    kind = getattr(X, "format", None)
    if kind == "coo":
        wrong = ((X.row < 0) | (X.row >= X.shape[0]) | (X.col < 0) | (X.col >= X.shape[1])).nonzero()[0]
        what = f"entry {wrong[0]} is at ({X.row[wrong[0]]}, {X.col[wrong[0]]}) of {X.shape}" if wrong.size else None
    elif kind in ("csc", "bsr"):
        (n, m), (height, width) = X.shape, getattr(X, "blocksize", (1, 1))
        n, m = (m, n) if kind == "csc" else (n // height, m // width)
        found = _core.broken_row(SparseRows(X.data, *_structure(X, (n, m), name), (n, m)))
        lines, crossing = ("column", "row") if kind == "csc" else ("block row", "block column")
        what = found and f"{lines} {found[0]} {found[1].replace('column', crossing)}"
    else:
        return
    if what:
        raise ValueError(f"{name} must be a sound {kind.upper()} matrix, got an invalid sparse structure: {what}")


def check_rows_finite(X: Array | SparseRows, name: str, rows: Numbers | None = None) -> None:
    """Raise ValueError naming the first row and column (of the rows listed) where X is NaN or infinite."""
    if not isinstance(X, SparseRows):
        check_finite(X, name, rows)
        return
    at = X.places(lambda values: ~np.isfinite(values))
    if rows is not None:
        at = at[np.isin(np.searchsorted(X.indptr, at, side="right") - 1, rows)]
    if not at.size:
        return
    row, column = X.entry(at[0])
    raise not_finite(name, X.data[at[0]], f"row {row}, column {column}")
