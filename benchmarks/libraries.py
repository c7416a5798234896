"""Who takes part in the race to the optimum: one entry per solver of a library.

An entry knows how to fit at each of its settings, from loose to tight, conversion of the data included. All
minimise the same objective, mean log loss + alpha/2 ||w||^2 with a free bias; `benchmarks.data.objective` checks
what they come to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import gdfast
from benchmarks import THREADS

__all__ = ["LOGISTIC", "Entry"]

TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)


@dataclass(frozen=True)
class Entry:
    """A solver.

    Attributes
    ----------
    name : str
    fit : callable
        fit(X, y, alpha, setting) -> fitted estimator with coef_ and intercept_.
    settings : tuple
        From loose to tight: the first that reaches the accuracy is the one that is timed.
    note : str
        What a reader should know.
    """

    name: str
    fit: Callable[[np.ndarray, np.ndarray, float, Any], Any]
    settings: tuple[Any, ...]
    note: str = ""


def _gdfast(X, y, alpha, tol):
    return gdfast.GDClassifier(alpha=alpha, tol=tol, n_threads=THREADS).fit(X, y)


def _sklearn(X, y, alpha, setting, *, solver, max_iter):
    dtype, tol = setting
    X = X.astype(dtype, copy=False)  # the time of widening belongs to the fit
    model = LogisticRegression(C=1 / (alpha * len(X)), solver=solver, tol=tol, max_iter=max_iter, random_state=0)
    return model.fit(X, y)


def _entry(solver, max_iter, note="", settings=None):
    settings = settings or tuple((dtype, tol) for dtype in (np.float32, np.float64) for tol in TOLERANCES)
    fit = partial(_sklearn, solver=solver, max_iter=max_iter)
    return Entry(f"LogisticRegression({solver})", fit, settings, note)


_CAPPED = "stopped after {} epochs: on features of such different scales it gets nowhere near in a reasonable time"

LOGISTIC = (
    Entry("gdfast", _gdfast, (1e-4, 1e-5, 1e-6, 1e-7), "GDClassifier, which needs no other setting than tol"),
    _entry("newton-cholesky", 1000),
    _entry("lbfgs", 20000),
    _entry("newton-cg", 1000),
    _entry("sag", 20, _CAPPED.format(20), ((np.float32, 1e-8),)),
    _entry("saga", 20, _CAPPED.format(20), ((np.float32, 1e-8),)),
)
"""Without liblinear, which penalises the bias: another objective."""
