"""``invalidate``: every form, inside transactions, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction

from redis_toolkit.cache import invalidate, transactions
from redis_toolkit.exceptions import Misconfigured, StoreUnavailable
from redis_toolkit.models import Outbox
from redis_toolkit.signals import cache_invalidated
from tests.app.models import Cafe, Lesson, Place, Unwatched
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

OF_5 = {"row 5", "slug 5", "group 5"}


def answers_of(term: Term) -> dict[str, Callable[[], Any]]:
    cached_by = term.cached.filter
    return {
        "row 5": lambda: term.cached.get(pk=term.lessons[5].pk),
        "row 6": lambda: term.cached.get(pk=term.lessons[6].pk),
        "slug 5": lambda: term.cached.get(slug="lesson-5"),
        "group 5": lambda: list(cached_by(group=term.groups[5])),
        "group 6": lambda: list(cached_by(group=term.groups[6])),
        "place 0 4": lambda: list(cached_by(room=term.rooms[0], weekday=4)),
        "all": lambda: list(term.cached.all()),
    }


FORMS: dict[str, tuple[Callable[[Term], Any], set[str]]] = {
    "a model": (
        lambda term: invalidate(Lesson, using=term.alias),
        OF_5 | {"row 6", "group 6", "place 0 4", "all"},
    ),
    "an instance": (lambda term: invalidate(term.lessons[5], using=term.alias), OF_5 | {"all"}),
    "a key": (lambda term: invalidate(Lesson, pk=term.lessons[5].pk, using=term.alias), OF_5 | {"all"}),
    "a key as text": (lambda term: invalidate(Lesson, pk=str(term.lessons[5].pk), using=term.alias), OF_5 | {"all"}),
    "a key that no row has": (lambda term: invalidate(Lesson, pk=10**6, using=term.alias), {"all"}),
    "a value": (lambda term: invalidate(Lesson, group=term.groups[5].pk, using=term.alias), {"group 5", "all"}),
    "an instance's value": (
        lambda term: invalidate(Lesson, group=term.groups[5], using=term.alias),
        {"group 5", "all"},
    ),
    "a pair": (lambda term: invalidate(Lesson, weekday=4, room=term.rooms[0], using=term.alias), {"place 0 4", "all"}),
    "a unique value": (lambda term: invalidate(Lesson, slug="lesson-5", using=term.alias), {"slug 5", "all"}),
}


@pytest.mark.parametrize(("form", "ends"), FORMS.values(), ids=FORMS)
def test_every_form(term, ended, form, ends):
    """Each form of invalidate() ends exactly what depends on what it names."""
    answers = answers_of(term)
    ended(answers)
    form(term)
    assert ended(answers) == ends
    assert ended(answers) == set()


def test_what_the_toolkit_cannot_see(term, ended):
    """A row changed behind Django's back is the old one until invalidate() is told its key."""
    answers = answers_of(term)
    ended(answers)
    behind = connections[term.alias].execute_wrappers.pop(0)
    try:
        term.plain(Lesson).filter(pk=term.lessons[5].pk).update(title="new", group=term.groups[6])
    finally:
        connections[term.alias].execute_wrappers.insert(0, behind)
    assert answers["row 5"]().title == "Lesson 5"
    invalidate(Lesson, pk=term.lessons[5].pk, using=term.alias)
    assert ended(answers) == {"row 5", "slug 5", "group 6", "all"}
    assert answers["row 5"]().title == "new"
    assert answers["group 5"]() == [term.lessons[5]]
    invalidate(term.lessons[5], using=term.alias)
    assert answers["group 5"]() == []


def test_it_says_whether_redis_was_told(term, monkeypatch):
    """True if Redis was told, at once or of a mark; False if it is left to the outbox."""
    assert invalidate(Lesson, using=term.alias) is True
    with transaction.atomic(using=term.alias):
        assert invalidate(Lesson, using=term.alias) is True

    def refuse(*_: Any) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(transactions, "mark", refuse)
    with transaction.atomic(using=term.alias):
        assert invalidate(Lesson, using=term.alias) is False
    # Its end was heard.
    assert Outbox.objects.using(term.alias).count() == 0
    assert invalidate(Lesson, using=term.alias) is True
    monkeypatch.setattr(transactions, "unmark", refuse)
    assert invalidate(Lesson, using=term.alias) is False
    assert Outbox.objects.using(term.alias).count() == 1


