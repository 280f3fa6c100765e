from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections
from django.db.models import Model

from redis_toolkit.cache import Health, health, outbox
from redis_toolkit.cache.behind.counters import Counter
from redis_toolkit.cache.behind.counters import declared as counters
from redis_toolkit.cache.behind.gathering import waiting as gathered
from redis_toolkit.cache.building import declared as filters
from redis_toolkit.cache.building import status_of
from redis_toolkit.cache.databases import each_once
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import link, pack
from redis_toolkit.doctor.roles import roles
from redis_toolkit.exceptions import Misconfigured, RedisToolkitError


class Command(BaseCommand):
    help = (
        "Shows how the toolkit is, as a process that has just started finds it: its servers, the cache's breaker and"
        " gate, outboxes, filters and what waits for write-behind. Exits with 1 if a server does not answer."
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
        others = {alias: answer_of(alias, kept) for alias, kept in roles().items() if alias != settings.ALIAS}
        away = bool(found.error)
        built = (
            {} if away else {f"{model._meta.label} ({alias})": filter_of(model, alias) for model, alias in filters()}
        )
        behind = {} if away else {each.label: rows_behind(each) for each in counters() if each.problem() is None}
        if options["json"]:
            more = {"outbox": waiting, "servers": others, "filters": built, "write_behind": behind}
            self.stdout.write(json.dumps({**asdict(found), **more}, indent=2))
        elif options["verbosity"]:
            said = [*lines(found, waiting), *(told(alias, answer) for alias, answer in others.items())]
            said += [f"filter of {name}: {state}" for name, state in built.items()]
            said += [
                f"write-behind of {name}: {'unknown' if rows is None else counted(rows, 'row')}"
                for name, rows in behind.items()
            ]
            self.stdout.write("\n".join(said))
        if found.error:
            raise CommandError(
                f"{found.error.rstrip('.')}. The database answers meanwhile. Start the server or correct LOCATION of"
                f" CACHES[{settings.ALIAS!r}]."
            )
        if silent := {alias: answer["error"] for alias, answer in others.items() if answer["error"]}:
            raise CommandError(" ".join(f"{alias}: {error.rstrip('.')}." for alias, error in silent.items()))


def rows_of(alias: str) -> int | None:
    """How many rows the outbox has; None without one, and for a database that does not answer."""
    try:
        connection = connections[alias]
        return outbox.rows_in(connection).count() if outbox.is_there(connection) else None
    except Error:
        return None


def answer_of(alias: str, kept: tuple[str, ...]) -> dict[str, Any]:
    """What is kept on another server than the cache's, and how long that takes to answer, or why it does not."""
    latency, error = None, ""
    try:
        # The first may have to connect.
        link(alias).ask(pack(("PING",)))
        began = monotonic()
        link(alias).ask(pack(("PING",)))
        latency = monotonic() - began
    except RedisToolkitError as reason:
        error = str(reason)
    return {"roles": list(kept), "latency": latency, "error": error}


def filter_of(model: type[Model], alias: str) -> str:
    """The state of a filter; "unknown" where it cannot be told."""
    try:
        return status_of(model, alias).state
    except RedisToolkitError:
        return "unknown"


def rows_behind(counter: Counter) -> int | None:
    """How many rows wait to be flushed; None if nobody can tell."""
    try:
        return gathered(counter)[0]
    except RedisToolkitError:
        return None


def told(alias: str, answer: dict[str, Any]) -> str:
    """A line on another server."""
    answers = "does not answer" if answer["latency"] is None else f"answers in {answer['latency'] * 1000:.2f} ms"
    return f"{alias} ({', '.join(answer['roles']) or 'nothing'}): {answers}"


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
