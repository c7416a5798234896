"""error_and_gradient against its NumPy twin: losses, types, layouts, sizes, threads, instruction sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import (
    DTYPES,
    LOSSES,
    MARGIN_LOSSES,
    central_differences,
    layouts,
    problem,
    same_bits,
    samples,
    task,
)

import gdfast
from gdfast import _core, reference

SIZES = (1, 2, 5, 8, 15, 16, 17, 30, 31, 33, 64, 100, 300)
PARAMETERS = {"epsilon": 0.3, "quantile": 0.3}
THREADS = (2, 3, 7)


def compute(X, y, coef, intercept, loss, **options):
    return gdfast.error_and_gradient(X, y, coef, intercept, loss=loss, **PARAMETERS, **options)


# ---- against the twin ----------------------------------------------------------------------------


def tolerances(loss, X, y, coef, intercept, eps):
    """How far rounding to eps may move error, coef gradient (k, d) and intercept gradient (k,).

    A score z_i may be off by delta_i = 8 eps (|x_i| |w| + |b|). Its error is then off by slope * delta_i, and
    its slope by what that changes over z_i +- delta_i, be it by curvature or by the jump at a kink. The sums
    over rows add the roundings of half a block of 256 rows, and of all rows in the twin.
    """
    W, b, Y = np.atleast_2d(coef), np.atleast_1d(intercept), y.reshape(len(X), -1)
    Z, delta = X @ W.T + b, 8 * eps * (np.abs(X) @ np.abs(W).T + np.abs(b))
    if loss == "log_loss" and len(W) > 1:
        error, slope = reference.softmax_loss(Z, Y)
        change, size = np.repeat(delta.max(axis=1, keepdims=True), len(W), axis=1), error[:, None] + np.abs(Z)
    else:
        (_, below, _), (error, slope, _), (_, above, _) = (
            reference.loss(loss, Z + step, Y, **PARAMETERS) for step in (-delta, 0, delta)
        )
        change, size = np.abs(above - below), np.abs(error) + np.abs(Y * Z)
    rounding = (np.abs(slope) * (128 * eps + len(X) * np.finfo(float).eps) + change) / len(X)
    moved = (np.abs(slope) + change) * delta + 16 * np.finfo(float).eps * size
    return moved.sum() / len(X), rounding.T @ np.abs(X), rounding.sum(axis=0)


def assert_right(got, loss, X, y, coef, intercept):
    """The engine's result is the twin's, to what rounding in its lanes allows."""
    lanes = np.float64 if X.dtype == np.float64 else np.float32
    X = X.astype(float)
    expected = reference.error_and_gradient(X, y, coef, intercept, loss=loss, **PARAMETERS)
    allowed = tolerances(loss, X, y, coef, intercept, np.finfo(lanes).eps)
    for value, twin, tolerance in zip(got, expected, allowed, strict=True):
        assert np.shape(value) == np.shape(twin)
        off = np.abs(np.atleast_1d(value) - twin) - tolerance
        assert np.all(off <= 0), (loss, X.shape, value, twin, tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_type_size_and_layout(loss, k, dtype):
    """Right for every width of X in C order, and the same bits in every other layout."""
    for d in SIZES:
        X = samples(dtype, 277, d)
        y, *weights = task(loss, k, X)
        got = compute(X, y, *weights, loss)
        assert isinstance(got[0], float) and got[1].dtype == np.float64
        assert isinstance(got[2], float) if k == 1 else got[2].shape == (k,)
        assert_right(got, loss, X, y, *weights)
        for name, view, copy in layouts(dtype, 277, d):
            plain = got if copy is X else compute(copy, y, *weights, loss)
            assert same_bits(compute(view, y, *weights, loss), plain), (name, d)


def test_layouts_are_what_they_say():
    made = {name: (view, copy) for name, view, copy in layouts("float32", 277, 5)}
    for view, copy in made.values():
        assert np.array_equal(view, copy) and copy.flags.c_contiguous and copy.dtype == np.float32
    views = {name: view for name, (view, _) in made.items()}
    assert views["F"].flags.f_contiguous and not views["F"].flags.c_contiguous
    assert max(views["negative strides"].strides) < 0 == views["stride 0: one row"].strides[0]
    assert not views["byte-swapped"].dtype.isnative and not views["unaligned"].flags.aligned
    assert views["unaligned"].strides == (21, 4) and not views["read-only"].flags.writeable


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.integers(1, 700),
    st.integers(1, 70),
    st.integers(1, 20),
    st.sampled_from(DTYPES),
    st.sampled_from(list(LOSSES)),
    st.integers(0, 13),
)
def test_any_shape(n, d, k, dtype, loss, layout):
    _, view, X = layouts(dtype, n, d)[layout]
    y, *weights = task(loss, k, X, seed=n + d)
    got = compute(view, y, *weights, loss)
    assert_right(got, loss, X, y, *weights)
    assert same_bits(got, compute(X, y, *weights, loss))


@pytest.mark.parametrize("d", [1, 17])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("loss", LOSSES)
def test_scores_of_every_size(loss, dtype, d):
    """Row by row the loss is right to its lanes and saturates, for scores up to the largest of the type."""
    largest = float(np.finfo(dtype).max)
    sizes = [0, 1e-3, 1, 15, 17, 50, 87, 89, 103, 105, 700, 710, 745, 1e3, 6e4, 1e30, 1e38, 1e308]
    z = np.array([size for size in sizes if size <= largest], dtype=dtype)
    z = np.concatenate([z, -z])
    X = np.zeros((len(z), d), dtype=dtype)
    X[:, -1] = z
    lanes = np.finfo(np.float64 if dtype == "float64" else np.float32)
    for y in (-1.0, 1.0) if loss in MARGIN_LOSSES else (0.5, 1.0) if loss == "gamma" else (0.0, 0.25, 1.0):
        error, slope, _ = reference.loss(loss, z, y, **PARAMETERS)
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.abs(error) + np.abs(y * z.astype(float))
        for i in np.flatnonzero(np.isfinite(error)):
            got = compute(X[[i]], [y], np.eye(d)[-1], 0.0, loss)
            assert abs(got[0] - error[i]) <= 8 * lanes.eps * size[i] + lanes.tiny, (z[i], y, got, error[i])
            assert abs(got[2] - slope[i]) <= 8 * lanes.eps * max(abs(slope[i]), y) + lanes.tiny, (z[i], y)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_offset_and_penalties(loss, k):
    X, y, coef, intercept = problem(loss, k, n=300, d=17, seed=3)
    rng = np.random.default_rng(9)
    coef[..., ::3] = 0
    s = rng.random(300) * (rng.random(300) < 0.7)
    for offset in (rng.normal(size=300), rng.normal(size=(300, k))):
        options = {
            "sample_weight": s,
            "offset": offset,
            "alpha": 9.0,
            "l1_ratio": 0.6,
            "loss": loss,
            **PARAMETERS,
        }
        got = gdfast.error_and_gradient(X, y, coef, intercept, **options)
        twin = reference.error_and_gradient(X, y, coef, intercept, **options)
        for value, expected in zip(got, twin, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-14)
    assert (np.asarray(got[1])[coef == 0] == 0).any()  # the shortest subgradient


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient_is_the_slope_of_the_error(loss, k):
    X, y, coef, intercept = problem(loss, k, seed=4)
    options = {"loss": loss, "alpha": 0.2, "l1_ratio": 0.3, **PARAMETERS}
    _, grad_coef, grad_intercept = gdfast.error_and_gradient(X, y, coef, intercept, **options)
    slopes = central_differences(lambda w: gdfast.error_and_gradient(X, y, w, intercept, **options)[0], coef)
    biases = np.asarray(intercept)
    bias_slopes = central_differences(
        lambda b: gdfast.error_and_gradient(X, y, coef, b if k > 1 else float(b), **options)[0], biases
    )
    np.testing.assert_allclose(grad_coef, slopes, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(grad_intercept, bias_slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("loss", LOSSES)
def test_weight_0_removes_a_row_whatever_its_error(loss):
    X, y, coef, intercept = problem(loss, n=50)
    X[::5] *= 1e200
    s = np.ones(50)
    s[::5] = 0
    got = compute(X, y, coef, intercept, loss, sample_weight=s)
    without = compute(X[s > 0], y[s > 0], coef, intercept, loss)
    for value, expected in zip(got, without, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-13)


@pytest.mark.parametrize("loss", ["log_loss", *MARGIN_LOSSES])
def test_class_codes(loss):
    """Codes 0 ... k-1 of any integer type are the columns "is it j?"."""
    X, _, coef, intercept = problem(loss, 3, n=300)
    codes = np.random.default_rng(5).integers(0, 3, 300)
    columns = np.where(codes[:, None] == np.arange(3), 1.0, -1.0 if loss in MARGIN_LOSSES else 0.0)
    expected = compute(X, columns, coef, intercept, loss)
    for dtype in ("int64", "uint8", ">i4", "float32"):
        assert same_bits(compute(X, codes.astype(dtype), coef, intercept, loss), expected)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint16", ">f8", ">i2", "int32", "bool"])
def test_targets_and_weights_are_read_as_stored(dtype):
    X, _, coef, intercept = problem("squared_error", 3, n=300)
    rng = np.random.default_rng(6)
    y, s = rng.integers(0, 5, (300, 3)).astype(dtype), rng.integers(0, 3, 300).astype(dtype)
    offset = rng.integers(0, 3, (300, 3)).astype(dtype)
    plain = compute(X, y.astype(float), coef, intercept, "squared_error", sample_weight=s.astype(float),
                    offset=offset.astype(float))  # fmt: skip
    for of in (
        lambda a: a,
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a[::-1].copy()[::-1],
    ):
        got = compute(X, of(y), coef, intercept, "squared_error", sample_weight=of(s), offset=of(offset))
        assert same_bits(got, plain)


def test_inputs_stay_as_they_were():
    X, y, coef, intercept = problem("log_loss", 3, n=300)
    s, offset = np.ones(300), np.ones((300, 3))
    before = [a.copy() for a in (X, y, coef, intercept, s, offset)]
    compute(X, y, coef, intercept, "log_loss", sample_weight=s, offset=offset)
    assert same_bits(before, (X, y, coef, intercept, s, offset))


# ---- the same bits -------------------------------------------------------------------------------


@pytest.mark.parametrize("k, n, d", [(1, 90_001, 5), (1, 16_001, 100), (3, 6007, 33)])
@pytest.mark.parametrize("loss", LOSSES)
def test_threads_and_order_change_no_bit(loss, k, n, d):
    """Sizes at which 7 threads have work; float16 and the narrow integers share their code from here on."""
    for dtype in DTYPES:
        X = samples(dtype, n, d)
        y, *weights = task(loss, k, X)
        one = compute(X, y, *weights, loss, n_threads=1)
        for n_threads in THREADS:
            assert same_bits(compute(X, y, *weights, loss, n_threads=n_threads), one), (dtype, n_threads)
        if d == 33:
            assert_right(one, loss, X, y, *weights)
            assert same_bits(compute(np.asfortranarray(X), y, *weights, loss, n_threads=3), one), dtype


PRINT_RESULTS = """
import hashlib, json, sys
import numpy as np
import gdfast
from gdfast import _core
from problems import DTYPES, LOSSES, problem, samples, task

