"""Charts: what of pygal's drawing reaches the page, and what is there without it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from redis_toolkit.dashboard import charts
from redis_toolkit.dashboard.charts import Chart, Series, areas, lines
from redis_toolkit.dashboard.units import duration, percent, size

TIMES = ["12:00", "12:01", "12:02", "12:03"]


def texts(svg: str, axis: str) -> list[str]:
    """What stands beside an axis."""
    part = svg.partition(f'class="axis {axis}')[2].partition('class="axis x')[0]
    return re.findall(r"<text[^>]*>([^<]*)</text>", part)


def test_it_keeps_to_a_strict_policy() -> None:
    """No style, no script, no address but the name of the format; a name for who cannot see it."""
    chart = areas("Reads", TIMES, [Series("hits", "hit", [1, 2, 3, 4]), Series("misses", "miss", [4, 3, 2, 1])], str)
    assert re.findall(r"<(?:script|style|defs|desc|title|foreignObject)\b|\sstyle=|\son\w+=|href", chart.svg) == []
    assert re.findall(r"https?:[^\"]*", chart.svg) == ["http://www.w3.org/2000/svg"]
    assert 'role="img" aria-label="Reads"' in chart.svg
    assert re.findall(r'class="series (\w+)"', chart.svg) == ["hit", "miss"]
    assert chart.rows[1] == ("12:01", ["2", "3"])


def test_what_is_written_into_it_is_escaped() -> None:
    """A title or a label that looks like markup is text."""
    chart = areas('<b>"&', ["<i>", "b"], [Series("<u>", "hit", [1, 2])], str)
    assert re.findall(r"<[biu]>", chart.svg) == []
    assert 'aria-label="&lt;b&gt;&quot;&amp;"' in chart.svg
    assert "&lt;i&gt;" in chart.svg


@pytest.mark.parametrize(
    ("values", "beside"),
    [
        ([1], ["0", "1"]),
        ([2, 3], ["0", "1", "2", "3"]),
        ([7], ["0", "5", "10"]),
        ([120], ["0", "50", "100", "150"]),
        ([153], ["0", "100", "200"]),
    ],
)
def test_whole_numbers_stand_beside_areas(values: list[float], beside: list[str]) -> None:
    """In round steps, none twice, up to above the greatest sum."""
    chart = areas("Reads", TIMES[: len(values)], [Series("hits", "hit", values)], lambda value: f"{value:.0f}")
    assert texts(chart.svg, "y") == beside


def test_what_stands_beside_lines() -> None:
    """Of shares all of it, of times round ones, of bytes powers of two."""
    assert texts(lines("Ratio", TIMES, [Series("r", "hit", [0.1, 0.2, 0.1, 0.2])], percent, top=1).svg, "y") == [
        "0 %", "50 %", "100 %",
    ]  # fmt: skip
    assert texts(lines("Time", TIMES, [Series("t", "hit", [0.0093, None, 0.001, 0.002])], duration).svg, "y") == [
        "0 ms", "5 ms", "10 ms",
    ]  # fmt: skip
    assert texts(lines("Size", TIMES, [Series("s", "hit", [2.4e6] * 4)], size, is_size=True).svg, "y") == [
        "0 B", "1 MB", "2 MB", "3 MB",
    ]  # fmt: skip


def test_few_labels_below() -> None:
    """Of sixty minutes every twelfth is shown."""
    labels = [f"12:{at:02}" for at in range(60)]
    svg = areas("Reads", labels, [Series("hits", "hit", list(range(60)))], str).svg
    shown = re.findall(r'<text[^>]*class="major[^"]*"[^>]*>(12:\d\d)</text>', svg)
    assert shown == ["12:00", "12:12", "12:24", "12:36", "12:48"]


def test_a_single_point_is_seen() -> None:
    """A line of one point is a dot, beside one that is a line; what is not known is not 0."""
    chart = lines(
        "Time", TIMES, [Series("t", "time", [None, 2.0, None, None]), Series("u", "hit", [1.0, None, 2.0, 3.0])], str
    )
    assert chart.svg.count("<circle") == 1
    assert re.search(r'class="series time"><circle', chart.svg)
    assert [values for _, values in chart.rows] == [["", "1.0"], ["2.0", ""], ["", "2.0"], ["", "3.0"]]


class Foreign:
    """An element of another library than Python's own, as pygal's are where lxml is installed; with a comment in it."""

    def __init__(self, element: Any) -> None:
        self.tag = element.tag
        # (lxml keeps the name of the format apart.)
        self.attrib = {name: value for name, value in element.attrib.items() if name != "xmlns"}
        self.text, self.tail = element.text, element.tail
        self._children = list(element)

    def __iter__(self) -> Iterator[Foreign]:
        yield Foreign(ElementTree.Comment("drawn by pygal"))
        yield from map(Foreign, self._children)


@pytest.mark.parametrize("draw", [areas, lines])
def test_by_whomever_the_elements_are(draw: Callable[..., Chart], monkeypatch: pytest.MonkeyPatch) -> None:
    """The drawing is the same with another library's elements, a single point included."""
    series = [Series("t", "time", [None, 2.0, None, None]), Series("<u>", "hit", [1.0, 2.0, 2.0, 3.0])]
    own = draw("Time", TIMES, series, str).svg
    drawing = charts._pygal()[0].graph.public.PublicApi
    drawn = drawing.render_tree
    monkeypatch.setattr(drawing, "render_tree", lambda self: Foreign(drawn(self)))
    assert draw("Time", TIMES, series, str).svg == own
    assert own.count("xmlns=") == 1


@pytest.mark.parametrize("values", [[0, 0], [None, None], []])
def test_nothing_to_see(values: list[Any]) -> None:
    """Nothing is drawn of nothing."""
    chart = lines("Time", TIMES[: len(values)], [Series("t", "time", values)], str)
    assert (chart.is_empty, chart.svg) == (True, "")


def test_without_pygal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures are there, and no drawing."""
    monkeypatch.setattr(charts, "find_spec", lambda _name: None)
    chart = areas("Reads", TIMES, [Series("hits", "hit", [1, 2, 3, 4])], str)
    assert (chart.svg, chart.is_empty, len(chart.rows)) == ("", False, 4)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"), (0.00006, "0.06 ms"), (0.00169, "1.69 ms"), (0.026, "26 ms"), (-0.0035, "-3.50 ms"), (1, "1 s"),
        (8.24, "8.2 s"), (65, "1.1 min"), (3600, "1 h"), (360_000, "100 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    """In a unit that fits, with as many places as tell something."""
    assert duration(seconds) == said


def test_sizes_and_shares() -> None:
    """Units of 1024 bytes; shares are rounded down, so that 100 % is all of it."""
    assert [size(each) for each in (0, 1023, 1024, 1500, 2.4e6, 5e9)] == [
        "0 B", "1,023 B", "1 KB", "1.5 KB", "2.3 MB", "4.7 GB",
    ]  # fmt: skip
    assert [percent(each) for each in (0, 0.29, 0.999, 1)] == ["0 %", "29 %", "99 %", "100 %"]
