"""Asks for rooms that are not there, and for some that are, and counts what that costs. Lives in a worker's process."""

from __future__ import annotations

import random
from time import perf_counter
from typing import Any

__all__ = ["Prober"]

#: One in so many lookups is of a row that is there; one in as many creates one first.
THERE = 100


class Prober:
    """The orders of one contestant: ``filtered`` has a filter built before it is asked."""

    def __init__(self, *, rows: int, filtered: bool, seed: str) -> None:
        from django.core.management import call_command
        from django.core.management.color import no_style
        from django.db import connection

        from bench.timetable import fill

        fill(1)
        self._dice = random.Random(seed)
        self._model = self._rooms()
        for sql in connection.ops.sequence_reset_sql(no_style(), [self._model]):
            # The timetable was filled under keys of its own.
            with connection.cursor() as cursor:
                cursor.execute(sql)
        self._model.objects.bulk_create([self._room(at) for at in range(rows)], batch_size=500)
        if filtered:
            call_command("redis_bloom", verbosity=0)
        self._connection = connection

    def _rooms(self) -> Any:
        from django.apps import apps

        return apps.get_model("school.Room")

    def _room(self, at: int) -> Any:
        return self._model(name=f"Room {at}", building="A", floor=at % 9, seats=at % 90)

    def probe(self, lookups: int) -> dict[str, Any]:
        """Ask for so many made-up ids; the queries, the keys that Redis has more, the seconds, and rows not found."""
        queries = hidden = 0
        asked = getattr(self._model, "cached", self._model.objects)
        top = self._model.objects.order_by("-pk").values_list("pk", flat=True)[0]

        def count(execute: Any, *args: Any) -> Any:
            nonlocal queries
            queries += 1
            return execute(*args)

        before, seconds, wrong = _keys(), 0.0, 0
        for at in range(lookups):
            if at % THERE == 0:
                made = self._model.objects.create(name="New", building="B", floor=1, seats=1)
                hidden += not self._finds(asked, made.pk)
            with self._connection.execute_wrapper(count):
                began = perf_counter()
                found = self._finds(asked, self._dice.randrange(top + lookups, 2**40))
                seconds += perf_counter() - began
            wrong += found
        return {
            "lookups": lookups,
            "queries": queries,
            "keys": _keys() - before,
            "seconds": seconds,
            "hidden": hidden + wrong,
        }

    @staticmethod
    def _finds(manager: Any, key: int) -> bool:
        try:
            return bool(manager.get(pk=key).pk == key)
        except manager.model.DoesNotExist:
            return False


def _keys() -> int:
    from django.conf import settings
    from redis import Redis

    with Redis.from_url(settings.REDIS_URL) as client:
        return int(client.dbsize())
