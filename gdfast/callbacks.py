"""The callbacks of scikit-learn 1.9 and newer, as the estimators serve them.

``model.set_callbacks(...)`` takes scikit-learn's own (``sklearn.callback.ProgressBar``, ``ScoringMonitor``) and any
object with the methods ``setup``, ``on_fit_task_begin``, ``on_fit_task_end`` and ``teardown``. The fit is one task and
each epoch a task below it, named "epoch", numbered from 0. ``on_fit_task_end`` of an epoch may return True to end
training there. Callbacks set on a GridSearchCV or a Pipeline reach the estimator inside as scikit-learn hands them on.

What the hooks get: ``X``, ``y`` and ``metadata["sample_weight"]`` as given to ``fit``, of the rows trained on where
``early_stopping`` holds others out; ``fitted_estimator``, made only for a hook that asks for it, is what ``fit`` would
leave had it stopped there: with validation rows that is the best epoch so far. Its ``loss_`` is the epoch's entry of
``loss_curve_``.

The engine tells of an epoch when it is over, since until then it cannot know whether there will be one. So both hooks
of an epoch are called at its end: ``on_fit_task_begin`` with the estimator as it was before (None before the first),
then ``on_fit_task_end``.

Older versions of scikit-learn have no ``set_callbacks``; the parameter ``callback`` works with all of them.

Examples
--------
>>> import numpy as np, sklearn
>>> from gdfast import GDRegressor
>>> class Enough:
...     def setup(self, estimator, context): ...
...     def on_fit_task_begin(self, estimator, context): ...
...     def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
...         return context.task_name == "epoch" and fitted_estimator.score(X, y) > 0.9
...     def teardown(self, estimator, context): ...
>>> X = np.linspace(0, 1, 20).reshape(-1, 1)
>>> model = GDRegressor(solver="gd", tol=None, max_iter=1000)
>>> if hasattr(model, "set_callbacks"):  # scikit-learn 1.9
...     assert model.set_callbacks(Enough()).fit(X, X[:, 0]).n_iter_ < 100
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing

from gdfast._result import DescentState
from gdfast._types import Numbers

__all__ = ["FitTasks"]


class FitTasks:
    """One fit as scikit-learn's callbacks see it. Made, it has set them up and begun the task of the fit.

    Parameters
    ----------
    estimator : estimator
        The one that is being fitted: what the hooks are handed.
    attributes_of : callable
        Makes fitted attributes of what looks like a `DescentResult`.
    data : tuple
        X, y and sample_weight as the user gave them.
    rows : ndarray of int or None
        Which of their rows are trained on; None for all.
    most : int
        Epochs at most.

    Examples
    --------
    >>> from gdfast import GDRegressor
    >>> from gdfast.callbacks import FitTasks
    >>> model = GDRegressor()
    >>> if hasattr(model, "set_callbacks"):
    ...     tasks = FitTasks(model, model._fitted_attributes, ([[0.0]], [1.0], None), None, 10)
    ...     assert tasks.watcher() is None  # nobody wants to know of epochs
    """

    def __init__(
        self,
        estimator: Any,
        attributes_of: Callable[[Any], dict[str, Any]],
        data: tuple[Any, Any, Any],
        rows: Numbers | None,
        most: int,
    ) -> None:
        self._estimator = estimator
        self._attributes_of = attributes_of
        self._errors: list[float] = []
        self._validation_errors: list[float] = []
        self._last: DescentState | None = None
        self._best: DescentState | None = None
        self._told = _what_is_told(data, rows)
        self._fit = estimator._init_callback_context(max_subtasks=most)
        self._fit.call_on_fit_task_begin(estimator=estimator, **self._told)

    def watcher(self) -> Callable[[DescentState], bool] | None:
        """What is to be called after each epoch; None if no callback is set.

        Returns
        -------
        callable or None
            Takes a `DescentState`; its answer says whether to stop.
        """
        return self._epoch if hasattr(self._estimator, "_skl_callbacks") else None

    def finish(self, fitted: dict[str, Any]) -> None:
        """End the task of the fit.

        Parameters
        ----------
        fitted : dict
            The fitted attributes, not yet those of the estimator: a hook that raises leaves it as it was.
        """
        self._fit.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes=lambda: self._for_copy(fitted), **self._told
        )

    def _epoch(self, state: DescentState) -> bool:
        epoch = self._fit.subcontext(task_name="epoch")
        before = None if self._last is None else self._attributes
        epoch.call_on_fit_task_begin(estimator=self._estimator, reconstruction_attributes=before, **self._told)
        self._errors.append(state.error)
        self._validation_errors.append(state.validation_error)
        if self._best is None or not state.validation_error >= self._best.validation_error:  # without: the last
            self._best = state
        self._last = state
        return bool(
            epoch.call_on_fit_task_end(
                estimator=self._estimator, reconstruction_attributes=self._attributes, **self._told
            )
        )

    def _attributes(self) -> dict[str, Any]:
        """Fitted attributes as if the descent had stopped after the last epoch that was told."""
        assert self._last is not None and self._best is not None
        validated = not np.isnan(self._best.validation_error)
        so_far = SimpleNamespace(
            coef=self._best.coef,
            intercept=self._best.intercept,
            error=self._best.error,
            n_iter=self._last.epoch,
            t=self._last.t,
            loss_curve=np.array(self._errors),
            validation_curve=np.array(self._validation_errors) if validated else None,
        )
        return self._for_copy(self._attributes_of(so_far))

    def _for_copy(self, fitted: dict[str, Any]) -> dict[str, Any]:
        """The attributes that turn a copy of the estimator into a fitted one.

        What the copy has of an earlier fit, attributes can only replace: None counts as no feature names, and as
        weights of which `partial_fit` knows no past.
        """
        earlier = [name for name in ("feature_names_in_", "n_passes_", "_standing") if hasattr(self._estimator, name)]
        return {**dict.fromkeys(earlier), **fitted}


def _what_is_told(data: tuple[Any, Any, Any], rows: Numbers | None) -> dict[str, Any]:
    """X, y and metadata for the hooks: all as given or, made when first asked for, the rows that are trained on."""
    X, y, sample_weight = data
    if rows is None:
        return {"X": X, "y": y, "metadata": None if sample_weight is None else {"sample_weight": sample_weight}}
    told = {"X": cache(lambda: _safe_indexing(X, rows)), "y": cache(lambda: _safe_indexing(y, rows)), "metadata": None}
    if sample_weight is not None:
        told["metadata"] = cache(lambda: {"sample_weight": _safe_indexing(sample_weight, rows)})
    return told
