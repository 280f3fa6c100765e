"""Model instances from rows: the same as Django's own ``ModelIterable`` makes, as cheaply as that allows.

Where nothing watches construction (no ``from_db`` or ``__init__`` of the model's own, no ``pre_init`` or ``post_init``
receiver, no descriptor but Django's) an instance's ``__dict__`` is filled directly, a fraction of the cost of the
constructor. Otherwise ``Model.from_db`` runs as ever.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final
from weakref import ref

from django.db.models import Model, query
from django.db.models.query import RelatedPopulator, get_related_populators
from django.db.models.signals import post_init, pre_init

from redis_toolkit.cache.assembly import assembler, models_of
from redis_toolkit.cache.origins import is_followed, mark

__all__ = ["Builder", "link_known"]

Row = Sequence[Any]

#: What instances have that were asked for in no mode, and how ``from_db`` is told; from Django 6.1 on.
_DEFAULT_MODE: Final = getattr(query, "DEFAULT_FETCH_MODE", None)
_from_db_in_mode: Final = getattr(query, "_get_from_db", None)
_NEEDS_FETCH_MODE: Final = "fetch_mode" in inspect.signature(RelatedPopulator.__init__).parameters


class Builder:
    """Builds the instances of one query shape. Made from Django's compiler after it has set up its SELECT."""

    def __init__(self, compiler: Any) -> None:
        self._klass: dict[str, Any] = compiler.klass_info
        self._select: Sequence[Any] = compiler.select
        self._annotations: dict[str, int] = dict(compiler.annotation_col_map or {})
        self._models = models_of(self._klass)
        self._is_followed = any(map(is_followed, self._models))
        self._assemble = assembler(self._klass, self._select, self._annotations)

    def build(self, rows: Sequence[Row], alias: str, fetch_mode: Any = None) -> list[Any]:
        """An instance for each row, relations and annotations in place."""
        plain = (fetch_mode is None or not fetch_mode.track_peers) and _are_plain(self._models)
        if self._assemble is not None and plain:
            return self._assemble(rows, alias, fetch_mode)
        return self._as_django_does(rows, alias, _DEFAULT_MODE if fetch_mode is None else fetch_mode)

    def _as_django_does(self, rows: Sequence[Row], alias: str, fetch_mode: Any) -> list[Any]:
        fields = self._klass["select_fields"]
        begin, end = fields[0], fields[-1] + 1
        names = [self._select[at][0].target.attname for at in range(begin, end)]
        make = _maker(self._klass["model"], names, alias, fetch_mode)
        mode = (fetch_mode,) if _NEEDS_FETCH_MODE else ()
        populators = get_related_populators(self._klass, self._select, alias, *mode)
        instances: list[Any] = []
        peers: list[Any] = []
        for row in rows:
            instance = make(row[begin:end])
            if fetch_mode is not None and fetch_mode.track_peers:
                peers.append(ref(instance))
                instance._state.peers = peers
            for populator in populators:
                populator.populate(row, instance)
            for name, at in self._annotations.items():
                setattr(instance, name, row[at])
            instances.append(instance)
        if self._is_followed:
            mark(instances)
        return instances


def _maker(model: type[Model], names: list[str], alias: str, fetch_mode: Any) -> Callable[[Row], Any]:
    # Django itself warns of a `from_db` that takes no mode.
    from_db: Any = model.from_db if _from_db_in_mode is None else _from_db_in_mode(model, fetch_mode)
    return lambda values: from_db(alias, names, values)


def _are_plain(models: Sequence[type[Model]]) -> bool:
    """Whether filling ``__dict__`` gives just what the constructors would. Receivers may come and go at any time."""
    if pre_init.receivers or post_init.receivers:
        for model in models:
            if pre_init.has_listeners(model) or post_init.has_listeners(model):
                return False
    return all(map(_has_plain_class, models))


@lru_cache(maxsize=1024)
def _has_plain_class(model: type[Model]) -> bool:
    from_db: Any = model.from_db
    return (
        model.__init__ is Model.__init__
        and from_db.__func__ is inspect.getattr_static(Model, "from_db").__func__
        and model.__new__ is object.__new__
        and model.__setattr__ is object.__setattr__
        and all(
            type(inspect.getattr_static(model, field.attname)).__module__.startswith("django.")
            for field in model._meta.concrete_fields
        )
    )


def link_known(queryset: Any, instances: Sequence[Any]) -> None:
    """Set the objects a related manager knows already (``teacher.lessons.all()``: each lesson's teacher)."""
    for field, known in queryset._known_related_objects.items():
        names = [
            field.attname if name == "self" else queryset.model._meta.get_field(name).attname
            for name in field.from_fields
        ]
        key_of = attrgetter(*names)
        for instance in instances:
            if field.is_cached(instance) or any(name not in instance.__dict__ for name in names):
                continue
            found = known.get(key_of(instance))
            if found is not None:
                setattr(instance, field.name, found)
