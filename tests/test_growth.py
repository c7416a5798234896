"""`make growth`: the powers that are fitted, and the page that is written."""

import math

import numpy as np
import pytest

from benchmarks.growth import AXES, ROOT, exponent, main


def test_the_power_of_a_law():
    places = np.array([1e3, 1e4, 1e5, 1e6])
    power, error = exponent(places, 3e-9 * places**1.5)
    assert power == pytest.approx(1.5) and error < 1e-9
    noisy = 3e-9 * places**1.5 * np.exp([0.1, -0.1, -0.1, 0.1])
    power, error = exponent(places, noisy)
    line, covariance = np.polyfit(np.log(places), np.log(noisy), 1, cov=True)
    assert power == pytest.approx(line[0]) and error == pytest.approx(covariance[0, 0] ** 0.5)
    assert math.isnan(exponent(places[:2], [1.0, 2.0])[1])


def test_the_axes_are_those_of_the_page():
    places = {name: (axis.places[0], axis.places[-1]) for name, axis in AXES.items()}
    assert places == {"rows": (1e3, 1e7), "columns": (10, 1e4), "classes": (2, 100), "condition": (1, 1e8)}
    page = (ROOT / "docs" / "performance.md").read_text()
    assert all(page.count(f"<!-- part growth_{name} -->") == 1 for name in (*AXES, "steps"))


@pytest.mark.timeout(300)
def test_a_small_run(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "performance.md").write_text("Above.\n<!-- part growth_rows -->\nold\n<!-- end -->\nBelow.\n")
    assert main(["--scale", "small", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "performance.md").read_text()
    assert page.startswith("Above.\n<!-- part growth_rows -->\n20 columns") and "old" not in page
    assert page.count("| squared error | ") == 3 and page.count("| softmax | ") == 4
    assert page.count("<!-- end -->") == 5 and page.count("Below.") == 1
    for name in AXES:
        assert (tmp_path / "growth" / f"{name}.svg").read_text().startswith("<?xml")
        assert f"](growth/{name}.svg)" in page
    assert "A step takes a time that grows as n to the power of" in page
    assert "written:" in capsys.readouterr().out


def test_wrong_names(capsys):
    with pytest.raises(SystemExit):
        main(["--axes", "rows,lines"])
    assert "got lines" in capsys.readouterr().err
