"""Problems made on the spot, and where public sets are."""

from __future__ import annotations

import os
import pathlib

import numpy as np

__all__ = ["DATA", "logistic_problem"]

# Public sets, if somebody has put them beside the project.
DATA = pathlib.Path(os.environ.get("GDFAST_DATA", pathlib.Path(__file__).resolve().parents[2] / "shared" / "data"))


def logistic_problem(n: int, d: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """X (n, d) float32, its features on scales e^N(0, 1), and labels 0, 1 drawn from a logistic model."""
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.standard_normal(d))
    X = rng.standard_normal((n, d), dtype=np.float32)
    z = X @ rng.normal(size=d, scale=2 / np.sqrt(d)).astype(np.float32)
    X *= scale.astype(np.float32)
    return X, (z + rng.logistic(size=n) > 0).astype(np.int64)
