"""`GDRegressor`: a linear neuron, or several, that answers with numbers."""

from __future__ import annotations

from typing import Any, ClassVar, get_args

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.model_selection import ShuffleSplit
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions

from gdfast._checks import FRACTION
from gdfast._estimator import DescentEstimator
from gdfast._sklearn import CallbackSupportMixin
from gdfast._types import (
    Array,
    Bounds,
    Callback,
    Doubles,
    LearningRate,
    Matrix,
    Numbers,
    Penalty,
    RegressionLoss,
    Scores,
    Solver,
)
from gdfast.portable import Portable
from gdfast.streaming import NumberStream

_LOSSES = get_args(RegressionLoss)
LOG_LINK = ("poisson", "gamma")


class NumberModel(MultiOutputMixin, RegressorMixin, DescentEstimator):
    """What answers with numbers, however its weights were found."""

    loss: RegressionLoss

    def predict(self, X: Matrix) -> Scores:
        """Predict the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, read in place as ``fit`` does.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            ``z = X @ coef_.T + intercept_``, and exp(z) for ``loss="poisson"`` and ``"gamma"``. float32 for
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
        >>> from gdfast import GDRegressor
        >>> GDRegressor(loss="poisson", penalty=None).fit([[0.0], [0.0]], [1, 3]).predict([[0.0]]).round(3)
        array([2.])
        """
        answers = self._raw_scores(X)
        return np.exp(answers, out=answers) if self.loss in LOG_LINK else answers

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.loss in LOG_LINK:
            tags.target_tags.positive_only = True
            # True all the same, but scikit-learn's check of this tag draws negative targets.
            tags.target_tags.multi_output = False
        return tags

    # ----------------------------------------------------------------------------- what the base asks about y

    def _checks_of_y(self) -> dict[str, bool]:
        return {"multi_output": True, "y_numeric": True}

    def _learn_target(self, y: Array) -> Array:
        y = column_or_1d(y, warn=True) if y.shape[1:] == (1,) else y
        self._shape_of_answer = y.shape[1:]
        return y

    def _encode_target(self, y: Array, name: str) -> Array:
        y = column_or_1d(y, warn=True) if y.shape[1:] == (1,) else y
        if y.shape[1:] != self._shape_of_answer:
            raise ValueError(f"{name} must have as many outputs as y in training, got shape {y.shape}")
        return y

    def _split(self, y: Array) -> tuple[Numbers, Numbers]:
        splitter = ShuffleSplit(test_size=self.validation_fraction, random_state=self.random_state)
        rows, rows_val = next(splitter.split(y))
        return rows, rows_val

    def _published(self, coef: Doubles, intercept: Doubles | float) -> dict[str, Any]:
        return {
            "coef_": coef.reshape(*self._shape_of_answer, self.n_features_in_),
            "intercept_": np.atleast_1d(intercept),
        }


class GDRegressor(CallbackSupportMixin, NumberStream, Portable, NumberModel):
    """Linear regression by gradient descent, for every loss below and any number of outputs.

    Minimises, over the weights w and the bias b,

        sum_i s_i * loss(y_i, x_i.w + b + offset_i) / sum_i s_i
            + alpha * ((1 - l1_ratio) / 2 * ||w||^2 + l1_ratio * ||w||_1)

    with s the sample weights. The bias is not penalised. The default solver needs no scaled features and no
    learning rate. Several outputs are independent neurons that share the passes over X.

    Parameters
    ----------
    loss : {"squared_error", "absolute_error", "huber", "quantile", "epsilon_insensitive", \
            "squared_epsilon_insensitive", "poisson", "gamma"}, default="squared_error"
        Error of one answer z to the target y. With ``r = y - z``: r^2 / 2; ``|r|``; r^2 / 2 up to ``epsilon`` and
        ``epsilon * |r| - epsilon^2 / 2`` beyond; the pinball of level ``quantile``;
        ``max(0, |r| - epsilon)``; its square; the Poisson deviance's ``exp(z) - y z`` (y >= 0) and the gamma
        deviance's ``z + y exp(-z)`` (y > 0). For the last two ``predict`` returns exp(z).
    penalty : {"l2", "l1", "elasticnet"} or None, default="l2"
        What ``alpha`` weighs. L1 makes exact zeros.
    alpha : float, default=1e-4
        Strength of the penalty. ``Ridge(a)`` has the same optimum at ``alpha = a / n_samples``.
    l1_ratio : float in [0, 1] or None, default=0.15
        Share of L1 in the elastic net; used by ``penalty="elasticnet"`` only.
    fit_intercept : bool, default=True
        Whether there is a bias.
    solver : {"auto", "gd", "sgd", "adagrad", "rmsprop", "adam"}, default="auto"
        "auto" takes the fastest road to the optimum; "gd" is full-batch gradient descent; the others are the
        textbook rules on mini-batches.
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
        Where "huber" turns linear; half the width of the insensitive tube.
    quantile : float in (0, 1), default=0.5
        Level that ``loss="quantile"`` estimates.
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
        Holds out ``validation_fraction`` of the rows, stops when the error on them no longer falls, and
        keeps the best weights. ``X_val`` given to ``fit`` does the same with rows of your own.
    validation_fraction : float in (0, 1), default=0.1
        Share of rows that ``early_stopping`` holds out.
    n_iter_no_change : int, default=5
        Epochs without improvement after which training stops.
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
    coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
        Weights, for the features as given: float32 for ``X`` of float32, else float64, as is all that training
        computes in between. A sparse matrix after ``sparsify``.
    intercept_ : ndarray of shape (1,) or (n_outputs,)
        Bias, of the type of ``coef_``.
    n_iter_ : int
        Epochs run; solver "auto" takes independent outputs one after the other, max_iter at most for each, and this is
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
    GDClassifier : The same for class labels.
    gdfast.gradient_descent : The rule itself, without an estimator around it.

    Examples
    --------
    >>> import numpy as np
    >>> from gdfast import GDRegressor
    >>> X = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> model = GDRegressor(penalty=None).fit(X, [3.0, 5.0, 7.0, 9.0])
    >>> model.predict([[10.0]]).round(3)
    array([21.])

    Counts over different exposures, claims per policy and the years it ran say: the logarithm of the exposure is
    the ``offset`` of the raw score, so that the model is that of the rate, per year. `predict` leaves it out and
    answers with the rate; the expected count is the rate times the exposure.

    >>> years = np.array([0.5, 2.0, 1.0, 4.0])
    >>> claims = np.array([1.0, 4.0, 6.0, 24.0])  # two a year for the first kind of policy, six for the second
    >>> kind = np.array([[0.0], [0.0], [1.0], [1.0]])
    >>> model = GDRegressor(loss="poisson", penalty=None, tol=1e-9).fit(kind, claims, offset=np.log(years))
    >>> model.predict([[0.0], [1.0]]).round(3)
    array([2., 6.])
    >>> (model.predict(kind) * years).round(3)
    array([ 1.,  4.,  6., 24.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **DescentEstimator._parameter_constraints,
        "loss": [StrOptions(set(_LOSSES))],
        "quantile": [FRACTION],
    }

    def __init__(
        self,
        *,
        loss: RegressionLoss = "squared_error",
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
        quantile: float = 0.5,
        random_state: int | np.random.RandomState | None = None,
        learning_rate: LearningRate = "auto",
        eta0: float = 0.01,
        power_t: float = 0.25,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
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
        self.quantile = quantile
        self.random_state = random_state
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
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
