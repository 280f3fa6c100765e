"""Which columns a model should declare in ``by``, by what its queries have pinned. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Final

__all__ = ["Names", "declarations", "undeclared", "written"]

#: Declarations that are named at most, and columns of one: more is a model that is asked for by anything.
_NAMED: Final = 3
#: The share of queries that a further declaration must help to be worth its cost at each write.
_WORTH: Final = 0.05

Names = tuple[str, ...]


def undeclared(pinned: Mapping[Names, int], by: Iterable[Names]) -> dict[Names, int]:
    """Of what was pinned, and how often, what is not helped by the declarations ``by`` already."""
    declared = [set(each) for each in by]
    return {
        names: times
        for names, times in pinned.items()
        if any(names) and not any(each <= set(names) for each in declared)
    }


def declarations(pinned: Mapping[Names, int]) -> tuple[list[Names], int]:
    """What to declare so that most of these queries are helped, and how many are.

    A declaration helps the queries that pin all of its columns, and perhaps more. Of two that help as many the one with
    more columns is the better: fewer writes reach it.
    """
    left, chosen, helped = dict(pinned), list[Names](), 0
    total = sum(pinned.values())
    while left and len(chosen) < _NAMED:
        candidates = {each for names in left for many in range(1, _NAMED + 1) for each in combinations(names, many)}
        best = max(sorted(candidates), key=lambda each: (_helped(each, left), len(each)))
        times = _helped(best, left)
        if chosen and times < _WORTH * total:
            break
        chosen.append(best)
        helped += times
        left = {names: each for names, each in left.items() if not set(best) <= set(names)}
    return chosen, helped


def written(names: Iterable[Names]) -> str:
    """As it is written in a CacheManager: ``by=["group", ("room", "weekday")]``."""
    parts = [
        f'"{each[0]}"' if len(each) == 1 else "({})".format(", ".join(f'"{name}"' for name in each)) for each in names
    ]
    return f"by=[{', '.join(parts)}]"


def _helped(names: Names, pinned: Mapping[Names, int]) -> int:
    return sum(times for each, times in pinned.items() if set(names) <= set(each))
