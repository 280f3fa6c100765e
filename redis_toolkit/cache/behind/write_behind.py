"""``WriteBehind``: what a project declares and calls."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.db.models import Model

from redis_toolkit.cache.behind.applying import apply
from redis_toolkit.cache.behind.counters import Counter, declare
from redis_toolkit.cache.behind.flushing import Flushed, flush
from redis_toolkit.cache.behind.gathering import MOST_AT_ONCE, gather
from redis_toolkit.cache.behind.merging import merged, stored
from redis_toolkit.cache.status import is_open
from redis_toolkit.conf import Settings
from redis_toolkit.core.clock import now
from redis_toolkit.exceptions import BreakerOpen, Misconfigured, OutcomeUnknown, StoreUnavailable
from redis_toolkit.signals import cache_failed

__all__ = ["WriteBehind"]

OnError = Literal["raise", "database", "ignore"]


class WriteBehind:
    """A field whose changes are gathered in Redis and flushed to the database in batches.

    ``kind="sum"``: amounts are added to whole numbers or decimals. ``kind="latest"``: of several dates with times the
    latest stays. ``using``: alias of the database, default where a router sends writes of the model. ``alias``: name in
    ``CACHES`` of the server that gathers, default ``REDIS_TOOLKIT_ALIAS``; it should evict nothing and keep an AOF.

    ``on_error``, when Redis cannot take a change: "raise" StoreUnavailable; write it to the "database" at once; or
    "ignore" it, but for the signal ``cache_failed``. ``on_commit``: whether a change made in a transaction of that
    database waits for its commit, and goes with its rollback. ``most``: rows that may wait before more are refused.

    Declare it where every process imports it, such as below the model: ``views = WriteBehind(Course, "views")``.
    """

    def __init__(  # noqa: PLR0913 - each says what nothing else can
        self,
        model: type[Model],
        field: str,
        *,
        kind: Literal["sum", "latest"] = "sum",
        using: str | None = None,
        alias: str | None = None,
        on_error: OnError = "raise",
        on_commit: bool = True,
        most: int = 100_000,
    ) -> None:
        if on_error not in {"raise", "database", "ignore"}:
            raise Misconfigured(f"on_error={on_error!r}: it is 'raise', 'database' or 'ignore'.")
        self._counter = Counter(model, field, kind, using, alias, most)
        self._on_error = on_error
        self._on_commit = on_commit
        declare(self._counter)

    def __repr__(self) -> str:
        return f"<WriteBehind {self._counter.label}>"

    # Changing

    def add(self, key: Any, amount: Any = 1) -> None:
        """Add ``amount`` to the row of primary key ``key`` (or the instance); one round trip.

        Raises TypeError and ValueError for what is no amount or no key, OutcomeUnknown where it may have counted and
        may not, and, with ``on_error="raise"``, StoreUnavailable where it has not.
        """
        self.add_many({key: amount})

    def add_many(self, amounts: Mapping[Any, Any]) -> None:
        """Add amounts by primary key (at most 10,000): all or none, in one round trip. Raises as :meth:`add` does."""
        self._change("sum", amounts)

    def put(self, key: Any, value: datetime.datetime | None = None) -> None:
        """Let the row of primary key ``key`` (or the instance) have ``value``, or now, unless it has a later one.

        One round trip. Raises as :meth:`add` does, but never OutcomeUnknown: it may be sent twice.
        """
        self.put_many({key: value})

    def put_many(self, values: Mapping[Any, datetime.datetime | None]) -> None:
        """The same for values by primary key (at most 10,000): all or none, in one round trip."""
        zone = datetime.UTC if Settings.uses_zones() else None
        moment = datetime.datetime.fromtimestamp(now(), zone)
        self._change("latest", {key: moment if value is None else value for key, value in values.items()})

    async def aadd(self, key: Any, amount: Any = 1) -> None:
        """:meth:`add` for asynchronous callers."""
        await sync_to_async(self.add)(key, amount)

    async def aadd_many(self, amounts: Mapping[Any, Any]) -> None:
        """:meth:`add_many` for asynchronous callers."""
        await sync_to_async(self.add_many)(amounts)

    async def aput(self, key: Any, value: datetime.datetime | None = None) -> None:
        """:meth:`put` for asynchronous callers."""
        await sync_to_async(self.put)(key, value)

    async def aput_many(self, values: Mapping[Any, datetime.datetime | None]) -> None:
        """:meth:`put_many` for asynchronous callers."""
        await sync_to_async(self.put_many)(values)

    # Reading

    def value(self, key: Any) -> Any:
        """What the row will hold when all that waits is applied; None if it is not there, or holds nothing.

        One query, one round trip. Redis away: StoreUnavailable with ``on_error="raise"``, else what the database has.
        """
        return next(iter(self.values([key]).values()), None)

    def values(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """The same for many primary keys, by key, without the rows that are not there; a query for every 500."""
        counter = self._counter
        counter.ensure()
        named = {counter.named(key): key for key in keys}
        try:
            found = merged(counter, list(named))
        except StoreUnavailable as error:
            if self._on_error == "raise":
                raise
            self._tell(error, during="read")
            found = stored(counter, list(named))
        return {named[name]: value for name, value in found.items()}

    async def avalue(self, key: Any) -> Any:
        """:meth:`value` for asynchronous callers."""
        return await sync_to_async(self.value)(key)

    async def avalues(self, keys: Iterable[Any]) -> dict[Any, Any]:
        """:meth:`values` for asynchronous callers."""
        return await sync_to_async(self.values)(keys)

    # Flushing

    def flush(self) -> Flushed:
        """Apply what waits now, as ``redis_drain`` does. Raises StoreUnavailable; nothing is lost then."""
        return flush(self._counter)

    async def aflush(self) -> Flushed:
        """:meth:`flush` for asynchronous callers."""
        return await sync_to_async(self.flush)()

    def _change(self, kind: str, values: Mapping[Any, Any]) -> None:
        counter = self._counter
        if counter.kind_name != kind:
            rightly = "put" if kind == "sum" else "add"
            raise TypeError(f"{counter.label} gathers by kind={counter.kind_name!r}: use {rightly}().")
        counter.ensure()
        if len(values) > MOST_AT_ONCE:
            raise ValueError(f"{len(values)} rows at once: at most {MOST_AT_ONCE:,} are sent together.")
        numbers: dict[str, int] = {}
        for key, value in values.items():
            name, number = counter.named(key), counter.kind.written(value)
            numbers[name] = counter.kind.joined([numbers[name], number]) if name in numbers else number
        if numbers:
            self._when_it_is_time(numbers)

    def _when_it_is_time(self, numbers: dict[str, int]) -> None:
        connection = connections[self._counter.database]
        # 1. we add for a tenant  2. another is the tenant now  3. COMMIT: what was added is the first one's.
        gathered = self._counter.keys().gathered
        if not (self._on_commit and is_open(connection) and connection.in_atomic_block):
            self._send(gathered, numbers)
        elif self._counter.link.breaker.is_open:
            # Said now, it ends the transaction, or is a part of it.
            self._without_redis(BreakerOpen(), numbers)
        else:
            send: Callable[[], None] = partial(self._send, gathered, numbers)
            connection.on_commit(send)

    def _send(self, gathered: str, numbers: dict[str, int]) -> None:
        try:
            gather(self._counter, gathered, numbers)
        except OutcomeUnknown as error:
            if self._on_error != "ignore":
                # Written to the database as well it might count twice.
                raise
            self._tell(error)
        except StoreUnavailable as error:
            self._without_redis(error, numbers)

    def _without_redis(self, error: StoreUnavailable, numbers: dict[str, int]) -> None:
        if self._on_error == "raise":
            raise error
        self._tell(error)
        if self._on_error == "database":
            counter = self._counter
            with transaction.atomic(using=counter.database):
                apply(counter, {counter.key_named(name): number for name, number in numbers.items()})

    def _tell(self, error: StoreUnavailable, during: str = "add") -> None:
        cache_failed.send_robust(sender=self._counter.model, during=during, error=error)
