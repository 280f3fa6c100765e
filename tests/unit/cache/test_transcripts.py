"""Transcripts: what is signed, what is refused, and which questions may be answered in two ways."""

from __future__ import annotations

import pytest
from django.db.models import Count, F
from psycopg.types.numeric import Int4, Int8

from redis_toolkit.cache import transcripts
from redis_toolkit.cache.transcripts import Forged, Transcript, entry_key, read, seal
from redis_toolkit.core.codecs import encode_value
from redis_toolkit.exceptions import CodecError
from tests.app.models import Lesson, Room, Student
from tests.questions import q

KEY = "rt:t:default:app.lesson:0123"
SAID = Transcript("rows", "app.lesson", "SELECT %s", [["", 7]], [], [], ["rt:s:default:app_lesson"], True)


def test_what_was_signed_is_read():
    """A transcript comes back as it was, its parameters unwrapped."""
    assert read(KEY, seal(KEY, SAID), "default") == SAID._replace(params=[7])


def test_it_leads_to_its_entry():
    """The key of the entry is that of the transcript in another room, without the model."""
    assert entry_key(KEY) == "rt:q:default:0123"


def test_parameters_tell_the_driver_their_type_again():
    """Numbers that Django wraps for PostgreSQL are wrapped again; others have no type to tell."""
    connection = transcripts.connections["postgres"]
    params = [transcripts._spoken(value, connection) for value in (Int4(5), Int8(6), 7, "x", True)]
    assert params == [["Int4", 5], ["Int8", 6], ["", 7], ["", "x"], ["", True]]
    found = read(KEY, seal(KEY, SAID._replace(params=params)), "postgres").params
    assert [(type(value), value) for value in found] == [(Int4, 5), (Int8, 6), (int, 7), (str, "x"), (bool, True)]


@pytest.mark.parametrize(
    "key", ["rt:t:default:app.lesson:0124", "rt:t:postgres:app.lesson:0123", "rx:t:default:app.lesson:0123"]
)
def test_it_cannot_be_moved(key):
    """Under another digest, database or prefix it is forged."""
    with pytest.raises(Forged):
        read(key, seal(KEY, SAID), "default")


def test_no_byte_can_be_changed():
    """With any one of its bytes changed, or its last one missing, it is forged."""
    data = seal(KEY, SAID)
    for at in range(len(data)):
        for planted in (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at]):
            with pytest.raises(Forged):
                read(KEY, planted, "default")


def test_another_secret(settings):
    """SECRET_KEY_FALLBACKS are honoured; a key that is no more is not."""
    data = seal(KEY, SAID)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["older", settings.SECRET_KEY]
    assert read(KEY, data, "default").sql == "SELECT %s"
    settings.SECRET_KEY_FALLBACKS = ["older"]
    with pytest.raises(Forged):
        read(KEY, data, "default")


def test_another_version():
    """What another version of the toolkit signed is not guessed at."""
    body = encode_value([2, *SAID])
    signature = transcripts._signer().signature(transcripts._bound(KEY, body))
    with pytest.raises(CodecError, match="another version"):
        read(KEY, signature.encode() + b"." + body, "default")


def test_a_parameter_that_cannot_be_written_down():
    """What would not come back the same is refused."""
    with pytest.raises(CodecError):
        seal(KEY, SAID._replace(params=[["", object()]]))


@pytest.mark.parametrize(
    ("query", "is_ordered"),
    [
        (q(), False),
        (q().order_by("pk"), True),
        (q().order_by("-pk"), True),
        (q().order_by("id"), True),
        (q().order_by("weekday"), False),
        (q().order_by("weekday", "-slug"), True),
        (q().order_by(F("pk").desc()), False),
        (q().order_by("group"), False),
        (q().order_by("group__id"), False),
        (q().filter(group__code="x").order_by("pk"), True),
        (q().filter(students=1).order_by("pk"), False),
        (q(Student).filter(lessons__title="x").order_by("pk"), False),
        (q(Student).filter(badge__label="x").order_by("pk"), True),
        (q().annotate(n=Count("students")).order_by("pk"), False),
        (q(Room), False),
        (q().union(q()).order_by("pk"), False),
    ],
)
def test_an_order_down_to_the_last_row(query, is_ordered):
    """An order is total with a key in it, unless a row may come more than once."""
    assert transcripts._is_totally_ordered(query.query) is is_ordered


@pytest.mark.parametrize(
    ("sql", "slices", "may"),
    [
        ('SELECT "a" FROM "t"', 0, False),
        ('SELECT "a" FROM "t" LIMIT 3', 0, True),
        ('SELECT "a" FROM "t" LIMIT 3', 1, False),
        ('SELECT "a" FROM "t" LIMIT 3 OFFSET 5', 1, False),
        ('SELECT "a" FROM "t" OFFSET 5', 0, True),
        ('SELECT "a" FROM "t" WHERE "b" = (SELECT "c" FROM "u" LIMIT 1) LIMIT 3', 1, True),
        ('SELECT "a" FROM "t" WHERE EXISTS(SELECT 1 AS "a" FROM "u" LIMIT 1)', 0, False),
        ('SELECT "a" FROM "t" WHERE NOT EXISTS(SELECT %s AS "a" FROM "u" LIMIT 1) LIMIT 3', 1, False),
        ('SELECT "LIMIT" FROM "t"', 0, False),
        ('SELECT ROW_NUMBER() OVER (ORDER BY "a") FROM "t"', 0, True),
        ('SELECT DISTINCT ON ("a") "a", "b" FROM "t"', 0, True),
        ('SELECT ARRAY_AGG("a") FROM "t"', 0, True),
        ('SELECT string_agg("a", %s) FROM "t"', 0, True),
        ('SELECT ANY_VALUE("a") FROM "t"', 0, True),
        ('SELECT STDDEV_POP("a") FROM "t"', 0, True),
        ('SELECT GROUP_CONCAT("a") FROM "t"', 0, True),
        ('SELECT SUM("a"), MAX("b") FROM "t" GROUP BY "c"', 0, False),
    ],
)
def test_a_question_with_two_answers(sql, slices, may):
    """Slices beyond those allowed, windows, and what depends on the order in which rows are met."""
    assert transcripts._may_answer_otherwise(sql, slices) is may


def test_nothing_is_heard_without_a_share(settings):
    """With a share of 0 no answer gets a transcript, and with 1 each does."""
    for share, wanted in ((0, 0), (1, 50)):
        settings.REDIS_TOOLKIT_VERIFY_SAMPLE = share
        heard = 0
        for _ in range(50):
            with transcripts.listening("default") as statements:
                heard += statements is not None
        assert heard == wanted
    assert Lesson._meta.label_lower == "app.lesson"


def test_an_ordering_of_none(monkeypatch):
    """A model may say that it has no order by None."""
    monkeypatch.setattr(Room._meta, "ordering", None)
    assert transcripts._is_totally_ordered(q(Room).query) is False
