"""Several databases: two that are apart, one by two names, and a copy that lags behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections, router, transaction
from django.db.utils import OperationalError
from psycopg import IsolationLevel

from redis_toolkit.cache import tables
from tests.app.models import Skill, Trade, Worker
from tests.battery import row

OTHER = {"default": "postgres", "postgres": "default"}

QUESTIONS = {
    "row": (Worker, row(pk=-1)),
    "number": (Worker, row(number=1)),
    "to come": (Worker, row(number=3)),
    "w1": (Worker, lambda workers: list(workers.filter(name="w1").order_by("pk"))),
    "workers": (Worker, lambda workers: list(workers.select_related("trade").order_by("pk"))),
    "skilled": (Worker, lambda workers: workers.filter(skills__name="s1").count()),
    "trade": (Trade, row(pk=-1)),
}
ALL = set(QUESTIONS)


def fill(alias: str) -> None:
    with transaction.atomic(using=alias):
        Trade.objects.using(alias).create(pk=-1, name="t1")
        Skill.objects.using(alias).create(pk=-1, name="s1")
        for at in (1, 2):
            Worker.objects.using(alias).create(pk=-at, name=f"w{at}", number=at, trade_id=-1)


def rename(alias: str, name: str = "w3") -> None:
    worker = Worker.objects.using(alias).get(pk=-1)
    worker.name = name
    worker.save()


# Two that are apart


class Save:
    """Sends all that is written to one database."""

    def __init__(self, alias: str) -> None:
        self.db_for_write = lambda model, **_: alias
        self.db_for_read = lambda model, **_: None


def moved(alias: str) -> None:
    """A row of this database saved in the other: there it replaces the row of the same key."""
    worker = Worker.objects.using(alias).get(pk=-1)
    worker.name = "moved"
    worker.save(using=OTHER[alias])


def routed(alias: str) -> None:
    was = router.routers
    router.routers = [Save(OTHER[alias])]
    try:
        Worker.objects.filter(pk=-1).update(name="routed")
        Worker(name="w3", number=3, trade_id=-1).save()
    finally:
        router.routers = was


APART: dict[str, Callable[[str], Any]] = {
    "save(using=)": moved,
    "delete(using=)": lambda alias: Worker.objects.using(alias).get(pk=-2).delete(using=OTHER[alias]),
    "using().update()": lambda alias: Worker.objects.using(OTHER[alias]).filter(pk=-1).update(name="x"),
    "using().bulk_create()": lambda alias: Worker.objects.using(OTHER[alias]).bulk_create(
        [Worker(name="w3", number=3, trade_id=-1)]
    ),
    "db_manager().create()": lambda alias: Worker.objects.db_manager(OTHER[alias]).create(name="w3", number=3, trade_id=-1),
    "a related manager": lambda alias: Worker.objects.using(OTHER[alias]).get(pk=-1).skills.add(-1),
    "a router": routed,
}  # fmt: skip


@pytest.mark.parametrize("write", APART.values(), ids=APART)
def test_another_database(alias: str, warm: Any, elsewhere: str, write: Any) -> None:
    """What is written there ends nothing here, and is not stale there."""
    fill(alias)
    fill(elsewhere)
    here, there = warm(QUESTIONS), warm(QUESTIONS, elsewhere)
    here.keeps(ALL, lambda: write(alias))
    assert there.look() < ALL


# One by two names


@pytest.fixture
def twin(alias: str) -> Iterator[str]:
    """Another alias of the same database."""
    yield from opened("twin", {**connections.settings[alias], "NAME": connections[alias].settings_dict["NAME"]})


def opened(name: str, settings: dict[str, Any]) -> Iterator[str]:
    """An alias for the time of a test."""
    connections.settings[name] = settings
    tables.forget()
    yield name
    connections[name].close()
    del connections[name], connections.settings[name]
    tables.forget()


def test_the_same_database(alias: str, warm: Any, twin: str) -> None:
    """What is written by one name ends the answers asked by the other, and finely."""
    fill(alias)
    here, there = warm(QUESTIONS), warm(QUESTIONS, twin)
    here.keeps(ALL - {"row", "number", "w1", "workers", "skilled"}, lambda: rename(twin))
    there.look()
    there.keeps({"to come", "trade"}, lambda: rename(alias, "w1"))
    with transaction.atomic(using=twin):
        rename(twin)
        # The other name sees what is committed, and stores nothing.
        if alias == "postgres":
            assert Worker.cached.db_manager(alias).get(pk=-1).name == "w1"
    assert Worker.cached.db_manager(alias).get(pk=-1).name == "w3"


# Stricter transactions


@pytest.fixture(
    params=[IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE], ids=["repeatable", "serializable"]
)
def strict(request: pytest.FixtureRequest) -> Iterator[str]:
    """An alias of the same database, all of whose blocks see one moment."""
    own = connections["postgres"].settings_dict
    yield from opened("strict", {**own, "OPTIONS": {**own["OPTIONS"], "isolation_level": request.param}})


@pytest.mark.parametrize("alias", ["postgres"])
def test_a_block_that_sees_the_past(alias: str, warm: Any, strict: str, cost: Any, redis_client: Any) -> None:
    """A stricter block may read the cache and fills nothing; in autocommit its connection fills as any other."""
    fill(alias)
    redis_client.flushall()
    with transaction.atomic(using=strict):
        assert Trade.objects.using(strict).get(pk=-1).name == "t1"
        rename(alias)
        with cost() as it:
            old = [Worker.cached.db_manager(strict).get(pk=-1).name for _ in range(2)]
        assert (old, it.outcomes) == (["w1"] * 2, [("get", "bypass")] * 2)
        assert Worker.cached.db_manager(alias).get(pk=-1).name == "w3"
        with cost() as it:
            assert Worker.cached.db_manager(strict).get(pk=-1).name == "w3"
        assert it.outcomes == [("get", "hit")]
    with cost() as it:
        assert [Worker.cached.db_manager(strict).get(number=at).name for at in (1, 2)] == ["w3", "w2"]
    assert it.outcomes == [("get", "miss")] * 2


@pytest.mark.parametrize("alias", ["postgres"])
def test_a_block_that_has_to_be_tried_again(alias: str, warm: Any, strict: str) -> None:
    """What a serialization failure undoes was never there; the second attempt is."""
    fill(alias)
    here = warm(QUESTIONS)

    def attempt(between: Callable[[], Any]) -> None:
        with transaction.atomic(using=strict):
            worker = Worker.objects.using(strict).get(pk=-1)
            between()
            worker.number = 3
            worker.save()
            assert Worker.cached.db_manager(strict).get(number=3) == worker

    with pytest.raises(OperationalError, match="could not serialize"):
        attempt(lambda: rename(alias, "between"))
    # The marks go as soon as its connection is used again.
    assert Trade.cached.db_manager(strict).get(pk=-1).name == "t1"
    assert here.look() == {"trade"}
    attempt(lambda: None)
    assert here.look() == {"trade", "w1"}
    assert Worker.cached.db_manager(alias).get(number=3).name == "between"


# A copy that lags behind


@pytest.fixture
def copy(settings: Any) -> Iterator[str]:
    """An alias at another address, whose tables follow those of ``postgres`` only when they are told to."""
    own = connections["postgres"].settings_dict
    with connections["postgres"].cursor() as cursor:
        cursor.execute("CREATE SCHEMA behind")
        for table in ("app_trade", "app_worker", "app_skill", "app_mastery"):
            cursor.execute(f"CREATE TABLE behind.{table} (LIKE public.{table} INCLUDING ALL)")
    options = {**own["OPTIONS"], "options": "-c search_path=behind"}
    settings.REDIS_TOOLKIT_REPLICA_LAG = 60
    was, router.routers = router.routers, [Reading()]
    yield from opened("copy", {**own, "HOST": f"{own['HOST']}/", "OPTIONS": options})
    router.routers = was
    with connections["postgres"].cursor() as cursor:
        cursor.execute("DROP SCHEMA behind CASCADE")


class Reading:
    """Reads from the copy, writes to the primary."""

    def db_for_read(self, model: Any, **_: Any) -> str:
        return "copy"

    def db_for_write(self, model: Any, **_: Any) -> str:
        return "postgres"


def follow() -> None:
    """The copy catches up, as replication does: nobody's connection sees it."""
    raw = connections["postgres"].connection
    for table in ("app_trade", "app_worker"):
        raw.execute(f"DELETE FROM behind.{table}")
        raw.execute(f"INSERT INTO behind.{table} SELECT * FROM public.{table}")


