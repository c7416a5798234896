"""What the regressor and the classifier share: parameters, checks of the data, and the way through one fit.

The estimators are a thin coat over `gdfast.functional`. Here a scikit-learn call is checked once, turned into
one call of `gradient_descent`, and its result published, all attributes at once and only if nothing failed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from gdfast import _core
from gdfast._around_fit import fit_tasks, one_callback, only_fit_of
from gdfast._checks import (
    BOOLEAN,
    COUNT,
    DECAY,
    FRACTION,
    NOT_NEGATIVE,
    POSITIVE,
    Number,
    check_dtype,
    check_parameters,
    check_split,
    explained,
    located,
    name_bad_column,
    passes_as_is,
)
from gdfast._progress import progress
from gdfast._sklearn import fit_context
from gdfast._sparse_coef import SparseCoef, dense
from gdfast._tables import refuse_lazy, refuse_missing, with_names
from gdfast._targets import read_weights
from gdfast._types import Array, Doubles, LearningRate, Matrix, Numbers, Penalty, ReadRows, Scores, Solver
from gdfast.functional import DescentResult, gradient_descent, scores, scores_in_blocks
from gdfast.portable import Checked
from gdfast.rows.arrays import refuse_masked

_NO_TARGET = "no_validation"  # scikit-learn's own word for "there is no y to check"

_Self = TypeVar("_Self", bound="DescentEstimator")


class Rows(NamedTuple):
    """One set of samples, as `gradient_descent` takes it; the offset it checks itself."""

    X: Any  # an array or a sparse matrix
    y: Array
    sample_weight: Array | None
    offset: Any


class DescentEstimator(SparseCoef, Checked, BaseEstimator):
    """Base of the estimators: everything that does not depend on what the target is."""

    coef_: Scores
    intercept_: Scores
    n_iter_: int
    n_passes_: int
    t_: float
    loss_: float
    loss_curve_: Doubles
    validation_curve_: Doubles | None
    best_validation_loss_: float | None
    n_features_in_: int
    feature_names_in_: Array

    if TYPE_CHECKING:  # what scikit-learn's bases do, which have no types

        def score(self, X: Matrix, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float: ...

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

        def set_params(self: _Self, **params: Any) -> _Self: ...

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "penalty": [StrOptions(set(get_args(Penalty))), None],
        "alpha": [NOT_NEGATIVE],
        "l1_ratio": [Number(Real, 0, 1, closed="both"), None],
        "fit_intercept": BOOLEAN,
        "solver": [StrOptions(set(get_args(Solver)))],
        "max_iter": [COUNT],
        "tol": [NOT_NEGATIVE, None],
        "shuffle": BOOLEAN,
        "verbose": [*BOOLEAN, Number(Integral, 0, None, closed="left")],
        "epsilon": [NOT_NEGATIVE],
        "random_state": ["random_state"],
        "learning_rate": [StrOptions(set(get_args(LearningRate)))],
        "eta0": [POSITIVE],
        "power_t": [Number(Real, None, None, closed="neither")],
        "early_stopping": BOOLEAN,
        "validation_fraction": [FRACTION],
        "n_iter_no_change": [COUNT],
        "warm_start": BOOLEAN,
        "average": [*BOOLEAN, COUNT],
        "positive": BOOLEAN,
        "bounds": [tuple, list, None],
        "batch_size": [COUNT, None],
        "momentum": [DECAY],
        "nesterovs_momentum": BOOLEAN,
        "beta_1": [DECAY],
        "beta_2": [DECAY],
        "n_threads": [COUNT, None],
        "callback": [callable, None],
    }

    # ------------------------------------------------------------------ what a subclass says about its target

    def _checks_of_y(self) -> dict[str, bool]:
        """Keywords of scikit-learn's `check_X_y` that say what `y` may be."""
        raise NotImplementedError

    def _learn_target(self, y: Array) -> Array:
        """Remember what predictions need of the training target, and return it as the engine takes it."""
        raise NotImplementedError

    def _encode_target(self, y: Array, name: str) -> Array:
        """Turn a further target (`y_val`) into what `_learn_target` made of the first one."""
        raise NotImplementedError

    def _codes(self, y: Array) -> Array:
        """Class codes of a target that `_learn_target` made; numbers as they are."""
        return y

    def _for_engine(self, codes: Array) -> Array:
        """The way back: class codes, or numbers, as the engine takes them."""
        return codes

    def _weigh(self, y: Array, sample_weight: Array | None, *, learn: bool) -> Array | None:
        """Fold weights that come from the target into the sample weights."""
        return sample_weight

    def _solver(self) -> Solver:
        """The engine's solver."""
        solver: Solver = self.solver
        return solver

    def _n_outputs(self) -> int | None:
        """How many outputs the engine makes of integer codes; None where `y` itself says it."""
        return None

    def _split(self, y: Array) -> tuple[Numbers, Numbers]:
        """Row numbers for training and for validation."""
        raise NotImplementedError

    def _published(self, coef: Doubles, intercept: Doubles | float) -> dict[str, Any]:
        """Fitted attributes that depend on what the target is."""
        raise NotImplementedError

    # ---------------------------------------------------------------------------------------------------- fit

    def fit(
        self: _Self,
        X: Matrix,
        y: ArrayLike,
        coef_init: ArrayLike | None = None,
        intercept_init: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Matrix | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        offset_val: ArrayLike | None = None,
    ) -> _Self:
        """Fit the model to the data.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training samples. float16, float32, float64, bool and integers of every width are read as they are
            stored, in any memory layout, and so are sparse rows (CSR of float32 or float64; other sparse formats
            are converted once). They are never changed, nor copied whole but for sparse rows with many columns
            (solver "auto", at most 1 GB).
        y : array-like of shape (n_samples,) or, for a regressor, (n_samples, n_outputs)
            Target values, or class labels for a classifier.
        coef_init : array-like of the shape of ``coef_``, default=None
            Weights to start from; zeros if None. For one output also of shape (n_features,) or (1, n_features).
        intercept_init : array-like of the shape of ``intercept_``, default=None
            Intercept to start from; zero if None.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sample, >= 0; 1 if None. An integer weight counts as that many copies of the row.
        X_val : array-like of shape (n_val, n_features), default=None
            Samples to validate on after each epoch: training stops after ``n_iter_no_change`` epochs without
            improvement and the best weights are kept, whatever ``early_stopping`` says.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Target of ``X_val``.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of the rows of ``X_val``.
        offset : array-like of shape (n_samples,), default=None
            Known part of the raw score, added to ``X @ coef_ + intercept_`` while training (the logarithm of
            the exposure, for Poisson). Predictions leave it out.
        offset_val : array-like of shape (n_val,), default=None
            Offset of the rows of ``X_val``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data is not as described; the message names it. NaN and infinity in ``X``
            are found by the first pass of training and reported with row and column.
        gdfast.exceptions.DivergenceError
            If the learning rate is too large; the message names one that would work.
        RuntimeError
            If the estimator is being fitted already, by its own callback's call or in another thread.

        Notes
        -----
        A fit that fails or is interrupted leaves the estimator as it was before.

        Examples
        --------
        >>> from gdfast import GDRegressor
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
        >>> model = GDRegressor(penalty=None).fit(X, y, X_val=[[4.0]], y_val=[9.0])
        >>> model.coef_.round(3), model.best_validation_loss_ < 1e-9
        (array([2.]), True)
        """
        data, data_val = (X, y, sample_weight, offset), (X_val, y_val, sample_weight_val, offset_val)
        with only_fit_of(self):
            self._fit(data, data_val, coef_init, intercept_init)
        return self

    @fit_context  # inside: at its end callbacks are torn down, whoever set them up
    def _fit(self, data: tuple[Any, ...], data_val: tuple[Any, ...], coef_init: Any, intercept_init: Any) -> None:
        self._publish(lambda draft: draft._train(data, data_val, coef_init, intercept_init, observed=self))

    def _replace_fit(self, train: Callable[[Any], dict[str, Any]]) -> None:
        """Do as `_publish`, unless the estimator is being fitted already."""
        with only_fit_of(self):
            self._publish(train)

    def _publish(self, train: Callable[[Any], dict[str, Any]]) -> None:
        """Publish the fitted attributes that `train` makes, all at once and only if nothing failed."""
        # The draft takes the parameters as they are now and what the checks record, so that up to the
        # last line a failure, or a prediction from another thread, finds the previous fit untouched.
        draft = self.__class__.__new__(self.__class__)
        draft.__dict__.update(self.__dict__)
        fitted = train(draft)
        if "feature_names_in_" not in fitted:
            self.__dict__.pop("feature_names_in_", None)
        self.__dict__.update(fitted)

    def _train(
        self,
        data: tuple[Any, ...],
        data_val: tuple[Any, ...],
        coef_init: Any,
        intercept_init: Any,
        observed: Any = None,
    ) -> dict[str, Any]:
        """Check everything, descend, return the fitted attributes; `observed`: what scikit-learn's callbacks are of."""
        penalty = self._penalty()
        train = self._training_rows(*data)
        val = self._validation_rows(*data_val)
        rows = rows_val = None
        if val is None and self.early_stopping:
            rows, rows_val = self._hold_out(train)
        coef_init, intercept_init = self._start(coef_init, intercept_init)
        most = self._most_epochs(train.y)
        tasks = fit_tasks(observed, partial(self._fitted_attributes, train=train), data[:3], rows, most)
        with progress(self.verbose, type(self).__name__, most) as shown:
            result = self._descend(
                train,
                penalty,
                coef_init=coef_init,
                intercept_init=intercept_init,
                max_iter=self.max_iter,
                tol=self.tol,
                X_val=None if val is None else val.X,
                y_val=None if val is None else val.y,
                sample_weight_val=None if val is None else val.sample_weight,
                offset_val=None if val is None else val.offset,
                callback=one_callback(shown.epoch, tasks and tasks.watcher(), self.callback),
                rows=rows,
                rows_val=rows_val,
            )
            shown.end(result)
        fitted = self._fitted(result, train)
        if tasks is not None:
            tasks.finish(fitted)
        return fitted

    def _descend(self, train: Rows, penalty: tuple[float, float], **more: Any) -> DescentResult:
        """One descent on the rows by the parameters of the estimator."""
        alpha, l1_ratio = penalty
        with explained(self):
            return gradient_descent(
                train.X,
                train.y,
                loss=self.loss,
                alpha=alpha,
                l1_ratio=l1_ratio,
                fit_intercept=self.fit_intercept,
                sample_weight=train.sample_weight,
                offset=train.offset,
                epsilon=self.epsilon,
                quantile=getattr(self, "quantile", 0.5),
                bounds=self._bounds(),
                n_outputs=self._n_outputs(),
                n_threads=self.n_threads,
                **self._settings(),
                **more,
            )

    def _settings(self) -> dict[str, Any]:
        """How `gradient_descent` is to go about it, but for when to stop."""
        return {
            "solver": self._solver(),
            "learning_rate": self.learning_rate,
            "eta0": self.eta0,
            "power_t": self.power_t,
            "optimal_alpha": self.alpha if self.learning_rate == "optimal" else None,
            "momentum": self.momentum,
            "nesterovs_momentum": self.nesterovs_momentum,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "average": self.average,
            "n_iter_no_change": self.n_iter_no_change,
            "random_state": self.random_state,
        }

    def _fitted_attributes(self, result: DescentResult, train: Rows) -> dict[str, Any]:
        curve = result.validation_curve
        return {
            "n_iter_": result.n_iter,
            "t_": 1.0 + result.t,
            "loss_": result.error,
            "loss_curve_": result.loss_curve,
            "validation_curve_": curve,
            "best_validation_loss_": None if curve is None else float(np.min(curve)),
            **self._model_attributes(result.coef, result.intercept, train),
        }

    def _fitted(self, result: DescentResult, train: Rows, before: Any = None) -> dict[str, Any]:
        """What a descent that has ended leaves behind."""
        standing = self._standing_after(result, train, before)
        return {**self._fitted_attributes(result, train), "n_passes_": result.n_passes, "_standing": standing}

    def _model_attributes(self, coef: Doubles, intercept: Doubles | float, train: Rows) -> dict[str, Any]:
        """What predictions need."""
        published = {"n_features_in_": self.n_features_in_, **self._published(coef, intercept)}
        if train.X.dtype.kind == "f" and train.X.dtype.itemsize == 4:
            # The engine has rounded the weights to float at each pass over such X: nothing is lost for its like.
            for name in ("coef_", "intercept_"):
                published[name] = _core.to_float32(published[name])
        if "feature_names_in_" in vars(self):
            published["feature_names_in_"] = self.feature_names_in_
        return published

    # ------------------------------------------------------------------------------------------------- checks

    def _validate_params(self) -> None:
        check_parameters(self)

    def _penalty(self) -> tuple[float, float]:
        """`alpha` and `l1_ratio` that the penalty's name stands for."""
        if self.penalty == "elasticnet" and self.l1_ratio is None:
            raise ValueError("l1_ratio must be set when penalty is 'elasticnet'")
        alpha = 0.0 if self.penalty is None else self.alpha
        if self.learning_rate == "optimal" and self.alpha == 0:
            raise ValueError(
                "alpha must be > 0 since learning_rate is 'optimal'. alpha is used to compute the optimal"
                f" learning rate; got alpha={self.alpha!r}"
            )
        return alpha, {"l1": 1.0, "elasticnet": self.l1_ratio}.get(self.penalty, 0.0)

    def _bounds(self) -> Any:
        """What the weights must lie between."""
        if self.positive and self.bounds is not None:
            raise ValueError("bounds must be None where positive is True")
        return (0.0, None) if self.positive else self.bounds

    def _training_rows(
        self, X: Any, y: Any, sample_weight: Any, offset: Any, *, reset: bool = True, learn: Any = None
    ) -> Rows:
        X, y = self._check_X(X, y, reset=reset, **self._checks_of_y())
        y = self._learn_target(y) if learn is None else learn(y)
        sample_weight = read_weights(sample_weight, X.shape[0])
        return Rows(X, y, self._weigh(y, sample_weight, learn=True), offset)

    def _validation_rows(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> Rows | None:
        if X is None and y is None:
            for name, value in (("sample_weight_val", sample_weight), ("offset_val", offset)):
                if value is not None:
                    raise ValueError(f"{name} is provided, but X_val and y_val were not provided.")
            return None
        if y is None:
            raise ValueError("X_val is provided, but y_val was not provided.")
        if X is None:
            raise ValueError("y_val is provided, but X_val was not provided.")
        try:
            X, y = self._check_X(X, y, reset=False, **self._checks_of_y())
            y = self._encode_target(y, "y_val")
        except ValueError as error:  # scikit-learn's checks know y_val by another name
            error.args = (str(error).replace("Input y ", "Input y_val "),)
            raise
        sample_weight = read_weights(sample_weight, X.shape[0], "sample_weight_val")
        return Rows(X, y, self._weigh(y, sample_weight, learn=False), offset)

    def _check_X(self, X: Any, y: Any = _NO_TARGET, *, reset: bool, **checks_of_y: bool) -> Any:
        """scikit-learn's checks of `X` (and `y`) without a look at the values of `X` and without a copy.

        NaN and infinity in `X` are the engine's to find: it reads every value anyway.
        """
        if passes_as_is(X, y) and (reset or self._fits(X)):
            if reset:
                self.n_features_in_ = X.shape[1]
                self.__dict__.pop("feature_names_in_", None)
            return X if y is _NO_TARGET else (X, y)
        refuse_masked(X, "X")
        refuse_masked(y, "y")
        refuse_lazy(X, "X")
        refuse_missing(y, "y")
        try:
            with located(y, "y"):
                checked = validate_data(
                    self, with_names(X), y, reset=reset, accept_sparse="csr", ensure_all_finite=False, **checks_of_y
                )
            if y is _NO_TARGET:
                return check_dtype(checked, X)
            return check_dtype(checked[0], X), checked[1]
        except (TypeError, ValueError) as error:
            name_bad_column(error, X)
            raise

    def _fits(self, X: Array) -> bool:
        """Whether `X`, which has no names, has the features of the fit, which had none either."""
        return "feature_names_in_" not in vars(self) and getattr(self, "n_features_in_", None) == X.shape[1]

    def _hold_out(self, train: Rows, among: Numbers | None = None) -> tuple[Numbers, Numbers]:
        """Split off `validation_fraction` of the rows (listed in `among`), as row numbers: `X` stays in one piece."""
        y = train.y if among is None else train.y[among]
        check_split(len(y), self.validation_fraction)
        rows, rows_val = (np.sort(part) for part in self._split(y))
        if among is not None:
            rows, rows_val = among[rows], among[rows_val]
        if train.sample_weight is not None:
            for part, chosen in (("training", rows), ("validation", rows_val)):
                if not train.sample_weight[chosen].any():
                    raise ValueError(
                        f"The sample weights for {part} set are all zero, consider using a different random state."
                    )
        return rows, rows_val

    def _start(self, coef_init: Any, intercept_init: Any) -> tuple[Any, Any]:
        """Weights to start from: those given, else the last ones if `warm_start`, else None."""
        if self.warm_start and "coef_" in vars(self):
            coef_init = dense(self.coef_) if coef_init is None else coef_init
            intercept_init = self.intercept_ if intercept_init is None else intercept_init
        return coef_init, intercept_init

    def _most_epochs(self, y: Array) -> int:
        """Epochs at most: solver "auto" takes outputs that share no metric one after the other."""
        one_by_one = self._solver() == "auto" and self.loss not in ("squared_error", "log_loss")
        outputs = self._n_outputs() or (y.shape[1] if y.ndim == 2 else 1)
        return int(self.max_iter) * (outputs if one_by_one else 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    # ------------------------------------------------------------------------------------------------ predict

    def _raw_scores(self, X: Matrix) -> Scores:
        """z = X @ coef_.T + intercept_, of shape (n,) for one output and (n, k) for k."""
        with explained(self):
            return scores(*self._neurons(X), n_threads=self.n_threads)

    def _answers(self, X: Matrix, of_scores: Callable[[Scores], Array]) -> Array:
        """One answer per row, made of its scores, without keeping those of all rows."""
        with explained(self):
            X, coef, intercept = self._neurons(X)
            answers: Array = np.empty(0)
            for rows, z in scores_in_blocks(X, coef, intercept, n_threads=self.n_threads):
                part = of_scores(z)
                if rows.start == 0:
                    answers = np.empty(X.shape[0], dtype=part.dtype)
                answers[rows] = part
            return answers

    def _neurons(self, X: Matrix) -> tuple[ReadRows, Array, Array | float]:
        """X, checked, and the fitted weights and biases; of one output as a vector and a number."""
        check_is_fitted(self, "coef_")
        checked: ReadRows = self._check_X(X, reset=False)
        coef, intercept = dense(self.coef_), np.asarray(self.intercept_)
        if coef.ndim == 1 or coef.shape[0] == 1:
            return checked, coef.reshape(-1), float(intercept.reshape(-1)[0])
        return checked, coef, intercept
