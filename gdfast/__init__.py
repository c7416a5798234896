"""gdfast: linear neurons trained by the gradient descent rule, in one read of the data.

The functions are here; estimators, displays and the rest load when they are first touched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gdfast.exceptions import DivergenceError, ModelFileError, ModelVersionWarning
from gdfast.functional import DescentResult, error_and_gradient, gradient_descent, scores

if TYPE_CHECKING:
    from gdfast import classifier as classifier
    from gdfast import cli as cli
    from gdfast import config as config
    from gdfast import displays as displays
    from gdfast import many as many
    from gdfast import reference
    from gdfast import regressor as regressor
    from gdfast import search as search
    from gdfast.classifier import GDClassifier
    from gdfast.config import get_include, show_config
    from gdfast.displays import DescentDisplay, ErrorSurfaceDisplay, GradientDisplay, descent_animation
    from gdfast.many import ManyFits, fit_many
    from gdfast.regressor import GDRegressor
    from gdfast.search import GDClassifierCV, GDRegressorCV

__version__ = "0.1.0"

# Public names that pull in scikit-learn or more: loaded on first use, as SPEC 1 has it.
_LAZY = {
    "DescentDisplay": "gdfast.displays",
    "ErrorSurfaceDisplay": "gdfast.displays",
    "GDClassifier": "gdfast.classifier",
    "GDClassifierCV": "gdfast.search",
    "GDRegressor": "gdfast.regressor",
    "GDRegressorCV": "gdfast.search",
    "GradientDisplay": "gdfast.displays",
    "ManyFits": "gdfast.many",
    "descent_animation": "gdfast.displays",
    "fit_many": "gdfast.many",
    "get_include": "gdfast.config",
    "show_config": "gdfast.config",
}
_LAZY_MODULES = ("classifier", "cli", "config", "displays", "many", "reference", "regressor", "search")

__all__ = [
    "DescentDisplay",
    "DescentResult",
    "DivergenceError",
    "ErrorSurfaceDisplay",
    "GDClassifier",
    "GDClassifierCV",
    "GDRegressor",
    "GDRegressorCV",
    "GradientDisplay",
    "ManyFits",
    "ModelFileError",
    "ModelVersionWarning",
    "descent_animation",
    "error_and_gradient",
    "fit_many",
    "get_include",
    "gradient_descent",
    "reference",
    "scores",
    "show_config",
]


if not TYPE_CHECKING:  # to a type checker, a name that is not above is an error

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            return getattr(importlib.import_module(_LAZY[name]), name)
        if name in _LAZY_MODULES:
            return importlib.import_module(f"gdfast.{name}")
        raise AttributeError(f"module 'gdfast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
