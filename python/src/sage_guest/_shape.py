"""Records by field: what the fields of a dataclass are in the contract, by their annotations."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import re
import types
import typing
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ._records import hints, is_record_class

#: Types of the contract that hold whole numbers, with the number of bits and whether there is a sign.
WHOLE = {f"{sign}{bits}": (bits, sign == "s") for sign in "su" for bits in (8, 16, 32, 64)}
_PLAIN = {
    str: "string",
    bytes: "bytes",
    bool: "bool",
    int: "s64",
    float: "f64",
    datetime.datetime: "timestamp",
    datetime.date: "date",
}
#: Annotations whose values are JSON.
_JSON = (Any, object, dict, Dict)
_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")
#: What an annotation such as `Annotated[int, "u8"]` may say, by its type of Python.
_NAMED = {int: tuple(WHOLE), float: ("f32", "f64"), str: ("string", "json"), decimal.Decimal: ("decimal(18, 4)",)}
_SEQUENCES = (list, typing.List, collections.abc.Sequence)

_TYPES = (
    "a field is str, bytes, bool, int, float, datetime, date, Decimal, Any (any value of JSON), a list of one of these, "
    "or a dataclass of these; Optional if it may be missing"
)


class FieldError(TypeError):
    """A dataclass that cannot be a record by field."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


class Value(NamedTuple):
    """The type of a value: a field, an element of a list, or a member of a struct."""

    #: The word of the contract: ``s64``, ``list``, ``struct``, …
    type: str
    nullable: bool
    #: Precision and scale of a decimal.
    digits: Tuple[int, int] = (0, 0)
    #: The elements of a list.
    element: "Optional[Value]" = None
    #: The class and the members of a struct.
    record: "Optional[Record]" = None
    #: Whether a value of type ``json`` is its text, and not what the text says.
    is_text: bool = False

    def written(self) -> str:
        """The type as a description has it."""
        if self.type == "decimal":
            return f"decimal({self.digits[0]},{self.digits[1]})"
        if self.type == "list" and self.element is not None:
            return f"list<{self.element.written()}{'?' if self.element.nullable else ''}>"
        return self.type


class Field(NamedTuple):
    """A field of a dataclass."""

    #: The attribute of the class.
    attribute: str
    #: The name in the data.
    name: str
    value: Value
    docs: str
    #: What stands in the record if the data have no value: a default of the dataclass.
    default: Any = dataclasses.MISSING
    factory: Any = dataclasses.MISSING
    is_keyword: bool = False

    @property
    def has_default(self) -> bool:
        """Whether the dataclass has a value where the data have none."""
        return self.default is not dataclasses.MISSING or self.factory is not dataclasses.MISSING

    def described(self, reads: bool) -> Dict[str, Any]:
        """The field as a description has it. A field with a default may be missing in the data that are read."""
        nullable = self.value.nullable or (reads and self.has_default)
        made: Dict[str, Any] = {"name": self.name, "type": self.value.written(), "nullable": nullable}
        if self.docs:
            made["docs"] = self.docs
        if self.value.record is not None:
            made["fields"] = [member.described(reads) for member in self.value.record.fields]
        return made


class Record(NamedTuple):
    """A dataclass, and its fields in their order."""

    cls: type
    fields: Tuple[Field, ...]

    def described(self, reads: bool) -> List[Dict[str, Any]]:
        """The fields as a description has them."""
        return [field.described(reads) for field in self.fields]


def record_of(cls: type) -> Record:
    """The fields of a dataclass.

    >>> @dataclasses.dataclass
    ... class Reading:
    ...     sensor: str
    ...     celsius: Optional[float] = None
    >>> record_of(Reading).described(reads=True)
    [{'name': 'sensor', 'type': 'string', 'nullable': False}, {'name': 'celsius', 'type': 'f64', 'nullable': True}]
    """
    return _record(cls, cls.__qualname__, columns=False, depth=0)


