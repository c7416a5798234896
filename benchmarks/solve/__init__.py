"""The race to the optimum: every library, every kind of problem, one objective. `python -m benchmarks.solve`.

A problem makes a `Task`: rows and the objective over them. A library's adapter turns a task into `Solver`s, each with
a ladder of budgets from loose to tight. Every call happens in a process of that library's own, is timed as a whole,
conversion of the data included, and gives back weights; what those are worth is judged by `Task.error`, in float64.
"""

from __future__ import annotations

import os

from benchmarks import THREADS

for _name in ("NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ[_name] = str(THREADS)
