"""The page of one model or function: what it shows, what its buttons do, for whom, and within which bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import current_app
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache import cached
from redis_toolkit.core import keys
from redis_toolkit.core.clock import travel
from redis_toolkit.dashboard import deeds
from redis_toolkit.stats import flush
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Lesson
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

PAGE = "/admin/redis_toolkit/statistic/app.Lesson/change/"
OF_A_FUNCTION = "/admin/redis_toolkit/statistic/doubled/change/"


@cached(key="doubled", depends_on=[Lesson])
def doubled(number: int) -> int:
    """A function that is remembered."""
    return 2 * number


def lessons() -> Any:
    """What ``REDIS_TOOLKIT_WARM`` declares here: the lessons of each weekday."""
    for weekday in range(1, 6):
        yield Lesson.cached.filter(weekday=weekday)


@pytest.fixture
def term(transactional_db: None) -> Term:
    return Term("default")


@pytest.fixture
def seen(desk: Client, permit: Callable[..., None]) -> Callable[..., str]:
    """What a page says to who may see it."""
    permit("view_statistic")

    def show(page: str = PAGE) -> str:
        response = desk.get(page)
        assert response.status_code == 200
        return " ".join(response.content.decode().split())

    return show


@pytest.fixture
def press(desk: Client, permit: Callable[..., None]) -> Callable[..., list[str]]:
    """What is said to who presses a button and may."""
    permit("view_statistic", "change_statistic")

    def send(action: str, page: str = PAGE, name: str = "app.Lesson") -> list[str]:
        answer = desk.post(page, {"action": action, "name": name}, follow=True)
        assert answer.redirect_chain == [(page, 302)]
        return [str(each) for each in answer.context["messages"]]

    return send


def logged() -> list[tuple[str, str, str]]:
    """What stands in the admin's log."""
    return [(each.user.username, each.object_id or "", each.change_message) for each in LogEntry.objects.order_by("pk")]


def test_who_sees_it(desk: Client, permit: Callable[..., None], settings: Any) -> None:
    """Who may see statistics; without the other permission there is no button."""
    assert desk.get(PAGE).status_code == 403
    permit("view_statistic")
    assert "<form" not in desk.get(PAGE).content.decode().partition('id="content-main"')[2].partition("</footer>")[0]
    permit("change_statistic")
    text = desk.get(PAGE).content.decode()
    assert re.findall(r'name="action" value="(\w+)"', text) == ["invalidate", "warm", "verify"]
    settings.ROOT_URLCONF = "demo_project.urls"
    assert desk.get("/admin/redis_toolkit/statistic/app.Nothing/change/").status_code == 404
    assert desk.get("/admin/redis_toolkit/statistic/auth.User/change/").status_code == 404


def test_what_it_shows(seen: Callable[..., str], term: Term, counting: None) -> None:
    """Reads by kind, reasons, what ended entries, the entries that were read most and least."""
    for at in range(6):
        if at == 4:
            term.again(1).save()
        term.cached.get(pk=term.lessons[1].pk)
        term.cached.filter(weekday=2).count()
    for lesson in term.lessons[:3]:
        term.cached.get(pk=lesson.pk)
    for _ in range(30):
        doubled(7)
    flush()
    text = seen()
    number = r'<td class="number"><span class="narrow">[^<]*</span>'
    kinds = re.findall(
        rf'<th scope="row">([A-Z][^<]*)</th> {number}(\d+)</td> {number}(\d+)</td> {number}(\d+)</td>', text
    )
    assert kinds == [("Counts", "4", "2", "0"), ("One row", "5", "4", "0")]
    assert '<th scope="row">a write to the row</th><td class="number">1</td>' in text
    assert '<th scope="row">a write anywhere in the table</th><td class="number">1</td>' in text
    hottest = re.findall(
        r'<th scope="row">([^<]*)<span class="key">([^<]*)</span></th><td class="number">(\d+)</td></tr>', text
    )
    pk = term.lessons[1].pk
    assert hottest[0] == (f"id = {pk}", f"r:default:app.lesson:id={pk}", "7")
    assert ("a query", "6") in {(what, times) for what, _, times in hottest}
    coldest = text.partition('id="coldest"')[2]
    assert {f"id = {each.pk}" for each in term.lessons[:3]} == set(re.findall(r'row">(id = \d+)<', coldest))
    assert "<code>ttl</code> 10 min, <code>by</code> group, teacher, room + weekday" in text


