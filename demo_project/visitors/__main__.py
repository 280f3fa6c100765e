"""`python -m demo_project.visitors http://127.0.0.1:8000/`: visit it until Ctrl-C."""

from __future__ import annotations

import os
import signal
from argparse import ArgumentParser

import django

ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


class Told:
    """Over once this process is told to end. No handler is run for that: it would come in the midst of anything."""

    def __init__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        self._over = False

    def wait(self, timeout: float) -> bool:
        self._over = self._over or signal.sigtimedwait(ENDS, timeout) is not None
        return self._over


def main() -> None:
    parser = ArgumentParser(prog="python -m demo_project.visitors", description="Visits a running demo, politely.")
    parser.add_argument("site", help="Its address, as `make demo` prints it.")
    parser.add_argument("--seed", type=int, default=7, help="The same seed, the same visits. Default: 7.")
    parser.add_argument("--steps", type=int, help="End after so many. Default: go on.")
    given = parser.parse_args()
    told = Told()  # before there are threads, which all have to leave the signals to us
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_project.settings")
    django.setup()
    # These need the settings.
    from demo_project.visitors.rounds import visit  # noqa: PLC0415

    print(f"{visit(given.site, seed=given.seed, over=told, steps=given.steps)} steps.")  # noqa: T201


if __name__ == "__main__":
    main()
