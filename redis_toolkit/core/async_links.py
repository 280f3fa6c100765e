"""Links to Redis for coroutines: connections belong to an event loop, and no thread waits for an answer.

The breaker, the time-outs and the errors are those of the :class:`~redis_toolkit.core.connections.Link` of the same
alias. Each exchange has a connection to itself, taken from those that are idle in its loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final
from weakref import WeakKeyDictionary

import hiredis
from django.core.signals import setting_changed
from redis.asyncio import connection as kinds
from redis.exceptions import RedisError

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import Link, link
from redis_toolkit.core.pools import pool_of
from redis_toolkit.exceptions import BreakerOpen, Misconfigured, OutcomeUnknown, StoreUnavailable

__all__ = ["AsyncLink", "async_link"]

_CHUNK: Final = 65536
_INCOMPLETE: Final = object()
#: Connections that a loop keeps for its next exchanges.
_IDLE: Final = 32
#: What redis-py's connections for coroutines have no word for.
_UNKNOWN: Final = frozenset({"parser_class", "event_dispatcher", "cache", "cache_config", "connection_pool"})
#: Redis-py's way to connect, by its way to connect for threads.
_KINDS: Final = {
    "Connection": kinds.Connection,
    "SSLConnection": kinds.SSLConnection,
    "UnixDomainSocketConnection": kinds.UnixDomainSocketConnection,
}


class _Wire:
    """One connection. redis-py connects, authenticates and speaks TLS; the exchange goes straight to its streams."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.parser: Any = hiredis.Reader(notEnoughData=_INCOMPLETE)

    @property
    def is_open(self) -> bool:
        """Whether the server is not known to have closed it."""
        reader = self.connection._reader  # noqa: SLF001 - redis-py has no public way to its streams
        return reader is not None and not reader.at_eof()

    async def exchange(self, data: bytes, replies: int) -> list[Any]:
        """Send ``data`` and read ``replies`` answers; an error stands in the list. Raises OSError, ProtocolError."""
        reader, writer = self.connection._reader, self.connection._writer  # noqa: SLF001
        writer.write(data)
        async with asyncio.timeout(settings.READ_TIMEOUT):
            await writer.drain()
        answers: list[Any] = []
        while len(answers) < replies:
            answer = self.parser.gets()
            if answer is not _INCOMPLETE:
                answers.append(answer)
                continue
            async with asyncio.timeout(settings.READ_TIMEOUT):
                chunk = await reader.read(_CHUNK)
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            self.parser.feed(chunk)
        return answers

    def drop(self) -> None:
        """Let go of it, without waiting for anything."""
        writer = self.connection._writer  # noqa: SLF001
        self.connection._reader = self.connection._writer = None  # noqa: SLF001
        if writer is not None:
            with suppress(RuntimeError):  # the loop has been closed
                writer.transport.abort()


