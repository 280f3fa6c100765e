from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections

from redis_toolkit.cache import Health, health, outbox
from redis_toolkit.cache.databases import each_once
from redis_toolkit.conf import settings
from redis_toolkit.exceptions import Misconfigured


class Command(BaseCommand):
    help = (
        "Shows how the cache is, as a process that has just started finds it: Redis, its breaker, the gate and the"
        " outboxes. Exits with 1 if Redis does not answer."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def handle(self, **options: Any) -> None:
        try:
            found = health(ask=True)
        except Misconfigured as error:
            raise CommandError(str(error)) from error
        waiting = {alias: rows_of(alias) for alias in each_once(None)}
        if options["json"]:
            self.stdout.write(json.dumps({**asdict(found), "outbox": waiting}, indent=2))
        elif options["verbosity"]:
            self.stdout.write("\n".join(lines(found, waiting)))
        if found.error:
            raise CommandError(
                f"{found.error.rstrip('.')}. The database answers meanwhile. Start the server or correct LOCATION of"
                f" CACHES[{settings.ALIAS!r}]."
            )


def rows_of(alias: str) -> int | None:
    """How many rows the outbox has; None without one, and for a database that does not answer."""
    try:
        connection = connections[alias]
        return outbox.rows_in(connection).count() if outbox.is_there(connection) else None
    except Error:
        return None


def lines(found: Health, waiting: dict[str, int | None]) -> list[str]:
    """What is said to people."""
    since = datetime.fromtimestamp(found.since, UTC).isoformat(" ", "seconds")
    answers = "does not answer" if found.latency is None else f"answers in {found.latency * 1000:.2f} ms"
    trusted = "trusted" if found.trusted else "not trusted"
    most = "without a bound" if found.most is None else f"at most {found.most}"
    return [
        f"{found.alias}: {answers}; run {found.run or 'unknown'}",
        f"breaker: {found.state} since {since}, {counted(found.failures, 'failure')} in a row; hits are {trusted}",
        f"gate: {found.loading} loading, {found.waiting} waiting, {most}; {counted(found.kept, 'answer')} kept",
        *(
            f"outbox of {alias}: {'unknown' if rows is None else counted(rows, 'row')}"
            for alias, rows in waiting.items()
        ),
    ]


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
