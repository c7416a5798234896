"""The model file: exact round trips, and nothing but ModelFileError or an equal model from a hostile file."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import pickle
import stat
import tracemalloc
import zipfile

import numpy as np
import pyarrow as pa
import pytest

import gdfast
from gdfast import modelfile
from gdfast._fields import checksum
from gdfast.choosing import Choice, Point
from gdfast.encoder import Encoder
from gdfast.exceptions import ModelFileError

FILES = pathlib.Path(__file__).parent / "files"


def make_model(task="classification", classes=("no", "perhaps", "yes"), dtype=np.float64):
    """A small trained model with numbers, a text column and a missing category."""
    rng = np.random.default_rng(0)
    n = 60
    towns = rng.choice(["Oslo", "Rome", None], n)
    table = pa.table({"size": pa.array(rng.normal(3, 2, n), pa.from_numpy_dtype(dtype)), "town": pa.array(towns)})
    encoder = Encoder.fit(table)
    X = encoder.encode(table)
    if task == "classification":
        y = rng.integers(0, len(classes), n)
        estimator = gdfast.GDClassifier(alpha=0.1, random_state=3).fit(X, y)
    else:
        classes = []
        estimator = gdfast.GDRegressor(alpha=0.1, random_state=3).fit(X, X[:, 0] * np.pi + rng.normal(size=n))
    return modelfile.Model(
        task=task,
        target="answer",
        kind="text" if classes and isinstance(classes[0], str) else "number",
        classes=list(classes),
        offset=None,
        weight="w",
        encoder=encoder,
        estimator=estimator,
        spread=X.std(axis=0),
        summary={
            "rows": n,
            "held_out_rows": 0,
            "converged": True,
            "message": "",
            "scores": [["accuracy", 0.1 + 0.2, None]],
        },
        choice=Choice(
            folds="2 folds",
            scoring="loss",
            rule="best",
            points=[Point(1.0, 0.5, None, None, 0), Point(0.1, 0.5, 0.25, 0.1 + 0.2, 3)],
            best=1,
            simplest=1,
        ),
        versions=modelfile.software_versions(),
    )


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.gdf"
    modelfile.save(model, path)
    return path


@pytest.fixture
def document(saved):
    return json.loads(saved.read_text())


def write(tmp_path, document, *, sign=True):
    """Write a document as a model file; with a valid checksum unless told otherwise."""
    if sign:
        rest = {key: value for key, value in document.items() if key not in ("format", "version", "sha256")}
        document = {**document, "sha256": checksum(rest)}
    path = tmp_path / "crafted.gdf"
    path.write_text(json.dumps(document))
    return path


def refuse(path, match):
    """Loading must fail with one line that names the file and matches."""
    with pytest.raises(ModelFileError, match=match) as caught:
        modelfile.load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert os.path.basename(path) in message
    assert len(message) < 500


# ---------------------------------------------------------------------------------------------- round trip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("task", "classes"),
    [
        ("classification", ("no", "perhaps", "yes")),
        ("classification", (False, True)),
        ("classification", (-3, 0, 7, 2**53)),
        ("classification", (0.5, 1.5)),
        ("regression", ()),
    ],
)
def test_round_trip_is_exact(tmp_path, task, classes, dtype):
    model = make_model(task, classes, dtype)
    path = tmp_path / "model.gdf"
    modelfile.save(model, path)
    again = modelfile.load(path)
    assert again.to_document() == model.to_document()
    for name in ("coef_", "intercept_"):
        before, after = getattr(model.estimator, name), getattr(again.estimator, name)
        assert before.dtype == after.dtype
        assert before.tobytes() == after.tobytes()
    table = pa.table({"size": [1.0, None, -7.25], "town": ["Rome", None, "Atlantis"]})
    X = again.encoder.encode(table)
    np.testing.assert_array_equal(X, model.encoder.encode(table))
    np.testing.assert_array_equal(again.estimator.predict(X), model.estimator.predict(X))
    modelfile.save(again, tmp_path / "again.gdf")
    assert (tmp_path / "again.gdf").read_bytes() == path.read_bytes()


def test_file_is_the_same_for_any_number_of_threads(model, saved, tmp_path):
    model.estimator.set_params(n_threads=2)
    modelfile.save(model, tmp_path / "two.gdf")
    model.estimator.set_params(n_threads=None)
    assert (tmp_path / "two.gdf").read_bytes() == saved.read_bytes()


def test_layout_and_order_of_the_json_do_not_matter(model, document, tmp_path):
    path = tmp_path / "reordered.gdf"
    path.write_text(json.dumps(dict(reversed(document.items())), indent=7))
    assert modelfile.load(path).to_document() == model.to_document()


def test_parameters_that_no_file_can_hold_are_refused(tmp_path):
    model = make_model()
    model.estimator.set_params(random_state=np.random.RandomState(0))
    with pytest.raises(ValueError, match="random_state must be text, a number or None to be saved"):
        modelfile.save(model, tmp_path / "model.gdf")
    model = make_model()
    model.estimator.coef_ = model.estimator.coef_ * np.nan
    with pytest.raises(ValueError, match="finite"):
        modelfile.save(model, tmp_path / "model.gdf")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "model.gdf"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="power cut"), modelfile.atomic_file(path) as file:
        file.write(b"half of the n")
        raise RuntimeError("power cut")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_keeps_links_and_permissions(tmp_path):
    path, link = tmp_path / "model.gdf", tmp_path / "link.gdf"
    path.write_text("old")
    path.chmod(0o640)
    link.symlink_to(path)
    with modelfile.atomic_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("path", ["/dev/null", "."])
def test_writing_replaces_plain_files_only(path):
    with pytest.raises(OSError, match="must be a plain file"), modelfile.atomic_file(path):
        pass


# ------------------------------------------------------------------------------------------------- damage


def test_every_prefix_is_refused(saved, tmp_path):
    raw = saved.read_bytes()
    path = tmp_path / "cut.gdf"
    for length in range(len(raw) - 1):  # without its last byte, a line feed, the file is still whole
        path.write_bytes(raw[:length])
        with pytest.raises(ModelFileError):
            modelfile.load(path)


def test_any_changed_byte_is_seen_or_changes_nothing(model, saved, tmp_path):
    raw, expected = bytearray(saved.read_bytes()), model.to_document()
    rng = np.random.default_rng(1)
    path = tmp_path / "changed.gdf"
    for position in range(len(raw)):
        for value in {raw[position] ^ 1, int(rng.integers(256)), ord(" ")} - {raw[position]}:
            changed = bytearray(raw)
            changed[position] = value
            path.write_bytes(changed)
            try:
                loaded = modelfile.load(path)
            except ModelFileError:
                continue
            assert loaded.to_document() == expected


def test_inserted_and_deleted_bytes_are_seen_or_change_nothing(model, saved, tmp_path):
    raw, expected = saved.read_bytes(), model.to_document()
    rng = np.random.default_rng(2)
    path = tmp_path / "changed.gdf"
    for _ in range(1500):
        position, removed = int(rng.integers(len(raw))), int(rng.integers(3))
        inserted = bytes(rng.choice(list(b'0123456789-+.eE[]{}",: \n\\utrfansl\xff\x00'), int(rng.integers(3))))
        path.write_bytes(raw[:position] + inserted + raw[position + removed :])
        try:
            loaded = modelfile.load(path)
        except ModelFileError:
            continue
        assert loaded.to_document() == expected


def test_trailing_bytes_are_refused(saved, tmp_path):
    path = tmp_path / "longer.gdf"
    for tail in (b"x", b"{}", b"\0", saved.read_bytes()):
        path.write_bytes(saved.read_bytes() + tail)
        refuse(path, "is not a gdfast model file")


# ------------------------------------------------------------------------------------------ hostile content


class _Bomb:
    def __reduce__(self):
        return (os.mkdir, (os.path.join(os.environ["GDFAST_TEST_BOMB"], "exploded"),))


def test_pickles_zips_and_arrays_in_disguise_are_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("GDFAST_TEST_BOMB", str(tmp_path))
    path = tmp_path / "disguise.gdf"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(_Bomb(), protocol=protocol))
        refuse(path, "is not a gdfast model file")
    np.save(tmp_path / "array.npy", np.array([_Bomb()]), allow_pickle=True)
    (tmp_path / "array.npy").rename(path)
    refuse(path, "is not a gdfast model file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", "{}")
    refuse(path, "is not a gdfast model file")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '"gdfast-model"',
        '{"format": 3}',
        '{"format": "gdfast-model"}',
        '{"format": "gdfast-model", "format": "gdfast-model"}',
        '{"format": "gdfast-model", "version": NaN}',
        '{"format": "gdfast-model", "version": 1e999}',
        '{"format": "gdfast-model", "version": ' + "9" * 5000 + "}",
        '{"format": "gdfast-model", "version": 1, "sha256": "\\ud800"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": ' + "[" * 900 + "]" * 900 + "}",
        "﻿{}",
    ],
)
def test_json_that_is_no_model(tmp_path, text):
    path = tmp_path / "odd.gdf"
    path.write_text(text, encoding="utf-8")
    refuse(path, "model file")


def test_a_doubled_key_is_refused_wherever_it_is(saved, tmp_path):
    text, path = saved.read_text(), tmp_path / "doubled.gdf"
    for key in ("format", "coef", "dtype", "alpha", "name"):
        start = text.index(f'"{key}": ')
        path.write_text(text[:start] + f'"{key}": 0, ' + text[start:])
        refuse(path, f"field '{key}' stands there twice")


def test_another_version_is_named_beside_ours(document, tmp_path):
    for version in (4, 0, -1, True, 3.0, "3", None):
        document["version"] = version
        refuse(write(tmp_path, document), f"is of format version {version!r}, this gdfast reads versions 1 to 3")


def test_files_of_version_1_load():
    """Written by gdfast 0.1.0; the numbers are those it had."""
    model = modelfile.load(FILES / "classification-1.gdf")
    assert model.classes == ["no", "perhaps", "yes"]
    coef = [
        [0.03712756995875366, -0.1327306059092104, -0.03135441678534462, 0.16408502269455752],
        [0.09095304332712173, -0.22157268857269488, 0.23928335287761252, -0.01771066430491526],
        [-0.12044412173347262, 0.3533191900407238, -0.20638050771779573, -0.14693868232292837],
    ]
    assert model.estimator.coef_.tolist() == coef
    assert model.estimator.intercept_.tolist() == [-0.045334331468136924, -0.47529581424847245, 0.5206301457166096]
    assert model.estimator.predict([[3.0, 1.0, 0.0, 0.0], [3.0, 0.0, 1.0, 0.0]]).tolist() == [2, 1]
    model = modelfile.load(FILES / "regression-1.gdf")
    assert model.estimator.intercept_.tolist() == [0.47387015652592446]
    coef = [3.001991926271503, -0.0023446485063741375, 0.044971586638790466, -0.042627097078399984]
    assert model.estimator.coef_.tolist() == coef
    assert model.estimator.get_params() == gdfast.GDRegressor(alpha=0.1, random_state=3).get_params()


def test_files_of_version_2_load():
    """Of the same models as those of version 1, by a later gdfast."""
    for name in ("classification", "regression"):
        model, earlier = (modelfile.load(FILES / f"{name}-{version}.gdf") for version in (2, 1))
        assert model.choice is None
        assert model.estimator.loss_curve_.size > 0
        np.testing.assert_allclose(model.estimator.coef_, earlier.estimator.coef_, atol=0.01)


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_earlier_version_becomes_one_of_ours(tmp_path, version):
    model = modelfile.load(FILES / f"classification-{version}.gdf")
    modelfile.save(model, tmp_path / "model.gdf")
    again = modelfile.load(tmp_path / "model.gdf")
    assert again.to_document() == model.to_document()
    assert json.loads((tmp_path / "model.gdf").read_text())["version"] == 3


def test_files_of_version_1_are_checked_as_ours_are(tmp_path):
    document = json.loads((FILES / "classification-1.gdf").read_text())
    for path, value, match in [
        (("estimator",), None, "field estimator must be an object"),
        (("estimator", "coef"), array(np.zeros((3, 3))), "field estimator.coef.shape"),
        (("estimator", "n_features"), 3, "field estimator.coef.shape"),
        (("estimator", "params", "alpha"), -1.0, "alpha"),
        (("estimator", "loss"), ..., "field estimator.loss is missing"),
        (("estimator", "more"), 1, "unknown field 'estimator.more'"),
    ]:
        refuse(write(tmp_path, replaced(document, path, value)), match)


def test_an_edited_file_is_refused(document, tmp_path):
    document["estimator"]["params"]["alpha"] = 0.2
    refuse(write(tmp_path, document, sign=False), "sha256 does not match the content")


def replaced(document, path, value):
    """The document with one field, given by its path, replaced."""
    document = json.loads(json.dumps(document))
    *parents, last = path
    place = document
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def array(values, shape=None, dtype="<f8"):
    values = np.asarray(values, dtype)
    return {
        "dtype": dtype,
        "shape": list(values.shape) if shape is None else shape,
        "base64": base64.b64encode(values.tobytes()).decode(),
    }


WRONG_FIELDS = [
    (("task",), "clustering", "field task must be one of regression, classification"),
    (("task",), "regression", "field target.classes must be a list of at most 0 values"),
    (("target", "column"), 3, "field target.column must be text"),
    (("target", "kind"), "date", "field target.kind must be one of number, text"),
    (("target", "kind"), "number", r"field target.classes\[0\] must be a number"),
    (("target", "classes"), ["no", "yes"], r"field estimator.classes must be \[0, 1\], got \[0, 1, 2\]"),
    (("target", "classes"), ["yes", "perhaps", "no"], "sorted labels"),
    (("target", "classes"), ["no", "no", "yes"], "none twice"),
    (("target", "classes"), ["no", None, "yes"], r"target.classes\[1\] must be text"),
    (("target", "classes"), [], "at least 2"),
    (("target", "classes"), [str(i) for i in range(2000)], "at most 1000"),
    (("target", "column"), "size", "distinct names"),
    (("offset",), 3, "field offset must be text or null"),
    (("offset",), "o", "field offset must be null for a classification"),
    (("weight",), False, "field weight must be text or null"),
    (("encoder",), [], "field encoder must be an object"),
    (("encoder", "dtype"), "object", "field encoder.dtype must be one of float32, float64"),
    (("encoder", "columns"), [], "at least one column"),
    (("encoder", "columns"), {}, "must be a list"),
    (("encoder", "columns"), [1], r"field encoder.columns\[0\] must be an object"),
    (("encoder", "columns", 0, "kind"), "bytes", r"field encoder.columns\[0\].kind"),
    (("encoder", "columns", 0, "fill"), "3", r"field encoder.columns\[0\].fill must be a finite number"),
    (("encoder", "columns", 0, "fill"), True, "must be a finite number"),
    (("encoder", "columns", 0, "fill"), 10**400, "must be a finite number"),
    (("encoder", "columns", 0, "fill"), ..., r"field encoder.columns\[0\].fill is missing"),
    (("encoder", "columns", 0, "categories"), ["a"], "at most 0"),
    (("encoder", "columns", 0, "name"), "town", "distinct names"),
    (("encoder", "columns", 0, "name"), "\ud800", "must be text"),
    (("encoder", "columns", 1, "fill"), 0.0, "must be null"),
    (("encoder", "columns", 1, "categories"), ["a", "b"], "must be"),
    (("encoder", "columns", 1, "categories"), ["a", "a", None], "none twice"),
    (("encoder", "columns", 1, "categories"), ["a", [], None], r"categories\[1\] must be text or null"),
    (("estimator", "class"), "GDRegressor", "field estimator.class must be one of GDClassifier"),
    (("estimator", "class"), "os.system", "field estimator.class must be one of GDClassifier"),
    (("estimator", "params"), None, "field estimator.params must be an object"),
    (("estimator", "params", "alpha"), -1.0, "alpha"),
    (("estimator", "params", "alpha"), "much", "alpha"),
    (("estimator", "params", "alpha"), 10**4000, "alpha"),
    (("estimator", "params", "alpha"), [1], "field estimator.params.alpha must be text, a number or null"),
    (("estimator", "params", "alpha"), ..., "field estimator.params.alpha is missing"),
    (("estimator", "params", "__class__"), 1, "unknown field 'estimator.params.__class__'"),
    (("estimator", "params", "loss"), "poisson", "loss"),
    (("estimator", "params", "callback"), "os.system", "callback"),
    (("estimator", "n_iter"), -1, "field estimator.n_iter must be a whole number from 0 on"),
    (("estimator", "n_iter"), 2.0, "field estimator.n_iter"),
    (("estimator", "n_iter"), 2**63, "field estimator.n_iter"),
    (("estimator", "loss"), None, "field estimator.loss must be a finite number"),
    (("estimator", "coef"), [[1.0]], "field estimator.coef must be an object"),
    (("estimator", "coef"), array(np.zeros((3, 3))), "field estimator.coef.shape"),
    (("estimator", "coef"), array(np.zeros(12)), "field estimator.coef.shape"),
    (("estimator", "coef"), array(np.zeros((3, 4)) * np.nan), "must hold finite numbers"),
    (("estimator", "coef"), array(np.full((3, 4), np.inf)), "must hold finite numbers"),
    (("estimator", "coef"), array(np.zeros((3, 4)), dtype=">f8"), "field estimator.coef.dtype"),
    (("estimator", "coef", "dtype"), "|O", "field estimator.coef.dtype"),
    (("estimator", "coef", "dtype"), "<f4", "field estimator.coef.base64"),
    (("estimator", "coef", "shape"), [2**62, 2**62], "field estimator.coef.shape"),
    (("estimator", "coef", "shape"), [-3, -4], "field estimator.coef.shape"),
    (("estimator", "coef", "shape"), [3, 4.0], "field estimator.coef.shape"),
    (("estimator", "coef", "shape"), [3, True], "field estimator.coef.shape"),
    (("estimator", "coef", "shape"), [3, 4, 1], "at most 2"),
    (("estimator", "coef", "base64"), "A" * 126 + "==", "field estimator.coef.base64 must be 96 bytes"),
    (("estimator", "coef", "base64"), "*" * 128, "field estimator.coef.base64 is damaged"),
    (("estimator", "coef", "base64"), "AAAA", "the 96 bytes of shape"),
    (("estimator", "coef", "more"), 1, "unknown field 'estimator.coef.more'"),
    (("estimator", "format"), "gdfast-model", "is not that of a gdfast estimator"),
    (("estimator", "version"), 2, "this gdfast reads version 1"),
    (("estimator", "gdfast"), None, "field estimator.gdfast must be text"),
    (("estimator", "n_features"), 3, "field estimator.coef.shape"),
    (("estimator", "n_outputs"), 1, "field estimator.classes.values must be 2 sorted labels"),
    (("estimator", "classes"), {"dtype": "int64", "values": [0, 1, 3]}, r"estimator.classes must be \[0, 1, 2\]"),
    (("estimator", "intercept"), array(np.zeros(2)), "field estimator.intercept.shape"),
    (("spread",), array(np.zeros(5)), "field spread.shape"),
    (("summary", "rows"), "many", "field summary.rows"),
    (("summary", "converged"), 1, "field summary.converged must be true or false"),
    (("summary", "scores"), [["R2", "high", None]], r"field summary.scores\[0\]"),
    (("summary", "scores"), [[["R2"], 1.0, None]], r"field summary.scores\[0\]"),
    (("choice",), [], "field choice must be an object"),
    (("choice",), ..., "field choice is missing"),
    (("choice", "folds"), 5, "field choice.folds must be text"),
    (("choice", "scoring"), None, "field choice.scoring must be text"),
    (("choice", "rule"), "worst", "field choice.rule must be one of best, one_standard_error"),
    (("choice", "points"), {}, "field choice.points must be a list"),
    (("choice", "points"), [], "field choice.best must be one of the 0 points"),
    (("choice", "points", 0), [1.0, 0.5, None, None], r"field choice.points\[0\] must be a point"),
    (("choice", "points", 1, 0), "0.1", r"field choice.points\[1\] must be a point"),
    (("choice", "points", 1, 2), [0.1], r"field choice.points\[1\] must be a point"),
    (("choice", "points", 1, 4), 0.5, r"field choice.points\[1\] must be a point"),
    (("choice", "points", 1, 4), -1, r"field choice.points\[1\] must be a point"),
    (("choice", "best"), 2, "field choice.best must be one of the 2 points, got 2"),
    (("choice", "simplest"), -1, "field choice.simplest must be a whole number from 0 on"),
    (("choice", "more"), 1, "unknown field 'choice.more'"),
    (("versions",), "1.0", "field versions must be an object"),
    (("versions", "gdfast"), 1, "field versions.gdfast must be text"),
    (("code",), "print(1)", "unknown field 'code'"),
    (("summary",), ..., "field summary is missing"),
]


@pytest.mark.parametrize(
    ("path", "value", "match"), WRONG_FIELDS, ids=[".".join(map(str, path)) for path, _, _ in WRONG_FIELDS]
)
def test_each_field_is_checked_even_under_a_valid_checksum(document, tmp_path, path, value, match):
    refuse(write(tmp_path, replaced(document, path, value)), match)


def fields_of(value, path=()):
    """Paths of all fields of a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*path, key)
        yield from fields_of(part, (*path, key))


