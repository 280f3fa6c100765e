"""The machine with two more connections: one writes beside an open transaction, one looks at the past."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from django.db import connections, transaction
from hypothesis.stateful import precondition, rule

from redis_toolkit.cache.watch import watch_of
from tests.app.models import Lesson
from tests.property.inventory import Answers, Asked, answers, differences, truth
from tests.property.machine import WRITTEN, CacheMachine
from tests.property.trouble import Bench
from tests.property.world import REFUSALS, WRITES, World

__all__ = ["TwoConnections"]

#: Answers put together from several reads, some of which may come from the cache and some from the past.
PUT_TOGETHER = {
    "in_bulk", "prefetched", "friends", "tags of the topics", "albums", "followed", "followed one to one",
    "people of pets", "people of pets at once", "stops of tickets", "lines of tickets", "authors of poems",
    "people of poems", "countries of cities", "countries at once",
}  # fmt: skip
#: Seconds after which a thread is stuck.
PATIENCE = 60


def is_put_together(name: str) -> bool:
    """Whether a question is answered by several reads: pages are keys and then rows."""
    return name in PUT_TOGETHER or name.startswith("pages of ")


class Aside:
    """A thread with connections of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

    def do(self, act: Callable[[], Any]) -> Any:
        return self._thread.submit(act).result(PATIENCE)

    def end(self) -> None:
        self.do(connections.close_all)
        self._thread.shutdown()


def be_impatient(alias: str) -> None:
    """Do not wait long for a lock: its holder goes on only when we do."""
    is_sqlite = connections[alias].vendor == "sqlite"
    World(alias).run_sql("PRAGMA busy_timeout = 20" if is_sqlite else "SET lock_timeout = 20")


class TwoConnections(CacheMachine):
    """The steps are one connection's; another reads after each, and writes too, and nobody sees what is not theirs."""

    def __init__(self, alias: str, bench: Bench, share: int = 1) -> None:
        self.writer = Aside()
        self.historian = Aside()
        self.past: Any = None
        be_impatient(alias)
        super().__init__(alias, bench, share)

    def do(self, act: Callable[[], Any]) -> Any:
        return self.writer.do(act)

    @rule(writes=WRITTEN)
    def write_beside(self, writes: list[tuple[str, int, int, int]]) -> None:
        """The other connection writes, in a transaction or not; it may find a row or the database locked."""
        self.note("write_beside")
        world = World(self.alias)
        with suppress(*REFUSALS):
            if len(writes) > 1:
                with transaction.atomic(using=self.alias):
                    for name, *numbers in writes:
                        WRITES[name](world, *numbers)
            else:
                name, *numbers = writes[0]
                WRITES[name](world, *numbers)

    @precondition(lambda self: self.past is None)
    @rule()
    def look_back(self) -> None:
        """A third connection begins a transaction that goes on seeing what is there now."""
        self.note("look_back")
        self.past = self.historian.do(self._stop_the_clock)

    def _stop_the_clock(self) -> Any:
        connection: Any = connections[self.alias]
        connection.ensure_connection()
        if connection.vendor == "sqlite":
            connection.transaction_mode = "DEFERRED"
        block = transaction.atomic(using=self.alias)
        block.__enter__()
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        # The first question takes the snapshot.
        World(self.alias).rows(Lesson).count()
        return block

    @precondition(lambda self: self.past is not None)
    @rule()
    def look_ahead(self) -> None:
        """That transaction ends."""
        self.note("look_ahead")
        block, self.past = self.past, None
        self.historian.do(lambda: block.__exit__(None, None, None))

    @property
    def is_calm(self) -> bool:
        """A rollback, and on SQLite the end of what returned rows, is noticed when the connection is used again."""
        return super().is_calm and bool(self.do(self._has_noticed))

    def _has_noticed(self) -> bool:
        watch = watch_of(connections[self.alias])
        return watch._open is None and not watch._awaiting

    def check(self) -> None:
        asked = self.asked()
        # First whoever sees the past, so that what the others find could be from there.
        found = [] if self.past is None else self.historian.do(lambda: answers(asked, self.alias))
        now = self.compare(asked, self.alias)
        if self.past is not None:
            self._compare_with_the_past(asked, found, now)
        if self.blocks:
            self.do(lambda: self.compare(asked, self.alias))

    def _compare_with_the_past(self, asked: list[Asked], found: Answers, now: Answers) -> None:
        """A transaction that sees the past is told what was true then, or what is true now."""
        other = [at for at, each in enumerate(found) if each != now[at] and not is_put_together(asked[at][0])]
        then = self.historian.do(lambda: truth([asked[at] for at in other], self.alias))
        wrong = differences([asked[at] for at in other], [found[at] for at in other], then)
        assert wrong == [], wrong

    def teardown(self) -> None:
        if self.past is not None:
            self.look_ahead()
        super().teardown()
        self.writer.end()
        self.historian.end()
