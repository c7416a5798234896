"""Many Python threads at once: the bits of a serial run, errors that stay apart, the GIL free during the work."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from hostile import SOLVERS, data, run_python, same_bits, state, targets

from gdfast import DivergenceError, GDClassifier, GDRegressor, error_and_gradient, gradient_descent, scores

N_THREADS = 16
GIL = getattr(sys, "_is_gil_enabled", lambda: True)()


def at_once(calls):
    """What calls(), one in each thread, return or raise: all begin together."""
    start, results = threading.Barrier(len(calls)), [None] * len(calls)

    def run(i):
        start.wait()
        try:
            results[i] = calls[i]()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=[i]) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def answers(model, X):
    """All that a fitted estimator says, as arrays."""
    names = [name for name in ("decision_function", "predict_proba", "predict") if hasattr(model, name)]
    return [np.asarray(getattr(model, name)(X), dtype=np.float64) for name in names]


def learnt(model):
    return [model.coef_, model.intercept_, model.loss_curve_]


def fit(Estimator, X, y, **parameters):
    model = Estimator(alpha=1e-3, max_iter=4, tol=None, random_state=0, **parameters).fit(X, y)
    return [*learnt(model), *answers(model, X)]


# ---- the same bits -----------------------------------------------------------------------------------------------


def jobs(solver):
    """name -> a fit and its predictions by that solver; those of 40 000 rows use threads of the engine too."""
    X, y = data(n=700, d=6)
    classes = y + (X[:, 1] > 0.5)
    both = np.column_stack([y, X[:, 0]])
    large = data(n=40_000, d=7)
    with_solver = partial(partial, solver=solver, n_threads=2)
    return {
        "squared_error": with_solver(fit, GDRegressor, X, y),
        "two outputs, huber": with_solver(fit, GDRegressor, X, both, loss="huber"),
        "poisson": with_solver(fit, GDRegressor, X, y, loss="poisson", eta0=1e-3),
        "quantile": with_solver(fit, GDRegressor, X.astype(np.float32), y, loss="quantile"),
        "log_loss": with_solver(fit, GDClassifier, X, y),
        "softmax": with_solver(fit, GDClassifier, X, classes),
        "hinge, three classes": with_solver(fit, GDClassifier, X, classes, loss="hinge"),
        "log_loss, many rows": with_solver(fit, GDClassifier, *large, batch_size=20_000 if solver != "auto" else None),
    }


@pytest.mark.parametrize("solver", SOLVERS)
def test_separate_estimators(solver):
    """Each of 16 threads fits all of them and predicts, in an order of its own."""
    work = jobs(solver)
    serial = {name: job() for name, job in work.items()}
    names = list(work)

    def run(i):
        order = names[i % len(names) :] + names[: i % len(names)]
        return {name: work[name]() for name in order}

    for found in at_once([partial(run, i) for i in range(N_THREADS)]):
        assert isinstance(found, dict), found
        assert [name for name in names if not same_bits(found[name], serial[name])] == []


@pytest.mark.parametrize("n_classes", [2, 4])
def test_predictions_of_one_estimator(n_classes):
    """Nothing of a fitted estimator is written to: 16 threads read it at once, over and over, other rows each."""
    X, y = data(n=20_000, d=9)
    y = np.digitize(X @ np.linspace(1.0, 2.0, 9), np.linspace(-2.0, 2.0, n_classes - 1)) if n_classes > 2 else y
    model = GDClassifier(max_iter=5, tol=None, n_threads=2).fit(X, y)
    before = state(model)
    parts = [X[i::N_THREADS] if i % 2 else np.asfortranarray(X[i:]) for i in range(N_THREADS)]
    serial = [answers(model, part) for part in parts]
    found = at_once([lambda part=part: [answers(model, part) for _ in range(10)] for part in parts])
    for each, expected in zip(found, serial, strict=True):
        assert all(same_bits(one, expected) for one in each), each
    assert state(model) == before


def test_functions():
    """Those without an estimator around them, on one array, for every kind of loss."""
    X, y = data(n=30_000, d=8)
    calls = [
        lambda loss=loss: (*error_and_gradient(X, targets(loss, y), np.linspace(-0.1, 0.1, 8), 0.1, loss=loss),)
        for loss in ("squared_error", "log_loss", "poisson", "hinge")
    ]
    calls.append(lambda: [scores(X, np.linspace(-1.0, 1.0, 8), 0.5)])
    serial = [call() for call in calls]
    every = [calls[i % len(calls)] for i in range(N_THREADS)]
    for _ in range(5):
        for i, found in enumerate(at_once(every)):
            assert same_bits(found, serial[i % len(calls)])


def test_errors_and_callbacks_stay_in_their_threads():
    """Threads whose descent diverges, whose callback raises or whose data are refused, beside others that go well."""
    X, y = data()
    holed = X.copy()
    holed[7, 2] = np.nan
    stop = RuntimeError("enough")

    def raises(_):
        raise stop

    seen = []
    fine = partial(gradient_descent, X, y, max_iter=30, tol=None)
    kinds = [
        fine,
        partial(fine, learning_rate="constant", eta0=1e6),
        partial(fine, callback=raises),
        partial(gradient_descent, holed, y),
        partial(fine, callback=lambda epoch: seen.append((threading.get_ident(), epoch.epoch))),
    ]
    expected = fine().coef
    found = at_once([kinds[i % 5] for i in range(3 * 5)])
    for i in range(0, 15, 5):
        good, diverged, raised, refused, watched = found[i : i + 5]
        np.testing.assert_array_equal([good.coef, watched.coef], [expected, expected])
        assert isinstance(diverged, DivergenceError)
        assert raised is stop
        assert type(refused) is ValueError
        assert "row 7" in str(refused)
    by_thread = {thread: [epoch for other, epoch in seen if other == thread] for thread, _ in seen}
    assert list(by_thread.values()) == 3 * [list(range(1, 31))]


def test_one_estimator_fitted_by_many():
    """Some fit, the others are told that it is being fitted; it ends in the state of one fit, ready for another."""
    X, y = data(n=5000)
    model = GDRegressor(max_iter=20, tol=None, solver="gd", n_threads=1)
    expected = learnt(model.fit(X, y))
    found = at_once([partial(model.fit, X, y)] * N_THREADS)
    assert any(each is model for each in found)
    assert all(each is model or (type(each) is RuntimeError and "being fitted" in str(each)) for each in found)
    assert same_bits(learnt(model), expected)
    assert same_bits(learnt(model.fit(X, y)), expected)


def test_first_use_by_many():
    """Modules that load when they are first touched, touched by 16 threads of a fresh interpreter at once."""
    code = """
