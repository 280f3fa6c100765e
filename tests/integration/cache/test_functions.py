"""Functions that are ``cached``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import router, transaction

from redis_toolkit.cache import cached, invalidate
from redis_toolkit.exceptions import Misconfigured
from tests.app.models import Badge, Cafe, Group, Lesson, Place, Teacher, Unwatched

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


class Calls:
    """Counts how often a function was really called."""

    def __init__(self) -> None:
        self.made: list[Any] = []

    def remember(self, **options: Any) -> Callable[..., Any]:
        @cached(**{"depends_on": [Lesson], "key": "load", **options})
        def load(group: int, *more: Any, order: str = "period", **rest: Any) -> Any:
            self.made.append((group, more, order, rest))
            lessons = Lesson.objects.filter(group=group).order_by(order)
            return {"group": group, "titles": [each.title for each in lessons]}

        return load


@pytest.fixture
def alias():
    """Functions are answered for the one database that writes go to."""
    return "default"


@pytest.fixture
def calls():
    """Counts."""
    return Calls()


def test_one_entry_for_each_set_of_arguments(term, calls, cost):
    """Ways to write one call are one entry; other arguments are another."""
    load = calls.remember()
    with cost() as it:
        answers = [load(5), load(group=5), load(5, order="period")]
    assert answers == [{"group": 5, "titles": answers[0]["titles"]}] * 3
    assert it.outcomes == [("value", "miss"), ("value", "hit"), ("value", "hit")]
    load(6), load(5, order="pk"), load(5, 1), load(5, extra=1), load("5"), load(True)
    assert len(calls.made) == 7
    load(6), load(5, order="pk"), load(5, 1), load(5, extra=1), load("5"), load(True)
    assert len(calls.made) == 7


def test_answers_are_nobody_elses(term, calls):
    """Changing an answer in place changes no later one."""
    load = calls.remember()
    key = term.groups[5].pk
    load(key)["titles"].append("x")
    load(key)["titles"].append("y")
    assert load(key) == {"group": key, "titles": ["Lesson 5"]}
    assert len(calls.made) == 1


def test_any_write_to_a_model_ends_them(term, calls):
    """A row created, saved, updated or deleted ends all results that depend on its model, and one of others none."""
    load = calls.remember(depends_on=[Lesson, Teacher])
    key = term.groups[5].pk
    writes = [
        lambda: term.lesson(15).save(),
        term.again(5).save,
        lambda: Lesson.objects.filter(title="Lesson 5").update(title="new"),
        term.teachers[0].save,
        lambda: term.again(6).delete(),
        lambda: invalidate(Lesson),
        lambda: invalidate(Lesson, group=5),
    ]
    load(key)
    for times, write in enumerate(writes, 1):
        load(key)
        assert len(calls.made) == times
        write()
        load(key)
    assert len(calls.made) == 8
    term.groups[5].save()
    assert load(key) == {"group": key, "titles": ["new", "Lesson 15"]}
    assert len(calls.made) == 8


def test_a_parent_counts_too(calls, cost):
    """What depends on a child ends when the parent's table is written."""
    load = calls.remember(depends_on=[Cafe])
    place = Place.objects.create(name="Pier")
    load(1)
    place.save()
    load(1)
    assert len(calls.made) == 2


def test_within_the_transaction_that_writes(term, calls):
    """A transaction that wrote the model is answered by the function, and what it sees is stored for nobody."""
    load = calls.remember()
    key = term.groups[5].pk
    load(key)
    with transaction.atomic():
        Lesson.objects.filter(group=key).update(title="new")
        assert load(key)["titles"] == load(key)["titles"] == ["new"]
        transaction.set_rollback(True)
    assert load(key)["titles"] == ["Lesson 5"]
    assert len(calls.made) == 4


