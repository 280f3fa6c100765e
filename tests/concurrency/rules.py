"""The rules of the protocol, each with a switch that leaves it out: a test that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db.models import Model

from redis_toolkit.cache import bulk, changes, debts, finding, growth, outbox, stamps, transactions, watch
from redis_toolkit.cache.behind import ledger as write_behind_ledger
from redis_toolkit.cache.behind import merging
from redis_toolkit.cache.reading import Reader
from redis_toolkit.core.connections import Link, pack
from redis_toolkit.core.lanes import Lane
from redis_toolkit.core.scripts import run
from redis_toolkit.structures import bloom

__all__ = ["RULES", "leave_out"]

Patch = pytest.MonkeyPatch


def marks(patch: Patch) -> None:
    """Writers mark nothing before they write."""
    patch.setattr(transactions, "mark", lambda *_: None)


def row_lock(patch: Patch) -> None:
    """Old values are read without a lock."""
    patch.setattr(watch, "read_locked", _read_unlocked)


def old_values(patch: Patch) -> None:
    """Stamps of a row's old values are not marked, nor the generation where a row was not there yet."""
    patch.setattr(changes.Change, "names_of_rows", lambda *_: set())


def missing_rows(patch: Patch) -> None:
    """A row that was not there when old values were read makes no difference."""
    own = changes.Change.names_of_rows
    patch.setattr(changes.Change, "names_of_rows", lambda change, rows: own(change, rows) - {""})


def stamps_first(patch: Patch) -> None:
    """Stamps are read when the entry is stored, not before the database is read."""
    patch.setattr(finding, "Reader", LateReader)
    patch.setattr(bulk, "Reader", LateReader)


def lost_marks(patch: Patch) -> None:
    """After the commit a token that stands in a mark's place is left alone."""
    own: Any = vars(transactions)["unmark"]

    def unmark(link: Link, stamps: Sequence[str], transaction: bytes, *further: Any) -> None:
        standing = [stamp for stamp in stamps if (link.ask(pack(("GET", stamp))) or b"")[:1] == b"m"]
        own(link, standing, transaction, *further)

    patch.setattr(transactions, "unmark", unmark)


def own_writes(patch: Patch) -> None:
    """A transaction reads and fills entries of tables that it wrote itself."""
    patch.setattr(watch.Watch, "wrote", lambda *_: False)


def snapshots(patch: Patch) -> None:
    """Whatever a transaction sees is stored, were it an hour old."""
    patch.setattr(watch.Watch, "may_fill", lambda *_: True)


def lingering(patch: Patch) -> None:
    """Marks go at the commit, however far replicas lag behind it."""

    def unmark(link: Link, names: Sequence[str], transaction: bytes, *_: Any) -> None:
        run(link, [stamps._UNMARK.call(name, transaction, 0) for name in names])

    patch.setattr(transactions, "unmark", unmark)


def server_run(patch: Patch) -> None:
    """All runs of all servers are one."""
    patch.setattr(Lane, "identify", lambda lane: setattr(lane, "run", bytes(8)))


def outage_kept(patch: Patch) -> None:
    """What could not be dropped while Redis was away is forgotten, by the outbox and by the process."""
    patch.setattr(outbox, "put", lambda *_, **__: False)
    patch.setattr(debts, "owe", lambda *_: None)


def ledger(patch: Patch) -> None:
    """Nobody writes down which batch is applied."""
    patch.setattr(write_behind_ledger, "write", lambda *_: None)


def turns(patch: Patch) -> None:
    """Flushers look into the ledger without a lock."""

    def lock(alias: str, counter: str, *, wait: bool) -> str:
        return next(iter(write_behind_ledger.rows_in(alias).filter(pk=counter).values_list("batch", flat=True)), "")

    patch.setattr(write_behind_ledger, "lock", lock)


def two_ids(patch: Patch) -> None:
    """Who reads value and what waits does not ask whether a batch went from the one to the other meanwhile."""
    patch.setattr(merging, "_agree", lambda *_: True)


def named_first(patch: Patch) -> None:
    """Filters hear of new rows after the commit, and of nothing before it."""
    patch.setattr(growth.Growth, "entering", lambda _: [])


def known_writers(patch: Patch) -> None:
    """Who builds a filter does not ask who is at work."""
    own = bloom.Filter.begin

    def begin(made: bloom.Filter, link: Link, *args: Any, **more: Any) -> bytes | None:
        link.ask(pack(("DEL", made._keys[0])))
        return own(made, link, *args, **more)

    patch.setattr(bloom.Filter, "begin", begin)


def dropped_filters(patch: Patch) -> None:
    """Who drops what the outbox holds drops no filter."""
    patch.setattr(stamps, "drops", lambda _: [])


RULES: dict[str, Callable[[Patch], None]] = {
    rule.__name__: rule
    for rule in (
        marks, row_lock, old_values, missing_rows, stamps_first, lost_marks, own_writes, snapshots, lingering, server_run,
        outage_kept, ledger, turns, two_ids,
        outage_kept, named_first, known_writers, dropped_filters,
    )
}  # fmt: skip


def leave_out(rule: str, patch: Patch) -> None:
    """Play without ``rule``."""
    RULES[rule](patch)


class LateReader(Reader):
    """Takes the tokens when it stores."""

    __slots__ = ("_stamp_of", "_ttl")

    def tokens(
        self, stamps: Sequence[str], seen: Sequence[bytes | None], ttl: float, *flight: Any
    ) -> list[bytes] | None:
        found = super().tokens(stamps, seen, ttl, *flight)
        self._stamp_of, self._ttl = dict(zip(found or (), stamps, strict=False)), ttl
        return found

    def entry(self, key: str, fingerprint: bytes, run: bytes, tokens: list[bytes], *rest: Any) -> list[bytes]:
        stamps = [self._stamp_of[token] for token in tokens]
        late = Reader.tokens(self, stamps, [None] * len(stamps), self._ttl)
        return super().entry(key, fingerprint, run, late or tokens, *rest)


def _read_unlocked(change: changes.Change, connection: Any) -> Sequence[Sequence[Any]]:
    model: type[Model] = change.table.model
    rows = model._base_manager.using(connection.alias).filter(pk__in=change.keys)
    names = {field.column: field.attname for field in model._meta.concrete_fields}
    return list(rows.values_list(*(names[column] for column in change.table.read)))
