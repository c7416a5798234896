"""Settings of the documentation site: `make docs`."""

from __future__ import annotations

import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
GENERATED = HERE / "generated"
sys.path.insert(0, str(HERE))
os.environ.setdefault("MPLBACKEND", "Agg")

import cells  # noqa: E402

import gdfast  # noqa: E402

project = "gdfast"
author = copyright = "the gdfast authors"
version = release = gdfast.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["generated/gallery/*.ipynb", "**/sg_execution_times.rst", "sg_execution_times.rst"]
nitpicky = True
suppress_warnings = ["config.cache"]  # functions in sphinx_gallery_conf

html_theme = "furo"
html_title = f"gdfast {version}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "native"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
copybutton_exclude = ".linenos, .gp"

myst_heading_anchors = 3
autodoc_typehints = "none"  # numpydoc's sections say it in words
autodoc_member_order = "bysource"
autosummary_generate = True
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
linkcheck_timeout = 20

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["generated/gallery"],
    "filename_pattern": r"/(housing|digits|claims|air)\.py$",
    "ignore_pattern": r"/(demo|embedding/.*)\.py$",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}


def add_output(app, docname, source):
    """Run the blocks of a page and show below each what it printed and drew; put its notebook beside the tutorial."""
    path = HERE / f"{docname}.md"
    if not path.exists():
        return
    folder = GENERATED / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    if docname == "gradient_descent":
        (GENERATED / "gradient_descent.ipynb").write_text(json.dumps(cells.notebook(source[0]), indent=1))
    source[0] = cells.with_output(source[0], docname, folder, "generated/pictures/")


def setup(app):
    app.connect("source-read", add_output)
