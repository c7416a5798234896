"""Estimators that travel: as a document of plain values, checked field by field on arrival, and as a pickle.

A document holds what JSON can hold, floats exactly, and no code. Its fields, in any order, none missing, none else:

    format, version       "gdfast-estimator", 1
    gdfast                the version that wrote it
    class, params         "GDClassifier" or "GDRegressor", and its parameters; those that the document of another
                          version of gdfast lacks have their default
    n_features, n_outputs shape of the model: a classifier has one output for two classes, else one per class
    feature_names         list of text, or null
    classes               labels, {"dtype": "int64", "values": [0, 1, 2]}; null for a regressor
    coef, intercept       {"dtype": "<f8", "shape": [1, 3], "base64": ...}
    n_iter, t, loss       numbers; t may be null
    loss_curve, validation_curve   arrays or null
    standing              where the rule stands, for `partial_fit` to go on: rule, weight, rows and state, which is
                          null after solver "auto"; null in what has no past

The model file (`modelfile.py`) holds such a document for its estimator.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gdfast._fields import MAX_ITEMS, FieldError, Fields, array_document, is_label, is_number, is_text
from gdfast._messages import short, warn
from gdfast._types import Array
from gdfast.exceptions import ModelFileError, ModelVersionWarning

__all__ = ["FORMAT", "VERSION", "Checked", "Portable", "estimator_document", "read_estimator"]

FORMAT = "gdfast-estimator"
VERSION = 1

_PLAIN = (str, bool, int, float, type(None))
_NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64")
_LARGEST_LABELS = 2**24  # characters in all of an array of text labels
_STATE_ARRAYS = ("weights", "velocity", "square", "mean")

_Self = TypeVar("_Self", bound="Portable")


class Checked:
    """Pickles that are checked on arrival; what else they do is scikit-learn's."""

    if TYPE_CHECKING:

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

    def __getstate__(self) -> dict[str, Any]:
        import gdfast

        return {**super().__getstate__(), "_gdfast_version": gdfast.__version__}  # type: ignore[misc]

    def __setstate__(self, state: Any) -> None:
        import gdfast

        if not isinstance(state, dict):
            raise ValueError(f"state of {type(self).__name__} must be a dict, got {short(state)}")
        state = dict(state)
        version = state.pop("_gdfast_version", "an unknown version")
        name = type(self).__name__
        if version != gdfast.__version__:
            warn(
                f"{name} was pickled by gdfast {version}, this is gdfast {gdfast.__version__}: it may not work, or not"
                " as it did. Models that shall last belong into to_dict() or a model file.",
                ModelVersionWarning,
            )
            state = {**type(self)().get_params(deep=False), **state}  # for parameters that it did not have yet
        _check_state(type(self), state)
        super().__setstate__(state)  # type: ignore[misc]


