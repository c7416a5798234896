"""What was measured, kept on disk: a file per problem, in which a run replaces the libraries that it ran."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.solve.optimum import Optimum
from benchmarks.solve.race import GOALS, Curve, Entrant, Point

__all__ = ["GOALS", "Arrival", "Result", "load", "save"]

OURS = "gdfast"


@dataclass(frozen=True)
class Arrival:
    """Who came to a goal, in how many seconds, by which setting."""

    library: str
    solver: str
    seconds: float
    point: Point

    @property
    def name(self) -> str:
        """Library and solver, once if they are the same."""
        return self.solver if self.solver == self.library else f"{self.library} {self.solver}"


@dataclass
class Result:
    """All that is known of a problem."""

    rows: str
    machine: str
    optimum: Optimum
    entrants: dict[str, Entrant] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def curves(self) -> Iterator[tuple[str, Curve]]:
        """Of every solver of every library."""
        for library, entrant in self.entrants.items():
            for curve in entrant.curves:
                yield library, curve

    def lower_optimum(self) -> None:
        """Whoever got below the optimum that was found has found a better one."""
        best = min((point.error for _, curve in self.curves() for point in curve.points), default=math.inf)
        if best < self.optimum.error:
            self.optimum = Optimum(best, self.optimum.scale, self.optimum.found)

    def suboptimality(self, point: Point) -> float:
        """Relative distance of a point from the optimum."""
        return self.optimum.suboptimality(point.error)

    def first(self, library: str, curve: Curve, goal: float) -> Arrival | None:
        """The quickest setting of a solver that comes to the goal."""
        there = [point for point in curve.points if self.suboptimality(point) <= goal]
        best = min(there, key=lambda point: point.time, default=None)
        return None if best is None else Arrival(library, curve.name, best.time, best)

    def ours(self, goal: float) -> Arrival | None:
        """When gdfast comes to a goal."""
        return self._quickest([pair for pair in self.curves() if pair[0] == OURS], goal)

    def best_other(self, goal: float) -> Arrival | None:
        """When the quickest of all others does."""
        return self._quickest([pair for pair in self.curves() if pair[0] != OURS], goal)

    def _quickest(self, pairs: list[tuple[str, Curve]], goal: float) -> Arrival | None:
        arrivals = [arrival for pair in pairs if (arrival := self.first(*pair, goal)) is not None]
        return min(arrivals, key=lambda arrival: arrival.seconds, default=None)


def save(path: pathlib.Path, result: Result) -> None:
    """Put a result beside what is there of other libraries for the same rows."""
    old = load(path) if path.exists() else None
    if old and old.rows == result.rows and old.optimum.found.keys() == result.optimum.found.keys():
        result.entrants = {**old.entrants, **result.entrants}
        result.missing = {**old.missing, **result.missing}
    result.missing = {name: why for name, why in result.missing.items() if name not in result.entrants}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(result), indent=1))


def load(path: pathlib.Path) -> Result:
    """A result as it was saved, its optimum lowered to the lowest error seen."""
    kept: dict[str, Any] = json.loads(path.read_text())
    kept["optimum"] = Optimum(**kept["optimum"])
    for name, entrant in kept["entrants"].items():
        curves = [curve | {"points": [Point(**point) for point in curve["points"]]} for curve in entrant["curves"]]
        kept["entrants"][name] = Entrant(**entrant | {"curves": [Curve(**curve) for curve in curves]})
    result = Result(**kept)
    result.lower_optimum()
    return result
