"""Pieces of pages: text that is only text, tables, a small curve. No script, nothing from a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from gdfast._types import Doubles

_WIDTH, _HEIGHT = 320, 96  # of a curve, in pixels
_MOST_POINTS = 200  # of a curve
_COLOURS = ("#0072B2", "#D55E00")  # told apart by colour-blind eyes, seen on light and dark


def text(value: object) -> str:
    """The value as text: no mark-up, and no control signs."""
    shown = str(value)
    return escape(shown if shown.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in shown))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are mark-up already; the first column to the left, the others to the right.

    The colour is that of the text around it, which some notebooks would not hand on to a table.
    """
    line = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head_part = f"<thead><tr>{line}</tr></thead>" if head else ""
    return f'<table style="color:inherit">{head_part}<tbody>{body}</tbody></table>'


def curve_svg(curves: dict[str, Doubles]) -> str:
    """At most two curves over the epochs, by their names; heights on a logarithmic scale where they span much."""
    shown = {name: _thin(np.asarray(curve, dtype=np.float64)) for name, curve in curves.items() if len(curve)}
    values = np.concatenate([heights for _, heights in shown.values()]) if shown else np.empty(0)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return ""
    low, high, last = float(finite.min()), float(finite.max()), max(int(at[-1]) for at, _ in shown.values())
    logarithmic = low > 0 and high > 5 * low
    lines = [
        _line(_places(at, heights, (low, high), last, logarithmic), colour)
        for (at, heights), colour in zip(shown.values(), _COLOURS, strict=False)
    ]
    words = " and ".join(shown) + f" per epoch: {low:.4g} to {high:.4g}" + (", logarithmic" if logarithmic else "")
    return (
        f'<svg role="img" aria-label="{text(words)}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'style="max-width:{_WIDTH}px;width:100%;height:auto"><title>{text(words)}</title>'
        f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{_HEIGHT - 1}" fill="none" stroke="currentColor" '
        f'stroke-opacity="0.3"/>{"".join(lines)}</svg>'
    )


def _thin(curve: Doubles) -> tuple[Any, Doubles]:
    """Numbers of epochs and their values, some of them if they are many, the last among them."""
    chosen = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), _MOST_POINTS)).round().astype(int))
    return chosen, curve[chosen]


def _places(at: Any, heights: Doubles, span: tuple[float, float], last: int, logarithmic: bool) -> list[list[float]]:
    """Points in pixels; those that are not finite are left out."""
    kept = np.isfinite(heights)
    low, high = span
    values = heights[kept]
    if logarithmic:
        low, high, values = np.log(low), np.log(high), np.log(values)
    x = 8 + (_WIDTH - 16) * at[kept] / max(last, 1)
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    places: list[list[float]] = np.column_stack([x, 8 + (_HEIGHT - 16) * (1 - share)]).round(1).tolist()
    return places


def _line(places: list[list[float]], colour: str) -> str:
    if not places:
        return ""
    if len(places) == 1:
        return f'<circle cx="{places[0][0]}" cy="{places[0][1]}" r="3" fill="{colour}"/>'
    points = " ".join(f"{x},{y}" for x, y in places)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'


def result_html(result: Any) -> str:
    """A `DescentResult` in a notebook: its numbers and the curves of its errors."""
    rows = [
        ("error E", f"{result.error:.6g}"),
        ("epochs", f"{result.n_iter:,} ({'converged' if result.converged else 'not converged'})"),
        ("reads of X", f"{result.n_passes:,}"),
        ("weights", " × ".join(map(str, np.shape(result.coef))) + f", {np.count_nonzero(result.coef):,} of them not 0"),
    ]
    if len(result.gradient_norm_curve):
        rows.append(("gradient norm", f"{result.gradient_norm_curve[-1]:.3g}"))
    curves = {"training error": result.loss_curve}
    if result.validation_curve is not None and len(result.validation_curve):
        curves["validation error"] = result.validation_curve
        rows.insert(1, ("validation error", f"{float(np.min(result.validation_curve)):.6g}"))
    keys = "".join(
        f'<span style="color:{colour}">&#9632;</span> {text(name)} '
        for name, colour in zip(curves, _COLOURS, strict=False)
    )
    cells = table([], [(text(name), text(value)) for name, value in rows])
    return (
        f'<div class="gdfast-result"><strong>DescentResult</strong><br>{text(result.message)}{cells}'
        f"<div>{curve_svg(curves)}</div><small>{keys}</small></div>"
    )
