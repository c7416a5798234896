"""Grids of models: a penalty chosen by folds.

Every library gets the same rows, the same penalties and the same folds (the classes' shuffled ones by a fixed seed);
made-up features have mean 0, so that solvers that want them scaled lose nothing. `C = 1 / (alpha n)` where n counts
the training rows. "Left" is E / E* - 1: for gdfast the largest of all models of the grid, E* from the same grid fitted
to 1e-12 (softmax: 1e-9); for the others that of one model in the middle of the grid, fitted with the loosest of their
tolerances that leaves at most 1e-6, which the whole grid is then timed with. Where a library takes minutes it fits a
part of the grid, once, and its time is multiplied by the share: the row says so. MNIST are the raw pixels, uint8, for
gdfast, and pixels / 255 in float32, divided in advance, for scikit-learn, alpha to match: the same objective.
"""

from __future__ import annotations

import gzip
import time
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet, ElasticNetCV, LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold

import gdfast
from benchmarks import THREADS, scaled
from benchmarks.data import DATA
from benchmarks.report import Row
from benchmarks.timing import OURS, Ratio
from gdfast import _core, reference
from gdfast._splits import roles

ALPHAS = np.geomspace(1e-1, 1e-6, 20)
GOAL = 1e-6
TOLERANCES = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
MNIST = DATA / "mnist"


def test_logistic(classes, compare, section):
    """The whole grid, against one fit and against scikit-learn's two ways of searching."""
    X, y, folds = classes
    ours = gdfast.GDClassifierCV(alphas=ALPHAS, cv=folds, scoring="loss", n_threads=THREADS)
    one = gdfast.GDClassifier(alpha=1e-4, n_threads=THREADS)
    times = compare(partial(ours.fit, X, y), {"one fit": partial(one.fit, X, y)}, rounds=9)
    left = _left(X, y, folds, ALPHAS, loss="log_loss", codes=True)
    C = 1 / (ALPHAS[10] * len(X))
    tol, their_left = _loosest(partial(LogisticRegression, C=C, max_iter=1000), X, y, "log_loss", ALPHAS[10])
    mine = f"{times.seconds():.3f} s, {left:.0e} left"
    what = "logistic, 20 alphas x 5 folds"
    cost = times.ratio(OURS, "one fit")
    section.rows.append(
        Row(what, "one fit of gdfast", mine, f"{times.seconds('one fit'):.3f} s", cost, target=15, at_least=False)
    )

    settings = {"scoring": "neg_log_loss", "cv": folds, "n_jobs": THREADS}
    model = LogisticRegression(tol=tol, max_iter=1000)
    search = GridSearchCV(model, {"C": _strengths(ALPHAS[[4, 14]], X, folds)}, **settings)
    seconds = _once(search, X, y)
    cell = f"{seconds:.2f} s for 2 of 20 alphas, tol {tol:g}: {their_left:.0e} left"
    section.rows.append(
        Row(what, "GridSearchCV(LogisticRegression)", mine, cell, _times(10 * seconds, times), target=100)
    )
    seconds = _once(
        LogisticRegressionCV(Cs=_strengths(ALPHAS, X, folds), tol=tol, max_iter=1000, **settings), X, y
    )
    section.rows.append(
        Row(what, "LogisticRegressionCV", mine, f"{seconds:.2f} s, tol {tol:g}", _times(seconds, times), target=20)
    )


def test_elastic_net(numbers, compare, section):
    """50 penalties: moments of the folds from one read."""
    X, y, folds = numbers
    alphas = gdfast.GDRegressorCV(alphas=50, l1_ratio=0.5, cv=folds, n_threads=THREADS).fit(X, y).alphas_
    middle = partial(ElasticNet, alpha=alphas[25], l1_ratio=0.5)
    tol, their_left = _loosest(middle, X, y, "squared_error", alphas[25], 0.5)
    theirs = ElasticNetCV(alphas=alphas, l1_ratio=0.5, cv=folds, n_jobs=THREADS, tol=tol)
    ours = gdfast.GDRegressorCV(alphas=alphas, l1_ratio=0.5, cv=folds, scoring="loss", n_threads=THREADS)
    times = compare(partial(ours.fit, X, y), {"ElasticNetCV": partial(theirs.fit, X, y)}, rounds=7)
    left = _left(X, y, folds, alphas, l1_ratio=0.5, loss="squared_error")
    cells = (
        f"{times.seconds():.3f} s, alpha {ours.alpha_:.4g}, {left:.0e} left",
        f"{times.seconds('ElasticNetCV'):.3f} s, alpha {theirs.alpha_:.4g}, tol {tol:g}: {their_left:.0e} left",
    )
    section.rows.append(
        Row("elastic net, 50 alphas x 5 folds", "ElasticNetCV", *cells, times.ratio("ElasticNetCV"), target=10)
    )


