"""What `verbose` shows: a bar on a terminal, one line elsewhere, lines without tqdm; and that no bar stays open."""

from __future__ import annotations

import contextlib
import io
import pathlib
import re
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from hostile import both, data, run_python
from sklearn.exceptions import ConvergenceWarning

from gdfast import GDClassifier, GDClassifierCV, GDRegressor, GDRegressorCV, cli, fit_many
from gdfast.exceptions import DivergenceError

tqdm = pytest.importorskip("tqdm").tqdm


class Terminal(io.StringIO):
    """Remembers what was written to it, and says it is a terminal."""

    def isatty(self):
        return True


def on_terminal():
    """Standard error for the duration of a `with`."""
    return contextlib.redirect_stderr(Terminal())


def few_epochs(Estimator, **more):
    return Estimator(**{"solver": "gd", "tol": None, "max_iter": 4, "verbose": 1, **more})


@both
@pytest.mark.parametrize("verbose", [1, True])
def test_a_bar_on_a_terminal(Estimator, verbose, capsys):
    X, y = data()
    with on_terminal() as terminal:
        model = few_epochs(Estimator, verbose=verbose).fit(X, y, X_val=X, y_val=y)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith(f"{Estimator.__name__}: 100%|")
    assert re.search(r" 4/4 \[00:0\d<00:0\d", last)
    assert f"error={model.loss_curve_[-1]:.6g}, validation error={model.validation_curve_[-1]:.6g}]" in last
    assert last.endswith("\n")  # closed
    assert capsys.readouterr().out == ""


@both
def test_a_fit_that_ends_early_fills_its_bar(Estimator):
    with on_terminal() as terminal:
        model = few_epochs(Estimator, solver="auto", tol=1e-6, max_iter=1000).fit(*data())
    assert 1 < model.n_iter_ < 1000
    first, *_, last = terminal.getvalue().split("\r")[1:]
    assert "0/1000" in first
    assert ": 100%|" in last and f" {model.n_iter_}/{model.n_iter_} [" in last
    assert "validation error" not in last


def test_the_bar_counts_the_epochs_of_all_outputs():
    X, _ = data()
    with warnings.catch_warnings(), on_terminal() as terminal:
        warnings.simplefilter("ignore", ConvergenceWarning)
        few_epochs(GDClassifier, solver="auto", loss="hinge").fit(X, np.arange(len(X)) % 3)
    assert "0/12" in terminal.getvalue()


@both
def test_one_line_at_the_end_where_there_is_no_terminal(Estimator, capsys):
    X, y = data()
    model = few_epochs(Estimator).fit(X, y)
    out, err = capsys.readouterr()
    assert err == ""
    assert re.fullmatch(
        rf"{Estimator.__name__}: Stopped after 4 epochs and \d passes: max_iter was reached \(update rule 'gd'\)\."
        rf" Error {model.loss_:.6g}\.\n",
        out,
    )


def test_a_program_may_have_no_standard_error_at_all(capsys):
    with contextlib.redirect_stderr(None):
        few_epochs(GDRegressor).fit(*data())
    assert capsys.readouterr().out.startswith("GDRegressor: Stopped after 4 epochs")


@both
def test_two_prints_a_line_per_epoch_on_a_terminal_too(Estimator, capsys):
    with on_terminal() as terminal:
        model = few_epochs(Estimator, verbose=2).fit(*data())
    lines = [f"Epoch {i}: error {error:.8g}" for i, error in enumerate(model.loss_curve_, 1)]
    assert capsys.readouterr().out.splitlines() == lines
    assert terminal.getvalue() == ""


