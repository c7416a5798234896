"""Pictures of a descent: the error surface and the path on it, the errors per epoch, the gradient. Needs matplotlib."""

from __future__ import annotations

from gdfast.displays.animation import descent_animation
from gdfast.displays.descent import DescentDisplay
from gdfast.displays.gradient import GradientDisplay
from gdfast.displays.surface import ErrorSurfaceDisplay

__all__ = ["DescentDisplay", "ErrorSurfaceDisplay", "GradientDisplay", "descent_animation"]
