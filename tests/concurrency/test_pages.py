"""A reader walks through the pages of a list that is written to all the while: who is there throughout is met once."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from redis_toolkit.cache import CachedPages
from tests.app.models import Event
from tests.concurrency.actors import PATIENCE, Stage
from tests.concurrency.timetable import PG

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", PG])

STEADY = 40
WRITERS, READERS, WALKS, SIZE = 3, 3, 6, 7


def rows(alias: str) -> Any:
    return Event.objects.using(alias)


def fill(alias: str) -> list[int]:
    """Rows that stay, some of one name, and as many that may go. The keys of those that stay, as they are sorted."""
    rows(alias).bulk_create(Event(name=f"{at * 7 % 10}") for at in range(STEADY))
    steady = list(rows(alias).order_by("name", "-pk").values_list("pk", flat=True))
    rows(alias).bulk_create(Event(name=f"{at * 3 % 10}", share=1) for at in range(STEADY))
    return steady


def pages_of(alias: str) -> CachedPages[Event]:
    return CachedPages(Event.cached.db_manager(alias).order_by("name", "-pk"), size=SIZE)


def by_cursor(alias: str) -> Iterator[Event]:
    return pages_of(alias).walk()


def by_offset(alias: str) -> Iterator[Event]:
    """What pages are without a cursor: so many rows, after so many rows."""
    asked = Event.cached.db_manager(alias).order_by("name", "-pk")
    at = 0
    while found := list(asked[at : at + SIZE]):
        yield from found
        at += SIZE


def disturb(alias: str, dice: random.Random) -> None:
    """One write of each kind: to a row that stays, in a column by which nothing is sorted; the others come, move, go."""
    steady, others = (rows(alias).filter(share=share).order_by("pk") for share in (0, 1))
    chosen = steady[dice.randrange(STEADY)]
    chosen.data = {"n": dice.random()}
    chosen.save(update_fields=["data"])
    rows(alias).create(name=f"{dice.randrange(10)}", share=1)
    keys = list(others.values_list("pk", flat=True))
    rows(alias).filter(pk=dice.choice(keys)).update(name=f"{dice.randrange(10)}")
    rows(alias).filter(pk=dice.choice(keys)).delete()


class Writers:
    """Threads that disturb until they are told to stop, and who can be waited for."""

    def __init__(self, stage: Stage) -> None:
        self.over = threading.Event()
        self._count = 0
        self._changed = threading.Condition()
        self.actors = [stage.actor(lambda actor, seed=seed: self._write(seed)) for seed in range(WRITERS)]

    def _write(self, seed: int) -> None:
        dice = random.Random(seed)
        while not self.over.is_set():
            disturb(PG, dice)
            with self._changed:
                self._count += 1
                self._changed.notify_all()

    def wait_for_one(self) -> None:
        """Wait until there has been another disturbance."""
        with self._changed:
            seen = self._count
            assert self._changed.wait_for(lambda: self._count > seen, PATIENCE)


def test_pages_are_walked_while_writers_insert_change_and_delete(stage: Stage) -> None:
    """3 readers walk 6 times while 3 writers insert, change, move and delete: of 40 rows that stay each is met once."""
    steady = fill(PG)
    writers = Writers(stage)

    def walk(_: Any) -> list[int]:
        met = []
        for at, row in enumerate(pages_of(PG)):
            met.append(row.pk)
            if at % SIZE == SIZE - 1:
                # At least one disturbance falls between two pages.
                writers.wait_for_one()
        return [key for key in met if key in set(steady)]

    for writer in writers.actors:
        writer.go()
    try:
        walks = []
        for _ in range(WALKS):
            readers = [stage.actor(walk) for _ in range(READERS)]
            for reader in readers:
                reader.go()
            walks += [reader.ends() for reader in readers]
    finally:
        writers.over.set()
    for writer in writers.actors:
        writer.ends()
    assert len(walks) == READERS * WALKS
    assert [met for met in walks if met != steady] == []


@pytest.mark.parametrize("alias", ["default", PG])
@pytest.mark.parametrize(("pager", "twice", "never"), [(by_cursor, 0, 0), (by_offset, 3, 5)])
def test_between_two_pages_rows_come_and_go(stage: Stage, alias: str, pager: Any, twice: int, never: int) -> None:
    """1. a page is read  2. rows before and after its end come, move and go  3. the next one: 0 of 40 twice or never.

    Without a cursor, by so many rows after so many rows, the same list has some twice and some never.
    """
    steady = fill(alias)
    dice = random.Random(5)
    met: list[int] = []
    for at, row in enumerate(pager(alias)):
        met.append(row.pk)
        if at % SIZE == SIZE - 1:
            stage.actor(lambda _: [disturb(alias, dice) for _ in range(3)]).end()
    seen = [key for key in met if key in set(steady)]
    assert (len(seen) - len(set(seen)), len(set(steady) - set(seen))) == (twice, never)
    if pager is by_cursor:
        assert seen == steady
