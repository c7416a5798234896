"""What `verbose` shows while a model trains: a bar, or a line per epoch."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, NamedTuple

from gdfast._result import DescentResult, DescentState
from gdfast._types import Arrivals


class Progress(NamedTuple):
    """What is to be called after each epoch, if anything, and with the result."""

    epoch: Callable[[DescentState], None] | None
    end: Callable[[DescentResult], None]


def progress(verbose: int, name: str, most: int) -> AbstractContextManager[Progress]:
    """0: nothing; 1: a bar of at most so many epochs; 2: a line per epoch. The bar closes however this ends."""
    return _shown(verbose, name, most) if verbose else _SILENCE


@contextmanager
def _shown(verbose: int, name: str, most: int) -> Iterator[Progress]:
    bar = open_bar(most, desc=name) if verbose == 1 else None
    if bar is None:
        if verbose == 1:
            print("A line per epoch, since tqdm is not installed: pip install 'gdfast[progress]' for a bar.")
        yield Progress(_print_line, _nothing)
        return
    with bar:
        if bar.disable:  # not a terminal: a file is no place for a thousand bars, but should say how it went
            yield Progress(None, lambda result: print(f"{name}: {result.message} Error {result.error:.6g}."))
        else:
            yield Progress(lambda state: move_bar(bar, state), lambda result: _fill(bar))


def open_bar(most: int, **options: Any) -> Any:
    """A bar on standard error or in a notebook, disabled elsewhere; None if there is no tqdm."""
    try:
        from tqdm import std
        from tqdm.auto import tqdm
    except ModuleNotFoundError:
        return None
    nowhere = True if sys.stderr is None else False if _in_notebook() else None  # None: tqdm looks for a terminal
    options = {"total": most, "disable": nowhere, "dynamic_ncols": True, "unit": "epoch", **options}
    try:
        return tqdm(**options)
    except ImportError:  # an old tqdm in a notebook without ipywidgets
        return std.tqdm(**options)


def _in_notebook() -> bool:
    """Whether this is a kernel of Jupyter's: its streams say that they are no terminal, and show bars."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def move_bar(bar: Any, state: DescentState, held_out: str = "validation error") -> None:
    """One epoch on, with its errors."""
    errors = {"error": f"{state.error:.6g}"}
    if not math.isnan(state.validation_error):
        errors[held_out] = f"{state.validation_error:.6g}"
    bar.set_postfix(errors, refresh=False)
    bar.update()


@contextmanager
def models_bar(name: str, **options: Any) -> Iterator[Arrivals]:
    """What shows how many models of a grid have arrived: a bar where there is tqdm, from the first call on."""
    with ExitStack() as stack:
        bars: list[Any] = []

        def show(arrived: int, of: int) -> None:
            if not bars:  # miniters: time goes on even where no model has arrived
                bars.append(open_bar(of, desc=name, unit="model", miniters=0, **options))
                if bars[0] is not None:
                    stack.enter_context(bars[0])
            if bars[0] is not None:
                bars[0].update(arrived - bars[0].n)

        yield show


def _fill(bar: Any) -> None:
    """There will be no more epochs: those that there were are all."""
    bar.total = bar.n
    bar.refresh()


def _print_line(state: DescentState) -> None:
    line = f"Epoch {state.epoch}: error {state.error:.8g}"
    if not math.isnan(state.validation_error):
        line += f", validation error {state.validation_error:.8g}"
    print(line)


def _nothing(result: DescentResult) -> None:
    """Leave the result alone."""


_SILENCE = nullcontext(Progress(None, _nothing))
