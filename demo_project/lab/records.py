"""What the lab keeps: how each storm ended, which one is under way, and when each background task ran last.

Files in `var`, one record each, so that they can be read while Redis is away, and by every process.
"""

from __future__ import annotations

import json
from pathlib import Path
from time import time
from typing import Any

from demo_project import environment

__all__ = ["Record", "drop", "folder", "last_runs", "note_run", "read", "write"]

#: What a JSON object is in Python.
Record = dict[str, Any]


def folder() -> Path:
    """Where the records are."""
    path = environment.VAR / "lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


def write(name: str, record: Record) -> None:
    """Keep a record under this name in the place of the one before; readers see the one or the other, whole."""
    path = folder() / f"{name}.json"
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(record))
    beside.replace(path)


def read(name: str) -> Record | None:
    """The record of this name, if there is one."""
    try:
        record: Record = json.loads((folder() / f"{name}.json").read_text())
    except FileNotFoundError:
        return None
    return record


def drop(name: str) -> None:
    """Forget a record, if there is one."""
    (folder() / f"{name}.json").unlink(missing_ok=True)


def note_run(task: str, state: str, answer: Any) -> None:
    """A background task has run: note its end ("SUCCESS", "FAILURE"), and what it returned or raised."""
    write(f"task-{task}", {"task": task, "state": state, "answer": _said(answer), "when": time()})


def last_runs() -> list[Record]:
    """The last run of every background task, by name."""
    found = [read(path.stem) for path in sorted(folder().glob("task-*.json"))]
    return [record for record in found if record is not None]


def _said(answer: object) -> str:
    """What a task returned, as one reads it."""
    return "; ".join(f"{name}: {each}" for name, each in answer.items()) if isinstance(answer, dict) else str(answer)
