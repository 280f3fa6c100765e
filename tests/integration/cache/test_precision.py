"""A write ends the answers that it may have changed, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from django.db.models import F

from tests.app.models import Group, Lesson, Teacher
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

Answers = dict[str, Callable[[], Any]]

#: Of lesson 5, of lesson 6, and of neither: lesson 5 is group 5's, teacher 0's, in room 1, on weekday 3.
OF_5 = {"row 5", "slug 5", "group 5", "teacher 0", "place 1 3"}
OF_6 = {"row 6", "slug 6", "group 6", "teacher 1", "place 0 4"}
OTHERS = {"group 7", "teacher 4", "place 1 1", "slug of nobody"}


def answers_of(term: Term) -> Answers:
    """What the cache remembers of a term, by name; ``all`` and ``period`` are covered by nothing fine."""
    cached = term.cached

    def at_place(room: int, weekday: int) -> Callable[[], Any]:
        return lambda: list(cached.filter(room=term.rooms[room], weekday=weekday))

    def of(**asked: Any) -> Callable[[], Any]:
        return lambda: list(cached.filter(**asked))

    def one(**asked: Any) -> Callable[[], Any]:
        def look() -> Any:
            try:
                return cached.get(**asked)
            except Lesson.DoesNotExist:
                return None

        return look

    return {
        "row 5": one(pk=term.lessons[5].pk), "slug 5": one(slug="lesson-5"), "row 6": one(pk=term.lessons[6].pk),
        "slug 6": one(slug="lesson-6"), "slug of nobody": one(slug="nobody"), "row of nobody": one(pk=10**9),
        "place 1 3": at_place(1, 3), "place 0 4": at_place(0, 4), "place 1 1": at_place(1, 1),
        "all": of(), "period": of(period=99), **{f"group {at}": of(group=term.groups[at]) for at in range(5, 8)},
        **{f"teacher {at}": of(teacher=term.teachers[at]) for at in (0, 1, 4)},
    }  # fmt: skip


def save(**values: Any) -> Callable[[Term], None]:
    """Lesson 5 saved with other values; groups and teachers by their number."""

    def write(term: Term) -> None:
        lesson = term.again(5)
        for name, value in values.items():
            given = {"group": term.groups, "teacher": term.teachers, "room": term.rooms}.get(name)
            setattr(lesson, name, value if given is None or value is None else given[value])
        lesson.save()

    return write


def bulk_update(term: Term) -> None:
    lessons = [term.again(5), term.again(6)]
    for lesson in lessons:
        lesson.title = "new"
    term.plain(Lesson).bulk_update(lessons, ["title"])


def bulk_move(term: Term) -> None:
    lesson = term.again(5)
    lesson.group = term.groups[6]
    term.plain(Lesson).bulk_update([lesson], ["group"])


def bulk_leave(term: Term) -> None:
    lessons = [term.again(5), term.again(6)]
    lessons[0].room = None
    term.plain(Lesson).bulk_update(lessons, ["room"])


def in_a_transaction(term: Term) -> None:
    with transaction.atomic(using=term.alias):
        save(title="one")(term)
        save(group=6)(term)
        save(group=5)(term)


class Case(NamedTuple):
    write: Callable[[Term], Any]
    ends: set[str]


COARSE = {"all", "period"}
EVERYTHING = OF_5 | OF_6 | OTHERS | COARSE | {"row of nobody"}

CASES = {
    "a title": Case(save(title="new"), OF_5 | COARSE),
    "nothing at all": Case(save(), OF_5 | COARSE),
    "a group": Case(save(group=6), OF_5 | COARSE | {"group 6"}),
    "a teacher": Case(save(teacher=1, period=50), OF_5 | COARSE | {"teacher 1"}),
    "a room": Case(save(room=0), OF_5 | COARSE),
    "both of a pair": Case(save(room=0, weekday=4), OF_5 | COARSE | {"place 0 4"}),
    "a room to nowhere": Case(save(room=None), OF_5 | COARSE),
    "a slug": Case(save(slug="nobody"), OF_5 | COARSE | {"slug of nobody"}),
    "one field": Case(lambda term: term.again(5).save(update_fields=["title"]), OF_5 | COARSE),
    "update() of a key": Case(
        lambda term: term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title="new"), OF_5 | COARSE
    ),
    "update() of two keys": Case(
        lambda term: term.plain(Lesson).filter(pk__in=[term.lessons[5].pk, term.lessons[6].pk]).update(title="new"),
        OF_5 | OF_6 | COARSE,
    ),
    "update() of a key to another group": Case(
        lambda term: term.plain(Lesson).filter(pk=term.lessons[5].pk).update(group=term.groups[6]),
        OF_5 | COARSE | {"group 6"},
    ),
    "update() by a filter": Case(
        lambda term: term.plain(Lesson).filter(group=term.groups[5]).update(title="new"), EVERYTHING
    ),
    "update() of everything": Case(lambda term: term.plain(Lesson).update(period=F("period") + 100), EVERYTHING),
    "bulk_update()": Case(bulk_update, OF_5 | OF_6 | COARSE),
    "bulk_update() of a group": Case(bulk_move, OF_5 | COARSE | {"group 6"}),
    "bulk_update() to nowhere": Case(bulk_leave, OF_5 | OF_6 | COARSE),
    "create()": Case(
        lambda term: term.lesson(15, slug="nobody").save(using=term.alias),
        (OF_5 - {"row 5", "slug 5"}) | COARSE | {"slug of nobody", "row of nobody"},
    ),
    "bulk_create()": Case(
        lambda term: term.plain(Lesson).bulk_create([term.lesson(15), term.lesson(16)]),
        (OF_5 | OF_6 | COARSE | {"row of nobody", "slug of nobody"}) - {"row 5", "slug 5", "row 6", "slug 6"},
    ),
    "delete()": Case(lambda term: term.again(5).delete(), OF_5 | COARSE),
    "delete() of a queryset of keys": Case(
        lambda term: term.plain(Lesson).filter(pk__in=[term.lessons[5].pk]).delete(), OF_5 | COARSE
    ),
    "several of one transaction": Case(in_a_transaction, OF_5 | COARSE | {"group 6"}),
    "of another table": Case(lambda term: term.teachers[0].save(), set()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_write_ends(term, ended, case):
    """A write ends exactly the answers named, each of which is then a hit again, and right."""
    answers = answers_of(term)
    assert ended(answers) == answers.keys()
    assert ended(answers) == set()
    case.write(term)
    assert ended(answers) == case.ends
    assert ended(answers) == set()
    plain = answers_of(Plain(term))
    assert {name: ask() for name, ask in answers.items()} == {name: ask() for name, ask in plain.items()}


class Plain:
    """The same term, asked of the database."""

    def __init__(self, term: Term) -> None:
        self._term = term

    def __getattr__(self, name: str) -> Any:
        return getattr(self._term, name)

    @property
    def cached(self) -> Any:
        return self._term.plain(Lesson)


def test_moving_a_lesson_kills_two_lists_of_ten(term, ended):
    """Saving a lesson of group 5 ends its list alone; moving it to group 6 ends these two of ten."""
    lists: Answers = {str(at): lambda at=at: list(term.cached.filter(group=term.groups[at])) for at in range(10)}
    assert len(ended(lists)) == 10
    save(title="new")(term)
    assert ended(lists) == {"5"}
    save(group=6)(term)
    assert ended(lists) == {"5", "6"}
    assert [len(ask()) for ask in lists.values()] == [1, 1, 1, 1, 1, 0, 2, 1, 1, 1]


def test_rows_that_an_answer_joins(term, ended):
    """A list with its teachers ends with the save of a teacher in or out of it; a list without them does not."""
    answers: Answers = {
        "with": lambda: [
            each.teacher.name for each in term.cached.filter(group=term.groups[5]).select_related("teacher")
        ],
        "without": lambda: list(term.cached.filter(group=term.groups[5])),
    }
    ended(answers)
    term.teachers[0].name = "Ada"
    term.teachers[0].save()
    assert answers["with"]() == ["Ada"]
    assert ended(answers) == set()
    term.plain(Teacher).filter(name="t4").update(name="Bob")
    assert ended(answers) == {"with"}


def test_many_to_many(term, ended):
    """add(), remove(), set() and clear() end what reads the table between, and no row of either side."""
    five, other = term.lessons[5], term.students[1]
    answers: Answers = {
        "students": lambda: list(term.cached.filter(students=term.students[0])),
        "counted": lambda: term.cached.filter(students__name="s1").count(),
        "row": lambda: term.cached.get(pk=five.pk),
        "group": lambda: list(term.cached.filter(group=term.groups[5])),
    }
    ended(answers)
    five.students.add(term.students[0])
    assert ended(answers) == {"students", "counted"}
    assert answers["students"]() == [five]
    five.students.remove(term.students[0])
    assert ended(answers) == {"students", "counted"}
    assert answers["students"]() == []
    other.lessons.set([five])
    assert ended(answers) == {"students", "counted"}
    assert answers["counted"]() == 1
    five.students.clear()
    assert ended(answers) == {"students", "counted"}
    assert answers["counted"]() == 0


def test_a_cascade(term, ended):
    """Deleting a group deletes its lessons: their answers end, those of other groups' rows do not."""
    answers = answers_of(term)
    ended(answers)
    term.plain(Group).get(code="g5").delete()
    assert answers["row 5"]() is None
    assert answers["group 5"]() == []
    gone = ended(answers)
    assert gone >= {"slug 5", "all", "period"}
    assert answers["row 6"]() == term.lessons[6]


