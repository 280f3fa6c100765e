"""Steps that are written once and taken by threads and by coroutines.

A flow is a generator that yields packed commands and is sent their answers; what it returns is for the caller.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from redis_toolkit.conf import settings
from redis_toolkit.core.clock import frozen
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import arun, run

__all__ = ["Flow", "afollow", "follow", "moment"]

T = TypeVar("T")

#: Yields (packed commands, whether they may be sent twice); each is one round trip.
Flow = Generator[tuple[list[bytes], bool], list[Any], T]


def follow(flow: Flow[T]) -> T:
    """Take the steps. Raises what the flow raises, StoreUnavailable, and OutcomeUnknown."""
    try:
        commands, idempotent = next(flow)
        while True:
            answers = run(link(settings.DURABLE_ALIAS), commands, idempotent=idempotent)
            commands, idempotent = flow.send(answers)
    except StopIteration as end:
        answer: T = end.value
        return answer


async def afollow(flow: Flow[T]) -> T:
    """:func:`follow`, awaited."""
    try:
        commands, idempotent = next(flow)
        while True:
            answers = await arun(settings.DURABLE_ALIAS, commands, idempotent=idempotent)
            commands, idempotent = flow.send(answers)
    except StopIteration as end:
        answer: T = end.value
        return answer


def moment() -> str | int:
    """What scripts are told of the time: nothing, so that they ask the server; in tests, when it stands still."""
    still = frozen()
    return "" if still is None else -still
