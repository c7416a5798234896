"""Files as tables: read CSV and Parquet into typed Arrow columns and say plainly what is wrong with them.

Nothing here knows about models. A table stays in Arrow's own columns (numbers as they are stored, text as one
buffer, never a million Python objects); `gdfast.encoder` turns those columns into the matrix X.
"""

from __future__ import annotations

import collections
import gzip
import os
import re
import stat
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
from numpy.typing import NDArray

from gdfast._types import Array, Doubles, Numbers

__all__ = [
    "TableError",
    "check_data_file",
    "column_kind",
    "complete_numbers",
    "data_row",
    "first_text",
    "number_array",
    "read_table",
    "weight_array",
]

# What counts as a missing value in a CSV file: pyarrow's own list (NA, NaN, null, nothing, ...) and two more.
_MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "#N/A", "#NA", "None", "?"]
_DELIMITERS = ",;\t|"
_ROW_INDEX = re.compile(r"|__index_level_\d+__")  # the names that pandas gives to row numbers it wrote out


class TableError(ValueError):
    """A file or a column is not what it must be; the message, one line, names it and says what it must be."""


def check_data_file(path: str | os.PathLike[str]) -> str:
    """Refuse all but plain files before they are opened (a pipe would block, a device never ends).

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    path : str

    Raises
    ------
    TableError
        When the path does not exist, is a directory, a pipe, a device, or cannot be a path at all.

    Examples
    --------
    >>> check_data_file("no/such/file.csv")
    Traceback (most recent call last):
        ...
    gdfast.table.TableError: 'no/such/file.csv': No such file or directory
    """
    path = os.fspath(path)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise TableError(f"{path!r}: {error.strerror}") from None
    except ValueError as error:  # a NUL byte in the name
        raise TableError(f"{path!r}: {error}") from None
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise TableError(f"{path!r} must be a file, got {kind}")
    return path


def read_table(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    optional: Sequence[str | None] = (),
    drop: Sequence[str] = (),
    text: Sequence[str] = (),
) -> pa.Table:
    """Read a CSV (also compressed) or Parquet file into an Arrow table.

    Types are found over the whole CSV file, its delimiter (comma, semicolon, tab or bar) in the first line.
    Columns without a name and pandas' stored row numbers are left out.

    Parameters
    ----------
    path : str or os.PathLike
    columns : sequence of str, default=None
        Names to read, in that order; None reads them all.
    optional : sequence of str, default=()
        Names to read after `columns` where the file has them.
    drop : sequence of str, default=()
        Names to leave out; each must exist.
    text : sequence of str, default=()
        Names to read as text, if they are read, whatever they look like (CSV only: Parquet stores its types).

    Returns
    -------
    table : pyarrow.Table

    Raises
    ------
    TableError
        When the file cannot be read, has no rows, names a column twice or lacks one that is asked for.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "tiny.csv")
    >>> with open(path, "w") as file:
    ...     _ = file.write("size;town\\n1.5;Rome\\n;Oslo\\n")
    >>> read_table(path).to_pydict()
    {'size': [1.5, None], 'town': ['Rome', 'Oslo']}
    """
    path = check_data_file(path)
    try:
        source = _ParquetSource(path) if _is_parquet(path) else _CsvSource(path)
        names = _wanted(path, source.names, columns, optional, drop)
        table = source.read(names, text)
    except pa.ArrowKeyError as error:
        raise TableError(f"{path!r}: {error.args[0]}") from None
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise TableError(f"{path!r}: {error}") from None
    if table.num_rows == 0:
        raise TableError(f"{path!r} must have at least one row of data, got none")
    return table.cast(pa.schema([field.with_type(_plain_type(field.type)) for field in table.schema]))