def test_results_live_as_long_as_told(term, calls, settings, redis_client):
    """``ttl`` in seconds or as a timedelta bounds the life of an entry; without it the setting does."""
    settings.REDIS_TOOLKIT_TTL_JITTER = 0
    settings.REDIS_TOOLKIT_CACHE_TTL = 500
    for ttl, seconds in ((7, 7), (timedelta(minutes=2), 120), (None, 500)):
        calls.remember(ttl=ttl)(1)
        (key,) = redis_client.keys("rt:f:*")
        assert seconds * 1000 - 5000 < redis_client.pttl(key) <= seconds * 1000
        redis_client.delete(key)


@pytest.mark.parametrize("ttl", [0, -1, timedelta()])
def test_a_life_must_be_positive(calls, ttl):
    """A ttl of nothing is refused at once."""
    with pytest.raises(ValueError, match="A ttl is a positive number of seconds or a timedelta"):
        calls.remember(ttl=ttl)


def test_names_keep_functions_apart(term):
    """Two functions share no entry where their keys differ, and share it where they do not."""

    def made(answer: int, key: str) -> Callable[[], int]:
        @cached(depends_on=[Group], key=key)
        def load() -> int:
            return answer

        return load

    assert (made(1, "one")(), made(2, "two")(), made(3, "one")()) == (1, 2, 1)


def test_a_function_whose_name_does_not_tell_it_from_others():
    """A lambda, or a function that uses variables around it, is refused without a key."""
    outside = object()
    for function in (lambda: 1, lambda: outside):
        with pytest.raises(Misconfigured, match="needs a key: it is a lambda or uses variables around it"):
            cached(depends_on=[Group])(function)


def test_none_is_a_result(term, cost):
    """A function that returns None is called once."""

    @cached(depends_on=[Lesson])
    def nothing() -> None:
        """Nothing at all."""

    with cost() as it:
        assert (nothing(), nothing()) == (None, None)
    assert it.outcomes == [("value", "miss"), ("value", "hit")]
    assert (nothing.__name__, nothing.__doc__) == ("nothing", "Nothing at all.")


def test_an_error_is_no_result(term, cost):
    """What a function raises reaches the caller each time, and nothing is stored."""
    times = []

    @cached(depends_on=[Lesson], key="load")
    def fail() -> None:
        times.append(1)
        raise LookupError("no")

    for _ in range(2):
        with pytest.raises(LookupError, match="no"):
            fail()
    assert len(times) == 2


def test_arguments_that_are_no_plain_values(term, calls, cost, redis_client):
    """With an argument that is no plain value the function is called each time."""
    load = calls.remember()
    thing = object()
    with cost() as it:
        load(1, thing)
        load(1, thing)
    assert len(calls.made) == 2
    assert (it.outcomes, it.failures) == ([("value", "bypass")] * 2, [])
    assert redis_client.keys("rt:f:*") == []


def test_results_that_are_no_plain_values(term, cost, caplog):
    """A result that cannot be stored reaches the caller, with a warning, and the function is called each time."""
    times = []

    @cached(depends_on=[Lesson], key="load")
    def load() -> Any:
        times.append(1)
        return Badge(label="red")

    with cost() as it:
        assert [load().label, load().label] == ["red", "red"]
    assert len(times) == 2
    assert it.outcomes == [("value", "miss")] * 2
    assert [during for during, _ in it.failures] == ["store"] * 2
    assert caplog.messages[0].startswith("An answer was not cached: A value of type tests.app.models.school.Badge")


def test_wrong_arguments(term, calls):
    """A call that the function would not take is Python's own error."""
    with pytest.raises(TypeError, match="missing a required argument: 'group'"):
        calls.remember()()


def test_a_function_must_depend_on_something():
    """No model at all is refused where the function is defined."""
    with pytest.raises(Misconfigured, match="@cached needs at least one model in depends_on"):
        cached(depends_on=[])


