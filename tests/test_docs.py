"""What the documents say runs: examples in docstrings and README.md, commands, links."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib
import pkgutil
import re
import shlex
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import pytest

import gdfast
from gdfast import cli

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages(gdfast.__path__, "gdfast.") if not name.endswith("__main__")
)


def blocks(language, document=README):
    """The code blocks of a document in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("name", ["gdfast", *MODULES])
def test_docstring_examples(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


def public_callables():
    """Name -> function, class or method of the library's own that its users meet."""
    found = {name: getattr(gdfast, name) for name in gdfast.__all__}
    found = {name: thing for name, thing in found.items() if callable(thing)}
    for name, thing in list(found.items()):
        if isinstance(thing, type):
            methods = [method for method in dir(thing) if not method.startswith("_")]
            found |= {f"{name}.{method}": getattr(thing, method) for method in methods}
    own = {name: thing for name, thing in found.items() if getattr(thing, "__module__", "").startswith("gdfast")}
    return {
        name: thing for name, thing in own.items() if not (isinstance(thing, type) and issubclass(thing, Exception))
    }


def test_there_are_examples():
    found = public_callables()
    assert {"scores", "GDRegressor", "GDRegressor.fit", "GDClassifier.predict_proba"} <= set(found)
    assert [name for name, thing in found.items() if ">>> " not in thing.__doc__] == []


def documented_parameters(estimator):
    """Name -> type, default and description of each parameter, as the docstring has them."""
    text = inspect.getdoc(estimator).split("Parameters\n----------\n")[1].split("\n\nAttributes\n")[0]
    found = {}
    for names, description in re.findall(r"^(\w[^\n]*?) : ([^\n]*(?:\n    [^\n]*)*)", text, re.MULTILINE):
        found |= dict.fromkeys(names.split(", "), " ".join(description.split()))
    return found


@pytest.mark.parametrize(
    ("of_numbers", "of_classes", "different"),
    [
        (gdfast.GDRegressor, gdfast.GDClassifier, ["loss", "alpha", "solver", "epsilon", "early_stopping"]),
        (gdfast.GDRegressorCV, gdfast.GDClassifierCV, ["cv", "scoring", "loss", "bounds"]),
    ],
)
def test_what_estimators_share_is_described_in_the_same_words(of_numbers, of_classes, different):
    """Docstrings stand where editors and readers of the source find them, twice; they must not drift apart."""
    one, other = map(documented_parameters, (of_numbers, of_classes))
    for estimator, described in ((of_numbers, one), (of_classes, other)):
        assert set(described) == set(estimator().get_params())
    assert [name for name in one if name in other and one[name] != other[name]] == different


def test_readme_python(capsys):
    namespace = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    assert namespace["model"].score(namespace["X_test"], namespace["y_test"]) > 0.85
    np.testing.assert_allclose(namespace["refitted"].coef_, namespace["model"].coef_, rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(namespace["w"], [2.0, -1.0], rtol=1e-6)
    np.testing.assert_allclose(namespace["result"].coef, [2.0, -1.0], rtol=1e-6)
    assert namespace["again"].predict([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).tolist() == ["up", "down"]
    assert "True" in capsys.readouterr().out


COMMANDS = [
    path
    for path in ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
    if any(re.search("^gdfast ", block, re.MULTILINE) for block in blocks("sh", (ROOT / path).read_text()))
]


def write_tables(folder):
    """The files that the commands name, a few hundred rows each."""
    rng = np.random.default_rng(0)
    n = 300
    a, b, days = rng.normal(size=n), rng.normal(size=n), rng.integers(1, 30, n)
    town = rng.choice(["Rome", "Paris", "Ulm"], n).tolist()
    files = {
        "houses.csv": {"area": a, "town": town, "price": 200 + 50 * a + b},
        "new_houses.csv": {"area": a[:9], "town": town[:9]},
        "claims.parquet": {"age": a, "log_exposure": b / 9, "claims": rng.poisson(np.exp(0.3 * a + b / 9))},
        "cancer.csv": {"radius": a, "texture": b, "diagnosis": np.where(a + rng.normal(size=n) > 0, "M", "B").tolist()},
        "visits.csv": {"patient": rng.integers(0, 40, n), "date": town, "age": a, "cost": 9 * a + b},
        "sales.parquet": {"shop": town, "a": a, "log_days": np.log(days), "units": rng.poisson(days * np.exp(0.2 * a))},
    }
    for name, columns in files.items():
        write = pa_csv.write_csv if name.endswith("csv") else pa_parquet.write_table
        write(pa.table(columns), folder / name)


@pytest.mark.parametrize("document", COMMANDS)
def test_commands(document, tmp_path, monkeypatch, capsys):
    """Every command runs, one after the other, and writes the files that it names."""
    pytest.importorskip("matplotlib")
    found = blocks("sh", (ROOT / document).read_text())
    commands = [line for block in found for line in block.splitlines() if line.startswith("gdfast ")]
    assert commands
    write_tables(tmp_path)
    monkeypatch.chdir(tmp_path)
    for command in commands:
        words = shlex.split(command)
        assert cli.main(words[1:]) == 0, (command, capsys.readouterr().err)
        for option, path in pairwise(words):
            assert option not in ("--out", "--plot", "--report") or (tmp_path / path).stat().st_size


def test_other_shell_lines():
    """Targets of make and extras of pip are there; what else a block holds is run by test_embedding.py."""
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    project = (ROOT / "pyproject.toml").read_text()
    paths = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    lines = [line for path in paths for block in blocks("sh", path.read_text()) for line in block.splitlines()]
    others = [re.sub(r"\s*#.*", "", line) for line in lines if not line.startswith("gdfast ")]
    assert "make demo" in others and "pip install '.[all]'" in others
    for line in others:
        tool, *words = shlex.split(line)
        assert tool in ("make", "pip"), line
        assert tool != "make" or words[0] in targets, line
        extra = words[1][2:-1] if tool == "pip" else ""  # of '.[extra]'
        assert not extra or re.search(rf"^{extra} = \[", project, re.MULTILINE), line


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "examples/embedding/README.md",
        *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    ],
)
def test_links(document):
    """Links to files of the project lead somewhere."""
    path = ROOT / document
    for target in re.findall(r"\]\(([^)#\s]+)\)", path.read_text()):
        assert target.startswith("https://") or (path.parent / target).exists(), f"{document} links to {target}"


def test_the_map_is_complete():
    """CONTRIBUTING.md names every file, those that differ in their ending as name.c/.h."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"[\w.]+\.\w+", text))
    for stem, endings in re.findall(r"(\w+)((?:/?\.\w+)+)", text):
        named |= {stem + ending for ending in endings.split("/")}
    folders = [
        "src",
        "gdfast",
        "gdfast/displays",
        "gdfast/rows",
        "tests",
        "tests/c",
        "tests/typing",
        "benchmarks",
        "docs",
    ]
    folders += [f"benchmarks/solve{part}" for part in ("", "/libraries", "/problems")]
    folders += ["examples", "examples/embedding"]
    kinds = {".c", ".h", ".inc", ".py", ".pyx", ".pxd", ".pxi", ".pyi", ".md", ".txt", ".toml"}
    files = [path for folder in folders for path in (ROOT / folder).iterdir() if path.suffix in kinds]
    assert len(files) > 80
    assert [path for path in files if path.name not in named and not path.match("tests/c/test_*.c")] == []


def test_the_oldest_versions():
    """tests/oldest.txt pins what pyproject.toml names as the lowest, README.md and setup.py say the same."""
    project = (ROOT / "pyproject.toml").read_text()
    lowest = dict(re.findall(r'"([\w-]+)>=([\d.]+)"', project.split("[project]")[1].split("\nlint = ")[0]))
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "tests" / "oldest.txt").read_text(), re.MULTILINE))
    assert {"numpy", "scikit-learn", "pyarrow", "pytest"} <= set(lowest)
    assert set(pinned) - set(lowest) == {"scipy", "pyparsing"}
    assert [name for name, version in lowest.items() if not f"{pinned.get(name)}.".startswith(f"{version}.")] == []
    assert f"NumPy {lowest['numpy']} and scikit-learn {lowest['scikit-learn']} or newer" in README
    assert f"NPY_{lowest['numpy'].replace('.', '_')}_API_VERSION" in (ROOT / "setup.py").read_text()
    oldest, *_, newest = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    assert f"Python {oldest} to {newest}" in README
    assert f'requires-python = ">={oldest}"' in project