class Portable:
    """The methods by which an estimator leaves as a document and arrives."""

    if TYPE_CHECKING:

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

    def to_dict(self) -> dict[str, Any]:
        """The fitted estimator as a dict of plain values: strings, numbers, lists, None.

        Returns
        -------
        document : dict
            `json.dumps` writes it, `from_dict` reads it. Floats are exact, labels keep their type. ``n_threads`` and
            ``callback`` are left out: they are no part of a model.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError
            If a parameter is neither text nor number, as ``random_state=RandomState(0)``, or a label is of another
            type than text, number or bool.

        Examples
        --------
        >>> import json
        >>> from gdfast import GDClassifier
        >>> model = GDClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
        >>> text = json.dumps(model.to_dict())
        >>> again = GDClassifier.from_dict(json.loads(text))
        >>> bool((again.coef_ == model.coef_).all()), again.classes_
        (True, array(['no', 'yes'], dtype='<U3'))
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)
        return estimator_document(self)

    @classmethod
    def from_dict(cls: type[_Self], document: dict[str, Any]) -> _Self:
        """The fitted estimator of a document that `to_dict` made.

        Parameters
        ----------
        document : dict
            Whoever wrote it: each field is checked before it is used, and nothing in it is run.

        Returns
        -------
        estimator : object
            Fitted, with the very same numbers. `partial_fit` goes on as that of the original would.

        Raises
        ------
        gdfast.exceptions.ModelFileError
            A ValueError: if a field is missing, unknown, or not as it must be; the message names it.

        Examples
        --------
        >>> from gdfast import GDRegressor
        >>> model = GDRegressor().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
        >>> document = model.to_dict()
        >>> GDRegressor.from_dict(document).predict([[7.0]]) == model.predict([[7.0]])
        array([ True])
        >>> GDRegressor.from_dict({**document, "n_features": 2})
        Traceback (most recent call last):
        gdfast.exceptions.ModelFileError: GDRegressor document: field coef.shape must be [2], got [1]
        """
        try:
            estimator: _Self = read_estimator(Fields(document, ""), cls)
            return estimator
        except FieldError as error:
            raise ModelFileError(f"{cls.__name__} document: {error}") from None
        except RecursionError:
            raise ModelFileError(f"{cls.__name__} document: is nested too deeply") from None


# ------------------------------------------------------------------------------------------------ writing


def estimator_document(estimator: Any) -> dict[str, Any]:
    """A fitted estimator as a dict of plain values; see the module.

    Parameters
    ----------
    estimator : GDRegressor or GDClassifier

    Returns
    -------
    document : dict

    Raises
    ------
    ValueError
        When a parameter or label is nothing that a document can hold.
    """
    import gdfast
    from gdfast._sparse_coef import dense

    fitted = vars(estimator)
    estimator_class = type(estimator)
    classes, names, t = fitted.get("classes_"), fitted.get("feature_names_in_"), fitted.get("t_")
    coef = dense(estimator.coef_)
    if classes is None and len(np.atleast_2d(coef)) == 1:
        coef = coef.reshape(-1)  # that of a sparse matrix has two dimensions
    return {
        "format": FORMAT,
        "version": VERSION,
        "gdfast": gdfast.__version__,
        "class": estimator_class.__name__,
        "params": _params_document(estimator),
        "n_features": int(estimator.n_features_in_),
        "n_outputs": len(np.atleast_2d(coef)),
        "feature_names": None if names is None else [str(name) for name in names],
        "classes": None if classes is None else _labels_document(classes),
        "coef": array_document(coef),
        "intercept": array_document(np.atleast_1d(estimator.intercept_)),
        "n_iter": int(estimator.n_iter_),
        "t": None if t is None else float(t),
        "loss": float(estimator.loss_),
        "loss_curve": _array_or_null(fitted.get("loss_curve_")),
        "validation_curve": _array_or_null(fitted.get("validation_curve_")),
        "standing": _standing_document(fitted.get("_standing")),
        **({"n_passes": int(estimator.n_passes_)} if "n_passes_" in fitted else {}),  # the first files had none
    }


def _array_or_null(values: Array | None) -> dict[str, Any] | None:
    return None if values is None else array_document(values)


def _params_document(estimator: Any) -> dict[str, Any]:
    # How many threads compute a model is no part of it: the same model is the same document.
    params: dict[str, Any] = estimator.get_params(deep=False)
    params |= dict.fromkeys(params.keys() & {"n_threads", "callback"})
    for name, value in params.items():
        value = params[name] = _plain(value)
        if name == "class_weight" and isinstance(value, dict):
            value = params[name] = [[_plain(label), _plain(weight)] for label, weight in value.items()]
            plain = all(isinstance(part, _PLAIN) for pair in value for part in pair)
        elif name == "bounds" and value is not None:
            value = params[name] = [_limits_document(limits) for limits in value]
            plain = True
        else:
            plain = isinstance(value, _PLAIN) and (not isinstance(value, float) or math.isfinite(value))
        if not plain:
            raise ValueError(f"{name} must be text, a number or None to be saved, got {short(value)}")
    return params


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _labels_document(classes: Array) -> dict[str, Any]:
    values, kind = classes.tolist(), classes.dtype.name
    if classes.dtype.kind == "U":
        width = classes.dtype.itemsize // 4
        kind = f"U{width if width * len(values) <= _LARGEST_LABELS else max(map(len, values))}"
    if classes.dtype.kind in "UO":
        savable = all(is_text(value) for value in values)
    else:
        savable = kind == "bool" or (kind in _NUMBERS and all(map(is_number, values)))
    if not savable:
        raise ValueError(f"labels must be text, numbers or bool to be saved, got dtype {classes.dtype}")
    return {"dtype": kind, "values": values}


def _standing_document(standing: Any) -> dict[str, Any] | None:
    if standing is None:
        return None
    state: dict[str, Any] | None = None
    if standing.state is not None:
        state = {name: _array_or_null(getattr(standing.state, name)) for name in _STATE_ARRAYS}
        state |= {"t": standing.state.t, "epoch": standing.state.epoch, "eta": float(standing.state.eta)}
    return {"rule": list(standing.rule), "weight": standing.weight, "rows": standing.rows, "state": state}


# ------------------------------------------------------------------------------------------------ reading


def read_estimator(fields: Fields, estimator_class: Any) -> Any:
    """A fitted estimator of the one class that is allowed, from a document that is trusted in nothing.

    Parameters
    ----------
    fields : Fields
        The document.
    estimator_class : type
        GDRegressor or GDClassifier, or made from one of them.

    Returns
    -------
    estimator : object

    Raises
    ------
    FieldError
        When a field is not as it must be.
    """
    import gdfast

    if fields.take("format") != FORMAT:
        raise FieldError("is not that of a gdfast estimator")
    if fields.count("version") != VERSION:
        raise FieldError(f"is of another format version, this gdfast reads version {VERSION}")
    older = fields.text("gdfast") != gdfast.__version__
    fields.text("class", among=(estimator_class.__name__,))
    estimator = estimator_class(**_params(fields, estimator_class, older))
    try:
        estimator._validate_params()
    except (TypeError, ValueError) as error:
        raise FieldError(f"field {fields.path('params')}: {' '.join(str(error).split())}") from None
    d, k = fields.count("n_features", 1), fields.count("n_outputs", 1)
    names = _names(fields, d)
    classes = None
    if hasattr(estimator_class, "decision_function"):
        classes = _labels(fields, k)
    else:
        fields.null("classes")
    fitted = {
        "n_features_in_": d,
        "coef_": fields.array("coef", [(d,) if classes is None and k == 1 else (k, d)]),
        "intercept_": fields.array("intercept", [(k,)]),
        "n_iter_": fields.count("n_iter"),
        "n_passes_": fields.count("n_passes") if fields.has("n_passes") else None,
        "t_": fields.number_or_none("t"),
        "loss_": fields.number("loss"),
        "loss_curve_": fields.array_or_none("loss_curve"),
        "validation_curve_": fields.array_or_none("validation_curve"),
        "classes_": classes,
        "feature_names_in_": names,
        "_standing": _standing(fields, k * d + k),
    }
    fields.end()
    fitted = {name: value for name, value in fitted.items() if value is not None}
    if "loss_curve_" in fitted:
        curve = fitted.setdefault("validation_curve_", None)
        fitted["best_validation_loss_"] = None if curve is None or not len(curve) else float(curve.min())
    vars(estimator).update(fitted)
    return estimator


def _limits_document(limits: Any) -> Any:
    """Lower or upper bounds as numbers in lists; null where there is none."""
    if isinstance(limits, (list, tuple, np.ndarray)):
        return [_limits_document(limit) for limit in limits]
    return None if limits is None or math.isinf(limits) else _plain(limits)


def _params(fields: Fields, estimator_class: Any, older: bool) -> dict[str, Any]:
    """Parameters by name, each a plain value; what another version did not have is left to its default."""
    known = estimator_class._get_param_names()
    given = fields.object("params")
    params: dict[str, Any] = {name: given.take(name) for name in known if given.has(name) or not older}
    given.end()
    for name, value in params.items():
        if name == "class_weight" and isinstance(value, list):
            params[name] = _class_weight(given, value)
        elif name == "bounds" and isinstance(value, list) and len(value) == 2:
            low, high = value
            params[name] = _limits(given, low, -math.inf), _limits(given, high, math.inf)
        elif not (value is None or isinstance(value, bool) or is_text(value) or is_number(value)):
            given.refuse(name, "text, a number or null", value)
    return params


def _limits(fields: Fields, limits: Any, missing: float) -> Any:
    if isinstance(limits, list):
        return [_limits(fields, limit, missing) for limit in limits]
    if limits is not None and not is_number(limits):
        fields.refuse("bounds", "numbers, null where there is none", limits)
    return missing if limits is None else limits


def _class_weight(fields: Fields, pairs: list[Any]) -> dict[Any, float]:
    for i, pair in enumerate(pairs):
        if not (isinstance(pair, list) and len(pair) == 2 and _is_label(pair[0]) and is_number(pair[1])):
            fields.refuse(f"class_weight[{i}]", "a label and its weight", pair)
    return dict(pairs)


def _is_label(value: Any) -> bool:
    return is_text(value) or is_label(value)


def _names(fields: Fields, d: int) -> Array | None:
    if fields.is_null("feature_names"):
        return None
    names = fields.list("feature_names", most=MAX_ITEMS, rule="text", valid=is_text)
    if len(names) != d:
        fields.refuse("feature_names", f"{d} names", names)
    return np.array(names, dtype=object)


def _labels(fields: Fields, k: int) -> Array:
    """Sorted labels of one type, as many as a classifier of k outputs tells apart."""
    fields = fields.object("classes")
    kind = fields.text("dtype")
    width = int(kind[1:]) if kind[:1] == "U" and kind[1:].isascii() and kind[1:].isdigit() and len(kind) < 9 else 0
    if not width and kind not in ("object", "bool", *_NUMBERS):
        fields.refuse("dtype", "object, bool, U and a width, or a type of numbers", kind)
    if kind == "bool":
        valid, rule = (lambda value: isinstance(value, bool)), "true or false"
    elif kind == "object" or width:
        valid, rule = is_text, "text"
    else:
        valid, rule = (lambda value: _fits(value, np.dtype(kind))), f"a number of type {kind}"
    values = fields.list("values", most=MAX_ITEMS, rule=rule, valid=valid)
    if len(values) != (2 if k == 1 else k) or values != sorted(set(values)):
        fields.refuse("values", f"{2 if k == 1 else k} sorted labels, none twice", values)
    if width and not max(map(len, values)) <= width <= max(max(map(len, values)), _LARGEST_LABELS // len(values)):
        fields.refuse("dtype", "as wide as the labels", kind)
    fields.end()
    return np.array(values, dtype=kind)


def _fits(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether a type of numbers holds the value exactly."""
    if dtype.kind in "iu":
        return type(value) is int and np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    with np.errstate(over="ignore"):
        return type(value) is float and is_number(value) and float(dtype.type(value)) == value


