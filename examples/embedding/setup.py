"""Builds the extension `segments`: `pip install --no-build-isolation .` or `python setup.py build_ext --inplace`."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

import gdfast

# The header is all that compiling needs. There is nothing to link: Cython fetches the functions from gdfast on import.
extension = Extension("segments", ["segments.pyx"], include_dirs=[gdfast.get_include()])

# Where gdfast/_core.pxd is: site-packages, or the checkout of an editable install.
packages = os.path.dirname(os.path.dirname(gdfast.__file__))

setup(ext_modules=cythonize([extension], include_path=[packages]))
