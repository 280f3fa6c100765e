"""Building filters by command, by Celery's task and by hand, and what they say of it."""

from __future__ import annotations

import gc
import io
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from demo_project.timetable.models import Lesson
from redis_toolkit.cache import Bloom, debts, invalidate, tables
from redis_toolkit.cache.building import build, declared, status_of, why_due
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.core.connections import link
from redis_toolkit.core.keys import below
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.structures.bloom import size_for
from redis_toolkit.tasks import build_blooms
from tests.app.models import Coupon, Parcel, Pass, SeasonPass, Voucher

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def told(*words: str, **options: Any) -> list[str]:
    """What the command prints."""
    out = StringIO()
    call_command("redis_bloom", *words, stdout=out, **options)
    return out.getvalue().splitlines()


def refused(*words: str, **options: Any) -> str:
    """What it says when it fails."""
    with pytest.raises(CommandError) as caught:
        call_command("redis_bloom", *words, stdout=StringIO(), **options)
    return str(caught.value)


def test_every_filter(doors: str) -> None:
    """Without a name all are built, a proxy's with its model's; then none is due."""
    Pass.objects.using(doors).bulk_create(Pass() for _ in range(3))
    size = {model: f"{size_for(1000, model.cached.bloom.error).bits // 8} bytes" for model in (Pass, Coupon)}
    assert sorted(told(database=doors)) == [
        f"app.Coupon ({doors}): built from 0 rows, {size[Coupon]}.",
        f"app.Parcel ({doors}): built from 0 rows, {size[Pass]}.",
        f"app.Pass ({doors}): built from 3 rows, {size[Pass]}.",
        f"app.SeasonPass ({doors}): built from 0 rows, {size[Pass]}.",
        f"timetable.Lesson ({doors}): built from 0 rows, {size[Pass]}.",
    ]
    assert sorted(told("--due", database=doors)) == [
        f"{name} ({doors}): not due."
        for name in ("app.Coupon", "app.Parcel", "app.Pass", "app.SeasonPass", "timetable.Lesson")
    ]
    assert told(database=doors, verbosity=0) == []


def test_those_that_are_named(doors: str) -> None:
    """A proxy means its model's filter; what is due is said, and only that is built."""
    assert told("app.Voucher", "--show", database=doors) == [f"app.Voucher ({doors}): missing; due: there is none."]
    assert told("app.Voucher", "--due", database=doors)[0].startswith(f"app.Voucher ({doors}): built from 0 rows, ")
    assert status_of(Voucher, doors)[:-1] == status_of(Coupon, doors)[:-1]
    (line,) = told("app.Coupon", "--show", database=doors)
    assert line.startswith(f"app.Coupon ({doors}): complete, 0 of 1000 members, 1798 bytes, 86")
    invalidate(Coupon, using=doors)
    assert told("app.Coupon", "--show", database=doors) == [f"app.Coupon ({doors}): missing; due: there is none."]


