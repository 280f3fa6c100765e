"""Settings of Django that undo the toolkit, or surprise with it; and what its own system checks say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from django.core import checks
from django.db import Error, connections

from redis_toolkit.cache import outbox
from redis_toolkit.cache.databases import each_once
from redis_toolkit.conf import Settings, settings
from redis_toolkit.doctor.findings import Finding, Level, good
from redis_toolkit.otp import problems as codes
from redis_toolkit.sessions import problems as sessions

__all__ = ["judge_outboxes", "judge_project", "said_by_checks", "translated"]

_PREFIX: Final = "redis_toolkit."
_MIDDLEWARE: Final = "redis_toolkit.sessions.middleware.SessionMiddleware"
#: Rows of an outbox that a process which serves hits would have drained long ago.
_MANY: Final = 100


def judge_project() -> Iterator[Finding]:
    """Django's settings against ours."""
    if _MIDDLEWARE in settings.middleware() and not sessions.is_ours():
        yield Finding(
            "D170", "warning", "SESSION_ENGINE",
            f"MIDDLEWARE has {_MIDDLEWARE!r}, and SESSION_ENGINE is {settings.django('SESSION_ENGINE')!r}: sessions are"
            " not in Redis, and what the toolkit says of them is not so.",
            "Set SESSION_ENGINE = 'redis_toolkit.sessions', or use Django's middleware.",
        )  # fmt: skip
    debug = settings.django("DEBUG")
    if debug and "debug_toolbar" in settings.django("INSTALLED_APPS"):
        yield Finding(
            "D171", "advice", "DEBUG",
            "DEBUG is True and django-debug-toolbar is installed: it keeps every query and every cached read of a"
            " request, so what is measured is slower than it will be.",
            "Measure without it.",
        )  # fmt: skip
    for name, what in (("ENABLED", "every cached read asks the database"), ("THROTTLE", "no throttle denies anybody")):
        if not getattr(settings, name):
            yield Finding(
                "D172", "advice" if debug else "warning", f"REDIS_TOOLKIT_{name}",
                f"REDIS_TOOLKIT_{name} is False{'' if debug else ', and DEBUG is off'}: {what}.",
                "Take the setting out where the project is in use.",
            )  # fmt: skip
    atomic = [alias for alias, database in Settings.databases().items() if database.get("ATOMIC_REQUESTS")]
    if atomic:
        yield Finding(
            "D173", "advice", "DATABASES",
            f"ATOMIC_REQUESTS is True for {' and '.join(map(repr, atomic))}: from a request's first write to its end"
            " what it wrote is read from the database, by others as well, and the gate holds nobody.",
            "Use transaction.atomic() around what belongs together, and nothing more.",
        )  # fmt: skip


def judge_outboxes() -> Iterator[Finding]:
    """Writes that Redis was not told of yet, by database."""
    for alias in each_once(None):
        try:
            connection = connections[alias]
            rows = outbox.rows_in(connection).count() if outbox.has_table(connection) else None
        except Error as error:
            # (PostgreSQL's drivers explain themselves over several lines.)
            why = str(error).strip().partition("\n")[0]
            yield Finding(
                "D175", "advice", f"DATABASES[{alias!r}]", f"Not known: the database does not answer ({why}).",
                "See to the database, and examine again.",
            )  # fmt: skip
            continue
        if rows is not None and rows >= _MANY:
            yield Finding(
                "D174", "warning", f"DATABASES[{alias!r}]",
                f"The outbox has {rows} rows: Redis was away when they were written, and nobody has told it since.",
                "Run manage.py redis_drain, and see why no process does: none serves hits, or Redis is away.",
            )  # fmt: skip
        elif rows is not None:
            yield good("D174", f"DATABASES[{alias!r}]", f"The outbox has {rows} rows.")


def said_by_checks() -> Iterator[Finding]:
    """What ``manage.py check --deploy --database …`` says of the toolkit, but for servers, which are read here."""
    tags = checks.Tags.caches, checks.Tags.models
    # (From 6.1 on Django's own checks of models ask all databases, unless none are named.)
    yield from translated(checks.run_checks(tags=tags, databases=[]), "settings")
    for alias in each_once(None):
        try:
            messages = checks.run_checks(tags=(checks.Tags.database,), databases=[alias])
        except Error:
            # It does not answer, of which D175 tells.
            continue
        yield from translated(messages, f"DATABASES[{alias!r}]")
    yield from translated(sessions.of_deployment(), "settings")
    yield from translated(codes.of_deployment(), "settings")


def translated(messages: Iterable[checks.CheckMessage], subject: str) -> Iterator[Finding]:
    """What checks say of the toolkit, as findings of ``subject``."""
    for message in messages:
        if message.id and message.id.startswith(_PREFIX):
            level: Level = "error" if message.level >= checks.ERROR else "warning"
            yield Finding(message.id.removeprefix(_PREFIX), level, subject, message.msg, message.hint or "")
