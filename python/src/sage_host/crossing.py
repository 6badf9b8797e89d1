"""How records of this process become the content of frames, and the reverse: payloads, dataclasses, or Arrow."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Sequence, Tuple

from sage_guest._records import is_record_class
from sage_guest._rows import Gives, Reads, maker, taker
from sage_guest._shape import Field, FieldError, Record, Value, record_of

from . import frames
from .errors import GraphError
from .records import line


class Giving(Protocol):
    """How records go to the program."""

    #: The `schema` of the source, or ``None`` for payloads.
    schema: Optional[Dict[str, Any]]

    def contents(self, records: Sequence[Any]) -> Iterator[Tuple[int, List[frames.Part]]]:
        """The frames of these records: kinds and contents."""
        ...

    def is_whole(self, record: Any) -> bool:
        """Whether a record is a batch by itself."""
        ...


class Payloads:
    """Texts as they are, or values of JSON."""

    schema: Optional[Dict[str, Any]] = None

    def __init__(self, text: Optional[bool]) -> None:
        self._text = text

    def contents(self, records: Sequence[Any]) -> Iterator[Tuple[int, List[frames.Part]]]:
        from .records import is_text

        if self._text is None and records:
            self._text = is_text(records[0])
        text = bool(self._text)
        yield frames.PAYLOADS, frames.payloads([line(record, text, as_line=False) for record in records])

    def is_whole(self, record: Any) -> bool:
        return False


class Dataclasses:
    """Instances of a dataclass, as columns."""

    def __init__(self, cls: type) -> None:
        self.record = fields_of_class(cls)
        self.schema: Optional[Dict[str, Any]] = schema_of(self.record)
        self._take = taker(Gives(self.record), "a source")

    def contents(self, records: Sequence[Any]) -> Iterator[Tuple[int, List[frames.Part]]]:
        try:
            rows = [self._take(record) for record in records]
        except (TypeError, ValueError, AttributeError) as error:
            raise GraphError(str(error), hint=f"the schema of the source is {self.record.cls.__qualname__}") from None
        yield frames.FIELDS, frames.table(self.record, rows)

    def is_whole(self, record: Any) -> bool:
        return False


def fields_of_class(cls: type) -> Record:
    """The fields of a dataclass."""
    try:
        return record_of(cls)
    except FieldError as error:
        raise GraphError(error.message, hint=error.hint) from None


def schema_of(record: Record) -> Dict[str, Any]:
    """The `schema` of a pipeline file.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Reading:
    ...     sensor: str
    ...     celsius: Optional[float]
    >>> schema_of(record_of(Reading))
    {'sensor': 'string', 'celsius': 'f64?'}
    """
    return {field.name: _written(field.value) for field in record.fields}


def _written(value: Value) -> Any:
    if value.record is None:
        return value.written() + ("?" if value.nullable else "")
    members = schema_of(value.record)
    return {"type": members, "null": True} if value.nullable else members


def giving(schema: Any, text: Optional[bool]) -> Giving:
    """How a source with this schema gives its records."""
    if schema is None:
        return Payloads(text)
    if is_record_class(schema):
        return Dataclasses(schema)
    from .arrow import ArrowBatches, is_arrow_schema

    if is_arrow_schema(schema):
        return ArrowBatches(schema)
    raise GraphError(
        f"schema= is {schema!r}", hint="it is a dataclass, whose instances are the records, or a pyarrow.Schema"
    )


class Taking(Protocol):
    """How records come from the program."""

    #: The fields that cross, or ``None`` for all.
    fields: Optional[List[str]]
    #: Whether columns cross, and not text.
    columns: bool

    def schema(self, described: Any) -> None:
        """The fields of the columns that follow."""

    def records(self, frame: frames.Frame) -> Iterator[Any]:
        """The records of a frame."""
        ...


class TakingPayloads:
    """Records as text."""

    fields: Optional[List[str]] = None
    columns = False

    def __init__(self, decode: Callable[[bytes], Any]) -> None:
        self._decode = decode

    def schema(self, described: Any) -> None:
        pass

    def records(self, frame: frames.Frame) -> Iterator[Any]:
        reader = frames.Reader(frame.content)
        reader.number()
        return map(self._decode, reader.entries())


class TakingDataclasses:
    """Records by field, as instances of a dataclass."""

    columns = True

    def __init__(self, cls: type) -> None:
        self._record = fields_of_class(cls)
        self.fields: Optional[List[str]] = [field.name for field in self._record.fields]
        self._read = self._record
        self._make: Callable[..., Any] = maker(Reads(self._record))

    def schema(self, described: Any) -> None:
        """Compares the fields that come with those of the class."""
        found = []
        for field, came in zip(self._record.fields, described):
            type_, nullable = came["type"], bool(came["nullable"])
            wanted = field.value
            if type_ != wanted.type and type_ != wanted.written() and wanted.type != "json":
                if type_.replace(" ", "") != wanted.written().replace("?", "") and not _same_list(type_, wanted):
                    raise GraphError(
                        f"field {field.name!r} is {type_} in the pipeline, and {wanted.written()} in "
                        f"{self._record.cls.__qualname__}",
                        hint="give the dataclass of the sink the type of the pipeline",
                    )
            if nullable and not wanted.nullable and not field.has_default:
                raise GraphError(
                    f"field {field.name!r} may be missing in the pipeline, and {self._record.cls.__qualname__} wants it",
                    hint="annotate it with Optional",
                )
            found.append(field._replace(value=_with_nullables(wanted, came)))
        self._read = Record(self._record.cls, tuple(found))
        self._make = maker(Reads(self._read))

    def records(self, frame: frames.Frame) -> Iterator[Any]:
        reader = frames.Reader(frame.content)
        rows = reader.number()
        columns = [reader.values(field.value, rows) for field in self._read.fields]
        make = self._make
        return (make(*row) for row in zip(*columns))


def _same_list(type_: str, wanted: Value) -> bool:
    """Whether a list has elements of the wanted type, of which none may be missing."""
    return wanted.type == "list" and type_.replace("?", "") == wanted.written().replace("?", "")


def _with_nullables(value: Value, came: Mapping[str, Any]) -> Value:
    """The type as the program writes it: a list says by its name, and a member by its key, whether values may be
    missing."""
    value = value._replace(nullable=bool(came["nullable"]))
    if value.type == "list" and value.element is not None:
        return value._replace(element=value.element._replace(nullable=came["type"].endswith("?>")))
    if value.record is not None and "fields" in came:
        members: List[Field] = []
        by_name = {member["name"]: member for member in came["fields"]}
        for member in value.record.fields:
            if member.name not in by_name:
                raise GraphError(f"the pipeline has no member {member.name!r}", hint="leave it out of the dataclass")
            members.append(member._replace(value=_with_nullables(member.value, by_name[member.name])))
        if [member.name for member in members] != list(by_name):
            raise GraphError(
                f"the struct has the members {', '.join(by_name)} in the pipeline",
                hint=f"give {value.record.cls.__qualname__} the same, in this order",
            )
        return value._replace(record=Record(value.record.cls, tuple(members)))
    return value


def parsed_schema(frame: frames.Frame) -> Any:
    """The fields in a frame of kind 4."""
    return json.loads(bytes(frame.content))
