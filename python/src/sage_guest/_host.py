"""The imports of a component. Outside of a component, in a test of a function, they do nothing."""

from __future__ import annotations

import sys
from typing import Any, Iterable, List, Optional, Sequence

output: Any = None
state: Any = None
Batch: Any = None
Column: Any = None
Err: Any = None
fields: Any = None
fields_output: Any = None
_log: Any = None
_metrics: Any = None
_edges: Any = None

try:
    import wit_world.imports.log as _log  # type: ignore[import-not-found,no-redef]
    import wit_world.imports.metrics as _metrics  # type: ignore[import-not-found,no-redef]
    import wit_world.imports.output as output  # type: ignore[import-not-found,no-redef]
    from componentize_py_types import Err  # type: ignore[import-not-found,no-redef]
    from wit_world.imports.types import Batch, Column  # type: ignore[import-not-found,no-redef]
except ImportError:
    pass
try:
    import wit_world.imports.edges as _edges  # type: ignore[import-not-found,no-redef]
except ImportError:
    pass
try:
    import wit_world.imports.fields as fields  # type: ignore[import-not-found,no-redef]
except ImportError:
    # Only an operator by field has it.
    pass
try:
    import wit_world.imports.fields_output as fields_output  # type: ignore[import-not-found,no-redef]
except ImportError:
    pass
try:
    import wit_world.imports.state as state  # type: ignore[import-not-found,no-redef]
except ImportError:
    # Only a process operator has it.
    pass


class log:
    """Messages to whoever runs the pipeline. In a test they go to standard error."""

    @staticmethod
    def _write(level: str, text: object) -> None:
        if _log is None:
            print(f"{level}: {text}", file=sys.stderr)
        else:
            _log.write(getattr(_log.Level, level), str(text))

    @staticmethod
    def debug(text: object) -> None:
        """For the author of the operator."""
        log._write("DEBUG", text)

    @staticmethod
    def info(text: object) -> None:
        """What is going on."""
        log._write("INFO", text)

    @staticmethod
    def warn(text: object) -> None:
        """What should be looked at. The lowest level that a run shows unless it is told otherwise."""
        log._write("WARN", text)

    @staticmethod
    def error(text: object) -> None:
        """What went wrong."""
        log._write("ERROR", text)


class metrics:
    """Metrics beside the host's own, at most 64 names an instance."""

    @staticmethod
    def counter(name: str, add: int = 1) -> None:
        """Add to a counter."""
        if _metrics is not None:
            _metrics.counter(name, add)

    @staticmethod
    def gauge(name: str, value: float) -> None:
        """Set a gauge."""
        if _metrics is not None:
            _metrics.gauge(name, float(value))

    @staticmethod
    def histogram(name: str, value: float) -> None:
        """Record one observation."""
        if _metrics is not None:
            _metrics.histogram(name, float(value))


def current_input() -> Optional[str]:
    """The name of the input from which the records of this call come: ``left`` after
    ``env.connect(left=orders, right=clicks)``. ``None`` without named inputs, and in a test."""
    name: Optional[str] = None if _edges is None else _edges.current()
    return name


def split(column: Any) -> List[bytes]:
    """The entries of a column."""
    offsets, data = column.offsets, column.bytes
    return [data[start:end] for start, end in zip(offsets, offsets[1:])]


def join(entries: Sequence[bytes]) -> Any:
    """A column of these entries."""
    offsets = [0]
    end = 0
    for entry in entries:
        end += len(entry)
        offsets.append(end)
    return Column(offsets, b"".join(entries))


def bits(present: bytes, index: int) -> bool:
    """Bit ``index`` of a bitmap.

    >>> [bits(b"\\x05", index) for index in range(3)]
    [True, False, True]
    """
    return bool(present[index >> 3] >> (index & 7) & 1)


def bitmap(rows: Iterable[bool]) -> bytes:
    """A bitmap, the least significant bit first.

    >>> bitmap([True, False, True])
    b'\\x05'
    """
    flags = list(rows)
    made = bytearray((len(flags) + 7) // 8)
    for index, flag in enumerate(flags):
        if flag:
            made[index >> 3] |= 1 << (index & 7)
    return bytes(made)


def fail_rows(rows: Sequence[int], reasons: Sequence[str]) -> None:
    """Tell the host which records are rejected, and why."""
    if rows:
        output.failures(list(rows), join([reason.encode() for reason in reasons]))


def refuse(message: str) -> BaseException:
    """The exception that becomes the error of `open`."""
    made: Optional[BaseException] = Err(message) if Err is not None else None
    return made if made is not None else RuntimeError(message)
