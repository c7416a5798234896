"""What the documents say runs: examples in docstrings and README.md, commands, links."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pathlib
import pkgutil
import re
import shlex

import numpy as np
import pytest

import gdfast
from gdfast import cli
from gdfast.options import check_together

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


@pytest.mark.parametrize("document", ["README.md", "docs/many_models.md"])
def test_commands(document):
    """Every command is one that the parser takes, its options such that go together."""
    found = blocks("sh", (ROOT / document).read_text())
    commands = [line for block in found for line in block.splitlines() if line.startswith("gdfast ")]
    assert commands
    for command in commands:
        options = cli._parser().parse_args(shlex.split(command)[1:])
        assert options.run
        if command.startswith("gdfast train"):
            check_together(options)


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
