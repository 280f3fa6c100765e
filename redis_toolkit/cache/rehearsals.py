"""Tests of what is cached, inside the transaction that Django's ``TestCase`` puts around each of them.

That transaction never commits, so by the rules nothing it has written is ever read from the cache or stored. A test on
a keyspace of its own may be let off: whatever it stores goes with the keyspace, so nobody else is given what was never
committed. While such a rehearsal is on, the blocks of ``TestCase`` count as no transaction.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["begin", "end", "is_a_tests", "is_bare", "is_on"]

_under_way = 0


def begin() -> None:
    """Count the transaction around a test as none. The keyspace must be the test's own."""
    global _under_way  # noqa: PLW0603 - a process runs one test at a time
    _under_way += 1


def end() -> None:
    """Count it again."""
    global _under_way  # noqa: PLW0603
    _under_way -= 1


def is_on() -> bool:
    """Whether a rehearsal is on."""
    return _under_way > 0


def is_a_tests(connection: BaseDatabaseWrapper) -> bool:
    """Whether the transaction is the one around a TestCase: it never commits, and tests count the hooks in it."""
    blocks = connection.atomic_blocks
    return bool(blocks) and getattr(blocks[0], "_from_testcase", False)


def is_bare(connection: BaseDatabaseWrapper) -> bool:
    """Whether a rehearsal is on, and nothing is open on ``connection`` but the blocks of ``TestCase``."""
    if not _under_way or not connection.atomic_blocks:
        return False
    return all(getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
