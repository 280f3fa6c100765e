"""Signals as records of a log, and what must be in none of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import Client, RequestFactory

from redis_toolkit import signals
from redis_toolkit.cache import invalidate
from redis_toolkit.conf import settings as ours
from redis_toolkit.contrib.log_events import EVENTS, log_events
from redis_toolkit.exceptions import CodeRefused, Misconfigured, StoreUnavailable
from redis_toolkit.otp import OneTimeCode
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Ban, Throttle, throttle
from redis_toolkit.tokens import authenticate, make_token, revoke
from tests.app.factories import LessonFactory
from tests.app.models import Lesson

pytestmark = pytest.mark.django_db(transaction=True)

LOGGER = "redis_toolkit.events"
ADDRESS = "198.51.100.77"
MAIL = "ada.lovelace@example.com"
#: What a record has by itself.
OWN = set(vars(logging.makeLogRecord({}))) | {"message", "taskName"}


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a record was given."""
    return {name: value for name, value in vars(record).items() if name not in OWN}


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """The fields of what was logged since it was last asked."""
    caplog.set_level(logging.INFO, LOGGER)

    def since() -> list[dict[str, Any]]:
        found = [fields(record) for record in caplog.records if record.name == LOGGER]
        caplog.clear()
        return found

    return since


def read(secrets: list[str]) -> None:
    key = LessonFactory.create().pk
    Lesson.cached.get(pk=key)
    Lesson.cached.filter(pk=key).update(period=50)
    invalidate(Lesson, pk=key)


def ask_codes(secrets: list[str]) -> None:
    # (Of six digits it would by chance stand in how long something took.)
    code = OneTimeCode("login", digits=20, lockout=((1, 60),))
    issued = code.issue(MAIL, payload={"word": "xylophone"}, ip=ADDRESS)
    secrets += [issued.code, issued.challenge, "xylophone"]
    with pytest.raises(CodeRefused):
        code.issue(MAIL)
    code.verify(issued.challenge, ("0" if issued.code != "0" * 20 else "1") * 20)


def throttled(secrets: list[str]) -> None:
    view = throttle("1/d", key="header:x-key", name="by key")(lambda request: HttpResponse("x"))
    for _ in range(2):
        view(RequestFactory().get("/", headers={"x-key": "topsecretkey"}, REMOTE_ADDR=ADDRESS))
    Throttle("site", "1/h", ban=Ban(length=600)).ban("ip", ADDRESS)
    secrets += ["tops", "topsecretkey"]


def log_in_and_out(secrets: list[str]) -> None:
    user = User.objects.create_user("augusta", MAIL)
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(user)
    secrets.append(client.cookies["sessionid"].value)
    client.logout()
    made = make_token(user, scopes=["lessons:read"])
    secrets.append(made.text)
    assert authenticate(made.text)
    authenticate("rtk_nonsense")
    revoke(user, made.token.handle)


def lose_redis(secrets: list[str], valkey: ValkeyServer) -> None:
    valkey.kill()
    for _ in range(4):
        Lesson.cached.count()
    with pytest.raises(StoreUnavailable):
        OneTimeCode("login").issue(MAIL)
    Throttle("site", "1/h").hit("ip", ADDRESS)


def test_every_signal(settings, valkey, records, caplog):
    """All sixteen, by what sends them: a record each, with plain fields, and in none a secret or who somebody is."""
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    settings.REDIS_TOOLKIT_LOG_EVENTS = sorted(EVENTS)
    settings.REDIS_TOOLKIT_TOKEN_SCOPES = {"lessons:read": "Read lessons"}
    secrets = [ADDRESS, MAIL, "lovelace", "augusta"]
    for deed in (read, ask_codes, throttled, log_in_and_out):
        deed(secrets)
    lose_redis(secrets, valkey)
    texts = [record.getMessage() for record in caplog.records if record.name == LOGGER]
    found = records()
    assert {each["event"] for each in found} == set(EVENTS)
    for text, each in zip(texts, found, strict=True):
        # (What cannot be written as JSON is no plain value.)
        whole = text + json.dumps(each, allow_nan=False)
        assert [secret for secret in secrets if secret in whole] == []


