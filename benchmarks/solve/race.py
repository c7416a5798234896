"""Everyone's way to the optimum of one problem: curves of error against time, calls of the contestants in turns."""

from __future__ import annotations

import contextlib
import datetime
import math
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.solve.optimum import Optimum
from benchmarks.solve.task import Task
from benchmarks.solve.worker import Answer, Died, Offer, TooLong, Worker, step_label
from benchmarks.timing import PAUSE

__all__ = ["GOALS", "Curve", "Entrant", "Point", "race"]

GOALS = (1e-3, 1e-6)
CLOSE = 0.5 * GOALS[-1]  # relative suboptimality beyond which nobody needs to go on
STALLED = 4  # budgets without a lower error after which the next type of X is tried
PATIENCE = 30  # times gdfast's longest time is what others may take in all while none of them has come to the goals;
BEHIND = 4  # times the best other's time is what a call may take once one has, and twice that all calls
LEAST_CALL, LEAST_TIME = 1.0, 4.0  # seconds that any call may take, and all calls of any solver
CONTENDS = 3  # times the best time to a goal, in the first round: who comes there within that runs again
WARM_UP = 60.0  # seconds for what a library compiles at run time


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


class _Lead:
    """The best times of the first round to the goals, of gdfast and of all others."""

    def __init__(self, optimum: Optimum, limit: float) -> None:
        self.optimum, self.limit = optimum, limit
        self.best = {ours: dict.fromkeys(GOALS, math.inf) for ours in (True, False)}
        self.longest = 0.0  # of gdfast's calls

    def reached(self, point: Point) -> list[float]:
        """The goals that a point comes to."""
        return [goal for goal in GOALS if self.optimum.suboptimality(point.error) <= goal]

    def note(self, point: Point, ours: bool) -> None:
        """Somebody has made a point."""
        if ours:
            self.longest = max(self.longest, point.seconds[0])
        best = self.best[ours]
        for goal in self.reached(point):
            best[goal] = min(best[goal], point.seconds[0])

    def other(self) -> float:
        """The best time of another library to all goals: what takes longer cannot become the best time to any."""
        return max(self.best[False].values())

    def patience(self, most: float) -> tuple[float, float]:
        """Seconds that a call of another library may take, and all calls of one solver."""
        best = self.other()
        if best == math.inf:
            return most, most
        call = min(BEHIND * best, max(1.5 * best, most))
        in_all = min(2 * BEHIND * best, max(2.0 * best, most))
        return max(LEAST_CALL, min(self.limit, call)), max(LEAST_TIME, min(self.limit, in_all))

    def contends(self, point: Point, ours: bool) -> bool:
        """Whether it could be the best time to a goal, but for chance."""
        return any(point.seconds[0] <= CONTENDS * self.best[ours][goal] for goal in self.reached(point))


