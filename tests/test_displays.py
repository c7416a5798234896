"""Curves, bars, animations and what a notebook shows; what is asked wrongly; nothing cut off."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from hostile import run_python
from numpy.testing import assert_allclose
from problems import problem
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import NotFittedError

import gdfast
from gdfast import reference
from gdfast.displays.descent import Curves

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.animation import PillowWriter

N = 60


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    pyplot.close("all")


# ---- errors per epoch ------------------------------------------------------------------------------------------------


def test_curves_are_those_of_the_result():
    X, y, _, _ = problem("log_loss", n=N, d=3)
    X_val, y_val, _, _ = problem("log_loss", n=30, d=3, seed=9)
    result = gdfast.gradient_descent(X, y, loss="log_loss", X_val=X_val, y_val=y_val, solver="adam", random_state=0)
    display = gdfast.DescentDisplay.from_result(result, yscale="linear")
    curves = (result.loss_curve, result.gradient_norm_curve, result.eta)
    for axes, curve in zip(display.ax_, curves, strict=True):
        assert_allclose(axes.lines[0].get_ydata(), curve)
        assert_allclose(axes.lines[0].get_xdata(), np.arange(1, result.n_iter + 1))
        assert axes.get_yscale() == "linear"
    assert_allclose(display.ax_[0].lines[1].get_ydata(), result.validation_curve)
    assert display.curves[0].best == int(np.argmin(result.validation_curve)) + 1
    assert f"best epoch, {display.curves[0].best}." in result.message
    labels = display.ax_[0].get_legend_handles_labels()[1]
    assert labels == [
        "training rows",
        "validation rows",
        f"weights kept: epoch {display.curves[0].best}",
        "over-fitting",
    ]


def test_runs_are_overlaid_and_axes_are_those_given():
    X, y, _, _ = problem("squared_error", n=N, d=3)
    runs = {str(m): gdfast.gradient_descent(X, y, momentum=m) for m in (0.0, 0.5)}
    _, axes = pyplot.subplots(2)
    display = gdfast.DescentDisplay.from_result(runs, ax=axes, panels=["eta", "error"], xscale="log", yscale="log")
    assert list(display.ax_) == list(axes)
    assert [ax.get_xscale() for ax in axes] == ["log", "log"]
    assert display.ax_[1].get_legend_handles_labels()[1] == ["0.0", "0.5"]
    _, one = pyplot.subplots()
    assert gdfast.DescentDisplay.from_result(runs, ax=one).ax_ is one


def test_an_estimators_curves_are_those_of_its_fit():
    X, y = load_breast_cancer(return_X_y=True)
    model = gdfast.GDClassifier(early_stopping=True, random_state=3)
    display = gdfast.DescentDisplay.from_estimator(model, X, y)
    model.fit(X, y)
    assert_allclose(display.curves[0].error, model.loss_curve_)
    assert_allclose(display.curves[0].validation, model.validation_curve_)


@pytest.mark.parametrize(
    "curve", [[0.5], [0.5] * 30, [1.0, 10.0, 1e200, np.inf, np.nan], [np.inf] * 3, [-1.0, -2.0]], ids=str
)
def test_any_curve_can_be_drawn(curve):
    curve = np.asarray(curve)
    display = gdfast.DescentDisplay([Curves("", curve, curve, curve, curve)]).plot()
    display.figure_.canvas.draw()
    labels = display.ax_[0].get_legend_handles_labels()[1]
    assert ("left the finite range at epoch 4" in labels) == (len(curve) == 5)


# ---- the gradient ----------------------------------------------------------------------------------------------------


def test_bars_are_the_gradient_and_the_steps_stand_beside():
    X, y, _, _ = problem("log_loss", n=N, d=4)
    options = {"loss": "log_loss", "alpha": 0.1}
    rule = {"learning_rate": "constant", "eta0": 0.25, "max_iter": 3, "tol": None, "keep_path": True}
    result = gdfast.gradient_descent(X, y, **options, **rule)
    display = gdfast.GradientDisplay.from_result(result, X, y, **options, epoch=1, feature_names=list("abcd"))
    _, slopes, slope = reference.error_and_gradient(X, y, result.path.coef[1], result.path.intercept[1], **options)
    gradient = np.append(slopes, slope)
    assert_allclose(display.gradient, gradient, rtol=1e-10)
    order = np.argsort(-np.abs(gradient))
    assert_allclose(display.shown_, order)
    lengths = {round(bar.get_y() + bar.get_height() / 2): bar.get_width() for bar in display.ax_.patches}
    assert_allclose([lengths[i] for i in range(5)], gradient[order], rtol=1e-10)
    colours = {bar.get_width() > 0: bar.get_facecolor() for bar in display.ax_.patches}
    assert colours[True] != colours[False]
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [[*"abcd", "bias"][j] for j in order]
    steps = display.ax_.child_axes[0].get_yticklabels()
    moved = np.append(np.diff(result.path.coef, axis=0)[1], np.diff(result.path.intercept)[1])
    shown = [float(step.get_text().replace("−", "-")) for step in steps]
    assert_allclose(shown, moved[order], rtol=5e-3)


def test_the_smallest_of_many_weights_are_summed_up():
    gradient = np.zeros(3000)
    gradient[:30] = np.linspace(3, 1, 30)
    display = gdfast.GradientDisplay(gradient, [str(j) for j in range(3000)]).plot(max_bars=10)
    assert list(display.shown_) == list(range(10))
    share = (gradient[10:] ** 2).sum() / (gradient**2).sum()
    assert f"2,990 more weights: none above {gradient[10]:.3g}, together {share:.1%}" in display.ax_.get_title()


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_a_fitted_estimators_gradient_knows_its_classes_and_weights(loss):
    X, y = load_iris(return_X_y=True)
    labels = np.array(["a", "b", "c"])[y]
    model = gdfast.GDClassifier(loss=loss, class_weight={"a": 2.0}, alpha=0.01).fit(X, labels)
    before = dict(vars(model))
    display = gdfast.GradientDisplay.from_estimator(model, X[:80], labels[:80], output="b", eta=0.5)
    weight = np.where(y[:80] == 0, 2.0, 1.0)
    _, slopes, slope = gdfast.error_and_gradient(
        X[:80], y[:80], model.coef_, model.intercept_, loss=loss, alpha=0.01, sample_weight=weight
    )
    assert_allclose(display.gradient, np.append(slopes[1], slope[1]), rtol=1e-10)
    assert "class b" in display.ax_.get_title()
    assert vars(model).keys() == before.keys()


def test_no_bias_has_a_bar_where_none_is_fitted():
    X, y, _, _ = problem("log_loss", n=N, d=3)
    result = gdfast.gradient_descent(X, y, loss="log_loss", fit_intercept=False, max_iter=3, tol=None)
    display = gdfast.GradientDisplay.from_result(result, X, y, loss="log_loss", feature_names=list("abc"))
    assert display.names == list("abc") and len(display.gradient) == 3
    model = gdfast.GDClassifier(fit_intercept=False).fit(X, y > 0.5)
    display = gdfast.GradientDisplay.from_estimator(model, X, y > 0.5)
    assert display.names == [f"feature {j}" for j in range(3)]


# ---- the animation, the notebook -------------------------------------------------------------------------------------


def test_the_animation_follows_the_path(tmp_path):
    X, y, _, _ = problem("squared_error", n=N, d=2)
    result = gdfast.gradient_descent(X, y, max_iter=5, tol=None, keep_path=True)
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, resolution=12)
    moving = gdfast.descent_animation(display, max_frames=4)
    assert list(moving.new_frame_seq()) == [0, 1, 2, 5]
    moving.save(tmp_path / "descent.gif", writer=PillowWriter(fps=5), dpi=40)
    assert (tmp_path / "descent.gif").read_bytes().startswith(b"GIF8")
    ax = moving._fig.axes[0]
    paths = [line for line in ax.lines if line.get_label() == "path of the descent"]
    assert len(paths) == 1
    assert_allclose(paths[0].get_xydata(), result.path.coef)
    assert "epoch 5, training error" in moving._fig._suptitle.get_text()


def test_a_result_in_a_notebook_is_numbers_and_a_curve():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    result = gdfast.gradient_descent(X, y, X_val=X[:20], y_val=y[:20], learning_rate="constant", eta0=0.1, max_iter=9)
    page = result._repr_html_()
    parser = HTMLParser()
    parser.feed(page)
    assert f"{result.error:.6g}" in page
    assert page.count("<polyline") == 2
    assert "currentColor" in page and "http" not in page and "<script" not in page
    strange = dataclasses.replace(
        result, message="<b>&", loss_curve=np.array([np.inf, np.nan]), validation_curve=None, n_iter=2
    )
    assert "&lt;b&gt;&amp;" in strange._repr_html_()
    assert "<svg" not in strange._repr_html_()
    assert "<circle" in dataclasses.replace(result, loss_curve=np.array([1.0]))._repr_html_()


# ---- nothing cut off, whatever is drawn ------------------------------------------------------------------------------


def refuse_cut_off(figure):
    """All words and marks are inside the figure."""
    figure.canvas.draw()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.05 and box.y0 >= -0.05 and box.x1 <= width + 0.05 and box.y1 <= height + 0.05, box


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("d", [2, 30, 3000])
def test_nothing_is_cut_off(d, style):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, d))
    y = (X[:, 0] - X[:, 1] > 0).astype(int)
    names = [f"a long name of a feature with $ and _ in it, number {j}" for j in range(d)]
    options = {"loss": "log_loss", "alpha": 0.1}
    with pyplot.style.context(style):
        result = gdfast.gradient_descent(
            X, y, **options, max_iter=5, tol=None, keep_path=True, X_val=X[:30], y_val=y[:30]
        )
        surface = gdfast.ErrorSurfaceDisplay.from_result(
            result,
            X,
            y,
            **options,
            X_val=X[:30],
            y_val=y[:30],
            features=(names[0], "bias"),
            feature_names=names,
            kind="both",
            resolution=10,
        )
        bars = gdfast.GradientDisplay.from_result(result, X, y, **options, epoch=0, feature_names=names)
        for display in (surface, bars, gdfast.DescentDisplay.from_result(result)):
            refuse_cut_off(display.figure_)


# ---- what is asked wrongly -------------------------------------------------------------------------------------------


X2, Y2 = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]), np.array([1.0, 3.0, 5.0])
WRONG = [
    ({"features": (0,)}, "features must be two different features"),
    ({"features": (0, 0)}, "features must be two different features"),
    ({"features": (0, 2)}, "features must be two different features, by number below 2"),
    ({"features": ("age", 0)}, "got 'age'; the names are"),
    ({"features": "ab"}, "features must be two different features"),
    ({"features": (0, True)}, "features must be two different features"),
    ({"output": 1}, r"output must be an integer in \[0, 0\], got 1"),
    ({"feature_names": ["a"]}, "feature_names must be 2 names"),
    ({"limits": ((1, 0), (0, 1))}, "limits must be .* with low < high, got"),
    ({"limits": "ab"}, "limits must be .* with low < high, got 'ab'"),
    ({"resolution": 1}, "resolution must be an integer >= 2"),
    ({"kind": "map"}, "kind must be one of contour, surface, both, got 'map'"),
    ({"epoch": 99}, r"epoch must be in \[-4, 3\]"),
    ({"epoch": 0.5}, "epoch must be an integer, got 0.5"),
    ({"X_val": X2}, "X_val and y_val must be given together"),
    ({"offset_val": [0.0]}, "X_val and y_val must be given with sample_weight_val and offset_val, got None"),
    ({"ax": 3}, "ax must be 1 matplotlib Axes"),
    ({"loss": "square"}, "loss must be one of"),
]


@pytest.mark.parametrize(("options", "message"), WRONG, ids=[str(options) for options, _ in WRONG])
def test_what_is_asked_wrongly_is_said(options, message):
    result = gdfast.gradient_descent(X2, Y2, max_iter=3, tol=None, keep_path=True)
    with pytest.raises((ValueError, TypeError), match=message):
        gdfast.ErrorSurfaceDisplay.from_result(result, X2, Y2, **options)


def test_other_mistakes_are_said_too():
    result = gdfast.gradient_descent(X2, Y2, max_iter=3, tol=None)
    surface, descent, bars = gdfast.ErrorSurfaceDisplay, gdfast.DescentDisplay, gdfast.GradientDisplay
    with pytest.raises(
        ValueError, match="results must have a path: give gradient_descent keep_path=True, got None of 'a'"
    ):
        surface.from_result({"a": result}, X2, Y2)
    for wrong in (3, "result", [3], {"a": None}):
        with pytest.raises(TypeError, match="results must be a DescentResult, a dict of them by name, or a list"):
            descent.from_result(wrong)
    with pytest.raises(ValueError, match="results must be a DescentResult"):
        descent.from_result([])
    for estimator in (3, gdfast.GDRegressorCV(), gdfast.GDRegressor):
        with pytest.raises(TypeError, match="estimator must be a GDRegressor or a GDClassifier, got"):
            surface.from_estimator(estimator, X2, Y2)
    with pytest.raises(NotFittedError):
        bars.from_estimator(gdfast.GDRegressor(), X2, Y2)
    with pytest.raises(ValueError, match="keep_path=True"):
        bars.from_result(result, X2, Y2, epoch=0)
    with pytest.raises(ValueError, match="panels must be one of error, gradient_norm, eta, got 'loss'"):
        descent.from_result(result, panels=["loss"])
    with pytest.raises(ValueError, match="yscale must be one of auto, linear, log, got 'cube'"):
        descent.from_result(result, yscale="cube")
    with pytest.raises(ValueError, match="max_bars must be an integer >= 1"):
        bars.from_result(result, X2, Y2, max_bars=0)
    with pytest.raises(TypeError, match="display must be an ErrorSurfaceDisplay, got"):
        gdfast.descent_animation(result)
    labels = np.array(["a", "b", "c"])
    with pytest.raises(ValueError, match=r"output must be one of the classes \['a', 'b', 'c'\], got 'd'"):
        surface.from_estimator(gdfast.GDClassifier(), np.eye(3), labels, output="d")


def test_without_matplotlib_it_says_how_to_install_it():
    code = """
import sys
sys.modules["matplotlib"] = None
import gdfast
result = gdfast.gradient_descent([[0.0], [1.0]], [0.0, 1.0], keep_path=True)
for make in (gdfast.ErrorSurfaceDisplay, gdfast.GradientDisplay):
    try:
        make.from_result(result, [[0.0], [1.0]], [0.0, 1.0])
    except ModuleNotFoundError as error:
        print(error)
"""
    lines = run_python(code).splitlines()
    assert lines == [
        f'{name} needs matplotlib: pip install "gdfast[plot]"' for name in ("ErrorSurfaceDisplay", "GradientDisplay")
    ]
