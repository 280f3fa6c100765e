"""Where the promise is only *for at most so many seconds*: what has to come together, and how long it lasts.

The first corner, a writer that alone cannot reach Redis, is played in tests/integration/cache/test_outbox.py.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import redis

from tests.concurrency.actors import PATIENCE
from tests.concurrency.timetable import Timetable

pytestmark = pytest.mark.django_db(transaction=True, databases=["postgres"])

#: A process that says when it has written and when it has committed, and goes on when it is told to.
WRITER = """
import sys
import django
django.setup()
from django.db import transaction
from tests.app.models import Lesson
def say(word):
    print(word, flush=True)
    sys.stdin.readline()
with transaction.atomic(using="postgres"):
    transaction.on_commit(lambda: say("committed"), using="postgres")
    lesson = Lesson.objects.using("postgres").get(pk=1)
    lesson.title = "new"
    lesson.save()
    say("written")
"""


@pytest.mark.parametrize(("lost", "dies", "stale"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_a_mark_is_lost_and_its_writer_dies(
    timetable: Timetable, redis_client: redis.Redis, marks_run_out: Callable[[], int], django_environment: dict[str, str],
    lost: bool, dies: bool, stale: int,
) -> None:  # fmt: skip
    """1. marks run out  2. the old row is stored  3. a commit  4. kill -9: old for the ttl; with one of these, never."""

    def read() -> list[str]:
        return [lesson.title for lesson in timetable.cached.cache(ttl=5).filter(group=1)]

    with subprocess.Popen(
        [sys.executable, "-c", WRITER], env=django_environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "written\n"
        if lost:
            assert marks_run_out() == 7
        assert [read(), read()] == [["old"], ["old"]]
        writer.stdin.write("commit\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "committed\n"
        if dies:
            writer.kill()
        writer.stdin.close()
        writer.wait(PATIENCE)
    assert [int(read() != ["new"]) for _ in range(2)] == [stale, stale]
    if stale:
        (entry,) = redis_client.keys("rt:q:*")
        assert 0 < redis_client.pttl(entry) <= 5000
        # What time does.
        redis_client.delete(entry)
        assert read() == ["new"]
