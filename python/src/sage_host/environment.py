"""Environments: where a pipeline is described, and where it runs."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable as AnyIterable
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Union

from sage_guest import Operator
from sage_guest._records import is_record_class

from .arrow import TakingArrow, stream_of
from .component import PathLike, Wasm
from .crossing import Giving, Taking, TakingDataclasses, TakingPayloads, giving
from .errors import GraphError
from .graph import Graph, Settings, Stage
from .job import Job
from .packing import PythonOperator
from .records import Taker, decoder, is_text
from .report import Report
from .resources import Resources
from .stream import Inputs, OnError, Stream, _runs, all_of, edges
from .summary import Summary
from .toml_text import document

_OF_SAGE = {
    "from_collection": "it is `from_batch` here",
    "from_kafka_source": "there is no connector for Kafka: write a source as a component or as a generator",
    "from_future": "a pipeline has no circles",
    "register_service": "operators share nothing: models are declared with env.model(...)",
    "set_console_log_level": "it is the argument log_level= of the environment",
}


class Feed(NamedTuple):
    """A source of this process."""

    stage: Stage
    records: Iterable[object]
    #: Whether the records are in memory already.
    is_batch: bool
    #: How the records go to the program.
    giving: Giving


class Take(NamedTuple):
    """A sink of this process."""

    stage: Stage
    target: Taker
    decode: Callable[[bytes], Any]
    #: How the records come from the program.
    taking: Taking


class Environment:
    """A pipeline under construction. :class:`LocalEnvironment` and :class:`RemoteEnvironment` run it."""

    def __init__(self, name: str, folder: Optional[PathLike] = None) -> None:
        self.name = name
        #: The folder from which relative paths lead.
        self.folder = os.path.abspath(os.fspath(folder) if folder is not None else os.getcwd())
        self.graph = Graph()
        self.feeds: List[Feed] = []
        self.takes: List[Take] = []

    def __getattr__(self, name: str) -> Any:
        if name in _OF_SAGE:
            raise AttributeError(f"an environment has no `{name}`: {_OF_SAGE[name]}")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # Sources

    def from_file(
        self,
        path: PathLike,
        *,
        format: Optional[str] = None,
        name: Optional[str] = None,
        on_error: Optional[OnError] = None,
        key: Optional[str] = None,
        event_time: Optional[Mapping[str, Any]] = None,
        watermark: Optional[Mapping[str, Any]] = None,
        headers: Optional[Mapping[str, str]] = None,
        schema: Optional[Mapping[str, Any]] = None,
        **options: Any,
    ) -> Stream:
        """The records of a file, or of all files of a pattern. ``options`` are the other keys of ``file`` in a pipeline
        file, such as ``compression`` and ``delimiter``.

        >>> from sage_host import LocalEnvironment
        >>> env = LocalEnvironment("readings")
        >>> env.from_file("days/*.csv.gz", format="csv", key="sensor")
        Stream('days')
        """
        written = os.fspath(path)
        plain = [part for part in written.replace("\\\\", "/").split("/") if part and not set(part) & set("*?[")]
        made = (plain[-1] if plain else "files").split(".")[0] or "files"
        file = {"path": written, "format": format, **options}
        keys = {
            "name": self.graph.name_for(name, made),
            "file": {key: value for key, value in file.items() if value is not None},
            "on_error": on_error if on_error is None or isinstance(on_error, str) else dict(on_error),
            "key": key,
            "event_time": dict(event_time) if event_time else None,
            "watermark": dict(watermark) if watermark is not None else None,
            "headers": dict(headers) if headers else None,
            "schema": dict(schema) if schema else None,
        }
        return Stream(self, self.graph.add("source", keys).name)

    def from_batch(
        self,
        records: Iterable[object],
        *,
        name: Optional[str] = None,
        key: Optional[str] = None,
        schema: Any = None,
        on_error: Optional[OnError] = None,
    ) -> Stream:
        """The records of a list: dicts and other values of JSON, texts, or bytes. A table of Arrow, and instances of the
        dataclass ``schema``, cross as columns."""
        stream = None if schema is not None else stream_of(records)
        if stream is not None:
            return self._feed(stream, name, "batch", False, key, is_batch=True, schema=stream.schema, on_error=on_error)
        listed = list(records)
        text = bool(listed) and is_text(listed[0])
        if text and key is not None:
            raise GraphError("key= names a field, and a text has none", hint="give dicts, or use key_by(...)")
        return self._feed(listed, name, "batch", text, key, is_batch=True, schema=schema, on_error=on_error)

    def from_source(
        self,
        source: Any,
        *,
        name: Optional[str] = None,
        key: Optional[str] = None,
        event_time: Optional[Mapping[str, Any]] = None,
        watermark: Optional[Mapping[str, Any]] = None,
        text: bool = False,
        schema: Any = None,
        parallelism: int = 1,
        resources: Optional[Resources] = None,
        limits: Optional[Mapping[str, Any]] = None,
        on_error: Optional[OnError] = None,
        retries: Optional[int] = None,
        config: Optional[Mapping[str, Any]] = None,
        capabilities: Optional[Mapping[str, Any]] = None,
    ) -> Stream:
        """The records of a component, of a function with ``@sage_guest.source``, or of an iterable or generator of this
        process. ``text`` says that an iterable gives texts or bytes instead of values of JSON.

        With ``schema``, records cross as columns: it is a dataclass, whose instances the iterable gives, or a
        ``pyarrow.Schema``, for an iterable of batches. A source that has a stream of Arrow, such as a
        ``pyarrow.RecordBatchReader``, brings its own."""
        if isinstance(source, (Wasm, PythonOperator, Operator)):
            if key is not None or text or schema is not None:
                raise GraphError("key=, text= and schema= are for an iterable of this process", hint="use key_by(...)")
            if event_time is not None:
                raise GraphError(
                    "event_time= is for an iterable of this process", hint="the records of an operator have their times"
                )
            made = _runs("source", source, config)
            stage = self.graph.name_for(name, made.stage_name)
            keys = Settings("source", stage).keys(
                parallelism=parallelism,
                resources=resources,
                limits=limits,
                on_error=on_error,
                retries=retries,
                config=made.config,
                capabilities=capabilities,
                models=None,
                partition=None,
            )
            timed = {} if watermark is None else {"watermark": dict(watermark)}
            return Stream(self, self.graph.add("source", {"name": stage, **keys, **timed}, made).name, made)
        given = (resources, limits, retries, config, capabilities)
        if parallelism != 1 or any(value is not None for value in given):
            raise GraphError(
                "a source of this process takes no settings of an operator",
                hint="put @sage_guest.source on a generator function to run it as an operator",
            )
        made_name = getattr(source, "__name__", "source")
        if schema is None and (stream := stream_of(source)) is not None:
            return self._feed(
                stream, name, made_name, text, key, is_batch=False, schema=stream.schema, on_error=on_error
            )
        records = source() if callable(source) and not isinstance(source, AnyIterable) else source
        if not isinstance(records, AnyIterable) or isinstance(records, (str, bytes, Mapping)):
            raise GraphError(
                f"{source!r} is no source", hint="a source is Wasm(...), an iterable, or a function that returns one"
            )
        times = {"event_time": event_time, "watermark": watermark}
        return self._feed(
            records, name, made_name, text, key, is_batch=False, schema=schema, on_error=on_error, times=times
        )

    def generate(
        self,
        *,
        count: Optional[int] = None,
        rate: Optional[int] = None,
        payload_bytes: Optional[Union[int, str]] = None,
        keys: Optional[int] = None,
        seed: Optional[int] = None,
        times: Optional[Mapping[str, Any]] = None,
        watermark: Optional[Mapping[str, Any]] = None,
        name: Optional[str] = None,
    ) -> Stream:
        """Made-up records, the same for the same seed."""
        asked: Dict[str, Any] = {"count": count, "rate": rate, "payload_bytes": payload_bytes, "keys": keys}
        asked["seed"] = seed
        asked["times"] = None if times is None else dict(times)
        made = {key: value for key, value in asked.items() if value is not None}
        keys_of_source = {
            "name": self.graph.name_for(name, "generate"),
            "generate": made,
            "watermark": None if watermark is None else dict(watermark),
        }
        return Stream(self, self.graph.add("source", keys_of_source).name)

    def connect(self, **streams: Stream) -> Inputs:
        """Named inputs of the next operator: ``env.connect(left=orders, right=clicks).process(...)``."""
        if not streams:
            raise GraphError("connect() has no streams", hint="write env.connect(left=a, right=b)")
        all_of(self, list(streams.values()))
        return Inputs(self, {"inputs": edges(streams)})

    def model(self, name: str, path: PathLike, **keys: Any) -> None:
        """Declare a model for operators with ``models=[name]`` and ``num_gpus``. ``keys`` are those of ``[model.NAME]``."""
        self.graph.models[name] = {"path": os.fspath(path), **keys}

    def _feed(
        self,
        records: Iterable[object],
        name: Optional[str],
        made: str,
        text: bool,
        key: Optional[str],
        *,
        is_batch: bool,
        schema: Any,
        on_error: Optional[OnError],
        times: Optional[Mapping[str, Optional[Mapping[str, Any]]]] = None,
    ) -> Stream:
        how = giving(schema, text if is_batch or text else None)
        times = times or {}
        if schema is not None and (key is not None or text):
            raise GraphError("key= and text= do not go with schema=", hint='write .key_by("field")')
        if schema is not None and times.get("event_time") is not None:
            raise GraphError("event_time= does not go with schema=", hint="give dicts, without schema=")
        if text and times.get("event_time") is not None:
            raise GraphError("event_time= names a field, and a text has none", hint="give dicts")
        stdin = {} if text else {"format": "jsonl"}
        keys: Dict[str, Any] = {"name": self.graph.name_for(name, made), "stdin": stdin, "key": key}
        if on_error is not None:
            keys["on_error"] = on_error if isinstance(on_error, str) else dict(on_error)
        if how.schema is not None:
            keys["schema"] = how.schema
        keys.update({key: None if value is None else dict(value) for key, value in times.items()})
        stage = self.graph.add("source", keys)
        self.feeds.append(Feed(stage, records, is_batch, how))
        return Stream(self, stage.name)

    def local_sink(self, keys: Dict[str, Any], target: Taker, format: str, schema: Any) -> None:
        """A sink of this process. Streams call it."""
        taking: Taking
        if schema is not None:
            if not is_record_class(schema) or format != "json":
                raise GraphError(
                    f"schema= of a sink is {schema!r}", hint='it is a dataclass; format="arrow" gives batches'
                )
            taking, decode = TakingDataclasses(schema), decoder("json")
        elif format == "arrow":
            taking, decode = TakingArrow(), decoder("json")
        else:
            decode = decoder(format)
            taking = TakingPayloads(decode)
        stdout = {} if taking.fields is None else {"format": "jsonl", "fields": taking.fields}
        stage = self.graph.add("sink", {**keys, "stdout": stdout})
        self.takes.append(Take(stage, target, decode, taking))

    def is_sink_operator(self, target: object) -> bool:
        """Whether a sink runs in the pipeline, and not in this process. Streams call it."""
        return isinstance(target, Operator) or (
            not isinstance(target, (str, list, os.PathLike, io.IOBase))
            and callable(getattr(target, "write", None))
            and not callable(target)
        )

    # The pipeline

    def to_toml(self) -> str:
        """The pipeline file that does the same. Sources and sinks of this process are standard input and output there."""
        for what, stages in (("source", self.feeds), ("sink", self.takes)):
            if len(stages) > 1:
                names = ", ".join(each.stage.name for each in stages)
                raise GraphError(
                    f"a pipeline file has one standard {'input' if what == 'source' else 'output'}, and {names} are all "
                    f"{what}s of this process",
                    hint="execute() runs them all",
                )
        return document(self.graph.tables(self.name))

    def operators(self) -> List[PythonOperator]:
        """The Python operators of the pipeline, each once."""
        found = {stage.runs.path: stage.runs for stage in self.graph.stages if isinstance(stage.runs, PythonOperator)}
        return list(found.values())

    def pack(self) -> Sequence[str]:
        """Make the components of the Python operators that are not in the cache. Returns all their paths."""
        return [operator.pack() for operator in self.operators()]

    def validate(self) -> None:
        """Check the pipeline, its components, and whether it can run there; raises every error at once."""
        raise NotImplementedError

    def explain(self) -> Report:
        """What each instance would get, and by which mechanism."""
        raise NotImplementedError

    def submit(self) -> Job:
        """Start the pipeline and return at once."""
        raise NotImplementedError

    def execute(self, timeout: Optional[float] = None) -> Summary:
        """Run the pipeline to its end. Raises what went wrong."""
        job = self.submit()
        try:
            return job.wait(timeout)
        except (KeyboardInterrupt, TimeoutError):
            job.stop()
            raise
