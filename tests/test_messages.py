"""Errors and warnings in scikit-learn's words, where it has the situation: what people match goes on matching.

Each case is run on SGDRegressor or SGDClassifier too. Where gdfast says more, it says it after their words.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import SGDClassifier, SGDRegressor

from gdfast import GDClassifier, GDRegressor

sklearn_version = tuple(map(int, sklearn.__version__.split(".")[:2]))
X = np.random.default_rng(0).normal(size=(40, 3))
NUMBERS = X @ [1.0, 2.0, -1.0]
LABELS = (NUMBERS > 0).astype(int)
THREE = np.digitize(NUMBERS, [-1.0, 1.0])

PAIRS = {"regressor": (GDRegressor, SGDRegressor, NUMBERS), "classifier": (GDClassifier, SGDClassifier, LABELS)}
pairs = pytest.mark.parametrize(("Ours", "Theirs", "y"), PAIRS.values(), ids=PAIRS)


def words(Estimator, call, parameters):
    """What the call says, on an estimator with these parameters, without the estimator's name."""
    parameters = {name: value for name, value in parameters.items() if name in Estimator().get_params()}
    with pytest.raises((ValueError, AttributeError, NotFittedError)) as caught:
        call(Estimator(**parameters))
    text = " ".join(str(caught.value).replace("``coef_``", "coef_init").split())
    return text.replace(Estimator.__name__, "Estimator").replace("np.float64", "")


def assert_same_words(Ours, Theirs, call, expected, **parameters):
    ours = words(Ours, call, parameters)
    theirs = words(Theirs, call, {"learning_rate": "constant", "eta0": 0.01} | parameters).rstrip(" .")
    assert re.search(expected, theirs)
    assert ours.startswith(theirs), f"{ours!r} does not begin with {theirs!r}"


# ------------------------------------------------------------------------------------------ both estimators


