"""What an operator says of itself: whether it takes records by field, which fields, and its configuration.

The package that makes components writes this into the component as its description, so that the host checks edges and
configuration before a run.
"""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ._operators import Operator, config_type, record_type
from ._records import element_type, hints, is_record_class
from ._shape import FieldError, Record, columns_of, record_of

#: Kinds whose records come from a function.
GIVING = ("map", "flat-map", "process", "source")
#: Most characters of `docs`.
_MOST_DOCS = 2000


class Fields(NamedTuple):
    """The records of an operator by field."""

    reads: Optional[Record]
    gives: Optional[Record]
    #: Side outputs by name.
    ports: Tuple[Tuple[str, Record], ...]
    #: Whether an output keeps the other fields of its input.
    extends: bool
    #: Whether a function takes whole columns.
    is_batch: bool


def fields_of(operator: "Operator[Any]") -> Optional[Fields]:
    """The fields of an operator, if all records that it takes and gives are dataclasses. ``None`` if it takes and gives
    payloads."""
    options, kind = operator.options, operator.kind
    is_batch, extends = bool(options.get("batch")), bool(options.get("extends"))
    takes = None if kind == "source" else record_type(operator)
    gives = _given_type(operator) if kind in GIVING else None
    ports = options.get("ports", ())
    classes = [each for each in (takes, gives) if each is not None]
    by_field = (
        not options.get("payload")
        and (kind == "source" or is_record_class(takes))
        and (kind not in GIVING or is_record_class(gives) or (kind == "process" and gives is None and bool(ports)))
        and (not ports or isinstance(ports, dict))
    )
    if not by_field:
        _payload_only(operator, classes, is_batch, extends, ports)
        return None
    read = columns_of if is_batch else record_of
    return Fields(
        None if takes is None else read(takes),
        None if gives is None else read(gives),
        tuple((name, read(each)) for name, each in dict(ports).items()),
        extends,
        is_batch,
    )


def _payload_only(operator: "Operator[Any]", classes: List[Any], is_batch: bool, extends: bool, ports: Any) -> None:
    """Refuses what goes with fields only."""
    name = operator.function.__qualname__
    shown = ", ".join(getattr(each, "__qualname__", str(each)) for each in classes) or "no dataclass"
    for given, what in ((is_batch, f"{operator.kind.replace('-', '_')}_batch"), (extends, "extends=True")):
        if given:
            raise FieldError(
                f"{name} has {what}, which goes with records by field, and its annotations are {shown}",
                "annotate what it takes and gives with dataclasses",
            )
    if isinstance(ports, dict) and ports:
        raise FieldError(
            f"{name} has ports with the types of their records, and its own annotations are {shown}",
            "annotate what it takes and gives with dataclasses, or name the ports in a list",
        )


def _given_type(operator: "Operator[Any]") -> Any:
    """The class of the records that a function gives."""
    annotation = hints(operator.function).get("return")
    if operator.options.get("batch"):
        if operator.kind == "process":
            annotation = _first_class(annotation)
        return annotation
    if operator.kind == "map":
        return annotation
    return _first_class(annotation)


def _first_class(annotation: Any) -> Any:
    """The dataclass in ``Celsius``, ``Optional[Celsius]``, ``Iterator[Celsius]`` or ``Iterator[Celsius | To]``."""
    from ._records import Emit, To

    if annotation is None or annotation is type(None) or annotation in (To, Emit):
        return None
    if typing.get_origin(annotation) in (To, Emit):
        return None if typing.get_origin(annotation) is To else typing.get_args(annotation)[0]
    arguments = typing.get_args(annotation)
    if not arguments:
        return annotation
    found = [each for each in map(_first_class, arguments) if each is not None]
    return found[0] if found and all(each is found[0] for each in found) else (annotation if found else None)


def description(operator: "Operator[Any]", config: Any = None) -> Dict[str, Any]:
    """The description of an operator. ``config`` is the class whose fields are the configuration, if it is no parameter.

    >>> from sage_guest import map
    >>> @dataclasses.dataclass
    ... class Reading:
    ...     fahrenheit: float
    >>> @map
    ... def to_celsius(reading: Reading) -> Reading:
    ...     "Converts."
    ...     return Reading((reading.fahrenheit - 32) / 1.8)
    >>> made = description(to_celsius)
    >>> made["docs"], made["gives"]
    ('Converts.', [{'name': 'fahrenheit', 'type': 'f64', 'nullable': False}])
    """
    made: Dict[str, Any] = {"version": 1}
    docs = inspect.getdoc(operator.function if config is None else config)
    if docs and not _is_made(docs, config):
        made["docs"] = "".join(letter for letter in docs if letter.isprintable() or letter == "\n")[:_MOST_DOCS]
    settings = config if config is not None else config_type(operator)
    if is_record_class(settings):
        made["config"] = config_schema(settings)
    fields = fields_of(operator)
    if fields is None:
        return made
    if fields.reads is not None:
        made["reads"] = fields.reads.described(reads=True)
    elif operator.kind == "source":
        made["reads"] = []
    if operator.kind in GIVING:
        made["gives"] = [] if fields.gives is None else fields.gives.described(reads=False)
    if fields.extends:
        made["rest"] = "keep"
    if fields.ports:
        made["ports"] = [{"name": name, "gives": each.described(reads=False)} for name, each in fields.ports]
    return made


def _is_made(docs: str, config: Any) -> bool:
    """Whether a docstring is the one that ``@dataclass`` makes."""
    return config is not None and docs.startswith(f"{config.__name__}(")


def config_schema(cls: type, depth: int = 0) -> Dict[str, Any]:
    """The JSON Schema of a dataclass that is a configuration.

    >>> @dataclasses.dataclass
    ... class Config:
    ...     offset: float = 0.0
    >>> config_schema(Config)["properties"]
    {'offset': {'type': 'number', 'default': 0.0}}
    """
    annotations = hints(cls)
    properties, required = {}, []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        schema = _schema(annotations.get(field.name), depth)
        if field.metadata.get("docs"):
            schema["description"] = str(field.metadata["docs"])
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
        elif isinstance(field.default, (bool, int, float, str)):
            schema["default"] = field.default
        properties[field.name] = schema
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": depth > 0}


_WORDS = {str: "string", bool: "boolean", int: "integer", float: "number"}


def _schema(annotation: Any, depth: int) -> Dict[str, Any]:
    if annotation in _WORDS:
        return {"type": _WORDS[annotation]}
    if typing.get_origin(annotation) is list:
        return {"type": "array", "items": _schema(element_type(annotation), depth)}
    if is_record_class(annotation) and depth < 8:
        return config_schema(annotation, depth + 1)
    # Anything else has its say when the operator opens.
    return {}
