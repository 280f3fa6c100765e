"""Every system check: provoked, wired into ``manage.py check``, and in the docs."""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import django
import pytest
from django.apps import apps
from django.contrib.postgres.fields import ArrayField, IntegerRangeField
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connections, models, router
from django.test.utils import isolate_apps

from redis_toolkit.cache import Bloom, CacheManager, WriteBehind, outbox, tables
from redis_toolkit.cache.behind import counters, ledger
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.checks import check_databases, check_models, check_server
from redis_toolkit.checks import databases as checking_databases
from redis_toolkit.checks.settings import _replicas
from redis_toolkit.conf import Settings
from redis_toolkit.otp import OneTimeCode
from tests.app.models import Cafe, Chair, Coupon, Lesson, Page, Post, Room, Season

ROOT = Path(__file__).parents[3]
TESTS = sorted(Path(__file__).parent.glob("test_*.py"))
IDS = [
    "E001", "E002", "E003", "E004", "E005", "E006", "E007", "E008", "E009", "E010", "E011", "E012", "E020", "E021", "E030",
    "E031", "E050", "E060", "E061", "E062", "E070", "E071", "E072", "E073", "E074", "E080", "E081", "E082", "E085", "E086", "E090",
    "E091", "W001", "W002", "W003", "W004", "W005", "W006", "W007", "W008", "W030", "W031", "W032", "W050", "W060", "W070",
    "W071", "W072", "W080", "W085", "W086", "W087", "W088", "W090", "W091", "W092", "W093", "W094", "W095", "W096",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def nothing_from_before() -> Iterator[None]:
    """What all the other tests have left is collected once, for that takes seconds, and then looked at no more."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def databases(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """From Django 6.1 on checks look at the databases, with options that nobody else should find on a connection.

    The cached functions of other tests are gone.
    """
    gc.collect()
    with django_db_blocker.unblock():
        connections.close_all()
        yield
        connections.close_all()


@pytest.fixture
def ours() -> Callable[[], list[tuple[str, str, str]]]:
    """What ``manage.py check`` finds that is ours: id, message and hint; not that the tests' own view is not cached."""

    def found() -> list[tuple[str, str, str]]:
        return [
            (each.id.removeprefix("redis_toolkit."), each.msg, each.hint)
            for each in run_checks()
            if each.id.startswith("redis_toolkit.") and each.obj is not Season
        ]

    return found


def reported(identity: str) -> str:
    """What the command prints when it fails on warnings; it must name the check."""
    with pytest.raises(CommandError) as caught:
        call_command("check", fail_level="WARNING")
    assert f"(redis_toolkit.{identity})" in str(caught.value)
    return str(caught.value)


@pytest.fixture
def shares() -> Iterator[None]:
    """A model with a filter and a key that the database compares in its own way, among the models of the tests."""
    with isolate_apps("tests.app"):

        class Share(models.Model):
            part = models.FloatField(primary_key=True)

            cached = CacheManager(bloom=True)

            class Meta:
                app_label = "app"

    registered = apps.get_app_config("app").models
    registered["share"] = Share
    apps.clear_cache()
    tables.forget()
    yield
    del registered["share"]
    apps.clear_cache()
    tables.forget()


@pytest.fixture
def spans() -> Iterator[None]:
    """A cached model with values that no codec keeps, among the models of the tests."""
    with isolate_apps("tests.app"):

        class Span(models.Model):
            hours = IntegerRangeField()
            many = ArrayField(IntegerRangeField(), default=list)
            plain = models.IntegerField()

            cached = CacheManager()

            class Meta:
                app_label = "app"

    registered = apps.get_app_config("app").models
    registered["span"] = Span
    apps.clear_cache()
    tables.forget()
    yield
    del registered["span"]
    apps.clear_cache()
    tables.forget()


def declare(monkeypatch: pytest.MonkeyPatch, model: Any, *by: str) -> None:
    monkeypatch.setattr(model._meta.managers_map["cached"], "by", (by,))


def test_nothing_is_wrong_here(ours):
    """The settings and models of the tests themselves pass every check."""
    assert ours() == []


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("REDIS_TOOLKIT_CASHE_TTL", "Did you mean REDIS_TOOLKIT_CACHE_TTL?"),
        ("REDIS_TOOLKIT_PREFIXES", "Did you mean REDIS_TOOLKIT_PREFIX?"),
        ("REDIS_TOOLKIT_UNHEARD_OF", "See the settings reference for the names there are."),
    ],
)
def test_e001(ours, settings, name, hint):
    """A name that is no setting, with the one that was probably meant."""
    setattr(settings, name, 1)
    assert ours() == [("E001", f"{name} is not a setting of redis_toolkit.", hint)]
    assert hint in reported("E001")