def columns_of(cls: type) -> Record:
    """The fields of a dataclass of columns, each of which is a sequence of values.

    >>> @dataclasses.dataclass
    ... class Readings:
    ...     sensor: collections.abc.Sequence[str]
    >>> columns_of(Readings).described(reads=True)
    [{'name': 'sensor', 'type': 'string', 'nullable': False}]
    """
    return _record(cls, cls.__qualname__, columns=True, depth=0)


def _record(cls: type, place: str, columns: bool, depth: int) -> Record:
    annotations = hints(cls, extras=True)
    made = []
    for field in dataclasses.fields(cls):
        where = f"field {field.name!r} of {place}"
        if not field.init:
            raise FieldError(f"{where} is no parameter of the dataclass", "leave out field(init=False)")
        annotation = annotations.get(field.name)
        if annotation is None:
            raise FieldError(f"{where} has an annotation that cannot be read: {field.type!r}", "import its names")
        if columns:
            annotation = _column(annotation, where)
        name = field.metadata.get("name", field.name)
        docs = field.metadata.get("docs", "")
        value = _value(annotation, where, depth)
        made.append(Field(field.name, name, value, docs, field.default, field.default_factory, field.kw_only is True))
    if not made:
        raise FieldError(f"{place} has no fields", "a record by field has at least one")
    return Record(cls, tuple(made))


def _column(annotation: Any, where: str) -> Any:
    """The type of the values of a column."""
    bare = typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
    if typing.get_origin(bare) not in _SEQUENCES:
        raise FieldError(
            f"{where} is {_word(annotation)}, and no column", "write Column[float], with the type of a value"
        )
    return typing.get_args(bare)[0]


def _value(annotation: Any, where: str, depth: int) -> Value:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        some = [each for each in arguments if each is not type(None)]
        if len(some) == 1 and len(arguments) == 2:
            return _value(some[0], where, depth)._replace(nullable=True)
        raise FieldError(f"{where} is one of several types, {_word(annotation)}", "annotate Any, for any value of JSON")
    if origin is typing.Annotated:
        words = [word for word in arguments[1:] if isinstance(word, str)]
        return _named(arguments[0], words[0], where) if words else _value(arguments[0], where, depth)
    if annotation in _JSON or origin is dict:
        return Value("json", False)
    if annotation in _PLAIN:
        return Value(_PLAIN[annotation], False)
    if annotation is decimal.Decimal:
        raise FieldError(f"{where} is a Decimal without its digits", 'write Annotated[Decimal, "decimal(18, 4)"]')
    if origin in _SEQUENCES and depth == 0:
        return Value("list", False, element=_value(arguments[0], f"an element of {where}", 1))
    if is_record_class(annotation) and depth == 0:
        return Value("struct", False, record=_record(annotation, f"{where} ({annotation.__qualname__})", False, 1))
    if depth and (origin in _SEQUENCES or is_record_class(annotation)):
        raise FieldError(
            f"{where} is {_word(annotation)}, and lists and dataclasses are one level deep",
            "annotate Any, for any value of JSON",
        )
    raise FieldError(f"{where} is {_word(annotation)}, which no field is", _TYPES)


def _named(python: Any, word: str, where: str) -> Value:
    if python is decimal.Decimal:
        found = _DECIMAL.fullmatch(word)
        if found is not None and 1 <= int(found[1]) <= 38 and int(found[2]) <= int(found[1]):
            return Value("decimal", False, digits=(int(found[1]), int(found[2])))
    elif word in _NAMED.get(python, ()):
        return Value(word, False, is_text=python is str)
    known = ", ".join(f'"{each}"' for each in _NAMED.get(python, ()))
    raise FieldError(f"{where} is {_word(python)} as {word!r}, which no field is", f"it may be {known or 'nothing'}")


def _word(annotation: Any) -> str:
    return (
        annotation.__qualname__ if isinstance(annotation, type) and not typing.get_args(annotation) else str(annotation)
    )
