"""What Celery may do for the toolkit. Found by Celery's ``autodiscover_tasks``; imported by nothing else.

For beat: a run that fails is not tried again by itself, for the next one is on its way.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from celery import shared_task
from django.apps import apps
from django.db import router, transaction

from redis_toolkit.cache import renew, warming
from redis_toolkit.cache.behind import flush_all
from redis_toolkit.cache.building import build, declared, why_due
from redis_toolkit.cache.draining import drain_all
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.otp.delivery import DeliveryFailed
from redis_toolkit.otp.sending import perform

__all__ = [
    "build_blooms",
    "deliver_code",
    "drain_outbox",
    "flush_write_behind",
    "refresh",
    "send_code",
    "send_refresh",
    "send_warm",
    "warm",
]

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
    name="redis_toolkit.flush_write_behind", ignore_result=True, expires=60
)
def flush_write_behind() -> int:
    """Flush what every ``WriteBehind`` has gathered; the number of rows that were changed.

    What could not be flushed waits for the next run, is named in the log ``redis_toolkit.cache``, and hinders nothing
    else. A worker may be killed at any moment; two at once do no harm.
    """
    rows = 0
    for flushed in flush_all():
        rows += flushed.rows
        if flushed.failed:
            _log.warning("%s of %s was not flushed: %s.", flushed.counter, flushed.alias, flushed.reason)
    return rows


# Two at once do no harm: of two builders of one filter the second one finds the first at work, and leaves.
@shared_task(  # type: ignore[untyped-decorator]
    bind=True, name="redis_toolkit.build_blooms", throws=(StoreUnavailable,)
)
def build_blooms(self: Any, models: list[str] | None = None, *, every: bool = False) -> dict[str, str]:
    """Build the Bloom filters that are due (``every``: all), of ``models`` (``app.Model``) or of all that declare one.

    Returns what became of each: "built", "busy", "dropped" or "not due". While it is at work its state is PROGRESS,
    with ``filter``, ``done`` and ``total`` (rows). Raises StoreUnavailable while Redis is away.
    """
    named = [apps.get_model(label) for label in models or ()]
    chosen = [(model, router.db_for_write(model)) for model in named] if named else declared()
    found = {}
    for model, alias in chosen:
        name = f"{model._meta.label} ({alias})"

        def progress(done: int, total: int, name: str = name) -> None:
            if not self.request.called_directly:
                self.update_state(state="PROGRESS", meta={"filter": name, "done": done, "total": total})

        due = every or why_due(model, alias)
        found[name] = build(model, alias, progress).outcome if due else "not due"
        if found[name] == "dropped":
            _log.warning("The filter of %s was not built: rows were added that nobody could name.", name)
    return found


@shared_task(  # type: ignore[untyped-decorator]
    name="redis_toolkit.warm", ignore_result=True, throws=(StoreUnavailable,)
)
def warm(names: Sequence[str] | None = None, models: Sequence[str] = ()) -> int:
    """Fill what ``REDIS_TOOLKIT_WARM`` declares, or the names of it and the models given; how many answers and rows.

    As ``manage.py redis_warm``. Raises StoreUnavailable while Redis is away, and Misconfigured for a name that is not
    declared. May be killed, repeated, and run twice at once.
    """
    return sum(each.done for each in warming.warm([] if names is None and models else names, models=models))


def send_warm(names: Sequence[str], models: Sequence[str]) -> None:
    """For ``REDIS_TOOLKIT_WARMER``: have a worker fill these. Raises what the broker raises."""
    warm.apply_async((list(names), list(models)), retry=False)


# As long as nobody tells of the same answer again.
@shared_task(  # type: ignore[untyped-decorator]
    name="redis_toolkit.refresh", ignore_result=True, expires=60
)
def refresh(message: str) -> None:
    """Make the answer anew that ``message`` tells of, if it is still due, as :func:`redis_toolkit.cache.renew`."""
    renew(message)


def send_refresh(message: str) -> None:
    """For ``REDIS_TOOLKIT_REFRESHER``: have a worker make an answer anew. Raises what the broker raises."""
    refresh.apply_async((message,), retry=False)


# The worker mints the code: none is in the message, nor in what Celery logs and monitors show of it.
@shared_task(  # type: ignore[untyped-decorator]
    bind=True, name="redis_toolkit.deliver_code", ignore_result=True, expires=600, max_retries=3,
    throws=(DeliveryFailed, StoreUnavailable),
)  # fmt: skip
def deliver_code(self: Any, message: str) -> bool:
    """Mint the code of the challenge that ``message`` tells of, and send it. False: nothing waits for one (any more).

    What the mail server refuses is tried again after 2, 4 and 8 seconds, with another code each time. A message that
    comes twice does no harm.
    """
    try:
        return perform(message, again=self.request.retries > 0)
    except (DeliveryFailed, StoreUnavailable) as error:
        raise self.retry(exc=error, countdown=2 << self.request.retries) from None


def send_code(message: str) -> None:
    """For ``REDIS_TOOLKIT_OTP_SENDER``: have a worker send a code, once the transaction is committed.

    Raises what the broker raises; within a transaction that is at its end.
    """
    transaction.on_commit(lambda: deliver_code.apply_async((message,), retry=False))
