"""The weights that a caller gives, coef and intercept, and the one vector that the engine makes of them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gdfast._arguments import count, not_negative
from gdfast._messages import short
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
    return weights, _biases(intercept, weights.shape[0]), single


def _biases(intercept: Any, k: int) -> Doubles:
    biases = as_weights(intercept, "intercept")
    if biases.ndim == 0 or biases.shape == (1,):
        biases = np.full(k, biases.reshape(-1)[0])
    if biases.shape != (k,):
        raise ValueError(f"intercept must be a float or of shape ({k},), got {biases.shape}")
    check_finite(biases, "intercept")
    return biases


def read_start(coef_init: Any, intercept_init: Any, k: int, d: int, single: bool) -> tuple[Doubles, Shape]:
    """The weights to start from, and the shape of the answer: that of coef_init, if given, else as `single` says."""
    start = np.zeros(k * d + k)
    if coef_init is not None:
        coef = as_weights(coef_init, "coef_init")
        if coef.shape != (k, d) and not (k == 1 and coef.shape == (d,)):
            raise ValueError(
                "Provided coef_init does not match dataset. coef_init must be of shape "
                f"{(d,) if k == 1 else (k, d)}, got {coef.shape}"
            )
        check_finite(coef, "coef_init")
        start[: k * d] = coef.reshape(-1)
        single = coef.ndim == 1
    if intercept_init is not None:
        biases = as_weights(intercept_init, "intercept_init")
        if biases.shape not in ((), (k,)):
            raise ValueError(
                f"Provided intercept_init does not match dataset. intercept_init must be a float or of shape ({k},), "
                f"got {biases.shape}"
            )
        check_finite(np.atleast_1d(biases), "intercept_init")
        start[k * d :] = biases
    return start, Shape(k, d, single)


def read_state(state: Any) -> dict[str, Any]:
    """A `RuleState` as the engine takes it; that sizes and rule fit together, the engine checks."""
    names = ("weights", "velocity", "square", "mean")
    try:
        values = {name: getattr(state, name) for name in (*names, "t", "epoch", "eta")}
    except AttributeError:
        raise TypeError(f"state must be a RuleState, got {short(state)}") from None
    for name in names:
        if values[name] is not None:
            values[name] = as_weights(values[name], f"state.{name}").reshape(-1)
            check_finite(values[name], f"state.{name}")
    return {
        **values,
        "t": count(values["t"], "state.t", least=0),
        "epoch": count(values["epoch"], "state.epoch", least=0),
        "eta": not_negative(values["eta"], "state.eta"),
    }


def read_bounds(bounds: Any, k: int, d: int) -> tuple[Doubles | None, Doubles | None]:
    """Lower and upper bounds of the weights (k, d), or None where nothing binds."""
    if bounds is None:
        return None, None
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise ValueError(f"bounds must be a pair (low, high), got {short(bounds)}")
    low, high = (_limit(given, missing, k, d) for given, missing in zip(bounds, (-math.inf, math.inf), strict=True))
    if (low > high).any():
        j = np.unravel_index((low > high).argmax(), low.shape)
        raise ValueError(f"bounds must have low <= high, got {low[j]} > {high[j]} for coef{[int(i) for i in j]}")
    return low if (low > -math.inf).any() else None, high if (high < math.inf).any() else None


def _limit(given: Any, missing: float, k: int, d: int) -> Doubles:
    values = as_weights(missing if given is None else given, "bounds")
    if np.isnan(values).any():
        raise ValueError("bounds must be numbers or None, got NaN")
    if (values == -missing).any():
        raise ValueError(f"bounds must leave room for finite weights, got {-missing}")
    try:
        return np.ascontiguousarray(np.broadcast_to(values, (k, d)))
    except ValueError:
        raise ValueError(f"bounds must broadcast to the shape ({k}, {d}) of coef, got {values.shape}") from None
