"""`gdfast train --cv`: what is chosen, from which rows, what is said of it and kept of it."""
# ruff: noqa: F811 - fixtures are imported, then named as arguments

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import pytest
from cli_tools import N, csv, fail, here, houses, houses_csv, run, succeed  # noqa: F401
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

import gdfast
from gdfast import modelfile, splitting, training
from gdfast.table import read_table

# ---- the choice ------------------------------------------------------------------------------------------------------


def rows_to_choose_by(target, **settings):
    table = read_table("houses.csv", drop=["dear" if target == "price" else "price"])
    return training.prepare(table, training.Settings(target, **settings)).train


@pytest.mark.parametrize(
    ("target", "options", "search"),
    [
        ("price", (), {}),
        ("dear", (), {}),
        ("price", ("--penalty", "l1", "--alphas", 7), {"l1_ratio": [1.0], "alphas": 7}),
        ("dear", ("--l1-ratio", "0,0.5,1", "--alphas", 5), {"l1_ratio": [0.0, 0.5, 1.0], "alphas": 5}),
        ("dear", ("--l1-ratio", "0.5", "--alphas", "0.1,1e-3,0"), {"l1_ratio": [0.5], "alphas": [0.1, 1e-3, 0.0]}),
        ("price", ("--rule", "one_standard_error"), {"rule": "one_standard_error"}),
        ("dear", ("--scoring", "roc_auc", "--loss", "squared_hinge"), {"scoring": "roc_auc", "loss": "squared_hinge"}),
        ("price", ("--loss", "huber", "--epsilon", 1e4, "--tol", 1e-9), {"loss": "huber", "epsilon": 1e4, "tol": 1e-9}),
    ],
    ids=str,
)
def test_the_choice_is_that_of_the_search_and_the_model_that_of_the_choice(houses_csv, capfd, target, options, search):
    drop = ("--drop", "dear" if target == "price" else "price")
    succeed(capfd, "train", houses_csv, "--target", target, *drop, "--cv", 4, *options, "--out", "m.gdf")
    model = modelfile.load("m.gdf")
    rows = rows_to_choose_by(target)
    kind, folds = (gdfast.GDRegressorCV, KFold) if target == "price" else (gdfast.GDClassifierCV, StratifiedKFold)
    folds = folds(4, shuffle=True, random_state=0)
    found = kind(**{"scoring": "loss", "l1_ratio": [0.0], "cv": folds, **search}).fit(rows.X, rows.y)
    choice = model.choice
    assert_array_equal([point.alpha for point in choice.points], np.ravel(found.alphas_))
    sign = 1 if "scoring" in search else -1
    assert_allclose([point.mean for point in choice.points], sign * found.scores_.mean(axis=2).ravel())
    assert_allclose([point.spread for point in choice.points], found.scores_.std(axis=2, ddof=1).ravel())
    chosen = choice.points[choice.chosen]
    assert (chosen.alpha, chosen.l1_ratio) == (found.alpha_, found.l1_ratio_)
    if any(search.get("l1_ratio", [0.0])):
        counts = np.count_nonzero(found.coef_path_.reshape(len(choice.points), -1), axis=1)
        assert_array_equal([point.non_zero for point in choice.points], counts)
        assert chosen.non_zero == np.count_nonzero(model.estimator.coef_)
    # The same options with that penalty, and no choice, give the same bits.
    kept = [value for pair in zip(options[::2], options[1::2], strict=True) for value in pair if pair[0] in PLAIN]
    penalty = {0.0: "l2", 1.0: "l1"}.get(chosen.l1_ratio, "elasticnet")
    ratio = ("--l1-ratio", chosen.l1_ratio) if penalty == "elasticnet" else ()
    named = ("--penalty", penalty, "--alpha", repr(chosen.alpha), *ratio, *kept)
    succeed(capfd, "train", houses_csv, "--target", target, *drop, *named, "--out", "one.gdf")
    one = modelfile.load("one.gdf")
    assert one.choice is None
    assert {**one.to_document(), "choice": 0} == {**model.to_document(), "choice": 0}


PLAIN = ("--loss", "--epsilon", "--tol")