def test_a_bar_on_a_terminal(doors: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar grows by what was read; elsewhere there is one line at the end."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    Pass.objects.using(doors).bulk_create(Pass() for _ in range(750))
    out = Terminal()
    call_command("redis_bloom", "app.Pass", database=doors, stdout=out)
    what = f"app.Pass ({doors})"
    bar, half = "#" * 30, "#" * 20 + "." * 10
    assert out.getvalue().startswith(f"\r{what} [{half}] 500 of 750\r{what} [{bar}] 750 of 750\n{what}: built from 750")
    assert "\r" not in "".join(told("app.Pass", database=doors))


def test_what_cannot_be_built(doors: str, valkey: Any) -> None:
    """No such model, none declared, a transaction, another builder, no server: each says so, with exit code 1."""
    assert "A model is named as app.Model" in refused("app.Nobody")
    assert refused("app.Lesson", database=doors) == (
        f"app.Lesson has no filter on {doors!r}: give it a CacheManager(bloom=True)."
    )
    with transaction.atomic(using=doors), pytest.raises(Misconfigured, match="inside a transaction"):
        build(Pass, doors)
    assert tables.tables(doors).by_name["app_pass"].absence.on(doors).begin(link(), size_for(9, 0.1), 60)
    assert refused("app.Pass", database=doors) == (
        f"Not built: app.Pass ({doors}): somebody else is building it (if he was killed: --force, or wait a minute)."
        " Until then the database is asked."
    )
    assert told("app.Pass", "--force", database=doors)[0].startswith(f"app.Pass ({doors}): built from 0 rows")
    valkey.kill()
    assert "did not answer" in refused("app.Pass", database=doors)


def test_rows_that_nobody_names_come_again_and_again(doors: str) -> None:
    """After three times it gives up and says so."""
    Pass.objects.using(doors).bulk_create(Pass() for _ in range(2))
    times = []

    def progress(done: int, total: int) -> None:
        times.append((done, total))
        invalidate(Pass, using=doors)

    assert build(Pass, doors, progress) == ("dropped", 2, 0)
    assert times == [(2, 2)] * 3
    assert status_of(Pass, doors).state == "missing"


def test_why_a_filter_is_due(doors: str, redis_client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too full, half way to its end, smaller than wanted, of other fields: each is a reason to build it anew."""
    assert build(Pass, doors).outcome == "built"
    assert why_due(Pass, doors) == ""
    Pass.objects.using(doors).bulk_create(Pass() for _ in range(1100))
    # On SQLite that is told when the connection is used again, and what Django has left of its cursor is gone.
    gc.collect()
    watch_of(connections[doors]).settle(connections[doors])
    assert why_due(Pass, doors) == "it is full"
    assert build(Pass, doors).outcome == "built"
    assert (why_due(Pass, doors), status_of(Pass, doors).size.capacity) == ("", 1650)
    slot = "b"
    name = f"rt:b:{{{doors}%3Aapp_pass}}:"
    assert redis_client.pexpire(name + slot, 43_000_000)
    assert why_due(Pass, doors) == "half of its life is over"
    absence = tables.tables(doors).by_name["app_pass"].absence
    monkeypatch.setattr(absence, "error", 0.001)
    assert why_due(Pass, doors) == "it is wanted smaller or larger"
    monkeypatch.setattr(absence, "label", "1;id;label")
    assert why_due(Pass, doors) == "it was declared otherwise"


def test_the_task(doors: str, settings: Any) -> None:
    """It builds what is due, and what is named; and says what became of each."""
    if doors == "default":
        everything = {f"{model._meta.label} (default)" for model in (Coupon, Parcel, Pass, SeasonPass, Lesson)}
        assert {f"{model._meta.label} ({alias})" for model, alias in declared()} == everything
        assert build_blooms() == dict.fromkeys(everything, "built")
        assert build_blooms() == dict.fromkeys(everything, "not due")
        assert build_blooms(["app.Pass"], every=True) == {"app.Pass (default)": "built"}


def test_a_user_of_redis_who_may_do_what_the_page_says(doors: str, redis_client: Any, asked: Any) -> None:
    """With the commands of docs/reference/keys.md and no others filters are built, asked, added to and dropped."""
    page = (Path(__file__).parents[4] / "docs" / "reference" / "keys.md").read_text("utf-8")
    rules = [line for line in page.splitlines() if line.startswith(("~prefix:", "+hget "))]
    assert len(rules) == 2
    allowed = " ".join(rules).replace("prefix", "rt").split()
    redis_client.execute_command("ACL", "SETUSER", "default", "resetkeys", *allowed, "+acl")
    link().close()
    try:
        assert build(Pass, doors).outcome == "built"
        there = Pass.objects.using(doors).create()
        assert asked(Pass, pk=there.pk + 1) == (False, "absent")
        assert asked(Pass, pk=there.pk) == (True, "miss")
        assert why_due(Pass, doors) == ""
        invalidate(Pass, using=doors)
        assert why_due(Pass, doors) == "there is none"
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "allkeys", "+@all")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"error": 0}, "a share between 0 and 1"),
        ({"error": 1.0}, "a share between 0 and 1"),
        ({"fields": "slug"}, r"fields=\['slug'\]"),
    ],
)
def test_a_record_that_cannot_be(wrong: dict[str, Any], message: str) -> None:
    """A record that means nothing is refused when it is made."""
    with pytest.raises(Misconfigured, match=message):
        Bloom(**wrong)


def test_a_life_that_cannot_be() -> None:
    """A ttl is positive."""
    with pytest.raises(ValueError, match="positive"):
        Bloom(ttl=0)


def test_a_wrapper_that_raises_after_the_insert(doors: str, built: Any, asked: Any) -> None:
    """1. an INSERT is done  2. a wrapper of the project's raises  3. the row stays: it is found."""

    class Trouble(Exception):
        pass

    def after(execute: Any, sql: str, *args: Any) -> Any:
        result = execute(sql, *args)
        if sql.startswith("INSERT"):
            raise Trouble
        return result

    built(Pass)
    with transaction.atomic(using=doors):
        with connections[doors].execute_wrapper(after), pytest.raises(Trouble):
            Pass.objects.using(doors).create()
        # Whoever catches it may go on.
        connections[doors].needs_rollback = False
    (key,) = Pass.objects.using(doors).values_list("pk", flat=True)
    assert asked(Pass, pk=key) == (True, "miss")
    assert status_of(Pass, doors).state == "missing"


def test_a_table_whose_rows_nobody_could_tell_redis_of(doors: str, built: Any) -> None:
    """What is owed to Redis where there is no outbox drops the filter when it is paid."""
    built(Pass)
    stem, _ = tables.tables(doors).by_name["app_pass"].whole(doors)
    debts.owe([below(stem, "new")], b"1" * 12)
    debts.pay(link())
    assert status_of(Pass, doors).state == "missing"
