"""The floors: what no way to keep a door can do without."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections

from bench.doors.plan import BEGIN, CHANGE, GOOD, LOAD, UNKNOWN
from bench.doors.sessions import contents
from bench.doors.ways import Way

__all__ = ["WAYS"]

_WEEKS = 1_209_600


class _Values(Way):
    """Values by redis-py as it comes: what a session is as JSON. Nothing is made of them."""

    def __init__(self) -> None:
        client: Any = redis.Redis.from_url(settings.REDIS_URL, protocol=2)
        self._values: list[bytes] = []

        def change(at: int) -> Any:
            client.get(f"floor:{at}")
            return client.set(f"floor:{at}", self._values[at], ex=_WEEKS)

        def get(at: int) -> Any:
            return client.get(f"floor:{at}")

        self.calls = {
            LOAD: get, CHANGE: change, BEGIN: lambda at: client.set(f"floor:{at}", self._values[at], ex=_WEEKS),
            GOOD: get, UNKNOWN: get,
        }  # fmt: skip

    def fill(self, entries: int) -> None:
        self._values = [json.dumps(contents(at), separators=(",", ":")).encode() for at in range(1, entries + 1)]
        for at in range(entries):
            self.calls[BEGIN](at)

    def argument(self, case: str, at: int) -> int:
        return at % len(self._values) + (len(self._values) if case == UNKNOWN else 0)

    def wrong(self, case: str, argument: Any, answer: Any) -> str:
        right = {CHANGE: True, BEGIN: True, UNKNOWN: None}
        expected = right[case] if case in right else self._values[argument]
        return "" if answer == expected else f"it said {answer!r}"


class _User(Way):
    """Django's query for a user, by the primary key."""

    def __init__(self) -> None:
        self._users = 0
        self.calls = dict.fromkeys((GOOD, UNKNOWN), lambda pk: User.objects.filter(pk=pk).first())

    def fill(self, entries: int) -> None:
        self._users = entries

    def argument(self, case: str, at: int) -> int:
        return (at % self._users + 1) * (1 if case == GOOD else -1)

    def wrong(self, case: str, argument: Any, answer: Any) -> str:
        expected = argument if case == GOOD else None
        return "" if getattr(answer, "pk", None) == expected else f"it found {answer!r}"

    def end_thread(self) -> None:
        connections.close_all()


WAYS: dict[str, Callable[[], Way]] = {"floor-session": _Values, "floor-text": _Values, "floor-class": _User}
