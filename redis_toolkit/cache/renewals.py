"""Refreshing in another process: a due answer told to a worker of the project's, who makes it anew.

1. a reader is given what is there  2. the thread of its process (``refreshing.py``) tells a worker, by what
``REDIS_TOOLKIT_REFRESHER`` names  3. the worker asks the same question, finds it still due, loads and stores it.

No reader waits for a broker: the thread does, and where nobody can be told it makes the answer itself. A message says
*what* is asked, in plain values, and never how to answer: a function by the name under which it was declared, a row by
its model and key. One message at a time is on its way for an answer; a claim in Redis says so, until the worker is done
or it has run out, as the message has by then.
"""

from __future__ import annotations

import logging
import re
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any, Final, NamedTuple

from django.utils import timezone, translation
from django.utils.module_loading import import_string

from redis_toolkit.cache.reading import Question
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import CodecError, StoreUnavailable

__all__ = ["LIFE", "Message", "done", "forget", "read", "send"]

_log = logging.getLogger("redis_toolkit.cache")
#: Seconds for which nobody tells a worker of the same answer again; a message that is found later is late.
LIFE: Final = 60
#: What is told of a question: its kind, the language and the time zone of the reader, and what its kind wants to know.
_PARTS: Final = 4
#: Seconds for which nobody is told anything after that has failed: a broker that is away takes seconds to say so.
_PAUSE: Final = 30.0
_LANGUAGE: Final = re.compile(r"[A-Za-z0-9@_-]{1,40}\Z")

#: When the next may be told (monotonic).
_again = 0.0


class Message(NamedTuple):
    """What a worker is told: the ``kind`` of question, the reader's language and time zone, and ``what`` is asked."""

    kind: str
    language: str | None
    zone: str
    what: list[Any]


def send(question: Question) -> bool:
    """Tell a worker of ``question``. False if nobody could be told: then it is the caller's to answer anew."""
    written = None if settings.REFRESHER is None else _write(question)
    if settings.REFRESHER is None or written is None:
        return False
    global _again  # noqa: PLW0603 - one process, one broker
    if monotonic() < _again:
        return False
    target = link()
    try:
        if target.ask(pack(("SET", _claim(question), 1, "NX", "EX", LIFE))) is None:
            return True
    except StoreUnavailable:
        return False
    try:
        import_string(settings.REFRESHER)(written)
    except Exception as error:  # noqa: BLE001 - a broker's errors are of any class
        _log.warning("No worker could be told to refresh an answer, so this process does: %s", str(error))
        _again = monotonic() + _PAUSE
        done(question)
        return False
    return True


def forget() -> None:
    """Know of no broker that is away (for tests)."""
    global _again  # noqa: PLW0603
    _again = 0.0


def done(question: Question) -> None:
    """The next message of ``question`` may be sent."""
    # What cannot be said runs out.
    with suppress(StoreUnavailable):
        link().ask(pack(("DEL", _claim(question))))


def read(message: str) -> Message:
    """What :func:`send` has written. Raises ValueError for anything else."""
    try:
        found = decode_value(b64decode(message, validate=True))
    except (TypeError, ValueError, CodecError) as error:
        raise ValueError("This is no message of an answer to be made anew.") from error
    if not isinstance(found, list) or len(found) != _PARTS:
        raise ValueError("This is the message of another version.")
    # The language becomes a part of the names of files.
    if found[1] is not None and not (isinstance(found[1], str) and _LANGUAGE.match(found[1])):
        raise ValueError(f"{found[1]!r} is no language.")
    return Message(*found)


def _write(question: Question) -> str | None:
    """The message; None if the question, or what its answer may depend on, cannot be told."""
    # (A fixed offset, and a zone that was read from a file, have no name.)
    zone = getattr(timezone.get_current_timezone(), "key", None)
    if question.told is None or zone is None:
        return None
    kind, *what = question.told()
    try:
        return b64encode(encode_value([kind, translation.get_language(), zone, what])).decode()
    except CodecError:
        return None


def _claim(question: Question) -> str:
    return keys.make("o", keys.digest(question.key.encode()))
