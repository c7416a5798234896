"""How fast gdfast is: ratios measured in one process on the same data. `python -m benchmarks` runs them all."""

from __future__ import annotations

import os

SCALE = float(os.environ.get("GDFAST_BENCHMARK_SCALE", "1"))
"""Share of the full sizes; anything but 1 is for trying things out, and writes no file."""

THREADS = min(2, os.cpu_count() or 1)
"""Threads that every contestant may use."""

# Before NumPy loads: other libraries read these once.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = str(THREADS)


def scaled(n: int, least: int = 1000) -> int:
    """n rows at full size, fewer when trying things out."""
    return max(least, int(n * SCALE))
