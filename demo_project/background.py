"""Celery beside the site, as `manage.py demo` runs it: a worker and beat, in processes of their own.

Two, because a worker with `--beat` in it must not be started twice, and this is to be copied. (`honcho` would run them
as well, but ends everything when one process ends, and leaves all of it behind when it is killed itself.)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from demo_project import environment
from redis_toolkit.testing import Companion

__all__ = ["PROCESSES", "Background", "celery_processes"]

ROOT = Path(__file__).parent.parent
PATIENCE = 20.0  # seconds for both to be ready; they need two

#: The name of each process: its Celery command, and what it writes into its log once it is ready.
PROCESSES = {
    "worker": ("worker --concurrency 1 --loglevel INFO --without-gossip --without-mingle", " ready."),
    "beat": ("beat --loglevel INFO", "beat: Starting..."),
}


@dataclass
class Background:
    """The two processes, by name."""

    running: dict[str, Companion]

    def wait_until_ready(self) -> None:
        """Return once both are ready, or have ended, or the time is over."""
        deadline = perf_counter() + PATIENCE
        for name, companion in self.running.items():
            while PROCESSES[name][1] not in companion.log and perf_counter() < deadline:
                if companion.wait(0.05) is not None:
                    break

    def says(self) -> str:
        """Who runs, for the screen."""
        logs = environment.VAR / "celery-*.log"
        return " and ".join(f"{name} (process {each.pid})" for name, each in self.running.items()) + f", {logs}"

    def ended(self) -> Iterator[str]:
        """A sentence for each that has ended since this was last asked."""
        for name, companion in list(self.running.items()):
            code = companion.exit_code
            if code is not None:
                del self.running[name]
                yield (
                    f"The Celery {name} has ended (exit code {code}). The site goes on; what was to be done in the "
                    f"background is not done until the demo is started again. Its log: {companion.log_path}"
                )


@contextmanager
def celery_processes() -> Iterator[Background]:
    """A worker and beat, started and not ready yet; they end with the block, or with this process."""
    with ExitStack() as stack:
        running = {}
        for name, (words, _) in PROCESSES.items():
            log = environment.VAR / f"celery-{name}.log"
            log.unlink(missing_ok=True)
            argv = [sys.executable, "-m", "celery", "--app", "demo_project", *words.split()]
            running[name] = stack.enter_context(Companion(argv, log=log, folder=ROOT))
        yield Background(running)