IMPOSSIBLE: dict[str, list[Any]] = {
    "ALIAS": ["", None, 1], "PREFIX": ["", b"rt", None], "ENABLED": [1, "yes", None], "CACHE_TTL": [0, -1, "60", True],
    "NULL_TTL": [0, None], "TTL_JITTER": [-0.1, 0.91, 1, True], "SINGLE_FLIGHT": [0, None],
    "FLIGHT_WAIT": [0, None], "EARLY_EXPIRY": [-1, None], "MARK_TTL": [0, "1"], "REPLICA_LAG": [-1, None, True],
    "TENANT": ["", 1], "WATCH": ["app.Lesson", [1], None], "MAX_ENTRY_BYTES": [0, 1.5, None],
    "COMPRESS_ABOVE": [0, 1.5, "1"], "CONNECT_TIMEOUT": [0, None], "READ_TIMEOUT": [0, None],
    "BREAKER_FAILURES": [0, 1.5, True], "BREAKER_RETRY": [0, "1"],
    "TRUST_REPLICAS": [1, None], "OUTBOX_INTERVAL": [0, "1"], "OUTBOX_ROWS": [0, 1.5, None], "FUNCTIONS": ["age", [1]],
    "VERIFY_SAMPLE": [-0.1, 1.1, True, "1"], "LOADS": [0, 1.5, "1"], "LOADS_WAIT": [-1, None],
    "REFRESHER": ["", 1], "THROTTLE": [0, None], "THROTTLE_ALIAS": ["", 1],
    "THROTTLE_DENIALS": [-1, None], "THROTTLE_LOCAL_SHARE": [0, 2], "THROTTLE_OFFENDERS": [1, None],
    "THROTTLES": [None, {"site": "1/m"}], "THROTTLE_HEADERS": ["on", None], "THROTTLE_VIEW": ["", 1],
    "TRUSTED_PROXIES": ["10.0.0.0/8", [1]], "CLIENT_HEADER": ["", None], "IPV6_PREFIX": [0, "64"],
    "DURABLE_ALIAS": ["", 1], "SESSION_ABSOLUTE_AGE": [0, "1"], "SESSION_RENEW_SHARE": [-0.1, 1],
    "SESSION_MAX_BYTES": [0, None], "SESSION_SEAL": ["sealed", True], "SESSION_KEYS": ["a", [1]],
    "SESSION_STRICT": ["cart", None], "SESSION_DEVICES": [1, None], "SESSION_LIMIT": [0, "1"],
    "SESSION_LIMIT_POLICY": ["keep", None], "OTP_PEPPERS": ["a", [1]], "OTP_DELIVERY": ["", None],
    "OTP_SENDER": ["", 1], "TOKEN_PREFIX": ["R", None], "TOKEN_STORE": ["db", None], "TOKEN_TTL": [0, "1"],
    "TOKEN_RENEW": [1, None], "TOKEN_ENDS_WITH_PASSWORD": [1, None], "TOKEN_ABSOLUTE_AGE": [0, "1"], "TOKEN_CACHE_TTL": [0, None],
    "TOKEN_USE_INTERVAL": [0, None], "TOKEN_LIMIT": [0, "1"], "TOKEN_LIMIT_POLICY": ["keep", None],
    "TOKEN_SCOPES": ["read", [1]],
    "WARM": ["app.warming", [1], None], "WARMER": ["", 1], "STATS": [1, None], "STATS_ALIAS": ["", 1],
    "STATS_KEEP": [None, {"week": 1}, {"day": 0}], "METRICS_TOKEN": ["", 1], "LOG_EVENTS": ["cache_read", ["cache_red"], [1]],
}  # fmt: skip


def test_every_setting_is_tried():
    """Values that cannot be are written down for each setting there is."""
    assert {setting.attribute for setting in Settings.declared()} == IMPOSSIBLE.keys()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in IMPOSSIBLE.items() for value in values])
def test_e002(ours, settings, name, value):
    """A value that cannot be, with what it must be."""
    setattr(settings, f"REDIS_TOOLKIT_{name}", value)
    declared = getattr(Settings, name)
    wanted = ("E002", f"REDIS_TOOLKIT_{name} is {value!r}.", f"It must be {declared.must}.")
    assert [found for found in ours() if found[0] == "E002"] == [wanted]


def test_e002_is_reported(settings):
    """``manage.py check`` fails on a value that cannot be."""
    settings.REDIS_TOOLKIT_MARK_TTL = -1
    assert "REDIS_TOOLKIT_MARK_TTL is -1." in reported("E002")


