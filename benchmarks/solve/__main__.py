"""Run the race: `python -m benchmarks.solve --problems a9a,mnist --libraries gdfast,glum --scale small`.

Results of earlier runs are kept, so that parts add up; `--report` writes the page from them alone.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable

from benchmarks.machine import facts
from benchmarks.solve import optimum, page, race
from benchmarks.solve.libraries import LIBRARIES
from benchmarks.solve.problems import PROBLEMS
from benchmarks.solve.results import GOALS, Result, load, save
from benchmarks.solve.task import Problem, Task

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCALES = {"full": 1.0, "small": 0.01}


def main(arguments: list[str] | None = None) -> int:
    """Race, keep the results, write the report."""
    options = _options(arguments)
    folder: pathlib.Path = options.out / options.scale
    folder.mkdir(parents=True, exist_ok=True)
    for name in [] if options.report else options.problems:
        try:
            task = PROBLEMS[name].make(SCALES[options.scale])
        except FileNotFoundError as error:
            print(f"{name}: left out: {error}")
            continue
        result = _run(PROBLEMS[name], task, options, folder)
        save(folder / f"{name}.json", result)
        print(_line(name, load(folder / f"{name}.json")), flush=True)
    results = {name: load(folder / f"{name}.json") for name in PROBLEMS if (folder / f"{name}.json").exists()}
    target = ROOT / "docs" / "solve.md" if options.scale == "full" else folder / "solve.md"
    page.write(results, target)
    print(f"written: {target}")
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    def some_of(known: tuple[str, ...]) -> Callable[[str], list[str]]:
        def parse(text: str) -> list[str]:
            names = text.split(",")
            if strange := [name for name in names if name not in known]:
                raise argparse.ArgumentTypeError(f"must be some of {', '.join(known)}; got {', '.join(strange)}")
            return names

        return parse

    parser = argparse.ArgumentParser(prog="python -m benchmarks.solve", description=__doc__.split("\n")[0])
    problems, libraries = tuple(PROBLEMS), LIBRARIES
    parser.add_argument("--problems", type=some_of(problems), default=problems, help=", ".join(problems))
    parser.add_argument("--libraries", type=some_of(libraries), default=libraries, help=", ".join(libraries))
    parser.add_argument("--repeats", type=int, default=3, help="rounds; times are medians over them")
    parser.add_argument("--limit", type=float, default=60.0, help="most seconds of a solver's way through its budgets")
    parser.add_argument("--scale", choices=SCALES, default="full", help="small: a hundredth of the rows")
    kept = ROOT / ".benchmarks" / "solve"
    parser.add_argument("--out", type=pathlib.Path, default=kept, help="where results are kept")
    parser.add_argument("--report", action="store_true", help="write the report from the results there are")
    return parser.parse_args(arguments)


def _run(problem: Problem, task: Task, options: argparse.Namespace, folder: pathlib.Path) -> Result:
    print(f"{problem.name}: X {_rows(task)}", flush=True)
    best = optimum.find(problem, task, folder)
    modules = {name: f"benchmarks.solve.libraries.{name}" for name in LIBRARIES if name in options.libraries}
    entrants, missing = race.race(task, modules, best, repeats=options.repeats, limit=options.limit, folder=folder)
    return Result(_rows(task), facts(), best, entrants, missing)


def _rows(task: Task) -> str:
    n, d = task.X.shape
    kind = f"sparse, {task.X.nnz / n:.3g} entries a row, " if task.sparse else ""
    classes = f", {task.n_outputs} classes" if task.n_outputs > 1 else ""
    return f"{n:,} x {d:,} {kind}{task.X.dtype}{classes}"


def _line(name: str, result: Result) -> str:
    parts = [name]
    for goal in GOALS:
        ours, best = result.ours(goal), result.best_other(goal)
        mine = f"{ours.seconds:.4g} s" if ours else "not there"
        theirs = f"{best.name} {best.seconds:.4g} s" if best else "nobody else"
        ratio = f" {best.seconds / ours.seconds:.2f}x" if ours and best else ""
        parts.append(f"to {goal:g}: gdfast {mine}, {theirs}{ratio}")
    return "; ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
