"""Run the benchmarks: `python -m benchmarks [pass types many grids sparse batches small predict memory] [options]`.

The race of whole fits against other libraries is `python -m benchmarks.solve`, how cost grows `benchmarks.growth`.

Options are those of pytest. Prints the tables and, at full size, writes them to docs/benchmarks.md and README.md.
"""

from __future__ import annotations

import itertools
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent


def main() -> int:
    """Hand the benchmarks named first on the command line, or all of them, to pytest."""
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), sys.argv[1:]))
    options = sys.argv[1 + len(names) :]
    files = [HERE / f"test_{name}.py" for name in names] or [HERE]
    columns = "--benchmark-columns=median,iqr,rounds"
    return pytest.main([*map(str, files), "--benchmark-only", "-q", columns, *options])


if __name__ == "__main__":
    sys.exit(main())
