"""The component's side: the classes that componentize-py looks for, made from an operator.

componentize-py makes a new object for each call, so what lasts is in the module. Only the generated module of a
component imports this one.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from . import _host
from ._by_field import Opened
from ._described import fields_of
from ._operators import PARAMETERS, Operator, as_operator, config_type, record_type
from ._records import (
    OF_THE_RECORD,
    To,
    configured,
    decoder,
    element_type,
    encoder,
    hints,
    is_record_class,
    why,
)
from ._state import Held

#: Bytes of output after which a batch of it goes to the host.
_FLUSH = 64 << 10


_opened = Opened()


def component(kind: str, written: Any, method: Optional[str] = None, by_field: bool = False) -> type:
    """The class that componentize-py looks for. ``method`` names the method of a class, whose instance is made from the
    configuration in `open`. ``by_field`` says for which world the component is made."""
    operator = as_operator(kind, written if method is None else unbound(written, method))
    first = _plain_open(operator, by_field) if method is None else _instance_open(written, method)
    if not by_field:
        return _KINDS[kind](operator, first)
    from ._by_field import component as fields_component

    fields = fields_of(operator)
    if fields is None:
        raise TypeError(
            f"the annotations of {operator.function.__qualname__} name classes that its component does not have"
        )
    takes_config = method is None and operator.parameters == len(PARAMETERS[kind])
    return fields_component(operator, fields, _base(first), _opened, takes_config)


def unbound(kind: type, method: str) -> Callable[..., Any]:
    """The method without its `self`, for its annotations."""
    import functools
    import inspect

    function = getattr(kind, method)
    bare = functools.wraps(function)(lambda *a: function(*a))
    parameters = list(inspect.signature(function).parameters.values())[1:]
    bare.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    del bare.__wrapped__
    bare.__annotations__ = hints(function)
    return bare


def _plain_open(operator: Operator[Any], by_field: bool) -> Callable[[Any], None]:
    function, wants = operator.function, operator.parameters
    # The generated loops of operators by field pass the configuration themselves.
    takes_config = wants == len(PARAMETERS[operator.kind]) and not by_field

    def open(config: Any) -> None:
        config = configured(config_type(operator), config)
        _opened.config = config
        _opened.call = (lambda *a: function(*a, config)) if takes_config else function
        first = operator.options.get("open")
        if first is not None:
            first(config)

    return open


def _instance_open(kind: type, method: str) -> Callable[[Any], None]:
    def open(config: Any) -> None:
        instance = configured(kind, config) if is_record_class(kind) else kind()
        _opened.config = config
        _opened.call = getattr(instance, method)
        if hasattr(instance, "open"):
            instance.open()

    return open


def _base(first: Callable[[Any], None]) -> type:
    class Base:
        def open(self, context: Any) -> None:
            try:
                first(json.loads(context.config))
            except Exception as error:
                raise _host.refuse(why(error)) from None

        def close(self) -> None:
            pass

    return Base


def _codec(operator: Operator[Any]) -> Tuple[Callable[[bytes], Any], Callable[[Any], bytes]]:
    takes, gives = record_type(operator), hints(operator.function).get("return")
    return decoder(takes), encoder(gives, takes)


def _mapper(operator: Operator[Any], first: Callable[[Any], None]) -> type:
    decode, encode = _codec(operator)

    class Mapper(_base(first)):  # type: ignore[misc]
        def map(self, payloads: Any) -> None:
            call = _opened.call
            made: List[bytes] = []
            bad: List[int] = []
            reasons: List[str] = []
            add, offsets, data = made.append, payloads.offsets, payloads.bytes
            for row, (start, end) in enumerate(zip(offsets, offsets[1:])):
                try:
                    add(encode(call(decode(data[start:end]))))
                except OF_THE_RECORD as error:
                    bad.append(row)
                    reasons.append(why(error))
                    add(b"")
            _host.output.payloads(_host.join(made))
            _host.fail_rows(bad, reasons)

    return Mapper


def _predicate(operator: Operator[Any], first: Callable[[Any], None]) -> type:
    decode, _ = _codec(operator)

    class Predicate(_base(first)):  # type: ignore[misc]
        def filter(self, payloads: Any) -> None:
            call = _opened.call
            keep: List[bool] = []
            bad: List[int] = []
            reasons: List[str] = []
            for row, record in enumerate(_host.split(payloads)):
                try:
                    keep.append(bool(call(decode(record))))
                except OF_THE_RECORD as error:
                    bad.append(row)
                    reasons.append(why(error))
                    keep.append(False)
            _host.output.keep(_host.bitmap(keep))
            _host.fail_rows(bad, reasons)

    return Predicate


def _flat_mapper(operator: Operator[Any], first: Callable[[Any], None]) -> type:
    takes, gives = record_type(operator), hints(operator.function).get("return")
    decode, encode = decoder(takes), encoder(element_type(gives), takes)

    class FlatMapper(_base(first)):  # type: ignore[misc]
        def flat_map(self, payloads: Any) -> None:
            call = _opened.call
            made: List[bytes] = []
            parents: List[int] = []
            bad: List[int] = []
            reasons: List[str] = []
            size = 0
            for row, record in enumerate(_host.split(payloads)):
                try:
                    more = [encode(value) for value in call(decode(record))]
                except OF_THE_RECORD as error:
                    bad.append(row)
                    reasons.append(why(error))
                    continue
                made += more
                parents += [row] * len(more)
                size += sum(len(entry) for entry in more)
                if size > _FLUSH:
                    _host.output.rows(_host.join(made), parents)
                    made, parents, size = [], [], 0
            if made:
                _host.output.rows(_host.join(made), parents)
            _host.fail_rows(bad, reasons)

    return FlatMapper


def _key_selector(operator: Operator[Any], first: Callable[[Any], None]) -> type:
    from ._records import text_of

    decode, _ = _codec(operator)

    class KeySelector(_base(first)):  # type: ignore[misc]
        def key_by(self, payloads: Any) -> None:
            call = _opened.call
            keys: List[bytes] = []
            bad: List[int] = []
            reasons: List[str] = []
            for row, record in enumerate(_host.split(payloads)):
                try:
                    keys.append(text_of(call(decode(record))))
                except OF_THE_RECORD as error:
                    bad.append(row)
                    reasons.append(why(error))
                    keys.append(b"")
            _host.output.keys(_host.join(keys))
            _host.fail_rows(bad, reasons)

    return KeySelector


class _Outputs:
    """Records on their way out, by port."""

    def __init__(self, ports: Iterable[str], encode: Callable[[Any], bytes]) -> None:
        self._numbers: Dict[str, int] = {port: number for number, port in enumerate(ports, 1)}
        self._encode = encode
        self._rows: Dict[int, Tuple[List[bytes], List[bytes], List[int]]] = {}

    def encoded(self, made: Any) -> List[Tuple[int, bytes]]:
        """The records that a function gave, with their ports."""
        if made is None:
            return []
        if isinstance(made, (To, bytes, str, dict)) or not isinstance(made, (list, tuple, Iterator)):
            made = (made,)
        return [
            (self._port(each), self._encode(each.record if isinstance(each, To) else each))
            for each in made
            if each is not None
        ]

    def _port(self, made: Any) -> int:
        if not isinstance(made, To):
            return 0
        if made.port not in self._numbers:
            raise ValueError(f"there is no side output {made.port!r}: name it in ports=[...]")
        return self._numbers[made.port]

    def add(self, outputs: List[Tuple[int, bytes]], key: Optional[bytes], parent: Optional[int]) -> None:
        for port, payload in outputs:
            payloads, keys, parents = self._rows.setdefault(port, ([], [], []))
            payloads.append(payload)
            if key is not None:
                keys.append(key)
            if parent is not None:
                parents.append(parent)

    def send(self) -> None:
        for port, (payloads, keys, parents) in sorted(self._rows.items()):
            batch = _host.Batch(_host.join(payloads), _host.join(keys) if keys else None, None, None)
            _host.output.emit(port, batch, parents or None)
        self._rows = {}


def _processor(operator: Operator[Any], first: Callable[[Any], None]) -> type:
    takes, gives = record_type(operator), hints(operator.function).get("return")
    decode, encode = decoder(takes), encoder(element_type(gives) or gives, takes)
    options = operator.options
    names, table, at_end = options.get("ports", ()), options.get("table", "state"), options.get("end")

    class Processor(_base(first)):  # type: ignore[misc]
        def ports(self) -> List[str]:
            return list(names)

        def process(self, batch: Any) -> None:
            if batch.keys is None:
                raise RuntimeError('a process operator in Python has the state of a key: put key_by("field") before it')
            call = _opened.call
            keys = _host.split(batch.keys)
            held, outputs = Held(table, keys), _Outputs(names, encode)
            bad: List[int] = []
            reasons: List[str] = []
            for row, (record, key) in enumerate(zip(_host.split(batch.payloads), keys)):
                state = held.of(key)
                before = state.value
                try:
                    made = outputs.encoded(call(decode(record), state))
                    held.went_well(state)
                except OF_THE_RECORD as error:
                    held.undo(state, before)
                    bad.append(row)
                    reasons.append(why(error))
                    continue
                outputs.add(made, key, row)
            held.write()
            outputs.send()
            _host.fail_rows(bad, reasons)

        def end(self) -> None:
            if at_end is not None:
                outputs = _Outputs(names, encode)
                outputs.add(outputs.encoded(at_end()), None, None)
                outputs.send()

    return Processor


class _Reading:
    """A source's generator, and how many records it has given."""

    records: Iterator[Any]
    given = 0


