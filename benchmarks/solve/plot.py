"""A picture per problem: distance from the optimum against time, both on logarithmic scales."""

from __future__ import annotations

import pathlib
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.solve.results import GOALS, OURS, Result

__all__ = ["draw"]

FLOOR = 1e-9  # what is nearer is drawn here
DASHES = ("-", "--", ":", "-.")


def draw(result: Result, title: str, path: pathlib.Path) -> None:
    """Write the curves of all solvers as SVG, those of one library in one colour, gdfast's in black."""
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "gdfast", "font.size": 8}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(7.5, 4), layout="constrained")
        ax = figure.subplots()
        libraries = [name for name in result.entrants if name != OURS]
        drawn = dict.fromkeys(result.entrants, 0)
        for library, curve in result.curves():
            if not curve.points:
                continue
            points = sorted(curve.points, key=lambda point: point.time)
            times = [point.time for point in points]
            left = np.clip([result.suboptimality(point) for point in points], FLOOR, None)
            ours = library == OURS
            ax.plot(
                times,
                np.minimum.accumulate(left),
                DASHES[drawn[library] % len(DASHES)],
                marker="o" if ours else ".",
                color="black" if ours else f"C{libraries.index(library)}",
                linewidth=2 if ours else 1,
                label=OURS if ours else f"{library} {curve.name}",
            )
            drawn[library] += 1
        for goal in GOALS:
            ax.axhline(goal, color="0.8", linewidth=0.7, zorder=0)
        ax.set(xscale="log", yscale="log", xlabel="seconds", ylabel="(E - E*) / E*", title=title, ylim=(FLOOR / 2, 10))
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=6.5, frameon=False)
        figure.savefig(path, metadata={"Date": None})
