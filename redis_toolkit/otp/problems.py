"""What is wrong with one-time codes, as system check messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.core import checks

from redis_toolkit.conf import Settings, settings
from redis_toolkit.otp.codes import declared
from redis_toolkit.otp.policies import MOST_SECONDS

__all__ = ["are_used", "of_deployment", "of_settings"]

#: 20 bits, which NIST SP 800-63B asks of a code, are six decimal digits to all who have written of it.
_FEWEST: Final = 10**6
_SHORTEST: Final = 32


def are_used() -> bool:
    """Whether the project declares any code."""
    return bool(declared())


def of_settings() -> Iterator[checks.CheckMessage]:
    """Codes that are guessed too easily or live too long, and peppers that are none."""
    for code in declared():
        if code.variety < _FEWEST:
            yield checks.Error(
                f"There are only {code.variety} codes for {code.name!r}: at five tries each one is soon guessed.",
                hint="Give it six digits or more (at least 20 bits: NIST SP 800-63B, OWASP ASVS 6.5.4).",
                id="redis_toolkit.E080",
            )
        if code.ttl > MOST_SECONDS:
            yield checks.Error(
                f"The codes for {code.name!r} live for {code.ttl:g} seconds.",
                hint=f"Let them live for {MOST_SECONDS} at most (NIST SP 800-63B, OWASP ASVS 6.5.5).",
                id="redis_toolkit.E081",
            )
    if Settings.OTP_PEPPERS.valid(settings.OTP_PEPPERS) and any(len(each) < _SHORTEST for each in settings.OTP_PEPPERS):
        yield checks.Error(
            f"REDIS_TOOLKIT_OTP_PEPPERS has one of fewer than {_SHORTEST} characters.",
            hint="python -c 'import secrets; print(secrets.token_urlsafe(48))' makes one.",
            id="redis_toolkit.E082",
        )


def of_deployment() -> Iterator[checks.CheckMessage]:
    """Codes whose pepper is no secret of its own. For ``check --deploy``."""
    if not declared() or not Settings.OTP_PEPPERS.valid(settings.OTP_PEPPERS):
        return
    given = list(settings.OTP_PEPPERS)
    if not given or settings.django("SECRET_KEY") in given:
        yield checks.Warning(
            "One-time codes are hashed with what is made of SECRET_KEY, which other things need as well.",
            hint="Give them a secret of their own in REDIS_TOOLKIT_OTP_PEPPERS.",
            id="redis_toolkit.W080",
        )
