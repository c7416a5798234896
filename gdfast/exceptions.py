"""What gdfast raises beyond the built-in exceptions."""

from __future__ import annotations

__all__ = ["DivergenceError", "ModelFileError"]


class DivergenceError(ValueError):
    """The descent left the finite range: the learning rate is too large for the curvature of the error surface.

    The message names the epoch, the error reached and a learning rate that the curvature allows.
    """


class ModelFileError(ValueError):
    """A model file is not one, is damaged, or was written by a version that this one cannot read."""
