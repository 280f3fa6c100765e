"""Charts as SVG, drawn by pygal where it is installed (``pip install redis-toolkit[dashboard]``); figures in any case.

What pygal draws is made fit for pages with a strict Content-Security-Policy: its style sheet, its script and its inline
styles are taken out, and the page's own style sheet colours it, in light and in dark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from math import ceil, floor, log2, log10
from typing import Any, Final
from xml.etree import ElementTree

from django.utils.safestring import SafeString, mark_safe

__all__ = ["Chart", "Series", "areas", "lines"]

_WIDTH: Final = 480
_HEIGHT: Final = 150
#: Words below the horizontal axis, at most.
_WORDS: Final = 5
#: Lines across it, at most, that of 0 aside.
_LINES: Final = 3
#: What pygal draws for its own script, and what a page has in other places.
_SUPERFLUOUS: Final = frozenset({"defs", "desc", "title"})
_NAMESPACE: Final = "http://www.w3.org/2000/svg"
_SVG: Final = f"{{{_NAMESPACE}}}"


@dataclass(frozen=True, slots=True)
class Series:
    """A row of values, None where nothing is known; ``colour``: a class of the style sheet (``hit``, ``denied``, …)."""

    name: str
    colour: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its figures. ``svg``: "" where there is no pygal, or nothing to draw."""

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    svg: SafeString
    rows: Sequence[tuple[str, Sequence[str]]]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to see."""
        return not any(value for each in self.series for value in each.values)


def areas(title: str, labels: Sequence[str], series: Sequence[Series], shown: Callable[[float], str]) -> Chart:
    """Areas stacked on each other, of whole numbers; ``shown`` writes a value for people."""
    sums = [sum(filter(None, values)) for values in zip(*(each.values for each in series), strict=True)]
    return _chart("StackedLine", title, labels, series, shown, _steps(max(sums, default=0), least=1))


def lines(
    title: str, labels: Sequence[str], series: Sequence[Series], shown: Callable[[float], str], *,
    top: float | None = None, is_size: bool = False,
) -> Chart:  # fmt: skip
    """Lines over each other, broken where a value is not known. ``top``: of the scale; None: by the greatest value.

    ``is_size``: bytes, of which a round number is a power of two.
    """
    greatest = max((value for each in series for value in each.values if value is not None), default=0)
    steps = [0, top / 2, top] if top is not None else _steps(greatest, is_size=is_size)
    return _chart("Line", title, labels, series, shown, steps)


def _steps(greatest: float, *, least: float = 0, is_size: bool = False) -> list[float]:
    """Values beside the vertical axis: from 0 in round steps, not smaller than ``least``, to above the greatest one."""
    rough = greatest / _LINES
    if rough <= 0:
        return [0, 1]
    if is_size:
        step = 2.0 ** ceil(log2(rough))
    else:
        power = 10.0 ** floor(log10(rough))
        step = next(times * power for times in (1, 2, 5, 10) if times * power >= rough * (1 - 1e-9))
    step = max(step, least)
    return [step * at for at in range(ceil(greatest / step - 1e-9) + 1)]


def _chart(
    kind: str, title: str, labels: Sequence[str], series: Sequence[Series], shown: Callable[[float], str],
    steps: Sequence[float],
) -> Chart:  # fmt: skip
    rows = [
        (label, ["" if each.values[at] is None else shown(each.values[at] or 0) for each in series])
        for at, label in enumerate(labels)
    ]
    made = Chart(title, labels, series, SafeString(""), rows)
    if made.is_empty or find_spec("pygal") is None:
        return made
    return Chart(title, labels, series, _drawn(kind, made, shown, steps), rows)


def _drawn(kind: str, chart: Chart, shown: Callable[[float], str], steps: Sequence[float]) -> SafeString:
    pygal, style = _pygal()
    every = max(1, -(-len(chart.labels) // _WORDS))
    drawing = getattr(pygal, kind)(
        width=_WIDTH, height=_HEIGHT, margin=4, js=[], css=[], fill=kind == "StackedLine", show_legend=False,
        show_dots=kind == "Line", dots_size=2,
        x_labels_major_every=every, show_minor_x_labels=False, truncate_label=-1,
        formatter=shown, value_formatter=shown, y_labels=list(steps), range=(steps[0], steps[-1]),
        style=style.Style(label_font_size=12, major_label_font_size=12),
    )  # fmt: skip
    drawing.x_labels = list(chart.labels)
    for each in chart.series:
        drawing.add(each.name, list(each.values))
    tree = _plain(drawing.render_tree())
    if kind == "Line":
        _keep_lonely(tree, chart.series)
    _strip(tree, [each.colour for each in chart.series])
    tree.attrib = {
        "xmlns": _NAMESPACE, "class": "chart", "viewBox": tree.get("viewBox", ""), "role": "img",
        "aria-label": chart.title,
    }  # fmt: skip
    # (All text in it was escaped when it was written as XML.)
    return mark_safe(ElementTree.tostring(tree, encoding="unicode"))  # noqa: S308


def _pygal() -> tuple[Any, Any]:
    """It and its styles, without the finder that it adds to the interpreter, of which each later import would warn."""
    before = list(sys.meta_path)
    found = import_module("pygal"), import_module("pygal.style")
    sys.meta_path[:] = [each for each in sys.meta_path if each in before or type(each).__module__ != "pygal"]
    return found


def _plain(element: Any) -> ElementTree.Element:
    """The same in elements of Python's own: where lxml is installed pygal draws in those of lxml."""
    made = ElementTree.Element(_tag(element), dict(element.attrib))
    made.text, made.tail = element.text, element.tail
    made.extend(_plain(child) for child in element if _tag(child))
    return made


def _keep_lonely(tree: ElementTree.Element, series: Sequence[Series]) -> None:
    """Take the dots of lines that have one point, of which nothing else is drawn, out of the layer that is dropped."""
    for at, each in enumerate(series):
        if sum(value is not None for value in each.values) == 1:
            shown, *layers = [group for group in tree.iter() if f"serie-{at}" in group.get("class", "").split()]
            shown.extend([dot for layer in layers for dot in layer.iter() if _tag(dot) == "circle"])


def _strip(element: ElementTree.Element, colours: Sequence[str]) -> None:
    """Take out what runs, what styles, and what says twice; name the colours."""
    for child in list(element):
        tag = _tag(child)
        if tag in _SUPERFLUOUS or "overlay" in child.get("class", ""):
            element.remove(child)
            continue
        child.attrib.pop("style", None)
        found: Any = child.get("class", "").split()
        for at, colour in enumerate(colours):
            if f"serie-{at}" in found:
                child.set("class", f"series {colour}")
        _strip(child, colours)


def _tag(element: ElementTree.Element) -> str:
    """Its name; of a comment none."""
    tag: Any = element.tag
    return tag.removeprefix(_SVG) if isinstance(tag, str) else ""
