"""The component's side of functions on whole batches: dataclasses of columns in and out."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Sequence, Tuple

from . import _host
from ._columns import Raw, bitmap
from ._described import Fields
from ._operators import Operator
from ._records import OF_THE_RECORD, Emit, rejected_rows, why
from ._rows import Bad, Gives, Reads, fail, whole
from ._state import Held


class Columns:
    """How a table becomes a dataclass of columns."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._names = [field.attribute for field in reads.record.fields]

    def of(self, raw: Sequence[Raw], bad: Bad) -> Any:
        """The dataclass of these columns. A value that Python cannot have, such as a timestamp in the year 0, makes its
        row bad."""
        given = {}
        for name, field, found, column in zip(self._names, self._reads.record.fields, self._reads.codecs, raw):
            if found.convert is not None:
                column = _converted(column, found.convert, bad)
            if field.has_default:
                default = field.factory if callable(field.factory) else (lambda field=field: field.default)
                column = [default() if value is None else value for value in column]
            given[name] = column
        return self._reads.record.cls(**given)


def _converted(column: Raw, convert: Callable[[Any], Any], bad: Bad) -> Raw:
    made = []
    for row, value in enumerate(column):
        try:
            made.append(None if value is None else convert(value))
        except (ValueError, OverflowError) as error:
            bad[row] = why(error)
            made.append(convert(0) if isinstance(value, int) else None)
    return made


def _values(record: Any, gives: Gives, rows: int) -> List[Raw]:
    """The columns of what a function gave."""
    cls, names = gives.record.cls, [field.attribute for field in gives.record.fields]
    if not isinstance(record, cls):
        raise TypeError(f"the function gave {type(record).__name__}, and {cls.__qualname__} is wanted")
    return whole((getattr(record, name) for name in names), rows, names, cls.__qualname__)


def _in_parts(
    work: Callable[[Sequence[Raw], int, Bad], List[Raw]], raw: Sequence[Raw], rows: int, bad: Bad
) -> List[Raw]:
    """Calls a function on a batch, and on halves of it if an error of the data stops it, until the record that makes the
    error is alone. It is the only one that is lost then."""
    try:
        rejected_rows()
        found: Bad = {}
        made = work(raw, rows, found)
        found.update(rejected_rows())
        for row, reason in found.items():
            if not 0 <= row < rows:
                raise RuntimeError(f"reject_row({row}), and the batch has {rows} records")
            bad[row] = reason
        return made
    except OF_THE_RECORD as error:
        if rows == 1:
            bad[0] = why(error)
            return []
    middle = rows // 2
    halves = []
    for start, end in ((0, middle), (middle, rows)):
        found = {}
        made = _in_parts(work, [column[start:end] for column in raw], end - start, found)
        bad.update({start + row: reason for row, reason in found.items()})
        halves.append((made, end - start))
    (first, before), (second, after) = halves
    width = max(len(first), len(second))
    # A record that is alone and bad has no columns: its rows are not looked at.
    first = first or [[None] * before for _ in range(width)]
    second = second or [[None] * after for _ in range(width)]
    return [[*one, *other] for one, other in zip(first, second)]


def _more(opened: Any, takes_config: bool) -> Tuple[Any, ...]:
    return (opened.config,) if takes_config else ()


def _mapper(operator: "Operator[Any]", fields: Fields, base: type, opened: Any, takes_config: bool) -> type:
    assert fields.reads is not None and fields.gives is not None
    reads = Reads(fields.reads)
    gives, columns = Gives(fields.gives, reads), Columns(reads)

    def work(raw: Sequence[Raw], rows: int, bad: Bad) -> List[Raw]:
        return _values(opened.call(columns.of(raw, bad), *_more(opened, takes_config)), gives, rows)

    class FieldsMapper(base):  # type: ignore[misc]
        def map(self, table: Any) -> None:
            raw, bad = reads.lazy_columns(table), {}  # type: ignore[var-annotated]
            made = _in_parts(work, raw, table.rows, bad) if table.rows else []
            made = made or [[None] * table.rows for _ in gives.codecs]
            if bad:
                made = [_filled(column, filler, bad) for column, filler in zip(made, gives.fillers())]
            _host.fields_output.columns(gives.table(made, raw, table.rows, bad))
            if bad:
                fail(bad)

    return FieldsMapper


