"""Streams: what a stage gives, and the stages that take it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from .component import Wasm
from .errors import GraphError
from .graph import Edge, Runs, Settings
from .packing import PythonOperator, python_operator
from .resources import Resources

if TYPE_CHECKING:
    from .environment import Environment

#: What can run at a stage: a component, or a function or class of a module.
Runnable = Union[Wasm, Callable[..., Any], object]
OnError = Union[str, Mapping[str, Any]]

#: Methods of SAGE's streams that have another name here, or are not there.
_OF_SAGE = {
    "flatmap": "it is `flat_map` here",
    "keyby": "it is `key_by` here",
    "comap": "write `env.connect(left=a, right=b).process(...)`: the operator sees the name of each record's input",
    "join": 'write `env.connect(left=a, right=b).process(...)` with `partition="key"` and keep the other side in State',
    "fill_future": "a pipeline has no circles",
}


class Stages:
    """What can follow a stream, a union of streams, or named inputs."""

    def __init__(self, env: "Environment", inputs: Dict[str, Any]) -> None:
        self._env = env
        self._inputs = inputs

    def __getattr__(self, name: str) -> Any:
        if name in _OF_SAGE:
            raise AttributeError(f"a stream has no `{name}`: {_OF_SAGE[name]}")
        raise AttributeError(f"a stream has no `{name}`")

    def map(
        self,
        operator: Runnable,
        *,
        name: Optional[str] = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
        models: Optional[Sequence[str]] = None,
        partition: Optional[Union[str, Mapping[str, str]]] = None,
    ) -> "Stream":
        """One record in, one record out. Each of ``parallelism`` instances gets ``resources``.

        >>> from sage_host import LocalEnvironment, Wasm
        >>> env = LocalEnvironment("readings")
        >>> made = env.from_file("readings.jsonl").map(
        ...     Wasm("heavy.wasm"), parallelism=4, resources={"num_cpus": 4, "memory": "8GB"})
        >>> made.sink("out.jsonl")
        >>> print(env.to_toml().split("\\n\\n")[2], end="")
        [[operator]]
        name = "heavy"
        component = "heavy.wasm"
        input = "readings"
        parallelism = 4
        resources = { num_cpus = 4, memory = "8GB" }
        """
        return self._operator("map", **_given(locals()))

    def filter(
        self,
        operator: Runnable,
        *,
        name: Optional[str] = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
        models: Optional[Sequence[str]] = None,
        partition: Optional[Union[str, Mapping[str, str]]] = None,
    ) -> "Stream":
        """One record in, the same record or no record out."""
        return self._operator("filter", **_given(locals()))

    def flat_map(
        self,
        operator: Runnable,
        *,
        name: Optional[str] = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
        models: Optional[Sequence[str]] = None,
        partition: Optional[Union[str, Mapping[str, str]]] = None,
    ) -> "Stream":
        """One record in, any number of records out."""
        return self._operator("flat-map", **_given(locals()))

    def process(
        self,
        operator: Runnable,
        *,
        name: Optional[str] = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
        models: Optional[Sequence[str]] = None,
        partition: Optional[Union[str, Mapping[str, str]]] = None,
    ) -> "Stream":
        """Records in, any records out, with keyed state, side outputs, and a last call at the end of input."""
        return self._operator("process", **_given(locals()))

    def window(
        self,
        operator: Wasm,
        *,
        window: Mapping[str, str],
        late: Optional[Mapping[str, str]] = None,
        name: Optional[str] = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
        models: Optional[Sequence[str]] = None,
        partition: Optional[Union[str, Mapping[str, str]]] = None,
    ) -> "Stream":
        """Sums up windows of event time, which the host keeps. ``side("late")`` has the records that came too late.

        ``window`` is ``{"tumbling": "1m"}``, ``{"sliding": "10m", "every": "1m"}`` or ``{"session": "30s"}``, and
        ``late`` is ``{"allowed": "10s"}``, as in a pipeline file.

        >>> from sage_host import LocalEnvironment, Wasm
        >>> env = LocalEnvironment("means")
        >>> readings = env.from_file("readings.jsonl", format="jsonl", key="sensor")
        >>> means = readings.window(Wasm("mean.wasm"), window={"tumbling": "1m"}, late={"allowed": "10s"})
        >>> means.sink("out.jsonl")
        >>> print(env.to_toml().split("\\n\\n")[2], end="")
        [[operator]]
        name = "mean"
        component = "mean.wasm"
        input = "readings"
        window = { tumbling = "1m" }
        late = { allowed = "10s" }
        """
        if not isinstance(operator, Wasm):
            raise GraphError(
                "an operator in Python cannot sum up windows yet",
                hint="write it in Rust (sage-host new NAME --kind window) and pass Wasm(..)",
            )
        settings = _given(locals())
        keys = {"window": dict(settings.pop("window"))}
        given = settings.pop("late")
        if given is not None:
            keys["late"] = dict(given)
        return self._operator("window", **settings, more=keys)

    def sink(
        self,
        target: Any,
        *,
        name: Optional[str] = None,
        format: Optional[str] = None,
        fields: Optional[Sequence[str]] = None,
        compression: Optional[str] = None,
        schema: Any = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
        partition: Optional[Union[str, Mapping[str, str]]] = None,
        **options: Any,
    ) -> None:
        """The end of a stream: a path of a file, a list that gets the records, a function that is called with each, or an
        operator of the kind sink.

        A list and a function are of this process. ``format`` says what they get: ``"json"`` (the default) the value of a
        JSON text, ``"text"`` a ``str``, ``"bytes"`` the bytes, ``"arrow"`` batches of pyarrow. With ``schema``, a
        dataclass, they get instances of it. For a file, ``format``, ``fields`` and the other keys are
        those of ``file`` in a pipeline file.
        """
        env = self._env
        if isinstance(target, (Wasm, PythonOperator)) or env.is_sink_operator(target):
            made = _runs("sink", target, config)
            stage = env.graph.name_for(name, made.stage_name)
            settings = Settings("sink", stage).keys(
                parallelism=parallelism,
                resources=resources,
                limits=limits,
                on_error=on_error,
                retries=retries,
                config=made.config,
                capabilities=capabilities,
                models=None,
                partition=partition,
            )
            env.graph.add("sink", {"name": stage, **self._inputs, **settings}, made)
            return
        for key, value in (("resources", resources), ("limits", limits), ("retries", retries), ("config", config)):
            if value is not None:
                raise GraphError(f"a sink that is built in takes no {key}", hint="only an operator has them")
        keys: Dict[str, Any] = dict(self._inputs)
        keys["on_error"] = on_error if on_error is None or isinstance(on_error, str) else dict(on_error)
        if isinstance(target, (str, os.PathLike)):
            file = {"path": os.fspath(target), "format": format, "compression": compression, **options}
            if fields is not None:
                file["fields"] = list(fields)
            keys["file"] = {key: value for key, value in file.items() if value is not None}
            keys["name"] = env.graph.name_for(name, "out")
            env.graph.add("sink", keys)
        elif isinstance(target, list) or callable(target):
            if fields is not None or compression is not None or options:
                raise GraphError("a list or a function takes no keys of a file", hint='it takes format="json"')
            made_name = "list" if isinstance(target, list) else getattr(target, "__name__", type(target).__name__)
            keys["name"] = env.graph.name_for(name, made_name)
            env.local_sink(keys, target, format or "json", schema)
        else:
            raise GraphError(
                f"{target!r} is no sink",
                hint='a sink is a path, a list, a function, Wasm("sink.wasm") or a function with @sage_guest.sink',
            )

    def print(self, *, name: Optional[str] = None) -> None:
        """Print each record on standard output of this process."""
        self.sink(print, name=name, format="text")

    def discard(self, *, name: Optional[str] = None) -> None:
        """Drop the records, which are counted."""
        self._env.graph.add("sink", {"name": self._env.graph.name_for(name, "discard"), **self._inputs, "discard": {}})

    def _operator(
        self,
        kind: str,
        operator: Runnable,
        name: Optional[str],
        more: Optional[Mapping[str, Any]] = None,
        **settings: Any,
    ) -> "Stream":
        made = _runs(kind, operator, settings.pop("config"))
        stage = self._env.graph.name_for(name, made.stage_name)
        keys = Settings("operator", stage).keys(config=made.config, **settings)
        self._env.graph.add("operator", {"name": stage, **self._inputs, **keys, **(more or {})}, made)
        return Stream(self._env, stage, made)


class Stream(Stages):
    """The records that a stage gives."""

    def __init__(self, env: "Environment", edge: Edge, runs: Optional[Runs] = None) -> None:
        super().__init__(env, {"input": edge})
        self._edge = edge
        self._runs = runs

    def key_by(
        self,
        operator: Union[str, Sequence[str], Runnable],
        *,
        name: Optional[str] = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
        models: Optional[Sequence[str]] = None,
        partition: Optional[Union[str, Mapping[str, str]]] = None,
    ) -> "Stream":
        """Gives each record a key: the value of a field, of several, or what an operator says.

        A field by its name costs no operator: the host reads it on the edge to the next stage.

        >>> from sage_host import LocalEnvironment
        >>> env = LocalEnvironment()
        >>> env.from_file("readings.jsonl", format="jsonl").key_by("sensor")
        Stream({'from': 'readings', 'key': 'sensor'})
        """
        if isinstance(operator, str) or (isinstance(operator, (list, tuple)) and operator):
            others = (name, resources, limits, on_error, retries, config, capabilities, models, partition)
            if parallelism != 1 or any(other is not None for other in others):
                raise GraphError("a key by field runs on the edge, and takes no settings of an operator")
            return self.select(key=operator)
        return self._operator("key-by", **_given(locals()))

    def select(
        self,
        *fields: str,
        key: Optional[Union[str, Sequence[str]]] = None,
        null_key: Optional[str] = None,
    ) -> "Stream":
        """The same records with these fields only, ``"f as fahrenheit"`` renames one, and with the key of a field."""
        edge: Dict[str, Any] = dict(self._edge) if isinstance(self._edge, dict) else {"from": self._edge}
        if fields:
            edge["fields"] = list(fields)
        if key is not None:
            edge["key"] = key if isinstance(key, str) else list(key)
        if null_key is not None:
            edge["null_key"] = null_key
        return Stream(self._env, edge, self._runs)

    def side(self, port: str) -> "Stream":
        """The side output ``port`` of a process operator or a source."""
        if not isinstance(self._edge, str) or "." in self._edge:
            raise GraphError("only the stream that an operator gives has side outputs", hint="call side() on it first")
        if isinstance(self._runs, PythonOperator) and port not in (*self._runs.ports, "rejects"):
            has = ", ".join(self._runs.ports) or "none"
            raise GraphError(
                f"operator {self._edge!r} has no side output {port!r}: it has {has}",
                hint=f'name it in @process(ports=["{port}"])',
            )
        return Stream(self._env, f"{self._edge}.{port}")

    @property
    def rejects(self) -> "Stream":
        """The records that the operator rejected. With a reader they do not follow ``on_error``."""
        return self.side("rejects")

    def union(self, *others: "Stream") -> "Merged":
        """The records of several streams, in the order in which they come."""
        streams = (self, *others)
        for stream in streams:
            if stream._env is not self._env:
                raise GraphError("the streams of a union belong to different environments")
        return Merged(self._env, {"input": [stream._edge for stream in streams]})

    @property
    def edge(self) -> Edge:
        """The edge as a pipeline file has it."""
        return self._edge

    def __repr__(self) -> str:
        return f"Stream({self._edge!r})"


class Merged(Stages):
    """Several streams as one."""

    def key_by(self, operator: Runnable, **settings: Any) -> Stream:
        """As :meth:`Stream.key_by`, by an operator."""
        return self._operator("key-by", operator, settings.pop("name", None), **{**_DEFAULTS, **settings})


class Inputs(Stages):
    """Streams with names, which a process operator can tell apart: ``env.connect(left=a, right=b)``."""


_DEFAULTS: Dict[str, Any] = {
    "parallelism": 1,
    "resources": None,
    "limits": None,
    "on_error": None,
    "retries": None,
    "config": None,
    "capabilities": None,
    "models": None,
    "partition": None,
}


def _given(arguments: Dict[str, Any]) -> Dict[str, Any]:
    return {key: value for key, value in arguments.items() if key not in ("self", "__class__")}


def _runs(kind: str, operator: Runnable, config: Optional[Mapping[str, Any]]) -> Runs:
    """The component at a stage. Settings of the stage go over those of the operator."""
    if isinstance(operator, Wasm):
        return Wasm(operator.path, config={**operator.config, **(config or {})})
    return python_operator(kind, operator, dict(config or {}))


def edges(streams: Mapping[str, Stream]) -> Dict[str, Edge]:
    """The edges of named inputs."""
    return {name: stream.edge for name, stream in streams.items()}


def all_of(env: "Environment", streams: List[Stream]) -> None:
    """Refuses streams of another environment."""
    for stream in streams:
        if stream._env is not env:
            raise GraphError("a stream belongs to another environment", hint="make all streams with the same env")
