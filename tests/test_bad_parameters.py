"""Hyper-parameters, labels and weights: cases 14, 24 and 25, and row numbers."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hostile import ESTIMATORS, FITS, both, data, targets, unchanged
from numpy.testing import assert_allclose, assert_array_equal

from gdfast import GDClassifier, GDRegressor, error_and_gradient, gradient_descent
from gdfast.functional import LOSSES

pytestmark = pytest.mark.timeout(60)

FITTING = pytest.mark.parametrize("call", FITS.values(), ids=FITS.keys())
BAD = (ValueError, TypeError)


# ---- hyper-parameters: case 14 -----------------------------------------------------------------------------------

NO_NUMBER = ["abc", None, True, 1j, [0.1], np.array([0.1, 0.2])]
NOT_FINITE = [np.nan, np.inf, -np.inf, 10**400]
ILLEGAL = {
    "alpha": [*NO_NUMBER, *NOT_FINITE, -1e-300],
    "l1_ratio": [*(value for value in NO_NUMBER if value is not None), *NOT_FINITE, -0.1, 1.1],
    "eta0": [*NO_NUMBER, *NOT_FINITE, 0.0, -1.0],
    "power_t": [*NO_NUMBER, *NOT_FINITE],
    "momentum": [*NO_NUMBER, *NOT_FINITE, -0.1, 1.0],
    "beta_1": [*NO_NUMBER, *NOT_FINITE, -0.1, 1.0],
    "beta_2": [*NO_NUMBER, *NOT_FINITE, -0.1, 1.0],
    "tol": [*(value for value in NO_NUMBER if value is not None), *NOT_FINITE, -1.0],
    "max_iter": [*NO_NUMBER, *NOT_FINITE, 0, -1, 2.5],
    "n_iter_no_change": [*NO_NUMBER, *NOT_FINITE, 0, -1, 2.5],
    "batch_size": [*(value for value in NO_NUMBER if value is not None), *NOT_FINITE, 0, -1, 2.5],
    "n_threads": [*(value for value in NO_NUMBER if value is not None), *NOT_FINITE, 0, -2, 1.5],
    "average": ["abc", None, [1], *NOT_FINITE, -1, 0, 1.5],
    "random_state": ["abc", [1], -1, 1.5],
    "loss": ["abc", None, 0, ["squared_error"], "log"],
    "solver": ["abc", None, 0, ["gd"], "lbfgs"],
    "learning_rate": ["abc", None, 0.1, ["auto"]],
    "shuffle": ["abc", None, 1, 0.0],
    "nesterovs_momentum": ["abc", None, 1, 0.0],
    "fit_intercept": ["abc", None, 1, 0.0],
    "callback": ["abc", 0, [print]],
}
LEGAL = {
    "alpha": [np.float32(0.5), np.float64(0.5), np.int8(1), 0, 1],
    "eta0": [np.float32(0.01), np.int64(1)],
    "l1_ratio": [np.float64(0.5), 0, np.int32(1)],
    "max_iter": [np.int8(3), np.uint64(3)],
    "batch_size": [np.int16(7), 300, 301, 10**6, 2**52],
    "n_threads": [np.int64(1), 10_000, 2**40],
    "tol": [np.float32(1e-3), 0, None],
    "shuffle": [np.True_],
    "average": [np.True_, np.int64(2), 2**40],
    "random_state": [np.int64(5), np.random.RandomState(0), 0],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in ILLEGAL for value in ILLEGAL[name]], ids=repr)
def test_illegal_parameters_are_named(name, value):
    """Case 14: the message names the parameter and what it got."""
    X, y = data(n=30)
    y = 2.0 * y - 1.0
    with pytest.raises(BAD, match=f"^{name} must be"):
        gradient_descent(X, y, **{"solver": "sgd", name: value})
    if isinstance(value, np.ndarray):
        return
    for Estimator in ESTIMATORS:
        params = {"penalty": "elasticnet"} if name == "l1_ratio" else {}
        with pytest.raises(BAD, match=f"'{name}' parameter of {Estimator.__name__} must be"):
            Estimator(**{**params, name: value}).fit(X, y)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in LEGAL for value in LEGAL[name]], ids=repr)
def test_legal_parameters_of_other_types(name, value):
    """Case 14: NumPy's scalars, and counts far beyond what there is."""
    X, y = data(n=300)
    settings = {"solver": "sgd", "max_iter": 3, "tol": None, "random_state": 0, name: value}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that three epochs are not enough
        assert np.isfinite(gradient_descent(X, y, **settings).coef).all()
        for Estimator in ESTIMATORS:
            assert np.isfinite(Estimator(**settings).fit(X, y).coef_).all()


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [301, 5000, 2**40, 2**61, 2**62])
def test_batches_larger_than_the_data(batch_size, shuffle):
    """Case 14: they are all rows, and take no more room than that."""
    X, y = data(n=300)
    settings = {"solver": "sgd", "shuffle": shuffle, "max_iter": 5, "tol": None, "random_state": 0}
    result = gradient_descent(X, y, batch_size=batch_size, **settings)
    assert_array_equal(result.coef, gradient_descent(X, y, batch_size=300, **settings).coef)
    assert result.t == 5