def _standing(fields: Fields, size: int) -> Any:
    from gdfast._result import RuleState
    from gdfast.streaming import Standing

    if fields.is_null("standing"):
        return None
    fields = fields.object("standing")
    rule = fields.list("rule", most=4, rule="text, a number, true or false", valid=lambda v: isinstance(v, _PLAIN[:3]))
    if list(map(type, rule)) != [str, bool, int, bool] or rule[2] < 0:
        fields.refuse("rule", "a solver, whether it has momentum, where it averages, whether its rate is found", rule)
    weight, rows = fields.number("weight"), fields.count("rows", 1)
    if weight <= 0:
        fields.refuse("weight", "> 0", weight)
    state = None
    if not fields.is_null("state"):
        given = fields.object("state")
        arrays: dict[str, Any] = {name: given.array_or_none(name, [(size,)]) for name in _STATE_ARRAYS}
        state = RuleState(**arrays, t=given.count("t"), epoch=given.count("epoch"), eta=given.number("eta"))
        if state.weights is None or state.eta < 0:
            given.refuse("eta" if state.eta < 0 else "weights", ">= 0 and present", None)
        given.end()
    fields.end()
    return Standing(tuple(rule), state, weight, rows)


# ------------------------------------------------------------------------------------------------ pickles


def _check_state(estimator_class: Any, state: dict[str, Any]) -> None:
    """Raise ValueError naming the attribute, unless predictions and `partial_fit` can rely on the state of a pickle."""
    where = f"state of {estimator_class.__name__}"
    needed = list(estimator_class._get_param_names())
    classifier = hasattr(estimator_class, "decision_function")
    if any(name in state for name in ("coef_", "intercept_", "n_features_in_")):
        needed += ["coef_", "intercept_", "n_features_in_", *(["classes_"] if classifier else [])]
    for name in needed:
        if name not in state:
            raise ValueError(f"{where} is damaged: {name} is missing")
    if "coef_" not in state:
        return
    try:
        _check_fitted(state, classifier)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{where} is damaged: {error}") from None


