"""The command `gdfast`: train a model from a CSV or Parquet file, predict with it, look at it.

What goes wrong is said in one line that names the column or option, with exit status 2; Ctrl-C ends with 130.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from gdfast.exceptions import ModelFileError
from gdfast.options import add_choice, add_params, check_together, count, flag, fraction, seed, settings

if TYPE_CHECKING:
    from gdfast._result import DescentState
    from gdfast._types import Arrivals
    from gdfast.training import Outcome, Problem

_PROGRAM = "gdfast"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    status : int
        0; 2 after an error, which is told in one line on stderr; 130 after Ctrl-C; 141 when the reader of the
        output went away.

    Examples
    --------
    >>> from gdfast.cli import main
    >>> main(["info", "no-such-file.gdf"])  # said on stderr: gdfast: error: no-such-file.gdf: ...
    2
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    options = _parser().parse_args(arguments)
    options.command = shlex.join([_PROGRAM, *arguments])
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            options.run(options)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # for what the exit still wants to flush
        os.dup2(nowhere, sys.stdout.fileno())
        return 141
    except (ModelFileError, ValueError) as error:
        return _fail(f"error: {error}")
    except OSError as error:
        return _fail(f"error: {error.filename!r}: {error.strerror}" if error.filename else f"error: {error}")
    except ModuleNotFoundError as error:
        return _fail(f"error: this needs the package {error.name}: pip install 'gdfast[files,plot,progress]'")
    except MemoryError as error:
        return _fail(f"error: not enough memory ({error})")
    except Exception as error:
        if sys.flags.dev_mode:  # python -X dev -m gdfast ... shows the traceback
            raise
        return _fail(f"internal error, please report it: {type(error).__name__}: {error}")


def _show_warning(message: object, *place: Any, **more: Any) -> None:
    _fail(f"warning: {message}")


def _fail(message: object, status: int = 2) -> int:
    """One line on stderr, whatever the message holds."""
    line = " ".join(f"{_PROGRAM}: {message}".split())
    print("".join(sign if sign.isprintable() else "?" for sign in line), file=sys.stderr)
    return status


# ------------------------------------------------------------------------------------------------ options


class _Parser(argparse.ArgumentParser):
    """argparse with errors of one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(_fail(f"error: {message} (see {self.prog} --help)"))


