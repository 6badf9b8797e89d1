"""A pipeline as it runs: absolute paths, and files for the sources and sinks of this process that need one."""

from __future__ import annotations

import copy
import os
from typing import Any, Dict, List, NamedTuple, Optional

from .environment import Environment, Feed, Take
from .errors import GraphError
from .records import lines
from .toml_text import document

#: Most bytes of records that are written to a file before a run.
MOST_SPOOLED = 1 << 30


class Wired(NamedTuple):
    """A pipeline that can be run."""

    text: str
    #: The source whose records go to standard input.
    stdin: Optional[Feed]
    #: The sink whose records come from standard output.
    stdout: Optional[Take]
    #: Sinks whose records are in a file when the run is over.
    files: Dict[str, Take]
    #: The paths of components and models as the file has them.
    uploads: List[str]


def wire(env: Environment, work: str, *, is_local: bool) -> Wired:
    """The pipeline of an environment. ``work`` is a folder for its files. On this machine, one source and one sink of this
    process are standard input and output, and paths are absolute, because the file that is run lies elsewhere. A server knows
    from where the paths of a job lead, which may be the folder of a tenant."""
    _check_takes(env)
    tables: Dict[str, Any] = copy.deepcopy(env.graph.tables(env.name))
    by_name = {table["name"]: table for kind in ("source", "operator", "sink") for table in tables.get(kind, ())}
    stdin = next((feed for feed in env.feeds if not feed.is_batch), None) if is_local else None
    stdout = env.takes[0] if is_local and env.takes else None
    files: Dict[str, Take] = {}
    for feed in env.feeds:
        if feed is stdin:
            continue
        path = os.path.join(work, f"{feed.stage.name}.in")
        spool(feed, path)
        table = by_name[feed.stage.name]
        table["file"] = {"path": path, **table.pop("stdin")}
    for take in env.takes:
        if take is stdout:
            continue
        path = os.path.join(work, f"{take.stage.name}.out")
        table = by_name[take.stage.name]
        table.pop("stdout")
        table["file"] = {"path": path}
        files[path] = take
    if is_local:
        _absolute(tables, env.folder)
    components = [table for kind in ("source", "operator", "sink") for table in tables.get(kind, ())]
    uploads = [table["component"] for table in components if "component" in table]
    uploads += [table["path"] for table in tables.get("model", {}).values()]
    return Wired(document(tables), stdin, stdout, files, list(dict.fromkeys(uploads)))


def _check_takes(env: Environment) -> None:
    if not any(stage.table == "source" for stage in env.graph.stages):
        raise GraphError("the pipeline has no source", hint="begin with env.from_file, from_batch or from_source")
    if not any(stage.table == "sink" for stage in env.graph.stages):
        raise GraphError("the pipeline has no sink", hint="end a stream with .sink(...), .print() or .discard()")


def spool(feed: Feed, path: str) -> None:
    """Writes the records of a source of this process to a file."""
    size = 0
    with open(path, "wb") as file:
        for line in lines(feed.records):
            size += len(line)
            if size > MOST_SPOOLED:
                raise GraphError(
                    f"the records of {feed.stage.name!r} are more than {MOST_SPOOLED >> 30} GiB, which a file of them may have",
                    hint="write them into files, and read these with from_file",
                )
            file.write(line)


def _absolute(tables: Dict[str, Any], folder: str) -> None:
    """Makes every path absolute."""

    def at(path: str) -> str:
        return path if path.startswith("/") else os.path.normpath(os.path.join(folder, path))

    for kind in ("source", "operator", "sink"):
        for table in tables.get(kind, ()):
            if "component" in table:
                table["component"] = at(table["component"])
            if "path" in table.get("file", {}):
                table["file"]["path"] = at(table["file"]["path"])
            if isinstance(table.get("on_error"), dict) and "dead_letter" in table["on_error"]:
                table["on_error"]["dead_letter"] = at(table["on_error"]["dead_letter"])
            for grant in (table.get("capabilities") or {}).get("folders", ()):
                grant["host"] = at(grant["host"])
    for table in tables.get("model", {}).values():
        table["path"] = at(table["path"])


def deliver(files: Dict[str, Take]) -> None:
    """Gives the records of finished files to the lists and functions that want them."""
    for path, take in files.items():
        if not os.path.exists(path):
            # A run that was cut short leaves its output under another name.
            continue
        with open(path, "rb") as file:
            for line in file:
                give(take, line)


def give(take: Take, line: bytes) -> None:
    """Gives a record to a list or a function."""
    record = take.decode(line[:-1] if line.endswith(b"\n") else line)
    if isinstance(take.target, list):
        take.target.append(record)
    else:
        take.target(record)
