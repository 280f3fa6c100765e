"""Drawings of what happened, as shapes for a template: no script, no library, colours by the style sheet.

The two drawings of a storm have the same scales, so that they can be laid side by side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import Any

__all__ = ["LEGEND", "Bar", "Chart", "Line", "Word", "draw", "nice_step"]

WIDTH = 480
LEFT, RIGHT = 56, 472
TOP = 16
FOOT = 44  # for the words below the horizontal axis

#: What the colours mean, by the names that the style sheet knows.
LEGEND = {
    "spared": "answered without the database",
    "asked": "asked the database",
    "open": "breaker open",
    "away": "Redis away",
}


@dataclass(frozen=True)
class Bar:
    """A rectangle of one kind: a name of `LEGEND`, or "wait" or "end"."""

    x: str
    y: str
    width: str
    height: str
    kind: str


@dataclass(frozen=True)
class Line:
    """A line through points, "x,y x,y"; `kind` as for a bar, or "grid"."""

    points: str
    kind: str


@dataclass(frozen=True)
class Word:
    x: str
    y: str
    text: str
    anchor: str = "middle"


@dataclass
class Chart:
    """One drawing: its shapes, in the order they are painted, and the kinds that its legend has to explain."""

    height: int
    bars: list[Bar] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    width: int = WIDTH

    def bar(self, left: float, top: float, right: float, bottom: float, kind: str) -> None:
        """A rectangle; what is there is seen, however small it is."""
        height = max(bottom - top, 1.0)
        self.bars.append(Bar(_(left), _(bottom - height), _(max(right - left, 0.6)), _(height), kind))

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> None:
        self.lines.append(Line(" ".join(f"{_(x)},{_(y)}" for x, y in points), kind))

    def word(self, x: float, y: float, text: str, anchor: str = "middle") -> None:
        self.words.append(Word(_(x), _(y), text, anchor))

    def kinds(self) -> list[str]:
        used = {bar.kind for bar in self.bars} | {line.kind for line in self.lines}
        return [kind for kind in LEGEND if kind in used]


@dataclass(frozen=True)
class Panel:
    """A part of a chart with a vertical axis of its own, from 0 to `most`."""

    chart: Chart
    top: float
    bottom: float
    most: float

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * min(value / self.most, 1.0)

    def axis(self, unit: str, steps: int = 4) -> None:
        """Lines across and numbers beside them; `unit` stands above the topmost."""
        step = nice_step(self.most, steps)
        for number in range(floor(self.most / step) + 1):
            y = self.y(number * step)
            self.chart.line([(LEFT, y), (RIGHT, y)], "grid")
            self.chart.word(LEFT - 7, y + 4, f"{number * step:,.10g}", "end")
        self.chart.word(LEFT, self.top - 5, unit, "start")


@dataclass(frozen=True)
class Across:
    """The horizontal axis of a chart, from `first` to `last`."""

    first: float
    last: float

    def __call__(self, value: float) -> float:
        """Where a value lies."""
        return LEFT + (RIGHT - LEFT) * min((value - self.first) / (self.last - self.first), 1.0)


def nice_step(most: float, steps: int) -> float:
    """The smallest of 1, 2 or 5 times a power of ten by which `most` is reached in so many steps."""
    least = most / steps
    power: float = 10 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


def draw(storm: str, without: Any, with_: Any) -> tuple[Chart | None, Chart | None]:
    """The drawings of the last storm without the defence and with it, None for one that has not been."""
    drawing = DRAWINGS[storm]
    both = [record["series"] for record in (without, with_) if record is not None]
    first, second = (None if record is None else drawing(record["series"], both) for record in (without, with_))
    return first, second


def _waits(series: Any, both: list[Any]) -> Chart:
    chart = Chart(height=232)
    panel = Panel(chart, TOP, 206, _top(wait for each in both for wait, _ in each["waits"]))
    panel.axis("ms")
    waits = series["waits"]
    width = (RIGHT - LEFT) / len(waits)
    for number, (wait, asked) in enumerate(waits):
        left = LEFT + number * width
        right = left + width * (0.84 if width > 3 else 1)
        chart.bar(left, panel.y(wait), right, panel.bottom, "asked" if asked else "spared")
    chart.word(LEFT, panel.bottom + 18, "quickest", "start")
    chart.word(RIGHT, panel.bottom + 18, f"slowest of {len(waits):,} readers", "end")
    return chart


def _asked(series: Any, both: list[Any]) -> Chart:
    chart = Chart(height=250)
    points = [(0, 0), *series["asked"]]
    lookups = max(each["asked"][-1][0] for each in both)
    panel = Panel(chart, TOP, chart.height - FOOT, lookups)
    panel.axis("questions")
    x = Across(0, lookups)
    line = [(x(lookup), panel.y(asked)) for lookup, asked in points]
    chart.line([*line, (line[-1][0], panel.bottom), (LEFT, panel.bottom)], "asked area")
    chart.line(line, "asked")
    step = nice_step(lookups, 4)
    for number in range(floor(lookups / step) + 1):
        chart.word(x(number * step), panel.bottom + 18, f"{number * step:,.10g}")
    chart.word((LEFT + RIGHT) / 2, panel.bottom + 36, "lookups")
    return chart


def _expiries(series: Any, both: list[Any]) -> Chart:
    chart = Chart(height=250)
    panel = Panel(chart, TOP, chart.height - FOOT, _top(count for each in both for _, count in each["bars"]))
    panel.axis("answers")
    x = Across(53.5 * 60, 60.25 * 60)
    for second, count in series["bars"]:
        chart.bar(x(second) + 0.5, panel.y(count), x(second + 10) - 0.5, panel.bottom, "end")
    for minute in range(54, 61):
        chart.word(x(minute * 60), panel.bottom + 18, str(minute))
    chart.word((LEFT + RIGHT) / 2, panel.bottom + 36, "minutes after the last answer was stored")
    return chart


def _outage(series: Any, both: list[Any]) -> Chart:
    chart = Chart(height=360)
    end = max(series["phases"][-1], *(each["columns"][-1]["at"] for each in both))
    x = Across(0, end)
    answers = Panel(chart, 34, 170, _top(c["spared"] + c["asked"] for each in both for c in each["columns"]))
    waits = Panel(chart, 222, chart.height - FOOT, _top(c["longest"] for each in both for c in each["columns"]))
    hangs, gone, back, _over = series["phases"]
    chart.bar(x(hangs), 16, x(back), waits.bottom, "away")
    for begins, ends, said in ((hangs, gone, "hangs"), (gone, back, "gone")):
        chart.word(x((begins + ends) / 2), 12, said)
    answers.axis("answers", 3)
    waits.axis("longest wait, ms", 3)
    for column in series["columns"]:
        left, right = x(column["at"]) + 0.4, x(column["at"] + 0.1) - 0.4
        if column["spared"]:
            chart.bar(left, answers.y(column["spared"]), right, answers.bottom, "spared")
        if column["asked"]:
            level = answers.y(column["spared"])
            chart.bar(left, answers.y(column["spared"] + column["asked"]), right, level, "asked")
        chart.bar(left, waits.y(column["longest"]), right, waits.bottom, "wait")
    for opened, closed in _spells(series["breaker"], end):
        chart.bar(x(opened), 182, x(closed), 190, "open")
    for second in range(int(end) + 1):
        chart.word(x(second), waits.bottom + 18, str(second))
    chart.word((LEFT + RIGHT) / 2, waits.bottom + 36, "seconds")
    return chart


def _spells(changes: list[tuple[float, str]], end: float) -> list[tuple[float, float]]:
    """From when to when the breaker was not closed: half-open, or open again, goes on with what was open."""
    spells, since = [], None
    for at, state in changes:
        if state == "closed" and since is not None:
            spells.append((since, at))
            since = None
        elif state == "open" and since is None:
            since = at
    return spells if since is None else [*spells, (since, end)]


def _top(values: Iterable[float]) -> float:
    """Where the vertical axis ends: a little above the largest value."""
    most = max(values, default=0) or 1
    step = nice_step(most, 8)
    return ceil(most / step) * step


def _(number: float) -> str:
    return f"{number:.1f}"


DRAWINGS = {"hot-key": _waits, "absent-ids": _asked, "mass-expiry": _expiries, "outage": _outage}
