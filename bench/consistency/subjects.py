"""Who is tested: ours, ours with the marks removed, and what most projects write by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from django.core.cache import cache
from django.db import transaction

from bench.consistency.journal import Journal
from bench.consistency.ledger.models import Item

__all__ = ["PLAIN", "SUBJECTS", "Naive", "Ours", "Plain", "Unmarked"]


class Plain:
    """No cache at all. What it answers is right, unless this harness is wrong."""

    manager: Any = Item.objects

    def __init__(self) -> None:
        self.outcomes: list[str] = []

    def prepare(self, journal: Journal) -> None:
        """Make this process one that reads and writes this way."""

    def outcome(self) -> str:
        """How the reads since the last call were answered, the worst first."""
        seen, self.outcomes = self.outcomes, []
        return next((outcome for outcome in ("bypass", "miss", "hit") if outcome in seen), "bypass")

    def changed(self, keys: Iterable[int], groups: Iterable[int]) -> None:
        """Said by writers after each write, in its transaction."""

    def get(self, key: int) -> list[Item]:
        """The row, or nothing."""
        try:
            return [self.manager.get(pk=key)]
        except Item.DoesNotExist:
            return []

    def bulk(self, keys: tuple[int, ...]) -> list[Item]:
        """Those of the rows that exist."""
        return sorted(self.manager.in_bulk(keys).values(), key=attrgetter("pk"))

    def group(self, group: int) -> list[Item]:
        """The rows of a group."""
        return list(self.manager.filter(group=group).order_by("pk"))

    def size(self, group: int) -> int:
        """How many rows a group has."""
        size: int = self.manager.filter(group=group).count()
        return size

    def total(self, _: object = None) -> int:
        """How many rows there are."""
        total: int = self.manager.count()
        return total


class Ours(Plain):
    """``Item.cached``."""

    manager = Item.cached

    def prepare(self, journal: Journal) -> None:
        """Hear how each read was answered, and note each write of which Redis could not be told."""
        from redis_toolkit.signals import cache_failed, cache_read

        def failed(during: str, **_: Any) -> None:
            if during in {"mark", "unmark"}:
                journal.note("unheard", during, time.monotonic())

        cache_read.connect(self._heard, weak=False)
        cache_failed.connect(failed, weak=False)

    def _heard(self, outcome: str, **_: Any) -> None:
        self.outcomes.append(outcome)


class Unmarked(Ours):
    """``Item.cached`` whose writers mark nothing before they write. They still drop the stamps after the commit."""

    def prepare(self, journal: Journal) -> None:
        """Switch marking off in this process."""
        from redis_toolkit.cache import transactions

        super().prepare(journal)
        transactions.mark = lambda *_: None  # type: ignore[attr-defined]


class Naive(Plain):
    """Cache-aside as it is written by hand: get, else load and set; delete after the commit."""

    def changed(self, keys: Iterable[int], groups: Iterable[int]) -> None:
        """Delete what may show these rows, after the commit as the better half of the advice says."""
        names = [f"item:{key}" for key in keys]
        names += [f"{kind}:{group}" for group in groups for kind in ("group", "size")]
        transaction.on_commit(lambda: cache.delete_many([*names, "total"]))

    def get(self, key: int) -> list[Item]:
        return self._remembered(f"item:{key}", lambda: Plain.get(self, key))

    def bulk(self, keys: tuple[int, ...]) -> list[Item]:
        found = cache.get_many([f"item:{key}" for key in keys]) or {}
        missing = [key for key in keys if f"item:{key}" not in found]
        self.outcomes.append("miss" if missing else "hit")
        loaded = {item.pk: item for item in Plain.bulk(self, tuple(missing))} if missing else {}
        for key in missing:
            found[f"item:{key}"] = [loaded[key]] if key in loaded else []
            cache.set(f"item:{key}", found[f"item:{key}"], 600)
        return [item for key in keys for item in found[f"item:{key}"]]

    def group(self, group: int) -> list[Item]:
        return self._remembered(f"group:{group}", lambda: Plain.group(self, group))

    def size(self, group: int) -> int:
        return self._remembered(f"size:{group}", lambda: Plain.size(self, group))

    def total(self, _: object = None) -> int:
        return self._remembered("total", lambda: Plain.total(self))

    def _remembered(self, name: str, load: Callable[[], Any]) -> Any:
        answer = cache.get(name)
        self.outcomes.append("miss" if answer is None else "hit")
        if answer is None:
            answer = load()
            cache.set(name, answer, 600)
        return answer


PLAIN = Plain()
SUBJECTS: dict[str, type[Plain]] = {"ours": Ours, "naive": Naive, "unmarked": Unmarked}