# What is not there


def absent(term: Term, **asked: Any) -> None:
    with pytest.raises(Lesson.DoesNotExist):
        term.cached.get(**asked)


@pytest.mark.parametrize("asked", [{"pk": 10**6}, {"slug": "nobody"}, {"teacher_id": 1, "weekday": 7, "period": 7}])
def test_what_is_not_there_is_remembered(term, cost, asked):
    """get() of no row asks the database once: the second time it costs 0 queries."""
    with cost() as it:
        absent(term, **asked)
        absent(term, **asked)
    assert it.outcomes == [("get", "miss"), ("get", "hit")]
    assert it.queries == 1


def test_in_bulk_remembers_what_is_not_there(term, cost):
    """in_bulk() of a row and of none asks the database once; get() then knows, too."""
    keys = [term.lessons[5].pk, 10**6]
    with cost() as it:
        assert [list(term.cached.in_bulk(keys)) for _ in range(2)] == [[keys[0]]] * 2
        absent(term, pk=10**6)
    assert it.outcomes == [("bulk", "miss"), ("bulk", "hit"), ("get", "hit")]
    assert it.queries == 1


@pytest.mark.parametrize("known", [True, False], ids=["key given", "key made by the database"])
def test_the_row_is_created(term, known):
    """A row that was remembered as absent is there once it is created, by key and by slug."""
    key = max(lesson.pk for lesson in term.lessons) + 1
    for asked in ({"pk": key}, {"slug": "lesson-15"}):
        absent(term, **asked)
    made = term.lesson(15, **({"pk": key} if known else {}))
    made.save(using=term.alias, force_insert=True)
    assert made.pk == key
    assert term.cached.get(pk=key) == term.cached.get(slug="lesson-15") == made
    assert term.cached.in_bulk([key]) == {key: made}


@pytest.mark.parametrize("how", ["save", "update", "update by filter", "bulk_update"])
def test_the_slug_comes_to_a_row(term, how):
    """A slug that nobody had is found once a row is given it, and its old one is not."""
    absent(term, slug="nobody")
    assert term.cached.get(slug="lesson-5") == term.lessons[5]
    if how == "update":
        term.plain(Lesson).filter(pk=term.lessons[5].pk).update(slug="nobody")
    elif how == "update by filter":
        term.plain(Lesson).filter(slug="lesson-5").update(slug="nobody")
    else:
        lesson = term.again(5)
        lesson.slug = "nobody"
        lesson.save() if how == "save" else term.plain(Lesson).bulk_update([lesson], ["slug"])
    assert term.cached.get(slug="nobody") == term.lessons[5]
    absent(term, slug="lesson-5")