def column_kind(name: str, type_: pa.DataType) -> Literal["number", "text", "empty"]:
    """Say whether a column holds numbers or text.

    Parameters
    ----------
    name : str
        The column's name, for the error.
    type_ : pyarrow.DataType

    Returns
    -------
    kind : {"number", "text", "empty"}
        True/false are numbers; a column is empty if it has no value at all.

    Raises
    ------
    TableError
        For dates, times, bytes, lists and whatever else is neither.

    Examples
    --------
    >>> import pyarrow as pa
    >>> column_kind("size", pa.int8()), column_kind("town", pa.string())
    ('number', 'text')
    """
    types = pa.types
    if types.is_null(type_):
        return "empty"
    if types.is_boolean(type_) or types.is_integer(type_) or types.is_floating(type_):
        return "number"
    if types.is_string(type_):
        return "text"
    raise TableError(f"column {name!r} must hold numbers or text, got {type_}; --drop leaves a column out")


def number_array(name: str, column: pa.Array | pa.ChunkedArray) -> Array:
    """Take a column of numbers as a NumPy array: NaN where a value is missing, integers kept where none is.

    Parameters
    ----------
    name : str
        The column's name, for the error.
    column : pyarrow.Array or pyarrow.ChunkedArray

    Returns
    -------
    values : ndarray of shape (n,)
        float64 where values are missing in a column of integers, else the column's own type (uint8 for
        true/false).

    Raises
    ------
    TableError
        When the column holds anything but numbers; for text, the first value that is no number is named.

    Examples
    --------
    >>> import pyarrow as pa
    >>> number_array("size", pa.array([1, None, 3]))
    array([ 1., nan,  3.])
    """
    kind = column_kind(name, column.type)
    if kind == "text":
        value, row = first_text(column)
        raise TableError(f"column {name!r} must hold numbers, got {value!r} in data row {row}")
    if kind == "empty":
        column = column.cast(pa.float64())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    chunked = isinstance(column, pa.ChunkedArray)
    values: Array = column.to_numpy() if chunked else column.to_numpy(zero_copy_only=False)
    return values


