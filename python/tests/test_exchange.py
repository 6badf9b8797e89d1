"""Sources and sinks of this process: payloads, dataclasses and batches of Arrow cross over sockets."""

import itertools
import json
import os
import socket
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import by_field
import pyarrow as pa
import pytest
from test_fields import everything

from sage_host import GraphError, LocalEnvironment, PipelineFailed, RemoteEnvironment, Wasm
from sage_host import frames as wire
from sage_host.exchange import listen


@dataclass
class Reading:
    sensor: str
    fahrenheit: float


@dataclass
class Celsius:
    sensor: str
    celsius: float


def test_dataclasses_cross_as_columns_both_ways(inside, component):
    readings = [Reading(f"s{number}", 32 + 1.8 * number) for number in range(5000)]
    env, out = LocalEnvironment("typed"), []
    stream = env.from_source(iter(readings), schema=Reading).map(Wasm(component("celsius")))
    stream.sink(out, schema=Celsius)
    assert 'schema = { sensor = "string", fahrenheit = "f64" }' in env.to_toml()
    summary = env.execute(timeout=120)
    assert out == [Celsius(f"s{number}", float(number)) for number in range(5000)]
    assert summary.outcome == "completed" and summary.balanced


def test_values_of_every_type_cross_both_ways(inside):
    records, out = [everything(number) for number in range(300)], []
    env = LocalEnvironment("everything")
    env.from_batch(records, schema=by_field.Everything).sink(out, schema=by_field.Everything)
    env.execute(timeout=120)
    assert out == records


def table(rows):
    """Columns of every type of Arrow that a field can be, with nulls."""
    number = range(rows)
    some = [None if row % 3 == 1 else row for row in number]
    at = datetime(2026, 1, 31, tzinfo=timezone.utc)
    nested = pa.struct([pa.field("lat", pa.float64(), nullable=False), pa.field("name", pa.string())])
    return pa.table(
        {
            "text": pa.array([None if row is None else "ß" * (row % 4) for row in some]),
            "large": pa.array([str(row) for row in number], pa.large_string()),
            "word": pa.array([f"w{row % 2}" for row in number]).dictionary_encode(),
            "data": pa.array([bytes([row % 256]) * 3 for row in number], pa.binary(3)),
            "flag": pa.array([None if row is None else row % 2 == 0 for row in some]),
            "small": pa.array(some, pa.int16()),
            "big": pa.array([2**63 + row for row in number], pa.uint64()),
            "single": pa.array([row / 2 for row in number], pa.float32()),
            "number": pa.array(some, pa.float64()),
            "at": pa.array([at + timedelta(seconds=row) for row in number], pa.timestamp("ms", "Europe/Berlin")),
            "day": pa.array([None if row is None else date(2026, 1, 1) + timedelta(days=row) for row in some]),
            "price": pa.array([Decimal(row - 1000).scaleb(-2) for row in number], pa.decimal128(20, 2)),
            "tags": pa.array([None if row is None else ["x"] * (row % 3) + [None] for row in some]),
            "numbers": pa.array([[row] * (row % 4) for row in number], pa.large_list(pa.int32())),
            "place": pa.array([None if row is None else {"lat": row / 4, "name": None} for row in some], nested),
        }
    )


@pytest.mark.parametrize(("start", "rows"), [(0, 1000), (3, 997), (8, 64), (999, 1), (1, 0), (5, 20000)])
def test_batches_of_arrow_cross_both_ways(inside, start, rows):
    given = table(max(1000, start + rows)).slice(start, rows)
    env, out = LocalEnvironment("arrow"), []
    env.from_source(given).sink(out, format="arrow")
    env.execute(timeout=120)
    assert sum(batch.num_rows for batch in out) == rows
    if rows:
        assert pa.Table.from_batches(out).to_pylist() == given.to_pylist()
        assert [str(field.type) for field in out[0].schema][:3] == ["string", "string", "string"]


def test_an_operator_by_field_works_on_batches_of_arrow(inside, component):
    def batches():
        for start in range(0, 3000, 1000):
            yield pa.record_batch({"sensor": ["a"] * 1000, "fahrenheit": [32 + 1.8 * (start + n) for n in range(1000)]})

    env, out = LocalEnvironment("operator"), []
    schema = pa.schema([pa.field("sensor", pa.string(), False), pa.field("fahrenheit", pa.float64(), False)])
    stream = env.from_source(batches, schema=schema).map(Wasm(component("celsius")))
    stream.sink(lambda batch: out.extend(batch.column("celsius").to_pylist()), format="arrow")
    env.execute(timeout=120)
    assert out == [float(number) for number in range(3000)]


