"""What is known of a token: its record, a draft of one to be made, and how Redis has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from types import EllipsisType
from typing import Any, Final

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import UnknownScope
from redis_toolkit.tokens import texts
from redis_toolkit.tokens.moments import MICRO, date, microseconds

__all__ = [
    "LONGEST_NAME",
    "Draft",
    "Made",
    "Token",
    "check_scopes",
    "draft",
    "is_handle",
    "is_in_redis_alone",
    "lets_oldest_go",
    "life",
    "owner",
    "read",
]

#: Characters of a token's name.
LONGEST_NAME: Final = 100
_LONGEST_OWNER: Final = 255
_HANDLE_BYTES: Final = 8
_HANDLE: Final = re.compile("[0-9a-f]{16}")
#: What OAuth lets a scope be made of: anything printable but blanks, quotes and backslashes.
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,100}")
#: Microseconds: for a token that is renewed without an end. A hundred years.
_ALWAYS: Final = 86_400 * 36_500 * MICRO


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without its text, which nobody has but its owner.

    ``handle`` names it and is no secret: it was drawn by itself, and says nothing of the text. ``user_id`` is the
    user's primary key as text. ``expires`` and ``last_used`` may be None (never); all times are aware, in UTC, and a
    use is written down once in ``REDIS_TOOLKIT_TOKEN_USE_INTERVAL``.
    """

    handle: str
    user_id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime | None
    last_used: datetime | None

    def allows(self, *scopes: str) -> bool:
        """Whether it has all of these scopes."""
        return set(scopes) <= set(self.scopes)


@dataclass(frozen=True, slots=True)
class Made:
    """A token that has just been made. ``text`` is shown to its owner now, and never again: it is not kept."""

    # Not in what is printed of it: that ends up in logs, and in the pages of error trackers.
    text: str = field(repr=False)
    token: Token


@dataclass(frozen=True, slots=True)
class Draft:
    """A token to be made: ``life`` is its ttl, None for ever, ``age`` what it may be renewed to, 0: not at all."""

    user_id: str
    handle: str
    digest: str
    name: str
    scopes: tuple[str, ...]
    life: int | None
    age: int

    @property
    def latest(self) -> int:
        """Microseconds after which it ends, however often it is renewed."""
        return max(self.life or _ALWAYS, self.age)


def draft(text: str, user_id: str, name: str, scopes: Iterable[str], life: int | None) -> Draft:
    """A draft of a token of that ``text``; ``life`` in microseconds. Raises UnknownScope, ValueError."""
    given: object = name
    # (Names are shown in lists, and printed on terminals.)
    if not isinstance(given, str) or len(given) > LONGEST_NAME or not given.isprintable():
        raise ValueError(f"The name of a token is printable text of at most {LONGEST_NAME} characters.")
    age = 0
    if settings.TOKEN_RENEW and life is not None:
        age = _ALWAYS if settings.TOKEN_ABSOLUTE_AGE is None else round(settings.TOKEN_ABSOLUTE_AGE * MICRO)
        life = min(life, age)
    return Draft(user_id, token_hex(_HANDLE_BYTES), texts.digest(text), name, _known(check_scopes(scopes)), life, age)


def life(ttl: float | timedelta | EllipsisType | None) -> int | None:
    """The ttl of a new token, in microseconds; None: it does not end; ...: by the setting. Raises ValueError."""
    if isinstance(ttl, EllipsisType):
        ttl = settings.TOKEN_TTL
    if ttl is not None:
        return microseconds(ttl, "The ttl of a token")
    if is_in_redis_alone():
        raise ValueError(
            "A token that Redis alone keeps has a ttl. For ever is for REDIS_TOOLKIT_TOKEN_STORE='db+redis'."
        )
    return None


def is_in_redis_alone() -> bool:
    """Whether tokens have no rows, so that Redis is the truth."""
    return settings.TOKEN_STORE == "redis"  # noqa: S105 - the name of a store


def lets_oldest_go() -> bool:
    """Whether one token too many ends the oldest; else it is refused."""
    return settings.TOKEN_LIMIT_POLICY == "evict"  # noqa: S105 - the name of a policy


def owner(user: Any) -> str:
    """The primary key of ``user``, which may be that itself, as text. Raises ValueError for nobody."""
    key = getattr(user, "pk", user)
    # (The row of something else, a profile say, has a primary key as well: some other user's.)
    is_nobody = hasattr(key, "is_anonymous") or (hasattr(user, "_meta") and not hasattr(user, "is_authenticated"))
    if (
        not is_nobody
        and not isinstance(key, bool | type(None))
        and 0 < len(str(key)) <= _LONGEST_OWNER
        and "\0" not in str(key)
    ):
        return str(key)
    raise ValueError(f"Whose token? A user that has been saved, or the primary key of one, not {user!r}.")


def is_handle(text: object) -> bool:
    """Whether it is written like a handle. Nobody is asked about what is not: a database may choke on it."""
    return isinstance(text, str) and _HANDLE.fullmatch(text) is not None


def read(fields: Sequence[bytes | str]) -> Token:
    """The record that fields begin with: u, h, n, s, c, e, l. Raises ValueError."""
    user, handle, name, scopes, created, ends, used = (
        each.decode() if isinstance(each, bytes) else each for each in fields[:7]
    )  # fmt: skip
    try:
        made, ending, last = (date(int(each)) for each in (created, ends, used))
    except OverflowError as error:
        raise ValueError("A token has a time that is none.") from error
    if made is None:
        raise ValueError("A token was made at no time.")
    return Token(handle, user, name, tuple(scopes.split()), made, ending, last)


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes, each once. Raises UnknownScope for what is no scope's name."""
    # (They may come from JSON that nobody has looked at.)
    all_of_them: object = scopes
    if isinstance(all_of_them, str) or not isinstance(all_of_them, Iterable):
        raise UnknownScope(f"The scopes of a token are several names: ({scopes!r},), not {scopes!r}.")
    found: list[str] = []
    for scope in all_of_them:
        if not isinstance(scope, str) or _SCOPE.fullmatch(scope) is None:
            raise UnknownScope(f"A scope is 1 to 100 printable characters without blanks, not {scope!r}.")
        found.append(scope)
    return tuple(dict.fromkeys(found))


def _known(scopes: tuple[str, ...]) -> tuple[str, ...]:
    known = settings.TOKEN_SCOPES
    strange = next((scope for scope in scopes if known and scope not in known), None)
    if strange is not None:
        raise UnknownScope(f"There is no scope {strange!r}: REDIS_TOOLKIT_TOKEN_SCOPES does not name it.")
    return scopes
