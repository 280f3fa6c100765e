"""``manage.py redis_drain`` and ``manage.py redis_invalidate``: what they do, say, refuse and exit with."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from redis_toolkit.cache import debts, outbox, transactions
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.models import Outbox
from tests.app.models import Badge, Cafe, Chair, Student
from tests.integration.cache.leftovers import leave

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def said(*words: str, **options: Any) -> list[str]:
    """The lines a command prints."""
    out = StringIO()
    call_command(*words, stdout=out, **options)
    return out.getvalue().splitlines()


def manage(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", *words],
        env={**environment, "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def silent_server(valkey: Any, settings: Any) -> Any:
    """A server of this test's own that has just been killed. The breaker looks for it once an hour."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    valkey.kill()
    yield valkey
    valkey.start()
    debts.pay(link())


# redis_drain


@pytest.mark.usefixtures("empty_outboxes")
def test_drain_says_what_became_of_each_database(redis_client):
    """A line for each database: how many rows are gone, how many stay and why; an empty outbox is no error."""
    leave("default", redis_client, [1])
    leave("postgres", redis_client, range(3))
    leave("postgres", redis_client, [7], until=60)
    assert said("redis_drain") == [
        "default: 1 row drained.",
        "postgres: 3 rows drained, 1 stays: the write may still be under way.",
    ]
    assert said("redis_drain") == [
        "default: 0 rows drained.",
        "postgres: 0 rows drained, 1 stays: the write may still be under way.",
    ]
    assert said("redis_drain", verbosity=0) == []


@pytest.mark.usefixtures("empty_outboxes")
def test_drain_of_named_databases(redis_client):
    """--database, once or more, leaves the others alone; a name that is not there is refused."""
    leave("default", redis_client, [1])
    leave("postgres", redis_client, [1])
    assert said("redis_drain", "--database", "postgres") == ["postgres: 1 row drained."]
    assert said("redis_drain", "--database=default", "--database=postgres") == [
        "default: 1 row drained.",
        "postgres: 0 rows drained.",
    ]
    with pytest.raises(CommandError, match="invalid choice: 'elsewhere'"):
        said("redis_drain", "--database", "elsewhere")


@pytest.mark.usefixtures("empty_outboxes")
def test_drain_without_redis(redis_client, silent_server):
    """Without Redis the command fails, names what to look at, and the rows stay."""
    Outbox.objects.create(writer="00" * 12, stem="rt:s:default:app_lesson", names='["*"]', written=0.0)
    cure = r"Its rows stay, .* correct LOCATION of CACHES\['default'\], then run redis_drain again\.$"
    with pytest.raises(CommandError, match=f"^The outbox was not drained: Redis .* did not answer: .*{cure}"):
        said("redis_drain")
    assert Outbox.objects.count() == 1


@pytest.mark.usefixtures("empty_outboxes")
def test_drain_without_the_table(redis_client, monkeypatch):
    """A database without the outbox is no error: the line says how to make one."""
    monkeypatch.setattr(outbox, "TABLE", "nobody_made_it")
    assert said("redis_drain", "--database=default") == [
        "default: it has no outbox (manage.py migrate redis_toolkit --database=default)."
    ]


@pytest.mark.usefixtures("empty_outboxes")
def test_drain_in_a_transaction(redis_client):
    """Inside a transaction rows cannot go: the command fails and says so."""
    leave("default", redis_client, [1])
    with pytest.raises(CommandError, match=r"^Not drained: default \(0 rows drained, 1 stays: a transaction is open\)"):  # noqa: SIM117
        with transaction.atomic():
            said("redis_drain")


@pytest.mark.usefixtures("empty_outboxes")
def test_drain_in_a_process_of_its_own(redis_client, django_environment):
    """As cron runs it: exit code 0 and a line for each database; 1 and one line on stderr if Redis is away."""
    stamps = leave("default", redis_client, range(3)) + leave("postgres", redis_client, range(2))
    away = manage({**django_environment, "REDIS_URL": "redis://127.0.0.1:1/0"}, "redis_drain")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.splitlines()[-1].startswith(
        "CommandError: The outbox was not drained: Redis ('default' in CACHES)"
    )
    assert redis_client.exists(*stamps) == 5
    done = manage(django_environment, "redis_drain")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "default: 3 rows drained.\npostgres: 2 rows drained.\n"
    assert redis_client.exists(*stamps) == 0


