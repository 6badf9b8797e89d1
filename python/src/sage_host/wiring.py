"""A pipeline as it runs: absolute paths, and files for the sources and sinks of this process that need one."""

from __future__ import annotations

import copy
import os
from typing import Any, Dict, List, NamedTuple

from .environment import Environment, Feed, Take
from .errors import GraphError
from .records import lines
from .toml_text import document

#: Most bytes of records that are written to a file before a run.
MOST_SPOOLED = 1 << 30


class Wired(NamedTuple):
    """A pipeline that can be run."""

    text: str
    #: Sources that give their records at a socket, by its path.
    gives: Dict[str, Feed]
    #: Sinks that take their records at a socket, by its path.
    takes: Dict[str, Take]
    #: Sinks whose records are in a file when the run is over.
    files: Dict[str, Take]
    #: The paths of components and models as the file has them.
    uploads: List[str]


def wire(env: Environment, work: str, *, is_local: bool) -> Wired:
    """The pipeline of an environment. ``work`` is a folder for its files. On this machine, sources and sinks of this process
    have sockets, and paths are absolute, because the file that is run lies elsewhere. Towards a server they have files: a
    job runs on when this process has ended. The server knows from where the paths of a job lead, which may be the folder of
    a tenant."""
    _check_takes(env)
    tables: Dict[str, Any] = copy.deepcopy(env.graph.tables(env.name))
    by_name = {table["name"]: table for kind in ("source", "operator", "sink") for table in tables.get(kind, ())}
    gives: Dict[str, Feed] = {}
    takes: Dict[str, Take] = {}
    files: Dict[str, Take] = {}
    for number, feed in enumerate(env.feeds):
        table = by_name[feed.stage.name]
        # The key of a record that crosses as JSON is read with the record.
        if is_local and not table.get("key"):
            path = os.path.join(work, f"{number}.in")
            gives[path] = feed
            table.pop("stdin")
            table["socket"] = {"path": path}
            continue
        _only_json(feed, table)
        path = os.path.join(work, f"{feed.stage.name}.in")
        spool(feed, path)
        table["file"] = {"path": path, **table.pop("stdin")}
    for number, take in enumerate(env.takes):
        table = by_name[take.stage.name]
        written = table.pop("stdout")
        if is_local:
            path = os.path.join(work, f"{number}.out")
            takes[path] = take
            columns = {"columns": True} if take.taking.columns else {}
            chosen = {"fields": take.taking.fields} if take.taking.fields is not None else {}
            table["socket"] = {"path": path, **columns, **chosen}
            continue
        if take.taking.columns:
            raise GraphError(
                f"sink {take.stage.name!r} takes columns, and a job of a server gives lines of a file",
                hint='use format="json", or a LocalEnvironment',
            )
        path = os.path.join(work, f"{take.stage.name}.out")
        table["file"] = {"path": path, **written}
        files[path] = take
    if is_local:
        _absolute(tables, env.folder)
    components = [table for kind in ("source", "operator", "sink") for table in tables.get(kind, ())]
    uploads = [table["component"] for table in components if "component" in table]
    uploads += [table["path"] for table in tables.get("model", {}).values()]
    return Wired(document(tables), gives, takes, files, list(dict.fromkeys(uploads)))


def _check_takes(env: Environment) -> None:
    if not any(stage.table == "source" for stage in env.graph.stages):
        raise GraphError("the pipeline has no source", hint="begin with env.from_file, from_batch or from_source")
    if not any(stage.table == "sink" for stage in env.graph.stages):
        raise GraphError("the pipeline has no sink", hint="end a stream with .sink(...), .print() or .discard()")


def _only_json(feed: Feed, table: Dict[str, Any]) -> None:
    """Refuses records that cannot be lines of JSON."""
    from .arrow import ArrowBatches

    if isinstance(feed.giving, ArrowBatches):
        raise GraphError(
            f"source {table['name']!r} gives batches of Arrow, and a job of a server reads lines of a file",
            hint="give dicts or dataclasses, or use a LocalEnvironment",
        )


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
