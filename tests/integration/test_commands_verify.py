"""``manage.py redis_verify``: its arguments, its lines, its exit codes, and what it does when something is away."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from redis_toolkit.cache import invalidate, trust
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Group, Lesson, Student, Teacher
from tests.integration.cache.verifying import unseen, verify

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ROOT = Path(__file__).parents[2]
ALIASES = ("default", "postgres")


@pytest.fixture(autouse=True)
def _lessons(settings: Any) -> None:
    """Twenty lessons on each database, all in the cache by key, and of each group of one a list and a count."""
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 1
    for alias in ALIASES:
        fill(alias)


def fill(alias: str) -> None:
    group = Group.objects.using(alias).create(pk=1, code="g")
    teacher = Teacher.objects.using(alias).create(pk=1, name="t")
    Lesson.objects.using(alias).bulk_create(
        Lesson(pk=at, title=f"Lesson {at}", slug=f"s{at}", group=group, teacher=teacher, period=at)
        for at in range(1, 21)
    )
    Student.objects.using(alias).create(name="s")
    invalidate(Lesson, using=alias)
    lessons: Any = Lesson.cached.db_manager(alias)
    lessons.in_bulk(range(1, 21))
    for at in range(1, 21):
        list(lessons.filter(period=at))
        lessons.filter(period=at).count()


WRONG = "UPDATE app_lesson SET title = 'planted' WHERE id = 7"


def test_everything() -> None:
    """With --all each of 40 rows and 80 query answers on two databases is looked at."""
    assert verify().counts == {"equal": 120}


def test_one_database() -> None:
    """With --database only its 60 entries are."""
    unseen("postgres", WRONG)
    assert verify("--database", "default").counts == {"equal": 60}
    assert verify("--database", "postgres").counts == {"equal": 58, "different": 2}


def test_one_model() -> None:
    """With --model only entries of these models are, in whatever case the name is written."""
    assert verify("--model", "app.Group", "--model", "app.Teacher").counts == {}
    assert verify("--model", "app.LESSON", "--model", "app.group").counts == {"equal": 120}


def test_a_sample() -> None:
    """A sample has as many entries as asked for, half of them rows, and the same ones for the same seed."""
    first = verify("--sample", "30", "--seed", "4711")
    assert first.counts == {"equal": 30}
    unseen("default", "UPDATE app_lesson SET title = 'planted'")
    unseen("postgres", "UPDATE app_lesson SET title = 'planted'")
    one, same = (verify("--sample", "30", "--seed", "4711") for _ in range(2))
    other = verify("--sample", "30", "--seed", "4712")
    assert sum(" rt:r:" in line for line in one.lines) == 15
    assert one == same != other


def test_the_default_sample(redis_client: Any) -> None:
    """Without arguments up to 1,000 entries are looked at, and keys of other rooms and projects are not."""
    redis_client.mset(
        {"rt:r:default:app.lesson": "x", "rt:z:a:b:c": "x", "rx:r:default:app.lesson:id=1": "x", b"rt:\xff": 1}
    )
    out = StringIO()
    call_command("redis_verify", stdout=out)
    assert out.getvalue() == (
        "120 entries looked at: 120 equal, 0 different, 0 unreadable, 0 with a forged transcript."
        " Without a transcript: 0.\n"
    )


def test_silence() -> None:
    """With --verbosity 0 there is no summary, only what is wrong."""
    out = StringIO()
    call_command("redis_verify", verbosity=0, stdout=out)
    assert out.getvalue() == ""
    unseen("default", WRONG)
    with pytest.raises(SystemExit, match="1"):
        call_command("redis_verify", verbosity=0, stdout=out)
    assert len(out.getvalue().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "app.Nothing"], "--model is a model, as app.Model: App 'app' doesn't have a 'Nothing' model."),
        (["--model", "Lesson"], "--model is a model, as app.Model: .*"),
        (["--database", "nowhere"], "--database is an alias of DATABASES, and 'nowhere' is none."),
        (["--sample", "5", "--all"], "Error: argument --all: not allowed with argument --sample"),
        (["--sample", "0"], "--sample and --watch are numbers above 0."),
        (["--watch", "-1"], "--sample and --watch are numbers above 0."),
    ],
)
def test_arguments_that_cannot_be(arguments: list[str], message: str) -> None:
    """What cannot be meant is refused with what would be right, and not with the exit code of a difference."""
    with pytest.raises(CommandError, match=message) as refused:
        call_command("redis_verify", *arguments)
    assert refused.value.returncode == 2 or "--all" in arguments


def test_redis_cannot_be_reached(valkey: ValkeyServer) -> None:
    """Without Redis nothing is compared, and the exit code is 2."""
    valkey.stop()
    with pytest.raises(CommandError, match=r"^Redis \('default' in CACHES\) did not answer: .*") as away:
        verify()
    assert away.value.returncode == 2


class Lines(StringIO):
    """Output that does something at its first line."""

    def __init__(self, deed: Callable[[], Any]) -> None:
        super().__init__()
        self.deeds = [deed]

    def write(self, text: str) -> int:
        while self.deeds:
            self.deeds.pop()()
        return super().write(text)


def test_redis_goes_away_in_the_middle(valkey: ValkeyServer) -> None:
    """What was found before is printed; that the rest is not known is an error, and the exit code is 2."""
    trust.forget()
    for alias in ALIASES:
        Lesson.cached.db_manager(alias).in_bulk(range(1, 21))
        unseen(alias, "UPDATE app_lesson SET title = 'planted'")
    out = Lines(valkey.kill)
    with pytest.raises(CommandError, match="What was not looked at yet may be right or wrong") as away:
        call_command("redis_verify", stdout=out)
    assert away.value.returncode == 2
    assert out.getvalue().count("\n") == 1


def test_the_database_goes_away(django_environment: dict[str, str]) -> None:
    """A database that cannot be asked is an error as well, and not a difference."""
    address = re.sub(r"/[^/]*$", "/nowhere", django_environment["DATABASE_URL"])
    ended = command(django_environment | {"DATABASE_URL": address}, "--database", "postgres")
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert re.match(
        r"CommandError: The database 'postgres' cannot be asked: .*\"nowhere\" does not exist", ended.stderr
    )


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "redis_verify", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT, env=os.environ | environment,
    )  # fmt: skip


def test_exit_codes(django_environment: dict[str, str]) -> None:
    """A process of its own ends with 0 where all is right, and with 1 where something is wrong."""
    assert command(django_environment).returncode == 0
    unseen("postgres", WRONG)
    ended = command(django_environment, "--values")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "; title: 'Lesson 7' in the cache, 'planted' in the database\n" in ended.stdout


def test_watching(django_environment: dict[str, str]) -> None:
    """With --watch it goes on, a line for each round and one for each wrong entry, until SIGTERM; then it exits with 1."""
    with subprocess.Popen(
        [sys.executable, "manage.py", "redis_verify", "--watch", "0.01"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | django_environment | {"PYTHONUNBUFFERED": "1"},
    ) as watching:  # fmt: skip
        try:
            assert watching.stdout.readline().startswith("120 entries looked at: 120 equal, 0 different")
            unseen("postgres", WRONG)
            lines: list[str] = []
            while len(lines) < 5:
                # (A round may have been under way.)
                line = watching.stdout.readline()
                assert line
                lines += [] if line.startswith("120 entries looked at: 120 equal") else [line]
            watching.send_signal(signal.SIGTERM)
            rest = watching.stdout.read().splitlines()
        finally:
            watching.kill()
    told = [line for line in lines + rest if line.startswith("different: ")]
    assert len(told) == len(set(told)) == 2
    assert watching.returncode == 1


def test_watching_what_is_right() -> None:
    """Ended after three rounds in which nothing was wrong, it exits with 0."""
    rounds: list[str] = []

    class Rounds(StringIO):
        def write(self, text: str) -> int:
            rounds.append(text)
            if len(rounds) == 3:
                raise KeyboardInterrupt
            return len(text)

    call_command("redis_verify", watch=0.001, stdout=Rounds())
    assert [line.partition(" entries")[0] for line in rounds] == ["120"] * 3
