"""Every kind of operator in Python, as a component: in threads, and in worker processes.

The first run makes seven components (12 seconds of CPU time each) and compiles them (13 seconds each). Later runs take both
from caches that are addressed by content.
"""

import json
import subprocess
import sys

import authored
import pytest

from sage_host import InvalidPipeline, LocalEnvironment, OperatorError, PipelineFailed, RemoteEnvironment
from sage_host.packing import python_operator
from sage_host.wiring import wire

pytestmark = [pytest.mark.componentize, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(autouse=True)
def host_file(inside):
    """A machine that has other work compiles a component of 18 MB in more than the two minutes of the default."""
    (inside / "host.toml").write_text('compile_timeout = "15m"\n')


def local(name, **options):
    return LocalEnvironment(name, host="host.toml", **options)


@pytest.fixture(params=["thread", "process"])
def isolation(request):
    return request.param


def readings(*fahrenheit):
    return [{"sensor": f"s{number}", "fahrenheit": value} for number, value in enumerate(fahrenheit)]


def test_a_map_has_dataclasses_rejects_tracebacks_metrics_and_logs(inside, isolation):
    env, good, bad = local("map", isolation=isolation, log_level="warn"), [], []
    records = [*readings(50, -900), {"sensor": "x"}, {"sensor": "y", "fahrenheit": "hot"}, [1]]
    celsius = env.from_batch(records).map(
        authored.to_celsius,
        config={"offset": 1},
        on_error={"dead_letter": "dead.jsonl"},
        parallelism=2,
        resources={"num_cpus": 0.3, "memory": "80MiB"},
    )
    celsius.sink(good)
    job = env.submit()
    job.wait(600)
    assert good == [{"sensor": "s0", "celsius": 11.0}]
    letters = [json.loads(line)["message"] for line in (inside / "dead.jsonl").read_text().splitlines()]
    assert sorted(letters) == sorted(
        [
            "-516.78 °C is below absolute zero",
            "ValueError: record has no field 'fahrenheit' of Reading",
            "ValueError: field 'fahrenheit' of record is \"hot\", and a number is wanted",
            "ValueError: record is list, and Reading wants an object",
        ]
    )
    logged = [line for line in job.logs() if line.operator == "to_celsius"]
    assert "converted s0" in [line.message for line in logged], list(job.logs())
    assert not bad


def test_what_a_guest_printed_before_it_failed_is_in_the_failure(inside, isolation):
    env = local("prints", isolation=isolation)
    infinite = '{"sensor":"hot","fahrenheit":Infinity}'
    (inside / "in.jsonl").write_text(infinite + "\n")
    env.from_file("in.jsonl").map(authored.to_celsius, retries=0).discard()
    with pytest.raises(PipelineFailed) as caught:
        env.execute()
    error = caught.value
    line = next(
        number
        for number, text in enumerate(open(authored.__file__).read().splitlines(), 1)
        if "raise MemoryError" in text
    )
    assert error.code == "panic" and error.operator == "to_celsius"
    for said in (
        "an infinite reading of hot",
        "Traceback (most recent call last)",
        f'authored.py", line {line}, in to_celsius',
        "MemoryError: this one is not of the record",
    ):
        assert said in error.message, error.message


def test_an_error_of_open_is_told_before_any_record(inside, isolation):
    for config, error, message in [
        ({"fail_in_open": True}, PipelineFailed, "offset 666 is not allowed"),
        ({"ofset": 1}, InvalidPipeline, 'unknown key "ofset" in config of operator "to_celsius" .line'),
        ({"offset": "1"}, InvalidPipeline, "offset"),
    ]:
        env = local("opens", isolation=isolation)
        env.from_batch(readings(1)).map(authored.to_celsius, config=config).discard()
        with pytest.raises(error, match=message) as caught:
            env.execute()
        assert getattr(caught.value, "code", None) in ("open", None)


def test_too_little_memory_is_told_with_a_hint(inside):
    env = local("small", isolation="thread")
    env.from_batch(readings(1)).map(authored.to_celsius, resources={"memory": "13MiB"}).discard()
    with pytest.raises(PipelineFailed) as caught:
        env.execute()
    assert "raise memory of" in str(caught.value)


def test_text_is_filtered_split_keyed_and_counted(inside, isolation):
    env, seen, totals, shouts = local("words", isolation=isolation), [], [], []
    lines = env.from_source(iter(["a bee sees a sea", "no", "see bees! bee bee"]), text=True)
    words = lines.filter(authored.is_long).flat_map(authored.words)
    counted = words.key_by(authored.initial).process(authored.count, parallelism=2, partition="key")
    counted.sink(totals)
    counted.side("seen").sink(seen, format="text")
    counted.rejects.sink(shouts, format="text")
    env.execute(timeout=600)
    assert sorted((total["key"], total["total"]) for total in totals) == [("a", 2), ("b", 3), ("s", 3)]
    assert sorted(seen) == ["a", "bee", "bee", "sea", "see"]
    assert shouts == ["bees!"]


def test_an_operator_knows_the_input_of_a_record(inside, isolation):
    env, seen = local("inputs", isolation=isolation), []
    first, again = (env.from_batch([{"w": word}], name=name, key="w") for word, name in [("x", "a"), ("y", "b")])
    counted = env.connect(first=first, again=again).process(authored.count)
    counted.discard()
    counted.side("seen").sink(seen, format="text")
    env.execute(timeout=600)
    assert seen == ['{"w":"y"} again']


def test_a_source_and_a_sink_run_in_the_pipeline(inside, isolation):
    env = local("numbers", isolation=isolation)
    (inside / "out").mkdir()
    env.from_source(authored.numbers, config={"count": 20}).sink(
        authored.file,
        config={"folder": "/out"},
        capabilities={"folders": [{"host": "out", "guest": "/out", "write": True}]},
        on_error={"dead_letter": "dead.jsonl"},
    )
    env.execute(timeout=600)
    written = (inside / "out" / "numbers.txt").read_text().split()
    assert written == [str(number) for number in range(20) if number != 13]
    assert json.loads((inside / "dead.jsonl").read_text())["message"] == "13 is not written"


def test_a_dataclass_with_a_method_is_an_operator(inside, isolation):
    env, out = local("scaled", isolation=isolation), []
    scaled = env.from_batch([{"n": 1}, {"n": 2}]).map(authored.Scaled(10, names=("a", "b")))
    scaled.sink(out)
    env.execute(timeout=600)
    assert out == [{"n": 12}, {"n": 22}]


def test_a_server_runs_python_operators(inside, serve):
    env, out = (
        RemoteEnvironment("served", socket=serve("--listen", "off", "--host", str(inside / "host.toml")).socket),
        [],
    )
    env.from_batch([{"n": 1}]).map(authored.Scaled(10)).sink(out)
    env.execute(timeout=600)
    assert out == [{"n": 10}]


def test_a_component_is_made_once(inside):
    operator = python_operator("map", authored.Scaled(10), {})
    path = operator.pack()
    before = open(path, "rb").read(100), __import__("os").stat(path).st_ino
    assert python_operator("map", authored.Scaled(11), {}).pack() == path, "the configuration is not in the component"
    assert (open(path, "rb").read(100), __import__("os").stat(path).st_ino) == before
    assert operator.is_packed and wire(_scaled(), "/", is_local=False).uploads == [path]


def _scaled():
    env = LocalEnvironment()
    env.from_batch([]).map(authored.Scaled(1)).discard()
    return env


def test_an_import_that_fails_is_told_with_what_it_printed(inside, tmp_path):
    (tmp_path / "broken.py").write_text("import nowhere_at_all\ndef f(record):\n    return nowhere_at_all.g(record)\n")
    script = "import sys; sys.path.insert(0, '.'); sys.modules['nowhere_at_all'] = sys; import broken\n"
    script += "from sage_host.packing import python_operator\npython_operator('map', broken.f, {}).pack()\n"
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert (
        "operator 'f' cannot become a component: ModuleNotFoundError: No module named 'nowhere_at_all'" in ended.stderr
    )
    assert OperatorError.__name__ in ended.stderr
