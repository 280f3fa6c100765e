"""What a setting may be: tests of values, by what they ask for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from math import inf

__all__ = [
    "events",
    "flag",
    "fraction",
    "headers",
    "keeping",
    "limit_policy",
    "names",
    "not_negative",
    "part",
    "positive",
    "prefix",
    "rules",
    "seal",
    "share",
    "size_or_none",
    "text",
    "text_or_none",
    "token_prefix",
    "token_store",
    "whole",
    "whole_or_zero",
]

#: Those of ``redis_toolkit.signals``, which stands beside this package and is not imported.
_EVENTS = frozenset({
    "breaker_changed", "cache_failed", "cache_invalidated", "cache_read", "code_issued", "code_locked", "code_refused",
    "code_verified", "session_ended", "throttle_banned", "throttle_checked", "throttle_denied", "throttle_failed",
    "token_made", "token_refused", "token_revoked",
})  # fmt: skip


def positive(value: object) -> bool:
    """A number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf


def events(value: object) -> bool:
    """Names of signals."""
    return names(value) and isinstance(value, Collection) and _EVENTS.issuperset(value)


def not_negative(value: object) -> bool:
    """A number, 0 or more."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf


def share(value: object) -> bool:
    """A number from 0 to 0.9."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 0.9


def fraction(value: object) -> bool:
    """A number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def whole(value: object) -> bool:
    """A whole number, 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def rules(value: object) -> bool:
    """A dict of dicts."""
    return isinstance(value, Mapping) and all(isinstance(rule, Mapping) for rule in value.values())


def headers(value: object) -> bool:
    """A way to tell clients what is left."""
    return value in ("ietf", "legacy", "both", "off")


def keeping(value: object) -> bool:
    """How long the numbers of each minute, hour and day are kept."""
    return isinstance(value, Mapping) and set(value) <= {"minute", "hour", "day"} and all(map(whole, value.values()))


def whole_or_zero(value: object) -> bool:
    """A whole number, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def part(value: object) -> bool:
    """A number above 0, and 1 at most."""
    return fraction(value) and bool(value)


def prefix(value: object) -> bool:
    """Bits of an IPv6 address."""
    return isinstance(value, int) and not isinstance(value, bool) and 32 <= value <= 128


def seal(value: object) -> bool:
    """How sessions are kept."""
    return value in (None, "signed", "encrypted")


def limit_policy(value: object) -> bool:
    """What becomes of one too many."""
    return value in ("evict", "refuse")


def token_store(value: object) -> bool:
    """Where tokens are kept."""
    return value in ("db+redis", "redis")


def token_prefix(value: object) -> bool:
    """What tokens begin with."""
    return isinstance(value, str) and re.fullmatch("[a-z0-9_]{3,20}", value) is not None


def text(value: object) -> bool:
    """Text, and some."""
    return isinstance(value, str) and bool(value)


def flag(value: object) -> bool:
    """True or False."""
    return isinstance(value, bool)


def names(value: object) -> bool:
    """Several texts."""
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)


def text_or_none(value: object) -> bool:
    """Text, or None."""
    return value is None or text(value)


def size_or_none(value: object) -> bool:
    """A whole number, 1 or more, or None."""
    return value is None or whole(value)
