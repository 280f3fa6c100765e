"""The judge of the consistency run, given histories in which everything is known."""

from __future__ import annotations

from math import inf

import pytest

from bench.consistency.history import History, Moments
from bench.consistency.journal import Read
from bench.consistency.judge import Judge

# Row 1 is moved from group 5 to 6 by "b" and deleted by "c"; row 2 stays in group 5 and is written by "d".
AUDIT = [
    (1, 1, "first", 5), (1, 2, "b", 6), (1, 3, "c", None),
    (2, 1, "first", 5), (2, 2, "d", 5),
]  # fmt: skip
MOMENTS = {
    "b": Moments(begun=10.0, committed=10.5, returned=11.0),
    "c": Moments(begun=20.0, committed=20.5, returned=21.0),
    "d": Moments(begun=30.0),  # killed in its COMMIT
}
OLD, MOVED, STAYS = (1, 1, "first", 5), (1, 2, "b", 6), (2, 1, "first", 5)


def findings(kind, argument, began, ended, answer, **how):
    read = Read(kind, argument, began, ended, how.get("outcome", "hit"), how.get("own", False), answer)
    return [(found.fault, round(found.age, 3)) for found in Judge(History(AUDIT, MOMENTS)).findings("reader", read)]


@pytest.mark.parametrize(
    ("kind", "argument", "began", "ended", "answer", "expected"),
    [
        # Between the beginning of a commit and its return, old and new are both right.
        ("get", 1, 9.0, 9.5, (OLD,), []),
        ("get", 1, 9.0, 10.2, (MOVED,), []),
        ("get", 1, 10.2, 10.3, (OLD,), []),
        ("get", 1, 12.0, 12.1, (MOVED,), []),
        ("get", 1, 20.2, 20.3, (), []),
        ("get", 1, 22.0, 22.1, (), []),
        # After COMMIT and before its return, old is early; after it, stale, since the return.
        ("get", 1, 10.7, 10.8, (OLD,), [("early", 0.2)]),
        ("get", 1, 12.0, 12.1, (OLD,), [("stale", 1.0)]),
        ("get", 1, 25.0, 25.1, (OLD,), [("stale", 14.0)]),
        ("get", 1, 25.0, 25.1, (MOVED,), [("stale", 4.0)]),
        ("bulk", (1, 2), 12.0, 12.1, (OLD, STAYS), [("stale", 1.0)]),
        # A row that an answer lacks is judged like one it shows.
        ("group", 5, 12.0, 12.1, (STAYS,), []),
        ("group", 5, 12.0, 12.1, (OLD, STAYS), [("stale", 1.0)]),
        ("group", 5, 9.0, 9.1, (STAYS,), [("uncommitted", 0.0)]),
        ("group", 6, 12.0, 12.1, (), [("stale", 1.0)]),
        ("group", 6, 22.0, 22.1, (MOVED,), [("stale", 1.0)]),
        ("group", 6, 22.0, 22.1, (), []),
        # So are numbers.
        ("size", 5, 12.0, 12.1, 1, []),
        ("size", 5, 12.0, 12.1, 2, [("stale", 1.0)]),
        ("size", 5, 9.0, 10.2, 1, []),
        ("total", None, 19.0, 20.2, 1, []),
        ("total", None, 19.0, 19.1, 1, [("uncommitted", 0.0)]),
        ("total", None, 22.0, 22.1, 2, [("stale", 1.0)]),
        # Seen before its commit began, or never committed.
        ("get", 1, 9.0, 9.5, (MOVED,), [("uncommitted", 0.0)]),
        ("get", 1, 9.0, 9.5, ((1, 2, "rolled-back", 6),), [("uncommitted", 0.0)]),
        # Whoever was killed in COMMIT may have committed or not: both are right.
        ("get", 2, 31.0, 31.1, (STAYS,), []),
        ("get", 2, 31.0, 31.1, ((2, 2, "d", 5),), []),
    ],
)  # fmt: skip
def test_each_kind_of_answer(kind, argument, began, ended, answer, expected):
    """An answer may show what was true at some moment of the read, and nothing else."""
    assert findings(kind, argument, began, ended, answer) == expected


def test_reads_of_the_writer_and_of_the_database_have_names_of_their_own():
    """The same old answer breaks another promise for who wrote the row, and proves the harness wrong without a cache."""
    asked = ("get", 1, 12.0, 12.1, (OLD,))
    assert findings(*asked, own=True) == [("own", 1.0)]
    assert findings(*asked, outcome="plain") == [("harness", 1.0)]


def test_a_writer_that_waited_for_the_row_committed_after_the_one_ahead():
    """Who says "I begin" while he still waits for the lock is not believed before the other has begun to commit."""
    audit = [(1, 1, "first", 5), (1, 2, "slow", 5), (1, 3, "waiting", 5)]
    moments = {"slow": Moments(10.0, 10.5, 11.0), "waiting": Moments(9.0, inf, inf)}
    judge = Judge(History(audit, moments))
    read = Read("get", 1, 9.2, 9.4, "hit", False, ((1, 3, "waiting", 5),))
    assert [found.fault for found in judge.findings("reader", read)] == ["uncommitted"]
