"""What `tol` promises: where solver auto says that it has converged, E is within tol of the least one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

import gdfast
from gdfast import _core, reference


def nearly_separable(n, d, k, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    return X, np.argmax(X @ rng.normal(size=(d, k)) * 10 + rng.gumbel(size=(n, k)), axis=1)


def descend(X, y, k=0, **options):
    if k:
        options |= {"loss": "log_loss", "n_outputs": k}
    return gdfast.gradient_descent(X, y, solver="auto", max_iter=3000, **options)


def assert_kept(X, y, k=0, *, tols=(1e-3, 1e-6), rounding=0.0, **options):
    """Beside the least E that a far stricter tolerance finds."""
    results = [descend(X, y, k, tol=tol, **options) for tol in (1e-13, *tols)]
    least = min(result.error for result in results)
    for tol, result in zip(tols, results[1:], strict=True):
        assert result.converged, result.message
        assert result.error - least <= 1.01 * tol * abs(least) + rounding, (tol, result.error / least - 1)
    return results


@pytest.mark.parametrize("seed", range(12))
def test_classes_that_nearly_separate(seed):
    """With almost no penalty: classes make up for each other along directions that each by itself takes for steep."""
    X, y = nearly_separable(300, 60, 5, seed)
    strict = assert_kept(X, y, 5, alpha=1e-6)[0]
    options = {"loss": "log_loss", "alpha": 1e-6}
    error, slope, bias = reference.error_and_gradient(X, y, strict.coef, strict.intercept, **options)
    assert (np.sum(slope**2) + np.sum(bias**2)) / (2 * 1e-6) <= 1e-6 * error  # E bends as the penalty does at least


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("alpha", "size"), [(1e-6, 10.0), (1e-4, 1.0)])
def test_classes_too_many_to_be_bent_together(alpha, size, seed):
    """E stands still for some steps until their memory finds directions in which classes move together."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1500, 120))
    y = np.argmax(0.75 * size * X @ rng.normal(size=(120, 8)) + rng.gumbel(size=(1500, 8)), axis=1)
    assert_kept(X, y, 8, alpha=alpha)


@pytest.mark.parametrize("alpha", [1e-2, 1e-4, 1e-6])
def test_l1_and_few_classes(alpha):
    X, y = load_iris(return_X_y=True)
    assert_kept(X, y, 3, alpha=alpha, l1_ratio=1.0)


@pytest.mark.parametrize("loss", ["squared_hinge", "squared_epsilon_insensitive", "modified_huber"])
@pytest.mark.parametrize("seed", range(6))
def test_rows_that_cease_to_bend(loss, seed):
    """Few rows in many columns: at the optimum some of them have no curvature, which they had a step before."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(10, 300)), rng.choice([-1.0, 1.0], size=10)
    assert_kept(X, y, loss=loss, alpha=1e-6, rounding=1e-16)


@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 100.0])
def test_huber_far_from_the_start(epsilon):
    """All residuals on the linear part at first."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6))
    y = 1e4 + 100 * (X @ rng.normal(size=6) + rng.standard_t(2, size=400))
    results = assert_kept(X, y, loss="huber", epsilon=epsilon, alpha=1e-4)
    assert max(result.n_passes for result in results) <= 150


@pytest.mark.parametrize("outliers", ["heavy tails", "all at the end", "every eighth"])
def test_huber_starts_on_a_sample(outliers):
    """Which may mislead: whatever it says, E ends where it does without it."""
    rng = np.random.default_rng(0)
    n = 50_000
    X = rng.normal(size=(n, 12)) * 10.0 ** rng.uniform(-3, 3, 12)
    noise = rng.standard_t(1.5, size=n)
    where = {"heavy tails": slice(0, 0), "all at the end": slice(n - 9000, n), "every eighth": slice(0, n, 8)}[outliers]
    noise[where] += 1e3
    y = X @ (rng.normal(size=12) / X.std(axis=0)) + noise
    results = assert_kept(X, y, loss="huber", alpha=1e-6)
    assert max(result.n_passes for result in results[1:]) <= 60
    begun = descend(X, y, loss="huber", alpha=1e-6, tol=1e-6, coef_init=np.full(12, 1e-3))
    assert abs(begun.error / results[0].error - 1) <= 2e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huber_without_noise(dtype):
    """E ends at rounding, of its size at zero weights: no warning, though the sample's answer is there already."""
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(50_000, 8)).astype(dtype), rng.normal(size=8)
    result = descend(X, X.astype(float) @ w + 2.0, loss="huber", tol=1e-6)
    assert result.converged and result.error <= 1e-11
    assert_allclose(result.coef, w, rtol=1e-5)


