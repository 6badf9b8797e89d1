"""Columns of the contract as lists of values of Python, and back.

A column is read in two steps. ``Codec.read`` makes a list of *raw* values, by operations on whole columns; ``convert`` makes
the value of a type that Python has no column for, such as a timestamp, and is called for each record, where an error costs
that record only. Writing is the reverse: ``unconvert``, and then ``write``.
"""

from __future__ import annotations

import array
import collections.abc
import datetime
import decimal
import itertools
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union, overload

from . import _host
from ._records import _decode as decode_json
from ._records import _encode as encode_json
from ._shape import WHOLE, Record, Value

#: The bits of each byte, the least significant first.
_BITS = [tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256)]
_DIGITS = bytes([48, 49]) + bytes(254)

Raw = List[Any]
Convert = Optional[Callable[[Any], Any]]


def bits(bitmap: bytes, rows: int) -> List[bool]:
    """The first bits of a bitmap.

    >>> bits(b"\\x05", 3)
    [True, False, True]
    """
    flags = list(itertools.chain.from_iterable(map(_BITS.__getitem__, bitmap)))
    del flags[rows:]
    return flags


def bitmap(flags: Sequence[Any]) -> bytes:
    """A bitmap of true and false.

    >>> bitmap([True, False, True]), bitmap([])
    (b'\\x05', b'')
    """
    if not flags:
        return b""
    digits = bytes(map(bool, reversed(flags))).translate(_DIGITS)
    return int(digits, 2).to_bytes((len(flags) + 7) // 8, "little")


def texts(column: Any) -> List[str]:
    """The texts of a column. A column of ASCII is decoded once, and not text by text."""
    offsets, data = column.offsets, column.bytes
    if data.isascii():
        text = data.decode("ascii")
        return [text[start:end] for start, end in itertools.pairwise(offsets)]
    return [data[start:end].decode() for start, end in itertools.pairwise(offsets)]


def text_column(values: Sequence[str]) -> Any:
    """The column of these texts. Raises ``TypeError`` if one is none, and ``ValueError`` if UTF-8 cannot have it."""
    text = "".join(values)
    if text.isascii():
        return _host.Column(list(itertools.accumulate(map(len, values), initial=0)), text.encode("ascii"))
    return _host.join([value.encode() for value in values])


def byte_column(values: Sequence[bytes]) -> Any:
    """The column of these byte strings."""
    data = b"".join(values)
    return _host.Column(list(itertools.accumulate(map(len, values), initial=0)), data)


class Texts(collections.abc.Sequence[str]):
    """The texts of a column, decoded when the first of them is asked for: a function on batches may only pass them on."""

    def __init__(self, column: Any) -> None:
        self._column = column
        self._list: Optional[List[str]] = None

    @property
    def decoded(self) -> List[str]:
        """All texts."""
        if self._list is None:
            self._list = texts(self._column)
        return self._list

    def __len__(self) -> int:
        return len(self._column.offsets) - 1

    def __iter__(self) -> Iterator[str]:
        return iter(self.decoded)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> List[str]: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[str, List[str]]:
        return self.decoded[index]

    def __eq__(self, other: object) -> bool:
        return self.decoded == other

    def __repr__(self) -> str:
        return repr(self.decoded)

    __hash__ = None  # type: ignore[assignment]


class Codec(NamedTuple):
    """How the values of one type are read and written."""

    #: The raw values of a column, of which the second argument has the children.
    read: Callable[[Any, Any, int], Raw]
    convert: Convert
    #: A raw value of what a function gave; raises an error of the record if the type is another one.
    unconvert: Callable[[Any], Any]
    #: Whether all of these values are raw as they are.
    is_raw: Callable[[Raw], bool]
    #: The column of raw values. The second argument takes the children.
    write: Callable[[Raw, List[Any]], Any]
    #: A raw value for a row that is rejected.
    filler: Any
    #: Whether raw values are texts.
    is_text: bool = False


def codec(value: Value) -> Codec:
    """The codec of a type."""
    if value.type == "list":
        return _list(value)
    if value.type == "struct":
        assert value.record is not None
        return _struct(value.record)
    return _scalar(value)


def field_of(values: Any, validity: Optional[bytes] = None) -> Any:
    """A column with its bitmap."""
    return _host.fields.Field(values, validity)


def read_nullable(found: Codec, field: Any, children: Any, rows: int) -> Raw:
    """The raw values of a column, with ``None`` where there is none."""
    raw = found.read(field, children, rows)
    if field.validity is None:
        return raw
    return [value if has else None for value, has in zip(raw, bits(field.validity, rows))]


def write_nullable(found: Codec, nullable: bool, raw: Raw, children: List[Any]) -> Any:
    """The column of raw values, of which some may be ``None`` if it is nullable."""
    if not nullable or None not in raw:
        return found.write(raw, children)
    has = [value is not None for value in raw]
    field = found.write([found.filler if value is None else value for value in raw], children)
    field.validity = bitmap(has)
    return field


def wrong(value: Any, wanted: str) -> TypeError:
    """The error of a value of another type."""
    shown = repr(value)
    return TypeError(f"is {shown if len(shown) <= 60 else shown[:57] + '...'}, and {wanted} is wanted")


def _of(*kinds: type) -> Callable[[Raw], bool]:
    wanted = set(kinds)
    return lambda raw: set(map(type, raw)) <= wanted


def _exactly(kind: type, word: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is kind:
            return value
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind(value)
        raise wrong(value, word)

    return check


def _scalar(value: Value) -> Codec:
    kind = value.type
    if kind in WHOLE:
        return _whole(kind)
    if kind in ("string", "json"):
        return _json() if kind == "json" and not value.is_text else _text()
    made: Dict[str, Callable[[], Codec]] = {
        "bool": _bool,
        "bytes": _bytes,
        "f32": lambda: _float("Float32s"),
        "f64": lambda: _float("Float64s"),
        "timestamp": _timestamp,
        "date": _date,
        "decimal": lambda: _decimal(*value.digits),
    }
    return made[kind]()


def _plain(case: str) -> Tuple[Callable[[Any, Any, int], Raw], Callable[[Raw, List[Any]], Any]]:
    """A column of numbers, which is a list."""

    def read(field: Any, children: Any, rows: int) -> Raw:
        values: Raw = field.values.value
        return values

    def write(raw: Raw, children: List[Any]) -> Any:
        return field_of(getattr(_host.fields, f"Values_{case}")(raw))

    return read, write


def _small(case: str, code: str) -> Tuple[Callable[[Any, Any, int], Raw], Callable[[Raw, List[Any]], Any]]:
    """A column of numbers of 8 bits, which is `bytes` for either sign."""

    def read(field: Any, children: Any, rows: int) -> Raw:
        return list(array.array(code, field.values.value))

    def write(raw: Raw, children: List[Any]) -> Any:
        return field_of(getattr(_host.fields, f"Values_{case}")(array.array(code, raw).tobytes()))

    return read, write


def _whole(kind: str) -> Codec:
    size, signed = WHOLE[kind]
    low, high = (-(1 << (size - 1)), (1 << (size - 1)) - 1) if signed else (0, (1 << size) - 1)
    case = f"{'Int' if signed else 'Uint'}{size}s"
    read, write = _small(case, "b" if signed else "B") if size == 8 else _plain(case)

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(value, "a whole number")
        if not low <= value <= high:
            raise ValueError(f"is {value}, which is out of the range of {kind}")
        return int(value)

    def is_raw(raw: Raw) -> bool:
        return set(map(type, raw)) <= {int} and (not raw or (low <= min(raw) and max(raw) <= high))

    return Codec(read, None, check, is_raw, write, 0)


def _float(case: str) -> Codec:
    read, write = _plain(case)

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (float, int)):
            raise wrong(value, "a number")
        return float(value)

    return Codec(read, None, check, _of(float), write, 0.0)


def _bool() -> Codec:
    return Codec(
        lambda field, children, rows: bits(field.values.value, rows),
        None,
        _exactly(bool, "true or false"),
        _of(bool),
        lambda raw, children: field_of(_host.fields.Values_Bools(bitmap(raw))),
        False,
    )


def _write_text(raw: Raw, children: List[Any]) -> Any:
    return field_of(_host.fields.Values_Strings(text_column(raw)))


def _in_utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"is {text[:60]!r}, which UTF-8 cannot have: {error.reason}") from None
    return text


