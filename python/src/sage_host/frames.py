"""Batches that cross between this process and the program over a unix socket: frames, and the bytes of columns.

docs/reference/socket-frames.md has the form of the bytes, which is also that of Arrow's buffers.
"""

from __future__ import annotations

import array
import itertools
import struct
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple, Union

from sage_guest._columns import bitmap, bits
from sage_guest._shape import Record, Value

from .errors import SageHostError

#: First bytes of each side of a stream.
HELLO = b"sagecol1"
END, PAYLOADS, FIELDS, FAILED, SCHEMA = range(5)
#: Most bytes of a frame.
MOST_BYTES = 64 << 20
#: Codes of `array` by type. A column of one of these types is its values without gaps.
CODES = {
    "s8": "b",
    "u8": "B",
    "s16": "h",
    "u16": "H",
    "s32": "i",
    "u32": "I",
    "s64": "q",
    "u64": "Q",
    "f32": "f",
    "f64": "d",
    "timestamp": "q",
    "date": "i",
}
TEXTS = ("string", "bytes", "json")

Part = Union[bytes, bytearray, memoryview]

assert sys.byteorder == "little", "frames are little-endian, as is every machine that the program runs on"


def number(value: int) -> bytes:
    """A number of 8 bytes.

    >>> number(1)
    b'\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
    """
    return struct.pack("<Q", value)


def header(kind: int, length: int) -> bytes:
    """The start of a frame."""
    return struct.pack("<QQ", kind, length)


def padded(part: Part, length: int) -> List[Part]:
    """A number and bytes, up to a multiple of 8.

    >>> b"".join(padded(b"abc", 3))
    b'\\x03\\x00\\x00\\x00\\x00\\x00\\x00\\x00abc\\x00\\x00\\x00\\x00\\x00'
    """
    size = len(part) if isinstance(part, (bytes, bytearray)) else part.nbytes
    return [number(length), part, bytes(-size % 8)]


def column(entries: Sequence[bytes]) -> List[Part]:
    """The column of these byte strings."""
    offsets = array.array("I", itertools.accumulate(map(len, entries), initial=0))
    data = b"".join(entries)
    return [*padded(memoryview(offsets), len(offsets)), *padded(data, len(data))]


def payloads(entries: Sequence[bytes]) -> List[Part]:
    """The content of a frame of payloads."""
    return [number(0), *column(entries)]


def values(kind: Value, raw: Sequence[Any]) -> List[Part]:
    """The bytes of raw values, with ``None`` where there is none."""
    found = _without_validity(kind)
    if not kind.nullable or None not in raw:
        return [number(0), *found(raw)]
    filler = _filler(kind)
    has = bitmap([value is not None for value in raw])
    return [number(1), *padded(has, len(has)), *found([filler if value is None else value for value in raw])]


def _filler(kind: Value) -> Any:
    if kind.type == "struct" and kind.record is not None:
        return tuple(None if member.value.nullable else _filler(member.value) for member in kind.record.fields)
    fillers: Dict[str, Any] = {"string": "", "bytes": b"", "json": "0", "list": (), "bool": False}
    return fillers.get(kind.type, 0)


def _without_validity(kind: Value) -> Callable[[Sequence[Any]], List[Part]]:
    def plain(raw: Sequence[Any]) -> List[Part]:
        data = memoryview(array.array(CODES[kind.type], raw))
        return padded(data, data.nbytes)

    def flags(raw: Sequence[Any]) -> List[Part]:
        data = bitmap(raw)
        return padded(data, len(data))

    def wides(raw: Sequence[Any]) -> List[Part]:
        data = b"".join(value.to_bytes(16, "little", signed=True) for value in raw)
        return padded(data, len(data))

    def texts(raw: Sequence[Any]) -> List[Part]:
        return column(raw if kind.type == "bytes" else [value.encode() for value in raw])

    def lists(raw: Sequence[Any]) -> List[Part]:
        assert kind.element is not None
        offsets = array.array("I", itertools.accumulate(map(len, raw), initial=0))
        elements = list(itertools.chain.from_iterable(raw))
        return [*padded(memoryview(offsets), len(offsets)), *values(kind.element, elements)]

    def structs(raw: Sequence[Any]) -> List[Part]:
        assert kind.record is not None
        parts: List[Part] = []
        for at, member in enumerate(kind.record.fields):
            parts += values(member.value, [value[at] for value in raw])
        return parts

    if kind.type in CODES:
        return plain
    if kind.type in TEXTS:
        return texts
    return {"bool": flags, "decimal": wides, "list": lists, "struct": structs}[kind.type]


