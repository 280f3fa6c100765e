"""The patterns' figures of the last hour, from `redis_toolkit.stats`: one round trip for the whole page.

When Redis is away there are none, and each is "not known": the page is about what works here and must not fail with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from demo_project.lab.outcomes import last
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.stats import Bucket, Figures, buckets, summed

__all__ = ["UNKNOWN", "Figure", "Measured", "told"]

UNKNOWN = "not known"
CACHE = "default"  # the alias of its server
#: A pattern's drawing: a bar for each of the last minutes, that wide and that high, in units of its own.
MINUTES, BAR, HEIGHT = 20, 12, 32


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as one reads it, and what it counts."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A pattern's figures, and its last minutes as the path of an SVG, which is empty if nothing happened."""

    figures: tuple[Figure, ...]
    bars: str
    about: str


@dataclass(frozen=True, slots=True)
class Measure:
    """How a pattern is measured: its figures by their labels, and what its bars count."""

    figures: dict[str, Callable[[Figures], str]]
    bars: Callable[[Figures], float]
    about: str


def told() -> dict[str, Measured]:
    """What is to be said of each pattern, by its name."""
    try:
        hour: Sequence[Bucket] = buckets()
    except StoreUnavailable:
        return {name: _unknown(measure) for name, measure in MEASURES.items()}
    return {name: _measured(measure, hour) for name, measure in MEASURES.items()}


def _measured(measure: Measure, hour: Sequence[Bucket]) -> Measured:
    total = summed(hour)
    figures = tuple(Figure(read(total), label) for label, read in measure.figures.items())
    return Measured(figures, _path([measure.bars(bucket.figures) for bucket in hour[-MINUTES:]]), measure.about)


def _unknown(measure: Measure) -> Measured:
    return Measured(tuple(Figure(UNKNOWN, label) for label in measure.figures), "", measure.about)


def _path(values: Sequence[float]) -> str:
    """A bar for each value, the highest as high as the drawing. What is not nothing can be seen."""
    most = max(values, default=0)
    parts = []
    for place, value in enumerate(values):
        if value > 0:
            height = max(2, round(HEIGHT * value / most))
            parts.append(f"M{place * BAR} {HEIGHT}v-{height}h{BAR - 2}v{height}z")
    return "".join(parts)


# ---- numbers as one reads them


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _counted(metric: str, *details: str, subject: str | None = None) -> Callable[[Figures], str]:
    return lambda figures: _number(_count(figures, metric, *details, subject=subject))


def _count(figures: Figures, metric: str, *details: str, subject: str | None = None) -> int:
    return sum(figures.count(metric, subject, detail) for detail in details or (None,))


def _of_timetable(figures: Figures, metric: str) -> int:
    """Of the models of the timetable: accounts and what Django keeps in its own tables are left out."""
    return sum(figures.count(metric, each) for each in figures.subjects(metric) if each.startswith("timetable."))


def _reads(figures: Figures) -> int:
    return figures.hits() + figures.misses() + figures.bypasses()


def _share(figures: Figures) -> str:
    ratio = figures.hit_ratio()
    # Rounded down: what is not quite all of them is not called all of them.
    return "none yet" if ratio is None else f"{int(100 * ratio)} %"


def _shared(figures: Figures) -> str:
    kinds = [detail for detail in figures.details("read") if detail.endswith(".shared")]
    return _number(_count(figures, "read", *kinds) if kinds else 0)


def _storm(defended: bool) -> Callable[[Figures], str]:  # noqa: FBT001
    """What the lab's last storm of a hot key asked of the database."""

    def read(_figures: Figures) -> str:
        record: Any = last("hot-key")[defended]
        return _number(record["figures"]["questions"]) if record else "not yet"

    return read


def _refused(figures: Figures) -> str:
    return _number(_count(figures, "token", *_of_refusals(figures)) if _of_refusals(figures) else 0)


def _of_refusals(figures: Figures) -> list[str]:
    return [detail for detail in figures.details("token") if detail.startswith("refused")]


def _gauge(detail: str, unit: Callable[[float], str]) -> Callable[[Figures], str]:
    """What the cache's server said of itself, on an average of the minutes in which it was asked."""

    def read(figures: Figures) -> str:
        times = figures.count("server", CACHE, detail)
        return unit(figures.total("server", CACHE, detail) / times) if times else "none yet"

    return read


def _megabytes(size: float) -> str:
    return f"{size / 2**20:,.1f} MB"


MEASURES = {
    "cache-aside": Measure(
        {
            "from Redis": _share,
            "answers from Redis": lambda figures: _number(figures.hits()),
            "asked of the database": lambda figures: _number(figures.misses() + figures.bypasses()),
        },
        _reads,
        "cached reads",
    ),
    "invalidation": Measure(
        {
            "writes": lambda figures: _number(_of_timetable(figures, "write")),
            "answers ended by them": lambda figures: _number(_of_timetable(figures, "ended")),
        },
        lambda figures: _of_timetable(figures, "ended"),
        "answers ended",
    ),
    "stampede": Measure(
        {"questions without it": _storm(False), "and with it": _storm(True), "reads that waited here": _shared},
        lambda figures: _count(figures, "load"),
        "loads from the database",
    ),
    "throttling": Measure(
        {"let through": _counted("throttle", "allowed"), "denied": _counted("throttle", "denied")},
        lambda figures: _count(figures, "throttle", "denied"),
        "denials",
    ),
    "codes": Measure(
        {
            "codes sent": _counted("code", "issued", "resent"),
            "right": _counted("code", "verified"),
            "wrong": _counted("code", "wrong"),
        },
        lambda figures: _count(figures, "code"),
        "codes sent and tried",
    ),
    "devices": Measure(
        {"logged out": _counted("session", "logout"), "ended from elsewhere": _counted("session", "revoked")},
        lambda figures: _count(figures, "session"),
        "sessions ended",
    ),
    "tokens": Measure(
        {
            "calls with a token": _counted("throttle", "allowed", subject="api-token"),
            "made": _counted("token", "made"),
            "refused": _refused,
        },
        lambda figures: _count(figures, "throttle", "allowed", subject="api-token"),
        "calls with a token",
    ),
    "dashboard": Measure(
        {"of memory in use": _gauge("memory", _megabytes), "clients": _gauge("clients", _number)},
        lambda figures: figures.total("server", CACHE, "ops"),
        "commands that Redis did",
    ),
}
