"""The words with which the command reports: plain text, aligned, numbers to five digits."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import argparse

    from gdfast.choosing import Choice, Grid
    from gdfast.modelfile import Estimator, Model
    from gdfast.scoring import Part
    from gdfast.training import Outcome, Problem

__all__ = [
    "choice_text",
    "figure_text",
    "line",
    "many",
    "model_text",
    "objective_text",
    "outcome_text",
    "prediction_text",
    "problem_text",
    "strongest",
    "target_text",
]

_STRONGEST = 10  # features listed
_MOST_ALPHAS = 25  # that are listed, with those that are marked
_LABEL = 12  # width of the words on the left
_WIDTH = 110


def line(label: str, text: str) -> str:
    """A labelled line, wrapped under itself.

    Parameters
    ----------
    label, text : str

    Returns
    -------
    line : str

    Examples
    --------
    >>> line("saved", "house.gdf")
    'saved       house.gdf'
    """
    indent = " " * _LABEL
    return textwrap.fill(
        _shown(text),
        _WIDTH,
        initial_indent=f"{label:<{_LABEL}}",
        subsequent_indent=indent,
        break_long_words=False,
    )


def problem_text(path: str, problem: Problem) -> str:
    """What was read and what will be learnt from it.

    Parameters
    ----------
    path : str
    problem : gdfast.training.Problem

    Returns
    -------
    text : str
        Several lines.
    """
    from gdfast.training import stops_early

    settings, columns = problem.settings, problem.encoder.columns
    n_text = sum(column.kind == "text" for column in columns)
    n_numbers, n_features = len(columns) - n_text, len(problem.encoder.features)
    kinds = [many(n_numbers, "column") + " of numbers"] * bool(n_numbers) + [f"{n_text} of text"] * bool(n_text)
    made = f" -> {n_features} features" if n_text else ""
    n_train, n_held_out = len(problem.train.y), 0 if problem.held_out is None else len(problem.held_out.y)
    rows = many(n_train + n_held_out, "row")
    lines = [line("data", f"{path}: {rows}, {' and '.join(kinds)}{made}, stored as {problem.train.X.dtype}")]
    lines += [line("", note) for note in problem.notes]
    lines.append(line("target", f"{settings.target}: {target_text(problem)}"))
    grid = settings.grid
    if n_held_out:
        use = "to stop in time and to score" if stops_early(problem) else "to score"
        which = "the last in time" if grid is not None and grid.folds.in_time else f"seed {settings.seed}"
        lines.append(line("rows", f"{n_train:,} to train on, {n_held_out:,} held out {use} ({which})"))
    if grid is not None:
        lines.append(line("choosing", _grid_words(grid, bool(problem.classes))))
    return "\n".join(lines)


def outcome_text(outcome: Outcome) -> str:
    """How the training went and what came out of it.

    Parameters
    ----------
    outcome : gdfast.training.Outcome

    Returns
    -------
    text : str
        Several lines.
    """
    model = outcome.model
    estimator, summary = model.estimator, model.summary
    lines = [
        line("objective", objective_text(estimator)),
        line(
            "training",
            f"{many(estimator.n_iter_, 'epoch')} in {outcome.seconds:.3g} s, error {estimator.loss_:.5g}",
        ),
    ]
    lines += ["", _score_table(summary)] if summary["scores"] else []
    return "\n".join([*lines, "", _strongest(model), ""])


def choice_text(choice: Choice, seconds: float | None = None) -> str:
    """What was chosen, among what, and how those scored.

    Parameters
    ----------
    choice : gdfast.choosing.Choice
    seconds : float, optional
        How long it took.

    Returns
    -------
    text : str
        Several lines.
    """
    points, chosen = choice.points, choice.points[choice.chosen]
    ratio = f" and l1_ratio {chosen.l1_ratio:g}" if chosen.l1_ratio else ""
    rule = "best" if choice.rule == "best" else "simplest within one standard error of the best"
    took = "" if seconds is None else f", in {seconds:.3g} s"
    what = f"alpha {chosen.alpha:.4g}{ratio}: the {rule} of {many(len(points), 'point')} in {choice.folds}{took}"
    lines = [line("chosen", what)]
    alphas = [point.alpha for point in points if point.l1_ratio == points[choice.best].l1_ratio]
    if points[choice.best].alpha == min(alphas) < max(alphas):
        lines.append(line("", "the best is the weakest penalty tried: still weaker ones may be better"))
    return "\n".join([*lines, "", *_choice_tables(choice)])


class Strength(NamedTuple):
    """A weight and what it does: feature, class on which it acts most (None of one neuron), weight, weight x spread.

    Examples
    --------
    >>> Strength("age", None, 2.0, 6.0).effect
    6.0
    """

    feature: str
    label: Any
    weight: float
    effect: float


def strongest(model: Model, most: int) -> tuple[list[Strength], int]:
    """The features that move the answer most: by weight times the feature's own spread.

    Parameters
    ----------
    model : gdfast.modelfile.Model
    most : int
        How many.

    Returns
    -------
    found : list of Strength
        The strongest first.
    n_features : int
        How many there are in all.
    """
    coef = np.atleast_2d(model.estimator.coef_)
    effect = coef * model.spread
    acts_on = np.abs(effect).argmax(axis=0)  # the class on which a feature acts most
    here = np.arange(len(acts_on))
    order = np.argsort(-np.abs(effect[acts_on, here]), kind="stable")[:most]
    found = []
    for j in order:
        k = int(acts_on[j])
        label = model.classes[k] if len(coef) > 1 else None
        found.append(Strength(model.encoder.features[j], label, float(coef[k, j]), float(effect[k, j])))
    return found, len(here)


def prediction_text(options: argparse.Namespace, model: Model, n_rows: int, scored: Part | None) -> str:
    """What was predicted, and the scores where the true answers are known.

    Parameters
    ----------
    options : argparse.Namespace
        With `data` and `out`.
    model : gdfast.modelfile.Model
    n_rows : int
    scored : gdfast.scoring.Part or None

    Returns
    -------
    text : str
    """
    from gdfast.scoring import score

    lines = [line("predicted", f"{many(n_rows, 'row')} of {options.data} -> {options.out or 'standard output'}")]
    if scored is not None:
        found = ", ".join(f"{name} {figure_text(value)}" for name, value in score(model, scored).items())
        known = f"{many(len(scored.y), 'row')} with a known {model.target}"
        lines.append(line("scores", f"{found} ({known})"))
    return "\n".join(lines)


def model_text(path: str, model: Model) -> str:
    """What a model file holds.

    Parameters
    ----------
    path : str
    model : gdfast.modelfile.Model

    Returns
    -------
    text : str
        Several lines.
    """
    summary, columns = model.summary, model.encoder.columns
    texts = [column.name for column in columns if column.kind == "text"]
    lines = [
        line("model", f"{path} ({os.path.getsize(path):,} bytes), a {model.task}"),
        line("target", f"{model.target}" + (f": {_some(model.classes)}" if model.classes else "")),
        line("columns", f"{len(columns)}: {_some([column.name for column in columns], 12)}"),
    ]
    if texts:
        lines.append(line("of text", f"{_some(texts, 12)} -> {len(model.encoder.features)} features in all"))
    lines += [line(name, getattr(model, name)) for name in ("offset", "weight") if getattr(model, name) is not None]
    end = "" if summary["converged"] else ", ended before it converged"
    lines += [
        line("objective", objective_text(model.estimator)),
        line("training", f"{many(summary['rows'], 'row')}, {many(model.estimator.n_iter_, 'epoch')}{end}"),
        line("written by", ", ".join(f"{name} {version}" for name, version in model.versions.items())),
    ]
    lines += [] if model.choice is None else [choice_text(model.choice)]
    lines += ["", _score_table(summary)] if summary["scores"] else []
    return "\n".join([*lines, "", _strongest(model)])


# --------------------------------------------------------------------------------------------------- pieces


def _shown(text: object) -> str:
    """Text from a file on a terminal: no control signs that could move the cursor or hide something."""
    text = str(text)
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in text)


def many(n: int, noun: str) -> str:
    """A number of things.

    Parameters
    ----------
    n : int
    noun : str
        Of one of them.

    Returns
    -------
    text : str

    Examples
    --------
    >>> many(1, "row"), many(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{n:,} {noun}" + ("s" if n != 1 else "")


def _some(values: Sequence[object], most: int = 6) -> str:
    shown = ", ".join(str(value) for value in values[:most])
    return shown + (f" and {len(values) - most} more" if len(values) > most else "")


def figure_text(value: float | None) -> str:
    """A number to five digits, "-" where there is none.

    Parameters
    ----------
    value : float or None

    Returns
    -------
    text : str

    Examples
    --------
    >>> figure_text(123456.0), figure_text(0.1234567), figure_text(None)
    ('123,456', '0.12346', '-')
    """
    if value is None:
        return "-"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.5g}"


