"""gradient_descent against its NumPy twin, step by step: every rule, schedule and loss."""

from __future__ import annotations

import numpy as np
import pytest
from problems import DTYPES, LOSSES, MARGIN_LOSSES, layouts, problem, same_bits, samples, task

import gdfast
from gdfast import _core, reference

PARAMETERS = {"epsilon": 0.3, "quantile": 0.37}
CONSTANT = {"learning_rate": "constant", "tol": None}
RULES = {
    "gd": [{}, {"momentum": 0.8}, {"momentum": 0.7, "nesterovs_momentum": True}],
    "sgd": [
        {"batch_size": 16},
        {"batch_size": 1, "momentum": 0.6},
        {"momentum": 0.7, "nesterovs_momentum": True},
    ],
    "adagrad": [{"batch_size": 9}, {"batch_size": 61}],
    "rmsprop": [{"batch_size": 9}, {}],
    "adam": [{"batch_size": 9}, {"batch_size": 30, "beta_1": 0.7, "beta_2": 0.95}],
}
MINI_BATCH_RULES = [rule for rule in RULES if rule != "gd"]
SCHEDULES = {
    "constant": {"tol": None},
    "invscaling": {"tol": None, "power_t": 0.4},
    "optimal": {"tol": None},
    "adaptive": {"tol": 0.9, "n_iter_no_change": 2},  # no epoch gains that much: eta falls every second epoch
}
# gd with a tol does not end as the twin does; see test_adaptive_gd
STEPS = [(rule, schedule) for rule in RULES for schedule in SCHEDULES if (rule, schedule) != ("gd", "adaptive")]
EXTRAS = [
    {},
    {"l1_ratio": 0.2},
    {"l1_ratio": 0.3, "fit_intercept": False, "start": True},
    {"offset": True},
]


def descend(X, y, **options):
    return gdfast.gradient_descent(X, y, **{"shuffle": False, **options})


def follow(X, y, **options):
    """The same descent by the engine, every weight kept, and by the twin."""
    step = True if options.get("solver", "gd") == "gd" else "step"
    ours = descend(X, y, keep_path=step, **options)
    return ours, reference.gradient_descent(X, y, keep_path=True, **options)


def whole_path(result):
    """The engine's path as the twin has it: (t + 1, k, d + 1)."""
    coef, intercept = result.path
    n = len(coef)
    return np.concatenate([coef.reshape(n, -1, coef.shape[-1]), intercept.reshape(n, -1, 1)], axis=2)


def assert_same_descent(ours, twin):
    path, scale = whole_path(ours), max(1, np.abs(twin.path).max())
    assert path.shape == twin.path.shape == (ours.t + 1, *path.shape[1:])
    assert np.abs(np.diff(twin.path, axis=0)).max() > 1e-4
    np.testing.assert_allclose(path, twin.path, rtol=0, atol=1e-12 * scale)
    np.testing.assert_array_equal(path == 0, twin.path == 0)
    assert (ours.n_iter, ours.t) == (twin.n_iter, twin.t)
    assert ours.coef.shape == twin.coef.shape and np.shape(ours.intercept) == np.shape(twin.intercept)
    np.testing.assert_array_equal(ours.coef, ours.path.coef[-1])
    np.testing.assert_array_equal(ours.intercept, ours.path.intercept[-1])
    np.testing.assert_allclose(ours.error, twin.error, rtol=1e-11)
    np.testing.assert_allclose(ours.eta, twin.eta.reshape(twin.n_iter, -1).mean(axis=1), rtol=1e-12)


# ---- steps ---------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Maximum number of iteration")
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("solver, schedule", STEPS)
def test_every_rule_schedule_and_loss(solver, schedule, loss):
    """In turn with L1, without intercept, from a given start, with an offset; always with weights."""
    for i, (k, rule) in enumerate((k, rule) for rule in RULES[solver] for k in (1, 3)):
        X, y, coef, intercept = problem(loss, k, n=61, d=5, seed=i)
        options = PARAMETERS | SCHEDULES[schedule] | rule | EXTRAS[i % len(EXTRAS)]
        if options.pop("start", False):
            options |= {"coef_init": coef, "intercept_init": intercept}
        if options.pop("offset", False):
            options["offset"] = np.linspace(-1, 1, 61)
        options |= {"loss": loss, "solver": solver, "learning_rate": schedule, "eta0": 0.02, "alpha": 0.3}
        weight = 0.1 + np.random.default_rng(i).random(61)
        assert_same_descent(*follow(0.3 * X, y, sample_weight=weight, max_iter=7, **options))


