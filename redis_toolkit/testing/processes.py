"""Server processes that never outlive the process that started them.

``Lifeline`` is the user's end of the watcher in ``lifeline.py``. The watcher
is the server's parent, so it does not matter which thread started the server,
and a signal can never reach a recycled pid.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import perf_counter
from typing import IO, cast

from redis_toolkit.exceptions import RedisToolkitError

__all__ = ["Lifeline", "ServerFailed", "private_path", "reachable"]

SCRIPT = Path(__file__).with_name("lifeline.py")
WATCHER_TIMEOUT = 20.0  # seconds; it needs 0.03
SOCKET_PATH_LIMIT = 103  # bytes a unix socket path may have on macOS; Linux allows 107
LONGEST_SOCKET_NAME = len("/.s.PGSQL.65535")

# A forked child inherits the lifeline, and would keep the server alive after
# the real user is gone; so each child lets go of it first of all.
#   1. thread A makes the pipe       2. thread B forks before A has noted it
# The guard is held from making to noting, and around every fork.
_guard = threading.RLock()
_lifelines: set[Lifeline] = set()


def _let_go_in_child() -> None:
    for lifeline in _lifelines:
        lifeline.let_go()
    _lifelines.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_let_go_in_child)


class ServerFailed(RedisToolkitError):
    """A server process did not start, did not answer in time, or ended on its own."""


def private_path(label: str, owner: tuple[int, int] | None = None) -> Path:
    """A path for a private directory, not made yet: short enough for a unix socket, where ``owner`` can go."""
    name = f"{label}-{secrets.token_hex(6)}"
    # In /tmp, too, the name cannot be guessed, and the watcher refuses a directory that is there already.
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108
        path = parent.resolve() / name
        short = len(os.fsencode(path)) + LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT
        if short and (owner is None or reachable(path.parent, *owner)):
            return path
    raise ServerFailed(
        "No temporary directory will do: its path must be short enough for a unix socket, and its folders open to the "
        "user the server runs as; set TMPDIR to another one."
    )


def reachable(path: Path, uid: int, gid: int) -> bool:
    """Whether that user, in no other group, may enter or execute ``path`` and enter all folders above it."""
    return all(_may_enter(step.stat(), uid, gid) for step in (path, *path.parents))


def _may_enter(status: os.stat_result, uid: int, gid: int) -> bool:
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


class Lifeline:
    """One watcher and what it watches: a directory (made 0700 at once, removed at the end) and one process at a time.

    ``stop_signal`` ends the process when the lifeline does; ``owner`` is the (uid, gid) the directory and the process
    shall have, ``None`` for our own. Raises ``ServerFailed`` if the directory cannot be made.
    """

    def __init__(self, directory: Path, *, stop_signal: int, owner: tuple[int, int] | None = None) -> None:
        self.directory = directory
        self.maker = os.getpid()
        self.pid = 0
        self.exit_code: int | None = None
        self._unread = b""
        uid, gid = owner or (-1, -1)
        argv = [sys.executable, "-I", "-S", str(SCRIPT), str(int(stop_signal)), str(directory), str(uid), str(gid)]
        with _guard:
            # A session of its own: Ctrl-C is for the user, who then closes the lifeline in good order.
            self._watcher = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
            )
            _lifelines.add(self)
        self._commands = cast("IO[bytes]", self._watcher.stdin)
        self._events = cast("IO[bytes]", self._watcher.stdout)
        if self._next_event(WATCHER_TIMEOUT) != "ready":
            self.close()
            raise ServerFailed(f"Could not make the private directory {directory}.")

    @property
    def ours(self) -> bool:
        """False in a child forked since: the server is the parent's."""
        return self.maker == os.getpid()

    @property
    def watcher_pid(self) -> int:
        """The watcher's process id."""
        return self._watcher.pid

    def spawn(self, argv: list[str], *, log: Path) -> int:
        """Start ``argv`` in the directory, its output appended to ``log``; returns its pid."""
        self.exit_code = None
        self._send("spawn", str(log), *argv)
        self._next_event(WATCHER_TIMEOUT)
        return self.pid

    def signal(self, number: int) -> None:
        """Send the process, if it still runs, the signal ``number``."""
        self._send("signal", str(int(number)))

    def wait_exit(self, timeout: float) -> int | None:
        """The exit code (negative: the signal) once the process has ended, ``None`` after ``timeout`` seconds."""
        deadline = perf_counter() + timeout
        while self.exit_code is None:
            if self._next_event(deadline - perf_counter()) is None:
                break
        return self.exit_code

    def close(self) -> None:
        """Stop the process, remove the directory, wait until both are done. In a forked child: nothing."""
        if not self.ours or self._events.closed:
            return
        with _guard:
            _lifelines.discard(self)
            self._commands.close()
        deadline = perf_counter() + WATCHER_TIMEOUT
        while self._next_event(deadline - perf_counter()) is not None:
            continue
        self._events.close()
        self._watcher.wait(WATCHER_TIMEOUT)

    def let_go(self) -> None:
        """In a child just forked: drop what belongs to the parent, without a word."""
        self._watcher.returncode = 0  # not ours to wait for
        for stream in (self._watcher.stdin, self._watcher.stdout):
            cast("IO[bytes]", stream).close()

    def _send(self, *words: str) -> None:
        if not self.ours:
            raise ServerFailed("This server belongs to the parent process; a forked child may use it, not command it.")
        try:
            self._commands.write(b"\0".join(os.fsencode(word) for word in words) + b"\n")
        except BrokenPipeError as error:
            raise ServerFailed(f"The watcher of {self.directory} is gone, and the server with it.") from error

    def _next_event(self, timeout: float) -> str | None:
        """Take in one report of the watcher's; ``None`` when the time is over or the watcher gone."""
        while b"\n" not in self._unread:
            # A forked child shares the pipe and must not take the parent's news.
            if not self.ours or not select.select([self._events], [], [], max(timeout, 0))[0]:
                return None
            chunk = os.read(self._events.fileno(), 4096)
            if not chunk:
                # The watcher is gone, and the server has gone with it.
                self.exit_code = -signal.SIGKILL if self.exit_code is None else self.exit_code
                return None
            self._unread += chunk
        line, self._unread = self._unread.split(b"\n", 1)
        event, _, detail = line.decode().partition(" ")
        if event == "spawned":
            self.pid = int(detail)
        elif event == "exited":
            self.exit_code = int(detail)
        return event
