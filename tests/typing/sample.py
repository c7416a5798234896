"""A user's program as a type checker reads it: what each call returns, and which mistakes are found before it runs.

`test_typing.py` has mypy read it and then runs it. An expected error that is none is reported too
(`warn_unused_ignores`), so that each `type: ignore` is a promise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from typing_extensions import assert_type

import gdfast
from gdfast import (
    DescentResult,
    GDClassifier,
    GDClassifierCV,
    GDRegressor,
    GDRegressorCV,
    ManyFits,
    error_and_gradient,
    fit_many,
    gradient_descent,
    scores,
)
from gdfast.exceptions import DivergenceError, ModelFileError
from gdfast.functional import DescentPath, DescentState, scores_in_blocks

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

X: Floats = np.arange(24.0, dtype=np.float32).reshape(12, 2)
rows: list[list[float]] = [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]
y = X @ np.array([1.0, -1.0]) + 1.0
labels = ["yes" if value % 2 else "no" for value in range(12)]


def searches() -> None:
    model = GDRegressorCV(alphas=[1.0, 0.1], l1_ratio=[0.0, 0.5], cv=3, rule="one_standard_error").fit(X, y)
    assert_type(model, GDRegressorCV)
    assert_type(model.predict(X), Floats)
    assert_type(model.alpha_, float)
    assert_type(GDClassifierCV(cv=2).fit(X, labels, sample_weight=[1.0] * 12, groups=None).classes_, NDArray[Any])
    assert_type(fit_many(GDRegressor(), {"alpha": [1.0, 0.1]}, X, y), ManyFits)


def functions() -> None:
    error, slope, slope_of_bias = error_and_gradient(rows, [1, 2, 3], [0.0, 0.0], loss="huber", epsilon=0.5)
    assert_type(error, float)
    assert_type(slope, Doubles)
    assert_type(slope_of_bias, float | Doubles)
    assert_type(scores(X, slope, slope_of_bias, n_threads=2), Floats)
    for block, z in scores_in_blocks(X, [[1.0, 2.0], [3.0, 4.0]], [0.0, 1.0]):
        assert_type(block, slice)
        assert_type(z, Floats)


def patient(state: DescentState) -> bool | None:
    assert_type(state.epoch, int)
    assert_type(state.t, int)
    assert_type(state.error, float)
    assert_type(state.coef, Doubles)
    assert_type(state.intercept, float | Doubles)
    return state.epoch >= 3 or None


def shout(state: DescentState) -> str:
    return "stop"


def descent() -> None:
    result = gradient_descent(
        X, y, solver="auto", keep_path=True, callback=patient, random_state=np.random.default_rng(0)
    )
    assert_type(result, DescentResult)
    assert_type(result.coef, Doubles)
    assert_type(result.intercept, float | Doubles)
    assert_type(result.n_iter, int)
    assert_type(result.converged, bool)
    assert_type(result.message, str)
    assert_type(result.loss_curve, Doubles)
    assert_type(result.validation_curve, Doubles | None)
    assert_type(result.path, DescentPath | None)
    if result.path is not None:
        assert_type(result.path.coef, Doubles)


def regression() -> None:
    model = GDRegressor(loss="squared_error", penalty=None, tol=None, max_iter=3, callback=patient).fit(X, y)
    assert_type(model, GDRegressor)
    assert_type(model.predict(rows), Floats)
    assert_type(model.score(X, y), float)
    assert_type(model.coef_, Floats)
    assert_type(model.intercept_, Floats)
    assert_type(model.n_iter_, int)
    assert_type(model.t_, float)
    assert_type(model.loss_, float)
    assert_type(model.loss_curve_, Doubles)
    assert_type(model.best_validation_loss_, float | None)
    assert_type(model.set_params(alpha=0.5), GDRegressor)
    assert_type(model.get_params(), dict[str, Any])
    assert_type(model.partial_fit(X, y, sample_weight=np.ones(12)), GDRegressor)
    assert_type(GDRegressor.from_dict(model.to_dict()), GDRegressor)
    assert_type(model.sparsify().densify(), GDRegressor)
    GDRegressor(bounds=(0.0, None)).fit(csr_matrix(X), y).predict(csr_matrix(X))


def classification() -> None:
    model = GDClassifier(solver="sgd", class_weight={"yes": 2.0}, max_iter=2, tol=None, random_state=0)
    assert_type(model.fit(X, labels, X_val=X, y_val=labels), GDClassifier)
    assert_type(model.predict(X), NDArray[Any])
    assert_type(model.predict_proba(X), Floats)
    assert_type(model.predict_log_proba(X), Floats)
    assert_type(model.decision_function(X), Floats)
    assert_type(model.classes_, NDArray[Any])
    assert_type(model.partial_fit(X, labels, classes=["no", "yes"]), GDClassifier)
    assert_type(GDClassifier.from_dict(model.to_dict()), GDClassifier)


def the_rest() -> None:
    assert_type(gdfast.get_include(), str)
    assert_type(gdfast.__version__, str)
    error, *_ = gdfast.reference.error_and_gradient(rows, [1, 2, 3], [0.0, 0.0])
    assert_type(error, float)
    failure: type[ValueError] = DivergenceError
    assert failure is not ModelFileError


if TYPE_CHECKING:
    print(gdfast.gradient_decent)  # type: ignore[attr-defined]
    gradient_descent(X, y, loss="squared")  # type: ignore[arg-type]
    gradient_descent(X, y, solver="lbfgs")  # type: ignore[arg-type]
    gradient_descent(X, y, eta="auto")  # type: ignore[call-arg]
    gradient_descent(X, y, keep_path="epoch")  # type: ignore[arg-type]
    gradient_descent(X, y, callback=lambda state: state.loss)  # type: ignore[attr-defined]
    gradient_descent(X, y, callback=shout)  # type: ignore[arg-type]
    print(gradient_descent(X, y).coef_)  # type: ignore[attr-defined]
    error_and_gradient(X, y)  # type: ignore[call-arg]
    scores(X, None)  # type: ignore[arg-type]
    GDRegressor(losses="squared_error")  # type: ignore[call-arg]
    GDRegressor(loss="log_loss")  # type: ignore[arg-type]
    GDRegressor(class_weight="balanced")  # type: ignore[call-arg]
    GDRegressor(learning_rate=0.1)  # type: ignore[arg-type]
    GDRegressor().fit(X)  # type: ignore[call-arg]
    GDRegressor(bounds=0.0)  # type: ignore[arg-type]
    GDRegressorCV(rule="worst")  # type: ignore[arg-type]
    GDRegressor().partial_fit(X, y, classes=[0, 1])  # type: ignore[call-arg]
    GDClassifier(loss="squared_error")  # type: ignore[arg-type]
    GDClassifier(penalty="none")  # type: ignore[arg-type]
    GDClassifier(alpha="0.1")  # type: ignore[arg-type]
    GDClassifier().fit(X, labels, X_test=X)  # type: ignore[call-arg]
    GDClassifier().predict_proba(X, 1)  # type: ignore[call-arg]
    GDClassifier().fit(X, labels).coef_ + "1"  # type: ignore[operator]

if __name__ == "__main__":
    searches()
    functions()
    descent()
    regression()
    classification()
    the_rest()
