"""A battery of questions, put to the cache and to the database: where the answers differ the cache is stale."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Count, Exists, F, Max, Model, OuterRef, Q, prefetch_related_objects

from redis_toolkit.cache import CachedPages, prefetch_cached
from tests.app.models import Badge, Cafe, Lesson, Place, Student

__all__ = ["SLUGS", "Universe", "attributes", "followed", "paged", "plain", "questions", "row", "stale"]

SLUGS = ("ada", "bob", "cyd", "dan")
Ask = Callable[[Any], Any]


@dataclass(frozen=True)
class Universe:
    """The keys that are asked for; some of them are there, one of each is not."""

    lessons: tuple[int, ...]
    groups: tuple[int, ...]
    teachers: tuple[int, ...]
    rooms: tuple[int, ...]
    students: tuple[int, ...]
    places: tuple[int, ...] = ()
    badges: tuple[Any, ...] = ()


def plain(answer: Any, depth: int = 3) -> Any:
    """``answer`` in values that compare: of an instance its class, columns, and the relations that came with it."""
    if isinstance(answer, Model):
        if not depth:  # two ends of a one-to-one know each other
            return answer.pk
        columns = {f.attname: answer.__dict__.get(f.attname) for f in answer._meta.concrete_fields}
        extra = {name: answer.__dict__[name] for name in ("n", "late") if name in answer.__dict__}
        related = {name: plain(each, depth - 1) for name, each in answer._state.fields_cache.items()}
        fetched = {
            name: sorted(plain(list(each), depth - 1), key=repr)
            for name, each in getattr(answer, "_prefetched_objects_cache", {}).items()
        }
        return type(answer).__name__, columns, extra, related, fetched
    if isinstance(answer, dict):
        return {key: plain(each, depth) for key, each in answer.items()}
    if isinstance(answer, list | tuple):
        return [plain(each, depth) for each in answer]
    return answer


def row(**asked: Any) -> Ask:
    """The one row that fits, or None."""

    def ask(manager: Any) -> Any:
        try:
            return manager.get(**asked)
        except ObjectDoesNotExist:
            return None

    return ask


def paged(queryset: Any, *names: str) -> list[Any]:
    """The rows of ``queryset`` page by page, or, of Django's own, at once in the order that pages have."""
    if getattr(queryset, "answers_from_cache", False):
        return list(CachedPages(queryset, size=2))
    return list(queryset.order_by(*names))


def followed(queryset: Any, *names: str) -> list[Any]:
    """The rows of ``queryset`` with their relations, prefetched by us or, of Django's own, by Django."""
    instances = list(queryset)
    prefetch = prefetch_cached if getattr(queryset, "answers_from_cache", False) else prefetch_related_objects
    prefetch(instances, *names)
    return instances


def attributes(queryset: Any, *names: str) -> list[Any]:
    """What attributes of the rows lead to, asked one by one."""
    return [plain([_attribute(instance, name) for name in names]) for instance in queryset]


def _attribute(instance: Any, name: str) -> Any:
    try:
        return getattr(instance, name)
    except ObjectDoesNotExist:
        # A row may be gone that is still referred to, until the commit.
        return "gone"


def _rows(universe: Universe) -> Iterable[tuple[str, type[Model], Ask]]:
    for pk in universe.lessons:
        yield f"get pk {pk}", Lesson, row(pk=pk)
    for slug in SLUGS:
        yield f"get slug {slug}", Lesson, row(slug=slug)
        yield f"filter slug {slug}", Lesson, lambda m, slug=slug: list(m.filter(slug=slug))
    for teacher in universe.teachers:
        yield f"get by constraint {teacher}", Lesson, row(teacher=teacher, weekday=1, period=1)
    keys = list(universe.lessons)
    yield "in_bulk", Lesson, lambda m: m.in_bulk(keys)
    yield "pk__in", Lesson, lambda m: list(m.filter(pk__in=keys).order_by("pk").values_list("pk", "title"))
    for pk in universe.places:
        yield f"place {pk}", Place, row(pk=pk)
        yield f"cafe {pk}", Cafe, row(pk=pk)
    for pk in universe.badges:
        yield f"badge {pk}", Badge, row(pk=pk)
    for owner in universe.students:
        yield f"badge of {owner}", Badge, row(owner=owner)


