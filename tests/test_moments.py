"""Squared error by second moments, grids and single models: beside scikit-learn's, whatever the splits and layouts."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import LAYOUTS, same_bits
from scipy import optimize, sparse
from sklearn.linear_model import ElasticNet, Lasso, Ridge
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, RepeatedKFold, ShuffleSplit, TimeSeriesSplit

import gdfast
from gdfast import _core
from gdfast.reference import error_and_gradient
from gdfast.rows.sparse import as_rows

ALPHAS = np.array([0.03, 1.0, 0.001, 0.2])  # in no order


def data(n=240, d=9, k=1, seed=0):
    """X (n, d) with columns of different size and place, that go together; y (n,) or (n, k)."""
    rng = np.random.default_rng([seed, n, d])
    X = rng.normal(size=(n, d)) + 0.5 * rng.normal(size=(n, 1))
    y = X @ (rng.normal(size=(d, k)) * (rng.random((d, k)) < 0.6)) + rng.normal(size=(n, k)) + 7.0
    X = X * np.geomspace(0.3, 3.0, d) + rng.normal(size=d)
    return X, y if k > 1 else y[:, 0]


def roles_of(splits, n):
    """What each row does in each split: how often it trains, or less how often it validates."""
    roles = np.zeros((len(splits), n), dtype=np.int8)
    for row, (train, validate) in zip(roles, splits, strict=True):
        np.add.at(row, train, 1)
        np.add.at(row, validate, -1)
    return roles


def fit(X, y, roles, *, ratio=0.0, alphas=ALPHAS, tol=0.0, n_threads=1, **problem):
    """A model of each split and alpha: coef (n_splits, n_alphas, k, d), intercept (n_splits, n_alphas, k), fits."""
    n_splits = max(len(roles), 1)
    split = np.repeat(np.arange(n_splits) if len(roles) else [-1], len(alphas))
    strengths = np.tile(alphas, n_splits)
    made = _core.Problem(X, y, loss="squared_error", n_outputs=y.shape[1] if y.ndim == 2 else 1, **problem)
    models = [
        {"loss": "squared_error", "l2": alpha * (1.0 - ratio), "l1": alpha * ratio, "split": row}
        for alpha, row in zip(strengths, split, strict=True)
    ]
    weights, fits = _core.descend_grid(_core.Grid(made, models, roles), tol=tol, max_iter=100, n_threads=n_threads)
    assert fits.pop("n_passes") == 1.0 and fits.pop("missing_threads") == 0
    n_coef = made.k * made.d
    coef, intercept = weights[:, :n_coef].reshape(-1, made.k, made.d), weights[:, n_coef:]
    shape = n_splits, len(alphas)
    each = {key: values.reshape(shape) for key, values in fits.items()}
    return coef.reshape(*shape, *coef.shape[1:]), intercept.reshape(*shape, -1), each


def theirs(ratio, alpha, weight, **settings):
    """scikit-learn's model of that objective, as converged as it gets."""
    if ratio == 0.0 and not settings.get("positive"):
        return Ridge(alpha * weight, solver="cholesky", **settings)
    return ElasticNet(alpha, l1_ratio=ratio, tol=1e-14, max_iter=10**6, **settings)


SPLITTERS = {
    "folds": KFold(5),
    "shuffled": KFold(4, shuffle=True, random_state=0),
    "groups": GroupKFold(3),
    "forward": TimeSeriesSplit(5),
    "random": ShuffleSplit(7, test_size=0.3, random_state=0),
    "repeated": RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
}


