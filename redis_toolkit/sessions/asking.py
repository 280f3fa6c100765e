"""Steps that wait neither in a thread nor in a loop.

What is done with Redis is written once, as a generator: it yields packed commands and is sent their answers.
:func:`drive` asks Redis in this thread, :func:`adrive` in this loop.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import arun, run
from redis_toolkit.signals import session_ended

__all__ = ["Ended", "Steps", "adrive", "announce", "announce_async", "drive"]

T = TypeVar("T")

#: Yields what to ask, in one round trip; is sent the answers.
Steps = Generator[list[bytes], list[Any], T]
#: A session that has ended: its user, or None; its handle; why.
Ended = tuple[str | None, str, str]


def drive(steps: Steps[T]) -> T:
    """Do the steps. Raises StoreUnavailable, and what they raise."""
    answers: list[Any] | None = None
    try:
        while True:
            calls = next(steps) if answers is None else steps.send(answers)
            answers = run(link(settings.DURABLE_ALIAS), calls)
    except StopIteration as end:
        result: T = end.value
        return result


async def adrive(steps: Steps[T]) -> T:
    """The same without blocking the loop."""
    answers: list[Any] | None = None
    try:
        while True:
            calls = next(steps) if answers is None else steps.send(answers)
            answers = await arun(settings.DURABLE_ALIAS, calls)
    except StopIteration as end:
        result: T = end.value
        return result


def announce(ended: list[Ended]) -> None:
    """Tell watchers."""
    while ended:
        user, handle, reason = ended.pop(0)
        session_ended.send_robust(sender=None, user=user, handle=handle, reason=reason)


async def announce_async(ended: list[Ended]) -> None:
    """Tell watchers."""
    while ended:
        user, handle, reason = ended.pop(0)
        await session_ended.asend_robust(sender=None, user=user, handle=handle, reason=reason)
