"""What this installation is made of."""

from __future__ import annotations

import os
import platform
import sys

import numpy as np

__all__ = ["get_include", "show_config"]


def get_include() -> str:
    """Return the folder of `gdfast.h`, the header of the C engine, for the include path of extensions that embed it.

    Returns
    -------
    str

    Examples
    --------
    >>> import gdfast, os
    >>> os.path.exists(os.path.join(gdfast.get_include(), "gdfast.h"))
    True
    """
    import gdfast

    package = os.path.dirname(os.path.abspath(gdfast.__file__))
    installed = os.path.join(package, "include")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(package), "src")


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