def digest(*arrays):
    return hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in arrays)).hexdigest()

results = {}
for loss in LOSSES:
    for k in (1, 3):
        for dtype in DTYPES:
            for d in (2, 15, 17, 33, 100):
                X = samples(dtype, 601, d)
                y, coef, intercept = task(loss, k, X)
                got = gdfast.error_and_gradient(X, y, coef, intercept, loss=loss)
                z = gdfast.scores(X, coef, intercept)
                results[f"{loss} {k} {dtype} {d}"] = digest(*got, z), got[0]
        X, y, _, _ = problem(loss, k, n=100)
        for solver in ("gd", "sgd", "adagrad", "rmsprop", "adam"):
            r = gdfast.gradient_descent(X, y, loss=loss, solver=solver, learning_rate="constant", eta0=0.01,
                                        max_iter=3, tol=None, random_state=0)
            results[f"{loss} {k} {solver}"] = digest(r.coef, r.intercept, r.loss_curve), r.error
print(json.dumps([_core.isa(), results]))
"""


@pytest.fixture(scope="module")
def results_by_isa():
    """What fresh processes compute under each instruction set: {isa: {case: (digest of bits, error)}}."""
    results = {}
    for isa in _core.available_isas():
        path = os.pathsep.join([str(Path(__file__).parent), str(Path(gdfast.__file__).parents[1])])
        done = subprocess.run(
            [sys.executable, "-c", PRINT_RESULTS],
            env={**os.environ, "GDFAST_ISA": isa, "PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        name, results[isa] = json.loads(done.stdout)
        assert name == isa
    return results


@pytest.mark.skipif(not {"avx2", "avx512"} <= set(_core.available_isas()), reason="needs AVX2 and AVX-512")
def test_avx2_and_avx512_give_the_same_bits(results_by_isa):
    avx2, avx512 = results_by_isa["avx2"], results_by_isa["avx512"]
    assert len({bits for bits, _ in avx2.values()}) > 1000
    assert [case for case in avx2 if avx2[case] != avx512[case]] == []


def test_instruction_sets_agree(results_by_isa):
    baseline = results_by_isa["baseline"]
    for isa, results in results_by_isa.items():
        for case, (_, error) in results.items():
            assert error == pytest.approx(baseline[case][1], rel=1e-5, abs=1e-6), (isa, case)


def test_unknown_instruction_set_is_named():
    done = subprocess.run(
        [sys.executable, "-c", "import gdfast"],
        env={**os.environ, "GDFAST_ISA": "mmx", "PYTHONPATH": str(Path(gdfast.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0 and "GDFAST_ISA must be one of" in done.stderr and "'mmx'" in done.stderr
