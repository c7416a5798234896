"""Estimators that travel: documents and pickles give the same model, or an error that names what is wrong."""

from __future__ import annotations

import copy
import json
import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import gdfast
from gdfast import GDClassifier, GDRegressor, ModelFileError, ModelVersionWarning
from gdfast._fields import array_document
from gdfast._sparse_coef import dense

X = np.random.default_rng(0).normal(size=(60, 3))
LINE = X @ [1.0, -2.0, 0.5] + np.random.default_rng(1).normal(size=60)
SIGN, LEVEL = (LINE > 0).astype(int), np.digitize(LINE, [-1.0, 1.0])

MODELS = {
    "regressor": lambda: GDRegressor().fit(X, LINE),
    "float32": lambda: GDRegressor(loss="huber").fit(X.astype(np.float32), LINE),
    "several outputs": lambda: GDRegressor().fit(X, np.column_stack([LINE, -LINE])),
    "one column": lambda: GDRegressor().fit(X[:, :1], LINE),
    "sparse": lambda: GDRegressor(penalty="l1", alpha=0.5).fit(X, LINE).sparsify(),
    "validated": lambda: GDRegressor(early_stopping=True, random_state=0).fit(X, LINE),
    "bounded": lambda: GDRegressor(bounds=(-1.5, 0.25)).fit(X, LINE),
    "classifier": lambda: GDClassifier().fit(X, SIGN),
    "softmax": lambda: GDClassifier(class_weight={0: 1.0, 1: 2.0, 2: 0.5}).fit(X, LEVEL),
    "sparse classifier": lambda: GDClassifier(penalty="l1", alpha=0.1).fit(X, SIGN).sparsify(),
    "sgd": lambda: GDClassifier(solver="sgd", average=7, momentum=0.5, random_state=3, max_iter=4, tol=None).fit(
        X, LEVEL
    ),
    "adam": lambda: GDRegressor(solver="adam", random_state=3, max_iter=4, tol=None).fit(X.astype(np.float32), LINE),
    "stream": lambda: GDRegressor(random_state=3).partial_fit(X, LINE, sample_weight=np.arange(1.0, 61.0)),
}
models = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def assert_same_model(a, b):
    fitted = {name for name in vars(a) if name.endswith("_")}
    assert fitted == {name for name in vars(b) if name.endswith("_")}
    for name in fitted:
        left, right = getattr(a, name), getattr(b, name)
        if name == "coef_":
            left, right = np.atleast_2d(dense(left)), np.atleast_2d(dense(right))
        assert_array_equal(left, right, err_msg=name)
        assert np.asarray(left).dtype == np.asarray(right).dtype, name


# ----------------------------------------------------------------------------------------------- documents


@models
def test_documents_keep_everything(make):
    model = make()
    text = json.dumps(model.to_dict(), allow_nan=False)
    again = type(model).from_dict(json.loads(text))
    assert_same_model(model, again)
    assert again.get_params() == model.get_params()
    assert_array_equal(again.predict(X[:, : model.n_features_in_]), model.predict(X[:, : model.n_features_in_]))
    assert json.dumps(again.to_dict()) == text


@models
def test_partial_fit_goes_on_as_if_nothing_had_been(make):
    model = make()
    again = type(model).from_dict(json.loads(json.dumps(model.to_dict())))
    y = SIGN if len(model.intercept_) == 1 else LEVEL
    if isinstance(model, GDRegressor):
        y = LINE if len(model.intercept_) == 1 else np.column_stack([LINE, LINE])
    for estimator in (model, again):
        estimator.set_params(early_stopping=False, random_state=1)
        estimator.partial_fit(X[:, : model.n_features_in_], y, sample_weight=np.arange(60.0))
    assert_same_model(model, again)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["no", "yes"]),
        np.array(["no", "yes"], dtype="U20"),
        np.array(["nein", "jä\u00e4\U0001f600", ""], dtype=object),
        np.array([False, True]),
        *(np.array([0, 3, 7], dtype=dtype) for dtype in ("int8", "uint16", "int64", "uint64", ">i4")),
        np.array([0, 2**64 - 1], dtype=np.uint64),
        *(np.array([-2.0, 1.0, 4.0], dtype=dtype) for dtype in ("float16", "float32", "float64")),
    ],
    ids=lambda labels: labels.dtype.str,
)
def test_labels_keep_their_type(labels):
    y = labels[np.arange(60) % len(labels)]
    model = GDClassifier().fit(X, y)
    again = GDClassifier.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.classes_.dtype == model.classes_.dtype.newbyteorder("=")
    assert again.classes_.tolist() == model.classes_.tolist() == sorted(labels.tolist())
    assert_array_equal(again.predict(X), model.predict(X))