def test_no_claim_beside_a_warning():
    """Classes that a plane separates have no minimum without a penalty."""
    X = np.arange(10.0)[:, None]
    with pytest.warns(ConvergenceWarning, match="separated perfectly"):
        result = descend(X, np.arange(10) > 4, loss="log_loss")
    assert not result.converged


@pytest.mark.parametrize("n", [200, 5000])
@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classes_told_apart_take_few_steps(n, k, dtype):
    """Twice the weights square E, where a Newton step divides it by e: 32 of these would be needed."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 10)).astype(dtype)
    scores = X @ rng.normal(size=(10, k))
    y = scores.argmax(axis=1)
    wide = np.abs(np.diff(np.sort(scores, axis=1)[:, -2:])[:, 0]) > 0.5
    with pytest.warns(ConvergenceWarning, match="separated perfectly"):
        result = descend(X[wide], y[wide], k if k > 2 else 0, **({"loss": "log_loss"} if k == 2 else {}))
    assert result.error <= 1e-14
    assert result.n_iter <= 20


@pytest.mark.parametrize("alpha", [0.0, 1e-8])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("n", [1000, 20_000])
def test_classes_told_apart_but_for_one_row(n, k, alpha):
    """A sample of the rows may be told apart where all of them are not: it must not lead away."""
    rng = np.random.default_rng(n + k)
    X = rng.normal(size=(n, 20))
    y = np.argmax(X @ rng.normal(size=(20, k)), axis=1)
    y[n // 2] = (y[n // 2] + 1) % k
    options = {"loss": "log_loss"} if k == 2 else {}
    results = assert_kept(X, y, k if k > 2 else 0, alpha=alpha, **options)
    assert max(result.n_passes for result in results) <= 80


def test_hinge_without_error():
    """E* = 0: of it no share can be left, so E must be 0 but for rounding."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 40)), rng.choice([-1.0, 1.0], size=20)
    assert descend(X, y, loss="hinge", tol=1e-3).error <= 1e-12


@pytest.mark.parametrize("alpha", [1e-8, 1e-10])
@pytest.mark.parametrize("seed", [0, 1, 5, 7])
def test_hinge_with_hardly_any_penalty(seed, alpha):
    """All of E is penalty, and for most of the way no row bends."""
    rng = np.random.default_rng([seed, 200, 5])
    X = rng.normal(size=(200, 5))
    y = np.where(X @ rng.normal(size=5) + 0.02 * rng.normal(size=200) > 0, 1.0, -1.0)
    results = [descend(X, y, loss="hinge", alpha=alpha, tol=tol) for tol in (1e-9, 1e-3, 1e-6)]
    least = min(result.error for result in results)
    for tol, result in zip((1e-3, 1e-6), results[1:], strict=True):
        floor = 1e-12 if _core.isa() == "baseline" else 0.0  # of E at zero weights, 1: that counts as least
        assert result.converged and result.error <= (1 + 1.01 * tol) * least + floor


@pytest.mark.parametrize("tol", [1e-12, 1e-14])
def test_widths_that_rounding_ends_keep_what_was_known_before(tol):
    """At the optimum to the last bit but one: no warning that a part of the error is left."""
    X = np.random.RandomState(0).uniform(size=(30, 3))
    y = np.where(np.arange(30) % 3 == 1, 1.0, -1.0)
    result = gdfast.gradient_descent(X, y, loss="hinge", alpha=1e-4, solver="auto", tol=tol, max_iter=1000)
    assert result.converged and result.suboptimality < 1e-10
    assert abs(result.error - 2 / 3) < 1e-12