def test_what_another_model_has_ended(seen: Callable[..., str], term: Term, counting: None) -> None:
    """It is told by its name, and is no reason to declare anything here."""
    asked = term.cached.filter(group=term.groups[1]).select_related("room")
    for _ in range(2):
        list(asked.all())
        term.rooms[1].save()
    list(asked.all())
    flush()
    assert '<th scope="row">app.Room: a write anywhere in the table</th><td class="number">2</td>' in seen()


def test_a_query_is_shown_by_its_conditions(
    seen: Callable[..., str], term: Term, counting: None, settings: Any
) -> None:
    """Where a transcript lies beside the answer: without the values that were asked for."""
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 1
    list(term.cached.filter(title="Lesson 7"))
    flush()
    text = seen()
    assert "title = %s" in text
    assert "Lesson 7" not in text


def test_the_page_of_a_function(seen: Callable[..., str], permit: Callable[..., None], counting: None) -> None:
    """The same, but its rows; its only button tells what else it ends."""
    doubled(2)
    doubled(2)
    flush()
    permit("change_statistic")
    text = seen(OF_A_FUNCTION)
    assert "Ended by writes to app.Lesson." in text
    assert "Rows left alone" not in text
    assert re.findall(r'name="action" value="(\w+)"', text) == ["invalidate"]
    assert '<th scope="row">Calls</th>' in text


def test_what_it_costs(
    seen: Callable[..., str], term: Term, counting: None, trips: Callable[[Callable[[], Any]], int], settings: Any
) -> None:
    """Three round trips on the connection of all, and no query beside the admin's own."""
    settings.REDIS_TOOLKIT_VERIFY_SAMPLE = 1
    for _ in range(3):
        list(term.cached.filter(weekday=2))
    flush()
    assert trips(seen) == 3
    with CaptureQueriesContext(connection) as queries:
        seen()
    assert len(queries) <= 5


def test_a_day_is_not_summed_up_for_each_look(
    seen: Callable[..., str], term: Term, counting: None, trips: Callable[[Callable[[], Any]], int]
) -> None:
    """What was read most in twenty-four hours is good for a minute; of the last hour it is as it is now."""

    def times(span: str) -> str:
        table = seen(f"{PAGE}?span={span}").partition('id="rtk-hottest"')[2]
        return re.findall(r'<td class="number">(\d+)</td>', table)[0]

    def read() -> None:
        term.cached.get(pk=term.lessons[0].pk)
        flush()

    read()
    assert [times(span) for span in ("hour", "day", "month")] == ["1", "1", "1"]
    read()
    assert [times(span) for span in ("hour", "day", "month")] == ["2", "1", "1"]
    assert [trips(lambda: seen(f"{PAGE}?span=hour")), trips(lambda: seen(f"{PAGE}?span=day"))] == [2, 1]
    with travel(61):
        assert [times(span) for span in ("day", "month")] == ["2", "2"]


def test_redis_is_away(seen: Callable[..., str], counting: None, valkey: ValkeyServer, press: Any) -> None:
    """The page is there and says what is the matter; buttons tell it, and what was not done is not logged."""
    valkey.kill()
    text = seen()
    assert "errornote" in text
    assert text.count("Not known") == 5
    assert "Nothing was read" not in text
    assert all("Redis" in said for action in ("warm", "verify") for said in press(action))
    assert logged() == []
    valkey.start()


