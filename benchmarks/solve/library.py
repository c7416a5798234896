"""What an adapter offers: solvers of a task.

An adapter is a module of `benchmarks.solve.libraries` with

    PACKAGE                 name of the distribution, for its version
    NOTE                    what a reader should know: how it is called, what it could do better
    solvers(task)           list of `Solver`, empty where the library has none for that objective

It imports its library at the top: where that fails, the library is said not to be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import ArrayLike

from benchmarks.solve.task import Task

__all__ = ["EPOCHS", "ITERATIONS", "TOLERANCES", "Library", "Solver", "Weights"]

Weights = tuple[ArrayLike, ArrayLike]

TOLERANCES = tuple(10.0**-power for power in range(1, 13))
ITERATIONS = (3, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120)
EPOCHS = (1, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True)
class Solver:
    """One way of a library to the optimum.

    Attributes
    ----------
    name : str
    fit : callable
        fit(task, budget) -> coef, intercept: one complete call. The task is in one of `types`.
    budgets : sequence
        From loose to tight.
    knob : str
        What a budget is: "tol", "max_iter" ...
    types : tuple of str
        Types of X that it computes in. Those with fewer bits come first; more bits are tried where fewer do not get
        there. Empty if it takes X as it is.
    sparse : bool
        Whether it takes CSR; else X is made dense, if it can be.
    exact : bool
        Whether some budget comes to the optimum, to 1e-6 and better, on a benign problem.
    """

    name: str
    fit: Callable[[Task, Any], Weights]
    budgets: Sequence[Any] = TOLERANCES
    knob: str = "tol"
    types: tuple[str, ...] = ("float64",)
    sparse: bool = True
    exact: bool = True


class Library(Protocol):
    """An adapter, as seen by those who call it."""

    PACKAGE: str
    NOTE: str

    def solvers(self, task: Task) -> list[Solver]:
        """Its ways to the optimum of this task."""
