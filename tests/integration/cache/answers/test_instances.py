"""Instances from the cache are those from the database: what they hold, what hooks saw, and nothing shared."""

from __future__ import annotations

import copy
import pickle
import warnings

import django
import pytest
from django.db.models import Count, QuerySet, Value
from django.db.models.signals import post_init, pre_init

from tests.app.models import Badge, Cafe, Event, Glass, Ledger, Lesson, Poem, Student, Teacher, Witness
from tests.app.models.fields import Money
from tests.portraits import outcome, portrait, same

READS = {
    "get": lambda manager, row: manager.get(pk=row.pk),
    "in bulk": lambda manager, row: manager.in_bulk([row.pk])[row.pk],
    "list": lambda manager, row: manager.filter(pk=row.pk).order_by("pk")[0],
    "first": lambda manager, row: manager.filter(pk=row.pk).first(),
}


def thawed(thing):
    """``thing`` pickled and unpickled."""
    return pickle.loads(pickle.dumps(thing))


read = pytest.mark.parametrize("ask", READS.values(), ids=READS)


@read
def test_state(school, ask):
    """A cached row knows its database, is no new row, and has nothing related yet."""
    manager = Lesson.cached.db_manager(school.alias)
    for _ in range(2):
        row = ask(manager, school.list[0])
        assert (row._state.db, row._state.adding, row._state.fields_cache) == (school.alias, False, {})
        assert same(portrait(row), portrait(Lesson.objects.using(school.alias).get(pk=row.pk)))


@read
def test_saving_a_cached_row(school, cost, ask):
    """A cached row is saved by an UPDATE of its own database, as one that was read from it."""
    row = ask(Teacher.objects.db_manager(school.alias), school.teachers[0])
    cached = school.as_cached()(Teacher).get(pk=row.pk)
    with cost() as it:
        cached.save()
    assert [query.split()[0] for query in it.sql if not query.startswith(("BEGIN", "COMMIT", "SELECT"))] == ["UPDATE"]
    assert cached == row
    assert hash(cached) == hash(row)


@read
def test_mutable_values_are_nobody_elses(school, ask):
    """A JSON value changed in one instance stands unchanged in each other: of the miss, of hits, in any nesting."""
    manager = Event.cached.db_manager(school.alias)
    wanted = {"n": 1, "deep": {"list": [1, None]}}
    found = [ask(manager, school.events[1]) for _ in range(3)]
    for event in found:
        assert event.data == wanted
        assert event.words == ["a", "1"]
        event.data["deep"]["list"].append("changed")
        event.data["n"] = 99
        event.words.append("changed")
    later = ask(manager, school.events[1])
    assert (later.data, later.words) == (wanted, ["a", "1"])


def test_mutable_values_of_one_list(school):
    """Two rows of one answer, and the related row that both have, share no mutable value; nor do values()."""
    for _ in range(2):
        rows = list(
            Event.cached.db_manager(school.alias).filter(pk__in=[each.pk for each in school.events]).order_by("pk")
        )
        assert len({id(row.data["deep"]) for row in rows}) == 6
        flat = list(Event.cached.db_manager(school.alias).order_by("pk").values_list("data", flat=True))
        flat[0]["deep"]["list"].append("changed")
        assert flat[1]["deep"]["list"] == [1, None]
        assert rows[0].data["deep"]["list"] == [0, None]
        lessons = list(Lesson.cached.db_manager(school.alias).select_related("room").order_by("pk"))
        assert lessons[0].room == lessons[4].room
        assert lessons[0].room is not lessons[4].room
        lessons[0].room.code = "changed"
        assert lessons[4].room.code == "B"


@read
def test_hooks_of_the_class(school, ask):
    """A model's own from_db() and __init__() run for each cached row, and see what they would see."""
    manager = Witness.cached.db_manager(school.alias)
    for _ in range(2):
        row = ask(manager, school.witnesses[0])
        assert row.initialised
        assert row.loaded == {"id": row.pk, "text": "I saw", "note": "it"}
        assert row.told == (["fetch_mode"] if django.VERSION >= (6, 1) else [])
        partial = manager.only("text").get(pk=row.pk)
        assert partial.loaded == {"id": row.pk, "text": "I saw"}
        assert partial.get_deferred_fields() == {"note"}


