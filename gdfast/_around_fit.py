"""Around a fit: that there is one at a time, and who is told of its epochs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gdfast._sklearn import has_callbacks
from gdfast._types import Callback, Numbers

# The fits under way, by process (a fork must not inherit them) and estimator: a second fit of the same
# estimator, from its own callback or from another thread, is refused instead of mixing two states.
_fits_under_way: dict[tuple[int, int], object] = {}


@contextmanager
def only_fit_of(estimator: object) -> Iterator[None]:
    """Refuse a second fit of the same estimator while this one lasts."""
    key, ticket = (os.getpid(), id(estimator)), object()
    if _fits_under_way.setdefault(key, ticket) is not ticket:
        raise RuntimeError(
            "estimator is being fitted: fit was called again from its own callback or from another thread"
        )
    try:
        yield
    finally:
        del _fits_under_way[key]


def fit_tasks(estimator: Any, attributes_of: Any, data: tuple[Any, ...], rows: Numbers | None, most: int) -> Any:
    """The fit as scikit-learn's callbacks see it; None if there are none, neither here nor on what calls `fit`."""
    if not has_callbacks(estimator):
        return None
    from gdfast.callbacks import FitTasks

    return FitTasks(estimator, attributes_of, data, rows, most)


def one_callback(*callbacks: Callback | None) -> Callback | None:
    """A callback that calls all that are not None, and passes on the first answer that is not "go on"."""
    called = [callback for callback in callbacks if callback is not None]
    if len(called) < 2:
        return called[0] if called else None

    def call_all(state: Any) -> Any:
        answers = [callback(state) for callback in called]
        return next((answer for answer in answers if answer is not None and answer is not False), None)

    return call_all
