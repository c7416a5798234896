"""Rows made on the spot, the same ones every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["correlated", "ill_conditioned", "rows_of", "unscaled", "weights_of"]

Doubles = NDArray[np.float64]
Random = np.random.Generator


def rows_of(full: int, scale: float, least: int = 500) -> int:
    """How many rows a share of the full number is."""
    return max(min(least, full), int(full * scale))


def correlated(rng: Random, n: int, d: int, rho: float) -> Doubles:
    """X (n, d), columns i and j correlated by rho^|i - j|."""
    X = rng.standard_normal((n, d))
    for j in range(1, d):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho * rho) * X[:, j]
    return X


def ill_conditioned(rng: Random, n: int, d: int, condition: float) -> Doubles:
    """X (n, d) with a covariance of that condition number, in no direction of its own."""
    Q = np.linalg.qr(rng.standard_normal((d, d)))[0]
    X: Doubles = (rng.standard_normal((n, d)) * np.logspace(0, -0.5 * np.log10(condition), d)) @ Q.T
    return X


def unscaled(rng: Random, n: int, d: int, *, spread: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """X (n, d) float32 in units e^N(0, spread^2) apart and off zero, and the same in one unit."""
    even = rng.standard_normal((n, d), dtype=np.float32)
    units = np.exp(spread * rng.standard_normal(d)).astype(np.float32)
    return (even + rng.standard_normal(d, dtype=np.float32)) * units, even


def weights_of(rng: Random, d: int, size: float, nonzero: int | None = None) -> Doubles:
    """Weights that give scores of that standard deviation on even columns, at so many places or at all."""
    w: Doubles = np.zeros(d)
    places = rng.permutation(d)[: nonzero or d]
    w[places] = rng.standard_normal(len(places))
    w *= size / np.linalg.norm(w)
    return w
