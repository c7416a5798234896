"""GDClassifier finds the optimum of the stated objective; labels, classes, weights and probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from gdfast import GDClassifier, gradient_descent, reference
from gdfast._labels import encode_labels

pd = pytest.importorskip("pandas")

MARGIN = ("hinge", "squared_hinge", "modified_huber", "perceptron")
EVERY_LOSS = ("log_loss", *MARGIN)


@pytest.fixture(scope="module")
def breast_cancer():
    return load_breast_cancer(return_X_y=True)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


def logistic(strength, n, solver):
    """LogisticRegression with the optimum of alpha = strength."""
    return LogisticRegression(C=1 / (strength * n), solver=solver, tol=1e-10, max_iter=10_000)


def assert_same_optimum(ours, theirs, X, rtol=1e-4):
    assert_allclose(ours.coef_, theirs.coef_, rtol=rtol, atol=rtol * 1e-2 * np.abs(theirs.coef_).max())
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=rtol, atol=1e-6)
    shift = theirs.intercept_ - theirs.intercept_.mean()  # softmax: one constant on all changes nothing
    if len(shift) > 1:
        assert_allclose(ours.intercept_ - ours.intercept_.mean(), shift, rtol=rtol, atol=rtol)
    else:
        assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=1e-8)


# -------------------------------------------------------------------------------------------- the same optima


@pytest.mark.parametrize("alpha", [1e-5, 1e-3, 1e-1])
def test_logistic_regression_on_raw_features(breast_cancer, alpha):
    X, y = breast_cancer
    ours = GDClassifier(alpha=alpha, tol=1e-14).fit(X, y)
    assert_same_optimum(ours, logistic(alpha, len(y), "newton-cholesky").fit(X, y), X)
    assert ours.coef_.shape == (1, 30) and ours.intercept_.shape == (1,)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_logistic_regression_on_scaled_features(breast_cancer, fit_intercept):
    X, y = breast_cancer
    X = StandardScaler().fit_transform(X)
    ours = GDClassifier(alpha=1e-3, tol=1e-14, fit_intercept=fit_intercept).fit(X, y)
    assert_same_optimum(ours, logistic(1e-3, len(y), "lbfgs").set_params(fit_intercept=fit_intercept).fit(X, y), X)


@pytest.mark.parametrize(("solver", "scale"), [("lbfgs", 1 / 16), ("newton-cholesky", 1)])
def test_softmax_regression_on_digits(digits, solver, scale):
    X, y = digits[0][::3] * scale, digits[1][::3]
    ours = GDClassifier(alpha=1e-2, tol=1e-13).fit(X, y)
    assert ours.coef_.shape == (10, 64) and ours.intercept_.shape == (10,)
    assert_same_optimum(ours, logistic(1e-2, len(y), solver).fit(X, y), X, rtol=1e-3)


def test_softmax_regression_on_iris():
    X, y = load_iris(return_X_y=True)
    ours = GDClassifier(alpha=1e-3, tol=1e-13).fit(X, y)
    assert_same_optimum(ours, logistic(1e-3, len(y), "newton-cholesky").fit(X, y), X)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_sparse_logistic_regression(breast_cancer, fit_intercept):
    X, y = breast_cancer
    X = StandardScaler().fit_transform(X)
    ours = GDClassifier(penalty="l1", alpha=0.01, tol=1e-10, fit_intercept=fit_intercept).fit(X, y)
    _, g, b = reference.error_and_gradient(
        X, y, ours.coef_[0], ours.intercept_[0], loss="log_loss", alpha=0.01, l1_ratio=1
    )
    assert np.abs(g).max() < 1e-5 and (abs(b) < 1e-5 or not fit_intercept)
    assert 0 < (ours.coef_ == 0).sum() < 30


def test_squared_hinge_against_liblinear(breast_cancer):
    X, y = breast_cancer
    X = StandardScaler().fit_transform(X)
    theirs = LinearSVC(C=1 / (1e-2 * len(y)), tol=1e-10, dual=False, intercept_scaling=1e4, max_iter=10**5)
    theirs.fit(X, y)  # its objective: ||w||^2 / 2 + C * sum of squared hinges
    ours = GDClassifier(loss="squared_hinge", alpha=1e-2, tol=1e-12).fit(X, y)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge", "modified_huber"])
def test_the_gradient_vanishes_at_the_answer(breast_cancer, loss):
    X, y = breast_cancer
    ours = GDClassifier(loss=loss, tol=1e-12, alpha=1e-3).fit(X, y)
    target = y if loss == "log_loss" else 2 * y - 1
    E, g, b = reference.error_and_gradient(
        X, target, ours.coef_[0], ours.intercept_[0], loss=loss, alpha=1e-3, l1_ratio=0
    )
    assert_allclose(ours.loss_, E, rtol=1e-9)
    assert np.abs(g / X.std(axis=0)).max() < 1e-5 and abs(b) < 1e-5


@pytest.mark.parametrize("loss", MARGIN)
def test_more_classes_are_one_against_the_rest(loss):
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    tol = None if loss == "perceptron" else 1e-8  # its optimum is of no use: what counts is the way there
    parameters = {"loss": loss, "alpha": 1e-2, "tol": tol, "shuffle": False, "max_iter": 500}
    together = GDClassifier(**parameters).fit(X, y)
    assert together.coef_.shape == (3, 4) and together.decision_function(X).shape == (150, 3)
    alone = [GDClassifier(**parameters).fit(X, y == k) for k in range(3)]
    assert together.score(X, y) > (0.6 if loss == "perceptron" else 0.85)
    if loss != "perceptron":
        assert_allclose(together.loss_, sum(model.loss_ for model in alone), rtol=1e-4)
    if loss in ("squared_hinge", "modified_huber"):
        assert_allclose(together.coef_, np.vstack([model.coef_ for model in alone]), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("solver", ["gd", "sgd", "adagrad", "rmsprop", "adam"])
@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_textbook_rules_learn(solver, loss):
    X, y = make_classification(600, 8, n_informative=6, class_sep=2, random_state=0)
    model = GDClassifier(
        solver=solver, loss=loss, learning_rate="constant", eta0=0.02, max_iter=300, tol=None, random_state=0
    ).fit(X, y)
    assert model.score(X, y) > 0.9
    assert model.n_iter_ == 300
    assert model.t_ == 1 + 300 * (1 if solver == "gd" else np.ceil(600 / 32))


# ----------------------------------------------------------------------------------------- labels and classes


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        np.array(["no", "yes"], dtype=object),
        [False, True],
        [-1, 1],
        [-7, 1000],
        [0.0, 1.0],
        [-2.0, 3.0],
        np.array([5, 9], dtype=np.uint64),
        np.array([-128, 127], dtype=np.int8),
        [10**15, 10**15 + 10**12],
    ],
    ids=repr,
)
def test_kinds_of_labels(breast_cancer, labels):
    X, y = breast_cancer
    expected = GDClassifier().fit(X, y)
    labels = np.asarray(labels)
    model = GDClassifier().fit(X, labels[y])
    assert_array_equal(model.classes_, labels)
    assert model.classes_.dtype == labels.dtype
    assert_array_equal(model.coef_, expected.coef_)
    assert_array_equal(model.predict(X), labels[expected.predict(X)])
    assert_array_equal(GDClassifier().fit(X, labels[y].tolist()).predict(X), labels[expected.predict(X)])


def test_labels_of_pandas(breast_cancer):
    X, y = breast_cancer
    expected = GDClassifier().fit(X, y)
    for labels in (pd.Series(y).map({0: "b", 1: "m"}), pd.Series(y).map({0: "b", 1: "m"}).astype("category")):
        model = GDClassifier().fit(X, labels)
        assert_array_equal(model.coef_, expected.coef_)
        assert_array_equal(model.predict(X[:5]), np.array(["b", "m"])[expected.predict(X[:5])])


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.arange(150) / 7, "Unknown label type: continuous"),
        (np.array(["a", 1, 2.5] * 50, dtype=object), "Unknown label type"),
        (np.array([1, "a", 2.5] * 50, dtype=object), "Unknown label type"),
        (np.array(["a", None, "b"] * 50, dtype=object), "Unknown label type|contains NaN"),
        (np.ones(150), "number of classes has to be greater than one; got 1 class"),
        (np.array(["a"] * 150), "number of classes has to be greater than one; got 1 class"),
        (np.array([True] * 150), "number of classes has to be greater than one; got 1 class"),
        (np.eye(3)[np.arange(150) % 3], r"y should be a 1d array"),
        (np.full(150, np.nan), "Input y contains NaN"),
        (None, "target y is None"),
    ],
)
def test_labels_that_are_refused(y, message):
    X, _ = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        GDClassifier().fit(X, y)


def test_many_classes():
    n = 300
    X = np.eye(n, dtype=np.float32)[np.arange(2 * n) % n]
    y = np.arange(2 * n) % n * 3 - 50
    model = GDClassifier(solver="adam", learning_rate="constant", eta0=0.5, max_iter=10, tol=None).fit(X, y)
    assert model.coef_.shape == (n, n)
    assert_array_equal(model.predict(X), y)


@pytest.mark.parametrize("n", [2, 256, 257, 2**16, 2**16 + 1])
@pytest.mark.parametrize("kind", [np.int64, np.float32, str])
def test_codes_are_of_the_smallest_type(n, kind):
    labels = np.tile(np.arange(n)[::-1], 3).astype(kind)
    classes, codes = encode_labels(labels)
    assert_array_equal(classes, np.unique(labels))
    assert_array_equal(classes[codes], labels)
    assert codes.dtype == np.min_scalar_type(n - 1)


def test_labels_of_validation_data(breast_cancer):
    X, y = breast_cancer
    names = np.array(["benign", "malignant"])[y]
    coded = GDClassifier().fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    named = GDClassifier().fit(X[:400], names[:400], X_val=X[400:], y_val=names[400:])
    assert_array_equal(coded.validation_curve_, named.validation_curve_)
    with pytest.raises(ValueError, match=r"y_val must hold labels of classes_, \[.benign.*got .unknown. at row 1"):
        GDClassifier().fit(X, names, X_val=X[:2], y_val=["benign", "unknown"])
    # validation rows of a single class are fine
    GDClassifier(max_iter=3, tol=None).fit(X, names, X_val=X[:1], y_val=names[:1])


def test_early_stopping_holds_out_rows_of_every_class():
    X, y = load_iris(return_X_y=True)
    model = GDClassifier(early_stopping=True, validation_fraction=0.2, random_state=0).fit(X, y)
    rows_val = model._split(y)[1]
    assert_array_equal(np.bincount(y[rows_val]), [10, 10, 10])
    assert model.best_validation_loss_ == model.validation_curve_.min()
    with pytest.raises(ValueError, match="least populated class"):
        GDClassifier(early_stopping=True).fit(X[:51], y[:51])


# ---------------------------------------------------------------------------------------------- class weights


@pytest.mark.parametrize("loss", ["log_loss", "squared_hinge"])
@pytest.mark.parametrize("class_weight", ["balanced", {"b": 2.0, "c": 0.5}, {"a": 0.0}, {}])
def test_class_weights_are_sample_weights(loss, class_weight):
    X, codes = load_iris(return_X_y=True)
    X, codes = X[20:], codes[20:]
    y = np.array(["a", "b", "c"])[codes]
    if class_weight == "balanced":
        each = len(y) / (3 * np.bincount(codes))
    else:
        each = np.array([class_weight.get(label, 1.0) for label in "abc"])
    extra = np.linspace(0.5, 1.5, len(y))
    tight = {"loss": loss, "alpha": 1e-2, "tol": 1e-13}
    for weight in (None, extra):
        total = (
            each[codes]
            if weight is None or class_weight != "balanced"
            else (weight.sum() / (3 * np.bincount(codes, weights=weight)))[codes]
        )
        total = total if weight is None else total * weight
        ours = GDClassifier(**tight, class_weight=class_weight).fit(X, y, sample_weight=weight)
        same = GDClassifier(**tight).fit(X, y, sample_weight=total)
        assert_allclose(ours.coef_, same.coef_, rtol=1e-8, atol=1e-10)


def test_balanced_counts_weight_as_repetition(breast_cancer):
    X, y = breast_cancer
    weight = np.arange(len(y)) % 3
    tight = GDClassifier(class_weight="balanced", tol=1e-14, alpha=1e-2)
    one = tight.fit(X, y, sample_weight=weight).coef_
    assert_allclose(tight.fit(X.repeat(weight, axis=0), y.repeat(weight)).coef_, one, rtol=1e-8)


def test_class_weights_for_two_labels_of_any_kind(breast_cancer):
    X, y = breast_cancer
    expected = GDClassifier().fit(X, y, sample_weight=np.where(y == 1, 3.0, 1.0))
    for labels, key in ((y, 1), (y.astype(bool), True), (y.astype(float), 1.0), (y * 2 - 1, 1)):
        assert_array_equal(GDClassifier(class_weight={key: 3.0}).fit(X, labels).coef_, expected.coef_)


@pytest.mark.parametrize(
    ("class_weight", "message"),
    [
        ({0: -1.0}, "class_weight must be finite and >= 0"),
        ({0: np.nan}, "class_weight must be finite and >= 0"),
        ({0: 0.0, 1: 0.0}, "must leave samples with a weight above 0"),
        ({7: 1.0}, "not in class_weight"),
        ("heavy", "'class_weight' parameter of GDClassifier must be"),
    ],
)
def test_class_weights_that_are_refused(breast_cancer, class_weight, message):
    with pytest.raises(ValueError, match=message):
        GDClassifier(class_weight=class_weight).fit(*breast_cancer)


# ---------------------------------------------------------------------------------------------- probabilities


@pytest.mark.parametrize("loss", ["hinge", "squared_hinge", "perceptron"])
def test_probabilities_are_absent_where_there_are_none(loss):
    model = GDClassifier(loss=loss)
    for name in ("predict_proba", "predict_log_proba"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError) as caught:
            getattr(model, name)
        assert f"probability estimates are not available for loss='{loss}'" in str(caught.value.__cause__)


def model_with_scores(n_classes, loss="log_loss"):
    """A model whose scores are its features."""
    n_scores = 1 if n_classes == 2 else n_classes
    rng = np.random.default_rng(0)
    model = GDClassifier(loss=loss, max_iter=1, tol=None).fit(
        rng.normal(size=(60, n_scores)), np.arange(60) % n_classes
    )
    model.coef_, model.intercept_ = np.eye(n_scores), np.zeros(n_scores)
    return model


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_of_extreme_scores(dtype):
    top = np.finfo(dtype).max / 4
    ulp = np.finfo(dtype).eps
    z = np.array([-top, -1e3, -50, -1e-30, 0, 0.5, 30, 1e3, top], dtype=dtype)[:, None]
    two = model_with_scores(2)
    p, log_p = two.predict_proba(z), two.predict_log_proba(z)
    assert p.dtype == log_p.dtype == dtype
    assert_allclose(p.sum(axis=1), 1, rtol=4 * ulp)
    assert_allclose(p[2, 1], np.exp(-50.0), rtol=1e-5)
    assert_allclose(log_p[1], [0, -1e3])
    assert_allclose(log_p[-1], [-top, 0])
    Z = np.array([[0, 0, 0], [top, 0, 0], [top, top, -top], [-top, -top, -top], [1, 2, 3], [1e3, 0, -1e3]], dtype=dtype)
    three = model_with_scores(3)
    p, log_p = three.predict_proba(Z), three.predict_log_proba(Z)
    assert p.dtype == log_p.dtype == dtype
    assert_allclose(p.sum(axis=1), 1, rtol=4 * ulp)
    assert_allclose(p[:4], [[1 / 3] * 3, [1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3], rtol=4 * ulp)
    assert_allclose(log_p[-1], [0, -1e3, -2e3])
    assert not np.isnan(log_p).any()


def test_probabilities_of_modified_huber():
    two = model_with_scores(2, "modified_huber")
    assert_array_equal(two.predict_proba([[-3.0], [-0.5], [0.0], [2.0]])[:, 1], [0, 0.25, 0.5, 1])
    assert_array_equal(two.predict_log_proba([[2.0]]), [[-np.inf, 0]])
    three = model_with_scores(3, "modified_huber")
    p = three.predict_proba([[-2.0, -3.0, -1.0], [1.0, 0.0, -1.0], [2.0, -2.0, -2.0]])
    assert_allclose(p, [[1 / 3] * 3, [2 / 3, 1 / 3, 0], [1, 0, 0]])


def test_predictions_follow_the_scores(digits):
    X, y = digits
    model = GDClassifier().fit(X, y)
    assert_array_equal(model.predict(X), model.classes_[model.decision_function(X).argmax(axis=1)])
    assert_array_equal(model.predict(X), model.classes_[model.predict_proba(X).argmax(axis=1)])
    assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)), rtol=1e-6, atol=1e-12)
    assert_allclose(model.decision_function(X), X @ model.coef_.T + model.intercept_, rtol=1e-9, atol=1e-9)
    one_by_one = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(20)])
    assert_array_equal(one_by_one, model.predict_proba(X[:20]))


@pytest.mark.parametrize("n_classes", [2, 10])
def test_labels_come_block_by_block(digits, monkeypatch, n_classes):
    """The same labels whatever the size of a block and the layout of X; a hole is found in its row of X."""
    X, y = digits
    X, names = X.astype(np.float32), np.array([f"digit {i}" for i in range(10)])
    model = GDClassifier(max_iter=3, tol=None).fit(X, names[y % n_classes])
    z = model.decision_function(X)
    expected = model.classes_[(z > 0).astype(int) if n_classes == 2 else z.argmax(axis=1)]
    for size in (1, 1000, 2**22):
        monkeypatch.setattr("gdfast.functional._BLOCK_BYTES", size)
        for view in (X, np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X.astype(">f4"), X.astype(np.uint8)):
            assert_array_equal(model.predict(view), expected)
        assert model.predict(X).dtype == names.dtype
        hole = X.copy()
        hole[1500, 3] = np.nan
        with pytest.raises(ValueError, match=r"first at row 1500, column 3"):
            model.predict(hole)


# ----------------------------------------------------------------------------------------------- hostile data


def test_degenerate_data_give_finite_models():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = X[:, 0] + rng.normal(size=60) > 0
    cases = {
        "constant column": (np.column_stack([X, np.full(60, 7.0)]), y),
        "duplicate columns": (np.column_stack([X, X[:, 1]]), y),
        "more features than rows": (rng.normal(size=(10, 60)), np.arange(10) % 2),
        "two rows": (X[:2], [0, 1]),
        "one feature": (X[:, :1], y),
        "all zero": (np.zeros((60, 4)), y),
        "separable": (X, X[:, 0] > 0),
    }
    for name, (X, y) in cases.items():
        model = GDClassifier().fit(X, y)
        assert np.isfinite(model.coef_).all() and np.isfinite(model.intercept_).all(), name
        if name == "duplicate columns":
            assert_allclose(model.coef_[0, 1], model.coef_[0, 4], rtol=1e-6)


def test_a_class_without_weight_is_never_predicted():
    X, y = load_iris(return_X_y=True)
    model = GDClassifier().fit(X, y, sample_weight=(y != 1).astype(float))
    assert_array_equal(model.classes_, [0, 1, 2])
    assert set(model.predict(X)) <= {0, 2}


def test_threads_do_not_change_the_bits(digits):
    X, y = digits
    X, y = np.tile(X, (4, 1)).astype(np.float32), np.tile(y, 4)
    coefs = [GDClassifier(n_threads=n, max_iter=4, tol=None).fit(X, y).coef_ for n in (1, 2, 3)]
    assert_array_equal(coefs[0], coefs[1])
    assert_array_equal(coefs[0], coefs[2])


def test_softmax_on_raw_pixels_takes_few_passes():
    """Classes bend in few rows, which their metrics are made from: columns on scales of their own cost no passes."""
    rng = np.random.default_rng(0)
    n, d, k = 24000, 250, 6
    mixed = rng.gamma(0.3, 60.0, size=(n, d)) @ (np.eye(d) + 0.3 * rng.random((d, d)) * (rng.random((d, d)) < 0.1))
    X = np.clip(mixed, 0, 255).astype(np.uint8)
    scores = X @ rng.normal(scale=0.02, size=(d, k))
    y = np.argmax(scores - scores.mean(axis=0) + rng.gumbel(size=(n, k)), axis=1)
    call = {"loss": "log_loss", "alpha": 1e-3, "solver": "auto", "max_iter": 200}
    found = gradient_descent(X, y, tol=1e-6, **call)
    best = gradient_descent(X, y, tol=1e-11, **call)
    assert found.n_passes <= 40
    assert found.error - best.error <= 2e-6 * best.error
    other = gradient_descent(X, y, tol=1e-6, n_threads=3, **call)
    assert_array_equal(found.coef, other.coef)


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_softmax_with_l1_says_how_near_it_is(load):
    X, y = load(return_X_y=True)
    call = {"loss": "log_loss", "alpha": 1e-3, "l1_ratio": 1.0, "solver": "auto", "max_iter": 5000}
    found = gradient_descent(X, y, tol=1e-6, **call)
    best = gradient_descent(X, y, tol=1e-12, **call)
    assert found.error - best.error <= 3e-6 * best.error


@pytest.mark.parametrize("alpha", [1e-2, 1e-6])
def test_as_many_columns_as_rows_take_no_metric_on_trust(alpha):
    """Making one costs hundreds of passes; steps from its diagonal alone stall where columns share factors."""
    rng = np.random.default_rng(3)
    n, d = 700, 400
    X = rng.gamma(0.3, 60.0, (n, 20)) @ rng.random((20, d)) + 20.0 * rng.random((n, d))
    scores = (X - X.mean(axis=0)) @ rng.standard_normal(d)
    y = (2.0 * scores / scores.std() + rng.logistic(size=n) > 0).astype(np.int64)
    call = {"loss": "log_loss", "alpha": alpha, "solver": "auto", "max_iter": 3000}
    best = gradient_descent(X, y, tol=1e-11, **call)
    for tol in (1e-3, 1e-6):
        found = gradient_descent(X, y, tol=tol, **call)
        assert found.converged
        assert found.error - best.error <= tol * best.error
    other = gradient_descent(X, y, tol=1e-6, n_threads=3, **call)
    assert_array_equal(found.coef, other.coef)
