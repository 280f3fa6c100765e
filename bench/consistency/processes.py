"""Processes forked from the driver, which die with it."""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable

__all__ = ["Gate", "Process", "Tally", "die_with_parent"]

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, however that ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


class Process:
    """A forked child that runs ``work`` and leaves; exit code 1 and a traceback if that raises."""

    def __init__(self, work: Callable[[], object]) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self.exit_code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the driver, and with it its children
                die_with_parent(parent)
                work()
                code = 0
            except BaseException:  # noqa: BLE001 - this is the end of the process
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)

    def join(self, until: float) -> int | None:
        """Wait for its end, until that time (``time.monotonic``) at most. The exit code, None if it still runs."""
        while self.exit_code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= until:
                break
            else:
                time.sleep(0.005)
        return self.exit_code

    def kill(self) -> None:
        """Kill -9, and wait for the end. A child not waited for keeps its pid, so no stranger can be hit."""
        if self.exit_code is None and self.join(0) is None:
            os.kill(self.pid, signal.SIGKILL)
            self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Gate:
    """Holds forked children up until the driver opens it."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def wait(self, patience: float) -> bool:
        """(In a child) wait until the gate opens; False if it did not within ``patience`` seconds."""
        return bool(select.select([self._read], [], [], patience)[0])

    def open(self) -> None:
        """Let everybody through: nobody reads this byte, so everybody sees it."""
        os.write(self._write, b".")

    def close(self) -> None:
        """Forget the gate."""
        os.close(self._read)
        os.close(self._write)


class Tally:
    """What forked children count, each in a place of its own, and all can see."""

    def __init__(self, children: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 8 * children)).cast("Q")

    def add(self, child: int) -> None:
        """(In the child of that number) count one more."""
        self._counts[child] += 1

    def total(self) -> int:
        """What all of them have counted."""
        return sum(self._counts)