def test_held_out_rows_take_no_part(houses_csv, houses, capfd):
    arguments = ("--target", "price", "--drop", "dear", "--cv", 5)
    succeed(capfd, "train", houses_csv, *arguments, "--out", "m.gdf")
    _, held_out = splitting.hold_out(0.2, None, N, None, False, 0)
    price = houses["price"].to_numpy().copy()
    price[held_out] *= -5
    pa_csv.write_csv(houses.set_column(4, "price", pa.array(price)), "other.csv")
    succeed(capfd, "train", "other.csv", *arguments, "--out", "other.gdf")
    model, other = modelfile.load("m.gdf"), modelfile.load("other.gdf")
    assert other.choice == model.choice
    assert_array_equal(other.estimator.coef_, model.estimator.coef_)
    assert other.summary["scores"] != model.summary["scores"]
    succeed(capfd, "train", houses_csv, *arguments, "--validation", 0, "--out", "all.gdf")
    assert modelfile.load("all.gdf").summary["rows"] == N


def test_the_same_bits_for_any_number_of_threads(houses_csv, capfd):
    arguments = ("--target", "dear", "--drop", "price", "--cv", 3, "--l1-ratio", "0,1", "--quiet")
    for threads in (1, 2):
        assert succeed(capfd, "train", houses_csv, *arguments, "--threads", threads, "--out", f"{threads}.gdf") == (
            "",
            "",
        )
    assert pathlib.Path("1.gdf").read_bytes() == pathlib.Path("2.gdf").read_bytes()


def test_weights_and_offsets_count(here, capfd):
    rng = np.random.default_rng(3)
    x, exposure = rng.normal(size=900), rng.uniform(0.1, 2, 900)
    table = {"x": x, "e": np.log(exposure), "n": rng.poisson(exposure * np.exp(0.5 * x)), "w": rng.integers(1, 3, 900)}
    pa_parquet.write_table(pa.table(table), "claims.parquet")
    arguments = ("--target", "n", "--loss", "poisson", "--offset", "e", "--weight", "w", "--validation", 0)
    succeed(capfd, "train", "claims.parquet", *arguments, "--cv", 3, "--alphas", "1.0,0.1,0.01", "--out", "m.gdf")
    folds = KFold(3, shuffle=True, random_state=0)
    search = gdfast.GDRegressorCV(alphas=[1.0, 0.1, 0.01], cv=folds, scoring="loss", loss="poisson")
    search.fit(x[:, None], table["n"], sample_weight=table["w"], offset=table["e"])
    assert_allclose([point.mean for point in modelfile.load("m.gdf").choice.points], -search.scores_.mean(axis=1))


# ---- which rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["price", "dear"])
def test_groups_stay_together_and_are_no_feature(houses, here, capfd, monkeypatch, target):
    street = np.random.default_rng(1).integers(0, 30, N)
    pa_csv.write_csv(houses.append_column("street", pa.array([f"s{i}" for i in street])), "houses.csv")
    seen = []
    monkeypatch.setattr(
        "gdfast.choosing.folds", lambda *given: seen.append((given, splitting.folds(*given))) or seen[-1][1]
    )
    arguments = ("--target", target, "--cv", 4, "--cv-groups", "street", "--alphas", 3)
    out, _ = succeed(capfd, "train", "houses.csv", *arguments, "--out", "m.gdf")
    assert "folds of whole groups of 'street'" in out
    (given, splits), model = seen[0], modelfile.load("m.gdf")
    assert not [name for name in model.encoder.features if "street" in name]
    groups, of_rows = given[3], np.unique(street, return_index=True)[1].argsort().argsort()[street]
    train, held_out = splitting.hold_out(0.2, None, N, of_rows, False, 0)
    assert_array_equal(groups, of_rows[train])
    assert not set(street[train]) & set(street[held_out])
    assert_array_equal(np.sort(np.concatenate([test for _, test in splits])), np.arange(len(train)))
    for rows, test in splits:
        assert not set(groups[rows]) & set(groups[test])
    if target == "price":
        expected = GroupKFold(4, shuffle=True, random_state=0).split(train, groups=groups)
        assert [test.tolist() for _, test in splits] == [test.tolist() for _, test in expected]
    pa_csv.write_csv(houses, "new.csv")  # a prediction needs no groups
    succeed(capfd, "predict", "m.gdf", "new.csv")


def test_rows_in_order_of_time(houses_csv, capfd):
    out, _ = succeed(capfd, "train", houses_csv, "--target", "price", "--cv", "time:4", "--alphas", 3, "--out", "m.gdf")
    assert "80 held out to score (the last in time)" in out
    assert "in 4 folds in order of time" in out
    train, held_out = splitting.hold_out(0.2, None, N, None, True, 0)
    assert_array_equal(np.r_[train, held_out], np.arange(N))
    splits = splitting.folds(splitting.Folds(4, in_time=True), np.zeros(len(train)), [], None, None, 0)
    assert len(splits) == 4 and all(rows.max() < test.min() for rows, test in splits)