@both
def test_lines_and_a_hint_without_tqdm(Estimator, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with on_terminal() as terminal:
        few_epochs(Estimator).fit(*data())
    assert terminal.getvalue() == ""
    hint, *lines = capsys.readouterr().out.splitlines()
    assert "tqdm is not installed: pip install 'gdfast[progress]'" in hint
    assert [line.split(":")[0] for line in lines] == [f"Epoch {i}" for i in (1, 2, 3, 4)]
    few_epochs(Estimator, verbose=2).fit(*data())
    assert "tqdm" not in capsys.readouterr().out


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
@both
def test_an_interrupted_fit_closes_its_bar(Estimator, error):
    def interrupt(state):
        if state.epoch == 2:
            raise error("mine")

    with on_terminal() as terminal, pytest.raises(error):
        few_epochs(Estimator, callback=interrupt).fit(*data())
    last = terminal.getvalue().split("\r")[-1]
    assert "2/4" in last and last.endswith("\n")
    assert not tqdm._instances


def test_a_failed_fit_closes_its_bar():
    X, y = data()
    with on_terminal() as terminal, pytest.raises(DivergenceError):
        few_epochs(GDRegressor, learning_rate="constant", eta0=1e6, max_iter=1000).fit(X, y)
    assert terminal.getvalue().endswith("\n")
    X[1, 1] = np.nan
    with on_terminal() as terminal, pytest.raises(ValueError, match="contains NaN"):
        few_epochs(GDRegressor).fit(X, y)
    assert terminal.getvalue().endswith("\n")
    assert not tqdm._instances


@both
def test_bar_and_callback_work_together(Estimator):
    with on_terminal() as terminal:
        model = few_epochs(Estimator, callback=lambda state: state.epoch == 2).fit(*data())
    assert model.n_iter_ == 2
    assert " 2/2 [" in terminal.getvalue().split("\r")[-1]


NOTEBOOK = """
import warnings
warnings.simplefilter("ignore")  # tqdm asks for widgets
from gdfast import GDRegressor, GDRegressorCV
X, y = [[0.0], [1.0], [3.0], [2.0]], [0.0, 1.0, 2.0, 2.5]
GDRegressor(solver="gd", tol=None, max_iter=4, verbose=1).fit(X, y)
GDRegressorCV(alphas=3, cv=2, scoring="loss", verbose=1).fit(X, y)
"""


@pytest.mark.filterwarnings("ignore")  # those of Jupyter's own parts
def test_a_bar_in_a_notebook(tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOK)])
    root = pathlib.Path(__file__).resolve().parent.parent
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(root)}}).execute()
    outputs = notebook.cells[0].outputs
    text = "".join(output.get("text", "") for output in outputs)
    widgets = [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert len(widgets) == 2 or (re.search(r"GDRegressor: +100%.* 4/4 \[", text) and " 9/9 [" in text)


# ---- grids of models -------------------------------------------------------------------------------------------------


def search_of(kind, *data, **more):
    return kind(alphas=4, cv=3, verbose=1, **more).fit(*data)


def some_classes(n=400):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 6))
    return X, X[:, 0] + rng.normal(size=n) > 0


