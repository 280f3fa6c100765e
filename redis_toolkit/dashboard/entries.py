"""Entries of one subject: those that were read most, and those of a sample that were left alone for longest."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final, NamedTuple

from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _

from redis_toolkit.cache import transcripts
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.connections import link, pack
from redis_toolkit.dashboard.remembered import Remembered
from redis_toolkit.doctor.asking import Command, Inquiry
from redis_toolkit.exceptions import CodecError
from redis_toolkit.stats import hottest
from redis_toolkit.stats.names import masked

__all__ = ["Cold", "Warm", "coldest", "described", "most_read"]

#: Entries that are shown of each kind.
_SHOWN: Final = 10
#: Of how many entries of all subjects those of one are picked.
_PICKED: Final = 2000
#: Keys that the server looks at for one answer, answers, and entries whose idle time is asked.
_AT_ONCE: Final = 1000
_ANSWERS: Final = 10
_SAMPLE: Final = 200
#: Parts of a row's key: its room, the database, the model, the row.
_ROW: Final = 4
_LONGEST: Final = 48
_LONGEST_QUESTION: Final = 120
_WHERE: Final = re.compile(r"\bWHERE\b (.*)", re.DOTALL)
_DIGEST: Final = re.compile(r"[0-9a-f]{32}\Z")


#: To sum up the hours of a day, of which each has a thousand entries, takes a good part of a second: it is done once in
#: so many seconds, and not for each page that is looked at. (Of a month no more is known.)
_DAY: Final = 24
_SUMMED: Final = 60.0
_of_a_day: Final = Remembered(_SUMMED, lambda: hottest(hours=_DAY, limit=_PICKED))


class Warm(NamedTuple):
    """An entry that was read so many ``times``; ``what`` it is, for people."""

    what: str
    key: str
    times: int


class Cold(NamedTuple):
    """An entry that nobody has asked for in ``idle`` seconds, takes so many ``bytes``, and ends in ``ttl`` seconds."""

    what: str
    key: str
    idle: float
    bytes: int
    ttl: float | None


def most_read(subject: str, hours: int) -> list[Warm]:
    """The entries of ``subject`` read most in the last ``hours``. Two round trips. Raises StoreUnavailable.

    Of a day or longer: as it was a minute ago at most, and one round trip for most who look.
    """
    every = hottest(hours=hours, limit=_PICKED) if hours < _DAY else _of_a_day.get().answer
    found = [each for each in every if each.subject == subject][:_SHOWN]
    questions = _questions([each.key for each in found], subject)
    return [Warm(questions.get(each.key) or described(each.key), _short(each.key), each.times) for each in found]


def _questions(entries: list[str], label: str) -> dict[str, str]:
    """What was asked where a transcript lies beside an answer: the conditions, without the values in them."""
    places = {}
    for entry in entries:
        match keys.parts_of(entry):
            case ["q", place, digest]:
                places[entry] = keys.make(transcripts.ROOM, place, keys.escape(label.lower()), digest)
    if not places:
        return {}
    found = {}
    for (entry, key), data in zip(places.items(), link().ask(pack(("MGET", *places.values()))), strict=True):
        # (Another project, or anybody, may have written there.)
        with suppress(transcripts.Forged, CodecError):
            if data is not None:
                found[entry] = _conditions(transcripts.read(key, data, DEFAULT_DB_ALIAS).sql)
    return found


def _conditions(sql: str) -> str:
    where = _WHERE.search(sql)
    text = re.sub(r'"\w+"\.|["`]', "", where[1] if where else "")
    return text if len(text) <= _LONGEST_QUESTION else f"{text[:_LONGEST_QUESTION]}…"


def coldest(label: str) -> list[Cold] | None:
    """Of a sample of the rows of a model those that nobody has asked for, the longest first; None: nobody can say.

    A dozen round trips at most, on a connection of its own. (With an LFU policy the server keeps no idle times.) Raises
    StoreUnavailable.
    """
    with Inquiry(settings.ALIAS) as inquiry:
        found = _sample(inquiry, label.lower())
        asked: list[Command] = [
            command
            for key in found
            for command in (("OBJECT", "IDLETIME", key), ("MEMORY", "USAGE", key), ("PTTL", key))
        ]
        answers = inquiry.ask_all(asked)
    if found and all(each is None for each in answers[::3]):
        return None
    cold = [
        Cold(
            described(masked(key)),
            _short(masked(key)),
            float(idle),
            int(size or 0),
            left / 1000 if left and left > 0 else None,
        )
        for key, idle, size, left in zip(found, answers[::3], answers[1::3], answers[2::3], strict=True)
        if idle is not None
    ]
    return sorted(cold, key=lambda each: (-each.idle, each.key))[:_SHOWN]


def described(key: str) -> str:
    """What lies under a key, as far as that can be read from it."""
    parts = keys.parts_of(key)
    room = parts[0] if parts else ""
    if room == "r" and len(parts) == _ROW:
        return ", ".join(map(_pair, parts[-1].split(",")))
    if room == "q":
        return _("a query")
    return _("a result") if room == "f" else _("an entry")


def _pair(part: str) -> str:
    column, _equals, value = part.partition("=")
    shown = "…" if _DIGEST.match(value) else keys.unescape(value) or "…"
    return f"{keys.unescape(column) or column} = {shown}"


def _short(key: str) -> str:
    """A key without the prefix that all have, and without its middle if it is long."""
    text = key.removeprefix(keys.make(""))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 13]}…{text[-12:]}"


def _sample(inquiry: Inquiry, label: str) -> list[str]:
    found: dict[str, None] = {}
    cursor: Any = b"0"
    for _trip in range(_ANSWERS):
        answer = inquiry.ask("SCAN", cursor, "MATCH", keys.pattern("r"), "COUNT", _AT_ONCE)
        if answer is None:
            break
        cursor, batch = answer
        texts = (key.decode("utf-8", "replace") for key in batch)
        found.update((key, None) for key in texts if keys.parts_of(key)[2:3] == [keys.escape(label)])
        if cursor == b"0" or len(found) >= _SAMPLE:
            break
    return list(found)[:_SAMPLE]
