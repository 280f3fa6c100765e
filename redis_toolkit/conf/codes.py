"""Settings of the one-time codes."""

from __future__ import annotations

from collections.abc import Sequence

from redis_toolkit.conf import validity
from redis_toolkit.conf.setting import Setting

__all__ = ["CodeSettings"]


class CodeSettings:
    """As attributes of ``redis_toolkit.conf.settings``."""

    OTP_PEPPERS = Setting[Sequence[str]](
        (),
        "Secrets with which codes are hashed: the first makes, and each is known. Empty: made of `SECRET_KEY` and"
        " `SECRET_KEY_FALLBACKS`.",
        must="a list of secrets",
        valid=validity.names,
    )
    OTP_DELIVERY = Setting(
        "redis_toolkit.otp.delivery.EmailDelivery",
        "Dotted path of the class that sends codes.",
        must="a dotted path",
        valid=validity.text,
    )
    OTP_SENDER = Setting[str | None](
        None,
        "Dotted path of a callable that has a worker send a code: `redis_toolkit.tasks.send_code` (Celery). None: it is"
        " sent within the request.",
        must="None or a dotted path",
        valid=validity.text_or_none,
    )
