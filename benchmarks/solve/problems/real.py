"""Public sets, where they are at hand (`benchmarks.data.DATA`); raw, categories one column each."""

from __future__ import annotations

import gzip
import pathlib
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.data import DATA

__all__ = ["beijing", "california", "fremtpl2", "mnist", "news20", "svmlight"]

Doubles = NDArray[np.float64]


def _path(name: str) -> pathlib.Path:
    if not (DATA / name).exists():
        raise FileNotFoundError(f"{name} is not in {DATA}; GDFAST_DATA says where it is")
    return DATA / name


def _columns(table: Any, numbers: list[str], categories: list[str]) -> Doubles:
    """Numbers, their gaps filled by the median, beside one column of 0 and 1 for each category."""
    import pandas as pd

    parts = [table[numbers].fillna(table[numbers].median()).to_numpy(float)]
    parts += [pd.get_dummies(table[name]).to_numpy(float) for name in categories]
    return np.ascontiguousarray(np.hstack(parts))


@cache
def california() -> tuple[Doubles, Doubles]:
    """Blocks of houses: X (20640, 13), median value in dollars."""
    import pandas as pd

    table = pd.read_csv(_path("california_housing/housing.csv"))
    numbers = [name for name in table.columns if name not in ("ocean_proximity", "median_house_value")]
    return _columns(table, numbers, ["ocean_proximity"]), table["median_house_value"].to_numpy(float)


@cache
def beijing() -> tuple[Doubles, Doubles]:
    """Hours at stations: X (412029, 74), fine dust PM2.5."""
    import pandas as pd

    table = pd.read_csv(_path("beijing_air/prsa_multisite.csv.gz"), na_values="NA")
    table = table[table["PM2.5"].notna()]
    numbers = ["PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN", "WSPM"]
    return _columns(table, numbers, ["station", "wd", "hour", "month"]), table["PM2.5"].to_numpy(float)


@cache
def fremtpl2() -> tuple[Doubles, Doubles, Doubles]:
    """Motor policies: X (677991, 46), claims a year, years."""
    import pandas as pd

    table = pd.read_parquet(_path("fremtpl2/freMTPL2freq.parquet"))
    numbers = ["VehPower", "VehAge", "DrivAge", "BonusMalus", "Density"]
    X = _columns(table, numbers, ["Area", "VehBrand", "VehGas", "Region"])
    years = table["Exposure"].to_numpy(float)
    return X, table["ClaimNb"].to_numpy(float) / years, years


@cache
def mnist() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Handwritten digits: pixels (60000, 784) of 0 ... 255, digit."""
    with gzip.open(_path("mnist/train-images-idx3-ubyte.gz")) as images:
        X = np.frombuffer(images.read(), np.uint8, offset=16).reshape(-1, 784)
    with gzip.open(_path("mnist/train-labels-idx1-ubyte.gz")) as labels:
        return X, np.frombuffer(labels.read(), np.uint8, offset=8).astype(np.int64)


@cache
def svmlight(name: str) -> tuple[Any, NDArray[np.int64]]:
    """A file in svmlight format: X (n, d) CSR, codes of the classes."""
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(_path(name)))
    return X, np.unique(y, return_inverse=True)[1]


@cache
def news20() -> tuple[Any, NDArray[np.int64]]:
    """Posts of 20 groups: X (11314, 101631) CSR, tf-idf of the words, group."""
    from sklearn.feature_extraction.text import TfidfTransformer

    X, y = svmlight("news20/20news-bydate_train.svmlight.gz")
    return TfidfTransformer(sublinear_tf=True).fit_transform(X).tocsr(), y
