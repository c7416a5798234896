"""Numbers that are not finite, sums that are not, and floating-point modes: cases 15, 16 and 22.

Never NaN or infinity in what is returned, never a word about infinity in X where there is none.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from hostile import CALLS, ESTIMATORS, FITS, SOLVERS, both, data, same_bits, targets, unchanged
from numpy.testing import assert_allclose, assert_array_equal

from gdfast import DivergenceError, GDClassifier, GDRegressor, error_and_gradient, gradient_descent, scores
from gdfast.functional import LOSSES

pytestmark = pytest.mark.timeout(60)

WAYS = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
FITTING = pytest.mark.parametrize("call", FITS.values(), ids=FITS.keys())
NOT_FINITE = pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)


# ---- one number that is not finite: case 15 -----------------------------------------------------------------------

PLACES = [(0, 0), (298, 4), (150, 2), (17, 4), (255, 1), (256, 0), (299, 3)]


@WAYS
@NOT_FINITE
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", ">f4", ">f2"])
def test_one_number_of_X_that_is_not_finite(call, bad, dtype):
    """Case 15: in the first, last and middle rows and columns, in the tail after whole vectors and blocks."""
    X, y = data()
    for row, column in PLACES:
        hole = X.astype(dtype)
        hole[row, column] = bad
        text = rf"Input X contains {'NaN' if np.isnan(bad) else 'infinity'}.*\(first at row {row}, column {column}\)"
        with unchanged(hole), pytest.raises(ValueError, match=text):
            call(hole, y)


@NOT_FINITE
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_sees_it(loss, bad):
    """Case 15: also the losses that saturate, and also where a weight of 0 or a fold would hide the row."""
    X, y = data()
    y = targets(loss, y)
    hole, weight = X.copy(), np.ones(300)
    hole[70, 3] = bad
    weight[70] = 0.0
    rows, rest = np.array([70]), np.delete(np.arange(300), 70)
    text = r"first at row 70, column 3"
    for coef in (np.zeros(5), np.ones(5), -np.ones(5)):
        for more in ({}, {"sample_weight": weight}):
            with pytest.raises(ValueError, match=text):
                error_and_gradient(hole, y, coef, loss=loss, **more)
    for solver in SOLVERS:
        for given in ({}, {"sample_weight": weight}, {"rows": rest, "rows_val": rows}, {"rows": rows}):
            with pytest.raises(ValueError, match=text):
                gradient_descent(hole, y, loss=loss, solver=solver, max_iter=2, tol=None, **given)
        with pytest.raises(ValueError, match=text):
            gradient_descent(X, y, loss=loss, solver=solver, max_iter=2, tol=None, X_val=hole, y_val=y)


@both
@NOT_FINITE
@pytest.mark.parametrize("solver", ["auto", "sgd"])
def test_held_out_rows_are_checked_too(Estimator, bad, solver):
    """Case 15: early_stopping trains on some rows and validates on others; none is let through."""
    X, y = data()
    for row in (0, 1, 2, 3, 150, 299):
        hole = X.copy()
        hole[row, 4] = bad
        model = Estimator(early_stopping=True, solver=solver, random_state=0, max_iter=3, tol=None)
        with pytest.raises(ValueError, match=f"(?s)Input X.*row {row}, column 4"):
            model.fit(hole, y)
    fitted = Estimator().fit(X, y)
    with pytest.raises(ValueError, match=r"(?s)Input X.*row 299, column 4"):
        fitted.predict(hole)


@FITTING
@NOT_FINITE
def test_other_numbers_that_are_not_finite(call, bad):
    """Case 15: in y and in weights; the row is named."""
    X, y = data()
    for row in (0, 151, 299):
        hole, weight = y.copy(), np.ones(300)
        hole[row] = weight[row] = bad
        with pytest.raises(ValueError, match=f"(?s)y.*row {row}"):
            call(X, hole)
        with pytest.raises(ValueError, match=f"(?s)sample_weight.*row {row}"):
            call(X, y, sample_weight=weight)


@NOT_FINITE
@pytest.mark.parametrize("name", ["offset", "offset_val", "y_val", "sample_weight_val", "coef_init", "intercept_init"])
def test_everything_else_that_is_not_finite(name, bad):
    """Case 15: named as the caller named it."""
    X, y = data()
    values = np.full({"coef_init": 5, "intercept_init": 1}.get(name, 300), 1.0)
    values[-1] = bad
    given = {"X_val": X, "y_val": y, name: values}
    with pytest.raises(ValueError, match=f"{name}.*(NaN|infinity)"):
        gradient_descent(X, y, **given)
    with pytest.raises(ValueError, match=f"{name}.*(NaN|infinity)"):
        GDRegressor().fit(X, y, **given)


@pytest.mark.parametrize("dtype", ["g", object])
def test_numbers_that_float64_cannot_hold(dtype):
    """Case 15: longdouble and Python numbers beyond 1.8e308."""
    X, y = data()
    X = X.astype(dtype)
    X[9, 1] = np.longdouble("1e4000") if dtype == "g" else 10**400
    if dtype == "g" and not np.isfinite(X[9, 1]):
        pytest.skip("longdouble is float64 here")
    for call in (CALLS["error_and_gradient"], CALLS["gradient_descent gd"], CALLS["scores"], CALLS["GDRegressor auto"]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's own, of the conversion
            with pytest.raises((ValueError, OverflowError)):
                call(X, y)


# ---- finite numbers whose sums are not: case 16 -------------------------------------------------------------------


@FITTING
def test_features_near_the_largest_number(call):
    """Case 16: not called infinite; the message says which column to scale. Or the fit manages."""
    X, y = data()
    X[:, 4] *= 1e307
    try:
        values = call(X, y)
    except DivergenceError as error:
        assert "infin" not in str(error)
        assert "column 4" in str(error) or "eta0" in str(error)
    else:
        assert all(np.isfinite(part).all() for part in values)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("loss", ["squared_error", "log_loss", "poisson", "hinge"])
def test_all_features_near_the_largest_number(solver, loss):
    """Case 16: every solver ends in a finite answer or a DivergenceError that says so; a poor answer warns."""
    X, y = data()
    X *= 1e308 / np.abs(X).max()
    y = targets(loss, y)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            result = gradient_descent(X, y, loss=loss, solver=solver, max_iter=20, tol=None, random_state=0)
    except DivergenceError as error:
        assert "overflow" in str(error)
        assert "contains" not in str(error)
    else:
        assert np.isfinite(result.error)
        assert np.isfinite(result.coef).all()
        assert all("Scale the features" in str(each.message) for each in told)
        assert not (told and result.converged)


@pytest.mark.parametrize("solver", SOLVERS)
def test_targets_near_the_largest_number(solver):
    """Case 16: it is y that must be scaled, and the message says so; where y^2 fits, so does the model."""
    X, y = data()
    with pytest.raises(DivergenceError, match="scale y"):
        gradient_descent(X, y * 1e200, solver=solver, max_iter=20, tol=None, random_state=0)
    with pytest.raises(DivergenceError, match="scale y"):
        GDRegressor(solver=solver, random_state=0).fit(X, y * 1e300)
    if solver == "auto":
        small, large = (gradient_descent(X, y * factor, solver=solver) for factor in (1.0, 1e150))
        assert_allclose(large.coef, small.coef * 1e150, rtol=1e-9)


def test_scores_that_overflow():
    """Case 16: an infinite score is no fault of X, and probabilities stay probabilities."""
    X = np.array([[1e308, 0.0], [-1e308, 0.0], [1.0, 0.0]])
    assert_array_equal(scores(X, [10.0, 0.0]), [np.inf, -np.inf, 10.0])
    assert_array_equal(scores(np.full((3, 2), 1e38, dtype=np.float32), [10.0, 0.0]), np.full(3, np.inf))
    assert not np.isfinite(error_and_gradient(X, np.zeros(3), [10.0, 0.0])[0])
    for kind in ESTIMATORS:
        model = kind().fit(np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]), [0, 1, 1])
        model.coef_ = np.full_like(model.coef_, 10.0)
        answers = model.predict(X)
        assert not np.isnan(answers).any()
        if kind is GDClassifier:
            assert_array_equal(model.predict_proba(X).sum(axis=1), 1.0)


# ---- floating-point modes that others left behind: case 22 ----------------------------------------------------------

C_LIBRARY = """
#include <fenv.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
unsigned get_mode(void) { return _mm_getcsr() & 0xffc0u; }
void flush(void) { _mm_setcsr(_mm_getcsr() | 0x8040u); }
#else
unsigned get_mode(void) { unsigned long s; __asm__ volatile("mrs %0, fpcr" : "=r"(s)); return (unsigned)s; }
void flush(void) { unsigned long s; __asm__ volatile("mrs %0, fpcr" : "=r"(s)); s |= 1ul << 24;
                   __asm__ volatile("msr fpcr, %0" : : "r"(s)); }
