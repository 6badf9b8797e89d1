"""Pipelines on this machine: one process of the program ``sage-host`` for each."""

from __future__ import annotations

import atexit
import collections
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
import weakref
from typing import Any, Callable, Deque, Iterator, List, Mapping, Optional

from .component import PathLike
from .environment import Environment
from .errors import SageHostError
from .exchange import Exchange, Getter, Giver
from .job import Job, JobStatus, LogLine
from .program import call, failure, find_program
from .report import Report
from .summary import Summary
from .wiring import wire

#: Most lines of the log that are kept.
_MOST_LINES = 10_000


class LocalEnvironment(Environment):
    """A pipeline that runs on this machine, without a server.

    ``folder`` is where relative paths lead from (by default the current folder). ``host`` is a host file, and the other
    arguments are the options of ``sage-host run``.

    >>> env = LocalEnvironment("doubled")
    >>> env.from_file("in.jsonl", format="jsonl").sink("out.jsonl")
    >>> print(env.to_toml(), end="")
    [pipeline]
    name = "doubled"
    <BLANKLINE>
    [[source]]
    name = "in"
    file = { path = "in.jsonl", format = "jsonl" }
    <BLANKLINE>
    [[sink]]
    name = "out"
    file = { path = "out.jsonl" }
    input = "in"
    """

    def __init__(
        self,
        name: str = "local",
        *,
        folder: Optional[PathLike] = None,
        program: Optional[str] = None,
        host: Optional[PathLike] = None,
        tenant: Optional[str] = None,
        isolation: Optional[str] = None,
        strict: bool = False,
        overcommit: bool = False,
        allow_unenforced: bool = False,
        lease_folder: Optional[PathLike] = None,
        cache_folder: Optional[PathLike] = None,
        wait: Optional[str] = None,
        drain_timeout: Optional[str] = None,
        log_level: str = "warn",
    ) -> None:
        super().__init__(name, folder)
        self._program = program
        named = {"--host": host, "--tenant": tenant, "--lease-folder": lease_folder, "--cache-folder": cache_folder}
        self._machine: List[str] = []
        for option, value in named.items():
            if value is not None:
                self._machine += [option, os.fspath(value)]
        flags = {"--strict": strict, "--overcommit": overcommit, "--allow-unenforced": allow_unenforced}
        self._machine += [option for option, is_set in flags.items() if is_set]
        self._run: List[str] = ["--log-level", log_level]
        only_run = {"--isolation": isolation, "--wait": wait, "--drain-timeout": drain_timeout}
        for option, value in only_run.items():
            if value is not None:
                self._run += [option, value]

    def validate(self) -> None:
        with tempfile.TemporaryDirectory(prefix="sage-host-") as work:
            self._call("validate", work, [])

    def explain(self) -> Report:
        with tempfile.TemporaryDirectory(prefix="sage-host-") as work:
            return Report(self._call("run", work, ["--explain", *self._run]))

    def submit(self) -> "LocalJob":
        return self._start(with_metrics=True)

    def execute(self, timeout: Optional[float] = None) -> Summary:
        job = self._start(with_metrics=False)
        try:
            return job.wait(timeout)
        except (KeyboardInterrupt, TimeoutError):
            job.stop(abort=True)
            raise

    def _call(self, command: str, work: str, options: List[str]) -> Mapping[str, Any]:
        program = find_program(self._program)
        self.pack()
        path = os.path.join(work, f"{self.name}.toml")
        # Records are not needed for a check: an iterable that can be read once stays unread.
        text = _unfed(self, work)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return call(program, [command, path, *self._machine, *options])

    def _start(self, *, with_metrics: bool) -> "LocalJob":
        program = find_program(self._program)
        self.pack()
        work = tempfile.TemporaryDirectory(prefix="sage-host-")
        exchange = Exchange()
        try:
            wired = wire(self, work.name, is_local=True)
            broken = Broken()
            for at, feed in wired.gives.items():
                exchange.sides.append(Giver(at, feed.records, feed.giving, broken))
            for at, take in wired.takes.items():
                exchange.sides.append(Getter(at, take.target, take.taking, broken))
            path = os.path.join(work.name, f"{self.name}.toml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(wired.text)
            options = [*self._machine, *self._run, "--output", "json", "--log-format", "json"]
            options += ["--metrics", "127.0.0.1:0"] if with_metrics else []
            process = subprocess.Popen(
                [program, "run", path, *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except BaseException:
            exchange.end()
            work.cleanup()
            raise
        job = LocalJob(self.name, process, exchange, broken, work)
        exchange.start()
        return job


def _unfed(env: Environment, work: str) -> str:
    """The pipeline's text with empty files for sources of this process."""
    feeds = env.feeds
    env.feeds = [feed._replace(records=()) for feed in feeds]
    try:
        return wire(env, work, is_local=True).text
    finally:
        env.feeds = feeds


class Broken:
    """What went wrong in a source or a sink of this process: the run makes no sense any more."""

    def __init__(self) -> None:
        self.error: Optional[BaseException] = None
        self.then: Optional[Callable[[], None]] = None

    def __call__(self, error: BaseException) -> None:
        self.error = self.error or error
        if self.then is not None:
            self.then()


class LocalJob(Job):
    """A process of ``sage-host run``. Threads move its answer and its messages, and the records of sources and sinks of this
    process."""

    def __init__(
        self,
        name: str,
        process: "subprocess.Popen[bytes]",
        exchange: Exchange,
        broken: "Broken",
        work: "tempfile.TemporaryDirectory[str]",
    ) -> None:
        super().__init__(name)
        self._process = process
        self._exchange = exchange
        self._broken = broken
        broken.then = self._kill
        self._work = work
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._log: Deque[LogLine] = collections.deque(maxlen=_MOST_LINES)
        self._said: List[str] = []
        self._dropped = 0
        self._answer = b""
        self._metrics: Optional[str] = None
        self._outcome: "Optional[Summary | BaseException]" = None
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read, self._listen)]
        for thread in self._threads:
            thread.start()
        _running.add(self)

    def status(self) -> JobStatus:
        code = self._process.poll()
        if code is None:
            return JobStatus("running", None, None, None, None, None)
        outcome = self._finish()
        summary = outcome if isinstance(outcome, Summary) else getattr(outcome, "summary", None)
        stages = (summary.raw if isinstance(summary, Summary) else summary or {}).get("stages") or []

        def total(kind: Optional[str], number: str) -> int:
            return sum(int(stage.get(number) or 0) for stage in stages if kind in (None, stage.get("kind")))

        state = {0: "completed", 2: "rejected", 3: "refused", 4: "failed", 130: "interrupted"}.get(code, "failed")
        why = outcome.message if isinstance(outcome, SageHostError) else None
        counts = (total("source", "records_out"), total("sink", "records_in"), total(None, "rejected"))
        return JobStatus(state, why, code, *(counts if stages else (None, None, None)))

    def wait(self, timeout: Optional[float] = None) -> Summary:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout} s") from None
        outcome = self._finish()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def logs(self, *, follow: bool = False) -> Iterator[LogLine]:
        at = 0
        while True:
            with self._changed:
                first = self._dropped
                lines = list(self._log)[max(0, at - first) :]
                ended = not self._threads[1].is_alive()
                if not lines and follow and not ended:
                    self._changed.wait(0.2)
                    continue
            yield from lines
            at = max(at, first) + len(lines)
            if not follow or (ended and not lines):
                return

    def metrics(self) -> str:
        deadline = time.monotonic() + 10
        with self._changed:
            while self._metrics is None and self._process.poll() is None and time.monotonic() < deadline:
                self._changed.wait(0.1)
            url = self._metrics
        if url is None or self._process.poll() is not None:
            raise SageHostError(f"{self.name} has no metrics now", hint="a job has them while it runs; see summary()")
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                text: str = answer.read().decode()
        except OSError as error:
            raise SageHostError(f"{self.name} has no metrics now: {error}", hint="see summary()") from None
        return text

    def stop(self, *, abort: bool = False, timeout: Optional[float] = None) -> None:
        for _ in range(2 if abort else 1):
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
                if abort:
                    try:
                        self._process.wait(0.1)
                    except subprocess.TimeoutExpired:
                        pass
        try:
            self._process.wait(timeout if not abort else 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._finish()

    def summary(self) -> Optional[Summary]:
        if self._process.poll() is None:
            return None
        outcome = self._finish()
        if isinstance(outcome, Summary):
            return outcome
        held = getattr(outcome, "summary", None)
        return Summary(held) if held else None

    def _read(self) -> None:
        """Standard output: the program's answer."""
        if self._process.stdout is not None:
            self._answer = self._process.stdout.read()

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    def _listen(self) -> None:
        pipe = self._process.stderr
        if pipe is None:
            return
        for raw in pipe:
            text = raw.decode(errors="replace").rstrip("\n")
            with self._changed:
                line = _log_line(text)
                if line is not None:
                    self._dropped += len(self._log) == _MOST_LINES
                    self._log.append(line)
                elif text.startswith("metrics: "):
                    self._metrics = text[len("metrics: ") :]
                else:
                    self._said.append(text)
                    del self._said[:-100]
                self._changed.notify_all()

    def _finish(self) -> "Summary | BaseException":
        """The outcome, once the process has ended and all it said and gave was read."""
        self._process.wait()
        self._exchange.end()
        for thread in self._threads:
            thread.join()
        with self._changed:
            if self._outcome is None:
                self._outcome = self._ended()
                _running.discard(self)
                self._work.cleanup()
            return self._outcome

    def _ended(self) -> "Summary | BaseException":
        code = self._process.wait()
        if self._broken.error is not None:
            return self._broken.error
        try:
            answer = json.loads(self._answer)
        except ValueError:
            answer = {}
        if code == 0:
            return Summary(answer)
        if code < 0:
            return SageHostError(f"the process of {self.name} was killed by {signal.Signals(-code).name}")
        return failure(code, answer if isinstance(answer, dict) else {}, "\n".join(self._said))


def _log_line(text: str) -> Optional[LogLine]:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return LogLine.of(value) if isinstance(value, dict) else None


_running: "weakref.WeakSet[LocalJob]" = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """Jobs of this process end with it."""
    for job in list(_running):
        job.stop(abort=True)
