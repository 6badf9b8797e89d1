"""The component's side of operators by field: the classes that componentize-py looks for."""

from __future__ import annotations

import itertools
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from . import _batches, _host
from ._columns import bitmap
from ._described import Fields
from ._operators import Operator
from ._records import OF_THE_RECORD, To, why
from ._rows import Bad, Gives, Reads, fail, loop, maker, taker
from ._state import Held

First = Callable[[Any], Any]
Base = Callable[[First], type]
#: Records of an output after which they go to the host.
_MOST_ROWS = 1024


class Opened:
    """What `open` left for the calls after it."""

    config: Any = None
    call: Callable[..., Any]


def component(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    """The class of a kind by field. ``base`` has `open` and `close`."""
    if fields.is_batch:
        return _batches.component(operator, fields, base, opened, takes_config)
    return _KINDS[operator.kind](operator, fields, base, opened, takes_config)


def _mapper(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    assert fields.reads is not None and fields.gives is not None
    reads = Reads(fields.reads)
    gives = Gives(fields.gives, reads)
    run = loop(reads, "map", takes_config, operator.function.__qualname__, gives).run

    class FieldsMapper(base):  # type: ignore[misc]
        def map(self, table: Any) -> None:
            columns, bad = reads.columns(table), {}  # type: ignore[var-annotated]
            made = run(opened.call, opened.config, columns, bad)
            _host.fields_output.columns(gives.table(made, columns, table.rows, bad))
            if bad:
                fail(bad)

    return FieldsMapper


def _predicate(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    assert fields.reads is not None
    reads = Reads(fields.reads)
    run = loop(reads, "filter", takes_config, operator.function.__qualname__).run

    class FieldsPredicate(base):  # type: ignore[misc]
        def filter(self, table: Any) -> None:
            bad: Bad = {}
            (keep,) = run(opened.call, opened.config, reads.columns(table), bad)
            _host.output.keep(bitmap(keep))
            if bad:
                fail(bad)

    return FieldsPredicate


def _key_selector(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    assert fields.reads is not None
    reads = Reads(fields.reads)
    run = loop(reads, "key-by", takes_config, operator.function.__qualname__).run

    class FieldsKeySelector(base):  # type: ignore[misc]
        def key_by(self, table: Any) -> None:
            bad: Bad = {}
            (keys,) = run(opened.call, opened.config, reads.columns(table), bad)
            _host.output.keys(_host.join(keys))
            if bad:
                fail(bad)

    return FieldsKeySelector


def _writer(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    assert fields.reads is not None
    reads = Reads(fields.reads)
    run = loop(reads, "sink", takes_config, operator.function.__qualname__).run
    durable = operator.options.get("flush")

    class FieldsWriter(base):  # type: ignore[misc]
        def write(self, batch: Any) -> None:
            bad: Bad = {}
            run(opened.call, opened.config, reads.columns(batch.table), bad)
            if bad:
                fail(bad)

        def flush(self) -> None:
            if durable is not None:
                try:
                    durable()
                except Exception as error:
                    raise _host.refuse(why(error)) from None

    return FieldsWriter


def _flat_mapper(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    assert fields.reads is not None and fields.gives is not None
    reads, gives = Reads(fields.reads), Gives(fields.gives)
    make, take = maker(reads), taker(gives, operator.function.__qualname__)

    class FieldsFlatMapper(base):  # type: ignore[misc]
        def flat_map(self, table: Any) -> None:
            call, more = opened.call, (opened.config,) if takes_config else ()
            bad: Bad = {}
            made: List[Tuple[Any, ...]] = []
            parents: List[int] = []
            for row, values in enumerate(zip(*reads.columns(table))):
                try:
                    each = [take(record) for record in call(make(*values), *more)]
                except OF_THE_RECORD as error:
                    bad[row] = why(error)
                    continue
                made += each
                parents += [row] * len(each)
                if len(made) >= _MOST_ROWS:
                    _host.fields_output.rows(gives.table_of(made), parents)
                    made, parents = [], []
            if made:
                _host.fields_output.rows(gives.table_of(made), parents)
            if bad:
                fail(bad)

    return FieldsFlatMapper


class Outputs:
    """Records on their way out, by port."""

    def __init__(self, fields: Fields, function: str) -> None:
        self._numbers: Dict[str, int] = {name: number for number, (name, _) in enumerate(fields.ports, 1)}
        given = [fields.gives, *(record for _, record in fields.ports)]
        self._gives = [None if record is None else Gives(record) for record in given]
        self._takes = [None if gives is None else taker(gives, function) for gives in self._gives]
        self._rows: Dict[int, Tuple[List[Tuple[Any, ...]], List[bytes], List[int]]] = {}
        self._function = function

    def taken(self, made: Any) -> List[Tuple[int, Tuple[Any, ...]]]:
        """The records that a function gave, with their ports."""
        if made is None:
            return []
        each = made if isinstance(made, (list, tuple, Iterator)) else (made,)
        return [self._taken(record) for record in each if record is not None]

    def _taken(self, record: Any) -> Tuple[int, Tuple[Any, ...]]:
        port = 0
        if isinstance(record, To):
            if record.port not in self._numbers:
                raise ValueError(f"there is no side output {record.port!r}: name it in ports={{...}}")
            port, record = self._numbers[record.port], record.record
        take = self._takes[port]
        if take is None:
            raise TypeError(
                f"{self._function} gave {type(record).__name__}, and its annotation says that it gives nothing"
            )
        return port, take(record)

    def add(self, records: List[Tuple[int, Tuple[Any, ...]]], key: Optional[bytes], parent: Optional[int]) -> None:
        for port, values in records:
            rows, keys, parents = self._rows.setdefault(port, ([], [], []))
            rows.append(values)
            if key is not None:
                keys.append(key)
            if parent is not None:
                parents.append(parent)

    def send(self) -> None:
        for port, (rows, keys, parents) in sorted(self._rows.items()):
            gives = self._gives[port]
            assert gives is not None
            batch = _host.fields.FieldBatch(gives.table_of(rows), _host.join(keys) if keys else None, None, None)
            _host.fields_output.emit(port, batch, parents or None)
        self._rows = {}


def _processor(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    assert fields.reads is not None
    make, reads = maker(Reads(fields.reads)), Reads(fields.reads)
    options, function = operator.options, operator.function.__qualname__
    table_name, at_end = options.get("table", "state"), options.get("end")
    names = [name for name, _ in fields.ports]
    outputs = Outputs(fields, function)

    class FieldsProcessor(base):  # type: ignore[misc]
        def ports(self) -> List[str]:
            return list(names)

        def process(self, batch: Any) -> None:
            keys = keys_of(batch)
            call, more = opened.call, (opened.config,) if takes_config else ()
            held = Held(table_name, keys)
            bad: Bad = {}
            for row, values in enumerate(zip(*reads.columns(batch.table))):
                state = held.of(keys[row])
                before = state.value
                try:
                    made = outputs.taken(call(make(*values), state, *more))
                    held.went_well(state)
                except OF_THE_RECORD as error:
                    held.undo(state, before)
                    bad[row] = why(error)
                    continue
                outputs.add(made, keys[row], row)
            held.write()
            outputs.send()
            if bad:
                fail(bad)

        def end(self) -> None:
            if at_end is not None:
                outputs.add(outputs.taken(at_end()), None, None)
                outputs.send()

    return FieldsProcessor


def keys_of(batch: Any) -> List[bytes]:
    """The keys of a batch, by which an operator has its state."""
    if batch.keys is None:
        raise RuntimeError('a process operator in Python has the state of a key: put key_by("field") before it')
    return _host.split(batch.keys)


class _Reading:
    """A source's generator, and how many records it has given."""

    records: Iterator[Any]
    given = 0


def _reader(operator: "Operator[Any]", fields: Fields, base: type, opened: Opened, takes_config: bool) -> type:
    import wit_world.exports.fields_reader as reader  # type: ignore[import-not-found]

    names = [name for name, _ in fields.ports]
    outputs, reading = Outputs(fields, operator.function.__qualname__), _Reading()

    class FieldsReader(base):  # type: ignore[misc]
        def ports(self) -> List[str]:
            return list(names)

        def open(self, context: Any) -> None:
            super().open(context)
            more = (opened.config,) if takes_config else ()
            reading.records, reading.given = iter(opened.call(*more)), 0

        def next(self, max_records: int, max_bytes: int) -> Any:
            try:
                for _ in range(min(max_records, _MOST_ROWS)):
                    record = next(reading.records, _END)
                    if record is _END:
                        outputs.send()
                        return reader.Progress_End()
                    reading.given += 1
                    if record is None:
                        outputs.send()
                        return reader.Progress_Idle(20)
                    outputs.add(outputs.taken((record,)), None, None)
            except Exception as error:
                raise _host.refuse(why(error)) from None
            outputs.send()
            return reader.Progress_More()

        def position(self) -> bytes:
            return str(reading.given).encode()

        def seek(self, position: bytes) -> None:
            reading.given = int(position)
            for _ in itertools.islice(reading.records, reading.given):
                pass

    return FieldsReader


_END = object()

_KINDS: Dict[str, Callable[["Operator[Any]", Fields, type, Opened, bool], type]] = {
    "map": _mapper,
    "filter": _predicate,
    "flat-map": _flat_mapper,
    "key-by": _key_selector,
    "process": _processor,
    "source": _reader,
    "sink": _writer,
}

#: The class's name in the generated module, by kind.
CLASSES = {
    "map": "FieldsMapper",
    "filter": "FieldsPredicate",
    "flat-map": "FieldsFlatMapper",
    "key-by": "FieldsKeySelector",
    "process": "FieldsProcessor",
    "source": "FieldsReader",
    "sink": "FieldsWriter",
}
