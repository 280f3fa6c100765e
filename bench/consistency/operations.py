"""The ways to write: each does one thing to rows it chooses, and says which rows and groups that may have concerned."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from django.db import connection
from django.db.models import F

from bench.consistency.ledger.models import GROUPS, Item
from bench.consistency.workload import any_group, any_key

__all__ = ["OPERATIONS", "Touched"]


class Touched(NamedTuple):
    """Keys written, and every group they were or are in, as far as the writer knows."""

    keys: list[int]
    groups: list[int]


def _save(dice: random.Random) -> Touched:
    item = _one(dice)
    before = item.group
    item.note += 1
    if dice.random() < 0.3:
        item.group = dice.randrange(GROUPS)
    item.save()
    return Touched([item.pk], [before, item.group])


def _move(dice: random.Random) -> Touched:
    item = _one(dice)
    before, item.group = item.group, dice.randrange(GROUPS)
    item.save(update_fields=["group"])
    return Touched([item.pk], [before, item.group])


def _update(dice: random.Random) -> Touched:
    item = _one(dice)
    target = dice.randrange(GROUPS) if dice.random() < 0.3 else item.group
    Item.objects.filter(pk=item.pk).update(note=F("note") + 1, group=target)
    return Touched([item.pk], [item.group, target])


def _bulk_update(dice: random.Random) -> Touched:
    keys = sorted({any_key(dice) for _ in range(4)})
    items = list(Item.objects.filter(pk__in=keys).order_by("pk"))
    before = [item.group for item in items]
    for item in items:
        item.note += 1
        item.group = dice.randrange(GROUPS)
    if items:
        Item.objects.bulk_update(items, ["note", "group"])
    return Touched([item.pk for item in items], [*before, *(item.group for item in items)])


def _upsert(dice: random.Random) -> Touched:
    keys = sorted({any_key(dice) for _ in range(2)})
    before = list(Item.objects.filter(pk__in=keys).values_list("group", flat=True))
    items = [Item(pk=key, group=dice.randrange(GROUPS)) for key in keys]
    Item.objects.bulk_create(items, update_conflicts=True, update_fields=["group"], unique_fields=["id"])
    return Touched(keys, [*before, *(item.group for item in items)])


def _replace(dice: random.Random) -> Touched:
    """Delete a row and create it anew; in autocommit these are two commits."""
    item = _one(dice)
    key, before = item.pk, item.group
    item.delete()
    after = Item.objects.create(pk=key, group=dice.randrange(GROUPS))
    return Touched([key], [before, after.group])


def _come_or_go(dice: random.Random) -> Touched:
    """Delete a row; or create it, if there is none."""
    key = any_key(dice)
    there = Item.objects.filter(pk=key).first()
    if there is not None:
        Item.objects.filter(pk=key).delete()
        return Touched([key], [there.group])
    made = Item.objects.create(pk=key, group=dice.randrange(GROUPS))
    return Touched([key], [made.group])


def _update_group(dice: random.Random) -> Touched:
    """A write that names no rows: coarse."""
    group = any_group(dice)
    keys = list(Item.objects.filter(group=group).values_list("pk", flat=True))
    Item.objects.filter(group=group).update(note=F("note") + 1)
    return Touched(keys, [group])


def _raw(dice: random.Random) -> Touched:
    item = _one(dice)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ledger_item SET note = note + 1 WHERE id = %s", [item.pk])
    return Touched([item.pk], [item.group])


def _one(dice: random.Random) -> Item:
    """A row that is there, read from the database; or a new one that nobody has stored yet."""
    key = any_key(dice)
    return Item.objects.filter(pk=key).first() or Item.objects.create(pk=key, group=dice.randrange(GROUPS))


OPERATIONS: dict[Callable[[random.Random], Touched], int] = {
    _save: 100, _move: 60, _update: 80, _bulk_update: 16, _replace: 32, _come_or_go: 24,
    # These are coarse: every cached answer dies of them, the wrong ones that are looked for included.
    _upsert: 1, _update_group: 1, _raw: 1,
}  # fmt: skip
