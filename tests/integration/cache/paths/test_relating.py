"""Rows tied to each other: links of many to many from either side, and the managers behind foreign keys.

Workers 1 to 4; 1 and 2 are friends, 1 is taught by 2, 1 knows skill 1, 1 and 2 are of trade 1, the others of trade 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.db.models import F

from tests.app.models import Mastery, Skill, Trade, Worker
from tests.battery import row


class Tie(NamedTuple):
    """A write, and the answers that are hits all the while."""

    write: Callable[[Ties], Any]
    keeps: set[str]


class Ties:
    """The rows as objects that write, on one database."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def worker(self, at: int) -> Worker:
        found: Worker = Worker.objects.using(self.alias).get(pk=-at)
        return found

    def skill(self, at: int) -> Skill:
        found: Skill = Skill.objects.using(self.alias).get(pk=-at)
        return found

    def trade(self, at: int) -> Trade:
        found: Trade = Trade.objects.using(self.alias).get(pk=-at)
        return found

    def links(self, name: str) -> Any:
        """The rows of a link without a model of its own."""
        return getattr(Worker, name).through.objects.using(self.alias)


@pytest.fixture
def ties(alias: str, warm: Any) -> Ties:
    """Four workers."""
    with transaction.atomic(using=alias):
        for at in (1, 2):
            Trade.objects.using(alias).create(pk=-at, name=f"t{at}")
            Skill.objects.using(alias).create(pk=-at, name=f"s{at}")
        for at in (1, 2, 3, 4):
            Worker.objects.using(alias).create(pk=-at, number=at, name=f"w{at}", trade_id=-1 if at < 3 else -2)
        Mastery.objects.using(alias).create(worker_id=-1, skill_id=-1)
        made = Ties(alias)
        made.worker(1).friends.add(made.worker(2))
        made.worker(1).teachers.add(made.worker(2))
    return made


def of(**asked: Any) -> Any:
    return lambda rows: list(rows.filter(**asked).order_by("pk"))


def beside(name: str, key: int) -> Any:
    """One row with what ``prefetch_related`` fetches."""
    return lambda rows: [row for row in rows.filter(pk=key).prefetch_related(name)]  # noqa: C416 - asked, not copied


QUESTIONS = {
    "friends of 1": (Worker, of(friends=-1)),
    "friends of 3": (Worker, of(friends=-3)),
    "named friends": (Worker, lambda workers: workers.filter(friends__name="w2").count()),
    "with friends": (Worker, beside("friends", -1)),
    "taught by 2": (Worker, of(teachers=-2)),
    "teachers of 3": (Worker, of(pupils=-3)),
    "pupils": (Worker, beside("pupils", -2)),
    "count of pupils": (Worker, lambda workers: workers.filter(teachers__number=2).exists()),
    "of skill 1": (Worker, of(skills=-1)),
    "of skill 2": (Worker, of(skills__name="s2")),
    "skilled": (Skill, beside("workers", -1)),
    "with skills": (Worker, lambda workers: list(workers.filter(number=1).prefetch_related("masteries__skill"))),
    "masteries of 1": (Mastery, of(skill=-1)),
    "masteries of 2": (Mastery, of(skill=-2)),
    "levels": (Mastery, lambda links: sorted(links.values_list("level", flat=True))),
    "mastery": (Mastery, row(worker=-1, skill=-1)),
    "row 1": (Worker, row(pk=-1)),
    "row 4": (Worker, row(number=4)),
    "skill 1": (Skill, row(pk=-1)),
    "trade 1": (Trade, row(pk=-1)),
    "of trade 1": (Worker, of(trade=-1)),
    "of trade 2": (Worker, of(trade=-2)),
    "staff of 1": (Worker, of(boss=-1)),
    "staff of 2": (Worker, of(boss=-2)),
    "joined": (Worker, lambda workers: list(workers.select_related("trade", "boss").order_by("pk"))),
    "trades' workers": (Trade, beside("workers", -1)),
}
ALL = set(QUESTIONS)
#: What reads the links ("with friends" and "pupils" ask the database for them each time: a relation to itself).
FRIENDS = {"friends of 1", "friends of 3", "named friends"}
TEACHERS = {"taught by 2", "teachers of 3", "count of pupils"}
SKILLED = {"of skill 1", "of skill 2", "skilled", "with skills", "levels"}
LINKS = {"masteries of 1", "masteries of 2", "levels", "mastery"}
#: What changes with any worker.
ANY = {*FRIENDS, *TEACHERS, "of skill 1", "of skill 2", "skilled", "joined"}
#: What does not read workers.
APART = {*LINKS, "skill 1", "trade 1"}
OF_1 = {"of trade 1", "trades' workers"}