@pytest.mark.parametrize(
    ("caches", "what"),
    [
        ({}, "is not in CACHES"),
        ({"other": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}, "is not a django-redis cache"),
        ({"other": {"BACKEND": "django.core.cache.backends.redis.RedisCache"}}, "is not a django-redis cache"),
    ],
)
def test_e003(ours, settings, caches, what):
    """An alias that is missing or another backend's."""
    settings.CACHES = {**settings.CACHES, **caches}
    settings.REDIS_TOOLKIT_ALIAS = "other"
    hint = "Add it with BACKEND 'django_redis.cache.RedisCache', or name another in REDIS_TOOLKIT_ALIAS."
    assert ours() == [("E003", f"The alias 'other' {what}.", hint)]
    assert hint in reported("E003")


CACHED = """
from redis_toolkit.cache import cached
from school.models import Group
from django.contrib.contenttypes.models import ContentType

@cached(depends_on=[ContentType])
def kinds():
    return ContentType.objects.count()

@cached(depends_on=[Group])
def groups():
    return Group.objects.count()

urlpatterns = []
"""


def test_e008(tmp_path):
    """A cached function over a model that nobody watches, found where the URLs lead, is told before its first call."""
    (tmp_path / "views.py").write_text(CACHED)
    more = 'ROOT_URLCONF="views"'
    found = new_project(tmp_path, more=more, apps=["django.contrib.contenttypes"])
    assert found.count("redis_toolkit.E008") == 1
    assert "@cached views.kinds depends on contenttypes.ContentType, which is not watched. Give it" in found
    watched = f'{more}, REDIS_TOOLKIT_WATCH=["contenttypes.ContentType"]'
    found = new_project(tmp_path, more=watched, apps=["django.contrib.contenttypes"])
    assert ("System check identified" in found, "redis_toolkit." in found) == (True, False)


def test_e010(ours, spans):
    """A field that no codec keeps, alone or in an array, with what helps: the plain one beside them is fine."""
    assert [(identity, message) for identity, message, _ in ours()] == [
        ("E010", "app.Span.hours cannot be cached."),
        ("E010", "app.Span.many cannot be cached."),
    ]
    (hint,) = {hint for _, _, hint in ours()}
    assert hint == (
        "The database returns IntegerRangeField as an object that cannot be stored without loss; keep it out of cached"
        " queries with .defer() or .only(), read it with .nocache(), or keep its parts in plain fields."
    )
    assert "app.Span.hours cannot be cached." in reported("E010")


def test_e011(ours, monkeypatch):
    """A name in ``by`` that is no field, alone and in a pair."""
    declare(monkeypatch, Lesson, "nobody")
    hint = "`by` takes names of the model's own fields."
    assert ours() == [("E011", "by='nobody': app.Lesson has no field 'nobody'.", hint)]
    declare(monkeypatch, Lesson, "room", "nobody")
    assert ours() == [("E011", "by=('room', 'nobody'): app.Lesson has no field 'nobody'.", hint)]
    assert hint in reported("E011")


@pytest.mark.parametrize(
    ("model", "by", "message", "hint"),
    [
        (Lesson, ("students",), "is not made of columns", "Declare foreign keys and plain fields"),
        (Lesson, (), "is not made of columns", "Declare foreign keys and plain fields"),
        (Cafe, ("name", "stars"), "spans two tables", "A pair must lie in one table"),
        (Lesson, ("notes",), "has values whose equality the database decides in its own way", "Use whole numbers"),
    ],
)
def test_e012(ours, monkeypatch, model, by, message, hint):
    """Fields in ``by`` that no stamp can be made of."""
    declare(monkeypatch, model, *by)
    shown = by[0] if len(by) == 1 else by
    assert [found[:2] for found in ours()] == [("E012", f"by={shown!r} of app.{model.__name__} {message}.")]
    assert hint in reported("E012")


@pytest.mark.parametrize("names", ["note", "nobody", ("shop", "note")])
def test_e020(ours, monkeypatch, names):
    """What no unique constraint stands for cannot be ruled out; the fields of one may come in any order."""
    manager = Coupon._meta.managers_map["cached"]
    monkeypatch.setattr(manager, "bloom", Bloom(fields=["code", ("number", "shop")]))
    assert ours() == []
    monkeypatch.setattr(manager, "bloom", Bloom(fields=[names]))
    ((identity, message, hint),) = ours()
    assert identity == "E020"
    assert message == f"Bloom(fields=[{names!r}]): app.Coupon has no such unique field or constraint."
    assert hint in reported("E020")


def test_e021(ours, shares):
    """A filter of keys that the database compares in its own way."""
    ((identity, message, hint),) = ours()
    assert identity == "E021"
    assert message == "A filter of app.Share is not possible: the database decides which of its keys are equal."
    assert hint in reported("E021")


