"""Model files that are safe to load from strangers: one JSON file, no code in it, every field checked.

Layout (version 3), keys in any order, none missing, none else:

    format, version     "gdfast-model", 3
    sha256              of all the rest, as canonical JSON: damage is seen, whatever byte it hits
    versions            names and versions of the software that wrote the file
    task                "regression" or "classification"
    target              column, kind, classes (sorted labels; empty for a regression)
    offset, weight      columns added to the raw score, and of sample weights; null if none
    encoder             dtype, columns: name, kind, fill, categories
    estimator           what `to_dict` makes of it, see portable.py; in files of version 1 class, params, coef,
                        intercept, n_iter and loss alone
    spread              standard deviation of each feature in training: ranks the coefficients
    summary             rows, held_out_rows, converged, message, scores
    choice              folds, scoring, rule, points, best, simplest; null if nothing was chosen. Not in files of
                        version 2 and 1

Arrays are {"dtype": "<f8", "shape": [10, 64], "base64": ...}. Sizes are compared with the text that is there
before anything is allocated. Reading a file imports nothing and runs nothing that the file could choose.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import secrets
import shutil
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from gdfast._fields import (
    MAX_ITEMS,
    FieldError,
    Fields,
    array_document,
    checksum,
    is_label,
    is_number,
    is_text,
    parse,
    read_bytes,
)
from gdfast._messages import short
from gdfast._types import Doubles
from gdfast.choosing import RULES, Choice, Point
from gdfast.encoder import MAX_CATEGORIES, Column, Encoder
from gdfast.exceptions import ModelFileError
from gdfast.portable import FORMAT as ESTIMATOR_FORMAT
from gdfast.portable import estimator_document, read_estimator

if TYPE_CHECKING:
    from gdfast.classifier import GDClassifier
    from gdfast.regressor import GDRegressor

    Estimator: TypeAlias = GDRegressor | GDClassifier

__all__ = ["FORMAT", "VERSION", "Model", "atomic_file", "load", "save"]

FORMAT = "gdfast-model"
VERSION = 3

_ESTIMATORS = {"regression": "GDRegressor", "classification": "GDClassifier"}


@dataclasses.dataclass
class Model:
    """A trained model with all that is needed to use it on a table.

    Attributes
    ----------
    task : {"regression", "classification"}
    target : str
        Name of the target column.
    kind : {"number", "text"}
        What the target column holds.
    classes : list
        Sorted labels (str, int, float or bool), empty for a regression; the estimator predicts positions.
    offset, weight : str or None
        Names of the column that is added to the raw score, and of that of the sample weights.
    encoder : gdfast.encoder.Encoder
    estimator : gdfast.GDRegressor or gdfast.GDClassifier
        Fitted.
    spread : ndarray of shape (n_features,)
        Standard deviation of each feature in training.
    summary : dict
        rows, held_out_rows (int), converged (bool), message (str), scores (list of [name, model, constant]).
    choice : gdfast.choosing.Choice or None
        Of the penalty, by cross-validation.
    versions : dict of str to str
    """

    task: str
    target: str
    kind: str
    classes: list[Any]
    offset: str | None
    weight: str | None
    encoder: Encoder
    estimator: Estimator
    spread: Doubles
    summary: dict[str, Any]
    choice: Choice | None
    versions: dict[str, str]

    @property
    def columns(self) -> list[str]:
        """Names of the columns that a prediction needs, a list of str."""
        names = [column.name for column in self.encoder.columns]
        return names if self.offset is None else [*names, self.offset]

    @property
    def text_columns(self) -> list[str]:
        """Names of the columns that hold text, the target's too if it does, a list of str."""
        names = [column.name for column in self.encoder.columns if column.kind == "text"]
        return [*names, self.target] if self.kind == "text" else names

    def to_document(self) -> dict[str, Any]:
        """The model as what JSON can hold, without format, version and checksum.

        Returns
        -------
        document : dict

        Raises
        ------
        ValueError
            When a parameter of the estimator is neither text nor number nor None.
        """
        return {
            "versions": dict(self.versions),
            "task": self.task,
            "target": {"column": self.target, "kind": self.kind, "classes": list(self.classes)},
            "offset": self.offset,
            "weight": self.weight,
            "encoder": {
                "dtype": self.encoder.dtype,
                "columns": [
                    {**dataclasses.asdict(column), "categories": list(column.categories)}
                    for column in self.encoder.columns
                ],
            },
            "estimator": estimator_document(self.estimator),
            "spread": array_document(self.spread),
            "summary": self.summary,
            "choice": None if self.choice is None else dataclasses.asdict(self.choice),
        }


