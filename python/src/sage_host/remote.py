"""Pipelines as jobs of a server: ``sage-host serve``."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional

from .component import PathLike
from .connection import Connection, Endpoint, find
from .environment import Environment
from .errors import GraphError, InvalidPipeline, SageHostError, ServerError
from .job import Job, JobStatus, LogLine
from .program import failure
from .report import Report
from .summary import Summary
from .wiring import Wired, deliver, wire

#: Pauses between two looks at a job, in seconds.
_FIRST, _LONGEST = 0.01, 0.25


class RemoteEnvironment(Environment):
    """A pipeline that a server runs as a job.

    The way to the server is its unix socket (if ``host`` is this machine), then a context of
    ``~/.config/sage-host/contexts.toml`` for the same host and port, then TCP with the token in ``SAGE_HOST_TOKEN``.
    ``socket`` and ``token`` choose one of them. ``tls`` speaks TLS with ``token`` or the variable: ``ca`` is a file with
    the authorities that may have signed the server's certificate, and ``pin`` is the SHA-256 of the certificate itself.

    Relative paths of data lead from ``folder``, on the machine of the server. Lists, functions and iterables of this process
    become files in ``work_folder``, which both sides must reach: over the unix socket a temporary folder will do.
    """

    def __init__(
        self,
        name: str = "remote",
        host: str = "127.0.0.1",
        port: int = 19001,
        *,
        socket: Optional[PathLike] = None,
        token: Optional[str] = None,
        tenant: Optional[str] = None,
        tls: bool = False,
        ca: Optional[PathLike] = None,
        pin: Optional[str] = None,
        folder: Optional[PathLike] = None,
        work_folder: Optional[PathLike] = None,
        isolation: Optional[str] = None,
        restart: Optional[str] = None,
        drain_timeout: Optional[float] = None,
        labels: Optional[Mapping[str, str]] = None,
    ) -> None:
        super().__init__(name, folder)
        if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
            raise ValueError(f"port of {name!r} is {port!r}: it is a whole number from 1 to 65535")
        self.host = host
        self.port = port
        self._socket = None if socket is None else os.fspath(socket)
        self._token = token
        self._tenant = tenant
        self._tls: Dict[str, Any] = {"tls": tls, "ca": None if ca is None else os.fspath(ca), "pin": pin}
        self._work_folder = None if work_folder is None else os.path.abspath(os.fspath(work_folder))
        self._asked: Dict[str, Any] = {"isolation": isolation, "restart": restart, "labels": dict(labels or {})}
        if drain_timeout is not None:
            self._asked["drain_timeout"] = round(drain_timeout * 1000)

    def endpoint(self) -> Endpoint:
        """The server, as it would be reached now."""
        return find(self.host, self.port, path=self._socket, token=self._token, tenant=self._tenant, **self._tls)

    def job(self, name: str) -> "RemoteJob":
        """A job of the server, by its name."""
        connection = Connection(self.endpoint())
        connection.json("GET", f"{_base(connection.endpoint)}/jobs/{name}")
        return RemoteJob(name, connection, None, None)

    def validate(self) -> None:
        self._check()

    def explain(self) -> Report:
        report = self._check().get("report")
        if report is None:
            raise ServerError(
                "the pipeline is valid, and other jobs hold what it asks for: what it would get is not known yet",
                hint="submit() puts it into the queue",
            )
        return Report(report)

    def submit(self) -> "RemoteJob":
        connection = Connection(self.endpoint())
        self.pack()
        work = self._work(connection.endpoint)
        try:
            wired = wire(self, work, is_local=False) if work else wire(self, "/", is_local=False)
            job = self._post(connection, wired, dry_run=False)
        except BaseException:
            if work:
                shutil.rmtree(work, ignore_errors=True)
            raise
        return RemoteJob(job["name"], connection, wired, work)

    def _check(self) -> Dict[str, Any]:
        connection = Connection(self.endpoint())
        self.pack()
        feeds = self.feeds
        self.feeds = [feed._replace(records=()) for feed in feeds]
        work = self._work(connection.endpoint)
        try:
            wired = wire(self, work or "/", is_local=False)
            checked: Dict[str, Any] = self._post(connection, wired, dry_run=True)
            return checked
        finally:
            self.feeds = feeds
            if work:
                shutil.rmtree(work, ignore_errors=True)

    def _work(self, endpoint: Endpoint) -> Optional[str]:
        """A folder for the files of this process, if there are any."""
        if not self.feeds and not self.takes:
            return None
        if self._work_folder is None and not endpoint.is_socket:
            names = ", ".join([each.stage.name for each in self.feeds] + [each.stage.name for each in self.takes])
            raise GraphError(
                f"{names}: lists, functions and iterables of this process reach a server over TCP only through files",
                hint="name a folder that both sides reach with work_folder=, or use files and operators",
            )
        if self._work_folder is not None:
            os.makedirs(self._work_folder, exist_ok=True)
        return tempfile.mkdtemp(prefix="sage-host-", dir=self._work_folder)

    def _post(self, connection: Connection, wired: Wired, *, dry_run: bool) -> Dict[str, Any]:
        base = _base(connection.endpoint)
        files = self._upload(connection, base, wired.uploads)
        body = {
            "name": None,
            "pipeline": wired.text,
            "path": os.path.join(self.folder, f"{self.name}.toml"),
            "files": files,
            "dry_run": dry_run,
            **self._asked,
        }
        body = {key: value for key, value in body.items() if value is not None}
        try:
            answer: Dict[str, Any] = connection.json("POST", f"{base}/jobs", body)
        except ServerError as error:
            if error.code != "files-missing":
                raise
            # The server has removed what nobody used for an hour.
            self._upload(connection, base, wired.uploads)
            answer = connection.json("POST", f"{base}/jobs", body)
        return answer

    def _upload(self, connection: Connection, base: str, paths: List[str]) -> Dict[str, str]:
        """Sends the files that the server does not have. Returns the digests by path."""
        digests: Dict[str, str] = {}
        for path in paths:
            try:
                with open(os.path.join(self.folder, path), "rb") as file:
                    data = file.read()
            except OSError as error:
                raise InvalidPipeline(
                    f"cannot read {os.path.join(self.folder, path)}: {error.strerror}",
                    hint="a component is built with `sage-host build`",
                ) from None
            digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
            digests[path] = digest
            try:
                connection.json("GET", f"{base}/components/{digest}")
            except ServerError as error:
                if error.code != "no-such-component":
                    raise
                connection.raw("PUT", f"{base}/components/{digest}", data)
        return digests


def _base(endpoint: Endpoint) -> str:
    """The routes of jobs and components: those of a tenant, if one is named."""
    return "/v1" if endpoint.tenant is None else f"/v1/tenants/{endpoint.tenant}"


class RemoteJob(Job):
    """A job of a server. It goes on when this process ends."""

    def __init__(self, name: str, connection: Connection, wired: Optional[Wired], work: Optional[str]) -> None:
        super().__init__(name)
        self._connection = connection
        self._wired = wired
        self._delivered = False
        #: Removed when the job is known to have ended. A job that nobody waits for still reads its files.
        self._work = work

    @property
    def _path(self) -> str:
        return f"{_base(self._connection.endpoint)}/jobs/{self.name}"

    def detail(self) -> Dict[str, Any]:
        """The job as the server describes it."""
        found: Dict[str, Any] = self._connection.json("GET", self._path)
        return found

    def status(self) -> JobStatus:
        found = self.detail()
        return JobStatus(
            state=str(found["state"]),
            why=found.get("why"),
            exit_code=found.get("exit_code"),
            records_in=found.get("records_in"),
            records_out=found.get("records_out"),
            rejected=found.get("rejected"),
        )

    def wait(self, timeout: Optional[float] = None) -> Summary:
        until = None if timeout is None else time.monotonic() + timeout
        pause, state, since = _FIRST, None, time.monotonic()
        while True:
            found = self.detail()
            if found.get("exit_code") is not None:
                return self._ended(found)
            if (found["state"], found.get("why")) != state:
                state, pause, since = (found["state"], found.get("why")), _FIRST, time.monotonic()
            now = time.monotonic()
            if until is not None and now >= until:
                raise TimeoutError(f"{self.name} is {found['state']} after {timeout} s")
            time.sleep(pause if until is None else min(pause, until - now))
            # Short pauses are for what takes milliseconds.
            if time.monotonic() - since > 10 * pause:
                pause = min(2 * pause, _LONGEST)

    def _ended(self, found: Mapping[str, Any]) -> Summary:
        code = int(found["exit_code"])
        try:
            if code != 0:
                raise _failed(code, found)
            if self._wired is not None and not self._delivered:
                self._delivered = True
                deliver(self._wired.files)
        finally:
            if self._work is not None:
                shutil.rmtree(self._work, ignore_errors=True)
        return Summary((found.get("end") or {}).get("summary") or {})

    def logs(self, *, follow: bool = False) -> Iterator[LogLine]:
        for line in self._connection.lines(f"{self._path}/logs" + ("?follow=true" if follow else "")):
            gap = line.get("gap")
            if isinstance(gap, dict):
                missing = int(gap.get("before", 0)) - int(gap.get("after", 0)) - 1
                yield LogLine("warn", f"{missing} lines are not kept", None, None)
            else:
                yield LogLine.of(line)

    def metrics(self) -> str:
        return self._connection.raw("GET", f"{self._path}/metrics?format=openmetrics").decode()

    def explain(self) -> Report:
        """What each instance got, and by which mechanism."""
        return Report(self._connection.json("GET", f"{self._path}/explain"))

    def stop(self, *, abort: bool = False, timeout: Optional[float] = None) -> None:
        body: Dict[str, Any] = {"mode": "abort" if abort else "drain"}
        if timeout is not None and not abort:
            body["timeout"] = round(timeout * 1000)
        try:
            self._connection.json("POST", f"{self._path}/stop", body)
        except ServerError as error:
            if error.code != "not-live":
                raise
        while self.detail().get("exit_code") is None:
            time.sleep(0.05)

    def remove(self) -> None:
        """Remove a job that has ended, with its logs."""
        self._connection.raw("DELETE", self._path)

    def summary(self) -> Optional[Summary]:
        answer = (self.detail().get("end") or {}).get("summary")
        return Summary(answer) if answer else None


def _failed(code: int, found: Mapping[str, Any]) -> SageHostError:
    """What went wrong: what the check objected to, how the attempt ended, or else the reason of the state."""
    objection = (found.get("check") or {}).get("objection") if found.get("state") == "rejected" else None
    end = found.get("end") or {}
    answers = [(objection or {}).get("error"), end.get("summary"), end.get("error")]
    for answer in answers:
        if isinstance(answer, dict) and ("error" in answer or "message" in answer or code == 130):
            return failure(code, answer if "error" in answer or code == 130 else {"error": answer})
    why = f": {found['why']}" if found.get("why") else ""
    hint = f"`sage-host logs {found.get('name')}` says what happened before"
    return failure(code, {"error": {"message": f"job {found.get('name')} is {found.get('state')}{why}", "hint": hint}})
