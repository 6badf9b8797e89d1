"""Pipelines of components on this machine, with sources and sinks of this process."""

import itertools
import json
import threading
import time

import pytest

from sage_host import (
    GraphError,
    InvalidPipeline,
    LocalEnvironment,
    PipelineFailed,
    ProgramError,
    Refused,
    Wasm,
)


def test_a_pipeline_of_files_runs_and_is_summed_up(readings, component):
    env = LocalEnvironment("celsius")
    celsius = env.from_file("readings.jsonl", format="jsonl").map(Wasm(component("json_celsius")), name="celsius")
    celsius.sink("out.jsonl")
    env.validate()
    summary = env.execute()
    assert (summary.outcome, summary.balanced) == ("completed", True)
    assert summary["celsius"]["records_in"] == 2
    lines = (readings / "out.jsonl").read_text().splitlines()
    assert [json.loads(line)["celsius"] for line in lines] == [10.0, 100.0]
    assert "celsius" in str(summary) and "<table>" in summary._repr_html_()


def test_lists_functions_and_generators_take_and_give_records(inside, component):
    def readings():
        for number in range(1000):
            yield {"sensor": f"s{number % 3}", "fahrenheit": 32 + 1.8 * number}

    env = LocalEnvironment("mixed")
    fewer = env.from_batch([{"sensor": "x", "fahrenheit": 32}], name="few")
    celsius = env.from_source(readings).union(fewer).map(Wasm(component("json_celsius")), name="celsius")
    listed, called, texts = [], [], []
    celsius.sink(listed)
    celsius.sink(lambda record: called.append(record["sensor"]))
    celsius.sink(texts, format="bytes")
    env.execute()
    assert len(listed) == len(called) == len(texts) == 1001
    assert sorted(round(record["celsius"]) for record in listed) == sorted([*range(1000), 0])
    assert json.loads(texts[0])["sensor"] in ("x", "s0")


def test_a_record_of_a_slow_source_does_not_wait_for_the_next_one(inside, component):
    arrived = threading.Event()

    def slow():
        yield {"sensor": "a", "fahrenheit": 50}
        # The next record comes only after the first one is through.
        assert arrived.wait(60), "the first record is still on its way"
        yield {"sensor": "b", "fahrenheit": 50}

    seen = []
    env = LocalEnvironment("slow")
    stream = env.from_source(slow).map(Wasm(component("json_celsius")))
    stream.sink(lambda record: (seen.append(record["sensor"]), arrived.set()))
    env.execute(timeout=120)
    assert seen == ["a", "b"]


def test_records_that_look_like_the_answer_are_records(inside):
    odd = [{"pipeline": "x", "error": 1}, {"error": {"exit_code": 3}}, {"pipeline": "last"}]
    env, out = LocalEnvironment("odd"), []
    env.from_batch(odd).sink(out)
    assert env.execute().outcome == "completed"
    assert out == odd


def test_texts_cross_as_they_are_and_odd_values_are_refused(inside):
    env, out = LocalEnvironment("text"), []
    env.from_source(iter(["läuft", "", "b"]), text=True).sink(out, format="text")
    env.execute()
    assert out == ["läuft", "", "b"]
    for records, message in [
        (["a", {"b": 1}], "records of one kind"),
        ([{"a": object()}], "no value of JSON"),
        ([{"a": {1, 2}}], "no value of JSON"),
    ]:
        env = LocalEnvironment("bad")
        env.from_batch(records).discard()
        with pytest.raises(GraphError, match=message):
            env.execute()


def test_the_report_has_rows_and_a_table(readings, component):
    env = LocalEnvironment("explained", isolation="thread")
    env.from_file("readings.jsonl").map(
        Wasm(component("json_celsius")),
        name="celsius",
        parallelism=2,
        resources={"num_cpus": 0.25, "memory": "32MiB"},
    ).discard()
    report = env.explain()
    memory = report.of("celsius")["memory"]
    assert (memory.requested, memory.effective, memory.tier, memory.instances) == ("32MiB", "32MiB", "hard", 2)
    assert "at most 0.25 of a CPU" in str(report)
    assert "<td>celsius</td>" in report._repr_html_()


