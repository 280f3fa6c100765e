"""What is remembered by a name and plain values under the stamps of whole models: of functions, fragments and views."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from weakref import WeakSet

from django.apps import apps
from django.db import router
from django.db.models import Model

from redis_toolkit.cache.databases import logical_name
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.reading import NO_COLUMNS, Loaded, Question, Source
from redis_toolkit.cache.tables import ANY, Table, tables
from redis_toolkit.core import keys
from redis_toolkit.core.codecs import decode_value
from redis_toolkit.exceptions import Misconfigured

__all__ = ["Memo", "known", "refusals"]

#: Those that are alive, for the check at the start.
_all: Final[WeakSet[Memo]] = WeakSet()


class Memo:
    """One thing remembered: ``what`` it is called in messages, ``name`` by watchers; its models; its terms.

    Raises Misconfigured for no model at all and for what is no list of models or names (``"app.Model"``), ValueError
    for a ttl that is not positive.
    """

    def __init__(
        self,
        what: str,
        depends_on: Sequence[type[Model] | str],
        terms: Terms,
        name: str = "",
        *,
        is_checked: bool = True,
    ) -> None:
        given: object = depends_on
        if isinstance(given, type | str):
            written = repr(given) if isinstance(given, str) else given.__name__
            raise Misconfigured(f"depends_on is a list of models: depends_on=[{written}].")
        if not depends_on:
            raise Misconfigured(
                f"{what} needs at least one model in depends_on: without one nothing would ever end an answer."
            )
        self.what = what
        self.name = name
        self.terms = terms
        self._depends_on = tuple(depends_on)
        self._found: tuple[type[Model], ...] | None = None
        if is_checked:
            _all.add(self)

    def question(
        self, kind: str, asked: bytes, load: Callable[[], Loaded], read: Callable[[bytes], Any] = decode_value,
        told: Callable[[], list[Any] | None] | None = None,
    ) -> tuple[Question, Source]:  # fmt: skip
        """The question for what is remembered of ``asked``; ``told`` as in :class:`Question`. Raises Misconfigured."""
        models = self._found or self._models()
        alias = router.db_for_write(models[0])
        read_tables = self._tables(models, alias)
        stamps = [stamp for table in read_tables for stamp in table.stamps(alias, ("", ANY))]
        where = keys.make("f", logical_name(alias), keys.digest(asked))
        names = [table.name for table in read_tables]
        reading: Callable[[bytes | None], Any] = lambda data: read(data or b"")  # noqa: E731
        question = Question(
            kind, None, where, stamps, names, self.terms, NO_COLUMNS, reading, load, told=told, name=self.name
        )
        return question, Source(alias, alias)

    @property
    def alias(self) -> str:
        """The database that what is remembered comes from, as far as that is known before the first question."""
        return router.db_for_write(self._found[0]) if self._found else ""

    @property
    def models(self) -> tuple[type[Model], ...]:
        """The models it depends on. Raises Misconfigured."""
        return self._found or self._models()

    def refusal(self) -> str | None:
        """What :meth:`question` will raise; None: nothing."""
        try:
            models = self._models()
            self._tables(models, router.db_for_write(models[0]))
        except Misconfigured as refusal:
            return str(refusal)
        return None

    def _models(self) -> tuple[type[Model], ...]:
        """The models, those that are named looked up: at first use, when all are there. Raises Misconfigured."""
        found = []
        for each in self._depends_on:
            try:
                found.append(apps.get_model(each) if isinstance(each, str) else each)
            except (LookupError, ValueError) as error:
                raise Misconfigured(
                    f"{self.what} depends on {each!r}, which is no model: app.Model is its name."
                ) from error
        self._found = tuple(found)
        return self._found

    def _tables(self, models: Iterable[type[Model]], alias: str) -> list[Table]:
        """The tables of the models and their parents. Raises Misconfigured."""
        watched = tables(alias).by_name
        found: list[Table] = []
        first: type[Model] | None = None
        for model in models:
            first = first or model
            # Writes on another database mark stamps of its own, and would never end what is kept under those of this.
            if logical_name(router.db_for_write(model)) != logical_name(alias):
                raise Misconfigured(
                    f"{self.what} depends on {first._meta.label} and {model._meta.label}, which live on two"
                    " databases. Make it one function for each."
                )
            for each in (model, *model._meta.all_parents):
                table = watched.get(each._meta.db_table)
                if table is None:
                    raise Misconfigured(
                        f"{self.what} depends on {each._meta.label}, which is not watched. Give it a CacheManager or"
                        " name it in REDIS_TOOLKIT_WATCH."
                    )
                found.append(table)
        return found


def refusals() -> list[str]:
    """What the first use of each that was imported by now will raise."""
    return sorted(filter(None, (memo.refusal() for memo in list(_all))))


def known() -> dict[str, Memo]:
    """Those that are alive and have a name for watchers, by it."""
    return {memo.name: memo for memo in list(_all) if memo.name}