@pytest.mark.filterwarnings("ignore:Maximum number of iteration")
@pytest.mark.parametrize("dtype", ["float64", "float32", "uint8"])
@pytest.mark.parametrize(
    "loss, d", [*((loss, 30) for loss in LOSSES), *(("log_loss", d) for d in (1, 8, 17, 200, 784))]
)
def test_one_row_a_step(loss, d, dtype):
    """The kernel that fuses score, slope and update of a row, over more than one block of rows."""
    X, y, _, _ = problem(loss, n=300, d=d)
    X = np.asarray(X * 20 + 40).clip(0, 255).astype(dtype) if dtype == "uint8" else (X / d**0.5).astype(dtype)
    rng = np.random.default_rng(d)
    options = {"loss": loss, "solver": "sgd", "batch_size": 1, "alpha": 0.1, "eta0": 1e-6 if dtype == "uint8" else 0.05}
    options |= {"sample_weight": rng.random(300), "offset": rng.normal(size=300), "max_iter": 2} | PARAMETERS | CONSTANT
    ours, twin = descend(X, y, **options), reference.gradient_descent(X.astype(float), y, **options)
    np.testing.assert_allclose(ours.coef, twin.coef, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(ours.intercept, twin.intercept, rtol=1e-11)
    not_fused = descend(X, y, keep_path="step", **options)
    np.testing.assert_allclose(ours.loss_curve, not_fused.loss_curve, rtol=1e-12 if dtype == "float64" else 1e-4)


@pytest.mark.filterwarnings("ignore:Maximum number of iteration")
@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "epsilon_insensitive", "hinge"])
def test_adaptive_gd(loss):
    """At a kink a constant rate only oscillates, so that the rate falls."""
    X, y, _, _ = problem(loss, n=61, d=5)
    options = {"loss": loss, "tol": 1e-6, "n_iter_no_change": 3, "max_iter": 60, **PARAMETERS}
    ours, twin = follow(X, y, learning_rate="adaptive", eta0=0.4, **options)
    assert len(np.unique(ours.eta)) >= 3
    assert_same_descent(ours, twin)


@pytest.mark.parametrize("solver, tol", [("gd", 0.0), ("sgd", 0.5)])
def test_a_rate_below_1e_6_ends_adaptive_descent(solver, tol):
    X, y, _, _ = problem("absolute_error", n=61, d=5)
    options = {"loss": "absolute_error", "tol": tol, "n_iter_no_change": 2}
    ours = descend(X, y, solver=solver, learning_rate="adaptive", eta0=0.2, **options)
    assert ours.converged and ours.eta[-1] / 5 < 1e-6 <= ours.eta[-1]
    assert "no improvement" in ours.message


@pytest.mark.parametrize("solver", RULES)
@pytest.mark.parametrize("schedule", ["constant", "adaptive"])
def test_without_tol_every_epoch_is_run(solver, schedule):
    X, y, _, _ = problem("squared_error", n=61, d=5)
    options = {"learning_rate": schedule, "eta0": 0.1, "tol": None, "n_iter_no_change": 1}
    ours = descend(X, y, solver=solver, max_iter=150, **options)
    assert ours.n_iter == 150
    assert len(ours.loss_curve) == len(ours.eta) == len(ours.gradient_norm_curve) == 150


@pytest.mark.parametrize("average", [True, 1, 4, 10_000])
@pytest.mark.parametrize("solver", RULES)
def test_average(solver, average):
    X, y, _, _ = problem("log_loss", 3, n=61, d=5)
    options = {"loss": "log_loss", "solver": solver, "eta0": 0.1, "max_iter": 6, "alpha": 0.1, **CONSTANT}
    ours = descend(X, y, average=average, **options)
    twin = reference.gradient_descent(X, y, average=average, **options)
    np.testing.assert_allclose(ours.coef, twin.coef, atol=1e-13)
    np.testing.assert_allclose(ours.intercept, twin.intercept, atol=1e-13)
    np.testing.assert_allclose(ours.error, twin.error, rtol=1e-13)
    assert same_bits((ours.coef,), (descend(X, y, **options).coef,)) == (average == 10_000)


