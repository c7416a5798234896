"""Everyone's way to the optimum of one problem: curves of error against time, calls of the contestants in turns."""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.solve.optimum import Optimum
from benchmarks.solve.task import Task
from benchmarks.solve.worker import START, Answer, Died, Offer, Worker, step_label
from benchmarks.timing import PAUSE

__all__ = ["Curve", "Entrant", "Point", "race"]

CLOSE = 1e-7  # relative suboptimality beyond which nobody needs to go on
STALLED = 4  # budgets without a lower error after which the next type of X is tried
PATIENCE = 30  # times gdfast's longest time, or LEAST_TIME, is what others may take in all, within the limit
LEAST_TIME = 5.0


@dataclass
class Point:
    """A budget: the error it comes to, and the time of each call."""

    label: str
    error: float
    seconds: list[float]
    warned: str = ""

    @property
    def time(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.seconds)


@dataclass
class Curve:
    """What a solver did."""

    name: str
    points: list[Point] = field(default_factory=list)
    failed: str = ""

    def summary(self) -> str:
        """A line on what came of it."""
        best = min(self.points, key=lambda point: point.error, default=None)
        reached = f"E = {best.error:.9g} in {best.time:.3g} s ({best.label})" if best else "no answer"
        return f"{self.name}: {reached} {self.failed}".strip()


@dataclass
class Entrant:
    """What a library did, and when."""

    version: str
    note: str
    measured: str
    curves: list[Curve] = field(default_factory=list)


class _Runner:
    """A solver of a library, exploring its budgets."""

    def __init__(self, worker: Worker, index: int, offer: Offer) -> None:
        self.worker, self.index, self.offer = worker, index, offer
        self.curve = Curve(offer.name)
        self.steps: list[tuple[str, Any]] = []  # those that gave a point

    def explore(self, task: Task, goal: float, limit: float) -> None:
        """Once through the budgets, until the goal, the end of time, or the end of progress."""
        used, stalled, skip = 0.0, 0, None
        with contextlib.suppress(Died):
            self.worker.call(self.index, self.offer.steps[0], START, warm_up=True)
        for step in self.offer.steps:
            if step[0] == skip:
                continue
            answer = self._call(step, limit - used)
            used += answer.seconds
            best = min((point.error for point in self.curve.points), default=float("inf"))
            error = float("inf")
            if answer.coef is not None and answer.intercept is not None:
                error = task.error(answer.coef, answer.intercept)
            if error < float("inf"):
                label = step_label(self.offer.knob, step)
                self.curve.points.append(Point(label, error, [answer.seconds], answer.warned))
                self.steps.append(step)
            stalled = 0 if error < best else stalled + 1
            failed = answer.failed or ("" if error < float("inf") else "no finite weights")
            if failed:
                self.curve.failed = f"{step_label(self.offer.knob, step)}: {failed}"
            if error <= goal or used >= limit:
                return
            if stalled >= STALLED:
                skip, stalled = step[0], 0

    def repeat(self, longest: float) -> None:
        """Another turn of every budget that does not take too long."""
        for step, point in zip(self.steps, self.curve.points, strict=True):
            if point.seconds[0] <= longest:
                answer = self._call(step, 10 * longest)
                if not answer.failed:
                    point.seconds.append(answer.seconds)

    def _call(self, step: tuple[str, Any], timeout: float) -> Answer:
        start = time.perf_counter()
        try:
            answer = self.worker.call(self.index, step, timeout)
        except Died as died:
            answer = Answer(time.perf_counter() - start, failed=str(died))
        if answer.seconds > 0.01:
            time.sleep(PAUSE)
        return answer


def race(
    task: Task, modules: dict[str, str], optimum: Optimum, *, repeats: int, limit: float, folder: pathlib.Path
) -> tuple[dict[str, Entrant], dict[str, str]]:
    """Let the libraries run.

    Parameters
    ----------
    task : Task
    modules : dict
        Adapter's module by name of the library; the first sets the pace.
    optimum : Optimum
        Nobody goes much nearer than need be.
    repeats : int
        Rounds, the first of which explores the budgets.
    limit : float
        Most seconds that a solver may take to explore its budgets.
    folder : Path
        For what the libraries print.

    Returns
    -------
    entrants, missing : dict, dict
        By name: what each library did; why those that took no part could not.
    """
    goal = optimum.error + CLOSE * optimum.scale
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    entrants: dict[str, Entrant] = {}
    missing: dict[str, str] = {}
    runners: list[_Runner] = []
    with contextlib.ExitStack() as workers:
        pace = limit
        for name, module in modules.items():
            worker = workers.enter_context(Worker(module, task, folder / f"log-{name}.txt"))
            try:
                listing = worker.start()
            except Died as died:
                missing[name] = str(died)
                continue
            if listing.missing:
                missing[name] = listing.missing
                continue
            mine = [_Runner(worker, index, offer) for index, offer in enumerate(listing.offers)]
            for runner in mine:
                runner.explore(task, goal, pace)
                print(f"  {name} {runner.curve.summary()}", flush=True)
            entrants[name] = Entrant(listing.version, listing.note, now, [runner.curve for runner in mine])
            runners += mine
            if len(entrants) == 1:
                pace = min(limit, max(LEAST_TIME, PATIENCE * _longest(runners)))
        for _ in range(1, repeats):
            for runner in runners:
                runner.repeat(pace)
    return entrants, missing


def _longest(runners: Iterable[_Runner]) -> float:
    return max((point.seconds[0] for runner in runners for point in runner.curve.points), default=LEAST_TIME)
