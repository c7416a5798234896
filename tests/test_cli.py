"""The command from end to end: files in, model and predictions out, and one line for whatever goes wrong."""
# ruff: noqa: F811 - fixtures are imported, then named as arguments

from __future__ import annotations

import fcntl
import gzip
import os
import pathlib
import pty
import signal
import struct
import subprocess
import sys
import termios
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import pytest
from cli_tools import N, csv, fail, here, houses, houses_csv, run, succeed  # noqa: F401
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.linear_model import Ridge

import gdfast
from gdfast import modelfile, training
from gdfast.table import read_table

# ---------------------------------------------------------------------------------------------- end to end


@pytest.mark.parametrize("form", ["csv", "csv.gz", "semicolon", "parquet", "dictionary"])
def test_train_predict_info(here, houses, capfd, form):
    name = f"houses.{form}"
    if form == "csv.gz":
        with gzip.open(name, "wb") as file:
            pa_csv.write_csv(houses, file)
    elif form in ("csv", "semicolon"):
        pa_csv.write_csv(houses, name, pa_csv.WriteOptions(delimiter="," if form == "csv" else ";"))
    else:
        town = houses["town"].dictionary_encode() if form == "dictionary" else houses["town"].cast(pa.large_string())
        pa_parquet.write_table(houses.set_column(3, "town", town), name)
    out, err = succeed(capfd, "train", name, "--target", "price", "--drop", "dear", "--out", "m.gdf")
    assert err == ""
    assert "400 rows, 3 columns of numbers and 1 of text -> 7 features" in out
    assert "320 to train on, 80 held out" in out
    assert "town=Rome" in out
    scores = {name: (value, constant) for name, value, constant in modelfile.load("m.gdf").summary["scores"]}
    assert scores["R2"][0] > 0.9
    assert scores["R2"][1] < 0.05
    assert scores["RMSE"][0] < 0.3 * scores["RMSE"][1]
    out, err = succeed(capfd, "predict", "m.gdf", name, "--out", "p.csv")
    assert out == ""
    assert "400 rows with a known price" in err
    answers = pa_csv.read_csv("p.csv")
    assert answers.column_names == ["prediction"]
    correlation = np.corrcoef(answers["prediction"].to_numpy(), houses["price"].to_numpy())[0, 1]
    assert correlation > 0.95
    out, err = succeed(capfd, "info", "m.gdf")
    for words in (
        "a regression",
        "price",
        "size, rooms, garden, town",
        "squared_error + l2",
        "320 rows",
        "strong",
    ):
        assert words in out or words == "strong"


def test_the_same_bits_from_csv_and_parquet_and_any_threads(houses_csv, houses, capfd):
    pa_parquet.write_table(houses, "houses.parquet")
    files = []
    for i, arguments in enumerate([(houses_csv,), ("houses.parquet",), (houses_csv, "--threads", 1)]):
        succeed(capfd, "train", *arguments, "--target", "dear", "--drop", "price", "--out", f"{i}.gdf", "--quiet")
        files.append(pathlib.Path(f"{i}.gdf").read_bytes())
    assert files[0] == files[1] == files[2]


def test_numbers_agree_with_ridge_on_the_same_rows(here, capfd):
    X, y = load_diabetes(return_X_y=True, scaled=False)
    table = pa.table({f"x{j}": X[:, j] for j in range(X.shape[1])}).append_column("y", pa.array(y))
    pa_parquet.write_table(table, "diabetes.parquet")
    arguments = ("--target", "y", "--validation", 0, "--alpha", 0.1, "--tol", 1e-12, "--out", "m.gdf")
    out, _ = succeed(capfd, "train", "diabetes.parquet", *arguments)
    assert "held out" not in out
    ridge = Ridge(alpha=0.1 * len(y)).fit(X, y)
    np.testing.assert_allclose(modelfile.load("m.gdf").estimator.coef_, ridge.coef_, rtol=1e-4)
    succeed(capfd, "predict", "m.gdf", "diabetes.parquet", "--out", "p.csv", "--quiet")
    np.testing.assert_allclose(pa_csv.read_csv("p.csv")["prediction"].to_numpy(), ridge.predict(X), rtol=1e-5)


