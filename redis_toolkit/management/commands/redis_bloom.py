from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections, router
from django.db.models import Model

from redis_toolkit.cache.building import build, declared, status_of, why_due
from redis_toolkit.exceptions import RedisToolkitError

#: Characters of the bar.
WIDTH = 30


class Command(BaseCommand):
    help = "Builds the Bloom filters that keep questions for absent keys from the database. Writers need not stop."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "models", nargs="*", metavar="app.Model", help="Of these models. Default: of all that declare a filter."
        )
        parser.add_argument(
            "--database", choices=tuple(connections), help="Alias. Default: the database that a model's writes go to."
        )
        parser.add_argument("--due", action="store_true", help="Only filters that are missing, full, old or useless.")
        parser.add_argument(
            "--force", action="store_true", help="Take over from another builder, which was killed or is stuck."
        )
        parser.add_argument("--show", action="store_true", help="Build nothing: say what there is.")

    def handle(self, *, models: list[str], verbosity: int = 1, **options: Any) -> None:
        self._verbosity = verbosity
        failed = []
        try:
            for model, alias in self._chosen(models, options["database"]):
                if options["show"]:
                    self._show(model, alias)
                elif not options["due"] or why_due(model, alias):
                    failed += self._build(model, alias, force=options["force"])
                else:
                    self._say(f"{model._meta.label} ({alias}): not due.")
        except RedisToolkitError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"The database did not answer: {error}") from error
        if failed:
            raise CommandError(f"Not built: {'; '.join(failed)}. Until then the database is asked.")

    def _chosen(self, labels: list[str], database: str | None) -> list[tuple[type[Model], str]]:
        if not labels:
            return declared(database)
        try:
            models = [apps.get_model(label) for label in labels]
        except (LookupError, ValueError) as error:
            raise CommandError(f"A model is named as app.Model: {error}") from error
        return [(model, database or router.db_for_write(model)) for model in models]

    def _build(self, model: type[Model], alias: str, *, force: bool) -> list[str]:
        what = f"{model._meta.label} ({alias})"
        bar = self.stdout.isatty() and self._verbosity > 0

        def progress(done: int, total: int) -> None:
            if bar:
                filled = WIDTH * done // total
                self.stdout.write(f"\r{what} [{'#' * filled}{'.' * (WIDTH - filled)}] {done} of {total}", ending="")
                self.stdout.flush()

        built = build(model, alias, progress, force=force)
        if bar:
            self.stdout.write("")
        if built.outcome == "built":
            self._say(f"{what}: built from {built.rows} rows, {built.bits // 8} bytes.")
            return []
        if built.outcome == "busy":
            return [f"{what}: somebody else is building it (if he was killed: --force, or wait a minute)"]
        return [f"{what}: rows were added that nobody could name, again and again; try when less is written"]

    def _show(self, model: type[Model], alias: str) -> None:
        status = status_of(model, alias)
        text = status.state
        if status.state == "complete":
            text += f", {status.number} of {status.size.capacity} members, {status.size.bits // 8} bytes,"
            text += f" {status.last:.0f} seconds left"
        due = why_due(model, alias)
        self.stdout.write(f"{model._meta.label} ({alias}): {text}{f'; due: {due}' if due else ''}.")

    def _say(self, text: str) -> None:
        if self._verbosity:
            self.stdout.write(text)