@pytest.mark.parametrize("splitter", SPLITTERS)
@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_each_model_is_scikit_learns(splitter, ratio, fit_intercept):
    X, y = data()
    groups = np.arange(len(X)) % 13 if splitter == "groups" else None
    splits = list(SPLITTERS[splitter].split(X, y, groups))
    coef, intercept, fits = fit(X, y, roles_of(splits, len(X)), ratio=ratio, fit_intercept=fit_intercept)
    for s, (train, validate) in enumerate(splits):
        for a, alpha in enumerate(ALPHAS):
            model = theirs(ratio, alpha, len(train), fit_intercept=fit_intercept).fit(X[train], y[train])
            np.testing.assert_allclose(coef[s, a, 0], model.coef_, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(intercept[s, a, 0], model.intercept_, rtol=1e-8, atol=1e-8)
            left = np.mean((y[validate] - model.predict(X[validate])) ** 2) / 2
            np.testing.assert_allclose(fits["validation"][s, a], left, rtol=1e-8)
            w = model.coef_
            error = np.mean((y[train] - model.predict(X[train])) ** 2) / 2
            error += alpha * (ratio * abs(w).sum() + (1 - ratio) / 2 * w @ w)
            np.testing.assert_allclose(fits["error"][s, a], error, rtol=1e-10)
    assert set(fits["reason"].ravel()) == {"converged"}


@pytest.mark.parametrize("ratio", [0.0, 0.7])
def test_leave_one_out(ratio):
    """As many patterns of roles as splits."""
    X, y = data(n=60, d=4)
    splits = list(LeaveOneOut().split(X))
    coef, _, fits = fit(X, y, roles_of(splits, len(X)), ratio=ratio, alphas=np.array([0.1]))
    for s, (train, validate) in enumerate(splits):
        model = theirs(ratio, 0.1, len(train)).fit(X[train], y[train])
        np.testing.assert_allclose(coef[s, 0, 0], model.coef_, rtol=1e-8, atol=1e-8)
        left = ((y[validate] - model.predict(X[validate])) ** 2)[0] / 2
        np.testing.assert_allclose(fits["validation"][s, 0], left, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_weights_and_roles_repeat_rows(ratio):
    """A row of weight 2 that trains 3 times is six rows; one of weight 0, or without a role, is none."""
    X, y = data()
    rng = np.random.default_rng(1)
    s = rng.integers(0, 3, len(X)).astype(float)
    roles = rng.integers(-2, 4, size=(6, len(X)), dtype=np.int8)
    coef, intercept, fits = fit(X, y, roles, ratio=ratio, weight=s)
    for split, row in enumerate(roles):
        train = np.repeat(np.arange(len(X)), np.maximum(row, 0) * s.astype(int))
        validate = np.repeat(np.arange(len(X)), np.maximum(-row, 0) * s.astype(int))
        for a, alpha in enumerate(ALPHAS):
            model = theirs(ratio, alpha, len(train)).fit(X[train], y[train])
            np.testing.assert_allclose(coef[split, a, 0], model.coef_, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(intercept[split, a, 0], model.intercept_, rtol=1e-8)
            left = np.mean((y[validate] - model.predict(X[validate])) ** 2) / 2
            np.testing.assert_allclose(fits["validation"][split, a], left, rtol=1e-8)


def test_several_outputs_and_offsets():
    X, y = data(k=3)
    offset = np.random.default_rng(2).normal(size=y.shape)
    roles = roles_of(list(KFold(3).split(X)), len(X))
    coef, intercept, fits = fit(X, y, roles, ratio=0.5, offset=offset)
    one = [fit(X, y[:, c] - offset[:, c], roles, ratio=0.5) for c in range(3)]
    for c in range(3):
        np.testing.assert_allclose(coef[:, :, c], one[c][0][:, :, 0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(intercept[:, :, c], one[c][1][:, :, 0], rtol=1e-10)
    for key in ("error", "validation"):
        np.testing.assert_allclose(fits[key], sum(each[2][key] for each in one), rtol=1e-10)
    same = fit(X, y, roles, ratio=0.5, offset=np.repeat(offset[:, :1], 3, axis=1))
    shared = fit(X, y, roles, ratio=0.5, offset=offset[:, 0].copy())
    np.testing.assert_array_equal(same[0], shared[0])


def test_classes_as_targets():
    """Output j of classes 0 ... k - 1 learns 1 for class j and 0 for the others."""
    X, _ = data()
    codes = np.arange(len(X)) % 3
    roles = roles_of(list(KFold(3).split(X)), len(X))
    one_hot = (codes[:, None] == np.arange(3)).astype(float)
    problem = _core.Problem(X, codes, loss="squared_error", n_outputs=3, codes=True)
    models = [{"loss": "squared_error", "l2": 0.1, "l1": 0.01, "split": split} for split in range(3)]
    weights, fits = _core.descend_grid(_core.Grid(problem, models, roles), tol=0.0, max_iter=50)
    expected = fit(X, one_hot, roles, ratio=0.01 / 0.11, alphas=np.array([0.11]))
    assert fits["n_passes"] == 1.0
    np.testing.assert_allclose(weights[:, :-3].reshape(3, 3, -1), expected[0][:, 0], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(weights[:, -3:], expected[1][:, 0], rtol=1e-9)


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_positive_weights_are_scikit_learns(ratio):
    X, y = data()
    splits = list(KFold(4).split(X))
    lower = np.zeros((1, X.shape[1]))
    coef, intercept, _ = fit(X, y, roles_of(splits, len(X)), ratio=ratio, lower=lower)
    assert coef.min() == 0.0
    for s, (train, _) in enumerate(splits):
        for a, alpha in enumerate(ALPHAS):
            model = theirs(ratio, alpha, len(train), positive=True).fit(X[train], y[train])
            np.testing.assert_allclose(coef[s, a, 0], model.coef_, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(intercept[s, a, 0], model.intercept_, rtol=1e-8)


def test_bounds_alone_are_scipys():
    """Without a penalty: bounded least squares of centred data."""
    X, y = data()
    lower, upper = np.full((1, X.shape[1]), -0.2), np.full((1, X.shape[1]), 0.5)
    lower[0, 1], upper[0, 2] = -np.inf, np.inf
    coef, _, fits = fit(X, y, np.zeros((0, len(X)), np.int8), alphas=np.array([0.0]), lower=lower, upper=upper)
    expected = optimize.lsq_linear(X - X.mean(0), y - y.mean(), (lower[0], upper[0]), method="bvls", tol=1e-15)
    np.testing.assert_allclose(coef[0, 0, 0], expected.x, rtol=1e-8, atol=1e-9)
    assert np.isnan(fits["validation"][0, 0])
    assert fits["suboptimality"][0, 0] < 1e-12


@pytest.mark.parametrize("dtype", sorted(_core.STORED_TYPES - {"b1"}))
def test_stored_types_and_layouts_have_the_same_bits(dtype):
    """Whatever holds the values: sums run in double, in the order of rows and columns."""
    n, d = 700, 13
    values = np.random.default_rng(3).integers(0, 100, size=(n, d)).astype(float)
    y = values @ np.linspace(-1, 1, d) + np.random.default_rng(4).normal(size=n)
    roles = roles_of(list(KFold(5, shuffle=True, random_state=0).split(values)), n)
    expected = fit(values, y, roles, ratio=0.5)
    for make in LAYOUTS.values():
        found = fit(make(values.astype(dtype)), y, roles, ratio=0.5)
        assert same_bits(found[:2], expected[:2])
        assert same_bits(list(found[2].values())[:3], list(expected[2].values())[:3])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_rows_have_the_bits_of_dense_ones(dtype, index):
    rng = np.random.default_rng(5)
    values = (rng.normal(size=(500, 11)) * (rng.random((500, 11)) < 0.3)).astype(dtype)
    y = values @ np.arange(11.0) + rng.normal(size=500)
    matrix = sparse.csr_matrix(values)
    matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(index)
    roles = roles_of(list(ShuffleSplit(3, random_state=0).split(values)), 500)
    for ratio in (0.0, 0.8):
        expected, found = fit(values, y, roles, ratio=ratio), fit(as_rows(matrix), y, roles, ratio=ratio)
        assert same_bits(found[:2], expected[:2])


def test_rows_are_those_of_the_problem():
    X, y = data()
    rows = np.random.default_rng(6).permutation(len(X))[:100]
    roles = roles_of(list(KFold(3).split(rows)), 100)
    assert same_bits(fit(X, y, roles, rows=rows)[:2], fit(X[rows], y[rows], roles)[:2])


def test_threads_change_no_bit():
    X, y = data(n=40_000, d=30)
    roles = roles_of(list(KFold(5, shuffle=True, random_state=0).split(X)), len(X))
    expected = fit(X, y, roles, ratio=0.9)
    for n_threads in (2, 5):
        assert same_bits(fit(X, y, roles, ratio=0.9, n_threads=n_threads)[:2], expected[:2])


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-10])
@pytest.mark.parametrize("ratio", [0.2, 1.0])
def test_the_tolerance_is_kept(tol, ratio):
    """E is within tol of the optimum, relatively, and the estimate says so and is no smaller than the truth."""
    X, y = data(n=200, d=60, seed=1)
    X[:, 1:] += 3.0 * X[:, :-1]
    roles = roles_of(list(KFold(3).split(X)), len(X))
    alphas = np.geomspace(1.0, 1e-4, 12)
    best = fit(X, y, roles, ratio=ratio, alphas=alphas)[2]
    fits = fit(X, y, roles, ratio=ratio, alphas=alphas, tol=tol)[2]
    short = fits["error"] / best["error"] - 1.0
    assert (short <= fits["suboptimality"] + 1e-13).all()
    assert fits["suboptimality"].max() <= tol


def test_what_rounding_hides_is_not_promised():
    """Two columns that are all but one, and a target that is their difference: moments cannot tell, and say so."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(200, 3))
    apart = rng.normal(size=200)
    X[:, 1] = X[:, 0] + 1e-7 * apart
    everything = np.zeros((0, 200), np.int8)
    for ratio in (0.0, 1.0):
        fits = fit(X, apart + rng.normal(size=200), everything, ratio=ratio, alphas=np.array([1e-13]), tol=1e-6)[2]
        assert np.isfinite(fits["error"]).all()
        assert fits["suboptimality"][0, 0] > 1e-6
        assert fits["reason"][0, 0] != "converged"


def test_what_is_no_case_for_moments():
    """Another loss, too many columns, sparse rows too wide: X is read at every step. No rows: an error."""
    X, y = data(n=30)
    model = {"loss": "squared_error", "l2": 1.0}

    def descend(problem, *args):
        return _core.descend_grid(_core.Grid(problem, *args), tol=1e-6, max_iter=10)[1]

    assert (
        descend(_core.Problem(X, y, loss="huber", param=1.0), [{**model, "loss": "huber", "param": 1.0}])["n_passes"]
        > 1
    )
    wide = _core.Problem(np.zeros((30, 5000), np.float32), y, loss="squared_error")
    assert descend(wide, [model])["n_passes"] > 1
    rows = as_rows(sparse.random(30, 2000, format="csr", random_state=0))
    assert descend(_core.Problem(rows, y, loss="squared_error"), [model])["n_passes"] > 1
    problem = _core.Problem(X, y, loss="squared_error")
    with pytest.raises(ValueError, match="must be consistent"):
        descend(problem, [{**model, "split": 0}], np.zeros((1, 30), np.int8))
    with pytest.raises(ValueError, match=r"roles must be C-contiguous int8 of shape \(n_splits, 30\)"):
        descend(problem, [{**model, "split": 0}], np.ones((1, 29), np.int8))
    X[3, 3] = np.nan
    assert np.isnan(descend(problem, [model])["error"]).all()


# ---- one model, by solver auto ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("terms", [{"alpha": 1e-3}, {"alpha": 0.1, "l1_ratio": 0.5}, {"bounds": (0.0, 0.5)}], ids=str)
def test_a_model_of_few_columns_takes_a_pass(dtype, terms):
    """And goes where the metric does, which `tol=None` takes; what it records of its start is what the twin says."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 9, size=(3000, 21)).astype(dtype)
    y = X[:, :7] @ rng.normal(size=7) + rng.normal(size=3000) + 5.0
    options = {"solver": "auto", **terms}
    result = gdfast.gradient_descent(X, y, tol=1e-9, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = gdfast.gradient_descent(X, y, tol=None, max_iter=40, **options)
    assert result.converged and result.n_iter == 2
    assert result.n_passes == 1
    assert_allclose(result.error, other.error, rtol=1e-9 if dtype == np.float64 else 1e-6)
    penalty = {name: value for name, value in terms.items() if name != "bounds"}
    start = error_and_gradient(X.astype(float), y, np.zeros(21), y.mean(), **penalty)
    assert_allclose(result.loss_curve[0], start[0], rtol=1e-10)
    if "bounds" not in terms:
        assert_allclose(result.gradient_norm_curve[0], np.linalg.norm(start[1]), rtol=1e-8)
    begun = gdfast.gradient_descent(X, y, coef_init=np.full(21, 0.25), tol=1e-9, **options)
    there = error_and_gradient(X.astype(float), y, np.full(21, 0.25), 0.0, **penalty)[0]
    assert_allclose(begun.loss_curve[0], there, rtol=1e-6)
    assert_allclose(begun.coef, result.coef, atol=1e-6)


def murky(X, y):
    """The same rows, where moments lose digits: to a near copy, or a target that is nearly explained."""
    rng = np.random.default_rng(1)
    copied, explained = X.copy(), X @ rng.normal(size=X.shape[1])
    copied[:, 1] = X[:, 0] + 1e-4 * X[:, 1]
    return {"copied": (copied, y), "explained": (X, explained + 1e-3 * y)}


@pytest.mark.parametrize("case", ["clear", "far from 0", "copied", "explained"])
@pytest.mark.parametrize("alpha", [0.0, 1e-3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_pass_looks_back_where_moments_may_know_too_little(case, alpha, weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 10)) * 10.0 ** rng.uniform(-4, 4, 10)
    y = X @ (rng.normal(size=10) / X.std(axis=0)) + rng.normal(size=700)
    X, y = {"clear": (X, y), "far from 0": (X + 1e3 * X.std(axis=0), y + 1e3)}.get(case) or murky(X, y)[case]
    weight = rng.uniform(0.1, 2.0, 700) if weighted else None
    result = gdfast.gradient_descent(X, y, solver="auto", alpha=alpha, tol=1e-9, sample_weight=weight)
    assert (result.n_passes == 1) == (case in ("clear", "far from 0"))
    share = np.ones(700) / 700 if weight is None else weight / weight.sum()
    mean, middle = share @ X, share @ y
    scale = np.sqrt(share @ (X - mean) ** 2)
    rows = np.vstack([np.sqrt(share)[:, None] * (X - mean) / scale, np.diag(np.sqrt(alpha) / scale)])
    w = np.linalg.lstsq(rows, np.r_[np.sqrt(share) * (y - middle), np.zeros(10)], rcond=None)[0] / scale
    best = error_and_gradient(X, y, w, middle - mean @ w, alpha=alpha, sample_weight=weight)
    here = error_and_gradient(X, y, result.coef, result.intercept, alpha=alpha, sample_weight=weight)
    assert result.error <= best[0] * (1 + 1e-9)
    assert_allclose(result.error, here[0], rtol=1e-10)
    start = result.gradient_norm_curve[0]
    assert_allclose(result.gradient_norm_curve[-1] / start, np.linalg.norm(here[1]) / start, atol=1e-9)


LASSO, BOXED = {"alpha": 1e-2, "l1_ratio": 1.0}, {"bounds": (-0.5, 0.5)}


@pytest.mark.parametrize(
    ("terms", "case"),
    [(LASSO, "clear"), (LASSO, "copied"), ({**LASSO, "alpha": 1e-6}, "explained"), (BOXED, "clear"), (BOXED, "copied")],
)
def test_with_l1_or_bounds_a_pass_looks_back_there_too(terms, case):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 10)) * rng.uniform(0.5, 2, 10) + 1.0
    y = X[:, :5] @ rng.normal(size=5) + rng.normal(size=700)
    X, y = (X, y) if case == "clear" else murky(X, y)[case]
    result = gdfast.gradient_descent(X, y, solver="auto", tol=1e-9, **terms)
    assert result.converged and (result.n_passes == 1) == (case == "clear")
    assert result.gradient_norm_curve[-1] <= 1e-5 * result.gradient_norm_curve[0]
    if "bounds" in terms:
        best = optimize.lsq_linear(X - X.mean(axis=0), y - y.mean(), (-0.5, 0.5), tol=1e-14).cost / 700
        penalty = {}
        assert np.all(np.abs(result.coef) <= 0.5) and np.any(np.abs(result.coef) == 0.5)
    else:
        theirs, penalty = Lasso(alpha=terms["alpha"], tol=1e-14, max_iter=100_000).fit(X, y), terms
        best = error_and_gradient(X, y, theirs.coef_, theirs.intercept_, **terms)[0]
    assert result.error <= best * (1 + 1e-9)
    assert_allclose(result.error, error_and_gradient(X, y, result.coef, result.intercept, **penalty)[0], rtol=1e-10)


def test_where_moments_know_too_little_passes_go_on():
    rng = np.random.default_rng(1)
    X, w = rng.normal(size=(500, 10)) + 1e3, rng.normal(size=10)
    exact = gdfast.gradient_descent(X, X @ w, solver="auto")
    assert exact.n_passes > 2 and exact.error < 1e-20 * exact.loss_curve[0]
    assert_allclose(exact.coef, w, rtol=1e-9)
    y = X @ w + rng.normal(size=500)
    stays = gdfast.gradient_descent(X, y, solver="auto", fit_intercept=False, intercept_init=7.0)
    assert stays.intercept == 7.0
    best = X @ np.linalg.lstsq(X, y - 7.0, rcond=None)[0] + 7.0 - y
    assert_allclose(stays.error, best @ best / 1000, rtol=1e-6)
