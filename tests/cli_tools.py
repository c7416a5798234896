"""What the tests of the command share: a table with every kind of column, and ways to run the command."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from gdfast.cli import main

N = 400


@pytest.fixture(scope="module")
def houses():
    """A table with every kind of column: numbers with gaps, integers, true/false, text with gaps, targets."""
    rng = np.random.default_rng(7)
    size, rooms, garden = rng.gamma(4, 30, N), rng.integers(1, 8, N), rng.random(N) < 0.4
    town = rng.choice(["Oslo", "Rome", "Zürich, CH"], N)
    price = 2.5e3 * size + 4e3 * rooms + 3e4 * garden + 5e4 * (town == "Rome") + rng.normal(0, 1e4, N)
    return pa.table(
        {
            "size": pa.array(size, mask=rng.random(N) < 0.05),
            "rooms": rooms,
            "garden": garden,
            "town": pa.array(town, mask=rng.random(N) < 0.05),
            "price": price,
            "dear": np.where(price > np.median(price), "yes", "no"),
        }
    )


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def houses_csv(here, houses):
    pa_csv.write_csv(houses, "houses.csv")
    return "houses.csv"


def csv(name, text):
    with open(name, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return name


def run(capfd, *arguments):
    """Run the command in this process: (status, stdout, stderr)."""
    capfd.readouterr()
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse ends this way
        status = end.code
    return status, *capfd.readouterr()


def succeed(capfd, *arguments):
    status, out, err = run(capfd, *arguments)
    assert status == 0, err
    return out, err


def fail(capfd, *arguments):
    """The command must fail with status 2 and exactly one line on stderr, which is returned."""
    status, out, err = run(capfd, *arguments)
    assert status == 2
    assert err.count("\n") == 1
    assert err.startswith("gdfast: error: ")
    assert "Traceback" not in out + err
    return err