@pytest.mark.parametrize("loss", ["log_loss", *MARGIN_LOSSES])
def test_class_codes(loss):
    """Integer codes (n,): softmax from three classes on, one against the rest if n_outputs says so."""
    X, _, _, _ = problem(loss, n=61, d=5)
    codes = np.arange(61) % 3
    options = {"loss": loss, "eta0": 0.1, "max_iter": 5, "alpha": 0.1, **CONSTANT}
    ours, twin = follow(X, codes, n_outputs=3, **options)
    assert ours.coef.shape == (3, 5) and ours.intercept.shape == (3,)
    assert_same_descent(ours, twin)
    if loss == "log_loss":
        assert same_bits((descend(X, codes, **options).coef,), (ours.coef,))
        assert descend(X, codes % 2, **options).coef.shape == (5,)


# ---- curves --------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_curves_of_full_descent(loss, k):
    """E after each step, and the length of its shortest subgradient there."""
    X, y, coef, intercept = problem(loss, k, n=61, d=5)
    options = {"loss": loss, "alpha": 0.3, "l1_ratio": 0.4, **PARAMETERS}
    start = {"coef_init": coef, "intercept_init": intercept}
    ours, twin = follow(X, y, eta0=0.02, max_iter=8, **options, **start, **CONSTANT)
    np.testing.assert_allclose(ours.loss_curve, twin.loss_curve, rtol=1e-12)
    assert ours.loss_curve[-1] == ours.error and np.ptp(ours.loss_curve) > 0
    norms = []
    for w, b in zip(ours.path.coef[1:], ours.path.intercept[1:], strict=True):
        _, g, h = reference.error_and_gradient(X, y, w, b, **options)
        norms.append(np.sqrt(np.sum(g**2) + np.sum(np.square(h))))
    np.testing.assert_allclose(ours.gradient_norm_curve, norms, rtol=1e-11)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("solver", MINI_BATCH_RULES)
def test_curves_of_mini_batches(solver, k):
    """The mean error of the batches as they were met, and the penalty at the end; mean step over rate."""
    X, y, _, _ = problem("huber", k, n=61, d=5)
    y = y + 0.1  # else a first gradient cancels to 0, or to 1e-18, which rates per weight turn into steps of 1e-9
    options = {"solver": solver, "learning_rate": "invscaling", "eta0": 0.1, "max_iter": 4, "tol": None}
    ours, twin = follow(X, y, loss="huber", alpha=0.3, l1_ratio=0.4, batch_size=16, **options)
    errors, norms = [], []
    for epoch in range(4):
        path, eta = twin.path[4 * epoch : 4 * epoch + 5], twin.eta[4 * epoch : 4 * epoch + 4]
        w = path[-1, :, :-1]
        met = 0.3 * (0.6 / 2 * np.sum(w**2) + 0.4 * np.abs(w).sum())
        for batch, W in zip(np.split(np.arange(61), [16, 32, 48]), path[:-1], strict=True):
            weights = (W[:, :-1], W[:, -1]) if k > 1 else (W[0, :-1], W[0, -1])
            met += reference.error_and_gradient(X[batch], y[batch], *weights, loss="huber")[0] * len(batch) / 61
        errors.append(met)
        norms.append(np.linalg.norm(path[-1] - path[0]) / eta.sum())
    np.testing.assert_allclose(ours.loss_curve, errors, rtol=1e-12)
    np.testing.assert_allclose(ours.gradient_norm_curve, norms, rtol=1e-11)


def test_path_by_epoch_is_part_of_the_path_by_step():
    X, y, _, _ = problem("huber", 3, n=61, d=5)
    options = {"solver": "sgd", "max_iter": 4, "batch_size": 16, **CONSTANT}
    by_epoch, by_step = (descend(X, y, keep_path=keep, **options).path for keep in (True, "step"))
    assert by_step.coef.shape == (17, 3, 5) and by_step.intercept.shape == (17, 3)
    assert same_bits(by_epoch, (by_step.coef[::4], by_step.intercept[::4]))
    assert descend(X, y, **options).path is None


def test_mini_batches_stop_when_nothing_improves():
    X, y, _, _ = problem("squared_error", n=61, d=5)
    options = {"learning_rate": "constant", "eta0": 0.1, "tol": 1e-3, "n_iter_no_change": 4}
    ours = gdfast.gradient_descent(X, y, solver="sgd", random_state=0, **options)
    best, waited, waits = np.inf, 0, []
    for error in ours.loss_curve:
        waited = waited + 1 if error >= best - 1e-3 * abs(best) else 0
        best = min(best, error)
        waits.append(waited)
    assert ours.converged and waits[-1] == 4 and max(waits[:-1]) < 4 and ours.n_iter < 200


