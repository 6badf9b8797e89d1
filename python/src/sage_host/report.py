"""The enforcement report: what each instance asked for, what it gets, by which mechanism, and how hard that is."""

from __future__ import annotations

import html
from typing import Any, Dict, Iterator, List, Mapping, Tuple

_COLUMNS = ("operator", "instances", "resource", "requested", "effective", "mechanism", "tier")


class Report:
    """The rows of ``explain``. Prints as a table, also in a notebook.

    >>> report = Report({"pipeline": "p", "rows": [{"operator": "a", "instances": 2, "resource": "memory",
    ...     "requested": "64MiB", "effective": "64MiB", "mechanism": "memory-limiter", "tier": "hard"}]})
    >>> print(report)
    operator  instances  resource  requested  effective  mechanism       tier
    a         2          memory    64MiB      64MiB      memory-limiter  hard
    >>> report.of("a")["memory"].tier
    'hard'
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.pipeline = str(answer.get("pipeline", ""))
        self.rows: Tuple["Row", ...] = tuple(Row(row) for row in answer.get("rows") or ())
        self.totals: Dict[str, Any] = dict(answer.get("totals") or {})
        self.raw = answer

    def of(self, stage: str) -> Dict[str, "Row"]:
        """The rows of a stage, by resource."""
        return {row.resource: row for row in self.rows if row.operator == stage}

    def __iter__(self) -> Iterator["Row"]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def _cells(self) -> List[Tuple[str, ...]]:
        return [_COLUMNS, *(row.cells() for row in self.rows)]

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        titles = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


class Row:
    """A row: attributes have the names of the columns. ``requested`` is ``None`` where nothing was asked for."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.operator = str(row.get("operator", ""))
        self.instances = int(row.get("instances", 1))
        self.resource = str(row.get("resource", ""))
        self.requested = row.get("requested")
        self.effective = str(row.get("effective", ""))
        self.mechanism = str(row.get("mechanism", ""))
        self.tier = str(row.get("tier", ""))

    def cells(self) -> Tuple[str, ...]:
        """The row as text."""
        return tuple("-" if value is None else str(value) for value in (getattr(self, name) for name in _COLUMNS))

    def __repr__(self) -> str:
        return f"Row({', '.join(self.cells())})"
