"""The ways to open a transaction or a savepoint, each with its two ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.db import DatabaseError, connections, transaction

__all__ = ["BLOCKS", "Block", "UndoneError", "is_broken", "kinds_within"]


class UndoneError(Exception):
    """Rolls a block back."""


class Block:
    """A transaction, or a savepoint in one, on a connection of the thread that uses it."""

    #: Whether it is, or may be, the whole transaction; and the kinds of blocks that may stand in it.
    is_outermost: ClassVar[bool] = False
    inner: ClassVar[tuple[str, ...]] = ()

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.begin()

    def begin(self) -> None:
        """Open it."""

    def keep(self) -> None:
        """Commit or release it. Raises DatabaseError where a constraint looked at only then forbids that."""

    def undo(self) -> None:
        """Roll it back."""

    def _take_back(self) -> None:
        """Have Django believe that what failed is undone, as it is with a savepoint that it does not know of."""
        if connections[self.alias].in_atomic_block:
            transaction.set_rollback(False, using=self.alias)

    def _sql(self, sql: str) -> None:
        with connections[self.alias].cursor() as cursor:
            cursor.execute(sql)


IN_ATOMIC = ("atomic", "plain", "savepoint", "raw_savepoint")


class Atomic(Block):
    """``atomic()``: within another block a savepoint."""

    is_outermost, inner = True, IN_ATOMIC
    how: ClassVar[dict[str, bool]] = {}

    def begin(self) -> None:
        self._atomic = transaction.atomic(using=self.alias, **self.how)
        self._atomic.__enter__()

    def keep(self) -> None:
        self._atomic.__exit__(None, None, None)

    def undo(self) -> None:
        self._atomic.__exit__(UndoneError, UndoneError(), None)


class Durable(Atomic):
    """``atomic(durable=True)``: the whole transaction or an error."""

    how = {"durable": True}


class Plain(Atomic):
    """``atomic(savepoint=False)``: undone with what is around it."""

    is_outermost = False
    how = {"savepoint": False}


class Savepoint(Block):
    """Django's functions for savepoints."""

    inner = IN_ATOMIC

    def begin(self) -> None:
        # Django 6.1 has renamed it.
        create: Any = getattr(transaction, "savepoint_create", None) or transaction.savepoint
        self._sid = create(using=self.alias)

    def keep(self) -> None:
        transaction.savepoint_commit(self._sid, using=self.alias)

    def undo(self) -> None:
        self._take_back()
        transaction.savepoint_rollback(self._sid, using=self.alias)


class RawSavepoint(Block):
    """SAVEPOINT as SQL."""

    inner = ("raw_savepoint",)

    def begin(self) -> None:
        self._sql("SAVEPOINT ours")

    def keep(self) -> None:
        self._sql("RELEASE SAVEPOINT ours")

    def undo(self) -> None:
        self._take_back()
        self._sql("ROLLBACK TO SAVEPOINT ours")
        self._sql("release savepoint ours")


class ByHand(Block):
    """``set_autocommit(False)``, ``commit()``, ``rollback()``."""

    is_outermost, inner = True, ("atomic",)

    def begin(self) -> None:
        transaction.set_autocommit(False, using=self.alias)

    def keep(self) -> None:
        try:
            transaction.commit(using=self.alias)
        except DatabaseError:
            transaction.rollback(using=self.alias)
            raise
        finally:
            transaction.set_autocommit(True, using=self.alias)

    def undo(self) -> None:
        transaction.rollback(using=self.alias)
        transaction.set_autocommit(True, using=self.alias)


class Raw(Block):
    """BEGIN and its ends as SQL."""

    is_outermost, inner = True, ("raw_savepoint",)

    def begin(self) -> None:
        self._sql("BEGIN")

    def keep(self) -> None:
        try:
            self._sql("COMMIT")
        except DatabaseError:
            if connections[self.alias].vendor == "sqlite":
                # It leaves the transaction open.
                self._sql("ROLLBACK")
            raise

    def undo(self) -> None:
        self._sql("ROLLBACK")


BLOCKS: dict[str, type[Block]] = {
    "atomic": Atomic, "durable": Durable, "plain": Plain, "savepoint": Savepoint, "raw_savepoint": RawSavepoint,
    "by_hand": ByHand, "raw": Raw,
}  # fmt: skip


def kinds_within(blocks: Sequence[Block]) -> list[str]:
    """What may be opened now."""
    if not blocks:
        return [kind for kind, block in BLOCKS.items() if block.is_outermost]
    return list(blocks[-1].inner)


def is_broken(alias: str) -> bool:
    """Whether the transaction of this thread's connection takes nothing more until a rollback."""
    connection: Any = connections[alias]
    if connection.needs_rollback:
        return True
    raw = connection.connection
    return connection.vendor == "postgresql" and raw is not None and raw.info.transaction_status.name == "INERROR"
