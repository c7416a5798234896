"""What the annotations say: read by mypy in a user's program, and compared with what really comes out."""

from __future__ import annotations

import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hostile import both, data

import gdfast
from gdfast import _core, _types, gradient_descent

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "tests" / "typing" / "sample.py"


def test_a_users_program_passes_strict_mypy(tmp_path):
    """The sample, and a program that touches every public name."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    names = sorted({*gdfast.__all__, *gdfast._LAZY_MODULES})
    every = tmp_path / "every_name.py"
    every.write_text("import gdfast\n" + "".join(f"print(gdfast.{name})\n" for name in names))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml", SAMPLE, every],
        capture_output=True,
        text=True,
        timeout=110,
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues found in 2 source files" in done.stdout


def test_the_users_program_runs():
    pytest.importorskip("typing_extensions")
    runpy.run_path(str(SAMPLE), run_name="__main__")


def test_the_names_are_those_that_the_engine_knows():
    assert set(get_args(_types.Loss)) == set(_core.LOSSES)
    assert set(get_args(_types.Solver)) == set(_core.SOLVERS)
    assert set(get_args(_types.LearningRate)) == set(_core.SCHEDULES)


@both
@pytest.mark.parametrize("validated", [False, True])
def test_fitted_attributes_are_of_the_stated_types(Estimator, validated):
    X, y = data()
    more = {"X_val": X, "y_val": y} if validated else {}
    model = Estimator(max_iter=3, tol=None, solver="gd").fit(X, y, **more)
    types = {"n_iter_": int, "t_": float, "loss_": float, "n_features_in_": int}
    for name, type_ in types.items():
        assert type(getattr(model, name)) is type_, name
    assert type(model.best_validation_loss_) is (float if validated else type(None))
    for name in ["coef_", "intercept_", "loss_curve_", *["validation_curve_"] * validated]:
        assert getattr(model, name).dtype == np.float64, name
    assert type(model.score(X, y)) is float


def test_results_are_of_the_stated_types():
    X, y = data()
    seen = []
    result = gradient_descent(X, y, max_iter=3, tol=None, callback=seen.append)
    for thing, names in (
        (result, {"error": float, "n_iter": int, "converged": bool, "t": int, "n_passes": int, "intercept": float}),
        (
            seen[0],
            {"epoch": int, "error": float, "validation_error": float, "eta": float, "intercept": float, "t": int},
        ),
    ):
        for name, type_ in names.items():
            assert type(getattr(thing, name)) is type_, name
    assert result.coef.dtype == seen[0].coef.dtype == np.float64
