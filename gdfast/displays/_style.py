"""How the pictures look: matplotlib when it is first needed, colours, short names, axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind eyes: for a light background, and for a dark one.
_ON_LIGHT = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_ON_DARK = ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")
# On a surface painted in viridis, all with a dark edge; the gradient up and down has two of its own.
ON_SURFACE = ("#FFFFFF", "#F0E442", "#CC79A7", "#009E73", "#E69F00", "#999999")
UP, DOWN = "#D55E00", "#56B4E9"


def require_matplotlib(what: str) -> None:
    """Say how to install matplotlib where it is missing, before any work."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        text = f'{what} needs matplotlib: pip install "gdfast[plot]"'
        raise ModuleNotFoundError(text, name="matplotlib") from None


def colours(figure: Figure) -> tuple[str, ...]:
    """Colours of lines and bars for the figure's background."""
    from matplotlib.colors import to_rgb

    return _ON_DARK if np.dot((0.299, 0.587, 0.114), to_rgb(figure.get_facecolor())) < 0.5 else _ON_LIGHT


def short_name(name: str, most: int = 28) -> str:
    """A name that fits beside a bar or an axis, and is shown as it is: a dollar sign begins no formula."""
    name = "".join(sign if sign.isprintable() else " " for sign in name.replace(r"\$", "$"))
    name = name if len(name) <= most else f"{name[: most * 2 // 3]}…{name[-(most - most * 2 // 3 - 1) :]}"
    return name.replace("$", r"\$")


def loss_words(loss: str) -> str:
    """A loss as labels name it."""
    return "squared error / 2" if loss == "squared_error" else loss.replace("_", " ")


def axes_for(ax: Any, n: int, what: str) -> list[Axes]:
    """The n axes that the caller gives, as one Axes or an array of them."""
    given = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(given) != n or not all(hasattr(one, "get_xlim") for one in given):
        raise ValueError(f"ax must be {n} matplotlib Axes, one per {what}, got {len(given)}")
    return given


def number(value: float) -> str:
    """A number in a title or beside a bar, with a true minus sign."""
    return f"{value:.3g}".replace("-", "−")


def spread_out(values: Any) -> bool:
    """Whether a logarithmic scale shows the values better."""
    values = np.asarray(values)
    return bool(values.size and values.min() > 0 and values.max() > 5 * values.min())


def scale_errors(axes: Axes, scale: str, values: Any) -> None:
    """A linear or logarithmic scale with plain numbers on it; "auto" looks at the values, of which infinite ones count
    for nothing."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if scale == "log" or (scale == "auto" and spread_out(values)):
        axes.set_yscale("log")
        above = values[values > 0]
        few = above.size > 0 and above.max() < 1e4 * above.min()
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
