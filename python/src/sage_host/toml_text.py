"""Pipeline files as text. The standard library reads TOML, and does not write it."""

from __future__ import annotations

import math
import re
from typing import Any, List, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def document(tables: Mapping[str, Any]) -> str:
    """A file of tables, arrays of tables, and values on a line each.

    >>> print(document({"pipeline": {"name": "a"}, "sink": [{"name": "out", "stdout": {}}]}), end="")
    [pipeline]
    name = "a"
    <BLANKLINE>
    [[sink]]
    name = "out"
    stdout = {}
    """
    parts: List[str] = []
    for name, value in tables.items():
        if isinstance(value, Mapping) and value and all(isinstance(each, Mapping) for each in value.values()):
            parts += [f"[{key(name)}.{key(inner)}]\n{_lines(table)}" for inner, table in value.items()]
        elif isinstance(value, Mapping):
            parts.append(f"[{key(name)}]\n{_lines(value)}")
        else:
            parts += [f"[[{key(name)}]]\n{_lines(table)}" for table in value]
    return "\n".join(parts)


def _lines(table: Mapping[str, Any]) -> str:
    return "".join(f"{key(name)} = {inline(value)}\n" for name, value in table.items())


def key(name: str) -> str:
    """A key, quoted if it must be.

    >>> key("num_cpus"), key("Temp (F)")
    ('num_cpus', '"Temp (F)"')
    """
    return name if _BARE.fullmatch(name) else _text(name)


def inline(value: Any) -> str:
    """A value on one line.

    >>> inline({"path": "a b", "header": ["x", "y"], "n": 1.0, "ok": True})
    '{ path = "a b", header = ["x", "y"], n = 1.0, ok = true }'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"{value} does not fit into a whole number of TOML (64 bits)")
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else {"inf": "inf", "-inf": "-inf"}.get(str(value), "nan")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key(name)} = {inline(each)}" for name, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(inline(each) for each in value)}]"
    if value is None:
        raise TypeError("a value is None, and TOML has no null: leave the key out")
    raise TypeError(f"a value is {value!r}, of type {type(value).__name__}, which a pipeline file cannot hold")


def _text(value: str) -> str:
    return (
        '"' + "".join(_ESCAPES.get(c) or (c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}") for c in value) + '"'
    )
