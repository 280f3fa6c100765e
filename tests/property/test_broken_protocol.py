"""The machine finds what is wrong: with a rule of the protocol left out, a few of its steps end in stale answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.concurrency.rules import leave_out
from tests.property.connections import TwoConnections
from tests.property.trouble import Bench

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

Steps = Callable[[TwoConnections], Iterator[Any]]
#: Moves a lesson to the other group, and gives all another title.
MOVE = ("save 0", 0, 0, 1)
RENAME = ("update 1", 0, 7, 5)


def a_write(machine: TwoConnections) -> Iterator[Any]:
    yield machine.write([MOVE])


def marks_lost_within(machine: TwoConnections) -> Iterator[Any]:
    machine.begin("atomic")
    machine.write([RENAME])
    yield machine.lose("marks", 1)
    yield machine.commit()


def a_look_back(machine: TwoConnections) -> Iterator[Any]:
    machine.look_back()
    yield machine.write([RENAME])


def an_old_file(machine: TwoConnections) -> Iterator[Any]:
    machine.save_file()
    machine.write([RENAME])
    machine.get_into_trouble("old file")
    yield machine.get_out_of_trouble()


def a_write_unheard(machine: TwoConnections) -> Iterator[Any]:
    machine.get_into_trouble("breaker")
    machine.write([RENAME])
    yield machine.get_out_of_trouble()


#: The rule that is left out, and the steps that find it. Rules for what happens within a step (a reader between a
#: writer's statement and its commit, say) are played in ``tests/concurrency``.
FOUND_BY: dict[str, Steps] = {
    "old_values": a_write, "own_writes": marks_lost_within, "lost_marks": marks_lost_within,
    "snapshots": a_look_back, "server_run": an_old_file, "outage_kept": a_write_unheard,
}  # fmt: skip


def is_found(steps: Steps, bench: Bench) -> bool:
    """Whether the machine takes offence at these steps."""
    machine = TwoConnections("postgres", bench)
    try:
        machine.check()
        return not _is_right(machine, steps)
    finally:
        machine.teardown()


def _is_right(machine: TwoConnections, steps: Steps) -> bool:
    try:
        for _ in steps(machine):
            machine.check()
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("rule", FOUND_BY)
def test_the_machine_finds_a_rule_left_out(rule: str, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same one to four steps: 0 stale answers with the rule, some without it."""
    assert not is_found(FOUND_BY[rule], bench)
    with monkeypatch.context() as patch:
        leave_out(rule, patch)
        assert is_found(FOUND_BY[rule], bench)
