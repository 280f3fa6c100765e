"""Settings of the statistics."""

from __future__ import annotations

from collections.abc import Mapping

from redis_toolkit.conf import validity
from redis_toolkit.conf.setting import Setting

__all__ = ["StatsSettings"]


class StatsSettings:
    """As attributes of ``redis_toolkit.conf.settings``."""

    STATS = Setting(
        True,
        "False: nothing is counted: no hits, no denials, no codes. The dashboard has nothing to show then.",
        must="True or False",
        valid=validity.flag,
    )
    STATS_ALIAS = Setting[str | None](
        None,
        "Name in `CACHES` (a django-redis cache) whose server keeps what is counted. None: the cache's"
        " (`REDIS_TOOLKIT_ALIAS`).",
        must="None or a name in CACHES",
        valid=validity.text_or_none,
    )
    STATS_KEEP = Setting[Mapping[str, int]](
        {"minute": 10_800, "hour": 1_209_600, "day": 34_560_000},
        "Seconds for which the numbers of each minute, hour and day are kept after they were last added to. A name that"
        " is left out keeps its default.",
        must="a dict of 'minute', 'hour' and 'day', each a whole number of seconds, 1 or more",
        valid=validity.keeping,
    )
    METRICS_TOKEN = Setting[str | None](
        None,
        "What Prometheus has to say (`Authorization: Bearer …`) to be answered by `redis_toolkit.contrib.prometheus`."
        " None: only who is logged in and may see the statistics is answered.",
        must="None or a text",
        valid=validity.text_or_none,
    )
