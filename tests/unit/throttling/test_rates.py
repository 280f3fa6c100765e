"""How often: what may be written, what it means, and what is said of the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from redis_toolkit.throttling.rates import MOST, Rate, rates

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND

WRITTEN: dict[Any, list[Rate]] = {
    "100/m": [Rate(100, MINUTE)],
    " 100 / m ": [Rate(100, MINUTE)],
    "5/15m": [Rate(5, 15 * MINUTE)],
    "5/15 minutes": [Rate(5, 15 * MINUTE)],
    "1/s": [Rate(1, SECOND)],
    "3/sec": [Rate(3, SECOND)],
    "3/2Hours": [Rate(3, 2 * HOUR)],
    "7/day": [Rate(7, DAY)],
    "7/w": [Rate(7, 7 * DAY)],
    "0/s": [Rate(0, SECOND)],
    "10/s, 1000/h": [Rate(10, SECOND), Rate(1000, HOUR)],
    "1000/h;10/s": [Rate(10, SECOND), Rate(1000, HOUR)],
    "100/m burst=20": [Rate(100, MINUTE, 20)],
    (100, timedelta(minutes=1)): [Rate(100, MINUTE)],
    (1, timedelta(milliseconds=250)): [Rate(1, SECOND // 4)],
    Rate(4, MINUTE): [Rate(4, MINUTE)],
    ("1/s", Rate(4, MINUTE)): [Rate(1, SECOND), Rate(4, MINUTE)],
    None: [],
}


@pytest.mark.parametrize("given", WRITTEN, ids=str)
def test_what_may_be_written(given: Any) -> None:
    """The rates it stands for, the shortest period first."""
    assert rates(given) == tuple(WRITTEN[given])


WRONG: dict[Any, str] = {
    "5/month": "A month has no fixed length: write 30d.",
    "5/millisecond": "no unit of ours ('millisecond')",
    "5/hello": "no unit of ours",
    "5/minuts": "Did you mean 'minutes'?",
    "5": "is no rate",
    "5/": "is no rate",
    "/m": "is no rate",
    "": "is no rate",
    "5/m, ": "is no rate",
    "-5/m": "is no rate",
    "5.5/m": "is no rate",
    "5/m burst": "is no rate",
    "5/m extra": "is no rate",
    "5/0m": "a period of nothing",
    "\u0665/m": "is no rate",
    "5/m burst=6": "The burst of a rate is a whole number from 1 to 5, not 6.",
    "5/m burst=0": "The burst of a rate",
    "5/400d": "The period in microseconds of a rate",
    f"{MOST + 1}/m": "The limit of a rate is a whole number from 0 to 1000000",
    "5/m, 6/60s": "have the same period",
    5: "5 is no rate",
    b"5/m": "is no rate",
    (): "A rate is missing",
    (5, 6): "5 is no rate",
    (True, timedelta(1)): "The limit of a rate",
    (5, timedelta(0)): "The period in microseconds",
}


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_what_may_not(given: Any) -> None:
    """It is said what is wrong, and how it is written."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared below
        rates(given)
    assert WRONG[given] in str(raised.value)


@pytest.mark.parametrize("text", ["100/m", "5/15m", "1/s", "3/2h", "7/d", "7/w", "100/m burst=20", "1/0.25s"])
def test_as_text(text: str) -> None:
    """A rate is printed as it is written."""
    rate = Rate(1, SECOND // 4) if "." in text else rates(text)[0]
    assert str(rate) == text
