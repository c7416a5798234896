"""PyTorch on the CPU: L-BFGS over all rows, Adam over mini-batches, and the loss written as people write it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn import functional

from benchmarks import THREADS
from benchmarks.solve.library import EPOCHS, ITERATIONS, Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "torch"
NOTE = (
    "LBFGS with its strong Wolfe search, history 10; Adam with batches of 1024 and a rate of 0.01 falling to 0 along a "
    "cosine. Not compiled by `torch.compile`, whose start takes longer than these fits. L1 is left to others, as "
    "neither has a step for it."
)
BOTH = ("float32", "float64")
BATCH = 1024
torch.set_num_threads(THREADS)
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")

Tensor: TypeAlias = torch.Tensor


def solvers(task: Task) -> list[Solver]:
    """L-BFGS for smooth losses, Adam for all."""
    if task.l1_ratio:
        return []
    found = [Solver("Adam", _adam, EPOCHS, "epochs", BOTH, sparse=False, exact=False)]
    if task.loss not in ("hinge", "quantile", "absolute_error"):
        found.insert(0, Solver("LBFGS", _lbfgs, ITERATIONS, "max_iter", BOTH))
    return found


def _losses(task: Task) -> Callable[[Tensor, Tensor], Tensor]:
    """Error of every row from its scores (n, k) and target."""

    def one(error: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda Z, y: error(Z[:, 0], y)

    if task.n_outputs > 1:
        return lambda Z, y: functional.cross_entropy(Z, y, reduction="none")
    q = task.quantile
    return one({
        "squared_error": lambda z, y: 0.5 * (z - y) ** 2,
        "log_loss": lambda z, y: functional.binary_cross_entropy_with_logits(z, y, reduction="none"),
        "huber": lambda z, y: functional.huber_loss(z, y, reduction="none", delta=task.epsilon),
        "poisson": lambda z, y: torch.exp(z) - y * z,
        "gamma": lambda z, y: z + y * torch.exp(-z),
        "squared_hinge": lambda z, y: functional.relu(1 - (2 * y - 1) * z) ** 2,
        "hinge": lambda z, y: functional.relu(1 - (2 * y - 1) * z),
        "quantile": lambda z, y: torch.maximum(q * (y - z), (q - 1) * (y - z)),
        "absolute_error": lambda z, y: (y - z).abs(),
    }[task.loss])  # fmt: skip


def _tensors(task: Task) -> tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor]:
    """X, y, weights of the rows, W (d, k), b (k,)."""
    X = task.X
    dtype = {"float32": torch.float32, "float64": torch.float64}[str(X.dtype)]
    if task.sparse:
        parts = (torch.from_numpy(X.indptr), torch.from_numpy(X.indices), torch.from_numpy(X.data))
        rows = torch.sparse_csr_tensor(*parts, size=X.shape)
    else:
        rows = torch.from_numpy(np.require(X, requirements=["C", "W"]))
    y = torch.from_numpy(task.y.astype(np.int64 if task.n_outputs > 1 else X.dtype))
    s = None if task.sample_weight is None else torch.from_numpy(task.sample_weight.astype(X.dtype))
    W = torch.zeros((X.shape[1], task.n_outputs), dtype=dtype, requires_grad=True)
    b = torch.zeros(task.n_outputs, dtype=dtype, requires_grad=True)
    return rows, y, s, W, b


def _weights(W: Tensor, b: Tensor) -> Weights:
    return W.detach().numpy().T, b.detach().numpy()


def _lbfgs(task: Task, iterations: int) -> Weights:
    X, y, s, W, b = _tensors(task)
    losses, total = _losses(task), task.total_weight
    rule = torch.optim.LBFGS(
        [W, b],
        max_iter=iterations,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Any:
        rule.zero_grad()
        errors = losses(X @ W + b, y)
        E = (errors.sum() if s is None else errors @ s) / total + task.alpha / 2 * (W * W).sum()
        E.backward()
        return E

    rule.step(closure)
    return _weights(W, b)


def _adam(task: Task, epochs: int) -> Weights:
    X, y, s, W, b = _tensors(task)
    losses, mean = _losses(task), task.total_weight / len(y)
    rule = torch.optim.Adam([W, b], lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(rule, epochs)
    random = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=random).split(BATCH):
            rule.zero_grad()
            errors = losses(X[rows] @ W + b, y[rows])
            E = (errors if s is None else errors * s[rows]).mean() / mean + task.alpha / 2 * (W * W).sum()
            E.backward()
            rule.step()
        schedule.step()
    return _weights(W, b)
