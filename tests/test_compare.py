"""The race of benchmarks/solve: the objective, libraries that hang or crash, results that add up, the report."""

from __future__ import annotations

import contextlib
import importlib
import os
import pathlib
import textwrap
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

import gdfast

ROOT = pathlib.Path(__file__).resolve().parent.parent
OBJECTIVES = [
    {"loss": "squared_error", "alpha": 0.1},
    {"loss": "squared_error", "alpha": 0.0},
    {"loss": "squared_error", "alpha": 0.05, "l1_ratio": 0.5},
    {"loss": "squared_error", "alpha": 0.05, "l1_ratio": 1.0},
    {"loss": "huber", "alpha": 0.1, "epsilon": 0.7},
    {"loss": "quantile", "quantile": 0.7},
    {"loss": "absolute_error"},
    {"loss": "poisson", "alpha": 0.1},
    {"loss": "gamma", "alpha": 0.1},
    {"loss": "log_loss", "alpha": 0.1},
    {"loss": "log_loss", "alpha": 0.02, "l1_ratio": 1.0},
    {"loss": "log_loss", "alpha": 0.1, "classes": 3},
    {"loss": "squared_hinge", "alpha": 0.1},
    {"loss": "hinge", "alpha": 0.1},
]


@pytest.fixture(scope="module", autouse=True)
def solve():
    """The package benchmarks.solve, which sets what libraries read from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
            patch.setenv(name, os.environ.get(name, "2"))
        patch.setenv("VECLIB_MAXIMUM_THREADS", "2")
        yield importlib.import_module("benchmarks.solve")


def make_task(loss, *, classes=2, weighted=False, **parameters):
    """200 rows that any solver finishes with at once."""
    from benchmarks.solve.task import Task

    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 5))
    z = X @ [1.0, -0.5, 0.0, 0.2, 0.0] + 0.3
    if loss in ("log_loss", "squared_hinge", "hinge"):
        y = np.digitize(z + rng.logistic(size=200), np.linspace(-1, 1, classes - 1) if classes > 2 else [0.0])
    elif loss == "poisson":
        y = rng.poisson(np.exp(z)).astype(float)
    elif loss == "gamma":
        y = rng.gamma(2.0, np.exp(z) / 2.0)
    else:
        y = z + rng.standard_normal(200)
    return Task(X, y, loss, sample_weight=rng.uniform(0.5, 2.0, 200) if weighted else None, **parameters)


def name_of(objective):
    return " ".join(str(value) for value in objective.values())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("objective", OBJECTIVES, ids=name_of)
def test_objective(objective, weighted, monkeypatch):
    """E is what gdfast says, over chunks of rows too, in other types, and for sparse rows."""
    monkeypatch.setattr("benchmarks.solve.task.CHUNK", 5 * 64)
    task = make_task(weighted=weighted, **objective)
    rng = np.random.default_rng(1)
    coef, intercept = rng.standard_normal((task.n_outputs, 5)), rng.standard_normal(task.n_outputs)
    given = {name: value for name, value in objective.items() if name != "classes"}
    y = 2 * task.y - 1 if "hinge" in task.loss else task.y
    one = task.n_outputs == 1
    expected, *_ = gdfast.reference.error_and_gradient(
        task.X,
        y,
        coef[0] if one else coef,
        intercept[0] if one else intercept,
        sample_weight=task.sample_weight,
        **given,
    )
    assert task.error(coef, intercept) == pytest.approx(expected, rel=1e-13)
    assert replace(task, X=sp.csr_matrix(task.X)).error(coef, intercept) == pytest.approx(expected, rel=1e-13)
    assert task.converted("float32").error(coef, intercept) == pytest.approx(expected, rel=1e-5)


def test_units():
    """Rows in other units and weights to match have the same error."""
    pixels = np.random.default_rng(2).integers(0, 256, (50, 5), dtype=np.uint8)
    task = replace(make_task("log_loss", alpha=2.0), X=pixels, y=np.arange(50) % 2, unit=255.0)
    coef = np.arange(5) / 100
    other = task.converted("float32")
    assert other.X.max() <= 1
    assert other.error(coef * 255, 0.5) == pytest.approx(task.error(coef, 0.5), rel=1e-6)
    assert task.X is pixels
    assert task.fingerprint() != other.fingerprint()


def errors_of(solver, task):
    """E at budgets from loose to tight, one by one."""
    for budget in solver.budgets:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weights = solver.fit(task.converted(solver.types[-1] if solver.types else "float64"), budget)
        yield task.error(*weights)


def libraries():
    from benchmarks.solve.libraries import LIBRARIES

    return LIBRARIES


@pytest.mark.parametrize("objective", OBJECTIVES, ids=name_of)
def test_libraries_minimise_the_objective(objective):
    """Some budget of every exact solver of whatever is installed leads to the same optimum."""
    task = make_task(**objective)
    model = importlib.import_module("benchmarks.solve.libraries.gdfast")._fit(task, 1e-12)
    least, tried = task.error(*model), 0
    for name in libraries():
        try:
            library = importlib.import_module(f"benchmarks.solve.libraries.{name}")
        except ImportError:
            continue
        for solver in library.solvers(task):
            if solver.exact:
                errors = errors_of(solver, task)
                assert any(error == pytest.approx(least, rel=1e-6) for error in errors), (name, solver.name)
                tried += 1
    assert tried >= 1


FAKE = """
import logging, os, time, warnings
import numpy as np
from benchmarks.solve.library import Solver