class AsyncLink:
    """A way to the server of one alias, for the coroutines of one event loop."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        #: How many times something was sent and its answer waited for.
        self.round_trips = 0
        self._idle: list[_Wire] = []
        self._keeper: AsyncGenerator[None, None] | None = None

    async def ask_many(self, commands: bytes, replies: int, *, idempotent: bool = True) -> list[Any]:
        """The answers to packed commands, joined, in one round trip; as ``Link.ask_many``, whose errors it raises."""
        owner = link(self.alias)
        if owner.breaker.is_open:
            raise BreakerOpen
        sent = False
        wire: _Wire | None = None
        try:
            wire, is_used = await self._wire()
            try:
                sent = not idempotent
                self.round_trips += 1
                answers = await wire.exchange(commands, replies)
            except TimeoutError:
                raise
            except (OSError, hiredis.ProtocolError):
                if not idempotent or not is_used:
                    raise
                # The server closed it while it lay idle, and perhaps the others as well.
                wire.drop()
                self._forget_idle()
                wire = await self._open()
                answers = await wire.exchange(commands, replies)
        except (RedisError, OSError, hiredis.HiredisError) as error:
            _drop(wire)
            # (redis-py's own time-out is no TimeoutError of Python.)
            owner.breaker.failed(timed_out="Timeout" in type(error).__name__, error=error)
            kind = OutcomeUnknown if sent else StoreUnavailable
            raise kind(f"Redis ({self.alias!r} in CACHES) did not answer: {error}") from error
        except BaseException:
            # An interrupted exchange leaves answers behind that the next command would take for its own.
            _drop(wire)
            raise
        self._finish(owner, wire, answers)
        return answers

    def _finish(self, owner: Link, wire: _Wire, answers: list[Any]) -> None:
        """Take the connection back; raise what the answers say."""
        if any(isinstance(answer, hiredis.ReplyError) for answer in answers):
            error, keeps = owner.refusal(answers)
            self._keep(wire) if keeps else wire.drop()
            raise error
        self._keep(wire)
        owner.breaker.succeeded()

    def _keep(self, wire: _Wire) -> None:
        if len(self._idle) < _IDLE:
            self._idle.append(wire)
        else:
            wire.drop()

    async def _wire(self) -> tuple[_Wire, bool]:
        """A connection that is seen to be open, and whether it was used before."""
        while self._idle:
            wire = self._idle.pop()
            if wire.is_open:
                return wire, True
            wire.drop()
        return await self._open(), False

    async def _open(self) -> _Wire:
        pool = pool_of(self.alias)
        names = (each.__name__ for each in pool.connection_class.__mro__)
        kind = next((_KINDS[name] for name in names if name in _KINDS), None)
        if kind is None:
            message = f"CACHES[{self.alias!r}] connects by {pool.connection_class.__name__}, which coroutines cannot."
            raise Misconfigured(message)
        options = {name: value for name, value in pool.connection_kwargs.items() if name not in _UNKNOWN}
        options.update(
            socket_connect_timeout=settings.CONNECT_TIMEOUT,
            socket_timeout=settings.READ_TIMEOUT,
            retry=None,
            retry_on_error=[],
            retry_on_timeout=False,
            decode_responses=False,
            health_check_interval=0,
            protocol=2,
            driver_info=None,
        )
        wire = _Wire(kind(**options))
        try:
            await wire.connection.connect()
        except BaseException:
            wire.drop()
            raise
        if self._keeper is None:
            # A loop that ends calls no hook of ours, but closes generators that were begun in it.
            self._keeper = self._until_the_loop_ends()
            await anext(self._keeper)
        return wire

    async def _until_the_loop_ends(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.close()

    def _forget_idle(self) -> None:
        while self._idle:
            self._idle.pop().drop()

    async def close(self) -> None:
        """Close the connections that are idle."""
        while self._idle:
            connection = self._idle.pop().connection
            writer, connection._writer, connection._reader = connection._writer, None, None  # noqa: SLF001
            if writer is not None:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


def _drop(wire: _Wire | None) -> None:
    if wire is not None:
        wire.drop()


_links: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, AsyncLink]] = WeakKeyDictionary()


def async_link(alias: str | None = None) -> AsyncLink:
    """The link of the running loop to ``alias`` of ``CACHES`` (default: ``REDIS_TOOLKIT_ALIAS``). Made on first use."""
    name = alias or settings.ALIAS
    of_loop = _links.setdefault(asyncio.get_running_loop(), {})
    found = of_loop.get(name)
    if found is None:
        found = of_loop[name] = AsyncLink(name)
    return found


def _follow_caches(*, setting: str, **_: object) -> None:
    if setting == "CACHES":
        for of_loop in list(_links.values()):
            for each in of_loop.values():
                each._forget_idle()  # noqa: SLF001 - one of this module's own


setting_changed.connect(_follow_caches, dispatch_uid="redis_toolkit.async_links")
