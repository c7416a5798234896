"""A pure read of the bytes of arrays, the limit that no pass over them can beat."""

from __future__ import annotations

import ctypes
import os
import pathlib
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from benchmarks import THREADS

__all__ = ["readers"]

SOURCE = pathlib.Path(__file__).with_name("readlimit.c")


def readers(*arrays: np.ndarray, n_threads: int = THREADS, times: int = 1) -> dict[str, Callable[[], None]]:
    """Ways to read C-contiguous arrays, each so many times, with so many threads, by name.

    Without a C compiler there is one way, NumPy's bitwise or, and its name says so.
    """
    library = _library()
    if library is None:
        return {"read by NumPy (no C compiler found)": lambda: _read_by_numpy(arrays * times, n_threads)}

    def read(streams: int) -> None:
        for array in arrays:
            library.read_all(array.ctypes.data, array.nbytes, streams, n_threads, times)

    return {"read, 1 stream a thread": lambda: read(1), "read, 4 streams a thread": lambda: read(4)}


@cache
def _library() -> ctypes.CDLL | None:
    compiler = shlex.split(os.environ.get("CC", "cc"))
    with tempfile.TemporaryDirectory() as folder:
        target = os.path.join(folder, "readlimit.so")
        flags = ["-O3", "-march=native", "-shared", "-fPIC", "-pthread"]
        try:
            subprocess.run([*compiler, *flags, "-o", target, str(SOURCE)], check=True, capture_output=True)
            library = ctypes.CDLL(target)
        except (OSError, subprocess.CalledProcessError):
            return None
    library.read_all.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    library.read_all.restype = ctypes.c_uint64
    return library


def _read_by_numpy(arrays: tuple[np.ndarray, ...], n_threads: int) -> None:
    words = [array.reshape(-1).view(np.uint8) for array in arrays]
    words = [array[: array.size // 8 * 8].view(np.uint64) for array in words]
    parts = [part for array in words for part in np.array_split(array, n_threads)]
    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(np.bitwise_or.reduce, parts))
