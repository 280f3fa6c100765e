"""Building Bloom filters from the database, beside the writers and beside the filter that answers meanwhile.

1. the filter is begun: from here on writers add to it, and those at work are known  2. the table is read, by primary
key and in pieces  3. it answers, unless somebody has added rows that nobody can name. A row that the pieces miss was
committed after 1, so its writer names it, or nothing is ruled out until he has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from django.db import connections, router
from django.db.models import Model, QuerySet

from redis_toolkit.cache.absence import Absence
from redis_toolkit.cache.databases import each_once, primary_of
from redis_toolkit.cache.status import is_open
from redis_toolkit.cache.tables import tables
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.structures.bloom import AT_ONCE, Status, size_for

__all__ = ["Built", "Progress", "absence_for", "build", "declared", "status_of", "why_due"]

#: Told how many rows were read, and of how many.
Progress = Callable[[int, int], None]
#: Rows that may come before a filter has to be built anew: half as many as there were, and these.
_ROOM: Final = 1.5
_LEAST: Final = 1000
#: How often a build begins anew when it is dropped under way.
_TIMES: Final = 3


class Built(NamedTuple):
    """What became of a build. ``outcome``: "built", "busy" (somebody else is building) or "dropped" (again and again).

    ``rows`` were read; the filter has ``bits``.
    """

    outcome: str
    rows: int = 0
    bits: int = 0


def declared(alias: str | None = None) -> list[tuple[type[Model], str]]:
    """The models whose managers declare a filter, each with the database that its writes go to, or with ``alias``."""
    found: dict[tuple[type[Model], str], None] = {}
    for vendor in each_once():
        for table in tables(vendor).by_name.values():
            where = alias or router.db_for_write(table.model)
            if tables(where).by_name[table.name].absence is not None:
                found[table.model, where] = None
    return list(found)


def absence_for(model: type[Model], alias: str) -> Absence:
    """The filter of a model. Raises Misconfigured for a model that declares none, and for a replica."""
    concrete: Any = model._meta.concrete_model
    table = tables(alias).by_name.get(concrete._meta.db_table)
    if table is None or table.absence is None:
        raise Misconfigured(f"{model._meta.label} has no filter on {alias!r}: give it a CacheManager(bloom=True).")
    if primary_of(alias) != alias:
        raise Misconfigured(f"{alias!r} is a replica, which may lag. Build the filter from {primary_of(alias)!r}.")
    return table.absence


def status_of(model: type[Model], alias: str) -> Status:
    """What there is of a model's filter. Raises Misconfigured and StoreUnavailable."""
    return absence_for(model, alias).on(alias).status(link())


def why_due(model: type[Model], alias: str) -> str:
    """Why a model's filter should be built, in a few words; nothing if it is well. Raises as :func:`status_of`."""
    absence, target = absence_for(model, alias), link()
    status = absence.on(alias).status(target)
    if status.state != "complete":
        return "there is none"
    reasons = {
        "it was declared otherwise": status.label != absence.label,
        "it is wanted smaller or larger": size_for(status.size.capacity, absence.error) != status.size,
        "the server was another": status.run != target.run,
        "a writer never said that it had ended": status.oldest > settings.MARK_TTL,
        "it is full": status.number > status.size.capacity,
        "half of its life is over": status.last < absence.ttl / 2,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def build(model: type[Model], alias: str, progress: Progress | None = None, *, force: bool = False) -> Built:
    """Build the filter of ``model`` on database ``alias``. The one there is answers until the new one is complete.

    ``force``: take over from another builder (one that was killed is otherwise waited for, for a minute). Never holds
    more than a few hundred rows. Raises Misconfigured, StoreUnavailable and errors of the database; then the filter is
    as it was.
    """
    absence = absence_for(model, alias)
    connection = connections[alias]
    connection.ensure_connection()
    if is_open(connection) or not watch_of(connection).may_fill(connection):
        raise Misconfigured("A filter cannot be built inside a transaction: it may not see what others commit.")
    built = Built("dropped")
    for _ in range(_TIMES):
        built = _build(model, alias, absence, progress or _say_nothing, force=force)
        if built.outcome != "dropped":
            break
    return built


def _build(model: type[Model], alias: str, absence: Absence, progress: Progress, *, force: bool) -> Built:
    bloom, target = absence.on(alias), link()
    concrete: Any = model._meta.concrete_model
    rows: QuerySet[Any] = QuerySet(model=concrete, using=alias)
    total = rows.count()
    size = size_for(max(_LEAST, math.ceil(total * len(absence.bys) * _ROOM)), absence.error)
    builder = bloom.begin(target, size, settings.MARK_TTL, force=force)
    if builder is None:
        return Built("busy")
    done = 0
    for piece in _pieces(rows, absence):
        if not bloom.fill(target, builder, [member for row in piece for member in absence.members_of(row)]):
            return Built("dropped", done)
        done += len(piece)
        progress(done, max(total, done))
    if not bloom.finish(target, builder, absence.ttl):
        return Built("dropped", done)
    return Built("built", done, size.bits)


def _pieces(rows: Any, absence: Absence) -> Iterator[list[tuple[Any, ...]]]:
    """The rows' members, in the order of the primary key. Each piece is a query, so no long one holds writers up."""
    key = [field.attname for field in absence.bys[0].fields]
    ordered = rows.order_by(*key).values_list(*absence.fields)
    after: dict[str, Any] = {}
    while True:
        piece = list(ordered.filter(**after)[:AT_ONCE])
        if piece:
            yield piece
        if len(piece) < AT_ONCE:
            return
        last = piece[-1][: len(key)]
        after = {f"{key[0]}__gt": last[0]} if len(key) == 1 else {"pk__gt": last}


def _say_nothing(_done: int, _total: int) -> None:
    pass
