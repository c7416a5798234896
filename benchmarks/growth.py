"""How cost grows: `python -m benchmarks.growth [--axes rows,columns,classes,condition,steps] [--scale small]`.

Whole calls of `gradient_descent`, solver `auto`, on rows made up: time and passes over X against one quantity at a
time, and the powers of it that fit the times best. Writes a table and a picture for each axis into
docs/performance.md; at small scale into a folder of its own.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gdfast
from benchmarks import THREADS
from benchmarks.machine import facts
from benchmarks.report import put, table
from benchmarks.solve.problems.synthetic import ill_conditioned, rows_of
from gdfast import _core

__all__ = ["AXES", "exponent", "main"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCALES = {"full": 1.0, "small": 0.001}
TOL = 1e-6
ENOUGH, MOST_CALLS = 1.0, 7  # a call is repeated until that has taken so many seconds, or so often
LONG = 15.0  # seconds: beyond a call that took longer an axis is not gone along
N_CLASSES = 5

Array = NDArray[Any]


# ---- what is solved --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """A kind of problem: its targets from scores (n, k), and what `gradient_descent` is told."""

    name: str
    target: Callable[[np.random.Generator, Array], Array]
    loss: str
    alpha: float = 1e-3
    l1_ratio: float = 0.0


def _numbers(rng: np.random.Generator, Z: Array) -> Array:
    return Z[:, 0] + rng.standard_normal(len(Z), dtype=np.float32)


def _two_classes(rng: np.random.Generator, Z: Array) -> Array:
    return (Z[:, 0] + rng.logistic(size=len(Z)) > 0).astype(np.int64)


def _classes(rng: np.random.Generator, Z: Array) -> Array:
    """Drawn by softmax, some rows at a time: the noise takes a double for each score."""
    parts = (Z[at : at + 2**18] for at in range(0, len(Z), 2**18))
    return np.concatenate([np.argmax(part + rng.gumbel(size=part.shape), axis=1) for part in parts])


SOFTMAX = Model("softmax", _classes, "log_loss")
MODELS = (
    Model("squared error", _numbers, "squared_error"),
    Model("logistic", _two_classes, "log_loss"),
    SOFTMAX,
    Model("logistic, L1", _two_classes, "log_loss", l1_ratio=1.0),
)


def _even(n: int, d: int, k: int) -> tuple[Array, Array]:
    """X (n, d) float32 with columns of one unit; scores (n, k) of standard deviation 1."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    return X, X @ (rng.standard_normal((d, k)) / math.sqrt(d)).astype(np.float32)


def _ill(n: int, d: int, k: int, condition: float) -> tuple[Array, Array]:
    """X (n, d) float64, its covariance of that condition number; scores as above."""
    rng = np.random.default_rng(0)
    X = ill_conditioned(rng, n, d, condition)
    Z = X @ rng.standard_normal((d, k))
    return X, Z / Z.std(axis=0)


# ---- along an axis ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """At one place of an axis: the median time of some calls, how often each read X, whether it came to the end."""

    at: float
    seconds: float
    passes: int
    converged: bool


@dataclass(frozen=True)
class Axis:
    """A quantity and its places; data(place, scale) makes X and the scores."""

    title: str
    symbol: str
    text: str
    places: Sequence[float]
    data: Callable[[float, float], tuple[Array, Array]]
    models: Sequence[Model] = MODELS
    penalty: bool = True

    def run(self, scale: float) -> dict[str, list[Measured]]:
        """Measure the models at each place; one that takes too long goes no further."""
        curves: dict[str, list[Measured]] = {model.name: [] for model in self.models}
        for place in self.places if scale == 1 else self.places[:3]:
            X, Z = self.data(place, scale)
            for model in self.models:
                curve = curves[model.name]
                if not curve or curve[-1].seconds <= LONG:
                    y = model.target(np.random.default_rng(1), Z)
                    curve.append(_measure(place, X, y, model, self.penalty))
                    print(f"  {self.symbol} = {place:g}, {model.name}: {_seconds(curve[-1].seconds)}", flush=True)
        return curves


