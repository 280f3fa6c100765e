"""What Celery may do for the toolkit. Found by Celery's ``autodiscover_tasks``; imported by nothing else.

For beat: a run that fails is not tried again by itself, for the next one is on its way.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from celery import shared_task

from redis_toolkit.cache import warming
from redis_toolkit.cache.draining import drain_all
from redis_toolkit.exceptions import StoreUnavailable

__all__ = ["drain_outbox", "warm"]

_log = logging.getLogger("redis_toolkit.cache")


# Nobody waits for the result. A message that a worker finds late is thrown away: a newer one lies behind it. That Redis
# is away is no error of ours: the task fails, which monitors show, without a traceback every few seconds.
@shared_task(  # type: ignore[untyped-decorator]
    name="redis_toolkit.drain_outbox", ignore_result=True, expires=60, throws=(StoreUnavailable,)
)
def drain_outbox() -> int:
    """Drain the outbox of every database; the number of rows that are gone.

    Raises StoreUnavailable while Redis is away; the rows stay then. A database that fails is named in the log
    ``redis_toolkit.cache``, and hinders no other. Two at once do no harm.
    """
    rows = 0
    for drained in drain_all():
        rows += drained.rows
        if drained.failed:
            _log.warning("The outbox of %s was not drained: %s.", drained.alias, drained.reason)
    return rows


@shared_task(  # type: ignore[untyped-decorator]
    name="redis_toolkit.warm", ignore_result=True, throws=(StoreUnavailable,)
)
def warm(names: Sequence[str] | None = None, models: Sequence[str] = ()) -> int:
    """Fill what ``REDIS_TOOLKIT_WARM`` declares, or the names of it and the models given; how many answers and rows.

    As ``manage.py redis_warm``. Raises StoreUnavailable while Redis is away, and Misconfigured for a name that is not
    declared. May be killed, repeated, and run twice at once.
    """
    return sum(each.done for each in warming.warm([] if names is None and models else names, models=models))
