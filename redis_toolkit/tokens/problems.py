"""What is wrong with tokens, as system check messages: the settings and the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from django.core import checks

from redis_toolkit.conf import Settings, settings
from redis_toolkit.exceptions import UnknownScope
from redis_toolkit.tokens.entries import check_scopes
from redis_toolkit.tokens.entries import is_in_redis_alone as are_in_redis_alone

__all__ = ["are_in_redis_alone", "of_databases", "of_settings"]

#: Seconds for which a row that was changed behind our back may be good.
_LONG: Final = 300


def of_settings() -> Iterator[checks.CheckMessage]:
    """Settings that do not go together, whatever is wrong with each by itself."""
    yield from _ends()
    yield from _copies()
    if Settings.TOKEN_SCOPES.valid(settings.TOKEN_SCOPES):
        try:
            check_scopes(settings.TOKEN_SCOPES)
        except UnknownScope as error:
            hint = "They are separated by blanks where they are kept, and in OAuth."
            yield checks.Error(f"REDIS_TOOLKIT_TOKEN_SCOPES: {error}", hint=hint, id="redis_toolkit.E086")


def _ends() -> Iterator[checks.CheckMessage]:
    ttl, age = settings.TOKEN_TTL, settings.TOKEN_ABSOLUTE_AGE
    if not (Settings.TOKEN_TTL.valid(ttl) and Settings.TOKEN_ABSOLUTE_AGE.valid(age)):
        return
    if ttl is None and are_in_redis_alone():
        yield checks.Error(
            "REDIS_TOOLKIT_TOKEN_TTL is None and REDIS_TOOLKIT_TOKEN_STORE is 'redis'.",
            hint="Tokens that live for ever need a row: TOKEN_STORE = 'db+redis'. Else say how long they live.",
            id="redis_toolkit.E085",
        )
    if settings.TOKEN_RENEW is True and ttl is not None and age is None:
        yield checks.Warning(
            "Tokens are renewed by use (REDIS_TOOLKIT_TOKEN_RENEW) without an end: one that was stolen is good for as"
            " long as the thief uses it.",
            hint="Give REDIS_TOOLKIT_TOKEN_ABSOLUTE_AGE a number of seconds.",
            id="redis_toolkit.W085",
        )
    if settings.TOKEN_RENEW is True and ttl is not None and age is not None and age < ttl:
        yield checks.Warning(
            "REDIS_TOOLKIT_TOKEN_ABSOLUTE_AGE is shorter than REDIS_TOOLKIT_TOKEN_TTL: no token lives for its ttl.",
            hint="Tokens that are renewed end at the absolute age, counted from when they were made.",
            id="redis_toolkit.W086",
        )


def _copies() -> Iterator[checks.CheckMessage]:
    keeps = settings.TOKEN_CACHE_TTL
    if not are_in_redis_alone() and Settings.TOKEN_CACHE_TTL.valid(keeps) and keeps > _LONG:
        yield checks.Warning(
            f"REDIS_TOOLKIT_TOKEN_CACHE_TTL is {keeps} seconds: a row that was deleted by SQL or QuerySet.update(), or"
            " revoked while Redis was away, lets its owner in for so long.",
            hint=f"At most {_LONG} seconds: it saves a query per token in that time, and no more.",
            id="redis_toolkit.W087",
        )


def of_databases(aliases: Sequence[str]) -> Iterator[checks.CheckMessage]:
    """A database that should have the tokens' table, among the migrated ``aliases``, and has not."""
    from django.db import connections, router  # noqa: PLC0415 - needs configured settings

    from redis_toolkit.models import Token  # noqa: PLC0415

    alias = router.db_for_write(Token)
    if are_in_redis_alone() or alias not in aliases:
        return
    if Token._meta.db_table not in connections[alias].introspection.table_names():
        yield checks.Warning(
            f"The database {alias!r} has no table for API tokens.",
            hint=f"Run manage.py migrate redis_toolkit --database={alias}.",
            id="redis_toolkit.W088",
        )
