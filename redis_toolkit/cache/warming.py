"""Filling the cache before its readers come: by hand (``manage.py redis_warm``), by a deployment, by Celery.

Nothing is stored here: what is declared is *read*, by the rules of every read, one answer after the other. So what is
valid already costs one round trip, two that warm at once do no harm, and one that is killed leaves what it has filled.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from django.apps import apps
from django.db.models import Model, QuerySet
from django.utils.module_loading import import_string

from redis_toolkit.cache import trust
from redis_toolkit.cache.managers import CacheManager
from redis_toolkit.cache.workers import Workers
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.signals import cache_failed, cache_read

__all__ = ["BATCH", "Warmed", "declared", "pause", "warm"]

#: Rows that are asked for at once.
BATCH: Final = 500

Read = Callable[[], int]
Progress = Callable[[str, int, int | None], None]


class Warmed(NamedTuple):
    """What became of one declared ``name``.

    ``done``: how many answers (of a model: rows) were asked for. Of the reads that took, ``there`` were valid already,
    ``loaded`` are in the cache now, and ``unstored`` are not: a writer was at work, or an answer cannot be cached.
    """

    name: str
    done: int
    there: int
    loaded: int
    unstored: int


def declared() -> list[str]:
    """The names in ``REDIS_TOOLKIT_WARM``."""
    return list(settings.WARM)


def pause(done: int, elapsed: float, rate: float | None) -> float:
    """Seconds to rest after ``done`` answers in ``elapsed`` seconds, so that there are ``rate`` a second at most."""
    return 0.0 if rate is None else max(0.0, done / rate - elapsed)


def warm(
    names: Iterable[str] | None = None, *, models: Iterable[str] = (), using: str | None = None,
    rate: float | None = None, threads: int = 1, progress: Progress | None = None,
) -> Iterator[Warmed]:  # fmt: skip
    """Read what is declared under ``names`` (None: all of it), then every row of ``models`` (``app.Model``) by its key.

    ``using``: the database of the models' rows. At most ``rate`` answers a second, by so many ``threads``. ``progress``
    is called with a name, the answers done and how many there are (None: unknown). Raises Misconfigured for what cannot
    be warmed, and StoreUnavailable if Redis does not take it; what is filled by then stays.
    """
    chosen = list(declared() if names is None else names)
    # From elsewhere a name would be a function to be called by whoever may send a message to a worker.
    unknown = set(chosen) - set(declared())
    if unknown:
        raise Misconfigured(f"{', '.join(sorted(unknown))} is not in REDIS_TOOLKIT_WARM.")
    if not settings.ENABLED:
        raise Misconfigured("REDIS_TOOLKIT_ENABLED is False, so nothing would be filled.")
    batch = BATCH if rate is None else max(1, min(BATCH, int(rate)))
    plans: list[tuple[str, Read | None, Callable[[], Iterator[Read]]]] = [
        (name, None, partial(_things, name, using, batch)) for name in chosen
    ]
    for label in models:
        manager = _manager(_model(label), using)
        plans.append((label, _rows(manager).count, partial(_batches, manager, batch)))
    link().ask(pack(("PING",)))
    for name, count, reads in plans:
        _see_that_it_is_trusted()
        yield _Warming(name, None if count is None else count(), progress, rate).read(reads(), threads)


class _Warming:
    """The warming of what is declared under one name."""

    def __init__(self, name: str, total: int | None, progress: Progress | None, rate: float | None) -> None:
        self.name = name
        self._total = total
        self._progress = progress
        self._rate = rate
        self._done = 0
        self._lock = threading.Lock()
        self._ours = threading.local()
        self._outcomes: Counter[str] = Counter()

    def read(self, reads: Iterable[Read], threads: int) -> Warmed:
        """Make the reads."""
        began = monotonic()
        with self._hearing(), Workers(threads) as workers:
            for each in reads:
                workers.do(partial(self._one, each))
                workers.rest(pause(self._done, monotonic() - began, self._rate))
        seen = self._outcomes
        # ("stale": given while another loads it.)
        unstored = sum(seen.values()) - seen["hit"] - seen["miss"]
        return Warmed(self.name, self._done, seen["hit"], seen["miss"], unstored)

    def _one(self, read: Read) -> None:
        self._ours.error, self._ours.reads = None, True
        try:
            done = read()
        finally:
            self._ours.reads = False
        if self._ours.error is not None:
            raise StoreUnavailable(str(self._ours.error)) from self._ours.error
        _see_that_it_is_trusted()
        with self._lock:
            self._done += done
            if self._progress is not None:
                self._progress(self.name, self._done, self._total)

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Count how the reads of our own threads end, and learn what Redis refuses."""

        def read(outcome: str, **_: Any) -> None:
            if getattr(self._ours, "reads", False):
                with self._lock:
                    self._outcomes[outcome] += 1

        def failed(error: Exception, **_: Any) -> None:
            if getattr(self._ours, "reads", False) and isinstance(error, StoreUnavailable):
                self._ours.error = error

        cache_read.connect(read)
        cache_failed.connect(failed)
        try:
            yield
        finally:
            cache_read.disconnect(read)
            cache_failed.disconnect(failed)


