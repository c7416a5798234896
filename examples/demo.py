"""The main job from start to end: CSV files to models, by the command and in Python, beside scikit-learn.

    make demo            or            python examples/demo.py

Needs no network: the data ship inside scikit-learn. Files and pictures go to the folder demo/. Where the
folder of real data sets is present (environment variable GDFAST_DATA, or ../shared/data beside the checkout),
California housing and MNIST are added. Less than two minutes on two cores.
"""

from __future__ import annotations

import gzip
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import textwrap
import time
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.csv
import sklearn
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LassoCV, LogisticRegression, Ridge, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gdfast
from gdfast import reference
from gdfast.displays.descent import Curves
from gdfast.encoder import Encoder
from gdfast.table import read_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "demo"
DATA = pathlib.Path(os.environ.get("GDFAST_DATA", ROOT.parent / "shared" / "data"))
ALPHA = 1e-4


def main():
    """Run all parts of the demo."""
    start = time.perf_counter()
    OUT.mkdir(exist_ok=True)
    print(f"gdfast {gdfast.__version__} beside scikit-learn {sklearn.__version__}, {os.cpu_count()} cores")
    sets = bundled_sets()
    by_command(sets)
    by_python(sets)
    by_cross_validation(sets)
    draw_early_stopping(*sets["digits"])
    two_million_rows()
    if (DATA / "california_housing").is_dir():
        california()
    if (DATA / "mnist").is_dir():
        mnist()
    pictures = ", ".join(sorted(path.name for path in OUT.glob("*.png")))
    print(f"\nPictures in {OUT.name}/: {pictures}\nThe whole demo took {time.perf_counter() - start:.0f} s.")


def title(text):
    print(f"\n\n{text}\n{'=' * len(text)}\n", flush=True)


def say(text):
    print(textwrap.fill(text, 105) + "\n", flush=True)


def table(head, rows):
    """Print columns side by side: the first to the left, the others to the right."""
    rows = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for i, row in enumerate(rows):
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
        ]
        print("  " + "  ".join(cells).rstrip())
        if i == 0:
            print("  " + "-" * (sum(widths) + 2 * len(widths) - 2))
    print(flush=True)


# --------------------------------------------------------------------------------------- part 1: the command


def bundled_sets():
    """Three sets that ship inside scikit-learn: name -> (names of the columns, X, y, target's name)."""
    cancer = load_breast_cancer()
    diabetes = load_diabetes(scaled=False)
    digits = load_digits()
    return {
        "breast_cancer": (cancer.feature_names, cancer.data, cancer.target_names[cancer.target], "diagnosis"),
        "diabetes": (diabetes.feature_names, diabetes.data, diabetes.target, "progression"),
        "digits": (digits.feature_names, digits.data.astype(np.uint8), digits.target, "digit"),
    }


def split(X, y):
    """A quarter of the rows for the test; classes in equal shares."""
    stratify = y if len(np.unique(y)) <= 10 else None
    return train_test_split(X, y, test_size=0.25, random_state=0, stratify=stratify)


