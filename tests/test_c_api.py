"""The C API does not change by accident: its list, GD_API_VERSION, and what Cython code sees of it."""

from __future__ import annotations

import ctypes
import difflib
import re

import c_api
import pytest

from gdfast import _core

LINES = c_api.read_header(c_api.HEADER.read_text())


def test_the_header_declares_what_is_on_the_list():
    kept = c_api.KEPT.read_text().splitlines()
    changes = "\n".join(difflib.unified_diff(kept, LINES, "tests/c_api.txt", "src/gdfast.h", lineterm="", n=1))
    if changes:
        pytest.fail(
            f"The C API of src/gdfast.h changed:\n{changes}\n\n"
            "Was that on purpose? Then raise GD_API_VERSION in src/gdfast.h, unless all that changed is that functions "
            "were added, bring gdfast/_core.pxd (and _exports.pxi, for functions) up to date, and renew the list:\n"
            "    python tests/c_api.py"
        )


HEADER = """
#define GD_API_VERSION 4   /* a comment */
#define LIST(X) X(one)  \\
    X(two)
#ifdef __cplusplus
extern "C" {
#endif
enum { GD_SIZE = 8 };
typedef enum gd_kind { GD_A, GD_B = 5, GD_C, /* of
  two lines; */ GD_D } gd_kind;
typedef enum gd_name {
#define ENUM(name) gd_name_##name,
    LIST(ENUM)
#undef ENUM
    GD_N_NAMES
} gd_name;
typedef struct gd_thing { double *a,*b; const char * c; int32_t d , e[3]; int (*call)(void *context, int); } gd_thing;
gd_kind  gd_do( const gd_thing*thing,
                double x );
"""
READ = """\
#define GD_API_VERSION 4
enum
    GD_SIZE = 8
enum gd_kind
    GD_A = 0
    GD_B = 5
    GD_C = 6
    GD_D = 7
enum gd_name
    gd_name_one = 0
    gd_name_two = 1
    GD_N_NAMES = 2
struct gd_thing
    double *a
    double *b
    const char *c
    int32_t d
    int32_t e[3]
    int (*call)(void *context, int)
gd_kind gd_do(const gd_thing *thing, double x)
"""


def test_reading_a_header():
    """Every kind of declaration; comments, spaces and line ends do not count."""
    assert c_api.read_header(HEADER) == READ.splitlines()
    assert c_api.read_header("\n\n" + HEADER.replace("  ", "   ").replace("a comment", "another")) == READ.splitlines()
    fields = {f"gd_thing.{name}" for name in ("a", "b", "c", "d", "e", "call")}
    constants = {"GD_API_VERSION", "GD_SIZE", "GD_A", "GD_B", "GD_C", "GD_D", "GD_N_NAMES"}
    constants |= {"gd_name_one", "gd_name_two"}
    assert c_api.names(READ.splitlines()) == fields | constants | {"gd_kind", "gd_name", "gd_thing", "gd_do"}


@pytest.mark.parametrize(
    "old, new",
    [
        ("int32_t d", "int64_t d"),
        ("GD_B = 5", "GD_B"),
        ("double x", "float x"),
        ("GD_N_NAMES", "GD_LAST"),
        ("X(one)", ""),
    ],
)
def test_renewing_asks_for_a_version(tmp_path, monkeypatch, old, new):
    """What a caller would notice needs another version; a function more does not."""
    monkeypatch.setattr(c_api, "HEADER", tmp_path / "gdfast.h")
    monkeypatch.setattr(c_api, "KEPT", tmp_path / "c_api.txt")
    c_api.HEADER.write_text(HEADER)
    c_api.renew()
    more = HEADER + "void gd_more(void);\n"
    c_api.HEADER.write_text(more)
    c_api.renew()
    assert c_api.KEPT.read_text() == READ + "void gd_more(void)\n"
    changed = more.replace(old, new)
    c_api.HEADER.write_text(changed)
    with pytest.raises(SystemExit, match=r"raise GD_API_VERSION in .*gdfast\.h first: .*gd_"):
        c_api.renew()
    assert c_api.KEPT.read_text() == READ + "void gd_more(void)\n"
    c_api.HEADER.write_text(changed.replace("GD_API_VERSION 4", "GD_API_VERSION 5"))
    c_api.renew()
    assert c_api.KEPT.read_text().startswith("#define GD_API_VERSION 5\n")


def pxd_names():
    """What gdfast/_core.pxd gives to those who cimport it, named as c_api.names does."""
    text = re.sub(r" *#.*", "", (c_api.ROOT / "gdfast" / "_core.pxd").read_text())
    found = set(re.findall(r"^(?:cdef|    ctypedef) .*?\b(gd_\w+)\)?[(:]", text, re.MULTILINE))
    for constants in re.findall(r"^    int ([A-Z_, ]+)$", text, re.MULTILINE):
        found |= set(constants.split(", "))
    for kind, name, body in re.findall(r"^    ctypedef (enum|struct) (\w+):\n((?:        .*\n)+)", text, re.MULTILINE):
        for line in body.splitlines():
            if kind == "enum":
                found |= {entry.strip() for entry in line.split(",")}
            elif "(" in line:
                found.add(f"{name}.{re.search(r'[(][*](.*?)[)]', line)[1]}")
            else:
                found |= {f"{name}.{field}" for field in re.sub(r"^ +(const )?\w+ [*]*", "", line).split(", ")}
    return found


def test_cython_code_sees_all_of_it():
    """Types, fields, constants and functions, all but gd_init: gdfast has called it."""
    assert pxd_names() ^ c_api.names(LINES) == {"gd_init"}


@pytest.mark.parametrize(
    "kind, prefix, theirs",
    [
        ("gd_solver", "GD_SOLVER_", _core.SOLVERS),
        ("gd_schedule", "GD_", _core.SCHEDULES),
        ("gd_reason", "GD_STOP_", _core.REASONS),
        ("gd_method", "GD_METHOD_", _core.METHODS),
    ],
)
def test_the_names_that_python_uses_are_in_the_order_of_the_enums(kind, prefix, theirs):
    entry = next(entry for entry in re.split(r"\n(?! )", "\n".join(LINES)) if entry.startswith(f"enum {kind}\n"))
    assert entry.split("\n")[1:] == [f"    {prefix}{name.upper()} = {number}" for number, name in enumerate(theirs)]


def signature(declaration):
    """(name, its type in the words of Cython's capsules): no names of arguments, const behind what it is about."""
    of_type, name, arguments = re.match(r"(.*?)(\w+)\((.*)\)$", declaration).groups()
    types = [each if each == "void" else re.sub(r"\w+$", "", each).strip() for each in arguments.split(", ")]
    whole = f"{of_type.strip()} ({', '.join(types)})"
    return name, re.sub(r"const (\w+)", r"\1 const", whole).replace("* (", "*(")


def test_capsules_have_the_signatures_of_the_header():
    """What other extensions call is what the header declares, to the types of the arguments."""
    declared = dict(signature(line) for line in LINES if re.match(r"(?!typedef)\w.*\)$", line))
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    capsules = {name: name_of(capsule).decode() for name, capsule in _core.__pyx_capi__.items()}
    del declared["gd_init"]
    assert capsules == declared
