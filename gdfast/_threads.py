"""How many threads a call may use."""

from __future__ import annotations

import functools
import math
import os

from gdfast._arguments import count

_MOST = 1024


def threads(n_threads: int | None) -> int:
    """Threads to use: as many as this process may run on, unless told; OMP_NUM_THREADS, set by joblib, is heeded."""
    if n_threads is not None:
        return min(count(n_threads, "n_threads"), _MOST)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for limit in (os.environ.get("OMP_NUM_THREADS", ""), _control_group_quota()):
        if limit.isdecimal() and int(limit) > 0:
            available = min(available, int(limit))
    return available


@functools.cache
def _control_group_quota() -> str:
    """Whole processors that the control group grants, rounded up, or "" (Linux, cgroup v2 and v1)."""
    try:
        quota, period = _read("cpu.max").split()
    except (OSError, ValueError):
        try:
            quota, period = _read("cpu/cpu.cfs_quota_us").strip(), _read("cpu/cpu.cfs_period_us").strip()
        except OSError:
            return ""
    return str(math.ceil(int(quota) / int(period))) if quota.isdigit() else ""


def _read(name: str) -> str:
    with open(f"/sys/fs/cgroup/{name}") as file:
        return file.read()
