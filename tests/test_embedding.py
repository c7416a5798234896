"""The engine in other people's code: the examples of examples/embedding, built and run; headers that do not match."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gdfast

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "embedding"
COMPILER = os.environ.get("CC", "cc")

pytestmark = [
    pytest.mark.skipif(shutil.which(COMPILER.split()[0]) is None, reason="needs a C compiler"),
    pytest.mark.timeout(600),  # compilers take their time on a busy machine
]


def run(command, folder, **environment):
    """What the command prints; fails with all that it said if it does."""
    paths = os.pathsep.join([str(EXAMPLE.parent.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, **environment}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(folder):
    """Build the extension of the example in a copy of it, as its README.md has it, but without optimisation."""
    for module in ("Cython", "setuptools"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")
    shutil.copytree(EXAMPLE, folder)
    run([sys.executable, "setup.py", "build_ext", "--inplace"], folder, CFLAGS="-O0")
    return folder


@pytest.fixture(scope="module")
def extension(tmp_path_factory):
    """The folder in which `import segments` works."""
    return build(tmp_path_factory.mktemp("extension") / "embedding")


def test_the_header_is_alone():
    """No private header beside it, which would hide a system header such as threads.h from those who include it."""
    include = Path(gdfast.get_include())
    assert include.is_absolute()
    assert {path.name for path in include.iterdir()} == {"gdfast.h", "src"}
    assert (include / "gdfast.h").read_bytes() == (include / "src" / "gdfast.h").read_bytes()
    assert {path.suffix for path in (include / "src").iterdir()} == {".c", ".h", ".inc"}


# ---- from Cython -------------------------------------------------------------------------------------------------


def test_the_extension_runs(extension):
    printed = run([sys.executable, "-W", "error", "run.py"], extension)
    assert re.match(r"200 neurons, \d+ epochs, accuracy 0\.8\d\d, the true weights' 0\.8\d\d\n", printed)
    assert "\n200 of them equal those of gdfast.gradient_descent to the last bit\n" in printed


def test_hooks_and_errors_of_the_extension(extension):
    """A hook in C ends descents; what the engine refuses, or would crash on, comes out as an exception."""
    code = """
import numpy as np, segments
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 2)).astype(np.float32)
y = (X[:, 0] + rng.normal(size=300) > 0).astype(float)
starts = np.array([0, 100, 300])
(exact, many), (rough, few) = segments.fit(X, y, starts), segments.fit(X, y, starts, good_enough=0.69)
print(few < many, np.abs(rough - exact).max() > 0)
bad = X.copy()
bad[150] = np.nan
for call in (
    lambda: segments.fit(bad, y, starts),
    lambda: segments.fit(X, y, np.array([0, 100, 301])),
    lambda: segments.fit(X, y[:-1], starts),
    lambda: segments.predict(X, starts, np.zeros((2, 2))),
):
    try:
        call()
    except ValueError as error:
        print(error)
"""
    assert run([sys.executable, "-W", "error", "-c", code], extension).splitlines() == [
        "True True",
        "segment 1: gdfast.h has status 3 for this",
        "starts must rise from 0 to the number of rows",
        "y must be of shape (300,), got (299,)",
        "weights must be of shape (2, 3), got (2, 2)",
    ]


def test_the_extension_links_nothing(extension):
    """The engine's functions come from the gdfast that is loaded, at its instruction set: no copy of its own."""
    (library,) = (path for path in extension.iterdir() if path.suffix == ".so")
    assert b"gd_kernels" not in library.read_bytes()
    code = "import segments; from gdfast import _core; print(_core.isa())"
    assert run([sys.executable, "-c", code], extension, GDFAST_ISA="baseline") == "baseline\n"


def test_a_header_of_another_version(tmp_path, extension):
    """GD_API_VERSION: ImportError that names both, instead of structs that are read at the wrong places."""
    header = (Path(gdfast.get_include()) / "gdfast.h").read_text()
    version = int(re.search(r"#define GD_API_VERSION (\d+)", header)[1])
    (tmp_path / "gdfast.h").write_text(re.sub(r"(#define GD_API_VERSION) \d+", r"\1 4711", header))
    (tmp_path / "probe.pyx").write_text("from gdfast._core cimport import_gdfast\nimport_gdfast()\n")
    setup = (extension / "setup.py").read_text()
    (tmp_path / "setup.py").write_text(setup.replace("segments", "probe").replace("gdfast.get_include()", '"."'))
    run([sys.executable, "setup.py", "build_ext", "--inplace"], tmp_path, CFLAGS="-O0")
    code = "try:\n    import probe\nexcept ImportError as error:\n    print(error)"
    message = f"compiled with version 4711 of gdfast.h, the engine that gdfast has loaded is of version {version}:"
    assert message in run([sys.executable, "-c", code], tmp_path)


# ---- from C ------------------------------------------------------------------------------------------------------


def readme_command(readme):
    """The command of the README that compiles plain.c, as one line."""
    return re.search(r"^cc (.*?)$", readme.replace("\\\n", " "), re.MULTILINE)[0]


def plain_problem(n=20000):
    """X and y as plain.c makes them."""
    state, drawn = 1, np.empty((n, 4))
    for i in range(n):
        for j in range(4):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            drawn[i, j] = (state >> 11) / 2**53
    X = (drawn[:, :3] * [1, 1000, 0.01]).astype(np.float32)
    exact = X.astype(np.float64)
    return X, 3 * exact[:, 0] - 0.02 * exact[:, 1] + 500 * exact[:, 2] - 7 + 0.1 * (drawn[:, 3] - 0.5)


def test_the_plain_c_program(tmp_path):
    """Compiled as README.md says, but without optimisation: the bits that gdfast computes from Python."""
    command = readme_command((EXAMPLE / "README.md").read_text())
    assert " -O3 " in command
    command = command.replace(" -O3 ", " -O0 -Wall -Wextra -Werror ").replace("cc ", COMPILER + " ", 1)
    shutil.copy(EXAMPLE / "plain.c", tmp_path)
    run(["sh", "-ec", f'include="{gdfast.get_include()}"; {command}'], tmp_path)
    printed = run([str(tmp_path / "plain")], tmp_path)
    X, y = plain_problem()
    result = gdfast.gradient_descent(X, y, solver="auto", max_iter=100, tol=1e-9)
    weights = [float(word) for word in re.search(r"weights (.*)", printed)[1].replace("bias ", "").split()]
    np.testing.assert_array_equal(weights, [*result.coef, result.intercept])
    np.testing.assert_allclose(weights, [3, -0.02, 500, -7], rtol=2e-3)
    scores = [float(score) for score in re.findall(r"score (\S+)", printed)]
    np.testing.assert_allclose(scores, gdfast.scores(X[:3], result.coef, result.intercept), atol=6e-4)
