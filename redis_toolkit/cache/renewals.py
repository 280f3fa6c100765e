"""Refreshing in another process: a due answer told to a worker of the project's, who makes it anew.

1. a reader is given what is there  2. the thread of its process (``refreshing.py``) tells a worker, by what
``REDIS_TOOLKIT_REFRESHER`` names  3. the worker asks the same question, finds it still due, loads and stores it.

No reader waits for a broker: the thread does, and where nobody can be told it makes the answer itself. A message says
*what* is asked, in plain values, and never how to answer: a function by the name under which it was declared, a row by
its model and key. It is signed with ``SECRET_KEY``: whoever may write to the broker can send no other.

One message at a time is on its way for an answer; a claim in Redis says so, until the worker is done or it has run out,
as the message has by then. Only who has the claim's id ends it: a worker that comes late ends no later claim.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from contextlib import suppress
from secrets import token_hex
from typing import Any, Final, NamedTuple

from django.core.signing import BadSignature, Signer
from django.utils import timezone, translation
from django.utils.module_loading import import_string

from redis_toolkit.cache.reading import Question
from redis_toolkit.conf import settings
from redis_toolkit.core import keys
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.codecs import decode_value, encode_value
from redis_toolkit.core.connections import link, pack
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import CodecError, StoreUnavailable

__all__ = ["LIFE", "Message", "done", "forget", "is_of", "read", "send"]

_log = logging.getLogger("redis_toolkit.cache")
_END: Final = Script("cache_renewed")
#: Seconds for which nobody tells a worker of the same answer again; a message that is found later is late.
LIFE: Final = 60
#: Seconds for which nobody is told anything after that has failed: a broker that is away takes seconds to say so.
_PAUSE: Final = 30.0
#: The first part of a message: what its others mean.
_VERSION: Final = 1

#: When the next may be told (monotonic).
_again = 0.0


class Message(NamedTuple):
    """What a worker is told.

    The ``kind`` of question, the reader's language and time zone, and ``what`` is asked; the digest of the answer's
    key, and the id of the claim.
    """

    version: int
    kind: str
    language: str | None
    zone: str
    what: list[Any]
    key: str
    claim: str


def send(question: Question) -> bool:
    """Tell a worker of ``question``. False if nobody could be told: then it is the caller's to answer anew."""
    global _again  # noqa: PLW0603 - one process, one broker
    if settings.REFRESHER is None or monotonic() < _again:
        return False
    claim = token_hex(8)
    written = _write(question, claim)
    if written is None:
        return False
    try:
        # Once: sent again on another connection it would find itself there, and nobody would be told.
        command = pack(("SET", _claim(question), claim, "NX", "EX", LIFE))
        if link().ask_many(command, 1, idempotent=False)[0] is None:
            return True
    except StoreUnavailable:
        return False
    try:
        import_string(settings.REFRESHER)(written)
    except Exception as error:  # noqa: BLE001 - a broker's errors are of any class
        _log.warning("No worker could be told to refresh an answer, so this process does: %s", str(error))
        _again = monotonic() + _PAUSE
        done(question, claim)
        return False
    return True


def forget() -> None:
    """Know of no broker that is away (for tests)."""
    global _again  # noqa: PLW0603
    _again = 0.0


def done(question: Question, claim: str) -> None:
    """The next message of ``question`` may be sent, unless another than that of ``claim`` was sent already."""
    # What cannot be said runs out.
    with suppress(StoreUnavailable):
        run(link(), [_END.call(_claim(question), claim)])


def read(message: str) -> Message:
    """What :func:`send` has written. Raises ValueError for anything else."""
    try:
        found = decode_value(b64decode(_signer().unsign(message)))
    except (AttributeError, TypeError, BadSignature, CodecError, ValueError) as error:
        raise ValueError("This is no message of this project's (SECRET_KEY) of an answer to be made anew.") from error
    if not isinstance(found, list) or found[:1] != [_VERSION]:
        raise ValueError("This is the message of another version of redis_toolkit.")
    return Message(*found)


def is_of(told: Message, question: Question) -> bool:
    """Whether it was told of this ``question``: a worker with other routers or settings asks another one."""
    return told.key == keys.digest(question.key.encode())


def _write(question: Question, claim: str) -> str | None:
    """The message; None if the question, or what its answer may depend on, cannot be told."""
    # (A fixed offset, and a zone that was read from a file, have no name.)
    zone: str | None = getattr(timezone.get_current_timezone(), "key", None)
    told = None if question.told is None else question.told()
    if told is None or zone is None:
        return None
    kind, *what = told
    parts = Message(_VERSION, kind, translation.get_language(), zone, what, keys.digest(question.key.encode()), claim)
    try:
        return _signer().sign(b64encode(encode_value(list(parts))).decode())
    except CodecError:
        return None


def _claim(question: Question) -> str:
    return keys.make("o", keys.digest(question.key.encode()))


def _signer() -> Signer:
    return Signer(salt="redis_toolkit.cache.renewals")
