"""``manage.py demo`` as a process of its own, as its users start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Demo"]

ROOT = Path(__file__).parent.parent
PATIENCE = 90.0  # seconds; a start takes three, on a machine with nothing else to do
ANNOUNCED = re.compile(
    r"Timetable\s+(?P<url>\S+)\n.*?password (?P<password>\S+)\n\s+Redis\s+(?P<redis>\S+)\n", re.DOTALL
)


class Demo:
    """A running demo whose files are in ``var``; ``environment`` adds to the variables of this process.

    ``arguments`` go to the command.

    After ``start`` it has what the command announced: ``url``, ``password`` and ``redis``, the address of its server.
    """

    def __init__(self, var: Path, *arguments: str, **environment: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "DATABASE_URL"}}
        self.environment = {
            **inherited,
            "DEMO_VAR": str(var),
            "DEMO_VISITORS": "0",  # what is counted is what the test does
            "DJANGO_SETTINGS_MODULE": "demo_project.settings",
            "PYTHONUNBUFFERED": "1",
            **environment,
        }
        self.command = [sys.executable, "manage.py", "demo", *arguments]
        self.errors = var / "errors.txt"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(signal.SIGTERM)

    def start(self) -> None:
        """Start it and read until it says that it serves."""
        self.output = ""
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C" in line:
                break
        watchdog.cancel()
        found = ANNOUNCED.search(self.output)
        if not found:
            self.stop(signal.SIGKILL)
            raise AssertionError(f"The demo did not start:\n{self.output}\n{self.errors.read_text()}")
        self.url, self.password, self.redis = found["url"], found["password"], found["redis"]

    def run(self, *command: str) -> str:
        """Another command of the same project, in another terminal as it were; what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        return done.stdout

    def stop(self, number: signal.Signals) -> int:
        """End it with a signal, as Ctrl-C does; what it still says is added to ``output``. Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=PATIENCE)
        self.output += rest
        code: int = self.process.returncode
        return code
