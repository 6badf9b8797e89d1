"""`to_toml` is the pipeline file that does the same: the examples, written in Python, are compared with their files."""

import pathlib
import tomllib

import pytest

from sage_host import Environment, GraphError, LocalEnvironment, Wasm
from sage_host.toml_text import document

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
OPERATORS = "../../operators/target/wasm32-wasip2/release"


def wasm(name: str, **config: object) -> Wasm:
    return Wasm(f"{OPERATORS}/{name}.wasm", config=config)


def celsius() -> Environment:
    env = LocalEnvironment("celsius")
    (
        env.from_file("readings.jsonl", format="jsonl")
        .map(wasm("json_celsius", offset=-0.5), name="celsius", on_error={"dead_letter": "out-rejected.jsonl"})
        .sink("out.jsonl")
    )
    return env


def repair() -> Environment:
    env = LocalEnvironment("repair")
    readings = env.from_file("readings.jsonl", format="jsonl")
    celsius = readings.map(wasm("json_celsius"), name="celsius")
    celsius.sink("out.jsonl", name="good")
    celsius.rejects.map(wasm("prefix", text="rejected: "), name="mark").sink("out-rejected.txt", name="bad")
    return env


def mask_digits() -> Environment:
    env = LocalEnvironment("mask-digits")
    lines = env.from_source([], name="lines", text=True)
    kept = lines.filter(wasm("keep_nonempty"), name="nonempty")
    kept.map(wasm("mask", digits=True), name="mask").sink(print, name="out", format="text")
    return env


def word_count() -> Environment:
    env = LocalEnvironment("word-count")
    words = env.from_file("text.txt", name="lines").flat_map(wasm("words"))
    key = words.key_by(wasm("key_field", field=0), name="key")
    key.process(wasm("tally"), partition="key", parallelism=2).sink("out.jsonl")
    return env


def late_flights() -> Environment:
    env = LocalEnvironment("late-flights")
    late = (
        env.from_file("flights.csv", format="csv")
        .map(wasm("flights_parse"), name="parse")
        .process(wasm("late", minutes=60))
    )
    late.sink("out.jsonl", name="others")
    late.side("delayed").sink("out-delayed.jsonl", name="delayed")
    return env


def half_a_cpu() -> Environment:
    env = LocalEnvironment("half-a-cpu")
    made = env.generate(count=20_000, payload_bytes=64, keys=100, seed=7, name="made-up")
    made.filter(
        wasm("sample", one_in=2_000),
        resources={"num_cpus": 0.5, "memory": "32MiB", "object_store_memory": "1MiB"},
        limits={"cpu_time_per_call": "50ms", "call_timeout": "5s", "record_bytes": "1KiB"},
    ).sink("out.txt")
    return env


def many_files() -> Environment:
    env = LocalEnvironment("many-files")
    days = env.from_file("days/*.jsonl*", format="jsonl", on_error="skip", key="sensor")
    days.process(wasm("tally"), name="count").sink("out.jsonl")
    return env


WRITTEN = {
    "celsius": celsius,
    "half-a-cpu": half_a_cpu,
    "late-flights": late_flights,
    "many-files": many_files,
    "repair": repair,
    "word-count": word_count,
}


@pytest.mark.parametrize("example", sorted(WRITTEN))
def test_an_example_in_python_is_the_example_in_its_file(example):
    written = tomllib.loads(WRITTEN[example]().to_toml())
    file = tomllib.loads((EXAMPLES / example / "pipeline.toml").read_text())
    assert written == file


def test_a_source_and_a_sink_of_this_process_are_standard_input_and_output():
    tables = tomllib.loads(mask_digits().to_toml())
    assert tables["source"] == [{"name": "lines", "stdin": {}}]
    assert tables["sink"] == [{"name": "out", "input": "mask", "stdout": {}}]


def test_edges_have_fields_keys_names_and_sides():
    env = LocalEnvironment("edges")
    orders = env.from_file("orders.jsonl", format="jsonl")
    clicks = env.from_file("clicks.jsonl", format="jsonl", key="id")
    joined = env.connect(left=orders.select("order as id", "at", key="id"), right=clicks).process(
        Wasm("join.wasm"), partition={"left": "key", "right": "key"}, parallelism=2, retries=0
    )
    joined.side("late").discard()
    joined.union(clicks).sink("all.jsonl", format="jsonl", fields=["id"])
    tables = tomllib.loads(env.to_toml())
    assert tables["operator"] == [
        {
            "name": "join",
            "component": "join.wasm",
            "inputs": {"left": {"from": "orders", "fields": ["order as id", "at"], "key": "id"}, "right": "clicks"},
            "partition": {"left": "key", "right": "key"},
            "parallelism": 2,
            "retries": 0,
        }
    ]
    assert tables["sink"] == [
        {"name": "discard", "input": "join.late", "discard": {}},
        {
            "name": "out",
            "input": ["join", "clicks"],
            "file": {"path": "all.jsonl", "format": "jsonl", "fields": ["id"]},
        },
    ]


