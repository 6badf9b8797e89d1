"""What a running pipeline answers, on this machine or on a server."""

from __future__ import annotations

import html
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

from .summary import Summary

#: States in which nothing more happens.
ENDED = ("completed", "stopped", "aborted", "failed", "rejected", "interrupted", "refused")


class JobStatus(NamedTuple):
    """What a job does. The counts are ``None`` where nobody counts them now."""

    state: str
    why: Optional[str]
    exit_code: Optional[int]
    records_in: Optional[int]
    records_out: Optional[int]
    rejected: Optional[int]

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens."""
        return self.exit_code is not None or self.state in ENDED


class LogLine(NamedTuple):
    """A message of an operator or of the host."""

    level: str
    message: str
    operator: Optional[str]
    instance: Optional[int]

    def __str__(self) -> str:
        of = f"{self.operator}.{self.instance}: " if self.operator is not None else ""
        return f"{self.level.upper():5} {of}{self.message}"

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> "LogLine":
        """A line as the program and the server write it.

        >>> print(LogLine.of({"level": "warn", "message": "hot", "operator": "a", "instance": 0}))
        WARN  a.0: hot
        """
        fields = line.get("fields")
        words: Dict[str, Any] = {**line, **(fields if isinstance(fields, Mapping) else {})}
        instance = words.get("instance")
        operator = words.get("operator")
        return cls(
            level=str(words.get("level", "info")).lower(),
            message=str(words.get("message", "")),
            operator=None if operator is None else str(operator),
            instance=None if instance is None else int(instance),
        )


class Job:
    """A pipeline that was submitted. ``wait`` returns its summary, or raises what went wrong."""

    def __init__(self, name: str) -> None:
        self.name = name

    def status(self) -> JobStatus:
        """What it does now."""
        raise NotImplementedError

    def wait(self, timeout: Optional[float] = None) -> Summary:
        """Wait until it has ended, and return its summary.

        Raises :class:`~sage_host.PipelineFailed` and the other errors of a run, and ``TimeoutError`` after ``timeout``
        seconds; the job then goes on.
        """
        raise NotImplementedError

    def logs(self, *, follow: bool = False) -> Iterator[LogLine]:
        """What its operators and the host say. With ``follow``, until the job has ended."""
        raise NotImplementedError

    def metrics(self) -> str:
        """Metrics in the text format of Prometheus, while it runs."""
        raise NotImplementedError

    def stop(self, *, abort: bool = False, timeout: Optional[float] = None) -> None:
        """Drain it: sources stop, and what was read is finished. With ``abort``, stop at once. Returns when it has ended."""
        raise NotImplementedError

    def summary(self) -> Optional[Summary]:
        """The summary, if it has ended with one."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<job {self.name}: {self.status().state}>"

    def _repr_html_(self) -> str:
        status = self.status()
        rows: List[str] = []
        for name, value in status._asdict().items():
            if value is not None:
                rows.append(f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>")
        summary = self.summary()
        more = summary._repr_html_() if summary is not None else ""
        return f"<table><caption>{html.escape(self.name)}</caption>{''.join(rows)}</table>{more}"
