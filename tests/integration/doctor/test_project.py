"""What the doctor says of settings, of databases, and of what the system checks know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connections
from redis.backoff import NoBackoff
from redis.retry import Retry

from redis_toolkit.cache import outbox
from redis_toolkit.doctor import Finding, caches, examine
from redis_toolkit.doctor.caches import judge_options
from redis_toolkit.doctor.project import judge_outboxes, judge_project
from tests.integration.doctor.conftest import behind

pytestmark = pytest.mark.django_db(databases="__all__")

MIDDLEWARE = "redis_toolkit.sessions.middleware.SessionMiddleware"


def told(found: Iterator[Finding]) -> dict[str, tuple[str, str]]:
    """What is the matter: level and subject by id; each has something to do."""
    bad = [each for each in found if each.level != "good"]
    assert all(each.cure and each.sentence for each in bad)
    return {each.id: (each.level, each.subject) for each in bad}


def test_nothing_is_wrong():
    """The settings of the tests."""
    assert told(judge_project()) == told(judge_options("default")) == {}


#: django-redis keeps a pool for each address, so each case has one of its own. Nobody connects to it.
ADDRESS = "redis://127.0.0.1:1/"


def test_time_outs(settings: Any, monkeypatch: pytest.MonkeyPatch):
    """None and long ones, of django-redis; those that redis-py has since its version 8 will do."""
    for number, (seconds, expected) in enumerate([(5, {}), (60, {"D161": ("advice", "default")})]):
        options = {"SOCKET_TIMEOUT": seconds, "SOCKET_CONNECT_TIMEOUT": 1}
        behind(settings, "default", f"{ADDRESS}{number}", OPTIONS=options)
        assert told(judge_options("default")) == expected
    options = {"SOCKET_TIMEOUT": 2, "SOCKET_CONNECT_TIMEOUT": 1}
    for number, (retries, said) in enumerate([(1, []), (2, ["SOCKET_TIMEOUT 2 s 3 times:"])]):
        pool = {"CONNECTION_POOL_KWARGS": {"retry": Retry(NoBackoff(), retries)}}
        behind(settings, "default", f"{ADDRESS}{number + 3}", OPTIONS={**options, **pool})
        found = [each.sentence.partition(" so long")[0] for each in judge_options("default")]
        assert found == said
    behind(settings, "default", f"{ADDRESS}2")
    monkeypatch.setattr(caches, "_defaults", lambda: {"socket_timeout": 5, "socket_connect_timeout": 5})
    assert told(judge_options("default")) == {}
    monkeypatch.setattr(caches, "_defaults", dict)
    [missing] = judge_options("default")
    assert (missing.id, missing.level) == ("D160", "warning")
    assert missing.sentence.startswith("SOCKET_CONNECT_TIMEOUT and SOCKET_TIMEOUT of CACHES: none is set")


def test_time_outs_of_ours(settings: Any):
    """Above a second."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 1
    assert told(judge_options("default")) == {}
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 2.5
    assert told(judge_options("default")) == {"D162": ("advice", "REDIS_TOOLKIT_READ_TIMEOUT")}


def test_what_caches_says(settings: Any, redis_url: str):
    """Silence about outages, a prefix that is not ours, and lives without an end."""
    behind(settings, "default", redis_url, OPTIONS={"IGNORE_EXCEPTIONS": True}, KEY_PREFIX="site", TIMEOUT=None)
    assert told(judge_options("default")) == {
        "D163": ("advice", "default"),
        "D164": ("warning", "default"),
        "D165": ("advice", "default"),
    }
    settings.REDIS_TOOLKIT_PREFIX = "site"
    assert "D164" not in told(judge_options("default"))
    behind(settings, "default", redis_url, TIMEOUT=300)
    settings.DJANGO_REDIS_IGNORE_EXCEPTIONS = True
    assert told(judge_options("default")) == {"D163": ("advice", "default")}


def test_sessions_that_are_not_ours(settings: Any):
    """Our middleware around another engine."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    assert told(judge_project()) == {"D170": ("warning", "SESSION_ENGINE")}
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    assert told(judge_project()) == {}


def test_the_toolbar(settings: Any):
    """With DEBUG alone."""
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "debug_toolbar"]
    assert told(judge_project()) == {}
    settings.DEBUG = True
    assert told(judge_project()) == {"D171": ("advice", "DEBUG")}


@pytest.mark.parametrize("name", ["ENABLED", "THROTTLE"])
def test_what_is_switched_off(settings: Any, name: str):
    """A warning where the project is in use, advice with DEBUG."""
    setattr(settings, f"REDIS_TOOLKIT_{name}", False)
    assert told(judge_project()) == {"D172": ("warning", f"REDIS_TOOLKIT_{name}")}
    settings.DEBUG = True
    assert told(judge_project()) == {"D172": ("advice", f"REDIS_TOOLKIT_{name}")}


def test_atomic_requests(settings: Any, monkeypatch: pytest.MonkeyPatch):
    """The databases are named."""
    monkeypatch.setitem(settings.DATABASES["postgres"], "ATOMIC_REQUESTS", True)
    [found] = [each for each in judge_project() if each.level != "good"]
    assert (found.id, found.subject) == ("D173", "DATABASES")
    assert "for 'postgres':" in found.sentence


def test_outboxes():
    """100 rows are many; 99 are told of as well."""
    rows = outbox.rows_in(connections["default"])
    # (Some were written before there was a server.)
    rows.all().delete()

    def put(number: int) -> None:
        made = [rows.model(writer="00", stem="rt:s:default:app_room", names="[]", written=1.0) for _ in range(number)]
        rows.bulk_create(made)

    put(99)
    assert told(judge_outboxes()) == {}
    assert "The outbox has 99 rows." in [each.sentence for each in judge_outboxes()]
    put(1)
    assert told(judge_outboxes()) == {"D174": ("warning", "DATABASES['default']")}


@pytest.mark.parametrize(("name", "value"), [("READ_TIMEOUT", "soon"), ("THROTTLES", 5), ("ALIAS", None)])
def test_settings_that_cannot_be(settings: Any, name: str, value: Any):
    """They are said, and no server is asked before they are right; nothing is raised."""
    setattr(settings, f"REDIS_TOOLKIT_{name}", value)
    report = examine()
    assert report.servers == ()
    assert [each.sentence for each in report.findings if each.id == "E002"] == [f"REDIS_TOOLKIT_{name} is {value!r}."]


def test_what_checks_know_is_said_once(settings: Any):
    """Findings with the ids of system checks: those of `check`, in their own words."""
    settings.REDIS_TOOLKIT_MARK_TTL = 1
    settings.REDIS_TOOLKIT_NONSENSE = 1
    messages = {each.id: each for each in run_checks(tags=["caches"]) if "redis_toolkit" in str(each.id)}
    found = {each.id: each for each in examine(sample=0).findings}
    for name, level in (("W004", "warning"), ("E001", "error")):
        assert found[name].level == level
        assert found[name].sentence == messages[f"redis_toolkit.{name}"].msg
        assert found[name].cure == messages[f"redis_toolkit.{name}"].hint
        assert found[name].subject == "settings"
    # (What is wrong with servers is said of each by its alias; W006 is D101.)
    assert "W006" not in found
