"""``manage.py redis_stats``: a table for people, an object for machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from redis_toolkit.cache.telling import report
from redis_toolkit.core.clock import travel
from redis_toolkit.stats import Figures
from redis_toolkit.stats.telling import gathered
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Lesson

Look = Callable[[], Figures]


def said(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("redis_stats", *arguments, stdout=out)
    return out.getvalue().splitlines()


@pytest.fixture
def some(told: Look) -> None:
    """Three hits, a miss, a function, denials, codes and an error."""
    for _ in range(3):
        report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.5, loaded=2.0, key="rt:r:1")
    report(model=Lesson, kind="get", outcome="miss", alias="default", seconds=2.5, loaded=2.0, reason="empty")
    report(model=None, kind="value", outcome="bypass", alias="default", seconds=0.5, name="app.f", reason="off")
    for cell in (("throttle", "mails", "denied"), ("code", "login", "wrong"), ("error", "read", "")):
        gathered.add(cell, 2)
    told()


@pytest.mark.usefixtures("some")
def test_for_people(settings: Any) -> None:
    """A row for each of two subjects and one for all; then throttles, codes, errors, and what is read most."""
    found = said()
    assert found == [
        "the last hour  hit ratio     reads  queries saved  seconds saved  writes",
        "app.Lesson         75.0%         4              3          4.500       0",
        "app.f               0.0%         1              0          0.000       0",
        "all                60.0%         5              3          4.500       0",
        "throttle mails: 2 denied",
        "codes login: 2 wrong",
        "errors read: 2",
        "read 3 times lately: rt:r:1 (app.Lesson)",
    ]


def test_rows_are_no_queries(told: Look) -> None:
    """Forty rows that were found by key would have been one query, or two: nobody knows, so none is counted as saved."""
    report(model=Lesson, kind="bulk", outcome="hit", alias="default", seconds=0.5, count=40)
    report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.5)
    told()
    assert said()[1] == "app.Lesson        100.0%        41              1          0.000       0"


@pytest.mark.usefixtures("some")
def test_for_machines() -> None:
    """The same numbers, by subject and detail."""
    told = json.loads("\n".join(said("--json", "--span", "day")))
    assert told["span"] == "day"
    assert told["reads"]["app.Lesson"] == {
        "hit_ratio": 0.75, "reads": 4, "hits": 3, "misses": 1, "bypasses": 0, "loads": 1, "seconds_saved": 4.5,
        "writes": 0,
    }  # fmt: skip
    assert (told["throttle"], told["code"]) == ({"mails": {"denied": 2}}, {"login": {"wrong": 2}})
    assert told["hottest"] == [{"subject": "app.Lesson", "key": "rt:r:1", "times": 3}]


@pytest.mark.usefixtures("some")
def test_of_how_long() -> None:
    """Two hours later the last hour is empty; the day and the month are not."""
    with travel(7200):
        assert said()[0] == "Nothing was read through the cache in the last hour."
        for span in ("day", "month"):
            assert len([line for line in said("--span", span) if line.startswith("app.")]) == 2


def test_nothing(redis_client: Any) -> None:
    """Statistics are off, and there are none: it says both."""
    assert said() == [
        "REDIS_TOOLKIT_STATS is False: nothing is counted by this project.",
        "Nothing was read through the cache in the last hour.",
    ]


def test_while_redis_is_away(valkey: ValkeyServer, settings: Any) -> None:
    """An error, and what to do."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    valkey.kill()
    with pytest.raises(CommandError, match="when Redis is back"):
        said()
