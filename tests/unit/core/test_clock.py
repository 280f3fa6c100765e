"""The one clock, and moving it."""

from __future__ import annotations

import time

import pytest

from redis_toolkit.core.clock import monotonic, now, travel


@pytest.mark.parametrize(("ours", "pythons"), [(now, time.time), (monotonic, time.monotonic)])
def test_the_clocks_are_pythons(ours, pythons):
    """Nobody has travelled: the time is Python's, in seconds, as a float."""
    before = pythons()
    asked = ours()
    assert before <= asked <= pythons()
    assert isinstance(asked, float)


@pytest.mark.parametrize(("ours", "pythons"), [(now, time.time), (monotonic, time.monotonic)])
def test_travel_moves_both_clocks(ours, pythons):
    """Inside the block both are ahead by just that much, after it they are back."""
    with travel(100):
        before = pythons() + 100
        assert before <= ours() <= pythons() + 100
    assert ours() <= pythons()


def test_journeys_add_up():
    """A journey within a journey goes on from there."""
    start = monotonic()
    with travel(100):
        with travel(0.5), travel(1000):
            assert 1100.5 <= monotonic() - start < 1110
        assert 100 <= monotonic() - start < 110
    assert 0 <= monotonic() - start < 10


class Trouble(Exception):
    """Something went wrong on the way."""


def test_an_error_brings_back_too():
    """The clocks are right again after an exception in the block."""
    start = monotonic()
    with pytest.raises(Trouble), travel(100):
        raise Trouble
    assert monotonic() - start < 10
