"""Columns to numbers: an Arrow table of mixed columns becomes the dense matrix X, the same way every time.

Number columns stay as they are, their missing values replaced by the training median. A text column becomes
one 0/1 column per category; a missing text is a category of its own, an unknown one is all zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gdfast._types import Array, Numbers
from gdfast.table import TableError, column_kind, number_array

__all__ = ["MAX_CATEGORIES", "Column", "Encoder", "label_positions"]

MAX_CATEGORIES = 1000
"""Most different texts in a column: one-hot columns are stored densely."""

_ROWS_AT_A_TIME = 16384  # rows encoded at a time: a few MB, so that only X itself is ever whole in memory
_NARROW = ("bool", "uint8", "int8", "uint16", "int16", "float16", "float32")  # computed in float32 lanes


@dataclasses.dataclass(frozen=True)
class Column:
    """What has been learnt about one column.

    Attributes
    ----------
    name : str
    kind : {"number", "text"}
    fill : float or None
        What replaces a missing number; None for text.
    categories : tuple of (str or None)
        The texts seen in training, sorted; None, the last one, stands for a missing text. Empty for numbers.
    """

    name: str
    kind: str
    fill: float | None = None
    categories: tuple[str | None, ...] = ()

    @property
    def features(self) -> list[str]:
        """Names of the matrix columns made of this column, a list of str."""
        if self.kind == "number":
            return [self.name]
        return [f"{self.name}={'(missing)' if text is None else text}" for text in self.categories]


@dataclasses.dataclass(frozen=True)
class Encoder:
    """The way from columns to the matrix X.

    Attributes
    ----------
    columns : tuple of Column
    dtype : {"float32", "float64"}
        What X is computed in. X may be stored narrower (uint8 pixels) where that changes no value.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"size": [1.5, None, 4.0, 3.5], "town": ["Rome", "Oslo", None, "Rome"]})
    >>> encoder = Encoder.fit(table)
    >>> encoder.features
    ['size', 'town=Oslo', 'town=Rome', 'town=(missing)']
    >>> encoder.encode(table)
    array([[1.5, 0. , 1. , 0. ],
           [3.5, 1. , 0. , 0. ],
           [4. , 0. , 0. , 1. ],
           [3.5, 0. , 1. , 0. ]])
    """

    columns: tuple[Column, ...]
    dtype: str

    @classmethod
    def fit(cls, table: pa.Table) -> Encoder:
        """Learn fill values, categories and the matrix type from the training rows.

        Parameters
        ----------
        table : pyarrow.Table
            The feature columns, nothing else.

        Returns
        -------
        encoder : Encoder

        Raises
        ------
        TableError
            When a column holds neither numbers nor text, an infinite number, or too many different texts.
        """
        columns = tuple(_learn(name, table[name]) for name in table.column_names)
        narrow = all(str(_exact_type(table[column.name])) in _NARROW for column in columns if column.kind == "number")
        return cls(columns, "float32" if narrow else "float64")

    @property
    def features(self) -> list[str]:
        """Names of the columns of X in order, a list of str."""
        return [name for kind in ("number", "text") for column in self._of(kind) for name in column.features]

    def encode(self, table: pa.Table) -> Array:
        """Make the matrix.

        Parameters
        ----------
        table : pyarrow.Table
            At least the columns seen in training, in any order; further columns are ignored.

        Returns
        -------
        X : ndarray of shape (n, n_features)
            C-contiguous, of type `dtype`, or narrower where all columns are small integers.

        Raises
        ------
        TableError
            When a column is missing, holds the other kind of value, or a number that is not finite in
            `dtype`; the message names column and row.
        """
        self.check(table)
        table = table.select([column.name for column in self.columns])
        dtype, has_text = self._stored_type(table), bool(self._of("text"))
        known = {column.name: pa.array(column.categories, pa.string()) for column in self._of("text")}
        transformer = self._transformer()
        X = np.empty((table.num_rows, len(self.features)), dtype)
        start = 0
        for batch in table.to_batches(max_chunksize=_ROWS_AT_A_TIME):
            rows = X[start : start + batch.num_rows]
            # One-hot columns are more than what they are made of; without them the block is X's own rows.
            block = np.empty((batch.num_rows, len(self.columns)), dtype) if has_text else rows
            missing = self._fill(block, batch, known, start)
            if missing or has_text:
                rows[:] = transformer.transform(block)
            start += batch.num_rows
        return X

    def check(self, table: pa.Table) -> None:
        """Raise a TableError when a column is missing or holds the other kind of value.

        Parameters
        ----------
        table : pyarrow.Table
        """
        names = set(table.column_names)
        absent = [repr(column.name) for column in self.columns if column.name not in names]
        if absent:
            noun = "column" if len(absent) == 1 else "columns"
            raise TableError(f"the data must have all columns seen in training, got none of {noun} {', '.join(absent)}")
        for column in self.columns:
            kind = column_kind(column.name, table.schema.field(column.name).type)
            if column.kind == "text" and kind == "number":
                raise TableError(f"column {column.name!r} must hold text as in training, got numbers")
            if column.kind == "number" and kind == "text":
                number_array(column.name, table[column.name])  # raises, and names the first such value

    def _of(self, kind: str) -> list[Column]:
        return [column for column in self.columns if column.kind == kind]

    def _stored_type(self, table: pa.Table) -> np.dtype[Any]:
        """A narrow integer type if X fits in one as it is, else `dtype`."""
        types = {_exact_type(table[column.name]) for column in self.columns}
        if self.dtype == "float32" and not self._of("text") and all(type_.kind in "bui" for type_ in types):
            common = np.result_type(np.uint8, *types)
            if str(common) in _NARROW and not any(table[name].null_count for name in table.column_names):
                return common
        return np.dtype(self.dtype)

    def _fill(self, block: Array, batch: pa.RecordBatch, known: dict[str, pa.Array], start: int) -> bool:
        """The columns of a batch side by side, texts as numbers of their category; whether one is missing."""
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is named below
            for j, column in enumerate(self.columns):
                values = batch.column(j)
                if column.kind == "text":
                    block[:, j] = _codes(values, known[column.name])
                else:
                    block[:, j] = number_array(column.name, values)
        if block.dtype.kind != "f":
            return False
        infinite = np.isinf(block)
        if infinite.any():
            i, j = np.argwhere(infinite)[0]
            rule = f"column {self.columns[j].name!r} must hold finite numbers ({block.dtype})"
            raise TableError(f"{rule}, got {batch.column(int(j))[int(i)]} in data row {start + i + 1}")
        return bool(np.isnan(block).any())

    def _transformer(self) -> Any:
        """scikit-learn's transformer, in the state that the learnt columns stand for.

        The median of one value is that value: fitted on one row, that of the fill values, the imputer is what
        it was when it learnt them, and no fitted object needs to be stored.
        """
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import OneHotEncoder

        dtype = np.dtype(self.dtype)
        numbers = [j for j, column in enumerate(self.columns) if column.kind == "number"]
        texts = [j for j, column in enumerate(self.columns) if column.kind == "text"]
        codes = [np.arange(len(column.categories), dtype=dtype) for column in self._of("text")]
        one_hot = OneHotEncoder(categories=codes, handle_unknown="ignore", sparse_output=False, dtype=dtype)
        parts = [("numbers", SimpleImputer(strategy="median"), numbers), ("texts", one_hot, texts)]
        row = np.array([[column.fill or 0.0 for column in self.columns]], dtype)
        return ColumnTransformer([part for part in parts if part[2]]).fit(row)


def label_positions(classes: Sequence[Any], column: pa.ChunkedArray) -> Numbers:
    """Position of each row's label among the classes.

    Parameters
    ----------
    classes : list
    column : pyarrow.ChunkedArray

    Returns
    -------
    y : ndarray of shape (n,), int64
        -1 where the label is none of the classes.
    """
    type_ = pa.string() if isinstance(classes[0], str) else pa.float64()
    positions = pc.index_in(column.cast(type_), pa.array(classes).cast(type_))
    codes: Array = pc.fill_null(positions, -1).to_numpy()
    return codes.astype(np.int64)


def _learn(name: str, column: pa.ChunkedArray) -> Column:
    """Fill value or categories of one column of training rows."""
    if column_kind(name, column.type) != "text":
        values = number_array(name, column)
        values = values[~np.isnan(values)] if values.dtype.kind == "f" else values
        fill = float(np.median(values.astype(np.float64, copy=False))) if len(values) else 0.0
        return Column(name, "number", fill=fill)
    texts = pc.unique(column).to_pylist()
    if len(texts) > MAX_CATEGORIES:
        raise TableError(
            f"column {name!r} must have at most {MAX_CATEGORIES} different texts, got {len(texts)} such as"
            f" {next(text for text in texts if text is not None)!r}; --drop leaves a column out"
        )
    known = sorted(text for text in texts if text is not None)
    return Column(name, "text", categories=(*known, None) if None in texts else tuple(known))


def _codes(values: pa.Array, known: pa.Array) -> Array:
    """Number of each text among the known ones; -1 where there is none."""
    if not pa.types.is_string(values.type):
        values = values.cast(pa.string())
    codes: Array = pc.fill_null(pc.index_in(values, known), -1).to_numpy(zero_copy_only=False)
    return codes


def _exact_type(column: pa.ChunkedArray) -> np.dtype[Any]:
    """The narrowest type of X that holds a column exactly: its own, or what the range of integers needs."""
    type_ = column.type
    if pa.types.is_boolean(type_):
        return np.dtype(np.uint8)
    if pa.types.is_integer(type_):
        low, high = (value or 0 for value in pc.min_max(column).as_py().values())
        return np.dtype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))
    if pa.types.is_floating(type_):
        stored: np.dtype[Any] = np.dtype(type_.to_pandas_dtype())
        return stored
    return np.dtype(np.float64)