def test_classes_come_in_equal_shares():
    y = np.arange(300) % 10 // 9  # a tenth is of class 1
    for rows, test in splitting.folds(splitting.Folds(3), y, ["a", "b"], None, None, 5):
        assert (y[test].sum(), y[rows].sum()) == (10, 20)


def test_a_class_of_fewer_rows_than_folds_is_named(here, capfd):
    csv("rare.csv", "x,y\n" + "".join(f"{i % 17},{'ab'[i % 2]}\n" for i in range(60)) + "5,c\n6,c\n")
    arguments = ("--target", "y", "--validation", 0, "--alphas", 3)
    _, err = succeed(capfd, "train", "rare.csv", *arguments, "--cv", 4)
    said = "gdfast: warning: class 'c' has 2 rows to choose by, fewer than the 4 folds: some score without it\n"
    assert err == said


# ---- what is said ----------------------------------------------------------------------------------------------------


def test_the_table(houses_csv, capfd):
    arguments = ("--target", "dear", "--drop", "price", "--cv", 3, "--l1-ratio", "0.5,1", "--alphas", 60)
    out, _ = succeed(capfd, "train", houses_csv, *arguments, "--rule", "one_standard_error", "--out", "m.gdf")
    assert "choosing    60 alphas for each of 2 l1_ratios in 3 stratified folds: 360 models" in out
    choice = modelfile.load("m.gdf").choice
    chosen = choice.points[choice.chosen]
    assert re.search(rf"chosen      alpha {chosen.alpha:.4g} and l1_ratio [\d.]+: the simplest", out)
    lines = out.splitlines()
    (head,) = [i for i, line in enumerate(lines) if "mean loss (less is better)" in line and line.startswith("alpha")]
    rows = lines[head + 1 : lines.index("", head)]
    assert 20 <= len(rows) <= 27
    marked = {mark: [row for row in rows if mark in row] for mark in ("best", "one standard error", "chosen")}
    assert [len(found) for found in marked.values()] == [1, 1, 1]
    alpha, mean, spread, count = marked["chosen"][0].split()[:4]
    assert (alpha, mean, int(count)) == (f"{chosen.alpha:.4g}", f"{chosen.mean:.5g}", chosen.non_zero)
    assert spread == f"{chosen.spread:.5g}"
    best = choice.points[choice.best]
    assert best.mean == min(point.mean for point in choice.points)
    assert best.mean < chosen.mean <= best.mean + best.spread / np.sqrt(3)
    assert chosen.alpha > best.alpha
    ratios = lines[lines.index("", head) + 1 :][:3]
    assert ratios[0].startswith("l1_ratio") and [row.split()[0] for row in ratios[1:]] == ["0.5", "1"]
    info, _ = succeed(capfd, "info", "m.gdf")
    assert "\n".join(lines[head : head + len(rows) + 5]) in info


def test_a_best_at_the_weak_end_is_said(houses_csv, capfd):
    arguments = ("train", houses_csv, "--target", "price", "--drop", "dear", "--cv", 3)
    assert "still weaker ones may be better" in succeed(capfd, *arguments, "--alphas", "1e9,1e8")[0]
    assert "still weaker" not in succeed(capfd, *arguments, "--alphas", "1e8,1e-30,0")[0]
    assert "still weaker" not in succeed(capfd, *arguments, "--alphas", "1e8,1e8")[0]


def test_names_and_files_cannot_write_to_the_terminal(here, capfd):
    rows = "".join(f"{i % 7},{i},{i % 13}\n" for i in range(60))
    csv("evil.csv", "x,\x1b[2Jg,y\n" + rows)
    arguments = ("--target", "y", "--task", "regression", "--cv", 3, "--cv-groups", "\x1b[2Jg", "--alphas", 3)
    out, err = succeed(capfd, "train", "evil.csv", *arguments, "--out", "m.gdf")
    document = json.loads(pathlib.Path("m.gdf").read_text())
    document["choice"]["scoring"] = "\x1b[2Jloss"
    document["sha256"] = modelfile.checksum(
        {k: v for k, v in document.items() if k not in ("format", "version", "sha256")}
    )
    pathlib.Path("m.gdf").write_text(json.dumps(document))
    out += succeed(capfd, "info", "m.gdf")[0]
    assert "\x1b" not in out + err
    assert "mean ?[2Jloss" in out


