"""Run the race: `python -m benchmarks.solve --problems a9a,mnist --libraries gdfast,glum --scale small`.

Results of earlier runs are kept, so that parts add up: `--resume` goes on where a run ended, `--report` writes the page
from what there is. `--optima` looks for the optima alone; that takes long, but no time is taken, so that the machine
need not be quiet for it.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys
import time
from collections.abc import Callable

from threadpoolctl import threadpool_limits

from benchmarks.machine import facts
from benchmarks.solve import optimum, page, race
from benchmarks.solve.libraries import LIBRARIES
from benchmarks.solve.problems import PROBLEMS
from benchmarks.solve.results import GOALS, Result, load, save
from benchmarks.solve.task import Problem, Task
from benchmarks.solve.worker import Worker

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = ROOT / ".benchmarks" / "solve"
SCALES = {"full": 1.0, "small": 0.01}


def main(arguments: list[str] | None = None) -> int:
    """Race, keep the results, write the report."""
    options = _options(arguments)
    folder: pathlib.Path = options.out / options.scale
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(threadpool_limits(1))  # threads of this process's BLAS would spin beside the contestants
        workers = {
            name: stack.enter_context(Worker(f"benchmarks.solve.libraries.{name}", folder / f"log-{name}.txt"))
            for name in LIBRARIES
            if name in options.libraries
        }
        for name in [] if options.report else options.problems:
            if not (options.resume and (folder / f"{name}.json").exists()):
                _run(PROBLEMS[name], workers, options, folder)
    if options.optima:
        return 0
    results = {name: load(folder / f"{name}.json") for name in PROBLEMS if (folder / f"{name}.json").exists()}
    target = ROOT / "docs" / "solve.md" if folder == KEPT / "full" else folder / "solve.md"
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
    parser.add_argument("--repeats", type=int, default=5, help="rounds; the best times are medians over them")
    parser.add_argument("--limit", type=float, default=60.0, help="most seconds of a solver's way through its budgets")
    parser.add_argument("--scale", choices=SCALES, default="full", help="small: a hundredth of the rows")
    parser.add_argument("--out", type=pathlib.Path, default=KEPT, help="where results are kept; the page too, if given")
    parser.add_argument("--optima", action="store_true", help="find the optima, time nobody")
    parser.add_argument("--resume", action="store_true", help="only problems that there is no result of")
    parser.add_argument("--report", action="store_true", help="write the report from the results there are")
    return parser.parse_args(arguments)


def _run(problem: Problem, workers: dict[str, Worker], options: argparse.Namespace, folder: pathlib.Path) -> None:
    start = time.perf_counter()
    try:
        task = problem.make(SCALES[options.scale])
    except FileNotFoundError as error:
        print(f"{problem.name}: left out: {error}")
        return
    print(f"{problem.name}: X {_rows(task)}", flush=True)
    best = optimum.find(problem, task, folder)
    if not options.optima:
        rules = {"repeats": options.repeats, "limit": options.limit, "judge": problem.judge}
        entrants, missing = race.race(task, workers, best, **rules)
        kept = folder / f"{problem.name}.json"
        save(kept, Result(_rows(task), facts(), best, entrants, missing))
        print(_line(problem.name, load(kept)))
    print(f"  {time.perf_counter() - start:.0f} s", flush=True)


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