def target_text(problem: Problem) -> str:
    """The target in a few words: shares of the classes, or where the numbers lie.

    Parameters
    ----------
    problem : gdfast.training.Problem

    Returns
    -------
    text : str
    """
    y = np.concatenate([part.y for part in (problem.train, problem.held_out) if part is not None])
    if not problem.classes:
        return f"mean {figure_text(y.mean())}, from {figure_text(y.min())} to {figure_text(y.max())}"
    shares = np.bincount(y, minlength=len(problem.classes)) / len(y)
    words = [f"{label}: {share:.1%}" for label, share in zip(problem.classes, shares, strict=True)]
    return f"{len(words)} classes, {_some(words, 10)}"


def objective_text(estimator: Estimator) -> str:
    """The objective in words.

    Parameters
    ----------
    estimator : gdfast.GDRegressor or gdfast.GDClassifier

    Returns
    -------
    text : str
    """
    penalty = estimator.penalty
    if penalty is None or estimator.alpha == 0:
        return f"{estimator.loss}, no penalty"
    ratio = f", l1_ratio {estimator.l1_ratio:g}" if penalty == "elasticnet" else ""
    return f"{estimator.loss} + {penalty} penalty (alpha {estimator.alpha:g}{ratio})"


def _grid_words(grid: Grid, of_classes: bool) -> str:
    """What is going to be tried."""
    n_alphas = grid.alphas if isinstance(grid.alphas, int) else len(grid.alphas)
    ratios = f" for each of {len(grid.l1_ratios)} l1_ratios" if len(grid.l1_ratios) > 1 else ""
    n_models = n_alphas * len(grid.l1_ratios) * grid.folds.n
    return f"{many(n_alphas, 'alpha')}{ratios} in {grid.folds.words(of_classes)}: {n_models:,} models"


