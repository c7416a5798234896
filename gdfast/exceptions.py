"""What gdfast raises beyond the built-in exceptions."""

from __future__ import annotations

__all__ = ["DivergenceError", "ModelFileError"]


class DivergenceError(ValueError):
    """The descent left the finite range: the learning rate is too large for the curvature of the error surface.

    The message names the epoch, the error reached and a learning rate that the curvature allows.

    Examples
    --------
    >>> import gdfast
    >>> try:
    ...     gdfast.gradient_descent([[0.0], [50.0]], [0.0, 1.0], learning_rate="constant", eta0=0.1)
    ... except gdfast.DivergenceError as error:
    ...     print("try eta0=" in str(error))
    True
    """


class ModelFileError(ValueError):
    """A model file is not one, is damaged, or was written by a version that this one cannot read.

    The message names the file and the field.

    Examples
    --------
    >>> import gdfast, tempfile
    >>> from gdfast.modelfile import load
    >>> with tempfile.NamedTemporaryFile() as empty:
    ...     try:
    ...         load(empty.name)
    ...     except gdfast.ModelFileError as error:
    ...         print("is not a gdfast model file" in str(error))
    True
    """
