"""Settings of the connection and of the cache."""

from __future__ import annotations

from collections.abc import Sequence

from redis_toolkit.conf import validity
from redis_toolkit.conf.setting import Setting

__all__ = ["CacheSettings"]


class CacheSettings:
    """As attributes of ``redis_toolkit.conf.settings``."""

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

    WARMER = Setting[str | None](
        None,
        "Dotted path of a callable that has a worker call `redis_toolkit.cache.warming.warm` with the names and models"
        " it is given, for the button of the admin: `redis_toolkit.tasks.send_warm` (Celery), or your own. None: the"
        " request warms what it can in five seconds.",
        must="None or a dotted path",
        valid=validity.text_or_none,
    )

    REFRESHER = Setting[str | None](
        None,
        "Dotted path of a callable that has a worker call `redis_toolkit.cache.renew` with the text it is given:"
        " `redis_toolkit.tasks.send_refresh` (Celery), `redis_toolkit.contrib.django_tasks.send_refresh`, or your own."
        " None: a thread of the process that noticed makes anew what is past its `fresh`.",
        must="None or a dotted path",
        valid=validity.text_or_none,
    )
