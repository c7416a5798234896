"""The pointwise losses of every instruction set, and of the NumPy twin, against mpmath.

The rule. A result is right if it is within 4 ulp of the exact one. Where two terms cancel, the ulp is that
of the larger of the two: once a term has been rounded, nothing smaller can be known. (A difference in an
exponent, as softmax has it, counts as such: its ulp is a relative error of the result.) Where the result, or
the distance |z - y| or |z_i - z_j| it is made of, is beyond the largest float, infinity of the right sign is
right. NaN never is.

The exact side is computed with 160 bits and kept as hi + lo, two floats, so that NumPy compares whole arrays.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest
from mpmath import mp, mpf

from gdfast import _core, reference

ISAS = _core.available_isas()
PARTS = ("error", "derivative", "curvature")
ULPS = 4
LARGEST = np.finfo(float).max
EPS = mpf(2) ** -52
BEYOND = float("inf")  # as the larger of two terms: either side of a jump, or infinity, is right

REGRESSION_TARGETS = (0.0, 0.3, -17.25, 1e6, -1e308)
TARGETS = {
    "poisson": (0.0, 1e-3, 1.0, 7.0, 1e6),
    "gamma": (1e-3, 1.0, 2.5, 1e6),
    "log_loss": (0.0, 1.0, 0.25, 1e-300, 1 - 2**-40),
    **dict.fromkeys(reference.MARGIN_LOSSES, (-1.0, 1.0)),
}
PARAMETERS = {
    "huber": (0.1, 1.35, 1e4),
    "quantile": (0.05, 0.5, 0.9),
    "epsilon_insensitive": (0.0, 0.1, 3.0),
    "squared_epsilon_insensitive": (0.0, 0.1, 3.0),
}
EDGES = (5e-324, 2.3e-308, 1e-300, 1e-160, 1e-16, 0.1, 0.5, 1.0, 36.7, 37.5, 708.4, 709.78, 709.79, 710.0,
         720.0, 744.4, 745.0, 745.13, 745.14, 746.0, 800.0, 1e3, 1400.0, 1e16, 1e154, 1e300, 1e308,
         LARGEST)  # fmt: skip


# ---- the exact losses ----------------------------------------------------------------------------
# Each returns error, derivative and curvature, every one with the larger of the terms that cancel in it or 0.
# Constants are floats, everything else mpf.


@cache
def exp(z):
    return mp.exp(z)


def sign(x):
    return float(x > 0) - float(x < 0)


def near(t, larger):
    """Whether rounding of a difference t can have moved it across 0."""
    return BEYOND if t != 0 and abs(t) <= larger * EPS else 0


def overflow(r):
    """Whether a distance r is beyond the largest float."""
    return BEYOND if abs(r) > LARGEST else 0


def exact_squared_error(z, y, a):
    r = z - y
    return (r * r / 2, 0), (r, 0), (1.0, 0)


def exact_absolute_error(z, y, a):
    r = z - y
    return (abs(r), 0), (sign(r), 0), (0.0, 0)


def exact_huber(z, y, a):
    r = z - y
    edge = near(abs(r) - a, abs(r))
    if abs(r) <= a:
        return (r * r / 2, 0), (r, 0), (1.0, edge)
    return (a * abs(r) - a * a / 2, overflow(r)), (a * sign(r), 0), (0.0, edge)


def exact_quantile(z, y, a):
    r = z - y
    slope = 1 - a if r > 0 else -a if r < 0 else 1 - 2 * a
    return ((1 - a) * r if r > 0 else -a * r, overflow(r)), (slope, 1), (0.0, 0)


def exact_epsilon_insensitive(z, y, a):
    r, t = abs(z - y), abs(z - y) - a
    return (t if t > 0 else 0.0, r), (sign(z - y) if t >= 0 else 0.0, near(t, r)), (0.0, 0)


def exact_squared_epsilon_insensitive(z, y, a):
    r, t = abs(z - y), abs(z - y) - a
    if t <= 0:
        return (0.0, 2 * EPS * r * r), (0.0, 2 * r), (0.0, near(t, r))
    return (t * t, 2 * t * r), (2 * t * sign(z - y), 2 * r), (2.0, near(t, r))


def exact_poisson(z, y, a):
    e = exp(z)
    return (e - y * z, max(e, abs(y * z))), (e - y, max(e, y)), (e, 0)


def exact_gamma(z, y, a):
    e = y * exp(-z)
    return (z + e, max(abs(z), e) if z < 0 else 0), (1 - e, max(1, e)), (e, 0)


def exact_log_loss(z, y, a):
    u = exp(-abs(z))
    against = 1 - y if z > 0 else y
    unlikely = u / (1 + u)
    slope = against - unlikely if z > 0 else unlikely - against
    larger = 0 if y in (0, 1) else max(against, unlikely)  # no excuse for hard labels
    return (mp.log1p(u) + abs(z) * against, 0), (slope, larger), (unlikely / (1 + u), 0)


def exact_hinge(z, y, a):
    t = 1 - y * z
    return (t if t > 0 else 0.0, 0), (-float(y) if t >= 0 else 0.0, 0), (0.0, 0)


def exact_squared_hinge(z, y, a):
    t = 1 - y * z
    return ((t * t, 0), (-2 * y * t, 0), (2.0, 0)) if t > 0 else ((0.0, 0), (0.0, 0), (0.0, 0))


def exact_modified_huber(z, y, a):
    if y * z < -1:
        return (-4 * y * z, 0), (-4 * float(y), 0), (0.0, 0)
    return exact_squared_hinge(z, y, a)


def exact_perceptron(z, y, a):
    t = -y * z
    return (t if t > 0 else 0.0, 0), (-float(y) if t >= 0 else 0.0, 0), (0.0, 0)


# ---- points, tables and the comparison -----------------------------------------------------------


@cache
def scores():
    """Raw scores: dense around 0, where exp matters, and over all magnitudes."""
    rng = np.random.default_rng(20261122)
    magnitudes = rng.uniform(1, 10, 300) * 10.0 ** rng.uniform(-310, 307, 300)
    wide = np.concatenate([magnitudes, EDGES])
    near_edges = np.concatenate([np.nextafter(EDGES[:-1], 0), np.nextafter(EDGES[:-1], np.inf)])
    dense = np.linspace(-40, 40, 641)
    where_exp_lives = rng.uniform(-760, 760, 300)
    return np.concatenate([[0.0], dense, where_exp_lives, wide, -wide, near_edges, -near_edges])


@cache
def points(name, parameter):
    """z and y of one test: all scores for each target, and the neighbourhood of the kinks."""
    zs, ys = [], []
    for y in TARGETS.get(name, REGRESSION_TARGETS):
        kinks = np.array([y - parameter, y, y + parameter])
        kinks = np.concatenate([kinks, np.nextafter(kinks, -np.inf), np.nextafter(kinks, np.inf)])
        z = np.concatenate([scores(), kinks[np.isfinite(kinks)]])
        zs.append(z)
        ys.append(np.full(z.size, y))
    return np.concatenate(zs), np.concatenate(ys)


def two_floats(numbers):
    """Exact numbers as hi + lo: hi the nearest float (or infinity), lo what is left of them."""
    hi = [float(x) for x in numbers]
    lo = [0.0 if x is h or abs(h) == BEYOND else float(x - h) for x, h in zip(numbers, hi, strict=True)]
    return np.array(hi), np.array(lo)


def ulp(x):
    """The gap between |x| and the next float (half of it for the largest numbers, infinity for infinity)."""
    return np.where(np.isfinite(x), np.spacing(np.minimum(np.abs(x), LARGEST / 2)), np.inf)


@cache
def table(name, parameter):
    """(hi, lo, tolerance) of error, derivative and curvature at points(name, parameter)."""
    exact = globals()[f"exact_{name}"]
    z, y = points(name, parameter)
    with mp.workprec(160):
        number = cache(mpf)
        rows = [exact(number(a), number(b), mpf(parameter)) for a, b in zip(z.tolist(), y.tolist(), strict=True)]
        return [column(part) for part in zip(*rows, strict=True)]


def column(pairs):
    values, larger = zip(*pairs, strict=True)
    hi, lo = two_floats(values)
    terms = np.array([float(x) for x in larger])
    return hi, lo, ULPS * np.maximum(ulp(np.where(np.isinf(hi), 0, hi)), ulp(terms))


def wrong(got, hi, lo, tolerance):
    """Which results break the rule at the top of this file."""
    top = LARGEST * (1 - ULPS * 2.0**-53)  # as near to the largest float as infinity may be taken for it
    saturated = (np.abs(hi) >= top) & (np.abs(got) >= top) & (np.sign(got) == np.sign(hi))
    with np.errstate(invalid="ignore"):
        close = np.isfinite(hi) & (np.abs((got - hi) - lo) <= tolerance)
    return ~(saturated | close)


def complaints(what, got, expected, *inputs):
    """What is wrong with error, derivative and curvature, a line each."""
    lines = []
    for part, values, (hi, lo, tolerance) in zip(PARTS, got, expected, strict=False):
        assert values.dtype == np.float64 and values.shape == hi.shape
        bad = np.flatnonzero(wrong(values, hi, lo, tolerance).reshape(len(inputs[0]), -1).any(axis=1))
        if bad.size:
            shown = [tuple(x[i].tolist() for x in (*inputs, values, hi)) for i in bad[:4]]
            lines.append(f"{what}, {part}: {bad.size} of {len(hi)} wrong; (inputs, got, exact): {shown}")
    return lines


def implementation(which):
    """loss(name, z, y, parameter) of the twin or of an instruction set."""
    if which == "reference":
        return lambda name, z, y, a: reference.loss(name, z, y, epsilon=a, quantile=a)
    return lambda name, z, y, a: _core.pointwise(name, z, y, param=a, isa=which)


CASES = [(name, a) for name in reference.LOSSES for a in PARAMETERS.get(name, (0.5,))]


@pytest.mark.parametrize("name, parameter", CASES)
def test_within_four_ulp_or_saturated(name, parameter):
    z, y = points(name, parameter)
    assert z.size > 3000 and np.abs(z).max() == LARGEST
    expected = table(name, parameter)
    assert any(np.ptp(hi[np.isfinite(hi)]) > 0 for hi, _, _ in expected)
    wrongs = []
    twin = ("reference",) if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else ()  # exp of NumPy 1 is off by more
    for which in (*twin, *ISAS):
        got = implementation(which)(name, z, y, parameter)
        wrongs += complaints(f"{name}({parameter}), {which}", got, expected, z, y)
    assert not wrongs, "\n".join(wrongs)


def test_the_rule_can_fail():
    """One ulp too many, a lost subnormal, a NaN, an infinity of the wrong sign or too early are all seen."""
    hi = np.array([1.0, 1e-310, 0.0, np.inf, 1e308, -np.inf])
    lo, tolerance = np.zeros(6), ULPS * ulp(np.where(np.isinf(hi), 0, hi))
    assert not wrong(hi, hi, lo, tolerance).any()
    assert not wrong(np.array([1 + 4 * 2.0**-52, 1e-310, 2e-323, LARGEST, 1e308, -np.inf]), hi, lo, tolerance).any()
    assert wrong(np.array([1 + 5 * 2.0**-52, 0.0, 3e-323, -np.inf, np.inf, 1e308]), hi, lo, tolerance).all()
    assert wrong(np.full(6, np.nan), hi, lo, tolerance).all()


def same_bits(a, b):
    return all(x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


needs_both = pytest.mark.skipif(not {"avx2", "avx512"} <= set(ISAS), reason="needs AVX2 and AVX-512")


@needs_both
@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("name, parameter", CASES)
def test_avx2_and_avx512_give_the_same_bits(name, parameter, smoothing):
    z, y = points(name, parameter)
    a, b = (_core.pointwise(name, z, y, param=parameter, smoothing=smoothing, isa=isa) for isa in ("avx2", "avx512"))
    assert same_bits(a, b)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", reference.LOSSES)
def test_a_point_does_not_depend_on_its_neighbours(name, isa):
    """The rest after the last whole vector is computed as the vectors are."""
    rng = np.random.default_rng(3)
    z = rng.normal(scale=3, size=41)
    y = np.where(rng.random(41) < 0.5, -1.0, 1.0) if name in reference.MARGIN_LOSSES else rng.random(41)
    whole = _core.pointwise(name, z, y, param=0.3, isa=isa)
    for n in (0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 40):
        assert same_bits(_core.pointwise(name, z[:n], y[:n], param=0.3, isa=isa), [part[:n] for part in whole])
    assert same_bits(_core.pointwise(name, z[::-1], y[::-1], param=0.3, isa=isa), [part[::-1] for part in whole])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["absolute_error", "quantile", "epsilon_insensitive", "hinge", "perceptron"])
def test_smoothed_kinks(name, isa):
    """Smoothing keeps a loss convex, moves it by half its width at most, and its derivatives follow."""
    width, a = 0.25, 0.4
    z = np.linspace(-3, 3, 4802)  # never at a corner of the second derivative
    h = z[1] - z[0]
    y = np.ones_like(z)
    sharp = _core.pointwise(name, z, y, param=a, isa=isa)[0]
    error, slope, curvature = _core.pointwise(name, z, y, param=a, smoothing=width, isa=isa)
    assert np.all(sharp - error >= -1e-15) and np.all(sharp - error <= width / 2 + 1e-15)
    assert np.ptp(curvature) > 0 and np.all(curvature >= 0) and np.all(np.diff(slope) >= -1e-15)
    np.testing.assert_allclose(np.diff(error) / h, (slope[1:] + slope[:-1]) / 2, atol=2 * h / width)
    inside = curvature[1:] == curvature[:-1]
    np.testing.assert_allclose((np.diff(slope) / h)[inside], curvature[1:][inside], atol=1e-9)


# ---- softmax -------------------------------------------------------------------------------------


@cache
def softmax_points():
    """Scores (n, 3) of all magnitudes and shares (n, 3): one class, several, unnormalised."""
    rng = np.random.default_rng(7)
    edges = np.array(list(itertools.product((0.0, 1e-300, 1.0, -37.0, 710.0, -745.0, 1e3, -1e308, LARGEST), repeat=3)))
    random = rng.normal(size=(1800, 3)) * 10.0 ** rng.uniform(-3, 3, size=(1800, 1))
    Z = np.concatenate([edges, edges, random])
    Y = rng.dirichlet(np.ones(3), size=len(Z)) * rng.uniform(0.5, 3, size=(len(Z), 1))
    hard = rng.random(len(Z)) < 0.7
    Y[hard] = np.eye(3)[rng.integers(0, 3, hard.sum())]
    Y[(rng.random(Y.shape) < 0.1) & ~hard[:, None]] = 0.0
    return Z, Y


def exact_softmax(z, y):
    """Error and derivatives, each with the largest term that a rounded difference of scores enters with."""
    top = max(z)
    odds = [exp(x - top) for x in z]
    where = z.index(top)
    others = sum(odds[:where] + odds[where + 1 :])
    larger = [max(abs(x), abs(top)) if x != top else mpf(0) for x in z]  # terms of z - top
    total, log_total = sum(y), mp.log1p(others)
    error = sum((b * (log_total - (a - top)) for a, b in zip(z, y, strict=True) if b), mpf(0))
    loose = sum((b * w + overflow(a - top) for a, b, w in zip(z, y, larger, strict=True) if b), mpf(0))
    loose += total * sum((o * w for o, w in zip(odds, larger, strict=True)), mpf(0))
    pairs = [(error, loose)]
    for o, b, w in zip(odds, y, larger, strict=True):
        p = total * o / (1 + others)
        pairs.append((p - b, max(b, p * max(1, w, abs(top) if others > 0 else 1))))
    return pairs


@cache
def softmax_table():
    Z, Y = softmax_points()
    with mp.workprec(160):
        number = cache(mpf)
        rows = [
            exact_softmax([number(a) for a in z], [number(b) for b in y])
            for z, y in zip(Z.tolist(), Y.tolist(), strict=True)
        ]
        error, *derivative = (column(part) for part in zip(*rows, strict=True))
    return [error, tuple(np.stack(part, axis=1) for part in zip(*derivative, strict=True))]


@pytest.mark.parametrize("which", ["reference", *ISAS])
def test_softmax_within_four_ulp_or_saturated(which):
    Z, Y = softmax_points()
    before = Z.copy(), Y.copy()
    got = reference.softmax_loss(Z, Y) if which == "reference" else _core.pointwise_softmax(Z, Y, isa=which)
    wrongs = complaints(f"softmax, {which}", got, softmax_table(), Z, Y)
    assert not wrongs, "\n".join(wrongs)
    assert same_bits((Z, Y), before)


@needs_both
@pytest.mark.parametrize("k", [1, 2, 3, 5, 17])
def test_softmax_avx2_and_avx512_give_the_same_bits(k):
    rng = np.random.default_rng(k)
    Z = rng.normal(size=(333, k)) * 10.0 ** rng.uniform(-3, 3, size=(333, 1))
    Y = np.eye(k)[rng.integers(0, k, 333)]
    a, b = (_core.pointwise_softmax(Z, Y, isa=isa) for isa in ("avx2", "avx512"))
    assert same_bits(a, b)


@pytest.mark.parametrize("isa", ISAS)
def test_softmax_of_two_classes_is_the_log_loss_of_their_difference(isa):
    z = np.linspace(-50, 50, 1001)
    y = np.linspace(0, 1, 1001)[np.random.default_rng(0).permutation(1001)]
    error, slope = _core.pointwise_softmax(np.column_stack([np.zeros_like(z), z]), np.column_stack([1 - y, y]), isa=isa)
    expected_error, expected_slope, _ = _core.pointwise("log_loss", z, y, isa=isa)
    np.testing.assert_allclose(error, expected_error, rtol=1e-14)
    np.testing.assert_allclose(slope, np.column_stack([-expected_slope, expected_slope]), atol=5e-16)
