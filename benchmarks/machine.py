"""What the numbers were measured on."""

from __future__ import annotations

import datetime
import os
import pathlib
import platform
import shlex
import subprocess
from functools import cache

import numpy as np
import sklearn

import gdfast
from benchmarks import SCALE, THREADS
from gdfast import _core

__all__ = ["cache_sizes", "facts"]


@cache
def facts() -> str:
    """One line: processor, caches, instruction set, compiler, versions, threads and date."""
    parts = [
        f"{_processor()}, {os.cpu_count()} cores{_caches()}, instruction set {_core.isa()}",
        f"{platform.system()}, {_compiler()}",
        f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}",
        f"gdfast {gdfast.__version__}{_commit()}, {THREADS} threads",
        f"{datetime.date.today()}" + (f", at {SCALE:g} of the full size" if SCALE != 1 else ""),
    ]
    return "; ".join(parts)


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def cache_sizes() -> dict[str, int]:
    """Bytes of the larger caches of the first core, by level: those of "2" and "3" that the system tells of."""
    sizes = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            level, size = (index / "level").read_text().strip(), (index / "size").read_text().strip()
        except OSError:
            continue
        if level in "23":
            sizes[level] = int(size.rstrip("K")) * 1024
    return sizes


def _caches() -> str:
    sizes = [f"L{level} {size / 2**20:g} MB" for level, size in cache_sizes().items()]
    return f" ({', '.join(sizes)})" if sizes else ""


def _compiler() -> str:
    """The C compiler found now, which is also the one that an installation from a checkout uses."""
    return _output([*shlex.split(os.environ.get("CC", "cc")), "--version"]) or "no C compiler found"


def _commit() -> str:
    root = str(pathlib.Path(__file__).resolve().parent.parent)
    commit = _output(["git", "-C", root, "rev-parse", "--short", "HEAD"])
    changed = _output(["git", "-C", root, "status", "--porcelain", "--", "src", "gdfast"])
    return f" ({commit}{' with changes' if changed else ''})" if commit else ""


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip().split("\n")[0]
