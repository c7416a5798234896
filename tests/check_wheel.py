"""Run by `make wheel` in an environment that has the wheel alone, from another folder: is all there, does it work?"""

from __future__ import annotations

import importlib.resources
import pathlib
import subprocess
import sys

import numpy as np

import gdfast


def main() -> None:
    """Look for the files that others build on, then train and predict."""
    package = importlib.resources.files("gdfast")
    for name in ("_core.pxd", "_core.pyi", "py.typed", "include/gdfast.h", "include/src/run.c", "include/src/load.inc"):
        assert package.joinpath(name).is_file(), f"{name} is missing from the wheel"
    assert pathlib.Path(gdfast.get_include(), "gdfast.h").is_file()
    assert "site-packages" in gdfast.__file__, gdfast.__file__

    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = X @ np.arange(5.0) + 1.0
    result = gdfast.gradient_descent(X, y, solver="auto")
    np.testing.assert_allclose(result.coef, np.arange(5.0), atol=1e-6)
    assert gdfast.GDRegressor(alpha=0.0).fit(X, y).score(X, y) > 0.999999
    assert gdfast.GDClassifier().fit(X, y > 1.0).score(X, y > 1.0) > 0.9
    command = pathlib.Path(sys.executable).with_name("gdfast")
    subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
    gdfast.show_config()


if __name__ == "__main__":
    main()
