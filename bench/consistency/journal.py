"""What a process notes while it runs. A kill -9 loses nothing that was noted before it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Journal", "Read", "events"]


class Read(NamedTuple):
    """One read: what was asked, when (CLOCK_MONOTONIC, one for all processes), how it was answered.

    ``outcome``: "hit", "miss", "bypass", or "plain" for a read that asked the database without any cache. ``own``: the
    reading process had just written these rows. ``answer``: (key, version, tag, group) of each row, or a number.
    """

    kind: str
    argument: Any
    began: float
    ended: float
    outcome: str
    own: bool
    answer: Any


class Journal:
    """A file of events, appended to; ``patience`` events are kept back so that readers do not wait for the disk."""

    def __init__(self, directory: Path, name: str, patience: int = 0) -> None:
        self.name = name
        self._file = os.open(directory / f"{name}.{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._patience = patience
        self._kept: list[bytes] = []

    def note(self, what: str, *details: Any) -> None:
        """Append one event."""
        self._kept.append(pickle.dumps((what, *details)))
        if len(self._kept) > self._patience:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the kernel, in one write: a kill comes before it or after."""
        if self._kept:
            os.write(self._file, b"".join(self._kept))
            self._kept.clear()


def events(directory: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Every event of every journal, with the name of its process."""
    for path in sorted(directory.iterdir()):
        with path.open("rb") as file:
            while file.peek(1):
                yield path.name, pickle.load(file)
