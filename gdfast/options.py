"""Options of `gdfast train`: what each may be, which go together, and what they say is to be done.

Nothing here loads more than the standard library before a command runs: --help is quick.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from gdfast._types import ChoiceRule

if TYPE_CHECKING:
    from gdfast.choosing import Grid
    from gdfast.training import Settings

# Options that are parameters of the estimator. Those not given stay out of the namespace: its defaults hold.
_PARAMS = (
    "penalty",
    "alpha",
    "l1_ratio",
    "epsilon",
    "quantile",
    "solver",
    "learning_rate",
    "eta0",
    "batch_size",
    "max_iter",
    "tol",
    "n_threads",
)


def _number(kind: Callable[[str], Any], rule: str, valid: Callable[[Any], bool]) -> Callable[[str], Any]:
    """An argparse type: a number of a kind that obeys a rule."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not valid(value):
            raise argparse.ArgumentTypeError(f"must be {rule}, got {text!r}")
        return value

    return convert


count = _number(int, "a whole number >= 1", lambda value: 1 <= value < 2**31)
_fold_count = _number(int, "a whole number >= 2, or time: and one", lambda value: 2 <= value < 2**31)
_grid_size = _number(int, "a count from 1 to 10000, or numbers with commas", lambda value: 1 <= value <= 10_000)
seed = _number(int, "a whole number from 0 to 2**32 - 1", lambda value: 0 <= value < 2**32)
_positive = _number(float, "a finite number > 0", lambda value: 0 < value < float("inf"))
_not_negative = _number(float, "a finite number >= 0", lambda value: 0 <= value < float("inf"))
_share = _number(float, "a number from 0 to 1", lambda value: 0 <= value <= 1)
_level = _number(float, "a number between 0 and 1", lambda value: 0 < value < 1)
fraction = _number(float, "a number >= 0 and < 1", lambda value: 0 <= value < 1)


