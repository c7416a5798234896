"""The pages of the documentation: their code runs, and says what the text says of it; the notebook; the site."""

from __future__ import annotations

import functools
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import gdfast
from gdfast import reference
from gdfast.functional import LOSSES

pytest.importorskip("matplotlib").use("Agg")

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [  # many_models.md and coming_from_sgd.md have tests of their own
    "index",
    "get_started",
    "gradient_descent",
    "losses",
    "solvers",
    "big_data",
    "coming_from",
    "how_it_is_fast",
    "performance",
    "reproducibility",
]
_spec = importlib.util.spec_from_file_location("cells", DOCS / "cells.py")
cells = importlib.util.module_from_spec(_spec)
sys.modules["cells"] = cells
_spec.loader.exec_module(cells)


def text_of(name):
    return (DOCS / f"{name}.md").read_text()


@functools.cache
def shown(name):
    """What each cell of a page printed, the number of pictures it drew, and which libraries were missing."""
    with tempfile.TemporaryDirectory() as folder:
        found, missing, pictures = [], set(), 0
        for cell, output in cells.run(text_of(name), name, pathlib.Path(folder)):
            if output is not None:
                found.append(output.text)
                pictures += len(output.pictures)
            elif cell.language != "markdown":
                missing.add(cells.missing(cell))
    return found, pictures, missing


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", PAGES)
def test_the_code_of_a_page_runs(name):
    _, _, missing = shown(name)
    if missing:
        pytest.skip(f"all but what needs {', '.join(sorted(missing))} ran")


def test_every_page_is_tested():
    with_code = {path.stem for path in DOCS.glob("*.md") if len(cells.cells(path.read_text())) > 1}
    assert with_code == {*PAGES, "many_models", "coming_from_sgd"}


def test_a_cell_that_fails_is_named(tmp_path):
    with pytest.raises(cells.CellError, match=r"page: this cell failed:\n1 / 0"):
        list(cells.run("Text.\n```python\n1 / 0\n```\n", "page", tmp_path))
    with pytest.raises(cells.CellError, match="must have lines"):
        list(cells.run("```console\n$ rm file\n```\n", "page", tmp_path))


def test_output_stands_below_the_block(tmp_path):
    page = "Sum.\n```python\nprint(1 + 1)\n```\nDone.\n"
    assert cells.with_output(page, "page", tmp_path, "") == (
        "Sum.\n```python\nprint(1 + 1)\n```\n\n```text\n2\n```\nDone.\n"
    )


# ---- what the text says of the output --------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_the_tutorial():
    printed, pictures, _ = shown("gradient_descent")
    text = "\n".join(printed)
    assert pictures >= 9
    by_trying, by_library = re.search(r"by trying: \[(.*?)\]  by the library: \[(.*?)\]", text).groups()
    assert by_trying == by_library
    line = r"^(too small|right|near the limit|too large) +eta .*: error after 5 steps +([\d.]+), after 15 +([\d.]+)"
    rates = {name: (float(few), float(many)) for name, few, many in re.findall(line, text, re.MULTILINE)}
    assert rates["right"][0] < rates["near the limit"][0] and rates["right"][0] < rates["too small"][0]
    assert all(rates[name][1] < rates[name][0] for name in ("too small", "near the limit"))
    assert rates["too large"][1] > rates["too large"][0]
    assert "try eta0=" in text  # the divergence names a rate
    tests = dict(re.findall(r"^(.+?) +test error +(\d+)", text, re.MULTILINE))
    always, stopped, by_heart = (
        float(tests[name]) for name in ("the mean of all, always", "stopped in time", "trained to zero error")
    )
    assert stopped < always < by_heart
    assert float(re.search(r"zero error +test error +\d+, training error (\S+)", text)[1]) < 1e-9


@pytest.mark.timeout(600)
def test_equalities_with_other_libraries():
    """Every difference that the page prints is small."""
    printed, _, missing = shown("coming_from")
    differences = [float(number) for text in printed for number in re.findall(r" (\d+e[-+]\d+)$", text, re.MULTILINE)]
    assert len(differences) == 4 + 5 * ("statsmodels" not in missing) + 5 * ("torch" not in missing)
    assert max(differences) < 2e-5


def test_reproducibility_says_the_truth():
    printed, _, _ = shown("reproducibility")
    assert "False" not in printed[0] + printed[1] and printed[0].count("True") == 16 and "True" in printed[1]


