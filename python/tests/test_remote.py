"""Pipelines as jobs of a real server, over its unix socket."""

import gc
import json
import os
import shutil
import time

import pytest

from sage_host import (
    GraphError,
    InvalidPipeline,
    PipelineFailed,
    Refused,
    RemoteEnvironment,
    ServerError,
    Wasm,
)
from sage_host.connection import find


def test_a_job_runs_and_tells_what_it_did(readings, component, serve):
    server = serve()
    env = RemoteEnvironment("celsius", socket=server.socket, labels={"team": "blue"})
    stream = env.from_file("readings.jsonl", format="jsonl").map(Wasm(component("json_celsius")), name="celsius")
    stream.sink("out.jsonl")
    env.validate()
    assert env.explain().of("celsius")["memory"].effective == "256MiB"
    job = env.submit()
    summary = job.wait(120)
    assert summary.outcome == "completed" and summary["celsius"]["records_out"] == 2
    assert [json.loads(line)["celsius"] for line in (readings / "out.jsonl").read_text().splitlines()] == [10.0, 100.0]
    status = job.status()
    assert (status.state, status.exit_code, status.has_ended) == ("completed", 0, True)
    assert job.detail()["labels"] == {"team": "blue"}
    again = env.job(job.name)
    assert again.summary()["celsius"]["records_out"] == 2
    again.remove()
    with pytest.raises(ServerError) as caught:
        again.status()
    assert caught.value.code == "no-such-job"


def test_lists_and_functions_reach_a_job_through_files(inside, component, serve):
    env = RemoteEnvironment("mixed", socket=serve().socket)
    readings = [{"sensor": str(number), "fahrenheit": 32 + 1.8 * number} for number in range(100)]
    stream = env.from_batch(readings[:50]).union(env.from_source(iter(readings[50:])))
    listed, called = [], []
    celsius = stream.map(Wasm(component("json_celsius")), parallelism=2)
    celsius.sink(listed)
    celsius.sink(called.append, format="text")
    job = env.submit()
    work = job._work
    assert oct(os.stat(work).st_mode)[-3:] == "700"
    job.wait(120)
    assert sorted(round(record["celsius"]) for record in listed) == list(range(100))
    assert len(called) == 100 and isinstance(called[0], str)
    assert not os.path.exists(work), "the files of this process are gone"
    assert job.wait().outcome == "completed" and len(listed) == 100, "records are delivered once"
    # A job that nobody holds keeps its files: it goes on without this process.
    slow = RemoteEnvironment("slow", socket=env._socket)
    slow.from_batch([{"a": 1}]).union(slow.generate(rate=1)).discard()
    name, folder = (lambda job: (job.name, job._work))(slow.submit())
    gc.collect()
    assert os.path.exists(os.path.join(folder, "batch.in"))
    slow.job(name).stop(abort=True)
    shutil.rmtree(folder)


def test_a_running_job_has_logs_metrics_a_report_and_a_stop(inside, serve):
    env = RemoteEnvironment("endless", socket=serve().socket)
    env.generate(rate=500).sink("out.txt", format="lines")
    job = env.submit()
    deadline = time.monotonic() + 60
    while not job.status().records_out:
        assert time.monotonic() < deadline, job.detail()
    assert 'operator="generate"' in job.metrics()
    assert job.explain().of("generate")
    with pytest.raises(TimeoutError, match="is running after"):
        job.wait(0.1)
    job.stop()
    assert job.status().state in ("stopped", "completed") and job.summary().outcome == "drained"
    assert all(line.level for line in job.logs())


def test_what_goes_wrong_at_a_server_is_what_goes_wrong_here(readings, component, serve):
    server = serve()

    def env(**settings):
        made = RemoteEnvironment("wrong", socket=server.socket)
        made.from_file("readings.jsonl").map(Wasm(component("json_celsius")), name="celsius", **settings).discard()
        return made

    with pytest.raises(Refused, match=r'"celsius" wants 1600 CPUs \(400 instances × 4\)'):
        env(parallelism=400, resources={"num_cpus": 4}).execute()
    with pytest.raises(InvalidPipeline, match="offst"):
        env(config={"offst": 1}).execute()
    with pytest.raises(InvalidPipeline, match="cannot read .*nowhere.wasm"):
        lost = RemoteEnvironment("lost", socket=server.socket)
        lost.from_file("readings.jsonl").map(Wasm("nowhere.wasm")).discard()
        lost.submit()
    (readings / "readings.jsonl").write_text('{"station":"JFK"}\n')
    with pytest.raises(PipelineFailed, match="missing field `sensor`") as caught:
        env().execute()
    assert (caught.value.code, caught.value.operator) == ("rejected", "celsius")


