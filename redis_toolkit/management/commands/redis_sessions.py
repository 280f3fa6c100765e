from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connections
from django.utils import timezone
from django.utils.module_loading import import_string

from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.management.progress import Bar
from redis_toolkit.sessions import revoke, revoke_all, sessions_for
from redis_toolkit.sessions.adopting import ADOPTED, SPENT, THERE, adopting, count, standing
from redis_toolkit.sessions.asking import drive
from redis_toolkit.sessions.problems import is_ours

#: Sessions that are moved in one round trip.
_BATCH: Final = 200
#: What became of a session in which nothing can be read.
_EMPTY: Final = "empty"


class Command(BaseCommand):
    help = "Counts sessions, lists and ends those of a user, and moves them here from the database engine."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--count", action="store_true", help="How many sessions there are in Redis, and how many are to be moved."
        )
        actions = parser.add_subparsers(dest="action")
        move = actions.add_parser("move", help="Take over what django.contrib.sessions has in its table. Repeatable.")
        move.add_argument("--database", choices=tuple(connections), help="Where the table is. Default: the routers'.")
        move.add_argument("--batch", type=int, default=_BATCH, metavar="N", help=f"So many at once. Default: {_BATCH}.")
        listed = actions.add_parser("list", help="The sessions of a user, each with the handle by which to end it.")
        ended = actions.add_parser("revoke", help="End sessions of a user: those of the handles, or all.")
        for each in (listed, ended):
            each.add_argument("--user", required=True, metavar="PK", help="The user's primary key.")
        ended.add_argument("handle", nargs="*", help="As the list prints it.")
        ended.add_argument("--all", action="store_true", help="All that the user has.")

    def handle(self, *, action: str | None, count: bool, **options: Any) -> None:
        if count == bool(action):
            raise CommandError("Say what is to be done: move, list, revoke, or --count.", returncode=2)
        try:
            getattr(self, f"_{action or 'count'}")(**options)
        except Misconfigured as error:
            raise CommandError(str(error), returncode=2) from error
        except StoreUnavailable as error:
            raise CommandError(f"{str(error).rstrip('.')}. Run it again when Redis is back.") from error
        except DatabaseError as error:
            raise CommandError(f"The database did not answer: {error}") from error

    def _count(self, **_: Any) -> None:
        self.stdout.write(f"In Redis: {count(link(settings.DURABLE_ALIAS))}")
        if apps.is_installed("django.contrib.sessions"):
            waiting = known = 0
            for batch in _batches(None, _BATCH):
                for outcome in drive(standing([row.pk for row in batch])):
                    waiting += outcome is None
                    known += outcome is not None
            self.stdout.write(f"In the table of django.contrib.sessions: {waiting + known}, of which {waiting} to move")

    def _move(self, *, database: str | None, batch: int, verbosity: int = 1, **_: Any) -> None:
        if batch < 1:
            raise CommandError("--batch is a number above 0.", returncode=2)
        if not apps.is_installed("django.contrib.sessions"):
            raise CommandError("django.contrib.sessions is not in INSTALLED_APPS: there is no table.", returncode=2)
        if not is_ours():
            raise CommandError(
                "SESSION_ENGINE is not ours yet: who logs out meanwhile would be logged in again by what was copied."
                " Let it be 'redis_toolkit.sessions.moving' first, which logs nobody out.",
                returncode=2,
            )
        told: Counter[str] = Counter()
        bar = Bar(self.stderr)
        try:
            for rows in _batches(database, batch):
                told.update(_moved(rows))
                bar.show("sessions", told.total(), None)
        finally:
            bar.end()
            if verbosity:
                self.stdout.write(
                    f"{told[ADOPTED]} moved, {told[THERE]} were here already, {told[SPENT]} have ended since they were"
                    f" moved, {told[_EMPTY]} hold nothing that can be read."
                )

    def _list(self, *, user: str, **_: Any) -> None:
        for each in sessions_for(user):
            begun, seen, ends = (f"{moment:%Y-%m-%d %H:%M}" for moment in (each.created, each.last_seen, each.expires))
            place = ", ".join(filter(None, (each.browser, each.network)))
            self.stdout.write(f"{each.handle}  begun {begun}, written {seen}, ends {ends}  {place}".rstrip())

    def _revoke(self, *, user: str, handle: list[str], **options: Any) -> None:
        if bool(handle) == options["all"]:
            raise CommandError("Name handles, or give --all.", returncode=2)
        if options["all"]:
            self.stdout.write(f"{revoke_all(user)} ended.")
            return
        unknown = [each for each in handle if not revoke(user, each)]
        self.stdout.write(f"{len(handle) - len(unknown)} ended.")
        if unknown:
            raise CommandError(f"The user has no session {', '.join(unknown)}.")


def _batches(database: str | None, size: int) -> Iterator[list[Any]]:
    """The rows that have not run out, in the order of their keys: what is added or goes meanwhile moves nothing."""
    from redis_toolkit.sessions.moving import rows  # noqa: PLC0415 - only where there is a table

    every = rows() if database is None else rows().using(database)
    last = ""
    while True:
        batch = list(every.filter(pk__gt=last, expire_date__gt=timezone.now()).order_by("pk")[:size])
        if batch:
            yield batch
            last = batch[-1].pk
        if len(batch) < size:
            return


def _moved(batch: list[Any]) -> Iterator[str]:
    from redis_toolkit.sessions.moving import held_by  # noqa: PLC0415

    wanted = []
    for row, known in zip(batch, drive(standing([row.pk for row in batch])), strict=True):
        each = held_by(row) if known is None else None
        if each is not None:
            wanted.append(each)
        else:
            yield known or _EMPTY
    yield from drive(adopting(wanted, import_string(settings.django("SESSION_SERIALIZER"))()))