def test_w001(ours, settings):
    """Marks that outlive what they mark; as long is fine."""
    settings.REDIS_TOOLKIT_CACHE_TTL = 60
    assert ours() == []
    settings.REDIS_TOOLKIT_CACHE_TTL = 59
    hint = "A writer that dies would keep its rows out of the cache for longer than they may live there."
    assert ours() == [("W001", "REDIS_TOOLKIT_MARK_TTL is longer than REDIS_TOOLKIT_CACHE_TTL.", hint)]
    assert hint in reported("W001")


@pytest.mark.parametrize("mode", [None, "DEFERRED", "deferred"])
def test_w002(ours, settings, monkeypatch, mode):
    """SQLite whose transactions begin without its lock."""
    monkeypatch.setitem(settings.DATABASES["default"], "OPTIONS", {} if mode is None else {"transaction_mode": mode})
    ((identity, message, hint),) = ours()
    assert (identity, message) == ("W002", "DATABASES['default'] is SQLite without transaction_mode IMMEDIATE.")
    assert hint.startswith("Add OPTIONS {'transaction_mode': 'IMMEDIATE'}: without its lock every save of a model")
    assert hint in reported("W002")


@pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate", "EXCLUSIVE"])
def test_no_w002(ours, settings, monkeypatch, mode):
    """With its lock SQLite is fine, in whatever letters it is asked for."""
    monkeypatch.setitem(settings.DATABASES["default"], "OPTIONS", {"transaction_mode": mode})
    assert ours() == []


PROJECT = """
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x", INSTALLED_APPS={apps}, USE_TZ=True,
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:",
                             "OPTIONS": {{"transaction_mode": "IMMEDIATE"}}}}}},
    CACHES={{"default": {{"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:1/0"}}}},
    {more}
)
django.setup()
from django.core.management import call_command
{then}
"""
MODELS = """
from django.db import models
from redis_toolkit.cache import CacheManager

class Group(models.Model):
    name = models.CharField(max_length=9)
    cached = CacheManager(by={by})
"""


def new_project(
    home: Path, *, by: str = "[]", installed: bool = True, more: str = "", then: str = "", apps: Sequence[str] = (),
    models: str = "",
) -> str:  # fmt: skip
    """What a new project with one cached model prints for ``manage.py check``, or whatever is run ``then``."""
    (home / "school").mkdir(exist_ok=True)
    (home / "school" / "__init__.py").touch()
    (home / "school" / "models.py").write_text(MODELS.format(by=by) + models)
    installed_apps = ["school", *apps, *(["redis_toolkit"] if installed else [])]
    script = PROJECT.format(apps=installed_apps, more=more, then=then or 'call_command("check")')
    environment = {"PYTHONPATH": f"{home}{os.pathsep}{ROOT}", "PATH": ""}
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    return result.stdout + result.stderr


def test_e004(tmp_path):
    """A cached model without the app, whose writes nobody would see, is an error; so is the first cached read."""
    assert "redis_toolkit.E004" in new_project(tmp_path, installed=False)
    read = "from school.models import Group; Group.cached.count()"
    said = "Misconfigured: There is a CacheManager, but 'redis_toolkit' is not in INSTALLED_APPS"
    assert said in new_project(tmp_path, installed=False, then=read)


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ('["grop"]', "redis_toolkit.E011"),
        ('[("name", "nope")]', "redis_toolkit.E011"),
        ('["group__name"]', "redis_toolkit.E011"),
        ('["pk"]', "redis_toolkit.E011"),
        ("[[]]", "redis_toolkit.E012"),
        ('"name"', "Misconfigured: `by` is a list of fields, or of tuples of fields: by=['name']."),
    ],
)
def test_a_wrong_by_in_a_new_project(tmp_path, by, says):
    """What is wrong with ``by`` from the start is told by the check, not by a traceback of ours."""
    assert says in new_project(tmp_path, by=by)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (
            '["school.Grup"]',
            "'school.Grup', which is no model and no model's table.\n\tHINT: Did you mean 'school.Group'?",
        ),
        ('["nowhere_at_all"]', "HINT: Name it as app.Model, or by the table of a model."),
        ('["x", 5]', "redis_toolkit.E002"),
    ],
)
def test_e005(tmp_path, names, says):
    """Watched names that mean nothing, with the one that was probably meant."""
    found = new_project(tmp_path, more=f"REDIS_TOOLKIT_WATCH={names}")
    assert says in found
    assert ("redis_toolkit.E005" in found) is ("E002" not in says)


def test_e006(ours, settings):
    """A tenant function that cannot be imported."""
    settings.REDIS_TOOLKIT_TENANT = "nowhere.at.all"
    hint = "It is the dotted path of a callable that takes a database alias."
    assert ours() == [("E006", "REDIS_TOOLKIT_TENANT cannot be imported: No module named 'nowhere'", hint)]