GRIDS = {
    "classes": (lambda: search_of(GDClassifierCV, *some_classes()), "GDClassifierCV", 16),
    "numbers": (lambda: search_of(GDRegressorCV, *data()), "GDRegressorCV", 16),
    "not refitted": (lambda: search_of(GDRegressorCV, *data(), refit=False), "GDRegressorCV", 12),
    "kinks, one by one": (lambda: search_of(GDRegressorCV, *data(), loss="absolute_error"), "GDRegressorCV", 16),
    "rules": (
        lambda: fit_many(few_epochs(GDRegressor, verbose=0), {"eta0": [0.1, 0.2]}, *data(), verbose=1),
        "fit_many",
        2,
    ),
    "groups": (
        lambda: fit_many(GDClassifier(), {"loss": ["log_loss", "hinge"]}, *some_classes(), cv=2, verbose=1),
        "fit_many",
        4,
    ),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("grid", GRIDS)
def test_a_bar_of_the_models_of_a_grid(grid, capsys):
    fit, name, n_models = GRIDS[grid]
    with on_terminal() as terminal:
        fit()
    first, *_, last = terminal.getvalue().split("\r")[1:]
    assert first.startswith(f"{name}:   0%|") and f" 0/{n_models} [" in first
    assert last.startswith(f"{name}: 100%|") and f" {n_models}/{n_models} [" in last and "model" in last
    assert last.endswith("\n") and not tqdm._instances
    assert capsys.readouterr().out.startswith(f"{name}: ")  # and a line with what came of it
    fit()
    assert capsys.readouterr().err == ""  # nothing but the line where there is no terminal


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_the_bar_of_a_grid_moves_while_it_is_fitted(loss, monkeypatch):
    shown = []
    monkeypatch.setattr(tqdm, "update", lambda bar, n: shown.append(bar.n + n) or setattr(bar, "n", bar.n + n))
    X, y = some_classes(40_000)  # more than the first sample of them
    with on_terminal():
        search_of(GDClassifierCV if loss == "log_loss" else GDRegressorCV, X, y, loss=loss)
    assert shown[0] == 0 and shown[-1] == 16
    assert len(set(shown)) > 2


def test_a_broken_bar_ends_the_choice_and_is_said(monkeypatch):
    def fails(bar, n):
        if bar.n or n:
            raise KeyError("mine")

    monkeypatch.setattr(tqdm, "update", fails)
    with on_terminal(), pytest.raises(KeyError, match="mine"):
        search_of(GDClassifierCV, *some_classes())
    assert not tqdm._instances


def test_grids_without_tqdm(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with on_terminal() as terminal:
        search_of(GDRegressorCV, *data())
    assert terminal.getvalue() == ""
    assert capsys.readouterr().out.startswith("GDRegressorCV: best of 4 points in 3 splits")


def test_tqdm_is_loaded_on_use_only():
    code = (
        "import sys\nfrom gdfast import GDRegressor\n"
        "for verbose in 0, 2, 1:\n"
        "    GDRegressor(verbose=verbose).fit([[0.0], [1.0]], [0.0, 1.0])\n"
        "    print('tqdm' in sys.modules)\n"
    )
    said = run_python(code).splitlines()
    assert [line for line in said if line in ("True", "False")] == ["False", "False", "True"]


@pytest.mark.parametrize(("held_out", "shown"), [(0.25, "error=0.5, held out=0.25"), (np.nan, "error=0.5]")])
def test_the_bar_of_the_command(held_out, shown, monkeypatch):
    monkeypatch.setattr("tqdm.std.time", iter(range(0, 1000, 3)).__next__)  # a bar appears after two seconds
    with on_terminal() as terminal, cli._progress(SimpleNamespace(quiet=False, max_iter=3)) as show:
        show(SimpleNamespace(error=0.5, validation_error=held_out))
        assert shown in terminal.getvalue()
    with on_terminal(), cli._progress(SimpleNamespace(quiet=True, max_iter=3)) as show:
        assert show is None
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with on_terminal(), cli._progress(SimpleNamespace(quiet=False, max_iter=3)) as show:
        assert show is None


def test_the_command_shows_how_its_choice_goes(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(cli._BAR, "delay", 0.0)
    X, y = some_classes()
    np.savetxt(tmp_path / "rows.csv", np.c_[X, y], delimiter=",", header="a,b,c,d,e,f,y", comments="")
    train = ["train", str(tmp_path / "rows.csv"), "--target", "y", "--cv", "3", "--alphas", "4"]
    with on_terminal() as terminal:
        assert cli.main(train) == 0
    assert "choosing:   0%|" in terminal.getvalue() and " 0/12 [" in terminal.getvalue()  # and is cleared away
    assert "GDClassifierCV" not in capsys.readouterr().out
    with on_terminal() as terminal:
        assert cli.main([*train, "--quiet"]) == 0
    assert terminal.getvalue() == ""
    assert cli.main(train) == 0
    assert capsys.readouterr().err == ""
