"""The page of `gdfast train --report`: what it says is what came out. It is read, and opened in a browser."""
# ruff: noqa: F811 - fixtures are imported, then named as arguments

from __future__ import annotations

import contextlib
import hashlib
import io
import pathlib
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from cli_tools import fail, here, houses, houses_csv, succeed  # noqa: F401

from gdfast import modelfile
from gdfast.cli import main

pytest.importorskip("matplotlib")

SECTIONS = [
    "scores",
    "data",
    "objective",
    "curves",
    "coefficients",
    "check",
    "surface",
    "warnings",
    "versions",
    "reproduce",
]
HOSTILE = {
    "size": "<script>alert('x')</script>",
    "rooms": 'a" onload="alert(1)',
    "town": "R&D </td></table> $title ${x}",
}
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """The page as a browser sees it: tags, addresses, and the words and table rows of each section."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.addresses, self.words, self.rows, self.alts = [], [], {}, {}, []
        self.section, self.open, self.titles, self.pictures = "", [], [], {}
        self.feed(pathlib.Path(path).read_text(encoding="utf-8"))
        assert not self.open, "tags that are not closed"

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        self.addresses += [given[name] for name in ("src", "srcset", "href", "action", "data") if name in given]
        if tag == "section":
            self.section = given["id"]
            self.words[self.section], self.rows[self.section], self.pictures[self.section] = "", [], []
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
        if tag == "img":
            self.pictures[self.section].append(given["src"])
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words[self.section] = self.words.get(self.section, "") + data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[self.section][-1][-1] += data


@pytest.fixture(scope="module")
def hostile(houses, tmp_path_factory):
    """A report of a table whose names would be mark-up: (page, model, data file, what the command said)."""
    folder = tmp_path_factory.mktemp("hostile")
    data, page, model = (str(folder / name) for name in ("data <b>.csv", "report.html", "m.gdf"))
    table = houses.rename_columns([HOSTILE.get(name, name) for name in houses.column_names])
    town = pa.array([None if value is None else f"<i>{value}" for value in table[HOSTILE["town"]].to_pylist()])
    pa_csv.write_csv(table.set_column(3, HOSTILE["town"], town), data)
    said = io.StringIO()
    arguments = ["train", data, "--target", "price", "--drop", "dear", "--report", page, "--out", model, "--seed", "3"]
    with contextlib.redirect_stdout(said):
        assert main(arguments) == 0
    return Page(page), modelfile.load(model), data, said.getvalue()


def test_all_sections_are_there_and_linked(hostile):
    page = hostile[0]
    assert [name for name in page.words if name] == SECTIONS
    assert [address for address in page.addresses if address.startswith("#")] == [f"#{name}" for name in SECTIONS]
    assert "report" in hostile[3]


def test_it_needs_no_network_and_no_script(hostile):
    page = hostile[0]
    assert all(address.startswith(("#", "data:image/")) for address in page.addresses)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, given in page.tags for name in given)
    style = next(words for words in page.words.values() if "color-scheme" in words or ":root" in words)
    assert "url(" not in style and "@import" not in style
    assert "http" not in style


def test_hostile_names_are_words(hostile):
    page = hostile[0]
    for name in HOSTILE.values():
        assert name in page.words["data"]
        assert name in page.words["coefficients"]
    assert f"{HOSTILE['town']}=<i>Rome" in page.words["coefficients"]
    assert "data <b>.csv" in page.words["reproduce"]


def test_numbers_are_those_of_the_fit(hostile):
    page, model, data, _ = hostile
    scores = {row[0]: row[1:] for row in page.rows["scores"][1:]}
    for name, value, constant in model.summary["scores"]:
        shown = [float(cell.replace(",", "")) for cell in scores[name]]
        np.testing.assert_allclose(shown, [value, constant], rtol=1e-4, atol=0.51 if abs(value) > 1e4 else 0)
    weights = dict(zip(model.encoder.features, model.estimator.coef_, strict=True))
    rows = [row for row in page.rows["coefficients"] if len(row) == 3][1:]
    assert {row[0] for row in rows} == set(weights)
    for name, weight, _ in rows:
        np.testing.assert_allclose(float(weight), weights[name], rtol=1e-4)
    effects = [abs(float(row[2])) for row in rows]
    assert effects == sorted(effects, reverse=True)
    assert f"{model.estimator.loss_:.6g}" in page.words["objective"]
    assert hashlib.sha256(pathlib.Path(data).read_bytes()).hexdigest() in page.words["reproduce"]
    assert "--target price --drop dear" in page.words["reproduce"] and "--seed 3" in page.words["reproduce"]
    assert model.versions["gdfast"] in page.words["versions"]
    assert page.words["warnings"].strip() == "WarningsNone."


def test_pictures_come_for_light_and_dark_pages(hostile):
    page = hostile[0]
    for name in ("curves", "check", "surface"):
        assert len(page.pictures[name]) == 1
    dark = [given for tag, given in page.tags if tag == "source"]
    assert len(dark) == 3
    assert all(given["media"] == "(prefers-color-scheme: dark)" for given in dark)
    assert not {given["srcset"] for given in dark} & {
        source for several in page.pictures.values() for source in several
    }
    assert "Residuals" in page.words["check"]
    assert all(given["alt"] for tag, given in page.tags if tag == "img")


@pytest.mark.parametrize(
    ("more", "title"),
    [
        (("--target", "dear", "--drop", "price", "--cv", "3", "--alphas", "4"), "Calibration"),
        (
            ("--target", "town", "--loss", "hinge", "--solver", "sgd", "--max-iter", "5", "--validation", "0"),
            "Confusion",
        ),
        (("--target", "town", "--max-iter", "1"), "Calibration"),
        (("--target", "town", "--drop", "dear", "--max-iter", "1", "--cv", "3", "--alphas", "3"), "Calibration"),
    ],
    ids=["two classes, chosen", "hinge, none held out", "softmax, not converged", "none of a grid converged"],
)
def test_every_kind_of_model_has_its_page(houses_csv, capfd, more, title):
    _, err = succeed(capfd, "train", houses_csv, *more, "--report", "r.html", "--out", "m.gdf", "--plot", "p.svg")
    page = Page("r.html")
    assert page.words["check"].startswith(title)
    assert ("choice" in page.words) == ("--cv" in more)
    warned = re.findall("gdfast: warning: (.*)", err)
    assert all(message in page.words["warnings"] for message in warned)
    assert bool(warned) == ("None." not in page.words["warnings"])
    if "--cv" in more:
        assert f"alpha {modelfile.load('m.gdf').estimator.alpha:.4g}: the best" in page.words["choice"]
    if "--validation" in more:
        assert "there are no scores" in page.words["scores"]
    assert pathlib.Path("p.svg").read_text().startswith("<?xml")


def test_mistakes_are_said_before_the_training(houses_csv, capfd):
    base = ("train", houses_csv, "--target", "price")
    assert "--report must be a file in a folder that can be written" in fail(capfd, *base, "--report", "absent/r.html")
    assert "--report must not be a file that is also read" in fail(capfd, *base, "--report", houses_csv)


def browse(folder, address, *options):
    """What the browser says, by itself and without a profile."""
    profile = f"--user-data-dir={folder}/profile"
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", profile, *options, address]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.timeout(300)
def test_a_browser_shows_it(hostile, tmp_path):
    from matplotlib.image import imread

    address = pathlib.Path(hostile[2]).with_name("report.html").as_uri()
    for width in (1280, 390):
        browse(tmp_path, address, f"--screenshot={tmp_path}/shot.png", f"--window-size={width},3000")
        picture = imread(tmp_path / "shot.png")
        assert picture.shape[1] == width
        shades = (picture[..., :3] * 15).round().astype(int).reshape(-1, 3)
        assert len(np.unique(shades, axis=0)) > 50, "words, bars and the surface have many colours"
    seen = browse(tmp_path, address, "--dump-dom")
    assert "&lt;script&gt;alert" in seen and "<script" not in seen


FRAME = """<iframe id="page" src="{address}" style="width: {width}px; height: 800px; border: 0"></iframe>
<p id="said"></p>
<script>
onload = () => {{
  const page = document.getElementById("page").contentDocument
  const wide = [page.documentElement, ...page.querySelectorAll("section, .scroll, td, th")].filter(
    part => part.scrollWidth > part.clientWidth + 1)
  const found = wide.map(part => part.outerHTML.slice(0, 200)).join(" | ")
  document.getElementById("said").textContent = `wide: ${{found}} end`
}}
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "more", [("--drop", "dear"), ("--drop", "dear", "--target", "town")], ids=["number", "classes"]
)
def test_nothing_is_wider_than_a_phone(houses_csv, capfd, tmp_path, more):
    target = () if "--target" in more else ("--target", "price")
    succeed(capfd, "train", houses_csv, *target, *more, "--report", "r.html")
    for width in (1280, 360):
        frame = tmp_path / "frame.html"
        frame.write_text(FRAME.format(address=pathlib.Path("r.html").absolute().as_uri(), width=width))
        options = ("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom")
        assert "wide:  end" in browse(tmp_path, frame.as_uri(), *options)
