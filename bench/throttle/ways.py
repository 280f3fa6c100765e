"""What a contestant must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.throttle.plan import ALLOWED, DENIED, LIBRARIES, Row

__all__ = ["Way", "address", "way_of", "word"]


class Way(ABC):
    """One way to check. What is timed is one call of ``generous`` or of ``tight``, each with an :meth:`argument`."""

    generous: Callable[[Any], Any]
    tight: Callable[[Any], Any]

    def argument(self, client: int) -> Any:
        """What the call is told of a client: made anew for each call, outside of what is timed."""
        return f"client {client}"

    @abstractmethod
    def told(self, argument: Any, answer: Any, /) -> str:
        """What was answered: ALLOWED or DENIED, or in words what else."""

    def begin(self) -> None:  # noqa: B027 - most have nothing to do
        """Before each batch."""

    def end_thread(self) -> None:  # noqa: B027
        """At the end of a thread that has asked."""


def way_of(row: Row) -> Way:
    """The contestant of a line of the plan."""
    library = next(each for each in LIBRARIES if each.name == row.library)
    made: Way = import_module(f"bench.throttle.{library.reader}").WAYS[row.name]()
    return made


def word(allowed: object) -> str:
    """The word for a yes or a no."""
    return ALLOWED if allowed else DENIED


def address(client: int) -> str:
    """A client's IPv4 address."""
    return f"10.1.{client >> 8}.{client & 255}"