def test_invalidate(press: Callable[..., list[str]], term: Term) -> None:
    """What depends on the model is a miss, and who did it is logged."""
    asked = term.cached.filter(weekday=2)
    list(asked.all())
    assert press("invalidate") == ["Invalidated (app.Lesson)."]
    with CaptureQueriesContext(connection) as queries:
        list(asked.all())
    assert len(queries) == 1
    assert logged() == [("desk", "app.Lesson", "invalidated")]


def test_invalidate_what_ends_a_function(press: Callable[..., list[str]], term: Term) -> None:
    """A function's results end with the models it depends on, which is said."""
    done = "invalidated, with all that depends on app.Lesson"
    assert press("invalidate", OF_A_FUNCTION, "doubled") == [
        "Invalidated, with all that depends on app.Lesson (doubled)."
    ]
    assert logged() == [("desk", "doubled", done)]


def test_invalidate_while_redis_is_away(
    press: Callable[..., list[str]], term: Term, valkey: ValkeyServer, settings: Any
) -> None:
    """The outbox has it then, which is said."""
    valkey.kill()
    [said] = press("invalidate")
    assert "Whoever drains the outbox tells it" in said
    valkey.start()


def test_warm_the_rows(press: Callable[..., list[str]], term: Term, counting: None) -> None:
    """All ten, after which each is a hit."""
    assert press("warm") == ["10 answers warmed (app.Lesson)."]
    with CaptureQueriesContext(connection) as queries:
        assert [term.cached.get(pk=each.pk).pk for each in term.lessons] == [each.pk for each in term.lessons]
    assert len(queries) == 0
    assert logged() == [("desk", "app.Lesson", "10 answers warmed")]


def test_warm_what_is_declared(press: Callable[..., list[str]], term: Term, settings: Any) -> None:
    """Five lists, and no rows by key."""
    settings.REDIS_TOOLKIT_WARM = [f"{__name__}.lessons", "tests.warming.nothing"]
    assert press("warm") == ["5 answers warmed (app.Lesson)."]
    with CaptureQueriesContext(connection) as queries:
        assert len(list(Lesson.cached.filter(weekday=2))) == 2
    assert len(queries) == 0


