"""Reads whose load has to be awaited: the steps of ``asking.py``, in the thread in which Django's ORM works.

The steps run by ``sync_to_async``, as the ORM's asynchronous forms do, so they ask the connection that the awaited
function asks: what its open transaction has written is known, and neither read from the cache nor stored. While the
function is awaited that thread is free for others.

The race that this opens, and the stamps win: 1. a reader takes the stamps and awaits  2. another task writes on the
same connection, in a transaction: the stamps are marked first  3. the reader sees what is not committed, and stores it
4. rolled back or not, the stamps under which it lies are gone.
"""

from __future__ import annotations

from asyncio import CancelledError, shield
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async

from redis_toolkit.cache.asking import LOAD, Asking, Steps, advance
from redis_toolkit.cache.finding import NOTHING
from redis_toolkit.cache.reading import Loaded, Question, Source

__all__ = ["ask_awaiting"]


async def ask_awaiting(
    begin: Callable[[], tuple[Question, Source]], load: Callable[[], Awaitable[Loaded]], *, refresh: bool = False
) -> Any:
    """The answer to the question that ``begin`` makes in the ORM's thread; what is missing is awaited from ``load``."""
    begun: list[Steps] = []

    def start() -> tuple[Any, Any]:
        asking = Asking(*begin(), refresh=refresh)
        answer = asking.glance()
        if answer is not NOTHING:
            return None, answer
        begun.append(asking.steps())
        return advance(begun[0])

    def end() -> None:
        for steps in begun:
            steps.close()

    go_on = sync_to_async(advance)
    try:
        need, answer = await sync_to_async(start)()
        while need is not None:
            try:
                # What waits for another's load must not hold the thread in which that may be waiting to go on.
                given = await load() if need is LOAD else await sync_to_async(need, thread_sensitive=False)()
            except BaseException as error:  # noqa: BLE001 - it goes on from inside the step
                need, answer = await go_on(begun[0], error=error)
            else:
                need, answer = await go_on(begun[0], given)
    except CancelledError:
        # 1. a step is taken in its thread  2. the task is cancelled: what the step came to is lost  3. it has taken a
        # place at the gate, or a claim. So the steps are ended, in that thread.
        await shield(sync_to_async(end)())
        raise
    return answer
