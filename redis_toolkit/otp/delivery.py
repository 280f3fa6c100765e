"""How a code gets to whom it is for: by mail, to the terminal, or by whatever a project can call (SMS).

``REDIS_TOOLKIT_OTP_DELIVERY`` names the class. One's own is a subclass of :class:`Delivery` with a ``hand_over``; it is
told the purpose, so one class may choose among several ways. Neither codes nor links are ever logged here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import ceil
from typing import Any, ClassVar

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils.module_loading import import_string
from django.views.decorators.debug import sensitive_variables

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import Misconfigured, RedisToolkitError
from redis_toolkit.otp.subjects import one_destination

__all__ = ["CallableDelivery", "ConsoleDelivery", "Delivery", "DeliveryFailed", "EmailDelivery", "delivery"]


class DeliveryFailed(RedisToolkitError):
    """A code could not be sent. What the cause says is left out: providers repeat the text of what they refuse."""


class Delivery:
    """A way to send codes; :meth:`hand_over` is what a subclass does itself."""

    @sensitive_variables("code", "link")
    def send(self, destination: str, code: str, *, purpose: str, expires_in: float, link: str | None = None) -> None:
        """Send ``code``, or a ``link`` (then ``code`` is empty), which lives for ``expires_in`` seconds.

        Raises ValueError for a destination that is not exactly one (a list, a name, a line of a header), and
        DeliveryFailed for whatever goes wrong on the way.
        """
        one = one_destination(destination)
        try:
            self.hand_over(one, code, purpose=purpose, expires_in=expires_in, link=link)
        except Exception as error:  # noqa: BLE001 - whatever a provider raises
            # (Without the cause: it may hold the text, and so the code.)
            raise DeliveryFailed(f"{type(self).__name__} could not send a code: {type(error).__name__}.") from None

    def hand_over(self, destination: str, code: str, *, purpose: str, expires_in: float, link: str | None) -> None:
        """Send it to a destination that was looked at. May raise anything."""
        raise NotImplementedError

    def words(self, template: str, **told: Any) -> str:
        """A template of ``redis_toolkit/otp/``, with ``minutes`` added, the life rounded up."""
        return render_to_string(f"redis_toolkit/otp/{template}", {**told, "minutes": ceil(told["expires_in"] / 60)})


class EmailDelivery(Delivery):
    """By Django's mail; templates: ``mail_subject.txt``, ``mail.txt``, ``mail.html`` of ``redis_toolkit/otp/``."""

    #: The sender; None: DEFAULT_FROM_EMAIL.
    from_email: ClassVar[str | None] = None

    @sensitive_variables("code", "link", "told", "text", "message")
    def hand_over(self, destination: str, code: str, *, purpose: str, expires_in: float, link: str | None) -> None:
        """One message, to one recipient."""
        if "@" not in destination:
            raise ValueError("A mail goes to an address.")
        told = {"code": code, "link": link, "purpose": purpose, "expires_in": expires_in}
        subject = " ".join(self.words("mail_subject.txt", **told).split())
        # So that out-of-office answers, which quote it, stay away (RFC 3834).
        headers = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}
        text = self.words("mail.txt", **told)
        message = EmailMultiAlternatives(subject, text, self.from_email, [destination], headers=headers)
        message.attach_alternative(self.words("mail.html", **told), "text/html")
        if not message.send():
            raise DeliveryFailed("The mail was not taken.")


class ConsoleDelivery(Delivery):
    """To the terminal, for development alone."""

    def hand_over(self, destination: str, code: str, *, purpose: str, expires_in: float, link: str | None) -> None:
        """A line on the standard output."""
        sys.stdout.write(f"[{purpose}] for {destination}, {expires_in:.0f} s: {link or code}\n")
        sys.stdout.flush()


class CallableDelivery(Delivery):
    """By a callable that takes a destination and a text, of a line or two (template ``sms.txt``).

    class Sms(CallableDelivery):
        call = staticmethod(provider.send_text)
    """

    call: Callable[[str, str], object] | None = None

    def __init__(self, call: Callable[[str, str], object] | None = None) -> None:
        if call is not None:
            self.call = call
        if self.call is None:
            raise Misconfigured(f"{type(self).__name__} has nothing to call: set its attribute 'call'.")

    @sensitive_variables("code", "link", "text")
    def hand_over(self, destination: str, code: str, *, purpose: str, expires_in: float, link: str | None) -> None:
        """Call it."""
        text = self.words("sms.txt", code=code, link=link, purpose=purpose, expires_in=expires_in).strip()
        if self.call is not None:
            self.call(destination, text)


def delivery() -> Delivery:
    """What ``REDIS_TOOLKIT_OTP_DELIVERY`` names. Raises ImportError for what is not there."""
    made: Delivery = import_string(settings.OTP_DELIVERY)()
    return made
