from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections, router
from django.db.models import Field, Model

from redis_toolkit.cache import debts, invalidate
from redis_toolkit.cache.databases import each_once
from redis_toolkit.cache.invalidation import invalidate_all
from redis_toolkit.cache.purging import purge
from redis_toolkit.cache.tables import by_of
from redis_toolkit.conf import settings
from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import RedisToolkitError, StoreUnavailable


class Command(BaseCommand):
    help = "Makes cached answers misses: of models, of rows, of values declared in `by`, or all there are."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("models", nargs="*", metavar="app.Model", help="What depends on these models.")
        parser.add_argument(
            "--pk", nargs="+", action="extend", help="Only what depends on the rows with these primary keys."
        )
        parser.add_argument(
            "--by",
            nargs="+",
            action="append",
            metavar="field=value",
            help="Only what depends on this declared value (several: on the declared tuple); may be repeated.",
        )
        parser.add_argument("--all", action="store_true", help="What depends on any watched table.")
        parser.add_argument("--purge", action="store_true", help="The same, and delete the answers from Redis.")
        parser.add_argument(
            "--database",
            action="append",
            choices=tuple(connections),
            help="Alias of a database; may be repeated. Default: the one that writes of a model go to; of --all, each.",
        )

    def handle(self, *, models: list[str], verbosity: int = 1, **options: Any) -> None:
        self._verbosity = verbosity
        everything = options["all"] or options["purge"]
        pk, by, database = options["pk"] or [], options["by"] or [], options["database"]
        _refuse_what_does_not_go_together(models, pk, by, everything=everything)
        if options["purge"] and database:
            raise CommandError("--purge deletes the answers of every database: leave out --database.")
        try:
            if everything:
                for alias in each_once(database):
                    self._drop("everything", alias, partial(invalidate_all, alias))
            for model in [_model(label) for label in models]:
                for said, values in list(_wanted(model, pk, by)):
                    for alias in database or [router.db_for_write(model)]:
                        self._drop(said, alias, partial(invalidate, model, using=alias, **values))
            if options["purge"]:
                self._purge()
        except RedisToolkitError as error:
            raise CommandError(str(error)) from error
        except Error as error:
            raise CommandError(f"A database that has to be asked did not answer: {error}") from error

    def _drop(self, what: str, alias: str, drop: Callable[[], bool]) -> None:
        try:
            told = drop()
        except (TypeError, ValueError) as error:
            raise CommandError(f"{what}: no column can hold this value ({error}).") from error
        if told:
            self._say(f"{what} ({alias}): invalidated.")
        elif debts.any_owed():
            # This process would tell Redis as soon as it can, and is about to end.
            raise CommandError(
                f"{what} ({alias}) was not invalidated: Redis cannot be reached, and {alias!r} has no outbox that could"
                f" be written to. Start the server or correct LOCATION of CACHES[{settings.ALIAS!r}], or run manage.py"
                f" migrate redis_toolkit --database={alias}; then run this command again."
            )
        else:
            self._say(f"{what} ({alias}): Redis cannot be reached; the outbox of {alias!r} will drop it.")

    def _purge(self) -> None:
        try:
            self._say(f"{purge(link())} answers deleted.")
        except StoreUnavailable as error:
            raise CommandError(
                f"The answers were not deleted: {str(error).rstrip('.')}. They are invalid all the same. When it is"
                " back, run redis_invalidate --purge again to free their memory."
            ) from error

    def _say(self, text: str) -> None:
        if self._verbosity:
            self.stdout.write(text)


def _refuse_what_does_not_go_together(
    models: list[str], pk: list[Any], by: list[list[str]], *, everything: bool
) -> None:
    if everything and (models or pk or by):
        raise CommandError("--all and --purge take no models, no --pk and no --by.")
    if not everything and not models:
        raise CommandError("Name a model as app.Model, before --pk and --by; or say --all.")
    if (pk or by) and len(models) > 1:
        raise CommandError("--pk and --by speak of one model; run the command once for each.")
    if pk and by:
        raise CommandError("Either --pk or --by: run the command twice.")


def _model(label: str) -> type[Model]:
    known = {model._meta.label_lower: model for model in apps.get_models(include_auto_created=True)}
    found = known.get(label.lower())
    if found is None:
        close = get_close_matches(label.lower(), known, n=3)
        labels = " or ".join(known[each]._meta.label for each in close)
        hint = f"Did you mean {labels}?" if close else "Name it as app.Model."
        raise CommandError(f"There is no model {label!r}. {hint}")
    return found


def _wanted(model: type[Model], pk: list[Any], by: list[list[str]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What to invalidate, in words and as arguments of ``invalidate``."""
    label = model._meta.label
    if not pk and not by:
        yield label, {}
    for text in pk:
        value = _value(model, model._meta.pk, text)
        # A composite key is a JSON list.
        yield f"{label} pk={text}", {"pk": tuple(value) if isinstance(value, list) else value}
    for pairs in by:
        yield f"{label} {' '.join(map(str, pairs))}", dict(_declared(model, pair) for pair in pairs)


def _declared(model: type[Model], pair: str) -> tuple[str, Any]:
    name, found, text = pair.partition("=")
    if not found:
        raise CommandError(f"--by takes field=value, not {pair!r}.")
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist as error:
        declared = ", ".join(" ".join(names) for names in by_of(model)) or "nothing"
        raise CommandError(f"{model._meta.label} has no field {name!r}. Declared in `by`: {declared}.") from error
    return name, _value(model, field, text) if isinstance(field, Field) else text


def _value(model: type[Model], field: Any, text: Any) -> Any:
    try:
        return field.to_python(text)
    except (ValidationError, TypeError, ValueError) as error:
        why = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
        raise CommandError(f"{text!r} is no value of {model._meta.label}.{field.name}: {why}") from error