def test_what_there_is(records, settings):
    """Every signal is an event, and the setting takes just their names."""
    assert set(EVENTS) == set(signals.__all__)
    settings.REDIS_TOOLKIT_LOG_EVENTS = ["cache_read", "no_such"]
    wrong = [each.msg for each in run_checks() if "LOG_EVENTS" in each.msg]
    assert len(wrong) == 1
    # What is right in it works.
    Lesson.cached.count()
    assert [each["event"] for each in records()] == ["cache_read"]
    declared = next(each for each in ours.declared() if each.name.endswith("LOG_EVENTS"))
    assert declared.valid(sorted(EVENTS))


def test_off_unless_asked_for(records):
    """Nothing is logged by default, and the signals have no receiver of ours."""
    Lesson.cached.count()
    Throttle("site", "1/h").hit("ip", ADDRESS)
    assert records() == []


def test_what_a_read_tells(records, settings):
    """The fields of a cached read: what, how, why not, what ended it."""
    settings.REDIS_TOOLKIT_LOG_EVENTS = ["cache_read"]
    key = LessonFactory.create().pk
    Lesson.cached.get(pk=key)
    Lesson.objects.filter(pk=key).update(period=50)
    Lesson.cached.get(pk=key)
    first, second = records()
    assert (first["what"], first["kind"], first["outcome"], first["reason"]) == ("app.Lesson", "get", "miss", "empty")
    assert (second["reason"], second["ended_by"], second["pins"], second["count"]) == (
        "ended", "app.Lesson row", ["id"], 1,
    )  # fmt: skip
    assert second["key"].endswith(f"id={key}")
    assert second["size"] > 0 < second["loaded"] < second["seconds"]


def test_by_hand(records):
    """`log_events()` logs what it names and nothing else; a name that is none is refused."""
    log_events("throttle_checked")
    try:
        Lesson.cached.count()
        Throttle("site", "1/h").hit("ip", ADDRESS)
        assert records() == [{"event": "throttle_checked", "throttles": ["site"], "allowed": True, "charged": True}]
        with pytest.raises(Misconfigured, match=r"no event throttle_check\."):
            log_events("throttle_check", "cache_read")
    finally:
        log_events()
    Throttle("site", "1/h").hit("ip", ADDRESS)
    assert records() == []


def test_who_does_not_listen(settings, caplog):
    """Where the logger is set higher nothing is written, and errors are."""
    settings.REDIS_TOOLKIT_LOG_EVENTS = ["cache_read", "throttle_banned"]
    caplog.set_level(logging.WARNING, LOGGER)
    Lesson.cached.count()
    Throttle("site", "1/h", ban=Ban(length=600)).ban("ip", ADDRESS)
    assert [record.levelname for record in caplog.records if record.name == LOGGER] == ["WARNING"]


def test_a_row_that_was_asked_for_by_something_else(records, settings):
    """Of the columns in its key only the primary key is told: another may be a person's number."""
    settings.REDIS_TOOLKIT_LOG_EVENTS = ["cache_read"]
    lesson = LessonFactory.create(period=31)
    Lesson.cached.get(teacher=lesson.teacher, weekday=lesson.weekday, period=31)
    Lesson.cached.get(pk=lesson.pk)
    by_number, by_key = records()
    assert by_number["pins"] == ["teacher", "weekday", "period"]
    assert "=31" not in by_number["key"]
    assert by_key["key"].endswith(f":id={lesson.pk}")


def test_no_events_at_all(records, settings):
    """None is no list, which a check says; nothing breaks, and nothing is logged."""
    settings.REDIS_TOOLKIT_LOG_EVENTS = None
    Lesson.cached.get(pk=LessonFactory.create().pk)
    assert records() == []
