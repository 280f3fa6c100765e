"""A line on a terminal that shows how far a command is."""

from __future__ import annotations

import shutil
from typing import Any, Final

from redis_toolkit.core.clock import monotonic

__all__ = ["Bar"]

#: Seconds between two drawings.
_PACE: Final = 0.1
_WIDTH: Final = 30


class Bar:
    """Draws on ``stream`` if that is a terminal, and nothing on any other."""

    def __init__(self, stream: Any) -> None:
        self._stream: Any = stream
        self._is_seen: bool = stream.isatty()
        self._began = self._next = monotonic()
        self._name = ""

    def show(self, name: str, done: int, total: int | None) -> None:
        """Say that ``done`` of ``total`` (None: nobody knows) are done of ``name``."""
        now = monotonic()
        if not self._is_seen or (now < self._next and name == self._name and done != total):
            return
        if name != self._name:
            self._name, self._began = name, now
        self._next = now + _PACE
        rate = f"{done / (now - self._began):,.0f}/s" if now > self._began else ""
        line = f"{name} {_bar(done, total)} {rate}".rstrip()
        self._write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])

    def end(self) -> None:
        """Take the line away."""
        if self._is_seen and self._name:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        # (Django's own wrapper would end the line.)
        self._stream.write(text, ending="") if hasattr(self._stream, "style_func") else self._stream.write(text)
        self._stream.flush()


def _bar(done: int, total: int | None) -> str:
    if total is None:
        return f"{done:,}"
    full = _WIDTH if done >= total else _WIDTH * done // total
    return f"[{'#' * full}{'.' * (_WIDTH - full)}] {done:,} of {total:,}"