def test_feature_names_are_kept():
    pd = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pd.DataFrame(X, columns=["a", "b", "ç"])
    again = GDRegressor.from_dict(json.loads(json.dumps(GDRegressor().fit(frame, LINE).to_dict())))
    assert again.feature_names_in_.tolist() == ["a", "b", "ç"]
    assert again.feature_names_in_.dtype == object
    with pytest.raises(ValueError, match="feature names should match"):
        again.predict(frame[["b", "a", "ç"]])


def test_bounds_may_be_arrays_and_open():
    for bounds in [(None, 0.5), (np.array([-1.0, -np.inf, 0.0]), np.inf), ([0.0, 0.0, -1.0], None)]:
        model = GDRegressor(bounds=bounds).fit(X, LINE)
        again = GDRegressor.from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
        assert_array_equal(clone(again).fit(X, LINE).coef_, model.coef_)


def test_threads_and_callback_are_no_part_of_a_document():
    model = GDRegressor(n_threads=2, callback=lambda state: None).fit(X, LINE)
    assert GDRegressor.from_dict(model.to_dict()).get_params() == GDRegressor().get_params()
    assert model.to_dict() == GDRegressor().fit(X, LINE).to_dict()


class Steady(GDRegressor):
    """A user's own, of other parameters."""

    def __init__(self, *, alpha=1e-4, name="steady"):
        super().__init__(alpha=alpha, solver="gd")
        self.name = name


def test_classes_made_of_ours_travel_too():
    model = Steady(name="mine").fit(X, LINE)
    again = Steady.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.get_params() == {"alpha": 1e-4, "name": "mine"}
    assert_same_model(model, again)
    with pytest.raises(ModelFileError, match="field class must be one of GDRegressor, got 'Steady'"):
        GDRegressor.from_dict(model.to_dict())
    assert_same_model(pickle.loads(pickle.dumps(model)), model)


def test_what_no_document_can_hold():
    with pytest.raises(NotFittedError):
        GDRegressor().to_dict()
    model = GDRegressor(random_state=np.random.RandomState(0)).fit(X, LINE)
    with pytest.raises(ValueError, match="random_state must be text, a number or None to be saved, got RandomState"):
        model.to_dict()
    model = MODELS["classifier"]()
    for labels in (np.array([b"a", b"b"]), np.array([1, "a"], dtype=object), np.array(["a", "\ud800"])):
        model.classes_ = labels
        with pytest.raises(ValueError, match="labels must be text, numbers or bool to be saved, got dtype"):
            model.to_dict()
    model = GDRegressor().fit(X, LINE)
    model.coef_ = model.coef_ * np.nan
    with pytest.raises(ValueError, match="a model must hold finite numbers to be saved"):
        model.to_dict()


def edited(document, path, value):
    document = copy.deepcopy(document)
    place = document
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


def text_array(values):
    return array_document(np.asarray(values, dtype=float))


