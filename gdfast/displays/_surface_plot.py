"""Contours, surfaces in space, and what stands on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gdfast._messages import short
from gdfast._types import Doubles
from gdfast.displays._style import DOWN, ON_SURFACE, UP, axes_for, number, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gdfast.displays.surface import ErrorSurfaceDisplay, Track

_LEVELS = 24
_STEEPEST = 60.0  # times the median height: what rises above is painted as one
_ARROW = 0.14  # of the axes
_DARK = "#222222"


def draw(
    display: ErrorSurfaceDisplay, ax: Any, kind: str, epoch: int, cmap: Any, *, stacked: bool = False
) -> tuple[Any, Any]:
    """Draw on the axes given or on new ones, side by side or stacked; return them and their figure."""
    places = [place_of(track, epoch) for track in display.tracks]
    n = len(display.surfaces)
    kinds = ["contour", "surface"] if kind == "both" else [kind]
    if ax is None:
        figure, panels = _new_axes(kinds, n, stacked=stacked)
    else:
        panels = axes_for(ax, n * len(kinds), "surface")
        figure = panels[0].figure
    for i, space in enumerate(_paint(display, panels, kinds, cmap)):
        _paths(display, i % n, panels[i], display.tracks, places, space)
    if ax is None:
        figure.suptitle(_title(display), fontsize="medium")
        _legend(figure, panels[0])
    else:
        panels[0].legend(loc="best", fontsize="small", framealpha=0.9)
    array = np.array(panels, dtype=object).reshape(len(kinds), n)
    return (array[0, 0] if array.size == 1 else array if len(kinds) > 1 else array[0]), figure


class Moving:
    """A picture in which the descents are as far as an epoch."""

    def __init__(self, display: ErrorSurfaceDisplay, kind: str, cmap: Any) -> None:
        kinds = ["contour", "surface"] if kind == "both" else [kind]
        self.display, self.n = display, len(display.surfaces)
        self.figure, self.panels = _new_axes(kinds, self.n)
        self.spaces = _paint(display, self.panels, kinds, cmap)
        self.drawn: list[Any] = []
        self.words = self.figure.suptitle(_title(display), fontsize="medium")
        self.show(0)
        _legend(self.figure, self.panels[0])

    def show(self, epoch: int) -> list[Any]:
        """Draw the paths up to an epoch in place of those that are there."""
        for artist in self.drawn:
            artist.remove()
        tracks = [_until(track, epoch) for track in self.display.tracks]
        places = [len(track.points) - 1 for track in tracks]
        before = [set(panel.get_children()) for panel in self.panels]
        for i, (panel, space) in enumerate(zip(self.panels, self.spaces, strict=True)):
            _paths(self.display, i % self.n, panel, tracks, places, space)
        self.drawn = [
            artist
            for panel, known in zip(self.panels, before, strict=True)
            for artist in panel.get_children()
            if artist not in known
        ]
        error = number(float(tracks[0].errors[0, -1]))
        self.words.set_text(f"{_title(self.display)}\n{tracks[0].unit} {int(epoch):,}, training error {error}")
        return self.drawn


def _until(track: Track, epoch: int) -> Track:
    """The track as far as it had come at the epoch."""
    n = max(int(np.searchsorted(track.epochs, epoch, side="right")), 1)
    return track._replace(
        points=track.points[:n], errors=track.errors[:, :n], gradients=track.gradients[:n], epochs=track.epochs[:n]
    )


def _paint(display: ErrorSurfaceDisplay, panels: list[Any], kinds: list[str], cmap: Any) -> list[Any]:
    """Surfaces, minima and titles; of each panel what `_paths` must know of heights: None on flat axes."""
    n, spaces = len(display.surfaces), []
    for i, panel in enumerate(panels):
        flat = kinds[i // n] == "contour"
        if not flat and not hasattr(panel, "plot_surface"):
            raise ValueError("ax must be three-dimensional for kind='surface', got flat axes")
        spaces.append((_contours if flat else _in_space)(display, i % n, panel, cmap))
        _minima(display, i % n, panel, spaces[-1])
        panel.set_title(f"{display.surfaces[i % n].rows} rows", fontsize="medium")
    return spaces


def _new_axes(kinds: list[str], n: int, *, stacked: bool = False) -> tuple[Any, list[Axes]]:
    from matplotlib import pyplot

    rows, columns = (len(kinds) * n, 1) if stacked else (len(kinds), n)
    figure = pyplot.figure(figsize=(1.2 + 5.2 * columns, 1.2 + 4.4 * rows), layout="constrained")
    panels = [
        figure.add_subplot(rows, columns, i + 1, projection="3d" if kinds[i // n] == "surface" else None)
        for i in range(rows * columns)
    ]
    return figure, panels


def place_of(track: Track, epoch: int) -> int:
    """Where in the track the epoch is; paths that were thinned out have the nearest one."""
    last = int(track.epochs[-1])
    wanted = epoch + last + 1 if epoch < 0 else epoch
    if not 0 <= wanted <= last:
        raise ValueError(f"epoch must be in [{-last - 1}, {last}], the epochs of the path, got {short(epoch)}")
    return int(np.abs(track.epochs - wanted).argmin())


def heights(display: ErrorSurfaceDisplay, which: int) -> tuple[float, float]:
    """The lowest height in the picture, and the highest that is told apart from higher ones."""
    surface, grid = display.surfaces[which], (display.x, display.y)
    errors = surface.errors[np.isfinite(surface.errors)]
    if not errors.size:
        return 0.0, 1.0
    low = float(errors.min())
    lowest = surface.minimum
    if lowest is not None and all(at[0] <= place <= at[-1] for at, place in zip(grid, lowest, strict=True)):
        low = min(low, surface.minimum_error)
    high = min(float(errors.max()), low + _STEEPEST * float(np.median(errors) - low))
    starts = [float(track.errors[which, 0]) for track in display.tracks]
    high = max([high, *(start for start in starts if np.isfinite(start) and start <= errors.max())])
    return low, high if high > low else low + max(abs(low), 1.0) * 1e-3


def _contours(display: ErrorSurfaceDisplay, which: int, panel: Axes, cmap: Any) -> None:
    """Levels that are as far apart on every side of a bowl: their heights grow as squares."""
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import MaxNLocator

    surface = display.surfaces[which]
    low, high = heights(display, which)
    levels = low + (high - low) * np.linspace(0.0, 1.0, _LEVELS + 1) ** 2
    errors = np.nan_to_num(np.maximum(surface.errors, low), nan=np.inf, posinf=high + (high - low))
    norm = PowerNorm(0.5, vmin=low, vmax=high)
    beyond = "max" if errors.max() > high else "neither"
    filled = panel.contourf(display.x, display.y, errors, levels=levels, cmap=cmap, norm=norm, extend=beyond)
    panel.contour(display.x, display.y, errors, levels=levels[1:], colors="white", linewidths=0.4, alpha=0.5)
    ticks = np.asarray(MaxNLocator(7).tick_values(low, high))
    ticks = ticks[(ticks >= low) & (ticks <= high)]  # the bar would show others at its ends
    bar = panel.figure.colorbar(filled, ax=panel, format=_plain(low, high), ticks=ticks)
    bar.set_label(surface.label)
    panel.set_xlabel(display.labels[0])
    panel.set_ylabel(display.labels[1])
    panel.locator_params(axis="x", nbins=6)
    panel.set_xlim(display.x[0], display.x[-1])
    panel.set_ylim(display.y[0], display.y[-1])


def _plain(low: float, high: float) -> Any:
    """Plain numbers with as many digits as tell heights apart."""
    from matplotlib.ticker import FuncFormatter

    digits = 3 + max(int(np.ceil(np.log10(max(abs(low), abs(high)) / (high - low)))), 1)
    nothing = 1e-9 * (high - low)  # what steps from a multiple of a tick leave of zero
    return FuncFormatter(lambda value, _: f"{value if abs(value) > nothing else 0:.{digits}g}".replace("-", "−"))


def _in_space(display: ErrorSurfaceDisplay, which: int, panel: Any, cmap: Any) -> tuple[float, float]:
    """The surface cut off at the highest height; returns both."""
    from matplotlib.colors import PowerNorm

    surface = display.surfaces[which]
    low, high = heights(display, which)
    errors = np.clip(np.nan_to_num(surface.errors, nan=np.inf), low, high)
    x, y = np.meshgrid(display.x, display.y)
    norm = PowerNorm(0.5, vmin=low, vmax=high)
    panel.computed_zorder = False  # what lies on the surface is drawn after it
    panel.plot_surface(x, y, errors, cmap=cmap, norm=norm, rcount=60, ccount=60, linewidth=0, alpha=0.9, zorder=1)
    for name, label in zip("xyz", (*display.labels, surface.label), strict=True):
        most = 40 if name == "z" else 26
        words = short_name(label.split(",")[0].split(" (")[0], most)  # all else is beside the contours
        getattr(panel, f"set_{name}label")(words, fontsize="small")
    spans = (display.x[0], display.x[-1]), (display.y[0], display.y[-1]), (low, high)
    for name, (first, last) in zip("xyz", spans, strict=True):
        axis, plain = getattr(panel, f"{name}axis"), _plain(float(first), float(last))
        axis.set_major_formatter(plain)
        panel.locator_params(axis=name, nbins=5)
        longest = max(len(plain(tick)) for tick in axis.get_major_locator().tick_values(first, last))
        axis.labelpad = max(6, 3 * longest - 6)
    panel.tick_params(labelsize="small")
    panel.set_box_aspect(None, zoom=0.9)
    return low, high


def _paths(
    display: ErrorSurfaceDisplay,
    which: int,
    panel: Any,
    tracks: list[Track],
    places: list[int],
    space: tuple[float, float] | None,
) -> None:
    """Paths, current points and arrows, on the contours or, at their heights, in space."""
    from matplotlib.patheffects import Normal, Stroke

    edge = [Stroke(linewidth=3.2, foreground=_DARK), Normal()]
    for i, (track, place) in enumerate(zip(tracks, places, strict=True)):
        colour = ON_SURFACE[i % len(ON_SURFACE)]
        points, errors = track.points, track.errors[which]
        at = _inside(display, points, errors, space)
        words = (short_name(track.label), track.eta if len(tracks) > 1 else "")
        label = ", ".join(filter(None, words)) or "path of the descent"
        few: dict[str, Any] = dict(marker="o", markersize=3) if len(points) <= 60 else {}
        panel.plot(*at, color=colour, linewidth=1.6, path_effects=edge, label=label, zorder=4, **few)
        here = _inside(display, points[[place]], errors[[place]], space)
        point: dict[str, Any] = dict(markeredgecolor=_DARK, markersize=8, label=_here(track, place, i))
        panel.plot(*here, "o", color=colour, zorder=6, **point)
    if tracks:
        _arrows(display, which, panel, tracks[0], places[0], space)


def _minima(display: ErrorSurfaceDisplay, which: int, panel: Any, space: tuple[float, float] | None) -> None:
    """Where the training error is least, and where the validation error is, on either surface."""
    for surface, sign, colour in zip(display.surfaces, "*D", ("#FFFFFF", "#E69F00"), strict=False):
        if surface.minimum is None:
            continue
        height = _height(display, which, surface.minimum)
        at = _inside(display, surface.minimum[None, :], np.array([height]), space)
        look: dict[str, Any] = dict(markersize=15 if sign == "*" else 8, markeredgecolor=_DARK, linestyle="")
        panel.plot(*at, sign, color=colour, zorder=5, label=f"minimum of the {surface.rows} error", **look)


def _here(track: Track, place: int, i: int) -> str:
    if i:
        return "_nolegend_"
    epoch = int(track.epochs[place])
    return "current point: the start" if epoch == 0 else f"current point: {track.unit} {epoch:,}"


def _inside(
    display: ErrorSurfaceDisplay, points: Doubles, errors: Doubles, space: tuple[float, float] | None
) -> list[Doubles]:
    """Points as coordinates to plot; in space without those outside of the picture, since nothing cuts them off."""
    if space is None:
        return [points[:, 0], points[:, 1]]
    x, y = points.T
    seen = (x >= display.x[0]) & (x <= display.x[-1]) & (y >= display.y[0]) & (y <= display.y[-1])
    return [np.where(seen, column, np.nan) for column in (x, y, np.clip(errors, *space))]


def _height(display: ErrorSurfaceDisplay, which: int, point: Doubles) -> float:
    """The height of a surface at a point of the picture, between those of the grid."""
    surface = display.surfaces[which]
    if surface.minimum is not None and np.array_equal(point, surface.minimum):
        return surface.minimum_error
    i = int(np.clip(np.searchsorted(display.x, point[0]) - 1, 0, len(display.x) - 2))
    j = int(np.clip(np.searchsorted(display.y, point[1]) - 1, 0, len(display.y) - 2))
    u = (point[0] - display.x[i]) / (display.x[i + 1] - display.x[i])
    v = (point[1] - display.y[j]) / (display.y[j + 1] - display.y[j])
    corners = surface.errors[j : j + 2, i : i + 2]
    with np.errstate(invalid="ignore"):  # where the error overflows, there is no height
        return float(np.array([1 - v, v]) @ corners @ np.array([1 - u, u]))


def _arrows(
    display: ErrorSurfaceDisplay,
    which: int,
    panel: Any,
    track: Track,
    place: int,
    space: tuple[float, float] | None,
) -> None:
    """The training gradient at the current point, and its negation: directions, as long as is seen well."""
    point, gradient = track.points[place], track.gradients[place]
    spans = np.array([display.x[-1] - display.x[0], display.y[-1] - display.y[0]])
    steepness = np.abs(gradient / spans).max()
    if not np.isfinite(steepness) or steepness == 0:
        return
    step = _ARROW * gradient / steepness
    for sign, colour, label in ((1, UP, "gradient: up"), (-1, DOWN, "−gradient: the way of the descent")):
        tip = point + sign * step
        if space is None:
            arrow = dict(arrowstyle="-|>", color=colour, linewidth=2.4, mutation_scale=16, shrinkA=0, shrinkB=0)
            panel.annotate("", tip, point, arrowprops=arrow, zorder=5)
            panel.plot([], [], color=colour, linewidth=2.4, label=label)
        else:
            ends = np.stack([point, tip])
            along = np.linspace(0, 1, 12)[:, None] * (ends[1] - ends[0]) + ends[0]
            z = np.array([_height(display, which, one) for one in along])
            panel.plot(*_inside(display, along, z, space), color=colour, linewidth=3, zorder=5, label=label)


def _title(display: ErrorSurfaceDisplay) -> str:
    etas = display.tracks[0].eta if len(display.tracks) == 1 else ""
    return "\n".join(filter(None, (", ".join(filter(None, ("Error surface", etas))), display.title)))


def _legend(figure: Any, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    columns = 3 if figure.get_figwidth() > 9 else 2
    figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), fontsize="small")