def test_e060(ours, settings):
    """What is to be warmed and cannot be called: a name that cannot be imported, and one that is no callable."""
    settings.REDIS_TOOLKIT_WARM = ["tests.warming.one", "tests.warming.nobody", "tests.warming.ALIAS"]
    found = ours()
    assert [(identity, message.partition(":")[0]) for identity, message, _ in found] == [
        ("E060", f"REDIS_TOOLKIT_WARM names 'tests.warming.{name}', which cannot be called")
        for name in ("nobody", "ALIAS")
    ]
    assert {hint for _, _, hint in found} == {
        "It is the dotted path of a callable without arguments that returns or yields cached querysets."
    }
    assert "tests.warming.nobody" in reported("E060")


UNCALLABLE = pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tests.warming.nobody", 'Module "tests.warming" does not define a "nobody" attribute/class'),
        ("tests.warming.ALIAS", "it is no callable"),
        ("nowhere.at_all", "No module named 'nowhere'"),
    ],
)


@UNCALLABLE
def test_e061(ours, settings, path, reason):
    """What is to tell a worker of an answer to refresh, and cannot be called."""
    settings.REDIS_TOOLKIT_REFRESHER = path
    ((identity, message, hint),) = ours()
    assert identity == "E061"
    assert message == f"REDIS_TOOLKIT_REFRESHER is {path!r}, which cannot be called: {reason}"
    assert hint in reported("E061")


@UNCALLABLE
def test_e062(ours, settings, path, reason):
    """What is to tell a worker of what to warm, and cannot be called."""
    settings.REDIS_TOOLKIT_WARMER = path
    ((identity, message, hint),) = ours()
    assert identity == "E062"
    assert message == f"REDIS_TOOLKIT_WARMER is {path!r}, which cannot be called: {reason}"
    assert hint in reported("E062")


@pytest.mark.parametrize(
    "path", ["redis_toolkit.tasks.send_refresh", "redis_toolkit.contrib.django_tasks.send_refresh"]
)
def test_those_that_come_with_the_toolkit(ours, settings, path):
    """Celery's can be used wherever Celery is installed, that of django.tasks from Django 6.0 on."""
    settings.REDIS_TOOLKIT_REFRESHER = path
    has_tasks = django.VERSION >= (6, 0) or "contrib" not in path
    assert [identity for identity, _, _ in ours()] == ([] if has_tasks else ["E061"])


@pytest.mark.parametrize(
    ("alias", "backend"), [("nowhere", ""), ("files", "django.core.cache.backends.locmem.LocMemCache")]
)
def test_e009(ours, settings, alias, backend):
    """Where statistics are to be kept and cannot be; nobody minds as long as there are none."""
    if backend:
        settings.CACHES = {**settings.CACHES, alias: {"BACKEND": backend}}
    settings.REDIS_TOOLKIT_STATS_ALIAS = alias
    assert ours() == []
    settings.REDIS_TOOLKIT_STATS = True
    ((identity, message, hint),) = ours()
    assert identity == "E009"
    assert message.startswith(f"REDIS_TOOLKIT_STATS_ALIAS is {alias!r}, ")
    assert hint in reported("E009")


MIDDLEWARE = "redis_toolkit.throttling.middleware.ThrottleMiddleware"


