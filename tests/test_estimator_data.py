"""What both estimators read as it is stored, what they refuse and in which words, and what weights mean."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.exceptions import DataConversionWarning, NotFittedError

from gdfast import GDClassifier, GDRegressor

pd = pytest.importorskip("pandas")

both = pytest.mark.parametrize("Estimator", [GDRegressor, GDClassifier])


def data(Estimator, n=120, d=6, seed=0):
    X, labels = make_classification(n, d, n_informative=d - 2, random_state=seed, flip_y=0.2)
    return X, labels if Estimator is GDClassifier else X @ np.arange(1.0, d + 1) + labels


# ------------------------------------------------------------------------------------------------- kinds of X


@both
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?", "g"])
def test_every_stored_type_fits_like_float64(Estimator, dtype):
    X, y = data(Estimator)
    X = (np.abs(X * 20) % 100 if dtype != "?" else X > 0).astype(dtype)
    model, expected = Estimator().fit(X, y), Estimator().fit(X.astype(np.float64), y)
    # float32 lanes serve float32 and narrower types, everything else is computed in float64
    exact = np.dtype(dtype).itemsize > 2 and dtype != "f4"
    assert_allclose(model.coef_, expected.coef_, rtol=1e-9 if exact else 1e-2, atol=1e-12 if exact else 1e-3)
    assert_allclose(model.score(X, y), expected.score(X.astype(np.float64), y), atol=1e-3)


@both
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4"])
@pytest.mark.parametrize(
    "layout",
    ["readonly", "fortran", "swapped", "unaligned", "backwards", "every second column", "broadcast rows"],
)
def test_same_bits_in_every_memory_layout(Estimator, dtype, layout):
    X, y = data(Estimator)
    X = (X * 100).astype(dtype)
    if layout == "readonly":
        same = X.copy()
        same.setflags(write=False)
    elif layout == "fortran":
        same = np.asfortranarray(X)
    elif layout == "swapped":
        same = X.astype(X.dtype.newbyteorder())
    elif layout == "unaligned":
        buffer = b"\0" + X.tobytes()
        same = np.frombuffer(buffer, dtype=X.dtype, offset=1).reshape(X.shape)
    elif layout == "backwards":
        same = X[::-1, ::-1].copy()[::-1, ::-1]
    elif layout == "every second column":
        same = np.repeat(X, 2, axis=1)[:, ::2]
    else:
        X[:] = X[0]
        same = np.broadcast_to(X[0], X.shape)
    assert_array_equal(same, X)
    model, expected = Estimator(alpha=0.1).fit(same, y), Estimator(alpha=0.1).fit(X, y)
    assert_array_equal(model.coef_, expected.coef_)
    assert_array_equal(model.intercept_, expected.intercept_)
    assert_array_equal(model.predict(same), expected.predict(X))


@both
def test_readonly_target_and_weights(Estimator):
    X, y = data(Estimator)
    weight = np.linspace(0.5, 2, len(y))
    expected = Estimator().fit(X, y, sample_weight=weight).coef_
    for array in (X, y, weight):
        array.setflags(write=False)
    assert_array_equal(Estimator().fit(X, y, sample_weight=weight).coef_, expected)


@both
@pytest.mark.parametrize("early_stopping", [False, True])
def test_X_is_never_copied(Estimator, early_stopping):
    X, y = data(Estimator, n=40_000, d=50)
    X = X.astype(np.float16)
    model = Estimator(early_stopping=early_stopping, max_iter=5, tol=None, n_threads=1, random_state=0).fit(X, y)
    tracemalloc.start()
    model.fit(X, y)
    model.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # per row: a float64 target, permutation and row numbers of the split, scores; never the 50 features
    assert peak < 40_000 * 95
    assert X.nbytes >= 40_000 * 100


@both
def test_integers_above_the_exact_range_warn(Estimator):
    X, y = data(Estimator)
    X = (X * 100).astype(np.int64)
    Estimator().fit(X, y)
    X[3, 2] = -(2**53) - 1
    with pytest.warns(UserWarning, match=r"integer values above 2\*\*53 lose precision"):
        Estimator(max_iter=2, tol=None).fit(X, y)


@both
def test_data_frames_keep_their_names(Estimator):
    X, y = data(Estimator)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = Estimator().fit(frame, pd.Series(y))
    assert list(model.feature_names_in_) == list("abcdef")
    assert model.n_features_in_ == 6
    assert_array_equal(model.coef_, Estimator().fit(X, y).coef_)
    assert_array_equal(model.predict(frame), Estimator().fit(X, y).predict(X))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[list("bacdef")])
    with pytest.raises(ValueError, match=r"unseen at fit time[\s\S]*- z"):
        model.predict(frame.rename(columns={"a": "z"}))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)
    model.fit(X, y)
    assert not hasattr(model, "feature_names_in_")


@both
def test_mixed_data_frames(Estimator):
    X, y = data(Estimator)
    frame = pd.DataFrame(X).astype({0: "float32", 1: "int16"}).assign(flag=X[:, 0] > 0).rename(columns=str)
    assert Estimator().fit(frame, y).n_features_in_ == 7
    nullable = frame.astype({"2": "Float64"})
    assert_array_equal(Estimator().fit(nullable, y).coef_, Estimator().fit(frame, y).coef_)


# --------------------------------------------------------------------------------------- data that is refused


@both
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (119, 5), (60, 3), (118, 2)])
@pytest.mark.parametrize(("value", "text"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_not_finite_X_is_found_with_row_and_column(Estimator, dtype, row, column, value, text):
    X, y = data(Estimator)
    X = X.astype(dtype)
    model = Estimator().fit(X, y)
    X[row, column] = value
    message = rf"Input X contains {text}[\s\S]*row {row}, column {column}"
    with pytest.raises(ValueError, match=message):
        Estimator().fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.predict(X)
    with pytest.raises(ValueError, match=message):
        Estimator(solver="sgd", max_iter=2, tol=None).fit(X, y)


@both
def test_missing_values_are_explained(Estimator):
    X, y = data(Estimator)
    frame = pd.DataFrame(X, columns=list("abcdef")).astype("Float64")
    frame.loc[5, "c"] = pd.NA
    with pytest.raises(ValueError, match=r"contains NaN[\s\S]*column 2\)[\s\S]*'c'[\s\S]*missing values"):
        Estimator().fit(frame, y)
    mask = np.zeros(X.shape, dtype=bool)
    Estimator().fit(np.ma.masked_array(X, mask), y)
    mask[1, 1] = True
    with pytest.raises(ValueError, match="Input X contains missing values"):
        Estimator().fit(np.ma.masked_array(X, mask), y)
    with pytest.raises(ValueError, match="Input y contains missing values"):
        Estimator().fit(X, np.ma.masked_array(y, mask[:, 1][: len(y)]))
    with pytest.raises(ValueError, match="Input sample_weight contains missing values"):
        Estimator().fit(X, y, sample_weight=np.ma.masked_array(np.ones(len(y)), mask[:, 1]))


@both
def test_what_is_no_number_is_refused_with_its_column(Estimator):
    X, y = data(Estimator)
    with pytest.raises(ValueError, match="Complex data not supported"):
        Estimator().fit(X + 1j, y)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    frame["c"] = "red"
    with pytest.raises(ValueError, match=r"'red'[\s\S]*column 'c' of X has dtype"):
        Estimator().fit(frame, y)
    frame["c"] = pd.Timestamp("2020-01-01")
    with pytest.raises(TypeError, match=r"column 'c' of X has dtype datetime64"):
        Estimator().fit(frame, y)
    with pytest.raises(TypeError, match=r"X must be numeric, got dtype datetime64.*column 'c'"):
        Estimator().fit(frame[["c"]], y)
    objects = X.astype(object)
    assert_allclose(Estimator().fit(objects, y).coef_, Estimator().fit(X, y).coef_)
    objects[2, 4] = "blue"
    with pytest.raises(ValueError, match=r"'blue'[\s\S]*column 4 of X has dtype object"):
        Estimator().fit(objects, y)


@both
def test_shapes_that_are_refused(Estimator):
    X, y = data(Estimator)
    for bad, message in [
        (X[0], "Reshape your data"),
        (X[None], "Found array with dim 3"),
        (3.0, "Expected 2D array"),
        (None, "Expected 2D array"),
        (X[:0], r"0 sample\(s\)"),
        (X[:, :0], r"0 feature\(s\) \(shape=\(\d*, 0\)\) while a minimum of \d* is required"),
        ([[1.0], [1.0, 2.0]], "inhomogeneous|sequence"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            Estimator().fit(bad, y)
    with pytest.raises((TypeError, ValueError)):
        Estimator().fit({"a": 1}, y)
    model = Estimator().fit(X, y)
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        model.predict(X[:0])
    with pytest.raises(ValueError, match=f"X has 3 features, but {Estimator.__name__} is expecting 6 features"):
        model.predict(X[:, :3])
    with pytest.raises(NotFittedError):
        Estimator().predict(X)


@both
def test_lengths_that_do_not_match(Estimator):
    X, y = data(Estimator)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[120, 119\]"):
        Estimator().fit(X, y[:-1])
    with pytest.raises(ValueError, match="X has 120, sample_weight has 119"):
        Estimator().fit(X, y, sample_weight=np.ones(119))
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: X has 120, offset has 119"):
        Estimator().fit(X, y, offset=np.ones(119))
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = Estimator().fit(X, y[:, None])
    assert_array_equal(model.coef_, Estimator().fit(X, y).coef_)


@both
def test_weights_that_are_refused(Estimator):
    X, y = data(Estimator)
    weight = np.ones(120)
    weight[7] = -2
    with pytest.raises(ValueError, match=r"sample_weight must be >= 0, found -2(\.0)? at row 7"):
        Estimator().fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match="non-zero"):
        Estimator().fit(X, y, sample_weight=np.zeros(120))
    weight[7] = np.nan
    with pytest.raises(ValueError, match=r"Input sample_weight contains NaN.*row 7"):
        Estimator().fit(X, y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"Input offset contains infinity.*row 3"):
        Estimator().fit(X, y, offset=np.where(np.arange(120) == 3, np.inf, 0))


@both
def test_input_arrays_are_left_as_they_are(Estimator):
    X, y = data(Estimator)
    weight, offset = np.ones(120), np.zeros(120)
    before = [array.copy() for array in (X, y, weight, offset)]
    Estimator(early_stopping=True, random_state=0).fit(X, y, sample_weight=weight, offset=offset).predict(X)
    for array, copied in zip((X, y, weight, offset), before, strict=True):
        assert_array_equal(array, copied)


# -------------------------------------------------------------------------------------------- weights as rows


@both
def test_weight_zero_removes_and_weight_two_repeats(Estimator):
    X, y = data(Estimator)
    weight = np.arange(120) % 4
    tight = Estimator(tol=1e-14, alpha=0.01)
    weighted = clone(tight).fit(X, y, sample_weight=weight)
    repeated = clone(tight).fit(X.repeat(weight, axis=0), y.repeat(weight))
    assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)
    assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-9)
    assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-12)


@both
@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_only_the_ratio_of_weights_matters(Estimator, scale):
    X, y = data(Estimator)
    weight = np.linspace(0.1, 1, 120)
    expected = Estimator(tol=1e-14).fit(X, y, sample_weight=weight)
    assert_allclose(Estimator(tol=1e-14).fit(X, y, sample_weight=weight * scale).coef_, expected.coef_, rtol=1e-9)