class _Runner:
    """A solver of a library on its way through its budgets."""

    def __init__(self, library: str, worker: Worker, index: int, offer: Offer, ours: bool) -> None:
        self.library, self.worker, self.index, self.offer, self.ours = library, worker, index, offer, ours
        self.curve = Curve(offer.name)
        self.steps: list[tuple[str, Any]] = []  # those that gave a point

    @property
    def name(self) -> tuple[str, str]:
        """Library and solver."""
        return self.library, self.offer.name

    def explore(self, task: Task, lead: _Lead, most: float) -> None:
        """Once through the budgets, until the goals, the end of patience, or the end of progress."""
        used, stalled, skip, best = 0.0, 0, None, math.inf
        with contextlib.suppress(Died):
            self.worker.call(self.index, self.offer.steps[0], WARM_UP, warm_up=True)
        for step, after in zip(self.offer.steps, [*self.offer.steps[1:], None], strict=True):
            if step[0] == skip:
                continue
            of_a_call, in_all = (most, most) if self.ours else lead.patience(most)
            answer, in_time = self._call(step, min(of_a_call, max(LEAST_CALL, in_all - used)))
            used += answer.seconds
            error = self._judge(task, step, answer)
            if error < math.inf:
                lead.note(self.curve.points[-1], self.ours)
            if lead.optimum.suboptimality(error) <= CLOSE or not in_time:
                return
            stalled = 0 if error < best else stalled + 1
            best = min(best, error)
            if stalled >= STALLED:
                skip, stalled = step[0], 0
            if after and (
                used + answer.seconds > in_all or self._is_late(answer.seconds, step, after, of_a_call, lead)
            ):
                self.curve.failed = f"stopped before {step_label(self.offer.knob, after)}"
                return

    def _judge(self, task: Task, step: tuple[str, Any], answer: Answer) -> float:
        """Make a point of an answer, or note what went wrong. Returns its error, infinite if there is none."""
        error = math.inf
        if answer.coef is not None and answer.intercept is not None:
            error = task.error(answer.coef, answer.intercept)
        label = step_label(self.offer.knob, step)
        if error < math.inf:
            self.curve.points.append(Point(label, error, [answer.seconds], answer.warned))
            self.steps.append(step)
            return error
        self.curve.failed = f"{label}: {answer.failed or 'no finite weights'}"
        return math.inf

    def _is_late(self, seconds: float, step: tuple[str, Any], after: tuple[str, Any], most: float, lead: _Lead) -> bool:
        """Whether the next budget would take too long: iterations by their number, tolerances at least as long."""
        if isinstance(step[1], int) and after[1] > step[1]:
            return bool(seconds * after[1] / step[1] > most)
        return not self.ours and seconds > max(0.5 * LEAST_CALL, 0.5 * BEHIND * lead.other())

    def repeat(self, lead: _Lead, most: float) -> None:
        """Another turn of the budgets that could give a best time."""
        for step, point in zip(self.steps, self.curve.points, strict=True):
            if lead.contends(point, self.ours):
                answer, _ = self._call(step, most)
                if not answer.failed:
                    point.seconds.append(answer.seconds)
                if answer.seconds > 0.01:
                    time.sleep(PAUSE)

    def _call(self, step: tuple[str, Any], timeout: float) -> tuple[Answer, bool]:
        """What came of a call, and whether it ended by itself."""
        start = time.perf_counter()
        try:
            return self.worker.call(self.index, step, timeout), True
        except Died as died:
            return Answer(time.perf_counter() - start, failed=str(died)), not isinstance(died, TooLong)


def race(
    task: Task,
    workers: dict[str, Worker],
    optimum: Optimum,
    *,
    repeats: int,
    limit: float,
    judge: tuple[str, str] = ("", ""),
) -> tuple[dict[str, Entrant], dict[str, str]]:
    """Let the libraries run.

    Parameters
    ----------
    task : Task
    workers : dict
        Processes of the libraries by name; the first sets the pace.
    optimum : Optimum
        Nobody goes much nearer than need be.
    repeats : int
        Rounds. In the first all explore their budgets; in the others those run that could give a best time.
    limit : float
        Most seconds that a solver may take to explore its budgets.
    judge : tuple of two str
        Library and solver that are known to come to the optimum: they go first, and set bounds to the others.

    Returns
    -------
    entrants, missing : dict, dict
        By name: what each library did; why those that took no part could not.
    """
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    entrants: dict[str, Entrant] = {}
    missing: dict[str, str] = {}
    runners: list[_Runner] = []
    for name, worker in workers.items():
        try:
            listing = worker.take(task)
        except Died as died:
            missing[name] = str(died)
            continue
        if listing.missing:
            missing[name] = listing.missing
            continue
        mine = [_Runner(name, worker, index, offer, not entrants) for index, offer in enumerate(listing.offers)]
        entrants[name] = Entrant(listing.version, listing.note, now, [runner.curve for runner in mine])
        runners += mine
    lead, before = _Lead(optimum, limit), ""
    for runner in sorted(runners, key=lambda runner: (not runner.ours, runner.name != judge)):
        if runner.library != before:
            time.sleep(PAUSE)
        free = runner.ours or runner.name == judge
        runner.explore(task, lead, limit if free else min(limit, max(LEAST_TIME, PATIENCE * lead.longest)))
        before = runner.library
        print(f"  {runner.library} {runner.curve.summary()}", flush=True)
    for _ in range(1, repeats):
        for runner in runners:
            runner.repeat(lead, limit)
    return entrants, missing
