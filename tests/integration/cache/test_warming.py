"""Filling the cache: ``manage.py redis_warm``, the Celery task, and what both refuse."""

from __future__ import annotations

import signal
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from redis_toolkit.cache import trust, warming
from redis_toolkit.cache.warming import Warmed, pause, warm
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.management.progress import Bar
from redis_toolkit.tasks import warm as task
from tests import warming as declared
from tests.app.models import Lesson
from tests.integration.cache.term import Term
from tests.integration.cache.threads import elsewhere

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

NAMES = ["one", "many", "one_again", "nothing", "plain", "uncached", "unkeyed"]


@pytest.fixture(autouse=True)
def names(term: Term, settings: Any) -> None:
    """What is declared, of this test's database.

    Looks at the outbox are far apart, so that no thread waits for another's, and goes past Redis if that takes long.
    """
    settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = 1000
    settings.REDIS_TOOLKIT_WARM = [f"tests.warming.{name}" for name in NAMES]
    declared.ALIAS[0] = term.alias


def said(*words: str, **options: Any) -> list[str]:
    """The lines of ``redis_warm``."""
    out = StringIO()
    call_command("redis_warm", *words, stdout=out, **options)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("concurrency", ["1", "3"])
def test_what_is_declared_is_filled_once(term, cost, concurrency):
    """Each queryset with what it prefetches, each callable and each row: filled the first time, there the second, 0 queries."""
    words = ["tests.warming.one", "tests.warming.many", "--database", term.alias, "--concurrency", concurrency]
    one, many = said(*words)
    assert one == "tests.warming.one: 1 done. Reads that found it there: 0, that filled it: 1, that could not: 0."
    # Five days and their students, of which four have lessons, a count, and ten rows; the first day was there.
    assert many.startswith("tests.warming.many: 16 done. Reads that found it there: 0, that filled it: 12")
    with cost() as it:
        cached = term.cached
        for day in range(1, 6):
            list(cached.filter(weekday=day).prefetch_related("students"))
        cached.filter(weekday=1).count()
        cached.in_bulk([lesson.pk for lesson in term.lessons])
    assert {outcome for _, outcome in it.outcomes} == {"hit"}
    again = said(*words)
    assert [line.partition("there: ")[2].partition(",")[0] for line in again] == ["1", "12"]


def test_a_queryset_that_was_evaluated_is_read_again(term, cost):
    """What a module keeps is asked anew each time, so it is filled though it knows its answer."""
    assert list(warm(["tests.warming.one_again"])) == [Warmed("tests.warming.one_again", 1, 0, 1, 0)]
    assert list(warm(["tests.warming.one_again"])) == [Warmed("tests.warming.one_again", 1, 1, 0, 0)]


def test_every_row_by_its_key(term, cost, monkeypatch):
    """25 rows in pages of 10: 3 for the keys, 3 for the rows and one for their number; afterwards each is a hit."""
    monkeypatch.setattr(warming, "BATCH", 10)
    term.grow(25)
    shown = []
    with cost() as it:
        found = list(warm([], models=["app.Lesson"], using=term.alias, progress=lambda *told: shown.append(told)))
    assert found == [Warmed("app.Lesson", 25, 0, 3, 0)]
    assert shown == [("app.Lesson", 10, 25), ("app.Lesson", 20, 25), ("app.Lesson", 25, 25)]
    assert sum("app_lesson" in sql for sql in it.sql) == 1 + 3 + 3
    with cost() as it:
        for lesson in term.lessons:
            term.cached.get(pk=lesson.pk)
    assert it.outcomes == [("get", "hit")] * 25


def test_what_a_writer_is_changing_is_told(term):
    """A mark stands: the answer is read, and could not be stored."""
    with transaction.atomic(using=term.alias):
        if term.alias == "default":
            # (On SQLite nobody else reads what is being written.)
            term.plain(Lesson).filter(weekday=1).update(title="new")
            found = list(warm(["tests.warming.one"]))
        else:
            term.plain(Lesson).filter(weekday=1).update(title="new")
            found = elsewhere(lambda: list(warm(["tests.warming.one"])))
    assert found == [Warmed("tests.warming.one", 1, 0, 0, 1)]


def test_two_at_once(term):
    """Two that warm the same at the same time are both right, and everything is there afterwards."""
    import threading

    together = threading.Barrier(2)
    found = []

    def one() -> None:
        together.wait(10)
        elsewhere(lambda: found.extend(warm(["tests.warming.many"], using=term.alias)))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [each.done for each in found] == [16, 16]
    # (A reader goes past Redis where another looks at the outbox for the first time, or takes long to.)
    assert [each.there + each.loaded + each.unstored for each in found] == [12, 12]
    list(warm(["tests.warming.many"], using=term.alias))
    (again,) = warm(["tests.warming.many"], using=term.alias)
    assert (again.there, again.loaded, again.unstored) == (12, 0, 0)


