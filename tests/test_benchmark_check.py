"""`make benchmark-check`: what counts as slower, and that both versions are timed."""

import pytest

from benchmarks.check import ROOT, Limits, Worker, compare

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


def test_a_case_that_one_lacks(workers, capsys):
    assert not compare("no such case", *workers, LIMITS)
    assert "not in both: KeyError" in capsys.readouterr().out


def test_a_process_that_dies(tmp_path):
    (tmp_path / "gdfast.py").write_text("raise SystemExit(3)")
    with Worker(tmp_path) as worker, pytest.raises((ChildProcessError, BrokenPipeError)):
        worker.seconds("fit, 200 x 10, logistic", 1)
