"""What a storm leaves behind: figures for the table, series for the drawing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import time
from typing import Any

from demo_project.lab import records

__all__ = ["Outcome", "Tell", "keep", "last"]

#: Told which share of a storm is over, from 0 to 1.
Tell = Callable[[float], None]


@dataclass(frozen=True)
class Outcome:
    """Figures by name, as the catalogue has them, and series by name, as the storm's drawing wants them."""

    figures: dict[str, float]
    series: dict[str, Any]


def keep(storm: str, *, defended: bool, outcome: Outcome) -> records.Record:
    """The record of a storm that is over: the last one with this defence, or without it."""
    record = {"storm": storm, "defended": defended, "when": time(), **asdict(outcome)}
    records.write(_name(storm, defended), record)
    return record


def last(storm: str) -> tuple[records.Record | None, records.Record | None]:
    """The last record of a storm without its defence, and with it."""
    return records.read(_name(storm, False)), records.read(_name(storm, True))


def _name(storm: str, defended: bool) -> str:  # noqa: FBT001
    return f"storm-{storm}-{'with' if defended else 'without'}"
