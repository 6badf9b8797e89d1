"""HTTP to `sage-host serve`: over its unix socket, or over TCP with a token."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import tomllib
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from .errors import Refused, SageHostError, ServerError
from .program import failure

#: The variables that name the server's socket, and the token for TCP.
SOCKET = "SAGE_HOST_SOCKET"
TOKEN = "SAGE_HOST_TOKEN"
#: Longest wait for an answer, in seconds. A check of a large component takes minutes.
TIMEOUT = 180.0
#: Longest silence of a stream: the server writes an empty line each 15 s.
SILENCE = 60.0


class Endpoint(NamedTuple):
    """Where a server is, and what it wants to see."""

    #: The path of a unix socket, or a URL.
    at: str
    is_socket: bool
    token: Optional[str]
    tenant: Optional[str]


def default_socket() -> Optional[str]:
    """The socket of a server of this user, as the program's clients look for it."""
    named = os.environ.get(SOCKET)
    if named:
        return named
    if os.geteuid() == 0:
        return "/run/sage-host/serve.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        return os.path.join(runtime, "sage-host", "serve.sock")
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        home = os.environ.get("HOME", "")
        state = os.path.join(home, ".local", "state") if os.path.isabs(home) else ""
    return os.path.join(state, "sage-host", "serve.sock") if state else None


def contexts_file() -> str:
    """The file with the servers that a user knows."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    base = base if os.path.isabs(base) else os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "sage-host", "contexts.toml")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    return host in ("localhost", "::1") or host.startswith("127.")


def find(host: str, port: int, *, path: Optional[str], token: Optional[str], tenant: Optional[str]) -> Endpoint:
    """The server of an environment: the unix socket, then ``contexts.toml``, then ``SAGE_HOST_TOKEN`` over TCP."""
    if path is not None:
        return Endpoint(path, True, None, tenant)
    if token is not None:
        return Endpoint(_url(host, port), False, token, tenant)
    at = default_socket()
    if at is not None and is_loopback(host) and _accepts(at):
        return Endpoint(at, True, None, tenant)
    known = _from_contexts(host, port, tenant)
    if known is not None:
        return known
    named = os.environ.get(TOKEN)
    if named:
        return Endpoint(_url(host, port), False, named, tenant)
    raise ServerError(
        f"there is no way to the server at {host}:{port}: no server listens on the unix socket {at or '(none)'}"
        f"{'' if is_loopback(host) else ' of that machine'}, {contexts_file()} has no context for http(s)://{host}:{port}, "
        f"and {TOKEN} is not set",
        hint="start a server with `sage-host serve`, or set the variable to a token of `sage-host token new`",
    )


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(5)
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _from_contexts(host: str, port: int, tenant: Optional[str]) -> Optional[Endpoint]:
    path = contexts_file()
    try:
        with open(path, "rb") as file:
            contexts = tomllib.load(file).get("context", {})
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ServerError(f"cannot read {path}: {error}", hint="correct the file, or remove it") from None
    for name, context in sorted(contexts.items()):
        url = urlsplit(str(context.get("server", "")))
        if (url.hostname, url.port or 19001) != (host, port):
            continue
        token_file = context.get("token_file")
        if token_file is None:
            return Endpoint(url.geturl(), False, os.environ.get(TOKEN), tenant or context.get("tenant"))
        try:
            with open(token_file, encoding="utf-8") as file:
                token = file.read().strip()
        except OSError as error:
            raise ServerError(f"cannot read the token of context {name!r} in {path}: {error}") from None
        return Endpoint(url.geturl(), False, token, tenant or context.get("tenant"))
    return None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Connection:
    """Requests to a server. Each opens a connection of its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def _open(self, timeout: float) -> http.client.HTTPConnection:
        at = self.endpoint.at
        if self.endpoint.is_socket:
            return _UnixConnection(at, timeout)
        url = urlsplit(at)
        host, port = url.hostname or "", url.port or 19001
        if url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _send(
        self, method: str, path: str, body: Optional[bytes], headers: Mapping[str, str], timeout: float
    ) -> Tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        opened = self._open(timeout)
        named = dict(headers)
        if self.endpoint.token is not None:
            named["Authorization"] = f"Bearer {self.endpoint.token}"
        try:
            opened.request(method, path, body=body, headers=named)
            answer = opened.getresponse()
        except (OSError, http.client.HTTPException) as error:
            opened.close()
            raise ServerError(
                f"no server answers at {self.endpoint.at}: {error}",
                hint="start one with `sage-host serve`",
                code="unreachable",
            ) from None
        if answer.status >= 400:
            data = answer.read()
            opened.close()
            raise _problem(answer.status, data)
        return opened, answer

    def raw(self, method: str, path: str, body: Optional[bytes] = None, **headers: str) -> bytes:
        """The body of an answer."""
        opened, answer = self._send(method, path, body, headers, TIMEOUT)
        try:
            return answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"the server's answer broke off: {error}", code="unreachable") from None
        finally:
            opened.close()

    def json(self, method: str, path: str, value: Optional[object] = None) -> Any:
        """The value of an answer of JSON."""
        body = None if value is None else json.dumps(value).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        data = self.raw(method, path, body, **headers)
        return json.loads(data) if data else None

    def lines(self, path: str) -> Iterator[Dict[str, Any]]:
        """The items of a stream, until it ends or nobody asks for more."""
        opened, answer = self._send("GET", path, None, {}, SILENCE)
        try:
            for line in answer:
                if line.strip():
                    yield json.loads(line)
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"the stream from the server broke off: {error}", code="unreachable") from None
        finally:
            opened.close()


def _problem(status: int, data: bytes) -> SageHostError:
    """The error behind a refusal, in the words of the server."""
    try:
        problem = json.loads(data)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}
    error = problem.get("error")
    if isinstance(error, dict):
        inner = error.get("error", error)
        return failure(int(inner.get("exit_code") or problem.get("exit_code") or 2), {"error": inner})
    message = str(problem.get("detail") or problem.get("title") or f"the server answered {status}")
    hint, code = problem.get("hint"), problem.get("code")
    if code in ("refused", "quota", "read-only") or status == 503:
        return Refused(message, hint=hint, report=problem)
    named: List[str] = [str(digest) for digest in problem.get("digests") or ()]
    return ServerError("\n".join([message, *named]), hint=hint, code=code, status=status)