def test_a_function_must_depend_on_what_is_watched(calls):
    """A model that nobody watches is refused at the first call, and the message names the cure."""
    load = calls.remember(depends_on=[Lesson, Unwatched])
    with pytest.raises(
        Misconfigured, match=r"depends on app\.Unwatched, which is not watched\. Give it a CacheManager"
    ):
        load(1)
    assert calls.made == []


class Apart:
    """Sends teachers to a database of their own."""

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "postgres" if model is Teacher else None


def test_a_function_must_depend_on_one_database(calls, monkeypatch):
    """Models of two databases are refused at the first call: a write on the second would end nothing."""
    monkeypatch.setattr(router, "routers", [Apart()])
    load = calls.remember(depends_on=[Lesson, Teacher])
    with pytest.raises(Misconfigured, match=r"depends on app\.Lesson and app\.Teacher, which live on two databases"):
        load(1)
    assert calls.made == []


def test_two_ways_more(term, calls, cost):
    """``nocache`` calls the function and stores nothing; ``refresh`` calls it and stores its result."""
    load = calls.remember()
    with cost() as it:
        load.nocache(5), load(5), load.refresh(5), load(5)
    assert len(calls.made) == 3
    assert it.outcomes == [("value", "miss"), ("value", "miss"), ("value", "hit")]
    thing = object()
    load.refresh(5, thing), load.nocache(5, thing)
    assert len(calls.made) == 5


def test_models_may_be_named(term, calls):
    """A model named as ``app.Model`` is looked up at the first call, and its writes end results."""
    load = calls.remember(depends_on=["app.Lesson", Teacher])
    load(5), load(5)
    term.again(5).save()
    load(5), load(5)
    assert len(calls.made) == 2


@pytest.mark.parametrize("name", ["app.Nobody", "nowhere.Lesson", "Lesson", ""])
def test_a_name_must_be_a_models(calls, name):
    """A name that is no model's is refused at the first call."""
    load = calls.remember(depends_on=[Lesson, name])
    with pytest.raises(Misconfigured, match=f"@cached load depends on '{name}', which is no model"):
        load(5)
    assert calls.made == []


def test_names_stand_in_a_list(calls):
    """A single name or model instead of a list is refused at once, and the message shows the list."""
    for wrong, shown in (("app.Lesson", r"\['app\.Lesson'\]"), (Lesson, r"\[Lesson\]")):
        with pytest.raises(Misconfigured, match=f"depends_on is a list of models: depends_on={shown}"):
            cached(depends_on=wrong)


def test_a_stop_of_iteration_is_an_error_like_any_other(term):
    """A function that raises StopIteration raises it to the caller, who does not take it for an answer."""

    @cached(depends_on=[Lesson], key="stop")
    def stop() -> None:
        raise StopIteration(5)

    for _ in range(2):
        with pytest.raises(StopIteration):
            stop()


class Plan:
    """Has functions that may be remembered and some that may not."""

    def of(self, group: int) -> int:
        return group

    @classmethod
    def made(cls, group: int) -> int:
        return group

    @staticmethod
    @cached(depends_on=["app.Lesson"])
    def plain(group: int) -> int:
        return group


def test_methods_are_refused(term, cost):
    """A method is refused where it is decorated, for no result is remembered by an instance; a static method is not."""
    for method, first in ((Plan.of, "self"), (Plan.made.__func__, "cls")):
        with pytest.raises(Misconfigured, match=f"is a method: {first} is no plain value"):
            cached(depends_on=[Lesson])(method)
    with cost() as it:
        assert (Plan.plain(1), Plan().plain(1)) == (1, 1)
    assert it.outcomes == [("value", "miss"), ("value", "hit")]


def test_generators_are_refused():
    """A generator, awaited or not, is refused where it is decorated."""

    def numbers():
        yield 1

    async def awaited_numbers():
        yield 1

    for function in (numbers, awaited_numbers):
        with pytest.raises(Misconfigured, match="is a generator: what it yields is gone once it is read"):
            cached(depends_on=[Lesson])(function)
