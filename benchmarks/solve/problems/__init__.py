"""The problems, one module for each family of losses."""

from __future__ import annotations

from benchmarks.solve.problems import counts, least_squares, logistic, margins, robust, softmax, zeros
from benchmarks.solve.task import Problem

__all__ = ["PROBLEMS"]

_FAMILIES = (least_squares, zeros, logistic, softmax, robust, counts, margins)
PROBLEMS: dict[str, Problem] = {problem.name: problem for family in _FAMILIES for problem in family.PROBLEMS}
"""By name."""
