"""The pages of the documentation as text and cells of code that run: for the site, the notebook and the tests.

A page is Markdown, to be read as it stands. Its ``python`` blocks run from top to bottom in one namespace, its
``console`` blocks hold lines ``$ gdfast ...``, which run as the command would. The site shows what a block printed
and drew below it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import pathlib
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any, NamedTuple

OPTIONAL = ("statsmodels", "torch")  # blocks that compare with these run where they are installed
_PAGE_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]+\)")
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


class Cell(NamedTuple):
    """A block of code, or the text between two of them (language "markdown")."""

    language: str
    source: str


class Shown(NamedTuple):
    """What came of a cell: the text it printed, the files of the pictures it drew."""

    text: str
    pictures: list[pathlib.Path]


class CellError(Exception):
    """A cell failed; the message has the cell and the traceback."""


def cells(page: str) -> list[Cell]:
    """The cells of a page, in order.

    Parameters
    ----------
    page : str
        Markdown.

    Returns
    -------
    list of Cell

    Examples
    --------
    >>> cells("# Sum\\n```python\\nprint(1 + 1)\\n```\\nThat is all.\\n")[1]
    Cell(language='python', source='print(1 + 1)\\n')
    """
    found, end = [], 0
    for block in _BLOCK.finditer(page):
        found += [Cell("markdown", page[end : block.start()]), Cell(block[1], block[2])]
        end = block.end()
    return [*found, Cell("markdown", page[end:])]


def missing(cell: Cell) -> str | None:
    """The optional library that a cell imports and that is not installed, if there is one."""
    for name in OPTIONAL:
        if re.search(rf"^(import|from) {name}\b", cell.source, re.MULTILINE) and not importlib.util.find_spec(name):
            return name
    return None


def run(page: str, name: str, folder: pathlib.Path) -> Iterator[tuple[Cell, Shown | None]]:
    """Run the cells of a page in a fresh namespace and an empty folder.

    Parameters
    ----------
    page : str
        Markdown.
    name : str
        Of the page, for tracebacks and names of pictures.
    folder : pathlib.Path
        Where pictures are written.

    Yields
    ------
    cell : Cell
    shown : Shown or None
        None for text and for cells whose library is missing.

    Raises
    ------
    CellError
        Where a cell fails.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with tempfile.TemporaryDirectory() as work:
        for number, cell in enumerate(cells(page)):
            if cell.language == "markdown" or missing(cell):
                yield cell, None
                continue
            with _inside(work), contextlib.redirect_stdout(io.StringIO()) as printed:
                try:
                    _run_cell(cell, namespace, f"{name}, cell {number}")
                    pictures = _pictures(folder, f"{name}_{number}")
                except Exception:
                    raise CellError(f"{name}: this cell failed:\n{cell.source}\n{traceback.format_exc()}") from None
            yield cell, Shown(printed.getvalue(), pictures)


def _run_cell(cell: Cell, namespace: dict[str, Any], name: str) -> None:
    if cell.language == "python":
        exec(compile(cell.source, name, "exec"), namespace)
        return
    from gdfast import cli

    for command in _commands(cell.source):
        print(f"$ {command}")
        with contextlib.redirect_stderr(sys.stdout):
            status = cli.main(shlex.split(command)[1:])
        if status:
            raise RuntimeError(f"{command} ended with status {status}")


def _commands(source: str) -> list[str]:
    lines = re.findall(r"^\$ (gdfast .*)$", source, re.MULTILINE)
    if len(lines) != len(source.splitlines()):
        raise ValueError("a console block must have lines '$ gdfast ...' and nothing else")
    return lines


@contextlib.contextmanager
def _inside(folder: str) -> Iterator[None]:
    """Work in that folder (contextlib.chdir came with Python 3.11)."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _pictures(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Keep what the cell drew: files PNG or GIF that it wrote, and figures of pyplot."""
    drawn = sorted([*pathlib.Path.cwd().glob("*.png"), *pathlib.Path.cwd().glob("*.gif")])
    if "matplotlib.pyplot" in sys.modules:
        from matplotlib import pyplot

        for number in pyplot.get_fignums():
            path = pathlib.Path(f"figure{number}.png").absolute()
            pyplot.figure(number).savefig(path, dpi=120, bbox_inches="tight")  # as notebooks do
            drawn.append(path)
        pyplot.close("all")
    kept = []
    for i, path in enumerate(drawn):
        kept.append(folder / f"{name}_{i}{path.suffix}")
        kept[-1].write_bytes(path.read_bytes())
        path.unlink()
    return kept


def with_output(page: str, name: str, folder: pathlib.Path, prefix: str) -> str:
    """The page with what its cells printed and drew below them.

    Parameters
    ----------
    page, name, folder
        As in `run`.
    prefix : str
        What stands before the name of a picture in a link.

    Returns
    -------
    str
        Markdown.
    """
    parts = []
    for cell, shown in run(page, name, folder):
        if cell.language == "markdown":
            parts.append(cell.source)
            continue
        if cell.language == "python":
            parts.append(f"```python\n{cell.source}```\n")
        if shown is None:
            parts.append(f"\n*Not run here: {missing(cell)} is not installed.*\n")
            continue
        if shown.text:
            parts.append(f"\n```text\n{shown.text}```\n")
        parts += [f"\n![What this block draws]({prefix}{picture.name})\n" for picture in shown.pictures]
    return "".join(parts)


def notebook(page: str) -> dict[str, Any]:
    """The page as a Jupyter notebook, nothing run.

    Parameters
    ----------
    page : str
        Markdown.

    Returns
    -------
    dict
        nbformat 4.5, for `json.dump`.

    Examples
    --------
    >>> [cell["cell_type"] for cell in notebook("# Sum\\n```python\\n1 + 1\\n```\\n")["cells"]]
    ['markdown', 'code']
    """
    written = []
    for number, cell in enumerate(cells(page)):
        source = cell.source.strip("\n")
        if not source:
            continue
        common = {"id": f"cell-{number}", "metadata": {}}
        if cell.language == "markdown":
            words = _PAGE_LINK.sub(r"\1", source)  # the other pages are not beside a notebook
            written.append({"cell_type": "markdown", **common, "source": words.splitlines(keepends=True)})
            continue
        if cell.language == "console":
            source = "\n".join(f"!{command}" for command in _commands(cell.source))
        code = {"source": source.splitlines(keepends=True), "execution_count": None, "outputs": []}
        written.append({"cell_type": "code", **common, **code})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
