"""``@concurrency``: a view, sync or async, that so many may be in at once; a place is left when the response is closed.

Closed, not returned: what is streamed is at work until its last byte is sent, or the client has gone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar
from weakref import finalize

from asgiref.sync import sync_to_async
from django.http import HttpRequest

from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.throttling import subjects
from redis_toolkit.throttling.doors import auser_of, is_async, name_of, note, refuse, user_of
from redis_toolkit.throttling.heartbeats import heartbeats
from redis_toolkit.throttling.leases import Concurrency, Lease
from redis_toolkit.throttling.subjects import Key

__all__ = ["concurrency"]

View = TypeVar("View", bound=Callable[..., Any])


def concurrency(
    places: int, *, name: str | None = None, key: subjects.Given = "user_or_ip", lease: float | timedelta = 60,
    on_outage: str = "open",
) -> Callable[[View], View]:  # fmt: skip
    """Let a view be at work for each client at most ``places`` times at once; beyond that 429, and it is not called.

    ``name``: by which it is counted, default the view's module and name. ``key``: who is counted, as for ``throttle``.
    ``lease`` (seconds or a timedelta): after that the place of a process that died is free. ``on_outage``: "open" or
    "closed", while Redis is away. Raises Misconfigured where it is written.
    """
    who = Key(key)

    def decorate(view: View) -> View:
        label = name or name_of(view)
        try:
            limit = Concurrency(label, places, lease=lease, on_outage=on_outage)
        except (TypeError, ValueError) as error:
            raise Misconfigured(f"The concurrency limit {label!r} cannot be: {error}") from error
        made: Any = _awaited(view, limit, who) if is_async(view) else _called(view, limit, who)
        return made  # type: ignore[no-any-return]

    return decorate


def _called(view: Callable[..., Any], limit: Concurrency, who: Key) -> Callable[..., Any]:
    @wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        parts = who.of(request, user_of(request) if who.needs_user else None)
        if parts is None:
            return view(request, *args, **kwargs)
        lease = limit.take(*parts)
        note(request, [lease.decision])
        if not lease:
            return refuse(request, lease.decision)
        leave = _held(request, limit, lease)
        try:
            return _left_when_closed(view(request, *args, **kwargs), leave)
        except BaseException:
            leave()
            raise

    return call


def _awaited(view: Callable[..., Any], limit: Concurrency, who: Key) -> Callable[..., Any]:
    @wraps(view)
    async def call(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        user = await auser_of(request) if who.needs_user else None
        parts = await sync_to_async(who.of, thread_sensitive=who.calls)(request, user)
        if parts is None:
            return await view(request, *args, **kwargs)
        lease = await _taken(limit, parts)
        note(request, [lease.decision])
        if not lease:
            return refuse(request, lease.decision)
        leave = _held(request, limit, lease)
        try:
            return _left_when_closed(await view(request, *args, **kwargs), leave)
        except BaseException:
            await _apart(leave)
            raise

    return call


async def _taken(limit: Concurrency, parts: tuple[str, ...]) -> Lease:
    """Take a lease. 1. the client goes while a thread takes it  2. nobody knows of it: so it is given back then."""
    taking = asyncio.ensure_future(limit.atake(*parts))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(lambda done: threading.Thread(target=limit.give_back, args=(done.result(),)).start())
        raise


async def _apart(leave: Callable[[], None]) -> None:
    await asyncio.shield(sync_to_async(leave, thread_sensitive=False)())


def _held(request: HttpRequest, limit: Concurrency, lease: Lease) -> Callable[[], None]:
    """Keep ``lease`` until the request is closed, or gone; what leaves the place before that, once."""
    limit.keep_up(lease)
    # (The collector may come anywhere, so nothing is said to Redis then: the lease runs out.)
    finalize(request, heartbeats.end, lease.holder)
    left = iter([lease])

    def leave() -> None:
        for each in left:
            limit.give_back(each)

    # Django closes the request with whatever response is sent at last: another middleware may have made that.
    request.close = _and_then(request.close, leave)  # type: ignore[method-assign]
    return leave


def _left_when_closed(response: Any, leave: Callable[[], None]) -> Any:
    response.close = _and_then(response.close, leave)
    return response


def _and_then(close: Callable[[], Any], leave: Callable[[], None]) -> Callable[[], Any]:
    def close_and_leave() -> Any:
        try:
            return close()
        finally:
            leave()

    return close_and_leave