# redis_invalidate


def answers_of(term: Any) -> dict[str, Any]:
    by = term.cached.filter
    return {
        "row 5": lambda: term.cached.get(pk=term.lessons[5].pk),
        "row 6": lambda: term.cached.get(pk=term.lessons[6].pk),
        "group 5": lambda: list(by(group=term.groups[5])),
        "group 6": lambda: list(by(group=term.groups[6])),
        "place 0 4": lambda: list(by(room=term.rooms[0], weekday=4)),
        "all": lambda: list(term.cached.all()),
    }


FORMS = {
    "a model": (lambda term: [], "app.Lesson ({alias}): invalidated.", {"row 5", "row 6", "group 5", "group 6", "place 0 4", "all"}),
    "a key": (lambda term: ["--pk", str(term.lessons[5].pk)], "app.Lesson pk={five} ({alias}): invalidated.", {"row 5", "group 5", "all"}),
    "a value": (lambda term: ["--by", f"group={term.groups[5].pk}"], "app.Lesson group={group} ({alias}): invalidated.", {"group 5", "all"}),
    "a pair": (
        lambda term: ["--by", "weekday=4", f"room={term.rooms[0].pk}"],
        "app.Lesson weekday=4 room={room} ({alias}): invalidated.",
        {"place 0 4", "all"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("options", "line", "ends"), FORMS.values(), ids=FORMS)
def test_each_form(term, ended, options, line, ends):
    """Each form ends what depends on what it names, and nothing else, and says so."""
    answers = answers_of(term)
    ended(answers)
    found = said("redis_invalidate", "app.Lesson", "--database", term.alias, *options(term))
    parts = {"alias": term.alias, "five": term.lessons[5].pk, "group": term.groups[5].pk, "room": term.rooms[0].pk}
    assert found == [line.format(**parts)]
    assert ended(answers) == ends
    assert ended(answers) == set()


def test_several_of_a_kind(term, ended):
    """Several keys follow one --pk, several values take a --by each, several models stand side by side."""
    answers = answers_of(term)
    ended(answers)
    alias = f"--database={term.alias}"
    keys = [str(term.lessons[at].pk) for at in (5, 6)]
    assert len(said("redis_invalidate", "app.lesson", alias, "--pk", *keys)) == 2
    assert ended(answers) == {"row 5", "row 6", "group 5", "group 6", "place 0 4", "all"}
    values = [f"--by=group={term.groups[at].pk}" for at in (5, 6)]
    assert len(said("redis_invalidate", "app.Lesson", alias, *values)) == 2
    assert ended(answers) == {"group 5", "group 6", "all"}
    assert said("redis_invalidate", "app.Room", "app.Lesson", alias, verbosity=0) == []
    assert ended(answers) == set(answers)


def test_fields_parse_their_values(term, cost):
    """UUIDs, text, composite keys and the keys of children are read by their own fields."""
    alias = term.alias
    student = Student.objects.using(alias).create(name="Eve")
    badge = Badge.cached.using(alias).create(owner=student, label="a=b c")
    chair = Chair.objects.using(alias).create(hall=1, number=2, holder="Eve")
    cafe = Cafe.objects.using(alias).create(name="Florian", stars=5)
    reads = [
        (["app.Badge", "--pk", str(badge.pk).upper()], lambda: Badge.cached.using(alias).get(pk=badge.pk)),
        (["app.Badge", "--by", "label=a=b c"], lambda: list(Badge.cached.using(alias).filter(label="a=b c"))),
        (["app.Chair", "--pk", "[1, 2]"], lambda: Chair.cached.using(alias).get(pk=(1, 2))),
        (["app.Cafe", "--pk", str(cafe.pk)], lambda: Cafe.cached.using(alias).get(pk=cafe.pk)),
        (["app.Cafe", "--by", "stars=5"], lambda: list(Cafe.cached.using(alias).filter(stars=5))),
    ]
    for words, read in reads:
        read()
        with cost() as it:
            read()
            said("redis_invalidate", *words, f"--database={alias}")
            read()
        assert [outcome for _, outcome in it.outcomes] == ["hit", "miss"], words
    for row in (badge, student, chair, cafe):
        row.delete()


def test_everything(term, ended):
    """--all ends every answer, of the named database or of each, at the price of two round trips to each."""
    answers = answers_of(term)
    ended(answers)
    other = {"default": "postgres", "postgres": "default"}[term.alias]
    assert said("redis_invalidate", "--all", "--database", other) == [f"everything ({other}): invalidated."]
    assert ended(answers) == set()
    before = link().round_trips
    assert said("redis_invalidate", "--all") == [
        "everything (default): invalidated.",
        "everything (postgres): invalidated.",
    ]
    assert link().round_trips - before == 4
    assert ended(answers) == set(answers)


def test_purge(term, ended, redis_client, settings):
    """--purge ends every answer and deletes them; stamps, marks and other projects' keys stay."""
    answers = answers_of(term)
    ended(answers)
    mark = b"m" + b"0" * 12 + b"9999999999999"
    redis_client.mset(
        {"rt:s:default:app_lesson:id=1": mark, "ab:q:1": b"theirs", b"rt:\xff": b"odd", "rt:z:q": b"another room's"}
    )
    entries = [key for room in "fqr" for key in redis_client.keys(f"rt:{room}:*")]
    stamps = len(redis_client.keys("rt:s:*"))
    assert len(entries) == 6
    assert said("redis_invalidate", "--purge")[-1] == "6 answers deleted."
    assert [key for room in "fqr" for key in redis_client.keys(f"rt:{room}:*")] == []
    assert redis_client.mget("rt:s:default:app_lesson:id=1", "ab:q:1", b"rt:\xff", "rt:z:q") == [
        mark,
        b"theirs",
        b"odd",
        b"another room's",
    ]
    # Of the stamps one generation has gone: the only one there was.
    assert len(redis_client.keys("rt:s:*")) == stamps - 1
    assert ended(answers) == set(answers)


def test_purge_of_many(redis_client):
    """3,500 answers go in pieces of a thousand."""
    redis_client.mset({f"rt:q:default:{at}": b"x" for at in range(3500)})
    assert said("redis_invalidate", "--purge")[-1] == "3500 answers deleted."
    assert redis_client.keys("rt:q:*") == []


def test_invalidate_without_redis(term, silent_server):
    """Without Redis what is to be dropped is left to the outbox, and the command says so: the promise is kept."""
    line = f"app.Lesson ({term.alias}): Redis cannot be reached; the outbox of {term.alias!r} will drop it."
    assert said("redis_invalidate", "app.Lesson", "--database", term.alias) == [line]
    (row,) = Outbox.objects.using(term.alias).all()
    assert (row.stem, row.names, row.until) == (f"rt:s:{term.alias}:app_lesson", '[""]', None)
    assert not debts.any_owed()
    with pytest.raises(
        CommandError, match=r"^The answers were not deleted: Redis .* run redis_invalidate --purge again"
    ):
        said("redis_invalidate", "--purge")
    assert Outbox.objects.using(term.alias).count() > 1


def test_invalidate_without_redis_and_without_the_table(term, silent_server, monkeypatch):
    """Without Redis and without an outbox nothing was invalidated: the command fails and names both cures."""
    monkeypatch.setattr(outbox, "TABLE", "nobody_made_it")
    outbox.forget()
    cure = f"run manage.py migrate redis_toolkit --database={term.alias}; then run this command again"
    with pytest.raises(
        CommandError, match=f"was not invalidated: Redis cannot be reached, and .* has no outbox .*{cure}"
    ):
        said("redis_invalidate", "app.Lesson", "--database", term.alias)
    monkeypatch.undo()
    outbox.forget()


def test_redis_is_away_for_a_moment(term, monkeypatch):
    """If Redis hears of the dropping, though it did not hear of the mark, nothing is left to the outbox."""

    def refuse(*_: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(transactions, "mark", refuse)
    assert said("redis_invalidate", "app.Lesson", "--database", term.alias) == [
        f"app.Lesson ({term.alias}): invalidated."
    ]
    assert Outbox.objects.using(term.alias).count() == 0


REFUSALS = {
    "nothing": ([], "Name a model as app.Model, before --pk and --by; or say --all"),
    "no such model": (["app.Leson"], "There is no model 'app.Leson'. Did you mean app.Lesson"),
    "nothing like it": (["x"], "There is no model 'x'. Name it as app.Model"),
    "not watched": (["app.Unwatched"], "app.Unwatched is not watched, .* Give it a CacheManager"),
    "a second that is not there": (["app.Lesson", "app.Nobody"], "There is no model 'app.Nobody'"),
    "models and all": (["app.Lesson", "--all"], "--all and --purge take no models"),
    "a key and all": (["--all", "--pk", "1"], "--all and --purge take no models, no --pk"),
    "keys of two models": (["app.Lesson", "app.Room", "--pk", "1"], "speak of one model"),
    "a key and a value": (["app.Lesson", "--pk", "1", "--by", "group=1"], "Either --pk or --by"),
    "a key that is none": (["app.Lesson", "--pk", "x"], "'x' is no value of app.Lesson.id: .*must be an integer"),
    "half a composite key": (["app.Chair", "--pk", "[1]"], r"'\[1\]' is no value of app.Chair.pk"),
    "a composite key that is no list": (["app.Chair", "--pk", "1,2"], "'1,2' is no value of app.Chair.pk"),
    "no value": (["app.Lesson", "--by", "group"], "--by takes field=value, not 'group'"),
    "a bad value": (["app.Lesson", "--by", "group=x"], "'x' is no value of app.Lesson.group: .*must be an integer"),
    "a longer value": (["app.Badge", "--by", f"label={'x' * 21}"], "label=x+: no column can hold this value"),
    "no field": (["app.Lesson", "--by", "grp=1"], "app.Lesson has no field 'grp'. Declared in `by`: group, teacher, room weekday"),
    "not declared": (["app.Lesson", "--by", "title=x"], "app.Lesson is not cached by title. Declare it in the CacheManager's"),
    "half a pair": (["app.Lesson", "--by", "room=1"], "app.Lesson is not cached by room"),
    "a relation": (["app.Group", "--by", "lessons=1"], "app.Group is not cached by lessons"),
    "purge of one database": (["--purge", "--database=default"], "leave out --database"),
    "no such database": (["--all", "--database=elsewhere"], "invalid choice: 'elsewhere'"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "why"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_refused(words, why):
    """What would do nothing, or not what was meant, is an error that says what is wrong."""
    with pytest.raises(CommandError, match=why):
        said("redis_invalidate", *words)


def test_a_database_that_cannot_be_asked(term):
    """A row's values are in its table: where that is missing, the command says so."""
    with connections[term.alias].cursor() as cursor:
        cursor.execute("ALTER TABLE app_lesson RENAME TO app_lesson_away")
    try:
        with pytest.raises(CommandError, match=r"A database that has to be asked did not answer: .*app_lesson"):
            said("redis_invalidate", "app.Lesson", "--database", term.alias, "--pk", "1")
    finally:
        with connections[term.alias].cursor() as cursor:
            cursor.execute("ALTER TABLE app_lesson_away RENAME TO app_lesson")


def test_invalidate_in_a_process_of_its_own(term, ended, django_environment):
    """As a deployment script runs it: exit code 0, and this process has misses; 1 for a model that is not there."""
    answers = answers_of(term)
    ended(answers)
    done = manage(
        django_environment,
        "redis_invalidate",
        "app.Lesson",
        "--pk",
        str(term.lessons[5].pk),
        f"--database={term.alias}",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"app.Lesson pk={term.lessons[5].pk} ({term.alias}): invalidated.\n"
    assert ended(answers) == {"row 5", "group 5", "all"}
    wrong = manage(django_environment, "redis_invalidate", "app.Leson")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("CommandError: There is no model 'app.Leson'. Did you mean app.Lesson")
    away = manage(
        {**django_environment, "REDIS_URL": "redis://127.0.0.1:1/0"},
        "redis_invalidate",
        "app.Lesson",
        f"--database={term.alias}",
    )
    assert (away.returncode, away.stdout) == (
        0,
        f"app.Lesson ({term.alias}): Redis cannot be reached; the outbox of {term.alias!r} will drop it.\n",
    )
    assert Outbox.objects.using(term.alias).count() == 1
