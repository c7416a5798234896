"""Reading what strangers wrote: strict JSON, and objects whose every field is asked for by type.

JSON here has no doubled keys, no NaN or infinity, no bytes beyond ASCII and no flood of values. Every error
is a FieldError of one line that names the field.
"""

from __future__ import annotations

import base64
import collections
import hashlib
import json
import math
import os
import stat
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from gdfast._messages import short
from gdfast._types import Array

_MAX_BYTES = 2**30  # of a file
_Values = list[Any]
MAX_ITEMS = 2_000_000  # values in a file, before JSON makes Python objects of them: some 100 MB


class FieldError(Exception):
    """What is wrong with which field; `load` puts the file's name before it."""


def read_bytes(path: str) -> bytes:
    """The whole file, after a look at what it is and how long."""
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            raise FieldError("must be a plain file")
        if info.st_size > _MAX_BYTES:
            raise FieldError(f"must be at most {_MAX_BYTES} bytes, got {info.st_size}")
        with open(path, "rb") as file:
            return file.read(info.st_size)
    except OSError as error:
        raise FieldError(error.strerror or str(error)) from None
    except ValueError as error:  # a NUL byte in the name
        raise FieldError(str(error)) from None


def parse(raw: bytes) -> dict[str, Any]:
    """JSON without its leniencies: no doubled key, no NaN, no endless nesting, no flood of tiny values."""
    if sum(raw.count(sign) for sign in b"[{,") > MAX_ITEMS:
        raise FieldError(f"must hold at most {MAX_ITEMS} values")
    try:
        document = json.loads(
            raw.decode("ascii"),
            object_pairs_hook=_without_doubles,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except UnicodeDecodeError as error:
        raise FieldError(f"is not a gdfast model file (byte {error.start} is not ASCII)") from None
    except json.JSONDecodeError as error:
        raise FieldError(f"is not a gdfast model file, or cut off ({error})") from None
    except ValueError as error:  # an integer of thousands of digits
        raise FieldError(f"is not a gdfast model file ({error})") from None
    if not isinstance(document, dict) or "format" not in document:
        raise FieldError("is not a gdfast model file (no field format)")
    return document


def _without_doubles(pairs: _Values) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        counts = collections.Counter(name for name, _ in pairs)
        name = next(name for name in counts if counts[name] > 1)
        raise FieldError(f"field {short(name)} stands there twice")
    return document


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise FieldError(f"every number must be finite, got {short(text)}")
    return value


class Fields:
    """A JSON object under inspection: every field is asked for once, by type; the rest is refused."""

    def __init__(self, value: Any, where: str) -> None:
        self._where = where
        if not isinstance(value, dict):
            raise FieldError(f"field {where} must be an object, got {short(value)}")
        self._left = dict(value)

    def refuse(self, key: str, rule: str, value: Any) -> NoReturn:
        raise FieldError(f"field {self.path(key)} must be {rule}, got {short(value)}")

    def path(self, key: str) -> str:
        return f"{self._where}.{key}" if self._where else key

    def take(self, key: str) -> Any:
        if key not in self._left:
            raise FieldError(f"field {self.path(key)} is missing")
        return self._left.pop(key)

    def has(self, key: str) -> bool:
        return key in self._left

    def is_null(self, key: str) -> bool:
        """Whether the field is null: then it is taken."""
        if self._left.get(key, self) is not None:
            return False
        return self._left.pop(key) is None

    def null(self, key: str) -> None:
        if not self.is_null(key):
            self.refuse(key, "null", self.take(key))

    def end(self) -> None:
        for key in self._left:
            raise FieldError(f"unknown field {short(self.path(key))}")

    def text(self, key: str, *, among: Sequence[str] | None = None) -> str:
        value = self.take(key)
        if not is_text(value):
            self.refuse(key, "text", value)
        if among is not None and value not in among:
            self.refuse(key, "one of " + ", ".join(among), value)
        return value

    def text_or_none(self, key: str) -> str | None:
        value = self.take(key)
        if value is not None and not is_text(value):
            self.refuse(key, "text or null", value)
        return value

    def boolean(self, key: str) -> bool:
        value = self.take(key)
        if not isinstance(value, bool):
            self.refuse(key, "true or false", value)
        return value

    def count(self, key: str, least: int = 0) -> int:
        value = self.take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**62:
            self.refuse(key, f"a whole number from {least} on", value)
        return value

    def number(self, key: str) -> float:
        value = self.take(key)
        if not is_number(value):
            self.refuse(key, "a finite number", value)
        return float(value)

    def number_or_none(self, key: str) -> float | None:
        return None if self.is_null(key) else self.number(key)

    def list(self, key: str, *, most: int, rule: str, valid: Callable[[Any], bool]) -> _Values:
        values = self.take(key)
        if not isinstance(values, list) or len(values) > most:
            self.refuse(key, f"a list of at most {most} values", values)
        for i, value in enumerate(values):
            if not valid(value):
                self.refuse(f"{key}[{i}]", rule, value)
        return values

    def object(self, key: str) -> Fields:
        return Fields(self.take(key), self.path(key))

    def array_or_none(self, key: str, shapes: Sequence[tuple[int, ...]] | None = None) -> Array | None:
        return None if self.is_null(key) else self.array(key, shapes)

    def array(self, key: str, shapes: Sequence[tuple[int, ...]] | None = None) -> Array:
        """An array of one of the shapes (None: any vector), decoded only if the text is as long as that needs."""
        fields = self.object(key)
        dtype = np.dtype(fields.text("dtype", among=("<f4", "<f8")))
        shape = fields.list("shape", most=2, rule="a size", valid=lambda n: type(n) is int)
        if shapes is None:
            if len(shape) != 1 or shape[0] < 0:
                fields.refuse("shape", "one size", shape)
        elif tuple(shape) not in shapes:
            fields.refuse("shape", " or ".join(str(list(shape)) for shape in shapes), shape)
        text = fields.text("base64")
        size = math.prod(shape) * dtype.itemsize
        if len(text) != 4 * -(-size // 3):
            fields.refuse("base64", f"the {size} bytes of shape {shape}", f"{len(text)} characters")
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise FieldError(f"field {fields.path('base64')} is damaged ({error})") from None
        if len(raw) != size:
            fields.refuse("base64", f"{size} bytes", len(raw))
        fields.end()
        values = np.frombuffer(raw, dtype).reshape(shape).astype(dtype.newbyteorder("="))
        if not np.isfinite(values).all():
            raise FieldError(f"field {self.path(key)} must hold finite numbers, got infinite or NaN")
        return values


def is_text(value: Any) -> TypeGuard[str]:
    """Text that can be written out again: no half of a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= sign <= "\udfff" for sign in value)


def is_number(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def is_label(value: Any) -> bool:
    """A label that a column of predictions can hold."""
    return isinstance(value, bool) or (is_number(value) and (type(value) is float or -(2**63) <= value < 2**63))


def checksum(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def array_document(values: ArrayLike) -> dict[str, Any]:
    values = np.asarray(values)
    values = values.astype("<f4" if values.dtype == np.float32 else "<f8")
    if not np.isfinite(values).all():
        raise ValueError("a model must hold finite numbers to be saved, got infinite or NaN coefficients")
    text = base64.b64encode(values.tobytes()).decode("ascii")
    return {"dtype": values.dtype.str, "shape": list(values.shape), "base64": text}
