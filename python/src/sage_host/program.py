"""The program ``sage-host``: where it is, and one call of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from typing import Any, Dict, List, Optional

from .errors import Interrupted, InvalidPipeline, PipelineFailed, ProgramError, Refused, SageHostError

#: The variable that names the program.
VARIABLE = "SAGE_HOST_PROGRAM"


def find_program(named: Optional[str] = None) -> str:
    """The program: the one that is named, that of ``SAGE_HOST_PROGRAM``, the one of this wheel, or the one on ``PATH``."""
    told = named or os.environ.get(VARIABLE)
    if told:
        found = shutil.which(told)
        if found is None:
            raise ProgramError(f"{told} is no program that can be run", hint=f"see program= and {VARIABLE}")
        return os.path.abspath(found)
    package = os.path.dirname(os.path.abspath(__file__))
    beside = [
        os.path.join(sysconfig.get_path("scripts"), "sage-host"),
        # pip install --target DIR puts programs into DIR/bin.
        os.path.join(os.path.dirname(package), "bin", "sage-host"),
        os.path.join(os.path.dirname(sys.executable), "sage-host"),
    ]
    for path in beside:
        if os.access(path, os.X_OK):
            return path
    found = shutil.which("sage-host")
    if found is None:
        raise ProgramError(
            "the program sage-host is not there",
            hint=f"install the wheel, or name the program with program= or {VARIABLE}",
        )
    return found


def call(program: str, arguments: List[str]) -> Dict[str, Any]:
    """The object that a command with ``--output json`` prints; its failure is raised."""
    ended = subprocess.run(
        [program, *arguments, "--output", "json"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    last = ended.stdout.strip().splitlines()[-1:] or [""]
    raise_failure(ended.returncode, last[0], ended.stderr)
    try:
        answer: Dict[str, Any] = json.loads(last[0])
    except ValueError:
        raise ProgramError(f"{program} printed no JSON: {last[0][:200]!r}") from None
    return answer


def raise_failure(code: int, answer: str, stderr: str) -> None:
    """Raises the error of a command that ended with this exit code."""
    if code == 0:
        return
    try:
        value = json.loads(answer)
    except ValueError:
        value = {}
    if not isinstance(value, dict):
        value = {}
    raise failure(code, value, stderr)


def failure(code: int, value: Dict[str, Any], stderr: str = "") -> SageHostError:
    """The error behind an exit code, with the object that the program printed."""
    error = value.get("error")
    error = error if isinstance(error, dict) else {}
    said = stderr.strip()
    message = error.get("message") or (said.removeprefix("error: ") if said else f"sage-host ended with {code}")
    report = error.get("report")
    hint = error.get("hint") or "\n".join(error.get("hints") or ()) or None
    if code == 2:
        return InvalidPipeline(_listed(message, report), hint=hint, report=report)
    if code == 3:
        message, first = _refused(str(message), report)
        return Refused(message, hint=hint or first, report=report)
    if code == 130:
        return Interrupted("the run was stopped before all its input was taken care of", summary=value or None)
    if code == 4:
        operator = error.get("operator")
        if operator is not None:
            record = f" at {error['record']}" if error.get("record") else ""
            instance = f" (instance {error['instance']})" if error.get("instance") is not None else ""
            message = f'operator "{operator}"{instance} failed with {error.get("code")}{record}: {message}'
        return PipelineFailed(
            message,
            hint=hint,
            code=error.get("code"),
            operator=operator,
            record=error.get("record"),
            summary=value if "stages" in value else None,
        )
    return SageHostError(message, hint=hint)


def _listed(message: str, report: Any) -> str:
    """The message with the errors of a file, each with its place."""
    if not isinstance(report, dict) or not isinstance(report.get("errors"), list):
        return str(message)
    lines = [str(message)]
    for error in report["errors"]:
        at = next(iter(error.get("labels") or ()), None)
        place = f" (line {at['line']})" if isinstance(at, dict) and "line" in at else ""
        lines.append(f"  {error.get('message')}{place}")
        if error.get("hint"):
            lines.append(f"    hint: {error['hint']}")
    return "\n".join(lines)


def _refused(message: str, report: Any) -> "tuple[str, Optional[str]]":
    """The message with its arithmetic, and the first hint."""
    reasons = [each for each in report if isinstance(each, dict)] if isinstance(report, list) else []
    lines = [message]
    for each in reasons:
        if each.get("message") != message:
            lines.append(f"  {each.get('message')}")
        lines += [f"    because: {note}" for note in each.get("notes") or ()]
    return "\n".join(lines), next((each["hint"] for each in reasons if each.get("hint")), None)
