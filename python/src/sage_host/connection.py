"""HTTP to `sage-host serve`: over its unix socket, or over TCP with a token."""

from __future__ import annotations

import hashlib
import hmac
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
    #: The file with the authorities that may have signed the server's certificate. Absent: those of the system.
    ca: Optional[str] = None
    #: The server's certificate, by its SHA-256, whoever signed it.
    pin: Optional[str] = None


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


def find(
    host: str,
    port: int,
    *,
    path: Optional[str],
    token: Optional[str],
    tenant: Optional[str],
    ca: Optional[str] = None,
    pin: Optional[str] = None,
    tls: bool = False,
) -> Endpoint:
    """The server of an environment: the unix socket, then ``contexts.toml``, then ``SAGE_HOST_TOKEN`` over TCP."""
    tls = tls or ca is not None or pin is not None
    if path is not None:
        return Endpoint(path, True, None, tenant)
    if token is not None:
        return Endpoint(_url(host, port, tls), False, token, tenant, ca, pin)
    at = default_socket()
    if at is not None and is_loopback(host) and not tls and _accepts(at):
        return Endpoint(at, True, None, tenant)
    known = _from_contexts(host, port, tenant)
    if known is not None:
        return known
    named = os.environ.get(TOKEN)
    if named:
        return Endpoint(_url(host, port, tls), False, named, tenant, ca, pin)
    raise ServerError(
        f"there is no way to the server at {host}:{port}: no server listens on the unix socket {at or '(none)'}"
        f"{'' if is_loopback(host) else ' of that machine'}, {contexts_file()} has no context for http(s)://{host}:{port}, "
        f"and {TOKEN} is not set",
        hint="start a server with `sage-host serve`, or set the variable to a token of `sage-host token new`",
    )


def _url(host: str, port: int, tls: bool) -> str:
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


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
        trust = (context.get("ca"), context.get("pin"))
        token_file = context.get("token_file")
        if token_file is None:
            return Endpoint(url.geturl(), False, os.environ.get(TOKEN), tenant or context.get("tenant"), *trust)
        try:
            with open(token_file, encoding="utf-8") as file:
                token = file.read().strip()
        except OSError as error:
            raise ServerError(f"cannot read the token of context {name!r} in {path}: {error}") from None
        return Endpoint(url.geturl(), False, token, tenant or context.get("tenant"), *trust)
    return None


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _PinnedConnection(http.client.HTTPSConnection):
    """TLS to a server with this very certificate, whatever its name and its time are."""

    def __init__(self, host: str, port: int, timeout: float, pin: str) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        super().__init__(host, port, timeout=timeout, context=context)
        self._pin = pin.removeprefix("sha256:").replace(":", "").lower()

    def connect(self) -> None:
        super().connect()
        shown = hashlib.sha256(self.sock.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(shown, self._pin):
            self.close()
            why = f"the server shows the certificate sha256:{shown}, not sha256:{self._pin}"
            raise ssl.SSLCertVerificationError(why)


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
            if self.endpoint.pin is not None:
                return _PinnedConnection(host, port, timeout, self.endpoint.pin)
            context = self._context()
            return http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
        return http.client.HTTPConnection(host, port, timeout=timeout)

    def _context(self) -> ssl.SSLContext:
        ca = self.endpoint.ca
        try:
            return ssl.create_default_context(cafile=ca)
        except OSError as error:
            raise ServerError(f"cannot read the authorities in {ca}: {error}") from None

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
        except ssl.SSLError as error:
            opened.close()
            raise _unsafe(self.endpoint.at, error) from None
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


def _unsafe(at: str, error: ssl.SSLError) -> ServerError:
    """The error of a connection that would not be to the right server, or not encrypted."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message if getattr(error, "verify_code", 0) else str(error.args[-1])
        hint = "name the authority's file with ca=, or the certificate's SHA-256 with pin=, as the server prints it"
    elif error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        why = "the server does not speak TLS on this port"
        hint = "leave out tls=, ca= and pin=, or write http:// in the context"
    else:
        why, hint = str(error), "the server may close connections during the handshake"
    return ServerError(f"no safe connection to {at}: {why}", hint=hint, code="unsafe")


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