def test_classification_with_text_labels_and_probabilities(here, capfd):
    data = load_breast_cancer()
    table = pa.table({name: data.data[:, j] for j, name in enumerate(data.feature_names)})
    table = table.append_column("diagnosis", pa.array(data.target_names[data.target].tolist()))
    pa_csv.write_csv(table, "cancer.csv")
    out, err = succeed(capfd, "train", "cancer.csv", "--target", "diagnosis", "--out", "m.gdf")
    assert "since diagnosis holds text" in out
    assert "towards malignant" in out
    assert err == ""
    scores = {name: value for name, value, _ in modelfile.load("m.gdf").summary["scores"]}
    assert scores["accuracy"] > 0.9
    assert scores["ROC AUC"] > 0.97
    assert scores["log loss"] < 0.3
    out, err = succeed(capfd, "predict", "m.gdf", "cancer.csv", "--proba")
    answers = pa_csv.read_csv(pa.BufferReader(out.encode()))
    assert answers.column_names == ["prediction", "p_benign", "p_malignant"]
    p = np.column_stack([answers[name].to_numpy() for name in answers.column_names[1:]])
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-12)
    labels = np.array(["benign", "malignant"])[p.argmax(axis=1)]
    np.testing.assert_array_equal(answers["prediction"].to_numpy(zero_copy_only=False), labels)
    assert "accuracy" in err


def test_small_integers_are_stored_narrow_and_give_several_classes(here, capfd):
    rng = np.random.default_rng(0)
    digit = rng.integers(0, 3, N)
    pixels = np.clip(rng.poisson(4, (N, 6)) + 12 * (np.arange(6) // 2 == digit[:, None]), 0, 255)
    pa_csv.write_csv(pa.table({**{f"p{j}": pixels[:, j] for j in range(6)}, "digit": digit}), "digits.csv")
    out, _ = succeed(capfd, "train", "digits.csv", "--target", "digit", "--out", "m.gdf")
    assert "stored as uint8" in out
    assert "3 different whole numbers" in out
    model = modelfile.load("m.gdf")
    assert model.classes == [0, 1, 2]
    assert dict((name, value) for name, value, _ in model.summary["scores"])["accuracy"] > 0.9
    # Values that no longer fit in a byte do not change what a model answers for the others.
    first, _ = succeed(capfd, "predict", "m.gdf", "digits.csv", "--proba", "--quiet")
    more = [*pa_csv.read_csv("digits.csv").slice(0, 10).to_pylist(), {f"p{j}": 70_000 for j in range(6)}]
    pa_csv.write_csv(pa.Table.from_pylist(more), "wide.csv")
    second, _ = succeed(capfd, "predict", "m.gdf", "wide.csv", "--proba", "--quiet")
    assert second.splitlines()[:11] == first.splitlines()[:11]


def test_poisson_with_offset_and_weight(here, capfd):
    rng = np.random.default_rng(3)
    x, exposure = rng.normal(size=3000), rng.uniform(0.1, 2, 3000)
    count = rng.poisson(exposure * np.exp(0.3 + 0.5 * x))
    table = pa.table({"x": x, "log_exposure": np.log(exposure), "count": count, "w": rng.integers(1, 3, 3000)})
    pa_parquet.write_table(table, "claims.parquet")
    arguments = ("--target", "count", "--loss", "poisson", "--offset", "log_exposure", "--weight", "w")
    out, _ = succeed(capfd, "train", "claims.parquet", *arguments, "--out", "m.gdf")
    assert "D2 (poisson deviance)" in out
    model = modelfile.load("m.gdf")
    assert (model.task, model.offset, model.weight) == ("regression", "log_exposure", "w")
    np.testing.assert_allclose(model.estimator.coef_, 0.5, atol=0.1)
    np.testing.assert_allclose(model.estimator.intercept_, 0.3, atol=0.1)
    _, ours, constant = model.summary["scores"][0]
    assert ours > constant + 0.05 > 0.1  # the exposure alone explains much
    succeed(capfd, "predict", "m.gdf", "claims.parquet", "--out", "p.csv")
    expected = exposure * np.exp(model.estimator.intercept_ + model.estimator.coef_ * x)
    np.testing.assert_allclose(pa_csv.read_csv("p.csv")["prediction"].to_numpy(), expected, rtol=1e-6)
    pa_parquet.write_table(table.drop_columns(["log_exposure"]), "less.parquet")
    assert "no column 'log_exposure'" in fail(capfd, "predict", "m.gdf", "less.parquet")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--loss", "huber", "--epsilon", 1e4),
        ("--loss", "quantile", "--quantile", 0.9),
        ("--loss", "gamma"),
        ("--penalty", "none"),
        ("--penalty", "l1", "--alpha", 10),
        ("--penalty", "elasticnet", "--l1-ratio", 0.5),
        ("--solver", "gd", "--max-iter", 20, "--tol", "none"),
        ("--target", "dear", "--loss", "hinge"),
        ("--target", "dear", "--loss", "modified_huber"),
        ("--target", "rooms", "--task", "classification"),
        ("--target", "rooms", "--task", "regression"),
        ("--target", "garden"),
        ("--validation", 0.5, "--seed", 4),
    ],
)
def test_options_reach_the_estimator(houses_csv, capfd, arguments):
    target = () if "--target" in arguments else ("--target", "price")
    out, _ = succeed(capfd, "train", houses_csv, *target, *arguments, "--out", "m.gdf")
    assert "held-out rows" in out
    params = modelfile.load("m.gdf").estimator.get_params()
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    for option in {
        "--loss",
        "--alpha",
        "--epsilon",
        "--quantile",
        "--l1-ratio",
        "--solver",
        "--max-iter",
    } & set(given):
        assert params[option[2:].replace("-", "_")] == given[option]
    if "--penalty" in given:
        assert params["penalty"] == (None if given["--penalty"] == "none" else given["--penalty"])
    if "--tol" in given:
        assert params["tol"] is None
    succeed(capfd, "info", "m.gdf")
    succeed(capfd, "predict", "m.gdf", houses_csv)


