"""Draws the timelines of races: ``python -m docs.timelines`` lines them up where they stand, in each explanation.

A timeline is a fenced block of text, so that it reads as well in an editor, on a phone and in the dark. Its first row
names the lanes, each further one is a moment: who does something says what, and what Redis and the database then hold
stands beside it. Write ``lane | lane`` and ``deed | deed``; numbers, widths and line breaks are made here.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import wrap

__all__ = ["PAGE", "PAGES", "WIDEST", "Timeline", "drawn", "timelines"]

PAGES = sorted((Path(__file__).parent / "explanation").glob("*.md"))
#: That of the cache's protocol.
PAGE = Path(__file__).parent / "explanation" / "protocol.md"
#: Characters of the widest lane, and of the widest drawing.
LANE, WIDEST = 20, 94

_BLOCK = re.compile(r"^```text\n(?P<drawing>[^`]*?[|│][^`]*?)^```$", re.MULTILINE)
_RULE = re.compile(r"^[─┼\s]+$")
_NUMBER = re.compile(r"^\s*\d+\s")


class Timeline:
    """The lanes of a drawing and its moments, each with a text for each lane."""

    def __init__(self, drawing: str) -> None:
        first, *rest = (line for line in drawing.splitlines() if line.strip() and not _RULE.match(line))
        self.lanes = _cells(first)
        self.moments: list[list[str]] = []
        numbered = any(_NUMBER.match(line) for line in rest)
        for line in rest:
            texts = _cells(_NUMBER.sub("", line))
            texts += [""] * (len(self.lanes) - len(texts))
            if numbered and not _NUMBER.match(line):
                # The second line of a moment.
                texts = [f"{above} {below}".strip() for above, below in zip(self.moments.pop(), texts, strict=True)]
            self.moments.append(texts)

    def draw(self) -> str:
        """The drawing, lined up."""
        moments = [[wrap(text, LANE) for text in texts] for texts in self.moments]
        lanes = zip(([lane] for lane in self.lanes), *moments, strict=True)
        widths = [max(len(part) for broken in lane for part in broken) for lane in lanes]
        lines = [_line("", self.lanes, widths), "─┼─".join(["──", *("─" * width for width in widths)])]
        for number, broken in enumerate(moments, 1):
            for at in range(max(map(len, broken))):
                row = [parts[at] if at < len(parts) else "" for parts in broken]
                lines.append(_line("" if at else str(number), row, widths))
        return "\n".join(lines) + "\n"


def _cells(line: str) -> list[str]:
    cells = [cell.strip() for cell in re.split(r"[|│]", line)]
    # A drawing that is lined up has a lane of numbers before the others.
    return cells[1:] if "│" in line else cells


def _line(number: str, texts: list[str], widths: list[int]) -> str:
    cells = (text.ljust(width) for text, width in zip(texts, widths, strict=True))
    return " │ ".join([number.rjust(2), *cells]).rstrip()


def timelines(text: str) -> list[Timeline]:
    """The timelines of a page."""
    return [Timeline(found["drawing"]) for found in _BLOCK.finditer(text)]


def drawn(text: str) -> str:
    """The page with its timelines lined up."""
    return _BLOCK.sub(lambda found: f"```text\n{Timeline(found['drawing']).draw()}```", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(drawn(page.read_text("utf-8")), "utf-8")
