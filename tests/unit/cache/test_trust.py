"""Which run of the server a process knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from redis_toolkit.cache import trust
from redis_toolkit.core.clock import travel

RUN = b"a run id"


class Interrupted(bytes):
    """A run that, the first time it is compared, is found to be another: then it is another thread's turn."""

    meanwhile: Callable[[], object] | None = None

    def __eq__(self, other: object) -> bool:
        turn, self.meanwhile = self.meanwhile, None
        if turn is not None:
            turn()
            return False
        return bytes(self) == other

    __hash__ = bytes.__hash__


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """As in a new process."""
    trust.forget()
    yield
    trust.forget()


@pytest.mark.parametrize("born", [1.0, 3.0], ids=["the older connection", "the newer one"])
def test_two_who_read_first(born: float) -> None:
    """1. A looks which run is known: none  2. B tells it  3. A goes on: it has found no other server, and is trusted."""
    mine = Interrupted(RUN)
    mine.meanwhile = lambda: trust.on_run(RUN, 2.0)
    assert trust.on_run(mine, born)
    assert trust.is_given()


def test_another_run_is_not_trusted_yet() -> None:
    """Found by a newer connection; one that is older than what is known knows nothing new."""
    assert trust.on_run(RUN, 2.0)
    assert not trust.on_run(b"another", 1.0)
    assert trust.is_given()
    assert not trust.on_run(b"another", 3.0)
    assert not trust.is_given()
    assert not trust.on_run(RUN, 2.0)


def test_two_who_find_another_run() -> None:
    """1. A and B begin to read  2. both are answered by another run  3. A tells it: B does not trust it either, for a while."""
    assert trust.on_run(RUN, 1.0)
    assert [trust.on_run(b"another", born) for born in (2.0, 3.0)] == [False, False]
    with travel(60):
        assert trust.on_run(b"another", 3.0)


def test_trust_that_is_lost_while_somebody_reads() -> None:
    """1. B begins to read  2. A finds Redis away  3. B is answered: it is not trusted, and nobody is told that Redis is back."""
    assert trust.on_run(RUN, 1.0)
    trust.lost()
    with travel(60):
        assert not trust.on_run(RUN, 1.0)