@pytest.mark.parametrize("solver", ["gd", "sgd", "auto"])
def test_validation(solver):
    """Its curve is E on the held-out rows, the best epoch is returned, patience ends the descent."""
    X, y, _, _ = problem("squared_error", n=61, d=30)
    X_val, y_val, _, _ = problem("squared_error", n=500, d=30, seed=1)
    s, offset = np.random.default_rng(2).random((2, 500))
    held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": s, "offset_val": offset}
    penalty = {"alpha": 0.01, "l1_ratio": 0.0 if solver == "auto" else 0.5}
    options = {"solver": solver, "learning_rate": "constant", "eta0": 0.02, "n_iter_no_change": 3}
    ours = descend(X, y, keep_path=True, **held_out, **penalty, **options)
    curve = [
        reference.error_and_gradient(X_val, y_val, w, b, sample_weight=s, offset=offset, **penalty)[0]
        for w, b in zip(*ours.path, strict=True)
    ]
    np.testing.assert_allclose(ours.validation_curve, curve[1:], rtol=1e-10)
    best = int(np.argmin(ours.validation_curve))
    np.testing.assert_array_equal(ours.coef, ours.path.coef[best + 1])
    assert ours.intercept == ours.path.intercept[best + 1]
    if solver != "auto":
        assert ours.converged and ours.n_iter == best + 1 + 3 and "validation" in ours.message


# ---- which rows, in which order ------------------------------------------------------------------


def visits(n, seed, epochs=3):
    """The order in which each epoch visits n rows, (epochs, n): unit vectors tell when they were seen."""
    options = {"solver": "sgd", "batch_size": 1, "eta0": 1e-3, "fit_intercept": False, **CONSTANT}
    result = gdfast.gradient_descent(
        np.eye(n), np.ones(n), max_iter=epochs, random_state=seed, keep_path="step", **options
    )
    moved = np.diff(result.path.coef, axis=0) != 0
    assert moved.shape == (epochs * n, n) and np.all(moved.sum(axis=1) == 1)
    return moved.argmax(axis=1).reshape(epochs, n)


def test_shuffling_visits_every_row_once_an_epoch():
    for n in (1, 2, 3, 61, 64, 300):
        orders = visits(n, seed=5)
        np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(n), (3, 1)))
        np.testing.assert_array_equal(orders, visits(n, seed=5))
        if n >= 61:
            others = [*orders, *visits(n, seed=6), np.arange(n)]
            assert all((a != b).mean() > 0.8 for i, a in enumerate(others) for b in others[:i])


def test_shuffling_has_no_favourites():
    """On average each row comes in the middle, and neighbours are not kept together."""
    orders = visits(128, seed=1, epochs=200)
    place = np.argsort(orders, axis=1).mean(axis=0)
    assert np.all(np.abs(place - 63.5) < 5 * 128 / np.sqrt(12 * 200))
    assert np.mean(np.abs(np.diff(orders, axis=1)) == 1) < 3 / 128


@pytest.mark.parametrize("d", [5, 100, 300])
@pytest.mark.parametrize("solver", MINI_BATCH_RULES)
def test_shuffled_mini_batches(solver, d):
    X, y, _, _ = problem("log_loss", 3, n=300, d=d)
    orders = visits(300, seed=3)
    options = {"loss": "log_loss", "solver": solver, "eta0": 0.01, "max_iter": 3, "alpha": 0.1, **CONSTANT}
    options["sample_weight"] = 0.1 + y[:, 0]
    ours = gdfast.gradient_descent(X, y, random_state=3, keep_path="step", **options)
    twin = reference.gradient_descent(X, y, permutation=lambda e, n: orders[e], keep_path=True, **options)
    assert_same_descent(ours, twin)
    assert np.abs(ours.coef - descend(X, y, **options).coef).max() > 1e-6


@pytest.mark.parametrize("solver", ["auto", *RULES])
def test_rows_are_those_rows(solver):
    X, y, _, _ = problem("log_loss", n=2000, d=17)
    chosen = np.sort(np.random.default_rng(0).permutation(2000)[:1500])
    held_out = np.setdiff1d(np.arange(2000), chosen)
    options = {
        "loss": "log_loss",
        "solver": solver,
        "alpha": 0.01,
        "max_iter": 4,
        "random_state": 0,
        "tol": None,
    }
    ours = gdfast.gradient_descent(X, y, rows=chosen, rows_val=held_out, **options)
    copied = gdfast.gradient_descent(X[chosen], y[chosen], X_val=X[held_out], y_val=y[held_out], **options)
    assert same_bits((ours.coef, ours.validation_curve), (copied.coef, copied.validation_curve))


