"""Many models that share every read of X: each against the NumPy twin, trained and validated on its own rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hostile import same_bits
from numpy.testing import assert_allclose
from problems import LOSSES, MARGIN_LOSSES, targets

from gdfast import _core, gradient_descent
from gdfast.reference import error_and_gradient
from gdfast.rows.sparse import as_rows

EPSILON, QUANTILE = 0.3, 0.7
N, D, FOLDS = 500, 12, 3


def folds(rng):
    """Roles (FOLDS, N): each row validates in one fold and trains in the others, once or twice."""
    roles = rng.integers(1, 3, size=(FOLDS, N)).astype(np.int8)
    roles[rng.integers(FOLDS, size=N), np.arange(N)] = -1
    return roles


def check(X, y, losses, stored=None, codes=False, k=1, softmax=False, class_weight=None):
    """Models of each loss in each fold, and on all rows, against the twin; y as the binding wants it."""
    rng = np.random.default_rng(5)
    roles, s = folds(rng), rng.random(N)
    models = [
        {"loss": loss, "param": QUANTILE if loss == "quantile" else EPSILON, "l2": 0.1 * strength,
         "l1": 0.02 * strength, "split": split, "class_weight": class_weight if split == 1 else None}
        for loss in losses for split, strength in ((-1, 0), (0, 0), (1, 1), (2, 2))
    ]  # fmt: skip
    coef, intercept = rng.normal(size=(len(models), k, D)) / 3, rng.normal(size=(len(models), k))
    stored = X if stored is None else stored
    problem = _core.Problem(stored, y, loss=losses[0], n_outputs=k, weight=s, codes=codes, softmax=softmax)
    grid = _core.Grid(problem, models, roles)
    results = _core.grid_error_and_gradient(grid, coef, intercept)
    error, validation, grad_coef, grad_intercept = results
    exact = {"rtol": 1e-9, "atol": 1e-9} if stored.dtype == np.float64 else {"rtol": 3e-5, "atol": 3e-5}
    for m, model in enumerate(models):
        told = y if not codes or softmax else (y == 1) * 2.0 - 1 if model["loss"] in MARGIN_LOSSES else (y == 1) * 1.0
        role = np.ones(N) if model["split"] < 0 else roles[model["split"]].astype(float)
        w, b = (coef[m], intercept[m]) if k > 1 else (coef[m, 0], intercept[m, 0])
        settings = {"loss": model["loss"], "epsilon": EPSILON, "quantile": QUANTILE}
        by_class = s if model["class_weight"] is None else s * model["class_weight"][y]
        weights = by_class * np.maximum(role, 0)
        alpha = model["l2"] + model["l1"]
        ratio = model["l1"] / alpha if alpha > 0 else 0.0
        e, gw, gb = error_and_gradient(X, told, w, b, sample_weight=weights, alpha=alpha, l1_ratio=ratio, **settings)
        assert_allclose(error[m], e, **exact)
        assert_allclose(grad_coef[m], np.atleast_2d(gw), **exact)
        assert_allclose(grad_intercept[m], np.atleast_1d(gb), **exact)
        if model["split"] < 0:
            assert np.isnan(validation[m])
        else:
            e = error_and_gradient(X, told, w, b, sample_weight=by_class * np.maximum(-role, 0), **settings)[0]
            assert_allclose(validation[m], e, **exact)
    assert same_bits(results, _core.grid_error_and_gradient(grid, coef, intercept, 7))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss(loss, dtype):
    rng = np.random.default_rng(1)
    check(rng.normal(size=(N, D)).astype(dtype), targets(loss, N, rng), [loss])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_losses_side_by_side(dtype):
    """0/1 for some, -1/+1 for others, from the same class codes; weights by code."""
    rng = np.random.default_rng(2)
    y = rng.integers(2, size=N).astype(np.int8)
    check(
        rng.normal(size=(N, D)).astype(dtype),
        y,
        ["log_loss", *MARGIN_LOSSES, "squared_error"],
        codes=True,
        class_weight=np.array([0.5, 3.0]),
    )


@pytest.mark.parametrize("layout", ["F", "strided", "sparse"])
@pytest.mark.parametrize("softmax", [True, False])
def test_several_outputs(layout, softmax):
    rng = np.random.default_rng(3)
    X, k = rng.normal(size=(N, D)) * (rng.random((N, D)) < 0.5), 4
    stored = {
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "sparse": as_rows(sp.csr_array(X)),
    }[layout]
    if softmax:
        check(
            X, rng.integers(k, size=N), ["log_loss"], stored, codes=True, k=k, softmax=True, class_weight=rng.random(k)
        )
    else:
        check(X, rng.normal(size=(N, k)), ["huber"], stored, k=k)


def test_what_a_grid_refuses():
    """What would read memory that is not there."""
    X, y, model = np.ones((6, 2)), np.zeros(6), {"loss": "log_loss"}
    values, codes = (
        _core.Problem(X, y.astype(kind), loss="log_loss", codes=kind is np.int8) for kind in (float, np.int8)
    )
    roles = np.ones((1, 6), np.int8)
    for wrong in (roles[:, ::2], roles.astype(np.int16), roles[0], np.ones((1, 5), np.int8)):
        with pytest.raises(ValueError, match="roles must be"):
            _core.Grid(values, [model], wrong)
    for problem, weights in ((values, np.ones(2)), (codes, np.ones(0))):
        with pytest.raises(ValueError, match="class codes below"):
            _core.Grid(problem, [{**model, "class_weight": weights}])
    for wrong in ([{**model, "split": 1}], [{**model, "split": -2}]):
        with pytest.raises(ValueError, match="consistent"):
            _core.grid_error_and_gradient(_core.Grid(values, wrong, roles), np.ones((1, 1, 2)), np.ones((1, 1)))
    grid = _core.Grid(values, [model, model])
    for coef, intercept in ((np.ones((1, 1, 2)), np.ones((2, 1))), (np.ones((2, 1, 2)), np.ones((2, 2)))):
        with pytest.raises(ValueError, match="must be of shape"):
            _core.grid_error_and_gradient(grid, coef, intercept)
    with pytest.raises(ValueError, match="must be of shape"):
        _core.grid_error_and_gradient(_core.Grid(values, []), np.ones((0, 1, 2)), np.ones((0, 1)))


# ---- where a sample of the rows knows little -----------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["poisson", "log_loss"])
def test_columns_that_a_sample_hardly_sees(loss):
    """Their rows bend less than others: what a metric of sampled rows promises must not be taken for the truth."""
    rng = np.random.default_rng(5)
    n, dense, rare = 20_000, 6, 30
    X = np.zeros((n, dense + rare))
    X[:, :dense] = rng.normal(size=(n, dense))
    for j in range(rare):
        X[rng.choice(n, 3 + j, replace=False), dense + j] = 1.0
    z = X @ np.r_[rng.normal(size=dense) * 0.3, rng.normal(size=rare) * 2] - 0.5
    y = rng.poisson(np.exp(z)) if loss == "poisson" else rng.random(n) < 1 / (1 + np.exp(-z))
    problem = _core.Problem(X, y.astype(float), loss=loss)
    roles = np.where(rng.integers(0, 3, n) == np.arange(3)[:, None], -1, 1).astype(np.int8)
    models = [{"loss": loss, "l2": alpha, "split": s} for alpha in np.logspace(-3, -7, 5) for s in range(3)]
    at, best = (
        _core.descend_grid(_core.Grid(problem, models, roles), max_iter=1000, tol=tol)[1]["error"]
        for tol in (1e-6, 1e-13)
    )
    assert (at / best - 1).max() < 1.5e-6
    alone = [gradient_descent(X, y, loss=loss, solver="auto", alpha=1e-6, tol=tol).error for tol in (1e-6, 1e-13)]
    assert alone[0] / alone[1] - 1 < 1.5e-6
