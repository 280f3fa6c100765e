"""From a challenge to somebody's mailbox: within the process, or by a worker (``REDIS_TOOLKIT_OTP_SENDER``).

Pages that must not tell who has an account look for one, and send, after they have answered (:class:`AnswersFirst`,
:func:`complete`): what the database finds, and what a mail server takes its time for or refuses, is not in the answer
then, nor in its time. Who asks again on the same connection may still wait for it: only a worker hides it wholly. With
one a message is sent for nobody as well, whose record waits for no code, so that the worker does nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, Final, Unpack

from django.utils import translation
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.otp.accounts import mail_of, payload_of
from redis_toolkit.otp.answers import Issued
from redis_toolkit.otp.codes import OneTimeCode
from redis_toolkit.otp.delivery import DeliveryFailed, delivery
from redis_toolkit.otp.links import MagicLink
from redis_toolkit.otp.policies import Terms, Whose
from redis_toolkit.otp.subjects import Subject

__all__ = ["TOKEN", "AnswersFirst", "begin", "begin_again", "complete", "perform", "send", "send_or_cancel"]

#: What stands in the address of a link for its token.
TOKEN: Final = "_token_"  # noqa: S105 - the opposite of one
_log = logging.getLogger("redis_toolkit.otp")


def begin(purpose: OneTimeCode | MagicLink, subject: Subject, **terms: Unpack[Terms]) -> Issued:
    """Issue a code, or reserve one if a worker sends it. Raises as ``OneTimeCode.issue``."""
    return purpose.reserve(subject, **terms) if settings.OTP_SENDER else purpose.issue(subject, **terms)


def begin_again(
    purpose: OneTimeCode | MagicLink, challenge: str, *, holds: bool = False, **terms: Unpack[Whose]
) -> Issued:
    """The same for a challenge that is there; a decoy stays one. Raises as ``OneTimeCode.resend``."""
    return purpose.resend(challenge, reserve=settings.OTP_SENDER is not None, hold=holds, **terms)


@sensitive_variables("issued")
def send(purpose: OneTimeCode | MagicLink, issued: Issued, link: str = "") -> None:
    """Send it, or have a worker send it. ``link``: the address of a link, with TOKEN in it. Raises DeliveryFailed."""
    if settings.OTP_SENDER is None:
        _deliver(purpose, issued, link)
        return
    try:
        import_string(settings.OTP_SENDER)(_message(purpose, issued.challenge, link))
    except Exception as error:
        raise DeliveryFailed(f"No worker could be told to send a code: {type(error).__name__}.") from error


def send_or_cancel(purpose: OneTimeCode | MagicLink, issued: Issued, link: str = "") -> None:
    """The same; what could not be sent is cancelled and costs no quota. Raises DeliveryFailed, StoreUnavailable."""
    try:
        send(purpose, issued, link)
    except DeliveryFailed:
        purpose.cancel(issued)
        raise


def complete(purpose: OneTimeCode | MagicLink, held: Issued, find: Callable[[], Any | None], link: str = "") -> None:
    """Find the user to whom what is ``held`` goes, and send it, where nobody may know whether there is one.

    For afterwards, so it never raises: what goes wrong is logged, without the code. What is asked for again goes to
    whom it went before, if it went anywhere. What could not be sent is taken back, but its place in the cooldown and
    the quota stays: by these an address without an account, where nothing can fail, would be told from one with one.
    """
    try:
        is_directed = _direct(purpose, held, find)
        if settings.OTP_SENDER is not None:
            send(purpose, held, link)
        elif is_directed:
            _mint_and_deliver(purpose, held.challenge, link)
    except (DeliveryFailed, StoreUnavailable) as error:
        _log.warning("A code was not sent: %s", error)
    except Exception:  # noqa: BLE001 - of the database, or of a project's own `find`
        _log.exception("A code was not sent")


def _direct(purpose: OneTimeCode | MagicLink, held: Issued, find: Callable[[], Any | None]) -> bool:
    if held.is_resend and purpose.direct(held):
        return True
    user = find()
    to = mail_of(user)
    return bool(to) and purpose.direct(held, destination=to, payload={**payload_of(user), **(held.payload or {})})


def _mint_and_deliver(purpose: OneTimeCode | MagicLink, challenge: str, link: str, *, again: bool = False) -> bool:
    """False: nothing waits for a code. Raises DeliveryFailed, and has taken the code back then; StoreUnavailable."""
    issued = purpose.arm(challenge, again=again)
    if issued is None:
        return False
    try:
        _deliver(purpose, issued, link)
    except DeliveryFailed:
        purpose.disarm(issued)
        raise
    return True


class AnswersFirst:
    """Mix-in of responses: does something when the client has its answer. WSGI and ASGI servers close after sending."""

    _later: Callable[[], None] | None = None
    _language: str | None = None

    def afterwards(self, later: Callable[[], None]) -> None:
        """Do this when the answer is out, once, in the language of now; not if it never gets out. It must not raise."""
        self._later, self._language = later, translation.get_language()

    def close(self) -> None:
        """As Django's, and what is to be done afterwards, while the request still counts as running."""
        later, self._later = self._later, None
        try:
            if later is not None:
                with translation.override(self._language):
                    later()
        finally:
            super().close()  # type: ignore[misc]


def perform(message: str, *, again: bool = False) -> bool:
    """What a worker does with a message: mint the code, and send it. False: nothing waits for one.

    May be asked twice. ``again``: an attempt has failed before, perhaps without taking its code back. Raises
    DeliveryFailed and StoreUnavailable: ask again, another code will be minted.
    """
    asked: dict[str, Any] = json.loads(message)
    name = asked["purpose"]
    purpose = MagicLink(name) if asked["link"] else OneTimeCode(name, **asked["look"])
    with translation.override(asked["language"]):
        return _mint_and_deliver(purpose, asked["challenge"], asked["link"], again=again)


def _message(purpose: OneTimeCode | MagicLink, challenge: str, link: str) -> str:
    """What a worker is told: which challenge, and how its code looks. The worker need not know the view's purpose."""
    look = {"alphabet": purpose.alphabet, "length": purpose.length} if isinstance(purpose, OneTimeCode) else {}
    return json.dumps({
        "purpose": purpose.name, "look": look, "challenge": challenge, "link": link,
        "language": translation.get_language(),
    })  # fmt: skip


@sensitive_variables("issued", "address")
def _deliver(purpose: OneTimeCode | MagicLink, issued: Issued, link: str) -> None:
    address = link.replace(TOKEN, issued.code) if link else None
    try:
        delivery().send(
            issued.destination, "" if address else issued.code, purpose=purpose.name, expires_in=issued.expires_in,
            link=address,
        )  # fmt: skip
    except DeliveryFailed:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it raises
        # (Of a class of the project's own; without the cause, which may hold the code.)
        raise DeliveryFailed(f"{settings.OTP_DELIVERY} could not send a code: {type(error).__name__}.") from None
