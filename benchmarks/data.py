"""Problems made on the spot, and the objective evaluated by neither contestant."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

from gdfast.reference import MARGIN_LOSSES, loss

__all__ = ["DATA", "logistic_problem", "objective"]

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


def objective(model: Any, X: np.ndarray, y: np.ndarray, alpha: float, name: str = "log_loss") -> float:
    """E of a fitted binary classifier, with alpha/2 ||w||^2, in float64 throughout."""
    coef, intercept = np.ravel(model.coef_).astype(float), float(np.ravel(model.intercept_)[0])
    total = 0.0
    for at in range(0, len(X), 65536):
        z = X[at : at + 65536].astype(float) @ coef + intercept
        target = y[at : at + 65536] * 2.0 - 1.0 if name in MARGIN_LOSSES else y[at : at + 65536]
        total += loss(name, z, target)[0].sum()
    return float(total / len(X) + alpha / 2 * coef @ coef)
