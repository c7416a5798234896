"""
Hourly air quality: validate on later hours, stop in time
=========================================================

How much fine dust (PM2.5) will there be in six hours? Hours that follow each other are alike, so rows held out
at random would be answered by their neighbours, and the score would flatter. Here the rows are cut by time: the
model is trained on the first, stopped by later ones, and scored on the last. With ``--data
prsa_multisite.csv.gz``: four years of hours in Beijing, the mean of twelve stations. Without arguments the
hours are *made up*, by a model of wind and dust that is simple on purpose: scikit-learn carries no such series.

::

    python examples/air.py --out air.png
    python examples/air.py --data beijing_air/prsa_multisite.csv.gz
"""

import argparse
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.metrics import r2_score, root_mean_squared_error

import gdfast

parser = argparse.ArgumentParser(description="Time-split validation and early stopping")
parser.add_argument("--data", metavar="PATH", help="prsa_multisite.csv.gz of Beijing; by default made-up hours")
parser.add_argument("--out", metavar="PNG", default="air.png", help="where to write the picture")
options = parser.parse_args()
warnings.simplefilter("ignore")  # SGDRegressor's convergence

# %%
# The hours
# ---------


def beijing():
    """Means of the stations, hour by hour; hours without any measurement take the one before."""
    table = pd.read_csv(options.data)
    when = pd.to_datetime(table[["year", "month", "day", "hour"]])
    names = ["PM2.5", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN", "WSPM"]
    return table[names].groupby(when).mean().ffill()


def made_up(days=190):
    """Dust builds up where traffic is and wind is not; weather changes in days."""
    rng = np.random.default_rng(0)
    hours = pd.date_range("2024-01-01", periods=24 * days, freq="h")
    n = len(hours)
    weather, dust = np.zeros(n), np.full(n, 40.0)
    for i in range(1, n):
        weather[i] = 0.97 * weather[i - 1] + 0.24 * rng.normal()
    wind = np.exp(0.5 * weather + 0.5)
    traffic = 1.4 - np.cos((hours.hour - 2) / 12 * np.pi)  # least at two o'clock at night
    for i in range(1, n):
        dust[i] = dust[i - 1] * np.exp(-0.1 * wind[i]) + 6.0 * traffic[i] * np.exp(0.3 * rng.normal())
    columns = {
        "PM2.5": dust,
        "WSPM": wind * np.exp(0.1 * rng.normal(size=n)),
        "TEMP": 12 - 5 * np.cos((hours.hour - 3) / 12 * np.pi) - 2 * weather + rng.normal(size=n),
        "PRES": 1013 - 4 * weather + rng.normal(size=n),
    }
    return pd.DataFrame(columns, index=hours)


hours = beijing() if options.data else made_up()
source = "Beijing, mean of the stations" if options.data else "made-up hours"
ahead = 6
lags = {f"{name}, {lag} h ago": hours[name].shift(lag) for name in hours for lag in range(24)}
clock = pd.get_dummies(pd.Series(hours.index.hour, index=hours.index).shift(-ahead), prefix="hour", dtype=float)
table = pd.concat([pd.DataFrame(lags), clock, hours["PM2.5"].shift(-ahead).rename("target")], axis=1).dropna()
y, X, when = table["target"].to_numpy(), table.drop(columns="target").to_numpy(), table.index

# %%
# Cut by time
# -----------
# Made up: three weeks to train on, six to stop by, the rest to score; Beijing: a year, half a year, a year.
# Between the parts 30 hours are left out, so that no row has seen what another part is asked. Three weeks are
# few hours for 120 columns, and stopping in time pays; a year is enough for 288, and it makes little
# difference.

week = 24 * 7
first, second, third = (week * count for count in ((52, 78, 130) if options.data else (3, 9, 26)))
train, validation, test = slice(0, first - 30), slice(first, second - 30), slice(second, third)
mean, spread = X[train].mean(axis=0), X[train].std(axis=0)
Z = (X - mean) / np.where(spread > 0, spread, 1)
hours_of = [len(y[part]) for part in (train, validation, test)]
print(f"{source}: {X.shape[1]} columns; hours to train on, to stop by, to score: {hours_of}")

# %%
# Beside scikit-learn
# -------------------
# SGDRegressor stops early by rows that it draws at random, neighbours of those it is trained on. "Now" says
# that nothing will change.

rule = {"solver": "gd", "momentum": 0.9, "alpha": 0.0, "max_iter": 300 if options.data else 1000}
stopped = gdfast.GDRegressor(n_iter_no_change=100, **rule)
models = {
    "GDRegressor, stopped by later hours": (stopped, {"X_val": Z[validation], "y_val": y[validation]}),
    "GDRegressor, trained to the end": (gdfast.GDRegressor(tol=None, **rule), {}),
    "SGDRegressor, stopped by random hours": (SGDRegressor(early_stopping=True, random_state=0), {}),
    "Ridge": (Ridge(1.0), {}),
}
answers = {"now": table["PM2.5, 0 h ago"].to_numpy()}
print(f"{'':38} {'R2':>7} {'RMSE':>7} {'time':>8}")
for name, (model, extra) in models.items():
    start = time.perf_counter()
    model.fit(Z[train], y[train], **extra)
    took = time.perf_counter() - start
    answers[name] = model.predict(Z)
    r2, rmse = r2_score(y[test], answers[name][test]), root_mean_squared_error(y[test], answers[name][test])
    print(f"{name:38} {r2:7.4f} {rmse:7.2f} {took:6.2f} s")
print(f"{'now':38} {r2_score(y[test], answers['now'][test]):7.4f}")

# %%
# When to stop
# ------------
# The errors per epoch of the same rule, let run on, and two weeks of the last part.

running = gdfast.gradient_descent(
    Z[train], y[train], X_val=Z[validation], y_val=y[validation], tol=None, n_iter_no_change=1000, **rule
)
figure, (errors, weeks) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", width_ratios=[1, 1.3])
gdfast.DescentDisplay.from_result(running, ax=errors, panels=["error"], yscale="log", xscale="log")
errors.set_title(f"the weights of epoch {int(running.validation_curve.argmin()) + 1} are kept")
shown = slice(second + week, second + 3 * week)
weeks.plot(when[shown], y[shown], color="0.35", linewidth=1.5, label="measured" if options.data else "made up")
best = "GDRegressor, stopped by later hours"
foretold = f"foretold {ahead} hours before"
weeks.plot(when[shown], answers[best][shown], color="#D55E00", linewidth=1.5, linestyle="--", label=foretold)
r2 = r2_score(y[test], answers[best][test])
weeks.set(ylabel="PM2.5 (µg/m³)", title=f"Two weeks of the last part: R2 of all of it {r2:.3f}")
weeks.legend()
weeks.grid(alpha=0.3)
weeks.tick_params(axis="x", rotation=30)
figure.suptitle(f"Fine dust in six hours: {source}")
figure.savefig(options.out, dpi=150)