PACKAGE, NOTE = "numpy", ""

def answer(task, budget):
    return np.zeros(5), 0.0

def slow(task, budget):
    if len(task.y) == 400:  # not in the warm-up, which has 300 rows
        time.sleep(60)
    return answer(task, budget)

def raising(task, budget):
    raise FloatingPointError("too\\nlarge")

def talking(task, budget):
    {"warns": lambda: warnings.warn("of this"), "logs": lambda: logging.getLogger("x").warning("of that"),
     "prints": lambda: os.write(1, b"WARNING: of more\\n")}[budget]()
    return answer(task, budget)

def solvers(task):
    return [Solver("good", answer, (1.0,)), Solver("slow", slow, (1.0,)), Solver("raising", raising, (1.0,)),
            Solver("ending", lambda task, budget: os._exit(3), (1.0,)),
            Solver("nan", lambda task, budget: (np.full(5, np.nan), 0.0), (1.0,)),
            Solver("talking", talking, ("warns", "logs", "prints"))]
"""


def test_libraries_that_fail(tmp_path, monkeypatch):
    """Each failure is told, and hinders nobody else."""
    from benchmarks.solve.optimum import Optimum
    from benchmarks.solve.race import race
    from benchmarks.solve.worker import Worker

    (tmp_path / "a_fake_library.py").write_text(textwrap.dedent(FAKE))
    monkeypatch.syspath_prepend(tmp_path)
    task = make_task("squared_error", alpha=0.1).take(np.arange(400) % 200)
    modules = {"fake": "a_fake_library", "absent": "benchmarks.solve.libraries.no_such_library"}
    monkeypatch.setattr("benchmarks.solve.race.CONTENDS", 1e9)
    error = task.constant_error()
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(module, tmp_path / "log.txt")) for name, module in modules.items()}
        entrants, missing = race(task, workers, Optimum(error - 1e-5, 1.0, {}), repeats=2, limit=3.0)
    assert "no_such_library" in missing["absent"]
    assert entrants["fake"].version == f"numpy {np.__version__}"
    curves = {curve.name: curve for curve in entrants["fake"].curves}
    assert {name: curve.failed for name, curve in curves.items()} == {
        "good": "",
        "slow": "float64 tol 1: stopped after 3 s",
        "raising": "float64 tol 1: FloatingPointError: too",
        "ending": "float64 tol 1: the process ended with code 3",
        "nan": "float64 tol 1: no finite weights",
        "talking": "",
    }
    (point,) = curves["good"].points
    assert point.error == pytest.approx(error)
    assert len(point.seconds) == 2
    warned = [point.warned for point in curves["talking"].points]
    assert warned == ["UserWarning: of this", "of that", "WARNING: of more"]


class Paced:
    """A worker whose calls take what they are said to take: name -> seconds, whether it gets there, its budgets."""

    def __init__(self, ways):
        self.ways = ways

    def take(self, task):
        from benchmarks.solve.worker import Listing, Offer

        offers = (Offer(name, [("", budget) for budget in way[2]], "tol") for name, way in self.ways.items())
        return Listing(offers=tuple(offers))

    def call(self, solver, step, timeout, *, warm_up=False):
        from benchmarks.solve.worker import Answer, TooLong

        seconds, gets_there, _ = list(self.ways.values())[solver]
        if seconds > timeout and not warm_up:
            raise TooLong(f"stopped after {timeout:g} s")
        return Answer(seconds, np.full(5, 0.0 if gets_there else 1e3 / step[1]), np.zeros(1))


def test_who_may_run_for_how_long(monkeypatch):
    """The judge has a minute, calls four times the best other's time, solvers eight; those in front go on."""
    from benchmarks.solve import race
    from benchmarks.solve.optimum import Optimum

    monkeypatch.setattr(race, "PAUSE", 0.0)
    tolerances = tuple(1.0 + power for power in range(8))
    ways = {
        "ours": {"quick": (0.5, True, tolerances)},
        "theirs": {
            "slow": (45.0, True, tolerances),
            "best": (1.0, True, tolerances),
            "second": (2.9, True, tolerances),
        },
        "others": {
            "judge": (45.0, True, tolerances),
            "third": (3.1, True, tolerances),
            "endless": (70.0, True, tolerances),
            "late": (2.1, False, tolerances),  # what takes longer will not be first
            "steps": (0.5, False, (1, 3, 30)),
            "many calls": (1.9, False, tolerances),
        },
    }
    task = make_task("squared_error", alpha=0.1)
    workers = {name: Paced(way) for name, way in ways.items()}
    optimum = Optimum(task.constant_error(), 1.0, {})
    entrants, _ = race.race(task, workers, optimum, repeats=3, limit=60.0, judge=("others", "judge"))
    curves = {curve.name: curve for entrant in entrants.values() for curve in entrant.curves}
    assert {name: [len(point.seconds) for point in curve.points] for name, curve in curves.items()} == {
        "quick": [3],
        "slow": [1],  # no slower than the judge
        "best": [3],
        "second": [3],
        "judge": [1],
        "third": [1],
        "endless": [],
        "late": [1],
        "steps": [1, 1],
        "many calls": [1, 1, 1, 1],
    }
    assert {name: curve.failed for name, curve in curves.items() if curve.failed} == {
        "endless": "tol 1: stopped after 4 s",
        "late": "stopped before tol 2",
        "steps": "stopped before tol 30",
        "many calls": "stopped before tol 5",
    }
    del workers["others"]
    entrants, _ = race.race(task, workers, optimum, repeats=1, limit=60.0)
    assert entrants["theirs"].curves[0].failed == "tol 1: stopped after 15 s"  # nobody was there: 30 times gdfast's


