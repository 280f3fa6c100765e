"""Whatever is written, in whatever order: the cache answers what the database answers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.profiles import history
from tests.property.connections import TwoConnections
from tests.property.machine import ALIASES, CacheMachine
from tests.property.trouble import Bench

pytestmark = pytest.mark.django_db(transaction=True, databases=list(ALIASES))


def play(machine: type[CacheMachine], alias: str, bench: Bench) -> None:
    wanted = history()
    # A shorter story of what went wrong takes minutes to find: at night.
    is_night = settings.get_current_profile_name() == "nightly"
    phases = tuple(Phase) if is_night else (Phase.explicit, Phase.reuse, Phase.generate)
    how = settings(max_examples=wanted.examples, stateful_step_count=wanted.steps, phases=phases)
    factory: Any = lambda: machine(alias, bench, wanted.share)  # noqa: E731 - Hypothesis takes any callable
    run_state_machine_as_test(factory, settings=how)
    assert bench.reads["hit"] > wanted.hits * bench.reads.total()


@pytest.mark.parametrize("alias", ALIASES)
def test_every_cached_answer_equals_the_databases_after_every_step(alias: str, bench: Bench) -> None:
    """Of some 130 questions after each step of each history, 0 are answered differently."""
    play(CacheMachine, alias, bench)


@pytest.mark.parametrize("alias", ALIASES)
def test_a_second_connection_sees_in_the_cache_what_it_sees_in_the_database(alias: str, bench: Bench) -> None:
    """With a writer at work on another connection, 0 answers differ, on either connection."""
    play(TwoConnections, alias, bench)
