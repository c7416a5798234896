"""The C API as a list of plain lines: read from src/gdfast.h, kept in tests/c_api.txt, renewed by running this file.

python tests/c_api.py
"""

from __future__ import annotations

import pathlib
import re
import sys

__all__ = ["HEADER", "KEPT", "names", "read_header", "renew"]

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "src" / "gdfast.h"
KEPT = ROOT / "tests" / "c_api.txt"
VERSION = "#define GD_API_VERSION "


def _without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL).replace("\\\n", " ")


def _plain(text):
    """One way to write a declaration, whatever the spaces."""
    text = re.sub(r" ?([^\w ]) ?", r"\1", " ".join(text.split()))
    return " ".join(text.replace("*", " *").replace("( *", " (*").replace(",", ", ").split())


def _expanded(enum, macros):
    """The names of an enum in order, of an X-macro's list too: NAME(MACRO) with MACRO(name) some##name."""
    for name, (parameter, body) in macros.items():
        for call in re.findall(rf"{name}\((\w+)\)", enum):
            argument, pattern = macros[call]
            items = re.findall(rf"{parameter}\((\w+)\)", body)
            each = [re.sub(rf"\b{argument}\b", item, pattern).replace("##", "") for item in items]
            enum = enum.replace(f"{name}({call})", "".join(each))
    return enum


def _members(kind, body, macros):
    """A line for each field of a struct, or for each name of an enum with its number."""
    if kind == "struct":
        for field in filter(None, map(_plain, body.split(";"))):
            of_type, declared = re.match(r"((?:\w+ )+)(.*)", field).groups()
            yield from [field] if "(" in field else [of_type + each for each in declared.split(", ")]
    else:
        value = -1
        for entry in filter(None, map(_plain, _expanded(body, macros).split(","))):
            name, _, given = entry.partition("=")
            value = int(given) if given else value + 1
            yield f"{name} = {value}"


def read_header(text):
    """The lines of the API that the text of gdfast.h declares; members of a struct or enum are indented."""
    text = _without_comments(text)
    macros = {
        name: (parameter, body)
        for name, parameter, body in re.findall(r"^#define (\w+)\((\w+)\)(.*)$", text, re.MULTILINE)
    }
    lines = [f"#define {name} {value}" for name, value in re.findall(r"^#define (\w+) +(\S+) *$", text, re.MULTILINE)]
    text = re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE).replace('extern "C" {', "")
    pattern = r"(?:typedef\s+)?(struct|enum)\s*(\w*)\s*\{([^}]*)\}[^;]*;|([^;{}]+);"
    for kind, name, body, declaration in re.findall(pattern, text):
        if declaration:
            lines.append(_plain(declaration))
        else:
            lines.append(f"{kind} {name}".strip())
            lines += [f"    {member}" for member in _members(kind, body, macros)]
    return lines


def names(lines):
    """What a caller may write of the API: types, functions, constants, and fields as struct.field."""
    found, inside = set(), ""
    for line in lines:
        if not line.startswith(" "):
            inside = line.removeprefix("struct ") if line.startswith("struct ") else ""
            found |= set(re.findall(r"\b(?:gd|GD)_\w+", line))
        elif inside:
            field = re.search(r"\(\*(\w+)\)", line) or re.search(r"(\w+)(?:\[.*\])?$", line)
            found.add(f"{inside}.{field.group(1)}")
        else:
            found.add(line.split()[0])
    return found


def _entries(lines):
    """Functions, whole structs and whole enums."""
    return set(re.split(r"\n(?! )", "\n".join(line for line in lines if not line.startswith(VERSION))))


def renew():
    """Write the list anew. Refused if an entry changed or went, and GD_API_VERSION is what it was."""
    lines = read_header(HEADER.read_text())
    before = KEPT.read_text().splitlines() if KEPT.exists() else []
    version = [line for line in lines if line.startswith(VERSION)]
    changed = sorted(entry.split("\n")[0] for entry in _entries(before) - _entries(lines) if entry)
    if changed and version == [line for line in before if line.startswith(VERSION)]:
        sys.exit(f"callers would notice, so raise GD_API_VERSION in {HEADER} first: {'; '.join(changed)}")
    KEPT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    renew()
