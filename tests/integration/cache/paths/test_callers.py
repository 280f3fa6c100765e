"""Writes by asynchronous callers and from fixtures, and reads that lock rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connections, transaction
from django.db.models import F

from tests.app.models import Cafe, Mastery, Place, Skill, Trade, Worker
from tests.battery import row

QUESTIONS = {
    "row": (Worker, row(pk=-1)),
    "row 2": (Worker, row(pk=-2)),
    "number": (Worker, row(number=1)),
    "number 9": (Worker, row(number=9)),
    "w1": (Worker, lambda workers: list(workers.filter(name="w1").order_by("pk"))),
    "w9": (Worker, lambda workers: list(workers.filter(name="w9").order_by("pk"))),
    "count": (Worker, lambda workers: workers.count()),
    "joined": (Worker, lambda workers: list(workers.select_related("trade").order_by("pk"))),
    "skilled": (Worker, lambda workers: list(workers.filter(skills=-1).order_by("pk"))),
    "trade": (Trade, row(pk=-1)),
    "place": (Place, row(pk=-1)),
    "cafe": (Cafe, row(pk=-1)),
    "stars": (Cafe, lambda cafes: list(cafes.filter(stars=5))),
}
ALL = set(QUESTIONS)
PLACES = {"place", "cafe", "stars"}
#: What reads any worker, and what worker 1.
LISTS = {"count", "joined", "skilled"}
OF_1 = {"row", "number", "w1"}


@pytest.fixture
def workers(alias: str, warm: Any) -> str:
    """Two workers, a skill and a cafe."""
    with transaction.atomic(using=alias):
        Trade.objects.using(alias).create(pk=-1, name="t1")
        Skill.objects.using(alias).create(pk=-1, name="s1")
        Cafe.objects.using(alias).create(pk=-1, name="p1", stars=5)
        for at in (1, 2):
            Worker.objects.using(alias).create(pk=-at, name=f"w{at}", number=at, trade_id=-1)
    return alias


# Asynchronous writers


async def renamed(workers: Any) -> None:
    worker = await workers.aget(pk=-1)
    worker.name = "w9"
    await worker.asave()


async def skilled(workers: Any) -> None:
    await (await workers.aget(pk=-1)).skills.aadd(-1)


async def reskilled(workers: Any) -> None:
    await (await workers.aget(pk=-1)).skills.aset([-1])


async def gone(workers: Any) -> None:
    await (await workers.aget(pk=-1)).adelete()


NINE = {"name": "w9", "number": 9, "trade_id": -1}
NEW = ALL - LISTS - {"number 9", "w9"}
WRITES: dict[str, tuple[Callable[[Any], Awaitable[Any]], set[str]]] = {
    "asave": (renamed, ALL - LISTS - OF_1 - {"w9"}),
    "acreate": (lambda workers: workers.acreate(**NINE), NEW),
    "abulk_create": (lambda workers: workers.abulk_create([Worker(**NINE)]), NEW),
    "aupdate": (lambda workers: workers.filter(pk=-1).aupdate(name="w9"), ALL - LISTS - OF_1 - {"w9"}),
    "aupdate, F": (lambda workers: workers.aupdate(number=F("number") + 8), PLACES | {"trade"}),
    "abulk_update": (
        lambda workers: workers.abulk_update([Worker(pk=-1, number=9)], ["number"]), ALL - LISTS - OF_1 - {"number 9"}
    ),
    "aget_or_create": (lambda workers: workers.aget_or_create(number=9, defaults=NINE), NEW),
    "aupdate_or_create": (
        lambda workers: workers.aupdate_or_create(number=1, defaults={"name": "w9"}), ALL - LISTS - OF_1 - {"w9"}
    ),
    "aadd": (skilled, ALL - {"skilled"}),
    "aset": (reskilled, ALL - {"skilled"}),
    "adelete": (gone, PLACES | {"trade"}),
    "adelete of a queryset": (lambda workers: workers.filter(number=1).adelete(), PLACES | {"trade"}),
}  # fmt: skip


def run(awaited: Awaitable[Any]) -> Any:
    """What ``awaited`` gives, in a loop of its own, whose thread's connections are closed behind it."""

    async def closed() -> Any:
        try:
            return await awaited
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(closed())


