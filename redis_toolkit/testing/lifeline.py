"""The watcher: a tiny process that owns a server and the server's directory.

It runs as a script of its own (`python -I -S lifeline.py ...`), so it imports
nothing but a few small standard modules. Its standard input is a pipe whose
only write end belongs to the process that uses the server. However that
process ends, kill -9 included, the kernel closes the pipe; the watcher reads
the end of file, stops the server, removes the directory and leaves.

    argv    stop signal, directory, uid, gid (-1: stay who we are)
    stdin   "spawn LOG PROGRAM ARG..." or "signal NUMBER", one a line, words parted by a zero byte
    stdout  "ready", "spawned PID", "exited CODE", "failed WHY", one a line
"""

# Importing pathlib would cost a tenth of a start.
# ruff: noqa: PTH

from __future__ import annotations

import os
import select
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

try:
    import ctypes
except ImportError:  # a Python built without libffi: the pipe alone must do
    ctypes = None  # type: ignore[assignment]

__all__ = ["Watcher", "main"]

GRACE = 5.0  # seconds between the stop signal and SIGKILL
PR_SET_PDEATHSIG = 1
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def attempt(remove: Callable[[str], None], path: str) -> None:
    """Remove ``path`` if it is there and can be removed."""
    try:
        remove(path)
    except OSError:
        return


class Watcher:
    """Holds at most one running child; obeys its pipe; cleans up at its end."""

    def __init__(self, stop_signal: int, directory: str, uid: int, gid: int) -> None:
        self.stop_signal = stop_signal
        self.directory = directory
        self.uid = uid
        self.gid = gid
        self.child = 0
        self.unread = b""
        self.wakeups, wakeup_writer = os.pipe()
        os.set_blocking(self.wakeups, False)
        os.set_blocking(wakeup_writer, False)
        signal.set_wakeup_fd(wakeup_writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *ENDINGS):
            signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Serve the pipe until it ends, then stop the child and remove the directory."""
        try:
            os.mkdir(self.directory, 0o700)
            if self.uid >= 0:
                os.chown(self.directory, self.uid, self.gid)
        except OSError as error:
            self.report(f"failed {error}")
            return
        self.report("ready")
        while self.attend():
            pass
        self.stop_child()
        self.remove_directory()

    def attend(self) -> bool:
        """Wait for one event and answer it; False once the user is gone."""
        readable, _, _ = select.select([0, self.wakeups], [], [])
        if self.wakeups in readable:
            caught = os.read(self.wakeups, 512)
            self.reap()
            if any(number in caught for number in ENDINGS):
                return False
        return 0 not in readable or self.obey()

    def obey(self) -> bool:
        chunk = os.read(0, 65536)
        *lines, self.unread = (self.unread + chunk).split(b"\n")
        for line in lines:
            command, *arguments = line.split(b"\0")
            if command == b"spawn":
                self.spawn(*arguments)
            elif command == b"signal":
                self.signal_child(int(arguments[0]))
        return bool(chunk)

    def spawn(self, log: bytes, *argv: bytes) -> None:
        watcher = os.getpid()
        self.child = os.fork()
        if self.child == 0:
            try:
                self.become(watcher, log, argv)
            except OSError as error:
                os.write(2, f"cannot start {os.fsdecode(argv[0])}: {error}\n".encode())
            finally:
                os._exit(127)
        self.report(f"spawned {self.child}")

    def become(self, watcher: int, log: bytes, argv: tuple[bytes, ...]) -> None:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log_descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log_descriptor, 1)
        os.dup2(log_descriptor, 2)
        if self.uid >= 0:
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)
        # The belt to the pipe's braces: somebody may kill -9 every Python
        # process at once, this watcher included. It has one thread, so the
        # signal cannot come early by the end of a thread.
        if sys.platform == "linux" and ctypes is not None:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, self.stop_signal)
            if os.getppid() != watcher:
                os._exit(127)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.chdir(self.directory)
        os.execv(argv[0], argv)

    def reap(self) -> None:
        while self.child:
            pid, status = os.waitpid(self.child, os.WNOHANG)
            if not pid:
                return
            self.child = 0
            self.report(f"exited {os.waitstatus_to_exitcode(status)}")

    def signal_child(self, number: int) -> None:
        # An unreaped child keeps its pid, so this can never hit a stranger.
        # The group, because a server may have forked (a Valkey that saves).
        if self.child:
            try:
                os.killpg(self.child, number)
            except (ProcessLookupError, PermissionError):  # not a leader yet, or a zombie already
                os.kill(self.child, number)

    def stop_child(self) -> None:
        self.signal_child(self.stop_signal)
        self.signal_child(signal.SIGCONT)
        while self.child and select.select([self.wakeups], [], [], GRACE)[0]:
            os.read(self.wakeups, 512)
            self.reap()
        if self.child:
            self.signal_child(signal.SIGKILL)
            os.waitpid(self.child, 0)

    def remove_directory(self) -> None:
        # More than once, because a dying server's own children may still write.
        for _ in range(3):
            for folder, subfolders, files in os.walk(self.directory, topdown=False):
                for name in files:
                    attempt(os.unlink, os.path.join(folder, name))
                for name in subfolders:
                    path = os.path.join(folder, name)
                    attempt(os.unlink if os.path.islink(path) else os.rmdir, path)
            attempt(os.rmdir, self.directory)

    def report(self, event: str) -> None:
        try:
            os.write(1, event.encode() + b"\n")
        except OSError:
            # Nobody listens any more: the end of file on stdin says the rest.
            return


def main() -> None:
    """Run one watcher from the command line's words."""
    stop_signal, directory, uid, gid = sys.argv[1:]
    Watcher(int(stop_signal), directory, int(uid), int(gid)).run()


if __name__ == "__main__":
    main()
