"""What goes wrong, as exceptions with the parts of the message as attributes."""

from __future__ import annotations

from typing import Any, Mapping, Optional


class SageHostError(Exception):
    """The base of all errors of this package: a message, and a hint apart from it.

    >>> print(SageHostError("the file is empty", hint="write a line into it"))
    the file is empty
    hint: write a line into it
    """

    def __init__(self, message: str, *, hint: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class ResourceError(SageHostError, ValueError):
    """A value in ``resources`` or ``parallelism`` that no machine could give. Raised where it is written."""

    def __init__(self, message: str, *, value: Any, limit: str, hint: Optional[str] = None) -> None:
        super().__init__(message, hint=hint)
        self.value = value
        self.limit = limit


class GraphError(SageHostError, ValueError):
    """A stage that does not fit the others: a name that is taken, an edge of another environment, a sink without input."""


class OperatorError(SageHostError, TypeError):
    """Python code that cannot become an operator, with what to do instead."""


class ProgramError(SageHostError):
    """The program ``sage-host`` is not there, or is not the one that this package needs."""


class InvalidPipeline(SageHostError):
    """The pipeline or a component has errors (exit code 2). ``report`` lists them with their places."""

    def __init__(self, message: str, *, hint: Optional[str] = None, report: Any = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class Refused(SageHostError):
    """This machine cannot give what the pipeline asks for, or cannot enforce it (exit code 3). Nothing was run."""

    def __init__(self, message: str, *, hint: Optional[str] = None, report: Any = None) -> None:
        super().__init__(message, hint=hint)
        self.report = report


class PipelineFailed(SageHostError):
    """The pipeline failed while it ran (exit code 4). ``code`` is one of the stable failure codes."""

    def __init__(
        self,
        message: str,
        *,
        hint: Optional[str] = None,
        code: Optional[str] = None,
        operator: Optional[str] = None,
        record: Optional[str] = None,
        summary: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.operator = operator
        self.record = record
        self.summary = summary


class Interrupted(SageHostError):
    """A stop ended the pipeline before all its input was taken care of (exit code 130)."""

    def __init__(self, message: str, *, summary: Optional[Mapping[str, Any]] = None) -> None:
        super().__init__(message)
        self.summary = summary


class ServerError(SageHostError):
    """The server cannot be reached, or refused a request: ``code`` and ``status`` are those of its answer."""

    def __init__(
        self, message: str, *, hint: Optional[str] = None, code: Optional[str] = None, status: Optional[int] = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.status = status