def test_big_data_says_the_truth():
    printed, _, _ = shown("big_data")
    objectives = re.findall(r"objective (\S+)", printed[0])
    np.testing.assert_allclose([float(value) for value in objectives], float(objectives[-1]), rtol=1e-7)
    assert printed[-1] == "True\n"


def test_robust_losses_are_robust():
    """With spoilt targets least squares loses much, the robust losses little."""
    printed = "".join(shown("losses")[0])
    clean, squares, absolute, huber, *_ = (float(value) for value in re.findall(r"median error ([\d.]+)", printed))
    assert squares > 1.4 * clean and max(absolute, huber) < 1.1 * clean
    assert 0.7 < float(re.search(r"0.1 and 0.9: ([\d.]+)", printed)[1]) < 0.9


# ---- the tables ------------------------------------------------------------------------------------------------------


def test_the_table_of_losses():
    """One row and one section for each loss of the engine, and the formulas are its own."""
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", text_of("losses"), re.MULTILINE)
    assert [name for name, _ in rows] and {name for name, _ in rows} == set(LOSSES) and len(rows) == len(LOSSES)
    assert set(re.findall(r"^### (\w+)$", text_of("losses"), re.MULTILINE)) == set(LOSSES)
    rng = np.random.default_rng(0)
    functions = {name: getattr(np, name) for name in ("abs", "exp", "log1p", "maximum", "where")}
    z = rng.normal(0.0, 2.0, 500)
    for name, formula in rows:
        y = np.where(rng.random(500) < 0.5, 1.0, -1.0 if name in reference.MARGIN_LOSSES else 0.0)
        if name not in (*reference.MARGIN_LOSSES, "log_loss"):
            y = rng.exponential(size=500)
        expected = reference.loss(name, z, y, epsilon=0.7, quantile=0.3)[0]
        error = eval(formula, {"y": y, "z": z, "e": 0.7, "q": 0.3, **functions})
        np.testing.assert_allclose(error, expected, rtol=1e-12, atol=1e-12, err_msg=name)


def test_the_tables_of_solvers():
    text = text_of("solvers")
    with_kinks = {"absolute_error", "quantile", "epsilon_insensitive", "hinge", "perceptron", "huber"}
    assert all(f"`{name}`" in text for name in with_kinks)
    for name in ("gd", "sgd", "adagrad", "rmsprop", "adam", "auto", "constant", "invscaling", "optimal", "adaptive"):
        assert f"`{name}`" in text


def test_the_reference_is_complete():
    text = (DOCS / "api.rst").read_text()
    named = set(re.findall(r"^   ([\w.]+)$", text, re.MULTILINE))
    assert set(gdfast.__all__) - {"reference"} <= named
    assert any(name.startswith("reference.") for name in named)


# ---- the notebook and the site ---------------------------------------------------------------------------------------


def test_the_notebook_is_the_page():
    notebook = cells.notebook(text_of("gradient_descent"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    page = cells.cells(text_of("gradient_descent"))
    assert code == [cell.source.strip("\n") for cell in page if cell.language == "python"]
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")
    words = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    assert "Choose a solver" in words and "](" not in words  # pages that are not beside it


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")  # those of Jupyter's own parts
def test_the_notebook_runs(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    path = tmp_path / "gradient_descent.ipynb"
    path.write_text(json.dumps(cells.notebook(text_of("gradient_descent"))))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(ROOT)}}).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 9


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("library", cells.OPTIONAL)
def test_the_code_that_needs_another_library_runs(library):
    pytest.importorskip(library)
    assert library not in shown("coming_from")[2]
    test_equalities_with_other_libraries()


@pytest.mark.slow
def test_the_site(tmp_path):
    """It builds without a warning, links and anchors checked."""
    for needed in ("sphinx", "furo", "myst_parser", "numpydoc", "sphinx_gallery", "sphinx_copybutton"):
        pytest.importorskip(needed)
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "docs", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    site = tmp_path / "site"
    tutorial = (site / "gradient_descent.html").read_text()
    assert tutorial.count("_images/gradient_descent_") >= 9 and "gradient_descent.ipynb" in tutorial
    gallery = (site / "generated" / "gallery" / "index.html").read_text()
    scripts = [path.stem for path in (ROOT / "examples").glob("*.py") if path.stem != "demo"]
    assert len(scripts) == 4 and all(f'href="{name}.html"' in gallery for name in scripts)
    assert 'href="generated/gallery/index.html"' in (site / "index.html").read_text()
    marks = [page.name for page in site.rglob("*.html") if "``" in re.sub("<[^>]*>", "", page.read_text())]
    assert marks == [], "mark-up that was not understood"
