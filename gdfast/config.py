"""What this installation is made of."""

from __future__ import annotations

import os
import platform
import sys

import numpy as np

__all__ = ["get_include", "show_config"]


def get_include() -> str:
    """Return the folder of `gdfast.h`, the header of the C engine, for the include path of code that calls it.

    Cython code fetches the functions from the engine that gdfast has loaded: ``from gdfast._core cimport gd_descend``.
    Programs without Python compile the sources, which are in the folder's ``src``, into themselves. The folder
    ``examples/embedding`` of the sources of gdfast has an example of both.

    Returns
    -------
    str
        Absolute. It holds nothing but `gdfast.h` and the folder `src`, so it hides no header of anybody else.

    Examples
    --------
    >>> import gdfast, os
    >>> sorted(os.listdir(gdfast.get_include()))
    ['gdfast.h', 'src']
    """
    import gdfast

    return os.path.join(os.path.dirname(os.path.abspath(gdfast.__file__)), "include")


def show_config() -> None:
    """Print version, instruction set, threads and the versions of what gdfast stands on.

    Examples
    --------
    >>> import gdfast
    >>> gdfast.show_config()  # doctest: +ELLIPSIS
    gdfast ...
    """
    import gdfast
    from gdfast import _core
    from gdfast._threads import threads

    lines = {
        "gdfast": gdfast.__version__,
        "instruction set": f"{_core.isa()} (available: {', '.join(_core.available_isas())}; choose with GDFAST_ISA)",
        "threads": f"{threads(None)}",
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "scikit-learn": _version("sklearn"),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    for name, value in lines.items():
        print(f"{name:16} {value}")


def _version(module: str) -> str:
    try:
        return str(__import__(module).__version__)
    except ImportError:
        return "not installed"