def test_ctrl_c_ends_the_choice_with_130_and_one_line(here):
    rng = np.random.default_rng(0)
    X = {f"x{j}": rng.normal(size=60_000) for j in range(40)}
    pa_parquet.write_table(pa.table({**X, "y": rng.integers(0, 6, 60_000)}), "long.parquet")
    arguments = ("--target", "y", "--cv", 10, "--alphas", 100, "--l1-ratio", "0,0.3,0.6,1", "--tol", 1e-13)
    process = subprocess.Popen(
        [sys.executable, "-m", "gdfast", "train", "long.parquet", *map(str, arguments), "--out", "m.gdf"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(gdfast.__file__))},
    )
    for line in process.stdout:  # printed right before the choice
        if line.startswith("choosing"):
            break
    try:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "gdfast: interrupted\n")
    assert os.listdir() == ["long.parquet"]


# ---- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--cv", "1"), "--cv: must be a whole number >= 2, or time: and one, got '1'"),
        (("--cv", "5.0"), "got '5.0'"),
        (("--cv", "time:"), "--cv: must be a whole number >= 2, or time: and one, got ''"),
        (("--cv", "321"), "--cv must be at most 320, the number of rows to choose by, got 321"),
        (("--cv", "time:320"), "--cv must be at most 319, one less than the number of rows to choose by, got 320"),
        (("--cv", "3", "--alphas", "0"), "--alphas: must be a count from 1 to 10000, or numbers with commas, got '0'"),
        (("--cv", "3", "--alphas", "10001"), "--alphas: must be a count from 1 to 10000"),
        (("--cv", "3", "--alphas", "0.1,-1"), "--alphas: must be a finite number >= 0, got '-1'"),
        (("--cv", "3", "--alphas", "0.1,nan"), "--alphas: must be a finite number >= 0, got 'nan'"),
        (("--cv", "3", "--alphas", "0.1,,1"), "--alphas: must be a finite number >= 0, got ''"),
        (("--cv", "3", "--alphas", "many"), "--alphas: must be a finite number >= 0, got 'many'"),
        (("--cv", "3", "--l1-ratio", "0.5,2"), "--l1-ratio: must be a number from 0 to 1, got '2'"),
        (("--cv", "3", "--rule", "worst"), "--rule: invalid choice: 'worst'"),
        (
            ("--cv", "3", "--scoring", "nice"),
            "--scoring must be loss or the name of a scorer of scikit-learn's, got 'nice'",
        ),
        (("--cv", "3", "--scoring", "roc_auc"), "--scoring roc_auc must suit the regression, got AttributeError: "),
        (("--cv", "3", "--scoring", "r2", "--offset", "rooms"), "--scoring must be loss with --offset"),
        (("--cv", "3", "--alpha", "1"), "--alpha must go without --cv, which tries what --alphas says"),
        (("--cv", "3", "--solver", "adam"), "--cv must go with --solver auto, got adam"),
        (("--cv", "3", "--learning-rate", "constant"), "--learning-rate must go without --cv"),
        (("--cv", "3", "--batch-size", "8"), "--batch-size must go without --cv"),
        (("--cv", "3", "--early-stopping"), "--early-stopping must go without --cv"),
        (("--cv", "3", "--penalty", "none"), "--cv must go with a penalty, got --penalty none"),
        (("--cv", "3", "--penalty", "l1", "--l1-ratio", "0.5"), "--l1-ratio must go with --penalty elasticnet"),
        (("--cv", "3", "--penalty", "elasticnet"), "--l1-ratio must go with --penalty elasticnet"),
        (("--cv", "3", "--cv-groups", "street"), "--cv-groups must be a column of 'houses.csv', got 'street'"),
        (
            ("--cv", "3", "--cv-groups", "price"),
            "column 'price' must have one part (--target, --weight, --offset, --cv-",
        ),
        (("--cv", "3", "--cv-groups", "town"), "group column 'town' must hold values, got a missing value in data row"),
        (("--cv", "time:3", "--cv-groups", "town"), "--cv-groups must go without time: in --cv"),
        (
            ("--cv", "9", "--cv-groups", "rooms"),
            "--cv must be at most 5, the number of groups in column 'rooms' to choose",
        ),
        (("--cv-groups", "town"), "--cv-groups must go with --cv"),
        (("--alphas", "3"), "--alphas must go with --cv"),
        (("--rule", "best"), "--rule must go with --cv"),
        (("--scoring", "r2"), "--scoring must go with --cv"),
        (("--l1-ratio", "0.5,1", "--penalty", "elasticnet"), "--l1-ratio must be one number without --cv"),
    ],
    ids=" ".join,
)
def test_wrong_options_in_one_line(houses_csv, capfd, options, message):
    assert message in fail(capfd, "train", houses_csv, "--target", "price", *options, "--out", "m.gdf")
    assert os.listdir() == ["houses.csv"]


