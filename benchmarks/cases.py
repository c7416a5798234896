"""What `benchmarks.check` times, and the process that times it: one for each of two versions of gdfast.

Runs as a script, so that PYTHONPATH decides which gdfast it imports. Reads lines of JSON, {"case": name, "calls": n},
and answers each with a line: {"seconds": of n calls}, or {"absent": why} for a case that this version does not know.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import Any

import numpy as np

import gdfast

SCALE = float(os.environ.get("GDFAST_BENCHMARK_SCALE", "1"))
THREADS = 2
EPOCH: dict[str, Any] = {"solver": "sgd", "learning_rate": "constant", "eta0": 1e-7, "max_iter": 1, "tol": None}


def _rows(n: int, d: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """X (n, d) of whole numbers 0 ... 99, which every type can hold, and labels 0, 1."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 100, size=(max(200, int(n * SCALE)), d), dtype=np.uint8)
    z = (X[:, : min(d, 10)].astype(float) - 49.5) @ rng.normal(size=min(d, 10)) / 50
    return X.astype(dtype), (z + rng.logistic(size=len(X)) > 0).astype(np.int64)


def _sparse_rows(n: int, d: int, per_row: int) -> tuple[Any, np.ndarray]:
    """CSR of float32 with so many entries a row, two of which may be in one place, and labels 0, 1."""
    import scipy.sparse

    n = max(200, int(n * SCALE))
    rng = np.random.default_rng(0)
    entries = rng.random(n * per_row, dtype=np.float32)
    columns = np.sort(rng.integers(d, size=(n, per_row), dtype=np.int32), axis=1)
    X = scipy.sparse.csr_matrix((entries, columns.ravel(), np.arange(0, n * per_row + 1, per_row)), shape=(n, d))
    return X, (X @ rng.standard_normal(d) + rng.logistic(size=n) > 0).astype(np.int64)


