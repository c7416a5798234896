"""The report: a table over all problems, then each with its plot and everybody's times."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable

from benchmarks.report import table
from benchmarks.solve import plot
from benchmarks.solve.problems import PROBLEMS
from benchmarks.solve.race import BEHIND, CLOSE, CONTENDS, LEAST_CALL, LEAST_TIME, PATIENCE, Curve
from benchmarks.solve.results import GOALS, OURS, Arrival, Result
from benchmarks.solve.task import Problem
from benchmarks.solve.worker import WARM_UP_ROWS

__all__ = ["write"]

HEAD = f"""# The race to the optimum

Written by `make compare` (`python -m benchmarks.solve`), wins and losses alike. Do not edit.

Every library minimises the same objective, mean loss plus penalty with a free bias, on the same raw features. A time
is that of a whole call: conversion of the data, set-up, descent. What the weights are worth is evaluated in float64,
by none of the contestants. Each solver runs at budgets from loose to tight; its time to a goal is that of the
quickest budget that comes within that relative distance of the optimum, (E - E*) / E*. Each library has a process of
its own, all have two threads; a call on {WARM_UP_ROWS} rows goes before, and does not count, so that what a library
compiles or sets up when first used does not either. The optimum is the lowest error that anybody came to; it was
sought with tolerances of 1e-12 by gdfast and by a solver of another library, and how far apart those two ended is
stated.

A ratio is the time of the best other solver of all libraries over that of gdfast, whose only setting is `tol`: **bold**
where gdfast is behind.