import threading, numpy as np, gdfast
X, y = np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2
start, found = threading.Barrier(16), []
def touch(i):
    start.wait()
    name = ["GDClassifier", "GDRegressor"][i % 2]
    found.append(getattr(gdfast, name)(max_iter=3, tol=None).fit(X, y).n_iter_)
threads = [threading.Thread(target=touch, args=[i]) for i in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found == 16 * [3])
"""
    assert run_python(code) == "True\n"


# ---- the GIL -----------------------------------------------------------------------------------------------------


def share_without_the_gil(call):
    """Share of the processor time of call(), run in a thread, that it spends while this thread holds the GIL.

    This thread takes the GIL and keeps it as long as the processor time of the other one grows, which can only be work
    that needs no GIL. When that clock has stood still for a while, the other thread is waiting for the GIL, gets it,
    and this thread takes it back as soon as it is let go. All of it is in the processor time of one thread, so it does
    not matter what else the machine does; what is spent before this thread wakes up counts as if under the GIL.
    """
    sleep = ctypes.PyDLL(None).usleep  # a PyDLL function keeps the GIL
    ready, done, total = threading.Event(), threading.Event(), []

    def run():
        ready.wait()
        start = time.thread_time()
        call()
        total.append(time.thread_time() - start)
        done.wait()  # its clock must outlive the loop below

    thread = threading.Thread(target=run)
    thread.start()
    clock = time.pthread_getcpuclockid(thread.ident)
    interval, free = sys.getswitchinterval(), 0.0
    sys.setswitchinterval(1000.0)  # nobody asks for the GIL: who has it gives it up of its own accord only
    try:
        ready.set()
        while not total and thread.is_alive():
            time.sleep(1e-6)  # the other thread may have it
            start = now = time.clock_gettime(clock)
            still = 0
            while still < 20:
                sleep(2000)
                before, now = now, time.clock_gettime(clock)
                still = still + 1 if now == before else 0
            free += now - start
    finally:
        sys.setswitchinterval(interval)
        done.set()
        thread.join()
    return free / total[0]


def python_work():
    """Half a second of nothing but Python: the GIL is needed throughout."""
    end = time.thread_time() + 0.5
    while time.thread_time() < end:
        pass


def long_fit(Estimator, **parameters):
    """A fit that takes one thread a second or two, in epochs of some 20 ms or more."""
    X = np.random.default_rng(0).integers(0, 256, size=(200_000, 400), dtype=np.uint8)
    y = X[:, 0] > X[:, 1]
    return partial(Estimator(tol=None, n_threads=1, random_state=0, **parameters).fit, X, y.astype(np.float64))


LONG = {
    "gd": partial(long_fit, GDRegressor, solver="gd", max_iter=100),
    "auto": partial(long_fit, GDClassifier, solver="auto", max_iter=20),
    "adam": partial(long_fit, GDClassifier, solver="adam", max_iter=25),
}


@pytest.mark.slow
@pytest.mark.skipif(not GIL, reason="there is no GIL")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the processor time of another thread")
@pytest.mark.parametrize("callback", [None, lambda _: None], ids=["", "callback"])
@pytest.mark.parametrize("make", LONG.values(), ids=LONG.keys())
def test_the_gil_is_free_during_a_long_fit(make, callback):
    """At least 99 % of it, checks and conversions included; with a callback, which needs the GIL, 97 %.

    Noise only ever takes from the share, so the best of a few attempts counts.
    """
    fit = make(callback=callback)
    least, best = 0.97 if callback else 0.99, 0.0
    for _ in range(4):
        best = max(best, share_without_the_gil(fit))
        if best >= least:
            break
    assert least <= best < 1.0


@pytest.mark.slow
@pytest.mark.skipif(not GIL, reason="there is no GIL")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the processor time of another thread")
def test_that_measure_itself():
    """Work in Python has no share without the GIL."""
    assert share_without_the_gil(python_work) < 0.05