def _see_that_it_is_trusted() -> None:
    """Raise StoreUnavailable where reads would go past Redis, and store nothing."""
    if link().breaker.is_open:
        raise StoreUnavailable(f"Redis ({link().alias!r} in CACHES) went away")
    if not trust.is_given():
        raise StoreUnavailable("Redis was away a moment ago, and this process does not trust it yet")


def _things(name: str, using: str | None, batch: int) -> Iterator[Read]:
    """The reads that the callable under ``name`` declares."""
    try:
        given = import_string(name)()
    except ImportError as error:
        raise Misconfigured(f"REDIS_TOOLKIT_WARM names {name}, which cannot be imported: {error}") from error
    alone = isinstance(given, QuerySet | type) or not isinstance(given, Iterable)
    for thing in (given,) if alone else given:
        yield from _reads(name, thing, using, batch)


def _reads(name: str, thing: Any, using: str | None, batch: int) -> Iterator[Read]:
    if isinstance(thing, type) and issubclass(thing, Model):
        yield from _batches(_manager(thing, using), batch)
    elif getattr(thing, "answers_from_cache", False):
        if thing._cache_mode == "off":
            raise Misconfigured(f"{name} gives a queryset of {thing.model._meta.label} with .nocache().")
        yield partial(_evaluate, thing)
    elif callable(thing) and not isinstance(thing, QuerySet):
        yield partial(_call, thing)
    else:
        raise Misconfigured(
            f"{name} gives {type(thing).__name__}, and can give cached querysets, models with a CacheManager, and"
            " callables."
        )


def _evaluate(queryset: Any) -> int:
    # Another, for one that is kept in a module was evaluated the last time.
    list(queryset.all())
    return 1


def _call(function: Callable[[], Any]) -> int:
    function()
    return 1


def _batches(manager: Any, batch: int) -> Iterator[Read]:
    """Every row by its key, in pages, so that no cursor stands open: SQLite would take that for a snapshot."""
    keys = _rows(manager).order_by("pk").values_list("pk", flat=True)
    page = list(keys[:batch])
    while page:
        yield partial(_by_key, manager, page)
        page = list(keys.filter(pk__gt=page[-1])[:batch]) if len(page) == batch else []


def _by_key(manager: Any, keys: list[Any]) -> int:
    manager.in_bulk(keys)
    return len(keys)


def _rows(manager: Any) -> QuerySet[Any]:
    return QuerySet(model=manager.model, using=manager.db)


def _model(label: str) -> type[Model]:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise Misconfigured(f"{label} is no model (app.Model): {error}") from error


def _manager(model: type[Model], using: str | None) -> Any:
    for manager in model._meta.managers:
        if isinstance(manager, CacheManager) and manager._is_whole():
            return manager.db_manager(using)
    raise Misconfigured(f"{model._meta.label} has no CacheManager that shows all of its rows.")
