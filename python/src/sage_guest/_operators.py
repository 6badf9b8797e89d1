"""The decorators: a function stays a function, and carries what its component needs to know."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Callable, Dict, Generic, Mapping, Optional, Sequence, TypeVar, Union, overload

from ._records import hints

F = TypeVar("F", bound=Callable[..., Any])

#: Kinds, and the parameters that a function of the kind takes.
PARAMETERS = {
    "map": ("record", "config"),
    "filter": ("record", "config"),
    "flat-map": ("record", "config"),
    "key-by": ("record", "config"),
    "process": ("record", "state", "config"),
    "source": ("config",),
    "sink": ("record", "config"),
}
#: Parameters that a function of the kind must have.
_LEAST = {"process": 2, "source": 0}


class Operator(Generic[F]):
    """A function that is an operator. A call of it is a call of the function."""

    def __init__(self, kind: str, function: F, options: Dict[str, Any]) -> None:
        self.kind = kind
        self.function = function
        self.options = options
        self.parameters = _parameters(kind, function)
        functools.update_wrapper(self, function)  # pyright: ignore[reportArgumentType]

    @property
    def __call__(self) -> F:
        return self.function

    def __repr__(self) -> str:
        return f"<{self.kind} operator {self.function.__qualname__}>"


def _parameters(kind: str, function: Callable[..., Any]) -> int:
    """The number of parameters, which must be those of the kind."""
    taken = PARAMETERS[kind]
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = [p for p in inspect.signature(function).parameters.values() if p.kind in plain]
    needed = [p for p in found if p.default is inspect.Parameter.empty]
    number = min(len(found), len(taken)) if len(needed) <= len(taken) else len(needed)
    least = _LEAST.get(kind, 1)
    if not least <= number <= len(taken):
        name = getattr(function, "__qualname__", repr(function))
        words = ", ".join(taken)
        raise TypeError(
            f"{name} takes {number} parameters, and a {kind} operator has ({words}), the last if it wants it"
        )
    return number


def _decorator(kind: str) -> Any:
    def decorate(function: Optional[F] = None, **options: Any) -> Any:
        def wrap(function: F) -> Operator[F]:
            return Operator(kind, function, options)

        return wrap if function is None else wrap(function)

    return decorate


_map, _filter, _flat_map = _decorator("map"), _decorator("filter"), _decorator("flat-map")
_key_by, _process = _decorator("key-by"), _decorator("process")
_source, _sink = _decorator("source"), _decorator("sink")

Open = Optional[Callable[[Any], None]]
#: Side outputs: names, or names with the dataclass of the records.
Ports = Union[Sequence[str], Mapping[str, type]]


def _ports(ports: Ports) -> Any:
    return dict(ports) if isinstance(ports, Mapping) else tuple(ports)


@overload
def map(function: F) -> Operator[F]: ...
@overload
def map(*, open: Open = None, payload: bool = False, extends: bool = False) -> Callable[[F], Operator[F]]: ...
def map(function: Any = None, *, open: Open = None, payload: bool = False, extends: bool = False) -> Any:
    """One record in, one record out. ``open`` is called with the configuration before the first record.

    Dataclasses as annotations of what goes in and comes out make it an operator by field: the host reads the fields that
    it names, and checks them against the pipeline before the run. ``payload=True`` takes JSON instead. ``extends=True``
    keeps the other fields of the input in the output.

    >>> @map
    ... def shout(line: str) -> str:
    ...     return line.upper()
    >>> shout, shout("läuft")
    (<map operator shout>, 'LÄUFT')
    """
    return _map(function, open=open, payload=payload, extends=extends)


@overload
def filter(function: F) -> Operator[F]: ...
@overload
def filter(*, open: Open = None, payload: bool = False) -> Callable[[F], Operator[F]]: ...
def filter(function: Any = None, *, open: Open = None, payload: bool = False) -> Any:
    """One record in, and the same record out if the function says so."""
    return _filter(function, open=open, payload=payload)


@overload
def flat_map(function: F) -> Operator[F]: ...
@overload
def flat_map(*, open: Open = None, payload: bool = False, extends: bool = False) -> Callable[[F], Operator[F]]: ...
def flat_map(function: Any = None, *, open: Open = None, payload: bool = False, extends: bool = False) -> Any:
    """One record in, and the records of an iterable out.

    >>> @flat_map
    ... def words(line: str):
    ...     return line.split()
    >>> words("a b")
    ['a', 'b']
    """
    return _flat_map(function, open=open, payload=payload, extends=extends)


@overload
def key_by(function: F) -> Operator[F]: ...
@overload
def key_by(*, open: Open = None, payload: bool = False) -> Callable[[F], Operator[F]]: ...
def key_by(function: Any = None, *, open: Open = None, payload: bool = False) -> Any:
    """Gives each record a key: text, bytes or a whole number."""
    return _key_by(function, open=open, payload=payload)


@overload
def process(function: F) -> Operator[F]: ...
@overload
def process(
    *,
    open: Open = None,
    table: str = "state",
    ports: Ports = (),
    end: Optional[Callable[[], Any]] = None,
    payload: bool = False,
    extends: bool = False,
) -> Callable[[F], Operator[F]]: ...
def process(
    function: Any = None,
    *,
    open: Open = None,
    table: str = "state",
    ports: Ports = (),
    end: Optional[Callable[[], Any]] = None,
    payload: bool = False,
    extends: bool = False,
) -> Any:
    """Records in, any records out, with the state of the record's key.

    The function returns nothing, a record, or an iterable of records; ``To("late", record)`` goes to the side output
    ``late``, which ``ports`` names. ``end`` is called when the input has ended, and may give records, too. By field,
    ``ports`` has the dataclass of each output: ``{"late": Reading}``.

    >>> @process
    ... def count(record, state):
    ...     state.value = (state.value or 0) + 1
    ...     return {"key": state.key.decode(), "count": state.value}
    >>> from sage_guest import State
    >>> count({}, State(b"a", 2))
    {'key': 'a', 'count': 3}
    """
    return _process(function, open=open, table=table, ports=_ports(ports), end=end, payload=payload, extends=extends)


@overload
def source(function: F) -> Operator[F]: ...
@overload
def source(*, ports: Ports = (), payload: bool = False) -> Callable[[F], Operator[F]]: ...
def source(function: Any = None, *, ports: Ports = (), payload: bool = False) -> Any:
    """Makes records: a generator. After a restart it is run again, and the records that were given before are left out,
    so it must give the same records each time. ``None`` says that there is no record at the moment.

    >>> @source
    ... def numbers(config):
    ...     yield from range(config["count"])
    >>> list(numbers({"count": 3}))
    [0, 1, 2]
    """
    return _source(function, ports=_ports(ports), payload=payload)


@overload
def sink(function: F) -> Operator[F]: ...
@overload
def sink(
    *, open: Open = None, flush: Optional[Callable[[], None]] = None, payload: bool = False
) -> Callable[[F], Operator[F]]: ...
def sink(
    function: Any = None, *, open: Open = None, flush: Optional[Callable[[], None]] = None, payload: bool = False
) -> Any:
    """Takes records out of the pipeline. ``flush`` makes all of them durable; before it, a record may come again."""
    return _sink(function, open=open, flush=flush, payload=payload)


@overload
def map_batch(function: F) -> Operator[F]: ...
@overload
def map_batch(*, open: Open = None, extends: bool = False) -> Callable[[F], Operator[F]]: ...
def map_batch(function: Any = None, *, open: Open = None, extends: bool = False) -> Any:
    """A map that takes whole batches: a dataclass of columns in, and one with as many values out.

    >>> from dataclasses import dataclass
    >>> from sage_guest import Column
    >>> @dataclass
    ... class Readings:
    ...     fahrenheit: Column[float]
    >>> @dataclass
    ... class Temperatures:
    ...     celsius: Column[float]
    >>> @map_batch
    ... def to_celsius(batch: Readings) -> Temperatures:
    ...     return Temperatures([(fahrenheit - 32) / 1.8 for fahrenheit in batch.fahrenheit])
    >>> to_celsius(Readings([50.0, 212.0]))
    Temperatures(celsius=[10.0, 100.0])
    """
    return _map(function, open=open, extends=extends, batch=True)


@overload
def filter_batch(function: F) -> Operator[F]: ...
@overload
def filter_batch(*, open: Open = None) -> Callable[[F], Operator[F]]: ...
def filter_batch(function: Any = None, *, open: Open = None) -> Any:
    """A filter that takes whole batches, and says for each record whether it stays."""
    return _filter(function, open=open, batch=True)


@overload
def process_batch(function: F) -> Operator[F]: ...
@overload
def process_batch(
    *,
    open: Open = None,
    table: str = "state",
    ports: Mapping[str, type] = {},
    end: Optional[Callable[[], Any]] = None,
    extends: bool = False,
) -> Callable[[F], Operator[F]]: ...
def process_batch(
    function: Any = None,
    *,
    open: Open = None,
    table: str = "state",
    ports: Mapping[str, type] = {},
    end: Optional[Callable[[], Any]] = None,
    extends: bool = False,
) -> Any:
    """A process that takes whole batches: a dataclass of columns, and the ``State`` of each record's key (the same object
    for the same key). It returns nothing, ``Emit(columns, parents)``, or an iterable of these."""
    return _process(function, open=open, table=table, ports=_ports(ports), end=end, extends=extends, batch=True)


def as_operator(kind: str, function: Union[Operator[Any], Callable[..., Any]]) -> Operator[Any]:
    """The function as an operator of this kind: with its decorator, or plain with the defaults."""
    if isinstance(function, Operator):
        if function.kind != kind:
            raise TypeError(
                f"{function.function.__qualname__} is a {function.kind} operator, and a {kind} operator is wanted"
            )
        return function
    return Operator(kind, function, {})


def record_type(operator: Operator[Any]) -> Any:
    """The annotation of the record, or ``None``."""
    names = list(inspect.signature(operator.function).parameters)
    return hints(operator.function).get(names[0]) if names else None


def config_type(operator: Operator[Any]) -> Any:
    """The annotation of the configuration, or ``None``."""
    taken = PARAMETERS[operator.kind]
    names = list(inspect.signature(operator.function).parameters)
    if operator.parameters < len(taken):
        return None
    return hints(operator.function).get(names[len(taken) - 1])
