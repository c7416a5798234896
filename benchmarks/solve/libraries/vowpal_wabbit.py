"""Vowpal Wabbit: its own updates over several passes, and its L-BFGS, on a file of text as it wants it."""

from __future__ import annotations

import pathlib
import tempfile
from functools import partial

import numpy as np
import scipy.sparse as sp
from vowpalwabbit import pyvw

from benchmarks.solve.library import EPOCHS, ITERATIONS, Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "vowpalwabbit"
NOTE = (
    "Data go through a file of text, whose writing counts, since arrays are not what it reads; somebody whose data are "
    "in that format saves most of the time. Computes in float32. Its own updates weigh the penalty in their own way."
)
LOSSES = {
    "squared_error": "squared",
    "log_loss": "logistic",
    "hinge": "hinge",
    "quantile": "quantile",
    "poisson": "poisson",
}
BITS = 18
BIAS = 11650396 % 2**BITS  # where it keeps the bias; columns have the places before


def solvers(task: Task) -> list[Solver]:
    """For one output; L-BFGS where the loss is smooth and the penalty L2."""
    if task.loss not in LOSSES or task.n_outputs > 1 or task.X.shape[1] > BIAS:
        return []
    found = [Solver("online", partial(_fit, bfgs=False), EPOCHS, "passes", ("float32",), exact=False)]
    if task.loss in ("squared_error", "log_loss") and not task.l1_ratio:
        found.append(Solver("bfgs", partial(_fit, bfgs=True), ITERATIONS[:8], "passes", ("float32",), exact=False))
    return found


def _fit(task: Task, passes: int, *, bfgs: bool) -> Weights:
    d = task.X.shape[1]
    with tempfile.TemporaryDirectory() as folder:
        rows = pathlib.Path(folder, "rows.txt")
        _write(task, rows)
        options = ["--quiet", "-d", str(rows), "--cache_file", f"{folder}/cache", "--passes", str(passes)]
        options += ["-b", str(BITS), "--loss_function", LOSSES[task.loss]]
        options += ["--holdout_off", "--no_bias_regularization"]
        if task.loss == "quantile":
            options += ["--quantile_tau", str(task.quantile)]
        factor = 2.0 if task.loss == "squared_error" else 1.0  # its squared error is twice ours
        if bfgs:
            l2 = factor * task.alpha * task.total_weight
            options += ["--bfgs", "--termination", "0", "--l2", f"{l2:.9g}"]
        else:
            options += ["--l2", f"{factor * task.alpha * (1 - task.l1_ratio):.9g}"]
            options += ["--l1", f"{factor * task.alpha * task.l1_ratio:.9g}"]
        workspace = pyvw.Workspace(arg_list=options)
        coef = np.array([workspace.get_weight(column) for column in range(d)])
        intercept = workspace.get_weight(BIAS)
        workspace.finish()
    return coef, intercept


def _write(task: Task, path: pathlib.Path) -> None:
    """One line per row: target, weight, the entries that are not zero by number of their column."""
    X = sp.csr_matrix(task.X)
    y = np.where(task.y > 0, 1.0, -1.0) if task.classes else task.y
    weights = np.ones(len(y)) if task.sample_weight is None else task.sample_weight
    entries = [f"{column}:{value:.9g}" for column, value in zip(X.indices.tolist(), X.data.tolist(), strict=True)]
    ends = X.indptr.tolist()
    with path.open("w") as out:
        for i, (target, weight) in enumerate(zip(y.tolist(), weights.tolist(), strict=True)):
            out.write(f"{target:.9g} {weight:.9g} | {' '.join(entries[ends[i] : ends[i + 1]])}\n")
