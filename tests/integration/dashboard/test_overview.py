"""The page of the cache: who sees it, what it shows of what was really read, what it costs, and without Redis."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from redis_toolkit.cache.databases import each_once
from redis_toolkit.models import Outbox
from redis_toolkit.stats import flush
from redis_toolkit.testing import ValkeyServer
from tests.integration.cache.term import Term

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

PAGE = "/admin/redis_toolkit/statistic/"


@pytest.fixture
def seen(desk: Client, permit: Callable[..., None]) -> Callable[..., str]:
    """What the page says to who may see it; of the writes that made the database, without Redis, nothing waits."""
    permit("view_statistic")
    for alias in each_once(None):
        Outbox.objects.using(alias).all().delete()

    def show(query: str = "") -> str:
        response = desk.get(PAGE + query)
        assert response.status_code == 200
        return " ".join(response.content.decode().split())

    return show


def tiles(text: str) -> dict[str, str]:
    """The numbers at the head, by name."""
    return dict(re.findall(r"<dt>([^<]+)</dt><dd><b>([^<]+)</b>", text))


def lines(text: str) -> dict[str, list[str]]:
    """The table of what is cached: what stands in the columns of each line."""
    table = text.partition('aria-labelledby="subjects"')[2].partition("</table>")[0]
    return {
        row[0]: re.findall(r'<td class="number"><span class="narrow">[^<]*</span>([^<]*)</td>', row[1])
        for row in re.findall(r'<a href="[^"]*">([^<]+)</a>(.*?)</tr>', table)
    }


def read(term: Term) -> None:
    """Of ten reads of one lesson the first and the one after a write are misses; a list is read three times."""
    for at in range(10):
        if at == 5:
            term.again(0).save()
        term.cached.get(pk=term.lessons[0].pk)
    for _ in range(3):
        list(term.cached.filter(group=term.groups[1]))
    flush()


def test_who_sees_it(desk: Client, permit: Callable[..., None]) -> None:
    """Staff with the permission, and nobody else; what stands in the admin's index follows."""
    assert desk.get(PAGE).status_code == 403
    assert PAGE not in desk.get("/admin/").content.decode()
    permit("view_statistic")
    assert desk.get(PAGE).status_code == 200
    assert PAGE in desk.get("/admin/").content.decode()
    assert Client().get(PAGE).status_code == 302


def test_what_it_shows(seen: Callable[..., str], counting: None) -> None:
    """Thirteen reads, ten hits, two writes (the first made the lessons): in the tiles, in the table, in the charts' figures, and why not more."""
    read(Term("default"))
    text = seen()
    found = tiles(text)
    assert (found["Hit ratio"], found["Database queries saved"]) == ("76 %", "10")
    assert (found["Breaker"], found["Outbox"], found["Statistics dropped"]) == ("closed", "0", "0")
    assert found["Redis answers in"].endswith(" ms")
    reads, ratio, queries, _, writes = lines(text)["app.Lesson"]
    assert (reads, ratio, queries, writes) == ("13", "76 %", "10", "2")
    assert lines(text)["app.Badge"][:2] == ["0", "\N{EN DASH}"]
    assert '<th scope="row">A write has ended it.</th><td class="number">1</td>' in text
    assert 'the end of its ttl, an eviction.</th><td class="number">2</td>' in text
    assert '<td class="number">10</td><td class="number">3</td><td class="number">0</td>' in text
    assert text.count('<svg xmlns="http://www.w3.org/2000/svg" class="chart"') == 3
    assert 'href="app.Lesson/change/?span=hour"' in text


@pytest.mark.parametrize(("span", "rows"), [("hour", 60), ("day", 24), ("month", 30), ("year", 60)])
def test_spans(seen: Callable[..., str], counting: None, span: str, rows: int) -> None:
    """An hour by minutes, a day by hours, a month by days; of another name the hour."""
    read(Term("default"))
    text = seen(f"?span={span}")
    assert text.partition("Figures")[2].partition("</table>")[0].count('<th scope="row">') == rows
    assert tiles(text)["Hit ratio"] == "76 %"
    assert text.count('aria-current="true"') == 1


