"""How many bytes of Redis one of each thing takes: what is laid out for that is weighed with MEMORY USAGE."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import redis
from django.conf import settings

from bench.report import table
from bench.servers import running
from redis_toolkit import __version__
from redis_toolkit.testing.valkey import ValkeyServer

__all__ = ["WHAT", "Weight", "as_markdown", "run"]

#: Seconds; longer than a run lasts.
HOUR = 3600
#: Seconds; what lives no longer takes no room to speak of.
BRIEF = 10
#: Hits of each client of a throttle.
HITS = 50


class Weight(NamedTuple):
    """A thing, how many of it were made, and the bytes and keys that came with one."""

    what: str
    times: int
    bytes: float
    keys: float


#: Each thing, in the order of the table: who makes so many of it.
WHAT: dict[str, Callable[[int], object]] = {}


def _weighed(what: str) -> Callable[[Callable[[int], object]], Callable[[int], object]]:
    def noted(maker: Callable[[int], object]) -> Callable[[int], object]:
        WHAT[what] = maker
        return maker

    return noted


def _lesson(name: str = "Lesson") -> Any:
    from django.apps import apps

    return apps.get_model("school", name)


@_weighed("a row by its key, 11 columns")
def _rows(times: int) -> object:
    lesson = _lesson()
    return [lesson.cached.get(pk=pk) for pk in range(1, times + 1)]


@_weighed("*no such row*")
def _absent(times: int) -> object:
    lesson = _lesson()
    return [lesson.cached.filter(pk=10**6 + pk).first() for pk in range(times)]


@_weighed("a list of 50 such rows with 3 relations")
def _lists(times: int) -> object:
    lesson = _lesson()
    joined = lesson.cached.select_related("course", "teacher", "room")
    return [list(joined.filter(group=1 + at % 40, pk__gt=-at)) for at in range(times)]


@_weighed("a `count()`")
def _counts(times: int) -> object:
    lesson = _lesson()
    return [lesson.cached.filter(group=1 + at % 40, pk__gt=-at).count() for at in range(times)]


@_weighed("a session, logged in, a cart of three")
def _sessions(times: int) -> object:
    from bench.doors.sessions import contents
    from redis_toolkit.sessions import SessionStore

    def begin(user: int) -> object:
        store = SessionStore()
        store.update(contents(user))
        store.save()
        return store

    return [begin(user) for user in range(1, times + 1)]


@_weighed("an emailed code, not yet tried")
def _codes(times: int) -> object:
    from redis_toolkit.otp import OneTimeCode

    code = OneTimeCode("login")
    return [code.issue(f"ada.lovelace.{at}@example.com", payload={"next": "/"}) for at in range(times)]


@_weighed("a magic link, not yet used")
def _links(times: int) -> object:
    from redis_toolkit.otp import MagicLink

    link = MagicLink("login")
    return [link.issue(f"ada.lovelace.{at}@example.com", payload={"next": "/"}) for at in range(times)]


@_weighed("an API token, store `redis`")
def _tokens(times: int) -> object:
    from redis_toolkit.tokens import make_token

    return [make_token(user, name="laptop", scopes=["lessons:read"]) for user in range(1, times + 1)]


def _throttled(algorithm: str) -> Callable[[int], object]:
    def clients(times: int) -> object:
        from redis_toolkit.throttling import Throttle

        each = Throttle(algorithm, f"{2 * HITS}/h", algorithm=algorithm)
        return [each.hit("ip", f"203.0.113.{at}") for at in range(times) for _ in range(HITS)]

    return clients


for _name in ("gcra", "fixed_window", "sliding_counter", "sliding_log"):
    _weighed(f"a throttle's client, `{_name}`, {HITS} hits")(_throttled(_name))


def run(times: int) -> list[Weight]:
    """Make so many of each, on a server and a database that are gone afterwards, and weigh them."""
    with running([], tcp=False) as servers:
        _configure(servers.valkey.url, str(servers.directory / "sizes.sqlite3"))
        from bench.timetable import fill

        fill()
        with _client(servers.valkey) as client:
            return [_weigh(client, what, maker, times) for what, maker in WHAT.items()]


def _configure(address: str, database: str) -> None:
    import django

    settings.configure(
        SECRET_KEY="only for measuring, and long enough",  # noqa: S106
        USE_TZ=True,
        INSTALLED_APPS=[
            "django.contrib.contenttypes", "django.contrib.auth", "redis_toolkit", "bench.school_cached",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": database}},
        CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": address}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        REDIS_TOOLKIT_TOKEN_STORE="redis",  # noqa: S106 - where they are kept
        REDIS_TOOLKIT_TOKEN_TTL=HOUR,
        REDIS_TOOLKIT_VERIFY_SAMPLE=0,
        # (They would be told in the midst of it, by a thread.)
        REDIS_TOOLKIT_STATS=False,
    )  # fmt: skip
    django.setup()


@contextmanager
def _client(server: ValkeyServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        yield client


def _weigh(client: Any, what: str, maker: Callable[[int], object], times: int) -> Weight:
    before = set(client.scan_iter(count=1000))
    maker(times)
    # Claims of who has just loaded are big, and gone in seconds.
    new = [key for key in client.scan_iter(count=1000) if key not in before and client.ttl(key) > BRIEF]
    weights = [client.memory_usage(key, samples=0) for key in new]
    return Weight(what, times, sum(weights) / times, len(new) / times)


def as_markdown(found: list[Weight]) -> str:
    """The table."""
    rows = [[each.what, f"{each.bytes:,.0f}", f"{each.keys:.3g}"] for each in found]
    told = f"Means of {found[0].times} of each, {dt.datetime.now(dt.UTC):%Y-%m-%d}, redis_toolkit {__version__}."
    return f"{table(['', 'bytes', 'keys'], rows)}\n\n{told}\n"
