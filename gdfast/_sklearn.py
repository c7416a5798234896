"""What the estimators take from scikit-learn whose types it does not tell, or that old versions lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["CallbackSupportMixin", "_fit_context", "available_if"]

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
