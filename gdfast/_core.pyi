"""Types of the binding; see _core.pyx for what each function does."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gdfast.rows.sparse import SparseRows

_Array = npt.NDArray[Any]
_Doubles = npt.NDArray[np.float64]

SOLVERS: tuple[str, ...]
SCHEDULES: tuple[str, ...]
REASONS: tuple[str, ...]
METHODS: tuple[str, ...]
LOSSES: tuple[str, ...]
MARGIN_LOSSES: tuple[str, ...]
SMOOTH_LOSSES: tuple[str, ...]
STORED_TYPES: frozenset[str]

def available_isas() -> tuple[str, ...]: ...
def isa() -> str: ...

class Problem:
    X: _Array | SparseRows
    y: _Array
    weight: _Array | None
    offset: _Array | None
    rows: npt.NDArray[np.int64] | None
    lower: _Doubles | None
    upper: _Doubles | None
    d: int
    k: int
    def __init__(
        self,
        X: _Array | SparseRows,
        y: _Array,
        *,
        loss: str,
        n_outputs: int = 1,
        weight: _Array | None = None,
        offset: _Array | None = None,
        rows: npt.ArrayLike | None = None,
        codes: bool = False,
        softmax: bool = False,
        param: float = 0.0,
        l2: float = 0.0,
        l1: float = 0.0,
        fit_intercept: bool = True,
        smoothing: float = 0.0,
        weight_mean: float = 0.0,
        double_lanes: bool = False,
        lower: _Doubles | None = None,
        upper: _Doubles | None = None,
    ) -> None: ...

class Grid:
    problem: Problem
    roles: npt.NDArray[np.int8] | None
    def __init__(
        self, problem: Problem, models: Sequence[dict[str, Any]], roles: npt.NDArray[np.int8] | None = None
    ) -> None: ...

def error_and_gradient(
    problem: Problem, coef: _Doubles, intercept: _Doubles, n_threads: int = 1
) -> tuple[float, _Doubles, _Doubles]: ...
def errors(
    problem: Problem, coef: _Doubles, intercept: _Doubles, *, narrow: bool = False, n_threads: int = 1
) -> _Doubles: ...
def grid_error_and_gradient(
    grid: Grid, coef: _Doubles, intercept: _Doubles, n_threads: int = 1
) -> tuple[_Doubles, _Doubles, _Doubles, _Doubles]: ...
def descend_grid(
    grid: Grid,
    *,
    max_iter: int,
    tol: float,
    n_iter_no_change: int = 5,
    stop_early: bool = False,
    n_threads: int = 1,
    arrived: Callable[[int], object] | None = None,
) -> tuple[_Doubles, dict[str, Any]]: ...
def descend_each(
    grid: Grid,
    settings: Sequence[dict[str, Any]],
    *,
    stop_early: bool = False,
    n_threads: int = 1,
    arrived: Callable[[int], object] | None = None,
) -> tuple[list[tuple[str, _Doubles, dict[str, Any]]], _Doubles, float]: ...
def scores(problem: Problem, coef: _Doubles, intercept: _Doubles, out: _Array, n_threads: int = 1) -> None: ...
def broken_row(X: SparseRows) -> tuple[int, str] | None: ...
def find_not_finite(X: _Array, rows: npt.ArrayLike | None = None) -> tuple[int, int] | None: ...
def to_float32(values: _Doubles) -> npt.NDArray[np.float32]: ...
def descend(
    problem: Problem,
    validation: Problem | None,
    start: _Doubles | dict[str, Any],
    *,
    n_threads: int,
    callback: Callable[[int, int, float, float, float, float, _Doubles], object] | None = None,
    **given: Any,
) -> tuple[str, _Doubles, dict[str, Any]]: ...
def pointwise(
    loss: str,
    z: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    param: float = 0.0,
    smoothing: float = 0.0,
    isa: str | None = None,
) -> tuple[_Doubles, _Doubles, _Doubles]: ...
def pointwise_softmax(Z: npt.ArrayLike, Y: npt.ArrayLike, *, isa: str | None = None) -> tuple[_Doubles, _Doubles]: ...