def test_e070(ours, settings):
    """Rules that cannot be, each with what is wrong."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.REDIS_TOOLKIT_THROTTLES = {"a": {"rates": "1/m"}, "b": {"rate": "5/month"}, "c": {"rate": "5/m"}}
    hint = "See docs/how-to/throttle.md for what a rule may have."
    assert ours() == [
        ("E070", "REDIS_TOOLKIT_THROTTLES['a'] has 'rates', which means nothing. Did you mean 'rate'?", hint),
        ("E070", "The throttle 'b' cannot be: '5/month' has no unit of ours ('month'): write it as \"100/m\", \"5/15m\","
                 ' "10/s, 1000/h" or "100/m burst=20", with the units s, m, h, d and w. A month has no fixed length: write'
                 " 30d.", hint),
    ]  # fmt: skip
    assert hint in reported("E070")


def test_e071(ours, settings):
    """A proxy that is no network."""
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["10.0.0.1/8"]
    ((identity, message, hint),) = ours()
    assert identity == "E071"
    assert message.startswith("REDIS_TOOLKIT_TRUSTED_PROXIES: '10.0.0.1/8' is no network or address")
    assert hint in reported("E071")


LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
NO_ADDRESS = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "127.0.0.1:6379"}


@pytest.mark.parametrize(
    ("caches", "what"),
    [
        ({}, "which is not in CACHES."),
        ({"limits": LOCMEM}, "which is not a django-redis cache."),
        ({"limits": NO_ADDRESS}, "which cannot be used: "),
    ],
)
def test_e072(ours, settings, caches, what):
    """A server for the throttles that nobody has named, or that is none."""
    settings.CACHES = {**settings.CACHES, **caches}
    settings.REDIS_TOOLKIT_THROTTLE_ALIAS = "limits"
    ((identity, message, hint),) = ours()
    assert identity == "E072"
    assert message.startswith(f"REDIS_TOOLKIT_THROTTLE_ALIAS is 'limits', {what}")
    assert hint in reported("E072")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("tests.warming.nobody", 'Module "tests.warming" does not define a "nobody" attribute/class'),
        ("tests.warming.ALIAS", "it is no callable"),
        ("nowhere.at_all", "No module named 'nowhere'"),
    ],
)
def test_e073(ours, settings, path, reason):
    """What is to answer who is kept out, and cannot be called."""
    settings.REDIS_TOOLKIT_THROTTLE_VIEW = path
    ((identity, message, hint),) = ours()
    assert identity == "E073"
    assert message == f"REDIS_TOOLKIT_THROTTLE_VIEW is {path!r}, which cannot be called: {reason}"
    assert hint in reported("E073")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("HTTP_X_FORWARDED_FOR", "X-Forwarded-For"),
        ("X_Forwarded_For", "X-Forwarded-For"),
        ("http_cf_connecting_ip", "Cf-Connecting-Ip"),
    ],
)
def test_e074(ours, settings, header, name):
    """A header that is named as ``request.META`` has it."""
    settings.REDIS_TOOLKIT_CLIENT_HEADER = header
    message = f"REDIS_TOOLKIT_CLIENT_HEADER is {header!r}, which is no header's name but a key of request.META."
    assert ours() == [("E074", message, f"Write {name!r}.")]
    assert f"Write {name!r}." in reported("E074")
    settings.REDIS_TOOLKIT_CLIENT_HEADER = name
    assert ours() == []


def test_w070(ours, settings):
    """Rules that nobody asks."""
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "1/m"}}
    ((identity, message, hint),) = ours()
    assert (identity, message) == ("W070", "REDIS_TOOLKIT_THROTTLES has rules, and nobody asks them.")
    assert hint in reported("W070")
    settings.MIDDLEWARE = [MIDDLEWARE]
    assert ours() == []


def test_w071(ours, settings):
    """A proxy that Django believes, and throttles do not; nor do codes, which count by address as well."""
    settings.MIDDLEWARE = [MIDDLEWARE]
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "1/m"}}
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    ((identity, message, hint),) = ours()
    assert (identity, message.endswith("are counted as one.")) == ("W071", True)
    assert hint in reported("W071")
    settings.REDIS_TOOLKIT_THROTTLES = {}
    settings.MIDDLEWARE = []
    assert ours() == []
    code = OneTimeCode("proxied")
    assert [identity for identity, _, _ in ours()] == ["W071"]
    assert code.name == "proxied"
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["10.0.0.0/8"]
    assert ours() == []


def test_w072(valkey, redis_client, settings):
    """A server that evicts anything, where there are throttles."""
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    assert check_server(None) == []
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "1/m"}}
    [found] = check_server(None)
    assert (found.id, "REDIS_TOOLKIT_THROTTLE_ALIAS" in found.hint) == ("redis_toolkit.W072", True)


def test_w060(ours, monkeypatch):
    """Answers kept for more than a minute while Redis is away."""
    manager = Lesson._meta.managers_map["cached"]
    monkeypatch.setattr(manager, "terms", Terms(outage=60.0))
    assert ours() == []
    monkeypatch.setattr(manager, "terms", Terms(outage=61.0))
    ((identity, message, hint),) = ours()
    assert (identity, message) == ("W060", "outage_ttl=61 of app.Lesson is above 60 seconds.")
    assert "so much older than the last commit" in hint
    assert hint in reported("W060")


@pytest.mark.parametrize("location", ["127.0.0.1:6379", "", "redis://:a/b@127.0.0.1:6379/0"])
def test_e007(ours, settings, location):
    """An address that is none."""
    settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": location}}
    ((identity, message, hint),) = ours()
    assert (identity, "CACHES['default']" in message) == ("E007", True)
    assert hint == "An address is redis://host:6379/0, rediss://… with TLS, or unix:///path."


@pytest.mark.django_db(transaction=True)
def test_w003(monkeypatch):
    """A database without the outbox."""
    assert check_databases(None, databases=["default"]) == []
    monkeypatch.setattr(outbox, "TABLE", "nobody_made_it")
    outbox.forget()
    (found,) = check_databases(None, databases=["default"])
    assert (found.id, found.msg) == ("redis_toolkit.W003", "The database 'default' has no outbox.")
    assert "migrate redis_toolkit --database=default" in found.hint
    # A database on which nothing was migrated yet is about to be.
    monkeypatch.setattr(checking_databases, "_MIGRATIONS", "nobody_migrated")
    assert check_databases(None, databases=["default"]) == []
    monkeypatch.undo()
    outbox.forget()


def test_w004(ours, settings):
    """A mark that runs out under a transaction."""
    settings.REDIS_TOOLKIT_MARK_TTL = 4
    assert [found[:2] for found in ours()] == [("W004", "REDIS_TOOLKIT_MARK_TTL is under 5 seconds.")]


def test_w005(ours, settings, monkeypatch):
    """Routers, two aliases of one database's name, and nothing said about how much the second lags."""
    monkeypatch.setitem(settings.DATABASES, "copy", {**settings.DATABASES["postgres"], "HOST": "elsewhere"})
    assert _replicas() == []
    monkeypatch.setattr(router, "routers", [object()])
    (found,) = _replicas()
    message = "A router chooses among 'postgres', 'copy', and REDIS_TOOLKIT_REPLICA_LAG is 0."
    assert (found.id, found.msg) == ("redis_toolkit.W005", message)
    settings.REDIS_TOOLKIT_REPLICA_LAG = 1
    assert _replicas() == []


