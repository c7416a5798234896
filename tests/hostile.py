"""What tests of bad input, numerics and processes share: every way in, and proof that nothing was touched."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from problems import MARGIN_LOSSES

from gdfast import GDClassifier, GDRegressor, error_and_gradient, gradient_descent, scores

__all__ = [
    "CALLS", "ESTIMATORS", "FITS", "SOLVERS", "both", "data", "fit_by_name", "run_python", "same_bits", "state",
    "targets", "unchanged",
]  # fmt: skip

_HERE = Path(__file__).resolve().parent
ESTIMATORS = (GDRegressor, GDClassifier)
SOLVERS = ("auto", "gd", "sgd", "adagrad", "rmsprop", "adam")


def data(n=300, d=5, seed=0):
    """X (n, d), y of 0 and 1 that X explains in part: fit for the regressor, the classifier and the functions."""
    rng = np.random.default_rng([seed, n, d])
    X = rng.normal(size=(n, d))
    return X, (X @ np.linspace(1.0, 2.0, d) + rng.normal(size=n) > 0).astype(np.float64)


def targets(loss, y):
    """y of 0 and 1 as what the loss takes."""
    return 2.0 * y - 1.0 if loss in MARGIN_LOSSES else y + (loss == "gamma")


# ---- every way in ------------------------------------------------------------------------------------------------


def _evaluate(X, y, **more):
    return error_and_gradient(X, y, np.linspace(-0.5, 0.5, 5), 0.25, loss="log_loss", **more)


def _descend(solver):
    def descend(X, y, **more):
        settings = {"alpha": 1e-3, "max_iter": 4, "tol": None, "random_state": 0, **more}
        result = gradient_descent(X, y, loss="log_loss", solver=solver, **settings)
        return result.coef, result.intercept, result.error, result.loss_curve, result.gradient_norm_curve, result.eta

    return descend


def _fit(Estimator, solver):
    def fit(X, y, **more):
        model = Estimator(alpha=1e-3, solver=solver, max_iter=4, tol=None, random_state=0).fit(X, y, **more)
        return model.coef_, model.intercept_, model.loss_curve_, np.asarray(model.predict(X), dtype=np.float64)

    return fit


FITS = {
    **{f"gradient_descent {solver}": _descend(solver) for solver in ("gd", "auto", "sgd")},
    **{
        f"{Estimator.__name__} {solver}": _fit(Estimator, solver)
        for Estimator in ESTIMATORS
        for solver in ("auto", "adam")
    },
}
"""name -> f(X of 5 columns, y, **more): a tuple of numbers and arrays. `more` may be sample_weight."""


def fit_by_name(name, X, y):
    """One of FITS: functions made in functions cannot be sent to another process, their names can."""
    return FITS[name](X, y)


CALLS = {
    "error_and_gradient": _evaluate,
    **FITS,
    "scores": lambda X, y: (scores(X, np.linspace(-0.5, 0.5, 5), 0.25),),
}


def both(test):
    """Parametrise a test over the two estimators."""
    import pytest

    return pytest.mark.parametrize("Estimator", ESTIMATORS)(test)


# ---- proof -------------------------------------------------------------------------------------------------------


def same_bits(a, b):
    """Whether two tuples of numbers and arrays are equal to the last bit, NaN included."""
    return [np.asarray(x).tobytes() for x in a] == [np.asarray(x).tobytes() for x in b]


def _digest(array):
    if array.dtype.kind == "O":
        return repr(array.tolist())
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@contextmanager
def unchanged(*arrays):
    """Fail if what happens inside changes one of the arrays."""
    arrays = [array for array in arrays if isinstance(array, np.ndarray)]
    before = [_digest(array) for array in arrays]
    yield
    assert [_digest(array) for array in arrays] == before, "an input array was written to"


def _comparable(value):
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if dataclasses.is_dataclass(value):
        return type(value), {name: _comparable(each) for name, each in vars(value).items()}
    if isinstance(value, tuple):
        return type(value), [_comparable(each) for each in value]
    return value


def state(model):
    """All that an estimator holds, as something that compares."""
    return {name: _comparable(value) for name, value in vars(model).items()}


# ---- other processes ---------------------------------------------------------------------------------------------


def run_python(code, *, timeout=60, **environment):
    """What `code` prints in a fresh interpreter, in which a warning is an error; fails if that ends badly."""
    paths = os.pathsep.join([str(_HERE.parent), str(_HERE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", "-X", "faulthandler", "-c", code]
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
