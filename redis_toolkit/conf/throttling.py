"""Settings of the throttles, and of who a client is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from redis_toolkit.conf import validity
from redis_toolkit.conf.setting import Setting

__all__ = ["ThrottleSettings"]


class ThrottleSettings:
    """As attributes of ``redis_toolkit.conf.settings``."""

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