def _several(one: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """An argparse type: values separated by commas."""
    return lambda text: [one(part) for part in text.split(",")]


def _alphas(text: str) -> int | list[float]:
    """How many, or which: a whole number without a comma is a count."""
    return _grid_size(text) if text.strip().isdigit() else _several(_not_negative)(text)


def _folds(text: str) -> tuple[int, bool]:
    """How many folds, and whether rows stand in order of time."""
    in_time = text.startswith("time:")
    return _fold_count(text.removeprefix("time:")), in_time


def _tolerance(text: str) -> float | None:
    return None if text == "none" else _not_negative(text)


def _penalty(text: str) -> str | None:
    if text not in ("l2", "l1", "elasticnet", "none"):
        raise argparse.ArgumentTypeError(f"must be l2, l1, elasticnet or none, got {text!r}")
    return None if text == "none" else text


def add_choice(train: argparse.ArgumentParser) -> None:
    """Options of the choice by cross-validation; all but the first stay out of the namespace unless they are given."""
    train.add_argument(
        "--cv",
        type=_folds,
        metavar="FOLDS",
        help="choose alpha by cross-validation: 5 (folds), or time:5 where rows stand in order of time",
    )
    param = functools.partial(train.add_argument, default=argparse.SUPPRESS)
    param("--cv-groups", metavar="COLUMN", help="rows of equal value stay together, in folds and held out")
    param("--alphas", type=_alphas, metavar="A", help="with --cv: how many to try (default 20), or 0.1,0.01,...")
    param("--rule", choices=get_args(ChoiceRule), help="with --cv: the best (default), or the simplest about as good")
    param("--scoring", metavar="NAME", help="with --cv: loss (default), or one of scikit-learn's: r2, roc_auc, ...")


def add_params(train: argparse.ArgumentParser) -> None:
    """Options that stay out of the namespace unless they are given."""
    param = functools.partial(train.add_argument, default=argparse.SUPPRESS)
    param("--penalty", type=_penalty, metavar="P", help="l2 (the default), l1, elasticnet or none")
    param("--alpha", type=_not_negative, metavar="A", help="strength of the penalty (default 0.0001)")
    param("--l1-ratio", type=_several(_share), metavar="R", help="share of L1 in the elastic net; --cv takes several")
    param("--epsilon", type=_not_negative, metavar="E", help="width of the huber and insensitive losses")
    param("--quantile", type=_level, metavar="Q", help="level of the quantile loss")
    param("--solver", choices=("auto", "gd", "sgd", "adagrad", "rmsprop", "adam"))
    param("--learning-rate", choices=("auto", "constant", "invscaling", "optimal", "adaptive"))
    param("--eta0", type=_positive, metavar="ETA", help="learning rate of the schedules other than auto")
    param("--batch-size", type=count, metavar="N", help="rows per update")
    param("--max-iter", type=count, metavar="N", help="most epochs (default 1000)")
    param("--tol", type=_tolerance, metavar="T", help="relative accuracy aimed at (default 1e-6), or none")
    param("--threads", dest="n_threads", type=count, metavar="N", help="most threads; changes no result")


def check_together(options: argparse.Namespace) -> None:
    """Refuse options that would be ignored or cannot work together."""
    from gdfast.training import LOSSES

    known = [loss for losses in LOSSES.values() for loss in losses]
    if options.loss is not None and options.loss not in known:
        raise ValueError(f"--loss must be one of {', '.join(known)}, got {options.loss!r}")
    given = vars(options)
    _check_choice(options)
    if options.cv is None and ("l1_ratio" in given) != (given.get("penalty") == "elasticnet"):
        raise ValueError("--l1-ratio R must go with --penalty elasticnet, and the other way round")
    if "eta0" in given and given.get("learning_rate") not in ("constant", "invscaling", "adaptive"):
        raise ValueError("--eta0 must go with --learning-rate constant, invscaling or adaptive")
    if "quantile" in given and options.loss != "quantile":
        raise ValueError("--quantile must go with --loss quantile")
    if options.early_stopping and options.validation == 0:
        raise ValueError("--early-stopping must go with --validation above 0")
    used = [options.target, options.weight, options.offset, given.get("cv_groups"), *options.drop]
    for name in used:
        if name is not None and used.count(name) > 1:
            parts = "--target, --weight, --offset, --cv-groups, --drop"
            raise ValueError(f"column {name!r} must have one part ({parts}), got two")


def _check_choice(options: argparse.Namespace) -> None:
    """Refuse what cannot go with --cv, or without it."""
    given = vars(options)
    if options.cv is None:
        for name in ("cv_groups", "alphas", "rule", "scoring"):
            if name in given:
                raise ValueError(f"{flag(name)} must go with --cv")
        if len(given.get("l1_ratio", [])) > 1:
            raise ValueError("--l1-ratio must be one number without --cv")
        return
    if "alpha" in given:
        raise ValueError("--alpha must go without --cv, which tries what --alphas says")
    for name in ("learning_rate", "eta0", "batch_size"):
        if name in given:
            raise ValueError(f"{flag(name)} must go without --cv")
    if given.get("solver", "auto") != "auto":
        raise ValueError(f"--cv must go with --solver auto, got {options.solver}")
    if options.early_stopping:
        raise ValueError("--early-stopping must go without --cv: held-out rows take no part in a choice")
    penalty = given.get("penalty", "elasticnet" if "l1_ratio" in given else "l2")
    if penalty is None:
        raise ValueError("--cv must go with a penalty, got --penalty none")
    if ("l1_ratio" in given) != (penalty == "elasticnet"):
        raise ValueError("--l1-ratio must go with --penalty elasticnet, and the other way round")
    if options.cv[1] and "cv_groups" in given:
        raise ValueError("--cv-groups must go without time: in --cv")
    _check_scoring(given.get("scoring", "loss"), options.offset)


def _check_scoring(scoring: str, offset: str | None) -> None:
    from sklearn.metrics import get_scorer_names

    if scoring != "loss" and scoring not in get_scorer_names():
        raise ValueError(f"--scoring must be loss or the name of a scorer of scikit-learn's, got {scoring!r}")
    if scoring != "loss" and offset is not None:
        raise ValueError(f"--scoring must be loss with --offset, which other scores leave out, got {scoring!r}")


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def settings(options: argparse.Namespace) -> Settings:
    from gdfast.training import Settings

    given = vars(options)
    params = {name: given[name] for name in _PARAMS if name in given}
    grid = None
    if options.cv is not None:
        grid = _grid(options, params.pop("penalty", "l2"), params.pop("l1_ratio", None))
    elif "l1_ratio" in params:
        (params["l1_ratio"],) = params["l1_ratio"]
    return Settings(
        target=options.target,
        task=options.task,
        loss=options.loss,
        weight=options.weight,
        offset=options.offset,
        validation=options.validation,
        seed=options.seed,
        early_stopping=options.early_stopping,
        params=params,
        grid=grid,
    )


def _grid(options: argparse.Namespace, penalty: str, l1_ratios: list[float] | None) -> Grid:
    """What --cv and the options beside it ask for."""
    from gdfast.choosing import Grid
    from gdfast.splitting import Folds

    given = vars(options)
    named = {name: given[name] for name in ("alphas", "rule", "scoring") if name in given}
    l1_ratios = l1_ratios or [1.0 if penalty == "l1" else 0.0]
    n, in_time = options.cv
    return Grid(Folds(n, in_time, given.get("cv_groups")), l1_ratios=l1_ratios, **named)
