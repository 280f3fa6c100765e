"""The page of the servers' health: the doctor's report, the slow log, the biggest keys; and what it costs."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.test import Client

from redis_toolkit.core.clock import travel
from redis_toolkit.dashboard import health, remembered
from redis_toolkit.testing import ValkeyServer

pytestmark = pytest.mark.django_db(databases="__all__")
PAGE = "/admin/redis_toolkit/server/"
#: Seconds for which something is waited for that takes no time.
PATIENCE = 10.0


def shown(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def commands(client: Any) -> int:
    """How many commands the server has done."""
    return int(client.info("stats")["total_commands_processed"])


def test_who_sees_it(desk: Client, permit: Callable[..., None]) -> None:
    """Staff with the permission; there are no rows and nothing to do."""
    assert desk.get(PAGE).status_code == 403
    assert PAGE not in desk.get("/admin/").content.decode()
    permit("view_server")
    assert desk.get(PAGE).status_code == 200
    assert PAGE in desk.get("/admin/").content.decode()
    assert Client().get(PAGE).status_code == 302
    assert [desk.get(PAGE + way).status_code for way in ("add/", "1/delete/", "1/history/", "1/change/")] == [
        403, 403, 403, 302,
    ]  # fmt: skip
    told = desk.post(PAGE, {"action": "flush"}, follow=True).context["messages"]
    assert [str(each) for each in told] == ["This cannot be done."]


def test_what_it_shows(desk: Client, permit: Callable[..., None], valkey: ValkeyServer, redis_client: Any) -> None:
    """Of each server what it keeps and how it is; what to do, the worst first; what takes most; what took long."""
    permit("view_server")
    redis_client.config_set("maxmemory", "100mb")
    redis_client.config_set("maxmemory-policy", "noeviction")
    redis_client.config_set("slowlog-log-slower-than", 0)
    redis_client.set("rt:f:small", "x")
    redis_client.set("rt:f:large", "x" * 100_000)
    redis_client.get("rt:f:large")
    response = desk.get(PAGE)
    [server] = response.context["servers"]
    assert (server["server"].alias, "cache" in server["server"].roles) == ("default", True)
    facts = dict(server["facts"])
    assert [name for name, _ in server["facts"]][:4] == ["role", "memory", "maxmemory", "policy"]
    assert facts["policy"] == "noeviction"
    assert {"memory", "maxmemory", "clients", "append-only file", "latency", "replicas"} <= facts.keys()
    assert [each["name"] for each in server["keys"]][:2] == ["f:large", "f:small"]
    assert 90 < float(server["keys"][0]["size"].removesuffix("\xa0KB")) < 130
    assert any("GET" in command for _, _, command in server["slow"])
    levels = [str(line.level) for line in response.context["findings"]]
    assert levels == sorted(levels, key=["Error", "Warning", "Advice"].index)
    assert {"W095", "D113"} <= {line.finding.id for line in response.context["findings"]}
    page = shown(desk)
    for line in response.context["findings"]:
        assert line.finding.id in page
        assert line.finding.cure


def test_keys_are_not_walked_for_each_look(
    desk: Client, permit: Callable[..., None], valkey: ValkeyServer, redis_client: Any
) -> None:
    """A page that is looked at asks again after fifteen seconds, and walks over keys every two minutes."""
    permit("view_server")
    shown(desk)

    def cost() -> tuple[int, int]:
        before = commands(redis_client)
        scans = redis_client.info("commandstats").get("cmdstat_memory|usage", {"calls": 0})["calls"]
        for _ in range(5):
            shown(desk)
        after = redis_client.info("commandstats").get("cmdstat_memory|usage", {"calls": 0})["calls"]
        # (INFO itself, three times.)
        return commands(redis_client) - before - 3, after - scans

    redis_client.set("rt:f:large", "x" * 1000)
    assert cost() == (0, 0)
    with travel(16):
        asked, sized = cost()
        assert (0 < asked < 120, sized) == (True, 0)
    with travel(121):
        assert cost()[1] == 1
    assert 'data-refresh="30"' in shown(desk)


def test_redis_is_away(desk: Client, permit: Callable[..., None], valkey: ValkeyServer, redis_client: Any) -> None:
    """The page is there and says what is the matter; when Redis is back it says so within fifteen seconds."""
    permit("view_server")
    redis_client.close()
    valkey.kill()
    response = desk.get(PAGE)
    assert response.status_code == 200
    assert str(response.context["findings"][0].level) == "Error"
    assert response.context["findings"][0].finding.subject == "default"
    assert "default" in response.context["servers"][0]["trouble"]
    valkey.start()
    with travel(16):
        [server] = desk.get(PAGE).context["servers"]
        assert (server["trouble"], bool(server["server"].version)) == ("", True)


def test_hostile_keys(desk: Client, permit: Callable[..., None], valkey: ValkeyServer, redis_client: Any) -> None:
    """Names of keys are text, of whatever bytes; what is not ours is not shown."""
    permit("view_server")
    redis_client.config_set("slowlog-log-slower-than", 0)
    redis_client.set(b"rt:f:<script>alert(1)</script>\xff\x00", "x" * 1000)
    redis_client.set("others:secret-of-another-app", "x" * 5000)
    page = shown(desk)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "secret-of-another-app" not in page
    assert re.findall(r"<script(?! src=)|<style|\sstyle=|\son\w+=", page.partition('id="content-main"')[2]) == []


def test_values_in_keys_are_not_shown(
    desk: Client, permit: Callable[..., None], valkey: ValkeyServer, redis_client: Any
) -> None:
    """A row is told by its primary key; by which number or UUID it was asked for besides is not on the page."""
    permit("view_server")
    redis_client.config_set("slowlog-log-slower-than", 0)
    secret = "6f1ed002-ab55-4f1c-9c6e-0c1d5a2b7f10"
    for name in (
        "r:default:app.lesson:id=41",
        f"r:default:app.lesson:title={secret}",
        f"s:default:app_lesson:group={secret}",
    ):
        redis_client.set(f"rt:{name}", "x" * 1000)
    response = desk.get(PAGE)
    [server] = response.context["servers"]
    shown_keys = {each["name"] for each in server["keys"]}
    assert {"r:default:app.lesson:id=41", "s:default:app_lesson:group=…"} <= shown_keys
    assert secret not in response.content.decode()


def test_a_panel_of_keys_is_linked_where_there_is_one(desk: Client, permit: Callable[..., None], settings: Any) -> None:
    """By its name, wherever the project has put it; without it there is no link."""
    permit("view_server")
    assert "Look at keys and values" not in shown(desk)
    settings.ROOT_URLCONF = "tests.integration.dashboard.panelled"
    assert '<a href="/keys-of-redis/">Look at keys and values</a>' in shown(desk)


def test_in_an_admin_of_ones_own(desk: Client, permit: Callable[..., None], settings: Any) -> None:
    """With what is registered there, and links that stay there."""
    permit("view_server", "view_ban", "view_codecount")
    settings.ROOT_URLCONF = "tests.integration.dashboard.panelled"
    response = desk.get("/operations/redis_toolkit/server/")
    assert [address for address, _, _ in response.context["tabs"]] == [
        "/operations/redis_toolkit/ban/", "/operations/redis_toolkit/server/",
    ]  # fmt: skip
    content = response.content.decode().partition('class="breadcrumbs"')[2]
    assert re.findall(r'href="/(\w+)/(?:redis_toolkit/)?"', content)[:2] == ["operations", "operations"]
    assert 'href="/admin/' not in content


def test_the_health_is_that_of_the_same_admin(desk: Client, permit: Callable[..., None], settings: Any) -> None:
    """Where a project has two, the page of the cache leads to the servers of its own."""
    permit("view_server", "view_statistic")
    settings.ROOT_URLCONF = "tests.integration.dashboard.panelled"
    settings.REDIS_TOOLKIT_SESSION_SEAL = True
    places = {
        way: desk.get(f"/{way}/redis_toolkit/statistic/").context["health_address"] for way in ("admin", "operations")
    }
    assert places == {way: f"/{way}/redis_toolkit/server/" for way in places}


def test_answers_are_remembered_by_what_they_say() -> None:
    """For as long as is said of the answer; an error is raised, and asked again."""
    asked: list[str] = []

    def ask() -> str:
        asked.append("asked")
        if len(asked) == 1:
            raise RuntimeError("away")
        return "answer"

    known = remembered.Remembered(lambda answer: float(len(answer)), ask)
    with pytest.raises(RuntimeError, match="away"):
        known.get()
    assert [known.get().answer for _ in range(3)] == ["answer"] * 3
    assert len(asked) == 2
    with travel(7):
        known.get()
    assert len(asked) == 3
    known.forget()
    known.get()
    assert (len(asked), health.REFRESH) == (4, 30)


def test_who_has_an_old_answer_does_not_wait_for_the_new_one() -> None:
    """One asks; the others go on with what was known, for four times as long as that was good, and then they wait."""
    asking, may_end = threading.Event(), threading.Event()
    answers = iter(["first", "second", "third"])

    def ask() -> str:
        answer = next(answers)
        if answer != "first":
            asking.set()
            assert may_end.wait(PATIENCE)
        return answer

    known = remembered.Remembered(10.0, ask)
    assert known.get().answer == "first"
    # (Some seconds less than forty, and more: a busy machine takes its time.)
    with travel(30), ThreadPoolExecutor() as threads:
        slow = threads.submit(known.get)
        assert asking.wait(PATIENCE)
        assert [known.get().answer for _ in range(10)] == ["first"] * 10
        may_end.set()
        assert slow.result(PATIENCE).answer == "second"
        assert known.get().answer == "second"
    asking.clear()
    may_end.clear()
    with travel(30 + 41), ThreadPoolExecutor() as threads:
        slow = threads.submit(known.get)
        assert asking.wait(PATIENCE)
        late = threads.submit(known.get)
        may_end.set()
        assert [each.result(PATIENCE).answer for each in (slow, late)] == ["third", "third"]
