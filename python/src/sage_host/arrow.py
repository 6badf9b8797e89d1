"""Batches of Arrow. pyarrow is imported only where somebody has used it already."""

from __future__ import annotations

import sys
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import frames
from .errors import GraphError

#: Most rows of a frame: the engine takes batches of this size from stage to stage.
_MOST_ROWS = 8192


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise GraphError("pyarrow is not installed", hint="pip install pyarrow, or use dataclasses") from None
    return pyarrow


def is_arrow_schema(schema: object) -> bool:
    """Whether this is a ``pyarrow.Schema``."""
    loaded = sys.modules.get("pyarrow")
    return loaded is not None and isinstance(schema, loaded.Schema)


def stream_of(source: object) -> Any:
    """A reader of batches, if the source has a stream of Arrow: a table, a reader, a frame of polars or pandas 3."""
    if not hasattr(source, "__arrow_c_stream__"):
        return None
    return _pyarrow().RecordBatchReader.from_stream(source)


_WORDS = {
    "bool": "bool",
    "int8": "s8",
    "int16": "s16",
    "int32": "s32",
    "int64": "s64",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "float": "f32",
    "double": "f64",
    "date32[day]": "date",
    "string": "string",
    "binary": "bytes",
}


def _plain(type_: Any, where: str) -> Any:
    """The type of Arrow whose buffers cross, for one that has the same values."""
    pa = _pyarrow()
    types = pa.types
    if types.is_dictionary(type_):
        return _plain(type_.value_type, where)
    if types.is_large_string(type_) or str(type_) == "string_view":
        return pa.string()
    if types.is_large_binary(type_) or types.is_fixed_size_binary(type_) or str(type_) == "binary_view":
        return pa.binary()
    if types.is_timestamp(type_):
        if type_.tz is None:
            raise GraphError(f"{where} is a timestamp without a zone", hint='cast it to pa.timestamp("us", "UTC")')
        return pa.timestamp("us", "UTC")
    if types.is_date64(type_):
        return pa.date32()
    if types.is_float16(type_):
        return pa.float32()
    if types.is_decimal(type_):
        if not 0 <= type_.scale <= type_.precision <= 38:
            raise GraphError(
                f"{where} is {type_}", hint="a decimal has at most 38 digits, of which some stand behind the point"
            )
        return pa.decimal128(type_.precision, type_.scale)
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        inner = type_.value_field
        return pa.list_(inner.with_type(_plain(inner.type, f"an element of {where}")))
    if types.is_struct(type_):
        members = [type_.field(at) for at in range(type_.num_fields)]
        return pa.struct([one.with_type(_plain(one.type, f"{one.name!r} of {where}")) for one in members])
    if str(type_) in _WORDS:
        return type_
    raise GraphError(f"{where} is {type_}, which no field is", hint="docs/reference/types.md has the types of fields")


def _word(type_: Any) -> Any:
    """A plain type in the words of a schema."""
    types = _pyarrow().types
    if types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    if types.is_timestamp(type_):
        return "timestamp"
    if types.is_list(type_):
        return f"list<{_word(type_.value_type)}{'?' if type_.value_field.nullable else ''}>"
    if types.is_struct(type_):
        return {one.name: _written(one) for one in (type_.field(at) for at in range(type_.num_fields))}
    return _WORDS[str(type_)]


def _written(field: Any) -> Any:
    word = _word(field.type)
    if isinstance(word, dict):
        return {"type": word, "null": True} if field.nullable else word
    return word + ("?" if field.nullable else "")


