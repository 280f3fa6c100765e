"""Settings of the API tokens."""

from __future__ import annotations

from collections.abc import Sequence

from redis_toolkit.conf import validity
from redis_toolkit.conf.setting import Setting

__all__ = ["TokenSettings"]


class TokenSettings:
    """As attributes of ``redis_toolkit.conf.settings``."""

    TOKEN_PREFIX = Setting(
        "rtk_live",
        "What every token begins with, so that it is known for one wherever it turns up.",
        must="3 to 20 lower-case letters, digits and _",
        valid=validity.token_prefix,
    )
    TOKEN_STORE = Setting(
        "db+redis",
        "`db+redis`: a row of the database is the truth, and Redis remembers it for `TOKEN_CACHE_TTL`; `redis`: Redis"
        " alone, for tokens of which the loss is bearable.",
        must="'db+redis' or 'redis'",
        valid=validity.token_store,
    )
    TOKEN_TTL = Setting[int | None](
        90 * 86400,
        "Seconds that a token lives, unless it is made with another `ttl`. None: for ever (`db+redis` alone).",
        must="None or a whole number of seconds, 1 or more",
        valid=validity.size_or_none,
    )
    TOKEN_RENEW = Setting(
        False,
        "True: a token that is used lives for its ttl from then on, up to `TOKEN_ABSOLUTE_AGE`.",
        must="True or False",
        valid=validity.flag,
    )
    TOKEN_ABSOLUTE_AGE = Setting[int | None](
        365 * 86400,
        "Seconds after which a token that is renewed ends all the same. None: never.",
        must="None or a whole number of seconds, 1 or more",
        valid=validity.size_or_none,
    )
    TOKEN_CACHE_TTL = Setting(
        60,
        "Seconds that Redis remembers a token of the database. A row that was changed behind our back is noticed then.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    TOKEN_USE_INTERVAL = Setting(
        60,
        "Seconds within which a token's last use is written down once.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    TOKEN_LIMIT = Setting[int | None](
        None,
        "Most tokens that a user may have at once. None: no bound.",
        must="None or a whole number, 1 or more",
        valid=validity.size_or_none,
    )
    TOKEN_LIMIT_POLICY = Setting(
        "refuse",
        "What happens beyond `TOKEN_LIMIT`: `refuse` raises `TokenLimitReached`, `evict` revokes the oldest.",
        must="'evict' or 'refuse'",
        valid=validity.limit_policy,
    )
    TOKEN_SCOPES = Setting[Sequence[str]](
        (),
        "The scopes there are. Empty: any name. One of no name here is refused when a token is made.",
        must="a list of names",
        valid=validity.names,
    )
    TOKEN_ENDS_WITH_PASSWORD = Setting(
        True,
        "True: a user's tokens are revoked when the password is changed, as sessions are: who changes it because"
        " somebody else was in wants them out. False: tokens of machines outlive it.",
        must="True or False",
        valid=validity.flag,
    )
