"""What gdfast raises beyond the built-in exceptions, and its own warning."""

from __future__ import annotations

__all__ = ["DivergenceError", "ModelFileError", "ModelVersionWarning"]


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
    """A model file or document is not one, is damaged, or was written by a version that this one cannot read.

    The message names the file, if there is one, and the field.

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


class ModelVersionWarning(UserWarning):
    """A pickle of an estimator comes from another version of gdfast, whose estimators may have differed.

    The message names both versions. Files and documents (``to_dict``) are made to last; pickles are not.

    Examples
    --------
    >>> import pickle, warnings, gdfast
    >>> raw = pickle.dumps(gdfast.GDRegressor()).replace(gdfast.__version__.encode(), b"9.9.9")
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = pickle.loads(raw)
    >>> caught[0].category.__name__, "9.9.9" in str(caught[0].message)
    ('ModelVersionWarning', True)
    """