def test_picture(houses_csv, capfd):
    pytest.importorskip("matplotlib")
    out, _ = succeed(capfd, "train", houses_csv, "--target", "price", "--plot", "curves.png")
    assert "picture     curves.png" in out
    assert pathlib.Path("curves.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    ("arguments", "stops"), [((), False), (("--early-stopping",), True), (("--solver", "adam"), True)]
)
def test_held_out_rows_choose_the_weights_only_where_said(houses_csv, capfd, arguments, stops):
    arguments = ("train", houses_csv, "--target", "dear", "--drop", "price", *arguments, "--out", "m.gdf")
    out, _ = succeed(capfd, *arguments)
    assert ("held out to stop in time and to score" in out) == stops
    table = read_table(houses_csv, drop=["price"])
    problem = training.prepare(table, training.Settings("dear"))
    optimum = gdfast.GDClassifier().fit(problem.train.X, problem.train.y)
    same = modelfile.load("m.gdf").estimator.coef_.tobytes() == optimum.coef_.tobytes()
    assert same or stops


def test_curves_are_measured_without_a_change_of_the_model(houses):
    for target, loss in [
        ("price", "huber"),
        ("dear", "squared_hinge"),
        ("rooms", "log_loss"),
        ("rooms", "hinge"),
    ]:
        settings = training.Settings(target, loss=loss)
        problem = training.prepare(houses, settings)
        plain, measured = training.fit(problem), training.fit(problem, curves=True)
        assert plain.held_out_curve is None
        assert len(measured.held_out_curve) == len(measured.loss_curve)
        assert measured.model.to_document() == plain.model.to_document()


def test_quiet_is_quiet(houses_csv, capfd):
    assert succeed(capfd, "train", houses_csv, "--target", "price", "--out", "m.gdf", "--quiet") == ("", "")
    assert succeed(capfd, "predict", "m.gdf", houses_csv, "--out", "p.csv", "--quiet") == ("", "")


def test_a_warning_is_one_line_and_no_failure(houses_csv, capfd):
    arguments = ("--max-iter", 1, "--tol", 1e-12, "--loss", "poisson", "--out", "m.gdf")
    _, err = succeed(capfd, "train", houses_csv, "--target", "price", *arguments)
    assert err.startswith("gdfast: warning: ")
    assert "worse than that of a constant answer" in err
    assert all(line.startswith("gdfast: warning: ") for line in err.splitlines())
    assert "ended before it converged" in succeed(capfd, "info", "m.gdf")[0]


# ------------------------------------------------------------------------------------------- odd but legal


def test_missing_and_unknown_values_at_predict(houses_csv, capfd):
    succeed(capfd, "train", houses_csv, "--target", "price", "--drop", "dear", "--out", "m.gdf")
    model = modelfile.load("m.gdf")
    csv("new.csv", "town,size,extra,garden,rooms\nAtlantis,100,x,true,3\n,,y,,\nRome,100,z,1,3\n")
    out, err = succeed(capfd, "predict", "m.gdf", "new.csv")
    answers = np.array(out.splitlines()[1:], dtype=float)
    assert "scores" not in err
    weights = dict(zip(model.encoder.features, model.estimator.coef_, strict=True))
    bias = float(model.estimator.intercept_[0])
    known = 100 * weights["size"] + 3 * weights["rooms"] + weights["garden"] + bias
    fills = sum(column.fill * weights[column.name] for column in model.encoder.columns if column.kind == "number")
    expected = [known, fills + weights["town=(missing)"] + bias, known + weights["town=Rome"]]
    np.testing.assert_allclose(answers, expected, rtol=1e-9)


