"""The optimum of a task, from gdfast and from a solver of another library, each driven as far as it goes."""

from __future__ import annotations

import json
import pathlib
import warnings
from dataclasses import asdict, dataclass

from benchmarks.solve.task import Problem, Task
from benchmarks.solve.worker import Died, Worker

__all__ = ["Optimum", "find"]

TIGHT = 1e-12
LIMIT = 600.0  # seconds for each of the two


@dataclass(frozen=True)
class Optimum:
    """E at the optimum.

    Attributes
    ----------
    error : float
        The lower of the two, or the infimum where the problem knows it.
    scale : float
        What suboptimality is relative to: |error|, or E at zero weights where that is 0.
    found : dict
        What each solver came to.
    """

    error: float
    scale: float
    found: dict[str, float]

    @property
    def spread(self) -> float:
        """How far apart the two are, relatively."""
        values = self.found.values()
        return (max(values) - min(values)) / self.scale if len(self.found) > 1 else float("nan")

    def suboptimality(self, error: float) -> float:
        """Relative distance from the optimum."""
        return (error - self.error) / self.scale


def find(problem: Problem, task: Task, folder: pathlib.Path) -> Optimum:
    """The optimum, from the disk if it is known there."""
    kept = folder / "optima.json"
    known = json.loads(kept.read_text()) if kept.exists() else {}
    key = f"{problem.name} {task.fingerprint()}"
    if key not in known:
        known[key] = asdict(_solve(problem, task, folder))
        kept.write_text(json.dumps(known, indent=1))
    return Optimum(**known[key])


def _solve(problem: Problem, task: Task, folder: pathlib.Path) -> Optimum:
    tight = task.converted("float64")
    found = {}
    for library, solver in (("gdfast", "gdfast"), problem.judge):
        try:
            found[f"{library}: {solver}"] = _tightest(library, solver, tight, folder)
        except (Died, LookupError, RuntimeError) as error:
            warnings.warn(f"{problem.name}: no optimum from {solver} of {library}: {error}", stacklevel=2)
    least = min([*found.values(), *([] if problem.least is None else [problem.least])])
    floor = 1e-9 * task.constant_error()
    return Optimum(least, abs(least) if abs(least) > floor else task.constant_error(), found)


def _tightest(library: str, solver: str, task: Task, folder: pathlib.Path) -> float:
    with Worker(f"benchmarks.solve.libraries.{library}", folder / f"optimum-{library}.txt") as worker:
        offers = worker.take(task).offers
        index = next((index for index, offer in enumerate(offers) if offer.name == solver), None)
        if index is None:
            raise LookupError("it has no such solver for this task, or is not installed")
        dtype, budget = offers[index].steps[-1]
        answer = worker.call(index, (dtype, TIGHT if offers[index].knob == "tol" else budget), LIMIT)
        if answer.coef is None or answer.intercept is None:
            raise RuntimeError(answer.failed)
        return task.error(answer.coef, answer.intercept)
