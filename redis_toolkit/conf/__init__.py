"""Every setting, once: name, type, default, meaning and validity.

Settings are read live: ``settings.<NAME>`` is ``REDIS_TOOLKIT_<NAME>`` of Django's settings, and ``override_settings``
is followed at once. No other module reads Django's settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from redis_toolkit.conf import validity

__all__ = ["PREFIX", "Setting", "Settings", "settings"]

T = TypeVar("T")

PREFIX = "REDIS_TOOLKIT_"


class Setting(Generic[T]):
    """One setting: ``default``, what it means (``doc``), what it must be (``must``) and the test for it (``valid``)."""

    def __init__(self, default: T, doc: str, *, must: str, valid: Callable[[object], bool]) -> None:
        self.default = default
        self.doc = doc
        self.must = must
        self.valid = valid

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name
        self.name = PREFIX + name

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: Settings, owner: type) -> T: ...
    def __get__(self, instance: Settings | None, owner: type) -> T | Setting[T]:
        if instance is None:
            return self
        # Kept in the instance's __dict__, which shadows this non-data descriptor until `setting_changed` empties it: on
        # the hot path a setting costs an attribute look-up, not the exception Django raises inside for an absent name.
        value: T = getattr(django_settings, self.name, self.default)
        instance.__dict__[self.attribute] = value
        return value


class Settings:
    """The toolkit's settings, as attributes. Unknown names are an ``AttributeError`` here and a check error in use."""

    ALIAS = Setting(
        "default",
        "Name in `CACHES` (a django-redis cache) whose server holds everything.",
        must="a name in CACHES",
        valid=validity.text,
    )
    PREFIX = Setting(
        "rt",
        "First part of every key. Two projects on one server need two prefixes.",
        must="a non-empty string",
        valid=validity.text,
    )
    ENABLED = Setting(
        True,
        "False stops cached reads: the database answers. Writes still mark, so it may be turned on again at any time.",
        must="True or False",
        valid=validity.flag,
    )
    CACHE_TTL = Setting(
        3600,
        "Seconds a cached answer may live, unless the manager or the query says otherwise.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    NULL_TTL = Setting(
        60,
        "Seconds the answer *no such row* may live.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    TTL_JITTER = Setting(
        0.1,
        "Share by which the life of each entry is shortened at random, so that entries stored together do not expire"
        " together.",
        must="a number from 0 to 0.9",
        valid=validity.share,
    )
    SINGLE_FLIGHT = Setting(
        True,
        "Of the readers that miss the same answer at once, in all processes, one asks the database and the others wait"
        " for it. False: each asks.",
        must="True or False",
        valid=validity.flag,
    )
    FLIGHT_WAIT = Setting(
        5,
        "Seconds a reader waits at most for another's load; then it asks the database itself.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    EARLY_EXPIRY = Setting(
        1.0,
        "How soon before its end a reader, by chance, makes an answer anew, in units of how long that takes (the beta"
        " of XFetch). 0: never before its end. Answers with `fresh` have no need of it.",
        must="a number, 0 or more",
        valid=validity.not_negative,
    )
    MARK_TTL = Setting(
        60,
        "Seconds after which the mark of a writer that died runs out. Longer than any transaction.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    REPLICA_LAG = Setting(
        0,
        "Seconds by which replicas may lag. 0: reads that a router sends to a replica are not cached. Otherwise marks"
        " linger this long after the commit.",
        must="a number of seconds, 0 or more",
        valid=validity.not_negative,
    )
    TRUST_REPLICAS = Setting(
        False,
        "True: entries outlive a failover or a restart of the server. What a lagging replica has lost, or an old file"
        " brings back, is then served until its ttl.",
        must="True or False",
        valid=validity.flag,
    )
    OUTBOX_INTERVAL = Setting(
        1,
        "Seconds within which a process must have looked at the outbox to serve hits (it looks when half of them are"
        " over). No process goes on serving what another could not tell Redis of for longer than this.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    OUTBOX_ROWS = Setting(
        10_000,
        "Rows of the outbox above which those of a table are replaced by one that drops everything of it.",
        must="a whole number, 1 or more",
        valid=validity.whole,
    )
    TENANT = Setting[str | None](
        None,
        "Dotted path of a callable that takes a database alias and returns the name of the current tenant, for"
        " projects that keep several under one alias. What is cached for one tenant is never given to another.",
        must="None or a dotted path",
        valid=validity.text_or_none,
    )
    WATCH = Setting[Sequence[str]](
        (),
        "Further models (`app.Model`) or tables whose writes are watched, beside those that cached models reach by"
        " their relations.",
        must="a list of names",
        valid=validity.names,
    )
    FUNCTIONS = Setting[Sequence[str]](
        (),
        "Functions of the database, beyond those the toolkit knows, whose answer depends on their arguments alone."
        " Answers of queries that call any other are not cached.",
        must="a list of names",
        valid=validity.names,
    )
    MAX_ENTRY_BYTES = Setting(
        1024 * 1024,
        "Largest entry in bytes; a larger answer is not cached.",
        must="a whole number of bytes, 1 or more",
        valid=validity.whole,
    )
    COMPRESS_ABOVE = Setting[int | None](
        None,
        "Payloads above this many bytes are compressed (zlib). None: never.",
        must="None or a whole number of bytes, 1 or more",
        valid=validity.size_or_none,
    )
    VERIFY_SAMPLE = Setting(
        0.01,
        "Share of stored query answers (lists, counts) that get a transcript of their question beside them, by which"
        " `redis_verify` asks it again. The transcript holds the values that were filtered by. 0: none.",
        must="a number from 0 to 1",
        valid=validity.fraction,
    )
    CONNECT_TIMEOUT = Setting(
        0.25,
        "Seconds to wait for a connection to Redis.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    READ_TIMEOUT = Setting(
        0.5,
        "Seconds to wait for Redis to send something. An answer that comes in pieces may take this long for each.",
        must="a positive number of seconds",
        valid=validity.positive,
    )
    BREAKER_FAILURES = Setting(
        3,
        "Refused or broken connections in a row that open the breaker. A time-out opens it at once.",
        must="a whole number, 1 or more",
        valid=validity.whole,
    )
    BREAKER_RETRY = Setting(
        0.5,
        "Seconds between the probes by which an open breaker finds out that Redis is back.",
        must="a positive number of seconds",
        valid=validity.positive,
    )

    LOADS = Setting[int | None](
        32,
        "Most answers that a process loads from its databases at once, because they are not cached or Redis is away;"
        " further readers queue. Whoever is inside a transaction is not made to wait. None: no bound.",
        must="None or a whole number, 1 or more",
        valid=validity.size_or_none,
    )
    LOADS_WAIT = Setting(
        5,
        "Seconds that a reader queues for its turn to load; then it gets `CacheOverloaded`.",
        must="a number of seconds, 0 or more",
        valid=validity.not_negative,
    )
    WARM = Setting[Sequence[str]](
        (),
        "What `redis_warm` fills: dotted paths of callables that return or yield cached querysets, models (all of"
        " their rows, by key) or callables.",
        must="a list of dotted paths",
        valid=validity.names,
    )

    REFRESHER = Setting[str | None](
        None,
        "Dotted path of a callable that has a worker call `redis_toolkit.cache.renew` with the text it is given:"
        " `redis_toolkit.tasks.send_refresh` (Celery), `redis_toolkit.contrib.django_tasks.send_refresh`, or your own."
        " None: a thread of the process that noticed makes anew what is past its `fresh`.",
        must="None or a dotted path",
        valid=validity.text_or_none,
    )

    THROTTLE = Setting(
        True,
        "False: throttles let everything through and ask nobody.",
        must="True or False",
        valid=validity.flag,
    )
    THROTTLE_ALIAS = Setting[str | None](
        None,
        "Name in `CACHES` (a django-redis cache) whose server counts for the throttles. None: the cache's"
        " (`REDIS_TOOLKIT_ALIAS`). One that evicts nothing is best.",
        must="None or a name in CACHES",
        valid=validity.text_or_none,
    )
    THROTTLE_DENIALS = Setting(
        10_000,
        "Most denials that a process remembers, so that a client who was denied costs no round trip. 0: none.",
        must="a whole number, 0 or more",
        valid=validity.whole_or_zero,
    )
    THROTTLE_LOCAL_SHARE = Setting(
        0.25,
        "Share of each limit that a process lets through by itself while Redis is away, for throttles with"
        " `on_outage='local'`: one divided by the number of processes.",
        must="a number above 0, and 1 at most",
        valid=validity.part,
    )
    THROTTLES = Setting[Mapping[str, Any]](
        {},
        "The rules of `ThrottleMiddleware` by name, each a dict of `rate`, `key`, `paths`, `exempt`, `on_outage` and"
        " more.",
        must="a dict of dicts",
        valid=validity.rules,
    )
    THROTTLE_HEADERS = Setting(
        "ietf",
        "How clients are told what is left: `ietf` (`RateLimit-Policy`, `RateLimit`), `legacy` (`X-RateLimit-…`),"
        " `both` or `off`. `Retry-After` is there whenever waiting helps.",
        must="one of 'ietf', 'legacy', 'both' and 'off'",
        valid=validity.headers,
    )
    THROTTLE_VIEW = Setting[str | None](
        None,
        "Dotted path of a callable that takes the request and the `Decision` and returns the response of who is kept"
        " out. None: a problem in JSON, or the template redis_toolkit/throttled.html, with status 429,"
        " 403 (a deny list) or 503 (closed).",
        must="None or a dotted path",
        valid=validity.text_or_none,
    )
    THROTTLE_OFFENDERS = Setting(
        False,
        "True: who is denied how often is counted in Redis, for the admin's page and `redis_throttle list`: one round"
        " trip for each second in which a process denies somebody.",
        must="True or False",
        valid=validity.flag,
    )
    TRUSTED_PROXIES = Setting[Sequence[str]](
        (),
        "Networks (`10.0.0.0/8`) and addresses of the proxies whose headers are believed; `unix` for a web server that"
        " reaches Django by a socket.",
        must="a list of networks, addresses or 'unix'",
        valid=validity.names,
    )
    CLIENT_HEADER = Setting(
        "X-Forwarded-For",
        "Header in which trusted proxies name the client. Of any but `X-Forwarded-For` the whole value is the address.",
        must="the name of a header",
        valid=validity.text,
    )
    IPV6_PREFIX = Setting(
        64,
        "Bits of an IPv6 address by which clients are told apart: one customer has a /64 at least.",
        must="a whole number from 32 to 128",
        valid=validity.prefix,
    )

    @classmethod
    def declared(cls) -> Iterator[Setting[object]]:
        """Every setting in the order of declaration, for checks and docs."""
        for value in vars(cls).values():
            if isinstance(value, Setting):
                yield value

    @staticmethod
    def given() -> list[str]:
        """The names in Django's settings that begin like ours, known or not."""
        return sorted(name for name in dir(django_settings) if name.startswith(PREFIX))

    @staticmethod
    def caches() -> dict[str, Any]:
        """Django's ``CACHES``."""
        caches: dict[str, Any] = django_settings.CACHES
        return caches

    @staticmethod
    def databases() -> dict[str, Any]:
        """Django's ``DATABASES``."""
        databases: dict[str, Any] = django_settings.DATABASES
        return databases

    @staticmethod
    def uses_zones() -> bool:
        """Django's ``USE_TZ``."""
        return bool(django_settings.USE_TZ)

    @staticmethod
    def middleware() -> Sequence[str]:
        """Django's ``MIDDLEWARE``."""
        middleware: Sequence[str] = django_settings.MIDDLEWARE
        return middleware

    @staticmethod
    def is_behind_proxy() -> bool:
        """Whether Django is told to believe headers that a proxy sets."""
        return bool(django_settings.SECURE_PROXY_SSL_HEADER or django_settings.USE_X_FORWARDED_HOST)

    @staticmethod
    def urls() -> str | None:
        """Django's ``ROOT_URLCONF``; None in a project without one."""
        urls: str | None = getattr(django_settings, "ROOT_URLCONF", None)
        return urls


settings = Settings()


def _forget(*, setting: str, **_: object) -> None:
    if setting.startswith(PREFIX):
        vars(settings).clear()


setting_changed.connect(_forget, dispatch_uid="redis_toolkit.conf")