def test_ridge(numbers, compare, section):
    """20 penalties."""
    X, y, folds = numbers
    alphas = np.geomspace(1e-3, 1e3, 20)
    theirs = RidgeCV(alphas=_penalties(alphas, X, folds), cv=folds, scoring="neg_mean_squared_error")
    ours = gdfast.GDRegressorCV(alphas=alphas, cv=folds, scoring="loss", n_threads=THREADS)
    times = compare(partial(ours.fit, X, y), {"RidgeCV": partial(theirs.fit, X, y)}, rounds=3)
    left = _left(X, y, folds, alphas, loss="squared_error")
    cells = f"{times.seconds():.3f} s, {left:.0e} left", f"{times.seconds('RidgeCV'):.3f} s"
    section.rows.append(Row("ridge, 20 alphas x 5 folds", "RidgeCV", *cells, times.ratio("RidgeCV"), target=10))


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST is not there")
def test_mnist(compare, section):
    """Ten classes of raw pixels: 30 models of 7850 weights each."""
    X, y = (part[: scaled(60_000)] for part in _mnist())
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y))
    unit = X.astype(np.float32) / 255
    alphas = np.geomspace(1e-1, 1e-5, 10)  # of weights of pixels / 255
    raw = alphas * 255**2
    ours = gdfast.GDClassifierCV(alphas=raw, cv=folds, scoring="loss", n_threads=THREADS)
    times = compare(partial(ours.fit, X, y), {}, rounds=1)
    left = _left(X, y, folds, raw, best=1e-9, loss="log_loss", codes=True, n_outputs=10, softmax=True)
    train = folds[0][0]
    middle = partial(LogisticRegression, C=1 / (alphas[4] * len(train)), max_iter=5000)
    tol, their_left = _loosest(middle, unit[train], y[train], "log_loss", alphas[4], tolerances=(1e-6, 1e-7))
    part = GridSearchCV(
        LogisticRegression(tol=tol, max_iter=5000),
        {"C": _strengths(alphas[[2, 7]], X, folds)},
        scoring="neg_log_loss",
        cv=folds[:1],
        n_jobs=THREADS,
        refit=False,
    )
    seconds = _once(part, unit, y)
    cells = (
        f"{times.seconds():.2f} s, {left:.0e} left",
        f"{seconds:.1f} s for 2 of 10 alphas in 1 of 3 folds, tol {tol:g}: {their_left:.0e} left",
    )
    what = f"softmax, MNIST, {len(X):,} rows, 10 alphas x 3 folds"
    section.rows.append(
        Row(what, "GridSearchCV(LogisticRegression)", *cells, _times(15 * seconds, times), target=50)
    )


# ---- rows ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classes():
    """200 000 rows of 50 features, two classes, five folds."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(scaled(200_000), 50))
    y = (X @ rng.normal(size=50) / 4 + rng.logistic(size=len(X)) > 0).astype(np.int64)
    return X, y, list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))


@pytest.fixture(scope="module")
def numbers():
    """200 000 rows of 100 features and a number, five folds."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(scaled(200_000), 100))
    return X, X[:, :30] @ rng.normal(size=30) + 5 * rng.normal(size=len(X)), list(KFold(5).split(X))


def _mnist():
    """The training images, (60 000, 784) uint8, and their digits."""
    with gzip.open(MNIST / "train-images-idx3-ubyte.gz") as images, gzip.open(
        MNIST / "train-labels-idx1-ubyte.gz"
    ) as labels:
        X = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 784)
        return X, np.frombuffer(labels.read(), np.uint8, offset=8).astype(np.int64)


# ---- the same objective ----------------------------------------------------------------------------------------------


def _penalties(alphas, X, folds):
    """alpha times the number of training rows."""
    return alphas * np.mean([len(train) for train, _ in folds])


def _strengths(alphas, X, folds):
    return 1 / _penalties(alphas, X, folds)


def _left(X, y, folds, alphas, *, l1_ratio=0.0, best=1e-12, **kind):
    """How far the worst model of the grid is from its optimum."""
    problem = _core.Problem(X, y, **kind)
    table = np.stack([roles(train, test, len(X)) for train, test in folds])
    models = [
        {"loss": kind["loss"], "l2": alpha * (1 - l1_ratio), "l1": alpha * l1_ratio, "split": i}
        for alpha in alphas
        for i in range(len(folds))
    ]
    loose, tight = (
        _core.descend_grid(_core.Grid(problem, models, table), max_iter=1000, tol=tol, n_threads=THREADS)[1]["error"]
        for tol in (GOAL, best)
    )
    return max(float((loose / tight).max() - 1), 0.0)


def _loosest(make, X, y, loss, alpha, l1_ratio=0.0, tolerances=TOLERANCES):
    """Another library's loosest tolerance that is good enough, and what it leaves."""
    best = gdfast.gradient_descent(X, y, loss=loss, alpha=alpha, l1_ratio=l1_ratio, solver="auto", tol=1e-10).error
    for tol in tolerances:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make(tol=tol).fit(X, y)
        error = reference.error_and_gradient(
            X, y, model.coef_, model.intercept_, loss=loss, alpha=alpha, l1_ratio=l1_ratio
        )[0]
        if error / best - 1 <= GOAL:
            break
    return tol, max(error / best - 1, 0.0)


def _once(model, X, y):
    """Seconds of one fit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        model.fit(X, y)
    return time.perf_counter() - start


def _times(seconds, times):
    """How many times our turns go into seconds that were measured once."""
    shares = sorted(seconds / each for each in times[OURS])
    return Ratio(float(np.median(shares)), shares[0], shares[-1])