def test_in_a_transaction(term, cost):
    """Inside a transaction answers are misses until its end for its own reader, and end again when it commits."""
    row = answers_of(term)["row 5"]
    row()
    with cost() as it, transaction.atomic(using=term.alias):
        invalidate(term.lessons[5], using=term.alias)
        row()
        row()
    assert it.outcomes == [("get", "bypass")] * 2
    with cost() as it:
        row()
        row()
    assert it.outcomes == [("get", "miss"), ("get", "hit")]


def test_in_a_transaction_that_is_rolled_back(term, cost):
    """The marks of a transaction that is rolled back go with it."""
    row = answers_of(term)["row 5"]
    with transaction.atomic(using=term.alias):
        invalidate(term.lessons[5], using=term.alias)
        transaction.set_rollback(True, using=term.alias)
    with cost() as it:
        row()
        row()
    assert it.outcomes == [("get", "miss"), ("get", "hit")]


def test_watchers_are_told(term):
    """invalidate() outside a transaction sends one signal with the stamps it dropped."""
    told = []

    def listen(stamps: tuple[str, ...], alias: str, **_: Any) -> None:
        told.append((alias, set(stamps)))

    cache_invalidated.connect(listen)
    try:
        invalidate(Lesson, group=5, using=term.alias)
    finally:
        cache_invalidated.disconnect(listen)
    stem = f"rt:s:{term.alias}:app_lesson"
    assert told == [(term.alias, {f"{stem}:*", f"{stem}:group_id=5"})]


def test_the_child_of_a_parent(alias, cost):
    """invalidate() of a child ends what depends on its parent's row too."""
    cafe = Cafe.objects.using(alias).create(name="Florian", stars=5)
    places = Place.cached.db_manager(alias)
    places.get(pk=cafe.pk)
    with cost() as it:
        invalidate(cafe, using=alias)
        places.get(pk=cafe.pk)
    assert it.outcomes == [("get", "miss")]


@pytest.mark.parametrize(
    ("by", "ends"),
    [
        ({"stars": 5}, {"stars 5", "name", "other name"}),
        ({"name": "Florian"}, {"stars 5", "stars 4", "name"}),
    ],
    ids=["the child's", "the parent's"],
)
def test_a_value_of_a_child_or_of_its_parent(alias, ended, by, ends):
    """A value declared in one of a child's two tables ends what depends on it there, and all of the other table."""
    cafes, places = Cafe.cached.db_manager(alias), Place.cached.db_manager(alias)
    answers = {
        "stars 5": lambda: list(cafes.filter(stars=5).values_list("stars")),
        "stars 4": lambda: list(cafes.filter(stars=4).values_list("stars")),
        "name": lambda: list(places.filter(name="Florian")),
        "other name": lambda: list(places.filter(name="Specchi")),
    }
    ended(answers)
    invalidate(Cafe, using=alias, **by)
    assert ended(answers) == ends


REFUSALS = {
    "not watched": (lambda: invalidate(Unwatched), "app.Unwatched is not watched, .* Give it a CacheManager"),
    "instance not watched": (lambda: invalidate(Unwatched(pk=1)), "name it in REDIS_TOOLKIT_WATCH"),
    "not declared": (lambda: invalidate(Lesson, title="a"), "not cached by title. Declare it in the CacheManager's"),
    "half a pair": (lambda: invalidate(Lesson, room=1), "or call invalidate\\(\\) with the model alone"),
    "no field": (lambda: invalidate(Lesson, nobody=1), "app.Lesson has no field 'nobody' to invalidate by"),
    "no column": (lambda: invalidate(Lesson, students=1), "not cached by students"),
    "two tables": (lambda: invalidate(Cafe, name="a", stars=5), "app.Cafe is not cached by name, stars"),
    "too much": (lambda: invalidate(Lesson, pk=1, group=1), "Lesson has no field 'pk' to invalidate by"),
}  # fmt: skip


@pytest.mark.parametrize(("ask", "cure"), REFUSALS.values(), ids=REFUSALS)
def test_what_would_silently_do_nothing(ask, cure):
    """What nothing depends on is refused, and the message names the cure."""
    with pytest.raises(Misconfigured, match=cure):
        ask()
