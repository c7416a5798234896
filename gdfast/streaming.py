"""`partial_fit`: learning from rows as they come, one epoch over those given, by a rule that goes on where it stood."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.multiclass import _check_partial_fit_first_call

from gdfast._around_fit import one_callback
from gdfast._progress import progress
from gdfast._types import Array, Matrix
from gdfast.functional import DescentResult, RuleState

__all__ = ["ClassStream", "NumberStream", "Standing"]

Rule = tuple[str, bool, int, bool]
_Self = TypeVar("_Self", bound="_Stream")
_Classes = TypeVar("_Classes", bound="ClassStream")


class Standing(NamedTuple):
    """What the next `partial_fit` must know of the past, besides the published weights.

    Attributes
    ----------
    rule : tuple of (str, bool, int, bool)
        Whose state it is: the solver, whether it has momentum, from which update it averages (0: never), whether it
        found its rate itself.
    state : RuleState or None
        Where that rule stands; None after solver "auto", which leaves nothing but its weights.
    weight, rows : float, int
        Sum of the sample weights of all rows seen, and how many rows.

    Examples
    --------
    >>> from gdfast import GDRegressor
    >>> model = GDRegressor(solver="sgd").partial_fit([[0.0], [1.0]], [1.0, 2.0], sample_weight=[1.0, 3.0])
    >>> model._standing.rule, model._standing.weight, model._standing.rows
    (('sgd', False, 0, True), 4.0, 2)
    """

    rule: Rule
    state: RuleState | None
    weight: float
    rows: int


class _Stream:
    """What both estimators do alike. Their own part: `_learn_part` says what a part of the target is."""

    if TYPE_CHECKING:

        def _replace_fit(self, train: Callable[[Any], dict[str, Any]]) -> None: ...

    def _rule(self: Any) -> Rule:
        return self._solver(), bool(self.momentum > 0), int(self.average), self.learning_rate == "auto"

    def _standing_after(self: Any, result: DescentResult, train: Any, before: Standing | None = None) -> Standing:
        """Where the descent has left its rule, and what has been seen by then."""
        weight, rows = _weighed(train, before)
        return Standing(self._rule(), None if self._solver() == "auto" else result.state, weight, rows)

    def _learn_on(self: Any, X: Any, y: Any, sample_weight: Any, offset: Any, classes: Any = None) -> dict[str, Any]:
        """One epoch over the rows, checked first: for a draft, whose parameters it may change."""
        self._validate_params()
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit")
        self.solver = "sgd" if self.solver == "auto" else self.solver
        penalty = self._penalty()
        first = "coef_" not in vars(self)
        if not first:
            self.densify()
        train = self._training_rows(
            X, y, sample_weight, offset, reset=first, learn=lambda y: self._learn_part(y, classes, first)
        )
        before = vars(self).get("_standing")
        weight, rows = _weighed(train, before)
        start = {} if first else self._start_from(before)
        settings = {"max_iter": 1, "tol": None, "mean_weight": weight / rows, **start}
        with progress(2 if self.verbose else 0, "", 1) as shown:  # a bar of one epoch shows nothing, a line does
            result = self._descend(train, penalty, callback=one_callback(shown.epoch, self.callback), **settings)
        done = start["state"].t if "state" in start else 0
        return {**self._fitted(result, train, before), "t_": vars(self).get("t_", 1.0) + (result.t - done)}

    def _start_from(self: Any, standing: Standing | None) -> dict[str, Any]:
        """The state to go on from, or after another rule the weights alone.

        Whoever has set ``coef_`` meanwhile, to the mean of many machines' say, has moved the rule there.
        """
        if standing is None or standing.state is None or standing.rule != self._rule():
            return {"coef_init": self.coef_, "intercept_init": self.intercept_}
        state = standing.state
        published = np.concatenate([np.ravel(self.coef_), np.ravel(self.intercept_)])
        answer = state.weights if state.mean is None or state.t < standing.rule[2] else state.mean
        if not np.array_equal(answer.astype(published.dtype), published):
            weights = published.astype(np.float64)
            state = dataclasses.replace(state, weights=weights, mean=None if state.mean is None else weights)
        if self.learning_rate == "adaptive":  # nothing adapts within one epoch: the rate is the parameter's
            state = dataclasses.replace(state, eta=float(self.eta0))
        return {"state": state}


def _weighed(train: Any, before: Standing | None) -> tuple[float, int]:
    """Sum of the weights of all rows up to these, and how many there are."""
    n = int(train.X.shape[0])
    weight = float(n) if train.sample_weight is None else float(np.sum(train.sample_weight, dtype=np.float64))
    return (weight, n) if before is None else (weight + before.weight, n + before.rows)


class NumberStream(_Stream):
    """`partial_fit` for targets that are numbers."""

    def partial_fit(
        self: _Self,
        X: Matrix,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> _Self:
        """Learn from some more rows: one epoch over them, from the weights there are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Some of the training samples, read in place as ``fit`` does.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their target values.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0; 1 if None. A mini-batch rule counts it against the mean weight of all
            rows seen so far.
        offset : array-like of shape (n_samples,), default=None
            Known part of the raw score, as in ``fit``.

        Returns
        -------
        self : object
            The estimator, with ``n_iter_`` 1, ``t_`` counted on across calls, and the curves of this epoch.

        Raises
        ------
        ValueError
            If ``early_stopping`` is set, or the data are not as described or not those of the first call: as many
            features, of the same names, and as many outputs. The estimator is then as it was before.
        gdfast.exceptions.DivergenceError
            If the learning rate is too large.
        RuntimeError
            If the estimator is being fitted already.

        Notes
        -----
        Solvers "sgd", "adagrad", "rmsprop" and "adam" go on where they stood, with their moments, averages and count
        of updates, through pickles and copies too: calls on the same rows, without ``shuffle``, are the epochs of one
        ``fit``. Solver "auto" streams by the rule "sgd". "gd" takes one step per call, on all the rows of the call.
        ``learning_rate="auto"`` finds its rate in the rows of the first call and halves it where it proves too large;
        "adaptive" stays at ``eta0``. With an integer ``random_state`` each call has an order of its own.

        After ``fit`` it goes on from the weights found. ``fit`` starts anew unless ``warm_start``. If solver,
        ``average`` or momentum were switched in between, or ``coef_`` set, the weights stay and the rest starts anew.

        Examples
        --------
        >>> import numpy as np
        >>> from gdfast import GDRegressor
        >>> X = np.random.default_rng(0).normal(size=(1000, 2))
        >>> y = X @ [1.0, -2.0] + 3.0
        >>> model = GDRegressor(penalty=None, random_state=0)
        >>> for start in range(0, 1000, 100):
        ...     model = model.partial_fit(X[start : start + 100], y[start : start + 100])
        >>> model.coef_.round(2), model.intercept_.round(2), model.t_
        (array([ 1., -2.]), array([3.]), 41.0)
        """
        self._replace_fit(lambda draft: draft._learn_on(X, y, sample_weight, offset))
        return self

    def _learn_part(self: Any, y: Array, classes: None, first: bool) -> Array:
        if not first:
            self._shape_of_answer = self.coef_.shape[:-1]
        target: Array = self._learn_target(y) if first else self._encode_target(y, "y")
        return target


class ClassStream(_Stream):
    """`partial_fit` for targets that are labels."""

    class_weight: Any

    def partial_fit(
        self: _Classes,
        X: Matrix,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
    ) -> _Classes:
        """Learn from some more rows: one epoch over them, from the weights there are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Some of the training samples, read in place as ``fit`` does.
        y : array-like of shape (n_samples,)
            Their labels; not every class need be among them.
        classes : array-like of shape (n_classes,), default=None
            All labels there will be. Required in the first call, unless ``fit`` came before.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0; 1 if None. A mini-batch rule counts it, times the class weight, against the
            mean weight of all rows seen so far.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the raw score, as in ``fit``.

        Returns
        -------
        self : object
            The estimator, with ``n_iter_`` 1, ``t_`` counted on across calls, and the curves of this epoch.

        Raises
        ------
        ValueError
            If ``classes`` is missing in the first call, or others than there; if ``early_stopping`` or
            ``class_weight="balanced"`` is set; if the data are not as described or not those of the first call. The
            estimator is then as it was before.
        gdfast.exceptions.DivergenceError
            If the learning rate is too large.
        RuntimeError
            If the estimator is being fitted already.

        Notes
        -----
        Solvers "sgd", "adagrad", "rmsprop" and "adam" go on where they stood, with their moments, averages and count
        of updates, through pickles and copies too: calls on the same rows, without ``shuffle``, are the epochs of one
        ``fit``. Solver "auto" streams by the rule "sgd". "gd" takes one step per call, on all the rows of the call.
        ``learning_rate="auto"`` finds its rate in the rows of the first call and halves it where it proves too large;
        "adaptive" stays at ``eta0``. With an integer ``random_state`` each call has an order of its own.

        After ``fit`` it goes on from the weights found. ``fit`` starts anew unless ``warm_start``. If solver,
        ``average`` or momentum were switched in between, or ``coef_`` set, the weights stay and the rest starts anew.

        Examples
        --------
        >>> from gdfast import GDClassifier
        >>> from sklearn.datasets import load_breast_cancer
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> X = (X - X.mean(axis=0)) / X.std(axis=0)
        >>> model = GDClassifier(random_state=0)
        >>> for start in range(0, len(y), 100):
        ...     rows = slice(start, start + 100)
        ...     model = model.partial_fit(X[rows], y[rows], classes=[0, 1])
        >>> model.score(X, y) > 0.95
        True
        """
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. In order to use 'balanced' weights, use "
                "compute_class_weight('balanced', classes=classes, y=y). In place of y you can use a large enough "
                "sample of the full training set target to properly estimate the class frequency distributions. Pass "
                "the resulting weights as the class_weight parameter."
            )
        self._replace_fit(lambda draft: draft._learn_on(X, y, sample_weight, offset, classes))
        return self

    def _learn_part(self: Any, y: Array, classes: Any, first: bool) -> Array:
        _check_partial_fit_first_call(self, classes)
        self._check_classes()
        target: Array = self._encode_target(y, "y")
        return target
