from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from redis_toolkit.cache.behind import Flushed, flush_all
from redis_toolkit.cache.draining import Drained, drain_all
from redis_toolkit.conf import settings
from redis_toolkit.exceptions import RedisToolkitError


class Command(BaseCommand):
    help = (
        "Drains the outbox: drops in Redis what was written while it was away, and deletes the rows that say so."
        " Then flushes what write-behind has gathered to the database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--database",
            action="append",
            choices=tuple(connections),
            help="Alias of a database whose outbox is drained and whose rows are flushed to; may be repeated. Default:"
            " all of them.",
        )
        only = parser.add_mutually_exclusive_group()
        only.add_argument("--outbox", action="store_true", help="Drain the outbox, and flush nothing.")
        only.add_argument("--write-behind", action="store_true", help="Flush, and leave the outbox alone.")

    def handle(
        self,
        *,
        database: list[str] | None = None,
        outbox: bool = False,
        write_behind: bool = False,
        verbosity: int = 1,
        **_: Any,
    ) -> None:
        # One after the other, and each to its end: what stands in the way of one may not stand in that of the other.
        failures = [] if write_behind else list(self._drain(database, verbosity))
        failures += [] if outbox else list(self._flush(database, verbosity))
        if failures:
            raise CommandError(" ".join(failures))

    def _drain(self, database: list[str] | None, verbosity: int) -> Iterator[str]:
        failed = []
        try:
            for drained in drain_all(database):
                if drained.failed:
                    failed.append(f"{drained.alias} ({_said(drained)})")
                elif verbosity:
                    self.stdout.write(f"{drained.alias}: {_said(drained)}.")
        except RedisToolkitError as error:
            yield (
                f"The outbox was not drained: {str(error).rstrip('.')}. Its rows stay, and nothing is lost. Start the"
                f" server or correct LOCATION of CACHES[{settings.ALIAS!r}], then run redis_drain again."
            )
            return
        if failed:
            yield (
                f"Not drained: {', '.join(failed)}. The rows stay, and nothing is lost. Run redis_drain again when the"
                " database can be written to, outside of any transaction."
            )

    def _flush(self, database: list[str] | None, verbosity: int) -> Iterator[str]:
        failed = []
        for flushed in flush_all(database):
            if flushed.failed or flushed.refused:
                failed.append(f"{flushed.counter} of {flushed.alias} ({_told(flushed)})")
            elif verbosity and (flushed.kept or flushed.rows or flushed.absent):
                self.stdout.write(f"{flushed.counter} of {flushed.alias}: {_told(flushed)}.")
        if failed:
            yield (
                f"Not all flushed: {', '.join(failed)}. What waits stays in Redis, neither lost nor counted twice by"
                " the next run."
            )


def _said(drained: Drained) -> str:
    rows = f"{drained.rows} row{'s' * (drained.rows != 1)} drained"
    if drained.kept:
        stay = f"{drained.kept} stay{'s' * (drained.kept == 1)}"
        return f"{rows}, {stay}: {drained.reason or 'the write may still be under way'}"
    return drained.reason or rows


def _told(flushed: Flushed) -> str:
    told = [f"{flushed.rows} row{'s' * (flushed.rows != 1)} changed"]
    if flushed.absent:
        told.append(f"{flushed.absent} no more there")
    if flushed.refused:
        told.append(f"{flushed.refused} refused by the database (see the log redis_toolkit.cache)")
    return ", ".join(told) + (f": {flushed.reason}" if flushed.reason else "")
