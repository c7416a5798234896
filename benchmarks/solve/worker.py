"""A process per library: takes one task after another, times calls, and may hang or crash without harm to others."""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.metadata
import logging
import multiprocessing
import os
import pathlib
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import THREADS
from benchmarks.solve.library import Library, Solver
from benchmarks.solve.task import Task

__all__ = ["Answer", "Died", "Listing", "Offer", "TooLong", "Worker", "step_label"]

SHORT = 0.05  # seconds: a call that takes less is repeated, and the median counts
WARM_UP_ROWS = 300
MOST_DENSE = 2**31  # bytes that a sparse matrix may have when made dense
START = 180.0  # seconds to import a library and to look at a task


@dataclass(frozen=True)
class Offer:
    """A solver as the parent sees it: its name and steps, from loose to tight, each a type of X and a budget."""

    name: str
    steps: list[tuple[str, Any]]
    knob: str


@dataclass(frozen=True)
class Listing:
    """What a library has for the task, or why it cannot be used."""

    missing: str = ""
    version: str = ""
    note: str = ""
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came of a call: weights, or what went wrong instead."""

    seconds: float
    coef: NDArray[np.float64] | None = None
    intercept: NDArray[np.float64] | None = None
    warned: str = ""
    failed: str = ""


class Died(Exception):
    """The process ended."""


class TooLong(Died):
    """It was ended because it took too long."""


def step_label(knob: str, step: tuple[str, Any]) -> str:
    """How a step reads in a report."""
    dtype, budget = step
    value = f"{budget:g}" if isinstance(budget, float | int) else str(budget)
    return " ".join(part for part in (dtype, knob, value if knob else "") if part)


class Worker:
    """The parent's end of the process of one library.

    Parameters
    ----------
    module : str
        Of the adapter.
    log : Path
        Where what the library prints goes.
    """

    def __init__(self, module: str, log: pathlib.Path) -> None:
        self.module, self.log = module, log
        self._process: Any = None
        self._connection: Any = None
        self._task: Task | None = None
        self.listing = Listing()

    def take(self, task: Task) -> Listing:
        """Hand over a task, in place of the one before; says what the library offers for it."""
        self._task = task
        if self.listing.missing:
            return self.listing
        if self._process is None:
            spawn = multiprocessing.get_context("spawn")
            self._connection, theirs = spawn.Pipe()
            self._process = spawn.Process(target=_serve, args=(theirs, self.module, self.log), daemon=True)
            self._process.start()
            theirs.close()
        self.listing = self._ask(task, START)
        if self.listing.missing:
            self.stop()
        return self.listing

    def call(self, solver: int, step: tuple[str, Any], timeout: float, *, warm_up: bool = False) -> Answer:
        """One complete call; `Died` if there is no answer in time."""
        if self._process is None and self._task is not None:
            self.take(self._task)
        answer: Answer = self._ask((solver, step, warm_up), timeout)
        return answer

    def _ask(self, message: Any, timeout: float) -> Any:
        try:
            self._connection.send(message)
            if self._connection.poll(timeout):
                return self._connection.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            self.stop()
            raise Died(f"the process ended with code {code}") from None
        self.stop()
        raise TooLong(f"stopped after {timeout:.3g} s")

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
            self._process = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


# ---- the other end -------------------------------------------------------------------------------


def _serve(connection: Connection, module: str, log: pathlib.Path) -> None:
    """Answer until the parent is gone: tasks with what there is for them, solvers and steps with calls."""
    with contextlib.suppress(EOFError):
        _redirect_output(log)
        task: Task = connection.recv()
        try:
            library: Library = importlib.import_module(module)
        except ImportError as error:
            connection.send(Listing(missing=f"{type(error).__name__}: {error}"))
            return
        while True:
            solvers = [solver for solver in library.solvers(task) if _possible(solver, task)]
            offers = tuple(Offer(solver.name, _steps(solver, task), solver.knob) for solver in solvers)
            connection.send(Listing(version=_version(library.PACKAGE), note=library.NOTE, offers=offers))
            few = task.share(0, least=WARM_UP_ROWS)
            while not isinstance(message := connection.recv(), Task):
                index, step, warm_up = message
                connection.send(_timed(solvers[index], few if warm_up else task, step, log))
            task = message


def _redirect_output(log: pathlib.Path) -> None:
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(target, stream)
    os.close(target)


def _version(package: str) -> str:
    """Of the distribution, or of a module that is used from its folder without being installed."""
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{package} {importlib.import_module(package).__version__}"


def _possible(solver: Solver, task: Task) -> bool:
    return solver.sparse or not task.sparse or 8 * task.X.shape[0] * task.X.shape[1] <= MOST_DENSE


def _steps(solver: Solver, task: Task) -> list[tuple[str, Any]]:
    """Budgets in each type of X, but for those that hold less than X does, if there are others."""
    exact = [name for name in solver.types if np.can_cast(task.X.dtype, name)]
    return [(name, budget) for name in (exact or solver.types or ("",)) for budget in solver.budgets]


def _timed(solver: Solver, task: Task, step: tuple[str, Any], log: pathlib.Path) -> Answer:
    """Several calls if they are short, their median time, the weights of the last."""
    times: list[float] = []
    gc.collect()
    with _noticed(log) as seen:
        try:
            while not times or (sum(times) < SHORT and len(times) < 9):
                start = time.perf_counter()
                coef, intercept = _fit(solver, task, *step)
                times.append(time.perf_counter() - start)
        except MemoryError:
            return Answer(time.perf_counter() - start, failed="MemoryError")
        except Exception as error:  # whatever a foreign library raises is its result
            first = str(error).strip().split("\n")[0]
            return Answer(time.perf_counter() - start, failed=f"{type(error).__name__}: {first}"[:200])
    coef, intercept = np.asarray(coef, dtype=float), np.asarray(intercept, dtype=float)
    return Answer(statistics.median(times), coef, intercept, warned=seen[0] if seen else "")


def _fit(solver: Solver, task: Task, dtype: str, budget: Any) -> tuple[Any, Any]:
    """One call: X in the type and units that the solver wants, weights of X as it is."""
    if not dtype:
        return solver.fit(task, budget)
    converted = task.converted(dtype, dense=not solver.sparse)
    coef, intercept = solver.fit(converted, budget)
    return np.asarray(coef, dtype=float) / task.unit, intercept


class _Records(logging.Handler):
    def __init__(self, seen: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage().strip().split("\n")[0])


@contextlib.contextmanager
def _noticed(log: pathlib.Path) -> Iterator[list[str]]:
    """First lines of warnings, however a library gives them: as Python's, logged, or printed."""
    from threadpoolctl import threadpool_limits

    seen: list[str] = []
    handler = _Records(seen)
    logging.getLogger().addHandler(handler)
    printed = log.stat().st_size
    try:
        with warnings.catch_warnings(record=True) as caught, threadpool_limits(THREADS):
            warnings.simplefilter("always")
            yield seen
    finally:
        logging.getLogger().removeHandler(handler)
    seen += [f"{w.category.__name__}: {str(w.message).strip().splitlines()[0]}" for w in caught]
    with log.open("rb") as stream:
        stream.seek(printed)
        lines = stream.read(100_000).decode(errors="replace").splitlines()
    seen += [line.strip() for line in lines if "warn" in line.lower()]
