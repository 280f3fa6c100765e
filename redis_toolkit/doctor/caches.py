"""What ``CACHES`` says beside the address, and who else uses the same database."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from math import inf
from typing import Any, Final

from redis.connection import AbstractConnection

from redis_toolkit.conf import Settings, settings
from redis_toolkit.core.aliases import place_of
from redis_toolkit.core.pools import pool_of
from redis_toolkit.doctor.findings import Finding, good
from redis_toolkit.doctor.readings import Reading
from redis_toolkit.doctor.roles import LASTING
from redis_toolkit.exceptions import Misconfigured

__all__ = ["judge_company", "judge_options"]

#: Seconds that a request should wait for Redis at the most.
_LONGEST: Final = 5.0
_LONGEST_OF_OURS: Final = 1.0


def judge_options(alias: str) -> Iterator[Finding]:
    """What the settings say of an alias, whether its server answers or not."""
    cache = Settings.caches().get(alias) or {}
    options = cache.get("OPTIONS") or {}
    yield from _timeouts(alias)
    if options.get("IGNORE_EXCEPTIONS", _ignores()):
        yield Finding(
            "D163", "advice", alias,
            "IGNORE_EXCEPTIONS is on: while Redis is away, django-redis answers as if nothing were stored, and nobody"
            " is told. (The toolkit does not go by it.)",
            "Set DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True, so that it is at least logged.",
        )  # fmt: skip
    if cache.get("KEY_PREFIX") and Settings.PREFIX.default == settings.PREFIX:
        yield Finding(
            "D164", "warning", alias,
            f"KEY_PREFIX of CACHES is {cache['KEY_PREFIX']!r}, which the toolkit's keys do not have: another project in"
            f" the same database would read and end them, for its prefix is {settings.PREFIX!r} as well.",
            "Set REDIS_TOOLKIT_PREFIX to a name of this project's own.",
        )  # fmt: skip
    if cache.get("TIMEOUT", 300) is None:
        yield Finding(
            "D165", "advice", alias,
            "TIMEOUT of CACHES is None: what django-redis stores there never expires, and fills a server that does not"
            " evict it (noeviction, volatile-…). (The toolkit's entries have a ttl of their own.)",
            "Give it a number of seconds.",
        )  # fmt: skip


def judge_company(reading: Reading) -> Iterator[Finding]:
    """Who else is in the same database."""
    place = place_of(reading.alias)
    others = [
        each for each in Settings.caches() if each != reading.alias and place is not None and place_of(each) == place
    ]  # fmt: skip
    # (Of what must last W090 tells.)
    if others and reading.keeps("throttles", "write-behind") and not reading.keeps(*LASTING):
        yield Finding(
            "D166", "warning", reading.alias,
            f"clear() of {' and '.join(map(repr, others))} in CACHES empties this database, with what was counted and"
            " who is banned in it.",
            "Give them different databases (…/0, …/1), or servers.",
        )  # fmt: skip
    sample = reading.sample
    if sample is None:
        return
    foreign = sample.seen - sample.ours
    of = f"{sample.seen} keys" if sample.all else f"{sample.seen} keys that were looked at"
    if foreign:
        yield Finding(
            "D167", "advice", reading.alias,
            f"{foreign} of {of} are not the toolkit's: others use this database, and may empty or fill it.",
            "Give the toolkit a database of its own (redis://host:6379/1), if these are not of django-redis for the"
            " same project.",
        )  # fmt: skip
    else:
        yield good("D167", reading.alias, f"All of {of} are the toolkit's.")


def _timeouts(alias: str) -> Iterator[Finding]:
    try:
        given = pool_of(alias).connection_kwargs
    except Misconfigured:
        return
    names = {"SOCKET_CONNECT_TIMEOUT": "socket_connect_timeout", "SOCKET_TIMEOUT": "socket_timeout"}
    found = {name: given.get(word, _defaults().get(word)) for name, word in names.items()}
    missing = [name for name, seconds in found.items() if seconds is None]
    times = _times(given.get("retry"))
    again = f" {times:g} times" if times > 1 else ""
    long = [
        f"{name} {seconds:g} s{again}"
        for name, seconds in found.items()
        if seconds is not None and seconds * times > _LONGEST
    ]
    options = f"{{'SOCKET_CONNECT_TIMEOUT': {settings.CONNECT_TIMEOUT}, 'SOCKET_TIMEOUT': 1}}"
    if missing:
        yield Finding(
            "D160", "warning", alias,
            f"{' and '.join(missing)} of CACHES: none is set, so what calls django-redis itself (django.core.cache)"
            " waits for ever for a server that hangs.",
            f"Add OPTIONS {options}. (The toolkit has time-outs of its own.)",
        )  # fmt: skip
    if long:
        yield Finding(
            "D161", "advice", alias,
            f"{' and '.join(long)}: so long a request that calls django-redis itself may wait for a server that hangs.",
            f"Add OPTIONS {options}.",
        )  # fmt: skip
    for name, seconds in (("CONNECT_TIMEOUT", settings.CONNECT_TIMEOUT), ("READ_TIMEOUT", settings.READ_TIMEOUT)):
        if seconds > _LONGEST_OF_OURS:
            yield Finding(
                "D162", "advice", f"REDIS_TOOLKIT_{name}",
                f"REDIS_TOOLKIT_{name} is {seconds:g} s: so long the first requests wait when Redis hangs, each with a"
                " worker.",
                "Half a second is much for a server in the same zone.",
            )  # fmt: skip


def _times(retry: Any) -> float:
    """How often redis-py tries, by the ``retry`` of a pool; without one it does so once."""
    retries = retry.get_retries() if hasattr(retry, "get_retries") else 0
    # (Less than none: it never gives up.)
    return inf if retries < 0 else retries + 1.0


def _defaults() -> dict[str, Any]:
    """What redis-py does where nothing is said: before its version 8 it waits for ever."""
    return {name: each.default for name, each in inspect.signature(AbstractConnection).parameters.items()}


def _ignores() -> bool:
    """What django-redis does where an alias does not say."""
    try:
        return bool(settings.django("DJANGO_REDIS_IGNORE_EXCEPTIONS"))
    except AttributeError:
        # It is none of Django's own.
        return False
