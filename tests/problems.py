"""What tests of the rule share: random problems, every layout of an array, slopes by central differences."""

from __future__ import annotations

from functools import cache

import numpy as np

from gdfast.reference import LOSSES, MARGIN_LOSSES

__all__ = ["DTYPES", "LOSSES", "MARGIN_LOSSES", "central_differences", "layouts", "problem", "same_bits",
           "samples", "targets", "task"]  # fmt: skip

DTYPES = ("float64", "float32", "float16", "uint8", "int8", "uint16", "int16")


def same_bits(a, b):
    """Whether two results, tuples of floats and arrays, are equal to the last bit."""
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in zip(a, b, strict=True))


def central_differences(function, x, h=1e-6):
    """Slopes of function, of an array x, along each element of x."""
    slopes = np.empty_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        slopes[i] = (function(x + step) - function(x - step)) / (2 * h)
    return slopes


# ---- problems ------------------------------------------------------------------------------------


def targets(loss, size, rng):
    """Random targets that the loss allows, an array of that size."""
    if loss in MARGIN_LOSSES:
        return np.where(rng.random(size) < 0.5, -1.0, 1.0)
    if loss == "log_loss":
        return rng.random(size)
    if loss == "poisson":
        return rng.poisson(2.0, size).astype(float)
    return rng.gamma(2.0, size=size) if loss == "gamma" else rng.normal(size=size)


@cache
def samples(dtype, n, d):
    """X (n, d) of a stored type, over its whole range if it is an integer; not to be changed."""
    rng = np.random.default_rng([n, d])
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=(n, d)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, size=(n, d), dtype=dtype, endpoint=True)


def task(loss, k, X, seed=0):
    """y (n, k), coef (k, d), intercept (k,), scores about 1; for k = 1 y (n,), coef (d,) and a float."""
    rng = np.random.default_rng([seed, k])
    y = targets(loss, (len(X), k), rng)
    scale = np.sqrt(X.shape[1]) * np.abs(X.astype(float)).max() / 3
    coef, intercept = rng.normal(size=(k, X.shape[1])) / scale, rng.normal(size=k)
    return (y, coef, intercept) if k > 1 else (y[:, 0], coef[0], float(intercept[0]))


def problem(loss, k=1, n=40, d=6, seed=0):
    """X (n, d) of normal numbers, and a task for it."""
    X = np.random.default_rng(seed).normal(size=(n, d))
    return X, *task(loss, k, X, seed)


# ---- layouts -------------------------------------------------------------------------------------


def unaligned(X):
    """Rows an odd number of bytes apart, at odd addresses."""
    packed = np.zeros(len(X), dtype=[("pad", "u1"), ("x", X.dtype, X.shape[1:])])
    packed["x"] = X
    return packed["x"]


def read_only(X):
    X = X.copy()
    X.setflags(write=False)
    return X


def strided(X):
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1] + 1), dtype=X.dtype)
    wide[::2, 1::3] = X
    return wide[::2, 1::3]


def gapped(X):
    """Contiguous rows with something between them."""
    wide = np.zeros((X.shape[0], X.shape[1] + 3), dtype=X.dtype)
    wide[:, :-3] = X
    return wide[:, :-3]


LAYOUTS = {
    "F": np.asfortranarray,
    "F with gaps": lambda X: gapped(X.T).T,
    "strided": strided,
    "gapped": gapped,
    "negative strides": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "negative F": lambda X: np.asfortranarray(X[::-1])[::-1],
    "byte-swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "byte-swapped F": lambda X: np.asfortranarray(X.astype(X.dtype.newbyteorder())),
    "unaligned": unaligned,
    "unaligned F": lambda X: unaligned(X.T).T,
    "read-only": read_only,
}
STRIDE_0 = {
    "stride 0: one row": lambda X: np.broadcast_to(X[0], X.shape),
    "stride 0: one column": lambda X: np.broadcast_to(X[:, :1], X.shape),
    "stride 0: one number": lambda X: np.broadcast_to(X[0, 0], X.shape),
}


@cache
def layouts(dtype, n, d):
    """(name, X in that layout, the same in C order); this is samples(dtype, n, d) except for stride 0."""
    X = samples(dtype, n, d)
    made = [(name, make(X), X) for name, make in LAYOUTS.items()]
    return made + [(name, make(X), np.ascontiguousarray(make(X))) for name, make in STRIDE_0.items()]
