"""`descent_animation`: the path running down the error surface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gdfast._arguments import count
from gdfast._messages import short
from gdfast.displays._style import require_matplotlib
from gdfast.displays.surface import ErrorSurfaceDisplay, Kind

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation


def descent_animation(
    display: ErrorSurfaceDisplay,
    *,
    kind: Kind = "contour",
    interval: int = 80,
    max_frames: int = 100,
    cmap: str = "viridis",
) -> FuncAnimation:
    """The descents of a display, running down its error surface epoch by epoch.

    Parameters
    ----------
    display : ErrorSurfaceDisplay
        As `from_estimator` or `from_result` made it; nothing is computed anew.
    kind : {"contour", "surface", "both"}, default="contour"
        As in `ErrorSurfaceDisplay.plot`.
    interval : int, default=80
        Milliseconds per frame.
    max_frames : int, default=100
        Longer paths skip epochs, later ones more than early ones, where more happens.
    cmap : str or Colormap, default="viridis"

    Returns
    -------
    animation : matplotlib.animation.FuncAnimation
        `animation.to_jshtml()` is a page with buttons; `animation.save("descent.gif",
        writer=matplotlib.animation.PillowWriter(fps=12))` a picture that moves.

    Raises
    ------
    TypeError
        If display is something else.
    ValueError
        If a parameter is out of range, or the display has no descent.
    ModuleNotFoundError
        Without matplotlib.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("Agg")
    >>> import gdfast
    >>> X, y = [[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]
    >>> result = gdfast.gradient_descent(X, y, max_iter=5, tol=None, keep_path=True)
    >>> display = gdfast.ErrorSurfaceDisplay.from_result(result, X, y, resolution=20)
    >>> page = gdfast.descent_animation(display).to_jshtml()
    >>> "<img" in page
    True
    """
    require_matplotlib("descent_animation")
    if not isinstance(display, ErrorSurfaceDisplay):
        raise TypeError(f"display must be an ErrorSurfaceDisplay, got {short(display)}")
    interval, max_frames = count(interval, "interval"), count(max_frames, "max_frames", least=2)
    if not display.tracks:
        raise ValueError("display must have a descent, got none")
    from matplotlib.animation import FuncAnimation

    from gdfast.displays._surface_plot import Moving

    scene = Moving(display, kind, cmap)
    last = max(int(track.epochs[-1]) for track in display.tracks)
    frames = frame_epochs(last, max_frames)
    return FuncAnimation(scene.figure, scene.show, frames=frames, interval=interval, repeat=True, blit=False)


def frame_epochs(last: int, most: int) -> list[int]:
    """Epochs to show: all of them, or ever fewer."""
    if last < most:
        return list(range(last + 1))
    grown: Any = np.linspace(0.0, np.sqrt(last), most) ** 2
    return [int(epoch) for epoch in np.unique(grown.round())]
