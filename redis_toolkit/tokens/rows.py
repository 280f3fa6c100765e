"""The store ``db+redis``: a row is the truth, which Redis remembers for ``REDIS_TOOLKIT_TOKEN_CACHE_TTL`` seconds.

While Redis is away the rows answer: they are the truth, so nothing is let in that should not be. Rows are changed by
conditional updates of single columns alone: one that was revoked is not there to be changed, and whatever was changed
meanwhile stays so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.core.scripts import Script, run
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable, TokenLimitReached
from redis_toolkit.tokens import barring
from redis_toolkit.tokens.entries import Draft, Token, lets_oldest_go, read
from redis_toolkit.tokens.moments import MICRO, this
from redis_toolkit.tokens.seals import seal

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from redis_toolkit.models import Token as Row

__all__ = ["LEASE", "are_in", "delete", "ended_by", "find", "listed", "load", "put", "replace", "revoke", "used"]

_FILL: Final = Script("token_fill")
#: Milliseconds for which who reads a row may put it into Redis. Who takes longer does not.
LEASE: Final = 10_000


# Reading


def load(digest: str, lease: tuple[str, int] | None) -> Token | str:
    """The token of that digest, or why there is none. Its use is written down.

    ``lease``: the id under which Redis waits for it, and when that began by its clock; None: it does not wait.
    """
    row = _rows().filter(digest=digest).first()
    moment = this()
    reason = "unknown"
    if row is not None and _is_live(row, moment):
        is_due = not row.last_used or moment - row.last_used >= _interval()
        later = _renewed(row, moment)
        if is_due or later:
            if not _write_use(digest, moment, later):
                # Another request was faster; or it was revoked or replaced since it was read.
                row, reason = _rows().filter(digest=digest).first(), "revoked"
            else:
                row.last_used, row.expires = moment, later or row.expires
    found = row if row is not None and _is_live(row, moment) else None
    if lease is not None:
        _fill(digest, lease, None if barring.is_uncommitted(digest, _alias()) else found, moment)
    if found is None:
        return reason if row is None else "expired"
    return read(_fields(found))


def used(digest: str, token: Token, fields: list[bytes], *, is_renewed: bool) -> Token | str:
    """Write down the use of a token that Redis remembers, whose ``fields`` are these now."""
    moment = int(fields[6])
    if _write_use(digest, moment, int(fields[5]) if is_renewed else None):
        return token
    # Another process has written it down; or the row was changed behind our back.
    row = _rows().filter(digest=digest).first()
    if row is not None and _is_live(row, moment):
        return read(_fields(row))
    with suppress(StoreUnavailable):
        run(link(settings.DURABLE_ALIAS), [barring.bar(digest)])
    return "revoked" if row is None else "expired"


def listed(user_id: str) -> list[Token]:
    """A user's tokens, the oldest first."""
    live = _live(user_id, this()).order_by("created", "pk")
    return [read(_fields(row)) for row in live]


def find(user_id: str, handle: str) -> tuple[Token, int | None] | None:
    """One of a user's tokens, and its ttl in microseconds."""
    row = _live(user_id, this()).filter(handle=handle).first()
    return None if row is None else (read(_fields(row)), row.life)


def _write_use(digest: str, moment: int, later: int | None) -> bool:
    """Write down a use at ``moment``, and that the token ends ``later``. Not if it was done by another, or is gone."""
    from django.db import transaction  # noqa: PLC0415 - needs configured settings
    from django.db.models import Q  # noqa: PLC0415

    wanted = _rows().filter(digest=digest)
    if later is None:
        wanted = wanted.filter(Q(last_used=None) | Q(last_used__lte=moment - _interval()))
        wanted = wanted.filter(Q(expires=None) | Q(expires__gt=moment))
    else:
        # (Who replaces a token takes `until` away: it is not renewed any more. And what has ended is not begun again.)
        wanted = wanted.filter(until__gte=later, expires__lt=later, expires__gt=moment)
    changes = {"last_used": moment} if later is None else {"last_used": moment, "expires": later}
    if not transaction.get_connection(wanted.db).features.has_select_for_update_skip_locked:
        return bool(wanted.update(**changes))
    # In a transaction (ATOMIC_REQUESTS) a use is locked till its request ends. All others of the same token would wait
    # for the slowest, only to write down that they were there, too.
    with transaction.atomic(using=wanted.db, savepoint=False):
        free = wanted.select_for_update(skip_locked=True).values("pk")
        return bool(_rows().filter(pk__in=free).update(**changes))


def _renewed(row: Row, moment: int) -> int | None:
    """When the token ends after this use; None: as before."""
    if not (settings.TOKEN_RENEW and row.until and row.life and row.expires):
        return None
    later = min(moment + row.life, row.until)
    return later if later - row.expires >= min(_interval(), row.life / 10) else None


