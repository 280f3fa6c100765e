"""What readers ask, and how a question is put and noted."""

from __future__ import annotations

import random
import time
from typing import Any

from bench.consistency.journal import Read
from bench.consistency.ledger.models import GROUPS, ITEMS
from bench.consistency.subjects import PLAIN, Plain

__all__ = ["any_group", "any_key", "any_question", "asked", "every_question", "rows"]

_KINDS = ("get", "bulk", "group", "size", "total")
_WEIGHTS = (45, 15, 27, 10, 3)


def any_key(dice: random.Random) -> int:
    """A key; low ones are asked for, and written, more often."""
    return 1 + min(int(dice.expovariate(1 / 20)), ITEMS - 1)


def any_group(dice: random.Random) -> int:
    """A group; low ones more often."""
    return min(int(dice.expovariate(1 / 4)), GROUPS - 1)


def any_question(dice: random.Random) -> tuple[str, Any]:
    """A kind of question and its argument."""
    [kind] = dice.choices(_KINDS, _WEIGHTS)
    if kind == "get":
        return kind, any_key(dice)
    if kind == "bulk":
        return kind, tuple(sorted({any_key(dice) for _ in range(4)}))
    return kind, None if kind == "total" else any_group(dice)


def every_question() -> list[tuple[str, Any]]:
    """Everything that can be asked of single rows and groups, and a few bulks."""
    keys = range(1, ITEMS + 1)
    bulks = [("bulk", tuple(keys[at : at + 10])) for at in range(0, ITEMS, 10)]
    groups = [(kind, group) for kind in ("group", "size") for group in range(GROUPS)]
    return [*(("get", key) for key in keys), *bulks, *groups, ("total", None)]


def rows(answer: Any) -> Any:
    """An answer as plain values: (key, version, tag, group) of each row, or the number."""
    if isinstance(answer, int):
        return answer
    return tuple((item.pk, item.version, item.tag, item.group) for item in answer)


def asked(subject: Plain, kind: str, argument: Any, *, own: bool = False) -> Read:
    """Put a question and take the times."""
    began = time.monotonic()
    answer = getattr(subject, kind)(argument)
    ended = time.monotonic()
    outcome = "plain" if subject is PLAIN else subject.outcome()
    return Read(kind, argument, began, ended, outcome, own, rows(answer))
