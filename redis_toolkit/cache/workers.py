"""A few threads that do what one thread hands out, and close their connections at the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from django.db import connections

from redis_toolkit.core.connections import link

__all__ = ["Workers"]

Deed = Callable[[], None]


class Workers:
    """``number`` threads; one is none but the caller's own. The first error ends the work and is raised to the caller.

    On leaving the block what was handed out is done; after an error, and Ctrl-C is one, what has begun is.
    """

    def __init__(self, number: int) -> None:
        # What is handed out does not run ahead of what is done.
        self._deeds: queue.Queue[Deed | None] = queue.Queue(number)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(number if number > 1 else 0)]
        self._failed = threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def do(self, deed: Deed) -> None:
        """Have it done. Raises what an earlier one has raised."""
        if not self._threads:
            deed()
            return
        self._deeds.put(deed)
        self._raise()

    def rest(self, seconds: float) -> None:
        """Wait so long, or until something fails."""
        if seconds > 0:
            self._failed.wait(seconds)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            # After an error what was handed out is taken, so that nobody waits to hand out, and left.
            while (deed := self._deeds.get()) is not None:
                if not self._failed.is_set():
                    self._try(deed)
        finally:
            connections.close_all()
            link().close()

    def _try(self, deed: Deed) -> None:
        try:
            deed()
        except BaseException as error:  # noqa: BLE001 - it is raised where the work is handed out
            self._error = error
            self._failed.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._failed.set()
        for _ in self._threads:
            self._deeds.put(None)
        for thread in self._threads:
            thread.join()
        if error is None:
            self._raise()
