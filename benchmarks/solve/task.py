"""What is to be solved: rows, and the objective over them, evaluated by none of the contestants."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from gdfast.reference import MARGIN_LOSSES, loss, softmax_loss

__all__ = ["Problem", "Task"]

Doubles = NDArray[np.float64]
CHUNK = 2**22  # elements of X made float64 at a time


@dataclass(frozen=True)
class Task:
    """Rows and an objective: mean of loss(y, x.w + b) + alpha ((1 - l1_ratio)/2 ||w||^2 + l1_ratio ||w||_1).

    Attributes
    ----------
    X : array or CSR matrix of shape (n, d)
        As a user would have it, in whatever type.
    y : array of shape (n,)
        Targets; for classes their codes 0, 1, ...
    loss : str
        A name of `gdfast.reference.LOSSES`; "log_loss" of more than two classes is softmax.
    sample_weight : array of shape (n,) or None
        What the mean weighs rows by.
    epsilon, quantile : float
        Parameters of the losses that have one.
    unit : float
        What X counts in: 255 for pixels. Those who convert X anyhow are given X / unit, and the same objective.
    """

    X: Any
    y: NDArray[Any]
    loss: str
    alpha: float = 0.0
    l1_ratio: float = 0.0
    sample_weight: Doubles | None = None
    epsilon: float = 0.1
    quantile: float = 0.5
    unit: float = 1.0

    @property
    def n_outputs(self) -> int:
        """Rows of the weights: one per class for softmax, else 1."""
        n_classes = int(self.y.max()) + 1 if self.loss == "log_loss" else 2
        return n_classes if n_classes > 2 else 1

    @property
    def total_weight(self) -> float:
        """Sum of the sample weights: n if there are none."""
        return float(len(self.y) if self.sample_weight is None else self.sample_weight.sum())

    @property
    def sparse(self) -> bool:
        """Whether X is a sparse matrix."""
        return bool(sp.issparse(self.X))

    @property
    def classes(self) -> bool:
        """Whether y are codes of classes."""
        return self.loss == "log_loss" or self.loss in MARGIN_LOSSES

    def error(self, coef: ArrayLike, intercept: ArrayLike) -> float:
        """E in float64, a chunk of the rows at a time."""
        W = np.reshape(np.asarray(coef, dtype=float), (self.n_outputs, self.X.shape[1]))
        b = np.broadcast_to(np.asarray(intercept, dtype=float).ravel(), (self.n_outputs,))
        step = max(1, CHUNK // self.X.shape[1]) if not self.sparse else 65536
        sums = []
        for at in range(0, len(self.y), step):
            rows = slice(at, at + step)
            Z = np.asarray(self.X[rows].astype(float) @ W.T) + b
            errors = self._errors(Z, self.y[rows])
            sums.append(float(errors.sum() if self.sample_weight is None else errors @ self.sample_weight[rows]))
        penalty = (1 - self.l1_ratio) / 2 * float(np.vdot(W, W)) + self.l1_ratio * float(np.abs(W).sum())
        return math.fsum(sums) / self.total_weight + self.alpha * penalty

    def _errors(self, Z: Doubles, y: NDArray[Any]) -> Doubles:
        if self.n_outputs > 1:
            return softmax_loss(Z, np.eye(self.n_outputs)[y])[0]
        target = y * 2.0 - 1.0 if self.loss in MARGIN_LOSSES else y
        return loss(self.loss, Z[:, 0], target, epsilon=self.epsilon, quantile=self.quantile)[0]

    def constant_error(self) -> float:
        """E with all weights 0, the scale of errors where E is 0 at the optimum."""
        return self.error(np.zeros((self.n_outputs, self.X.shape[1])), 0.0)

    def take(self, rows: NDArray[np.intp]) -> Task:
        """Those rows alone."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], sample_weight=weight)

    def share(self, scale: float, least: int = 500) -> Task:
        """A share of the rows, at least so many, the same ones every time."""
        n = len(self.y)
        wanted = max(least, int(n * scale))
        return self if wanted >= n else self.take(np.sort(np.random.default_rng(0).permutation(n)[:wanted]))

    def converted(self, dtype: str, *, dense: bool = False) -> Task:
        """In another type, and in units; coef of the task that comes out is `unit` times as large as that of this."""
        X = self.X.toarray() if dense and self.sparse else self.X
        X = X.astype(dtype, copy=False)
        if self.unit == 1:
            return replace(self, X=X)
        if self.l1_ratio or self.sparse:
            raise ValueError("units are for dense rows without L1")
        X = np.multiply(X, 1 / self.unit, dtype=dtype, out=X if X is not self.X else None)
        return replace(self, X=X, alpha=self.alpha / self.unit**2, unit=1.0)

    def fingerprint(self) -> str:
        """Of all that E depends on."""
        seen = hashlib.blake2b(digest_size=8)
        for field in fields(self):
            value = getattr(self, field.name)
            for part in (value.data, value.indices, value.indptr) if sp.issparse(value) else (value,):
                seen.update(np.ascontiguousarray(part).data if isinstance(part, np.ndarray) else repr(part).encode())
        return seen.hexdigest()


@dataclass(frozen=True)
class Problem:
    """A named way to make a task.

    Attributes
    ----------
    name, title, text : str
        How it is asked for, its heading, and what a reader should know.
    make : callable
        make(scale) -> Task with that share of the full number of rows; FileNotFoundError if its data are not here.
    judge : tuple of two str
        Library and solver that check gdfast's optimum, independently of it.
    least : float or None
        The infimum of E where no weights reach it.
    """

    name: str
    title: str
    make: Callable[[float], Task]
    judge: tuple[str, str]
    text: str = ""
    least: float | None = None