def _lists(universe: Universe) -> Iterable[tuple[str, type[Model], Ask]]:
    for group in universe.groups:
        yield f"group {group}", Lesson, lambda m, g=group: list(m.filter(group=g).order_by("pk"))
        yield f"count of group {group}", Lesson, lambda m, g=group: m.filter(group=g).count()
    for teacher in universe.teachers:
        yield (
            f"teacher {teacher}",
            Lesson,
            lambda m, t=teacher: list(
                m.filter(teacher=t).select_related("room__building", "teacher", "group").order_by("weekday", "pk")[:3]
            ),
        )
    for room in universe.rooms:
        yield f"room {room} on day 1", Lesson, lambda m, r=room: list(m.filter(room=r, weekday=1).order_by("pk"))
    both = list(universe.groups[:2])
    day = datetime.date(2026, 3, 2)
    yield "two groups", Lesson, lambda m: list(m.filter(group__in=both).order_by("pk").values("pk", "group__code"))
    yield "not the first", Lesson, lambda m: list(m.exclude(group=both[0]).order_by("pk").values_list("pk", flat=True))
    yield "either", Lesson, lambda m: sorted(m.filter(Q(group=both[0]) | Q(weekday=2)).values_list("pk", flat=True))
    yield "held", Lesson, lambda m: list(m.filter(held=day).order_by("-pk"))
    yield "dates", Lesson, lambda m: list(m.dates("held", "day"))
    yield "cafes by name", Cafe, lambda m: list(m.filter(name="Rex").order_by("pk"))
    yield "pages of days", Lesson, lambda m: paged(m.order_by("weekday", "-period"), "weekday", "-period", "-pk")
    yield "pages of cafes", Cafe, lambda m: paged(m.filter(stars=1).order_by("-name"), "-name", "-pk")
    for group in universe.groups:
        yield (
            f"pages of group {group}",
            Lesson,
            lambda m, g=group: paged(m.filter(group=g).order_by("title"), "title", "pk"),
        )
    yield "cafes by stars", Cafe, lambda m: list(m.filter(stars=1).order_by("pk"))
    yield "places by name", Place, lambda m: list(m.filter(name="Rex").order_by("pk"))
    yield "badges by label", Badge, lambda m: list(m.filter(label="gold").order_by("pk").select_related("owner"))


def _joins(universe: Universe) -> Iterable[tuple[str, type[Model], Ask]]:
    student = universe.students[0]
    yield "all there is", Lesson, lambda m: m.exists()
    yield "sum", Lesson, lambda m: m.aggregate(n=Count("students"), latest=Max("period"))
    yield "of a group", Lesson, lambda m: m.filter(group=universe.groups[0]).aggregate(Count("pk"))
    yield "of a student", Lesson, lambda m: list(m.filter(students=student).order_by("pk"))
    yield "annotated", Lesson, lambda m: list(m.annotate(n=Count("students"), late=F("period") + 1).order_by("pk"))
    yield "prefetched", Lesson, lambda m: list(m.order_by("pk").prefetch_related("students", "teacher__mentor"))
    yield "followed", Lesson, lambda m: followed(m.order_by("pk"), "room__building", "teacher__mentor", "group")
    yield "followed one to one", Badge, lambda m: followed(m.order_by("pk"), "owner")
    yield "distinct days", Lesson, lambda m: sorted(m.values_list("weekday", flat=True).distinct())
    yield "first", Lesson, lambda m: m.order_by("title", "pk").first()
    yield "last", Lesson, lambda m: m.order_by("title", "pk").last()
    yield "named relation", Lesson, lambda m: list(m.filter(teacher__name="Ann", group__code="a").order_by("pk"))
    ill = Student.objects.filter(lessons=OuterRef("pk"), name="Eve")
    yield "subquery", Lesson, lambda m: list(m.filter(Exists(ill)).order_by("pk").values_list("pk", flat=True))


def questions(universe: Universe) -> list[tuple[str, type[Model], Ask]]:
    """(name, model, question) for every question of the battery."""
    return [*_rows(universe), *_lists(universe), *_joins(universe)]


def stale(universe: Universe, alias: str, *names: str) -> list[str]:
    """The names of the questions (default: all) that the cache answers differently from the database."""
    wrong = []
    for name, model, ask in questions(universe):
        if names and name not in names:
            continue
        cached = plain(ask(model.cached.db_manager(alias)))  # type: ignore[attr-defined]
        truth = plain(ask(model._base_manager.db_manager(alias)))
        if cached != truth:
            wrong.append(f"{name}: cached {cached!r}, in the database {truth!r}")
    return wrong
