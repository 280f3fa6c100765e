"""Forward relations through the cache: the row that a foreign key refers to, or the rows of many, in one MGET.

The rows are those that ``get`` and ``in_bulk`` store: by primary key, or by the unique column that ``to_field`` names.
Where they cannot be had so, the database is asked as Django asks it, one query for all: for a model whose table nobody
watches, whose base manager is the project's own (it may hide rows, and then so must we), or behind a field or an
attribute of the project's own class.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from inspect import getattr_static
from typing import Any, Final
from weakref import ref

from asgiref.sync import sync_to_async
from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import ForeignKey, Model, QuerySet, prefetch_related_objects, query
from django.db.models.constants import LOOKUP_SEP
from django.db.models.manager import BaseManager

from redis_toolkit.cache.answers import source_of
from redis_toolkit.cache.bulk import in_bulk
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.rows import ABSENT, rows_of
from redis_toolkit.cache.tables import cached_managers
from redis_toolkit.exceptions import Misconfigured

__all__ = ["aprefetch_cached", "follow", "is_djangos", "is_forward", "is_plain", "prefetch_cached"]

#: From Django 6.1 on, how an instance fetches what it lacks.
_DEFAULT_MODE: Final = getattr(query, "DEFAULT_FETCH_MODE", None)
#: Methods by which a class of foreign keys may say in code which row it refers to.
_REFERRING: Final = (
    "get_extra_descriptor_filter", "get_foreign_related_value", "get_instance_value_for_fields",
    "get_local_related_value", "get_reverse_related_filter", "get_cached_value", "is_cached", "set_cached_value",
)  # fmt: skip


def prefetch_cached(instances: Iterable[Model], *lookups: str) -> None:
    """Fetch the rows that foreign keys of ``instances`` refer to from the cache, and set them as the relations.

    ``lookups`` are names of foreign keys and one-to-one fields, and paths of them (``"room__building"``). Each step is
    one round trip to Redis, and one query for the rows that are not there; what an instance has already is kept. After
    it ``lesson.room`` asks nobody, as after Django's ``prefetch_related_objects``. Instances may be of several models
    and databases. Raises Misconfigured for a lookup that is no path of forward relations.
    """
    reached: dict[str, list[Any]] = {"": list(instances)}
    named: Sequence[Any] = lookups
    for lookup in named:
        if not isinstance(lookup, str) or not lookup:
            raise Misconfigured(f"prefetch_cached() takes names of relations, not {lookup!r}.")
        path = ""
        for name in lookup.split(LOOKUP_SEP):
            before, path = path, f"{path}{LOOKUP_SEP}{name}" if path else name
            if path not in reached:
                reached[path] = _step(reached[before], name)


async def aprefetch_cached(instances: Iterable[Model], *lookups: str) -> None:
    """:func:`prefetch_cached` for asynchronous callers."""
    await sync_to_async(prefetch_cached)(instances, *lookups)


def follow(field: Any, instance: Any) -> Any:
    """The row that ``field`` of ``instance`` refers to, from the cache; None if Django must look."""
    target = field.remote_field.model
    if not is_plain(target) or not is_djangos(type(field)):
        return None
    (value,) = field.get_local_related_value(instance)
    alias, hints = router.db_for_read(target, instance=instance), {"instance": instance}
    source = source_of(target, None, hints, alias)
    if source is None:
        return None
    found = rows_of(target, alias).get({field.target_field.attname: value}, source, _terms_of(target))
    if found is None or found is ABSENT:
        return None
    _in_mode_of(instance, [found])
    return found


def is_forward(model: type[Model], name: str) -> Any:
    """The foreign key ``name`` of ``model``, if it is one and leads to another row; None if not."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    # (`teacher_id` finds the field, too.)
    return field if isinstance(field, ForeignKey) and field.name == name else None


def is_plain(target: type[Model]) -> bool:
    """Whether a relation to ``target`` shows just the row by that key: its base manager hides and adds nothing."""
    manager: Any = target._base_manager
    if getattr(manager._queryset_class, "answers_from_cache", False):
        return bool(getattr(manager, "_is_whole", bool)())
    return manager._queryset_class is QuerySet and type(manager).get_queryset is BaseManager.get_queryset


def is_djangos(kind: type) -> bool:
    """Whether what a foreign key of this class refers to follows from its declaration."""
    return all(getattr(kind, name).__module__.startswith("django.") for name in _REFERRING)


def _step(instances: Sequence[Any], name: str) -> list[Any]:
    """Fetch the relation ``name`` of ``instances``. Returns the related rows, each once."""
    lacking: dict[tuple[Any, str], list[Any]] = {}
    for instance in {id(each): each for each in instances}.values():
        field = is_forward(type(instance), name)
        if field is None:
            raise Misconfigured(
                f"prefetch_cached() follows foreign keys and one-to-one fields; {name!r} of "
                f"{type(instance)._meta.label} is none. Use prefetch_related() for it."
            )
        if not field.is_cached(instance):
            alias = router.db_for_read(field.remote_field.model, instance=instance)
            lacking.setdefault((field, alias), []).append(instance)
    for (field, alias), some in lacking.items():
        if not _fetch(field, alias, some):
            prefetch_related_objects(some, field.name)
    found = (each._state.fields_cache.get(is_forward(type(each), name).cache_name) for each in instances)
    return list({id(each): each for each in found if each is not None}.values())


def _fetch(field: Any, alias: str, instances: Sequence[Any]) -> bool:
    """Set the relation of all ``instances`` from the cache; False if Django must."""
    target = field.remote_field.model
    descriptor = type(getattr_static(field.model, field.name))
    if not is_plain(target) or not is_djangos(type(field)):
        return False
    if not descriptor.__module__.startswith(("django.", "redis_toolkit.")):
        return False
    source = source_of(target, None, {"instance": instances[0]}, alias)
    if source is None:
        return False
    values = [field.get_local_related_value(instance)[0] for instance in instances]
    wanted = dict.fromkeys(value for value in values if value is not None)
    found: Any = {}
    if wanted:
        name = "pk" if field.target_field.primary_key else field.target_field.attname
        found = in_bulk(rows_of(target, alias), wanted, source, _terms_of(target), name)
        if found is None:
            return False
        _in_mode_of(instances[0], list(found.values()))
    for instance, value in zip(instances, values, strict=True):
        related = found.get(value)
        field.set_cached_value(instance, related)
        if related is not None and not field.remote_field.multiple:
            field.remote_field.set_cached_value(related, instance)
    return True


def _in_mode_of(instance: Any, found: Sequence[Any]) -> None:
    """Let ``found`` fetch what they lack as ``instance`` does, as Django 6.1 has it."""
    mode = vars(instance._state).get("fetch_mode")
    if mode is None or mode is _DEFAULT_MODE:
        return
    peers = [ref(each) for each in found] if mode.track_peers else ()
    for each in found:
        each._state.fetch_mode, each._state.peers = mode, peers


def _terms_of(target: type[Model]) -> Terms:
    """How long rows of ``target`` may be given: what its first cached manager says."""
    return next((manager.terms for manager in cached_managers(target) if hasattr(manager, "terms")), Terms())
