"""Settings of the documentation site: `make docs`."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
GENERATED = HERE / "generated"
(GENERATED / "pictures").mkdir(parents=True, exist_ok=True)
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
exclude_patterns = ["generated/examples", "generated/gallery/*.ipynb", "sg_execution_times.rst"]
templates_path = ["templates"]
nitpicky = True
smartquotes = False  # the ones in X'X are meant
suppress_warnings = ["config.cache"]  # a function among the settings of the gallery

html_theme = "furo"
html_title = f"gdfast {version}"
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "native"
html_static_path = ["site.css"]
html_css_files = ["site.css"]

myst_heading_anchors = 3
autodoc_typehints = "none"  # numpydoc's sections say it in words
autodoc_member_order = "bysource"
autosummary_generate = True
numpydoc_show_class_members = False
linkcheck_timeout = 20

# The gallery is made of copies: it would take examples/embedding for a part of itself.
EXAMPLES = ("housing", "digits", "claims", "air")
shutil.rmtree(GENERATED / "examples", ignore_errors=True)
(GENERATED / "examples").mkdir()
for name in EXAMPLES:
    shutil.copy2(HERE.parent / "examples" / f"{name}.py", GENERATED / "examples")
(GENERATED / "examples" / "README.rst").write_text(
    """Examples
========

Four data sets from raw columns to a picture, beside scikit-learn: the scripts of the folder ``examples``. Each takes
less than a minute, on data that are bundled or made up, or with ``--data`` on the real files.
"""
)
sphinx_gallery_conf = {
    "examples_dirs": ["generated/examples"],
    "gallery_dirs": ["generated/gallery"],
    "filename_pattern": "",
    "within_subsection_order": "FileNameSortKey",
    "reset_argv": lambda gallery_conf, variables: ["--out", str(GENERATED / "pictures" / "example.png")],
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}


def show_output(app, docname, source):
    """Run the blocks of a page and show below each what it printed and drew; put its notebook beside the tutorial."""
    if not (HERE / f"{docname}.md").exists():
        return
    page = source[0].replace("](../examples)", "](generated/gallery/index.rst)")
    page = re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", page)  # files of the project are no pages of the site
    if docname == "gradient_descent":
        (GENERATED / "gradient_descent.ipynb").write_text(json.dumps(cells.notebook(page), indent=1))
        link = "This page as a {download}`notebook <generated/gradient_descent.ipynb>`."
        page = page.replace("\n\n", f"\n\n{link}\n\n", 1)
    source[0] = cells.with_output(page, docname, GENERATED / "pictures", "generated/pictures/")


def leave_out(app, what, name, thing, skip, options):
    """What scikit-learn documents itself is no part of the reference."""
    return True if (getattr(thing, "__module__", None) or "").startswith("sklearn.") else None


def setup(app):
    app.connect("source-read", show_output)
    app.connect("autodoc-skip-member", leave_out)