def test_nothing_was_counted(seen: Callable[..., str], settings: Any) -> None:
    """An empty page says so, and a page of a project that counts nothing says why."""
    text = seen()
    assert tiles(text)["Hit ratio"] == "\N{EN DASH}"
    assert text.count("Nothing yet.") == 5
    assert "REDIS_TOOLKIT_STATS is False: nothing is counted." in text
    settings.REDIS_TOOLKIT_STATS = True
    assert "nothing is counted" not in seen()


def test_advice_is_shown(seen: Callable[..., str], counting: None) -> None:
    """With its cure, as a list, and beside the model in the table."""
    term = Term("default")
    for _ in range(25):
        term.again(0).save()
        list(term.cached.filter(weekday=2))
    flush()
    text = seen()
    said = "<code>Lesson</code>: declare <code>by=[&quot;weekday&quot;]</code>: 96 % of misses come from <code>*</code>"
    assert text.count(said) == 2
    assert "A write then ends only the answers about the values" in text


def test_the_health_is_told_to_who_may_see_it(
    seen: Callable[..., str], permit: Callable[..., None], settings: Any, counting: None
) -> None:
    """The doctor's warnings, with a link to the page that says what to do."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = True
    assert "Health of the servers" not in seen()
    permit("view_server")
    text = seen()
    assert "<h2>Health of the servers</h2>" in text
    assert '<a href="/admin/redis_toolkit/server/">What to do about it</a>' in text


def test_redis_is_away(
    seen: Callable[..., str], counting: None, valkey: ValkeyServer, permit: Callable[..., None]
) -> None:
    """The page is there, says what is the matter, and knows of nothing that Redis would have to say."""
    read(Term("default"))
    assert tiles(seen())["Hit ratio"] == "76 %"
    permit("view_server")
    valkey.kill()
    text = seen()
    assert "did not answer" in text or "breaker" in text.lower()
    found = tiles(text)
    unknown = ["Hit ratio", "Database queries saved", "Time saved", "Memory", "Evicted keys", "Redis answers in"]
    assert [found[name] for name in [*unknown, "Statistics dropped"]] == ["not known"] * 7
    assert found["Outbox"] == "0"
    assert text.count("Not known.") == 2
    valkey.start()


def test_writes_that_wait_in_the_outbox(seen: Callable[..., str], counting: None) -> None:
    """They are counted."""
    Outbox.objects.create(writer="ab" * 12, stem="rt:s:default:app_lesson", names='[""]', written=0.0)
    assert tiles(seen())["Outbox"] == "1"


def test_what_it_costs(
    seen: Callable[..., str], counting: None, trips: Callable[[Callable[[], Any]], int], permit: Callable[..., None]
) -> None:
    """Three round trips, whatever there is to be shown, the doctor's aside; and one query beside the admin's own."""
    read(Term("default"))
    assert trips(seen) == 3
    permit("view_server")
    seen()
    assert trips(seen) == 3
    with CaptureQueriesContext(connection) as queries:
        seen()
    assert [query["sql"] for query in queries if "redis_toolkit_outbox" in query["sql"]].__len__() == 1
    assert len(queries) <= 6


def test_it_keeps_to_the_policy(seen: Callable[..., str], counting: None) -> None:
    """No style and no script in the page, nothing from elsewhere; what is brought up to date has an id."""
    read(Term("default"))
    text = seen().partition('<div id="content-main"')[2].partition("</footer>")[0]
    assert (
        re.findall(r"<(?:script|style)\b|\sstyle=|\son[a-z]+=|javascript:|https?://(?!www\.w3\.org/2000/svg)", text)
        == []
    )
    assert re.findall(r"<\w+ (?!id=|[^>]* id=)[^>]*data-live", text) == []
    assert text.count("data-live") == 6


def test_forms_do_nothing_here(desk: Client, permit: Callable[..., None], staff: User) -> None:
    """What no button of ours sends is refused."""
    permit("view_statistic", "change_statistic")
    answer = desk.post(PAGE, {"action": "flush", "name": "app.Lesson"}, follow=True)
    assert [str(each) for each in answer.context["messages"]] == ["This cannot be done."]