def _reader(operator: Operator[Any], first: Callable[[Any], None]) -> type:
    import wit_world.exports.reader as reader  # type: ignore[import-not-found]

    gives = hints(operator.function).get("return")
    encode = encoder(element_type(gives), None)
    names = operator.options.get("ports", ())
    reading = _Reading()

    class Reader(_base(first)):  # type: ignore[misc]
        def ports(self) -> List[str]:
            return list(names)

        def open(self, context: Any) -> None:
            super().open(context)
            reading.records, reading.given = iter(_opened.call()), 0

        def next(self, max_records: int, max_bytes: int) -> Any:
            outputs, size = _Outputs(names, encode), 0
            try:
                for _ in range(max_records):
                    record = next(reading.records, _END)
                    if record is _END:
                        outputs.send()
                        return reader.Progress_End()
                    reading.given += 1
                    if record is None:
                        outputs.send()
                        return reader.Progress_Idle(20)
                    made = outputs.encoded(record if isinstance(record, To) else (record,))
                    outputs.add(made, None, None)
                    size += sum(len(payload) for _, payload in made)
                    if size >= max_bytes:
                        break
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

    return Reader


_END = object()


def _writer(operator: Operator[Any], first: Callable[[Any], None]) -> type:
    decode, _ = _codec(operator)
    durable = operator.options.get("flush")

    class Writer(_base(first)):  # type: ignore[misc]
        def write(self, batch: Any) -> None:
            call = _opened.call
            bad: List[int] = []
            reasons: List[str] = []
            for row, record in enumerate(_host.split(batch.payloads)):
                try:
                    call(decode(record))
                except OF_THE_RECORD as error:
                    bad.append(row)
                    reasons.append(why(error))
            _host.fail_rows(bad, reasons)

        def flush(self) -> None:
            if durable is not None:
                try:
                    durable()
                except Exception as error:
                    raise _host.refuse(why(error)) from None

    return Writer


_KINDS: Dict[str, Callable[[Operator[Any], Callable[[Any], None]], type]] = {
    "map": _mapper,
    "filter": _predicate,
    "flat-map": _flat_mapper,
    "key-by": _key_selector,
    "process": _processor,
    "source": _reader,
    "sink": _writer,
}

#: The class's name in the generated module, by kind: what componentize-py looks for.
CLASSES: Dict[str, str] = {
    "map": "Mapper",
    "filter": "Predicate",
    "flat-map": "FlatMapper",
    "key-by": "KeySelector",
    "process": "Processor",
    "source": "Reader",
    "sink": "Writer",
}

__all__ = ["CLASSES", "component"]
