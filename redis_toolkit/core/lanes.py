"""One thread's connection to Redis."""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final, cast
from weakref import WeakSet

import hiredis
from redis.connection import AbstractConnection

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic

__all__ = ["RUN_SIZE", "Lane", "Tally", "pack"]

_log = logging.getLogger("redis_toolkit.core")

#: Bytes of the digest that names one run of one server.
RUN_SIZE: Final = 8

_CHUNK: Final = 65536
_INCOMPLETE: Final = object()

#: ``pack(("GET", key))``: a command as bytes for :meth:`Link.ask`.
pack: Final[Callable[[tuple[str | bytes | int, ...]], bytes]] = cast("Any", hiredis.pack_command)


class Lane:
    """One thread's connection. ``run`` names the run of the server at its other end, as of when it was opened.

    redis-py connects, authenticates and speaks TLS; the exchange itself goes straight to the socket, through the parser
    that redis-py uses too. That halves the cost of a command.
    """

    __slots__ = ("__weakref__", "_poll", "born", "connection", "reader", "run", "socket", "tally", "trips")

    def __init__(self, connection: AbstractConnection) -> None:
        self.tally: Tally | None = None
        connection.connect()
        self.connection = connection
        self.socket = cast("Any", connection._sock)  # noqa: SLF001 - redis-py has no public way to it
        self.reader: Any = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._poll: Callable[[int], object] | None = None
        if _let_kernel_time_out(self.socket):
            poll = select.poll()
            poll.register(self.socket.fileno(), select.POLLIN)
            self._poll = poll.poll
        self.run = b""
        self.born = 0.0
        self.trips = 0

    def exchange(self, data: bytes, replies: int) -> list[Any]:
        """Send ``data`` and read ``replies`` answers; an error stands in the list. Raises OSError, ProtocolError."""
        receive, reader = self.socket.recv, self.reader
        self.trips += 1
        self.socket.sendall(data)
        answers: list[Any] = []
        while len(answers) < replies:
            answer = reader.gets()
            if answer is _INCOMPLETE:
                chunk = receive(_CHUNK)
                if not chunk:
                    raise ConnectionResetError("the server closed the connection")
                reader.feed(chunk)
            else:
                answers.append(answer)
        return answers

    @property
    def is_quiet(self) -> bool:
        """Whether the server has neither closed the connection nor said anything that nobody asked for.

        A command that must not be sent twice is not sent into a connection that lay idle and was closed.
        """
        # (By redis-py it costs six times as much.)
        return not (self.connection.can_read(timeout=0) if self._poll is None else self._poll(0))

    def identify(self) -> None:
        """Learn which run of which server this is: `run_id` changes at a restart, `master_replid` at a failover."""
        data = pack(("INFO", "server")) + pack(("INFO", "replication"))
        names = (b"run_id:", b"master_replid:")
        answers = [answer for answer in self.exchange(data, 2) if isinstance(answer, bytes)]
        lines = [line for answer in answers for line in answer.split(b"\r\n") if line.startswith(names)]
        named = b"trusted" if settings.TRUST_REPLICAS else b"|".join(lines)
        if not named:
            # A run of its own, which ends with the connection: a server that restarts closes it.
            _log.warning(
                "Redis refuses INFO, so a restart could not be told: a connection serves no answers but its own,"
                " and the second of a process none. Allow +info."
            )
            named = os.urandom(RUN_SIZE)
        self.run = blake2b(named, digest_size=RUN_SIZE).digest()
        self.born = monotonic()
        self.trips = 0

    def __del__(self) -> None:
        if self.tally is not None:
            self.tally.end(self)

    def close(self) -> None:
        """Close the connection."""
        self.connection.disconnect()


class Tally:
    """The round trips of the lanes of all threads: each counts its own, and they are added when somebody asks."""

    def __init__(self) -> None:
        self._lanes: WeakSet[Lane] = WeakSet()
        self._ended: deque[int] = deque()
        self._before = 0
        self._lock = threading.Lock()

    def begin(self, lane: Lane) -> None:
        """Count ``lane`` as well, which is not kept alive by it."""
        lane.tally = self
        with self._lock:
            self._fold()
            self._lanes.add(lane)

    def end(self, lane: Lane) -> None:
        """Nobody holds ``lane`` any more: its thread has ended, or opens another."""
        # Without the lock: the collector may call anywhere, and a forked child while a thread it has not got holds it.
        self._ended.append(lane.trips)

    @property
    def trips(self) -> int:
        """How often any lane, those that have ended included, has sent something and waited for the answer."""
        with self._lock:
            self._fold()
            return self._before + sum(lane.trips for lane in self._lanes)

    def _fold(self) -> None:
        while self._ended:
            self._before += self._ended.popleft()


def _let_kernel_time_out(sock: Any) -> bool:
    """Give the time-out to the kernel: Python's own costs a poll() before each send and each receive.

    Only for plain sockets, of which True is returned: TLS, and gevent's cooperative ones, keep Python's. A time-out is
    then a BlockingIOError.
    """
    if os.name == "posix" and type(sock).__module__ == "socket":
        limit = struct.pack("ll", *divmod(round(settings.READ_TIMEOUT * 1_000_000), 1_000_000))
        sock.settimeout(None)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        return True
    return False
