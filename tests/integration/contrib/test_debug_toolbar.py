"""The panel of django-debug-toolbar, in requests to a site that has it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from django.db import connections

from redis_toolkit.cache.tables import tables
from redis_toolkit.contrib.debug_toolbar import sentence
from tests.app.factories import LessonFactory

pytestmark = pytest.mark.django_db(transaction=True)

#: All that ``cache_read`` may give, but the empty one.
REASONS = (
    "empty", "ended", "columns", "run", "unreadable", "asked", "due", "off", "breaker", "outage", "untrusted",
    "transaction", "writing", "snapshot", "uncacheable",
)  # fmt: skip


@pytest.fixture
def lessons() -> list[int]:
    """The keys of three lessons."""
    made = [LessonFactory.create().pk for _ in range(3)]
    connections.close_all()
    return made


@pytest.fixture
def shown(lessons: list[int], django_environment: Mapping[str, str]) -> dict[str, Any]:
    """What a site with the toolbar shows, in a process of its own: the toolbar is an app, and patches others."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.integration.contrib.toolbar_site", *map(str, lessons)],
        env={**django_environment, "DJANGO_SETTINGS_MODULE": "tests.integration.contrib.toolbar_settings", "PATH": ""},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_is_shown(shown, lessons):
    """Each read of a page has a row: a miss, a hit, a miss that says which write it was, a bypass, and why; the totals."""
    outcome, what, kind, why, took, load, size, key = range(8)
    rows = shown["rows"]
    assert [row[outcome] for row in rows] == ["miss", "hit", "miss", "bypass", "miss"]
    assert [row[what] for row in rows] == ["app.Lesson"] * 5
    assert [row[kind] for row in rows] == ["get", "get", "get", "rows", "rows"]
    assert [row[why] for row in rows] == [
        "Nothing was stored.",
        "",
        "A write to this row of app.Lesson has ended it.",
        "It is never cached; the log of redis_toolkit.cache says why.",
        "Nothing was stored.",
    ]
    assert [bool(row[key]) for row in rows] == [True, True, True, False, True]
    assert rows[0][key] == rows[1][key] == f"rt:r:default:app.lesson:id={lessons[0]}"
    assert int(rows[0][size]) == int(rows[1][size]) > 0
    assert all(re.fullmatch(r"\d+\.\d\d ms", row[took]) and re.fullmatch(r"\d+\.\d\d ms", row[load]) for row in rows)
    assert "1 hits of 5 reads" in shown["page"]
    # The throttle that was asked, and what the page's write has ended.
    panel = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown["panel"]))
    assert "visits allowed 999 / 1000 redis" in panel
    assert "app.Lesson any row 1" in panel
    assert "app.Lesson one row 1" in panel
    # Under a strict policy nothing of it is left out.
    assert not re.search(r"<script|<style|style=|\son\w+=", shown["panel"])


def test_each_request_has_its_own(shown, lessons):
    """Two requests at a time, in threads and in coroutines: each shows its own two reads of the four."""
    for way in ("together", "awaited"):
        for rows, key in zip(shown[way], lessons[1:], strict=True):
            assert [row[-1] for row in rows] == [f"rt:r:default:app.lesson:id={key}"] * 2


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_a_sentence(reason):
    """Whatever the signal gives is said in words."""
    assert re.fullmatch(r".* .*\.", sentence(reason))


def test_what_ended_it_in_words():
    """The stamp of a write is told as people would; a hit needs no word."""
    table = tables("default").by_name["app_lesson"]
    row, group, every, new = table.stamps("default", ["id=7", "room_id=5,weekday=2", "*", "new"])
    assert sentence("ended", row) == "A write to this row of app.Lesson has ended it."
    assert sentence("ended", group) == "A write to a row of app.Lesson with this room, weekday has ended it."
    assert sentence("ended", new) == "A row was added to app.Lesson."
    assert sentence("ended", every, ("title",)) == (
        "A write to some row of app.Lesson has ended it. The query pins title."
    )
    # Of which nobody knows the rows: what is pinned would not have helped.
    assert sentence("ended", table.whole("default")[0], ("title",)) == "A write to app.Lesson as a whole has ended it."
    assert sentence("ended", "strange") == "A write has ended it."
    assert sentence("") == ""
