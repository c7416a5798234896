"""Fixtures of the benchmarks: taking turns, and the report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from benchmarks import SCALE, report, scaled
from benchmarks.machine import facts
from benchmarks.timing import Times, interleaved

REPORT = report.Report()


@pytest.fixture
def compare(benchmark: Any) -> Callable[..., Times]:
    """compare(ours, {name: theirs, ...}, rounds=7): see `benchmarks.timing.interleaved`."""
    return partial(interleaved, benchmark)


@pytest.fixture
def section(request: pytest.FixtureRequest) -> report.Section:
    """Where the rows of this file of benchmarks go."""
    return REPORT.section(request.module.__name__.rpartition("test_")[2], request.module.__doc__)


@pytest.fixture(scope="session")
def numbers() -> np.ndarray:
    """800 MB of float32 from a standard normal distribution, to be cut into rows of any length."""
    return np.random.default_rng(0).standard_normal(scaled(200_000_000), dtype=np.float32)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Benchmarks take what they take, and warnings of other libraries are no failures of ours."""
    for item in items:
        item.add_marker(pytest.mark.timeout(0))
        item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write what was measured, if it is worth keeping: whole files at full size."""
    whole = SCALE == 1 and exitstatus == 0 and not session.config.option.keyword
    if whole and any(part.rows for part in REPORT.values()):
        report.write(REPORT, facts())
        report.fill_readme()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the tables."""
    for part in REPORT.values():
        terminalreporter.write_line(f"\n{part.markdown(facts())}")
