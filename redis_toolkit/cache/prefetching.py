"""``prefetch_related`` from the cache: each step reads through a cached queryset of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Model, Prefetch, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)

from redis_toolkit.cache.tables import tables

__all__ = ["with_cached_querysets"]


def with_cached_querysets(queryset: Any, kind: type[Any]) -> tuple[Any, ...]:
    """The prefetch lookups of ``queryset``; those that name a relation have a queryset of ``kind`` for each step."""
    lookups: list[Any] = []
    #: What Django has fetched by the time it comes to a lookup: it refuses a queryset for it then.
    seen: set[str] = set()
    theirs = {
        lookup.prefetch_to: lookup.queryset
        for lookup in queryset._prefetch_related_lookups
        if isinstance(lookup, Prefetch) and lookup.queryset is not None
    }
    for lookup in queryset._prefetch_related_lookups:
        path = lookup.prefetch_through if isinstance(lookup, Prefetch) else lookup
        is_plain = not isinstance(lookup, Prefetch) or (lookup.queryset is None and lookup.prefetch_to == path)
        # The last step of a lookup with a queryset or a name of its own is not ours to make.
        steps = _steps(queryset, path if is_plain else path.rpartition(LOOKUP_SEP)[0], kind, theirs)
        for step in steps:
            if step.prefetch_to in theirs:
                # Whether it may be asked for in two ways, and in this order, is Django's to say.
                lookups.append(step.prefetch_to)
            elif step.prefetch_to not in seen:
                lookups.append(step)
            seen.add(step.prefetch_to)
        if not steps or steps[-1].prefetch_to != path:
            lookups.append(lookup)
            seen.update(_prefixes(lookup.prefetch_to if isinstance(lookup, Prefetch) else path))
    return tuple(lookups)


def _prefixes(path: str) -> list[str]:
    parts = path.split(LOOKUP_SEP)
    return [LOOKUP_SEP.join(parts[: at + 1]) for at in range(len(parts))]


def _steps(queryset: Any, path: str, kind: type[Any], theirs: Mapping[str, Any]) -> list[Prefetch[Any, Any, Any]]:
    """A Prefetch for each step of ``path`` whose queryset can be ours; it ends where one cannot."""
    steps: list[Prefetch[Any, Any, Any]] = []
    model: type[Model] = queryset.model
    mode = getattr(queryset, "_fetch_mode", None)
    parts = path.split(LOOKUP_SEP) if path else []
    for at, part in enumerate(parts):
        descriptor = getattr(model, part, None)
        source = _source(descriptor)
        # A project's own QuerySet class may promise methods that ours lacks.
        if source is None or source.query.is_sliced:
            break
        is_cached = getattr(source, "answers_from_cache", False)
        if type(source) is not QuerySet and not is_cached:
            break
        model = source.model
        if model._meta.db_table not in tables(queryset.db).by_name:
            break
        asked = source if is_cached else _cached_like(source, kind)
        asked._cache_mode, asked._cache_terms = queryset._cache_mode, queryset._cache_terms.over(asked._cache_terms)
        if mode is not None and isinstance(descriptor, ForwardManyToOneDescriptor | ReverseOneToOneDescriptor):
            # From Django 6.1 on one instance hands its mode on to another, but not to many.
            asked = asked.fetch_mode(mode)
        to = LOOKUP_SEP.join(parts[: at + 1])
        mode = getattr(theirs.get(to, asked), "_fetch_mode", None)
        steps.append(Prefetch(to, queryset=asked))
    return steps


def _source(descriptor: Any) -> Any:
    """The queryset that Django would prefetch through ``descriptor``; None if it is no plain relation."""
    if not type(descriptor).__module__.startswith(("django.", "redis_toolkit.")):
        return None
    if isinstance(descriptor, ForwardManyToOneDescriptor):
        return descriptor.field.remote_field.model._base_manager.all()
    if isinstance(descriptor, ReverseOneToOneDescriptor):
        return descriptor.related.related_model._base_manager.all()
    if isinstance(descriptor, ManyToManyDescriptor):
        relation = descriptor.rel
        return (relation.related_model if descriptor.reverse else relation.model)._default_manager.all()
    if isinstance(descriptor, ReverseManyToOneDescriptor):
        link: Any = descriptor.rel
        # A GenericRelation has a descriptor class of its own, and leads to where a foreign key would come from. What
        # its related_query_name puts at the other end is Django's plain class, as behind any foreign key.
        is_generic = type(descriptor) is not ReverseManyToOneDescriptor
        return (link.model if is_generic else link.related_model)._default_manager.all()
    return None


def _cached_like(source: Any, kind: type[Any]) -> Any:
    """``source`` as a cached queryset. Which database it reads is for Django and its routers to say."""
    cached = kind(model=source.model, query=source.query.chain(), hints=source._hints)
    cached._prefetch_related_lookups = source._prefetch_related_lookups
    return cached