def gdfast_command(*arguments):
    """Run the command as a user would type it, from the project's folder."""
    print(f"$ {shlex.join(['gdfast', *arguments])}", flush=True)
    path = os.pathsep.join([os.path.dirname(os.path.dirname(gdfast.__file__)), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-m", "gdfast", *arguments], cwd=ROOT, env=environment, check=True)
    print(flush=True)


def by_command(sets):
    title("1. From CSV files, by the command")
    for name, (columns, X, y, target) in sets.items():
        X_train, X_test, y_train, y_test = split(X, y)
        for part, rows, answers in (("train", X_train, y_train), ("test", X_test, y_test)):
            data = {str(column): rows[:, j] for j, column in enumerate(columns)}
            pa.csv.write_csv(pa.table({**data, target: answers.tolist()}), OUT / f"{name}_{part}.csv")
        train, test = (f"demo/{name}_{part}.csv" for part in ("train", "test"))
        model, picture = f"demo/{name}.gdf", f"demo/{name}.png"
        gdfast_command("train", train, "--target", target, "--out", model, "--plot", picture)
        gdfast_command("predict", model, test, "--out", f"demo/{name}_predictions.csv")


# ------------------------------------------------------------ part 2: through Python, beside scikit-learn


def compare(models, X_train, y_train, X_test, y_test, objective, repeats=3):
    """Fit the models in turns, several rounds, and print held-out scores, times and what they warned of.

    Parameters
    ----------
    models : dict of str to callable
        Makes a fresh estimator.
    objective : callable or None
        The common objective on the training rows, for models that are trained on just that.
    """
    seconds, fitted, warned = in_turns(models, X_train, y_train, repeats)
    rows, complaints = [], []
    for name, model in fitted.items():
        scores = score(model, X_test, y_test)
        reached = [] if objective is None else ["" if "scaler" in name else f"{objective(model):#.7g}"]
        rows.append([name, *scores.values(), *reached, duration(seconds[name]), len(warned[name]) or ""])
        if warned[name]:
            first = str(warned[name][0].message).split("\n")[0].rstrip(":")
            complaint = f"{name} warned: {warned[name][0].category.__name__}: {first}"
            complaints.append(textwrap.fill(complaint, 105, initial_indent="  ", subsequent_indent="    "))
    columns = [*scores, *(["objective"] if objective else []), "time", "warnings"]
    table(["fitted on the training rows", *columns], rows)
    if complaints:
        print("\n".join(complaints) + "\n")


def in_turns(models, X, y, repeats):
    """Median seconds of a fit, a fitted model and its warnings, of each."""
    seconds, fitted, warned = {name: [] for name in models}, {}, {}
    for _ in range(repeats):
        for name, make in models.items():
            model = make()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                start = time.perf_counter()
                model.fit(X, y)
                seconds[name].append(time.perf_counter() - start)
            fitted[name], warned[name] = model, caught
    return {name: statistics.median(times) for name, times in seconds.items()}, fitted, warned


def duration(seconds):
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def score(model, X, y):
    """Scores on the test rows, as texts."""
    if hasattr(model, "classes_"):
        p = model.predict_proba(X).astype(np.float64)
        p /= p.sum(axis=1, keepdims=True)
        values = {"accuracy": metrics.accuracy_score(y, model.predict(X)), "log loss": metrics.log_loss(y, p)}
    else:
        answers = model.predict(X)
        values = {"R2": metrics.r2_score(y, answers), "RMSE": metrics.root_mean_squared_error(y, answers)}
    return {name: figure_of(value) for name, value in values.items()}


def figure_of(value):
    if abs(value) < 1000:
        return f"{value:.4f}"
    return f"{value:,.1f}" if abs(value) < 1e6 else f"{value:.1e}"


def objective_of(X, y, loss):
    """The objective that gdfast states, evaluated in double precision for any linear model."""
    X, codes = np.asarray(X, dtype=np.float64), np.unique(y, return_inverse=True)[1]

    def objective(model):
        coef, intercept = model.coef_, model.intercept_
        if loss == "squared_error":
            return gdfast.error_and_gradient(X, y, np.ravel(coef), float(np.ravel(intercept)[0]), alpha=ALPHA)[0]
        if len(coef) == 1:
            coef, intercept = coef[0], float(intercept[0])
        return gdfast.error_and_gradient(X, codes, coef, intercept, loss=loss, alpha=ALPHA)[0]

    return objective


def classifiers(n):
    """gdfast and what people take otherwise, at the same strength of penalty."""
    logistic = {"C": 1 / (ALPHA * n)}
    sgd = {"loss": "log_loss", "alpha": ALPHA, "random_state": 0}
    return {
        "gdfast.GDClassifier": lambda: gdfast.GDClassifier(alpha=ALPHA),
        "LogisticRegression": lambda: LogisticRegression(**logistic),
        "scaler + LogisticRegression": lambda: make_pipeline(StandardScaler(), LogisticRegression(**logistic)),
        "SGDClassifier": lambda: SGDClassifier(**sgd),
        "scaler + SGDClassifier": lambda: make_pipeline(StandardScaler(), SGDClassifier(**sgd)),
    }


def regressors(n):
    """The same for numbers."""
    sgd = {"alpha": ALPHA, "random_state": 0}
    return {
        "gdfast.GDRegressor": lambda: gdfast.GDRegressor(alpha=ALPHA),
        "Ridge": lambda: Ridge(alpha=ALPHA * n),
        "scaler + Ridge": lambda: make_pipeline(StandardScaler(), Ridge(alpha=ALPHA * n)),
        "SGDRegressor": lambda: SGDRegressor(**sgd),
        "scaler + SGDRegressor": lambda: make_pipeline(StandardScaler(), SGDRegressor(**sgd)),
    }


def by_python(sets):
    title("2. Through Python, beside scikit-learn")
    say(
        "Raw features, default settings, the same strength of the penalty for all. 'objective' is the error"
        " with penalty on the training rows, less is better; behind a scaler it is another one. Medians of 3."
    )
    for name, (columns, X, y, _) in sets.items():
        X_train, X_test, y_train, y_test = split(X, y)
        span = np.ptp(X_train, axis=0)
        ranges = f"ranges of the columns {span[span > 0].min():.2g} to {span.max():.2g}"
        print(f"{name}: {len(y_train)} x {len(columns)}, {X.dtype}, {ranges}\n")
        is_regression = y.dtype.kind == "f"
        models = (regressors if is_regression else classifiers)(len(y_train))
        objective = objective_of(X_train, y_train, "squared_error" if is_regression else "log_loss")
        compare(models, X_train, y_train, X_test, y_test, objective)


def draw_early_stopping(_, X, y, target):
    """Why training stops before the training error is least: both errors per epoch, with few rows."""
    from matplotlib.figure import Figure

    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=300, random_state=0, stratify=y)
    model = gdfast.GDClassifier(penalty=None, solver="adam", n_iter_no_change=60, random_state=0)
    model.set_params(learning_rate="constant", eta0=0.003, max_iter=300)
    model.fit(X_train, y_train, X_val=X_test, y_val=y_test)
    best = int(np.argmin(model.validation_curve_)) + 1
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    labels = "300 training rows, mean over the epoch", f"{len(y_test):,} other rows, at its end"
    title = f"Learning a {target} from few rows, with Adam"
    curves = Curves("", model.loss_curve_, model.validation_curve_)
    gdfast.DescentDisplay([curves], error_label="error (log_loss)", rows=labels, title=title).plot(axes)
    figure.savefig(OUT / "early_stopping.png", dpi=150)
    kept, last = model.validation_curve_[best - 1], model.validation_curve_[-1]
    say(
        f"Stopping in time: Adam on 300 digits kept the weights of epoch {best} of {model.n_iter_}. The error"
        f" on other rows is {kept:.3f} there and {last:.3f} at the end (demo/early_stopping.png)."
    )


# ------------------------------------------------------------------- part 3: the penalty by cross-validation


def by_cross_validation(sets):
    title("3. Choosing the penalty: a hundred models in the reads of a few")
    train = "demo/breast_cancer_train.csv"
    gdfast_command("train", train, "--target", "diagnosis", "--cv", "5", "--out", "demo/chosen.gdf")
    say(
        "In Python, beside a single fit and scikit-learn's search over the same alphas and folds, by the solver that"
        " suits raw columns. 'log loss' and 'squared error / 2' are those of the choice over the folds. Medians of 3."
    )
    X, _, y, _ = split(*sets["breast_cancer"][1:3])
    alphas = gdfast.GDClassifierCV(scoring="loss").fit(X, y).alphas_
    logistic, C = LogisticRegression(solver="newton-cholesky"), 1 / (alphas * len(y) * 4 / 5)
    models = {
        "one gdfast.GDClassifier": lambda: gdfast.GDClassifier(),
        "gdfast.GDClassifierCV": lambda: gdfast.GDClassifierCV(alphas=alphas, scoring="loss"),
        "GridSearchCV(LogisticRegression)": lambda: GridSearchCV(logistic, {"C": C}, cv=5, scoring="neg_log_loss"),
    }
    print(f"breast_cancer, L2: {len(alphas)} alphas in 5 folds, then all rows\n")
    compare_searches(models, X, y, "log loss", lambda model: -model.best_score_)
    X, _, y, _ = split(*sets["diabetes"][1:3])
    alphas = gdfast.GDRegressorCV(l1_ratio=1.0, scoring="loss").fit(X, y).alphas_
    models = {
        "one gdfast.GDRegressor": lambda: gdfast.GDRegressor(penalty="l1"),
        "gdfast.GDRegressorCV": lambda: gdfast.GDRegressorCV(alphas=alphas, l1_ratio=1.0, scoring="loss"),
        "LassoCV": lambda: LassoCV(alphas=alphas, cv=5),
    }
    print(f"diabetes, L1: {len(alphas)} alphas in 5 folds, then all rows\n")
    compare_searches(models, X, y, "squared error / 2", held_out_error)


def held_out_error(model):
    """Mean held-out loss of the choice of either search."""
    return -model.best_score_ if hasattr(model, "best_score_") else model.mse_path_.mean(axis=1).min() / 2


def compare_searches(models, X, y, what, held_out, repeats=3):
    """Fit the models in turns, the first of them alone, the others by search; print choices, scores, times."""
    seconds, fitted, warned = in_turns(models, X, y, repeats)
    alone, rows = next(iter(models)), []
    for name, model in fitted.items():
        found = ["", ""] if name == alone else [f"{chosen_alpha(model, len(y)):.3g}", f"{held_out(model):.4f}"]
        ratio = f"{seconds[name] / seconds[alone]:.1f}"
        rows.append([name, *found, duration(seconds[name]), ratio, len(warned[name]) or ""])
    table(["fitted on the training rows", "alpha", what, "time", "of one fit", "warnings"], rows)


def chosen_alpha(model, n):
    """The alpha of either search's choice."""
    return model.alpha_ if hasattr(model, "alpha_") else 1 / (model.best_params_["C"] * n * 4 / 5)


# --------------------------------------------------------------------------------------- part 4: many rows


def two_million_rows(n=2_000_000, d=30):
    title(f"4. {n:,} rows x {d}, float32, made on the spot")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d), dtype=np.float32)
    X *= np.exp(rng.normal(0, 1, d)).astype(np.float32)  # columns of different scales
    w = rng.normal(size=d) / X[:10_000].std(axis=0)
    y = (rng.random(n) < 1 / (1 + np.exp(-(X @ w.astype(np.float32))))).astype(np.int64)
    X_train, y_train, X_test, y_test = X[: -n // 10], y[: -n // 10], X[-n // 10 :], y[-n // 10 :]
    one_pass(X_train, y_train, w)
    newton = {"solver": "newton-cholesky", "C": 1 / (ALPHA * len(y_train))}
    models = classifiers(len(y_train)) | {"LogisticRegression (newton)": lambda: LogisticRegression(**newton)}
    del models["scaler + LogisticRegression"], models["scaler + SGDClassifier"]
    say("One run each, raw features:")
    compare(models, X_train, y_train, X_test, y_test, objective_of(X_train, y_train, "log_loss"), repeats=1)
    say("A grid on the first 200,000 of them, 20 alphas in 5 folds, and one fit. Medians of 3:")
    models = {
        "one gdfast.GDClassifier": lambda: gdfast.GDClassifier(),
        "gdfast.GDClassifierCV": lambda: gdfast.GDClassifierCV(scoring="loss"),
    }
    rows = slice(200_000)
    compare_searches(models, X_train[rows], y_train[rows], "log loss", lambda model: -model.best_score_)


def one_pass(X, y, w, repeats=5):
    """Time one error and gradient: one read of X, against NumPy's two and its temporaries, and a mere sum."""
    calls = {
        "gdfast.error_and_gradient": lambda: gdfast.error_and_gradient(X, y, w, loss="log_loss"),
        "NumPy: X @ w, loss, r @ X": lambda: numpy_pass(X, y, w.astype(np.float32)),
        "NumPy: X.sum(), on one thread": lambda: X.sum(),
    }
    seconds = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    rows = []
    for name, times in seconds.items():
        median = statistics.median(times)
        rows.append([name, duration(median), f"{X.nbytes / median / 1e9:.1f} GB/s of X"])
    table(["one pass", "time", "speed"], rows)


def numpy_pass(X, y, w):
    """Error and gradient of the logistic loss in plain NumPy."""
    error, slope, _ = reference.loss("log_loss", X @ w, y)
    return error.mean(), (slope.astype(np.float32) @ X) / len(y), slope.mean()


# -------------------------------------------------------------------- part 5: real files, if present


def california():
    title("5. California housing: text column and missing values, from the raw CSV")
    path, target = DATA / "california_housing" / "housing.csv", "median_house_value"
    shown = os.path.relpath(path, ROOT)
    gdfast_command("train", shown, "--target", target, "--out", "demo/housing.gdf", "--plot", "demo/housing.png")
    houses = read_table(path)
    train, test = train_test_split(np.arange(houses.num_rows), test_size=0.25, random_state=0)
    encoder = Encoder.fit(houses.drop_columns([target]).take(train))
    X, y = encoder.encode(houses), houses[target].to_numpy()
    say("The same columns through Python, missing values filled and text one-hot for all:")
    compare(
        regressors(len(train)),
        X[train],
        y[train],
        X[test],
        y[test],
        objective_of(X[train], y[train], "squared_error"),
    )


def mnist():
    title("6. MNIST: softmax from the raw uint8 pixels")
    X_train, X_test = (idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 784) for part in ("train", "t10k"))
    y_train, y_test = (idx(f"{part}-labels-idx1-ubyte.gz", 8) for part in ("train", "t10k"))
    say(
        "Both stop after 25 epochs at most, to keep the demo short. LogisticRegression gets the pixels / 255"
        " as float32, which suits it better (the same penalty then weighs more). One run each."
    )
    logistic = {"C": 1 / (ALPHA * len(y_train)), "max_iter": 25}
    models = {
        "gdfast.GDClassifier, uint8": lambda: gdfast.GDClassifier(alpha=ALPHA, max_iter=25),
        "LogisticRegression, / 255": lambda: Scaled(LogisticRegression(**logistic)),
    }
    compare(models, X_train, y_train, X_test, y_test, None, repeats=1)


class Scaled:
    """A classifier that sees pixels from 0 to 1; the conversion is part of its time."""

    def __init__(self, model):
        self._model = model

    def fit(self, X, y):
        self._model.fit(X / np.float32(255), y)
        self.classes_ = self._model.classes_

    def predict(self, X):
        return self._model.predict(X / np.float32(255))

    def predict_proba(self, X):
        return self._model.predict_proba(X / np.float32(255))


def idx(name, header):
    """Bytes of a gzipped idx file after its header."""
    with gzip.open(DATA / "mnist" / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


if __name__ == "__main__":
    main()
