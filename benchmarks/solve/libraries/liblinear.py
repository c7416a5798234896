"""LIBLINEAR by its authors' own Python package, whose option -R leaves the bias free as the objective has it."""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.sparse as sp
from liblinear.liblinearutil import train

from benchmarks.solve.library import Solver, Weights
from benchmarks.solve.task import Task

PACKAGE = "liblinear-official"
NOTE = (
    "`-B 1 -R`: the bias is a column of ones that is not penalised. The dual methods (-s 1, 3, 7), its best where "
    "columns outnumber rows, cannot do that: they penalise a bias counted in hundreds, and so come only "
    "near the optimum. One thread; its builds with several are not in the package."
)
# by loss and share of L1: name and number of the solver, whether the bias is free, and C times n alpha
KINDS = {
    ("log_loss", 0.0): (("primal", 0, True, 1.0), ("dual", 7, False, 1.0)),
    ("log_loss", 1.0): (("coordinates", 6, True, 1.0),),
    ("squared_hinge", 0.0): (("primal", 2, True, 1.0), ("dual", 1, False, 1.0)),
    ("squared_hinge", 1.0): (("coordinates", 5, True, 1.0),),
    ("hinge", 0.0): (("dual", 3, False, 1.0),),
    ("squared_error", 0.0): (("primal", 11, True, 0.5),),
}


def solvers(task: Task) -> list[Solver]:
    """For two classes and least squares, with a penalty and without sample weights."""
    if task.n_outputs > 1 or task.sample_weight is not None or not task.alpha:
        return []
    kinds = KINDS.get((task.loss, task.l1_ratio), ())
    return [
        Solver(f"{name} (-s {kind})", partial(_fit, kind=kind, free=free, factor=factor), knob="-e", exact=free)
        for name, kind, free, factor in kinds
    ]


def _fit(task: Task, tol: float, *, kind: int, free: bool, factor: float) -> Weights:
    y = np.where(task.y > 0, 1.0, -1.0) if task.classes else task.y.astype(float)
    C = factor / (task.alpha * len(y))
    bias = 1.0 if free else 100.0
    options = f"-s {kind} -c {C:.17g} -e {tol:.17g} -B {bias:g} -q" + (" -R" if free else "")
    model = train(y, sp.csr_matrix(task.X), options + (" -p 0" if kind == 11 else ""))
    weights = np.ctypeslib.as_array(model.w, (task.X.shape[1] + 1,)).copy()
    if task.classes and model.label[0] < 0:
        weights = -weights
    return weights[:-1], weights[-1] * bias