# ---- every type, the same bits -------------------------------------------------------------------


def rate(solver, X):
    """A learning rate that suits features of any scale."""
    scale = np.abs(X.astype(float)).max()
    return 0.1 / scale**2 if solver in ("gd", "sgd") else 0.1 / scale


@pytest.mark.parametrize("solver", ["auto", *RULES])
@pytest.mark.parametrize("dtype", DTYPES)
def test_layout_and_threads_change_no_bit_of_a_descent(solver, dtype):
    X = samples(dtype, 277, 17)
    y, *_ = task("log_loss", 1, X)
    options = {
        "loss": "log_loss",
        "solver": solver,
        "eta0": rate(solver, X),
        "alpha": 0.1,
        "max_iter": 4,
        **CONSTANT,
    }
    plain = gdfast.gradient_descent(X, y, random_state=0, **options)
    for name, view, copy in layouts(dtype, 277, 17):
        if copy is X:
            other = gdfast.gradient_descent(view, y, random_state=0, **options)
            assert same_bits((other.coef, other.loss_curve), (plain.coef, plain.loss_curve)), name
    X = samples(dtype, 16_001, 100)
    y, *_ = task("log_loss", 1, X)
    options |= {"batch_size": 8000, "random_state": 0}
    one = gdfast.gradient_descent(X, y, n_threads=1, **options)
    for n_threads in (2, 3, 7):
        other = gdfast.gradient_descent(X, y, n_threads=n_threads, **options)
        assert same_bits((other.coef, other.loss_curve), (one.coef, one.loss_curve)), n_threads


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", RULES)
def test_every_type_descends_as_the_twin(solver, dtype):
    """Narrow types to the precision of float lanes."""
    X = samples(dtype, 277, 17)
    y, *_ = task("squared_epsilon_insensitive", 3, X)
    options = {"loss": "squared_epsilon_insensitive", "solver": solver, "max_iter": 3, **CONSTANT}
    ours = descend(X, y, eta0=rate(solver, X), **options)
    twin = reference.gradient_descent(X.astype(float), y, eta0=rate(solver, X), **options)
    rtol = 1e-11 if dtype == "float64" else 2e-4
    np.testing.assert_allclose(ours.coef, twin.coef, rtol=0, atol=rtol * np.abs(twin.coef).max())
    np.testing.assert_allclose(ours.error, twin.error, rtol=rtol)


# ---- rates that are found, rates that do not do ----------------------------------------------------


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "perceptron"])
def test_auto_rate_of_gd_never_raises_the_error(loss):
    X, y, _, _ = problem(loss, n=61, d=5)
    start = reference.error_and_gradient(X, y, np.zeros(5), loss=loss, **PARAMETERS)[0]
    options = {"loss": loss, "max_iter": 30, "tol": None, **PARAMETERS}
    ours = gdfast.gradient_descent(X * [1e-3, 1, 10, 100, 1e3], y, **options)
    assert np.all(np.diff([start, *ours.loss_curve]) <= 0) and ours.error < start


@pytest.mark.parametrize("solver", RULES)
@pytest.mark.parametrize("dtype", ["float64", "uint8", "uint16"])
def test_auto_rate_does_not_diverge_on_raw_features(solver, dtype):
    X = samples(dtype, 1000, 20)
    y, *_ = task("log_loss", 1, X)
    options = {"loss": "log_loss", "solver": solver, "max_iter": 20, "batch_size": 500, "tol": None}
    ours = gdfast.gradient_descent(X, y, random_state=0, **options)
    assert np.isfinite(ours.coef).all() and ours.error < 2


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", _core.SMOOTH_LOSSES)
def test_auto_solver_ends_where_the_gradient_of_the_twin_is_0(loss, k):
    X, y, _, _ = problem(loss, k, n=400, d=6)
    X = X * [1e-3, 1, 10, 100, 1e3, 1] + [0, 5, 0, 0, 1e3, 0]
    options = {"loss": loss, "alpha": 1e-3, **PARAMETERS}
    ours = gdfast.gradient_descent(X, y, solver="auto", tol=1e-13, **options)
    assert ours.converged
    _, g, b = reference.error_and_gradient(X, y, ours.coef, ours.intercept, **options)
    assert np.abs(g / np.abs(X).max(axis=0)).max() < 1e-6 and np.abs(b).max() < 1e-6


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "squared_hinge"])
def test_too_large_a_rate_is_named(loss):
    X, y, _, _ = problem(loss, n=61, d=5)
    with pytest.raises(gdfast.DivergenceError, match=r"epoch #\d+.*try eta0=") as caught:
        descend(X, y, loss=loss, learning_rate="constant", eta0=1e6, max_iter=50)
    usable = float(str(caught.value).split("try eta0=")[1].split(" ")[0])
    ours = descend(X, y, loss=loss, eta0=usable, max_iter=200, **CONSTANT)
    assert np.isfinite(ours.error) and ours.error < ours.loss_curve[0]


