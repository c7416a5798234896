"""Types that annotations share: names of losses, rules and schedules, and the arrays that come and go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from gdfast._result import DescentState
    from gdfast.rows.sparse import SparseRows

__all__ = [
    "Array",
    "ArrayLike",
    "Arrivals",
    "Bounds",
    "Callback",
    "ChoiceRule",
    "ClassificationLoss",
    "Doubles",
    "LearningRate",
    "Loss",
    "Matrix",
    "Numbers",
    "Penalty",
    "RandomState",
    "ReadRows",
    "RegressionLoss",
    "Scores",
    "Solver",
    "SparseMatrix",
]

Array = NDArray[Any]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]  # of rows
Scores = NDArray[np.floating[Any]]  # float32 for narrow X, else float64

RegressionLoss = Literal[
    "squared_error",
    "absolute_error",
    "huber",
    "quantile",
    "epsilon_insensitive",
    "squared_epsilon_insensitive",
    "poisson",
    "gamma",
]
ClassificationLoss = Literal["log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron"]
Loss = Literal[RegressionLoss, ClassificationLoss]
Penalty = Literal["l2", "l1", "elasticnet"]
Solver = Literal["auto", "gd", "sgd", "adagrad", "rmsprop", "adam"]
LearningRate = Literal["auto", "constant", "invscaling", "optimal", "adaptive"]
ChoiceRule = Literal["best", "one_standard_error"]


class SparseMatrix(Protocol):
    """What is needed of a SciPy sparse matrix or array."""

    @property
    def nnz(self) -> int: ...

    def tocsr(self) -> Any: ...


Matrix: TypeAlias = "ArrayLike | SparseMatrix | SparseRows"
ReadRows: TypeAlias = "Array | SparseRows"  # as the engine reads them
Bounds = tuple[ArrayLike | None, ArrayLike | None]
RandomState = int | np.random.RandomState | np.random.Generator
Callback = Callable[["DescentState"], "bool | None"]
Arrivals = Callable[[int, int], object]  # told how many models of a grid have arrived, and of how many
