"""The stage, a timetable on it, and the marks that stand in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.concurrency.actors import Stage
from tests.concurrency.rules import leave_out
from tests.concurrency.timetable import PG, Timetable


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Actors, who leave when the test ends."""
    made = Stage()
    yield made
    made.clear()


@pytest.fixture
def timetable() -> Timetable:
    """A timetable on PostgreSQL."""
    return Timetable(PG)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Leave a rule of the protocol out of this test; None leaves out nothing."""

    def leave(rule: str | None) -> None:
        if rule is not None:
            leave_out(rule, monkeypatch)

    return leave


@pytest.fixture
def marked(redis_client: Any) -> Callable[[], set[str]]:
    """The stamps that are marked now, without their stem: ``{"app_lesson:id=1"}``."""

    def look() -> set[str]:
        keys = list(redis_client.scan_iter("rt:s:*", count=10_000))
        values = redis_client.mget(keys) if keys else []
        # (One that is gone by now ran out in between.)
        found = [key for key, value in zip(keys, values, strict=True) if value is not None and value[:1] == b"m"]
        return {key.decode().split(":", 3)[3] for key in found}

    return look


@pytest.fixture
def marks_run_out(redis_client: Any) -> Callable[[], int]:
    """Do what time does to the marks of the dead. Returns how many there were."""

    def run_out() -> int:
        keys = [key for key in redis_client.scan_iter("rt:s:*", count=10_000) if redis_client.get(key)[:1] == b"m"]
        return redis_client.delete(*keys) if keys else 0

    return run_out
