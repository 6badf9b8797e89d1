"""Records as values of Python: what a function takes, by its annotation, and what it gives."""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import traceback
import typing
from typing import Any, Callable, Dict, Generic, Iterable, Optional, Tuple, Type, TypeVar

T = TypeVar("T")

#: The values of a field in all records of a batch.
Column = collections.abc.Sequence


class Reject(Exception):
    """This record, and only this one, is not taken."""


class To(Generic[T]):
    """An output of ``process`` or ``source`` on a side output: ``yield To("late", record)``.

    >>> To("late", {"id": 1})
    To('late', {'id': 1})
    """

    __slots__ = ("port", "record")

    def __init__(self, port: str, record: T) -> None:
        self.port = port
        self.record = record

    def __repr__(self) -> str:
        return f"To({self.port!r}, {self.record!r})"


class Emit(Generic[T]):
    """Records that ``process_batch`` gives: columns, and for each record the number of the input record that it comes
    from, whose key it has. ``port`` is a side output.

    >>> Emit([1.5], parents=[0])
    Emit([1.5], parents=[0])
    """

    __slots__ = ("columns", "parents", "port")

    def __init__(self, columns: T, parents: Iterable[int] = (), port: Optional[str] = None) -> None:
        self.columns = columns
        self.parents = list(parents)
        self.port = port

    def __repr__(self) -> str:
        return f"Emit({self.columns!r}, parents={self.parents!r}{f', port={self.port!r}' if self.port else ''})"


_rejected: Dict[int, str] = {}


def reject_row(row: int, reason: str) -> None:
    """Do not take one record of a batch. Whatever a function gives for this row is left out.

    >>> reject_row(3, "colder than anything")
    >>> rejected_rows()
    {3: 'colder than anything'}
    """
    _rejected[row] = str(reason)


def rejected_rows() -> Dict[int, str]:
    """The rows that were rejected since the last call, with their reasons. For tests of functions on batches."""
    found = dict(_rejected)
    _rejected.clear()
    return found


#: Errors of the data: they cost the record, not the batch.
OF_THE_RECORD = (Reject, ValueError, LookupError, TypeError, AttributeError, ArithmeticError)

_decode = json.JSONDecoder().decode


def loads(data: bytes) -> Any:
    """The value of a JSON text in UTF-8. `json.loads` would look for other encodings first.

    >>> loads(b'{"a": 1}')
    {'a': 1}
    """
    return _decode(data.decode())


def _no_json(value: object) -> Any:
    raise TypeError(f"{value!r} is no value of JSON")


