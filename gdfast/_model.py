"""The weights that a caller gives, coef and intercept, and the one vector that the engine makes of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gdfast._types import Doubles
from gdfast.rows.arrays import as_weights, check_finite


class Shape(NamedTuple):
    """Of a model: k outputs of d features; single if its coef is (d,) and not (k, d)."""

    k: int
    d: int
    single: bool

    def split(self, weights: Doubles) -> tuple[Doubles, Any]:
        """Coef and intercept of one or, along the leading axes, many vectors of all weights."""
        lead, n_coef = weights.shape[:-1], self.k * self.d
        coef, intercept = weights[..., :n_coef].reshape(*lead, self.k, self.d), weights[..., n_coef:]
        if not self.single:
            return coef, intercept
        return coef[..., 0, :], intercept[..., 0] if lead else float(intercept[0])


def read_model(coef: Any, intercept: Any, d: int) -> tuple[Doubles, Doubles, bool]:
    """Weights (k, d) and biases (k,) of doubles, and whether coef is that of one neuron, of shape (d,)."""
    weights = as_weights(coef, "coef")
    if weights.ndim not in (1, 2) or weights.shape[-1] != d or weights.shape[0] == 0:
        raise ValueError(f"coef must be of shape ({d},) or (k, {d}), got {weights.shape}")
    single = weights.ndim == 1
    weights = np.atleast_2d(weights)
    check_finite(weights, "coef")
    return weights, _biases(intercept, weights.shape[0], "intercept"), single


def _biases(intercept: Any, k: int, name: str) -> Doubles:
    biases = as_weights(intercept, name)
    if biases.ndim == 0 or biases.shape == (1,):
        biases = np.full(k, biases.reshape(-1)[0])
    if biases.shape != (k,):
        raise ValueError(f"{name} must be a float or of shape ({k},), got {biases.shape}")
    check_finite(biases, name)
    return biases


def read_start(coef_init: Any, intercept_init: Any, k: int, d: int, single: bool) -> tuple[Doubles, Shape]:
    """The weights to start from, and the shape of the answer: that of coef_init, if given, else as `single` says."""
    start = np.zeros(k * d + k)
    if coef_init is not None:
        coef = as_weights(coef_init, "coef_init")
        if coef.shape != (k, d) and not (k == 1 and coef.shape == (d,)):
            raise ValueError(
                "Provided coef_init does not match dataset: coef_init must be of shape "
                f"{(d,) if k == 1 else (k, d)}, got {coef.shape}"
            )
        check_finite(coef, "coef_init")
        start[: k * d] = coef.reshape(-1)
        single = coef.ndim == 1
    if intercept_init is not None:
        start[k * d :] = _biases(intercept_init, k, "intercept_init")
    return start, Shape(k, d, single)
