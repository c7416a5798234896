"""From rows to docs/benchmarks.md and the table in README.md."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.timing import Ratio

__all__ = ["Report", "Row", "Section", "fill_readme", "put", "table", "write"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
README = ROOT / "README.md"

HEAD = """# Benchmarks

Written by `make benchmark` (`python -m benchmarks`); one part alone: `python -m benchmarks pass`. Do not edit.

Contestants take turns in one process on the same data, with the same number of threads, a short pause after each turn,
since the idle threads of a BLAS go on spinning for a while. A ratio is formed in each round and shown as median
(quartiles); times beside it are medians. "5.0x" against something means that it took 5.0 times as long as gdfast. A
ratio in bold is one that gdfast loses. Targets come with the design of the project; whether they were
reached is stated, not tested.
"""
COLUMNS = ("what", "against", "gdfast", "the other", "result", "target", "reached")
IN_README = ("what", "against", "result", "target", "reached")
NOT_IN_README = ("types",)  # parts of dozens of rows, of which another part has the chief ones
UNITS = {"x": "{:.2f}x", "share": "{:.2f}", "s": "{:.3f} s", "MB": "{:.1f} MB"}


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes
    ----------
    what, against : str
        What was done, and what it is compared with.
    ours, theirs : str
        Times or whatever else the result comes from.
    result : Ratio
        In `unit`, one of UNITS.
    target : float or None
        What is wanted of the result: at least that, or at most that unless `at_least`.
    lost : bool
        Whether the other one did better.
    """

    what: str
    against: str
    ours: str
    theirs: str
    result: Ratio
    unit: str = "x"
    target: float | None = None
    at_least: bool = True
    lost: bool = False

    def cells(self) -> list[str]:
        """The row as text, in the order of COLUMNS."""
        value, low, high = (UNITS[self.unit].format(number) for number in self.result)
        result = f"{value} ({low} – {high})" if low != high else value
        target = reached = ""
        if self.target is not None:
            target = f"{'≥' if self.at_least else '≤'} {UNITS[self.unit].format(self.target)}"
            good = self.result.value >= self.target if self.at_least else self.result.value <= self.target
            reached = "yes" if good else "**no**"
        result = f"**{result}**" if self.lost else result
        return [self.what, self.against, self.ours, self.theirs, result, target, reached]


@dataclass
class Section:
    """The table of one file of benchmarks; its docstring is the text above it."""

    name: str
    title: str
    text: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self, machine: str) -> str:
        """Heading, text, table, notes."""
        parts = [f"## {self.title}", self.text, f"Measured on {machine}: `python -m benchmarks {self.name}`"]
        parts.append(table(COLUMNS, [row.cells() for row in self.rows]))
        parts.append("\n".join(f"- {note}" for note in self.notes))
        return "\n\n".join(part for part in parts if part)


class Report(dict[str, Section]):
    """Sections by name, in the order in which they were measured."""

    def section(self, name: str, docstring: str) -> Section:
        """The section of that name, started from a docstring if need be."""
        title, _, text = docstring.strip().partition("\n")
        return self.setdefault(name, Section(name, title.rstrip("."), text.strip()))


def table(columns: Sequence[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


# ---- the page ------------------------------------------------------------------------------------

_PART = re.compile(r"<!-- part (\w+) -->\n(.*?)\n<!-- end -->", re.DOTALL)


def write(report: Report, machine: str, page: pathlib.Path = PAGE) -> None:
    """Put the sections into the page; those measured earlier and not now stay as they are."""
    blocks = [found[0] for found in _PART.finditer(page.read_text())] if page.exists() else []
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n\n".join([HEAD.strip(), *blocks]) + "\n")
    put({name: section.markdown(machine) for name, section in report.items() if section.rows}, page)


def put(parts: dict[str, str], page: pathlib.Path) -> None:
    """Put texts between the marks of their names, or at the end of a page that has no such marks."""
    text = page.read_text() if page.exists() else ""
    marked = {found[1]: found[0] for found in _PART.finditer(text)}
    for name, part in parts.items():
        block = f"<!-- part {name} -->\n{part}\n<!-- end -->"
        text = text.replace(marked[name], block) if name in marked else f"{text}\n{block}\n".lstrip()
    page.write_text(text)


def fill_readme(readme: pathlib.Path = README, page: pathlib.Path = PAGE) -> None:
    """Copy the rows that have a target from the page into the marked place of the README."""
    parts = dict(_PART.findall(page.read_text()))
    text = "\n".join(part for name, part in parts.items() if name not in NOT_IN_README)
    rows = [dict(zip(COLUMNS, _cells(line), strict=True)) for line in text.splitlines() if line.startswith("| ")]
    chosen = [[row[name] for name in IN_README] for row in rows if row["reached"] in ("yes", "**no**")]
    if not chosen:
        return
    measured = re.findall(r"^Measured on (.*): `python", text, re.MULTILINE)
    # without the commits, which the page has
    machines = dict.fromkeys(re.sub(r" \([0-9a-f]{7}[^)]*\)", "", machine) for machine in measured)
    body = "\n\n".join([*(f"Measured on {machine}." for machine in machines), table(IN_README, chosen)])
    marked = re.compile(r"(<!-- measured: begin[^\n]*-->\n).*?(<!-- measured: end -->)", re.DOTALL)
    readme.write_text(marked.sub(lambda found: f"{found[1]}{body}\n{found[2]}", readme.read_text()))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
