"""Code that is generated for the dataclasses of one operator, once: the loop over the records of a batch.

A general loop would look up for each record what is known before the first one: the fields, their defaults and their
conversions. The generated loop has only the calls that differ from record to record.
"""

from __future__ import annotations

import operator
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from . import _host
from ._columns import Codec, Raw, Texts, codec, field_of, read_nullable, write_nullable
from ._records import OF_THE_RECORD, text_of, why
from ._shape import Field, Record, Value

#: The name of generated code in a traceback; `why` leaves out frames of the SDK.
_FILE = "<sage_guest rows>"

Bad = Dict[int, str]


class Reads:
    """How the columns of a table become records of a dataclass."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.codecs = [codec(field.value) for field in record.fields]

    def columns(self, table: Any) -> List[Raw]:
        """The raw values of each field, with ``None`` where there is none."""
        fields, children, rows = table.fields, table.children, table.rows
        return [read_nullable(found, field, children, rows) for found, field in zip(self.codecs, fields)]

    def lazy_columns(self, table: Any) -> List[Any]:
        """The same, with texts that are not decoded yet."""
        fields, children, rows = table.fields, table.children, table.rows
        return [
            Texts(field.values.value)
            if found.is_text and field.validity is None
            else read_nullable(found, field, children, rows)
            for found, field in zip(self.codecs, fields)
        ]

    def expression(self, names: Dict[str, Any]) -> str:
        """The record of the variables ``v0``, ``v1``, …, and the names that the expression needs."""
        names["_new"] = self.record.cls
        parts = []
        for number, (field, found) in enumerate(zip(self.record.fields, self.codecs)):
            value = f"v{number}"
            if found.convert is not None:
                names[f"_c{number}"] = found.convert
                value = f"_c{number}({value})"
            if field.has_default or field.value.nullable:
                instead = "None"
                if field.has_default:
                    instead = f"_d{number}()"
                    names[f"_d{number}"] = _default(field)
                value = f"{value} if v{number} is not None else {instead}"
            parts.append(f"{field.attribute}={value}" if field.is_keyword else value)
        return f"_new({', '.join(parts)})"


def _default(field: Field) -> Callable[[], Any]:
    if callable(field.factory):
        made: Callable[[], Any] = field.factory
        return made
    return lambda: field.default


class Gives:
    """How records of a dataclass become the columns of a table."""

    def __init__(self, record: Record, reads: Optional[Reads] = None) -> None:
        self.record = record
        self.codecs = [codec(field.value) for field in record.fields]
        self.checks = [_named(field, found, record) for field, found in zip(record.fields, self.codecs)]
        self._same = [_candidates(field, reads) for field in record.fields]

    def fillers(self) -> List[Any]:
        """A raw value of each field for a row that is rejected."""
        return [found.filler for found in self.codecs]

    def table(self, columns: Sequence[Raw], given: Sequence[Raw], rows: int, bad: Bad) -> Any:
        """The table of an answer with a row for each row of the input, whose columns are ``given``. A row with a value of
        another type becomes bad. A column that the function only passed on is not written again."""
        made, children = [], []  # type: ignore[var-annotated]
        for number, column in enumerate(columns):
            field = self._passed_on(number, column, given)
            made.append(field if field is not None else self._written(number, column, children, bad))
        return _host.fields.Table(rows, made, children)

    def table_of(self, records: Sequence[Tuple[Any, ...]]) -> Any:
        """The table of raw values, by record."""
        columns = list(zip(*records)) if records else [() for _ in self.codecs]
        children: List[Any] = []
        made = [
            write_nullable(found, field.value.nullable, list(column), children)
            for field, found, column in zip(self.record.fields, self.codecs, columns)
        ]
        return _host.fields.Table(len(records), made, children)

    def _passed_on(self, number: int, column: Raw, given: Sequence[Raw]) -> Any:
        nullable = self.record.fields[number].value.nullable
        for candidate in self._same[number]:
            came = given[candidate]
            if column is not came:
                # The ends differ where the others do, as a rule.
                if not came or column[0] is not came[0] or column[-1] is not came[-1]:
                    continue
                if not all(map(operator.is_, column, came)):
                    continue
            if nullable or isinstance(came, Texts) or None not in came:
                return field_of(_host.fields.Values_Same(candidate))
        return None

    def _written(self, number: int, column: Raw, children: List[Any], bad: Bad) -> Any:
        found, nullable = self.codecs[number], self.record.fields[number].value.nullable
        if type(column) is not list:
            column = list(column)
        some = [value for value in column if value is not None] if nullable and None in column else column
        if not found.is_raw(some):
            check, filler = self.checks[number], None if nullable else found.filler
            checked = []
            for row, value in enumerate(column):
                if row in bad:
                    checked.append(filler)
                    continue
                try:
                    checked.append(check(value))
                except OF_THE_RECORD as error:
                    bad[row] = why(error)
                    checked.append(filler)
            column = checked
        return write_nullable(found, nullable, column, children)


def _candidates(field: Field, reads: Optional[Reads]) -> List[int]:
    """The fields of the input that a field may pass on as they are."""
    if reads is None or field.value.type in ("list", "struct"):
        return []
    found = []
    for number, (other, found_codec) in enumerate(zip(reads.record.fields, reads.codecs)):
        same = other.value._replace(nullable=False) == field.value._replace(nullable=False)
        if same and found_codec.convert is None:
            found.append(number)
    return found


def _named(field: Field, found: Codec, record: Record) -> Callable[[Any], Any]:
    """The check of a field, whose errors name it."""
    where = f"field {field.attribute!r} of {record.cls.__qualname__}"
    unconvert, nullable = found.unconvert, field.value.nullable

    def check(value: Any) -> Any:
        if value is None and nullable:
            return None
        try:
            return unconvert(value)
        except (TypeError, ValueError, ArithmeticError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{where} {error}") from None

    return check


def maker(reads: Reads) -> Callable[..., Any]:
    """A function that makes a record of its raw values."""
    names: Dict[str, Any] = {}
    variables = ", ".join(f"v{number}" for number in range(len(reads.codecs)))
    return _compiled(f"def run({variables}):\n    return {reads.expression(names)}\n", names)


def taker(gives: Gives, function: str) -> Callable[[Any], Tuple[Any, ...]]:
    """A function that takes the raw values out of a record, and raises an error of the record for another type."""
    names: Dict[str, Any] = {"_out": gives.record.cls, "_expected": _expected(gives.record, function)}
    for number, check in enumerate(gives.checks):
        names[f"_k{number}"] = check
    parts = [f"_k{number}(r.{field.attribute})" for number, field in enumerate(gives.record.fields)]
    return _compiled(
        f"def run(r):\n    if r.__class__ is not _out:\n        _expected(r)\n    return ({', '.join(parts)},)\n",
        names,
    )


class Loop(NamedTuple):
    """The loop over a batch: the columns that come out, and the rows that are bad."""

    run: Callable[[Any, Any, Sequence[Raw], Bad], List[Raw]]


def loop(reads: Reads, what: str, takes_config: bool, function: str, gives: Optional[Gives] = None) -> Loop:
    """The loop that calls a function for each record, and gathers the fields that it gives (``map``), whether it keeps the
    record (``filter``), its key (``key-by``), or nothing (``sink``)."""
    names: Dict[str, Any] = {"_errors": OF_THE_RECORD, "_why": why, "_text_of": text_of}
    call = f"call({reads.expression(names)}{', config' if takes_config else ''})"
    fillers: List[Any] = []
    if what == "map" and gives is not None:
        names["_out"], names["_expected"] = gives.record.cls, _expected(gives.record, function)
        fields = [field.attribute for field in gives.record.fields]
        fillers = gives.fillers()
        work = [f"r = {call}", "if r.__class__ is not _out:", "    _expected(r)"]
        work += [f"x{number} = r.{field}" for number, field in enumerate(fields)]
    elif what == "filter":
        fillers = [False]
        work = [f"x0 = True if {call} else False"]
    elif what == "key-by":
        fillers = [b""]
        work = [f"x0 = _text_of({call})"]
    else:
        work = [call]
    for number, filler in enumerate(fillers):
        names[f"_f{number}"] = filler
    outs = range(len(fillers))
    variables = ", ".join(f"v{number}" for number in range(len(reads.codecs)))
    several = len(reads.codecs) > 1
    source = ["def run(call, config, columns, bad):"]
    source += [f"    o{number} = []; a{number} = o{number}.append" for number in outs]
    source += ["    row = 0", f"    for {variables} in {'zip(*columns)' if several else 'columns[0]'}:", "        try:"]
    source += [f"            {line}" for line in work]
    source += ["        except _errors as error:", "            bad[row] = _why(error)"]
    source += [f"            x{number} = _f{number}" for number in outs]
    source += [f"        a{number}(x{number})" for number in outs]
    source += ["        row += 1", f"    return [{', '.join(f'o{number}' for number in outs)}]"]
    return Loop(_compiled("\n".join(source) + "\n", names))


def _expected(record: Record, function: str) -> Callable[[Any], None]:
    def expected(given: Any) -> None:
        if not isinstance(given, record.cls):
            raise TypeError(f"{function} gave {type(given).__name__}, and {record.cls.__qualname__} is wanted")

    return expected


def _compiled(source: str, names: Dict[str, Any]) -> Callable[..., Any]:
    exec(compile(source, _FILE, "exec"), names)
    made: Callable[..., Any] = names["run"]
    return made


def fail(bad: Bad) -> None:
    """Tell the host which records are rejected, and why."""
    rows = sorted(bad)
    _host.fail_rows(rows, [bad[row] for row in rows])


def whole(columns: Iterable[Any], rows: int, names: Sequence[str], what: str) -> List[Any]:
    """The columns that a function on whole batches gave, as lists of the right length."""
    made = []
    for name, column in zip(names, columns):
        values = column if isinstance(column, (list, Texts)) else list(column)
        if len(values) != rows:
            raise RuntimeError(f"column {name!r} of {what} has {len(values)} values, and the batch has {rows} records")
        made.append(values)
    return made


__all__ = ["Bad", "Gives", "Loop", "Reads", "Value", "fail", "loop", "maker", "taker", "whole"]