def mastery(skill: int, worker: int = 1, **other: Any) -> Mastery:
    return Mastery(worker_id=-worker, skill_id=-skill, **other)


def moved(link: Mastery, **values: Any) -> None:
    for name, value in values.items():
        setattr(link, name, value)
    link.save()


def staffed(ties: Ties) -> Any:
    """The staff of worker 1, of which worker 2 is now."""
    Worker.objects.using(ties.alias).filter(pk=-2).update(boss=-1)
    return ties.worker(1).staff


TIES = {
    # Symmetrical, to itself.
    "add": Tie(lambda t: t.worker(1).friends.add(t.worker(3)), ALL - FRIENDS),
    "add what is there": Tie(lambda t: t.worker(1).friends.add(t.worker(2)), ALL - FRIENDS),
    "add by key": Tie(lambda t: t.worker(3).friends.add(-1, -4), ALL - FRIENDS),
    "remove": Tie(lambda t: t.worker(2).friends.remove(t.worker(1)), ALL - FRIENDS),
    "set": Tie(lambda t: t.worker(1).friends.set([t.worker(3), t.worker(4)]), ALL - FRIENDS),
    "set what is there": Tie(lambda t: t.worker(1).friends.set([-2]), ALL),
    "set, cleared first": Tie(lambda t: t.worker(1).friends.set([-2], clear=True), ALL - FRIENDS),
    "clear": Tie(lambda t: t.worker(1).friends.clear(), ALL - FRIENDS),
    "link saved": Tie(
        lambda t: t.links("friends").create(from_worker_id=-3, to_worker_id=-1), ALL - FRIENDS
    ),
    "links created": Tie(
        lambda t: t.links("friends").bulk_create([Worker.friends.through(from_worker_id=-3, to_worker_id=-1)]), ALL - FRIENDS
    ),
    "links updated": Tie(lambda t: t.links("friends").filter(from_worker=-1).update(from_worker=-3), ALL - FRIENDS),
    "links deleted": Tie(lambda t: t.links("friends").filter(to_worker=-2).delete(), ALL - FRIENDS),
    # To itself, one way.
    "add, back": Tie(lambda t: t.worker(1).pupils.add(t.worker(3)), ALL - TEACHERS),
    "remove, back": Tie(lambda t: t.worker(2).pupils.remove(-1), ALL - TEACHERS),
    "set, back": Tie(lambda t: t.worker(2).pupils.set([-3]), ALL - TEACHERS),
    "clear, back": Tie(lambda t: t.worker(2).pupils.clear(), ALL - TEACHERS),
    # By a model of its own.
    "through, add": Tie(lambda t: t.worker(1).skills.add(t.skill(2)), ALL - SKILLED - {"masteries of 2"}),
    "through, defaults": Tie(
        lambda t: t.skill(2).workers.add(-1, -3, through_defaults={"level": 7}), ALL - SKILLED - {"masteries of 2"}
    ),
    "through, remove": Tie(lambda t: t.worker(1).skills.remove(-1), ALL - SKILLED - LINKS),
    "through, set": Tie(lambda t: t.skill(1).workers.set([-3]), ALL - SKILLED - LINKS),
    "through, clear": Tie(lambda t: t.worker(1).skills.clear(), ALL - SKILLED - LINKS),
    "through, create": Tie(
        lambda t: t.worker(1).skills.create(name="s3", through_defaults={"level": 3}),
        ALL - SKILLED,
    ),
    "through, link saved": Tie(lambda t: mastery(2).save(using=t.alias), ALL - SKILLED - {"masteries of 2"}),
    "through, links created": Tie(
        lambda t: Mastery.objects.using(t.alias).bulk_create([mastery(2), mastery(1, 3)]),
        ALL - SKILLED - {"masteries of 1", "masteries of 2"},
    ),
    "through, links created or not": Tie(
        lambda t: Mastery.objects.using(t.alias).bulk_create([mastery(1, level=9)], ignore_conflicts=True),
        ALL - SKILLED - {"masteries of 1", "mastery"},
    ),
    "through, links created or changed": Tie(
        lambda t: Mastery.objects.using(t.alias).bulk_create(
            [mastery(1, level=9)], update_conflicts=True, unique_fields=["worker", "skill"], update_fields=["level"]
        ),
        ALL - SKILLED - LINKS,
    ),
    "through, link moved": Tie(
        lambda t: moved(Mastery.objects.using(t.alias).get(skill=-1), skill_id=-2),
        ALL - SKILLED - LINKS,
    ),
    "through, links updated": Tie(
        lambda t: Mastery.objects.using(t.alias).filter(worker__name="w1").update(level=F("level") + 1), ALL - SKILLED - LINKS
    ),
    "through, links deleted": Tie(
        lambda t: Mastery.objects.using(t.alias).filter(skill__name="s1").delete(), ALL - SKILLED - LINKS
    ),
    # The other side of a foreign key.
    "fk, add": Tie(lambda t: t.trade(1).workers.add(t.worker(3)), ALL - ANY - OF_1 - {"of trade 2"}),
    "fk, add one by one": Tie(
        lambda t: t.trade(1).workers.add(t.worker(3), bulk=False), ALL - ANY - OF_1 - {"of trade 2"}
    ),
    "fk, set": Tie(
        lambda t: t.worker(1).staff.set([t.worker(2), t.worker(3)]),
        ALL - ANY - OF_1 - {"of trade 2", "staff of 1", "pupils"},
    ),
    "fk, set one by one": Tie(
        lambda t: t.worker(1).staff.set([t.worker(2)], bulk=False), ALL - ANY - OF_1 - {"staff of 1", "pupils"}
    ),
    "fk, remove": Tie(lambda t: staffed(t).remove(t.worker(2)), APART),
    "fk, remove one by one": Tie(
        lambda t: staffed(t).remove(t.worker(2), bulk=False), ALL - ANY - OF_1 - {"staff of 1", "pupils"}
    ),
    "fk, clear": Tie(lambda t: staffed(t).clear(), APART),
    "fk, clear one by one": Tie(lambda t: staffed(t).clear(bulk=False), ALL - ANY - OF_1 - {"staff of 1", "pupils"}),
    "fk, create": Tie(lambda t: t.trade(1).workers.create(name="w5", number=5), ALL - ANY - OF_1),
    "fk, bulk_create": Tie(
        lambda t: t.trade(1).workers.bulk_create([Worker(name="w5", number=5, trade_id=-1)]), ALL - ANY - OF_1
    ),
    "fk, update": Tie(lambda t: t.trade(1).workers.update(boss=-1), APART),
    "fk, get_or_create": Tie(
        lambda t: t.trade(2).workers.get_or_create(number=5, defaults={"name": "x"}), ALL - ANY - {"of trade 2"}
    ),
    "fk, update_or_create": Tie(
        lambda t: t.trade(2).workers.update_or_create(number=4, defaults={"name": "x"}),
        ALL - ANY - {"of trade 2", "row 4"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("tie", TIES.values(), ids=TIES)
def test_rows_are_tied(ties: Ties, warm: Any, tie: Tie) -> None:
    """No answer is stale after the write, and just the answers named were hits all the while."""
    warm(QUESTIONS).keeps(tie.keeps, lambda: tie.write(ties))