@pytest.mark.parametrize("name", ["rows", "rows_val"])
@pytest.mark.parametrize(
    "rows", [[], [-1], [300], [0.5], "abc", [[1]], 5, [True] * 300, [2**63], [10**30], [None]], ids=repr
)
def test_row_numbers_that_there_are_not(name, rows):
    """Case 14: never an index out of bounds."""
    with pytest.raises(BAD, match=f"{name} must be"):
        gradient_descent(*data(), **{name: rows})


def test_row_numbers_changed_during_the_fit():
    """Case 12: the descent goes on with the numbers that it was given."""
    X, y = data()
    for solver in ("gd", "sgd", "auto"):
        rows = np.arange(0, 300, 2)
        expected = gradient_descent(X, y, rows=rows, solver=solver, max_iter=9, tol=None, random_state=0)

        def spoil(_, rows=rows):
            rows[:] = 2**50

        result = gradient_descent(X, y, rows=rows, solver=solver, max_iter=9, tol=None, random_state=0, callback=spoil)
        assert_array_equal(result.coef, expected.coef)


# ---- labels and targets: case 24 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("labels", [[7] * 300, ["a"] * 300, [True] * 300], ids=["7", "a", "True"])
def test_one_class_is_too_few(loss, labels):
    """Case 24."""
    with pytest.raises(ValueError, match="class"):
        GDClassifier(loss=loss).fit(data()[0], labels)


LABELS = {
    "text": np.array(["no", "yes"]), "objects": np.array(["no", "yes"], dtype=object), "bools": np.array([False, True]),
    "negative": np.array([-7, -3]), "floats": np.array([0.0, 1.0]), "far apart": np.array([-(2**62), 2**62]),
    "unsigned": np.array([3, 2**63 + 5], dtype=np.uint64), "bytes": np.array([3, 200], dtype=np.uint8),
    "int8": np.array([-128, 127], dtype=np.int8),
}  # fmt: skip


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_labels_of_every_kind(labels):
    """Case 24: the answers are elements of classes_, the weights those of codes 0 and 1."""
    X, y = data()
    model, expected = GDClassifier().fit(X, labels[y.astype(int)]), GDClassifier().fit(X, y)
    assert_array_equal(model.classes_, labels)
    assert model.predict(X).dtype == labels.dtype
    assert_array_equal(model.predict(X) == labels[1], expected.predict(X) == 1.0)
    assert_array_equal(model.coef_, expected.coef_)


@pytest.mark.parametrize(
    "labels",
    [np.linspace(0, 1, 300), [1, "a", 2.5] * 100, [None, 1, 2] * 100, np.full(300, np.nan), [[1, 0], [0, 1]] * 150],
    ids=["continuous", "mixed", "None", "NaN", "several"],
)  # fmt: skip
def test_labels_that_are_none(labels):
    """Case 24."""
    with pytest.raises(ValueError, match=r"Unknown label type|contains NaN|y should be a 1d array|not supported"):
        GDClassifier().fit(data()[0], np.array(labels, dtype=object) if isinstance(labels[1], str) else labels)


TARGETS = [
    ("poisson", -1.0, "y must be >= 0, found -1.0 at row 3"), ("gamma", 0.0, "y must be > 0, found 0.0 at row 3"),
    ("log_loss", 1.5, "found 1.5 at row 3"), ("log_loss", -0.1, "found -0.1 at row 3"),
    ("hinge", 0.5, "found 0.5 at row 3"), ("perceptron", 0.0, "found 0.0 at row 3"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "value", "text"), TARGETS)
def test_targets_out_of_the_range_of_the_loss(loss, value, text):
    """Case 24: the first such row is named."""
    X, y = data()
    y = targets(loss, y)
    y[[3, 7]] = value
    for call in (lambda: error_and_gradient(X, y, np.zeros(5), loss=loss), lambda: gradient_descent(X, y, loss=loss)):
        with pytest.raises(ValueError, match=text):
            call()
    if loss in ("poisson", "gamma"):
        with pytest.raises(ValueError, match=text):
            GDRegressor(loss=loss).fit(X, y)


@pytest.mark.parametrize(
    ("value", "text"), [(3, "found 3"), (-1, "found -1"), (1.5, "found 1.5"), (np.nan, "NaN"), (2**40, "found")]
)
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_codes_out_of_range(loss, value, text):
    """Case 24: codes 0 ... k - 1, nothing else."""
    X, y = data()
    codes = (y + (X[:, 1] > 0)).astype(type(value))
    codes[5] = value
    with pytest.raises(ValueError, match=text):
        error_and_gradient(X, codes, np.zeros((3, 5)), loss=loss)
    with pytest.raises(ValueError, match=text):
        gradient_descent(X, codes, loss=loss, n_outputs=3)


