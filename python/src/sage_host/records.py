"""Records of this process on their way into a pipeline and out of it: lines of text or of JSON."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Callable, Iterable, List, Union

from sage_guest._records import _encode

from .errors import GraphError

Taker = Union[List[Any], Callable[[Any], object]]


def is_text(record: object) -> bool:
    """Whether a record crosses as it is, and not as JSON."""
    return isinstance(record, (str, bytes, bytearray))


def line(record: object, text: bool, as_line: bool = True) -> bytes:
    """A record as a line, or its bytes alone.

    >>> line({"a": 1}, False), line("läuft", True)
    (b'{"a":1}\\n', b'l\\xc3\\xa4uft\\n')
    """
    if is_text(record) != text:
        kinds = ("values of JSON", "text") if text else ("text", "values of JSON")
        raise GraphError(f"a source gives {kinds[1]}, and then {kinds[0]}: {record!r}", hint="give records of one kind")
    if isinstance(record, str):
        data = record.encode()
    elif isinstance(record, (bytes, bytearray)):
        data = bytes(record)
    else:
        value = (
            dataclasses.asdict(record) if dataclasses.is_dataclass(record) and not isinstance(record, type) else record
        )
        try:
            data = _encode(value).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise GraphError(
                f"a source gives {record!r}, which is no value of JSON: {error}",
                hint="give dicts, lists, texts, numbers",
            ) from None
    if not as_line:
        return data
    if b"\n" in data or (text and b"\r" in data):
        raise GraphError(
            f"a source gives a text with a line end: {record!r}",
            hint='records of this process are lines of a file here: give {"text": ...}, which is JSON',
        )
    return data + b"\n"


def lines(records: Iterable[object]) -> Iterable[bytes]:
    """The records as lines; the first one decides whether they are text or JSON."""
    text = None
    for record in records:
        if text is None:
            text = is_text(record)
        yield line(record, text)


def decoder(format: str) -> Callable[[bytes], Any]:
    """How a sink's line becomes the value that a list or a function gets."""
    if format == "bytes":
        return lambda data: data
    if format == "text":
        return lambda data: data.decode()
    if format == "json":
        return _json
    raise GraphError(f"format of a sink of this process is {format!r}", hint='it is "json", "text" or "bytes"')


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise GraphError(
            f"a record is no JSON: {data[:200]!r}", hint='sink(..., format="text") or "bytes" takes records as they are'
        ) from None
