"""The program of the project's first user, against a real server: refused by arithmetic, and scaled down it runs."""

import pathlib

import pytest

from sage_host import Refused, RemoteEnvironment, Wasm

HOST = """
cpus = 2
memory = "16GB"
discover_devices = false

[[device]]
name = "cpu0"
kind = "cpu"
memory = "256MiB"
counts_as_gpu = true
"""


def source():
    for number in range(50):
        yield {"sensor": f"s{number % 5}", "fahrenheit": 32 + 1.8 * number}


def pipeline(env, component, *, heavy, inference, sink):
    # `heavy` and `inference` are (parallelism, resources) as the issue has them.
    return (
        env.from_source(source)
        .map(Wasm(component("json_celsius")), name="heavy", parallelism=heavy[0], resources=heavy[1])
        .map(Wasm(component("identity")), name="gpu", parallelism=inference[0], resources=inference[1])
        .sink(sink)
    )


@pytest.fixture
def server(serve, inside: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    host = inside / "host.toml"
    host.write_text(HOST)
    started = serve("--host", str(host), "--listen", "off")
    # As on the machine of a user: the server is found at its default place.
    monkeypatch.setenv("SAGE_HOST_SOCKET", started.socket)
    return started


def test_with_the_numbers_of_the_issue_a_small_machine_refuses_by_arithmetic(server, component):
    env = RemoteEnvironment(name="my_app", host="127.0.0.1", port=19001)
    pipeline(
        env,
        component,
        heavy=(4, {"num_cpus": 4, "memory": "8GB"}),
        inference=(2, {"num_gpus": 1, "num_cpus": 2}),
        sink=[],
    )
    with pytest.raises(Refused) as caught:
        env.execute()
    said = str(caught.value)
    for reason in (
        '"heavy" wants 16 CPUs (4 instances × 4)',
        '"gpu" wants 4 CPUs (2 instances × 2)',
        '"heavy": 4 instances × memory = 8GB',
        "devices (2 instances × 1), 1 is free",
    ):
        assert reason in said, said
    with pytest.raises(Refused):
        env.validate()


def test_scaled_down_it_runs_on_a_declared_device(server, component):
    env = RemoteEnvironment(name="my_app", host="127.0.0.1", port=19001)
    out = []
    pipeline(
        env,
        component,
        heavy=(2, {"num_cpus": 0.2, "memory": "32MiB"}),
        inference=(2, {"num_gpus": 0.5, "num_cpus": 0.2}),
        sink=out,
    )
    report = env.explain()
    assert report.of("heavy")["num_cpus"].tier == "hard"
    assert report.of("gpu")["num_gpus"].requested in ("0.5", 0.5)
    summary = env.execute()
    assert summary.outcome == "completed" and summary.balanced
    assert sorted(round(record["celsius"]) for record in out) == list(range(50))