def _encoder() -> Callable[[Any], str]:
    """JSON without spaces. `json.dumps` makes an encoder for each call, which costs as much as a small record."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=_no_json).encode
    chunks = make(None, _no_json, json.encoder.encode_basestring, None, ":", ",", False, False, True)
    join = "".join
    return lambda value: join(chunks(value, 0))


_encode = _encoder()


def why(error: BaseException) -> str:
    """The error as its author knows it, with the line of the innermost function.

    >>> def to_celsius(reading):
    ...     return reading["fahrenheit"]
    >>> try:
    ...     to_celsius({})
    ... except KeyError as error:
    ...     why(error).split(" (")[0]
    "KeyError: 'fahrenheit'"
    """
    if isinstance(error, Reject):
        return str(error)
    # The SDK's own frames are not the author's.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "sage_guest" not in frame.filename]
    name = type(error).__name__
    if not frames:
        return f"{name}: {error}"
    at = frames[-1]
    return f"{name}: {error} (in {at.name}, {at.filename.rsplit('/', 1)[-1]}:{at.lineno})"


def hints(function: Any, extras: bool = False) -> Dict[str, Any]:
    """The annotations of a function or class as types, without those that cannot be resolved. ``extras`` keeps what
    ``Annotated`` says beside a type."""
    try:
        return typing.get_type_hints(function, include_extras=extras)
    except (NameError, TypeError):
        return {
            name: hint for name, hint in getattr(function, "__annotations__", {}).items() if not isinstance(hint, str)
        }


def is_record_class(kind: Any) -> bool:
    """Whether a type is a dataclass."""
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def build(kind: Type[T], fields: Any, what: str) -> T:
    """An instance of a dataclass from the fields of a JSON object. Other fields of the object are left out.

    >>> @dataclasses.dataclass
    ... class Reading:
    ...     sensor: str
    ...     fahrenheit: float = 32.0
    >>> build(Reading, {"sensor": "a", "other": 1}, "record")
    Reading(sensor='a', fahrenheit=32.0)
    >>> build(Reading, {"fahrenheit": 1}, "record")
    Traceback (most recent call last):
    ValueError: record has no field 'sensor' of Reading
    """
    if not isinstance(fields, dict):
        raise ValueError(f"{what} is {type(fields).__name__}, and {kind.__name__} wants an object")
    types, wanted = _plan_of(kind)
    values = {}
    for name, required in wanted:
        if name in fields:
            values[name] = _value(types.get(name), fields[name], f"field {name!r} of {what}")
        elif required:
            raise ValueError(f"{what} has no field {name!r} of {kind.__name__}")
    return kind(**values)


_plans: Dict[type, Tuple[Dict[str, Any], Tuple[Tuple[str, bool], ...]]] = {}


def _plan_of(kind: type) -> Tuple[Dict[str, Any], Tuple[Tuple[str, bool], ...]]:
    found = _plans.get(kind)
    if found is None:
        missing = dataclasses.MISSING
        wanted = tuple(
            (field.name, field.default is missing and field.default_factory is missing)
            for field in dataclasses.fields(kind)
            if field.init
        )
        found = _plans[kind] = (hints(kind), wanted)
    return found


_PLAIN = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def _value(kind: Any, value: Any, what: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if kind in _PLAIN and type(value) is not kind:
        raise ValueError(f"{what} is {_encode(value)}, and {_PLAIN[kind]} is wanted")
    if is_record_class(kind):
        return build(kind, value, what)
    return value


def decoder(kind: Any) -> Callable[[bytes], Any]:
    """How the bytes of a record become the value that a function takes.

    >>> decoder(str)("läuft".encode()), decoder(None)(b'{"a": 1}')
    ('läuft', {'a': 1})
    """
    if kind is bytes:
        return lambda data: data
    if kind is str:
        return lambda data: data.decode()
    if is_record_class(kind):
        return lambda data: build(kind, loads(data), "record")
    return loads


def encoder(kind: Any, takes: Any) -> Callable[[Any], bytes]:
    """How the value that a function gives becomes the bytes of a record. ``bytes`` stay as they are. A ``str`` does, if
    the function is annotated with it or takes text; otherwise it is a JSON text, as is everything else.

    >>> encoder(None, str)("a"), encoder(None, dict)("a"), encoder(None, dict)({"a": 1.5})
    (b'a', b'"a"', b'{"a":1.5}')
    """
    plain = kind is str or (kind is None and takes in (str, bytes))

    def encode(value: Any) -> bytes:
        if type(value) is dict:
            return _encode(value).encode()
        if isinstance(value, bytes):
            return value
        if plain and isinstance(value, str):
            return value.encode()
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = dataclasses.asdict(value)
        return _encode(value).encode()

    return encode


def configured(kind: Any, config: Any) -> Any:
    """The configuration as the function wants it: a dataclass, or the dict.

    An unknown key is an error, so that a typo in a pipeline file is found when the pipeline starts.
    """
    if not is_record_class(kind):
        return config
    known = [field.name for field in dataclasses.fields(kind)]
    for key in config:
        if key not in known:
            raise ValueError(f"config has no key {key!r}; it has {', '.join(known)}")
    return build(kind, config, "config")


def text_of(key: Any) -> bytes:
    """The bytes of a key that a function gave.

    >>> text_of("a"), text_of(7), text_of(b"x")
    (b'a', b'7', b'x')
    """
    if isinstance(key, bytes):
        return key
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bool) or not isinstance(key, int):
        raise TypeError(f"a key is {type(key).__name__}; return text, bytes or a whole number")
    return str(key).encode()


def element_type(kind: Any) -> Optional[Any]:
    """What an annotation of an iterable, such as ``Iterator[str]``, has as elements.

    >>> element_type(typing.List[str]), element_type(str)
    (<class 'str'>, None)
    """
    arguments = typing.get_args(kind)
    return arguments[0] if arguments else None
