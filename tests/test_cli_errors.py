"""Whatever goes wrong in the command is one line on stderr that names the column or option, and status 2."""
# ruff: noqa: F811 - fixtures are imported, then named as arguments

from __future__ import annotations

import gzip
import os
import pathlib
import time

import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from cli_tools import N, csv, fail, here, houses, houses_csv, run, succeed  # noqa: F401


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "cost"), ["--target", "'cost'"]),
        (("--target", "price", "--weight", "w"), ["--weight", "'w'"]),
        (("--target", "price", "--offset", "o"), ["--offset", "'o'"]),
        (("--target", "price", "--drop", "d"), ["no column 'd'"]),
        (("--target", "price", "--drop", "price"), ["'price'", "--drop"]),
        (("--target", "price", "--weight", "town"), ["column 'town' must hold numbers"]),
        (("--target", "price", "--weight", "size"), ["column 'size'", "a missing value in data row"]),
        (("--target", "dear", "--offset", "rooms"), ["--offset must go with a regression"]),
        (("--target", "price", "--loss", "l2"), ["--loss must be one of squared_error", "'l2'"]),
        (("--target", "dear", "--loss", "huber"), ["target column 'dear' must hold numbers"]),
        (
            ("--target", "dear", "--task", "regression"),
            ["target column 'dear' must hold numbers", "'yes'|'no'"],
        ),
        (
            ("--target", "price", "--loss", "hinge", "--task", "regression"),
            ["--loss hinge is for a classification"],
        ),
        (("--target", "price", "--loss", "hinge"), ["'price' must hold 2 to 200 classes, got 400"]),
        (("--target", "price", "--penalty", "elasticnet"), ["--l1-ratio"]),
        (("--target", "price", "--l1-ratio", "0.5"), ["--penalty elasticnet"]),
        (("--target", "price", "--eta0", "0.5"), ["--learning-rate"]),
        (("--target", "price", "--quantile", "0.5"), ["--loss quantile"]),
        (("--target", "price", "--alpha", "-1"), ["--alpha", "a finite number >= 0", "-1"]),
        (("--target", "price", "--alpha", "nan"), ["--alpha"]),
        (("--target", "price", "--tol", "soon"), ["--tol", "soon"]),
        (("--target", "price", "--max-iter", "0"), ["--max-iter", "whole number >= 1"]),
        (("--target", "price", "--max-iter", "1e3"), ["--max-iter", "1e3"]),
        (("--target", "price", "--validation", "1"), ["--validation"]),
        (("--target", "dear", "--validation", "0.999"), ["--validation 0.999"]),
        (("--target", "price", "--validation", "0", "--early-stopping"), ["--early-stopping"]),
        (("--target", "price", "--threads", "0"), ["--threads"]),
        (("--target", "price", "--seed", "-1"), ["--seed"]),
        (("--target", "price", "--solver", "lbfgs"), ["--solver", "lbfgs"]),
        (("--target", "price", "--penalty", "l3"), ["--penalty", "l3"]),
        (("--target", "price", "--out", "absent/m.gdf"), ["--out", "absent/m.gdf"]),
        (("--target", "price", "--out", "."), ["--out"]),
        (("--target", "price", "--out", "houses.csv"), ["--out", "houses.csv"]),
        (("--target", "price", "--plot", "absent/p.png"), ["--plot"]),
        (("--target", "price", "--frobnicate"), ["--frobnicate"]),
        ((), ["--target"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_options_in_one_line(houses_csv, capfd, arguments, words):
    error = fail(capfd, "train", houses_csv, *arguments)
    for word in words:
        assert any(choice in error for choice in word.split("|"))
    assert sorted(os.listdir()) == ["houses.csv"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty file"),
        ("x,y\n", "at least one row"),
        ("x,y\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("x,x,y\n1,2,3\n", "names the column 'x' 2 times"),
        ("x,y\n1,\n2,\n", "target column 'y' must hold values, got none"),
        ("x,y\n,1\n,2\n", "a column to learn from"),
        ("y\n1\n2\n", "a column to learn from"),
        ("x,y\n1,a\n2,a\n", "2 to 2 classes, got 1 ('a')"),
        ("x,y\n1,2\ninf,3\n3,4\n", "column 'x' must hold finite numbers, got an infinite one in data row 2"),
        ("x,y\n1,2.5\n2,\n3,inf\n", "column 'y' must hold finite numbers, got inf in data row 3"),
        ("when,y\n2024-01-01,1\n2024-01-02,2\n", "column 'when' must hold numbers or text, got date32"),
        (
            "x,y\n" + "".join(f"id{i},{i}\n" for i in range(1500)),
            "column 'x' must have at most 1000 different",
        ),
        (
            "x,y\n" + "".join(f"{i},id{i}\n" for i in range(1500)),
            "column 'y' must hold 2 to 750 classes, got 1,500",
        ),
        ("x,y\0\n1,2\n", "binary content"),
    ],
    ids=range(14),
)
def test_unusable_data_in_one_line(here, capfd, text, words):
    csv("bad.csv", text)
    assert words in fail(capfd, "train", "bad.csv", "--target", "y", "--validation", "0")


def test_row_numbers_in_errors_are_those_of_the_file(here, capfd):
    head = "x,w,y\n"
    rows = [f"{i},1,{i}.5\n" for i in range(30)]
    rows[4], rows[9] = "4,1,\n", "9,1,\n"
    for row, words in [
        ("20,-2,20.5\n", "weight column 'w' must be >= 0, got -2"),
        ("20,,1.5\n", "a missing value"),
    ]:
        csv("w.csv", head + "".join([*rows[:20], row, *rows[21:]]))
        error = fail(capfd, "train", "w.csv", "--target", "y", "--weight", "w")
        assert words in error
        assert "data row 21" in error
    csv("w.csv", head + "".join(row.replace(",1,", ",0,") for row in rows))
    assert "weight column 'w' must be > 0" in fail(capfd, "train", "w.csv", "--target", "y", "--weight", "w")
    csv("x.csv", head + "".join([*rows[:20], "-inf,1,2\n", *rows[21:]]))
    assert "infinite one in data row 21" in fail(capfd, "train", "x.csv", "--target", "y", "--drop", "w")
    csv("y.csv", head + "".join([*rows[:20], "20,1,-3\n", *rows[21:]]))
    error = fail(capfd, "train", "y.csv", "--target", "y", "--loss", "poisson")
    assert "target column 'y' must be >= 0 for --loss poisson, got -3 in data row 21" in error


def test_files_that_are_none(here, houses, capfd):
    os.mkfifo("pipe.csv")
    os.mkdir("folder.csv")
    os.symlink("loop.csv", "loop.csv")
    pa_parquet.write_table(houses, "cut.parquet")
    whole = pathlib.Path("cut.parquet").read_bytes()
    pathlib.Path("cut.parquet").write_bytes(whole[:-9])
    pathlib.Path("flipped.parquet").write_bytes(whole[:-20] + bytes(8) + whole[-12:])
    pathlib.Path("text.parquet").write_text("x,y\n1,2\n")
    pathlib.Path("cut.csv.gz").write_bytes(gzip.compress(b"x,y\n" + b"1,2\n" * 5000)[:-20])
    pathlib.Path("latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    pathlib.Path("latin2.csv").write_bytes("x,y\nmüde,2\nmüde,3\nwach,4\n".encode("latin-1"))
    for name in [
        "pipe.csv",
        "folder.csv",
        "loop.csv",
        "absent.csv",
        "nul\0.csv",
        "/dev/zero",
        "cut.parquet",
        "flipped.parquet",
        "text.parquet",
        "cut.csv.gz",
        "latin.csv",
        "latin2.csv",
    ]:
        started = time.perf_counter()
        fail(capfd, "train", name, "--target", "y")
        assert time.perf_counter() - started < 10


def test_parquet_columns_of_other_types_are_named(here, capfd):
    for values in ([[1], [2]], [b"a", b"b"], [{"a": 1}, {"a": 2}], pa.array([1, 2], pa.timestamp("s"))):
        pa_parquet.write_table(pa.table({"odd": values, "y": [1.5, 2.5]}), "odd.parquet")
        assert "column 'odd' must hold numbers or text" in fail(capfd, "train", "odd.parquet", "--target", "y")


def test_predict_names_what_is_missing_or_of_the_wrong_kind(houses_csv, houses, capfd):
    succeed(capfd, "train", houses_csv, "--target", "price", "--drop", "dear", "--out", "m.gdf", "--quiet")
    predict = ("predict", "m.gdf")
    csv("new.csv", "size,garden,town\n1,true,Rome\n")
    assert "has no column 'rooms'" in fail(capfd, *predict, "new.csv")
    csv("new.csv", "size,rooms,garden,town\n1,2,true,Rome\n1,two,true,Rome\n")
    assert "column 'rooms' must hold numbers, got 'two' in data row 2" in fail(capfd, *predict, "new.csv")
    csv("new.csv", "size,rooms,garden,town\n1,2,true,Rome\ninf,2,true,Rome\n")
    assert "column 'size' must hold finite numbers (float64), got inf in data row 2" in fail(capfd, *predict, "new.csv")
    town = houses.column_names.index("town")
    pa_parquet.write_table(houses.set_column(town, "town", pa.array(range(N))), "new.parquet")
    assert "column 'town' must hold text as in training, got numbers" in fail(capfd, *predict, "new.parquet")
    assert "--proba" in fail(capfd, *predict, houses_csv, "--proba")
    assert "--out" in fail(capfd, *predict, houses_csv, "--out", "m.gdf")
    assert "model file 'absent.gdf': No such file" in fail(capfd, "predict", "absent.gdf", houses_csv)
    assert "is not a gdfast model file" in fail(capfd, "predict", houses_csv, houses_csv)
    assert "is not a gdfast model file" in fail(capfd, "info", houses_csv)


def test_divergence_is_one_line(houses_csv, capfd):
    arguments = ("--solver", "gd", "--learning-rate", "constant", "--eta0", "1e9", "--out", "m.gdf")
    error = fail(capfd, "train", houses_csv, "--target", "price", *arguments)
    assert "epoch" in error
    assert not os.path.exists("m.gdf")


def test_errors_nobody_thought_of_are_one_line_too(houses_csv, capfd, monkeypatch):
    for error in (
        TypeError("two\nlines"),
        MemoryError(),
        ModuleNotFoundError("no", name="pyarrow"),
        KeyError("x"),
    ):
        monkeypatch.setattr("gdfast.training.fit", lambda *arguments, error=error: (_ for _ in ()).throw(error))
        status, _, err = run(capfd, "train", houses_csv, "--target", "price")
        assert status == 2
        assert err.count("\n") == 1
        assert err.startswith("gdfast: ")
