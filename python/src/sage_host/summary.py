"""The summary of a run, which is complete when the run is over."""

from __future__ import annotations

import html
from typing import Any, Dict, List, Mapping, Tuple

_COLUMNS = ("stage", "kind", "in", "out", "rejected", "dead-lettered", "retried", "CPU s")


class Summary:
    """The counts of a run, by stage.

    >>> summary = Summary({"pipeline": "p", "outcome": "completed", "balanced": True, "elapsed_seconds": 0.5,
    ...     "stages": [{"name": "in", "kind": "source", "records_in": 0, "records_out": 3, "cpu_seconds": 0.1}]})
    >>> summary["in"]["records_out"], summary.outcome
    (3, 'completed')
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.raw = answer
        self.pipeline = str(answer.get("pipeline", ""))
        self.outcome = str(answer.get("outcome", ""))
        self.balanced = bool(answer.get("balanced", False))
        self.elapsed_seconds = float(answer.get("elapsed_seconds") or 0.0)
        self.stages: Dict[str, Dict[str, Any]] = {
            str(stage.get("name")): dict(stage) for stage in answer.get("stages") or ()
        }

    def __getitem__(self, stage: str) -> Dict[str, Any]:
        return self.stages[stage]

    def _cells(self) -> List[Tuple[str, ...]]:
        rows: List[Tuple[str, ...]] = [_COLUMNS]
        for name, stage in self.stages.items():
            numbers = ("records_in", "records_out", "rejected", "dead_lettered", "retried")
            cpu = f"{float(stage.get('cpu_seconds') or 0.0):.3f}"
            rows.append((name, str(stage.get("kind")), *(str(stage.get(number, 0)) for number in numbers), cpu))
        return rows

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(len(row[column]) for row in cells) for column in range(len(_COLUMNS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]
        return "\n".join([f"{self.pipeline}: {self.outcome} after {self.elapsed_seconds:.3f} s", *lines])

    def __repr__(self) -> str:
        return f"<summary of {self.pipeline}: {self.outcome}>"

    def _repr_html_(self) -> str:
        head, *rows = self._cells()
        titles = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        caption = html.escape(f"{self.pipeline}: {self.outcome} after {self.elapsed_seconds:.3f} s")
        return f"<table><caption>{caption}</caption><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
