"""Rows stored in every way that Django has for one table.

Each case tells which of these answers about workers are hits all the while; everything else the write has ended:
``row``, ``number`` and ``name`` are worker 1's, by three keys; ``… of 2`` are worker 2's; ``… of 9`` are of nobody yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Case, F, OuterRef, Subquery, Value, When

from tests.app.models import Town, Trade, Worker
from tests.battery import row

FINE_1 = {"row", "number", "name", "trade"}
FINE_2 = {"contains 2", "row of 2", "number of 2", "name of 2", "trade of 2"}
NOBODY = {"row of 9", "number of 9", "name of 9"}
LISTS = {"list", "count", "bulk", "joined", "by town", "trades", "latest"}
#: What no write to a worker touches.
BESIDE = {"towns"}
ALL = FINE_1 | FINE_2 | NOBODY | LISTS | BESIDE
#: Of worker 1, of worker 2, of both: what stays when only such rows were written, and none was added.
NOT_1 = FINE_2 | NOBODY | BESIDE
NOT_2 = FINE_1 | NOBODY | BESIDE


class Team(NamedTuple):
    """Two workers on one database."""

    alias: str
    one: Worker
    two: Worker

    @property
    def plain(self) -> Any:
        return Worker.objects.using(self.alias)

    def again(self, worker: Worker) -> Worker:
        found: Worker = self.plain.get(pk=worker.pk)
        return found


@pytest.fixture
def team(alias: str, warm: Any) -> Team:
    """Two workers of two trades."""
    trades = [Trade.objects.using(alias).create(pk=-at, name=f"t{at}") for at in (1, 2)]
    town = Town.objects.using(alias).create(name="Bari")
    made = [
        Worker.objects.using(alias).create(pk=-at, name=f"w{at}", number=at, trade=trades[at - 1], town=town)
        for at in (1, 2)
    ]
    return Team(alias, *made)


def questions() -> dict[str, Any]:
    """What is asked, by name."""

    def of(**asked: Any) -> Any:
        return lambda workers: list(workers.filter(**asked).order_by("pk"))

    found = {
        "list": lambda workers: list(workers.order_by("pk")),
        "count": lambda workers: workers.count(),
        "bulk": lambda workers: workers.in_bulk([1, 2, 9], field_name="number"),
        "joined": lambda workers: list(workers.select_related("trade", "town", "boss").order_by("pk")),
        "by town": of(town__name="Bari"),
        "trades": lambda workers: sorted(workers.values_list("trade__name", flat=True).distinct()),
        "latest": lambda workers: workers.latest("number") if workers.exists() else None,
        "contains 2": lambda workers: workers.filter(number__lt=9).contains(Worker(pk=-2)),
    }
    for at, suffix in ((1, ""), (2, " of 2"), (9, " of 9")):
        found[f"row{suffix}"] = row(pk=-at)
        found[f"number{suffix}"] = row(number=at)
        found[f"name{suffix}"] = of(name=f"w{at}")
        if at < 9:
            found[f"trade{suffix}"] = of(trade=-at)
    return {name: (Worker, ask) for name, ask in found.items()} | {"towns": (Town, lambda towns: list(towns.all()))}


def nine(**other: Any) -> Worker:
    """A worker who is not stored."""
    return Worker(**{"name": "w9", "number": 9, "trade_id": -1, **other})


def many(*workers: Worker, **options: Any) -> Callable[[Team], Any]:
    return lambda team: team.plain.bulk_create(workers, **options)


def saved(change: Callable[[Worker], Any], **options: Any) -> Callable[[Team], Any]:
    """Worker 1 changed and saved."""

    def write(team: Team) -> None:
        worker = team.again(team.one)
        change(worker)
        worker.save(**options)

    return write


def put(**values: Any) -> Callable[[Worker], Any]:
    return lambda worker: [setattr(worker, name, value) for name, value in values.items()]


def refused(write: Callable[[Team], Any], error: Any = IntegrityError) -> Callable[[Team], Any]:
    def refuse(team: Team) -> None:
        with pytest.raises(error):
            write(team)

    return refuse


def rolled_back(write: Callable[[Team], Any]) -> Callable[[Team], Any]:
    def undo(team: Team) -> None:
        with transaction.atomic(using=team.alias):
            write(team)
            transaction.set_rollback(True, using=team.alias)

    return undo


class Path(NamedTuple):
    """A write, and the answers that are hits all the while."""

    write: Callable[[Team], Any]
    keeps: set[str]


NEW = ALL - NOBODY - LISTS - {"trade", "contains 2"}
COPIED = {"name": "w1", "trade_id": -1}

PATHS = {
    # Inserts. A key that the database makes ends what depends on `new`: "row of 9".
    "save of a new row": Path(lambda team: nine().save(using=team.alias), NEW),
    "create of a given key": Path(lambda team: team.plain.create(pk=-9, name="x", number=77), NEW | {"name of 9", "bulk"}),
    "force_insert": Path(lambda team: nine(pk=-9).save(using=team.alias, force_insert=True), NEW),
    "bulk_create": Path(many(nine()), NEW),
    "bulk_create in batches": Path(many(nine(), nine(name="x", number=77), batch_size=1), NEW),
    "bulk_create of nothing": Path(many(), ALL),
    "ignore_conflicts, none": Path(many(nine(), ignore_conflicts=True), NEW),
    "ignore_conflicts, one": Path(many(nine(number=1, name="w2", trade_id=-2), ignore_conflicts=True), NEW - {"number", "name of 2", "trade of 2"} | {"trade", "name of 9"}),
    "update_conflicts, none": Path(
        many(nine(), update_conflicts=True, unique_fields=["number"], update_fields=["name"]), BESIDE
    ),
    "update_conflicts on a unique field": Path(
        many(nine(number=1, name="w2"), update_conflicts=True, unique_fields=["number"], update_fields=["name"]), BESIDE
    ),
    "update_conflicts on the key": Path(
        many(nine(pk=-1, number=9, trade_id=-2), update_conflicts=True, unique_fields=["pk"], update_fields=["number", "trade"]),
        BESIDE,
    ),
    "update_conflicts of what is unique": Path(
        many(nine(pk=-1), nine(pk=-9, number=77), update_conflicts=True, unique_fields=["pk"], update_fields=["number"]),
        BESIDE,
    ),
    "a conflict": Path(refused(many(nine(number=1))), NEW - {"number"}),
    # Saves of a row.
    "save": Path(saved(put(name="w2")), NOT_1 - {"name of 2"}),
    "save of what is unique": Path(saved(put(number=9)), NOT_1 - {"number of 9"}),
    "save to another trade": Path(saved(put(trade_id=-2)), NOT_1 - {"trade of 2"}),
    "update_fields": Path(saved(put(name="w2", number=9), update_fields=["number"]), NOT_1 - {"number of 9"}),
    "update_fields of a relation": Path(saved(put(trade_id=-2), update_fields=["trade"]), NOT_1 - {"trade of 2"}),
    "update_fields of nothing": Path(saved(put(name="w2"), update_fields=[]), ALL),
    "force_update": Path(saved(put(name="w9"), force_update=True), NOT_1 - {"name of 9"}),
    "force_update of no row": Path(refused(lambda team: nine(pk=-9).save(using=team.alias, force_update=True), DatabaseError), BESIDE),
    "a copy, its key unset": Path(saved(put(pk=None, number=9, name="w9")), NEW),
    "a copy, its key changed": Path(saved(put(pk=-9, number=9)), BESIDE),
    "under another's key": Path(
        saved(put(pk=-2, number=2, name="w9", trade_id=-1)), NOT_2 - {"trade", "name of 9"}
    ),
    "an expression": Path(saved(put(number=F("number") + 8)), BESIDE),
    "save and back": Path(rolled_back(saved(put(name="w2"))), NOT_1 - {"name of 2"}),
    # One row or another.
    "get_or_create finds": Path(lambda team: team.plain.get_or_create(number=1, defaults={"name": "w9"}), ALL),
    "get_or_create creates": Path(lambda team: team.plain.get_or_create(number=9, defaults={"name": "w9"}), NEW),
    "update_or_create updates": Path(
        lambda team: team.plain.update_or_create(number=1, defaults={"name": "w2"}, create_defaults={"name": "w9"}),
        NOT_1 - {"name of 2"},
    ),
    "update_or_create creates": Path(
        lambda team: team.plain.update_or_create(number=9, defaults={"name": "w2"}, create_defaults={"name": "w9"}), NEW
    ),
    # Updates of many.
    "update of a key": Path(lambda team: team.plain.filter(pk=-1).update(name="w2"), NOT_1 - {"name of 2"}),
    "update of a key, F": Path(lambda team: team.plain.filter(pk=-1).update(number=F("number") + 8), BESIDE),
    "update of keys in a subquery": Path(
        lambda team: team.plain.filter(pk__in=team.plain.order_by("-pk")[:1]).update(name="w1"), BESIDE
    ),
    "update by a related filter": Path(lambda team: team.plain.filter(trade__name="t1").update(name="w2"), BESIDE),
    "update to a subquery": Path(
        lambda team: team.plain.update(name=Subquery(Trade.objects.filter(pk=OuterRef("trade")).values("name"))), BESIDE
    ),
    "update to a case": Path(
        lambda team: team.plain.filter(pk=-1).update(name=Case(When(number=1, then=Value("w2")), default=Value("x"))), BESIDE
    ),
    "bulk_update": Path(
        lambda team: team.plain.bulk_update([Worker(pk=-1, name="w2"), Worker(pk=-2, name="w1")], ["name"]), NOBODY | BESIDE
    ),
    "bulk_update in batches": Path(
        lambda team: team.plain.bulk_update([Worker(pk=-1, number=77), Worker(pk=-2, number=9)], ["number"], batch_size=1),
        NOBODY - {"number of 9"} | BESIDE,
    ),
    "bulk_update, F": Path(
        lambda team: team.plain.bulk_update([Worker(pk=-1, number=F("number") + 8)], ["number"]), BESIDE
    ),
    # Deletions.
    "delete of a queryset of keys": Path(lambda team: team.plain.filter(pk__in=[-1])._raw_delete(team.alias), NOT_1),
    "delete of a filter": Path(lambda team: team.plain.filter(number=1)._raw_delete(team.alias), BESIDE),
    "delete of a subquery": Path(
        lambda team: team.plain.filter(pk__in=team.plain.order_by("pk").values("pk")[:1]).delete(), BESIDE
    ),
    "delete of distinct": Path(lambda team: team.plain.filter(town__name="Bari").distinct().delete(), BESIDE),
    "delete twice": Path(lambda team: [team.again(team.one).delete(), Worker(pk=-1).delete(using=team.alias)], BESIDE),
    "delete of a row not stored": Path(refused(lambda team: nine().delete(using=team.alias), ValueError), ALL),
}  # fmt: skip


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_row_is_stored(team: Team, warm: Any, path: Path) -> None:
    """No answer is stale after the write, and just the answers named were hits all the while."""
    warm(questions()).keeps(path.keeps, lambda: path.write(team))