@read
def test_descriptors_of_a_project(school, ask):
    """A field whose attribute is a project's descriptor is set through it."""
    for _ in range(2):
        assert ask(Glass.cached.db_manager(school.alias), school.glasses[0]).text == "CHEERS"


@pytest.mark.parametrize("signal", [pre_init, post_init], ids=["pre_init", "post_init"])
def test_receivers_that_come_later(school, signal):
    """Receivers connected after rows were cached hear of each row built, related ones too, until they are gone."""
    heard = []

    def receive(sender, **_):
        heard.append(sender.__name__)

    manager = Lesson.cached.db_manager(school.alias)

    def read_all():
        heard.clear()
        manager.get(pk=school.list[0].pk)
        manager.in_bulk([school.list[0].pk])
        list(manager.filter(group=school.groups[0]).select_related("teacher").order_by("pk")[:2])
        return sorted(heard)

    read_all()
    assert read_all() == []
    for sender, wanted in (
        (Lesson, ["Lesson"] * 4),
        (Teacher, ["Teacher"] * 2),
        (None, ["Lesson"] * 4 + ["Teacher"] * 2),
    ):
        signal.connect(receive, sender=sender)
        assert read_all() == wanted
        signal.disconnect(receive, sender=sender)
    assert read_all() == []


@read
def test_fields_of_every_kind(school, ask):
    """Files, decimals, durations, moments and converted values come back as Django's own, of its types."""
    manager = Event.cached.db_manager(school.alias)
    for _ in range(2):
        row, plain = ask(manager, school.events[1]), Event.objects.using(school.alias).get(pk=school.events[1].pk)
        assert same(portrait(row), portrait(plain))
        assert row.price == Money(plain.price.amount, "EUR")
        assert type(row.price) is Money
        assert (row.file.name, row.file.instance, row.file.field) == ("e/1.txt", row, Event._meta.get_field("file"))
        assert not ask(manager, school.events[0]).file


@read
def test_pickled_and_copied_instances(school, ask):
    """A cached row can be pickled, copied and copied deeply like any other."""
    manager = Lesson.cached.db_manager(school.alias)
    for _ in range(2):
        row = ask(manager, school.list[1])
        for twin in (thawed(row), copy.copy(row), copy.deepcopy(row)):
            vars(twin).pop("_django_version", None)
            assert same(portrait(twin), portrait(row))
            assert twin == row


def test_joined_instances_can_be_pickled(school):
    """So can rows that are linked to others in circles."""
    for _ in range(2):
        row = Badge.cached.db_manager(school.alias).select_related("owner__badge").order_by("pk")[0]
        twin = thawed(row)
        assert twin.owner.badge is twin


def test_deferred_fields(school, cost):
    """What was deferred is loaded from the database when it is looked at, once."""
    for _ in range(2):
        row = Lesson.cached.db_manager(school.alias).defer("notes", "title").get(pk=school.list[1].pk)
        assert row.get_deferred_fields() == {"notes", "title"}
        assert "notes" not in vars(row)
        with cost() as it:
            assert (row.title, row.title, row.notes) == ("Lesson 1", "Lesson 1", {"a": 1, "b": [1, 2, {"c": None}]})
        assert it.queries == 2


def test_partial_rows_are_no_rows(school, cost):
    """What only() has loaded is never taken for the whole row, nor the other way round."""
    manager = Lesson.cached.db_manager(school.alias)
    for _ in range(2):
        assert manager.only("title").get(pk=school.list[0].pk).get_deferred_fields()
        assert not manager.get(pk=school.list[0].pk).get_deferred_fields()
        assert manager.filter(pk=school.list[0].pk).only("title")[0].get_deferred_fields()
        assert not manager.filter(pk=school.list[0].pk)[0].get_deferred_fields()


def test_annotations_are_attributes(school):
    """Annotations stand in the instance, and none lingers where none was asked for."""
    manager = Lesson.cached.db_manager(school.alias)
    for _ in range(2):
        row = manager.annotate(n=Count("students"), label=Value("x")).get(pk=school.list[3].pk)
        assert (row.n, row.label) == (3, "x")
        assert not hasattr(manager.get(pk=school.list[3].pk), "n")
        assert not hasattr(manager.filter(pk=school.list[3].pk)[0], "label")