#endif
void upward(void) { fesetround(FE_UPWARD); }
void toward_zero(void) { fesetround(FE_TOWARDZERO); }
void usual(void) { fesetenv(FE_DFL_ENV); }
"""


@pytest.fixture(scope="module")
def modes(tmp_path_factory):
    """Functions that set the floating-point mode of the calling thread, in a small library made on the spot."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform == "win32":
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("modes")
    (folder / "modes.c").write_text(C_LIBRARY)
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", folder / "modes.so", folder / "modes.c", "-lm"],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"the C compiler makes no library here: {made.stderr.decode()[:200]}")
    library = ctypes.CDLL(str(folder / "modes.so"))
    library.get_mode.restype = ctypes.c_uint
    return library


MODES = pytest.mark.parametrize("mode", ["flush", "upward", "toward_zero"])


def in_mode(modes, mode, call):
    """call() in that mode, which must be in force afterwards as before."""
    getattr(modes, mode)()
    try:
        before = modes.get_mode()
        answer = call()
        assert modes.get_mode() == before
    finally:
        modes.usual()
    return answer


@WAYS
@MODES
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_same_bits_in_every_mode(modes, call, mode, dtype):
    """Case 22: flushed subnormals or another rounding change nothing, and stay in force for the caller."""
    X, y = data(n=3000)
    X = X.astype(dtype)
    X[::7, 1] = 1e-310 if dtype == "f8" else 1e-40
    more = {} if call is CALLS["scores"] else {"sample_weight": np.random.default_rng(0).random(3000)}
    assert same_bits(in_mode(modes, mode, lambda: call(X, y, **more)), call(X, y, **more))


def test_nothing_leaks_a_mode(modes):
    """Case 22: subnormals still exist after import and fit, in every thread."""
    found = []

    def look():
        CALLS["GDRegressor auto"](*data(n=30_000))
        tiny = np.full(3, 5e-324)
        found.append((modes.get_mode(), bool((tiny * 1.0 > 0).all()), float(np.finfo(float).smallest_subnormal) > 0))

    expected = modes.get_mode()
    for target in (look, look):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    look()
    assert found == [(expected, True, True)] * 3