@pairs
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        pytest.param(
            {"penalty": "elasticnet", "l1_ratio": None},
            "l1_ratio must be set when penalty is 'elasticnet'",
            marks=pytest.mark.skipif(sklearn_version < (1, 7), reason="scikit-learn 1.6 has no l1_ratio=None"),
        ),
        (
            {"learning_rate": "optimal", "alpha": 0.0},
            "alpha must be > 0 since learning_rate is 'optimal'. alpha is used to compute the optimal learning rate",
        ),
        ({"max_iter": 0}, "The 'max_iter' parameter of Estimator must be an int in the range"),
        ({"tol": -1.0}, r"The 'tol' parameter of Estimator must be .* in the range \[0.*, inf\) or None"),
        ({"alpha": -1.0}, "The 'alpha' parameter of Estimator must be a float in the range"),
        ({"penalty": "l3"}, "The 'penalty' parameter of Estimator must be a str among"),
        ({"validation_fraction": 1.0}, "The 'validation_fraction' parameter of Estimator must be a float in the range"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_parameters(Ours, Theirs, y, parameters, expected):
    """From the name of the parameter on, the ranges may be narrower."""
    ours, theirs = (words(Estimator, lambda model: model.fit(X, y), parameters) for Estimator in (Ours, Theirs))
    same = len(theirs) if "must be set" in theirs else theirs.index(" must be ") + len(" must be ")
    assert re.search(expected, theirs)
    assert ours[:same] == theirs[:same]
    assert re.search(expected, ours)


@pairs
def test_weights_to_start_from(Ours, Theirs, y):
    for bad in (np.zeros(2), np.zeros((2, 3)), np.zeros(4)):
        expected = "Provided coef_init does not match dataset"
        assert_same_words(Ours, Theirs, lambda model, bad=bad: model.fit(X, y, coef_init=bad), expected)
    for bad in (np.zeros(3), np.zeros((1, 1))):
        expected = "Provided intercept_init does not match dataset"
        assert_same_words(Ours, Theirs, lambda model, bad=bad: model.fit(X, y, intercept_init=bad), expected)


@pairs
def test_number_of_features(Ours, Theirs, y):
    expected = "X has 2 features, but Estimator is expecting 3 features as input"
    assert_same_words(Ours, Theirs, lambda model: model.fit(X, y).predict(X[:, :2]), expected)

    def stream(model):
        model.fit(X, y).partial_fit(X[:, :2], y)

    assert_same_words(Ours, Theirs, stream, expected)


@pairs
def test_what_is_not_fitted(Ours, Theirs, y):
    expected = "This Estimator instance is not fitted yet. Call 'fit' with appropriate arguments"
    assert_same_words(Ours, Theirs, lambda model: model.predict(X), expected)
    assert_same_words(Ours, Theirs, lambda model: model.sparsify(), "Estimator, Estimator, must be fitted before spars")
    assert_same_words(Ours, Theirs, lambda model: model.densify(), "Estimator, Estimator, must be fitted before densif")


@pairs
def test_held_out_rows_without_weight(Ours, Theirs, y):
    weight = np.zeros(40)
    weight[0] = 1.0
    expected = "The sample weights for validation set are all zero, consider using a different random state"
    parameters = {"early_stopping": True, "random_state": 0}
    assert_same_words(Ours, Theirs, lambda model: model.fit(X, y, sample_weight=weight), expected, **parameters)


def test_a_split_that_leaves_nothing(monkeypatch):
    """Their words too, which newer splitters leave them no chance to say."""
    text = (
        "Splitting %d samples into a train set and a validation set with validation_fraction=%r led to an empty set"
        " (%d and %d samples). Please either change validation_fraction, increase number of samples, or disable"
        " early_stopping."
    )
    for n, fraction in ((1, 0.1), (2, 0.9), (9, 0.99)):
        with pytest.raises(ValueError, match=f"^{re.escape(text % (n, fraction, 0, n))}$"):
            GDRegressor(early_stopping=True, validation_fraction=fraction).fit(X[:n], NUMBERS[:n])
    monkeypatch.setattr(
        "sklearn.linear_model._stochastic_gradient.ShuffleSplit.split",
        lambda self, X, y: iter([(np.arange(0), np.arange(len(y)))]),
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text % (1, 0.1, 0, 1))}$"):
        SGDRegressor(early_stopping=True).fit(X[:1], NUMBERS[:1])


@pairs
def test_early_stopping_of_a_stream(Ours, Theirs, y):
    expected = "early_stopping should be False with partial_fit"
    assert_same_words(Ours, Theirs, lambda model: model.partial_fit(X, y), expected, early_stopping=True)


@pairs
def test_running_out_of_epochs(Ours, Theirs, y):
    found = []
    for Estimator in (Ours, Theirs):
        with pytest.warns(ConvergenceWarning) as caught:
            Estimator(max_iter=1, tol=1e-12, random_state=0).fit(X, y)
        found.append(str(caught[0].message).rstrip("."))
    assert found[1] == (
        "Maximum number of iteration reached before convergence. Consider increasing max_iter to improve the fit"
    )
    assert found[0].startswith(found[1])
    with pytest.warns(ConvergenceWarning, match=re.escape(found[1])):
        Ours(solver="sgd", max_iter=1, tol=1e-12).fit(X, y)


def test_what_leaves_the_finite_range():
    text = (
        r"Floating-point under-/overflow occurred at epoch #\d+.*"
        "Scaling input data with StandardScaler or MinMaxScaler might help"
    )
    with pytest.raises(ValueError, match=text):
        SGDRegressor().fit(1e300 * X, NUMBERS)
    parameters = {"learning_rate": "constant", "eta0": 1e10, "alpha": 0.1}
    for rule in ("gd", "sgd"):
        with pytest.raises(ValueError, match=text):
            GDRegressor(solver=rule, **parameters).fit(1e6 * X, NUMBERS)
    with pytest.raises(ValueError, match=text):
        GDRegressor(solver="sgd", **parameters).partial_fit(1e6 * X, NUMBERS)


