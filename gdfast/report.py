"""Pictures of a training, and the page that tells all about it: one file, no network, no script."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from gdfast._html import table, text
from gdfast._types import Array
from gdfast.displays import DescentDisplay, ErrorSurfaceDisplay
from gdfast.displays._style import colours, loss_words, short_name
from gdfast.displays.descent import Curves
from gdfast.printout import choice_text, figure_text, many, objective_text, strongest, target_text
from gdfast.scoring import Part, has_probabilities, predict, probabilities

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gdfast.training import Outcome, Problem

__all__ = ["draw_curves", "write_report"]

_STRONGEST = 30  # coefficients listed
_MOST_COLUMNS = 200  # of the data listed
_FEW_COLUMNS = 15  # listed at once, more are for those who ask
_MOST_POINTS = 3000  # of a scatter
_SURFACE_ROWS = 50_000  # on which the surface is drawn: a sample, if there are more
_GRID = 60  # points of it along each axis
_DARK = {name: "#101418" for name in ("axes.facecolor", "figure.facecolor", "savefig.facecolor")}  # as the page is
_PIECE = 2**20


def draw_curves(problem: Problem, outcome: Outcome, file: BinaryIO, path: str) -> None:
    """Draw training and held-out error per epoch.

    Parameters
    ----------
    problem : gdfast.training.Problem
    outcome : gdfast.training.Outcome
    file : binary file object
    path : str
        Its name; the ending says the format (PNG if it says none).
    """
    ending = os.path.splitext(path)[1].lstrip(".").lower()
    _curves(problem, outcome).savefig(file, format=ending or "png", dpi=150)


def write_report(
    problem: Problem, outcome: Outcome, file: BinaryIO, *, data: str, command: str, of_choice: Sequence[str] = ()
) -> None:
    """Write the page.

    Parameters
    ----------
    problem : gdfast.training.Problem
    outcome : gdfast.training.Outcome
        With curves.
    file : binary file object
    data : str
        Path of the data file.
    command : str
        What was typed.
    of_choice : sequence of str, default=()
        What was warned of while the penalty was chosen.
    """
    import gdfast

    model = outcome.model
    sections = [
        ("scores", "Scores", _scores(outcome)),
        ("data", "Data", _data(problem, data)),
        ("objective", "Objective and training", _objective(outcome)),
        ("choice", "Choice of the penalty", _choice(outcome)),
        ("curves", "Error per epoch", _curves_section(problem, outcome)),
        ("coefficients", "Coefficients", _coefficients(outcome)),
        ("check", *_check(problem, outcome)),
        ("surface", "Error surface", _surface(problem, outcome)),
        ("warnings", "Warnings", _warnings([*of_choice, *outcome.warnings])),
        ("versions", "Versions", _versions(outcome)),
        ("reproduce", "How to reproduce", _reproduce(data, command)),
    ]
    shown = [(name, title, body) for name, title, body in sections if body]
    page = Template(resources.files("gdfast").joinpath("report.html").read_text(encoding="utf-8")).substitute(
        title=text(f"{model.target}: a {model.task} model"),
        subtitle=text(f"{model.estimator.loss}, trained on {model.summary['rows']:,} rows of {os.path.basename(data)}"),
        contents=" ".join(f'<a href="#{name}">{text(title)}</a>' for name, title, _ in shown),
        sections="\n".join(
            f'<section id="{name}"><h2>{text(title)}</h2>{body}</section>' for name, title, body in shown
        ),
        version=text(gdfast.__version__),
    )
    file.write(page.encode("utf-8"))


# ----------------------------------------------------------------------------------------------------- words


def _facts(rows: list[tuple[str, Any]]) -> str:
    """Names and values side by side; both are text."""
    cells = [[text(name), text(value)] for name, value in rows if value not in (None, "")]
    return f'<div class="facts">{table([], cells)}</div>'


def _wide(content: str) -> str:
    return f'<div class="scroll">{content}</div>'


def _scores(outcome: Outcome) -> str:
    summary = outcome.model.summary
    if not summary["scores"]:
        return "<p>No rows were held out: there are no scores on rows that the model has not seen.</p>"
    rows = [[text(name), figure_text(value), figure_text(constant)] for name, value, constant in summary["scores"]]
    head = [f"on {summary['held_out_rows']:,} held-out rows", "model", "constant answer"]
    return _wide(table(head, rows))


def _data(problem: Problem, path: str) -> str:
    settings, encoder = problem.settings, problem.encoder
    held_out = 0 if problem.held_out is None else len(problem.held_out.y)
    facts = [
        ("file", path),
        ("target", f"{settings.target}: {target_text(problem)}"),
        ("rows", f"{len(problem.train.y):,} to train on, {held_out:,} held out (seed {settings.seed})"),
        (
            "features",
            f"{len(encoder.features):,} of {many(len(encoder.columns), 'column')}, stored as {problem.train.X.dtype}",
        ),
        ("weights of rows", settings.weight),
        ("offset", settings.offset),
        ("notes", "; ".join(problem.notes)),
    ]
    rows = []
    for column in encoder.columns[:_MOST_COLUMNS]:
        number = column.kind == "number"
        missing = f"{column.fill:.6g}" if number and column.fill is not None else "" if number else "(missing)"
        kinds = "" if number else f"{len(column.categories):,}"
        rows.append([text(column.name), text(column.kind), kinds, text(missing)])
    more = len(encoder.columns) - len(rows)
    note = f'<p class="soft">and {many(more, "more column")}</p>' if more > 0 else ""
    listed = _wide(table(["column", "holds", "categories", "missing ones become"], rows)) + note
    opened = " open" if len(rows) <= _FEW_COLUMNS else ""
    return (
        f"{_facts(facts)}<details{opened}><summary>{many(len(encoder.columns), 'column')}</summary>{listed}</details>"
    )


def _objective(outcome: Outcome) -> str:
    estimator, summary = outcome.model.estimator, outcome.model.summary
    facts = [
        ("objective", f"mean of {objective_text(estimator)}"),
        ("error E", f"{estimator.loss_:.6g}"),
        ("epochs", f"{estimator.n_iter_:,}, {'converged' if summary['converged'] else 'ended before it converged'}"),
        ("time", f"{outcome.seconds:.3g} s"),
    ]
    params = [
        [text(name), text(repr(value))] for name, value in sorted(estimator.get_params().items()) if name != "callback"
    ]
    listed = f'<div class="facts">{table([], params)}</div>'
    return f"{_facts(facts)}<details><summary>{len(params)} parameters</summary>{listed}</details>"


def _choice(outcome: Outcome) -> str:
    choice = outcome.model.choice
    return "" if choice is None else f"<pre>{text_lines(choice_text(choice))}</pre>"


def text_lines(lines: str) -> str:
    """Several lines as text.

    Parameters
    ----------
    lines : str

    Returns
    -------
    mark_up : str
    """
    return "\n".join(text(line) for line in lines.split("\n"))


def _coefficients(outcome: Outcome) -> str:
    """The strongest on top, with bars as long as what they do to the score."""
    model = outcome.model
    rows, n_features = strongest(model, _STRONGEST)
    longest = max((abs(row.effect) for row in rows), default=0.0) or 1.0
    several = np.ndim(model.estimator.coef_) == 2 and len(model.estimator.coef_) > 1
    cells = []
    for row in rows:
        kind = "up" if row.effect > 0 else "down"
        bar = f'<span class="bar {kind}" style="width:{100 * abs(row.effect) / longest:.1f}%"></span>'
        label = [f'<div class="words">{text(row.label)}</div>'] if several else []
        effect = f'{row.effect:+.5g} <span class="bars">{bar}</span>'
        cells.append([text(row.feature), *label, f"{row.weight:+.5g}", effect])
    head = ["feature", *["class"] * several, "weight", '× spread <span class="bars"></span>']
    biases = ", ".join(f"{bias:+.5g}" for bias in np.ravel(model.estimator.intercept_)[:20])
    which = f"The {len(rows)} strongest of {n_features:,}" if n_features > len(rows) else many(n_features, "feature")
    towards = f" A positive weight speaks for {model.classes[1]}." if len(model.classes) == 2 else ""
    note = f"{which}, by weight × spread: how far the score moves with one standard deviation of the feature.{towards}"
    return f"<p>{text(note)} Bias {text(biases)}.</p>" + _wide(table(head, cells))


def _warnings(messages: list[str]) -> str:
    return "".join(f'<p class="warning">{text(message)}</p>' for message in messages) or "<p>None.</p>"


def _versions(outcome: Outcome) -> str:
    return _facts([*outcome.model.versions.items(), ("machine", platform.platform())])


def _reproduce(data: str, command: str) -> str:
    digest, size = hashlib.sha256(), 0
    with open(data, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    what = "The same command on the same file gives the same weights, bit for bit, on any number of threads:"
    facts = [("file", f"{data}, {size:,} bytes"), ("SHA-256", digest.hexdigest())]
    return f"<p>{what}</p><pre>{text(command)}</pre>{_facts(facts)}"


# -------------------------------------------------------------------------------------------------- pictures


def _picture(draw: Callable[[], Figure], words: str, form: str = "svg") -> str:
    """A picture for light pages and one for dark ones, as data."""
    import matplotlib

    if "matplotlib.pyplot" not in sys.modules:
        matplotlib.use("Agg")  # no window, whatever the machine has
    from matplotlib import pyplot

    uris = []
    for style in (["default"], ["dark_background", _DARK]):
        with pyplot.style.context([*style, {"svg.hashsalt": "gdfast"}]):
            figure, file = draw(), io.BytesIO()
            date = {"Date": None} if form == "svg" else {}
            figure.savefig(file, format=form, dpi=140, metadata=date)
            pyplot.close(figure)
        kind = "image/svg+xml" if form == "svg" else "image/png"
        uris.append(f"data:{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}")
    light, dark = uris
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{text(words)}"></picture><figcaption>{text(words)}</figcaption></figure>'
    )


def _new_figure(height: float = 3.8) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, height), layout="constrained")
    return figure, figure.subplots()


def _curves(problem: Problem, outcome: Outcome) -> Figure:
    from gdfast.training import stops_early

    figure, axes = _new_figure()
    curves = Curves("", outcome.loss_curve, outcome.held_out_curve, stops=stops_early(problem))
    loss, rows = str(problem.settings.loss), ("training rows", "held-out rows")
    title = f"{problem.settings.target}: error per epoch"
    DescentDisplay([curves], error_label=f"error ({loss_words(loss)})", rows=rows, title=title).plot(axes)
    return figure


def _curves_section(problem: Problem, outcome: Outcome) -> str:
    words = f"Error per epoch on the training rows, {outcome.loss_curve[-1]:.5g} at the end"
    if outcome.held_out_curve is not None:
        words += f", and on the held-out rows, {outcome.held_out_curve[-1]:.5g}"
    return _picture(lambda: _curves(problem, outcome), words + ".")


def _check(problem: Problem, outcome: Outcome) -> tuple[str, str]:
    """Residuals of a regression; of a classification how far its probabilities can be believed, or what it confuses."""
    held_out = problem.held_out
    part, rows = (problem.train, "training") if held_out is None else (held_out, "held-out")
    if not problem.classes:
        return "Residuals", _picture(lambda: _residuals(outcome, part), f"Residuals of the {rows} rows.")
    if has_probabilities(outcome.model):
        words = f"How often it is right, beside how probable it says that is, on the {rows} rows."
        return "Calibration", _picture(lambda: _calibration(outcome, part), words)
    words = f"True and predicted classes of the {rows} rows, shares of the true class."
    return "Confusion", _picture(lambda: _confusion(outcome, part), words)


def _sample(part: Part, most: int, seed: int = 0) -> Part:
    n = len(part.y)
    if n <= most:
        return part
    rows = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    weight, offset = (None if values is None else values[rows] for values in (part.sample_weight, part.offset))
    return Part(part.X[rows], part.y[rows], weight, offset)


def _residuals(outcome: Outcome, part: Part) -> Figure:
    from sklearn.metrics import PredictionErrorDisplay

    figure, axes = _new_figure()
    part = _sample(part, _MOST_POINTS)
    scatter = {"alpha": 0.6, "s": 14, "color": colours(figure)[0], "linewidths": 0}
    PredictionErrorDisplay.from_predictions(
        part.y,
        predict(outcome.model, part),
        kind="residual_vs_predicted",
        subsample=None,
        ax=axes,
        scatter_kwargs=scatter,
        line_kwargs={"color": "0.5"},
    )
    axes.set(xlabel=f"prediction (units of {_short(outcome)})", ylabel="residual: true value − prediction")
    axes.grid(alpha=0.3)
    return figure


def _calibration(outcome: Outcome, part: Part) -> Figure:
    from sklearn.calibration import CalibrationDisplay

    figure, axes = _new_figure(4.4)
    p: Array = probabilities(outcome.model, part.X)
    if p.shape[1] == 2:
        right, said = part.y == 1, p[:, 1]
        labels = f"probability of {_class(outcome, 1)}, as predicted", "share of such rows, as observed"
    else:
        right, said = part.y == p.argmax(axis=1), p.max(axis=1)
        labels = "probability of the predicted class, as predicted", "share of right answers, as observed"
    CalibrationDisplay.from_predictions(
        right.astype(int), said.clip(0.0, 1.0), n_bins=10, strategy="quantile", ax=axes, name="model", ref_line=True
    )
    axes.lines[0].set_color("0.5")  # perfect calibration: drawn black, whatever the background
    axes.lines[1].set_color(colours(figure)[0])
    axes.legend(loc="lower right")
    axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    return figure


def _confusion(outcome: Outcome, part: Part) -> Figure:
    from sklearn.metrics import ConfusionMatrixDisplay

    n = len(outcome.model.classes)
    figure, axes = _new_figure(4.8)
    ConfusionMatrixDisplay.from_predictions(
        part.y,
        predict(outcome.model, part),
        labels=range(n),
        display_labels=[_class(outcome, i) for i in range(n)],
        normalize="true",
        ax=axes,
        cmap="cividis",
        include_values=n <= 12,
        values_format=".2f",
        xticks_rotation=45,
    )
    return figure


def _class(outcome: Outcome, i: int) -> str:
    return short_name(str(outcome.model.classes[i]))


def _short(outcome: Outcome) -> str:
    return short_name(outcome.model.target)


def _surface(problem: Problem, outcome: Outcome) -> str:
    """The descent once more, on a sample if there are many rows, as the estimator goes about it."""
    from gdfast.displays._surface_plot import draw

    sampled = len(problem.train.y) > _SURFACE_ROWS
    display = _surface_display(problem, outcome)
    where = f", on a sample of {_SURFACE_ROWS:,} rows" if sampled else ""
    words = f"The error over two directions of the weights, and the descent on it{where}."
    return _picture(lambda: draw(display, None, "contour", 0, "viridis", stacked=True)[1], words, "png")


def _surface_display(problem: Problem, outcome: Outcome) -> ErrorSurfaceDisplay:
    from sklearn.base import clone

    from gdfast.displays._runs import data_of, record
    from gdfast.displays.surface import draw_up
    from gdfast.training import stops_early

    train = _sample(problem.train, _SURFACE_ROWS, problem.settings.seed)
    given = None if problem.held_out is None else _sample(problem.held_out, _SURFACE_ROWS, problem.settings.seed)
    parts = ("X_val", "y_val", "sample_weight_val", "offset_val")
    held_out = (
        {} if given is None else dict(zip(parts, (given.X, given.y, given.sample_weight, given.offset), strict=True))
    )
    estimator = outcome.model.estimator
    rows: dict[str, Any] = {"sample_weight": train.sample_weight, "offset": train.offset}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the training has given them
        silent = clone(estimator).set_params(callback=None)  # whose bar has gone
        done = record(silent, train.X, train.y, **rows, **(held_out if stops_early(problem) else {}))
    validation = done.validation
    if given is not None and validation is None:
        validation = data_of(done.model._validation_rows(*held_out.values()), suffix="_val")
    if problem.classes:
        done.model.classes_ = np.array(problem.classes, dtype=object)
    return draw_up(
        ErrorSurfaceDisplay,
        {"": done.result},
        done.train,
        validation,
        done.terms,
        names=problem.encoder.features,
        features=None,
        output=0,
        resolution=_GRID,
        limits=None,
        n_threads=estimator.n_threads,
        model=done.model,
    )