def _choice_tables(choice: Choice) -> list[str]:
    """The alphas of the chosen l1_ratio, some if they are many; the best of each l1_ratio if there are several."""
    by_ratio: dict[float, list[int]] = {}
    for i, point in enumerate(choice.points):
        by_ratio.setdefault(point.l1_ratio, []).append(i)
    here = by_ratio[choice.points[choice.chosen].l1_ratio]
    step = -(-len(here) // _MOST_ALPHAS)
    shown = [i for place, i in enumerate(here) if place % step == 0 or i in (choice.best, choice.simplest)]
    tables = [_point_table(choice, ["alpha" if step == 1 else f"alpha ({len(shown)} of {len(here)})"], shown)]
    if len(by_ratio) > 1:
        best = [max(row, key=lambda i: choice.merit(choice.points[i])) for row in by_ratio.values()]
        tables += ["", _point_table(choice, ["l1_ratio", "best alpha"], best)]
    return tables


def _point_table(choice: Choice, head: list[str], shown: list[int]) -> str:
    """Points of a grid by their alpha, or by both of their parameters; what is special about some stands behind."""
    special = {choice.best: ["best"]}
    special.setdefault(choice.simplest, []).append("one standard error")
    special[choice.chosen].append("chosen")
    marks = [", ".join(special.get(i, [])) for i in shown]
    width = max(map(len, marks))
    counted = any(choice.points[i].non_zero is not None for i in shown)
    rows = []
    for i, mark in zip(shown, marks, strict=True):
        point = choice.points[i]
        known = [f"{point.l1_ratio:g}", f"{point.alpha:.4g}"][-len(head) :]
        count = [str(point.non_zero)] if counted else []
        rows.append([*known, figure_text(point.mean), figure_text(point.spread), *count, f"{mark:<{width}}"])
    kind = "less" if choice.of_loss else "more"
    columns = [f"mean {_shown(choice.scoring)} ({kind} is better)", "spread", *["non-zero weights"][:counted]]
    return _table([*head, *columns, ""], rows)


def _score_table(summary: dict[str, Any]) -> str:
    rows = [[name, figure_text(value), figure_text(constant)] for name, value, constant in summary["scores"]]
    return _table([f"scores on {summary['held_out_rows']:,} held-out rows", "model", "constant"], rows)


def _strongest(model: Model) -> str:
    """The features that move the answer most, and the bias."""
    found, n_features = strongest(model, _STRONGEST)
    several = len(np.atleast_2d(model.estimator.coef_)) > 1
    head = [f"strongest features (of {n_features})" if n_features > len(found) else "features"]
    if several:
        head.append("for")
    elif model.classes:
        head[0] += f", towards {_shown(model.classes[1])}"
    rows = [
        [_shown(row.feature), *[_shown(row.label)] * several, f"{row.weight:+.5g}", f"{row.effect:+.5g}"]
        for row in found
    ]
    if not several:
        rows.append(["bias", f"{model.estimator.intercept_[0]:+.5g}", ""])
    return _table([*head, "weight", "x spread"], rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    """Columns side by side: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = []
    for row in [head, *rows]:
        cells = [
            f"{row[0]:<{widths[0]}}",
            *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        lines.append(("  ".join(cells)).rstrip())
    return "\n".join(lines[:1] + [f"  {line}" for line in lines[1:]])
