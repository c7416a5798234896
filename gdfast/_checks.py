"""Checks that the estimators make on top of scikit-learn's; those of the functions follow anyway (`_arguments.py`)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.sparse import csr_array, csr_matrix
from sklearn.utils._param_validation import Interval, make_constraint, validate_parameter_constraints

from gdfast._tables import columns
from gdfast._types import Array


class Number(Interval):
    """An interval without bools, and without integers that no float can hold."""

    def is_satisfied_by(self, val: Any) -> bool:
        if type(val) is not self._plain and (isinstance(val, bool) or not isinstance(val, self.type)):
            return False
        try:
            float(val)  # type: ignore[arg-type]
        except OverflowError:
            return False
        return bool(val in self)

    def __contains__(self, val: Any) -> bool:
        left = -math.inf if self.left is None else self.left
        right = math.inf if self.right is None else self.right
        above = val >= left if self.closed in ("left", "both") else val > left
        below = val <= right if self.closed in ("right", "both") else val < right
        return bool(above and below)

    @property
    def _plain(self) -> type:
        """Of a value that needs no look at the abstract types, which takes longer than all the rest."""
        return int if self.type is Integral else float


COUNT = Number(Integral, 1, 2**53, closed="both")
NOT_NEGATIVE = Number(Real, 0, None, closed="left")
POSITIVE = Number(Real, 0, None, closed="neither")
FRACTION = Number(Real, 0, 1, closed="neither")
DECAY = Number(Real, 0, 1, closed="left")
BOOLEAN = [bool, np.bool_]
_CSR = (csr_array, csr_matrix)


@cache
def _constraints(estimator: type) -> dict[str, list[Any]]:
    """By parameter, what scikit-learn makes of its constraints."""
    declared: dict[str, Any] = estimator._parameter_constraints  # type: ignore[attr-defined]
    return {name: [make_constraint(constraint) for constraint in each] for name, each in declared.items()}


def check_parameters(estimator: Any) -> None:
    """Check the parameters, but for those that still are the very object of the signature's default.

    As scikit-learn's `validate_parameter_constraints`, which is called for its message where something is wrong.
    """
    defaults = type(estimator).__init__.__kwdefaults__ or {}
    constraints = _constraints(type(estimator))  # type: ignore[arg-type, unused-ignore]
    for name, value in vars(estimator).items():
        if name not in constraints or value is defaults.get(name, estimator):
            continue
        for constraint in constraints[name]:
            if constraint.is_satisfied_by(value):
                break
        else:
            declared, caller = estimator._parameter_constraints, type(estimator).__name__
            validate_parameter_constraints(declared, {name: value}, caller_name=caller)


def passes_as_is(X: Any, y: Any) -> bool:
    """Whether scikit-learn's `check_X_y` would return these very objects; `y` may be a string, its word for no target.

    Plain arrays of numbers and CSR are what most fits are given, and looking closer takes longer than a small fit.
    """
    if type(X) is not np.ndarray and type(X) not in _CSR:
        return False
    if X.ndim != 2 or X.dtype.kind not in "iuf" or not all(X.shape):
        return False
    if isinstance(y, str):
        return True
    if type(y) is not np.ndarray or y.shape != X.shape[:1] or y.dtype.kind not in "iuf":
        return False
    return y.dtype.kind != "f" or bool(np.logical_and.reduce(np.isfinite(y)))


def check_dtype(X: Array, given: Any) -> Array:
    """Return `X`, given as `given`, if it holds real numbers."""
    if X.dtype.kind == "O":  # pandas strings, which older versions of scikit-learn let through
        X = X.astype(np.float64)
    if X.dtype.kind not in "biuf":
        name, _ = next(iter(columns(given)), (0, None))
        raise TypeError(f"X must be numeric, got dtype {X.dtype} (first at column {name!r})")
    return X


def name_bad_column(error: Exception, X: Any) -> None:
    """Add the column that is no number to an error about converting `X`; does nothing if there is none."""
    named = columns(X)
    values = np.asarray(X) if named or isinstance(X, np.ndarray) else None
    if values is None or values.ndim != 2 or values.dtype.kind in "biufc":
        return
    for j, (name, dtype) in enumerate(named or ((j, values.dtype) for j in range(values.shape[1]))):
        try:
            values[:, j].astype(np.float64)
        except (TypeError, ValueError):
            error.args = (f"{error} (column {name!r} of X has dtype {dtype})",)
            return


def check_split(n: int, fraction: float) -> None:
    """Refuse to hold out all rows of so few, in scikit-learn's words."""
    n_val = math.ceil(fraction * n)
    if n_val >= n:
        raise ValueError(
            f"Splitting {n} samples into a train set and a validation set with validation_fraction={fraction!r} led to"
            f" an empty set ({n - n_val} and {n_val} samples). Please either change validation_fraction, increase"
            " number of samples, or disable early_stopping."
        )


@contextmanager
def located(values: Any, name: str) -> Iterator[None]:
    """Add the first row to scikit-learn's errors about NaN or infinity in the numbers `values`."""
    try:
        yield
    except ValueError as error:
        text = str(error).splitlines()[0]
        if text.startswith(f"Input {name} contains") and np.asarray(values).dtype.kind == "f":
            row = (~np.isfinite(np.asarray(values))).reshape(len(values), -1).any(axis=1).argmax()
            raise ValueError(f"{text} (first at row {row})") from None
        raise


class explained:
    """Say more about NaN found by the engine: the column's name, and what to do about it."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        found = None
        if isinstance(error, ValueError):
            found = re.match(r"Input X\w* contains NaN.*?(?:column (\d+)|$)", str(error), re.DOTALL)
        if found is None:
            return
        names = getattr(self._estimator, "feature_names_in_", None)
        named = f" Column {found[1]} is {names[int(found[1])]!r}." if found[1] and names is not None else ""
        raise ValueError(
            f"{error}{named}\n{type(self._estimator).__name__} does not accept missing values encoded as NaN:"
            " fill them, for example with sklearn.impute.SimpleImputer, or drop those rows."
        ) from None