def _parser() -> argparse.ArgumentParser:
    import gdfast

    parser = _Parser(prog=_PROGRAM, description="Linear models by gradient descent, from tables.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"gdfast {gdfast.__version__}")
    commands = parser.add_subparsers(metavar="{train,predict,info}", required=True)
    _add_train(commands)
    _add_predict(commands)
    info = commands.add_parser("info", help="show what a model file holds", allow_abbrev=False)
    info.add_argument("model", metavar="MODEL")
    info.set_defaults(run=_info)
    return parser


def _add_train(commands: Any) -> None:
    train = commands.add_parser(
        "train",
        help="train a model on a CSV or Parquet file",
        description="Trains on all columns but the target: numbers as they are, no scaling needed; text"
        " one-hot; missing numbers filled with the median, a missing text as a category of its own.",
        allow_abbrev=False,
    )
    add = train.add_argument
    add("data", metavar="DATA", help="CSV (also .gz) or Parquet file")
    add("--target", metavar="COLUMN", required=True, help="what to predict")
    add(
        "--task",
        choices=("auto", "regression", "classification"),
        default="auto",
        help="auto: classification for text, true/false and up to 20 different whole numbers",
    )
    add("--loss", metavar="LOSS", help="squared_error, huber, poisson, ... or log_loss, hinge, ...")
    add_params(train)
    add(
        "--validation",
        type=fraction,
        default=0.2,
        metavar="FRACTION",
        help="rows held out to score the model (0.2)",
    )
    add_choice(train)
    add("--early-stopping", action="store_true", help="keep the weights that do best on the held-out rows")
    add("--weight", metavar="COLUMN", help="weights of the rows")
    add("--offset", metavar="COLUMN", help="added to the raw score (log exposure, for poisson)")
    add("--drop", metavar="COLUMN", action="append", default=[], help="leave a column out (may be repeated)")
    add("--seed", type=seed, default=0, metavar="N", help="of held-out rows, folds and the order (default 0)")
    add("--out", metavar="MODEL", help="where to save the model")
    add("--plot", metavar="PNG", help="draw training and validation error per epoch")
    add("--report", metavar="HTML", help="write a page: data, scores, curves, coefficients, pictures; one file")
    add("--quiet", action="store_true", help="print errors and warnings only")
    train.set_defaults(run=_train)


def _add_predict(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict with a saved model",
        description="Writes one prediction per row; where DATA holds the target, prints scores on stderr.",
        allow_abbrev=False,
    )
    add = predict.add_argument
    add("model", metavar="MODEL")
    add("data", metavar="DATA", help="CSV (also .gz) or Parquet file with the columns seen in training")
    add("--out", metavar="CSV", help="where to write (default: standard output)")
    add("--proba", action="store_true", help="add the probability of each class")
    add("--threads", type=count, metavar="N")
    add("--quiet", action="store_true", help="print errors only")
    predict.set_defaults(run=_predict)


def _check_output(option: str, path: str | None, *inputs: str | None) -> None:
    """Say now, not after an hour of training, that a file cannot be written."""
    if path is None:
        return
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise ValueError(f"{option} must be a file in a folder that can be written, got {path!r}")
    if os.path.exists(path):
        if not os.path.isfile(path):
            raise ValueError(f"{option} must be a plain file, got {path!r}")
        if any(os.path.exists(other) and os.path.samefile(path, other) for other in inputs if other):
            raise ValueError(f"{option} must not be a file that is also read or written otherwise, got {path!r}")


# --------------------------------------------------------------------------------------------------- train


def _train(options: argparse.Namespace) -> None:
    from gdfast import choosing, modelfile, printout, table, training

    check_together(options)
    _check_output("--out", options.out, options.data, options.plot, options.report)
    _check_output("--plot", options.plot, options.data, options.report)
    _check_output("--report", options.report, options.data)
    drawn = bool(options.plot or options.report)
    if drawn:
        importlib.import_module("matplotlib.figure")  # fails now, not after the training, if it is missing
    say = _printer(options.quiet)
    _limit_arrow_threads(vars(options).get("n_threads"))
    data = table.read_table(options.data, drop=options.drop)
    for option in ("target", "weight", "offset", "cv_groups"):
        name = vars(options).get(option)
        if name is not None and name not in data.column_names:
            raise ValueError(f"{flag(option)} must be a column of {options.data!r}, got {name!r}")
    problem = training.prepare(data, settings(options))
    del data
    say(printout.problem_text(options.data, problem))
    messages: list[str] = []
    if problem.settings.grid is not None:
        with _choice_progress(options) as arrived:
            choice, problem, seconds, messages = choosing.choose(problem, arrived)
        say(printout.choice_text(choice, seconds) + "\n")
        _warn_of(messages)
    with _progress(options) as callback:
        outcome = training.fit(problem, callback=callback, curves=drawn)
    say(printout.outcome_text(outcome))
    _warn_of(outcome.warnings)
    if drawn:
        _draw(options, problem, outcome, messages, say)
    if options.out:
        modelfile.save(outcome.model, options.out)
        say(printout.line("saved", f"{options.out} ({os.path.getsize(options.out):,} bytes)"))


def _draw(
    options: argparse.Namespace, problem: Problem, outcome: Outcome, messages: list[str], say: Callable[[str], None]
) -> None:
    from gdfast import modelfile, printout, report

    if options.plot:
        with modelfile.atomic_file(options.plot) as file:
            report.draw_curves(problem, outcome, file, options.plot)
        say(printout.line("picture", options.plot))
    if options.report:
        with modelfile.atomic_file(options.report) as file:
            given = {"data": options.data, "command": options.command, "of_choice": messages}
            report.write_report(problem, outcome, file, **given)
        say(printout.line("report", options.report))


def _warn_of(messages: list[str]) -> None:
    for message in messages:
        _fail(f"warning: {message}")


def _printer(quiet: bool) -> Callable[[str], None]:
    return (lambda text: None) if quiet else lambda text: print(text, flush=True)


def _limit_arrow_threads(threads: int | None) -> None:
    if threads is not None:
        import pyarrow

        pyarrow.set_cpu_count(min(threads, os.cpu_count() or 1))


_BAR = {"delay": 2.0, "leave": False}


def _is_watched(options: argparse.Namespace) -> bool:
    return not options.quiet and sys.stderr.isatty()


def _choice_progress(options: argparse.Namespace) -> contextlib.AbstractContextManager[Arrivals | None]:
    """A bar of the models of the grid that have arrived, as `_progress` has one of epochs."""
    if not _is_watched(options):
        return contextlib.nullcontext()
    from gdfast._progress import models_bar

    return models_bar("choosing", **_BAR)


@contextlib.contextmanager
def _progress(options: argparse.Namespace) -> Iterator[Callable[[DescentState], None] | None]:
    """A callback that moves a bar, on a terminal and once two seconds have passed; None elsewhere."""
    if not _is_watched(options):
        yield None
        return
    from gdfast._progress import move_bar, open_bar

    bar = open_bar(vars(options).get("max_iter", 1000), desc="training", **_BAR)
    if bar is None:
        yield None
        return
    with bar:
        yield lambda state: move_bar(bar, state, "held out")


# ----------------------------------------------------------------------------------------- predict and info


def _predict(options: argparse.Namespace) -> None:
    import pyarrow as pa
    from pyarrow import csv

    from gdfast import modelfile, printout, scoring, table

    model = modelfile.load(options.model)
    model.estimator.n_threads = options.threads
    _check_output("--out", options.out, options.data, options.model)
    if options.proba and not scoring.has_probabilities(model):
        raise ValueError(f"--proba must go with a loss that has probabilities, got {model.estimator.loss}")
    _limit_arrow_threads(options.threads)
    data = table.read_table(
        options.data, columns=model.columns, optional=[model.target, model.weight], text=model.text_columns
    )
    part = scoring.rows_of(model, data)
    answers = scoring.predict(model, part)
    scored = None if options.quiet else scoring.rows_with_target(model, data, part)
    columns = {"prediction": pa.array(model.classes).take(pa.array(answers)) if model.classes else answers}
    if options.proba:
        p = scoring.probabilities(model, part.X)
        columns |= {f"p_{label}": p[:, k] for k, label in enumerate(model.classes)}
    with _output(options.out) as file:
        csv.write_csv(pa.table(columns), file)
    if not options.quiet:
        print(printout.prediction_text(options, model, len(answers), scored), file=sys.stderr)


def _output(path: str | None) -> contextlib.AbstractContextManager[BinaryIO]:
    from gdfast.modelfile import atomic_file

    return contextlib.nullcontext(sys.stdout.buffer) if path is None else atomic_file(path)


def _info(options: argparse.Namespace) -> None:
    from gdfast import modelfile, printout

    print(printout.model_text(options.model, modelfile.load(options.model)))