def test_the_celery_task(term):
    """The number of answers and rows; with models alone nothing else that is declared; names must be declared."""
    assert task(["tests.warming.one"]) == 1
    assert task(models=["app.Place"]) == 0
    with pytest.raises(Misconfigured, match=r"os\.abort is not in REDIS_TOOLKIT_WARM"):
        task(["os.abort"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tests.warming.nothing"], "gives NoneType, and can give cached querysets"),
        (["tests.warming.plain"], "gives QuerySet, and can give cached querysets"),
        (["tests.warming.uncached"], "gives a queryset of app.Lesson with .nocache()"),
        (["tests.warming.unkeyed"], "app.Group has no CacheManager that shows all of its rows"),
        (["os.abort"], "os.abort is not in REDIS_TOOLKIT_WARM"),
        (["--model", "app.Nobody"], "app.Nobody is no model"),
        (["--model", "app.Group"], "app.Group has no CacheManager"),
        (["--rate", "0"], "are numbers above 0"),
        (["--concurrency", "0"], "are numbers above 0"),
    ],
)
def test_what_cannot_be_warmed(words, message):
    """It is told with exit code 2."""
    with pytest.raises(CommandError, match=message) as caught:
        said(*words)
    assert caught.value.returncode == 2


def test_nothing_declared_and_a_cache_that_is_off(settings):
    """Nothing to do, or nothing that could be done, is an error with its cure."""
    settings.REDIS_TOOLKIT_ENABLED = False
    with pytest.raises(CommandError, match="REDIS_TOOLKIT_ENABLED is False"):
        said("tests.warming.one")
    settings.REDIS_TOOLKIT_WARM = []
    with pytest.raises(CommandError, match="set REDIS_TOOLKIT_WARM, or give --model"):
        said()
    settings.REDIS_TOOLKIT_ENABLED = True
    settings.REDIS_TOOLKIT_WARM = ["tests.warming.unheard_of"]
    with pytest.raises(CommandError, match="which cannot be imported"):
        said()


@pytest.mark.parametrize("concurrency", ["1", "3"])
def test_redis_goes_while_it_is_warmed(term, valkey, monkeypatch, settings, concurrency):
    """Exit code 1 and what to do, whether it is away at the beginning, goes in between, or takes no more."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 60
    # By this it knows which run of the server it has trusted.
    term.cached.get(pk=term.lessons[5].pk)
    own, asked = warming._by_key, []

    def kill(*args: Any) -> int:
        if not asked:
            asked.append(args)
            valkey.kill()
        return own(*args)

    monkeypatch.setattr(warming, "BATCH", 1)
    monkeypatch.setattr(warming, "_by_key", kill)
    for _ in range(2):
        with pytest.raises(CommandError, match="What was filled stays; run redis_warm again") as caught:
            said("--model", "app.Lesson", "--database", term.alias, "--concurrency", concurrency)
        assert caught.value.returncode == 1
    valkey.start()
    link().breaker.close()
    with pytest.raises(CommandError, match="does not trust it yet"):
        said("tests.warming.one")
    with travel(120):
        # Which server this is, if nobody has asked it yet.
        term.cached.get(pk=term.lessons[5].pk)
        with travel(120):
            assert said("tests.warming.one") != []
    trust.forget()


def test_a_full_server(term, valkey, redis_client):
    """A server that takes nothing more ends it, though it answers."""
    redis_client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable, match="OOM"):
        list(warm(["tests.warming.one"]))
    redis_client.config_set("maxmemory", 0)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_stopped(django_environment, end):
    """Ctrl-C, or SIGTERM: exit code 130, one line, no traceback."""
    script = (
        # (A shell in whose background this runs has had it ignored.)
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "import django; django.setup();"
        "from django.core.management import call_command; from django.test.utils import override_settings;"
        "context = override_settings(REDIS_TOOLKIT_WARM=['tests.warming.endless']); context.enable();"
        "call_command('redis_warm')"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script], env={**django_environment, "PATH": ""},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as running:  # fmt: skip
        assert running.stdout.readline() == "begun\n"
        running.send_signal(end)
        _, error = running.communicate(timeout=60)
    assert (running.returncode, error) == (
        130, "Stopped. What was filled stays; run redis_warm again for the rest.\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("done", "elapsed", "rate", "rest"), [(500, 1.0, None, 0.0), (500, 1.0, 250, 1.0), (100, 1.0, 250, 0.0)]
)
def test_a_rate_is_a_bound(done, elapsed, rate, rest):
    """As long a rest as brings what is done down to the rate; none without one, and none for who is slower."""
    assert pause(done, elapsed, rate) == rest


class Terminal(StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


def test_the_bar():
    """A terminal is shown how far it is, in place; whatever else nothing."""
    stream, file = Terminal(), StringIO()
    for bar in (Bar(stream), Bar(file)):
        bar.show("app.Lesson", 5, 10)
        bar.show("app.Lesson", 6, 10)
        with travel(1):
            bar.show("app.Lesson", 10, 10)
            bar.show("some.lists", 7, None)
        bar.end()
    half, full, lists, end = stream.getvalue().split("\r\x1b[K")[1:]
    assert half.startswith("app.Lesson [" + "#" * 15 + "." * 15 + "] 5 of 10")
    assert full.startswith("app.Lesson [" + "#" * 30 + "] 10 of 10")
    assert (lists, end, file.getvalue()) == ("some.lists 7", "", "")
