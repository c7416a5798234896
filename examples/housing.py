"""
Regression from unscaled columns
================================

Prices or progressions from columns in their own units, beside scikit-learn. Without arguments: the diabetes set
that scikit-learn carries. With ``--data housing.csv``: the California housing file, where a median income of 3
stands beside a population of 30 000, a column is text and some values are missing.

::

    python examples/housing.py --out housing.png
    python examples/housing.py --data california_housing/housing.csv
"""

import argparse
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gdfast

parser = argparse.ArgumentParser(description="Regression from unscaled columns")
parser.add_argument("--data", metavar="PATH", help="housing.csv of California; by default the diabetes set")
parser.add_argument("--out", metavar="PNG", default="housing.png", help="where to write the picture")
options = parser.parse_args()
warnings.simplefilter("ignore")  # others ask for scaled columns, the plain rule for more steps: as is to be shown

# %%
# The rows
# --------
# Text becomes one-hot columns, missing values the median of the training rows. Nothing is scaled.

if options.data:
    table = pd.read_csv(options.data)
    target, unit, whose = "median_house_value", "thousand dollars", "California housing"
    y = table.pop(target).to_numpy() / 1000
    columns = pd.get_dummies(table, dtype=float)
else:
    data = load_diabetes(scaled=False)
    y, unit, whose = data.target, "points", "diabetes"
    columns = pd.DataFrame(data.data, columns=data.feature_names)
train, test = train_test_split(np.arange(len(y)), random_state=0)
columns = columns.fillna(columns.iloc[train].median())
X = columns.to_numpy()
spread = X.std(axis=0)
print(f"{whose}: {X.shape[0]:,} rows x {X.shape[1]} columns, spreads from {spread.min():.2g} to {spread.max():.2g}")

# %%
# Beside scikit-learn
# -------------------
# The same penalty for all. SGDRegressor needs a scaler in front; Ridge solves a system of equations and minds
# units little.

alpha = 1e-4
models = {
    "GDRegressor": gdfast.GDRegressor(alpha=alpha),
    "Ridge": Ridge(alpha * len(train)),
    "SGDRegressor, raw": SGDRegressor(alpha=alpha, random_state=0),
    "SGDRegressor, scaled": make_pipeline(StandardScaler(), SGDRegressor(alpha=alpha, random_state=0)),
}
print(f"{'':22} {'R2':>8}  {'RMSE':>8}  {'time':>8}")
for name, model in models.items():
    start = time.perf_counter()
    answers = model.fit(X[train], y[train]).predict(X[test])
    took = time.perf_counter() - start
    r2, rmse = r2_score(y[test], answers), root_mean_squared_error(y[test], answers)
    print(f"{name:22} {r2:8.3g}  {rmse:8.3g}  {1000 * took:5.1f} ms")

# %%
# How the descents went
# ---------------------
# The plain rule with the best of rates, on the columns as they are and scaled, and solver "auto" on the columns
# as they are.

scaled = (X[train] - X[train].mean(axis=0)) / np.where(spread > 0, X[train].std(axis=0), 1)
steps = {"max_iter": 300, "tol": None}
descents = {
    "the rule, raw columns": gdfast.gradient_descent(X[train], y[train], **steps),
    "the rule, scaled columns": gdfast.gradient_descent(scaled, y[train], **steps),
    "solver auto, raw columns": gdfast.gradient_descent(X[train], y[train], solver="auto", tol=1e-12),
}
least = descents["solver auto, raw columns"].error

figure, (errors, fit) = plt.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
for (name, result), look in zip(descents.items(), ("-.", "--", "o-"), strict=True):
    left = np.maximum(result.loss_curve / least - 1, 1e-12)
    errors.plot(np.arange(1, result.n_iter + 1), left, look, linewidth=2, markersize=6, label=name)
errors.set(
    xscale="log", yscale="log", xlabel="step", ylabel="left to gain, as a share of the least error", title="The descent"
)
errors.legend()
errors.grid(alpha=0.3)

answers = models["GDRegressor"].predict(X[test])
fit.plot(y[test], answers, ".", alpha=0.5 if len(test) < 1000 else 0.1, markersize=5, color="#0072B2")
ends = [y[test].min(), y[test].max()]
fit.plot(ends, ends, color="#D55E00", linewidth=1.5, label="perfect")
r2 = r2_score(y[test], answers)
fit.set(xlabel=f"true value ({unit})", ylabel=f"answer ({unit})", title=f"{len(test):,} rows held out: R2 {r2:.3f}")
fit.legend()
figure.suptitle(f"{whose}: {X.shape[1]} columns in their own units")
figure.savefig(options.out, dpi=150)