def _check_fitted(state: dict[str, Any], classifier: bool) -> None:
    from gdfast._arguments import count
    from gdfast.streaming import Standing

    d, coef = count(state["n_features_in_"], "n_features_in_"), state["coef_"]
    if hasattr(coef, "check_format"):
        coef.check_format(full_check=True)
        coef = coef.data
    _check_floats(coef, "coef_", None)
    shape = state["coef_"].shape
    k = 1 if len(shape) == 1 else shape[0]
    if shape not in ((k, d), () if classifier else (d,)) or k == 0:
        raise ValueError(f"coef_ must be of shape ({k}, {d}), got {shape}")
    _check_floats(state["intercept_"], "intercept_", (k,))
    if classifier:
        classes = state["classes_"]
        if not isinstance(classes, np.ndarray) or classes.shape != (2 if k == 1 else k,):
            raise ValueError(f"classes_ must be {2 if k == 1 else k} labels, got {short(classes)}")
    names = state.get("feature_names_in_")
    if names is not None and (getattr(names, "shape", None) != (d,) or not all(map(is_text, names))):
        raise ValueError(f"feature_names_in_ must be {d} names, got {short(names)}")
    if not is_number(_plain(state.get("t_", 1.0))):
        raise ValueError(f"t_ must be a number, got {short(state['t_'])}")
    standing = state.get("_standing")
    if standing is None:
        return
    if not (isinstance(standing, Standing) and is_number(standing.weight) and standing.weight > 0):
        raise ValueError(f"_standing must be one, of a weight > 0, got {short(standing)}")
    count(standing.rows, "_standing.rows")
    if standing.state is not None:
        for name in _STATE_ARRAYS:
            values = getattr(standing.state, name)
            if values is not None or name == "weights":
                _check_floats(values, f"_standing.state.{name}", (k * d + k,))


def _check_floats(values: Any, name: str, shape: tuple[int, ...] | None) -> None:
    if not isinstance(values, np.ndarray) or values.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} must be an array of floats, got {short(values)}")
    if shape is not None and values.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must hold finite numbers")
