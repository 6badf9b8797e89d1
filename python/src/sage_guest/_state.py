"""Keyed state that the host owns: the memory of an operator is a cache, never the truth."""

from __future__ import annotations

import json
from typing import Any, Dict, Generic, Iterator, List, Optional, Tuple, TypeVar

from . import _host

V = TypeVar("V")

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
#: Most entries that the host gives at a time.
_MOST = 4096


class State(Generic[V]):
    """The value of one key: any value of JSON, or ``None`` where the key has none yet. Assign to write, and assign ``None``
    to forget.

    >>> state: State[int] = State(b"a")
    >>> state.value = (state.value or 0) + 1
    >>> state.value
    1
    """

    __slots__ = ("key", "value")

    def __init__(self, key: bytes, value: Optional[V] = None) -> None:
        self.key = key
        self.value = value


class Held:
    """The states of the keys of one batch: one call of the host reads them, and one writes those that changed.

    A record that is rejected leaves no trace in the state. A value that its function may change in place (a dict, a list)
    is therefore kept as text after each record that went well.
    """

    def __init__(self, table: str, keys: List[bytes]) -> None:
        self._table = table
        distinct = list(dict.fromkeys(keys))
        got = _host.state.get(table, _host.join(distinct))
        values, present = _host.split(got.values), got.present
        self._initial: Dict[bytes, Optional[bytes]] = {
            key: values[index] if _host.bits(present, index) else None for index, key in enumerate(distinct)
        }
        self._texts = dict(self._initial)
        self._states: Dict[bytes, State[Any]] = {key: State(key, _value(text)) for key, text in self._initial.items()}

    def of(self, key: bytes) -> State[Any]:
        """The state of a key of the batch."""
        return self._states[key]

    def went_well(self, state: State[Any]) -> None:
        """The record is taken."""
        if isinstance(state.value, (dict, list)):
            self._texts[state.key] = _text(state.value)

    def undo(self, state: State[Any], before: Any) -> None:
        """The record is rejected: the state is as it was before."""
        state.value = _value(self._texts[state.key]) if isinstance(before, (dict, list)) else before

    def write(self) -> None:
        """Write the states that changed."""
        put: List[Tuple[bytes, bytes]] = []
        gone: List[bytes] = []
        for key, state in self._states.items():
            text, initial = _text(state.value), self._initial[key]
            if text is None:
                gone += [key] if initial is not None else []
            elif text != initial:
                put.append((key, text))
        if put:
            _host.state.put(self._table, _host.join([key for key, _ in put]), _host.join([text for _, text in put]))
        if gone:
            _host.state.delete(self._table, _host.join(gone))


def _value(text: Optional[bytes]) -> Any:
    return None if text is None else json.loads(text)


def _text(value: Any) -> Optional[bytes]:
    return None if value is None else _encode(value).encode()


def entries(table: str = "state") -> Iterator[Tuple[bytes, Any]]:
    """Every key of a table with its value, in the order of the keys' bytes. For ``end``."""
    after: Optional[bytes] = None
    while True:
        found = _host.state.keys_scan(table, after, _MOST)
        keys, values = _host.split(found.subkeys), _host.split(found.values)
        for key, value in zip(keys, values):
            if value:
                yield key, json.loads(value)
        if len(keys) < _MOST:
            return
        after = keys[-1]