def test_payloads_cross_with_line_ends_and_bytes(inside):
    for records, format in [(["a\nb", "", "läuft\r\n"], "text"), ([b"\n\0\xff", b""], "bytes")]:
        env, out = LocalEnvironment("payloads"), []
        env.from_source(iter(records), text=True).sink(out, format=format)
        env.execute(timeout=120)
        assert out == records


def test_several_sources_and_sinks_stream_at_once(inside):
    seen, both = [], threading.Event()

    def first():
        yield {"from": "first"}
        assert both.wait(60), "the other source did not run at the same time"

    def second():
        yield {"from": "second"}
        assert both.wait(60)

    def take(record):
        seen.append(record["from"])
        if len(set(seen)) == 2:
            both.set()

    env = LocalEnvironment("several")
    env.from_source(first).union(env.from_source(second)).sink(take)
    env.execute(timeout=120)
    assert sorted(seen) == ["first", "second"]


def test_a_generator_is_asked_for_no_more_than_the_pipeline_takes(inside):
    made, go = itertools.count(), threading.Event()
    last = 0

    def numbers():
        nonlocal last
        for last in made:
            yield {"n": last, "text": "x" * 1000}

    def take(record):
        assert go.wait(60)

    env = LocalEnvironment("pressure")
    env.from_source(numbers).sink(take)
    job = env.submit()
    # The sink takes nothing: the generator stands still after what fits into sockets and inboxes.
    before, deadline = -1, time.monotonic() + 60
    while before != last or last == 0:
        before = last
        time.sleep(0.5)
        assert time.monotonic() < deadline
    assert last < 100_000
    go.set()
    job.stop(abort=True)


def test_an_exception_of_a_source_or_a_sink_comes_with_its_traceback(inside):
    def breaks():
        yield Reading("a", 1.0)
        raise BrokenPipeError("of the source itself")

    def raises(record):
        raise ConnectionResetError("of the sink itself")

    for source, sink, error in [
        (breaks, [], BrokenPipeError),
        (lambda: [Reading("a", 1.0)], raises, ConnectionResetError),
    ]:
        env = LocalEnvironment("breaks")
        env.from_source(source, schema=Reading).sink(sink, schema=Reading)
        with pytest.raises(error, match="itself") as caught:
            env.execute(timeout=120)
        assert caught.traceback[-1].path.name == "test_exchange.py"


def test_records_that_do_not_fit_their_schema_are_named(inside):
    for record, message in [
        (Reading("a", "hot"), "field 'fahrenheit' of Reading is 'hot', and a number is wanted"),
        ({"sensor": "a"}, "gave dict, and Reading is wanted"),
    ]:
        env = LocalEnvironment("wrong")
        env.from_batch([record], schema=Reading).discard()
        with pytest.raises(GraphError, match=message):
            env.execute(timeout=120)
    schema = pa.schema([pa.field("n", pa.int64(), nullable=False)])
    for batch, message in [
        (pa.record_batch({"n": [None]}, pa.schema([pa.field("n", pa.int64())])), "column 'n' has nulls"),
        (pa.record_batch({"m": [1]}), "a batch has no column 'n'"),
        ({"n": 1}, "a source of Arrow gives dict"),
    ]:
        env = LocalEnvironment("wrong")
        env.from_source([batch], schema=schema).discard()
        with pytest.raises(GraphError, match=message):
            env.execute(timeout=120)


REFUSED = [
    (lambda env: env.from_batch([], schema=int), "schema= is <class 'int'>", "a dataclass"),
    (lambda env: env.from_batch([], schema=Reading, key="sensor"), "do not go with schema=", ".key_by"),
    (lambda env: env.from_batch([]).sink([], schema=dict), "schema= of a sink is", 'format="arrow"'),
    (lambda env: env.from_source(pa.table({"t": pa.array([], pa.timestamp("us"))})), "without a zone", "UTC"),
    (lambda env: env.from_source(pa.table({"t": pa.array([], pa.null())})), "column 't' is null", "types of fields"),
    (lambda env: env.from_source(pa.table({"t": pa.array([], pa.duration("s"))})), "is duration", "types of fields"),
    (lambda env: env.from_source(Wasm("x.wasm"), schema=Reading), "schema= are for an iterable", "key_by"),
]


