"""The page of one-time codes: numbers by purpose and outcome, limits, and nothing of whose codes they were."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from redis_toolkit import stats
from redis_toolkit.otp import CodeRefused, MagicLink, OneTimeCode
from redis_toolkit.testing import ValkeyServer

pytestmark = pytest.mark.django_db
PAGE = "/admin/redis_toolkit/codecount/"


def shown(client: Client, query: str = "") -> str:
    response = client.get(PAGE + query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def row(client: Client, name: str) -> list[str]:
    [found] = [each for each in client.get(PAGE).context["purposes"] if each.name == name]
    return [*found.counts, found.good]


@pytest.fixture
def code() -> OneTimeCode:
    """A purpose of these tests, as long as they have it in hand."""
    return OneTimeCode("checkout", ttl=120, attempts=2, cooldown=0, sends="3/h", sends_per_ip=None, lockout=[(2, 600)])


def test_who_sees_it(desk: Client, permit: Callable[..., None]) -> None:
    """Staff with the permission; there are no rows and nothing to do."""
    assert desk.get(PAGE).status_code == 403
    assert PAGE not in desk.get("/admin/").content.decode()
    permit("view_codecount")
    assert desk.get(PAGE).status_code == 200
    assert PAGE in desk.get("/admin/").content.decode()
    assert Client().get(PAGE).status_code == 302
    assert [desk.get(PAGE + way).status_code for way in ("add/", "1/delete/", "1/history/", "1/change/")] == [
        403, 403, 403, 302,
    ]  # fmt: skip
    assert "<form" not in shown(desk).partition('id="content-main"')[2].partition("</footer>")[0]


def test_nothing_is_posted(desk: Client, permit: Callable[..., None]) -> None:
    """The page has no button; what is sent to it is refused in words."""
    permit("view_codecount")
    told = desk.post(PAGE, {"action": "unlock"}, follow=True).context["messages"]
    assert [str(each) for each in told] == ["This cannot be done."]


@pytest.mark.usefixtures("counting")
def test_what_became_of_codes(desk: Client, permit: Callable[..., None], code: OneTimeCode) -> None:
    """Issued, resent, refused; verified, wrong, expired, used before, locked; and the share of those sent."""
    permit("view_codecount")
    first = code.issue("ada@example.com")
    again = code.issue("ada@example.com", challenge=first.challenge)
    assert again.code is not None
    assert code.verify(again.challenge, again.code)
    assert not code.verify(again.challenge, again.code)
    other = code.issue("bob@example.com")
    assert [bool(code.verify(other.challenge, "000 00x")) for _ in range(3)] == [False] * 3
    with pytest.raises(CodeRefused):
        code.issue("bob@example.com")
    stats.flush()
    issued, resent, refused, verified, wrong, _expired, spent, locked, good = row(desk, "checkout")
    assert [issued, resent, refused, verified, wrong, good] == ["2", "1", "1", "1", "2", "33.3 %"]
    assert int(spent) + int(_expired) + int(locked) == 2
    tiles = desk.get(PAGE).context["tiles"]
    assert [each["value"] for each in tiles][:3] == ["3", "1", "2"]
    assert tiles[1]["note"] == "33.3 % of those sent"
    sums = [[sum(each.values) for each in chart.series] for chart in desk.get(PAGE).context["charts"]]
    assert (sums[0], sums[1][:2]) == ([2, 1, 1], [1, 2])


@pytest.mark.usefixtures("counting")
def test_no_code_and_nobody_is_told_of(desk: Client, permit: Callable[..., None], code: OneTimeCode) -> None:
    """Neither the code, nor its challenge, nor the address, nor what stands for it."""
    permit("view_codecount")
    issued = code.issue("ada@example.com", ip="203.0.113.5")
    code.verify(issued.challenge, "123456")
    stats.flush()
    page = shown(desk)
    assert "checkout" in page
    for secret in (issued.code, issued.challenge, issued.challenge[:32], "ada@", "example.com", "203.0.113"):
        assert secret
        assert secret not in page


@pytest.mark.usefixtures("counting")
def test_links_are_counted(desk: Client, permit: Callable[..., None]) -> None:
    """Under their purpose, of which no limits are known."""
    permit("view_codecount")
    link = MagicLink("confirm-order")
    issued = link.issue("ada@example.com")
    assert issued.code is not None
    assert link.verify(issued.code)
    stats.flush()
    assert row(desk, "confirm-order")[:4] == ["1", "0", "0", "1"]
    assert "confirm-order" not in [each.name for each in desk.get(PAGE).context["limits"]]


def test_limits(desk: Client, permit: Callable[..., None], code: OneTimeCode) -> None:
    """As they were declared, in words."""
    permit("view_codecount")
    [limits] = [each for each in desk.get(PAGE).context["limits"] if each.name == code.name]
    assert limits[1:] == (
        "6 of 10", "2\xa0minutes", "2", "0 seconds", "3 in 1\xa0hour", "no limit", "10\xa0minutes after 2 failures",
    )  # fmt: skip
    assert "What becomes of codes is not counted: REDIS_TOOLKIT_STATS is False." in shown(desk)


@pytest.mark.usefixtures("counting")
def test_one_round_trip(
    desk: Client, permit: Callable[..., None], trips: Callable[[Callable[[], Any]], int], code: OneTimeCode
) -> None:
    """However many purposes there are."""
    permit("view_codecount")
    for number in range(20):
        OneTimeCode(f"purpose-{number}").issue("ada@example.com")
    stats.flush()
    assert trips(lambda: desk.get(PAGE)) == 1
    assert len(desk.get(PAGE).context["purposes"]) >= 20


@pytest.mark.usefixtures("counting")
def test_hostile_names(desk: Client, permit: Callable[..., None]) -> None:
    """A purpose is text, and a strict Content-Security-Policy lets the page be."""
    permit("view_codecount")
    code = OneTimeCode("<script>alert(1)</script>")
    code.issue("ada@example.com")
    stats.flush()
    page = shown(desk)
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2
    assert "<script>alert" not in page
    assert re.findall(r"<script(?! src=)|<style|\sstyle=|\son\w+=", page.partition('id="content-main"')[2]) == []


@pytest.mark.usefixtures("counting")
def test_redis_is_away(desk: Client, permit: Callable[..., None], valkey: ValkeyServer, code: OneTimeCode) -> None:
    """The page is there, with the limits, and says what is the matter."""
    permit("view_codecount")
    valkey.kill()
    page = shown(desk)
    assert "did not answer" in page
    assert "Not known." in page
    assert "10\xa0minutes after 2 failures" in desk.get(PAGE).content.decode()
    assert "No code was asked for" not in page
