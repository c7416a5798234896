"""Bad input, cases 1 to 10 and 13: arrays, types, shapes.

Each case holds for the functions and for the estimators: the same answer or a message, input arrays as they were,
and an estimator that was fitted before still answers as it did.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hostile import CALLS, FITS, both, data, same_bits, state, unchanged
from numpy.testing import assert_allclose, assert_array_equal
from problems import LAYOUTS
from sklearn.exceptions import DataConversionWarning, NotFittedError

from gdfast import GDClassifier, error_and_gradient, gradient_descent, reference, scores
from gdfast.functional import LOSSES

pytestmark = pytest.mark.timeout(60)

WAYS = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
FITTING = pytest.mark.parametrize("call", FITS.values(), ids=FITS.keys())
BAD = (ValueError, TypeError)


# ---- arrays that are stored in some odd way: cases 1 to 5 -------------------------------------------------------


@WAYS
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_bits(call, dtype, layout):
    """Cases 1 to 4: read-only, byte-swapped, unaligned, F order, negative and other strides."""
    X, y = data()
    X = X.astype(dtype)
    odd = LAYOUTS[layout](X)
    assert_array_equal(odd, X)
    with unchanged(odd, y):
        assert same_bits(call(odd, y), call(X, y))


@WAYS
def test_memory_maps(call, tmp_path):
    """Case 1: X, y from np.load(mmap_mode="r") and from a map that may be written to."""
    X, y = data()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    for mode in ("r", "r+", "c"):
        mapped, target = (np.load(tmp_path / name, mmap_mode=mode) for name in ("X.npy", "y.npy"))
        assert same_bits(call(mapped, target), call(X, y))
    assert_array_equal(np.load(tmp_path / "X.npy"), X)


@WAYS
def test_everything_read_only(call):
    """Case 1: y and sample_weight may be read-only too."""
    X, y = data()
    weight = np.linspace(0.5, 2.0, len(y))
    more = {} if call is CALLS["scores"] else {"sample_weight": weight}
    expected = call(X, y, **more)
    for array in (X, y, weight):
        array.setflags(write=False)
    assert same_bits(call(X, y, **more), expected)


@FITTING
@pytest.mark.parametrize("layout", ["byte-swapped", "unaligned", "strided", "negative strides"])
def test_targets_and_weights_in_every_layout(call, layout):
    """Cases 2 to 4, for y and sample_weight."""
    X, y = data()
    weight = np.linspace(0.5, 2.0, len(y))
    odd_y, odd_weight = (LAYOUTS[layout](values[:, None])[:, 0] for values in (y, weight))
    with unchanged(odd_y, odd_weight):
        assert same_bits(call(X, odd_y, sample_weight=odd_weight), call(X, y, sample_weight=weight))


@WAYS
@pytest.mark.parametrize(
    "view", [lambda X: X[:1], lambda X: X[:, :1], lambda X: X[:1, :1]], ids=["row", "column", "number"]
)
def test_stride_0(call, view):
    """Case 4: np.broadcast_to."""
    X, y = data()
    same = np.broadcast_to(view(X), X.shape)
    assert same_bits(call(same, y), call(np.ascontiguousarray(same), y))


@WAYS
@pytest.mark.parametrize("dtype", ["f2", "g", "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4"])
def test_every_number_type(call, dtype):
    """Case 5: integers answer like the same numbers in float64; 32 bits and more to the last bit."""
    X, y = data()
    X = (X * 20 + 60).clip(0, 120).astype(dtype) if dtype != "?" else X > 0
    wide = np.dtype(dtype).kind in "iu" and np.dtype(dtype).itemsize >= 4
    with unchanged(X):
        answers, expected = call(X, y), call(X.astype(np.float64), y)
    if wide:
        assert same_bits(answers, expected)
    for a, b in zip(answers[:2], expected[:2], strict=True):
        assert_allclose(a, b, rtol=2e-3, atol=2e-3)


@WAYS
@pytest.mark.parametrize("value", [2**53 + 1, -(2**53) - 1, 2**64 - 1])
def test_integers_beyond_2_to_53_warn(call, value):
    """Case 5: float64 cannot hold them."""
    X, y = data()
    X = np.zeros(X.shape, dtype=np.uint64 if value > 0 else np.int64)
    X[7, 1] = 1
    call(X, y)
    X[7, 1] = value
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(X, y)
    assert "lose precision" in "".join(str(w.message) for w in caught)


# ---- what is no matrix of numbers: cases 6 to 8, 13 -------------------------------------------------------------


@WAYS
@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda X: X + 1j, "Complex data not supported"),
        (lambda X: X.astype(np.complex64), "Complex data not supported"),
        (lambda X: np.full(X.shape, "a"), r"X must be an array of numbers|numeric|convert"),
        (lambda X: np.full(X.shape, b"a"), r"X must be an array of numbers|numeric|convert"),
        (lambda X: np.full(X.shape, np.datetime64("2026-11-22")), "datetime64"),
        (lambda X: np.full(X.shape, np.timedelta64(5, "s")), "timedelta64"),
        (lambda X: np.zeros(X.shape, dtype="f8,i4"), "f0"),
        (lambda X: np.full(X.shape, "a", dtype=object), "could not convert"),
        (lambda X: np.full(X.shape, {}, dtype=object), "float"),
    ],
    ids=["complex128", "complex64", "str", "bytes", "datetime", "timedelta", "structured", "text", "dicts"],
)
def test_what_holds_no_real_numbers_is_refused(call, make, text):
    """Case 6."""
    X, y = data()
    X = make(X)
    with unchanged(X, y), pytest.raises(BAD, match=text):
        call(X, y)


@WAYS
def test_the_column_that_is_no_number_is_named(call):
    """Case 6: the message names the column and its type."""
    X, y = data()
    X = X.astype(object)
    X[5, 3] = "many"
    with unchanged(X, y), pytest.raises(BAD, match=r"(?s)(?=.*column 3)(?=.*object)"):
        call(X, y)


@WAYS
def test_objects_that_are_numbers_are_converted(call):
    """Case 6: an array of Python floats is never read as pointers."""
    X, y = data()
    assert same_bits(call(X.astype(object), y), call(X, y))


@WAYS
@pytest.mark.parametrize(
    ("X", "text"),
    [
        (np.zeros(300), "Reshape your data"),
        (np.zeros((300, 5, 1)), "Found array with dim 3"),
        (1.5, "Reshape your data"),
        (np.float64(1.5), "Reshape your data"),
        (None, "Reshape your data"),
        ({}, "."),
        ([[1.0, 2.0], [3.0]], "."),
        ("matrix", "."),
        (object(), "."),
        (iter([[1.0]]), "."),
    ],
    ids=["1-d", "3-d", "float", "scalar", "None", "dict", "ragged", "str", "object", "iterator"],
)
def test_what_is_no_matrix_is_refused(call, X, text):
    """Case 7."""
    with pytest.raises(BAD, match=text):
        call(X, data()[1])


@WAYS
@pytest.mark.parametrize("shape", [(0, 5), (0, 0)])
def test_no_samples(call, shape):
    """Case 8."""
    with pytest.raises(ValueError, match=r"0 sample\(s\)|0 feature\(s\)"):
        call(np.empty(shape), np.empty(0))


@WAYS
def test_no_features(call):
    """Case 8."""
    with pytest.raises(ValueError, match=r"0 feature\(s\) \(shape=\(\d*, 0\)\) while a minimum of \d* is required"):
        call(np.empty((300, 0)), data()[1])


@both
def test_predict_refuses_no_samples(Estimator):
    """Case 8."""
    model = Estimator().fit(*data())
    for shape, text in [((0, 5), r"0 sample\(s\)"), ((3, 0), r"0 feature\(s\)")]:
        with pytest.raises(ValueError, match=text):
            model.predict(np.empty(shape))


@WAYS
def test_masked_entries_are_missing_values(call):
    """Case 13: a mask is never ignored; one that hides nothing changes nothing."""
    X, y = data()
    masked = np.ma.masked_array(X, mask=np.zeros(X.shape, dtype=bool))
    assert same_bits(call(masked, y), call(X, y))
    masked[3, 2] = np.ma.masked
    with pytest.raises(ValueError, match="missing values"):
        call(masked, y)
    if call is not CALLS["scores"]:
        with pytest.raises(ValueError, match="missing values"):
            call(X, np.ma.masked_array(y, mask=X[:, 0] > 1))
        with pytest.raises(ValueError, match="missing values"):
            call(X, y, sample_weight=np.ma.masked_array(np.ones(len(y)), mask=X[:, 0] > 1))


@WAYS
@pytest.mark.parametrize("dtype", ["Float64", "Int64", "boolean", "object"])
def test_pandas_na_is_a_missing_value(call, dtype):
    """Case 13: nullable columns serve while nothing is missing."""
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame = pd.DataFrame((X > 0).astype(int), columns=list("abcde")).astype(dict.fromkeys("abcde", dtype))
    assert same_bits(call(frame, y)[:1], call((X > 0).astype(float), y)[:1])
    frame.loc[4, "c"] = pd.NA
    with pytest.raises(BAD if dtype == "object" else ValueError, match=r"missing values|NAType"):
        call(frame, y)


# ---- shapes that do not go together: cases 9 and 10 -------------------------------------------------------------


@FITTING
def test_lengths_that_differ(call):
    """Case 9: the message says both numbers."""
    X, y = data()
    for n in (299, 301, 1):
        y_n = np.resize(y, n)
        with pytest.raises(ValueError, match=rf"(?s)(?=.*300)(?=.*{n})"):
            call(X, y_n)
        with pytest.raises(ValueError, match=rf"(?s)(?=.*300)(?=.*{n})"):
            call(X, y, sample_weight=np.ones(n))


@pytest.mark.parametrize("name", ["offset", "y_val", "sample_weight_val", "offset_val"])
@both
def test_lengths_that_differ_elsewhere(Estimator, name):
    """Case 9, for what comes with the validation rows and for offsets."""
    X, y = data()
    given = {"X_val": X, "y_val": y, name: np.ones(299)}
    with pytest.raises(ValueError, match=r"(?s)(?=.*300)(?=.*299)"):
        Estimator().fit(X, y, **given)
    with pytest.raises(ValueError, match=r"(?s)(?=.*300)(?=.*299)"):
        gradient_descent(X, y, loss="log_loss", **given)


@pytest.mark.parametrize(
    "target", [5.0, None, np.ones((300, 2)), np.ones((300, 1, 1))], ids=["0-d", "None", "2 columns", "3-d"]
)
def test_targets_of_a_wrong_shape(target):
    """Case 9: for one neuron."""
    X, y = data()
    for call in (lambda: error_and_gradient(X, target, np.zeros(5)), lambda: GDClassifier().fit(X, target)):
        with pytest.raises(BAD):
            call()
    if np.ndim(target) != 2:
        with pytest.raises(BAD):
            gradient_descent(X, target)
    for weight in (np.ones((300, 2)), 1.0):
        with pytest.raises(BAD if weight is not None else ()):
            error_and_gradient(X, y, np.zeros(5), sample_weight=weight)


@both
def test_a_column_of_targets_warns_once(Estimator):
    """Case 9: y of shape (n, 1)."""
    X, y = data()
    with pytest.warns(DataConversionWarning) as caught:
        model = Estimator().fit(X, y[:, None])
    assert len(caught) == 1
    assert_array_equal(model.coef_, Estimator().fit(X, y).coef_)


@pytest.mark.parametrize("loss", LOSSES)
def test_one_column_of_codes_for_several_outputs(loss):
    """Case 9: codes mean classes for the classification losses only; elsewhere (n,) is one column too few."""
    X, y = data()
    codes, coef = (y + (X[:, 1] > 0)).astype(int), np.full((3, 5), 0.1)
    if loss == "log_loss" or loss in reference.MARGIN_LOSSES:
        error_and_gradient(X, codes, coef, loss=loss)
        return
    with pytest.raises(ValueError, match=r"y must be of shape \(300, 3\)"):
        error_and_gradient(X, codes, coef, loss=loss)
    with pytest.raises(ValueError, match=r"y must be of shape \(300, 3\)"):
        gradient_descent(X, codes, loss=loss, n_outputs=3)


@pytest.mark.parametrize(
    "coef", [np.zeros(4), np.zeros((3, 4)), np.zeros((0, 5)), 0.0, None, ["a"] * 5, np.zeros((1, 1, 5)), [1j] * 5,
             np.ma.masked_array(np.zeros(5), mask=[1, 0, 0, 0, 0]), [np.nan] * 5, [np.inf] * 5],
    ids=["4", "(3, 4)", "(0, 5)", "0-d", "None", "text", "3-d", "complex", "masked", "NaN", "inf"],
)  # fmt: skip
def test_weights_of_another_model(coef):
    """Case 10, for the functions."""
    X, y = data()
    for call in (
        lambda: error_and_gradient(X, y, coef),
        lambda: scores(X, coef),
        lambda: gradient_descent(X, y, coef_init=np.zeros(3) if coef is None else coef),
        lambda: error_and_gradient(X, y, np.zeros(5), [0.0, 0.0] if coef is None or np.ndim(coef) == 0 else coef),
    ):
        with pytest.raises(BAD, match=r"coef|intercept"):
            call()


@both
def test_predicting_with_other_features(Estimator):
    """Case 10."""
    pd = pytest.importorskip("pandas")
    X, y = data()
    with pytest.raises(NotFittedError):
        Estimator().predict(X)
    model = Estimator().fit(X, y)
    with pytest.raises(
        ValueError, match=f"X has 3 features, but {Estimator.__name__} is expecting 5 features as input"
    ):
        model.predict(X[:, :3])
    frame = pd.DataFrame(X, columns=list("abcde"))
    model.fit(frame, y)
    with pytest.raises(ValueError, match=r"(?s)feature names.*same order"):
        model.predict(frame[list("bacde")])
    with pytest.raises(ValueError, match=r"(?s)unseen at fit time.*- z"):
        model.predict(frame.rename(columns={"a": "z"}))


@both
def test_a_refused_call_leaves_the_fit_as_it_was(Estimator):
    """The rule for all cases: the estimator is as before, and answers as before."""
    X, y = data()
    model = Estimator().fit(X, y)
    before, answers = state(model), model.predict(X)
    hole = X.copy()
    hole[298, 4] = np.nan
    for bad_X, bad_y, more in [
        (hole, y, {}), (X[:, :2] + 1j, y, {}), (X[:0], y[:0], {}), (X, y[:3], {}), (X, np.full(300, np.nan), {}),
        (X, y, {"sample_weight": -y}), (X[:, :2], y, {"coef_init": np.zeros(7)}),
        (X[:, :3], y, {"X_val": X, "y_val": y}),
    ]:  # fmt: skip
        with pytest.raises(BAD):
            model.fit(bad_X, bad_y, **more)
        with pytest.raises(BAD):
            model.set_params(max_iter=0).fit(X, y)
        model.set_params(max_iter=1000)
        assert state(model) == before
        assert_array_equal(model.predict(X), answers)