@pytest.mark.parametrize(("make", "message", "hint"), REFUSED)
def test_a_schema_that_no_record_has_is_refused(make, message, hint):
    with pytest.raises(GraphError, match=message) as caught:
        make(LocalEnvironment("refused"))
    assert hint in (caught.value.hint or "")


def test_a_sink_that_wants_other_types_than_the_pipeline_is_told(inside):
    @dataclass
    class Whole:
        fahrenheit: int

    @dataclass
    class Sure:
        nothing: str

    env = LocalEnvironment("types")
    env.from_batch([Reading("a", 1.0)], schema=Reading).sink([], schema=Whole)
    with pytest.raises(GraphError, match="field 'fahrenheit' is f64 in the pipeline, and s64 in .*Whole"):
        env.execute(timeout=120)
    env = LocalEnvironment("nulls")
    env.from_batch([everything(1)], schema=by_field.Everything).sink([], schema=Sure)
    with pytest.raises(GraphError, match="field 'nothing' may be missing in the pipeline"):
        env.execute(timeout=120)


def test_a_job_of_a_server_has_lines_and_no_columns(inside, serve):
    server = serve()
    env, out = RemoteEnvironment("remote", socket=server.socket), []
    env.from_batch([Reading("a", 50.0)], schema=Reading).sink(out)
    env.execute(timeout=120)
    assert out == [{"sensor": "a", "fahrenheit": 50.0}]
    for make, message in [
        (lambda env: env.from_source(pa.table({"n": [1]})).discard(), "gives batches of Arrow, and a job of a server"),
        (lambda env: env.from_batch([{}]).sink([], format="arrow"), "takes columns, and a job of a server"),
    ]:
        env = RemoteEnvironment("remote", socket=server.socket)
        make(env)
        with pytest.raises(GraphError, match=message):
            env.execute(timeout=120)


