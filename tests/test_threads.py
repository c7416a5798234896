"""Threads and callbacks, cases 12, 34 and 36: arrays that change, any number of threads, callbacks that misbehave."""

from __future__ import annotations

import sys
import threading
import warnings

import numpy as np
import pytest
from hostile import FITS, both, data, run_python, same_bits, state
from numpy.testing import assert_array_equal

from gdfast import DivergenceError, GDRegressor, error_and_gradient, gradient_descent, scores

pytestmark = pytest.mark.timeout(120)

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
FITTING = pytest.mark.parametrize("call", FITS.values(), ids=FITS.keys())


# ---- threads: cases 12 and 34 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2, 3, 7, 64, 1000, 10**6, 2**40])
def test_any_number_of_threads(n_threads):
    """Case 34: more than there are processors, or than anything can have: the same bits."""
    X, y = data(n=50_000)
    settings = {"loss": "log_loss", "n_threads": n_threads}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*threads could not be started", category=RuntimeWarning)
        assert same_bits(
            error_and_gradient(X, y, np.ones(5), **settings), error_and_gradient(X, y, np.ones(5), loss="log_loss")
        )
        assert_array_equal(scores(X, np.ones(5), n_threads=n_threads), scores(X, np.ones(5)))
        assert_array_equal(
            gradient_descent(X, y, max_iter=3, tol=None, **settings).coef,
            gradient_descent(X, y, max_iter=3, tol=None, loss="log_loss", n_threads=1).coef,
        )
    assert threading.active_count() == len(threading.enumerate())


@LINUX
def test_one_processor_to_run_on():
    """Case 34: no more threads than the process may run on, in spite of what the machine has; the same bits."""
    code = """
import os, sys, threading, time
import numpy as np
import gdfast, gdfast.functional
from hostile import CALLS, data, same_bits
X, y = data(n=60_000, d=5)
expected = {name: call(X, y) for name, call in CALLS.items()}
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
others, most, stop = len(os.listdir("/proc/self/task")), 0, False
def watch():
    global most
    while not stop:
        most = max(most, len(os.listdir("/proc/self/task")))
        time.sleep(0.0002)
thread = threading.Thread(target=watch)
thread.start()
same = all(same_bits(call(X, y), expected[name]) for name, call in CALLS.items())
stop = True
thread.join()
end = time.monotonic() + 10
while len(os.listdir("/proc/self/task")) > others and time.monotonic() < end:
    time.sleep(0.01)  # a thread that has been joined may still be listed for a moment
print(same, most - others, len(os.listdir("/proc/self/task")) - others)
"""
    assert run_python(code) == "True 1 0\n"  # the one that watches


@LINUX
def test_the_limit_that_joblib_sets_is_heeded():
    """Case 34: OMP_NUM_THREADS, which loky sets in its workers."""
    code = "from gdfast._threads import threads\nprint(threads(None))"
    assert run_python(code, OMP_NUM_THREADS="1") == "1\n"
    for nonsense in ("", "0", "-3", "many", "²", "4,2"):
        assert int(run_python(code, OMP_NUM_THREADS=nonsense)) >= 1


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_nested_in_joblib(backend):
    """Case 34: under threads and under processes of joblib; no deadlock, the same bits."""
    code = f"""
from joblib import Parallel, delayed
from sklearn.model_selection import cross_val_score
from gdfast import GDClassifier
from hostile import FITS, data, same_bits
if __name__ == "__main__":
    X, y = data(n=20_000, d=5)
    names = ["gradient_descent sgd", "GDRegressor auto", "GDClassifier auto"]
    with Parallel(n_jobs=2, backend={backend!r}) as pool:
        found = pool(delayed(FITS[name])(X, y) for name in names * 2)
        print(all(same_bits(answer, FITS[name](X, y)) for name, answer in zip(names * 2, found)))
        model = GDClassifier(n_threads=2)
    print((cross_val_score(model, X, y, cv=3, n_jobs=1) > 0.8).all())
"""
    if backend == "loky":
        code = code.replace("FITS[name])(X, y) for", "fit_by_name)(name, X, y) for").replace(
            "if __name__", "from hostile import fit_by_name\nif __name__"
        )
    assert run_python(code, timeout=100) == "True\nTrue\n"


@FITTING
def test_arrays_that_another_thread_writes_to(call):
    """Case 12: some answer or an error, never memory that is not ours."""
    X, y = data(n=20_000)
    weight, stop = np.ones(len(y)), threading.Event()

    def disturb():
        rng = np.random.default_rng(0)
        while not stop.is_set():
            X[rng.integers(0, len(X), 50)] = rng.choice([0.0, 1e300, np.nan, -5.0])
            y[rng.integers(0, len(X), 50)] = rng.choice([0.0, 1.0, 7e18, -3.0])
            weight[rng.integers(0, len(X), 50)] = rng.choice([0.0, 1.0, -1e300])

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(5):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    values = call(X, y, sample_weight=weight)
                except ValueError:  # DivergenceError is one too
                    continue
            assert np.isfinite(values[0]).all()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
