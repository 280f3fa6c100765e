"""What a contestant must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.doors.plan import Row, named

__all__ = ["Way", "way_of"]


class Way(ABC):
    """One way to keep a door. What is timed is one call of ``calls[case]``, with an :meth:`argument`."""

    calls: dict[str, Callable[[Any], Any]]

    @abstractmethod
    def fill(self, entries: int) -> None:
        """Make so many sessions or tokens, each of a user of its own, and use each once."""

    @abstractmethod
    def argument(self, case: str, at: int) -> Any:
        """What the call of a case is told; ``at`` counts the calls of a case."""

    @abstractmethod
    def wrong(self, case: str, argument: Any, answer: Any) -> str:
        """What was wrong with an answer, in words; empty: nothing. Puts back what the call has made."""

    def race(self, requests: int) -> int | None:  # noqa: B027 - most have no session
        """How many of so many requests that overlap have left in a session what they put there. None: it has none."""

    def end_thread(self) -> None:  # noqa: B027 - most have nothing to do
        """At the end of a thread that has asked."""


def way_of(row: Row) -> Way:
    """The contestant of a line of the plan."""
    made: Way = import_module(f"bench.doors.{named(row.library).reader}").WAYS[row.name]()
    return made