def _text() -> Codec:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise wrong(value, "a text")
        return _in_utf8(str(value))

    def is_raw(raw: Raw) -> bool:
        try:
            "".join(raw).encode()
        except (TypeError, ValueError):
            return False
        return True

    return Codec(
        lambda field, children, rows: texts(field.values.value), None, check, is_raw, _write_text, "", is_text=True
    )


def _json() -> Codec:
    def unconvert(value: Any) -> str:
        return _in_utf8(encode_json(value))

    return Codec(
        lambda field, children, rows: texts(field.values.value),
        decode_json,
        unconvert,
        lambda raw: not raw,
        _write_text,
        "0",
    )


def _bytes() -> Codec:
    return Codec(
        lambda field, children, rows: _host.split(field.values.value),
        None,
        _exactly(bytes, "bytes"),
        _of(bytes),
        lambda raw, children: field_of(_host.fields.Values_Strings(byte_column(raw))),
        b"",
    )


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)
_DAY = datetime.date(1970, 1, 1).toordinal()


def _timestamp() -> Codec:
    read, write = _plain("Int64s")
    delta = datetime.timedelta

    def unconvert(value: Any) -> int:
        if not isinstance(value, datetime.datetime):
            raise wrong(value, "a datetime")
        if value.tzinfo is None:
            raise ValueError(f"is {value.isoformat()} without a zone: give it tzinfo=timezone.utc")
        return (value - _EPOCH) // _MICROSECOND

    return Codec(
        read,
        lambda micros: _EPOCH + delta(microseconds=micros),
        unconvert,
        lambda raw: not raw,
        write,
        0,
    )


