"""
Claim counts: Poisson regression with exposure
==============================================

How many claims will a policy have? Policies run for different times, so what is modelled is the rate, claims
per year, and the logarithm of the years is the offset of the score. Without arguments: a portfolio drawn from
known rates, so that the answer can be compared with the truth. With ``--data freMTPL2freq.parquet``: 678 000
French motor policies.

::

    python examples/claims.py --out claims.png
    python examples/claims.py --data fremtpl2/freMTPL2freq.parquet
"""

import argparse
import time
import warnings
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import d2_tweedie_score
from sklearn.model_selection import train_test_split

from gdfast import GDRegressor

parser = argparse.ArgumentParser(description="Poisson regression with exposure")
parser.add_argument("--data", metavar="PATH", help="freMTPL2freq.parquet; by default a made-up portfolio")
parser.add_argument("--out", metavar="PNG", default="claims.png", help="where to write the picture")
options = parser.parse_args()
warnings.simplefilter("ignore")  # PoissonRegressor finds columns that depend on each other, and goes on by lbfgs

# %%
# The policies
# ------------
# Columns of numbers as they are, bands of the driver's age and the region as one-hot columns.

bands = [18, 22, 26, 31, 41, 51, 71, 120]
if options.data:
    table = pd.read_parquet(options.data)
    claims, years = table["ClaimNb"].to_numpy(float), table["Exposure"].to_numpy()
    columns = table[["VehPower", "VehAge", "BonusMalus"]].assign(log_density=np.log(table["Density"]))
    region, age, truth = table["Region"].astype(str), table["DrivAge"], None
else:
    rng = np.random.default_rng(0)
    n = 100_000
    years = rng.uniform(0.1, 1.0, n)
    age = pd.Series(rng.integers(18, 90, n))
    columns = pd.DataFrame({"VehPower": rng.integers(4, 13, n), "VehAge": rng.integers(0, 20, n)})
    region = pd.Series(rng.choice(["north", "south", "city"], n))
    young = np.exp(-(age - 18) / 6)
    truth = np.exp(-2.6 + 1.2 * young + 0.03 * columns["VehPower"] + 0.4 * (region == "city")).to_numpy()
    claims = rng.poisson(years * truth).astype(float)
band = pd.cut(age, bands, right=False).astype(str)
X = pd.get_dummies(columns.assign(age=band, region=region), dtype=np.float32).astype(np.float32)
train, test = train_test_split(np.arange(len(X)), random_state=0)
rows = X.to_numpy()
print(f"{len(X):,} policies x {X.shape[1]} columns, {claims.sum():,.0f} claims in {years.sum():,.0f} years")

# %%
# Beside scikit-learn
# -------------------
# PoissonRegressor has no offset: it gets frequencies weighted by the years, whose optimum is the same one if
# the penalty counts years too. D2 is the share of the deviance that is explained.

alpha = 1e-4
per_year = len(train) / years[train].sum()
theirs = PoissonRegressor(alpha=alpha * per_year, solver="newton-cholesky")  # lbfgs fails on raw columns
models = {
    "GDRegressor, offset": (GDRegressor(loss="poisson", alpha=alpha), claims, {"offset": np.log(years)}),
    "PoissonRegressor": (theirs, claims / years, {"sample_weight": years}),
}
rates = {}
print(f"{'':20} {'D2':>7} {'claims, true':>13} {'expected':>9} {'time':>9}")
for name, (model, target, extra) in models.items():
    start = time.perf_counter()
    model.fit(rows[train], target[train], **{key: values[train] for key, values in extra.items()})
    took = time.perf_counter() - start
    rates[name] = model.predict(rows[test]).astype(float)
    d2 = d2_tweedie_score(claims[test] / years[test], rates[name], power=1, sample_weight=years[test])
    expected = (rates[name] * years[test]).sum()
    print(f"{name:20} {d2:7.4f} {claims[test].sum():13,.0f} {expected:9,.0f} {took:7.2f} s")

# %%
# What was learnt
# ---------------
# Left, what the driver's age multiplies the rate by. Right, held-out policies in ten groups of equal exposure,
# from the lowest rate that was expected to the highest: a good model lies on the diagonal. Bars are two
# standard errors of a Poisson count.

model = models["GDRegressor, offset"][0]
figure, (ages, groups) = plt.subplots(1, 2, figsize=(10.5, 4.6), layout="constrained")
labels = [f"[{low}, {high})" for low, high in pairwise(bands)]
weights = pd.Series(model.coef_, index=X.columns)[[f"age_{label}" for label in labels]].to_numpy()
shown = [f"{low} to {high - 1}" for low, high in pairwise(bands[:-1])] + [f"{bands[-2]} on"]
relative = np.exp(weights - weights[4])
ages.plot(shown, relative, "o", color="#0072B2", markersize=8, label="learnt")
if truth is not None:
    mean = np.array([np.average(np.exp(1.2 * young[band == label]), weights=years[band == label]) for label in labels])
    ages.plot(shown, mean / mean[4], "_", color="#D55E00", markersize=22, markeredgewidth=2.5, label="drawn with")
    ages.legend()
ages.axhline(1, color="0.6", linewidth=1)
ages.set(
    xlabel="age of the driver",
    ylabel=f"rate, that of {shown[4]} is 1",
    title="By the driver's age, all else equal",
    ylim=(0, None),
)
ages.tick_params(axis="x", rotation=30)

rate = rates["GDRegressor, offset"]
order = np.argsort(rate)
group = np.minimum(10 * np.cumsum(years[test][order]) / years[test].sum(), 9.999).astype(int)
time_of, counted, expected = (
    np.bincount(group, values[order]) for values in (years[test], claims[test], rate * years[test])
)
groups.errorbar(
    expected / time_of, counted / time_of, yerr=2 * np.sqrt(counted) / time_of, fmt="o", color="#0072B2", capsize=3
)
top = 1.1 * (counted / time_of).max()
groups.plot([0, top], [0, top], color="#D55E00", linewidth=1.5, label="what a perfect model has")
groups.set(xlabel="expected claims a year", ylabel="observed claims a year", title="Held-out policies, ten groups")
groups.legend()
for ax in (ages, groups):
    ax.grid(alpha=0.3)
figure.savefig(options.out, dpi=150)