@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "epsilon_insensitive", "perceptron"])
def test_leaving_an_error_of_0_is_no_divergence(loss):
    """Where E is about 0 at the start, a constant rate at a kink must raise it, and that is all."""
    X, y, coef, _ = problem(loss, n=61, d=5)
    if loss == "perceptron":
        coef = np.zeros(5)
    else:
        y = X @ coef
    options = {"loss": loss, "epsilon": 0.0, "eta0": 0.01, "max_iter": 5, **CONSTANT}
    ours, twin = follow(X, y, coef_init=coef * (1 + 1e-9), **options)
    np.testing.assert_allclose(whole_path(ours)[:2], twin.path[:2], atol=1e-12)
    assert twin.loss_curve[0] > 1e-4 and ours.error < 1


# ---- callback ------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", *RULES])
def test_callback_sees_every_epoch(solver):
    X, y, _, _ = problem("log_loss", 3, n=61, d=5)
    states = []
    options = {
        "loss": "log_loss",
        "solver": solver,
        "max_iter": 6,
        "tol": None,
        "random_state": 0,
        "alpha": 0.1,
    }
    ours = gdfast.gradient_descent(X, y, callback=states.append, keep_path=True, **options)
    assert [state.epoch for state in states] == list(range(1, ours.n_iter + 1))
    curves = {"error": ours.loss_curve, "eta": ours.eta, "gradient_norm": ours.gradient_norm_curve}
    for name, curve in curves.items():
        np.testing.assert_array_equal([getattr(state, name) for state in states], curve)
    np.testing.assert_array_equal([state.coef for state in states], ours.path.coef[1:])
    assert all(np.isnan(state.validation_error) for state in states)
    stopped = gdfast.gradient_descent(X, y, callback=lambda state: state.epoch == 2, **options)
    assert stopped.n_iter == 2 and not stopped.converged and "callback" in stopped.message
    np.testing.assert_array_equal(stopped.coef, ours.path.coef[2])


def test_auto_sees_columns_that_a_sample_hardly_does():
    """Columns that are not 0 in six rows of 60 000: the metric of a sample alone took a thousand steps."""
    rng = np.random.default_rng(0)
    X = np.zeros((60_000, 60), np.float32)
    X[:, :20] = rng.normal(size=(60_000, 20))
    for column in range(20, 60):
        X[rng.choice(60_000, 6, replace=False), column] = 200
    y = (X[:, :20] @ rng.normal(size=20) + rng.logistic(size=60_000) > 0) * 1.0
    result = gdfast.gradient_descent(X, y, loss="log_loss", alpha=1e-6, solver="auto")
    assert result.converged and result.n_iter <= 40


@pytest.mark.parametrize("loss", ["huber", "poisson", "hinge"])
def test_who_watches_independent_outputs_changes_no_bit(loss):
    """Outputs are descended one after the other, and told as one."""
    X, y, _, _ = problem(loss, 3, n=200, d=5)
    options = {"loss": loss, "solver": "auto", "alpha": 0.01, "n_outputs": 3, **PARAMETERS}
    alone, seen = descend(X, y, **options), []
    watched = descend(X, y, keep_path=True, callback=lambda state: seen.append(state.error), **options)
    assert same_bits(alone.coef, watched.coef) and same_bits(alone.loss_curve, watched.loss_curve)
    assert len(seen) == watched.n_iter == len(watched.path.coef) - 1
    np.testing.assert_array_equal(watched.path.coef[-1], watched.coef)
    np.testing.assert_allclose(seen[-1], watched.error, rtol=1e-12)
    judged = descend(X, y, X_val=X[:50], y_val=y[:50], **options)
    model = (judged.coef, judged.intercept)
    best, _, _ = reference.error_and_gradient(X[:50], y[:50], *model, loss=loss, alpha=0.01, **PARAMETERS)
    np.testing.assert_allclose(best, judged.validation_curve.min(), rtol=1e-9)
