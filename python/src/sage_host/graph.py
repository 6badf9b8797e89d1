"""The graph of an environment: stages with the keys of a pipeline file, and edges by name."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from . import resources as amounts
from .amounts import count
from .component import Wasm
from .errors import GraphError
from .packing import PythonOperator

#: What runs at a stage that is not built in.
Runs = Union[Wasm, PythonOperator]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
#: Keys of a stage in a pipeline file, in the order in which they are written.
_ORDER = (
    "name",
    "file",
    "stdin",
    "generate",
    "component",
    "stdout",
    "discard",
    "input",
    "inputs",
    "partition",
    "parallelism",
    "resources",
    "limits",
    "on_error",
    "retries",
    "config",
    "capabilities",
    "models",
    "window",
    "late",
)

Edge = Union[str, Dict[str, Any]]


class Stage:
    """A source, an operator or a sink: its keys in a pipeline file, and the component that it runs."""

    def __init__(self, table: str, keys: Dict[str, Any], runs: Optional[Runs]) -> None:
        self.table = table
        self.keys = keys
        self.runs = runs

    @property
    def name(self) -> str:
        """The stage's name, which is also the edge of its main output."""
        return str(self.keys["name"])

    def written(self) -> Dict[str, Any]:
        """The stage as a table of a pipeline file."""
        keys = dict(self.keys)
        if self.runs is not None:
            keys["component"] = self.runs.path
        rank = {key: number for number, key in enumerate(_ORDER)}
        return {key: keys[key] for key in sorted(keys, key=lambda key: rank.get(key, len(rank)))}


class Graph:
    """The stages in the order in which they were made."""

    def __init__(self) -> None:
        self.stages: List[Stage] = []
        self.models: Dict[str, Dict[str, Any]] = {}

    def name_for(self, wanted: Optional[str], made: str) -> str:
        """The name that was asked for, or one made from what the stage does."""
        taken = {stage.name for stage in self.stages}
        if wanted is not None:
            if not _NAME.fullmatch(wanted):
                raise GraphError(
                    f"{wanted!r} is no name for a stage", hint="a name has 1 to 128 letters, digits, _ and -"
                )
            if wanted in taken:
                raise GraphError(f"two stages have the name {wanted!r}", hint="give one of them another name=")
            return wanted
        made = re.sub(r"[^A-Za-z0-9_-]+", "-", made).strip("-")[:120] or "stage"
        if made not in taken:
            return made
        return next(name for name in (f"{made}-{number}" for number in range(2, len(taken) + 3)) if name not in taken)

    def add(self, table: str, keys: Dict[str, Any], runs: Optional[Runs] = None) -> Stage:
        """A stage more."""
        stage = Stage(table, {key: value for key, value in keys.items() if value is not None}, runs)
        self.stages.append(stage)
        return stage

    def tables(self, name: str) -> Dict[str, Any]:
        """The tables of the pipeline file."""
        tables: Dict[str, Any] = {"pipeline": {"name": name}}
        for kind in ("source", "operator", "sink"):
            written = [stage.written() for stage in self.stages if stage.table == kind]
            if written:
                tables[kind] = written
        if self.models:
            tables["model"] = self.models
        return tables


class Settings:
    """The keys of a stage that runs a component, checked where they are written."""

    def __init__(self, kind: str, name: str) -> None:
        self.is_source = kind == "source"
        self.place = f"{kind} {name!r}"

    def keys(
        self,
        *,
        parallelism: int,
        resources: Optional[Mapping[str, Any]],
        limits: Optional[Mapping[str, Any]],
        on_error: Optional[Union[str, Mapping[str, Any]]],
        retries: Optional[int],
        config: Mapping[str, Any],
        capabilities: Optional[Mapping[str, Any]],
        models: Optional[Sequence[str]],
        partition: Optional[Union[str, Mapping[str, str]]],
    ) -> Dict[str, Any]:
        """As a pipeline file has them. What is not asked for is left out."""
        count("parallelism", self.place, parallelism, 1, 1024)
        asked = amounts.checked(self.place, resources, is_source=self.is_source)
        if retries is not None:
            count("retries", self.place, retries, 0, 100)
        return {
            "parallelism": parallelism if parallelism != 1 else None,
            "resources": asked or None,
            "limits": dict(limits) if limits else None,
            "on_error": on_error if on_error is None or isinstance(on_error, str) else dict(on_error),
            "retries": retries,
            "config": dict(config) or None,
            "capabilities": dict(capabilities) if capabilities else None,
            "models": list(models) if models else None,
            "partition": partition if partition is None or isinstance(partition, str) else dict(partition),
        }
