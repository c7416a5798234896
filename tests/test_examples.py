"""The example scripts, as a user runs them: scores beside scikit-learn's, and a picture."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

from gdfast.config import get_include

pytest.importorskip("matplotlib")
pytest.importorskip("pandas")

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"
DATA = pathlib.Path(os.environ.get("GDFAST_DATA", EXAMPLES.parent.parent / "shared" / "data"))
FILES = {
    "housing": "california_housing/housing.csv",
    "digits": "mnist",
    "claims": "fremtpl2/freMTPL2freq.parquet",
    "air": "beijing_air/prsa_multisite.csv.gz",
}


def run(name, tmp_path, *arguments):
    """What the script prints: of each line of its table, the name and the numbers."""
    path = os.pathsep.join([str(pathlib.Path(get_include()).parent.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "MPLBACKEND": "Agg"}
    picture = tmp_path / "picture.png"
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--out", str(picture), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) > 20_000
    table = [line for line in done.stdout.splitlines() if re.match(r"(GD|[A-Z]\w+(Regress|Ridge)|Ridge|now) *", line)]
    lines = [re.split(r"\s{2,}", line) for line in table]
    return {name: [float(value.replace(",", "").split()[0]) for value in values] for name, *values in lines}


@pytest.mark.timeout(300)
def test_housing(tmp_path):
    scores = run("housing", tmp_path)
    assert scores["GDRegressor"][0] == pytest.approx(scores["Ridge"][0], abs=1e-3)
    assert scores["SGDRegressor, raw"][0] < scores["SGDRegressor, scaled"][0] < scores["GDRegressor"][0] + 0.02


@pytest.mark.timeout(300)
def test_digits(tmp_path):
    scores = run("digits", tmp_path)
    assert scores["GDClassifier, uint8"][1] == pytest.approx(scores["LogisticRegression"][1], abs=2e-3)
    assert scores["GDClassifier, uint8"][0] > 0.95


@pytest.mark.timeout(300)
def test_claims(tmp_path):
    scores = run("claims", tmp_path)
    assert scores["GDRegressor, offset"][0] == pytest.approx(scores["PoissonRegressor"][0], abs=1e-3)
    _, true, expected, _ = scores["GDRegressor, offset"]
    assert expected == pytest.approx(true, rel=0.1)


@pytest.mark.timeout(300)
def test_air(tmp_path):
    scores = run("air", tmp_path)
    stopped, to_the_end = (scores[f"GDRegressor, {how}"][0] for how in ("stopped by later hours", "trained to the end"))
    assert scores["now"][0] < to_the_end < stopped


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_on_the_real_files(name, tmp_path):
    if not (DATA / FILES[name]).exists():
        pytest.skip("the file is not here")
    assert len(run(name, tmp_path, "--data", str(DATA / FILES[name]))) >= 2
