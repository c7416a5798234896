"""How messages show values, and whose line a warning points at."""

from __future__ import annotations

import reprlib
import sys
import warnings
from typing import Any

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
# scikit-learn's wrappers stand between a caller and `fit`: their frames are stepped over like this package's.
_NOT_THE_CALLER = ("gdfast", "sklearn")


def short(value: Any) -> str:
    """Return the value for a message, cut to a readable length."""
    if isinstance(value, int) and value.bit_length() > 10_000:  # Python refuses to write it out
        return "an integer of that size"
    return _SHORT.repr(value)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line that called into this package, however deep inside it this is."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] in _NOT_THE_CALLER:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
