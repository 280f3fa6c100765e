"""Tables that change under a warm cache, by the real ``migrate``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from tests.app.models import Trade
from tests.battery import row
from tests.moving.models import Package


def named(columns: tuple[str, ...]) -> Any:
    return lambda packages: list(packages.order_by("pk").values_list(*columns))


QUESTIONS = {
    "whole": (Package, lambda packages: list(packages.order_by("pk"))),
    "row": (Package, row(pk=-1)),
    "name": (Package, row(name="one")),
    "pairs": (Package, named(("pk", "name"))),
    "count": (Package, lambda packages: packages.count()),
    "weight": (Package, lambda packages: list(packages.filter(weight=3).values_list("pk", flat=True))),
    "blue": (Package, lambda packages: list(packages.filter(shade="blue").values_list("pk", flat=True))),
    "trade": (Trade, row(pk=-1)),
}


def or_error(ask: Any) -> Any:
    """The answer, or that the database has no such column or table."""

    def asked(rows: Any) -> Any:
        try:
            return ask(rows)
        except DatabaseError as error:
            return type(error)

    return asked


def migrate(alias: str, name: str) -> None:
    call_command("migrate", "moving", name, database=alias, verbosity=0, interactive=False)


@pytest.fixture
def packages(alias: str, warm: Any) -> Iterator[str]:
    """Three packages, and the tables put back as they should be."""
    Trade.objects.using(alias).create(pk=-1, name="t1")
    for at, name in ((-1, "one"), (-2, "three"), (-3, "seven")):
        Package.objects.using(alias).create(pk=at, name=name, weight=9)
    yield alias
    migrate(alias, "0004")
    Package.objects.using(alias).all().delete()


def test_back_and_forth(packages: str, warm: Any) -> None:
    """After each migration, back and forth, no answer is stale, and what is no more is an error as in the database."""
    asked = warm({name: (model, or_error(ask)) for name, (model, ask) in QUESTIONS.items()})
    kept = []
    for name in ("0003", "0002", "0001", "0002", "0003", "0004"):
        migrate(packages, name)
        kept.append(asked.look())
    assert kept == [{"trade"}] * 6
    assert Package.cached.using(packages).filter(weight=3).count() == 1
    assert Package.cached.using(packages).filter(shade="blue").count() == 3


def test_an_executor_by_itself(packages: str, warm: Any) -> None:
    """Who runs the executor without the command sends no signal: a model as it was is stored all the same."""
    executor = MigrationExecutor(connections[packages])
    state = executor.migrate([("moving", "0002_package")])
    old = state.apps.get_model("moving", "Package").objects.using(packages)
    asked = warm({name: (model, or_error(ask)) for name, (model, ask) in QUESTIONS.items()})
    first = old.get(pk=-1)
    first.name = "eins"
    first.save()
    assert asked.look() == {"trade"}
    old.filter(pk=-2).update(name="drei")
    assert asked.look() == {"trade"}
    old.filter(pk=-3).delete()
    assert asked.look() == {"trade"}
    MigrationExecutor(connections[packages]).migrate([("moving", "0003_weight")])
    assert asked.look() == {"trade"}
    MigrationExecutor(connections[packages]).migrate([("moving", "0004_shade")])
    assert asked.look() == {"trade"}
    asked.keeps({"trade", "row", "name"}, lambda: Package.objects.using(packages).filter(pk=-2).update(weight=3))