@pairs
def test_missing_values(Ours, Theirs, y):
    bad = X.copy()
    bad[2, 1] = np.nan
    expected = "Input X contains NaN"
    assert re.match(expected, words(Theirs, lambda model: model.fit(bad, y), {}))
    ours = words(Ours, lambda model: model.fit(bad, y), {})
    assert re.match(rf"{expected}\. \(first at row 2, column 1\)", ours)
    assert "Estimator does not accept missing values encoded as NaN" in ours


# ------------------------------------------------------------------------------------------------ classifier


def test_classes():
    both = GDClassifier, SGDClassifier
    one = np.zeros(40)
    expected = "The number of classes has to be greater than one; got 1 class"
    assert_same_words(*both, lambda model: model.fit(X, one), expected)
    assert_same_words(*both, lambda model: model.partial_fit(X, one, classes=[0]), expected)
    expected = "classes must be passed on the first call to partial_fit"
    assert_same_words(*both, lambda model: model.partial_fit(X, LABELS), expected)
    expected = r"`classes=\[0, 1, 2\]` is not the same as on last call to partial_fit, was: array\(\[0, 1\]\)"
    assert_same_words(*both, lambda model: model.fit(X, LABELS).partial_fit(X, LABELS, classes=[0, 1, 2]), expected)
    expected = r"Unknown label type: \(\[0.5, 1\],\)"
    assert_same_words(*both, lambda model: model.partial_fit(X, LABELS, classes=[0.5, 1]), expected)


def test_weights_of_more_classes_to_start_from():
    both = GDClassifier, SGDClassifier
    for name, shapes in (("coef_init", [(2, 3), (3,), (3, 2)]), ("intercept_init", [(1,), (2,), (3, 1)])):
        for shape in shapes:
            start = {name: np.zeros(shape)}
            expected = f"Provided {name} does not match dataset"
            assert_same_words(*both, lambda model, start=start: model.fit(X, THREE, **start), expected)


def test_weights_of_classes():
    both = GDClassifier, SGDClassifier
    expected = "class_weight 'balanced' is not supported for partial_fit. .* Pass the resulting weights as the class_w"
    parameters = {"class_weight": "balanced"}
    assert_same_words(*both, lambda model: model.partial_fit(X, LABELS, classes=[0, 1]), expected, **parameters)
    expected = "The 'class_weight' parameter of Estimator must be"
    for Estimator in both:
        assert re.match(expected, words(Estimator, lambda model: model.fit(X, LABELS), {"class_weight": [1, 2]}))
    parameters = {"class_weight": {5: 2.0, 6: 1.0}}
    expected = "The classes, .*, are not in class_weight"
    assert_same_words(*both, lambda model: model.fit(X, LABELS), expected, **parameters)


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "perceptron"])
def test_probabilities_that_there_are_not(method, loss):
    causes = []
    for Estimator in (GDClassifier, SGDClassifier):
        model = Estimator(loss=loss)
        assert not hasattr(model, method)
        with pytest.raises(AttributeError, match=f"This {Estimator.__name__!r} has no attribute {method!r}") as caught:
            getattr(model, method)
        assert isinstance(caught.value.__cause__, AttributeError)
        causes.append(str(caught.value.__cause__))
    assert causes[0] == causes[1] == f"probability estimates are not available for loss={loss!r}"


# ------------------------------------------------------------------------------------------------- interrupts


@pairs
def test_an_interrupt_comes_out_and_leaves_the_model(Ours, Theirs, y):
    """Theirs keeps half-trained weights; ours those of the last fit that ended."""

    def interrupt(state):
        if state.epoch == 2:
            raise KeyboardInterrupt

    model = Ours(solver="adam", random_state=0, max_iter=5, tol=None).fit(X, y)
    before = dict(vars(model))
    model.set_params(callback=interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.fit(2 * X, y)
    assert vars(model.set_params(callback=None)) == before
