"""How each page was served: answers from the cache, questions to the database, milliseconds.

The cache is watched through its public signal, the database through Django's own instrumentation. The numbers stand in
the footer (`served` in templates) and in the `Server-Timing` header, where a browser's developer tools show them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from django.db import connections
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from redis_toolkit.signals import cache_read

__all__ = ["Served", "count_answers", "served"]


@dataclass
class Served:
    """The counts of one request.

    A bypass is a read that a write in progress, or an outage of Redis, sent to the database. `reading` is the time in
    seconds that all cached reads took, misses included; the rest of a page's time is Django rendering it.
    """

    hits: int = 0
    misses: int = 0
    bypasses: int = 0
    queries: int = 0
    reading: float = 0.0
    started: float = field(default_factory=perf_counter)

    @property
    def milliseconds(self) -> float:
        """Time since the request came in."""
        return (perf_counter() - self.started) * 1000

    @property
    def reading_milliseconds(self) -> float:
        return self.reading * 1000

    def count_read(self, outcome: str, seconds: float) -> None:
        self.hits += outcome == "hit"
        self.misses += outcome == "miss"
        self.bypasses += outcome == "bypass"
        self.reading += seconds

    def count_query(self, execute: Callable[..., Any], *args: Any) -> Any:
        """A wrapper for `connection.execute_wrapper`."""
        self.queries += 1
        return execute(*args)

    def header(self) -> str:
        """The counts as a `Server-Timing` header."""
        reads = f"{self.hits} hits, {self.misses} misses, {self.bypasses} bypasses"
        return (
            f'cache;desc="{reads}";dur={self.reading_milliseconds:.2f}, '
            f'db;desc="{self.queries} queries", total;dur={self.milliseconds:.1f}'
        )


# One per request: threads and tasks that serve other requests at the same time see their own.
_current: ContextVar[Served | None] = ContextVar("served", default=None)


def count_answers(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware that counts while the request is answered. It stands first, so that it sees everything."""

    def middleware(request: HttpRequest) -> HttpResponse:
        counts = Served()
        token = _current.set(counts)
        try:
            with ExitStack() as stack:
                for connection in connections.all():
                    stack.enter_context(connection.execute_wrapper(counts.count_query))
                response = get_response(request)
        finally:
            _current.reset(token)
        response.headers["Server-Timing"] = counts.header()
        return response

    return middleware


@receiver(cache_read, dispatch_uid="demo_project.served")
def _count_read(*, outcome: str, seconds: float, **_: Any) -> None:
    counts = _current.get()
    if counts is not None:
        counts.count_read(outcome, seconds)


def served(_request: HttpRequest) -> dict[str, Served | None]:
    """Context processor: the counts so far, as `served`."""
    return {"served": _current.get()}