def test_w006(settings):
    """A server that does not answer."""
    away = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "default": away}
    (found,) = check_server(None)
    assert (found.id, found.msg.startswith("Redis does not answer")) == ("redis_toolkit.W006", True)


def test_w007(valkey, redis_client):
    """A server that evicts marks before all else."""
    assert check_server(None) == []
    redis_client.config_set("maxmemory-policy", "volatile-ttl")
    (found,) = check_server(None)
    assert found.id == "redis_toolkit.W007"
    assert "allkeys-lru" in found.hint


STRANGERS = """
from django.db.models.functions import Now
from redis_toolkit.cache import CachedQuerySet

class Member(models.Model):
    group = models.ForeignKey(Group, models.CASCADE)

class Note(models.Model):
    member = models.ForeignKey(Member, models.CASCADE, related_name="notes")
    text = models.CharField(max_length=9)

class Plain(models.Manager):
    def get_queryset(self):
        return CachedQuerySet(self.model, using=self._db)

class Ended(CacheManager):
    def get_queryset(self):
        return super().get_queryset().filter(until__lt=Now())

class Unasked(CacheManager):
    def get_queryset(self):
        return super().get_queryset().nocache()

class Requested(CacheManager):
    def get_queryset(self):
        raise LookupError("no request")

class Visit(models.Model):
    group = models.ForeignKey(Group, models.CASCADE)
    until = models.DateTimeField()

    objects = models.Manager()
    cached = CacheManager()
    ended = Ended()
    unasked = Unasked()
    requested = Requested()
    made = models.Manager.from_queryset(CachedQuerySet)()

class Late(Visit):
    class Meta:
        proxy = True
        ordering = ["group__member__notes__text"]

class Chance(Visit):
    more = CacheManager()
    class Meta:
        proxy = True
        ordering = ["?"]

class Stray(models.Model):
    made = CachedQuerySet.as_manager()
    class Meta:
        managed = False

class Lost(models.Model):
    lists = Plain()
"""


def test_managers_that_are_never_answered(tmp_path):
    """Why nothing of a manager is cached is told before anybody asks it, once; those that mean it so are left alone."""
    found = new_project(tmp_path, models=STRANGERS)
    lines = re.findall(r"W008\) What school\.([\w.]+) lists is never cached: (.*)\.$", found, re.MULTILINE)
    not_watched = 'the table "school_{}" is not watched; name it in REDIS_TOOLKIT_WATCH'
    assert [(name, reason.partition(",")[0]) for name, reason in sorted(lines)] == [
        ("Chance.cached", "its SQL calls rand()"),
        ("Chance.made", "its SQL calls rand()"),
        ("Chance.more", "its SQL calls rand()"),
        ("Late.cached", not_watched.format("note")),
        ("Late.made", not_watched.format("note")),
        ("Lost.lists", not_watched.format("lost")),
        ("Stray.made", not_watched.format("stray")),
        ("Visit.ended", "Now is another value each time"),
    ]


def test_w008(ours):
    """A view has a CacheManager that can do nothing for it."""
    (found,) = check_models(None)
    assert (found.id, found.obj) == ("redis_toolkit.W008", Season)
    assert found.msg == (
        'What app.Season.cached lists is never cached: the table "app_season" is not watched; name it in'
        " REDIS_TOOLKIT_WATCH."
    )
    assert found.hint.startswith("Make the manager a CacheManager; name a table that is no database view in")
    assert check_models([apps.get_app_config("app")]) == [found]
    assert check_models([apps.get_app_config("redis_toolkit")]) == []


