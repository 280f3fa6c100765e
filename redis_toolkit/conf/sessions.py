"""Settings of the sessions, and where all that guards a door is kept."""

from __future__ import annotations

from collections.abc import Sequence

from redis_toolkit.conf import validity
from redis_toolkit.conf.setting import Setting

__all__ = ["SessionSettings"]


class SessionSettings:
    """As attributes of ``redis_toolkit.conf.settings``."""

    DURABLE_ALIAS = Setting[str | None](
        None,
        "Name in `CACHES` (a django-redis cache) whose server holds sessions, codes and tokens: one that evicts nothing"
        " (`noeviction`), writes what it holds to a file, and is emptied by nobody (`cache.clear()` empties a whole"
        " database). None: the cache's (`REDIS_TOOLKIT_ALIAS`).",
        must="None or a name in CACHES",
        valid=validity.text_or_none,
    )
    SESSION_ABSOLUTE_AGE = Setting[int | None](
        None,
        "Seconds after which a session ends however much it is used, counted from its beginning, and anew when somebody"
        " else logs in. None: never.",
        must="None or a whole number of seconds, 1 or more",
        valid=validity.size_or_none,
    )
    SESSION_RENEW_SHARE = Setting(
        0.1,
        "Share of a session's life that must have gone before an unchanged save (`SESSION_SAVE_EVERY_REQUEST`) makes it"
        " longer. 0: each does.",
        must="a number from 0 to 0.9",
        valid=validity.share,
    )
    SESSION_MAX_BYTES = Setting(
        256 * 1024,
        "Largest session in bytes, as it is stored; a larger one is not saved (`SessionTooLarge`), and one of more than"
        " half of this is logged.",
        must="a whole number of bytes, 1 or more",
        valid=validity.whole,
    )
    SESSION_SEAL = Setting[str | None](
        None,
        "`signed`: who can write to Redis cannot make up what a session holds; `encrypted`: nor read it (needs the"
        " package cryptography). None: neither.",
        must="None, 'signed' or 'encrypted'",
        valid=validity.seal,
    )
    SESSION_KEYS = Setting[Sequence[str]](
        (),
        "Secrets of `SESSION_SEAL`: the first seals, and each opens. Empty: made of `SECRET_KEY` and"
        " `SECRET_KEY_FALLBACKS`.",
        must="a list of secrets",
        valid=validity.names,
    )
    SESSION_STRICT = Setting[Sequence[str]](
        (),
        "Keys of the session of which the last writer must have read what it replaces: otherwise `SessionConflict`.",
        must="a list of names",
        valid=validity.names,
    )
    SESSION_DEVICES = Setting(
        False,
        "True: a user's sessions are listed with the kind of browser and the network (IPv4 /24, IPv6 /48) they were"
        " begun from.",
        must="True or False",
        valid=validity.flag,
    )
    SESSION_LIMIT = Setting[int | None](
        None,
        "Most sessions that a user may have at once. None: no bound.",
        must="None or a whole number, 1 or more",
        valid=validity.size_or_none,
    )
    SESSION_LIMIT_POLICY = Setting(
        "evict",
        "What happens beyond `SESSION_LIMIT`: `evict` ends the oldest, `refuse` raises `SessionLimitReached`.",
        must="'evict' or 'refuse'",
        valid=validity.limit_policy,
    )
