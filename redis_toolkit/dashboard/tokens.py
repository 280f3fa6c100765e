"""What the page of API tokens shows beside their rows, which have no foreign key: owners, moments; and their end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from redis_toolkit.conf import settings
from redis_toolkit.dashboard.people import key_of
from redis_toolkit.dashboard.wording import whole
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.models import Token
from redis_toolkit.stats import DAY, buckets, summed
from redis_toolkit.tokens import revoke
from redis_toolkit.tokens.entries import is_in_redis_alone
from redis_toolkit.tokens.moments import date, this

__all__ = ["end", "have_rows", "is_good", "lately", "name_owners", "owner_of", "owners_like", "when"]

#: Users of a name like the one that is searched for.
_OWNERS: Final = 200
_NAME: Final = "_redis_toolkit_owner"


def have_rows() -> bool:
    """Whether the rows are what tokens are."""
    return not is_in_redis_alone()


def lately() -> str:
    """What became of tokens in the last day, in a sentence; one round trip. Why nobody knows, where nobody does."""
    if not settings.STATS:
        return _("How many were made, refused and revoked is not counted: REDIS_TOOLKIT_STATS is False.")
    try:
        figures = summed(buckets(DAY))
    except (Misconfigured, StoreUnavailable) as error:
        return str(error)
    refused = sum(figures.count("token", "", each) for each in figures.details("token") if each.startswith("refused"))
    return _("In the last day: %(made)s made, %(refused)s refused, %(revoked)s revoked.") % {
        "made": whole(figures.count("token", "", "made")),
        "refused": whole(refused),
        "revoked": whole(figures.count("token", "", "revoked")),
    }


def name_owners(rows: Iterable[Token]) -> None:
    """Have these rows know who owns them, by one query."""
    every = list(rows)
    users = get_user_model()
    wanted = {each.user_id for each in every}
    keys = {key: key_of(users, key) for key in wanted}
    known = users._default_manager.in_bulk([key for key in keys.values() if key is not None])
    for each in every:
        user = known.get(keys[each.user_id])
        setattr(each, _NAME, None if user is None else f"{user.get_username()} ({each.user_id})")


def owner_of(row: Token) -> str | None:
    """Who owns a row, and their primary key; None: nobody who is there."""
    if not hasattr(row, _NAME):
        name_owners([row])
    found: str | None = getattr(row, _NAME)
    return found


def owners_like(text: str) -> list[str]:
    """The primary keys of users with such a name."""
    users = get_user_model()
    if not text.strip():
        return []
    wanted = users._default_manager.filter(**{f"{users.USERNAME_FIELD}__icontains": text.strip()})
    return [str(key) for key in wanted.order_by("pk").values_list("pk", flat=True)[:_OWNERS]]


def when(moment: int | None) -> datetime | None:
    """Microseconds for people."""
    return date(moment or 0)


def is_good(row: Token) -> bool:
    """Whether it has not ended."""
    return row.expires is None or row.expires > this()


def end(rows: Iterable[Token]) -> int:
    """Revoke these tokens. How many there were."""
    return sum(revoke(row.user_id, row.handle) for row in list(rows))
