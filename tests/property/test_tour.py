"""A written history, the same on every run: it does everything that the machine may do, and shows that it was done."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from tests.profiles import history
from tests.property.blocks import BLOCKS
from tests.property.connections import TwoConnections
from tests.property.machine import ALIASES, MODES, CacheMachine
from tests.property.trouble import LOSSES, TROUBLES, Bench
from tests.property.world import WRITES

pytestmark = pytest.mark.django_db(transaction=True, databases=list(ALIASES))

#: In turn: no block; one that is kept; one that is rolled back within another; …
AROUND: list[tuple[str, ...]] = [
    (), ("atomic",), ("durable", "savepoint"), ("by_hand",), ("atomic", "raw_savepoint"),
]  # fmt: skip
#: Writes that change no row: what they do is fail, or call ``invalidate()``.
IDLE = {f"by_hand {form}" for form in range(5)} | {f"fail {form}" for form in range(3, 6)}
#: After so many vain attempts the world is furnished anew.
AGAIN = 4
#: SQLite has no constraints that are looked at only at the commit.
WITHOUT_TILES = {f"decided_at_the_commit {form}" for form in range(4)}


@contextmanager
def changed_rows(alias: str) -> Iterator[list[int]]:
    """Count the rows that are changed on this thread's connection."""
    changed: list[int] = []
    connection: Any = connections[alias]

    def count(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if not str(sql).startswith(("SELECT", "SAVEPOINT", "RELEASE", "ROLLBACK")):
            changed.append(context["cursor"].rowcount)
        return result

    if connection.vendor == "sqlite":
        # It does not know how many rows a statement with RETURNING or a CTE changes until all is over.
        before = connection.connection.total_changes
        yield changed
        changed.append(connection.connection.total_changes - before)
    else:
        with connection.execute_wrapper(count):
            yield changed


@contextmanager
def ended(machine: Any) -> Iterator[Any]:
    """The machine, asked once so that everything is cached; at the end its connections are closed."""
    try:
        machine.check()
        yield machine
    finally:
        machine.teardown()


def done_for_certain(machine: CacheMachine, name: str, around: tuple[str, ...]) -> bool:
    """Do a write within blocks, with the first numbers with which it goes well and changes a row."""
    for at, numbers in enumerate(itertools.product((0, 1, 3), (0, 1, 2), (1, 2, 0))):
        if at == AGAIN:
            machine._begin_anew(machine.world)
        for kind in around:
            machine.begin(kind)
        with changed_rows(machine.alias) as changed:
            went_well = machine._attempt(name, *numbers)
        if went_well and any(rows > 0 for rows in changed):
            return True
        while machine.blocks:
            machine.roll_back()
    return False


def pairs() -> list[tuple[str, str]]:
    """All writes, two by two, of different families: what one leaves stale the other does not end by chance."""
    names = sorted(WRITES)
    half = -(-len(names) // 2)
    return list(itertools.zip_longest(names[:half], names[half:], fillvalue=names[0]))


@pytest.mark.parametrize("alias", ALIASES)
def test_every_write_changes_rows_and_leaves_nothing_stale(alias: str, bench: Bench) -> None:
    """Of 246 writes each changes at least 1 row, in or out of a transaction, and then 0 answers are stale."""
    idle = set()
    with ended(CacheMachine(alias, bench, history().share)) as machine:
        for at, pair in enumerate(pairs()):
            for name in pair:
                if not done_for_certain(machine, name, AROUND[at % len(AROUND)]):
                    idle.add(name)
                if len(machine.blocks) == 2:
                    machine.roll_back()
                while machine.blocks:
                    machine.commit()
            machine.check()
    assert idle == IDLE | (WITHOUT_TILES if alias == "default" else set())


def story(machine: TwoConnections) -> Iterator[Any]:
    """Everything but the writes, once or more."""
    move = ("update 0", 0, 7, 0), ("save 0", 1, 1, 1)
    back = ("update 0", 0, 7, 1), ("pets 0", 0, 0, 1)
    for kind, block in BLOCKS.items():
        if not block.is_outermost:
            machine.begin("atomic")
        machine.begin(kind)
        yield machine.write([*move])
        yield machine.roll_back()
        if machine.blocks:
            yield machine.write([*back])
            yield machine.commit()
    for trouble in TROUBLES:
        machine.save_file()
        machine.begin("atomic")
        machine.write([move[0]])
        yield machine.get_into_trouble(trouble)
        yield machine.write([*back])
        yield machine.commit()
        yield machine.write([move[1]])
        machine.drain()
        yield machine.get_out_of_trouble()
        yield machine.drain()
    yield machine.look_back()
    for what in LOSSES:
        machine.begin("atomic")
        machine.write([*move])
        yield machine.lose(what, 1)
        machine.write_beside([("update 1", 1, 7, 3)])
        yield machine.write_beside([("what_is_joined 3", 1, 7, 3), ("pets 0", 0, 1, 1)])
        yield machine.commit()
    yield machine.look_ahead()
    yield machine.switch(on=False)
    yield machine.write([*back])
    yield machine.switch(on=True)
    for mode in MODES:
        yield machine.ask_otherwise(mode)
    for name in ("update 0", "create 1", "pets 2"):
        yield machine.write_elsewhere(name, 0, 7, 1)


@pytest.mark.parametrize("alias", ALIASES)
def test_every_rule_is_played_and_leaves_nothing_stale(alias: str, bench: Bench) -> None:
    """Each rule, each kind of block, each trouble and each loss at least once: after each step 0 answers are stale."""
    with ended(TwoConnections(alias, bench, history().share)) as machine:
        for _ in story(machine):
            machine.check()
    rules = {each.function.__name__ for each in TwoConnections.setup_state().rules}
    kinds = {f"block {kind}" for kind in BLOCKS} | {f"trouble {trouble}" for trouble in TROUBLES}
    others = {f"lose {what}" for what in LOSSES} | {f"mode {mode}" for mode in MODES}
    assert {name for name in bench.done if name not in WRITES} == rules | kinds | others
    # Half of the story is told within transactions and outages.
    assert bench.reads["hit"] > bench.reads.total() / 3
