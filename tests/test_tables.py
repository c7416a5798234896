"""Tables of pandas, polars and pyarrow, with columns of every kind: their values, their names, what they lack."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gdfast import GDClassifier, GDRegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 3))
NUMBERS = X @ [1.0, 2.0, 3.0]
LABELS = (NUMBERS > 0).astype(int)
NAMES = ["a", "b", "c"]


def library(name):
    """The library, or the test is skipped."""
    return pytest.importorskip(name, reason=f"{name} is not installed")


class Pandas:
    def __init__(self):
        self.pd = library("pandas")

    def table(self, columns):
        return self.pd.DataFrame(columns)

    def series(self, values):
        return self.pd.Series(values)

    def select(self, table, names):
        return table[names]

    def rename(self, table, new):
        return table.rename(columns=new)


class Nullable(Pandas):
    """Columns with a mask of what is missing."""

    def table(self, columns):
        return super().table(columns).convert_dtypes()

    def series(self, values):
        return super().series(values).convert_dtypes()


class ArrowBacked(Pandas):
    def __init__(self):
        super().__init__()
        library("pyarrow")

    def table(self, columns):
        return super().table(columns).convert_dtypes(dtype_backend="pyarrow")

    def series(self, values):
        return super().series(values).convert_dtypes(dtype_backend="pyarrow")


class Polars:
    def __init__(self):
        self.pl = library("polars")

    def table(self, columns):
        return self.pl.DataFrame(columns)

    def series(self, values):
        return self.pl.Series(values)

    def select(self, table, names):
        return table.select(names)

    def rename(self, table, new):
        return table.rename(new)


class Arrow:
    def __init__(self):
        self.pa = library("pyarrow")

    def table(self, columns):
        return self.pa.table(columns)

    def series(self, values):
        return self.pa.array(values)

    def select(self, table, names):
        return table.select(names)

    def rename(self, table, new):
        return table.rename_columns([new.get(name, name) for name in table.column_names])


class Chunked(Arrow):
    def table(self, columns):
        whole = super().table(columns)
        return self.pa.concat_tables([whole.slice(0, 13), whole.slice(13)])

    def series(self, values):
        return self.pa.chunked_array([self.pa.array(values[:7]), self.pa.array(values[7:])])


@pytest.fixture(params=[Pandas, Nullable, ArrowBacked, Polars, Arrow, Chunked], ids=lambda kind: kind.__name__)
def kind(request):
    return request.param()


def frame(kind, values=X):
    return kind.table({name: values[:, j].copy() for j, name in enumerate(NAMES)})


both = pytest.mark.parametrize(("Estimator", "y"), [(GDRegressor, NUMBERS), (GDClassifier, LABELS)])


@both
def test_values_and_names(kind, Estimator, y):
    plain = Estimator().fit(X, y)
    table = frame(kind)
    model = Estimator().fit(table, kind.series(y))
    assert_array_equal(model.coef_, plain.coef_)
    assert_array_equal(model.intercept_, plain.intercept_)
    assert model.feature_names_in_.tolist() == NAMES
    assert_array_equal(model.predict(table), plain.predict(X))
    assert model.score(table, kind.series(y)) == pytest.approx(plain.score(X, y), abs=1e-12)
    fresh = Estimator(random_state=0)
    classes = {"classes": [0, 1]} if Estimator is GDClassifier else {}
    fresh.partial_fit(table, kind.series(y), **classes)
    assert_array_equal(fresh.coef_, Estimator(random_state=0).partial_fit(X, y, **classes).coef_)
    assert fresh.feature_names_in_.tolist() == NAMES


@both
def test_weights_offsets_and_validation_rows(kind, Estimator, y):
    weight, offset = rng.uniform(0.5, 2.0, 50), rng.normal(size=50)
    arguments = {"sample_weight": weight, "offset": offset}
    validation = {"y_val": y[:20], "sample_weight_val": weight[:20], "offset_val": offset[:20]}
    plain = Estimator().fit(X, y, X_val=X[:20], **arguments, **validation)
    columns = {name: kind.series(values) for name, values in {**arguments, **validation}.items()}
    model = Estimator().fit(frame(kind), kind.series(y), X_val=frame(kind, X[:20]), **columns)
    assert_array_equal(model.coef_, plain.coef_)
    assert_array_equal(model.validation_curve_, plain.validation_curve_)
    renamed = kind.rename(frame(kind, X[:20]), {"a": "z"})
    with pytest.raises(ValueError, match="feature names should match"):
        Estimator().fit(frame(kind), y, X_val=renamed, y_val=y[:20])


@both
def test_other_columns_are_refused(kind, Estimator, y):
    table = frame(kind)
    model = Estimator().fit(table, y)
    calls = [model.predict]
    if Estimator is GDClassifier:
        calls += [model.decision_function, model.predict_proba]
    calls += [lambda table: model.partial_fit(table, y), lambda table: model.score(table, y)]
    for call in calls:
        with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
            call(kind.select(table, ["b", "a", "c"]))
        with pytest.raises(ValueError, match=r"names unseen at fit time:\n- z\n"):
            call(kind.rename(table, {"b": "z"}))
        with pytest.raises(ValueError, match=r"yet now missing:\n- c"):
            call(kind.select(table, ["a", "b"]))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X)


def test_columns_of_several_types(kind):
    columns = {
        "narrow": X[:, 0].astype(np.float32),
        "flag": X[:, 1] > 0,
        "count": np.arange(50, dtype=np.uint8),
        "whole": np.arange(50) * 1000,
        "wide": X[:, 2],
    }
    plain = GDRegressor().fit(np.column_stack([values.astype(np.float64) for values in columns.values()]), NUMBERS)
    model = GDRegressor().fit(kind.table(columns), NUMBERS)
    assert_array_equal(model.coef_, plain.coef_)
    assert model.feature_names_in_.tolist() == list(columns)


@pytest.mark.parametrize("make", [Pandas, Polars, Arrow])
def test_float32_columns_stay_float32(make):
    table = frame(make(), X.astype(np.float32))
    model = GDRegressor().fit(table, NUMBERS)
    assert model.coef_.dtype == model.predict(table).dtype == np.float32
    assert_array_equal(model.coef_, GDRegressor().fit(X.astype(np.float32), NUMBERS).coef_)


MISSING = {
    "number": [None if i == 7 else float(i) for i in range(50)],
    "whole": [None if i == 7 else i for i in range(50)],
    "flag": [None if i == 7 else i % 2 == 0 for i in range(50)],
}


@pytest.mark.parametrize("column", MISSING)
@both
def test_missing_values_are_refused_by_column(kind, Estimator, y, column):
    table = kind.table({"full": np.arange(50.0), column: MISSING[column]})
    message = rf"Input X contains NaN[\s\S]*row 7, column 1[\s\S]*Column 1 is '{column}'"
    with pytest.raises(ValueError, match=message):
        Estimator().fit(table, y)
    model = Estimator().fit(kind.table({"full": np.arange(50.0), column: np.arange(50.0)}), y)
    with pytest.raises(ValueError, match=message):
        model.predict(table)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(table, y)


@pytest.mark.parametrize("values", [*MISSING.values(), [None if i == 7 else "ab"[i % 2] for i in range(50)]])
def test_missing_targets_are_refused(kind, values):
    row = r"\(first at row 7\)"
    with pytest.raises(ValueError, match=rf"Input y contains NaN.*{row}"):
        GDClassifier().fit(X, kind.series(values))
    with pytest.raises(ValueError, match=rf"Input y_val contains NaN.*{row}"):
        GDClassifier().fit(X, ["a", "b"] * 25, X_val=X, y_val=kind.series(values))
    if not isinstance(values[0], str):
        with pytest.raises(ValueError, match=rf"Input y contains NaN.*{row}"):
            GDRegressor().fit(X, kind.series(values))


def test_missing_weights_and_offsets_are_refused(kind):
    values = kind.series(MISSING["number"])
    for name in ("sample_weight", "offset"):
        # pandas before 3 hands out its missing value as an object
        with pytest.raises(ValueError, match=rf"Input {name} contains NaN.*first at row 7|{name} must be .*NAType"):
            GDRegressor().fit(X, NUMBERS, **{name: values})


def test_labels_that_are_text(kind):
    text = np.where(LABELS > 0, "up", "down")
    model = GDClassifier().fit(frame(kind), kind.series(text.tolist()))
    assert model.classes_.tolist() == ["down", "up"]
    assert (model.predict(frame(kind)) == text).mean() > 0.9


def test_columns_of_text_are_named(kind):
    table = kind.table({"a": X[:, 0], "town": ["Oslo"] * 50})
    with pytest.raises(
        ValueError, match=r"could not convert string to float: 'Oslo' \(column 'town' of X has dtype \w+"
    ):
        GDRegressor().fit(table, NUMBERS)


def test_several_targets_are_a_table(kind):
    Y = np.column_stack([NUMBERS, -NUMBERS])
    model = GDRegressor().fit(frame(kind), kind.table({"u": Y[:, 0], "v": Y[:, 1]}))
    assert_array_equal(model.coef_, GDRegressor().fit(X, Y).coef_)


def test_a_lazy_frame_has_no_rows():
    table = frame(Polars()).lazy()
    with pytest.raises(TypeError, match=r"X must hold its rows in memory, got LazyFrame: call collect\(\) first"):
        GDRegressor().fit(table, NUMBERS)
