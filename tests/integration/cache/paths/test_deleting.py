"""Rows that go, and what Django, or the database itself, does to those that hang on them.

Worker 1 is the boss of worker 2, who is the boss of worker 3 and helped by worker 1. Each case tells which answers are
hits all the while; everything else the deletion has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import django
import pytest
from django.db import connections, transaction
from django.db.models import ProtectedError, RestrictedError

from tests.app.models import (
    Basket,
    Contract,
    Fruit,
    Guild,
    Mastery,
    Permit,
    Seed,
    Skill,
    Stall,
    Town,
    Trade,
    Wagon,
    Worker,
)
from tests.battery import row

#: From Django 6.1 on models may leave cascades to the database.
BY_DATABASE = django.VERSION >= (6, 1)


def of(**asked: Any) -> Any:
    return lambda rows: list(rows.filter(**asked).order_by("pk"))


WORKERS = {
    **{f"row {at}": (Worker, row(pk=-at)) for at in (1, 2, 3, 4)},
    **{f"staff of {at}": (Worker, of(boss=-at)) for at in (1, 2, 4)},
    **{f"number {at}": (Worker, row(number=at)) for at in (3, 4)},
    **{f"{name} {at}": (Worker, of(**{name: -at})) for name in ("trade", "guild", "town") for at in (1, 2)},
    "helped by 1": (Worker, of(helper=-1)),
    "workers": (Worker, lambda workers: workers.count()),
    "with their boss": (Worker, lambda workers: list(workers.select_related("boss", "trade", "town").order_by("pk"))),
    "boss's name": (Worker, of(boss__name="w1")),
    "masteries": (Mastery, lambda links: list(links.order_by("pk"))),
    "skill 1": (Mastery, of(skill=-1)),
    "skill 2": (Mastery, of(skill=-2)),
    "permits": (Permit, of(worker=-3)),
    "contracts": (Contract, of(worker=-4)),
    "a trade": (Trade, row(pk=-2)),
    "trades": (Trade, lambda trades: trades.filter(name="t1").count()),
}
ALL = set(WORKERS)
APART = {"permits", "contracts", "a trade", "trades"}
MASTERIES = {"masteries", "skill 1", "skill 2"}
#: Where just the rows that change are named: lists that none of them was or is in.
UNTOUCHED = {"guild 1", "town 1", "staff of 4", *MASTERIES}


class Path(NamedTuple):
    """A write, and the answers that are hits all the while."""

    write: Callable[[str], Any]
    keeps: set[str]


@pytest.fixture
def workers(alias: str, warm: Any) -> str:
    """Four workers, each on everything that may go."""
    with transaction.atomic(using=alias):
        for at in (1, 2):
            for model in (Trade, Guild, Town, Skill):
                model.objects.using(alias).create(pk=-at, name=f"{model.__name__[0].lower()}{at}")
        for at, boss, helper in ((1, None, None), (2, -1, -1), (3, -2, None), (4, None, None)):
            Worker.objects.using(alias).create(
                pk=-at, number=at, name=f"w{at}", boss_id=boss, helper_id=helper, trade_id=-2, guild_id=-2, town_id=-2
            )
        Mastery.objects.using(alias).create(pk=-3, worker_id=-3, skill_id=-1)
        Mastery.objects.using(alias).create(pk=-4, worker_id=-4, skill_id=-2)
        Contract.objects.using(alias).create(worker_id=-4)
    return alias


def gone(model: Any, key: int) -> Callable[[str], Any]:
    """The row itself deleted."""
    return lambda alias: model.objects.using(alias).get(pk=key).delete()


def all_gone(model: Any, **asked: Any) -> Callable[[str], Any]:
    """A queryset deleted."""
    return lambda alias: model.objects.using(alias).filter(**asked).delete()


def refused(write: Callable[[str], Any], error: Any) -> Callable[[str], Any]:
    def refuse(alias: str) -> None:
        with pytest.raises(error):
            write(alias)

    return refuse


def restricted(alias: str) -> None:
    """Worker 3 may not go, and so may not those it hangs on, whose own rows are collected before it."""
    Permit.objects.using(alias).create(worker_id=-3)
    with pytest.raises(RestrictedError):
        Worker.objects.using(alias).get(pk=-1).delete()


def halfway(alias: str) -> None:
    """All that hangs on worker 1 deleted, and then nothing committed."""
    with transaction.atomic(using=alias):
        gone(Worker, -1)(alias)
        transaction.set_rollback(True, using=alias)


PATHS = {
    "CASCADE, two levels down": Path(gone(Worker, -1), APART),
    "CASCADE, a queryset": Path(all_gone(Worker, name="w1"), APART),
    "CASCADE, of links": Path(gone(Skill, -1), ALL - MASTERIES),
    "PROTECT": Path(refused(gone(Worker, -4), ProtectedError), ALL),
    "RESTRICT": Path(restricted, ALL - {"permits"}),
    "SET_DEFAULT": Path(gone(Trade, -2), UNTOUCHED | APART - {"a trade"}),
    "SET()": Path(gone(Guild, -2), UNTOUCHED - {"guild 1"} | APART | {"trade 1"}),
    "SET_NULL": Path(gone(Worker, -3), APART),
    "DO_NOTHING": Path(gone(Town, -2), ALL - {"with their boss"}),
    "rolled back": Path(halfway, APART),
    "_raw_delete": Path(lambda alias: Mastery.objects.using(alias).filter(skill=-1)._raw_delete(alias), ALL - MASTERIES),
    "_raw_delete of a key": Path(
        lambda alias: Mastery.objects.using(alias).filter(pk=-3)._raw_delete(alias), ALL - {"masteries", "skill 1"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_row_goes(workers: str, warm: Any, path: Path) -> None:
    """No answer is stale after the deletion, and just the answers named were hits all the while."""
    warm(WORKERS).keeps(path.keeps, lambda: path.write(workers))


WAGONS = {
    "first stall": (Wagon, of(stall=-1)),
    "second stall": (Wagon, of(stall=-2)),
    "third stall": (Wagon, of(stall=-3)),
    "wagon": (Wagon, row(pk=-1)),
    "joined": (Wagon, of(stall__name="s2")),
    "stalls": (Stall, lambda stalls: stalls.count()),
    "stall": (Stall, row(pk=-3)),
}


@pytest.mark.parametrize(
    "write",
    [gone(Stall, -2), all_gone(Stall, name="s2"), all_gone(Stall, pk__in=[-2])],
    ids=["a row", "a queryset", "a key"],
)
def test_the_database_sets_a_default(alias: str, warm: Any, write: Any) -> None:
    """A stall goes, and its wagon comes to stand at the first, by the one DELETE where Django 6.1 leaves it to it."""
    for at in (1, 2, 3):
        Stall.objects.using(alias).create(pk=-at, name=f"s{at}")
    Wagon.objects.using(alias).create(pk=-1, stall_id=-2)
    asked = warm(WAGONS)
    write(alias)
    kept = asked.look()
    assert kept <= ({"stall"} if BY_DATABASE else {"stall", "third stall"})
    assert Wagon.cached.db_manager(alias).get(pk=-1).stall_id == -1


BASKETS = {
    "fruit": (Fruit, of(basket=-1)),
    "seeds": (Seed, of(fruit=-1)),
    "other seeds": (Seed, of(fruit=-2)),
    "seed": (Seed, row(pk=-1)),
    "a basket's": (Seed, of(fruit__basket__label="b1")),
    "baskets": (Basket, lambda baskets: baskets.filter(label="b1").count()),
}


@pytest.mark.parametrize(
    "write",
    [
        gone(Basket, -1),
        all_gone(Basket, pk=-1),
        lambda alias: Basket.objects.using(alias).filter(label="b1").delete(),
        lambda alias: _run(alias, "DELETE FROM app_seed WHERE fruit_id = -1", "DELETE FROM app_fruit WHERE id = -1"),
    ],
    ids=["a row", "a key", "a queryset", "by hand"],
)
def test_cascades_of_the_database(alias: str, warm: Any, write: Any) -> None:
    """What goes with a basket, two tables down, goes from every answer, in which order ever it is deleted."""
    for at in (1, 2):
        Basket.objects.using(alias).create(pk=-at, label=f"b{at}")
        Fruit.cached.using(alias).create(pk=-at, basket_id=-at)
        Seed.cached.using(alias).create(pk=-at, fruit_id=-at)
    asked = warm(BASKETS)
    write(alias)
    assert asked.look() <= {"other seeds", "baskets"}
    assert Seed.cached.db_manager(alias).filter(fruit=-1).count() == 0
    assert Seed.cached.db_manager(alias).count() == 1


def _run(alias: str, *statements: str) -> None:
    with connections[alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