WRONG = [
    (("format",), "gdfast-model", "is not that of a gdfast estimator"),
    (("version",), 2, "is of another format version, this gdfast reads version 1"),
    (("version",), "1", "field version must be a whole number"),
    (("gdfast",), ..., "field gdfast is missing"),
    (("class",), "GDRegressor", "field class must be one of GDClassifier"),
    (("class",), "subprocess.Popen", "field class must be one of GDClassifier"),
    (("params",), [], "field params must be an object"),
    (("params", "alpha"), -1, "field params: The 'alpha' parameter of GDClassifier must be"),
    (("params", "alpha"), float("nan"), "field params.alpha must be text, a number or null"),
    (("params", "alpha"), ..., "field params.alpha is missing"),
    (("params", "beta"), 1, "unknown field 'params.beta'"),
    (("params", "callback"), "print", "callback"),
    (("params", "class_weight"), [["a"]], r"field params.class_weight\[0\] must be a label and its weight"),
    (("params", "class_weight"), [[{}, 1]], r"field params.class_weight\[0\]"),
    (("params", "bounds"), [0.0], "field params.bounds must be text, a number or null"),
    (("params", "bounds"), [0.0, ["much"]], "field params.bounds must be numbers, null where there is none"),
    (("n_features",), 2, r"field coef.shape must be \[3, 2\], got \[3, 3\]"),
    (("n_features",), 0, "field n_features must be a whole number from 1 on"),
    (("n_features",), 2**61, "field coef.shape"),
    (("n_outputs",), 1, "field classes.values must be 2 sorted labels"),
    (("n_outputs",), 2, "field classes.values must be 2 sorted labels"),
    (("feature_names",), ["a", "b"], "field feature_names must be 3 names"),
    (("feature_names",), ["a", "b", 3], r"field feature_names\[2\] must be text"),
    (("classes",), None, "field classes must be an object"),
    (("classes", "dtype"), "O", "field classes.dtype must be object, bool, U and a width"),
    (("classes", "dtype"), "datetime64", "field classes.dtype"),
    (("classes", "dtype"), "U99999999", "field classes.dtype"),
    (("classes", "dtype"), "U5", r"field classes.values\[0\] must be text"),
    (("classes", "dtype"), "bool", r"field classes.values\[0\] must be true or false"),
    (("classes", "dtype"), "float64", r"field classes.values\[0\] must be a number of type float64"),
    (("classes", "values"), [0, 1, 2**63], r"field classes.values\[2\] must be a number of type int64"),
    (("classes", "values"), [0, True, 2], r"field classes.values\[1\]"),
    (("classes", "values"), [0, 2, 1], "3 sorted labels, none twice"),
    (("classes", "values"), [0, 0, 1], "3 sorted labels, none twice"),
    (("classes",), {"dtype": "float16", "values": [0.0, 0.1, 1.0]}, r"classes.values\[1\] must be a number of type"),
    (("classes",), {"dtype": "U1", "values": ["a", "ab", "b"]}, "field classes.dtype must be as wide as the labels"),
    (("classes",), {"dtype": "U9999999", "values": ["a", "b", "c"]}, "must be as wide as the labels"),
    (("coef",), text_array(np.full((3, 3), 0.0))["base64"], "field coef must be an object"),
    (("coef",), text_array(np.zeros(9)), r"field coef.shape must be \[3, 3\]"),
    (("intercept",), text_array(np.zeros(2)), r"field intercept.shape must be \[3\]"),
    (("n_iter",), 1.5, "field n_iter must be a whole number"),
    (("n_passes",), -1, "field n_passes must be a whole number from 0 on"),
    (("t",), "many", "field t must be a finite number"),
    (("loss",), float("inf"), "field loss must be a finite number"),
    (("loss",), ..., "field loss is missing"),
    (("loss_curve",), text_array(np.zeros((2, 2))), "field loss_curve.shape must be one size"),
    (("loss_curve", "shape"), [2**40], "field loss_curve.base64 must be the"),
    (("loss_curve", "shape"), [-1], "field loss_curve.shape must be one size"),
    (("standing",), ..., "field standing is missing"),
    (("standing", "rule"), ["sgd", 0, 7, True], "field standing.rule must be a solver"),
    (("standing", "weight"), 0, "field standing.weight must be > 0"),
    (("standing", "rows"), 0, "field standing.rows must be a whole number from 1 on"),
    (("standing", "state", "weights"), None, "field standing.state.weights must be"),
    (("standing", "state", "velocity"), text_array(np.zeros(5)), r"field standing.state.velocity.shape must be \[12\]"),
    (("standing", "state", "eta"), -1.0, "field standing.state.eta must be >= 0"),
    (("standing", "state", "t"), -1, "field standing.state.t must be a whole number"),
    (("more",), 1, "unknown field 'more'"),
    ((3,), 1, "unknown field '?3"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG, ids=lambda part: str(part)[:40])
def test_each_field_is_checked(path, value, message):
    document = MODELS["sgd"]().to_dict()
    with pytest.raises(ModelFileError, match=f"^GDClassifier document: .*{message}") as caught:
        GDClassifier.from_dict(edited(document, path, value))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def fields_of(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from fields_of(part, (*path, key))


ODD_VALUES = [None, True, -1, 1.5, "", [], {}, [[]], {"a": 1}, 10**400, float("nan"), b"bytes", object(), "\ud800"]


@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
@pytest.mark.parametrize("make", [MODELS["sgd"], MODELS["regressor"]], ids=["classifier", "regressor"])
def test_no_value_in_any_field_does_harm(make, value):
    """What is not refused is a model that predicts and learns, or says why it does not."""
    model = make()
    document = model.to_dict()
    for path in fields_of(document):
        try:
            again = type(model).from_dict(edited(document, path, value))
        except ModelFileError:
            continue
        again.predict(X)
        try:
            again.set_params(early_stopping=False).partial_fit(X, LINE if isinstance(model, GDRegressor) else LEVEL)
        except (TypeError, ValueError) as error:
            assert re.search(r"state\.|must be|must hold labels", str(error)), (path, error)


def test_a_document_must_be_one():
    for document in (None, [], "text", 3, {}, {"format": "gdfast-estimator"}):
        with pytest.raises(ModelFileError, match="GDRegressor document: "):
            GDRegressor.from_dict(document)
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(ModelFileError, match="GDRegressor document: "):
        GDRegressor.from_dict({**MODELS["regressor"]().to_dict(), "feature_names": nested})


def test_parameters_of_later_versions_have_their_default_in_older_documents():
    document = MODELS["regressor"]().to_dict()
    del document["params"]["quantile"]
    with pytest.raises(ModelFileError, match=r"field params\.quantile is missing"):
        GDRegressor.from_dict(document)
    assert GDRegressor.from_dict({**document, "gdfast": "0.0.1"}).quantile == 0.5


# ------------------------------------------------------------------------------------------------- pickles


@models
def test_pickles_and_copies_are_the_model(make):
    model = make()
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert_same_model(again, model)
        assert_array_equal(again.predict(X[:, : model.n_features_in_]), model.predict(X[:, : model.n_features_in_]))
    assert "coef_" not in vars(pickle.loads(pickle.dumps(clone(model))))


def test_a_pickle_of_another_version_warns_with_both():
    model = MODELS["regressor"]()
    state = {**model.__getstate__(), "_gdfast_version": "0.0.7"}
    again = GDRegressor()
    with pytest.warns(ModelVersionWarning, match=rf"pickled by gdfast 0\.0\.7, this is gdfast {gdfast.__version__}"):
        again.__setstate__(state)
    assert_same_model(again, model)
    assert not hasattr(again, "_gdfast_version")
    del state["_gdfast_version"], state["quantile"]
    with pytest.warns(ModelVersionWarning, match="an unknown version"):
        again.__setstate__(state)
    assert again.quantile == 0.5


def damaged(state, **changes):
    state = {**state, **changes}
    return {name: value for name, value in state.items() if value is not ...}


STANDING = MODELS["sgd"]()._standing
DAMAGE = [
    ({"coef_": ...}, "coef_ is missing"),
    ({"intercept_": ...}, "intercept_ is missing"),
    ({"classes_": ...}, "classes_ is missing"),
    ({"n_features_in_": ...}, "n_features_in_ is missing"),
    ({"alpha": ...}, "alpha is missing"),
    ({"coef_": np.zeros((3, 4))}, r"coef_ must be of shape \(3, 3\), got \(3, 4\)"),
    ({"coef_": np.zeros(3)}, "coef_ must be of shape"),
    ({"coef_": np.zeros((0, 3))}, "coef_ must be of shape"),
    ({"coef_": np.zeros((3, 3), dtype=int)}, "coef_ must be an array of floats"),
    ({"coef_": np.zeros((3, 3), dtype=object)}, "coef_ must be an array of floats"),
    ({"coef_": np.full((3, 3), np.nan)}, "coef_ must hold finite numbers"),
    ({"coef_": [[0.0] * 3] * 3}, "coef_ must be an array of floats"),
    ({"coef_": None}, "coef_ must be an array of floats"),
    ({"intercept_": np.zeros(2)}, r"intercept_ must be of shape \(3,\), got \(2,\)"),
    ({"intercept_": 0.0}, "intercept_ must be an array of floats"),
    ({"n_features_in_": -1}, "n_features_in_ must be an integer"),
    ({"n_features_in_": 2**70}, "n_features_in_ must be"),
    ({"n_features_in_": 4}, "coef_ must be of shape"),
    ({"classes_": np.array([0, 1])}, "classes_ must be 3 labels"),
    ({"classes_": [0, 1, 2]}, "classes_ must be 3 labels"),
    ({"feature_names_in_": np.array(["a", "b"], dtype=object)}, "feature_names_in_ must be 3 names"),
    ({"feature_names_in_": np.array([1, 2, 3])}, "feature_names_in_ must be 3 names"),
    ({"t_": "late"}, "t_ must be a number"),
    ({"_standing": 3}, "_standing must be one"),
    ({"_standing": STANDING._replace(weight=-1.0)}, "_standing must be one, of a weight > 0"),
    ({"_standing": STANDING._replace(rows=None)}, "_standing.rows must be an integer"),
    ({"_standing": STANDING._replace(state=3)}, "weights"),
]


@pytest.mark.parametrize(("changes", "message"), DAMAGE, ids=[str(changes)[:50] for changes, _ in DAMAGE])
def test_a_damaged_pickle_is_refused(changes, message):
    state = damaged(MODELS["sgd"]().__getstate__(), **changes)
    with pytest.raises(ValueError, match=f"state of GDClassifier is damaged: .*{message}"):
        GDClassifier().__setstate__(state)


def test_damaged_sparse_weights_are_refused():
    model = MODELS["sparse"]()
    state = model.__getstate__()
    state["coef_"] = copy.deepcopy(state["coef_"])
    state["coef_"].indices[0] = 2**30
    with pytest.raises(ValueError, match=r"state of GDRegressor is damaged: .*(indices|column index)"):
        GDRegressor().__setstate__(state)
    with pytest.raises(ValueError, match="state of GDRegressor must be a dict, got 3"):
        GDRegressor().__setstate__(3)


def test_a_refused_pickle_leaves_the_model():
    model = MODELS["regressor"]()
    before = dict(vars(model))
    with pytest.raises(ValueError, match="coef_ must be of shape"):
        model.__setstate__(damaged(model.__getstate__(), coef_=np.zeros(7)))
    assert vars(model) == before