def table(record: Record, rows: Sequence[Tuple[Any, ...]]) -> List[Part]:
    """The content of a frame by field, of raw values by row."""
    columns: Sequence[Sequence[Any]] = list(zip(*rows)) if rows else [() for _ in record.fields]
    parts: List[Part] = [number(len(rows))]
    for field, raw in zip(record.fields, columns):
        parts += values(field.value, raw)
    parts.append(number(0))
    return parts


class Reader:
    """The content of a frame, from its front."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        """The next number."""
        (value,) = struct.unpack_from("<Q", self._data, self._at)
        self._at += 8
        return int(value)

    def part(self, width: int = 1) -> memoryview:
        """A number of entries, and the bytes of these."""
        length = self.number() * width
        end = self._at + length
        if end > len(self._data):
            raise SageHostError(
                "the program sent a frame that is cut", hint="the package and the program are one version"
            )
        part = self._data[self._at : end]
        self._at = end + (-length % 8)
        return part

    def offsets(self) -> memoryview:
        """The offsets of a column."""
        return self.part(4).cast("I")

    def entries(self) -> List[bytes]:
        """The byte strings of a column."""
        offsets = self.offsets().tolist()
        data = bytes(self.part())
        return [data[start:end] for start, end in itertools.pairwise(offsets)]

    def values(self, kind: Value, rows: int) -> List[Any]:
        """The raw values of a field, with ``None`` where there is none."""
        has = bits(bytes(self.part()), rows) if self.number() else None
        raw = self._without_validity(kind, rows)
        return raw if has is None else [value if there else None for value, there in zip(raw, has)]

    def _without_validity(self, kind: Value, rows: int) -> List[Any]:
        if kind.type in CODES:
            # A format of `array` is one of `memoryview`, too.
            return self.part().cast(CODES[kind.type]).tolist()  # type: ignore[call-overload, no-any-return]
        if kind.type in TEXTS:
            entries = self.entries()
            return entries if kind.type == "bytes" else [entry.decode() for entry in entries]
        if kind.type == "bool":
            return bits(bytes(self.part()), rows)
        if kind.type == "decimal":
            data = bytes(self.part())
            return [int.from_bytes(data[at : at + 16], "little", signed=True) for at in range(0, len(data), 16)]
        if kind.type == "list" and kind.element is not None:
            offsets = self.offsets().tolist()
            elements = self.values(kind.element, offsets[-1] if offsets else 0)
            return [elements[start:end] for start, end in itertools.pairwise(offsets)]
        if kind.type == "struct" and kind.record is not None:
            return list(zip(*(self.values(member.value, rows) for member in kind.record.fields)))
        raise SageHostError(
            f"the program sent a field of type {kind.type}", hint="the package and the program are one version"
        )


class Frame(NamedTuple):
    """A frame that came."""

    kind: int
    content: memoryview


def read_frame(take: Callable[[memoryview], int]) -> "Frame | None":
    """The next frame of a stream, or ``None`` if it ends. ``take`` fills a buffer, and returns the number of bytes."""
    front = exactly(take, 16)
    if front is None:
        return None
    kind, length = struct.unpack("<QQ", front)
    if length > MOST_BYTES * 4:
        raise SageHostError(
            f"the program sent a frame of {length} bytes", hint="the package and the program are one version"
        )
    content = exactly(take, length)
    return None if content is None else Frame(kind, content)


def exactly(take: Callable[[memoryview], int], length: int) -> "memoryview | None":
    """So many bytes of a stream, or ``None`` if it ends before."""
    data = memoryview(bytearray(length))
    done = 0
    while done < length:
        more = take(data[done:])
        if more == 0:
            return None
        done += more
    return data
