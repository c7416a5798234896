"""Contestants take turns on the same data in one process; what counts is the ratio of neighbouring times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["Ratio", "Times", "interleaved", "quartiles"]

OURS = "gdfast"
PAUSE = 0.2  # seconds: OpenBLAS's idle threads spin for 0.14 s after a product, at the cost of whoever is next


class Ratio(NamedTuple):
    """Median and quartiles of a quantity over the rounds."""

    value: float
    low: float
    high: float


def quartiles(values: list[float]) -> Ratio:
    """Median and quartiles; of a single value, itself."""
    if len(values) < 2:
        return Ratio(*values * 3)
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return Ratio(middle, low, high)


class Times(dict[str, list[float]]):
    """Seconds of each round by contestant."""

    def seconds(self, name: str = OURS) -> float:
        """Median time of one contestant."""
        return statistics.median(self[name])

    def ratio(self, name: str, to: str = OURS) -> Ratio:
        """Time of `name` over the time of `to`, round by round: how many times as fast `to` is."""
        return quartiles([a / b for a, b in zip(self[name], self[to], strict=True)])

    def quickest(self, *names: str) -> str:
        """The contestant with the least median time; of all but gdfast if none are named."""
        return min(names or set(self) - {OURS}, key=self.seconds)


def interleaved(
    benchmark: Any,
    ours: Callable[[], Any],
    others: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    pause: float = PAUSE,
) -> Times:
    """Time a, b, gdfast, a, b, gdfast ...; pytest-benchmark records gdfast's turns.

    Parameters
    ----------
    benchmark : the fixture of pytest-benchmark
    ours : callable
        gdfast's turn.
    others : mapping of name to callable
        What the others do in theirs.
    rounds : int
        How often; one more round goes before, to warm up, and is not counted.
    pause : float
        Seconds of rest after each turn; 0 where nobody calls a BLAS.

    Returns
    -------
    Times
    """
    times = Times({name: [] for name in (*others, OURS)})

    def turn(name: str, call: Callable[[], Any]) -> None:
        start = time.perf_counter()
        call()
        times[name].append(time.perf_counter() - start)
        if times[name][-1] > 0.01:  # what takes less has woken no thread
            time.sleep(pause)

    def others_turn() -> None:
        for name, call in others.items():
            turn(name, call)

    benchmark.pedantic(turn, args=(OURS, ours), setup=others_turn, rounds=rounds, warmup_rounds=1)
    for name, seconds in times.items():
        times[name] = seconds[-rounds:]
    for name in others:
        benchmark.extra_info[f"{name} / gdfast"] = times.ratio(name)
    return times
