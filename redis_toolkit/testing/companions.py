"""Another program of yours beside a server: a Celery worker, say. However this process ends, it ends as well."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from redis_toolkit.testing.processes import Lifeline, ServerFailed, private_path

__all__ = ["Companion"]

# `exec`, so that the process id, and what Linux does to it at our end, are the program's own.
IN_FOLDER = ["/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh"]


class Companion:
    """A program that lives as long as this process at most, ``kill -9`` included.

    ``argv``: the program's path and its arguments. ``log``: the file its output is appended to; by default one in a
    private directory that goes with it. ``folder``: where it runs; by default where we do. ``stop_signal``: what
    ``stop`` sends to it and to all that it started; what does not end within five seconds of it is killed.

    The environment is that of this process when ``start`` is called. Use it as a context manager, or by ``start()`` and
    ``stop()``.
    """

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path | None = None,
        folder: Path | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.argv = [os.fspath(word) for word in argv]
        self.stop_signal = stop_signal
        self._directory = private_path("companion")
        self.log_path = log.absolute() if log else self._directory / "log"
        self._folder = folder or Path.cwd()
        self._lifeline: Lifeline | None = None
        self._exit_code: int | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The program's process id; 0 when it does not run."""
        with self._lock:
            lifeline = self._lifeline
            return lifeline.pid if lifeline is not None and self.exit_code is None else 0

    @property
    def exit_code(self) -> int | None:
        """What it ended with (negative: the signal); None while it runs, and before its first start."""
        with self._lock:
            if self._lifeline is not None:
                self._exit_code = self._lifeline.wait_exit(0)
            return self._exit_code

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self) -> None:
        """Start the program; it need not be ready yet. Raises ``ServerFailed`` if it runs already."""
        with self._lock:
            if self.pid:
                raise ServerFailed(f"{self.argv[0]} is running already.")
            self.stop()
            self._lifeline = Lifeline(self._directory, stop_signal=self.stop_signal)
            try:
                self._lifeline.spawn([*IN_FOLDER, str(self._folder), *self.argv], log=self.log_path)
            except BaseException:
                self.stop()
                raise

    def wait(self, timeout: float) -> int | None:
        """What it ended with, None if it still runs after ``timeout`` seconds."""
        with self._lock:
            if self._lifeline is not None:
                self._exit_code = self._lifeline.wait_exit(timeout)
            return self._exit_code

    def stop(self) -> None:
        """End it, and return once it has ended. Harmless when repeated, and in a forked child."""
        lifeline = self._lifeline
        if lifeline is None or not lifeline.ours:
            return
        with self._lock:
            lifeline.close()
            self._exit_code = lifeline.exit_code
            self._lifeline = None
