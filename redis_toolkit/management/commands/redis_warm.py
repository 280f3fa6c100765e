from __future__ import annotations

import signal
import sys
from threading import current_thread, main_thread
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from redis_toolkit.cache.warming import Warmed, declared, warm
from redis_toolkit.exceptions import CacheOverloaded, Misconfigured, StoreUnavailable
from redis_toolkit.management.progress import Bar

#: What a shell says of a command that was stopped by Ctrl-C.
STOPPED = 130


class Command(BaseCommand):
    help = "Fills the cache with what REDIS_TOOLKIT_WARM declares, and with the rows of models; what is valid stays."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="*", help="Of those in REDIS_TOOLKIT_WARM. Default, without --model: all.")
        parser.add_argument(
            "--model", action="append", default=[], metavar="APP.MODEL",
            help="Every row of this model, by its key. Repeatable.",
        )  # fmt: skip
        parser.add_argument(
            "--database", choices=tuple(connections), help="The database of the models' rows. Default: the routers'."
        )
        parser.add_argument("--rate", type=float, metavar="N", help="At most so many answers (or rows) a second.")
        parser.add_argument("--concurrency", type=int, default=1, metavar="N", help="So many at once. Default: 1.")

    def handle(self, **options: Any) -> None:
        if options["concurrency"] < 1 or not (options["rate"] is None or options["rate"] > 0):
            raise CommandError("--concurrency and --rate are numbers above 0.", returncode=2)
        names, models = options["name"], options["model"]
        if not names and not models and not declared():
            raise CommandError("Nothing is declared: set REDIS_TOOLKIT_WARM, or give --model.", returncode=2)
        # What systemd and containers send; and a job in the background does not hear Ctrl-C.
        heeds = current_thread() is main_thread()
        before = signal.signal(signal.SIGTERM, signal.default_int_handler) if heeds else None
        bar = Bar(self.stderr)
        try:
            found = warm(
                names or ([] if models else None), models=models, using=options["database"], rate=options["rate"],
                threads=options["concurrency"], progress=bar.show,
            )  # fmt: skip
            for warmed in found:
                bar.end()
                if options["verbosity"]:
                    self.stdout.write(said(warmed))
        except KeyboardInterrupt:
            bar.end()
            self.stderr.write("Stopped. What was filled stays; run redis_warm again for the rest.")
            sys.exit(STOPPED)
        except Misconfigured as error:
            raise CommandError(str(error), returncode=2) from error
        except (StoreUnavailable, CacheOverloaded) as error:
            bar.end()
            raise CommandError(
                f"{str(error).rstrip('.')}. What was filled stays; run redis_warm again when Redis and the database can"
                " be asked."
            ) from error
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)


def said(warmed: Warmed) -> str:
    """What is said of one name."""
    return (
        f"{warmed.name}: {warmed.done} done. Reads that found it there: {warmed.there}, that filled it:"
        f" {warmed.loaded}, that could not: {warmed.unstored}."
    )