def run(program, folder, text):
    (folder / "p.toml").write_text(text)
    ended = subprocess.run(
        [program, "run", "p.toml", "--output", "json"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    return ended.returncode, json.loads(ended.stdout)


SOURCE = """
[[source]]
name = "in"
socket = { path = "in.sock" }
schema = { n = "s64", text = "string" }
[[sink]]
name = "out"
input = "in"
discard = {}
"""


def frame(kind, *numbers):
    content = b"".join(struct.pack("<Q", number) for number in numbers)
    return wire.header(kind, len(content)) + content


NUMBERS = (0, 8, 5)
TEXTS = (0, 2, 1 << 32, 1, ord("x"))
BAD = [
    (b"", "ended before its records did"),
    (b"sagecol1", "ended before its records did"),
    (b"POST / HTTP/1.1\r\n\r\n", 'the stream begins with "POST / H", and not with "sagecol1"'),
    (b"sagecol1" + wire.header(9, 0), "a frame of kind 9"),
    (b"sagecol1" + wire.header(2, 1 << 40), "a frame of 1099511627776 bytes, at most 67108864 are read"),
    (b"sagecol1" + wire.header(1, 0), "the schema of the source says columns"),
    (b"sagecol1" + frame(2, 1), "the other side is gone"),
    (b"sagecol1" + frame(2, 1, 0, 9, 5, 0), "a field of 9 bytes, 8 are needed"),
    (b"sagecol1" + frame(2, 1, 7), "7 stands where a field says if it has nulls"),
    (b"sagecol1" + frame(2, 1, 1, 1, 1, *NUMBERS[1:], *TEXTS, 0), "a validity bitmap, but the field is not nullable"),
    (b"sagecol1" + frame(2, 1, *NUMBERS, 0, 2, 9 << 32, 1, ord("x"), 0), "the last offset is 9, but there are 1 bytes"),
    (b"sagecol1" + frame(2, 1, *NUMBERS, 0, 2, 1 << 32, 1, 0xFF, 0), "UTF-8"),
    (b"sagecol1" + frame(2, 1, *NUMBERS, *TEXTS, 0, 0), "8 bytes behind the records of a frame"),
    (b"sagecol1" + wire.header(3, 5) + b"sorry", "the program that gives the records failed: sorry"),
]


@pytest.mark.parametrize(("sent", "message"), BAD, ids=[message for _, message in BAD])
def test_what_a_program_sends_is_checked(program, inside, sent, message):
    listener = listen("in.sock")

    def give():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(sent)

    giver = threading.Thread(target=give)
    giver.start()
    code, said = run(program, inside, SOURCE)
    giver.join()
    listener.close()
    assert code == 4 and message in json.dumps(said, ensure_ascii=False).replace('\\"', '"'), said


def test_sound_frames_of_another_program_are_records(program, inside):
    listener = listen("in.sock")

    def give():
        connection, _ = listener.accept()
        with connection:
            for piece in b"sagecol1", frame(2, 1, *NUMBERS, *TEXTS, 0)[:30], frame(2, 1, *NUMBERS, *TEXTS, 0)[30:]:
                connection.sendall(piece)
                time.sleep(0.05)
            connection.sendall(wire.header(0, 0))

    giver = threading.Thread(target=give)
    giver.start()
    code, said = run(program, inside, SOURCE.replace("discard = {}", 'file = { path = "out.jsonl" }'))
    giver.join()
    listener.close()
    assert code == 0, said
    assert (inside / "out.jsonl").read_text() == '{"n":5,"text":"x"}\n'


def test_records_without_the_fields_that_are_read_follow_on_error(inside, component):
    records = [{"sensor": "a", "fahrenheit": 50.0}, {"sensor": "b"}, [1], {"sensor": "c", "fahrenheit": "hot"}]
    for of_source, of_operator in [("skip", None), (None, "skip")]:
        env, out = LocalEnvironment("lacking"), []
        stream = env.from_source(iter(records), on_error=of_source)
        stream.map(Wasm(component("celsius")), on_error=of_operator).sink(out)
        env.execute(timeout=120)
        assert out == [{"sensor": "a", "celsius": 10.0}]
    env = LocalEnvironment("lacking")
    env.from_batch(records).map(Wasm(component("celsius"))).discard()
    with pytest.raises(PipelineFailed, match='field "fahrenheit" is missing') as caught:
        env.execute(timeout=120)
    assert 'record 1 of source "batch"' in str(caught.value)


def test_a_record_that_is_too_large_is_refused(inside):
    env = LocalEnvironment("large")
    env.from_source(iter([b"x" * (5 << 20)]), text=True).discard()
    with pytest.raises(PipelineFailed, match="record 0 has 5242880 bytes, at most 4194240 are taken"):
        env.execute(timeout=120)


PIPELINES = [
    (SOURCE, "no program listens at"),
    (SOURCE.replace('"in.sock"', '""'), 'path of source "in" is empty'),
    (SOURCE.replace("schema", 'key = "n"\nschema'), "key of source"),
    (SOURCE.replace("discard = {}", "socket = {}"), "path"),
    (
        SOURCE.replace("discard = {}", 'socket = { path = "o", columns = true, fields = ["n as a"] }'),
        "keep their names",
    ),
    (
        SOURCE.replace("schema = {", "# {").replace("discard = {}", 'socket = { path = "o", columns = true }'),
        "columns, but nothing names the fields of its records",
    ),
]


@pytest.mark.parametrize(("text", "message"), PIPELINES)
def test_a_socket_that_cannot_be_is_refused(program, inside, text, message):
    code, said = run(program, inside, text)
    assert code in (2, 4) and message in json.dumps(said, ensure_ascii=False).replace('\\"', '"'), said


def test_a_run_with_checkpoints_refuses_records_that_cannot_be_read_again(program, inside):
    listener = listen("in.sock")
    text = SOURCE.replace("[[source]]", '[pipeline]\ncheckpoint = { folder = "c", interval = "1s" }\n[[source]]')
    code, said = run(program, inside, text)
    listener.close()
    assert code != 0 and "no later run can read this input again" in json.dumps(said), said


def test_a_path_that_no_socket_can_have_is_refused(inside):
    with pytest.raises(GraphError, match="longer than 107 bytes"):
        listen("/tmp/" + "x" * 110)
    assert not os.path.exists("/tmp/" + "x" * 110)


def test_nothing_is_left_of_a_run(inside, tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = threading.active_count()
    for _ in range(3):
        env, out = LocalEnvironment("left"), []
        env.from_batch([1, 2]).sink(out)
        env.execute(timeout=120)
        assert out == [1, 2]
    assert list(folder.iterdir()) == [] and threading.active_count() <= before


def test_a_program_that_does_not_start_leaves_no_thread(inside, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: (_ for _ in ()).throw(OSError("no")))
    before = threading.active_count()
    env = LocalEnvironment("unstarted")
    env.from_batch([1]).discard()
    with pytest.raises(OSError, match="no"):
        env.execute()
    assert threading.active_count() == before


def test_a_listener_is_a_unix_socket(inside):
    listener = listen("a.sock")
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect("a.sock")
    listener.close()
