"""Whatever is written, in whatever order: the cache answers what the database answers."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import redis
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, connections, transaction
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.app.models import Badge, Lesson, Place
from tests.battery import Universe, stale
from tests.property.writes import MADE_UP, WRITES, World, clear, first_lessons, seed

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "postgres"])

#: Examples by profile of Hypothesis; each has so many steps, and each step asks the whole battery.
EXAMPLES = {"dev": (3, 15), "ci": (12, 25), "nightly": (2_000, 40)}
NUMBERS = st.integers(0, 11)


class UndoneError(Exception):
    """Rolls a block back."""


class CacheMachine(RuleBasedStateMachine):
    """Writes of every kind, in transactions and out of them. After each step nothing in the cache is stale."""

    def __init__(self, alias: str, client: redis.Redis) -> None:
        super().__init__()
        self.alias = alias
        self.client = client
        self.world = World(alias)
        self.blocks: list[transaction.Atomic] = []
        self.seen: set[int] = set()
        self.do(lambda: (clear(alias), seed(self.world), first_lessons(self.world)))
        client.flushall()
        assert stale(self.universe(), alias) == []

    def do(self, act: Callable[[], Any]) -> Any:
        """Write, on the connection that writes."""
        return act()

    @rule(
        writes=st.lists(
            st.tuples(st.sampled_from(sorted(WRITES)), NUMBERS, NUMBERS, st.integers(0, 35)), min_size=1, max_size=3
        )
    )
    def write(self, writes: list[tuple[str, int, int, int]]) -> None:
        for each in writes:
            self.do(partial(self.attempt, *each))

    def attempt(self, name: str, one: int, two: int, three: int) -> None:
        try:
            WRITES[name](self.world, one, two, three)
        except (DatabaseError, ObjectDoesNotExist, ValueError) as error:
            # A row in the way, or gone. PostgreSQL goes on only after a rollback.
            if self.blocks:
                self.blocks.pop().__exit__(type(error), error, None)

    @precondition(lambda self: len(self.blocks) < 3)
    @rule()
    def begin(self) -> None:
        block = transaction.atomic(using=self.alias)
        self.do(block.__enter__)
        self.blocks.append(block)

    @precondition(lambda self: self.blocks)
    @rule()
    def commit(self) -> None:
        block = self.blocks.pop()

        def leave() -> None:
            # A deferred constraint may end it: rolled back.
            with suppress(DatabaseError):
                block.__exit__(None, None, None)

        self.do(leave)

    @precondition(lambda self: self.blocks)
    @rule()
    def roll_back(self) -> None:
        block = self.blocks.pop()
        self.do(lambda: block.__exit__(UndoneError, UndoneError(), None))

    @rule(share=st.sampled_from([1, 2, 3]))
    def forget(self, share: int) -> None:
        """Redis loses everything, or every second or third key."""
        keys = sorted(self.client.keys())
        if keys:
            self.client.delete(*keys[::share])

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        """After each step, on each connection: 0 answers are stale."""
        super().check_invariants(*args, **kwargs)
        wrong = stale(self.universe(), self.alias)
        assert wrong == []

    def universe(self) -> Universe:
        def keys(model: Any) -> tuple[Any, ...]:
            return tuple(model._base_manager.using(self.alias).order_by("pk").values_list("pk", flat=True))

        self.seen.update(key for key in keys(Lesson) if key < MADE_UP)
        lessons = (*sorted(self.seen)[-6:], max(self.seen, default=0) + 1, MADE_UP, MADE_UP + 1)
        places = (*keys(Place)[-4:], MADE_UP)
        return Universe(lessons, (1, 2, 99), (1, 2), (1, 2), (1, 2), places, keys(Badge))

    def teardown(self) -> None:
        while self.blocks:
            self.roll_back()


class TwoConnections(CacheMachine):
    """One connection writes, with transactions open between the steps; another reads what it may see."""

    def __init__(self, alias: str, client: redis.Redis) -> None:
        self.writer = ThreadPoolExecutor(1)
        super().__init__(alias, client)

    def do(self, act: Callable[[], Any]) -> Any:
        return self.writer.submit(act).result(20)

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        super().check_invariants(*args, **kwargs)
        if self.blocks:
            universe = self.do(self.universe)
            assert self.do(lambda: stale(universe, self.alias)) == []

    def teardown(self) -> None:
        super().teardown()
        self.do(connections.close_all)
        self.writer.shutdown()


def play(machine: type[CacheMachine], alias: str, client: redis.Redis) -> None:
    profile = settings.get_current_profile_name()
    examples, steps = EXAMPLES[profile]
    # A shorter story of what went wrong takes minutes to find: at night.
    phases = tuple(Phase) if profile == "nightly" else (Phase.explicit, Phase.reuse, Phase.generate)
    how = settings(max_examples=examples, stateful_step_count=steps, phases=phases)
    factory: Any = lambda: machine(alias, client)  # noqa: E731 - Hypothesis takes any callable
    run_state_machine_as_test(factory, settings=how)


@pytest.mark.parametrize("alias", ["default", "postgres"])
def test_every_cached_answer_equals_the_databases_after_every_step(alias: str, redis_client: redis.Redis) -> None:
    """Of some 60 questions after each step of each history, 0 are answered differently."""
    play(CacheMachine, alias, redis_client)


@pytest.mark.parametrize("alias", ["default", "postgres"])
def test_a_second_connection_sees_in_the_cache_what_it_sees_in_the_database(
    alias: str, redis_client: redis.Redis
) -> None:
    """With a writer at work on another connection, 0 answers differ, on either connection."""
    play(TwoConnections, alias, redis_client)