class ArrowBatches:
    """A source of batches of Arrow."""

    def __init__(self, schema: Any) -> None:
        pa = _pyarrow()
        self._plain = pa.schema([one.with_type(_plain(one.type, f"column {one.name!r}")) for one in schema])
        self.schema: Optional[Dict[str, Any]] = {one.name: _written(one) for one in self._plain}

    def is_whole(self, record: Any) -> bool:
        return True

    def contents(self, records: Sequence[Any]) -> Iterator[Tuple[int, List[frames.Part]]]:
        for record in records:
            for batch in self._batches(record):
                for start in range(0, batch.num_rows, _MOST_ROWS):
                    yield from self._frames(batch.slice(start, _MOST_ROWS))

    def _frames(self, batch: Any) -> Iterator[Tuple[int, List[frames.Part]]]:
        """The frames of a batch, in halves as long as one is too large."""
        rows = batch.num_rows
        if rows > 1 and batch.nbytes > frames.MOST_BYTES // 2:
            yield from self._frames(batch.slice(0, rows // 2))
            yield from self._frames(batch.slice(rows // 2))
        else:
            yield frames.FIELDS, self._content(batch)

    def _batches(self, record: Any) -> Any:
        pa = _pyarrow()
        if isinstance(record, pa.Table):
            return record.to_batches()
        if isinstance(record, pa.RecordBatch):
            return [record]
        if hasattr(record, "__arrow_c_stream__"):
            return pa.RecordBatchReader.from_stream(record)
        raise GraphError(
            f"a source of Arrow gives {type(record).__name__}", hint="give pyarrow.RecordBatch, or pyarrow.Table"
        )

    def _content(self, batch: Any) -> List[frames.Part]:
        parts: List[frames.Part] = [frames.number(batch.num_rows)]
        for field in self._plain:
            at = batch.schema.get_field_index(field.name)
            if at < 0:
                raise GraphError(
                    f"a batch has no column {field.name!r}", hint="every batch has the schema of the source"
                )
            column = batch.column(at)
            if column.type != field.type:
                column = column.cast(field.type)
            if column.null_count and not field.nullable:
                raise GraphError(f"column {field.name!r} has nulls, and its field is not nullable", hint="fill them")
            parts += _values(column, field.nullable)
        parts.append(frames.number(0))
        return parts


def _masked(data: memoryview, rows: int) -> memoryview:
    """A bitmap whose bits past the last row are zero."""
    size = (rows + 7) // 8
    if rows % 8 == 0:
        return data[:size]
    made = bytearray(data[:size])
    made[-1] &= (1 << rows % 8) - 1
    return memoryview(made)


def _bits(array: Any) -> memoryview:
    """The bitmap of an array of booleans without nulls."""
    rows = len(array)
    if array.offset % 8:
        # A new array begins at a whole byte.
        array = _pyarrow().compute.xor(array, False)
    return _masked(memoryview(array.buffers()[1])[array.offset // 8 :], rows)


def _values(array: Any, nullable: bool) -> List[frames.Part]:
    """The bytes of a column. What stands where a struct has no value may be null in a member that is not nullable."""
    pa = _pyarrow()
    types, type_, rows = pa.types, array.type, len(array)
    parts: List[frames.Part] = [frames.number(0)]
    if nullable and array.null_count:
        has = _bits(array.is_valid())
        parts = [frames.number(1), *frames.padded(has, has.nbytes)]
    if types.is_string(type_) or types.is_binary(type_):
        offsets, first, last = _offsets(array)
        data = memoryview(array.buffers()[2] or b"")[first:last]
        return [*parts, *frames.padded(offsets, rows + 1), *frames.padded(data, data.nbytes)]
    if types.is_boolean(type_):
        flags = _bits(array.fill_null(False) if array.null_count else array)
        return [*parts, *frames.padded(flags, flags.nbytes)]
    if types.is_list(type_):
        offsets, first, last = _offsets(array)
        elements = array.values.slice(first, last - first)
        return [*parts, *frames.padded(offsets, rows + 1), *_values(elements, type_.value_field.nullable)]
    if types.is_struct(type_):
        for at in range(type_.num_fields):
            parts += _values(array.field(at), type_.field(at).nullable)
        return parts
    width = type_.byte_width
    start = array.offset * width
    data = memoryview(array.buffers()[1] or b"")[start : start + rows * width]
    return [*parts, *frames.padded(data, data.nbytes)]


def _offsets(array: Any) -> Tuple[memoryview, int, int]:
    """The offsets of an array, from 0 on, and where its values begin and end."""
    pa = _pyarrow()
    rows, buffer = len(array), array.buffers()[1]
    if buffer is None or rows == 0:
        return memoryview(bytes(4 * (rows + 1))), 0, 0
    whole = memoryview(buffer).cast("B").cast("i")[array.offset : array.offset + rows + 1]
    first, last = whole[0], whole[rows]
    if first == 0:
        return whole.cast("B"), 0, last
    numbers = pa.Array.from_buffers(pa.int32(), rows + 1, [None, buffer], offset=array.offset)
    moved = pa.compute.subtract(numbers, pa.scalar(first, pa.int32()))
    return memoryview(moved.buffers()[1])[: 4 * (rows + 1)], first, last


class TakingArrow:
    """Records as batches of Arrow."""

    columns = True
    fields: Optional[List[str]] = None

    def __init__(self) -> None:
        self._schema = _pyarrow().schema([])

    def schema(self, described: Any) -> None:
        self._schema = _pyarrow().schema([_field(one) for one in described])

    def records(self, frame: frames.Frame) -> Iterator[Any]:
        pa = _pyarrow()
        reader = frames.Reader(frame.content)
        rows = reader.number()
        columns = [_array(reader, field.type, rows) for field in self._schema]
        yield pa.RecordBatch.from_arrays(columns, schema=self._schema)


def _field(described: Any) -> Any:
    pa = _pyarrow()
    word = described["type"]
    if word == "struct":
        type_ = pa.struct([_field(member) for member in described["fields"]])
    else:
        type_ = _type(word)
    return pa.field(described["name"], type_, nullable=bool(described["nullable"]))


def _type(word: str) -> Any:
    pa = _pyarrow()
    if word.startswith("list<"):
        inner = word[5:-1]
        return pa.list_(pa.field("item", _type(inner.rstrip("?")), nullable=inner.endswith("?")))
    if word.startswith("decimal("):
        precision, scale = word[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    if word == "timestamp":
        return pa.timestamp("us", "UTC")
    names = {own: name for name, own in _WORDS.items()}
    return pa.type_for_alias({"date": "date32", "json": "string"}.get(word) or names[word])


def _array(reader: frames.Reader, type_: Any, rows: int) -> Any:
    pa = _pyarrow()
    types = pa.types
    has = pa.py_buffer(reader.part()) if reader.number() else None
    if types.is_string(type_) or types.is_binary(type_):
        offsets, data = pa.py_buffer(reader.offsets()), pa.py_buffer(reader.part())
        return pa.Array.from_buffers(type_, rows, [has, offsets, data])
    if types.is_list(type_):
        offsets = reader.offsets()
        elements = _array(reader, type_.value_type, offsets[rows] if rows else 0)
        return pa.Array.from_buffers(type_, rows, [has, pa.py_buffer(offsets)], children=[elements])
    if types.is_struct(type_):
        members = [_array(reader, type_.field(at).type, rows) for at in range(type_.num_fields)]
        return pa.Array.from_buffers(type_, rows, [has], children=members)
    return pa.Array.from_buffers(type_, rows, [has, pa.py_buffer(reader.part())])
