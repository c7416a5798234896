"""Has anything become slower? `python -m benchmarks.check [--base COMMIT] [--cases TEXT]`, or `make benchmark-check`.

This tree is timed beside the commit where it left main (on main itself: the commit before), which is built in
build/check. Both run in a process each, and take turns case by case; a case is slower if the median of the ratios of
neighbouring turns is beyond the relative limit AND the median of their differences beyond the absolute one, twice over:
suspects are measured again, with three times the turns. A case that the base does not know is passed over; one that
this tree cannot do has failed. Exits with 1 if one is slower or has failed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import Any

from benchmarks.cases import CASES
from benchmarks.timing import quartiles

ROOT = pathlib.Path(__file__).resolve().parent.parent
TURNS = 9
LEAST = 0.02  # seconds of a turn: shorter calls are repeated


@dataclass(frozen=True)
class Limits:
    """How much slower is slower: a share, and seconds of a call."""

    relative: float
    absolute: float

    def exceeded(self, before: list[float], now: list[float]) -> bool:
        """Whether calls that took these seconds, turn by turn, have become slower."""
        ratio = statistics.median(b / a for a, b in zip(before, now, strict=True))
        more = statistics.median(b - a for a, b in zip(before, now, strict=True))
        return ratio > 1 + self.relative and more > self.absolute


class Absent(Exception):
    """A tree cannot do a case: which, and why."""

    def __init__(self, worker: Worker, why: str) -> None:
        super().__init__(why)
        self.worker = worker


class Worker:
    """A process that times cases with the gdfast of one tree."""

    def __init__(self, tree: pathlib.Path) -> None:
        self.tree = tree
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "cases.py")],
            env={**os.environ, "PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def seconds(self, case: str, calls: int) -> float:
        """Seconds of a call, the mean of several."""
        assert self.process.stdin and self.process.stdout
        print(json.dumps({"case": case, "calls": calls}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise ChildProcessError(f"{self.tree} ended with status {self.process.wait()} in {case!r}")
        answer: dict[str, Any] = json.loads(line)
        if "absent" in answer:
            raise Absent(self, answer["absent"])
        return float(answer["seconds"]) / calls


def take_turns(case: str, before: Worker, now: Worker, turns: int) -> tuple[list[float], list[float]]:
    """Seconds of a call of each, turn by turn; who goes first changes every turn."""
    calls = max(1, round(LEAST / max(before.seconds(case, 1), now.seconds(case, 1), 1e-6)))
    times: dict[Worker, list[float]] = {before: [], now: []}
    for turn in range(turns):
        for worker in (before, now) if turn % 2 else (now, before):
            times[worker].append(worker.seconds(case, calls))
    return times[before], times[now]


def compare(case: str, before: Worker, now: Worker, limits: Limits) -> bool:
    """Print a line about the case. Returns whether it has become slower, or cannot be done any more."""
    try:
        times = take_turns(case, before, now, TURNS)
        if slower := limits.exceeded(*times):
            times = take_turns(case, before, now, 3 * TURNS)
            slower = limits.exceeded(*times)
    except Absent as absent:
        failed = absent.worker is now
        print(f"{case:54} {'FAILED' if failed else 'new'}: {absent}", flush=True)
        return failed
    ratio = quartiles([b / a for a, b in zip(*times, strict=True)])
    milliseconds = "  ".join(f"{statistics.median(each) * 1e3:10.3f} ms" for each in times)
    verdict = "  SLOWER" if slower else ""
    print(f"{case:54} {milliseconds}  {ratio.value:.3f} ({ratio.low:.3f} - {ratio.high:.3f}){verdict}", flush=True)
    return slower


# ---- two trees -------------------------------------------------------------------------------------------------------


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def find_base() -> str:
    """The commit where HEAD left main, or the one before HEAD if it has not."""
    head = _git("rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        try:
            base = _git("merge-base", "HEAD", main)
        except subprocess.CalledProcessError:
            continue
        if base != head:
            return base
    return _git("rev-parse", "HEAD~1")


def build(commit: str) -> pathlib.Path:
    """The tree of a commit, with its extension."""
    tree = ROOT / "build" / "check" / commit
    if not list(tree.glob("gdfast/_core.*.so")):
        archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(tree)
        subprocess.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"], cwd=tree, check=True)
    return tree


def main() -> int:
    """Compare all cases."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check", description=__doc__.splitlines()[0])
    parser.add_argument("--base", help="the commit to compare with")
    parser.add_argument("--cases", default="", help="only those whose names contain this")
    parser.add_argument("--relative", type=float, default=0.1, help="a share, default %(default)s")
    parser.add_argument("--absolute", type=float, default=5e-5, help="seconds of a call, default %(default)s")
    given = parser.parse_args()
    base = _git("rev-parse", given.base) if given.base else find_base()
    print(f"{base[:10]} (left) and this tree (right)", flush=True)
    limits = Limits(given.relative, given.absolute)
    with Worker(build(base)) as before, Worker(ROOT) as now:
        slower = [case for case in CASES if given.cases in case and compare(case, before, now, limits)]
    print(f"{len(slower)} slower or failed" + "".join(f"\n- {case}" for case in slower))
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
