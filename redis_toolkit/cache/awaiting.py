"""Reads whose load has to be awaited: the steps of ``reading.py``, in the thread in which Django's ORM works.

The steps run by ``sync_to_async``, as the ORM's asynchronous forms do, so they ask the connection that the awaited
function asks: what its open transaction has written is known, and neither read from the cache nor stored. While the
function is awaited that thread is free for others.

The race that this opens, and the stamps win: 1. a reader takes the stamps and awaits  2. another task writes on the
same connection, in a transaction: the stamps are marked first  3. the reader sees what is not committed, and stores it
4. rolled back or not, the stamps under which it lies are gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async

from redis_toolkit.cache.reading import Course, Loaded, advance

__all__ = ["ask_awaiting"]


async def ask_awaiting(begin: Callable[[], Course], load: Callable[[], Awaitable[Loaded]]) -> Any:
    """The answer of the read that ``begin`` begins, in the ORM's thread; what is missing is awaited from ``load``."""

    def start() -> tuple[Course, bool, Any]:
        course = begin()
        return course, *advance(course)

    course, is_over, answer = await sync_to_async(start)()
    if not is_over:
        try:
            loaded = await load()
        except BaseException:
            course.close()
            raise
        _, answer = await sync_to_async(advance)(course, loaded)
    return answer
