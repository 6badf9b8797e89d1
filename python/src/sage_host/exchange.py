"""The sockets of a run on this machine, at which sources and sinks of this process give and take batches.

Each source and each sink has a thread. A send waits while the program does not read, so a generator is not asked for more
than the pipeline takes.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any, Callable, Iterable, List, Optional

from . import frames
from .crossing import Giving, Taking, parsed_schema
from .errors import GraphError
from .records import Taker

#: Most records that wait for the others of their batch.
_MOST_WAITING = 1024
#: Time after which records that wait are sent, in seconds.
_PATIENCE = 0.01
#: Longest path of a unix socket.
_MOST_PATH = 107


def listen(path: str) -> socket.socket:
    """A socket at which the program will call."""
    if len(os.fsencode(path)) > _MOST_PATH:
        raise GraphError(
            f"the path of a socket is {path!r}, which is longer than {_MOST_PATH} bytes",
            hint="name a shorter folder for temporary files with TMPDIR",
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(1)
    except OSError:
        listener.close()
        raise
    return listener


class _Gone(Exception):
    """The program has ended, and says why."""


def _send_all(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        raise _Gone from None


class _Side:
    """One side of an exchange: a thread that waits for the program, and then works."""

    def __init__(self, path: str, broke: Callable[[BaseException], None]) -> None:
        self.path = path
        self._listener = listen(path)
        self._broke = broke
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Wait for the program."""
        self._thread.start()

    def close(self) -> None:
        """Wait no longer: the program has ended, or was not started."""
        try:
            # This wakes the thread that waits for a call.
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    def join(self, timeout: Optional[float] = None) -> None:
        """Wait until all has been given or taken. The program has ended before."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            try:
                self.exchange(connection)
            except _Gone:
                return
            except BaseException as error:
                self._broke(error)

    def exchange(self, connection: socket.socket) -> None:
        raise NotImplementedError


class Giver(_Side):
    """A source of this process."""

    def __init__(
        self, path: str, records: Iterable[object], giving: Giving, broke: Callable[[BaseException], None]
    ) -> None:
        super().__init__(path, broke)
        self._records = records
        self._giving = giving
        self._waiting: List[object] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._failed: Optional[BaseException] = None

    def exchange(self, connection: socket.socket) -> None:
        _send_all(connection, frames.HELLO)
        flusher = threading.Thread(target=self._flush_often, args=(connection,), daemon=True)
        flusher.start()
        try:
            self._give(connection)
        except _Gone:
            raise
        except BaseException as error:
            # The program says that it failed for this reason, should nobody look at the exception.
            reason = f"{type(error).__name__}: {error}".encode()[:4096]
            self._broke(error)
            _send_all(connection, frames.header(frames.FAILED, len(reason)) + reason)
        finally:
            self._done.set()
            flusher.join()

    def _give(self, connection: socket.socket) -> None:
        giving, lock = self._giving, self._lock
        for record in self._records:
            if giving.is_whole(record):
                self._send(connection, [record])
                continue
            with lock:
                waiting = self._waiting
                waiting.append(record)
                if len(waiting) >= _MOST_WAITING:
                    self._flush(connection)
            if self._failed is not None:
                raise self._failed
        with lock:
            self._flush(connection)
        if self._failed is not None:
            raise self._failed
        _send_all(connection, frames.header(frames.END, 0))

    def _flush(self, connection: socket.socket) -> None:
        """Sends what waits. The lock is held."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._send(connection, waiting)

    def _flush_often(self, connection: socket.socket) -> None:
        """Sends what waits while the generator takes its time."""
        while not self._done.wait(_PATIENCE):
            with self._lock:
                try:
                    self._flush(connection)
                except BaseException as error:
                    self._failed = error
                    return

    def _send(self, connection: socket.socket, records: List[Any]) -> None:
        for kind, parts in self._giving.contents(records):
            length = sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in parts)
            if length > frames.MOST_BYTES:
                if len(records) == 1:
                    raise GraphError(f"a record has {length} bytes, which is more than a pipeline takes")
                middle = len(records) // 2
                self._send(connection, records[:middle])
                self._send(connection, records[middle:])
                return
            _send_all(connection, b"".join([frames.header(kind, length), *parts]))


class Getter(_Side):
    """A sink of this process."""

    def __init__(self, path: str, target: Taker, taking: Taking, broke: Callable[[BaseException], None]) -> None:
        super().__init__(path, broke)
        self._target = target
        self._taking = taking

    def exchange(self, connection: socket.socket) -> None:
        def take(into: memoryview) -> int:
            try:
                return connection.recv_into(into)
            except OSError:
                return 0

        if frames.exactly(take, len(frames.HELLO)) is None:
            return
        give = self._target.append if isinstance(self._target, list) else self._target
        while True:
            frame = frames.read_frame(take)
            if frame is None:
                # The run was cut short, and says why.
                return
            if frame.kind == frames.END:
                _send_all(connection, frames.HELLO)
                return
            if frame.kind == frames.SCHEMA:
                self._taking.schema(parsed_schema(frame))
                continue
            for record in self._taking.records(frame):
                give(record)


class Exchange:
    """All sockets of a run."""

    def __init__(self) -> None:
        self.sides: List[_Side] = []

    def start(self) -> None:
        """Wait for the program on every socket."""
        for side in self.sides:
            side.start()

    def end(self) -> None:
        """The program has ended: wait until every sink has got what came, and leave sources alone that wait for their
        next record."""
        for side in self.sides:
            side.close()
        deadline = time.monotonic() + 1
        for side in self.sides:
            if isinstance(side, Getter):
                side.join()
            else:
                side.join(max(0.0, deadline - time.monotonic()))