@pytest.mark.parametrize(("write", "keeps"), WRITES.values(), ids=WRITES)
def test_an_asynchronous_write(workers: str, warm: Any, write: Any, keeps: set[str]) -> None:
    """No answer is stale after the write, and just those named were hits all the while."""

    async def wrote() -> None:
        await write(Worker.objects.using(workers))
        # On Django 6.1 SQLite commits a bulk_create() when its connection is used again.
        await Trade.cached.db_manager(workers).aget(pk=-1)

    warm(QUESTIONS).keeps(keeps, lambda: run(wrote()))


def test_several_tasks(workers: str, warm: Any) -> None:
    """Eight tasks write rows of their own and read them: each sees its own write, and nothing is stale after."""
    asked = warm(QUESTIONS)

    async def task(at: int) -> str:
        made = await Worker.objects.using(workers).acreate(name="w9", number=100 + at, trade_id=-1)
        cached = Worker.cached.db_manager(workers)
        assert (await cached.aget(pk=made.pk)).number == 100 + at
        made.name = f"task {at}"
        await made.asave()
        return (await cached.aget(number=100 + at)).name

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*map(task, range(8)))

    assert run(all_of_them()) == [f"task {at}" for at in range(8)]
    assert asked.look() == ALL - LISTS - {"w9", "number 9"}
    assert Worker.cached.db_manager(workers).count() == 10


# Fixtures


def loaded(alias: str, folder: Path, *rows: dict[str, Any]) -> None:
    file = folder / "rows.json"
    file.write_text(json.dumps(rows))
    call_command("loaddata", str(file), database=alias, verbosity=0)


def test_loaddata(workers: str, warm: Any, tmp_path: Path) -> None:
    """Rows of a fixture are saved raw: those that are there are changed, others are new; no answer is stale."""
    worker = {"name": "w9", "number": 1, "trade": -1, "friends": [-2], "teachers": []}
    asked = warm(QUESTIONS)
    # Django tries to update a row of a given key first, and what an update does not find makes it coarse. (A new row comes
    # first because PostgreSQL wants a key that its sequence can go on from.)
    new = {"model": "app.worker", "pk": 7, "fields": {**worker, "number": 9, "friends": []}}
    asked.keeps(PLACES | {"trade"}, lambda: loaded(workers, tmp_path, new))
    old = {"model": "app.worker", "pk": -1, "fields": worker}
    asked.keeps(ALL - LISTS - OF_1 - {"w9"}, lambda: loaded(workers, tmp_path, old))
    cafe = [
        {"model": "app.place", "pk": 7, "fields": {"name": "p7"}},
        {"model": "app.place", "pk": -1, "fields": {"name": "p9"}},
        {"model": "app.cafe", "pk": -1, "fields": {"stars": 4}},
    ]
    asked.keeps(ALL - PLACES, lambda: loaded(workers, tmp_path, *cafe))
    mastery = {"model": "app.mastery", "pk": 7, "fields": {"worker": -2, "skill": -1}}
    asked.keeps(ALL - {"skilled"}, lambda: loaded(workers, tmp_path, mastery))
    assert Mastery.cached.db_manager(workers).filter(skill=-1).count() == 1


# Reads that lock


def test_reads_that_lock(workers: str, warm: Any, cost: Any) -> None:
    """``select_for_update`` in any form reads no entry and makes none; a locked row that was skipped is no answer."""
    warm(QUESTIONS)
    cached = Worker.cached.db_manager(workers)
    forms: list[dict[str, Any]] = [{}]
    if workers == "postgres":
        forms += [{"of": ("self",)}, {"skip_locked": True}, {"nowait": True}, {"no_key": True}]
    for form in forms:
        with transaction.atomic(using=workers), cost() as it:
            assert cached.select_for_update(**form).get(pk=-1).name == "w1"
            assert [each.pk for each in cached.select_for_update(**form).filter(name="w1")] == [-1]
        assert (it.outcomes, it.queries >= 2) == ([], True)


@pytest.mark.parametrize("alias", ["postgres"])
def test_a_locked_row_that_is_skipped(workers: str, warm: Any) -> None:
    """1. a worker is locked elsewhere  2. whoever skips locked rows finds none  3. others find it, before and after."""
    asked = warm(QUESTIONS)
    with closing(connections[workers].copy()) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 1 FROM app_worker WHERE id = -1 FOR UPDATE")
        with transaction.atomic(using=workers):
            assert list(Worker.cached.db_manager(workers).select_for_update(skip_locked=True).filter(name="w1")) == []
        assert asked.look() == ALL
        cursor.execute("ROLLBACK")
    assert asked.look() == ALL
