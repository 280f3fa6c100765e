from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from redis_toolkit.cache.draining import Drained, drain_all
from redis_toolkit.conf import settings
from redis_toolkit.exceptions import RedisToolkitError


class Command(BaseCommand):
    help = "Drains the outbox: drops in Redis what was written while it was away, and deletes the rows that say so."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--database",
            action="append",
            choices=tuple(connections),
            help="Alias of a database whose outbox is drained; may be repeated. Default: all of them.",
        )

    def handle(self, *, database: list[str] | None = None, verbosity: int = 1, **_: Any) -> None:
        failed = []
        try:
            for drained in drain_all(database):
                if drained.failed:
                    failed.append(f"{drained.alias} ({_said(drained)})")
                elif verbosity:
                    self.stdout.write(f"{drained.alias}: {_said(drained)}.")
        except RedisToolkitError as error:
            raise CommandError(
                f"The outbox was not drained: {str(error).rstrip('.')}. Its rows stay, and nothing is lost. Start the"
                f" server or correct LOCATION of CACHES[{settings.ALIAS!r}], then run redis_drain again."
            ) from error
        if failed:
            raise CommandError(
                f"Not drained: {', '.join(failed)}. The rows stay, and nothing is lost. Run redis_drain again when the"
                " database can be written to, outside of any transaction."
            )


def _said(drained: Drained) -> str:
    rows = f"{drained.rows} row{'s' * (drained.rows != 1)} drained"
    if drained.kept:
        stay = f"{drained.kept} stay{'s' * (drained.kept == 1)}"
        return f"{rows}, {stay}: {drained.reason or 'the write may still be under way'}"
    return drained.reason or rows