ODD_VALUES = [None, True, -1, 1.5, "", [], {}, [[]], {"a": 1}, 10**300, "\u202e"]


@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_no_value_in_any_field_raises_anything_else(document, tmp_path, value):
    for path in fields_of(document):
        crafted = write(tmp_path, replaced(document, path, value), sign=path[0] not in ("format", "version"))
        try:
            model = modelfile.load(crafted)
        except ModelFileError as error:
            assert "\n" not in str(error)
        else:  # the value was a legal one: the model must work
            table = pa.table(
                {c.name: pa.array([None], pa.float64()) for c in model.encoder.columns if c.kind == "number"}
            )
            for column in model.encoder.columns:
                if column.kind == "text":
                    table = table.append_column(column.name, pa.array([None], pa.string()))
            assert len(model.estimator.predict(model.encoder.encode(table))) == 1


def test_lengths_do_not_cost_memory(document, tmp_path):
    huge = replaced(document, ("estimator", "coef", "shape"), [2**31, 2**31])
    flood = tmp_path / "flood.gdf"
    flood.write_bytes(b'{"format": [' + b"[]," * 3_000_000 + b"[]]}")
    for path in (write(tmp_path, huge), flood):
        tracemalloc.start()
        refuse(path, "must")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * os.path.getsize(path) + 2**20


def test_special_files_are_refused_at_once(tmp_path):
    fifo = tmp_path / "fifo.gdf"
    os.mkfifo(fifo)
    refuse(fifo, "must be a plain file")
    loop = tmp_path / "loop.gdf"
    loop.symlink_to(loop)
    refuse(loop, "symbolic links")
    refuse(tmp_path, "must be a plain file")
    refuse("/dev/zero", "must be a plain file")
    refuse(tmp_path / "absent.gdf", "No such file")
    with pytest.raises(ModelFileError, match=r"null (byte|character)"):
        modelfile.load("nul\0.gdf")


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "vast.gdf"
    with open(path, "wb") as file:
        file.truncate(2**40)
    refuse(path, "must be at most")