def _fill(digest: str, lease: tuple[str, int], row: Row | None, moment: int) -> None:
    """Have Redis remember a row, or wait for it no longer."""
    name, taken = lease
    keep = round(settings.TOKEN_CACHE_TTL * MICRO)
    if row is not None and row.expires is not None:
        keep = min(keep, row.expires - moment)
    fields: list[str] = []
    if row is not None:
        fields = [*_fields(row), str(taken + keep)]
        fields.append(seal(digest, fields))
    with suppress(StoreUnavailable):
        call = _FILL.call(barring.key(digest), name, keep // 1000 + 1, *fields)
        run(link(settings.DURABLE_ALIAS), [call])


# Writing


def put(draft: Draft) -> tuple[Token, tuple[str, ...]]:
    """Make a token, and the handles of those that had to go for it. Raises TokenLimitReached."""
    with _turn(draft.user_id):
        gone = _make_room(draft.user_id)
        return _insert(draft), gone


def replace(draft: Draft, handle: str, left: int) -> Token | None:
    """Make a token for another, which ends ``left`` microseconds from now at the latest; None: there is none.

    Raises TokenLimitReached.
    """
    with _turn(draft.user_id):
        moment = this()
        live = _live(draft.user_id, moment)
        if settings.TOKEN_LIMIT is not None and live.count() > settings.TOKEN_LIMIT:
            raise TokenLimitReached
        row = live.filter(handle=handle, replaced=False).first()
        if row is None:
            return None
        ends = moment + left if row.expires is None else min(row.expires, moment + left)
        barring.drop_copies([row.digest], _alias())
        # Of two at once one finds it not yet replaced.
        if not _rows().filter(pk=row.pk, replaced=False).update(replaced=True, until=None, expires=ends):
            return None
        return _insert(draft)


def revoke(user_id: str, handles: set[str] | None, *, keep: str | None = None) -> tuple[str, ...]:
    """Delete these rows of a user, or all but one, and say which lived."""
    from django.db import transaction  # noqa: PLC0415 - needs configured settings

    wanted = _rows().filter(user_id=user_id)
    if handles is not None:
        wanted = wanted.filter(handle__in=handles)
    ended: list[str] = []
    while going := [row for row in wanted.all() if row.handle != keep]:
        moment = this()
        with transaction.atomic(using=_alias()):
            barring.drop_copies([row.digest for row in going], _alias())
            delete(_rows().filter(pk__in=[row.pk for row in going]))
        ended += [row.handle for row in going if _is_live(row, moment)]
        # (All: one of them may have been replaced before we could lock it, and the new one is there now.)
        if handles is not None:
            break
    return tuple(ended)


@contextmanager
def _turn(user_id: str) -> Iterator[None]:
    """A transaction; where a limit is to be kept, those of one user come one after another.

    1. A has the last place but one taken and counts  2. B would count as well, and waits for A's lock on the user's
    row  3. A commits  4. B counts what A has made.
    """
    from django.contrib.auth import get_user_model  # noqa: PLC0415 - needs configured settings
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    from django.db import router, transaction  # noqa: PLC0415

    if settings.TOKEN_LIMIT is None:
        with transaction.atomic(using=_alias()):
            yield
        return
    try:
        users = get_user_model()
    except ImproperlyConfigured as error:
        raise Misconfigured(
            "REDIS_TOOLKIT_TOKEN_LIMIT needs AUTH_USER_MODEL: a user's row is locked for it."
        ) from error
    theirs = router.db_for_write(users)
    with transaction.atomic(using=theirs):
        if transaction.get_connection(theirs).features.has_select_for_update:
            # (Its result is not wanted: the lock is.)
            list(users._base_manager.using(theirs).select_for_update().filter(pk=user_id).values_list("pk"))
        with transaction.atomic(using=_alias()):
            # SQLite has one lock for all, and the first statement that writes takes it.
            delete(_rows().filter(user_id=user_id, expires__lte=this()))
            yield


def _make_room(user_id: str) -> tuple[str, ...]:
    if settings.TOKEN_LIMIT is None:
        return ()
    handles = list(_live(user_id, this()).order_by("created", "pk").values_list("handle", flat=True))
    surplus = len(handles) + 1 - settings.TOKEN_LIMIT
    if surplus <= 0:
        return ()
    if not lets_oldest_go():
        raise TokenLimitReached
    return revoke(user_id, set(handles[:surplus]))


def _insert(draft: Draft) -> Token:
    moment = this()
    # (A receiver sees to it that nothing of it gets into Redis before the commit.)
    row = _rows().create(
        digest=draft.digest,
        handle=draft.handle,
        user_id=draft.user_id,
        name=draft.name,
        scopes=" ".join(draft.scopes),
        created=moment,
        expires=None if draft.life is None else moment + draft.life,
        life=draft.life,
        until=moment + draft.age if draft.age else None,
    )
    return read(_fields(row))


def delete(wanted: QuerySet[Row]) -> int:
    """Delete these in one statement, without signals: who calls this has dropped their copies. How many there were."""
    many: int = wanted._raw_delete(wanted.db)  # noqa: SLF001 - Django has no public way to it
    return many


def ended_by(moment: int) -> QuerySet[Row]:
    """The rows of tokens that had ended by then."""
    return _rows().filter(expires__lte=moment)


# Rows


def _rows() -> QuerySet[Row]:
    """All rows, from the database that is written to: a replica may not have heard of a revocation yet."""
    from redis_toolkit.models import Token as Row  # noqa: PLC0415 - needs configured settings

    return Row.objects.using(_alias())


def are_in(using: str) -> bool:
    """Whether the tokens' rows are in that database."""
    return _alias() == using


def _alias() -> str:
    from django.db import router  # noqa: PLC0415 - needs configured settings

    from redis_toolkit.models import Token as Row  # noqa: PLC0415

    return router.db_for_write(Row)


def _live(user_id: str, moment: int) -> QuerySet[Row]:
    from django.db.models import Q  # noqa: PLC0415 - needs configured settings

    return _rows().filter(Q(expires=None) | Q(expires__gt=moment), user_id=user_id)


def _is_live(row: Row, moment: int) -> bool:
    return row.expires is None or row.expires > moment


def _fields(row: Row) -> list[str]:
    numbers = row.created, row.expires, row.last_used, row.life, row.until
    return [row.user_id, row.handle, row.name, row.scopes, *(str(each or 0) for each in numbers)]


def _interval() -> int:
    return round(settings.TOKEN_USE_INTERVAL * MICRO)