@pytest.fixture
def elsewhere(inside, monkeypatch):
    """A user without servers."""
    monkeypatch.setenv("SAGE_HOST_SOCKET", str(inside / "none.sock"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(inside))
    monkeypatch.delenv("SAGE_HOST_TOKEN", raising=False)
    return inside


def test_without_a_way_to_a_server_all_ways_are_named(elsewhere):
    env = RemoteEnvironment(name="my_app", host="127.0.0.1", port=19001)
    env.generate(count=1).discard()
    with pytest.raises(ServerError) as caught:
        env.execute()
    for way in ("none.sock", "contexts.toml", "SAGE_HOST_TOKEN"):
        assert way in caught.value.message


def test_the_socket_comes_before_a_context_and_a_context_before_the_variable(elsewhere, monkeypatch, serve):
    def found(host="127.0.0.1"):
        endpoint = find(host, 19001, path=None, token=None, tenant=None)
        return endpoint.at, endpoint.token

    monkeypatch.setenv("SAGE_HOST_TOKEN", "of-the-variable")
    assert found() == ("http://127.0.0.1:19001", "of-the-variable")
    assert found("::1") == ("http://[::1]:19001", "of-the-variable")
    (elsewhere / "token").write_text("of-the-context\n")
    (elsewhere / "sage-host").mkdir()
    contexts = elsewhere / "sage-host" / "contexts.toml"
    contexts.write_text(f'[context.here]\nserver = "http://127.0.0.1:19001"\ntoken_file = "{elsewhere / "token"}"\n')
    assert found() == ("http://127.0.0.1:19001", "of-the-context")
    assert found("192.0.2.1")[1] == "of-the-variable"
    server = serve()
    monkeypatch.setenv("SAGE_HOST_SOCKET", server.socket)
    assert found() == (server.socket, None)
    assert found("192.0.2.1")[1] == "of-the-variable", "a unix socket is no way to another machine"
    contexts.write_text("[context")
    with pytest.raises(ServerError, match="contexts.toml"):
        found("192.0.2.1")


def test_over_tcp_records_of_this_process_need_a_folder(elsewhere):
    env = RemoteEnvironment("far", host="192.0.2.1", token="t")
    env.from_batch([{"a": 1}], name="few").discard()
    with pytest.raises(GraphError, match="few: lists, functions"):
        env.submit()
    with pytest.raises(ValueError, match="port of 'x' is 0"):
        RemoteEnvironment("x", port=0)


def test_over_tcp_a_token_opens_the_server_and_its_role_decides(elsewhere, component, serve, monkeypatch):
    host = elsewhere / "host.toml"
    # The folders of tests are closed to other users.
    host.write_text("[serve]\nusers = \"server\"\n[tenant.blue]\n[tenant.green]\n[tenant.default]\n")
    server = serve("--listen", "127.0.0.1:0", "--host", str(host))

    def env(**options):
        made = RemoteEnvironment("far", host="127.0.0.1", port=server.port, **options)
        made.generate(count=100).map(Wasm(component("identity"))).sink("out.txt")
        return made

    monkeypatch.setenv("SAGE_HOST_TOKEN", server.token("--role", "deploy", "--tenant", "blue"))
    blue = env()
    assert blue.endpoint().at == f"http://127.0.0.1:{server.port}"
    blue.validate()
    job = blue.submit()
    assert job.wait(120)["identity"]["records_out"] == 100
    assert job.status().state == "completed" and all(line.level for line in job.logs())
    # A tenant's data are in its own folder, and files of others are not its.
    lost = RemoteEnvironment("lost", host="127.0.0.1", port=server.port, work_folder=elsewhere / "shared")
    lost.from_batch([{"a": 1}]).discard()
    with pytest.raises(InvalidPipeline, match="outside of the tenant's folders"):
        lost.validate()
    assert not list((elsewhere / "shared").iterdir()), "a check leaves no files"
    # Another tenant does not see the job.
    monkeypatch.setenv("SAGE_HOST_TOKEN", server.token("--role", "deploy", "--tenant", "green"))
    with pytest.raises(ServerError) as caught:
        env().job(job.name)
    assert (caught.value.status, caught.value.code) == (404, "no-such-job")
    # Who may only read may not submit, and who has no token may do nothing.
    for token, status in [(server.token("--role", "read", "--tenant", "blue"), 403), ("sage_" + "x" * 40, 401)]:
        monkeypatch.setenv("SAGE_HOST_TOKEN", token)
        with pytest.raises(ServerError) as caught:
            env().submit()
        assert caught.value.status == status, caught.value
    # The owner names a tenant on the socket.
    owner = RemoteEnvironment("of-blue", socket=server.socket, tenant="blue")
    assert owner.job(job.name).summary().outcome == "completed"