def _date() -> Codec:
    read, write = _plain("Int32s")

    def unconvert(value: Any) -> int:
        if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
            raise wrong(value, "a date")
        return value.toordinal() - _DAY

    return Codec(
        read,
        lambda days: datetime.date.fromordinal(days + _DAY),
        unconvert,
        lambda raw: not raw,
        write,
        0,
    )


def _decimal(precision: int, scale: int) -> Codec:
    exact = decimal.Context(prec=80)
    most = 10**precision

    def read(field: Any, children: Any, rows: int) -> Raw:
        words = iter(field.values.value)
        wide = (low | high << 64 for low, high in zip(words, words))
        return [number - (1 << 128) if number >> 127 else number for number in wide]

    def unconvert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (decimal.Decimal, int)):
            raise wrong(value, "a Decimal")
        scaled = exact.scaleb(decimal.Decimal(value), scale)
        if not scaled.is_finite() or scaled != scaled.to_integral_value():
            raise ValueError(f"is {value}, which decimal({precision},{scale}) cannot have exactly")
        number = int(scaled)
        if abs(number) >= most:
            raise ValueError(f"is {value}, which is out of the range of decimal({precision},{scale})")
        return number

    def write(raw: Raw, children: List[Any]) -> Any:
        low_word = (1 << 64) - 1
        words = [word for number in raw for word in (number & low_word, number >> 64 & low_word)]
        return field_of(_host.fields.Values_Decimals(words))

    return Codec(
        read,
        lambda number: exact.scaleb(decimal.Decimal(number), -scale),
        unconvert,
        lambda raw: not raw,
        write,
        0,
    )


def _each(one: Callable[[Any], Any], nullable: bool, place: str) -> Callable[[Any], Any]:
    """The check of an element or a member, whose errors name it."""

    def check(value: Any) -> Any:
        if value is None and nullable:
            return None
        try:
            return one(value)
        except TypeError as error:
            raise TypeError(f"{place} {error}") from None
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"{place} {error}") from None

    return check


def _list(value: Value) -> Codec:
    assert value.element is not None
    element, nullable = value.element, value.element.nullable
    found = codec(element)
    inner = found.convert
    unconvert_one = _each(found.unconvert, nullable, "has an element that")

    def read(field: Any, children: Any, rows: int) -> Raw:
        offsets, child = field.values.value
        elements = read_nullable(found, children[child], children, offsets[-1] if offsets else 0)
        return [elements[start:end] for start, end in itertools.pairwise(offsets)]

    def unconvert(given: Any) -> Any:
        if isinstance(given, (str, bytes, dict)) or not hasattr(given, "__iter__"):
            raise wrong(given, "a list")
        return [unconvert_one(one) for one in given]

    def write(raw: Raw, children: List[Any]) -> Any:
        flat = list(itertools.chain.from_iterable(raw))
        number = len(children)
        children.append(None)
        children[number] = write_nullable(found, nullable, flat, children)
        offsets = list(itertools.accumulate(map(len, raw), initial=0))
        return field_of(_host.fields.Values_Lists((offsets, number)))

    convert: Convert = None
    if inner is not None:
        made = inner
        convert = lambda raw: [None if one is None else made(one) for one in raw]  # noqa: E731
    return Codec(read, convert, unconvert, lambda raw: not raw, write, [])


def _struct(record: Record) -> Codec:
    cls, fields = record.cls, record.fields
    codecs = [codec(field.value) for field in fields]
    converts = [found.convert for found in codecs]
    unconverts = [
        _each(found.unconvert, field.value.nullable, f"has {field.attribute!r}, which")
        for found, field in zip(codecs, fields)
    ]
    names = [field.attribute for field in fields]

    def read(field: Any, children: Any, rows: int) -> Raw:
        columns = [
            read_nullable(found, children[child], children, rows) for found, child in zip(codecs, field.values.value)
        ]
        return list(zip(*columns))

    def convert(raw: Any) -> Any:
        given = {}
        for field, one, change in zip(fields, raw, converts):
            if one is None:
                if field.has_default:
                    continue
            elif change is not None:
                one = change(one)
            given[field.attribute] = one
        return cls(**given)

    def unconvert(given: Any) -> Any:
        if not isinstance(given, cls):
            raise wrong(given, cls.__qualname__)
        return tuple(change(getattr(given, name)) for change, name in zip(unconverts, names))

    def write(raw: Raw, children: List[Any]) -> Any:
        columns = list(zip(*raw)) if raw else [() for _ in fields]
        numbers = []
        for field, found, column in zip(fields, codecs, columns):
            numbers.append(len(children))
            children.append(None)
            children[numbers[-1]] = write_nullable(found, field.value.nullable, list(column), children)
        return field_of(_host.fields.Values_Structs(numbers))

    filler = tuple(None if field.value.nullable else found.filler for found, field in zip(codecs, fields))
    return Codec(read, convert, unconvert, lambda raw: not raw, write, filler)