def software_versions() -> dict[str, str]:
    """Versions of what computes a model.

    Returns
    -------
    versions : dict of str to str

    Examples
    --------
    >>> sorted(software_versions())
    ['gdfast', 'numpy', 'pyarrow', 'python', 'scikit-learn']
    """
    import pyarrow
    import sklearn

    import gdfast

    return {
        "gdfast": gdfast.__version__,
        "numpy": np.__version__,
        "pyarrow": pyarrow.__version__,
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
    }


def save(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file: all of it or nothing.

    Parameters
    ----------
    model : Model
    path : str or os.PathLike

    Raises
    ------
    ValueError
        When a parameter of the estimator cannot be written, or a number of the model is not finite.
    OSError
        When the file cannot be written; a file that was there before is then still there, unchanged.
    """
    document = model.to_document()
    head = {"format": FORMAT, "version": VERSION, "sha256": checksum(document)}
    with atomic_file(path) as file:
        file.write(json.dumps({**head, **document}, indent=1, allow_nan=False).encode("ascii") + b"\n")


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model file, trusting nothing in it.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    model : Model
        With the very same numbers that were saved.

    Raises
    ------
    ModelFileError
        When the file is not a model file of this version, is damaged, or has a field that is not as it must
        be; the message, one line, names the file and the field.
    """
    path = os.fspath(path)
    try:
        return _checked_model(parse(read_bytes(path)))
    except FieldError as error:
        raise ModelFileError(f"model file {path!r}: {error}") from None
    except (RecursionError, MemoryError) as error:
        raise ModelFileError(f"model file {path!r}: is nested too deeply or too large ({error!r})") from None


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` at the end, or vanishes if an error ends it first.

    Parameters
    ----------
    path : str or os.PathLike

    Yields
    ------
    file : binary file object

    Raises
    ------
    OSError
        When the folder does not exist or cannot be written, or `path` exists and is not a plain file.

    Examples
    --------
    >>> import os, tempfile
    >>> from pathlib import Path
    >>> path = os.path.join(tempfile.mkdtemp(), "answer.txt")
    >>> with atomic_file(path) as file:
    ...     _ = file.write(b"42")
    >>> Path(path).read_text()
    '42'
    """
    path = os.path.realpath(path)  # replace the file that a link points to, not the link
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"{path!r} must be a plain file")
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name[:32]}.{secrets.token_hex(4)}")
    with open(temporary, "xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if os.path.exists(path):
                shutil.copymode(path, temporary)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


# ------------------------------------------------------------------------------------------------ writing


# ------------------------------------------------------------------------------------------------ reading


def _checked_model(document: dict[str, Any]) -> Model:
    """A model from a parsed file: versions first, then the checksum, then field by field."""
    fields = Fields(document, "")
    if fields.take("format") != FORMAT:
        raise FieldError(f"is not a gdfast model file (format {short(document['format'])})")
    version = fields.take("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise FieldError(f"is of format version {short(version)}, this gdfast reads versions 1 to {VERSION}")
    stored = fields.text("sha256")
    rest = {key: value for key, value in document.items() if key not in ("format", "version", "sha256")}
    if stored != checksum(rest):
        raise FieldError("field sha256 does not match the content: the file is damaged or was edited")
    task = fields.text("task", among=tuple(_ESTIMATORS))
    target, kind, classes = _target(fields.object("target"), task)
    encoder = _encoder(fields.object("encoder"))
    n_features = len(encoder.features)
    model = Model(
        task=task,
        target=target,
        kind=kind,
        classes=classes,
        offset=fields.text_or_none("offset"),
        weight=fields.text_or_none("weight"),
        encoder=encoder,
        estimator=_estimator(fields, task, len(classes), n_features, version),
        spread=fields.array("spread", [(n_features,)]),
        summary=_summary(fields.object("summary")),
        choice=None if version < 3 or fields.is_null("choice") else _choice(fields.object("choice")),
        versions=_versions(fields.object("versions"), document["versions"]),
    )
    fields.end()
    if model.offset is not None and task != "regression":
        raise FieldError("field offset must be null for a classification")
    if len(set(model.columns)) != len(model.columns) or target in model.columns:
        raise FieldError("field encoder.columns must hold distinct names that are neither target nor offset")
    return model


def _target(fields: Fields, task: str) -> tuple[str, str, list[Any]]:
    column, kind = fields.text("column"), fields.text("kind", among=("number", "text"))
    least = 2 if task == "classification" else 0
    valid, rule = (is_text, "text") if kind == "text" else (is_label, "a number, true or false")
    classes = fields.list("classes", most=MAX_CATEGORIES if least else 0, rule=rule, valid=valid)
    if len(classes) < least or len({type(label) for label in classes}) > 1 or classes != sorted(set(classes)):
        fields.refuse("classes", f"at least {least} sorted labels of one type, none twice", classes)
    fields.end()
    return column, kind, classes


def _encoder(fields: Fields) -> Encoder:
    dtype = fields.text("dtype", among=("float32", "float64"))
    columns = fields.list("columns", most=MAX_ITEMS, rule="an object", valid=lambda value: isinstance(value, dict))
    where = fields.path("columns")
    encoder = Encoder(tuple(_column(Fields(value, f"{where}[{i}]")) for i, value in enumerate(columns)), dtype)
    if not columns:
        fields.refuse("columns", "at least one column", columns)
    fields.end()
    return encoder


def _column(fields: Fields) -> Column:
    name, kind = fields.text("name"), fields.text("kind", among=("number", "text"))
    if kind == "number":
        fill = fields.number("fill")
        fields.list("categories", most=0, rule="nothing", valid=lambda value: False)
        fields.end()
        return Column(name, kind, fill=fill)
    fill = fields.take("fill")
    if fill is not None:
        fields.refuse("fill", "null", fill)
    categories = fields.list(
        "categories",
        most=MAX_CATEGORIES,
        rule="text or null",
        valid=lambda value: value is None or is_text(value),
    )
    if not categories or len(set(categories)) != len(categories):
        fields.refuse("categories", "at least one text, none twice", categories)
    fields.end()
    return Column(name, kind, categories=tuple(categories))


def _estimator(fields: Fields, task: str, n_classes: int, n_features: int, version: int) -> Estimator:
    """A fitted estimator of the one class that the task allows, of the shape that encoder and target have."""
    import gdfast

    document = fields.take("estimator")
    if version == 1 and isinstance(document, dict):
        document = {**_without_history(n_classes, n_features), **document}
    estimator: Estimator = read_estimator(Fields(document, "estimator"), getattr(gdfast, _ESTIMATORS[task]))
    if estimator.n_features_in_ != n_features:
        raise FieldError(f"field estimator.n_features must be {n_features}, got {estimator.n_features_in_}")
    codes = np.arange(n_classes).tolist()
    if n_classes and estimator.classes_.tolist() != codes:
        raise FieldError(f"field estimator.classes must be {short(codes)}, got {short(estimator.classes_.tolist())}")
    return estimator


def _without_history(n_classes: int, n_features: int) -> dict[str, Any]:
    """What files of version 1 do not say of an estimator."""
    return {
        "format": ESTIMATOR_FORMAT,
        "version": 1,
        "gdfast": "",
        "n_features": n_features,
        "n_outputs": n_classes if n_classes > 2 else 1,
        "feature_names": None,
        "classes": {"dtype": "int64", "values": list(range(n_classes))} if n_classes else None,
        "t": None,
        "loss_curve": None,
        "validation_curve": None,
        "standing": None,
    }


def _summary(fields: Fields) -> dict[str, Any]:
    summary = {
        "rows": fields.count("rows"),
        "held_out_rows": fields.count("held_out_rows"),
        "converged": fields.boolean("converged"),
        "message": fields.text("message"),
        "scores": fields.list("scores", most=100, rule="a name and two numbers", valid=_is_score),
    }
    fields.end()
    return summary


def _choice(fields: Fields) -> Choice:
    points = fields.list("points", most=MAX_ITEMS, rule="a point of the grid and its score", valid=_is_point)
    best, simplest = fields.count("best"), fields.count("simplest")
    for key, value in (("best", best), ("simplest", simplest)):
        if value >= len(points):
            fields.refuse(key, f"one of the {len(points)} points", value)
    words, scoring, rule = fields.text("folds"), fields.text("scoring"), fields.text("rule", among=RULES)
    fields.end()
    return Choice(words, scoring, rule, [Point(*values) for values in points], best, simplest)


def _is_point(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != len(Point._fields):
        return False
    *numbers, count = value
    valid = all(map(is_number, numbers[:2])) and all(part is None or is_number(part) for part in numbers[2:])
    return valid and (count is None or (type(count) is int and count >= 0))


def _is_score(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    return is_text(value[0]) and all(part is None or is_number(part) for part in value[1:])


def _versions(fields: Fields, names: Iterable[Any]) -> dict[str, str]:
    versions = {name: fields.text(name) for name in list(names)[:100] if is_text(name)}
    fields.end()
    return versions
