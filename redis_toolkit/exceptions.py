"""The error tree. A class's docstring is its default message; the low-level reason is chained as ``__cause__``."""

from __future__ import annotations

import inspect
from typing import Any

__all__ = [
    "BadCursor",
    "BreakerOpen",
    "CacheOverloaded",
    "CodeRefused",
    "CodecError",
    "Misconfigured",
    "OutcomeUnknown",
    "RedisToolkitError",
    "SessionConflict",
    "SessionLimitReached",
    "SessionTooLarge",
    "StoreUnavailable",
    "Throttled",
    "TokenLimitReached",
    "UnknownScope",
]


class RedisToolkitError(Exception):
    """Something in redis_toolkit failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (inspect.getdoc(type(self)) or type(self).__name__).partition("\n\n")[0])


class Misconfigured(RedisToolkitError):
    """A setting or declaration cannot work as it stands."""


class StoreUnavailable(RedisToolkitError):
    """Redis could not be reached or refused the command; look at the chained cause and at the alias in CACHES."""


class BreakerOpen(StoreUnavailable):
    """Redis failed a moment ago and is not asked again until it answers a probe (REDIS_TOOLKIT_BREAKER_RETRY)."""


class OutcomeUnknown(StoreUnavailable):
    """A command that must not run twice was sent to Redis and no answer came: it may have been carried out, or not."""


class CacheOverloaded(RedisToolkitError):
    """The answer is not cached, and too many others are being loaded from the database (REDIS_TOOLKIT_LOADS).

    ``retry_after``: whole seconds after which to ask again.
    """

    def __init__(self, message: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Throttled(RedisToolkitError):
    """Too many requests: a throttle denied this one (``decision``)."""

    def __init__(self, message: str | None = None, *, decision: Any = None) -> None:
        if message is None and decision is not None:
            again = decision.retry_after_seconds
            wait = "" if again is None else f" It is allowed again in {again} s."
            message = f"Too many requests: the throttle {decision.name!r} denied this one.{wait}"
        super().__init__(message)
        self.decision = decision


class CodecError(RedisToolkitError):
    """A value cannot be turned into bytes and back without loss, or stored bytes are not what they should be."""


class BadCursor(RedisToolkitError, ValueError):
    """A cursor was not signed by this project for this list; begin at the first page."""


class SessionTooLarge(RedisToolkitError):
    """The session is larger than REDIS_TOOLKIT_SESSION_MAX_BYTES, and was not saved."""


class SessionConflict(RedisToolkitError):
    """Another request has changed a key of the session that is strict (REDIS_TOOLKIT_SESSION_STRICT) meanwhile."""


class SessionLimitReached(RedisToolkitError):
    """The user has as many sessions as REDIS_TOOLKIT_SESSION_LIMIT allows; end one of them first."""


class CodeRefused(RedisToolkitError):
    """No code was sent: ``reason``, and the seconds after which one may be (``retry_after``; None: not to be told)."""

    def __init__(self, message: str | None = None, *, reason: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after


class TokenLimitReached(RedisToolkitError):
    """The user has as many tokens as REDIS_TOOLKIT_TOKEN_LIMIT allows; revoke one of them first."""


class UnknownScope(RedisToolkitError, ValueError):
    """A token was asked for with a scope that REDIS_TOOLKIT_TOKEN_SCOPES does not name."""