def test_event_times_and_watermarks_are_written():
    env = LocalEnvironment("times")
    times = {"field": "/ts", "format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"}
    watermark = {"out_of_order": "5s", "idle": "30s", "idle_advances": True}
    env.from_file("a.jsonl", format="jsonl", event_time=times, watermark=watermark).discard()
    env.from_source([], name="here", event_time={"field": "ts"}, watermark={}).discard()
    env.from_source(Wasm("source.wasm"), watermark={"max_ahead": "1h"}).discard()
    a, here, source = tomllib.loads(env.to_toml())["source"]
    assert (a["event_time"], a["watermark"]) == (times, watermark)
    assert (here["event_time"], here["watermark"]) == ({"field": "ts"}, {})
    assert (source["component"], source["watermark"]) == ("source.wasm", {"max_ahead": "1h"})
    for wrong in [{"source": Wasm("source.wasm")}, {"source": [], "text": True}]:
        with pytest.raises(GraphError, match="event_time= "):
            env.from_source(**wrong, event_time={"field": "ts"})


def test_models_limits_and_capabilities_are_written():
    env = LocalEnvironment("models")
    env.model("magika", "magika.onnx", max_rows=64)
    env.generate(count=10, payload_bytes="1KiB").map(
        Wasm("file_type.wasm"),
        resources={"num_gpus": 0.5, "resources": {"licence": 1}},
        models=["magika"],
        limits={"cpu_time_per_call": "200ms"},
        capabilities={"folders": [{"host": "data", "guest": "/data"}], "clock": "precise"},
    ).discard()
    tables = tomllib.loads(env.to_toml())
    assert tables["model"] == {"magika": {"path": "magika.onnx", "max_rows": 64}}
    operator = tables["operator"][0]
    assert operator["resources"] == {"num_gpus": 0.5, "resources": {"licence": 1}}
    assert operator["models"] == ["magika"]
    assert operator["capabilities"]["folders"] == [{"host": "data", "guest": "/data"}]


def test_names_are_made_and_kept_apart():
    env = LocalEnvironment()
    stream = env.from_file("in/days-*.csv.gz", format="csv")
    first, second = stream.map(Wasm("a b.wasm")), stream.map(Wasm("a b.wasm"))
    assert [stream.edge, first.edge, second.edge] == ["in", "a-b", "a-b-2"]
    with pytest.raises(GraphError, match="two stages have the name 'in'"):
        stream.map(Wasm("x.wasm"), name="in")
    with pytest.raises(GraphError, match="'a b' is no name"):
        stream.map(Wasm("x.wasm"), name="a b")


def test_what_sage_calls_otherwise_is_told():
    env = LocalEnvironment()
    with pytest.raises(AttributeError, match="from_batch"):
        env.from_collection([])
    with pytest.raises(AttributeError, match="flat_map"):
        env.from_batch([]).flatmap(None)


def test_streams_of_two_environments_do_not_meet():
    one, other = LocalEnvironment().from_batch([]), LocalEnvironment().from_batch([])
    with pytest.raises(GraphError, match="different environments"):
        one.union(other)
    with pytest.raises(GraphError, match="another environment"):
        one._env.connect(left=one, right=other)


def test_odd_texts_survive():
    odd = {"quote": 'a "b" \\', "lines": "a\nb\r\t\x01\x7f", "späße": "…", "float": 1e300, "big": 2**62, "neg": -0.5}
    text = document({"operator": [{"name": "x", "config": odd}]})
    assert tomllib.loads(text)["operator"][0]["config"] == odd
    with pytest.raises(TypeError, match="TOML has no null"):
        document({"operator": [{"config": {"a": None}}]})
    with pytest.raises(TypeError, match="which a pipeline file cannot hold"):
        document({"operator": [{"config": {"a": object()}}]})


def test_endless_files_have_their_keys():
    env = LocalEnvironment("endless")
    log = env.from_file("/var/log/app*.log", format="jsonl", follow=True)
    log.sink("out/events-{part}.jsonl.zst", roll={"size": "64MiB", "every": "1m", "idle": "10s"})
    log.sink("journal.txt", name="journal", append=True)
    tables = tomllib.loads(env.to_toml())
    assert tables["source"][0]["file"] == {"path": "/var/log/app*.log", "format": "jsonl", "follow": True}
    files = [sink["file"] for sink in tables["sink"]]
    assert files == [
        {"path": "out/events-{part}.jsonl.zst", "roll": {"size": "64MiB", "every": "1m", "idle": "10s"}},
        {"path": "journal.txt", "append": True},
    ]
