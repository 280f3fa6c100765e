"""What survives a write: answers that the written rows have no part in."""

from __future__ import annotations

import datetime

import pytest
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.db.models import F

from redis_toolkit.cache import cached, invalidate
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.signals import cache_invalidated
from tests.app.models import (
    Author,
    Badge,
    Cafe,
    City,
    Country,
    EarlyLesson,
    Event,
    Group,
    Lesson,
    Place,
    Poem,
    Room,
    Student,
    Teacher,
    Unwatched,
)


@pytest.fixture
def term(school):
    """Two groups, two teachers, two rooms and four lessons of this test alone."""
    alias = school.alias
    number = Group.objects.using(alias).order_by("-pk").values_list("pk", flat=True).first()
    groups = [Group.objects.using(alias).create(code=f"t{number}-{at}") for at in (5, 6)]
    teachers = [Teacher.objects.using(alias).create(name=name) for name in ("Ada", "Bob")]
    rooms = [Room.objects.using(alias).create(code=code) for code in ("A", "B")]
    lessons = [
        Lesson.objects.using(alias).create(
            title=f"{at}", slug=f"t{number}-{at}", group=groups[at % 2], teacher=teachers[at // 2], room=rooms[at // 2],
            weekday=1 + at % 2, period=at,
        )
        for at in range(4)
    ]  # fmt: skip
    return Term(alias, groups, teachers, rooms, lessons)


def there(manager, **asked):
    """Whether get() finds a row."""
    try:
        manager.get(**asked)
    except Lesson.DoesNotExist:
        return False
    return True


class Term:
    """The rows of one test, and answers to ask for by name."""

    def __init__(self, alias, groups, teachers, rooms, lessons):
        self.alias, self.groups, self.teachers, self.rooms, self.lessons = alias, groups, teachers, rooms, lessons
        self.keys = [lesson.pk for lesson in lessons]

    @property
    def asks(self):
        m, lessons = Lesson.cached.db_manager(self.alias), self.lessons
        return {
            "group 5": lambda: len(m.filter(group=self.groups[0])),
            "group 6": lambda: len(m.filter(group=self.groups[1])),
            "group 5 counted": lambda: m.filter(group=self.groups[0], period__gte=0).count(),
            "group 6 counted": lambda: m.filter(group=self.groups[1], period__gte=0).count(),
            "both groups": lambda: len(m.filter(group__in=self.groups)),
            "Ada": lambda: m.filter(teacher_id=self.teachers[0].pk).exists(),
            "Bob": lambda: m.filter(teacher_id=self.teachers[1].pk).exists(),
            "A on 1": lambda: len(m.filter(room=self.rooms[0], weekday=1).order_by("period")),
            "A on 2": lambda: len(m.filter(weekday=2, room=self.rooms[0])),
            "B on 1": lambda: len(m.filter(room=self.rooms[1]).filter(weekday=1)),
            "lesson 0": lambda: there(m, pk=self.keys[0]),
            "lesson 1": lambda: there(m, pk=self.keys[1]),
            "slug 0": lambda: there(m, slug=lessons[0].slug),
            "slug 1": lambda: there(m, slug=lessons[1].slug),
            "constraint 0": lambda: there(m, teacher=self.teachers[0], weekday=1, period=0),
            "keys": lambda: len(m.filter(pk__in=self.keys[:2])),
            "all": lambda: m.filter(title__gte="").count(),
            "a joined": lambda: len(m.filter(group=self.groups[1]).select_related("teacher")),
        }  # fmt: skip

    def warm(self, cost):
        """Ask for everything, and see that everything is cached."""
        for ask in self.asks.values():
            ask()
        assert self.killed(cost) == set()

    def killed(self, cost):
        """The names of the answers that are misses now."""
        names = set()
        for name, ask in self.asks.items():
            with cost() as it:
                ask()
            if it.queries:
                names.add(name)
        return names


#: What every write of a lesson kills: that which depends on any row.
ANY = {"all"}
OF_0 = {
    "group 5",
    "group 5 counted",
    "both groups",
    "Ada",
    "A on 1",
    "lesson 0",
    "slug 0",
    "constraint 0",
    "keys",
} | ANY


def test_a_lesson_of_group_5(term, cost):
    """Saving a lesson of group 5 leaves the list of group 6 a hit, and every other answer it has no part in."""
    term.warm(cost)
    term.lessons[0].save()
    assert term.killed(cost) == OF_0


def test_moving_from_5_to_6(term, cost):
    """Moving a lesson from group 5 to group 6 kills the answers of exactly those two groups, and of the row."""
    term.warm(cost)
    Lesson.objects.using(term.alias).create(
        title="x", slug=f"{term.lessons[0].slug}-x", group=(third := Group.objects.using(term.alias).create(
            code=f"{term.groups[0].code}-7")), teacher=term.teachers[1], weekday=5, period=9,
    )  # fmt: skip
    asked = Lesson.cached.db_manager(term.alias).filter(group=third)
    asked.count()
    term.warm(cost)
    term.lessons[0].group = term.groups[1]
    term.lessons[0].save()
    assert term.killed(cost) == OF_0 | {"group 6", "group 6 counted", "a joined"}
    with cost() as it:
        asked.count()
    assert it.queries == 0


def test_a_stale_instance_moves_the_row_it_finds(term, cost):
    """What counts is the value that the database has, not the one the instance was loaded with."""
    stale = Lesson.objects.using(term.alias).get(pk=term.lessons[0].pk)
    term.lessons[0].group = term.groups[1]
    term.lessons[0].save()
    term.warm(cost)
    stale.save()
    assert term.killed(cost) == OF_0 | {"group 6", "group 6 counted", "a joined"}


def test_a_pair(term, cost):
    """Moving a lesson to another day kills both pairs of room and day, and leaves the other room's."""
    term.warm(cost)
    term.lessons[0].weekday = 2
    term.lessons[0].save(update_fields=["weekday"])
    assert term.killed(cost) == OF_0 | {"A on 2"}


def test_a_unique_value(term, cost):
    """A new slug kills the old one's answer, and the answer that there was no such row."""
    manager = Lesson.cached.db_manager(term.alias)
    new = f"{term.lessons[0].slug}-new"
    for _ in range(2):
        with cost() as it, pytest.raises(Lesson.DoesNotExist):
            manager.get(slug=new)
    assert it.queries == 0
    old = term.lessons[0].slug
    manager.get(slug=old)
    term.lessons[0].slug = new
    term.lessons[0].save()
    assert manager.get(slug=new) == term.lessons[0]
    with pytest.raises(Lesson.DoesNotExist):
        manager.get(slug=old)


WRITES = {
    "save": lambda t: t.lessons[0].save(),
    "save of one field": lambda t: t.lessons[0].save(update_fields=["title"]),
    "save by a proxy": lambda t: EarlyLesson.objects.using(t.alias).get(pk=t.lessons[0].pk).save(),
    "update by key": lambda t: Lesson.objects.using(t.alias).filter(pk=t.lessons[0].pk).update(title="x"),
    "update by keys": lambda t: Lesson.objects.using(t.alias).filter(pk__in=[t.lessons[0].pk]).update(title="x"),
    "update with F": lambda t: Lesson.objects.using(t.alias).filter(pk=t.lessons[0].pk).update(title=F("slug")),
    "bulk_update": lambda t: Lesson.objects.using(t.alias).bulk_update([t.lessons[0]], ["title"]),
    "delete": lambda t: t.lessons[0].delete(),
    "through the cached manager": lambda t: Lesson.cached.db_manager(t.alias).filter(pk=t.lessons[0].pk).update(title="y"),
    "invalidate the instance": lambda t: invalidate(t.lessons[0], using=t.alias),
    "invalidate the key": lambda t: invalidate(Lesson, pk=t.lessons[0].pk, using=t.alias),
    "invalidate the key as text": lambda t: invalidate(Lesson, pk=str(t.lessons[0].pk), using=t.alias),
}  # fmt: skip


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_of_one_row(term, cost, write):
    """However one row is written by its key, exactly the answers that it is a part of are gone, in a transaction too."""
    term.warm(cost)
    with transaction.atomic(using=term.alias):
        write(term)
    assert term.killed(cost) == OF_0


def test_creation(term, cost):
    """A new row of group 5 kills the lists it belongs to, and leaves rows, other groups and other pairs."""
    term.warm(cost)
    made = Lesson.objects.using(term.alias).create(
        title="new", slug=f"{term.lessons[0].slug}-n", group=term.groups[0], teacher=term.teachers[0], room=term.rooms[0],
        weekday=1, period=50,
    )  # fmt: skip
    wanted = {"group 5", "group 5 counted", "both groups", "Ada", "A on 1", "all"}
    assert term.killed(cost) == wanted
    term.warm(cost)
    Lesson.objects.using(term.alias).bulk_create([
        Lesson(title="b", slug=f"{made.slug}-b", group=term.groups[0], teacher=term.teachers[0], room=term.rooms[0], period=51)
    ])  # fmt: skip
    assert term.killed(cost) == wanted


def test_null_answers(term, cost):
    """That a row is not there is remembered, for get, in_bulk and lists by key, and undone when the row comes."""
    manager = Lesson.cached.db_manager(term.alias)
    key = Lesson.objects.using(term.alias).order_by("-pk")[0].pk + 1000
    asks = (
        lambda: manager.filter(pk=key).exists(),
        lambda: manager.in_bulk([key, term.lessons[0].pk]).keys() >= {key},
        lambda: bool(manager.filter(pk=key)),
        lambda: bool(manager.filter(pk__in=[key])),
        lambda: key in {row.pk for row in manager.filter(pk__in=[key, term.lessons[0].pk])},
        lambda: there(manager, pk=key),
        lambda: there(manager, slug="to-come"),
        lambda: there(manager, teacher=term.teachers[0], weekday=7, period=7),
    )
    for queries in (7, 0):  # in_bulk() and get() share an entry
        with cost() as it:
            assert [ask() for ask in asks] == [False] * 8
        assert it.queries == queries
    made = Lesson(
        pk=key, title="x", slug="to-come", group=term.groups[0], teacher=term.teachers[0], weekday=7, period=7
    )
    made.save(using=term.alias, force_insert=True)
    assert [ask() for ask in asks] == [True] * 8
    made.delete()
    assert [ask() for ask in asks] == [False] * 8


def test_null_answers_are_brief(term, redis_client, settings):
    """That a row is not there is believed for NULL_TTL seconds, not for the manager's ttl."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    assert not there(Lesson.cached.db_manager(term.alias), pk=10**9)
    (key,) = redis_client.keys("rt:r:*")
    assert 59_000 < redis_client.pttl(key) <= 60_000


def test_joined_tables(term, cost):
    """A row of a joined table kills what joins it, and nothing else."""
    term.warm(cost)
    term.teachers[1].save()
    assert term.killed(cost) == {"a joined"}


def test_many_to_many(term, school, cost):
    """Each way of linking rows kills what reads the links, from either side, and leaves what does not."""
    eve, fay = school.students[:2]
    lesson = term.lessons[0]
    asks = {
        "of lesson": lambda: [s.pk for s in Lesson.cached.db_manager(term.alias).prefetch_related("students").get(
            pk=lesson.pk, title=lesson.title).students.all()],
        "by student": lambda: sorted(Lesson.cached.db_manager(term.alias).filter(students=eve).values_list("pk", flat=True)),
        "counted": lambda: Lesson.cached.db_manager(term.alias).filter(students=fay).count(),
    }  # fmt: skip
    for change in (
        lambda: lesson.students.add(eve),
        lambda: eve.lessons.add(term.lessons[1]),
        lambda: lesson.students.set([fay]),
        lambda: lesson.students.remove(fay),
        lambda: eve.lessons.clear(),
        lambda: lesson.students.create(name="new"),
        lambda: Lesson.students.through.objects.using(term.alias).filter(lesson=lesson).delete(),
    ):
        for ask in asks.values():
            ask()
        term.warm(cost)
        change()
        plain = [student.pk for student in lesson.students.order_by("pk")]
        assert sorted(asks["of lesson"]()) == plain
        assert asks["by student"]() == sorted(eve.lessons.values_list("pk", flat=True))
        assert asks["counted"]() == fay.lessons.count()
        assert term.killed(cost) == set()


def test_coarse_writes(term, cost):
    """Writes that say not which rows they touch kill everything of the table."""
    for write in (
        lambda: Lesson.objects.using(term.alias).filter(title="nowhere").update(title="x"),
        lambda: connections[term.alias].cursor().execute("update app_lesson set title = title where period = -5"),
        lambda: term.groups[0].lessons.update(title="x"),
        lambda: invalidate(Lesson, using=term.alias),
    ):
        term.warm(cost)
        write()
        assert term.killed(cost) == set(term.asks)


def test_invalidate_a_declared_value(term, cost):
    """invalidate(Lesson, group=5) kills what depends on group 5, and what depends on any row."""
    for asked, wanted in (
        ({"group": term.groups[0]}, {"group 5", "group 5 counted", "both groups", "all"}),
        ({"group": term.groups[1].pk}, {"group 6", "group 6 counted", "both groups", "a joined", "all"}),
        ({"group_id": str(term.groups[0].pk)}, {"group 5", "group 5 counted", "both groups", "all"}),
        ({"room": term.rooms[0], "weekday": 1}, {"A on 1", "all"}),
        ({"weekday": 2, "room": term.rooms[0].pk}, {"A on 2", "all"}),
        ({"slug": term.lessons[1].slug}, {"slug 1", "all"}),
        ({"teacher": term.teachers[0], "period": 0, "weekday": 1}, {"constraint 0", "all"}),
    ):
        term.warm(cost)
        invalidate(Lesson, using=term.alias, **asked)
        assert term.killed(cost) == wanted, asked


def test_invalidate_a_row_that_changed_behind_our_back(term, cost):
    """invalidate(lesson) covers the values the row has in the database and those of the instance."""
    term.warm(cost)
    term.lessons[0].group = term.groups[1]
    invalidate(term.lessons[0], using=term.alias)
    assert term.killed(cost) == OF_0 | {"group 6", "group 6 counted", "a joined"}


def test_invalidate_in_a_transaction(term, cost):
    """Inside a transaction it holds until the end, and again at it; a rollback takes it back without harm."""
    term.warm(cost)
    with pytest.raises(ZeroDivisionError), transaction.atomic(using=term.alias):
        invalidate(Lesson, group=term.groups[0], using=term.alias)
        with cost() as it:
            term.asks["group 5"]()
            term.asks["group 5"]()
        assert it.queries == 2
        raise ZeroDivisionError
    term.warm(cost)


@pytest.mark.parametrize(("target", "asked", "says"), [
    (Unwatched, {}, "app.Unwatched is not watched"),
    (Unwatched(pk=1), {}, "app.Unwatched is not watched"),
    (Unwatched, {"pk": 1}, "app.Unwatched is not watched"),
    (Lesson, {"title": "x"}, "app.Lesson is not cached by title"),
    (Lesson, {"weekday": 1}, "app.Lesson is not cached by weekday"),
    (Lesson, {"room": 1}, "app.Lesson is not cached by room"),
    (Lesson, {"nothing": 1}, "app.Lesson has no field 'nothing'"),
    (Lesson, {"students": 1}, "app.Lesson is not cached by students"),
], ids=str)  # fmt: skip
def test_invalidate_refuses_what_would_do_nothing(school, target, asked, says):
    """What nothing depends on is refused, with the cure."""
    with pytest.raises(Misconfigured, match=says):
        invalidate(target, using=school.alias, **asked)


@pytest.mark.parametrize(("asked", "error"), [({"pk": "x"}, ValidationError), ({"group": "x"}, ValueError)], ids=str)
def test_invalidate_by_odd_values(school, asked, error):
    """A value that the column cannot hold is refused, in Django's words."""
    with pytest.raises(error, match=r"“x” value must be an integer|expected a number but got 'x'"):
        invalidate(Lesson, using=school.alias, **asked)


def test_children_and_parents(school, cost):
    """A child's write kills the parent's answers about its row, and the parent's write the child's."""
    alias = school.alias
    cafe = Cafe.objects.using(alias).create(name="Caffè", stars=2)
    other = Cafe.objects.using(alias).create(name="Other", stars=1)
    asks = {
        "child": lambda: Cafe.cached.db_manager(alias).get(pk=cafe.pk).name,
        "parent": lambda: Place.cached.db_manager(alias).get(pk=cafe.pk).name,
        "by stars": lambda: [each.name for each in Cafe.cached.db_manager(alias).filter(stars=2)],
        "by name": lambda: Place.cached.db_manager(alias).filter(name="Caffè").count(),
        "other": lambda: Place.cached.db_manager(alias).get(pk=other.pk).name,
    }

    def killed():
        found = set()
        for name, ask in asks.items():
            with cost() as it:
                ask()
            found |= {name} if it.queries else set()
        return found

    def check(write, wanted):
        for ask in asks.values():
            ask()
        assert killed() == set()
        write()
        assert killed() >= wanted

    check(lambda: Place.objects.using(alias).filter(pk=cafe.pk).update(name="Caffè"), {"child", "parent", "by name"})
    check(cafe.save, {"child", "parent", "by stars"})
    cafe.name = "Bar"
    cafe.save()
    assert [ask() for ask in asks.values()] == ["Bar", "Bar", ["Bar"], 0, "Other"]
    Place.objects.using(alias).filter(pk=cafe.pk).update(name="Pub")
    assert [ask() for ask in asks.values()] == ["Pub", "Pub", ["Pub"], 0, "Other"]
    cafe.delete()
    assert not Place.cached.db_manager(alias).filter(pk=cafe.pk).exists()


KINDS = {
    "text": (Event, "name", ("a", "A")),
    "date": (Event, "day", (datetime.date(2026, 5, 1), datetime.date(2026, 5, 2))),
    "boolean": (Event, "public", (True, False)),
    "uuid's text": (Badge, "label", ("green", "")),
}


@pytest.mark.parametrize(("model", "name", "values"), KINDS.values(), ids=KINDS)
def test_values_of_each_kind(school, cost, model, name, values):
    """Rows with one value of a declared field come and go without touching answers about another value."""
    alias = school.alias

    def make(value):
        extra = {"owner": Student.objects.using(alias).create(name="x")} if model is Badge else {}
        return model._base_manager.using(alias).create(**{name: value}, **extra)

    asked = [model.cached.db_manager(alias).filter(**{name: value}) for value in values]
    counts = [queryset.count() for queryset in asked]
    row = make(values[0])
    with cost() as it:
        assert [queryset.all().count() for queryset in asked] == [counts[0] + 1, counts[1]]
    assert it.queries == 1
    setattr(row, name, values[1])
    row.save()
    with cost() as it:
        assert [queryset.all().count() for queryset in asked] == [counts[0], counts[1] + 1]
    assert it.queries == 2


def test_keys_that_are_codes(school, cost):
    """A foreign key to a code makes stamps by the code; a key of a key by the innermost."""
    alias = school.alias
    Country.objects.using(alias).get_or_create(code="de", name="Germany")
    asks = [
        lambda: City.cached.db_manager(alias).filter(country="it").count(),
        lambda: City.cached.db_manager(alias).filter(country__in=[school.cities[2].country]).count(),
        lambda: Poem.cached.db_manager(alias).filter(author=school.authors[0]).count(),
        lambda: Poem.cached.db_manager(alias).filter(author=school.authors[1].pk).count(),
    ]
    before = [ask() for ask in asks]
    city = City.objects.using(alias).create(country_id="it", name="Gorizia")
    poem = Poem.objects.using(alias).create(author=school.authors[1], title="x")
    with cost() as it:
        assert [ask() for ask in asks] == [before[0] + 1, before[1], before[2], before[3] + 1]
    assert it.queries == 2
    city.delete()
    poem.delete()
    assert [ask() for ask in asks] == before
    assert Author._meta.pk.name == "student"


def test_function_results(school, cost):
    """A cached function is called once for each set of arguments until a model it depends on is written."""
    calls = []

    @cached(depends_on=[Place], ttl=datetime.timedelta(minutes=5), key="tests.count")
    def count(name, *, at_least=0, **more):
        """Count."""
        calls.append((name, at_least, more))
        return {"n": [name, at_least], "more": more}

    for _ in range(2):
        assert count("a") == count(name="a") == count("a", at_least=0) == {"n": ["a", 0], "more": {}}
        assert count("a", at_least=1)["n"] == ["a", 1]
        assert count(1)["n"] == [1, 0]
        assert count(True)["n"] == [True, 0]
        assert count("1", x=1)["more"] == {"x": 1}
    assert calls == [("a", 0, {}), ("a", 1, {}), (1, 0, {}), (True, 0, {}), ("1", 0, {"x": 1})]
    assert (count.__name__, count.__doc__) == ("count", "Count.")
    count("a")["n"].append("changed")
    assert count("a")["n"] == ["a", 0]
    Place.objects.create(name="new")
    count("a")
    assert len(calls) == 6
    Cafe.objects.create(name="new", stars=1)
    count("a")
    assert len(calls) == 7
    Student.objects.create(name="new")
    count("a")
    assert len(calls) == 7
    assert school.alias


def test_functions_that_fail(school):
    """What a function raises is raised, and nothing is kept."""
    calls = []

    @cached(depends_on=[Place], key="tests.fail")
    def fail(_):
        calls.append(1)
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail(1)
    with pytest.raises(TypeError, match="unexpected keyword"):
        fail(1, nothing=2)
    assert len(calls) == 2
    assert school.alias


def test_functions_that_depend_on_nothing():
    """A function that depends on nothing, or on what nobody watches, is refused: its answers would never end."""
    with pytest.raises(Misconfigured, match="at least one model"):
        cached(depends_on=[])
    with pytest.raises(Misconfigured, match=r"app\.Unwatched, which is not watched"):
        cached(depends_on=[Unwatched], key="tests.unwatched")(lambda: 1)()
    with pytest.raises(Misconfigured, match="Give it one"):
        cached(depends_on=[Lesson])(lambda: 1)


def test_watchers_hear_of_invalidations(term):
    """cache_invalidated names the stamps that a write has touched, as keys, and the database."""
    heard = []

    def receive(sender, stamps, alias, **_):
        heard.append((sender, {stamp.split(":", 3)[-1] for stamp in stamps}, alias))

    cache_invalidated.connect(receive)
    try:
        term.lessons[0].save()
    finally:
        cache_invalidated.disconnect(receive)
    lesson = term.lessons[0]
    (sender, names, alias) = heard[0]
    assert (len(heard), sender, alias) == (1, None, term.alias)
    assert {f"app_lesson:id={lesson.pk}", "app_lesson:*", f"app_lesson:group_id={lesson.group_id}"} <= names