def _measure(place: float, X: Array, y: Array, model: Model, penalty: bool) -> Measured:
    alpha = model.alpha if penalty or model.l1_ratio else 0.0
    options: dict[str, Any] = {"loss": model.loss, "alpha": alpha, "l1_ratio": model.l1_ratio, "n_threads": THREADS}
    times: list[float] = []
    while not times or (sum(times) < ENOUGH and len(times) < MOST_CALLS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what has not converged: the page says so
            start = time.perf_counter()
            result = gdfast.gradient_descent(X, y, solver="auto", tol=TOL, **options)
            times.append(time.perf_counter() - start)
    return Measured(place, statistics.median(times), result.n_passes, result.converged)


def _places(first: float, last: float, per_decade: int) -> list[float]:
    """Powers of ten and what is between them, rounded to a digit."""
    count = round(math.log10(last / first) * per_decade)
    return [float(f"{first * 10 ** (i / per_decade):.1g}") for i in range(count + 1)]


AXES = {
    "rows": Axis(
        "Rows",
        "n",
        f"20 columns; softmax of {N_CLASSES} classes.",
        _places(1e3, 1e7, 2),
        lambda n, scale: _even(int(n), 20, N_CLASSES),
    ),
    "columns": Axis(
        "Columns",
        "d",
        f"20 000 rows; softmax of {N_CLASSES} classes. [Methods change](solvers.md) along the way.",
        _places(10, 1e4, 2),
        lambda d, scale: _even(rows_of(20_000, scale), int(d), N_CLASSES),
    ),
    "classes": Axis(
        "Classes",
        "k",
        "50 000 rows, 30 columns.",
        (2, 3, 5, 10, 20, 50, 100),
        lambda k, scale: _even(rows_of(50_000, scale), 30, int(k)),
        models=(SOFTMAX,),
    ),
    "condition": Axis(
        "Condition number",
        "condition number",
        "Of the covariance of 50 columns, in no direction of its own; 50 000 rows of float64; no penalty but L1.",
        _places(1, 1e8, 1),
        lambda condition, scale: _ill(rows_of(50_000, scale), 50, N_CLASSES, condition),
        penalty=False,
    ),
}


# ---- a step of squared error -----------------------------------------------------------------------------------------

STEPS_TEXT = """Elastic nets at ever more strengths of the penalty, 50 columns, condition number 1e4: one read of X for
their second moments, then steps on these alone. The time of a step is the slope of the times of grids of 100, 1000 and
2000 strengths over the steps that they made; the rest is the read and what comes with it."""
STRENGTHS = (100, 1000, 2000)
STEPS_ROUNDS = 5


def _steps(n: int) -> tuple[float, float]:
    """Seconds of a step, and those of all else."""
    X, Z = _ill(n, 50, 1, 1e4)
    y = _numbers(np.random.default_rng(1), Z)
    problem = _core.Problem(X, y, loss="squared_error")
    most = float(np.abs((X - X.mean(axis=0)).T @ (y - y.mean())).max()) / n
    times: dict[int, list[float]] = {count: [] for count in STRENGTHS}
    steps = {}
    for _ in range(STEPS_ROUNDS):
        for count, seen in times.items():
            strengths = most * np.geomspace(1.0, 1e-4, count)
            grid = _core.Grid(problem, [{"loss": "squared_error", "l1": a / 2, "l2": a / 2} for a in strengths])
            start = time.perf_counter()
            report = _core.descend_grid(grid, max_iter=1000, tol=1e-10, n_threads=THREADS)[1]
            seen.append(time.perf_counter() - start)
            steps[count] = float(report["n_iter"].sum())
    slope, rest = np.polyfit(list(steps.values()), [statistics.median(seen) for seen in times.values()], 1)
    return float(slope), float(rest)


def _steps_part(scale: float) -> str:
    places = _places(1e3, 1e6, 1)[: None if scale == 1 else 2]
    found = [_steps(int(n)) for n in places]
    rows = [[f"{n:,.0f}", _seconds(each), _seconds(rest)] for n, (each, rest) in zip(places, found, strict=True)]
    power = _power(exponent(places, [each for each, _ in found]))
    law = f"A step takes a time that grows as n to the power of {power}."
    return "\n\n".join([STEPS_TEXT, _machine("steps"), table(("n", "a step", "all else"), rows), law])


# ---- powers, tables, pictures ----------------------------------------------------------------------------------------


def exponent(places: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """The power p of seconds = c places^p by least squares of the logarithms, and its standard error.

    Parameters
    ----------
    places, seconds : sequences of float
        At least two of each, > 0.

    Returns
    -------
    power, error : float, float
        The error is NaN where two points leave none.

    Examples
    --------
    >>> power, error = exponent([1, 10, 100], [3, 30, 300])
    >>> round(power, 6), error < 1e-6
    (1.0, True)
    """
    x, y = np.log(places), np.log(np.maximum(seconds, 1e-12))
    x, y = x - x.mean(), y - y.mean()
    power = float(x @ y / (x @ x))
    if len(x) < 3:
        return power, math.nan
    left = y - power * x
    return power, math.sqrt(float(left @ left) / (len(x) - 2) / float(x @ x))


def _upper(curve: Sequence[Measured]) -> Sequence[Measured]:
    """The upper half of an axis, its middle included."""
    return curve[len(curve) // 2 :] if len(curve) > 3 else curve


def _exponent(curve: Sequence[Measured]) -> str:
    if len(curve) < 2:
        return ""
    return _power(exponent([point.at for point in curve], [point.seconds for point in curve]))


def _power(found: tuple[float, float]) -> str:
    return f"{found[0]:.2f} ± {found[1]:.2f}"


def _seconds(value: float) -> str:
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def _machine(name: str) -> str:
    return f"Measured on {facts()}: `python -m benchmarks.growth --axes {name}`"


def _part(name: str, axis: Axis, curves: dict[str, list[Measured]], picture: str) -> str:
    """Text, table and picture of an axis."""
    columns = ("", f"{axis.symbol} from, to", "time from, to", "passes from, to", "power, upper half", "power, whole")
    rows = []
    for model, curve in curves.items():
        ends = (curve[0], curve[-1])
        rows.append([
            model,
            ", ".join(f"{point.at:,.0f}" if point.at < 1e7 else f"{point.at:.0e}" for point in ends),
            ", ".join(_seconds(point.seconds) for point in ends),
            ", ".join(f"{point.passes:g}" for point in ends),
            _exponent(_upper(curve)),
            _exponent(curve),
        ])  # fmt: skip
    parts = [axis.text, _machine(name), table(columns, rows), _unfinished(axis, curves), f"![{axis.title}]({picture})"]
    return "\n\n".join(part for part in parts if part)


def _unfinished(axis: Axis, curves: dict[str, list[Measured]]) -> str:
    """Where fits ended before they were within tol, and which curves were broken off."""
    said = []
    for model, curve in curves.items():
        if short := [f"{point.at:g}" for point in curve if not point.converged]:
            said.append(f"- {model} did not converge at {axis.symbol} = {', '.join(short)}.")
        if curve[-1].seconds > LONG:
            last = f"{axis.symbol} = {curve[-1].at:g}, which took {_seconds(curve[-1].seconds)}"
            said.append(f"- {model} was not taken further than {last}.")
    return "\n".join(said)


def _draw(axis: Axis, curves: dict[str, list[Measured]], path: pathlib.Path) -> None:
    """Time against place as SVG, both on logarithmic scales."""
    import matplotlib
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "gdfast", "font.size": 9}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(6.5, 3.6), layout="constrained")
        ax = figure.subplots()
        for (model, curve), marker in zip(curves.items(), "os^D", strict=False):
            ax.plot([point.at for point in curve], [point.seconds for point in curve], marker + "-", label=model, ms=4)
        ax.set(xscale="log", yscale="log", xlabel=axis.symbol, ylabel="seconds of a fit", title=axis.title)
        ax.grid(which="major", color="0.9")
        ax.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


# ---- the command -----------------------------------------------------------------------------------------------------


def _options(arguments: list[str] | None) -> argparse.Namespace:
    names = (*AXES, "steps")

    def some_of(text: str) -> list[str]:
        if strange := [name for name in text.split(",") if name not in names]:
            raise argparse.ArgumentTypeError(f"must be some of {', '.join(names)}; got {', '.join(strange)}")
        return text.split(",")

    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.split("\n")[0])
    parser.add_argument("--axes", type=some_of, default=list(names), help=", ".join(names))
    parser.add_argument("--scale", choices=SCALES, default="full", help="small: the first places, few rows")
    kept = ROOT / ".benchmarks" / "growth"
    parser.add_argument("--out", type=pathlib.Path, default=kept, help="where a small run writes its page")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and write what was measured."""
    options = _options(arguments)
    folder: pathlib.Path = ROOT / "docs" if options.scale == "full" else options.out
    (folder / "growth").mkdir(parents=True, exist_ok=True)
    for name in options.axes:
        start = time.perf_counter()
        print(name, flush=True)
        if name == "steps":
            part = _steps_part(SCALES[options.scale])
        else:
            curves = AXES[name].run(SCALES[options.scale])
            _draw(AXES[name], curves, folder / "growth" / f"{name}.svg")
            part = _part(name, AXES[name], curves, f"growth/{name}.svg")
        put({f"growth_{name}": part}, folder / "performance.md")
        print(f"  {time.perf_counter() - start:.0f} s", flush=True)
    print(f"written: {folder / 'performance.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