def test_children_know_their_parents(school):
    """A cached child holds its parent's columns and key, and its parent is one step away."""
    for _ in range(2):
        cafe = Cafe.cached.db_manager(school.alias).get(pk=school.cafes[0].pk)
        assert (cafe.pk, cafe.id, cafe.place_ptr_id, cafe.name, cafe.stars) == (*[school.cafes[0].pk] * 3, "Florian", 5)
        assert cafe.place_ptr.name == "Florian"


def test_relations_of_cached_rows(school, cost):
    """Relations of a cached row are followed in its own database."""
    poem = Poem.cached.db_manager(school.alias).get(pk=school.poems[0].pk)
    poem = Poem.cached.db_manager(school.alias).get(pk=school.poems[0].pk)
    with cost() as it:
        assert poem.author.student.name == "Fay"
        assert poem.author._state.db == school.alias
        assert [each.title for each in poem.author.poems.order_by("pk")] == ["Ode", "Elegy"]
    assert it.queries == 3


def test_equality_and_identity(school):
    """Two reads give two objects that are equal."""
    manager = Lesson.cached.db_manager(school.alias)
    manager.get(pk=school.list[0].pk)
    first, second = manager.get(pk=school.list[0].pk), manager.get(pk=school.list[0].pk)
    assert first == second == school.list[0]
    assert first is not second


FETCHED = {
    "list": lambda q: q.order_by("pk"),
    "joined": lambda q: q.select_related("room", "teacher").order_by("pk"),
    "joined deep": lambda q: q.select_related("room__building").order_by("pk"),
    "partial": lambda q: q.only("title").order_by("pk"),
    "beside": lambda q: q.prefetch_related("room__building", "students__badge", "group__lessons__room").order_by("pk"),
    "first": lambda q: q.order_by("pk").first(),
    "get": lambda q: q.get(slug="lesson-1"),
}


@pytest.mark.parametrize("ask", FETCHED.values(), ids=FETCHED)
@pytest.mark.parametrize("mode", ["FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"])
def test_fetch_modes(school, ask, mode):
    """Fetch modes of Django 6.1 stand in each cached instance, and peers know one another; before it there are none."""
    if django.VERSION < (6, 1):
        assert not hasattr(QuerySet, "fetch_mode")
        return
    chosen = getattr(django.db.models, mode)
    wanted = outcome(lambda side: ask(side.lessons.all().fetch_mode(chosen)), school)
    for _ in range(2):
        found = outcome(lambda side: ask(side.lessons.all().fetch_mode(chosen)), school.as_cached())
        assert same(wanted, found), (wanted, found)


def test_select_related_without_names(school):
    """Django 6.1 warns whenever select_related() is called without names, not only the first time."""
    manager = Lesson.cached.db_manager(school.alias)
    for _ in range(2):
        with warnings.catch_warnings(record=True, action="always") as heard:
            manager.filter(weekday=1).select_related()
        assert len(heard) == (django.VERSION >= (6, 1))


def test_peers_are_fetched_together(school, cost):
    """Looking at one peer's relation fetches it for all of them in one query (Django 6.1)."""
    if django.VERSION < (6, 1):
        assert not hasattr(QuerySet, "fetch_mode")
        return
    for _ in range(2):
        rows = list(
            Lesson.cached.db_manager(school.alias).all().fetch_mode(django.db.models.FETCH_PEERS).order_by("pk")
        )
        with cost() as it:
            assert len({row.group.code for row in rows}) == 2
        assert it.queries == 1
        raising = (
            Lesson.cached.db_manager(school.alias).all().fetch_mode(django.db.models.FETCH_RAISE).order_by("pk")[0]
        )
        with pytest.raises(django.core.exceptions.FieldFetchBlocked):
            raising.group  # noqa: B018 - looking at it is the test


def test_a_custom_model_class_of_relations(school):
    """Ledgers, whose managers are all cached, link to one another like any rows."""
    root = Ledger.cached.using(school.alias).get(name="root")
    children = list(root.children.order_by("pk"))
    assert [child.parent is root for child in children] == [True, True]
    assert {Student, Event}.isdisjoint(map(type, children))