def _filled(column: Raw, filler: Any, bad: Bad) -> Raw:
    made = list(column)
    for row in bad:
        made[row] = filler
    return made


def _predicate(operator: "Operator[Any]", fields: Fields, base: type, opened: Any, takes_config: bool) -> type:
    assert fields.reads is not None
    reads = Reads(fields.reads)
    columns, function = Columns(reads), operator.function.__qualname__

    def work(raw: Sequence[Raw], rows: int, bad: Bad) -> List[Raw]:
        keep = opened.call(columns.of(raw, bad), *_more(opened, takes_config))
        return whole((keep,), rows, ("keep",), function)

    class FieldsPredicate(base):  # type: ignore[misc]
        def filter(self, table: Any) -> None:
            bad: Bad = {}
            made = _in_parts(work, reads.lazy_columns(table), table.rows, bad) if table.rows else []
            keep = made[0] if made else [False] * table.rows
            _host.output.keep(bitmap(_filled(keep, False, bad) if bad else keep))
            if bad:
                fail(bad)

    return FieldsPredicate


def _processor(operator: "Operator[Any]", fields: Fields, base: type, opened: Any, takes_config: bool) -> type:
    from ._by_field import keys_of

    assert fields.reads is not None
    reads = Reads(fields.reads)
    columns, options = Columns(reads), operator.options
    table_name, at_end, names = options.get("table", "state"), options.get("end"), [name for name, _ in fields.ports]
    given = [fields.gives, *(record for _, record in fields.ports)]
    gives = [None if record is None else Gives(record) for record in given]

    def prepared(emitted: Any, keys: Sequence[bytes]) -> List[Tuple[int, Any, Any]]:
        """The emissions of a call, checked before any of them is made."""
        made: List[Tuple[int, Any, Any]] = []
        if emitted is None:
            return made
        for each in [emitted] if isinstance(emitted, Emit) else emitted:
            if not isinstance(each, Emit):
                raise TypeError(f"{operator.function.__qualname__} gave {type(each).__name__}, and Emit(...) is wanted")
            port = 0 if each.port is None else names.index(each.port) + 1 if each.port in names else -1
            to = gives[port] if port >= 0 else None
            if to is None:
                raise ValueError(f"{operator.function.__qualname__} has no output {each.port or 'of its own'!r}")
            parents = list(each.parents)
            rows = len(parents) if keys else len(getattr(each.columns, to.record.fields[0].attribute))
            bad: Bad = {}
            table = to.table(_values(each.columns, to, rows), [[]] * len(reads.codecs), rows, bad)
            if bad:
                raise TypeError(next(iter(bad.values())))
            if rows:
                of = _host.join([keys[parent] for parent in parents]) if keys else None
                made.append((port, _host.fields.FieldBatch(table, of, None, None), parents if keys else None))
        return made

    def send(emissions: List[Tuple[int, Any, Any]]) -> None:
        for port, batch, parents in emissions:
            _host.fields_output.emit(port, batch, parents)

    class FieldsProcessor(base):  # type: ignore[misc]
        def ports(self) -> List[str]:
            return list(names)

        def process(self, batch: Any) -> None:
            keys = keys_of(batch)
            held, bad = Held(table_name, list(keys)), {}  # type: ignore[var-annotated]
            rejected_rows()
            read = columns.of(reads.lazy_columns(batch.table), bad)
            try:
                emitted = opened.call(read, [held.of(key) for key in keys], *_more(opened, takes_config))
                emissions = prepared(emitted, keys)
            except OF_THE_RECORD as error:
                if len(keys) > 1:
                    # The host undoes the call, and tries again with halves of the batch.
                    raise
                fail({0: why(error)})
                return
            bad.update(rejected_rows())
            held.write()
            send(emissions)
            if bad:
                fail(bad)

        def end(self) -> None:
            if at_end is not None:
                send(prepared(at_end(), []))

    return FieldsProcessor


_KINDS: Dict[str, Callable[["Operator[Any]", Fields, type, Any, bool], type]] = {
    "map": _mapper,
    "filter": _predicate,
    "process": _processor,
}


def component(operator: "Operator[Any]", fields: Fields, base: type, opened: Any, takes_config: bool) -> type:
    """The class of a kind whose function takes whole batches."""
    return _KINDS[operator.kind](operator, fields, base, opened, takes_config)
