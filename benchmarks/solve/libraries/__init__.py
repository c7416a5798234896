"""One adapter per library; `benchmarks.solve.library` says what an adapter is."""

from __future__ import annotations

__all__ = ["LIBRARIES"]

LIBRARIES = (
    "gdfast",
    "scikit_learn",
    "sklearnex",
    "glum",
    "liblinear",
    "pytorch",
    "cyanure",
    "skglm",
    "celer",
    "vowpal_wabbit",
)