RUNNER = """
import time
import numpy as np
from benchmarks.solve.library import Solver

PACKAGE, NOTE = "numpy", ""

def fit(task, budget):
    time.sleep(60.0 if len(task.y) == 400 else 0.0)  # not in the warm-up, which has 300 rows
    return np.zeros(5), 0.0

def solvers(task):
    return [Solver("one", fit, (1.0,))]
"""


def test_a_process_takes_one_task_after_another(tmp_path, monkeypatch):
    from benchmarks.solve.worker import TooLong, Worker

    (tmp_path / "runner.py").write_text(RUNNER)
    monkeypatch.syspath_prepend(tmp_path)
    task = make_task("squared_error")
    long = task.take(np.arange(400) % 200)
    with Worker("runner", tmp_path / "log.txt") as worker:
        assert [offer.name for offer in worker.take(task).offers] == ["one"]
        process = worker._process.pid
        assert worker.call(0, ("float64", 1), 30.0).coef is not None
        worker.take(long)
        assert worker._process.pid == process
        with pytest.raises(TooLong, match=r"stopped after 0\.3 s"):
            worker.call(0, ("float64", 1), 0.3)
        assert worker.call(0, ("float64", 1), 30.0, warm_up=True).coef is not None
        assert worker._process.pid != process


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_run(tmp_path, capsys):
    """A problem by two libraries, then by one of them again: a page, a plot, and nobody is forgotten."""
    pytest.importorskip("matplotlib")
    from benchmarks.solve.__main__ import main
    from benchmarks.solve.results import load

    options = ["--problems", "huber_heavy", "--scale", "small", "--out", str(tmp_path), "--libraries"]
    assert main([*options, "gdfast,scikit_learn", "--repeats", "2"]) == 0
    first = load(tmp_path / "small" / "huber_heavy.json")
    assert set(first.optimum.found) == {"gdfast: gdfast", "scikit_learn: HuberRegressor"}
    assert main([*options, "gdfast", "--repeats", "1"]) == 0
    second = load(tmp_path / "small" / "huber_heavy.json")
    assert set(second.entrants) == {"gdfast", "scikit_learn"}
    assert second.entrants["scikit_learn"] == first.entrants["scikit_learn"]
    assert second.optimum == first.optimum
    assert second.ours(1e-6).point.error == pytest.approx(second.optimum.error, rel=1e-6)
    assert {curve.name for _, curve in second.curves()} == {"gdfast", "HuberRegressor", "SGDRegressor"}
    page = (tmp_path / "small" / "solve.md").read_text()
    assert "- To 1e-06: " in page or "gdfast alone" in page
    assert "## Huber, heavy tails\n\n`huber_heavy`: X 2,000 x 20 float64." in page
    assert "scikit-learn 1." in page
    assert (tmp_path / "small" / "solve" / "huber_heavy.svg").read_text().startswith("<?xml")
    assert "to 1e-06: gdfast" in capsys.readouterr().out


def test_wrong_names(capsys):
    from benchmarks.solve.__main__ import main

    with pytest.raises(SystemExit):
        main(["--problems", "a9a,b9b"])
    assert "got b9b" in capsys.readouterr().err