def complete_numbers(name: str, column: pa.ChunkedArray, row_numbers: Numbers | None = None) -> Doubles:
    """A column of numbers without a gap (target, weight, offset) as float64.

    Parameters
    ----------
    name : str
    column : pyarrow.ChunkedArray
    row_numbers : ndarray of int, default=None
        Numbers of the rows in the file, for the error; None counts from 1.

    Returns
    -------
    values : ndarray of shape (n,)

    Raises
    ------
    TableError
        When a value is missing or not finite; the message names column and row.
    """
    values = number_array(name, column).astype(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        value = column[int(bad.argmax())].as_py()
        found = "a missing value" if value is None or value != value else str(value)
        place = data_row(bad, row_numbers)
        raise TableError(f"column {name!r} must hold finite numbers, got {found} in {place}")
    return values


def data_row(bad: NDArray[np.bool_], row_numbers: Numbers | None = None) -> str:
    """Words for the first row where something is wrong.

    Parameters
    ----------
    bad : ndarray of bool
    row_numbers : ndarray of int, default=None
        Numbers of the rows in the file; None counts from 1.

    Returns
    -------
    place : str

    Examples
    --------
    >>> import numpy as np
    >>> data_row(np.array([False, True]))
    'data row 2'
    """
    first = int(bad.argmax())
    return f"data row {first + 1 if row_numbers is None else row_numbers[first]}"


def weight_array(name: str, column: pa.ChunkedArray, row_numbers: Numbers | None = None) -> Doubles:
    """A column of sample weights as float64.

    Parameters
    ----------
    name : str
    column : pyarrow.ChunkedArray
    row_numbers : ndarray of int, default=None
        As in `complete_numbers`.

    Returns
    -------
    weight : ndarray of shape (n,)

    Raises
    ------
    TableError
        When a weight is missing, not finite or negative; the message names column and row.
    """
    weight = complete_numbers(name, column, row_numbers)
    negative = weight < 0
    if negative.any():
        value, place = weight[negative][0], data_row(negative, row_numbers)
        raise TableError(f"weight column {name!r} must be >= 0, got {value:g} in {place}")
    return weight


def first_text(column: pa.Array | pa.ChunkedArray) -> tuple[str, int] | tuple[None, None]:
    """Find the first value of a text column that does not read as a number.

    Parameters
    ----------
    column : pyarrow.Array or pyarrow.ChunkedArray
        Of text.

    Returns
    -------
    value : str or None
        None when every value reads as a number (or is missing).
    row : int or None
        Its row, counted from 1.

    Examples
    --------
    >>> import pyarrow as pa
    >>> first_text(pa.array(["1", "2.5", "many"]))
    ('many', 3)
    """
    values = pc.unique(column).to_pylist()
    value = next((value for value in values if value is not None and not _reads_as_number(value)), None)
    # All numbers, yet stored as text: any value shows it.
    value = next((value for value in values if value is not None), None) if value is None else value
    if value is None:
        return None, None
    return value, pc.index(column, value).as_py() + 1


def _plain_type(type_: pa.DataType) -> pa.DataType:
    """One type for all texts and decimals, however they are stored; others stay."""
    types = pa.types
    if types.is_dictionary(type_):
        return _plain_type(type_.value_type)
    if types.is_large_string(type_) or str(type_) == "string_view":  # there is a function for it from pyarrow 16 on
        return pa.string()
    return pa.float64() if types.is_decimal(type_) else type_


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _wanted(
    path: str, names: list[str], columns: Sequence[str] | None, optional: Sequence[str | None], drop: Sequence[str]
) -> list[str]:
    """The names to read, in order; raises when one is doubled or absent."""
    counts = collections.Counter(names)
    for name in drop if columns is None else [*columns, *drop]:
        if name not in counts:
            raise TableError(f"{path!r} has no column {name!r}; it has {_some(names)}")
    if columns is None:
        columns = [name for name in names if name not in set(drop) and not _ROW_INDEX.fullmatch(name)]
    columns = [*columns, *(name for name in optional if name is not None and name in counts)]
    for name in columns:
        if counts[name] > 1:
            raise TableError(f"{path!r} names the column {name!r} {counts[name]} times, once is right")
    return list(dict.fromkeys(columns))


def _some(names: list[str], most: int = 8) -> str:
    """A few names for a message."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _is_parquet(path: str) -> bool:
    """Tell Parquet from text by its first bytes; refuse what is neither before a parser guesses."""
    with open(path, "rb") as file:
        head = file.read(4096)
    if head[:4] == b"PAR1":
        return True
    if path.lower().endswith((".parquet", ".pq")):
        raise TableError(f"{path!r} must be a Parquet file, got other content")
    if head[:2] == b"\x1f\x8b":
        with gzip.open(path) as file:
            head = file.read(4096)
    if not head:
        raise TableError(f"{path!r} must have a line of column names, got an empty file")
    if b"\0" in head and not path.lower().endswith((".bz2", ".zst", ".lz4")):
        raise TableError(f"{path!r} must be CSV text in UTF-8 or Parquet, got binary content")
    return False


class _ParquetSource:
    """A Parquet file: names first, then the wanted columns alone."""

    def __init__(self, path: str) -> None:
        self._file = pa_parquet.ParquetFile(path)
        self.names = self._file.schema_arrow.names

    def read(self, names: list[str], text: Sequence[str]) -> pa.Table:
        del text  # stored types are exact
        return self._file.read(columns=names).select(names)


class _CsvSource:
    """A CSV file: names first, then the wanted columns with types found over the whole file."""

    def __init__(self, path: str) -> None:
        self._path = path
        with self._open() as stream:
            line = stream.read(1 << 16).split(b"\n", 1)[0].decode("utf-8-sig", errors="replace")
        delimiter = max(_DELIMITERS, key=line.count)  # the comma, which comes first, wins a draw
        self._parse = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        with self._open() as stream:
            self.names = pa_csv.open_csv(stream, parse_options=self._parse).schema.names

    def _open(self) -> pa.NativeFile:
        with open(self._path, "rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"  # gzip, whatever the name says
        return pa.input_stream(self._path, compression="gzip" if compressed else "detect")

    def read(self, names: list[str], text: Sequence[str]) -> pa.Table:
        convert = pa_csv.ConvertOptions(
            include_columns=names,
            column_types={name: pa.string() for name in text},
            null_values=_MISSING,
            strings_can_be_null=True,
        )
        with self._open() as stream:
            return pa_csv.read_csv(stream, parse_options=self._parse, convert_options=convert)
