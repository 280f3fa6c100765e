"""Rows in two tables, rows seen by two classes, and what hangs on rows of any model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.db import transaction
from django.db.models import F

from tests.app.models import Cafe, EarlyLesson, Freighter, Group, Lesson, Place, Ship, Tag, Teacher, Topic
from tests.battery import row


def of(**asked: Any) -> Any:
    return lambda rows: list(rows.filter(**asked).order_by("pk"))


class Path(NamedTuple):
    """A write, and the answers that are hits all the while."""

    write: Callable[[str], Any]
    keeps: set[str]


# A child's row lies in two tables

PLACES = {
    "place 1": (Place, row(pk=-1)),
    "place 2": (Place, row(pk=-2)),
    "place 9": (Place, row(pk=-9)),
    "cafe 1": (Cafe, row(pk=-1)),
    "cafe 2": (Cafe, row(pk=-2)),
    "cafe 9": (Cafe, row(pk=-9)),
    "places p1": (Place, of(name="p1")),
    "places p2": (Place, of(name="p2")),
    "cafes p1": (Cafe, of(name="p1")),
    "one star": (Cafe, of(stars=1)),
    "two stars": (Cafe, of(stars=2)),
    "all": (Place, lambda places: list(places.select_related("cafe").order_by("pk"))),
    "stars": (Place, of(cafe__stars=1)),
    "count": (Cafe, lambda cafes: cafes.count()),
    "above": (Cafe, lambda cafes: list(cafes.select_related("place_ptr").filter(stars__gt=0).order_by("pk"))),
    "groups": (Group, lambda groups: groups.count()),
}


@pytest.fixture
def places(alias: str, warm: Any) -> str:
    """Cafes 1 and 2; place 3 is none."""
    with transaction.atomic(using=alias):
        for at in (1, 2):
            Cafe.objects.using(alias).create(pk=-at, name=f"p{at}", stars=at)
        Place.objects.using(alias).create(pk=-3, name="p3")
    return alias


def cafe(alias: str, key: int = -1) -> Cafe:
    found: Cafe = Cafe.objects.using(alias).get(pk=key)
    return found


def changed(instance: Any, **values: Any) -> Any:
    """The instance with other values, not saved."""
    for name, value in values.items():
        setattr(instance, name, value)
    return instance


def loaded(instance: Any) -> None:
    """The instance saved raw, as ``loaddata`` does: only in its own table."""
    serializers.base.DeserializedObject(instance).save(using=instance._state.db)


#: Answers of rows that are not touched: of cafe 2 and of nobody.
OTHERS = {"place 2", "cafe 2", "place 9", "cafe 9", "groups"}
#: What a write in the child's table leaves of the parent's answers.
ABOVE = {"place 1", "place 2", "place 9", "places p1", "places p2", "groups"}


PLACED = {
    "child saved": Path(lambda alias: changed(cafe(alias), name="p9", stars=7).save(), OTHERS | {"places p2"}),
    "child saved, its own field": Path(lambda alias: changed(cafe(alias), stars=2).save(update_fields=["stars"]), OTHERS | ABOVE),
    "child saved, its parent's field": Path(lambda alias: changed(cafe(alias), name="p2").save(update_fields=["name"]), OTHERS),
    "parent saved": Path(lambda alias: changed(Place.objects.using(alias).get(pk=-1), name="p2").save(), OTHERS),
    "child created": Path(lambda alias: Cafe.objects.using(alias).create(pk=-9, name="p1", stars=1), {"groups"}),
    "parent created": Path(lambda alias: Place.objects.using(alias).create(pk=-9, name="p1"), {"cafe 1", "cafe 2", "place 1", "place 2", "places p2", "groups"}),
    "child added to a parent": Path(
        lambda alias: changed(Cafe(place_ptr_id=-3, stars=1), name="p3").save(using=alias), ABOVE
    ),
    "child added raw": Path(lambda alias: loaded(placed_on(alias, Cafe(place_ptr_id=-3, stars=1))), ABOVE),
    "child saved raw": Path(lambda alias: loaded(changed(cafe(alias), name="not written", stars=2)), OTHERS | ABOVE),
    "parent saved raw": Path(lambda alias: loaded(changed(Place.objects.using(alias).get(pk=-1), name="p2")), OTHERS),
    "child's key changed": Path(lambda alias: changed(cafe(alias), pk=-9, id=-9).save(), {"groups"}),
    "update of both tables": Path(lambda alias: Cafe.objects.using(alias).filter(pk=-1).update(name="p9", stars=9), OTHERS | {"places p2"}),
    "update of both by a filter": Path(lambda alias: Cafe.objects.using(alias).filter(stars=1).update(name="p2", stars=F("stars") + 1), {"place 2", "place 9", "groups"}),
    "update of the parent's": Path(lambda alias: Cafe.objects.using(alias).filter(stars=1).update(name="p9"), OTHERS | {"places p2"}),
    "update by the parent's": Path(lambda alias: Cafe.objects.using(alias).filter(name="p1").update(stars=9), ABOVE),
    "bulk_update of both": Path(
        lambda alias: Cafe.objects.using(alias).bulk_update([changed(cafe(alias), name="p9", stars=2)], ["name", "stars"]), OTHERS | {"places p2"}
    ),
    "child deleted": Path(lambda alias: cafe(alias).delete(), OTHERS | {"places p2"}),
    "child deleted alone": Path(lambda alias: cafe(alias).delete(keep_parents=True), OTHERS | ABOVE | {"two stars"}),
    "parent deleted": Path(lambda alias: Place.objects.using(alias).get(pk=-1).delete(), OTHERS | {"places p2"}),
    "parents deleted": Path(lambda alias: Place.objects.using(alias).filter(name="p1").delete(), OTHERS | {"places p2"}),
}  # fmt: skip


def placed_on(alias: str, instance: Any) -> Any:
    instance._state.db = alias
    return instance


@pytest.mark.parametrize("path", PLACED.values(), ids=PLACED)
def test_a_row_in_two_tables(places: str, warm: Any, path: Path) -> None:
    """No answer is stale after the write, by parent or by child, and just those named were hits all the while."""
    warm(PLACES).keeps(path.keeps, lambda: path.write(places))


# Two classes of one table


LESSONS = {
    f"{name} {kind.__name__}": (kind, ask)
    for kind in (Lesson, EarlyLesson)
    for name, ask in {
        "row": row(pk=-1),
        "slug": row(slug="l1"),
        "other": row(slug="l2"),
        "group": of(group=-1),
        "joined": lambda lessons: list(lessons.select_related("group").order_by("pk")),
        "count": lambda lessons: lessons.count(),
    }.items()
} | {"groups": (Group, lambda groups: list(groups.filter(lessons__slug="l1")))}
#: What stays when lesson 1 was written.
APART = {"other Lesson", "other EarlyLesson"}


def by(kind: Any) -> dict[str, Path]:
    """Writes by one of the classes."""

    def lessons(alias: str) -> Any:
        return kind.objects.using(alias)

    new = {"title": "new", "group_id": -1, "teacher_id": -1, "period": 9}
    return {
        "save": Path(lambda alias: changed(lessons(alias).get(pk=-1), title="new").save(), APART),
        "update": Path(lambda alias: lessons(alias).filter(pk=-1).update(title="new"), APART),
        "update by a filter": Path(lambda alias: lessons(alias).filter(slug="l1").update(title="new"), set()),
        "create": Path(
            lambda alias: lessons(alias).create(slug="l3", **new),
            {*APART, "row Lesson", "row EarlyLesson", "slug Lesson", "slug EarlyLesson"},
        ),
        "bulk_update": Path(
            lambda alias: lessons(alias).bulk_update([changed(lessons(alias).get(pk=-1), slug="l9")], ["slug"]), APART
        ),
        "delete": Path(lambda alias: lessons(alias).get(pk=-1).delete(), APART),
        "_base_manager": Path(lambda alias: kind._base_manager.using(alias).filter(pk=-1).update(title="new"), APART),
    }


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=f"{kind.__name__}, {name}")
        for kind in (Lesson, EarlyLesson)
        for name, path in by(kind).items()
    ],
)
def test_a_proxy(alias: str, warm: Any, path: Path) -> None:
    """What one class writes ends what the other remembers of the row, and no more."""
    Group.objects.using(alias).create(pk=-1, code="g")
    Teacher.objects.using(alias).create(pk=-1, name="t")
    for at in (1, 2):
        Lesson.objects.using(alias).create(
            pk=-at, slug=f"l{at}", title="old", group_id=-1 if at == 1 else Group.objects.using(alias).create(code="h").pk,
            teacher_id=-1, period=at,
        )  # fmt: skip
    warm(LESSONS).keeps(path.keeps, lambda: path.write(alias))


def test_two_parents(alias: str, warm: Any) -> None:
    """A child of two tables with keys of their own: whichever of the three is written, no answer is stale."""
    made = Freighter.cached.using(alias).create(name="Ada", load="tin")
    questions = {
        "row": (Freighter, row(pk=made.pk)),
        "load": (Freighter, of(load="tin")),
        "name": (Freighter, of(name="Ada")),
        "ships": (Ship, of(name="Ada")),
    }
    writes: list[Callable[[], Any]] = [
        lambda: changed(made, load="lead").save(),
        lambda: Ship.objects.using(alias).filter(pk=made.ship_id).update(name="Bob"),
        lambda: Freighter.cached.using(alias).filter(load="lead").update(load="tin", name="Cyd"),
        lambda: made.delete(keep_parents=True),
    ]
    asked = warm(questions)
    kept = []
    for write in writes:
        write()
        kept.append(asked.look())
    assert kept == [set(), set(), set(), {"ships"}]


# What hangs on rows of any model


TOPICS = {
    "tags of 1": (Topic, lambda topics: list(topics.filter(pk=-1).prefetch_related("tags"))),
    "tagged x": (Topic, of(tags__text="x")),
    "tagged y": (Topic, lambda topics: topics.filter(tags__text="y").count()),
    "tag": (Tag, row(pk=-1)),
    "tag 2": (Tag, row(pk=-2)),
    "tags x": (Tag, of(text="x")),
    "their topics": (Tag, of(topics__name="t1")),
    "topic": (Topic, row(pk=-1)),
    "topic 2": (Topic, row(pk=-2)),
}
TAGS = {"tagged x", "tagged y", "tags x", "their topics"}


def topic(alias: str, key: int = -1) -> Topic:
    found: Topic = Topic.objects.using(alias).get(pk=key)
    return found


REST = set(TOPICS) - TAGS - {"tags of 1"}
TAGGED = {
    "create": Path(lambda alias: topic(alias).tags.create(text="y"), REST),
    "add": Path(lambda alias: topic(alias, -2).tags.add(Tag.objects.using(alias).get(pk=-1)), REST - {"tag"}),
    "add one by one": Path(
        lambda alias: topic(alias, -2).tags.add(Tag.objects.using(alias).get(pk=-1), bulk=False), REST - {"tag"}
    ),
    "remove": Path(lambda alias: topic(alias).tags.remove(Tag.objects.using(alias).get(pk=-1)), REST - {"tag", "tag 2"}),
    "set": Path(lambda alias: topic(alias).tags.set([Tag.objects.using(alias).get(pk=-2)]), REST - {"tag", "tag 2"}),
    "clear": Path(lambda alias: topic(alias).tags.clear(), REST - {"tag", "tag 2"}),
    "the key itself": Path(
        lambda alias: changed(Tag.objects.using(alias).get(pk=-1), target=topic(alias, -2)).save(), REST - {"tag"}
    ),
    "update": Path(lambda alias: topic(alias).tags.update(text="y"), REST - {"tag", "tag 2"}),
    "cascade": Path(lambda alias: topic(alias).delete(), {"topic 2"}),
}  # fmt: skip


@pytest.mark.parametrize("path", TAGGED.values(), ids=TAGGED)
def test_a_generic_relation(alias: str, warm: Any, path: Path) -> None:
    """Tags that come, change hands and go with what they hang on: no answer is stale, and those named are hits."""
    kind = ContentType.objects.db_manager(alias).get_for_model(Topic)
    for at in (1, 2):
        Topic.objects.using(alias).create(pk=-at, name=f"t{at}")
    Tag.objects.using(alias).create(pk=-1, content_type=kind, object_id=-1, text="x")
    Tag.objects.using(alias).create(pk=-2, content_type=kind, object_id=-2, text="x")
    warm(TOPICS).keeps(path.keeps, lambda: path.write(alias))
