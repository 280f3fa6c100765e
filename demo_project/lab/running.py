"""One storm at a time: who starts it, how it is seen to be under way.

A storm runs in a process of its own, `manage.py storm`, which ends with the process that started it. While it is under
way it says so in a record, once a second. A record that is not fresh is that of a storm that was killed.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from time import time

from demo_project.lab import records
from redis_toolkit.testing import Companion

__all__ = ["BEAT", "failure", "forget", "start", "tell", "underway"]

ROOT = Path(__file__).parents[2]
BEAT = 1.0  # seconds between two words of a storm
SILENCE = 10.0  # seconds without one after which it is taken for dead

_UNDERWAY = "underway"
_guard = threading.Lock()
_started: list[Companion] = []


def underway() -> records.Record | None:
    """The storm that is under way: its name, whether the defence is on, and which share of it is over."""
    record = records.read(_UNDERWAY)
    return record if record is not None and time() - record["when"] < SILENCE and _lives() else None


def start(storm: str, defence: str) -> bool:
    """Start a storm with its defence "on", "off", or "both" after each other; False if one is under way."""
    with _guard:
        if underway():
            return False
        for ended in _started:
            ended.stop()
        _started.clear()
        log = records.folder() / "storm.log"
        log.unlink(missing_ok=True)
        argv = [sys.executable, str(ROOT / "manage.py"), "storm", storm, "--defence", defence]
        companion = Companion(argv, log=log, folder=ROOT)
        # It takes a second until it can say so itself.
        tell(storm, defended=defence == "on", share=0.0)
        companion.start()
        _started.append(companion)
        return True


def tell(storm: str, *, defended: bool, share: float) -> None:
    """Say that a storm is under way, and which share of it is over."""
    records.write(_UNDERWAY, {"storm": storm, "defended": defended, "share": share, "when": time()})


def forget() -> None:
    """No storm is under way any more."""
    records.drop(_UNDERWAY)


def _lives() -> bool:
    """False if this process started the storm and it has ended: one that failed need not be waited for."""
    return not _started or _started[-1].exit_code is None


def failure() -> str:
    """Why the storm that this process started last came to nothing; empty if it did not, or if nobody knows."""
    if not _started or _started[-1].exit_code in {None, 0}:
        return ""
    lines = _started[-1].log.split("\n")
    return next((line for line in reversed(lines) if line), f"exit code {_started[-1].exit_code}")