def test_65536_classes():
    """Case 24: as many outputs, though few of them occur."""
    k = 2**16
    X, codes = data(n=4)[0], np.arange(4) * 16_000
    error, grad_coef, grad_intercept = error_and_gradient(X, codes, np.zeros((k, 5)), np.zeros(k), loss="log_loss")
    assert error == pytest.approx(math.log(k))
    assert grad_coef[1] == pytest.approx(X.mean(axis=0) / k)
    assert grad_intercept[codes] == pytest.approx(np.full(4, 1 / k - 1 / 4))
    for loss in ("log_loss", "hinge"):
        result = gradient_descent(X, codes, loss=loss, n_outputs=k, solver="gd", max_iter=2, tol=None)
        assert result.coef.shape == (k, 5)
        assert np.isfinite(result.coef).all()


@pytest.mark.parametrize("n", [300, 2000])
@pytest.mark.parametrize("dtype", ["int64", "uint32", ">i4"])
def test_times_and_identities_are_no_codes(n, dtype):
    """Case 24: as many classes as rows, or 1000, are believed; more must be said, or a time would be a billion."""
    X, most = np.random.default_rng(0).normal(size=(n, 2)), max(n, 1000)
    codes = np.arange(n).astype(dtype)
    settings = {"loss": "log_loss", "solver": "gd", "max_iter": 1, "tol": None}
    codes[7] = most - 1
    assert gradient_descent(X, codes, **settings).coef.shape == (most, 2)
    for value in (most, 1_700_000_000):
        codes[7] = value
        with pytest.raises(
            ValueError, match=rf"^y must be class codes 0 \.\.\. k-1, .*n_outputs.* got {value} among {n} rows"
        ):
            gradient_descent(X, codes, **settings)
    codes[7] = most
    assert gradient_descent(X, codes, n_outputs=most + 1, **settings).coef.shape == (most + 1, 2)


def test_many_classes_in_reasonable_time():
    """Case 24: the default solver with a class for every other row."""
    rng = np.random.default_rng(0)
    codes = np.arange(800) // 2
    X = rng.normal(size=(800, 8)) + rng.normal(size=(400, 8))[codes] * 3
    model = GDClassifier(max_iter=20, tol=None).fit(X, codes * 3)
    assert model.coef_.shape == (400, 8)
    assert model.score(X, codes * 3) > 0.5


# ---- weights: case 25 --------------------------------------------------------------------------------------------


@FITTING
def test_weights_that_are_refused(call):
    """Case 25."""
    X, y = data()
    weight = np.ones(300)
    with pytest.raises(ValueError, match=r"non-zero|zero"):
        call(X, y, sample_weight=0.0 * weight)
    for value, text in [
        (-1.0, "negative|>= 0"),
        (np.nan, "sample_weight contains NaN"),
        (np.inf, "sample_weight contains inf"),
    ]:
        weight[299] = value
        with unchanged(weight), pytest.raises(ValueError, match=text):
            call(X, y, sample_weight=weight)


@FITTING
@pytest.mark.parametrize(
    "weights", [(1e300, 1.0), (1e-320, 1.0), (1e-320, 1e-320), (1e300, 1e300), (1e300, 1e-320)], ids=str
)
def test_weights_of_any_size(call, weights):
    """Case 25: only their ratios count; the answer is finite."""
    X, y = data()
    weight = np.full(300, weights[1])
    weight[:2] = weights[0]
    for values in call(X, y, sample_weight=weight):
        assert np.isfinite(values).all()
    if weights[0] == weights[1]:
        for a, b in zip(call(X, y, sample_weight=weight), call(X, y), strict=True):
            assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_weight_counts_rows(loss):
    """Case 25: 0 removes the row, whole numbers repeat it."""
    rng = np.random.default_rng(3)
    X, y = data()
    y = targets(loss, y)
    weight = rng.integers(0, 4, size=300)
    repeated = np.repeat(np.arange(300), weight)
    coef = rng.normal(size=5)
    for a, b in zip(error_and_gradient(X, y, coef, loss=loss, sample_weight=weight),
                    error_and_gradient(X[repeated], y[repeated], coef, loss=loss), strict=True):  # fmt: skip
        assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    settings = {"loss": loss, "solver": "gd", "learning_rate": "constant", "max_iter": 20, "tol": None}
    weighted = gradient_descent(X, y, sample_weight=weight, **settings)
    assert_allclose(weighted.coef, gradient_descent(X[repeated], y[repeated], **settings).coef, rtol=1e-10, atol=1e-12)


@both
def test_a_weight_counts_rows_in_estimators(Estimator):
    """Case 25: full batch, to 1e-10."""
    X, y = data()
    weight = np.random.default_rng(3).integers(0, 4, size=300)
    repeated = np.repeat(np.arange(300), weight)
    model = Estimator(tol=1e-20).fit(X, y, sample_weight=weight)
    expected = Estimator(tol=1e-20).fit(X[repeated], y[repeated])
    assert_allclose(model.coef_, expected.coef_, rtol=1e-10)
    assert_allclose(model.intercept_, expected.intercept_, rtol=1e-10)
