"""What `manage.py demo` runs beside the site, in processes of their own: Celery's worker and beat, and the visitors.

A worker and beat, because a worker with `--beat` in it must not be started twice, and this is to be copied. (`honcho`
would run them as well, but ends everything when one process ends, and leaves all behind when it is killed itself.)
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

__all__ = ["PROCESSES", "Background", "celery_processes", "visitors"]

ROOT = Path(__file__).parent.parent
PATIENCE = 20.0  # seconds for both to be ready; they need two

#: The name of each process of Celery: its command, and what it writes into its log once it is ready.
PROCESSES = {
    "worker": ("worker --concurrency 1 --loglevel INFO --without-gossip --without-mingle", " ready."),
    "beat": ("beat --loglevel INFO", "beat: Starting..."),
}


@dataclass
class Background:
    """Processes, by name; `who` they are, and what is missing without them."""

    running: dict[str, Companion]
    who: str = "The Celery {name} has ended"
    loss: str = "what was to be done in the background is not done until the demo is started again"

    def wait_until_ready(self) -> None:
        """Return once Celery's are ready, or have ended, or the time is over."""
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
                    f"{self.who.format(name=name)} (exit code {code}). The site goes on; {self.loss}. "
                    f"Its log: {companion.log_path}"
                )


@contextmanager
def celery_processes() -> Iterator[Background]:
    """A worker and beat, started and not ready yet; they end with the block, or with this process."""
    with ExitStack() as stack:
        running = {}
        for name, (words, _) in PROCESSES.items():
            argv = ["celery", "--app", "demo_project", *words.split()]
            running[name] = stack.enter_context(_companion(f"celery-{name}", argv))
        yield Background(running)


@contextmanager
def visitors(site: str) -> Iterator[Background]:
    """The process of those who visit the site, an address; it ends with the block, or with this process."""
    with _companion("visitors", ["demo_project.visitors", site]) as process:
        yield Background(
            {"visitors": process}, "The process of the visitors has ended", "nobody visits it by themselves"
        )


def _companion(name: str, module: list[str]) -> Companion:
    log = environment.VAR / f"{name}.log"
    log.unlink(missing_ok=True)
    return Companion([sys.executable, "-m", *module], log=log, folder=ROOT)
