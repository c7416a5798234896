"""What the estimators take from scikit-learn whose types it does not tell, or that old versions lack."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn import get_config

__all__ = ["CallbackSupportMixin", "_fit_context", "available_if", "fit_context", "has_callbacks"]

_Method = TypeVar("_Method", bound=Callable[..., Any])

if TYPE_CHECKING:  # decorated, a method keeps its type

    def _fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[_Method], _Method]: ...

    def available_if(check: Callable[[Any], bool]) -> Callable[[_Method], _Method]: ...

else:
    from sklearn.base import _fit_context
    from sklearn.utils.metaestimators import available_if

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for the mixin that gives estimators `set_callbacks`."""


def has_callbacks(estimator: Any) -> bool:
    """Whether there are scikit-learn callbacks, set here or on what calls `fit`."""
    return hasattr(estimator, "_skl_callbacks") or hasattr(estimator, "_parent_callback_ctx")


def fit_context(method: _Method) -> _Method:
    """Check the parameters, then fit; where there are callbacks, inside scikit-learn's `_fit_context`, which ends them.

    Without them it would only spare the checks of whatever else of scikit-learn a fit calls, for more than they cost.
    """
    among_callbacks = _fit_context(prefer_skip_nested_validation=True)(method)

    @wraps(method)
    def fit(estimator: Any, *args: Any, **options: Any) -> Any:
        if has_callbacks(estimator):
            return among_callbacks(estimator, *args, **options)
        if not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return method(estimator, *args, **options)

    return fit  # type: ignore[return-value]
