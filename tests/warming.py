"""What tests of warming declare."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

from tests.app.models import Group, Lesson

__all__ = ["ALIAS", "endless", "many", "nothing", "one", "one_again", "plain", "uncached", "unkeyed"]

ALIAS: list[str] = ["default"]


def cached() -> Any:
    """The cached manager on the test's database."""
    return Lesson.cached.db_manager(ALIAS[0])


def one() -> Any:
    """One queryset."""
    return cached().filter(weekday=1)


def many() -> Iterator[Any]:
    """A queryset for each day, with what is prefetched; a count; and every row."""
    for day in range(1, 6):
        yield cached().filter(weekday=day).prefetch_related("students")
    yield partial(cached().filter(weekday=1).count)
    yield Lesson


KEPT = Lesson.cached.filter(weekday=2)


def one_again() -> Any:
    """A queryset that is kept in a module, and was evaluated the last time."""
    len(KEPT)
    return [KEPT.using(ALIAS[0])]


def nothing() -> None:
    """Nothing that can be warmed."""


def plain() -> Any:
    """A queryset of Django's own."""
    return Lesson.objects.all()


def uncached() -> Any:
    """A cached queryset that is not to be cached."""
    return [cached().nocache()]


def unkeyed() -> Any:
    """A model that has no cached manager."""
    return Group


def endless() -> Iterator[Any]:
    """One queryset after another, until somebody stops it; it says when it has begun."""
    while True:
        yield cached().filter(weekday=1)
        sys.stdout.write("begun\n")
        sys.stdout.flush()
