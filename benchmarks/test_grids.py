"""Grids of models: a penalty chosen by five folds.

Every library gets the same rows, the same penalties and the same folds (the classes' shuffled ones by a fixed seed);
features have mean 0, so that solvers that want them scaled lose nothing. Where a library takes minutes it fits a part
of the grid, and its time is that of the part times the share: the row says so. `C = 1 / (alpha n)` where n counts the
training rows. The models of all rows of the first problem are compared with fits to a tolerance of 1e-12: the largest
relative distance from an optimum is in its row.
"""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNetCV, LogisticRegression, LogisticRegressionCV, RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold

import gdfast
from benchmarks import THREADS, scaled
from benchmarks.report import Row
from benchmarks.timing import Ratio

ALPHAS = np.geomspace(1e-1, 1e-6, 20)
FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def classes():
    """200 000 rows of 50 features, two classes."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(scaled(200_000), 50))
    y = (X @ rng.normal(size=50) / 4 + rng.logistic(size=len(X)) > 0).astype(int)
    return X, y, list(FOLDS.split(X, y))


@pytest.fixture(scope="module")
def numbers():
    """200 000 rows of 100 features and a number."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(scaled(200_000), 100))
    return X, X[:, :30] @ rng.normal(size=30) + 5 * rng.normal(size=len(X))


def _logistic(cv):
    return gdfast.GDClassifierCV(alphas=ALPHAS, cv=cv, scoring="loss", n_threads=THREADS)


def test_logistic_beside_a_fit(classes, compare, section):
    """The whole grid over one fit."""
    X, y, folds = classes
    one = gdfast.GDClassifier(alpha=1e-4, n_threads=THREADS)
    times = compare(partial(_logistic(folds).fit, X, y), {"one fit": partial(one.fit, X, y)}, rounds=5)
    share = Ratio(*sorted(1.0 / each for each in times.ratio("one fit")))
    share = Ratio(share[1], share[0], share[2])
    cells = [f"{times.seconds(name):.3f} s" for name in ("gdfast", "one fit")]
    what = f"logistic, 20 alphas x 5 folds, farthest from an optimum {_farthest(classes):.1e}"
    section.rows.append(Row(what, "one fit of gdfast", *cells, share, target=15, at_least=False))


def _farthest(classes):
    X, y, _ = classes
    loose, tight = (
        gdfast.fit_many(gdfast.GDClassifier(tol=tol), {"alpha": ALPHAS}, X, y).estimators for tol in (1e-6, 1e-12)
    )
    return max((a.loss_ - b.loss_) / b.loss_ for a, b in zip(loose, tight, strict=True))


def test_logistic_grid_search(classes, compare, section):
    """Against the search that people write: a tenth of the grid for scikit-learn."""
    X, y, folds = classes
    part = {"C": 1.0 / (ALPHAS[[5, 15]] * len(X) * 0.8)}
    search = GridSearchCV(
        LogisticRegression(tol=1e-6, max_iter=1000), part, cv=folds, n_jobs=THREADS, scoring="neg_log_loss"
    )
    times = compare(partial(_logistic(folds).fit, X, y), {"GridSearchCV": partial(search.fit, X, y)}, rounds=3)
    ratio = Ratio(*(10.0 * each for each in times.ratio("GridSearchCV")))
    cells = [f"{times.seconds():.3f} s", f"{times.seconds('GridSearchCV'):.2f} s for 2 of 20 alphas, times 10"]
    section.rows.append(
        Row("logistic, 20 alphas x 5 folds", "GridSearchCV(LogisticRegression)", *cells, ratio, target=100)
    )


def test_logistic_path(classes, compare, section):
    """Against scikit-learn's own path of penalties."""
    X, y, folds = classes
    theirs = LogisticRegressionCV(
        Cs=1.0 / (ALPHAS * len(X) * 0.8), cv=folds, scoring="neg_log_loss", n_jobs=THREADS, tol=1e-6, max_iter=1000
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own future
        times = compare(partial(_logistic(folds).fit, X, y), {"CV": partial(theirs.fit, X, y)}, rounds=1)
    cells = [f"{times.seconds(name):.3f} s" for name in ("gdfast", "CV")]
    section.rows.append(
        Row("logistic, 20 alphas x 5 folds", "LogisticRegressionCV", *cells, times.ratio("CV"), target=20)
    )


def test_elastic_net(numbers, compare, section):
    """50 penalties: moments of the folds from one read."""
    X, y = numbers
    theirs = ElasticNetCV(l1_ratio=0.5, cv=5, n_jobs=THREADS, **_count(50))
    theirs.fit(X, y)
    ours = gdfast.GDRegressorCV(alphas=theirs.alphas_, l1_ratio=0.5, cv=5, scoring="loss", n_threads=THREADS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        times = compare(partial(ours.fit, X, y), {"ElasticNetCV": partial(theirs.fit, X, y)}, rounds=5)
    cells = [
        f"{times.seconds(name):.3f} s, alpha {model.alpha_:.4g}"
        for name, model in (("gdfast", ours), ("ElasticNetCV", theirs))
    ]
    section.rows.append(
        Row("elastic net, 50 alphas x 5 folds", "ElasticNetCV", *cells, times.ratio("ElasticNetCV"), target=10)
    )


def _count(n):
    """The parameter that counts alphas has changed its name."""
    return {"alphas": n} if "n_alphas" not in ElasticNetCV().get_params() or _takes_a_count() else {"n_alphas": n}


def _takes_a_count():
    return any(
        "Integral" in repr(each) or "Interval" in repr(each) for each in ElasticNetCV._parameter_constraints["alphas"]
    )


def test_ridge(numbers, compare, section):
    """20 penalties."""
    X, y = numbers
    alphas = np.geomspace(1e-3, 1e3, 20)
    theirs = RidgeCV(alphas=alphas * len(X) * 0.8, cv=5)
    ours = gdfast.GDRegressorCV(alphas=alphas, cv=5, n_threads=THREADS)
    times = compare(partial(ours.fit, X, y), {"RidgeCV": partial(theirs.fit, X, y)}, rounds=2)
    cells = [f"{times.seconds(name):.3f} s" for name in ("gdfast", "RidgeCV")]
    section.rows.append(Row("ridge, 20 alphas x 5 folds", "RidgeCV", *cells, times.ratio("RidgeCV"), target=10))
