"""The error surface: heights, slopes and paths, point by point, against the rule's twin."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import DTYPES, LOSSES, problem, samples, task
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

import gdfast
from gdfast import reference
from gdfast._arguments import error_terms
from gdfast.displays import _plane, _section, _surface_plot

matplotlib.use("Agg")
from matplotlib import pyplot

N = 60


@pytest.fixture(autouse=True)
def _no_figures_left():
    yield
    pyplot.close("all")


def descend(X, y, **options):
    """A few steps, of which the path is kept."""
    return gdfast.gradient_descent(X, y, max_iter=4, tol=None, keep_path=True, solver="auto", **options)


def objective(loss, n=N):
    rng = np.random.default_rng(3)
    s, offset = rng.integers(0, 3, n).astype(float), rng.normal(size=n) / 5
    penalty = {"alpha": 0.07, "l1_ratio": 0.3}
    return {"loss": loss, "epsilon": 0.3, "quantile": 0.3, **penalty}, {"sample_weight": s, "offset": offset}


def at(coef, columns, values):
    """Weights and bias, two of which are replaced; the bias is the last."""
    both = coef.copy()
    both[list(columns)] = values
    return both[:-1], float(both[-1])


def check_heights(display, error, columns, weights, which=0, rtol=1e-6):
    """Some heights of the grid are the error of the weights there."""
    surface = display.surfaces[which]
    for i, j in ((0, 0), (0, -1), (3, 7), (-1, -1), (9, 4)):
        expected = error(*at(weights, columns, (display.x[j], display.y[i])))
        assert_allclose(surface.errors[i, j], expected, rtol=rtol)


# ---- heights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", ["dense", "sparse"])
def test_heights_are_the_error_with_the_penalty(loss, layout):
    X, y, _, _ = problem(loss, n=N, d=4)
    terms, rows = objective(loss)
    result = descend(X, y, **terms, **rows)
    given = sparse.csr_matrix(X) if layout == "sparse" else X
    display = gdfast.ErrorSurfaceDisplay.from_result(
        result, given, y, features=(2, "bias"), resolution=10, **terms, **rows
    )
    weights = np.append(result.coef, result.intercept)

    def error(coef, intercept):
        return reference.error_and_gradient(X, y, coef, intercept, **terms, **rows)[0]

    check_heights(display, error, (2, 4), weights)
    assert display.labels == ("weight of feature 2 (score per unit)", "bias (score)")
    assert "penalty" in display.surfaces[0].label


@pytest.mark.parametrize("loss", LOSSES)
def test_validation_heights_are_the_mean_loss_without_penalty(loss):
    X, y, _, _ = problem(loss, n=N, d=3)
    X_val, y_val, _, _ = problem(loss, n=25, d=3, seed=1)
    terms, rows = objective(loss)
    s_val, offset_val = np.arange(25.0), np.linspace(-0.1, 0.1, 25)
    held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": s_val, "offset_val": offset_val}
    result = descend(X, y, **terms, **rows, **held_out)
    display = gdfast.ErrorSurfaceDisplay.from_result(
        result, X, y, features=(0, 1), resolution=10, **terms, **rows, **held_out
    )
    plain = {"loss": loss, "epsilon": 0.3, "quantile": 0.3, "sample_weight": s_val, "offset": offset_val}
    weights = np.append(result.coef, result.intercept)

    def error(coef, intercept):
        return reference.error_and_gradient(X_val, y_val, coef, intercept, **plain)[0]

    check_heights(display, error, (0, 1), weights, which=1)
    assert [surface.rows for surface in display.surfaces] == ["training", "validation"]
    assert "without penalty" in display.surfaces[1].label
    assert len(display.ax_) == 2


@pytest.mark.parametrize("labels", ["codes", "soft", "soft, not of sum 1"])
def test_softmax_moves_one_class_and_holds_the_others(labels):
    rng = np.random.default_rng(0)
    X, k = rng.normal(size=(N, 3)), 4
    y = rng.integers(0, k, N) if labels == "codes" else rng.dirichlet(np.ones(k), N)
    y = y * rng.uniform(0.5, 2, (N, 1)) / 2 if labels.endswith("1") else y
    terms, rows = objective("log_loss")
    rows["offset"] = rng.normal(size=(N, k)) / 5
    result = descend(X, y, **terms, **rows)
    display = gdfast.ErrorSurfaceDisplay.from_result(
        result, X, y, features=(1, "bias"), output=2, resolution=10, **terms, **rows
    )

    def error(own, bias):
        coef, intercept = result.coef.copy(), result.intercept.copy()
        coef[2], intercept[2] = own, bias
        return gdfast.error_and_gradient(X, y, coef, intercept, **terms, **rows)[0]

    check_heights(display, error, (1, 3), np.append(result.coef[2], result.intercept[2]))
    path = result.path.coef[:, 2, 1], result.path.intercept[:, 2]
    assert_allclose(display.tracks[0].points, np.column_stack(path), atol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "hinge"])
def test_independent_outputs_have_surfaces_of_their_own(loss):
    X, y, _, _ = problem(loss, k=3, n=N, d=3)
    codes = loss == "hinge"
    given = np.arange(N) % 3 if codes else y
    own = np.where(given == 1, 1.0, -1.0) if codes else y[:, 1]
    result = descend(X, given, loss=loss, alpha=0.1, n_outputs=3)
    display = gdfast.ErrorSurfaceDisplay.from_result(
        result, X, given, loss=loss, alpha=0.1, features=(0, 2), output=1, resolution=10
    )

    def error(coef, intercept):
        return reference.error_and_gradient(X, own, coef, intercept, loss=loss, alpha=0.1)[0]

    check_heights(display, error, (0, 2), np.append(result.coef[1], result.intercept[1]))


@pytest.mark.parametrize("as_picture", [False, True])
@pytest.mark.parametrize("layout", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_heights_of_every_loss_and_stored_type(loss, dtype, layout, as_picture, monkeypatch):
    monkeypatch.setattr(_section, "_MANY_ROWS", 1)  # the fast way, which is for many rows, too
    X = samples(dtype, N, 3)
    y, coef, intercept = task(loss, 1, X)
    terms, rows = objective(loss)
    given = X if layout == "dense" else sparse.csr_matrix(X.astype("float32" if dtype == "float32" else "float64"))
    plane, _, _ = _plane.find_plane(coef[None, :], np.array([intercept]), 0, [], (1, "bias"), list("abc"))
    moves = plane.origin + np.random.default_rng(0).normal(size=(9, 2)) * [np.abs(coef).max(), 1.0]
    options = error_terms(loss, terms["alpha"], terms["l1_ratio"], terms["epsilon"], terms["quantile"])
    for penalised in (True, False):
        data = _section.Data(given, y, **rows, suffix="" if penalised else "_val")
        section = _section.Section(data, options, plane, 1, penalised=penalised)
        heights = section.errors(moves, as_picture=as_picture)
        of_rows = terms if penalised else {**terms, "alpha": 0.0}
        expected = [
            reference.error_and_gradient(X.astype(float), y, np.array([coef[0], a, coef[2]]), b, **of_rows, **rows)[0]
            for a, b in moves
        ]
        assert_allclose(heights, expected, rtol=1e-6 if as_picture else 1e-9, atol=1e-12)


def test_heights_of_many_rows_are_as_good_as_those_of_few():
    n = 70_000
    rng = np.random.default_rng(0)
    X = (1e6 + rng.normal(size=(n, 2))).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(X[:, 0] - X[:, 1]))).astype(float)
    plane, _, _ = _plane.find_plane(np.array([[-1.0, 1.0]]), np.zeros(1), 0, [], (0, "bias"), ["a", "b"])
    section = _section.Section(
        _section.Data(X, y, np.arange(n) % 3.0), error_terms("log_loss", 0.0, 0.0, 0.1, 0.5), plane, 2
    )
    along = np.linspace(-0.5, 0.5, 21)  # large terms cancel along this valley
    moves = plane.origin + np.column_stack([along, -1e6 * along + 0.1])
    heights, exact = section.errors(moves, as_picture=True), section.errors(moves)
    assert (heights != exact).any()
    assert_allclose(heights, exact, rtol=1e-8)
    for i in (0, 7, 20):
        weights = [-1.0 + along[i], 1.0], -1e6 * along[i] + 0.1
        expected = reference.error_and_gradient(
            X.astype(float), y, *weights, loss="log_loss", sample_weight=np.arange(n) % 3.0
        )[0]
        assert_allclose(exact[i], expected, rtol=1e-9)
    for n_threads in (1, 3):
        section.n_threads = n_threads
        assert section.errors(moves, as_picture=True).tobytes() == heights.tobytes()


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "quantile"])
def test_the_plane_of_the_path_holds_its_end_and_where_it_moved_most(loss):
    X, y, _, _ = problem(loss, n=N, d=6)
    terms, rows = objective(loss)
    result = descend(X, y, **terms, **rows)
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, resolution=10, **terms, **rows)
    coef, intercept = result.coef[None, :], np.array([result.intercept])
    plane, labels, _ = _plane.find_plane(coef, intercept, 0, [result.path], None, list("abcdef"))
    assert labels == display.labels
    path = np.column_stack([result.path.coef, result.path.intercept])
    end = np.append(result.coef, result.intercept)
    _, _, directions = np.linalg.svd(path - end)
    assert_allclose(np.abs(plane.directions @ directions[:2].T), np.eye(2), atol=1e-7)
    for i, j in ((0, 0), (9, 3), (5, 5)):
        weights = end + np.array([display.x[j], display.y[i]]) @ plane.directions
        expected = reference.error_and_gradient(X, y, weights[:-1], weights[-1], **terms, **rows)[0]
        assert_allclose(display.surfaces[0].errors[i, j], expected, rtol=1e-6)


def test_a_path_along_one_line_still_has_a_plane():
    directions = _plane._two(np.array([[0.0, 0.6, 0.8]]), 3)
    assert_allclose(directions @ directions.T, np.eye(2), atol=1e-12)
    assert_allclose(_plane._two(np.empty((0, 3)), 3) @ np.ones(3), [1.0, 1.0])


def test_each_set_of_rows_is_read_once(monkeypatch):
    X, y, _, _ = problem("log_loss", n=N, d=5)
    result = descend(X, y, loss="log_loss", X_val=X[:20], y_val=y[:20])
    reads, whole = [], _section.scores_in_blocks

    def counted(X, *rest, **more):
        reads.append(X.shape)
        return whole(X, *rest, **more)

    monkeypatch.setattr(_section, "scores_in_blocks", counted)
    gdfast.ErrorSurfaceDisplay.from_result(result, X, y, loss="log_loss", X_val=X[:20], y_val=y[:20], resolution=30)
    assert reads == [(N, 5), (20, 5)]


# ---- paths, slopes, lowest points ------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "huber", "absolute_error", "poisson", "gamma"])
def test_the_lowest_point_is_the_optimum(loss):
    X, y, _, _ = problem(loss, n=N, d=2)
    X = X * [1.0, 300.0]
    result = gdfast.gradient_descent(X, y, loss=loss, alpha=0.01, solver="auto", tol=1e-10, keep_path=True)
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, loss=loss, alpha=0.01, resolution=10)
    surface = display.surfaces[0]
    assert_allclose(surface.minimum, result.coef, rtol=1e-3, atol=1e-5)
    assert_allclose(surface.minimum_error, result.error, rtol=1e-8)
    assert surface.minimum_error <= surface.errors.min() + 1e-12


def test_both_minima_are_marked_on_both_surfaces():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    X_val, y_val, _, _ = problem("squared_error", n=N, d=2, seed=5)
    result = gdfast.gradient_descent(X, y, keep_path=True)
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, X_val=X_val, y_val=y_val, resolution=20)
    train, val = (surface.minimum for surface in display.surfaces)
    own = np.linalg.lstsq(X, y - result.intercept, rcond=None)[0]
    other = np.linalg.lstsq(X_val, y_val - result.intercept, rcond=None)[0]
    assert_allclose(train, own, atol=1e-6)
    assert_allclose(val, other, atol=1e-6)
    for ax in display.ax_:
        marks = {line.get_label(): line.get_xydata() for line in ax.lines}
        assert_allclose(marks["minimum of the training error"], [train])
        assert_allclose(marks["minimum of the validation error"], [val])


def test_the_minimum_is_found_from_weights_that_were_kept_early():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    held_out = {"X_val": X[:5], "y_val": -y[:5]}
    result = gdfast.gradient_descent(X, y, learning_rate="constant", eta0=0.05, keep_path=True, **held_out)
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, resolution=8)
    optimum = np.linalg.lstsq(X, y - result.intercept, rcond=None)[0]
    assert_allclose(display.surfaces[0].minimum, optimum, atol=1e-6)


def test_flat_surfaces_have_numbers_that_differ():
    plain = _surface_plot._plain(0.69291, 0.69292)
    assert [plain(value, 0) for value in (0.692912, 0.692914, 0.692916)] == ["0.692912", "0.692914", "0.692916"]


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_path_and_arrows_are_those_of_the_descent(loss):
    X, y, _, _ = problem(loss, n=N, d=2)
    result = gdfast.gradient_descent(
        X, y, loss=loss, fit_intercept=False, learning_rate="constant", eta0=0.3, max_iter=7, tol=None, keep_path=True
    )
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, loss=loss, epoch=2, resolution=20)
    track = display.tracks[0]
    assert_allclose(track.points, result.path.coef, atol=1e-14)
    assert_allclose(track.errors[0, 1:], result.loss_curve, rtol=1e-10)
    slopes = [reference.error_and_gradient(X, y, w, 0.0, loss=loss)[1] for w in result.path.coef]
    assert_allclose(track.gradients, slopes, rtol=1e-8, atol=1e-12)
    assert_allclose(np.diff(track.points, axis=0), -0.3 * track.gradients[:-1], rtol=1e-8, atol=1e-12)
    assert "η = 0.3" in display.figure_._suptitle.get_text()
    up, down = (text for text in display.ax_.texts if hasattr(text, "arrow_patch"))
    for arrow, sign in ((up, 1), (down, -1)):
        assert_allclose(arrow.xyann, track.points[2])
        moved = np.asarray(arrow.xy) - track.points[2]
        assert_allclose(moved / np.linalg.norm(moved), sign * slopes[2] / np.linalg.norm(slopes[2]), rtol=1e-6)


def test_several_descents_share_a_surface():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    rules = {
        "gd": {},
        "momentum": {"momentum": 0.9},
        "adam": {"solver": "adam", "learning_rate": "constant", "eta0": 0.1},
    }
    runs = {
        name: gdfast.gradient_descent(X, y, max_iter=30, tol=None, random_state=0, keep_path=True, **rule)
        for name, rule in rules.items()
    }
    display = gdfast.ErrorSurfaceDisplay.from_result(runs, X, y, resolution=20, epoch=-1)
    assert [track.label for track in display.tracks] == list(rules)
    labels = display.ax_.get_legend_handles_labels()[1]
    assert [any(label.startswith(name) and "η" in label for label in labels) for name in rules] == [True] * 3
    listed = gdfast.ErrorSurfaceDisplay.from_result(list(runs.values()), X, y, resolution=20)
    assert [track.label for track in listed.tracks] == ["descent 1", "descent 2", "descent 3"]


def test_a_descent_that_runs_away_leaves_the_others_in_the_picture():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    good = gdfast.gradient_descent(X, y, keep_path=True)
    away = gdfast.gradient_descent(X, y, learning_rate="constant", eta0=3.5, max_iter=5, tol=None, keep_path=True)
    assert np.abs(away.path.coef).max() > 20 * np.abs(good.path.coef).max()
    display = gdfast.ErrorSurfaceDisplay.from_result(
        {"good": good, "too large": away}, X, y, kind="both", resolution=20
    )
    alone = gdfast.ErrorSurfaceDisplay.from_result(good, X, y, resolution=20)
    assert np.ptp(display.x) < 10 * np.ptp(alone.x)


def test_an_estimators_descent_is_that_of_its_fit():
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    model = gdfast.GDClassifier(class_weight="balanced", alpha=1e-3)
    display = gdfast.ErrorSurfaceDisplay.from_estimator(
        model, X, y, features=("mean radius", "worst texture"), resolution=10
    )
    assert not hasattr(model, "coef_")
    model.fit(X, y)
    assert_allclose(display.tracks[0].kept, model.coef_[0, [0, 21]], rtol=1e-12)
    assert_allclose(display.surfaces[0].minimum, model.coef_[0, [0, 21]], rtol=1e-2)
    assert_allclose(display.surfaces[0].minimum_error, model.loss_, rtol=1e-6)
    assert display.labels[0] == "weight of mean radius (score per unit)"


def test_rows_that_early_stopping_holds_out_have_the_second_surface():
    X, y = load_diabetes(return_X_y=True)
    model = gdfast.GDRegressor(early_stopping=True, random_state=0, alpha=1e-4)
    display = gdfast.ErrorSurfaceDisplay.from_estimator(model, X, y, features=(2, 3), resolution=10)
    model.fit(X, y)
    rows, rows_val = model._split(y)
    rows, rows_val = np.sort(rows), np.sort(rows_val)
    weights = np.append(model.coef_, model.intercept_)
    for which, (part, alpha) in enumerate(((rows, 1e-4), (rows_val, 0.0))):

        def error(coef, intercept, part=part, alpha=alpha):
            return gdfast.error_and_gradient(X[part], y[part], coef, intercept, alpha=alpha)[0]

        check_heights(display, error, (2, 3), weights, which)


def test_classes_are_chosen_by_label_and_named():
    X, y = load_iris(return_X_y=True, as_frame=True)
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    model = gdfast.GDClassifier(alpha=1e-2)
    by_name = gdfast.ErrorSurfaceDisplay.from_estimator(model, X, labels, output="virginica", resolution=8)
    by_number = gdfast.ErrorSurfaceDisplay.from_estimator(model, X, labels, output=2, resolution=8)
    assert_allclose(by_name.surfaces[0].errors, by_number.surfaces[0].errors)
    assert "class virginica" in by_name.figure_._suptitle.get_text()


def test_one_feature_shows_weight_and_bias():
    X, y, _, _ = problem("squared_error", n=N, d=1)
    display = gdfast.ErrorSurfaceDisplay.from_result(gdfast.gradient_descent(X, y, keep_path=True), X, y, resolution=8)
    assert display.labels == ("weight of feature 0 (score per unit)", "bias (score)")


def test_limits_and_axes_are_those_given():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    result = gdfast.gradient_descent(X, y, keep_path=True)
    _, ax = pyplot.subplots()
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, limits=((-1, 2), (0, 4)), ax=ax, resolution=5)
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1, 2), (0, 4))
    assert_allclose(display.y, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("d", [2, 3, 5])
def test_no_bias_is_named_where_none_is_fitted(d):
    X, y, _, _ = problem("log_loss", n=N, d=d)
    result = descend(X, y, loss="log_loss", fit_intercept=False)
    features = (0, 1) if d == 3 else None
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, loss="log_loss", features=features, resolution=5)
    words = " ".join([display.title, *display.labels])
    assert "bias" not in words and ("through 5 weights" in words) == (d == 5)
    with pytest.raises(ValueError, match=rf"features must be two .* below {d} or by name, got 'bias'; the names"):
        gdfast.ErrorSurfaceDisplay.from_result(result, X, y, loss="log_loss", features=(0, "bias"))
    model = gdfast.GDClassifier(fit_intercept=False)
    display = gdfast.ErrorSurfaceDisplay.from_estimator(model, X, y > 0.5, features=features, resolution=5)
    assert "bias" not in " ".join([display.title, *display.labels])


def test_one_weight_without_bias_has_no_surface():
    X, y, _, _ = problem("squared_error", n=N, d=1)
    result = descend(X, y, fit_intercept=False)
    with pytest.raises(ValueError, match=r"X must have two features where no bias is fitted, .* got 1"):
        gdfast.ErrorSurfaceDisplay.from_result(result, X, y)


def test_a_path_along_one_line_stays_off_a_bias_that_there_is_not():
    X, y = np.eye(4)[:1], np.array([1.0])
    result = gdfast.gradient_descent(X, y, fit_intercept=False, keep_path=True)
    coef, intercept = result.coef[None, :], np.array([0.0])
    plane, _, _ = _plane.find_plane(coef, intercept, 0, [result.path], None, list("abcd"), biased=False)
    assert (plane.directions[:, -1] == 0).all()
    assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-12)


@pytest.mark.parametrize("d", [2, 5])
def test_points_that_are_not_finite_are_left_out_of_a_path(d):
    X, y, _, _ = problem("squared_error", n=N, d=d)
    result = gdfast.gradient_descent(X, y, keep_path=True, max_iter=9, tol=None)
    path = result.path._replace(coef=result.path.coef.copy(), intercept=result.path.intercept.copy())
    path.coef[0], path.coef[4, 0], path.intercept[-1] = np.nan, np.inf, np.nan
    broken = replace(result, path=path)
    display = gdfast.ErrorSurfaceDisplay.from_result(broken, X, y, resolution=8, kind="both", epoch=-1)
    assert list(display.tracks[0].epochs) == [1, 2, 3, 5, 6, 7, 8]
    display.figure_.canvas.draw()
    with pytest.raises(ValueError, match=r"results must end at finite weights, .* got NaN or infinity"):
        gdfast.ErrorSurfaceDisplay.from_result(replace(result, coef=result.coef * np.nan), X, y)
    path.coef[:] = np.nan
    with pytest.raises(ValueError, match="results must have a path with finite weights, got none"):
        gdfast.ErrorSurfaceDisplay.from_result(broken, X, y)


@pytest.mark.parametrize("limits", [None, ((0, 1e-5), (0, 1e-5))])
def test_ticks_are_heights_of_the_picture(limits):
    X, y, _, _ = problem("log_loss", n=N, d=2)
    result = descend(X, y, loss="log_loss", alpha=0.01)
    display = gdfast.ErrorSurfaceDisplay.from_result(
        result, X, y, loss="log_loss", alpha=0.01, limits=limits, resolution=20, kind="both"
    )
    low, high = _surface_plot.heights(display, 0)
    errors = display.surfaces[0].errors
    assert_allclose(low, errors.min() if limits else display.surfaces[0].minimum_error, rtol=1e-12)
    display.figure_.canvas.draw()
    (bar,) = (axes for axes in display.figure_.axes if axes.get_label() == "<colorbar>")
    shown = [label.get_text() for label in bar.get_yticklabels() if label.get_text()]
    assert len(set(shown)) == len(shown) >= 3
    assert all(low <= tick <= high for tick in bar.get_yticks())


def test_an_overflowing_surface_is_drawn_as_far_as_it_goes():
    X, y, _, _ = problem("poisson", n=N, d=2)
    result = descend(X, y, loss="poisson")
    display = gdfast.ErrorSurfaceDisplay.from_result(
        result, X, y, loss="poisson", limits=((-500, 500), (-500, 500)), resolution=20, kind="both"
    )
    display.figure_.canvas.draw()
    nowhere = gdfast.ErrorSurfaceDisplay.from_result(
        result, X, y, loss="poisson", limits=((1e5, 2e5), (1e5, 2e5)), resolution=5, kind="both"
    )
    assert not np.isfinite(nowhere.surfaces[0].errors).all()
    nowhere.figure_.canvas.draw()


def test_a_path_of_updates_counts_updates():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    result = gdfast.gradient_descent(
        X, y, solver="sgd", batch_size=20, max_iter=4, tol=None, random_state=0, keep_path="step"
    )
    display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, epoch=-1, resolution=8)
    assert display.tracks[0].epochs[-1] == 12
    assert "current point: update 12" in display.ax_.get_legend_handles_labels()[1]


def test_a_descent_of_other_rows_is_noticed():
    X, y, _, _ = problem("squared_error", n=N, d=2)
    result = gdfast.gradient_descent(X, y, keep_path=True)
    with pytest.warns(UserWarning, match=r"The descent ended at an error of .* must be those of the descent"):
        gdfast.ErrorSurfaceDisplay.from_result(result, X, y, alpha=0.5, resolution=8)