def test_warm_no_more_than_a_request_may(
    press: Callable[..., list[str]], term: Term, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three answers, and when the time is over, it stops, and says what does the rest."""
    settings.REDIS_TOOLKIT_WARM = [f"{__name__}.lessons"]
    monkeypatch.setattr(deeds, "ROWS", 3)
    assert press("warm") == [
        "3 answers warmed (app.Lesson). That is as much as one request does: manage.py redis_warm does the rest."
    ]
    monkeypatch.setattr(deeds, "SECONDS", 0.0)
    assert press("warm")[0].startswith("1 answer warmed (app.Lesson). That is as much")


ORDERS: list[tuple[list[str], list[str]]] = []


def order(names: list[str], models: list[str]) -> None:
    """A worker's post box."""
    ORDERS.append((names, models))


def test_warm_by_a_worker(press: Callable[..., list[str]], term: Term, settings: Any) -> None:
    """Who is told what; a path that leads nowhere is told, and not logged."""
    ORDERS.clear()
    settings.REDIS_TOOLKIT_WARMER = f"{__name__}.order"
    assert press("warm") == ["Given to a worker to be warmed (app.Lesson)."]
    settings.REDIS_TOOLKIT_WARM = [f"{__name__}.lessons"]
    press("warm")
    assert [([], ["app.Lesson"]), ([f"{__name__}.lessons"], [])] == ORDERS
    settings.REDIS_TOOLKIT_WARMER = "tests.nowhere.order"
    assert "which cannot be imported" in press("warm")[0]
    assert len(logged()) == 2


def lose(names: list[str], models: list[str]) -> None:
    """A broker that is away, and says where it was."""
    raise OSError("amqp://worker:hunter2@broker:5672 refused the connection")


def test_warm_by_a_worker_who_cannot_be_told(
    press: Callable[..., list[str]], term: Term, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The page is there and says so, without what the broker has said, which is for the log; it was not done."""
    settings.REDIS_TOOLKIT_WARMER = f"{__name__}.lose"
    assert press("warm") == [f"{__name__}.lose raised OSError, which the log explains."]
    assert logged() == []
    [told] = [each for each in caplog.records if each.name == "redis_toolkit.dashboard"]
    assert "hunter2" in caplog.text
    assert told.levelname == "ERROR"


@pytest.fixture
def eager() -> Iterator[None]:
    """Celery runs tasks where they are sent."""
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def test_warm_by_celery(press: Callable[..., list[str]], term: Term, settings: Any, eager: None) -> None:
    """``send_warm`` sends the task, which fills all ten rows: here in this process."""
    settings.REDIS_TOOLKIT_WARMER = "redis_toolkit.tasks.send_warm"
    assert press("warm") == ["Given to a worker to be warmed (app.Lesson)."]
    with CaptureQueriesContext(connection) as queries:
        assert len([term.cached.get(pk=each.pk) for each in term.lessons]) == 10
    assert len(queries) == 0


def test_verify(press: Callable[..., list[str]], term: Term, redis_client: Any, counting: None) -> None:
    """Ten entries as they should be; one whose row was changed unseen is found, and which column of it, but no value."""
    press("warm")
    assert press("verify") == ["10 entries compared: 10 equal (app.Lesson)."]
    raw = connection.connection.cursor()
    raw.execute("UPDATE app_lesson SET title = 'Unseen' WHERE id = ?", [term.lessons[1].pk])
    connection.connection.commit()
    found = press("verify")
    assert found[0] == "10 entries compared: 9 equal, 1 different (app.Lesson)."
    key = keys.make("r", "default", "app.lesson", f"id={term.lessons[1].pk}")
    assert found[1].startswith(f"{key} differs in ")
    assert "title" in found[1]
    assert "Unseen" not in found[1]
    assert logged()[-1] == ("desk", "app.Lesson", "10 entries compared: 9 equal, 1 different")


def test_verify_no_more_than_a_request_may(
    press: Callable[..., list[str]], term: Term, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample of four; and none when the time is over."""
    press("warm")
    monkeypatch.setattr(deeds, "SAMPLE", 4)
    assert press("verify") == ["4 entries compared: 4 equal (app.Lesson)."]
    monkeypatch.setattr(deeds, "SECONDS", 0.0)
    assert press("verify") == ["0 entries compared (app.Lesson)."]


@pytest.mark.parametrize(
    ("permissions", "asked", "says"),
    [
        (["view_statistic"], {"action": "invalidate"}, "You are not allowed to do this."),
        (["view_statistic", "change_statistic"], {"action": "purge"}, "This cannot be done."),
        (["view_statistic", "change_statistic"], {"name": "auth.User"}, "This cannot be done."),
        (["view_statistic", "change_statistic"], {"action": "warm", "name": "doubled"}, "This cannot be done."),
    ],
)
def test_what_is_refused(
    desk: Client, permit: Callable[..., None], permissions: list[str], asked: dict[str, str], says: str
) -> None:
    """Without the permission, and what no form of ours sends: said, not done, not logged."""
    permit(*permissions)
    given = {"action": "invalidate", "name": "app.Lesson"} | asked
    assert [str(each) for each in desk.post(PAGE, given, follow=True).context["messages"]] == [says]
    assert logged() == []


def test_forged_posts_are_refused(staff: User, permit: Callable[..., None]) -> None:
    """Without the token of the form nothing is done."""
    permit("view_statistic", "change_statistic")
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    assert client.post(PAGE, {"action": "invalidate", "name": "app.Lesson"}).status_code == 403


def test_in_a_project_of_atomic_requests(press: Callable[..., list[str]], term: Term, monkeypatch: Any) -> None:
    """The buttons work there too: in a transaction nothing could be filled, nor compared."""
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    assert press("warm") == ["10 answers warmed (app.Lesson)."]
    assert press("verify") == ["10 entries compared: 10 equal (app.Lesson)."]
