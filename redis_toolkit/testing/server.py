"""What a server of ours does, whichever server it is: start, answer, break down, come back, leave nothing."""

from __future__ import annotations

import os
import signal
import socket
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import ClassVar, Self

from redis_toolkit.testing.processes import Lifeline, ServerFailed, private_path

__all__ = ["Server"]

POLL = 0.001  # seconds between two looks at a starting server
PORT_ATTEMPTS = 10
LAST_LINES = 12


class Server(ABC):
    """A server that lives as long as this process at most, in a private directory that goes with it.

    ``binary``: the program. ``tcp``: listen on a free port of 127.0.0.1. ``start_timeout``: seconds until ``start``
    gives up, and until ``kill`` and ``restart`` do.
    """

    label: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    kill_signal: ClassVar[signal.Signals]
    restart_signal: ClassVar[signal.Signals]

    def __init__(self, *, binary: str | os.PathLike[str] | None, tcp: bool, start_timeout: float) -> None:
        self.binary = binary
        self.tcp = tcp
        self.start_timeout = start_timeout
        self.directory = private_path(self.label, self._owner())
        self.port = 0
        self._lifeline: Lifeline | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.directory} pid={self.pid}>"

    @property
    def pid(self) -> int:
        """The running server's process id, 0 when none runs."""
        lifeline = self._lifeline
        if lifeline is None:
            return 0
        if not lifeline.ours:  # some thread of the parent may have held the lock when we were forked
            return lifeline.pid
        with self._lock:
            return lifeline.pid if lifeline.wait_exit(0) is None else 0

    @property
    def log(self) -> str:
        """What the server has written so far."""
        path = self._log_path
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start the server and return once it answers. Raises ``Misconfigured`` or ``ServerFailed``."""
        with self._lock:
            if self.pid:
                raise ServerFailed(f"{self!r} is running already.")
            program = self._find()
            try:
                if self._lifeline is None:
                    self._lifeline = Lifeline(self.directory, stop_signal=self.stop_signal, owner=self._owner())
                    program = self._prepare(self._lifeline, program)
                self._launch(self._lifeline, program)
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """End the server and remove its directory. Harmless when repeated, and in a forked child."""
        lifeline = self._lifeline
        if lifeline is None or not lifeline.ours:
            return
        with self._lock:
            lifeline.close()
            self._lifeline = None

    def kill(self) -> None:
        """End the server as a crash would; ``start()`` brings it back at the same address, in the same directory."""
        self._end(self.kill_signal)

    def restart(self) -> None:
        """End the server in good order and start it again at the same address, in the same directory."""
        with self._lock:
            self._end(self.restart_signal)
            self.start()

    @abstractmethod
    def _find(self) -> Path:
        """The program to run."""

    @abstractmethod
    def _configure(self) -> None:
        """Write the configuration, ``self.port`` in it."""

    @abstractmethod
    def _command(self, program: Path) -> list[str]:
        """The server's command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server, which is known to be ours, is ready."""

    def _owner(self) -> tuple[int, int] | None:
        """The (uid, gid) to run as; ``None`` for our own."""
        return None

    def _prepare(self, lifeline: Lifeline, program: Path) -> Path:  # noqa: ARG002 - one server needs it
        """Fill the new directory before the first start; returns the program to run."""
        return program

    @property
    def _log_path(self) -> Path:
        return self.directory / "log"

    def _running(self) -> Lifeline:
        if self._lifeline is None or not self.pid:
            raise ServerFailed(f"{self!r} is not running; call start() first.")
        return self._lifeline

    def _end(self, number: int) -> None:
        lifeline = self._running()
        lifeline.signal(number)
        if lifeline.wait_exit(self.start_timeout) is None:
            raise ServerFailed(f"{self!r} did not end within {self.start_timeout} s of signal {int(number)}.")

    def _launch(self, lifeline: Lifeline, program: Path) -> None:
        choosing = self.tcp and not self.port
        for _ in range(PORT_ATTEMPTS):
            self._log_path.unlink(missing_ok=True)
            if choosing:
                self.port = _free_port()
            self._configure()
            lifeline.spawn(self._command(program), log=self._log_path)
            if self._wait(lifeline):
                return
            if not (choosing and "in use" in self.log):
                break
        raise ServerFailed(f"{program} did not start (exit code {lifeline.exit_code}).{self._last_words()}")

    def _wait(self, lifeline: Lifeline) -> bool:
        deadline = perf_counter() + self.start_timeout
        while perf_counter() < deadline:
            if lifeline.wait_exit(POLL) is not None:
                return False
            if self._answers():
                return True
        raise ServerFailed(f"{self!r} was not ready within {self.start_timeout} s.{self._last_words()}")

    def _last_words(self) -> str:
        return "".join(f"\n    {line}" for line in self.log.splitlines()[-LAST_LINES:])


def _free_port() -> int:
    # Only a proposal: by the time the server binds it, it may be taken. Then
    # the server says so in its log, and the next one is proposed.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
