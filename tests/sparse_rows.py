"""Sparse rows for tests, and what is done with them."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from problems import targets

import gdfast

RULES = ("gd", "sgd", "adagrad", "rmsprop", "adam")


def dense(n=120, d=15, *, share=0.3, seed=0, dtype=np.float64):
    """X (n, d), most of it 0, every fifth row all of it."""
    rng = np.random.default_rng([seed, n, d])
    X = rng.normal(size=(n, d)).astype(np.float32) * (rng.random((n, d)) < share)
    X[3::5] = 0
    return X.astype(dtype)


def task(loss, k, X, seed=0):
    """y (n,) or (n, k), coef and intercept of scores of about 1."""
    rng = np.random.default_rng([seed, k])
    y, coef, intercept = targets(loss, (len(X), k), rng), rng.normal(size=(k, X.shape[1])), rng.normal(size=k)
    return (y, coef / 2, intercept) if k > 1 else (y[:, 0], coef[0] / 2, float(intercept[0]))


def by_hand(X, *, dtype=np.float64, index=np.int32, seed=0):
    """CSR of dense X as SciPy would not make it, but accepts it.

    Entries of a row in no order, some in two halves, some zeros among them; in front of the first row and behind the
    last there are entries that belong to none, NaN in column 0.
    """
    rng = np.random.default_rng(seed)
    data, indices, indptr = [np.nan] * 3, [0] * 3, [3]
    for row in X:
        stored = rng.permutation(np.flatnonzero((row != 0) | (rng.random(len(row)) < 0.1)))
        for j in stored:
            parts = 1 + (rng.random() < 0.2)
            data += [row[j] / parts] * parts
            indices += [j] * parts
        indptr.append(len(data))
    made = sp.csr_matrix(X.shape, dtype=dtype)
    made.data = np.array([*data, np.nan, np.nan], dtype=dtype)
    made.indices, made.indptr = np.array([*indices, 0, 0], dtype=index), np.array(indptr, dtype=index)
    return made


def descend(X, y, **more):
    result = gdfast.gradient_descent(X, y, **{"tol": None, "max_iter": 4, "random_state": 0, "alpha": 0.01, **more})
    return result.coef, result.intercept, result.error, result.loss_curve, result.gradient_norm_curve, result.eta
