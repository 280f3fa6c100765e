"""A program beside our process: it starts, is heard, and never outlives us."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from redis_toolkit.testing import Companion, ServerFailed

PATIENCE = 20
SHELL = "/bin/sh"


def over(descriptor: int) -> bool:
    """Wait until the process of this pidfd has ended; False if it does not."""
    return bool(select.select([descriptor], [], [], PATIENCE)[0])


def test_it_runs_where_we_do_and_is_heard(tmp_path):
    """Its exit code and what it wrote are there once it has ended; its private directory is gone after `stop`."""
    companion = Companion([SHELL, "-c", "pwd; exit 3"], folder=tmp_path)
    assert (companion.pid, companion.exit_code, companion.log) == (0, None, "")
    with companion:
        assert companion.wait(PATIENCE) == 3
        assert companion.log == f"{tmp_path}\n"
        assert companion.pid == 0
    assert (companion.exit_code, companion.log_path.parent.exists()) == (3, False)


def test_a_log_of_ones_own_stays(tmp_path):
    """Named, the log is appended to, and is there afterwards."""
    log = tmp_path / "log"
    for word in ("one", "two"):
        with Companion([SHELL, "-c", f"echo {word}"], log=log) as companion:
            companion.wait(PATIENCE)
    assert log.read_text() == "one\ntwo\n"


def test_stop_ends_it_and_what_it_started():
    """The stop signal goes to the program and to its own child; both are gone when `stop` returns."""
    with Companion([SHELL, "-c", "/bin/cat /dev/zero >/dev/null & echo $!; wait"]) as companion:
        while not companion.log.endswith("\n"):
            assert companion.exit_code is None
        ends = [os.pidfd_open(pid) for pid in (companion.pid, int(companion.log))]
        with pytest.raises(ServerFailed, match="/bin/sh is running already"):
            companion.start()
    assert companion.exit_code == -signal.SIGTERM
    assert [over(end) for end in ends] == [True, True]
    for end in ends:
        os.close(end)


def test_it_may_be_started_again(tmp_path):
    """After its end, and after `stop`, `start` runs it anew."""
    companion = Companion([SHELL, "-c", "echo run"], log=tmp_path / "log")
    for _ in range(2):
        companion.start()
        assert companion.wait(PATIENCE) == 0
    companion.stop()
    companion.start()
    assert companion.wait(PATIENCE) == 0
    companion.stop()
    assert companion.log == "run\n" * 3


USER = """
from pathlib import Path
from redis_toolkit.testing import Companion
companion = Companion(["/bin/cat", "/dev/zero"], log=Path("/dev/null"))
companion.start()
print(companion.pid, flush=True)
input()
"""


def test_it_ends_when_its_user_is_killed():
    """After `kill -9` of the process that started it, the program ends, too."""
    root = Path(__file__).parents[3]
    user = subprocess.Popen(
        [sys.executable, "-c", USER], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    end = os.pidfd_open(int(user.stdout.readline()))
    user.kill()
    user.communicate(timeout=PATIENCE)
    assert over(end)
    os.close(end)
