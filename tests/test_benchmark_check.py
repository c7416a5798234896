"""`make benchmark-check`: what counts as slower, and that both versions are timed."""

import pytest

from benchmarks.cases import CASES
from benchmarks.check import ROOT, Limits, Worker, compare

# A module that stands for gdfast, with something changed.
OTHER = f"""
import sys
del sys.modules["gdfast"]
sys.path.insert(0, {str(ROOT)!r})
import gdfast
"""
SLEEPS = """
import time
fit = gdfast.GDClassifier.fit
gdfast.GDClassifier.fit = lambda *args: time.sleep(0.003) or fit(*args)
"""
LIMITS = Limits(relative=0.1, absolute=1e-3)


@pytest.mark.parametrize(
    ("before", "now", "slower"),
    [
        ([1.0, 1.0, 1.0], [1.05, 1.2, 1.05], False),  # a share of 5 %, and an outlier
        ([1.0, 1.0, 1.0], [1.2, 1.2, 1.0], True),
        ([1e-4, 1e-4, 1e-4], [5e-4, 5e-4, 5e-4], False),  # five times as long, but nothing in seconds
        ([1.0, 2.0, 4.0], [1.2, 2.4, 4.8], True),  # neighbours are compared, whatever the machine does meanwhile
        ([1.2, 1.2, 1.2], [1.0, 1.0, 1.0], False),
    ],
)
def test_slower_is_beyond_both_limits(before, now, slower):
    assert LIMITS.exceeded(before, now) is slower


@pytest.fixture(scope="module")
def workers():
    with Worker(ROOT) as before, Worker(ROOT) as now:
        yield before, now


def test_a_case_of_both(workers, capsys):
    assert not compare("fit, 200 x 10, logistic", *workers, Limits(relative=1e3, absolute=1e3))
    assert "ms" in capsys.readouterr().out


def test_what_has_become_slower_is_found(tmp_path, workers, capsys):
    """A fit that sleeps for 3 ms, beside the same without; and the other way round."""
    (tmp_path / "gdfast.py").write_text(OTHER + SLEEPS)
    limits = Limits(relative=0.5, absolute=1e-3)
    with Worker(tmp_path) as sleepy:
        assert compare("fit, 200 x 10, logistic", workers[0], sleepy, limits)
        assert "SLOWER" in capsys.readouterr().out
        assert not compare("fit, 200 x 10, logistic", sleepy, workers[0], limits)


def test_cases_that_one_lacks(tmp_path, workers, capsys):
    """What the base lacks is new; what this tree lacks is a failure."""
    (tmp_path / "gdfast.py").write_text(OTHER + "del gdfast._LAZY['GDClassifier']\n")
    with Worker(tmp_path) as lacking:
        assert not compare("fit, 200 x 10, logistic", lacking, workers[0], LIMITS)
        assert "new: AttributeError" in capsys.readouterr().out
        assert compare("fit, 200 x 10, logistic", workers[0], lacking, LIMITS)
        assert "FAILED: AttributeError" in capsys.readouterr().out


@pytest.mark.timeout(600)
def test_every_case_runs(monkeypatch):
    monkeypatch.setenv("GDFAST_BENCHMARK_SCALE", "0.01")
    with Worker(ROOT) as worker:
        for case in CASES:
            assert worker.seconds(case, 1) > 0


def test_a_process_that_dies(tmp_path):
    (tmp_path / "gdfast.py").write_text("raise SystemExit(3)")
    with Worker(tmp_path) as worker, pytest.raises((ChildProcessError, BrokenPipeError)):
        worker.seconds("fit, 200 x 10, logistic", 1)
