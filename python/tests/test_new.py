"""`sage-host new --lang python`: every kind has a test that passes, and a map is built and run as a new user would."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

SOURCES = pathlib.Path(__file__).resolve().parents[1] / "src"
KINDS = ["map", "filter", "flat-map", "key-by", "process", "source", "sink"]


@pytest.fixture
def host(program, inside):
    """Runs the program with this interpreter as the one that makes components."""

    def run(*words, code=0, folder="."):
        environment = {**os.environ, "SAGE_HOST_PYTHON": sys.executable, "PYTHONPATH": str(SOURCES)}
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        ended = subprocess.run([program, *words], cwd=folder, env=environment, capture_output=True, text=True)
        assert ended.returncode == code, f"{words}: {ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_test_that_passes_and_a_valid_project(host, kind):
    said = host("new", "my-op", "--kind", kind, "--lang", "python")
    assert "sage-host test" in said
    assert "passed" in host("test", folder="my-op")
    # Nothing but the component is missing.
    assert "my_op.wasm" in host("validate", "pipeline.toml", folder="my-op", code=2)


def test_what_cannot_be_a_module_or_a_project_is_told(host, inside):
    assert "Python has it already" in host("new", "json", "--kind", "map", "--lang", "python", code=2)
    assert "guest SDK of Rust" in host("new", "x", "--kind", "map", "--lang", "python", "--sdk", ".", code=2)
    (inside / "empty").mkdir()
    (inside / "empty" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert "names no operator" in host("build", "empty", code=2)
    (inside / "empty" / "pyproject.toml").write_text("[tool.sage-host]\noperator = 'nowhere:f'\n")
    assert "nowhere cannot be imported: ModuleNotFoundError" in host("build", "empty", code=2)
    (inside / "empty" / "plain.py").write_text("def f(record):\n    return record\n")
    (inside / "empty" / "pyproject.toml").write_text("[tool.sage-host]\noperator = 'plain:f'\n")
    assert "of which kind plain:f is" in host("build", "empty", code=2)


@pytest.mark.componentize
def test_a_new_operator_is_built_and_runs(host, inside):
    host("new", "celsius", "--kind", "map", "--lang", "python")
    assert "celsius.wasm" in host("build", folder="celsius")
    (inside / "host.toml").write_text('compile_timeout = "15m"\n')
    said = host("run", "pipeline.toml", "-q", "--host", "../host.toml", folder="celsius")
    assert json.loads(said.splitlines()[0]) == {"station": "KJFK", "celsius": 5.0}
    told = json.loads(host("build", "--output", "json", "celsius"))["built"][0]
    assert told["kind"] == "map" and (inside / told["component"]).is_file()
