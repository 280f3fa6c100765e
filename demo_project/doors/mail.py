"""Where the demo's mail goes: into files of `var`, of which staff see a page, and to the terminal.

A toy. The codes in these letters let people in, so whoever reads them is let in as anybody; a project in earnest sends
its mail. They are in files and not in Redis, where codes are to be had as digests alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from time import time, time_ns

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

from demo_project import environment

__all__ = ["Letter", "Mailbox", "letters", "take"]

#: How many letters are kept.
MOST = 30
#: Whose letters are put aside: the demo's own visitors would fill the mailbox, and the terminal, of whoever looks on.
ASIDE = "@visitors.timetable.example"


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it was sent; `sent` is in seconds since the epoch."""

    to: str
    subject: str
    text: str
    sent: float

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.sent, timezone.get_current_timezone())

    @property
    def paragraphs(self) -> list[str]:
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


class Mailbox(BaseEmailBackend):
    """Django's `EMAIL_BACKEND`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            letter = Letter(", ".join(message.to), str(message.subject), str(message.body), time())
            aside = letter.to.endswith(ASIDE)
            _keep(letter, _folder(aside=aside))
            if not aside:
                sys.stdout.write(f"  Mail to {letter.to}: {' '.join(letter.paragraphs[:2])}\n")
                sys.stdout.flush()
        return len(email_messages)


def letters() -> list[Letter]:
    """What was sent, the latest first; but for what was put aside."""
    found = []
    for path in reversed(_paths(_folder())):
        try:
            found.append(_read(path))
        except FileNotFoundError:  # somebody has just sent another, and this was the oldest
            continue
    return found[:MOST]


def take(address: str) -> Letter | None:
    """The latest letter to one of the demo's visitors, who throws it away. None: there is none."""
    for path in reversed(_paths(_folder(aside=True))):
        letter = _read(path)
        if letter.to == address:
            path.unlink()
            return letter
    return None


def _folder(*, aside: bool = False) -> Path:
    path = environment.VAR / "mailbox" / ("visitors" if aside else "")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def _read(path: Path) -> Letter:
    return Letter(**json.loads(path.read_text()))


def _keep(letter: Letter, folder: Path) -> None:
    path = folder / f"{time_ns()}-{token_hex(4)}.json"
    beside = path.with_suffix(".new")
    beside.touch(mode=0o600)
    beside.write_text(json.dumps(asdict(letter)))
    beside.replace(path)
    for old in _paths(folder)[:-MOST]:
        old.unlink(missing_ok=True)
