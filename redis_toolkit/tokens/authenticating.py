"""``authenticate``: whose token a text is. One round trip; of what is not written like a token none.

With ``db+redis`` a token that Redis does not remember costs a query and a second round trip more, and its use, once in
``REDIS_TOOLKIT_TOKEN_USE_INTERVAL``, an update of one row.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import Script, arun, run
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import token_refused
from redis_toolkit.tokens import barring, rows, texts
from redis_toolkit.tokens.entries import Token, is_in_redis_alone
from redis_toolkit.tokens.moments import MICRO, asked
from redis_toolkit.tokens.seals import unseal

__all__ = ["aauthenticate", "authenticate", "refuse"]

_TAKE: Final = Script("token_take")
_THERE, _ENDED, _BARRED = 1, -1, -2
_log = logging.getLogger("redis_toolkit.tokens")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of a text. ``lease``: the id under which its row would be read; empty: there are no rows."""

    digest: str
    lease: str

    @property
    def call(self) -> bytes:
        """What is asked of Redis."""
        interval = round(settings.TOKEN_USE_INTERVAL * MICRO)
        renews = int(settings.TOKEN_RENEW)
        return _TAKE.call(barring.key(self.digest), asked(), interval, renews, self.lease, rows.LEASE)


@sensitive_variables("text", "given", "rest")
def authenticate(text: str) -> Token | None:
    """Whose token ``text`` is; None: nobody's, and the signal ``token_refused`` says why.

    Whether the user may still log in is another question: :func:`authenticate_user`. Raises StoreUnavailable while
    Redis is away, and nobody is let in; with ``db+redis`` the database answers then, and its errors are raised.
    """
    question = _question(text)
    if question is None:
        refuse("malformed")
        return None
    answer: Any = None
    try:
        [answer] = run(link(settings.DURABLE_ALIAS), [question.call])
    except StoreUnavailable:
        if not question.lease:
            raise
    found = _told(question, answer)
    if found is None:
        found = _looked_up(question, answer)
    if isinstance(found, str):
        refuse(found)
        return None
    return found


@sensitive_variables("text", "given", "rest")
async def aauthenticate(text: str) -> Token | None:
    """:func:`authenticate` for coroutines: Redis is waited for without a thread, the database in one."""
    question = _question(text)
    if question is None:
        await token_refused.asend_robust(sender=None, reason="malformed")
        return None
    answer: Any = None
    try:
        [answer] = await arun(settings.DURABLE_ALIAS, [question.call])
    except StoreUnavailable:
        if not question.lease:
            raise
    found = _told(question, answer)
    if found is None:
        found = await sync_to_async(_looked_up)(question, answer)
    if isinstance(found, str):
        # (Receivers that ask the database are called in a thread.)
        await token_refused.asend_robust(sender=None, reason=found)
        return None
    return found


def refuse(reason: str) -> None:
    """Say that a token was refused, and why."""
    token_refused.send_robust(sender=None, reason=reason)


def _question(text: str) -> _Question | None:
    if not texts.is_whole(text, settings.TOKEN_PREFIX):
        return None
    lease = "" if is_in_redis_alone() else token_hex(8)
    return _Question(texts.digest(text), lease)


def _told(question: _Question, answer: Any) -> Token | str | None:
    """The token, or why there is none, by what Redis said (None: it is away); None: the rows are asked, or told."""
    if answer is None:
        return None
    state = answer[0]
    if state == _ENDED:
        return "expired"
    if state == _THERE:
        token = _read(question, answer)
        if question.lease:
            return None if answer[1] else token
        return "forged" if token is None else token
    if question.lease:
        return None
    return "revoked" if state == _BARRED else "unknown"


def _looked_up(question: _Question, answer: Any) -> Token | str:
    """The token, or why there is none, by its row. ``answer``: what Redis said, as above."""
    if answer is None:
        return rows.load(question.digest, None)
    if answer[0] == _THERE:
        token = _read(question, answer)
        if token is None:
            return rows.load(question.digest, None)
        return rows.used(question.digest, token, answer[2:], is_renewed=answer[1] >= 2)
    # (Barred: its row may be there still, or again: the transaction that changes it has not ended, or was rolled back.)
    lease = (question.lease, int(answer[1])) if len(answer) > 1 else None
    found = rows.load(question.digest, lease)
    return "revoked" if answer[0] == _BARRED and found == "unknown" else found


def _read(question: _Question, answer: Any) -> Token | None:
    """The token that Redis has; None: somebody else has written it."""
    token = unseal(question.digest, answer[2:], is_copy=bool(question.lease))
    if token is None:
        _log.error(
            "What Redis has of a token was not written by who knows SECRET_KEY (or one of SECRET_KEY_FALLBACKS), and is"
            " not believed."
        )
    return token