@pytest.mark.parametrize("solver", ["auto", "gd", "sgd", "adam"])
def test_codes_changed_during_the_fit(loss, solver):
    """Case 12: a class that there is not, once the check has passed."""
    X, y = data()
    codes = (y + (X[:, 1] > 0)).astype(np.int64)

    def spoil(_):
        codes[:] = [2**40, -(2**62), 7] * 100

    try:
        settings = {"max_iter": 5, "tol": None, "random_state": 0, "callback": spoil, "n_outputs": 3, "alpha": 0.01}
        result = gradient_descent(X, codes, loss=loss, solver=solver, **settings)
    except DivergenceError:
        return
    assert np.isfinite(result.coef).all()


def test_arrays_that_lie():
    """Case 12: __array__ that answers with another shape each time, __len__ and shape that are not true."""
    X, y = data()

    class Liar:
        shape, ndim, dtype = (10**9, 5), 2, np.dtype("f4")

        def __init__(self):
            self.calls = 0

        def __len__(self):
            return 10**9

        def __array__(self, dtype=None, copy=None):
            self.calls += 1
            return np.ones((300 >> (self.calls - 1), 5 + self.calls))

    class Subclass(np.ndarray):
        shape = property(lambda _: (10**6, 10**6))  # what a subclass says of itself; its memory is another thing

        def __len__(self):
            return 10**6

    weights = np.zeros(5)
    for call in (lambda X: error_and_gradient(X, y, weights), lambda X: scores(X, weights)):
        with pytest.raises(ValueError, match="coef must be of shape"):
            call(Liar())
        call(X.view(Subclass))
    for call in (lambda X: gradient_descent(X, y).coef, lambda X: GDRegressor().fit(X, y).coef_):
        for liar in (Liar(), X.view(Subclass)):
            try:
                assert np.isfinite(call(liar)).all()
            except (ValueError, TypeError):
                continue


# ---- callbacks: case 36 ------------------------------------------------------------------------------------------


class Stop(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize(
    "error", [Stop("enough"), KeyError("key"), SystemExit(3), KeyboardInterrupt(), StopIteration(7)], ids=repr
)
@pytest.mark.parametrize("solver", ["auto", "gd", "sgd"])
@both
def test_what_a_callback_raises_comes_out_unchanged(Estimator, solver, error):
    """Case 36: the very object; the estimator as it was."""
    X, y = data()
    model = Estimator(solver=solver, max_iter=5, tol=None, random_state=0).fit(X, y)
    seen = []

    def callback(epoch):
        seen.append(epoch.epoch)
        if len(seen) == 2:
            raise error

    model.callback = callback
    before = state(model)
    with pytest.raises(type(error)) as caught:
        model.fit(X, y)
    assert caught.value is error
    assert seen == [1, 2]
    assert state(model) == before
    seen.clear()
    with pytest.raises(type(error)) as caught:
        gradient_descent(X, y, solver=solver, max_iter=5, tol=None, callback=callback)
    assert caught.value is error


@pytest.mark.parametrize(
    "answer", [1, 0, 0.0, "stop", [], np.array([True]), np.array([1, 2]), NotImplemented], ids=repr
)
@both
def test_callbacks_answer_true_false_or_none(Estimator, answer):
    """Case 36: anything else is a mistake, and said to be one."""
    X, y = data()
    model = Estimator(max_iter=5, tol=None).fit(X, y)
    model.callback = lambda _: answer
    before = state(model)
    with pytest.raises(TypeError, match="callback must return True, False or None, got"):
        model.fit(X, y)
    assert state(model) == before
    with pytest.raises(TypeError, match="callback must return"):
        gradient_descent(X, y, callback=lambda _: answer)


@both
@pytest.mark.parametrize("solver", ["auto", "gd", "sgd"])
def test_fitting_the_same_estimator_from_its_callback(Estimator, solver):
    """Case 36: RuntimeError, also in another thread; a clone may fit, and so may the functions."""
    X, y = data()
    model = Estimator(solver=solver, max_iter=4, tol=None, random_state=0).fit(X, y)
    before, errors = state(model), []

    def again(_):
        def fit():
            try:
                model.fit(X, y)
            except RuntimeError as error:
                errors.append(str(error))

        for target in (fit, lambda: threading.Thread(target=fit)):
            thread = target()
            if thread is not None:
                thread.start()
                thread.join()
        Estimator(max_iter=1, tol=None).fit(X, y)
        gradient_descent(X, y, max_iter=1, tol=None)
        model.predict(X)

    model.callback = again
    model.fit(X, y)
    assert len(errors) == 2 * model.n_iter_
    assert all("being fitted" in error for error in errors)
    assert state(model) == before | {"callback": again}


def test_a_callback_may_do_what_it_likes_with_what_it_gets():
    """Case 36: the weights it sees are copies."""
    X, y = data()
    kept = []

    def spoil(epoch):
        kept.append(epoch.coef.copy())
        epoch.coef[:] = np.nan

    for solver in ("auto", "gd", "sgd", "adam"):
        settings = {"solver": solver, "max_iter": 5, "tol": None, "random_state": 0}
        result = gradient_descent(X, y, callback=spoil, **settings)
        assert_array_equal(result.coef, gradient_descent(X, y, **settings).coef)
    assert np.isfinite(kept).all()
