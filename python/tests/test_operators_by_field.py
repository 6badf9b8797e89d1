"""Operators by field of every kind, as components: in threads, and in worker processes."""

import json

import by_field
import pytest

from sage_host import InvalidPipeline, LocalEnvironment, PipelineFailed

pytestmark = [pytest.mark.componentize, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(autouse=True)
def host_file(inside):
    (inside / "host.toml").write_text('compile_timeout = "15m"\n')


@pytest.fixture(params=["thread", "process"])
def isolation(request):
    return request.param


def local(name, **options):
    return LocalEnvironment(name, host="host.toml", **options)


def readings(*celsius):
    return [{"sensor": f"s{number}", "celsius": value, "more": number} for number, value in enumerate(celsius)]


def written(env, folder, records):
    """A source that names all fields of its records: an operator that keeps the rest must know it."""
    (folder / "in.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    schema = {"sensor": "string", "celsius": "f64", "more": "s64"}
    return env.from_file("in.jsonl", format="jsonl", schema=schema)


EVERYTHING = {
    "text": "läuft",
    "data": "aGk=",
    "flag": True,
    "whole": 9007199254740993,
    "small": 254,
    "tiny": -127,
    "number": 0.3,
    "single": 0.5,
    "at": "2026-01-31T23:59:59.999999+01:00",
    "day": "2024-02-28",
    "price": 12345.6789,
    "tree": {"a": [1, None, "b"]},
    "tags": ["x", "ß"],
    "maybe": [1, None],
    "place": {"lat": 1.5, "lon": None},
    "nothing": None,
}
CHANGED = {
    "text": "läuftß",
    "data": "aGkA",
    "flag": False,
    "whole": 9007199254740992,
    "small": 255,
    "tiny": 127,
    "number": 0.15,
    "single": 0.5,
    "at": "2026-01-31T23:00:00Z",
    "day": "2024-02-29",
    "price": 12345.679,
    "tree": {"was": {"a": [1, None, "b"]}},
    "tags": ["X", "SS"],
    "maybe": [1, None, None],
    "place": {"lat": -1.5, "lon": 1.5},
    "nothing": None,
    "missing": None,
    "unit": "F",
    "a b": 7,
}


def test_a_map_has_fields_of_every_type(inside, isolation):
    env, out = local("everything", isolation=isolation), []
    small = {**EVERYTHING, "small": 255}
    records = [EVERYTHING, {**EVERYTHING, "text": "reject"}, small, {**EVERYTHING, "text": "wrong"}, EVERYTHING]
    made = env.from_batch(records).map(by_field.everything, on_error={"dead_letter": "dead.jsonl"})
    made.sink(out)
    env.execute(timeout=600)
    assert out == [CHANGED, CHANGED]
    letters = [json.loads(line) for line in (inside / "dead.jsonl").read_text().splitlines()]
    assert [letter["message"] for letter in letters] == [
        "asked for",
        "ValueError: field 'small' of Everything is 256, which is out of the range of u8",
        "TypeError: field 'place' of Everything has 'lat', which is 'north', and a number is wanted",
    ]


def test_a_filter_a_flat_map_and_a_key_by_read_fields_and_keep_the_rest(inside, isolation):
    env, out, cold = local("chain", isolation=isolation), [], []
    warm = written(env, inside, readings(40.0, 20.0, 0.0, 50.0)).filter(by_field.warm, on_error="skip")
    warm.flat_map(by_field.letters).sink(out)
    warm.key_by(by_field.initial).sink(cold)
    env.execute(timeout=600)
    whole = [{"celsius": 40.0, "more": 0}, {"celsius": 50.0, "more": 3}]
    first, second = whole
    assert out == [
        {"sensor": "s", "count": 0, **first},
        {"sensor": "0", "count": 1, **first},
        {"sensor": "s", "count": 0, **second},
        {"sensor": "3", "count": 1, **second},
    ]
    assert cold == [{"sensor": "s0", **first}, {"sensor": "s3", **second}]


def test_a_process_has_state_side_outputs_and_an_end(inside, isolation):
    env, totals, alerts, rejected = local("process", isolation=isolation), [], [], []
    records = [
        {"sensor": sensor, "celsius": celsius} for sensor, celsius in [("a", 1), ("b", 50), ("a", -300), ("a", 2)]
    ]
    records = [{**record, "celsius": float(record["celsius"])} for record in records]
    counted = env.from_batch(records).key_by("sensor").process(by_field.count, config={"above": 40.0})
    counted.sink(totals)
    counted.side("alerts").sink(alerts)
    counted.rejects.sink(rejected)
    env.execute(timeout=600)
    assert [(each["sensor"], each["count"]) for each in totals] == [("a", 1), ("b", 1), ("a", 2), ("a", 2), ("b", 1)]
    assert alerts == [{"celsius": 50.0}] and [each["celsius"] for each in rejected] == [-300.0]


def test_a_source_and_a_sink_have_fields(inside, isolation):
    env = local("ends", isolation=isolation)
    (inside / "out").mkdir()
    env.from_source(by_field.made, config={"count": 60}).sink(
        by_field.written,
        config={"folder": "/out"},
        capabilities={"folders": [{"host": "out", "guest": "/out", "write": True}]},
        on_error={"dead_letter": "dead.jsonl"},
    )
    env.execute(timeout=600)
    lines = (inside / "out" / "readings.txt").read_text().splitlines()
    assert lines == [f"s{number} {number / 2}" for number in range(60) if number != 13]
    letter = json.loads((inside / "dead.jsonl").read_text())
    assert letter["message"] == "6.5 is not written"


def test_functions_on_batches_have_columns_rejects_and_state(inside, isolation):
    env, out, long, numbers = local("batches", isolation=isolation), [], [], []
    source = written(env, inside, readings(2.0, 0.0, -300.0, 4.0))
    source.map(by_field.hotter, on_error={"dead_letter": "dead.jsonl"}).sink(out)
    source.filter(by_field.long, config={"least": 1}).sink(long)
    source.key_by("sensor").process(by_field.numbered).sink(numbers)
    env.execute(timeout=600)
    assert [(each["sensor"], each["celsius"]) for each in out] == [("s0", 0.5), ("s3", 0.25)]
    letters = [json.loads(line)["message"] for line in (inside / "dead.jsonl").read_text().splitlines()]
    assert "ZeroDivisionError" in letters[0] and letters[1] == "colder than anything"
    assert long == readings(2.0, 0.0, -300.0, 4.0)
    assert numbers == [{"count": 1, **reading} for reading in long]


def test_edges_and_configuration_are_checked_before_the_run(inside):
    env = local("edges")
    schema = {"sensor": "string", "celsius": "string"}
    (inside / "in.jsonl").write_text("")
    env.from_file("in.jsonl", format="jsonl", schema=schema).filter(by_field.warm).discard()
    with pytest.raises(InvalidPipeline, match="celsius"):
        env.validate()
    env = local("config")
    env.from_batch(readings(1.0)).filter(by_field.warm, config={"abov": 1}).discard()
    with pytest.raises(InvalidPipeline, match="abov"):
        env.validate()


def test_a_record_that_lacks_a_field_is_told_with_its_place(inside):
    env = local("lacks")
    (inside / "in.jsonl").write_text('{"sensor":"a","celsius":50}\n{"sensor":"b"}\n')
    env.from_file("in.jsonl", format="jsonl").filter(by_field.warm).discard()
    with pytest.raises(PipelineFailed, match='field "celsius" is missing') as caught:
        env.execute(timeout=600)
    assert "in.jsonl:2" in str(caught.value)
