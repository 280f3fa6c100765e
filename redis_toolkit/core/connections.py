"""Links to Redis: one per alias of ``CACHES``, through django-redis; the only place that knows Redis's own errors.

A :class:`Link` takes the address, credentials and TLS of a django-redis cache and nothing else: its time-outs are ours,
nothing is retried behind the caller's back, and each thread holds one connection (taking one from a pool costs as much
as the command). It raises :class:`StoreUnavailable` or :class:`BreakerOpen`, never an error of redis-py or a socket.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Final

import hiredis
from django.core.signals import setting_changed
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from redis_toolkit.conf import settings
from redis_toolkit.core.breaker import Breaker
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.lanes import Lane, Tally, pack
from redis_toolkit.core.pools import pool_of
from redis_toolkit.exceptions import BreakerOpen, Misconfigured, OutcomeUnknown, StoreUnavailable

__all__ = ["Link", "ScriptMissing", "link", "pack", "reset"]

_log = logging.getLogger("redis_toolkit.core")

#: How refusals begin that say nothing about where the connection leads: it is kept.
#: (Of a script that may not do something Valkey and Redis 7 say it in words of their own.)
_KEEPING: Final = ("OOM ", "NOPERM ", "WRONGTYPE ", "ERR ACL failure in script", "ERR The user executing the script")
#: Seconds in which a refusal of one kind is logged once, and of how many kinds that is remembered.
_QUIET: Final = 60.0
_KINDS: Final = 32


class ScriptMissing(StoreUnavailable):
    """The server does not have a Lua script; load it and ask again.

    ``answers``: to all commands, of which those at ``places`` did nothing for want of their script.
    """

    def __init__(self, answers: list[Any], places: list[int]) -> None:
        super().__init__()
        self.answers = answers
        self.places = places


class Link:
    """A way to the server of one alias, for all threads of this process.

    ``breaker`` is its circuit breaker; callables in ``before_trust`` run when Redis is back, before the breaker closes.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.before_trust: list[Callable[[], None]] = []
        self.forget_connections()

    def forget_connections(self) -> None:
        """Begin anew in a forked child."""
        # A forked child must not share its parent's sockets. Dropping them here closes only the child's descriptors.
        self._local = threading.local()
        self._tally = Tally()
        self._warned: dict[str, float] = {}
        self.breaker = Breaker(self.alias, self._is_back)

    @property
    def run(self) -> bytes:
        """The run of the server that gave this thread its last answer: ``RUN_SIZE`` bytes, empty before the first."""
        lane: Lane | None = getattr(self._local, "lane", None)
        return b"" if lane is None else lane.run

    @property
    def born(self) -> float:
        """When this thread's connection learnt its run, in seconds of the monotonic clock; 0 without one."""
        lane: Lane | None = getattr(self._local, "lane", None)
        return 0.0 if lane is None else lane.born

    @property
    def round_trips(self) -> int:
        """How many times this thread has sent something and waited for the answer."""
        lane: Lane | None = getattr(self._local, "lane", None)
        before: int = getattr(self._local, "trips", 0)
        return before if lane is None else before + lane.trips

    @property
    def total_round_trips(self) -> int:
        """The same of all threads of this process, those that have ended included."""
        return self._tally.trips

    def ask(self, command: bytes) -> Any:
        """The answer to one packed command, in one round trip. For what may be sent twice: see :meth:`ask_many`."""
        return self.ask_many(command, 1)[0]

    def ask_many(self, commands: bytes, replies: int, *, idempotent: bool = True) -> list[Any]:
        """The answers to packed commands, joined, in one round trip.

        A connection that the server closed while it lay idle is replaced and the commands are sent again, once, if they
        are ``idempotent``. Raises BreakerOpen, ScriptMissing, or StoreUnavailable with the cause chained; if they
        are not, OutcomeUnknown where they were sent and no answer came. After any other error one command did nothing.
        """
        local = self._local
        if self.breaker.is_open and not getattr(local, "preparing", False):
            raise BreakerOpen
        lane: Lane | None = getattr(local, "lane", None)
        sent = False
        try:
            if lane is None or not idempotent:
                lane = self._fresh(lane)
                sent = not idempotent
                answers = lane.exchange(commands, replies)
            else:
                try:
                    answers = lane.exchange(commands, replies)
                except (TimeoutError, BlockingIOError):
                    raise
                except (OSError, hiredis.ProtocolError):
                    self._drop()
                    answers = self._open().exchange(commands, replies)
        except (RedisError, OSError, hiredis.HiredisError) as error:
            self._drop()
            slow = isinstance(error, RedisTimeoutError | TimeoutError | BlockingIOError)
            self.breaker.failed(timed_out=slow, error=error)
            kind = OutcomeUnknown if sent else StoreUnavailable
            raise kind(f"Redis ({self.alias!r} in CACHES) did not answer: {error}") from error
        except BaseException:
            # An interrupted exchange leaves answers behind that the next command would take for its own.
            self._drop()
            raise
        for answer in answers:
            if isinstance(answer, hiredis.ReplyError):
                self._refuse(answers)
        self.breaker.succeeded()
        return answers

    def _fresh(self, lane: Lane | None) -> Lane:
        """A connection on which a command is sent once or not at all: one that is seen to be open."""
        if lane is not None:
            try:
                if lane.is_quiet:
                    return lane
            except RedisError:
                pass
            self._drop()
        return self._open()

    def _drop(self) -> None:
        lane: Lane | None = getattr(self._local, "lane", None)
        if lane is not None:
            self._local.trips = self.round_trips
            self._local.lane = None
            lane.close()

    def _refuse(self, answers: list[Any]) -> None:
        error, keeps = self.refusal(answers)
        if not keeps:
            self._drop()
        raise error

    def refusal(self, answers: list[Any]) -> tuple[StoreUnavailable, bool]:
        """What to raise for answers of which some are errors, and whether the connection they came by is kept."""
        errors = {at: answer for at, answer in enumerate(answers) if isinstance(answer, hiredis.ReplyError)}
        error = next((each for each in errors.values() if not str(each).startswith("NOSCRIPT")), None)
        if error is None:
            self.breaker.succeeded()
            return ScriptMissing(answers, list(errors)), True
        kind = str(error).partition(" ")[0]
        if kind == "LOADING":
            # It takes nothing till it has read its file, and says so to PING too: away, for the breaker and its probe.
            self.breaker.failed(timed_out=False, error=error)
        else:
            self.breaker.succeeded()
            self._warn(kind, error)
        refused = StoreUnavailable(f"Redis ({self.alias!r} in CACHES) refused a command: {error}")
        refused.__cause__ = error
        # A replica that was a primary: the connection may lead to the wrong place, and is not kept.
        return refused, str(error).startswith(_KEEPING)

    def _warn(self, kind: str, error: Exception) -> None:
        """Log a refusal, of each kind one a minute: there may be thousands a second, and nothing else tells of them."""
        moment = monotonic()
        if moment - self._warned.get(kind, -_QUIET) < _QUIET:
            return
        if len(self._warned) >= _KINDS:
            self._warned.clear()
        self._warned[kind] = moment
        _log.warning("Redis (%r in CACHES) refuses commands: %s", self.alias, str(error))

    def _open(self) -> Lane:
        lane = Lane(self._connection())
        try:
            lane.identify()
        except BaseException:
            # Nobody has it yet who would close it.
            lane.close()
            raise
        self._tally.begin(lane)
        self._local.lane = lane
        return lane

    def _connection(self) -> AbstractConnection:
        pool = pool_of(self.alias)
        options = dict(pool.connection_kwargs)
        options.update(
            socket_connect_timeout=settings.CONNECT_TIMEOUT,
            socket_timeout=settings.READ_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            retry_on_error=[],
            retry_on_timeout=False,
            decode_responses=False,
            health_check_interval=0,
            protocol=2,
            driver_info=None,
        )
        try:
            connection: AbstractConnection = pool.connection_class(**options)
        except TypeError as error:
            # (It names what it does not know, and no value.)
            message = f"LOCATION or OPTIONS of CACHES[{self.alias!r}] have what no connection takes: {error}."
            raise Misconfigured(message) from error
        return connection

    def _is_back(self) -> bool:
        """Whether the server answers again and all that must come before it is trusted is done."""
        self._local.preparing = True
        try:
            self.ask(pack(("PING",)))
            for prepare in self.before_trust:
                prepare()
        except StoreUnavailable:
            return False
        finally:
            self._local.preparing = False
            self.close()
        return True

    def close(self) -> None:
        """Close this thread's connection; the next command opens another."""
        self._drop()


_links: dict[str, Link] = {}
_making = threading.Lock()


def link(alias: str | None = None) -> Link:
    """The link to ``alias`` of ``CACHES`` (default: ``REDIS_TOOLKIT_ALIAS``). One per process, made on first use."""
    name = alias or settings.ALIAS
    try:
        return _links[name]
    except KeyError:
        with _making:
            return _links.setdefault(name, Link(name))


def reset() -> None:
    """Forget every link, its connections and the state of its breaker; each is made anew on its next use."""
    while _links:
        _, old = _links.popitem()
        old.close()
        old.breaker.close()


def _follow_caches(*, setting: str, **_: object) -> None:
    if setting == "CACHES":
        reset()


setting_changed.connect(_follow_caches, dispatch_uid="redis_toolkit.connections")


def _after_fork() -> None:
    global _making  # noqa: PLW0603 - a lock held by another thread of the parent would never be released here
    _making = threading.Lock()
    for each in _links.values():
        each.forget_connections()


os.register_at_fork(after_in_child=_after_fork)