def test_folds_that_cannot_be(here, capfd):
    arguments = ("--target", "y", "--validation", 0, "--alphas", 3)
    csv("rare.csv", "x,g,y\n" + "".join(f"{i % 17},{i % 8},{'ab'[i % 2]}\n" for i in range(60)) + "5,9,c\n")
    error = fail(capfd, "train", "rare.csv", *arguments, "--cv", 3)
    assert re.search(r"fold \d of --cv must leave rows of each class to train on, got none of 'c'", error)
    error = fail(capfd, "train", "rare.csv", *arguments, "--cv", "time:3")
    assert "fold 1 of --cv must leave rows of each class to train on, got none of 'c'" in error
    error = fail(capfd, "train", "rare.csv", *arguments, "--cv", 3, "--cv-groups", "g")
    assert re.search(r"fold \d of --cv must leave rows of each class", error)
    error = fail(capfd, "train", "rare.csv", *arguments[:2], "--cv", "time:3")
    assert "--validation 0.2 must leave rows of each class to train on, got none of 'c'" in error
    assert "--cv must be at most 30, the number of rows to choose by of the largest class, got 31" in fail(
        capfd, "train", "rare.csv", *arguments, "--cv", 31
    )
    csv("w.csv", "x,w,y\n" + "".join(f"{i % 17},{int(i >= 40)},{i}.5\n" for i in range(60)))
    error = fail(capfd, "train", "w.csv", *arguments, "--weight", "w", "--cv", "time:3")
    assert "fold 1 of --cv must have rows to train on and to score with a weight above 0, got only 0" in error


def test_group_columns_of_every_type(here, capfd):
    numbers = [i % 7 for i in range(60)]
    texts = [str(i) for i in numbers]
    arguments = ("train", "g.parquet", "--target", "y", "--cv", 3, "--cv-groups", "g", "--alphas", 2)

    def write(groups):
        columns = {"x": np.arange(60) % 17, "y": np.arange(60) + 0.5, "g": groups}
        pa_parquet.write_table(pa.table(columns), "g.parquet", row_group_size=20)

    chosen = set()
    dates, codes = pa.array(numbers, pa.int32()).cast(pa.date32()), pa.array(texts).dictionary_encode()
    for groups in (numbers, texts, np.array(numbers) + 0.5, dates, codes, pa.chunked_array([texts[:9], texts[9:]])):
        write(groups)
        succeed(capfd, *arguments, "--out", "m.gdf")
        chosen.add(str(modelfile.load("m.gdf").choice))
    assert len(chosen) == 1
    for groups, found in ([[i] for i in numbers], "list<"), ([{"a": i} for i in numbers], "struct<"):
        write(groups)
        assert f"group column 'g' must hold plain values, got {found}" in fail(capfd, *arguments)
    write(np.where(np.arange(60) == 3, np.nan, numbers))
    assert "group column 'g' must hold values, got a missing value in data row 4" in fail(capfd, *arguments)


def test_data_without_anything_to_choose_by(here, capfd):
    """Nothing to learn, or a target that does not vary: an answer, every alpha as good as any other."""
    rows = [(0, i % 5, 7) for i in range(40)]
    csv("flat.csv", "x,a,y\n" + "".join(f"{x},{a},{y}\n" for x, a, y in rows))
    out, _ = succeed(capfd, "train", "flat.csv", "--target", "y", "--task", "regression", "--cv", 4, "--out", "m.gdf")
    assert "best, one standard error, chosen" in out
    assert_allclose(modelfile.load("m.gdf").estimator.coef_, 0, atol=1e-12)
    out, _ = succeed(capfd, "train", "flat.csv", "--target", "a", "--task", "regression", "--cv", 4, "--drop", "y")
    assert "0  best" in out or "best" in out
