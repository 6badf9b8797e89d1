"""Operators of sage-host in Python: plain functions with a decorator.

    >>> from sage_guest import Reject, map
    >>> @map
    ... def to_celsius(reading: dict) -> dict:
    ...     celsius = (reading["fahrenheit"] - 32) / 1.8
    ...     if celsius < -273.15:
    ...         raise Reject(f"{celsius:.2f} °C is below absolute zero")
    ...     return {"sensor": reading["sensor"], "celsius": round(celsius, 2)}

A function stays a function, so a test calls it:

    >>> to_celsius({"sensor": "a", "fahrenheit": 50.0})
    {'sensor': 'a', 'celsius': 10.0}

The annotation of the first parameter says what a record is: ``bytes``, ``str``, a dataclass, or anything else for the
value of a JSON text. Where all that goes in and comes out is a dataclass, the host reads and prints its fields, and checks
them before the run. ``Reject`` costs the record and nothing else, and so does an error of the data (``KeyError``,
``ValueError``, ``TypeError``, ...). Any other exception fails the batch, which the host tries again and then halves.

A module that has operators is imported once, when its component is made: its memory at that moment is where every copy
of the operator starts. Nothing can be imported later, because a component has no files.
"""

from ._host import current_input, log, metrics
from ._operators import (
    Operator,
    filter,
    filter_batch,
    flat_map,
    key_by,
    map,
    map_batch,
    process,
    process_batch,
    sink,
    source,
)
from ._records import Column, Emit, Reject, To, reject_row, rejected_rows
from ._state import State, entries

__all__ = [
    "Column",
    "Emit",
    "Operator",
    "Reject",
    "State",
    "To",
    "current_input",
    "entries",
    "filter",
    "filter_batch",
    "flat_map",
    "key_by",
    "log",
    "map",
    "map_batch",
    "metrics",
    "process",
    "process_batch",
    "reject_row",
    "rejected_rows",
    "sink",
    "source",
]