def near(d, twins, closeness, seed=0):
    """X (2000, d + twins), and what spans the same: twins differ from columns by so much of what y depends on."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2000, d + twins))
    y = X @ rng.normal(size=d + twins) + rng.normal(size=2000)
    hidden = X.copy()
    hidden[:, d:] = X[:, :twins] + closeness * X[:, d:]
    return hidden, X, y


def least_squares(X, y):
    Xb = np.column_stack([X, np.ones(len(X))])
    return np.mean((y - Xb @ np.linalg.lstsq(Xb, y, rcond=None)[0]) ** 2) / 2


@pytest.mark.parametrize("closeness", [1e-5, 1e-7, 1e-8, 1e-9, 1e-10])
@pytest.mark.parametrize(("d", "twins"), [(9, 1), (8, 3), (148, 2)])
def test_columns_that_nearly_repeat_others(d, twins, closeness):
    """Beyond what second moments tell, for few columns and for many: weights are up to 1e10 times the others."""
    hidden, X, y = near(d, twins, closeness)
    for tol in (1e-3, 1e-6):
        result = descend(hidden, y, tol=tol)
        assert result.converged and result.n_passes <= 30
        assert result.error <= (1 + 1.01 * tol) * least_squares(X, y)
        assert result.error == pytest.approx(gdfast.error_and_gradient(hidden, y, result.coef, result.intercept)[0])


def test_columns_that_nearly_repeat_others_for_several_outputs_and_sparse_rows():
    from scipy import sparse

    hidden, X, y = near(9, 1, 1e-8)
    Y = np.column_stack([y, X[:, -1] + np.random.default_rng(1).normal(size=2000), np.cos(X[:, 0])])
    for rows in (hidden, sparse.csr_array(hidden)):
        result = descend(rows, Y, tol=1e-6)
        assert result.converged
        assert result.error <= (1 + 1e-6) * sum(least_squares(X, column) for column in Y.T)


@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("size", [1e7, 1e8, 1e9])
def test_a_row_far_larger_than_all_others(size, fit_intercept):
    """All that the second moments of columns know is that row."""
    _, X, y = near(10, 0, 0.0)
    X[-1] *= size
    Xb = np.column_stack([X, np.ones(len(X))]) if fit_intercept else X
    Q, _ = np.linalg.qr(Xb[::-1])  # the largest row first: so it spoils no other
    least = np.mean((y[::-1] - Q @ (Q.T @ y[::-1])) ** 2) / 2
    result = descend(X, y, tol=1e-6, fit_intercept=fit_intercept)
    assert result.converged
    assert result.error <= (1 + 1.01e-6) * least


def test_columns_that_repeat_others_cost_nothing():
    """Equal ones, sums, one-hot columns beside the bias: moments, and a look back."""
    rng = np.random.default_rng(0)
    X, _, y = near(9, 0, 0.0)
    categories = np.eye(5)[rng.integers(0, 5, size=2000)]
    for more in (X[:, :1], X[:, :1] / 3, X.sum(axis=1, keepdims=True), categories, X[:, :1] * (1 + 1e-15)):
        result = descend(np.hstack([X, more]), y, tol=1e-6)
        assert result.converged and result.n_passes == 2
        span = np.hstack([X, more]) if more is categories else X
        assert result.error == pytest.approx(least_squares(span, y), rel=1e-12)


@pytest.mark.parametrize("noise", [1e-3, 1e-4, 1e-5, 1e-6])
def test_float32_rows_that_leave_hardly_anything_of_y(noise):
    """Scores in float lanes are off by more than what is left."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 12)).astype(np.float32)
    y = X.astype(np.float64) @ rng.normal(size=12) + noise * rng.normal(size=1000)
    least = least_squares(X.astype(np.float64), y)
    for tol in (1e-3, 1e-6):
        result = descend(X, y, tol=tol)
        assert result.converged and result.n_passes <= 8
        assert result.error == pytest.approx(least, rel=tol)
        exact = gdfast.error_and_gradient(X.astype(np.float64), y, result.coef, result.intercept)[0]
        assert exact == pytest.approx(least, rel=tol)


@pytest.mark.parametrize("big", [1e6, 1e7, 1e8])
@pytest.mark.parametrize("seed", range(3))
def test_one_row_that_outweighs_all_others_with_little_noise(big, seed):
    """E at the start is all that row's: what is left at the end is no rounding of it."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 30))
    X[0] *= big
    y = X @ rng.standard_normal(30) + 1e-3 * rng.standard_normal(300)
    augmented = np.column_stack([X, np.ones(len(X))])
    least = 0.5 * np.mean((y - augmented @ np.linalg.lstsq(augmented, y, rcond=1e-16)[0]) ** 2)
    result = gdfast.gradient_descent(X, y, alpha=0.0, solver="auto", tol=1e-6, max_iter=1000)
    assert result.converged
    found = 0.5 * np.mean((y - X @ result.coef - result.intercept) ** 2)
    assert found <= least * (1 + 1e-6)
