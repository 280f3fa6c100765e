"""The README's table: the other measurements in short, ours beside what one would take instead."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bench.doors.plan import CHANGE, GOOD, LOAD
from bench.figures import ratio
from bench.report import packages
from bench.throttle.plan import ALLOWED, DENIED

__all__ = ["HEAD", "LINES", "PARTS", "Line", "as_markdown", "only", "parts_of"]

HEAD = ("", "redis_toolkit", "Django itself", "others")
#: What is measured for it, each by its own name after ``python -m bench``.
PARTS = ("reads", "throttle", "sessions", "tokens", "stampede")
#: The one storm of which the loads are told.
STORM = "expired"
_OTHERS = (
    "djangorestframework", "django-ratelimit", "django-rest-knox", "django-qsessions", "limits",
)  # fmt: skip


class Line(NamedTuple):
    """A row of the table: what was asked, in which measurement, and whom it compares, each as a label and a name."""

    title: str
    part: str
    case: str
    ours: str
    django: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]


_STORES = (("PostgreSQL", "django-postgres"), ("SQLite", "django-sqlite"))
_ORMS = (("django-cacheops", "cacheops"), ("django-cachalot", "cachalot"))
LINES = (
    Line("`get(pk=…)`, a hit", "reads", "get", "ours", _STORES, _ORMS),
    Line("a list of 50 rows with 3 relations, a hit", "reads", "week", "ours", _STORES, _ORMS),
    Line("`count()`, a hit", "reads", "count", "ours", _STORES, _ORMS),
    Line(
        "`save()`, which ends what is cached", "reads", "save", "ours-postgres", (("PostgreSQL", "django-postgres"),),
        (("django-cacheops", "cacheops-postgres"), ("django-cachalot", "cachalot-postgres")),
    ),
    Line(
        "a limit is checked, allowed", "throttle", ALLOWED, "ours-gcra", (),
        (("django-ratelimit", "ratelimit"), ("limits", "limits-sliding")),
    ),
    Line("the same, denied", "throttle", DENIED, "ours-gcra", (), (("django-ratelimit", "ratelimit"),)),
    Line("a throttle of Django REST framework", "throttle", ALLOWED, "ours-drf", (), (("its own", "drf"),)),
    Line(
        "a session is loaded", "sessions", LOAD, "ours",
        (("`db`", "django-db"), ("`cached_db`", "django-cached-db"), ("`cache`", "django-cache")),
        (("django-qsessions", "qsessions"),),
    ),
    Line(
        "a session is loaded and saved", "sessions", CHANGE, "ours",
        (("`db`", "django-db"), ("`cached_db`", "django-cached-db"), ("`cache`", "django-cache")),
        (("django-qsessions", "qsessions"),),
    ),
    Line(
        "an API token is checked, its user loaded", "tokens", GOOD, "ours-rows", (),
        (("Django REST framework", "drf"), ("django-rest-knox", "knox")),
    ),
    Line(
        "callers of one entry that has expired: loads", "stampede", STORM, "ours", (("`get_or_set`", "django"),),
        (("django-cacheops", "cacheops"), ("with `lock=True`", "cacheops-lock"), ("django-cachalot", "cachalot")),
    ),
)  # fmt: skip


def only(part: str) -> str:
    """Whom a measurement is to compare for the table, as its ``--only`` takes it."""
    names = [name for line in LINES if line.part == part for name in (line.ours, *_names(line))]
    return ",".join(dict.fromkeys(names))


def _names(line: Line) -> list[str]:
    return [name for _, name in (*line.django, *line.others)]


def parts_of(chosen: str | None) -> tuple[str, ...]:
    """The measurements named in a comma-separated list; all without one. Raises ``ValueError`` on a name unknown."""
    if chosen is None:
        return PARTS
    names = [name.strip() for name in chosen.split(",")]
    if unknown := set(names) - set(PARTS):
        raise ValueError(f"no part of the summary is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in names)


def as_markdown(parts: Mapping[str, Mapping[str, Any]], transport: str) -> str:
    """The table of what was measured (the data of each part's ``--json``), and below it when, where and how."""
    rows = [HEAD, (":--", "--:", "--:", "--:"), *(_row(line, parts[line.part]) for line in LINES if line.part in parts)]
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows]) + f"\n\n{_about(parts, transport)}\n"


def _row(line: Line, data: Mapping[str, Any]) -> tuple[str, ...]:
    if line.part == "stampede":
        about = data["about"]
        cells = (_loads(data["turns"][line.case], (("", line.ours),)), *_pairs(line, data))
        return (f"{about['processes'] * about['callers']} {line.title}", *cells)
    return (line.title, f"{median(_times(line, data, line.ours)):,.0f} µs", *_pairs(line, data))


def _pairs(line: Line, data: Mapping[str, Any]) -> tuple[str, str]:
    if line.part == "stampede":
        turns = data["turns"][line.case]
        return _loads(turns, line.django), _loads(turns, line.others)
    return _ratios(line, data, line.django), _ratios(line, data, line.others)


def _times(line: Line, data: Mapping[str, Any], name: str) -> list[float]:
    times = data["microseconds"]
    by_name = line.part in {"sessions", "tokens"}
    found = times.get(name, {}).get(line.case) if by_name else times[line.case].get(name)
    return list(found["rounds"]) if found else []


def _ratios(line: Line, data: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> str:
    ours = _times(line, data, line.ours)
    there = [(label, _times(line, data, name)) for label, name in pairs]
    return ", ".join(f"{label} {_written(ratio(times, ours))}" for label, times in there if times)


def _written(value: float) -> str:
    return f"× {value:.0f}" if value >= 9.95 else f"× {value:.1f}"  # noqa: RUF001 - what it means


def _loads(turns: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> str:
    told = [(label, turns.get(name)) for label, name in pairs]
    return ", ".join(f"{label} {median(turn['loads'] for turn in found):.0f}".strip() for label, found in told if found)


def _about(parts: Mapping[str, Mapping[str, Any]], transport: str) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in packages(_OTHERS).items())
    servers = {name: number for data in parts.values() for name, number in data["about"]["servers"].items()}
    told = ", ".join(f"{name} {number}" for name, number in sorted(servers.items()))
    return (
        f"Measured {dt.datetime.now(dt.UTC):%Y-%m-%d} by `make bench ARGS=summary` on {_machine()};\n"
        f"Redis by {transport}, all in turns. Python {platform.python_version()}, {versions};\n{told}."
    )


def _machine() -> str:
    """The processors, as Linux names them; elsewhere as Python does."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text("utf-8").splitlines() if told.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} processors ({name}), {platform.system()}"