def test_text_categories_that_look_like_numbers_stay_text(here, capfd):
    rows = "".join(f"{zone},{i % 7},{3 * i % 11}\n" for i in range(60) for zone in ("01", "1", "x"))
    csv("zones.csv", "zone,a,y\n" + rows)
    succeed(capfd, "train", "zones.csv", "--target", "y", "--task", "regression", "--out", "m.gdf")
    assert modelfile.load("m.gdf").encoder.features == ["a", "zone=01", "zone=1", "zone=x"]
    csv("new.csv", "zone,a\n01,1\n1,1\n7,1\n")
    out, _ = succeed(capfd, "predict", "m.gdf", "new.csv")
    assert len(set(out.splitlines()[1:])) == 3


def test_rows_without_target_columns_without_value_or_name_are_left_out(here, capfd):
    rows = "".join(f"{i},{i % 5},,{2.5 * i if i % 4 else ''}\n" for i in range(80))
    csv("gaps.csv", ",a,nothing,y\n" + rows)
    out, _ = succeed(capfd, "train", "gaps.csv", "--target", "y", "--out", "m.gdf")
    assert "left out 20 rows without y" in out
    assert "left out 'nothing': no value at all" in out
    assert modelfile.load("m.gdf").encoder.features == ["a"]


def test_a_class_with_one_row_is_trained_on(here, capfd):
    csv("rare.csv", "x,y\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in range(20)) + "99,c\n")
    succeed(capfd, "train", "rare.csv", "--target", "y", "--out", "m.gdf")
    assert modelfile.load("m.gdf").classes == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["﻿x,y\n1,2\n2,4\n3,7\n4,8\n5,9\n", "x;y\r\n1;2\r\n2;4\r\n3;7\r\n4;8\r\n5;9\r\n"])
def test_byte_order_mark_and_windows_lines(here, capfd, text):
    csv("odd.csv", text)
    out, _ = succeed(capfd, "train", "odd.csv", "--target", "y")
    assert "5 rows, 1 column of numbers" in out


def test_names_from_a_file_cannot_write_to_the_terminal(here, capfd):
    csv("evil.csv", "\x1b[2Jx,y\n" + "".join(f"{i},{i * 2 + i % 3}\n" for i in range(40)))
    out, err = succeed(capfd, "train", "evil.csv", "--target", "y", "--out", "m.gdf")
    out += succeed(capfd, "info", "m.gdf")[0]
    assert "\x1b" not in out + err
    csv("evil.csv", "\x1b[2Jy\n1\n")
    assert "\x1b" not in fail(capfd, "predict", "m.gdf", "evil.csv")


# --------------------------------------------------------------------------------------------- the process


def environment():
    """The environment with this very gdfast on the path."""
    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(gdfast.__file__))}


def command(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "gdfast", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def test_help_and_version_come_without_heavy_imports(here):
    code = "import sys, gdfast.cli\ntry: gdfast.cli.main(['--version'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('pyarrow', 'sklearn', 'matplotlib', 'pandas', 'tqdm') if m in sys.modules])"
    path = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(gdfast.__file__))}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=path, check=True).stdout
    assert out.splitlines() == [f"gdfast {gdfast.__version__}", "[]"]


def test_ctrl_c_ends_with_130_and_one_line(here):
    rng = np.random.default_rng(0)
    pa_parquet.write_table(pa.table({f"x{j}": rng.normal(size=50_000) for j in range(20)}), "long.parquet")
    arguments = ("--target", "x0", "--solver", "sgd", "--tol", "none", "--max-iter", 10**6, "--out", "m.gdf")
    process = command("train", "long.parquet", *arguments, "--learning-rate", "constant", "--eta0", 1e-6)
    for line in process.stdout:  # the line printed right before the training
        if line.startswith("rows"):
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err == "gdfast: interrupted\n"
    assert os.listdir() == ["long.parquet"]


def test_a_reader_that_goes_away_is_no_error(houses_csv, capfd):
    succeed(capfd, "train", houses_csv, "--target", "price", "--out", "m.gdf", "--quiet")
    table = pa_csv.read_csv(houses_csv)
    pa_parquet.write_table(pa.concat_tables([table] * 500), "many.parquet")
    process = command("predict", "m.gdf", "many.parquet", "--quiet")
    assert process.stdout.readline() == '"prediction"\n'
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()
    assert process.wait(timeout=20) == 141
    assert err == ""


def test_a_bar_on_a_terminal_only():
    pytest.importorskip("tqdm")
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    code = (
        "import time, types; from gdfast import cli\n"
        "options = types.SimpleNamespace(quiet=False, max_iter=3)\n"
        "with cli._progress(options) as show:\n"
        "    for epoch in (1, 2, 3):\n"
        "        time.sleep(0.8)\n"
        "        show(types.SimpleNamespace(error=0.5, validation_error=0.25))\n"
    )
    subprocess.run([sys.executable, "-c", code], stderr=follower, env=environment(), check=True)
    os.set_blocking(leader, False)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    os.close(follower)
    assert "training" in shown
    assert "error=0.5, held out=0.25" in shown
