"""What `benchmarks.check` times, and the process that times it: one for each of two versions of gdfast.

Runs as a script, so that PYTHONPATH decides which gdfast it imports. Reads lines of JSON, {"case": name, "calls": n},
and answers each with a line: {"seconds": of n calls}, or {"absent": why} for a case that this version does not know.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

import gdfast

THREADS = 2
EPOCH = {"solver": "sgd", "learning_rate": "constant", "eta0": 1e-7, "max_iter": 1, "tol": None}


def _rows(n: int, d: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    """X (n, d) of whole numbers 0 ... 99, which every type can hold, and labels 0, 1."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 100, size=(n, d), dtype=np.uint8)
    z = (X[:, : min(d, 10)].astype(float) - 49.5) @ rng.normal(size=min(d, 10)) / 50
    return X.astype(dtype), (z + rng.logistic(size=n) > 0).astype(np.int64)


def _evaluation(d: int, dtype: str = "float32") -> Callable[[], Any]:
    X, y = _rows(40_000_000 // d, d, dtype)
    coef = np.random.default_rng(0).normal(size=d, scale=0.001)
    return partial(gdfast.error_and_gradient, X, y, coef, loss="log_loss", n_threads=THREADS)


def _sparse() -> Callable[[], Any]:
    import scipy.sparse

    X = scipy.sparse.random(400_000, 500, density=0.03, format="csr", dtype=np.float32, random_state=0)
    y = np.arange(X.shape[0]) % 2
    return partial(gdfast.error_and_gradient, X, y, np.ones(500), loss="log_loss", n_threads=THREADS)


def _fit(n: int, d: int, estimator: str = "GDClassifier", classes: int = 2, **params: Any) -> Callable[[], Any]:
    X, y = _rows(n, d, "float64")
    if classes > 2:
        y = (X @ np.random.default_rng(1).normal(size=(d, classes)) / d**0.5).argmax(axis=1)
    model = getattr(gdfast, estimator)(n_threads=THREADS, **params)
    return partial(model.fit, X, y)


def _predict() -> Callable[[], Any]:
    X, y = _rows(400_000, 50)
    return partial(gdfast.GDClassifier().fit(X[:1000], y[:1000]).predict_proba, X)


CASES: dict[str, Callable[[], Callable[[], Any]]] = {
    **{f"pass, float32, d = {d}": partial(_evaluation, d) for d in (8, 30, 100, 784, 4096)},
    **{f"pass, {dtype}, d = 100": partial(_evaluation, 100, dtype) for dtype in ("float64", "float16", "uint8")},
    "pass, sparse, 15 of 500 a row": _sparse,
    "fit, 200 x 10, squared error": partial(_fit, 200, 10, "GDRegressor"),
    "fit, 200 x 10, logistic": partial(_fit, 200, 10),
    "fit, 200 000 x 50, logistic": partial(_fit, 200_000, 50),
    "fit, 200 000 x 50, logistic, L1": partial(_fit, 200_000, 50, penalty="l1", alpha=1e-3),
    "fit, 200 000 x 50, squared error": partial(_fit, 200_000, 50, "GDRegressor"),
    "fit, 20 000 x 50, huber": partial(_fit, 20_000, 50, "GDRegressor", loss="huber"),
    "fit, 20 000 x 20, hinge": partial(_fit, 20_000, 20, loss="hinge"),
    "fit, 20 000 x 30, softmax of 8": partial(_fit, 20_000, 30, classes=8),
    **{f"epoch, batches of {rows}, d = 30": partial(_fit, 200_000, 30, batch_size=rows, **EPOCH) for rows in (1, 32)},
    "grid, 20 000 x 20, logistic, 20 alphas x 5 folds": partial(_fit, 20_000, 20, "GDClassifierCV", scoring="loss"),
    "grid, 20 000 x 20, elastic net, 20 alphas x 5 folds": partial(_fit, 20_000, 20, "GDRegressorCV", l1_ratio=0.5),
    "predict_proba, 400 000 x 50": _predict,
}  # fmt: skip


def _answers() -> Iterator[dict[str, Any]]:
    call = cache(lambda name: CASES[name]())
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
