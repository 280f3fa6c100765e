"""Two versions of the code at once: an old process, whose model lacks a column, and this one, which has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.moving.models import Package

ROOT = Path(__file__).parents[4]


@pytest.fixture
def old(alias: str, warm: Any, django_environment: dict[str, str]) -> Iterator[Callable[[str], Any]]:
    """The process that runs the version before: it is told a line, and answers."""
    for at, name in ((-1, "one"), (-2, "two")):
        Package.objects.using(alias).create(pk=at, name=name, weight=9)
    environment = {**os.environ, **django_environment, "DJANGO_SETTINGS_MODULE": "tests.moving.before.settings"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.moving.before", alias],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
    ) as process:  # fmt: skip

        def tell(line: str) -> Any:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield tell
        assert process.stdin is not None
        process.stdin.close()
    Package.objects.using(alias).all().delete()


def read(alias: str, cost: Any) -> Any:
    """What this process is answered, and how."""
    cached = Package.cached.db_manager(alias)
    with cost() as it:
        answers = [
            (cached.get(pk=-1).name, cached.get(pk=-1).weight),
            cached.get(name="two").weight,
            [(each.name, each.weight) for each in cached.filter(shade="red").order_by("pk")],
            list(cached.order_by("pk").values_list("name", "shade")),
            cached.count(),
        ]
    assert it.failures == []
    return answers, [outcome for _, outcome in it.outcomes]


def test_an_old_process_and_a_new_one(alias: str, old: Callable[[str], Any], cost: Any) -> None:
    """No row of one is given to the other, each sees what the other writes, and both are answered from the cache."""
    assert old("read") == [["one", "red", ["two", "one"], [["two", "red"], ["one", "red"]], 2], ["miss"] * 5]
    assert old("read")[1] == ["hit"] * 5
    # What names its columns means the same to both.
    new = [("one", 9), 9, [("two", 9), ("one", 9)], [("two", "red"), ("one", "red")], 2]
    assert read(alias, cost) == (new, ["miss", "hit", "miss", "miss", "hit", "miss"])
    assert old("read")[1] == ["miss", "miss", "hit", "hit", "hit"]

    old("uno")
    assert read(alias, cost)[0] == [("uno", 9), 9, [("two", 9), ("uno", 9)], [("two", "red"), ("uno", "red")], 2]
    package = Package.objects.using(alias).get(pk=-1)
    package.name, package.weight, package.shade = "ein", 3, "blue"
    package.save()
    assert old("read")[0] == ["ein", "red", ["two"], [["two", "red"], ["ein", "blue"]], 2]
    Package.objects.using(alias).filter(pk=-1).update(weight=4)
    assert read(alias, cost)[0] == [("ein", 4), 9, [("two", 9)], [("two", "red"), ("ein", "blue")], 2]
    old("one")
    assert read(alias, cost)[0][0] == ("one", 4)
    assert old("read")[0][0] == "one"
