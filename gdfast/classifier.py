"""`GDClassifier`: a linear neuron, or one per class, that answers with labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils._param_validation import StrOptions

from gdfast._estimator import DescentEstimator
from gdfast._labels import class_weights, codes_of, encode_labels
from gdfast._sklearn import CallbackSupportMixin, available_if
from gdfast._types import (
    Array,
    Bounds,
    Callback,
    ClassificationLoss,
    Doubles,
    LearningRate,
    Matrix,
    Numbers,
    Penalty,
    Scores,
    Solver,
)
from gdfast.portable import Portable
from gdfast.streaming import ClassStream

_LOSSES = get_args(ClassificationLoss)
_LOSSES_WITH_PROBABILITIES = ("log_loss", "modified_huber")


def _has_probabilities(model: ClassModel) -> bool:
    if model.loss not in _LOSSES_WITH_PROBABILITIES:
        raise AttributeError(f"probability estimates are not available for loss={model.loss!r}")
    return True


class ClassModel(ClassifierMixin, DescentEstimator):
    """What answers with labels, however its weights were found."""

    classes_: Array
    loss: ClassificationLoss

    # ------------------------------------------------------------------------------------------------ predict

    def decision_function(self, X: Matrix) -> Scores:
        """Raw scores of the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, read in place as ``fit`` does.

        Returns
        -------
        z : ndarray of shape (n_samples,) or (n_samples, n_classes)
            ``X @ coef_.T + intercept_``; for two classes one score, > 0 for ``classes_[1]``. float32 for
            ``X`` of float32 and narrower types, else float64.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            If ``X`` has another number of features or other feature names than in ``fit``, or holds NaN or
            infinity.

        Examples
        --------
        >>> from gdfast import GDClassifier
        >>> model = GDClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
        >>> model.decision_function([[1.5]]).shape
        (1,)
        """
        return self._raw_scores(X)

    def predict(self, X: Matrix) -> Array:
        """Predict the class label: that of the highest score.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, read in place as ``fit`` does.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Elements of ``classes_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            As ``decision_function``.

        Examples
        --------
        >>> from gdfast import GDClassifier
        >>> model = GDClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
        >>> model.predict([[-9.0], [9.0]])
        array(['no', 'yes'], dtype='<U3')
        """

        def labels(z: Scores) -> Array:
            return self.classes_.take((z > 0).view(np.int8) if z.ndim == 1 else z.argmax(axis=1))

        return self._answers(X, labels)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Matrix) -> Scores:
        """Probability of each class; absent for losses that have none.

        For ``loss="log_loss"`` the logistic or softmax function of the scores. For ``"modified_huber"``, as
        scikit-learn's SGDClassifier has it, ``(clip(z, -1, 1) + 1) / 2``, normalised over the classes if
        there are more than two.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, read in place as ``fit`` does.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; rows sum to 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            As ``decision_function``.

        Examples
        --------
        >>> from gdfast import GDClassifier
        >>> model = GDClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
        >>> model.predict_proba([[1.5]]).round(3)
        array([[0.5, 0.5]])
        """
        z = self.decision_function(X)
        if self.loss == "modified_huber":
            return _clipped_probabilities(z)
        return _both_sides(z, expit) if z.ndim == 1 else _softmax_in_place(z)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Matrix) -> Scores:
        """Logarithm of `predict_proba`, right also where the probability itself underflows to 0.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, read in place as ``fit`` does.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Columns in the order of ``classes_``; -inf where ``loss="modified_huber"`` has a probability of 0.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError
            As ``decision_function``.

        Examples
        --------
        >>> from gdfast import GDClassifier
        >>> model = GDClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
        >>> model.predict_log_proba([[1.5]]).round(3)
        array([[-0.693, -0.693]])
        """
        if self.loss == "modified_huber":
            with np.errstate(divide="ignore"):
                return np.log(self.predict_proba(X))
        return _log_probabilities(self.decision_function(X))

    # ----------------------------------------------------------------------------- what the base asks about y

    def _checks_of_y(self) -> dict[str, bool]:
        return {}

    def _learn_target(self, y: Array) -> Array:
        self.classes_, codes = encode_labels(y)
        self._check_classes()
        return self._for_engine(codes)

    def _check_classes(self) -> None:
        if len(self.classes_) < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {len(self.classes_)} class")

    def _encode_target(self, y: Array, name: str) -> Array:
        return self._for_engine(codes_of(y, self.classes_, name))

    def _codes(self, y: Array) -> Array:
        return (y > 0).view(np.uint8) if len(self.classes_) == 2 else y

    def _for_engine(self, codes: Array) -> Array:
        """Codes as they are, or -1 and 1 for a margin loss of two classes."""
        if len(self.classes_) == 2 and self.loss != "log_loss":
            codes = codes.astype(np.int8) * np.int8(2) - np.int8(1)
        return codes

    def _weigh(self, y: Array, sample_weight: Array | None, *, learn: bool) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        codes = self._codes(y)
        if learn:
            self._weight_of_class = class_weights(self.class_weight, self.classes_, codes, sample_weight)
        weight: Array = self._weight_of_class[codes]
        return weight if sample_weight is None else weight * sample_weight

    def _solver(self) -> Solver:
        # The perceptron's error is least, 0, where all weights are 0: what makes it useful is the way there.
        return "sgd" if self.loss == "perceptron" and self.solver == "auto" else super()._solver()

    def _n_outputs(self) -> int | None:
        return len(self.classes_) if len(self.classes_) > 2 else None

    def _split(self, y: Array) -> tuple[Numbers, Numbers]:
        splitter = StratifiedShuffleSplit(test_size=self.validation_fraction, random_state=self.random_state)
        rows, rows_val = next(splitter.split(y, y))
        return rows, rows_val

    def _published(self, coef: Doubles, intercept: Doubles | float) -> dict[str, Any]:
        intercept = np.atleast_1d(intercept)
        if len(intercept) > 1 and self.loss == "log_loss" and self.solver == "auto" and self.fit_intercept:
            # Softmax does not feel a constant added to all biases: of all the optima, the one that sums to 0.
            intercept = intercept - intercept.mean()
        return {
            "coef_": np.atleast_2d(coef),
            "intercept_": intercept,
            "classes_": self.classes_,
        }


class GDClassifier(CallbackSupportMixin, ClassStream, Portable, ClassModel):
    """Linear classification by gradient descent: logistic, softmax, and the margin losses.

    Minimises, over the weights w and the bias b,

        sum_i s_i * loss(y_i, x_i.w + b + offset_i) / sum_i s_i
            + alpha * ((1 - l1_ratio) / 2 * ||w||^2 + l1_ratio * ||w||_1)

    with s the sample weights times the class weights. The bias is not penalised. The default solver needs no
    scaled features and no learning rate. With more than two classes, ``loss="log_loss"`` is softmax
    regression; the margin losses train one neuron per class against the rest.

    Parameters
    ----------
    loss : {"log_loss", "hinge", "squared_hinge", "modified_huber", "perceptron"}, default="log_loss"
        Error of one answer z. With y = -1 or 1 and m = y z: ``log(1 + exp(-m))`` (softmax cross-entropy for
        more than two classes); ``max(0, 1 - m)``; its square; the square from m = -1 on and ``-4 m`` below;
        ``max(0, -m)``.
    penalty : {"l2", "l1", "elasticnet"} or None, default="l2"
        What ``alpha`` weighs. L1 makes exact zeros.
    alpha : float, default=1e-4
        Strength of the penalty. ``LogisticRegression(C=C)`` has the same optimum at
        ``alpha = 1 / (C * n_samples)``.
    l1_ratio : float in [0, 1] or None, default=0.15
        Share of L1 in the elastic net; used by ``penalty="elasticnet"`` only.
    fit_intercept : bool, default=True
        Whether there is a bias.
    solver : {"auto", "gd", "sgd", "adagrad", "rmsprop", "adam"}, default="auto"
        "auto" takes the fastest road to the optimum, and is "sgd" for ``loss="perceptron"``, whose optimum is
        of no use: all weights 0. "gd" is full-batch gradient descent; the others are the textbook rules on
        mini-batches.
    max_iter : int, default=1000
        Most epochs (passes over the training rows).
    tol : float or None, default=1e-6
        For "auto" and "gd", the relative distance of the objective from its optimum aimed at. For mini-batch
        rules, the relative improvement that must happen once in ``n_iter_no_change`` epochs. None runs
        ``max_iter`` epochs.
    shuffle : bool, default=True
        Whether mini-batches are drawn in a new order each epoch.
    verbose : int, default=0
        1 shows a bar with the epochs, the errors and the time left, on standard error or in a notebook (package
        tqdm, extra ``progress``); where standard error is no terminal, ``fit`` prints one line when it has ended
        instead. 2 or more, or 1 without tqdm, prints one line per epoch.
    epsilon : float, default=0.1
        Not used by the losses of a classifier; kept for grids that are shared with ``GDRegressor``.
    random_state : int, RandomState instance or None, default=None
        Seed of shuffling and of the held-out rows.
    learning_rate : {"auto", "constant", "invscaling", "optimal", "adaptive"}, default="auto"
        "auto" takes the rate from the curvature of the objective and never diverges on a convex smooth loss.
        With t the number of the update: ``eta0``; ``eta0 / t**power_t``; ``1 / (alpha * (t0 + t - 1))``;
        ``eta0``, divided by 5 whenever ``n_iter_no_change`` epochs brought no improvement.
    eta0 : float, default=0.01
        Learning rate of the schedules other than "auto" and "optimal".
    power_t : float, default=0.25
        Exponent of "invscaling".
    early_stopping : bool, default=False
        Holds out ``validation_fraction`` of the rows of each class, stops when the error on them no longer
        falls, and keeps the best weights. ``X_val`` given to ``fit`` does the same with rows of your own.
    validation_fraction : float in (0, 1), default=0.1
        Share of rows that ``early_stopping`` holds out.
    n_iter_no_change : int, default=5
        Epochs without improvement after which training stops.
    class_weight : dict, "balanced" or None, default=None
        Weight per class label, times the sample weights; 1 for a label that the dict lacks. "balanced" gives
        every class the same total weight.
    warm_start : bool, default=False
        Whether ``fit`` starts from the weights of the previous ``fit`` or ``partial_fit``. Counts, moments and
        averages begin anew; ``partial_fit`` goes on with them.
    average : bool or int, default=False
        Whether the weights are averaged over all updates, or over those from this number on.
    positive : bool, default=False
        Whether weights must not be negative.
    bounds : tuple (low, high) or None, default=None
        What every weight must lie between, biases excepted: numbers or arrays that broadcast to the shape of ``coef_``,
        None or infinite where there is no limit. Steps are projected.
    batch_size : int or None, default=None
        Rows per update; None takes all rows for "auto" and "gd", 32 for the mini-batch rules.
    momentum : float in [0, 1), default=0.0
        Momentum of "gd" and "sgd".
    nesterovs_momentum : bool, default=False
        Whether the momentum is Nesterov's.
    beta_1, beta_2 : float in [0, 1), default=0.9 and 0.999
        Decay of the two running means of "adam".
    n_threads : int or None, default=None
        Most threads; None chooses by the size of the work. The result does not depend on it.
    callback : callable or None, default=None
        Called once per epoch with a state that has ``epoch``, ``error``, ``validation_error``,
        ``gradient_norm``, ``eta``, ``coef``, ``intercept`` and ``t``. Returning True ends training.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Weights, for the features as given; one row for two classes. float32 for ``X`` of float32, else float64,
        as is all that training computes in between. A sparse matrix after ``sparsify``.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Bias, of the type of ``coef_``.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_iter_ : int
        Epochs run; solver "auto" takes independent classes one after the other, max_iter at most for each, and this is
        their sum.
    n_passes_ : int
        Reads of X by the last ``fit`` or ``partial_fit``, rounded: what it cost. For a model of `fit_many`, those of
        all models that were trained together with it.
    t_ : float
        Updates done, plus one; ``partial_fit`` counts on.
    loss_ : float
        The objective at the returned weights.
    loss_curve_ : ndarray of shape (`n_iter_`,)
        The objective per epoch.
    validation_curve_ : ndarray of shape (`n_iter_`,) or None
        Error on the validation rows per epoch; None without such rows.
    best_validation_loss_ : float or None
        The least of them, that of the returned weights.
    n_features_in_ : int
        Number of features seen during ``fit``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if ``X`` had names that are all strings.

    See Also
    --------
    GDRegressor : The same for numbers.
    gdfast.gradient_descent : The rule itself, without an estimator around it.

    Examples
    --------
    >>> from gdfast import GDClassifier
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = GDClassifier().fit(X, y)
    >>> model.predict(X[[0, 50, 100]])
    array([0, 1, 2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **DescentEstimator._parameter_constraints,
        "loss": [StrOptions(set(_LOSSES))],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        *,
        loss: ClassificationLoss = "log_loss",
        penalty: Penalty | None = "l2",
        alpha: float = 1e-4,
        l1_ratio: float | None = 0.15,
        fit_intercept: bool = True,
        solver: Solver = "auto",
        max_iter: int = 1000,
        tol: float | None = 1e-6,
        shuffle: bool = True,
        verbose: int = 0,
        epsilon: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: LearningRate = "auto",
        eta0: float = 0.01,
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
        average: bool | int = False,
        positive: bool = False,
        bounds: Bounds | None = None,
        batch_size: int | None = None,
        momentum: float = 0.0,
        nesterovs_momentum: bool = False,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        n_threads: int | None = None,
        callback: Callback | None = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.epsilon = epsilon
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.average = average
        self.positive = positive
        self.bounds = bounds
        self.batch_size = batch_size
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.n_threads = n_threads
        self.callback = callback


def _bounded(z: Scores) -> Scores:
    """Scores that overflowed, back at the largest finite value: inf - inf has no answer."""
    limit = np.finfo(z.dtype).max
    return np.clip(z, -limit, limit, out=z)


def _both_sides(z: Scores, function: Any) -> Scores:
    """function(-z) and function(z) as two columns, each as exact as the function itself."""
    out = np.empty((len(z), 2), dtype=z.dtype)
    function(-z, out=out[:, 0])
    function(z, out=out[:, 1])
    return out


def _log_probabilities(z: Scores) -> Scores:
    if z.ndim > 1:
        with np.errstate(over="ignore"):
            logarithms: Scores = log_softmax(_bounded(z), axis=1)
            return logarithms
    out = _both_sides(z, log_expit)
    # What `predict_proba` rounds to 1 has logarithm 0 here too, as it has with the softmax.
    np.copyto(out, 0, where=out > -np.finfo(out.dtype).eps / 2)
    return out


def _softmax_in_place(z: Scores) -> Scores:
    z = _bounded(z)
    with np.errstate(over="ignore"):
        z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


def _clipped_probabilities(z: Scores) -> Scores:
    np.clip(z, -1, 1, out=z)
    z += 1
    z /= 2
    if z.ndim == 1:
        return np.column_stack([1 - z, z])
    totals = z.sum(axis=1, keepdims=True)
    np.copyto(z, 1, where=totals == 0)  # no class at all: all are equally likely
    totals[totals == 0] = z.shape[1]
    z /= totals
    return z
