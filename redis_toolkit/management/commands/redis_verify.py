from __future__ import annotations

import random
import signal
import sys
from collections import Counter
from collections.abc import Iterable
from threading import Event, current_thread, main_thread
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections, connections

from redis_toolkit.cache.verification import DatabaseAway, Finding, Inventory, Outcome, Verifier, choose
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable

#: Outcomes that are told one by one without being asked for.
TOLD = {Outcome.DIFFERENT, Outcome.UNREADABLE, Outcome.FORGED}


class Command(BaseCommand):
    help = (
        "Compares entries of the cache with the database. Exits with 1 if one that is still served differs, with 2 if"
        " Redis or the database cannot be asked."
    )

    # From Django 6.1 on these may ask a database, and if it is away they end the command with the code of a difference.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        how_many = parser.add_mutually_exclusive_group()
        how_many.add_argument("--sample", type=int, default=1000, help="How many entries to look at. Default: 1000.")
        how_many.add_argument("--all", action="store_true", help="Look at every entry that can be compared.")
        parser.add_argument("--model", action="append", default=[], help="Only of this model (app.Model). Repeatable.")
        parser.add_argument("--database", help="Only of this database (an alias). Default: all.")
        parser.add_argument(
            "--watch", nargs="?", type=float, const=10.0, metavar="SECONDS",
            help="Go on until Ctrl-C or SIGTERM, resting so many seconds (10) between two rounds.",
        )  # fmt: skip
        parser.add_argument("--seed", help="Seed of the dice that choose the sample.")
        parser.add_argument("--values", action="store_true", help="Show the values that differ, beside the columns.")
        parser.add_argument(
            "--drop", action="store_true",
            help="Make everything a miss that depends on what a wrong entry depends on, the whole table included.",
        )  # fmt: skip

    def handle(self, **options: Any) -> None:
        self.options = options
        if options["sample"] < 1 or (options["watch"] is not None and not options["watch"] > 0):
            raise CommandError("--sample and --watch are numbers above 0.", returncode=2)
        self.dice = random.Random(options["seed"])  # noqa: S311 - a sample, no secret
        self.wrong: set[str] = set()
        heeds = options["watch"] is not None and current_thread() is main_thread()
        # What systemd and containers send; and a job in the background does not hear Ctrl-C.
        before = signal.signal(signal.SIGTERM, signal.default_int_handler) if heeds else None
        try:
            self.compare()
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)
        if self.wrong:
            sys.exit(1)

    def compare(self) -> None:
        options = self.options
        models, aliases = self.models(), self.aliases()
        try:
            verifier = Verifier(link(), aliases)
            inventory = Inventory(link(), verifier.places if options["database"] else (), models)
            self.round(verifier, inventory)
            while options["watch"] is not None:
                Event().wait(options["watch"])
                close_old_connections()
                self.round(verifier, inventory)
        except KeyboardInterrupt:
            if options["watch"] is None:
                raise
        except StoreUnavailable as error:
            raise CommandError(f"{error}. What was not looked at yet may be right or wrong.", returncode=2) from error
        except (DatabaseAway, Misconfigured) as error:
            raise CommandError(str(error), returncode=2) from error

    def models(self) -> list[str]:
        try:
            return [apps.get_model(label)._meta.label_lower for label in self.options["model"]]
        except (LookupError, ValueError) as error:
            raise CommandError(f"--model is a model, as app.Model: {error}", returncode=2) from error

    def aliases(self) -> Iterable[str]:
        alias = self.options["database"]
        if alias is not None and alias not in connections.settings:
            raise CommandError(f"--database is an alias of DATABASES, and {alias!r} is none.", returncode=2)
        return list(connections) if alias is None else [alias]

    def round(self, verifier: Verifier, inventory: Inventory) -> None:
        every, counts = self.options["all"], Counter[Outcome]()
        for key in inventory if every else choose(inventory, self.options["sample"], self.dice):
            finding = verifier.look(key)
            counts[finding.outcome] += 1
            self.tell(finding)
            if finding.outcome is Outcome.DIFFERENT:
                self.wrong.add(finding.key)
                if self.options["drop"]:
                    verifier.drop(finding)
        if self.options["verbosity"]:
            self.stdout.write(summary(counts, inventory.beyond))

    def tell(self, finding: Finding) -> None:
        detailed = self.options["verbosity"] > 1
        if finding.outcome not in TOLD and not (detailed and finding.outcome is Outcome.INCOMPARABLE):
            return
        if finding.key in self.wrong:
            return
        what = finding.reason
        if finding.difference is not None:
            columns, cached, stored, values = finding.difference
            columns = tuple(name.removeprefix(f"{finding.model}.") for name in columns)
            what = f"{', '.join(columns)} ({cached} in the cache, {stored} in the database)"
            for name, here, there in values if self.options["values"] else ():
                what += f"; {name.removeprefix(f'{finding.model}.')}: {here} in the cache, {there} in the database"
        if detailed and finding.about:
            what += f"; {finding.about}"
        self.stdout.write(f"{finding.outcome.value}: {finding.model} {finding.key}: {what}")


def summary(counts: Counter[Outcome], beyond: int) -> str:
    parts = [f"{counts[each]} {each.value}" for each in Outcome if counts[each] or each in {*TOLD, Outcome.EQUAL}]
    return f"{counts.total()} entries looked at: {', '.join(parts)}. Without a transcript: {beyond}."
