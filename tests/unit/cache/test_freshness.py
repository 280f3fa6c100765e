"""How long things live."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_toolkit.cache.freshness import jittered, seconds, stamp_life


@pytest.mark.parametrize(
    ("ttl", "life"),
    [
        (5, 5.0),
        (0.25, 0.25),
        (timedelta(minutes=5), 300.0),
        (timedelta(days=1, milliseconds=1), 86400.001),
        (Decimal("1.5"), 1.5),
    ],
)
def test_a_life_in_seconds(ttl, life):
    """Numbers are seconds, and a timedelta says itself what it is."""
    assert seconds(ttl) == life
    assert type(seconds(ttl)) is float


@pytest.mark.parametrize(
    "ttl", [0, -1, -0.0, math.nan, math.inf, -math.inf, timedelta(0), timedelta(seconds=-1), "7", True, None]
)
def test_a_life_is_positive_and_ends(ttl):
    """Nothing, less than nothing, no number, a flag, and for ever are refused, and the error says what was given."""
    with pytest.raises(ValueError, match="A ttl is a positive number of seconds or a timedelta, not ") as raised:
        seconds(ttl)
    assert repr(ttl) in str(raised.value)


@pytest.mark.parametrize(
    ("ttl", "jitter", "dice", "life"),
    [
        (60, 0, 0.99, 60_000),
        (60, 0.1, 0.0, 60_000),
        (60, 0.1, 0.5, 57_000),
        (100, 0.9, 0.5, 55_000),
        (0.0001, 0.1, 0.5, 1),
    ],
)
def test_jitter_shortens(ttl, jitter, dice, life):
    """A life in milliseconds is shortened by a share of the jitter, and is never nothing."""
    assert jittered(ttl, jitter, dice) == life


@given(st.floats(0.001, 1e9), st.floats(0, 0.9), st.floats(0, 1, exclude_max=True))
def test_jitter_stays_within_its_share(ttl, jitter, dice):
    """No life is longer than asked, or shorter than the jitter allows."""
    life = jittered(ttl, jitter, dice)
    assert max(1, ttl * 1000 * (1 - jitter) - 0.5) <= life <= max(1, ttl * 1000 + 0.5)


@given(st.floats(0.001, 1e9), st.floats(0.001, 1e9), st.floats(0, 0.9), st.floats(0, 1, exclude_max=True))
def test_a_stamp_outlives_its_entries(ttl, longest, jitter, dice):
    """A stamp lives twice as long as the longest entry, so it never expires under one that was stored in time."""
    assert stamp_life(ttl, longest) == round(2000 * max(ttl, longest))
    assert stamp_life(ttl, longest) >= jittered(ttl, jitter, dice) or stamp_life(ttl, longest) == 2
