"""Settings of what is logged."""

from __future__ import annotations

from collections.abc import Sequence

from redis_toolkit.conf import validity
from redis_toolkit.conf.setting import Setting

__all__ = ["EventSettings"]


class EventSettings:
    """As attributes of ``redis_toolkit.conf.settings``."""

    LOG_EVENTS = Setting[Sequence[str]](
        (),
        "Names of signals. Each time one is sent there is a record of the logger `redis_toolkit.events`, its fields"
        " as `extra`, none a secret. `breaker_changed`, `throttle_banned`, `code_locked` and `token_refused` are"
        " rare and worth it; `cache_read` is one for each cached read.",
        must="a list of names of signals, as `redis_toolkit.signals` has them",
        valid=validity.events,
    )