@pytest.fixture
def counting(monkeypatch):
    """What a test declares to be counted is gone after it."""
    monkeypatch.setattr(counters, "_declared", {})


@pytest.mark.parametrize(
    ("model", "field", "kind", "message"),
    [
        (Page, "clicks", "sum", "app.Page has no field 'clicks'."),
        (Page, "section", "sum", "app.Page.section does not hold whole numbers or decimals"),
        (Page, "id", "sum", "app.Page.id does not hold whole numbers or decimals"),
        (Page, "views", "latest", "app.Page.views does not hold dates with times"),
        (Page, "views", "most", "app.Page.views: 'most' is no kind; there are 'sum', 'latest'."),
        (Post, "views", "sum", "app.Post.views lies in the table of app.Page: declare it for that model."),
    ],
)
def test_e030(counting, model, field, kind, message):
    """A counter of a field that is not there, or of no such kind."""
    WriteBehind(model, field, kind=kind)
    (found,) = [each for each in check_models(None) if each.id == "redis_toolkit.E030"]
    assert (found.msg.startswith(message), found.obj) == (True, model)


def test_e031(counting):
    """A counter of rows with a composite key."""
    WriteBehind(Chair, "hall")
    assert [each.id for each in check_models(None)] == ["redis_toolkit.W008", "redis_toolkit.E031"]


def test_w030(counting, valkey, redis_client):
    """A server that may evict what is gathered."""
    WriteBehind(Page, "views")
    redis_client.config_set("appendonly", "yes")
    assert check_server(None) == []
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    (found,) = check_server(None)
    assert (found.id, "noeviction" in found.hint) == ("redis_toolkit.W030", True)


def test_w031(counting, valkey, redis_client):
    """A server that forgets at a restart what is gathered; nobody minds where nothing is."""
    assert check_server(None) == []
    WriteBehind(Page, "views")
    (found,) = check_server(None)
    assert (found.id, "appendonly yes" in found.hint) == ("redis_toolkit.W031", True)


@pytest.mark.django_db(transaction=True, databases="__all__")
def test_w032(counting, monkeypatch):
    """A database without the ledger, where something is to be flushed to."""
    WriteBehind(Page, "views")
    assert check_databases(None, databases=["default", "postgres"]) == []
    monkeypatch.setattr(ledger, "TABLE", "nobody_made_it")
    (found,) = check_databases(None, databases=["default", "postgres"])
    assert (found.id, found.msg) == (
        "redis_toolkit.W032",
        "The database 'default' has no ledger, so no WriteBehind can be flushed to it.",
    )


def test_e050(ours, monkeypatch):
    """Names in ``follow`` that are no foreign key."""
    monkeypatch.setattr(Lesson.cached, "followed_relations", ("room", "students", "nobody"))
    hint = "`follow` takes names of foreign keys and one-to-one fields, or True for all there are."
    assert ours() == [
        ("E050", f"follow={name!r}: app.Lesson.{name} is no foreign key or one-to-one field.", hint)
        for name in ("students", "nobody")
    ]
    assert hint in reported("E050")


def test_w050(ours, monkeypatch):
    """``follow`` leads to rows that a base manager may hide."""
    hidden = type("Hidden", (models.Manager,), {"get_queryset": lambda manager: None})
    monkeypatch.setattr(Lesson.cached, "followed_relations", ("room", "group"))
    monkeypatch.setitem(vars(Room._meta), "base_manager", hidden())
    hint = "It may hide rows. Take the name out of `follow`, or base_manager_name out of that Meta."
    message = "follow='room': app.Room has a base manager of its own, so the database is asked."
    assert ours() == [("W050", message, hint)]
    assert hint in reported("W050")


def test_ids_are_unique_and_documented():
    """Each id stands once in the code and once in the table of the docs, and has its test in this folder."""
    sources = [path.read_text("utf-8") for path in sorted((ROOT / "redis_toolkit").rglob("*.py"))]
    made = sorted(found for text in sources for found in re.findall(r'id="redis_toolkit\.([EW]\d+)"', text))
    page = (ROOT / "docs" / "reference" / "checks.md").read_text("utf-8")
    assert made == re.findall(r"^\| `redis_toolkit\.([EW]\d+)` \|", page, re.MULTILINE) == IDS
    tested = re.findall(r"^def test_([ew]\d+)", "".join(each.read_text("utf-8") for each in TESTS), re.MULTILINE)
    assert [identity for identity in IDS if identity.lower() not in tested] == []