@pytest.mark.parametrize("alias", ["postgres"])
def test_a_copy_that_lags(alias: str, warm: Any, copy: str, cost: Any, redis_client: Any) -> None:
    """Until the lag has gone by, what was written is asked of the copy and not stored: 0 old answers after it."""
    fill(alias)
    follow()
    redis_client.flushall()

    def ask(**asked: Any) -> tuple[str, str]:
        with cost() as it:
            name = Worker.cached.get(**asked).name
        ((_, outcome),) = it.outcomes
        return name, outcome

    assert [ask(pk=-1), ask(pk=-1), ask(number=2)] == [("w1", "miss"), ("w1", "hit"), ("w2", "miss")]
    with transaction.atomic(using=alias):
        rename(alias)
        # Its own transaction asks the copy, which cannot know yet.
        assert ask(pk=-1) == ("w1", "bypass")
    assert [ask(pk=-1), ask(pk=-1), ask(number=2)] == [("w1", "bypass"), ("w1", "bypass"), ("w2", "hit")]
    follow()
    assert ask(pk=-1) == ("w3", "bypass")
    gone = [key for key in redis_client.keys("rt:s:*") if redis_client.get(key)[:1] == b"m"]
    # The key, the number, both names, the trade and any row: these run out after the lag.
    assert (redis_client.delete(*gone), ask(pk=-1), ask(pk=-1)) == (6, ("w3", "miss"), ("w3", "hit"))
