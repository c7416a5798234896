"""Checks of single arguments: numbers, counts, choices, seeds, and the table of what a descent may be told.

What is refused raises TypeError (the wrong kind of thing) or ValueError (the wrong value): `<name> must be <rule>,
got <value>`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np

from gdfast import _core
from gdfast._messages import short

MINI_BATCH_RULES = ("sgd", "adagrad", "rmsprop", "adam")
DEFAULT_BATCH = 32
_LARGEST_COUNT = 2**62
_BOOLS = (bool, np.bool_)
_PLAIN = (float, int)  # numbers for certain: to ask the abstract classes takes longer than all the rest of a check


def number(value: Any, name: str, *, rule: str, accept: Callable[[float], bool]) -> float:
    """Return value as a float if it is a real number that `accept` takes; a bool is none."""
    if type(value) not in _PLAIN and (not isinstance(value, Real) or isinstance(value, _BOOLS)):
        raise TypeError(f"{name} must be {rule}, got {short(value)}")
    try:
        as_float = float(value)
    except OverflowError:
        as_float = math.nan
    if not accept(as_float):
        raise ValueError(f"{name} must be {rule}, got {short(value)}")
    return as_float


positive = partial(number, rule="a finite float > 0", accept=lambda v: 0 < v < math.inf)
not_negative = partial(number, rule="a finite float >= 0", accept=lambda v: 0 <= v < math.inf)
finite = partial(number, rule="a finite float", accept=math.isfinite)
share = partial(number, rule="a float in [0, 1]", accept=lambda v: 0 <= v <= 1)
decay = partial(number, rule="a float in [0, 1)", accept=lambda v: 0 <= v < 1)
level = partial(number, rule="a float in (0, 1)", accept=lambda v: 0 < v < 1)


def count(value: Any, name: str, *, least: int = 1) -> int:
    """Return value as an int if it is a whole number from `least` on that the engine can count to."""
    if type(value) is not int and (not isinstance(value, Integral) or isinstance(value, _BOOLS)):
        raise TypeError(f"{name} must be an integer >= {least}, got {short(value)}")
    if not least <= int(value) <= _LARGEST_COUNT:
        raise ValueError(f"{name} must be an integer >= {least} and <= 2**62, got {short(value)}")
    return int(value)


def choice(value: Any, name: str, *, options: tuple[str, ...]) -> str:
    """Return value if it is one of the options."""
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {', '.join(options)}, got {short(value)}")
    return value


def flag(value: Any, name: str) -> bool:
    """Return value as a bool if it is one."""
    if not isinstance(value, _BOOLS):
        raise TypeError(f"{name} must be a bool, got {short(value)}")
    return bool(value)


def seed(random_state: Any) -> int:
    """A 64-bit key from an int, a RandomState, a Generator, or None for a fresh one."""
    if random_state is None:
        return int.from_bytes(os.urandom(8), "little")
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, 2**31 - 1))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, 2**63))
    return count(random_state, "random_state", least=0)


# ---- the error -------------------------------------------------------------------------------------------------------


def error_terms(loss: str, alpha: Any, l1_ratio: Any, epsilon: Any, quantile: Any) -> dict[str, Any]:
    """What the engine must know of loss and penalty, as keywords of `_core.Problem`."""
    choice(loss, "loss", options=_core.LOSSES)
    alpha, ratio = not_negative(alpha, "alpha"), share(l1_ratio, "l1_ratio")
    param = 0.0
    if loss in ("huber", "epsilon_insensitive", "squared_epsilon_insensitive"):
        param = not_negative(epsilon, "epsilon")
    elif loss == "quantile":
        param = level(quantile, "quantile")
    return {"loss": loss, "param": param, "l2": alpha * (1.0 - ratio), "l1": alpha * ratio}


# ---- the descent -----------------------------------------------------------------------------------------------------


def _tol(value: Any, name: str) -> float:
    """-1 stands for None, which runs max_iter."""
    rule = "a finite float >= 0 or None"
    return -1.0 if value is None else number(value, name, rule=rule, accept=lambda v: 0 <= v < math.inf)


def _average(value: Any, name: str) -> int:
    """The update to average from; 0 for none."""
    return int(value) if isinstance(value, _BOOLS) else count(value, name)


def _batch_size(value: Any, name: str) -> int:
    """0 stands for all rows."""
    return 0 if value is None else count(value, name)


def _optimal_alpha(value: Any, name: str) -> float:
    """0 stands for the alpha of the penalty."""
    return 0.0 if value is None else positive(value, name)


def _keep_path(value: Any, name: str) -> int:
    """0 for nothing, 1 for every epoch, 2 for every update."""
    if not isinstance(value, _BOOLS) and not (isinstance(value, str) and value == "step"):
        raise ValueError(f"{name} must be False, True or 'step', got {short(value)}")
    return 2 if isinstance(value, str) else int(value)


_SETTINGS: dict[str, Callable[[Any, str], Any]] = {
    "solver": partial(choice, options=_core.SOLVERS),
    "learning_rate": partial(choice, options=_core.SCHEDULES),
    "eta0": positive,
    "power_t": finite,
    "optimal_alpha": _optimal_alpha,
    "momentum": decay,
    "nesterovs_momentum": flag,
    "beta_1": decay,
    "beta_2": decay,
    "batch_size": _batch_size,
    "shuffle": flag,
    "average": _average,
    "max_iter": count,
    "tol": _tol,
    "n_iter_no_change": count,
    "keep_path": _keep_path,
}


def descent_settings(*, random_state: Any, **given: Any) -> dict[str, Any]:
    """The settings of `gradient_descent`, checked, as keywords of `_core.descend` (but for n_threads and callback)."""
    settings = {name: check(given[name], name) for name, check in _SETTINGS.items()}
    mini_batch = settings["solver"] in MINI_BATCH_RULES
    settings["nesterov"] = settings.pop("nesterovs_momentum")
    settings["batch_size"] = (settings["batch_size"] or DEFAULT_BATCH) if mini_batch else 0
    settings["seed"] = seed(random_state) if mini_batch and settings["shuffle"] else 0
    settings["average"] = 0 if settings["solver"] == "auto" else settings["average"]
    return settings


def settings_for(loss: str, penalty: float, **given: Any) -> dict[str, Any]:
    """The same for a descent of this loss under a penalty of this strength."""
    if loss == "perceptron":
        rule = given["solver"], given["learning_rate"], given["eta0"]
        given["solver"], given["learning_rate"], given["eta0"] = _perceptron_rule(*rule, penalty)
    settings = descent_settings(**given)
    if settings["learning_rate"] == "optimal" and penalty + settings["optimal_alpha"] == 0.0:
        raise ValueError("alpha (or optimal_alpha) must be > 0 for learning_rate='optimal', got 0")
    return settings


def _perceptron_rule(solver: Any, learning_rate: Any, eta0: Any, penalty: float) -> tuple[Any, Any, Any]:
    """Where w = 0 minimises the error but separates nothing, the rule is the thing, not its optimum."""
    solver = choice(solver, "solver", options=_core.SOLVERS)
    if solver == "gd" and choice(learning_rate, "learning_rate", options=_core.SCHEDULES) == "auto":
        return solver, "constant", 1.0 / max(1.0, penalty)  # any rate gives the same decisions
    return "sgd" if solver == "auto" else solver, learning_rate, eta0
