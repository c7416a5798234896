"""The race to the optimum: time to 1e-6 relative suboptimality.

Whole calls of `fit`, conversion included, on a logistic problem whose features have scales spread over e^N(0, 1),
with alpha = 1e-4. E is evaluated in float64 for everyone, by NumPy; the optimum is the lower of what gdfast and
newton-cholesky reach with a tolerance of 1e-12 on float64 data. Each solver runs with the loosest of its tolerances
that reaches 1e-6 (float32 data first, then widened to float64); where it cannot, or warns, that is said. Whoever
needs more than 20 times gdfast's time has run once, the others take turns.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import gdfast
from benchmarks import THREADS, scaled
from benchmarks.data import logistic_problem, objective
from benchmarks.libraries import LOGISTIC
from benchmarks.report import Row
from benchmarks.timing import Ratio

ALPHA = 1e-4
GOAL = 1e-6
TURNS = 20  # whoever needs more than that many times gdfast's time runs once only


class Trial(NamedTuple):
    """How an entry did at the setting that counts."""

    setting: object
    suboptimality: float
    seconds: float
    warned: str

    @property
    def reached(self):
        """Whether it is near enough to the optimum."""
        return self.suboptimality <= GOAL


@pytest.fixture(scope="module")
def problem():
    """X, y and E at the optimum."""
    X, y = logistic_problem(scaled(500_000, 5000), 50)
    wide = X.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [
            gdfast.GDClassifier(alpha=ALPHA, tol=1e-12, n_threads=THREADS).fit(wide, y),
            LogisticRegression(C=1 / (ALPHA * len(X)), solver="newton-cholesky", tol=1e-12).fit(wide, y),
        ]
    return X, y, min(objective(model, X, y, ALPHA) for model in models)


def test_logistic(problem, compare, section):
    """Every solver against gdfast; the target is about the best of them."""
    X, y, best = problem
    trials = {entry: _find_setting(entry, X, y, best) for entry in LOGISTIC}
    ours, *others = LOGISTIC
    calls = {entry.name: partial(_quietly, entry.fit, X, y, ALPHA, trials[entry].setting) for entry in LOGISTIC}
    patience = TURNS * trials[ours].seconds
    in_time = {entry for entry in others if trials[entry].reached and trials[entry].seconds <= patience}
    racing = {entry.name: calls[entry.name] for entry in in_time or others[:1]}
    times = compare(calls["gdfast"], racing, rounds=5)
    winner = times.quickest(*racing)
    what = f"log_loss, {len(X):,} x {X.shape[1]} float32, to {GOAL:g}"
    mine = _cell(times.seconds(), trials[ours])
    for entry in others:
        trial = trials[entry]
        if entry.name in racing:
            ratio, seconds = times.ratio(entry.name), times.seconds(entry.name)
        else:
            ratio, seconds = Ratio(*[trial.seconds / times.seconds()] * 3), trial.seconds
        lost = ratio.value < 1 or not trials[ours].reached
        target = 5 if entry.name == winner else None
        name = f"{entry.name}, the best other" if target else entry.name
        section.rows.append(Row(what, name, mine, _cell(seconds, trial), ratio, target=target, lost=lost))
    section.notes += _notes(trials)


def _find_setting(entry, X, y, best):
    """The loosest setting that reaches the goal, or else the one that comes nearest."""
    trials = []
    for setting in entry.settings:
        start = time.perf_counter()
        model, warned = _quietly(entry.fit, X, y, ALPHA, setting)
        seconds = time.perf_counter() - start
        trials.append(Trial(setting, objective(model, X, y, ALPHA) / best - 1, seconds, warned))
        if trials[-1].reached:
            return trials[-1]
    return min(trials, key=lambda trial: trial.suboptimality)


def _quietly(fit, *arguments):
    """The model and the first line of the first warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fit(*arguments)
    return model, str(caught[0].message).split("\n")[0] if caught else ""


def _cell(seconds, trial):
    reached = f"{trial.suboptimality:.0e} left"
    return f"{seconds:.3f} s, {reached}" if trial.reached else f"{seconds:.3f} s, **not reached**: {reached}"


def _setting_text(setting):
    if isinstance(setting, float):
        return f"tol {setting:g}"
    dtype, tol = setting
    return f"tol {tol:g} on {dtype.__name__}"


def _notes(trials):
    notes = []
    for entry, trial in trials.items():
        parts = [
            f"{entry.name}: {_setting_text(trial.setting)}",
            entry.note,
            f'warned "{trial.warned}"' if trial.warned else "",
        ]
        notes.append("; ".join(part for part in parts if part) + ".")
    return notes
