"""The throttles' page: what was decided over time, by which throttle, and what it costs. Bans are tested beside throttles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from redis_toolkit import stats
from redis_toolkit.stats import offenders
from redis_toolkit.throttling import Ban, Throttle, checking

pytestmark = pytest.mark.django_db
PAGE = "/admin/redis_toolkit/ban/"


@pytest.fixture(autouse=True)
def rules(settings: Any) -> Iterator[None]:
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "100/m", "key": "ip"}}
    settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = True
    checking.forget()
    yield
    checking.forget()


def shown(client: Client, query: str = "") -> str:
    response = client.get(PAGE + query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def decide() -> None:
    """Two are allowed and five denied by ``view``; one is told by a shadow."""
    throttle = Throttle("view", "2/h")
    assert [bool(throttle.hit("ip", "203.0.113.5")) for _ in range(7)].count(True) == 2
    quiet = Throttle("quiet", "1/h", shadow=True)
    assert [bool(quiet.hit("ip", "203.0.113.6")) for _ in range(2)] == [True, True]
    stats.flush()


def row(page: str, name: str) -> list[str]:
    [found] = re.findall(rf'<tr><th scope="row">{name}</th>((?:<td class="number">[^<]*</td>)+)</tr>', page)
    return re.findall(r">([^<]*)</td>", found)


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("span", ["", "?span=hour", "?span=day", "?span=month", "?span=century"])
def test_what_was_decided(desk: Client, permit: Callable[..., None], span: str) -> None:
    """By each throttle, those of views too, allowed, denied, the share, shadows; rules that decided nothing too."""
    permit("view_ban")
    decide()
    page = shown(desk, span)
    assert row(page, "view") == ["2", "5", "71.4 %", "0", "0"]
    assert row(page, "quiet") == ["1", "0", "0.0 %", "1", "0"]
    assert row(page, "site") == ["0", "0", "", "0", "0"]
    assert "<svg" in page
    title = {"?span=day": "the last day", "?span=month": "the last 30 days"}.get(span, "the last hour")
    assert f"Decided in {title}</h2>" in page
    assert re.findall(r'aria-current="true">([^<]*)</a>', page) == [title.capitalize()]


@pytest.mark.usefixtures("counting")
def test_the_chart_has_the_figures(desk: Client, permit: Callable[..., None]) -> None:
    """Also as a table, for who does not see it: sixty minutes, of which the last have what was decided."""
    permit("view_ban")
    decide()
    chart = desk.get(PAGE).context["chart"]
    assert [sum(each.values) for each in chart.series] == [3, 5, 1]
    assert len(chart.labels) == len(chart.rows) == 60
    assert all(re.fullmatch(r"\d\d:\d\d", each) for each in chart.labels)


def test_nothing_is_counted(desk: Client, permit: Callable[..., None]) -> None:
    """Then that is what it says, and shows no row of noughts."""
    permit("view_ban")
    page = shown(desk)
    assert "Not counted: REDIS_TOOLKIT_STATS is False." in page
    assert desk.get(PAGE).context.get("decided") is None


@pytest.mark.usefixtures("counting")
def test_round_trips(desk: Client, permit: Callable[..., None], trips: Callable[[Callable[[], Any]], int]) -> None:
    """Four, however many are banned and denied: the list of bans and who these are, who is denied, what was decided."""
    permit("view_ban", "add_ban", "delete_ban")
    decide()
    for last in range(20):
        Throttle("site", "1/h", ban=Ban(length=600)).ban("ip", f"198.51.100.{last}")
    stats.flush()
    offenders.top()
    assert trips(lambda: desk.get(PAGE)) == 4
    assert len(desk.get(PAGE).context["bans"]) == 20


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("permissions", [("view_ban",), ("view_ban", "delete_ban")])
def test_hostile_names(desk: Client, permit: Callable[..., None], permissions: tuple[str, ...]) -> None:
    """Names of throttles and clients are text, whatever they look like."""
    permit(*permissions)
    throttle = Throttle("<script>alert(1)</script>", "1/h")
    for _ in range(2):
        throttle.hit("path", "<img src=x onerror=alert(2)>")
    stats.flush()
    page = shown(desk)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.mark.usefixtures("counting")
def test_nothing_is_run_or_styled_inline(desk: Client, permit: Callable[..., None]) -> None:
    """A strict Content-Security-Policy lets the page be: no script, style or handler of ours stands in it."""
    permit("view_ban", "delete_ban", "add_ban")
    decide()
    content = shown(desk).partition('id="content-main"')[2]
    assert re.findall(r"<script(?! src=)|<style|\sstyle=|\son\w+=", content) == []


@pytest.mark.parametrize(("permission", "sees"), [("add_ban", True), ("delete_ban", True), (None, False)])
def test_who_sees_who_they_are(desk: Client, permit: Callable[..., None], permission: str | None, sees: bool) -> None:
    """Who may begin a ban, and who may end one; not who may only look."""
    permit(*filter(None, ("view_ban", permission)))
    throttle = Throttle("site", "1/h")
    assert [bool(throttle.hit("ip", "203.0.113.5")) for _ in range(2)] == [True, False]
    assert ("ip 203.0.113.5" in shown(desk)) is sees
