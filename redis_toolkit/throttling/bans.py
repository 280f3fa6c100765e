"""Bans: who goes on when denied is kept out for a while, each time for twice as long. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

__all__ = ["Ban", "microseconds"]

_MICRO: Final = 1_000_000
_LONGEST: Final = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Ban:
    """After so many denials (``strikes``) ``within`` so long, nothing is allowed ``length`` long.

    The next ban is twice as long, and so on up to ``longest``; after ``memory`` without one, counted from the end of
    the last, it begins anew. All but ``strikes`` are seconds or timedeltas. Raises ValueError for what cannot be.
    """

    strikes: int = 10
    within: float | timedelta = 600
    length: float | timedelta = 900
    longest: float | timedelta = 86_400
    memory: float | timedelta = 86_400

    def __post_init__(self) -> None:
        strikes: object = self.strikes
        if not isinstance(strikes, int) or isinstance(strikes, bool) or strikes < 1:
            raise ValueError(f"The strikes of a ban are a whole number, 1 or more, not {strikes!r}.")
        for name in ("within", "length", "longest", "memory"):
            seconds = _seconds(getattr(self, name))
            if seconds is None or not 0 < seconds <= _LONGEST:
                raise ValueError(f"{name} of a ban is a number of seconds, or a timedelta, of at most a year.")
        if _seconds(self.longest) < _seconds(self.length):  # type: ignore[operator]
            raise ValueError("The longest ban is at least as long as the first (longest=, length=).")

    @property
    def arguments(self) -> tuple[int, ...]:
        """What the script is told: strikes, and the rest in microseconds."""
        rest = (self.within, self.length, self.longest, self.memory)
        return (self.strikes, *(round((_seconds(each) or 0) * _MICRO) for each in rest))


def microseconds(length: float | timedelta) -> int:
    """A length of time. Raises ValueError for what is none."""
    seconds = _seconds(length)
    if seconds is None or not 0 < seconds <= _LONGEST:
        raise ValueError("A ban is a number of seconds, or a timedelta, of at most a year.")
    return round(seconds * _MICRO)


def _seconds(value: object) -> float | None:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
