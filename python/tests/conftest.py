"""What tests need: the program, sample components, and a server of their own."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPONENTS = ROOT / "operators" / "target" / "wasm32-wasip2" / "release"


@pytest.fixture(scope="session", autouse=True)
def program() -> str:
    """The program that is tested: the one that is named, or the newest build."""
    named = os.environ.get("SAGE_HOST_PROGRAM")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    built = [path for path in (target / "debug" / "sage-host", target / "release" / "sage-host") if path.exists()]
    if named is None:
        assert built, "build the program first: make host, or name one with SAGE_HOST_PROGRAM"
        named = str(max(built, key=lambda path: path.stat().st_mtime))
    os.environ["SAGE_HOST_PROGRAM"] = named
    return named


@pytest.fixture
def component():
    """The path of a sample component."""

    def find(name: str) -> str:
        path = COMPONENTS / f"{name}.wasm"
        assert path.exists(), f"{path} is not there: run make operators"
        return str(path)

    return find


@pytest.fixture
def inside(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def readings(inside: pathlib.Path) -> pathlib.Path:
    """A folder with readings in Fahrenheit, one of which has none."""
    lines = [{"sensor": sensor, "fahrenheit": fahrenheit} for sensor, fahrenheit in [("a", 50.0), ("b", 212.0)]]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (inside / "readings.jsonl").write_text(text)
    return inside


class Server:
    """`sage-host serve` with a state folder of its own."""

    def __init__(self, program: str, state: pathlib.Path, *options: str) -> None:
        self.state = state
        self.socket = str(state / "serve.sock")
        self.process = subprocess.Popen(
            [
                program,
                "serve",
                "--state",
                str(state),
                "--stop-jobs",
                "drain",
                "--output",
                "json",
                *(options or ("--listen", "off")),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server did not start"
        self.said = json.loads(line)
        assert "error" not in self.said, self.said
        self._program = program

    def token(self, *options: str) -> str:
        """A token that the owner makes over the socket."""
        command = [self._program, "token", "new", "--socket", self.socket, *options]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    @property
    def port(self) -> int:
        return int(self.said["tcp"].rpartition(":")[2])

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def serve(program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Starts servers, which end with the test."""
    started: list[Server] = []

    def start(*options: str) -> Server:
        started.append(Server(program, tmp_path_factory.mktemp("s"), *options))
        return started[-1]

    yield start
    for server in started:
        server.end()
