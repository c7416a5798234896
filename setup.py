"""The compiled part of gdfast; everything else is in pyproject.toml."""

import os
import sys
from glob import glob

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# One set of flags for every source and instruction set (src/kernels.c): no -march=native, nothing that lets the
# compiler reassociate or contract floating point. The two -fno flags concern errno and exception flags, never values.
if sys.platform == "win32":
    flags, link = ["/O2", "/std:c11"], []
else:
    flags = [
        "-std=c11",
        "-D_GNU_SOURCE",
        "-O3",
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fvisibility=hidden",
    ]
    link = ["-pthread"]
flags += os.environ.get("GDFAST_CFLAGS", "").split()  # for sanitizers and warnings

core = Extension(
    "gdfast._core",
    ["gdfast/_core.pyx", *sorted(glob("src/*.c"))],
    include_dirs=["src", numpy.get_include()],
    depends=[*glob("src/*.h"), *glob("src/*.inc")],
    define_macros=[
        ("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"),
        ("NPY_TARGET_VERSION", "NPY_1_25_API_VERSION"),  # the oldest to run with, whatever the build has
    ],
    extra_compile_args=flags,
    extra_link_args=link,
)

setup(ext_modules=cythonize([core], build_dir="build"))
