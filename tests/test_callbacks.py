"""scikit-learn's callback protocol (1.9 and newer): what the hooks are told, and who stops, fails and cleans up."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from hostile import both, data, run_python, state
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gdfast._estimator
from gdfast import GDClassifier

callback = pytest.importorskip("sklearn.callback")


class Recorder:
    """Keeps what each hook got, as (hook, estimator, context, what more)."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append(("setup", estimator, context, {}))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        more = {"X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator}
        self.calls.append(("begin", estimator, context, more))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        more = {"X": X, "y": y, "metadata": metadata, "fitted": fitted_estimator}
        self.calls.append(("end", estimator, context, more))

    def teardown(self, estimator, context):
        self.calls.append(("teardown", estimator, context, {}))

    def hooks(self):
        return [hook for hook, *_ in self.calls]

    def of_epochs(self, hook):
        return [more for name, _, context, more in self.calls if name == hook and context.task_name == "epoch"]


class Propagated(Recorder):
    """Reaches the estimators inside of others."""

    max_propagation_depth = None


class Bare:
    """A callback that asks for nothing; subclasses replace a hook."""

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass


class StopAfter(Bare):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and context.task_id + 1 == self.epochs


class Failing(Recorder):
    def __init__(self, hook, error=ValueError):
        super().__init__()
        self.failing = hook
        self.error = error

    def on_fit_task_begin(self, estimator, context):
        super().on_fit_task_begin(estimator, context)
        self._fail("begin")

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        self._fail("end of an epoch" if context.task_name == "epoch" else "end of the fit")

    def setup(self, estimator, context):
        super().setup(estimator, context)
        self._fail("setup")

    def teardown(self, estimator, context):
        super().teardown(estimator, context)
        self._fail("teardown")

    def _fail(self, hook):
        if hook == self.failing:
            raise self.error(f"mine, at {hook}")


def few_epochs(Estimator, **more):
    return Estimator(**{"solver": "gd", "tol": None, "max_iter": 4, **more})


# ------------------------------------------------------------------------------------------------------- tasks


@both
def test_a_fit_is_a_task_with_one_task_per_epoch(Estimator):
    X, y = data()
    recorder = Recorder()
    model = few_epochs(Estimator).set_callbacks(recorder).fit(X, y)
    assert recorder.hooks() == ["setup", "begin", *["begin", "end"] * 4, "end", "teardown"]
    assert all(estimator is model for _, estimator, _, _ in recorder.calls)
    root = recorder.calls[0][2]
    assert (root.task_name, root.estimator_name, root.max_subtasks) == ("fit", Estimator.__name__, 4)
    epochs = list(root)[1:]
    assert [(epoch.task_name, epoch.task_id, epoch.parent) for epoch in epochs] == [
        ("epoch", i, root) for i in range(4)
    ]
    assert [context for hook, _, context, _ in recorder.calls if hook == "end"] == [*epochs, root]


@both
def test_as_many_tasks_as_epochs_where_the_descent_ends_by_itself(Estimator):
    X, y = data()
    recorder = Recorder()
    model = Estimator().set_callbacks(recorder).fit(X, y)
    assert 1 < model.n_iter_ < model.max_iter
    assert len(recorder.of_epochs("begin")) == len(recorder.of_epochs("end")) == model.n_iter_


def test_outputs_taken_one_by_one_have_max_iter_epochs_each():
    X, _ = data()
    recorder = Recorder()
    model = GDClassifier(loss="hinge", max_iter=3).set_callbacks(recorder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, np.arange(len(X)) % 4)
    assert recorder.calls[0][2].max_subtasks == model.n_iter_ == len(recorder.of_epochs("end")) == 12


@both
def test_nothing_is_left_behind(Estimator):
    X, y = data()
    plain = few_epochs(Estimator).fit(X, y)
    model = few_epochs(Estimator).set_callbacks(Recorder()).fit(X, y)
    assert vars(model).keys() - vars(plain).keys() == {"_skl_callbacks"}
    assert_array_equal(model.coef_, plain.coef_)
    model.set_callbacks()
    assert vars(model).keys() == vars(plain).keys()


@both
def test_only_callbacks_can_be_set(Estimator):
    for bad in (None, Recorder, "bar", object()):
        with pytest.raises(TypeError, match="callbacks must be instances following the FitCallback protocol"):
            Estimator().set_callbacks(bad)