def _evaluation(d: int, dtype: str = "float32", k: int = 1) -> Callable[[], Any]:
    X, y = _rows(40_000_000 // d, d, dtype)
    coef = np.random.default_rng(0).normal(size=d if k == 1 else (k, d), scale=0.001)
    y = y if k == 1 else np.arange(len(y)) % k
    return partial(gdfast.error_and_gradient, X, y, coef, loss="log_loss", n_threads=THREADS)


def _sparse_evaluation() -> Callable[[], Any]:
    X, y = _sparse_rows(400_000, 500, 15)
    return partial(gdfast.error_and_gradient, X, y, np.ones(500), loss="log_loss", n_threads=THREADS)


def _fit(n: int, d: int, estimator: str = "GDClassifier", classes: int = 2, **params: Any) -> Callable[[], Any]:
    X, y = _rows(n, d, "float64")
    if classes > 2:
        y = ((X - 49.5) @ np.random.default_rng(1).normal(size=(d, classes))).argmax(axis=1)
    elif params.get("loss") in ("poisson", "gamma"):
        y = y + 0.5
    model = getattr(gdfast, estimator)(n_threads=THREADS, **params)
    return partial(model.fit, X, y)


def _sparse_fit(n: int, d: int, per_row: int, **params: Any) -> Callable[[], Any]:
    return partial(gdfast.GDClassifier(n_threads=THREADS, **params).fit, *_sparse_rows(n, d, per_row))


def _rates() -> Callable[[], Any]:
    X, y = _rows(100_000, 20)
    model = gdfast.GDClassifier(solver="gd", max_iter=20, tol=None, n_threads=THREADS)
    points: dict[str, Any] = {"eta0": np.geomspace(1e-7, 1e-5, 20), "learning_rate": ["constant"]}
    return partial(gdfast.fit_many, model, points, X, y, refit=False)


def _predict(method: str) -> Callable[[], Any]:
    X, y = _rows(400_000, 50)
    return partial(getattr(gdfast.GDClassifier().fit(X[:1000], y[:1000]), method), X)


_FIT = "fit, 200 000 x 50"
_NUMBERS = "GDRegressor"
_L1: dict[str, Any] = {"penalty": "l1", "alpha": 1e-3}

CASES: dict[str, Callable[[], Callable[[], Any]]] = {
    **{f"pass, float32, d = {d}": partial(_evaluation, d) for d in (8, 30, 100, 784, 4096)},
    **{
        f"pass, {dtype}, d = 100": partial(_evaluation, 100, dtype)
        for dtype in ("float64", "float16", "int8", "uint8", "uint16", "int32")
    },
    "pass, softmax of 10, d = 100": partial(_evaluation, 100, k=10),
    "pass, sparse, 15 of 500 a row": _sparse_evaluation,
    "fit, 200 x 10, squared error": partial(_fit, 200, 10, _NUMBERS),
    "fit, 200 x 10, logistic": partial(_fit, 200, 10),
    f"{_FIT}, squared error": partial(_fit, 200_000, 50, _NUMBERS),
    f"{_FIT}, squared error, bounds": partial(_fit, 200_000, 50, _NUMBERS, positive=True),
    f"{_FIT}, logistic": partial(_fit, 200_000, 50),
    f"{_FIT}, logistic, L1": partial(_fit, 200_000, 50, **_L1),
    f"{_FIT}, squared hinge": partial(_fit, 200_000, 50, loss="squared_hinge"),
    f"{_FIT}, Poisson": partial(_fit, 200_000, 50, _NUMBERS, loss="poisson"),
    f"{_FIT}, gamma": partial(_fit, 200_000, 50, _NUMBERS, loss="gamma"),
    "fit, 20 000 x 50, huber": partial(_fit, 20_000, 50, _NUMBERS, loss="huber"),
    "fit, 20 000 x 20, quantile": partial(_fit, 20_000, 20, _NUMBERS, loss="quantile", quantile=0.9),
    "fit, 20 000 x 20, hinge": partial(_fit, 20_000, 20, loss="hinge"),
    "fit, 20 000 x 30, softmax of 8": partial(_fit, 20_000, 30, classes=8),
    "fit, 10 000 x 300, logistic": partial(_fit, 10_000, 300),
    "fit, 300 x 3 000, squared error, span": partial(_fit, 300, 3000, _NUMBERS, alpha=1.0),
    "fit, 300 x 3 000, logistic, span": partial(_fit, 300, 3000, alpha=1.0),
    "fit, 300 x 3 000, lasso, working sets": partial(_fit, 300, 3000, _NUMBERS, penalty="l1", alpha=0.3),
    "fit, 300 x 3 000, logistic, L1, working sets": partial(_fit, 300, 3000, penalty="l1", alpha=0.3),
    "fit, 3 000 x 3 000, logistic, diagonal metric": partial(_fit, 3000, 3000, alpha=1.0),
    "fit, sparse, 15 of 500 a row": partial(_sparse_fit, 100_000, 500, 15),
    "fit, sparse, 30 of 20 000 a row": partial(_sparse_fit, 20_000, 20_000, 30),
    **{f"epoch, batches of {rows}, d = 30": partial(_fit, 200_000, 30, batch_size=rows, **EPOCH) for rows in (1, 32)},
    "epoch, adam, batches of 256, d = 30": partial(_fit, 200_000, 30, batch_size=256, **(EPOCH | {"solver": "adam"})),
    "epoch, sparse, single rows": partial(_sparse_fit, 200_000, 500, 15, batch_size=1, **EPOCH),
    "grid, 20 000 x 20, logistic, 20 alphas x 5 folds": partial(_fit, 20_000, 20, "GDClassifierCV", scoring="loss"),
    "grid, 20 000 x 20, elastic net, 20 alphas x 5 folds": partial(_fit, 20_000, 20, "GDRegressorCV", l1_ratio=0.5),
    "grid, 2 000 x 20, softmax of 5, 20 alphas x 5 folds": partial(_fit, 2000, 20, "GDClassifierCV", classes=5),
    "grid, 100 000 x 20, 20 rates of gd": _rates,
    **{
        f"{method}, 400 000 x 50": partial(_predict, method)
        for method in ("decision_function", "predict", "predict_proba")
    },
}


def _answers() -> Iterator[dict[str, Any]]:
    call = lru_cache(1)(lambda name: CASES[name]())  # the data of a case at a time
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            work = call(asked["case"])
            start = time.perf_counter()
            for _ in range(asked["calls"]):
                work()
            yield {"seconds": time.perf_counter() - start}
        except (AttributeError, ImportError, LookupError, TypeError, ValueError) as error:
            yield {"absent": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    for answer in _answers():
        print(json.dumps(answer), flush=True)