def test_errors_of_a_file_are_told_with_their_places(readings):
    env = LocalEnvironment("wrong")
    env.from_file("readings.jsonl", format="jsn").map(Wasm("nowhere.wasm")).discard()
    with pytest.raises(InvalidPipeline) as caught:
        env.validate()
    assert "jsn" in str(caught.value) and "(line " in str(caught.value)
    with pytest.raises(GraphError, match="no sink"):
        empty = LocalEnvironment()
        empty.from_batch([])
        empty.execute()
    with pytest.raises(GraphError, match="no source"):
        LocalEnvironment().execute()


def test_a_machine_that_is_too_small_refuses_with_the_arithmetic(readings, component):
    env = LocalEnvironment("big")
    env.from_file("readings.jsonl").map(
        Wasm(component("json_celsius")), name="heavy", parallelism=400, resources={"num_cpus": 4}
    ).discard()
    for run in (env.execute, env.explain, env.validate):
        with pytest.raises(Refused, match=r'"heavy" wants 1600 CPUs \(400 instances × 4\)') as caught:
            run()
        assert "because: of " in caught.value.message and "lower num_cpus" in (caught.value.hint or "")


def test_a_failure_has_its_code_its_operator_and_its_record(readings, component):
    (readings / "readings.jsonl").write_text('{"sensor":"a","fahrenheit":1}\n{"station":"JFK"}\n')
    env = LocalEnvironment("failing")
    env.from_file("readings.jsonl").map(Wasm(component("json_celsius")), name="celsius").discard()
    with pytest.raises(PipelineFailed, match="missing field `sensor`") as caught:
        env.execute()
    error = caught.value
    assert (error.code, error.operator) == ("rejected", "celsius")
    assert "readings.jsonl:2" in (error.record or "") and error.summary["outcome"] == "failed"
    job = env.submit()
    with pytest.raises(PipelineFailed):
        job.wait(60)
    assert job.status().state == "failed" and job.status().exit_code == 4 and job.status().rejected is not None


def test_an_error_of_a_source_or_a_sink_of_this_process_ends_the_run(inside):
    def breaks():
        yield {"a": 1}
        raise OSError("the socket is gone")

    env = LocalEnvironment("breaks")
    env.from_source(breaks).discard()
    with pytest.raises(OSError, match="the socket is gone"):
        env.execute(timeout=60)

    def refuse(record):
        raise RuntimeError(f"no {record['a']}")

    env = LocalEnvironment("refuses")
    env.from_source({"a": number} for number in itertools.count()).sink(refuse)
    with pytest.raises(RuntimeError, match="no 0"):
        env.execute(timeout=60)
    env = LocalEnvironment("not-json")
    env.from_batch(["text"]).sink([])
    with pytest.raises(GraphError, match="a record is no JSON"):
        env.execute(timeout=60)


def test_a_job_has_status_metrics_logs_and_a_stop(inside):
    env = LocalEnvironment("endless")
    env.generate(rate=1000).discard()
    job = env.submit()
    with pytest.raises(TimeoutError):
        job.wait(0.2)
    assert job.status().state == "running" and not job.status().has_ended and job.summary() is None
    deadline = time.monotonic() + 60
    while 'operator="generate"' not in job.metrics():
        assert time.monotonic() < deadline
    job.stop()
    summary = job.wait()
    assert summary.outcome == "drained" and summary["generate"]["records_out"] > 0
    assert job.status().state == "completed"
    assert list(job.logs()) == [] == list(job.logs(follow=True))
    assert "endless" in repr(job) and "<table>" in job._repr_html_()


def test_the_program_is_found_or_named(inside, monkeypatch):
    env = LocalEnvironment("lost", program="/nowhere/sage-host")
    env.generate(count=1).discard()
    with pytest.raises(ProgramError, match="/nowhere/sage-host is no program"):
        env.execute()
