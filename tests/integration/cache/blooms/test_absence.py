"""What a filter keeps from the database, and that it never hides a row, however the row came."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction

from redis_toolkit.cache import invalidate
from redis_toolkit.cache.building import status_of
from redis_toolkit.core.connections import link
from tests.app.models import Coupon, Parcel, Pass, SeasonPass, Voucher

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def test_a_key_that_is_not_there_asks_no_database(doors: str, built: Any, asked: Any, redis_client: Any) -> None:
    """Two round trips, no query, and nothing is left in Redis, neither an entry nor a stamp."""
    there = Pass.objects.using(doors).create()
    built(Pass)
    keys = set(redis_client.scan_iter("*"))
    before = link().round_trips
    assert asked(Pass, pk=there.pk + 1) == (False, "absent")
    assert link().round_trips - before == 2
    assert set(redis_client.scan_iter("*")) == keys
    assert asked(Pass, pk=there.pk) == (True, "miss")
    assert asked(Pass, pk=there.pk) == (True, "hit")


def test_without_a_filter_everything_is_as_it_was(doors: str, asked: Any) -> None:
    """A filter that was never built rules nothing out."""
    assert asked(Pass, pk=1) == (False, "miss")
    assert asked(Pass, pk=1) == (False, "hit")


def test_many_at_once(doors: str, built: Any, cost: Any) -> None:
    """`in_bulk` asks the database for the rows that may be there, and for none that cannot."""
    there = [Pass.objects.using(doors).create().pk for _ in range(2)]
    built(Pass)
    absent = [there[-1] + more for more in range(1, 1202)]
    manager = Pass.cached.db_manager(doors)
    with cost() as it:
        assert list(manager.in_bulk([*absent, *there])) == there
    assert (it.queries, it.outcomes) == (1, [("bulk", "absent"), ("bulk", "miss")])
    before = link().round_trips
    with cost() as it:
        assert list(manager.in_bulk([*absent, *there])) == there
    assert (it.queries, link().round_trips - before) == (0, 2)
    assert it.outcomes == [("bulk", "hit"), ("bulk", "absent")]


def test_unique_fields(doors: str, built: Any, asked: Any) -> None:
    """Declared unique fields and pairs are ruled out as keys are; a field that is not declared is not."""
    there = Coupon.objects.using(doors).create(code="ab", shop=1, number=2)
    built(Coupon)
    assert asked(Coupon, code="ac") == (False, "absent")
    assert asked(Coupon, shop=1, number=3) == (False, "absent")
    assert asked(Coupon, pk=there.pk + 1) == (False, "absent")
    assert asked(Voucher, code="ac") == (False, "absent")
    assert asked(Coupon, code="ab") == (True, "miss")
    assert asked(Coupon, number=2, shop=1) == (True, "miss")
    assert asked(Voucher, code="ab") == (True, "miss")


# How rows come. Each way says what must then be found, and whether the filter still answers.

Way = Callable[[str], dict[str, Any]]


def _raw(alias: str, sql: str, params: Any = None) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, params)


def _create(alias: str) -> dict[str, Any]:
    return {"pk": Pass.objects.using(alias).create().pk}


def _in_a_block(alias: str) -> dict[str, Any]:
    with transaction.atomic(using=alias):
        Pass.objects.using(alias).create()
        return _create(alias)


def _with_a_key(alias: str) -> dict[str, Any]:
    Pass.objects.using(alias).create(pk=987_654)
    return {"pk": 987_654}


def _bulk(alias: str) -> dict[str, Any]:
    return {"pk": Pass.objects.using(alias).bulk_create([Pass() for _ in range(5)])[3].pk}


def _bulk_of_many(alias: str) -> dict[str, Any]:
    return {"pk": Pass.objects.using(alias).bulk_create([Pass(label=str(at)) for at in range(1234)])[1].pk}


def _bulk_with_keys(alias: str) -> dict[str, Any]:
    Pass.objects.using(alias).bulk_create([Pass(pk=at) for at in range(10_000, 12_345)])
    return {"pk": 11_111}


def _after_a_savepoint(alias: str) -> dict[str, Any]:
    with transaction.atomic(using=alias):
        with transaction.atomic(using=alias):
            Pass.objects.using(alias).create()
            transaction.set_rollback(True, using=alias)
        return _create(alias)


def _after_a_failure(alias: str) -> dict[str, Any]:
    kept = Pass.objects.using(alias).create()
    with pytest.raises(IntegrityError):
        Pass.objects.using(alias).create(pk=kept.pk)
    return _create(alias)


def _child(alias: str) -> dict[str, Any]:
    return {"pk": SeasonPass.objects.using(alias).create().pk}


def _ignoring(alias: str) -> dict[str, Any]:
    Pass.objects.using(alias).bulk_create([Pass(label="i")], ignore_conflicts=True)
    return {"pk": Pass.objects.using(alias).get(label="i").pk}


def _raw_insert(alias: str) -> dict[str, Any]:
    _raw(alias, "INSERT INTO app_pass (label) VALUES ('r')")
    return {"pk": Pass.objects.using(alias).get(label="r").pk}


def _raw_shape(alias: str) -> dict[str, Any]:
    _raw(alias, 'INSERT INTO "app_pass" ("label") VALUES (%s)', ["r"])
    return {"pk": Pass.objects.using(alias).get(label="r").pk}


def _raw_select(alias: str) -> dict[str, Any]:
    Pass.objects.using(alias).create(label="r")
    _raw(alias, "INSERT INTO app_pass (label) SELECT 'of ' || label FROM app_pass")
    return {"pk": Pass.objects.using(alias).get(label="of r").pk}


def _moved_key(alias: str) -> dict[str, Any]:
    kept = Pass.objects.using(alias).create()
    Pass.objects.using(alias).filter(pk=kept.pk).update(id=765_432)
    return {"pk": 765_432}


def _unseen(alias: str) -> dict[str, Any]:
    with connections[alias].cursor() as cursor:
        cursor.cursor.execute("INSERT INTO app_pass (id, label) VALUES (555, 'u')")
    invalidate(Pass, using=alias)
    return {"pk": 555}


def _unseen_by_key(alias: str) -> dict[str, Any]:
    with connections[alias].cursor() as cursor:
        cursor.cursor.execute("INSERT INTO app_pass (id, label) VALUES (555, 'u')")
    invalidate(Pass, pk=555, using=alias)
    return {"pk": 555}


KEPT = [
    _create, _in_a_block, _with_a_key, _bulk, _bulk_of_many, _bulk_with_keys, _after_a_savepoint, _after_a_failure, _child,
    _unseen_by_key,
]  # fmt: skip
DROPPED = [_raw_insert, _raw_select, _moved_key, _unseen]


def not_there(asked: Any, model: Any, keys: Iterable[Any]) -> set[tuple[bool, str]]:
    """The answers to keys of which none is there. A filter that is fuller than it was made for takes some for members."""
    answers = {asked(model, pk=key) for key in keys}
    assert answers <= {(False, "absent"), (False, "miss")}
    return answers


@pytest.mark.parametrize("way", KEPT, ids=lambda way: way.__name__)
def test_rows_that_are_named(doors: str, built: Any, asked: Any, way: Way) -> None:
    """A row is found at once, and what is not there is still ruled out."""
    built(Pass)
    wanted = way(doors)
    assert asked(Pass, **wanted) == (True, "miss")
    assert (False, "absent") in not_there(asked, Pass, [1_000_000_000 + at for at in range(8)])
    status = status_of(Pass, doors)
    assert (status.state, status.writers) == ("complete", 0)


@pytest.mark.parametrize("way", [*DROPPED, _ignoring, _raw_shape], ids=lambda way: way.__name__)
def test_rows_that_nobody_names(doors: str, built: Any, asked: Any, way: Way) -> None:
    """A row whose key nobody can tell is found at once: the filter has gone (SQLite tells the key of a single row)."""
    told = doors == "default" and way in {_ignoring, _raw_shape}
    built(Pass)
    wanted = way(doors)
    assert asked(Pass, **wanted) == (True, "miss")
    assert asked(Pass, pk=1_000_000_007) == (False, "absent" if told else "miss")
    assert status_of(Pass, doors).state == ("complete" if told else "missing")


def test_a_child_has_a_filter_of_its_own(doors: str, built: Any, asked: Any) -> None:
    """A row of the parent is none of the child, and a new child is found by its key in both."""
    parent = Pass.objects.using(doors).create()
    built(Pass)
    built(SeasonPass)
    assert asked(SeasonPass, pk=parent.pk) == (False, "absent")
    child = SeasonPass.objects.using(doors).create()
    assert asked(SeasonPass, pk=child.pk) == (True, "miss")
    assert asked(Pass, pk=child.pk) == (True, "miss")


def test_keys_that_python_makes(doors: str, built: Any, asked: Any) -> None:
    """A UUID is known before the INSERT: one row, and many of one statement."""
    built(Parcel)
    one = Parcel.objects.using(doors).create()
    many = Parcel.objects.using(doors).bulk_create([Parcel() for _ in range(700)])
    assert asked(Parcel, pk=one.pk) == (True, "miss")
    assert asked(Parcel, pk=many[699].pk) == (True, "miss")
    assert (False, "absent") in not_there(asked, Parcel, [uuid.UUID(int=at) for at in range(8)])


def _save(alias: str, there: Coupon) -> None:
    there.code = "new"
    there.save(using=alias)


def _save_field(alias: str, there: Coupon) -> None:
    there.code = "new"
    there.save(using=alias, update_fields=["code"])


def _update(alias: str, there: Coupon) -> None:
    Coupon.objects.using(alias).filter(pk=there.pk).update(code="new")


def _bulk_update(alias: str, there: Coupon) -> None:
    there.code = "new"
    Coupon.objects.using(alias).bulk_update([there, Coupon.objects.using(alias).create(code="2", number=2)], ["code"])


def _update_in_a_block(alias: str, there: Coupon) -> None:
    with transaction.atomic(using=alias):
        _save(alias, there)


@pytest.mark.parametrize("change", [_save, _save_field, _update, _bulk_update, _update_in_a_block])
def test_a_unique_field_gets_a_new_value(doors: str, built: Any, asked: Any, change: Any) -> None:
    """The row is found by its new value, by its old one it is not, and another is ruled out."""
    there = Coupon.objects.using(doors).create(code="old", shop=1, number=1)
    built(Coupon)
    change(doors, there)
    assert asked(Coupon, code="new") == (True, "miss")
    assert asked(Coupon, code="old") == (False, "miss")
    assert asked(Coupon, code="other") == (False, "absent")


@pytest.mark.parametrize(
    ("update", "state"),
    [({"note": "n"}, "complete"), ({"code": None}, "missing"), ({"number": 4}, "missing")],
)
def test_updates_of_many_rows(doors: str, built: Any, update: dict[str, Any], state: str) -> None:
    """An UPDATE of rows by a filter keeps the filter unless it sets what rows are asked for by."""
    Coupon.objects.using(doors).create(code="old", shop=1, number=1)
    built(Coupon)
    Coupon.objects.using(doors).filter(shop__gt=0).update(**update)
    assert status_of(Coupon, doors).state == state


def test_deletions_keep_the_filter(doors: str, built: Any, asked: Any) -> None:
    """Rows that go stay members until the filter is built anew; nothing is dropped."""
    there = [Pass.objects.using(doors).create() for _ in range(3)]
    built(Pass)
    there[0].delete(using=doors)
    Pass.objects.using(doors).filter(label="").delete()
    assert status_of(Pass, doors).state == "complete"
    assert asked(Pass, pk=there[1].pk) == (False, "miss")
    built(Pass)
    assert asked(Pass, pk=there[2].pk) == (False, "absent")