**Who may run for how long.** In a first round, one after the other, all solvers go through their budgets, until they
are within {CLOSE:g} or make no progress: gdfast first, then the one that the optimum was sought with. These two may
take a minute each; the others, while none has come to both goals, {PATIENCE} times the longest time of gdfast. Once one
has, calls end after {BEHIND} times the best time of all others to the tighter goal, all calls of a solver after twice
that; after 1.5 times and 2 times where that is beyond {PATIENCE} times gdfast's: what takes longer is not the best
other, whatever it comes to. A budget is left out where, going by the one before, it would take longer. Nobody is
stopped before {LEAST_CALL:g} s in a call and {LEAST_TIME:g} s in all, nor let run for more than a minute. "Stopped" in
the tables means that, and no more. Then come rounds in which calls take turns: of gdfast and of all others those that
came to a goal within {CONTENDS} times the best time of gdfast, or of all others. Their times are medians over all
rounds, the times of those further behind come from the first.
"""
NOTHING = "Nothing has been measured yet."


def write(results: dict[str, Result], page: pathlib.Path) -> None:
    """Write the page and its plots, which go into a folder of its name beside it."""
    folder = page.parent / page.stem
    folder.mkdir(parents=True, exist_ok=True)
    rows = [_row(PROBLEMS[name], result) for name, result in results.items()]
    parts = [HEAD.strip(), _summary(results) or NOTHING, table(_COLUMNS, rows) if rows else ""]
    for name, result in results.items():
        plot.draw(result, PROBLEMS[name].title, folder / f"{name}.svg")
        parts += _problem(PROBLEMS[name], result, f"{page.stem}/{name}.svg")
    if results:
        parts += ["## The libraries, and what each could do better", _notes(results.values())]
    page.write_text("\n\n".join(part for part in parts if part) + "\n")


# ---- all problems --------------------------------------------------------------------------------

_PER_GOAL = ("gdfast to", "best other to", "ratio to")
_COLUMNS = ("problem", "X", *(f"{what} {goal:g}" for goal in GOALS for what in _PER_GOAL))


def _row(problem: Problem, result: Result) -> list[str]:
    cells = [f"[{problem.title}](#{_anchor(problem)})", result.rows]
    for goal in GOALS:
        ours, best = result.ours(goal), result.best_other(goal)
        cells += [_seconds(ours), f"{_seconds(best)} {best.name}" if best else "nobody", _ratio(best, ours)]
    return cells


def _summary(results: dict[str, Result]) -> str:
    lines = []
    for goal in GOALS:
        pairs = [(result.ours(goal), result.best_other(goal)) for result in results.values()]
        ratios = [best.seconds / ours.seconds for ours, best in pairs if ours and best]
        if not ratios:
            continue
        mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
        parts = [
            f"To {goal:g}: geometric mean of the ratios {mean:.2f}x over the {len(ratios)} of {len(pairs)} problems "
            f"where both gdfast and another came there",
            f"5x or more on {sum(ratio >= 5 for ratio in ratios)}",
            f"behind on {sum(ratio < 1 for ratio in ratios)}",
            f"gdfast alone on {sum(ours is not None and best is None for ours, best in pairs)}",
            f"gdfast not there on {sum(ours is None for ours, _ in pairs)}",
        ]
        lines.append(f"- {'; '.join(parts)}.")
    return "\n".join(lines)


# ---- one problem ---------------------------------------------------------------------------------


def _anchor(problem: Problem) -> str:
    kept = "".join(letter for letter in problem.title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _problem(problem: Problem, result: Result, picture: str) -> list[str]:
    found = "; ".join(f"{name} {error:.12g}" for name, error in result.optimum.found.items())
    about = [
        f"`{problem.name}`: X {result.rows}. {problem.text}".strip(),
        f"Optimum {result.optimum.error:.12g} ({found}; {result.optimum.spread:.0e} apart).",
        _promise(result),
        f"Measured on {result.machine}.",
    ]
    goals = [f"to {goal:g}" for goal in GOALS]
    columns = ("solver", *goals, "nearest", "remarks")
    rows = sorted((_solver_row(result, *pair) for pair in result.curves()), key=lambda row: row[0])
    times = table(columns, [cells for _, cells in rows])
    return [f"## {problem.title}", " ".join(part for part in about if part), f"![{problem.title}]({picture})", times]


def _promise(result: Result) -> str:
    """Where gdfast ended further from the optimum than tol says."""
    points = [point for library, curve in result.curves() if library == OURS for point in curve.points]
    missed = [
        f"{point.label} left {result.suboptimality(point):.0e}"
        for point in points
        if result.suboptimality(point) > max(1e-9, float(point.label.split()[-1]))
    ]
    return f"gdfast's tolerance was not kept: {', '.join(missed)}." if missed else ""


def _solver_row(result: Result, library: str, curve: Curve) -> tuple[tuple[float, ...], list[str]]:
    arrivals = [result.first(library, curve, goal) for goal in GOALS]
    nearest = min(curve.points, key=lambda point: point.error, default=None)
    left = result.suboptimality(nearest) if nearest else math.inf
    order = (*(arrival.seconds if arrival else math.inf for arrival in reversed(arrivals)), left)
    name = library if library == curve.name else f"{library} {curve.name}"
    near = f"{left:.0e} in {nearest.time:.3g} s ({nearest.label})" if nearest else "nothing"
    cells = [_seconds(arrival, result.ours(goal)) for arrival, goal in zip(arrivals, GOALS, strict=True)]
    warned = dict.fromkeys(point.warned for point in curve.points if point.warned)
    remarks = [curve.failed, *(f'warned "{text}"' for text in list(warned)[:2])]
    shown = "; ".join(remark for remark in remarks if remark).replace("|", "/")
    return order, [f"**{name}**" if library == OURS else name, *cells, near, shown]


def _seconds(arrival: Arrival | None, beside: Arrival | None = None) -> str:
    if arrival is None:
        return "–"
    times = "" if beside is None or arrival.library == OURS else f" ({arrival.seconds / beside.seconds:.3g}x)"
    return f"{arrival.seconds:.3g} s{times}"


def _ratio(best: Arrival | None, ours: Arrival | None) -> str:
    if ours is None:
        return "**not there**"
    if best is None:
        return "alone"
    ratio = best.seconds / ours.seconds
    return f"{ratio:.2f}x" if ratio >= 1 else f"**{ratio:.2f}x**"


# ---- the libraries -------------------------------------------------------------------------------


def _notes(results: Iterable[Result]) -> str:
    seen = {name: entrant for result in results for name, entrant in result.entrants.items()}
    missing = {name: why for result in results for name, why in result.missing.items() if name not in seen}
    lines = [f"- {entrant.version}. {entrant.note}" for entrant in seen.values()]
    lines += [f"- {name} took no part: {why}." for name, why in missing.items()]
    return "\n".join(lines)