@both
def test_hooks_may_ask_for_what_the_protocol_knows_only(Estimator):
    class Wrong(Bare):
        def on_fit_task_begin(self, estimator, context, *, loss=None):
            pass

    with pytest.raises(TypeError, match="has parameters that are not valid"):
        few_epochs(Estimator).set_callbacks(Wrong()).fit(*data())


# ------------------------------------------------------------------------------------------- what hooks are told


RULES = [
    {"solver": "auto"},
    {"solver": "auto", "penalty": "l1"},
    {"solver": "auto", "early_stopping": True},
    {"solver": "gd"},
    {"solver": "gd", "average": True},
    {"solver": "sgd"},
    {"solver": "sgd", "early_stopping": True},
    {"solver": "sgd", "batch_size": 7, "average": True, "learning_rate": "constant"},
    {"solver": "adam", "learning_rate": "adaptive"},
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@both
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_fitted_estimator_is_that_of_a_fit_that_ends_there(Estimator, rule):
    X, y = (load_iris if Estimator is GDClassifier else load_diabetes)(return_X_y=True)
    recorder = Recorder()
    model = Estimator(random_state=0, **{"max_iter": 12, **rule}).set_callbacks(recorder).fit(X, y)
    fits = [Estimator(random_state=0, max_iter=i, **rule).fit(X, y) for i in range(1, model.n_iter_ + 1)]
    ends = [more["fitted"] for more in recorder.of_epochs("end")]
    begins = [more["fitted"] for more in recorder.of_epochs("begin")]
    names = ["coef_", "intercept_", "n_iter_", "t_", "loss_curve_", "validation_curve_", "best_validation_loss_"]
    assert begins[0] is None and len(fits) == len(ends) > 1
    for told, fitted in [*zip(ends, fits, strict=True), *zip(begins[1:], fits[:-1], strict=True)]:
        for name in names:
            assert_array_equal(getattr(told, name), getattr(fitted, name), err_msg=name)
        assert told.loss_ in told.loss_curve_
        assert_array_equal(told.predict(X), fitted.predict(X))
    last = recorder.calls[-2][3]["fitted"]
    assert last is not model
    assert_array_equal(last.coef_, model.coef_)
    assert last.loss_ == model.loss_


def test_the_fitted_classifier_answers_in_every_way():
    X, y = load_iris(return_X_y=True)
    names = np.array(["a", "b", "c"])[y]
    recorder = Recorder()
    few_epochs(GDClassifier).set_callbacks(recorder).fit(X, names)
    told = recorder.of_epochs("end")[2]["fitted"]
    fitted = few_epochs(GDClassifier, max_iter=3).fit(X, names)
    assert told.score(X, names) == fitted.score(X, names)
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        assert_array_equal(getattr(told, method)(X), getattr(fitted, method)(X))
    told.fit(X, names)  # it is an estimator of its own, and can be fitted while nobody else is


@both
def test_one_that_nobody_asks_for_is_not_made(Estimator, monkeypatch):
    made = []
    publish = Estimator._fitted_attributes
    monkeypatch.setattr(Estimator, "_fitted_attributes", lambda *given: made.append(given) or publish(*given))
    few_epochs(Estimator).set_callbacks(Bare()).fit(*data())
    assert len(made) == 1  # for the estimator itself


@both
def test_data_come_as_they_were_given(Estimator):
    pd = pytest.importorskip("pandas")
    X, y = data()
    frame, labels, weight = pd.DataFrame(X, columns=list("abcde")), list(map(int, y)), np.arange(len(y))
    recorder = Recorder()
    few_epochs(Estimator).set_callbacks(recorder).fit(frame, labels, sample_weight=weight)
    told = [more for hook, _, _, more in recorder.calls if hook in ("begin", "end")]
    assert len(told) == 10
    for more in told:
        assert more["X"] is frame and more["y"] is labels
        assert more["metadata"] == {"sample_weight": weight}
    for more in recorder.of_epochs("end"):
        assert list(more["fitted"].feature_names_in_) == list("abcde")
        more["fitted"].score(frame, labels)
    recorder.calls.clear()
    few_epochs(Estimator).set_callbacks(recorder).fit(X, y)
    assert all(more["metadata"] is None for more in recorder.of_epochs("end"))


@both
def test_names_of_an_earlier_fit_are_forgotten(Estimator):
    pd = pytest.importorskip("pandas")
    X, y = data()
    recorder = Recorder()
    model = few_epochs(Estimator).fit(pd.DataFrame(X[:, :4], columns=list("abcd")), y)
    model.set_callbacks(recorder).fit(X, y)
    for more in [*recorder.of_epochs("end"), recorder.calls[-2][3]]:
        more["fitted"].predict(X)  # a warning about names would fail this test
        assert more["fitted"].n_features_in_ == 5


@both
def test_where_an_earlier_rule_stood_is_forgotten(Estimator):
    X, y = data()
    recorder = Recorder()
    model = Estimator(solver="adam", max_iter=4, tol=None, random_state=0).fit(X, y).set_callbacks(recorder).fit(X, y)
    told = recorder.of_epochs("end")[1]["fitted"]
    weights = {"coef_init": told.coef_, "intercept_init": told.intercept_}
    anew = clone(model).set_callbacks().set_params(max_iter=1).fit(X, y, **weights)
    assert_array_equal(told.partial_fit(X, y).coef_, anew.coef_)
    assert recorder.calls[-2][3]["fitted"]._standing is not None


@both
def test_held_out_rows_are_no_training_data(Estimator):
    X, y = data()
    weight = np.arange(1.0, len(y) + 1)
    recorder = Recorder()
    model = few_epochs(Estimator, early_stopping=True, random_state=0).set_callbacks(recorder)
    model.fit(X, y.tolist(), sample_weight=weight)
    rows = np.sort(model._split(y)[0])
    assert len(rows) == 270
    for more in recorder.of_epochs("end"):
        assert_array_equal(more["X"], X[rows])
        assert_array_equal(more["y"], y[rows])
        assert_array_equal(more["metadata"]["sample_weight"], weight[rows])


@both
@pytest.mark.parametrize("kind", [csr_matrix, np.float32])
def test_sparse_and_narrow_rows_are_told_as_they_are(Estimator, kind):
    X, y = data()
    X = kind(X)
    recorder = Recorder()
    model = few_epochs(Estimator, early_stopping=True, random_state=0).set_callbacks(recorder).fit(X, y)
    rows = np.sort(model._split(y)[0])
    for i, more in enumerate(recorder.of_epochs("end"), 1):
        assert type(more["X"]) is type(X) and more["X"].dtype == X.dtype
        assert abs(more["X"] - X[rows]).max() == 0
        fitted = clone(model).set_callbacks().set_params(max_iter=i).fit(X, y)
        assert more["fitted"].coef_.dtype == fitted.coef_.dtype
        assert_array_equal(more["fitted"].coef_, fitted.coef_)
        assert more["fitted"].score(more["X"], more["y"]) == fitted.score(X[rows], y[rows])


# -------------------------------------------------------------------------------------------- stop, fail, clean up


@both
def test_a_callback_may_stop_the_fit(Estimator):
    X, y = data()
    recorder = Recorder()
    model = few_epochs(Estimator).set_callbacks(StopAfter(2), recorder).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 2
    assert recorder.hooks() == ["setup", "begin", "begin", "end", "begin", "end", "end", "teardown"]
    assert_array_equal(model.coef_, few_epochs(Estimator, max_iter=2).fit(X, y).coef_)


@both
@pytest.mark.parametrize(("ours", "theirs"), [(2, 3), (3, 2), (2, 2)])
def test_both_kinds_of_callback_are_heard(Estimator, ours, theirs):
    seen = []

    def plain(epoch):
        seen.append(epoch.epoch)
        return np.bool_(epoch.epoch == ours)

    model = few_epochs(Estimator, callback=plain).set_callbacks(StopAfter(theirs)).fit(*data())
    assert model.n_iter_ == 2
    assert seen == [1, 2]


@both
def test_the_plain_callback_is_still_told_what_it_may_answer(Estimator):
    for answer in (0, "", "yes", 1.0):
        model = few_epochs(Estimator, callback=lambda epoch, answer=answer: answer).set_callbacks(Bare())
        with pytest.raises(TypeError, match="callback must return True, False or None, got"):
            model.fit(*data())


@both
@pytest.mark.parametrize("hook", ["setup", "begin", "end of an epoch", "end of the fit"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failing_hook_ends_the_fit_and_nothing_has_happened(Estimator, hook, error):
    X, y = data()
    model = few_epochs(Estimator).fit(X, y)
    failing, after = Failing(hook, error), Recorder()
    model.set_callbacks(failing, after)
    before = state(model)
    with pytest.raises(error, match=f"mine, at {hook}"):
        model.fit(X[:, :3], y)
    assert state(model) == before
    assert failing.hooks().count("setup") == failing.hooks().count("teardown") == 1
    assert after.hooks().count("setup") == after.hooks().count("teardown") == (hook != "setup")
    model.set_callbacks().fit(X, y)


@both
def test_every_callback_is_torn_down_whatever_the_others_do(Estimator):
    model = few_epochs(Estimator).set_callbacks(Failing("teardown"), Failing("teardown"), Recorder())
    callbacks = model._skl_callbacks
    with pytest.raises(ExceptionGroup, match="teardown errors") as caught:  # noqa: F821, of Python 3.11
        model.fit(*data())
    assert len(caught.value.exceptions) == 2
    assert [each.hooks()[-1] for each in callbacks] == ["teardown"] * 3


@both
def test_data_that_are_refused_set_nothing_up(Estimator):
    X, y = data()
    recorder = Recorder()
    with pytest.raises(ValueError, match="inconsistent numbers"):
        few_epochs(Estimator).set_callbacks(recorder).fit(X, y[:-1])
    assert recorder.calls == []
    X[3, 2] = np.nan  # found by the first pass
    with pytest.raises(ValueError, match="contains NaN"):
        few_epochs(Estimator).set_callbacks(recorder).fit(X, y)
    assert recorder.hooks() == ["setup", "begin", "teardown"]


# ----------------------------------------------------------------------------- inside others, and scikit-learn's own


@both
@pytest.mark.parametrize("kind", [Recorder, Propagated])
def test_clones_share_callbacks_in_functions_that_know_of_none(Estimator, kind):
    X, y = data()
    recorder = kind()
    cross_val_score(few_epochs(Estimator).set_callbacks(recorder), X, y, cv=3)
    assert recorder.hooks() == ["setup", "begin", *["begin", "end"] * 4, "end", "teardown"] * 3
    assert len({context.root_uuid for _, _, context, _ in recorder.calls}) == 3


@both
def test_a_search_hands_its_callbacks_on(Estimator):
    X, y = data()
    recorder = Propagated()
    search = GridSearchCV(few_epochs(Estimator), {"alpha": [1e-3, 1e-2]}, cv=3).set_callbacks(recorder).fit(X, y)
    assert recorder.hooks()[0] == "setup" and recorder.hooks()[-1] == "teardown"
    assert recorder.hooks().count("setup") == recorder.hooks().count("teardown") == 1
    assert len(recorder.of_epochs("end")) == (2 * 3 + 1) * 4
    fits = [context for hook, _, context, _ in recorder.calls if hook == "begin" and context.max_subtasks == 4]
    assert {(context.estimator_name, context.source_estimator_name) for context in fits} == {
        (Estimator.__name__, "GridSearchCV")
    }
    assert len({id(context.parent) for context in fits}) > 1
    assert not hasattr(search.best_estimator_, "_skl_callbacks")
    assert vars(search.best_estimator_).keys() == vars(few_epochs(Estimator).fit(X, y)).keys()


@both
def test_a_pipeline_hands_its_callbacks_on(Estimator):
    X, y = data()
    recorder, own = Propagated(), Recorder()
    pipeline = make_pipeline(StandardScaler(), few_epochs(Estimator).set_callbacks(own))
    pipeline.set_callbacks(recorder).fit(X, y)
    assert len(recorder.of_epochs("end")) == len(own.of_epochs("end")) == 4
    assert own.hooks().count("setup") == 1
    scaled = pipeline[0].transform(X)
    assert_allclose(own.of_epochs("end")[0]["X"], scaled)
    path = own.calls[-2][2]
    assert (path.source_estimator_name, path.parent.estimator_name) == ("Pipeline", "Pipeline")


@both
def test_a_search_without_callbacks_costs_no_call_per_epoch(Estimator, monkeypatch):
    given = []
    descend = gdfast._estimator.gradient_descent
    monkeypatch.setattr(
        gdfast._estimator, "gradient_descent", lambda *a, **k: given.append(k["callback"]) or descend(*a, **k)
    )
    X, y = data()
    few_epochs(Estimator).fit(X, y)
    GridSearchCV(few_epochs(Estimator), {"alpha": [1e-3, 1e-2]}, cv=3).fit(X, y)
    assert given == [None] * 8


def test_without_callbacks_their_module_is_not_loaded():
    code = (
        "import sys\nfrom gdfast import GDRegressor\n"
        "GDRegressor().fit([[0.0], [1.0]], [0.0, 1.0])\nprint('gdfast.callbacks' in sys.modules)"
    )
    assert run_python(code) == "False\n"


def test_without_the_protocol_all_else_works():
    code = (
        "import sys, sklearn.model_selection, sklearn.pipeline\n"
        "protocol, sys.modules['sklearn.callback'] = sys.modules['sklearn.callback'], None  # as before 1.9\n"
        "from gdfast import GDClassifier, GDRegressor\n"
        "sys.modules['sklearn.callback'] = protocol\n"
        "for Estimator in GDClassifier, GDRegressor:\n"
        "    model = Estimator(callback=lambda state: state.epoch == 2, tol=None, solver='gd')\n"
        "    print(hasattr(model, 'set_callbacks'), model.fit([[0.0], [1.0]], [0.0, 1.0]).n_iter_)\n"
    )
    assert run_python(code) == "False 2\nFalse 2\n"


@both
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scoring_monitor_in_a_search(Estimator, n_jobs):
    X, y = data()
    weight = np.arange(1.0, len(y) + 1)
    monitor = callback.ScoringMonitor(scoring="r2")
    model = few_epochs(Estimator, max_iter=3).set_callbacks(monitor)
    search = GridSearchCV(model, {"alpha": [1e-3, 1e-2]}, cv=2, n_jobs=n_jobs).fit(X, y, sample_weight=weight)
    log = monitor.get_logs()
    epochs = [row for row in log.data if row["task_name"] == "epoch"]
    assert len(epochs) == (2 * 2 + 1) * 3
    assert len([row for row in log.data if row["task_name"] != "epoch"]) == 2 * 2 + 1  # one per fit
    best = search.best_estimator_
    refit = [row["r2"] for row in epochs if len(row["task_id_path"]) == min(len(row["task_id_path"]) for row in epochs)]
    expected = [
        r2_score(y, clone(best).set_callbacks().set_params(max_iter=i).fit(X, y, sample_weight=weight).predict(X),
                 sample_weight=weight)
        for i in (1, 2, 3)
    ]  # fmt: skip
    assert_allclose(refit, expected)


@both
def test_progress_bar_of_scikit_learn(Estimator, capsys):
    pytest.importorskip("rich")
    X, y = data()
    few_epochs(Estimator).set_callbacks(callback.ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert f"{Estimator.__name__} - fit" in shown and "100%" in shown
    search = GridSearchCV(Estimator(), {"alpha": [1e-3, 1e-2]}, cv=2)  # these end before max_iter
    search.set_callbacks(callback.ProgressBar()).fit(X, y)
    shown = capsys.readouterr().out
    assert shown.count(f"{Estimator.__name__} - fit") >= 5 and "100%" in shown


@both
def test_estimators_with_callbacks_can_be_pickled(Estimator):
    X, y = data()
    model = few_epochs(Estimator).set_callbacks(callback.ScoringMonitor(scoring="r2")).fit(X, y)
    same = pickle.loads(pickle.dumps(model)).fit(X, y)
    assert len(same._skl_callbacks[0].get_logs(select="all")) == 2
    assert len(model._skl_callbacks[0].get_logs(select="all")) == 1


@both
def test_a_refused_second_fit_does_not_disturb_the_first(Estimator):
    X, y = data()

    class Again(Bare):
        def on_fit_task_end(self, estimator, context):
            with pytest.raises(RuntimeError, match="estimator is being fitted"):
                estimator.fit(X, y)

    recorder = Recorder()
    few_epochs(Estimator).set_callbacks(Again(), recorder).fit(X, y)
    assert recorder.hooks() == ["setup", "begin", *["begin", "end"] * 4, "end", "teardown"]
