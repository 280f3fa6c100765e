"""``manage.py demo``: one command starts everything, Ctrl-C stops everything."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
from contextlib import suppress
from http.cookiejar import CookieJar
from pathlib import Path
from time import perf_counter
from urllib.error import URLError
from urllib.parse import unquote, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest
import redis

from demo_project.environment import broker_address, durable_address
from tests.demo import Demo

EDIT = "from demo_project.timetable.models import Room; Room.objects.filter(code='A').update(name='Aula Magna')"


PATIENCE = 120


def read(url: str) -> str:
    with urlopen(url, timeout=20) as response:
        text: str = response.read().decode()
    return text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_until_it_is_stopped_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """From an empty folder: data, pages, static files; after the signal exit code 0, no listener, no server."""
    demo = Demo(tmp_path)
    demo.start()
    assert "82 courses, 283 lessons, 16 rooms, 70 groups." in demo.output
    assert "793/793" in demo.errors.read_text()
    assert "what Redis does for it" in read(demo.url)
    assert "--paper" in read(demo.url + "static/timetable/site.css")
    folder = Path(unquote(urlsplit(demo.redis).path)).parent
    assert folder.is_dir()
    assert demo.stop(number) == 0
    assert demo.output.endswith("\nStopped. Nothing is left running.\n")
    assert not folder.exists()
    with pytest.raises(URLError, match="refused"):
        read(demo.url)


def test_the_announced_login_works_and_lasts(tmp_path: Path) -> None:
    """The password printed at the first start opens the admin, and is the same after a restart, which loads nothing."""
    with Demo(tmp_path) as first:
        assert "What would you like to change?" in signed_in(first, "office")
    with Demo(tmp_path) as second:
        assert "A timetable is loaded already" in second.output
        assert second.password == first.password
        assert "Users" in signed_in(second, "admin")


def test_it_takes_another_port_when_8000_is_taken(tmp_path: Path) -> None:
    """With somebody on 8000 the site is on another port, and that is the one announced."""
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # somebody else is there: just as good
            somebody.bind(("127.0.0.1", 8000))
            somebody.listen()
        with Demo(tmp_path) as demo:
            assert urlsplit(demo.url).port != 8000
            assert "what Redis does for it" in read(demo.url)


def test_a_given_port_is_taken_or_refused(tmp_path: Path) -> None:
    """With --port and somebody there, the command says what to do instead."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        with pytest.raises(AssertionError, match=f"Port {port} is taken. Without --port the demo finds one"):
            Demo(tmp_path, "--port", str(port)).start()


def test_an_edit_in_another_terminal_shows_on_the_page(tmp_path: Path) -> None:
    """A shell beside the running demo finds its Redis, so what it writes is on the page at the next load."""
    with Demo(tmp_path) as demo:
        page = demo.url + "rooms/A/"
        assert "<h1>Hall A</h1>" in read(page)
        assert "2 cache hits" in read(page).replace("<b>", "").replace("</b>", "")
        demo.run("shell", "-v", "0", "-c", EDIT)
        assert "<h1>Aula Magna</h1>" in read(page)
        with Demo(tmp_path) as beside:
            assert beside.redis == demo.redis
            assert "<h1>Aula Magna</h1>" in read(beside.url + "rooms/A/")


def test_after_a_kill_the_next_start_is_as_any_other(tmp_path: Path) -> None:
    """Killed without a chance to tidy up, the demo leaves an address that nobody answers: a new server is started."""
    killed = Demo(tmp_path)
    killed.start()
    assert killed.stop(signal.SIGKILL) == -signal.SIGKILL
    assert (tmp_path / "redis-address").read_text() == killed.redis
    with Demo(tmp_path) as demo:
        assert demo.redis != killed.redis
        read(demo.url + "rooms/A/")
        assert "2 cache hits" in read(demo.url + "rooms/A/").replace("<b>", "").replace("</b>", "")
    assert not (tmp_path / "redis-address").exists()


def test_it_uses_a_server_that_runs_already(tmp_path: Path, redis_url: str, redis_client: redis.Redis) -> None:
    """With REDIS_URL the demo starts no server: its entries are in that one, which outlives it."""
    assert redis_client.dbsize() == 0
    with Demo(tmp_path, REDIS_URL=redis_url) as demo:
        assert demo.redis == redis_url
        read(demo.url + "groups/q065/")
        assert [key for key in redis_client.scan_iter() if not key.startswith(b"timetable")] == []
        assert redis_client.dbsize() > 0
    assert redis_client.ping()


def pids(demo: Demo) -> tuple[int, int]:
    """The process ids of the worker and of beat, as announced."""
    found = re.search(r"Celery +worker \(process (\d+)\) and beat \(process (\d+)\)", demo.output)
    assert found is not None
    return int(found[1]), int(found[2])


def test_a_worker_does_what_beat_sends(tmp_path: Path) -> None:
    """The worker's log shows the drain of the outbox, sent every five seconds by beat, and that it succeeded."""
    with Demo(tmp_path) as demo:
        deadline = perf_counter() + PATIENCE
        while "Task redis_toolkit.drain_outbox" not in (tmp_path / "celery-worker.log").read_text():
            assert perf_counter() < deadline
            read(demo.url)
        while " succeeded in " not in (tmp_path / "celery-worker.log").read_text():
            assert perf_counter() < deadline
            read(demo.url)
        assert "Sending due task drain the outbox" in (tmp_path / "celery-beat.log").read_text()


def test_a_worker_that_dies_is_missed_and_the_site_goes_on(tmp_path: Path) -> None:
    """Killed (-9), the worker is named with its exit code, once; pages are served, and Ctrl-C ends the rest."""
    with Demo(tmp_path) as demo:
        worker, beat = pids(demo)
        ends = os.pidfd_open(beat)
        os.kill(worker, signal.SIGKILL)
        deadline = perf_counter() + PATIENCE
        while "The Celery worker has ended (exit code -9)." not in demo.errors.read_text():
            assert perf_counter() < deadline
            assert "what Redis does for it" in read(demo.url)
        assert demo.stop(signal.SIGINT) == 0
        assert demo.errors.read_text().count("has ended") == 1
        assert select.select([ends], [], [], 0)[0] == [ends]
    os.close(ends)


def test_a_killed_demo_takes_the_worker_and_beat_along(tmp_path: Path) -> None:
    """After `kill -9` of the demo both processes end."""
    demo = Demo(tmp_path)
    demo.start()
    ends = [os.pidfd_open(pid) for pid in pids(demo)]
    assert demo.stop(signal.SIGKILL) == -signal.SIGKILL
    assert [bool(select.select([end], [], [], PATIENCE)[0]) for end in ends] == [True, True]
    for end in ends:
        os.close(end)


def test_two_demos_have_one_worker(tmp_path: Path) -> None:
    """The second uses the Redis of the first, and says that the first has the worker."""
    with Demo(tmp_path), Demo(tmp_path) as second:
        assert "Celery      is run by the demo that was started before this one" in second.output


@pytest.mark.parametrize(
    ("redis", "broker"),
    [
        ("unix:///tmp/here/socket?db=0", "redis+socket:///tmp/here/socket?virtual_host=1"),
        ("unix:///tmp/here/socket", "redis+socket:///tmp/here/socket?virtual_host=1"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/1"),
        ("rediss://user:secret@host/15", "rediss://user:secret@host/0"),
        ("redis://host", "redis://host/1"),
    ],
)
def test_the_queue_is_in_the_next_database(redis: str, broker: str) -> None:
    """Celery's address of a server is not redis-py's; the queue is never in the database of the cache."""
    assert broker_address(redis) == broker


def signed_in(demo: Demo, username: str, cookies: CookieJar | None = None) -> str:
    """The admin's first page, after the form was filled in as a browser does."""
    cookies = CookieJar() if cookies is None else cookies
    browser = build_opener(HTTPCookieProcessor(cookies))
    login = demo.url + "admin/login/?next=/admin/"
    browser.open(login, timeout=20).close()
    [token] = [cookie.value for cookie in cookies if cookie.name == "csrftoken"]
    form = {"username": username, "password": demo.password, "csrfmiddlewaretoken": token or ""}
    with browser.open(Request(login, urlencode(form).encode(), {"Referer": login}), timeout=20) as response:
        text: str = response.read().decode()
    return text


@pytest.mark.parametrize(
    ("redis", "durable"),
    [
        ("unix:///tmp/here/socket?db=0", "unix:///tmp/here/socket?db=2"),
        ("unix:///tmp/here/socket", "unix:///tmp/here/socket?db=2"),
        ("unix:///tmp/here/socket?password=secret&db=15", "unix:///tmp/here/socket?password=secret&db=1"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/2"),
        ("rediss://user:secret@host/15", "rediss://user:secret@host/1"),
    ],
)
def test_sessions_are_in_a_database_of_their_own(
    redis: str, durable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one server for all: neither that of the cache nor the queue's. With two: the other server."""
    monkeypatch.delenv("DURABLE_REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL", redis)
    running = tmp_path / "durable-address"
    assert durable_address(redis, running) == durable
    running.write_text("unix:///tmp/another?db=0")
    assert durable_address(redis, running) == durable
    monkeypatch.delenv("REDIS_URL")
    assert durable_address(redis, running) == "unix:///tmp/another?db=0"
    monkeypatch.setenv("DURABLE_REDIS_URL", "redis://named/0")
    assert durable_address(redis, running) == "redis://named/0"


CHECKS = "from django.core.checks import run_checks; print([m.id for m in run_checks(include_deployment_checks=True)])"
CLEAR = "from django.core.cache import cache; cache.clear()"


def test_emptying_the_cache_logs_nobody_out(tmp_path: Path) -> None:
    """Sessions are on a server that evicts nothing and writes what it has: the checks find no fault with them."""
    with Demo(tmp_path) as demo:
        told = demo.run("shell", "-v", "0", "-c", CHECKS)
        assert "security.W004" in told
        # (Throttles are with the cache, and the demo has no HTTPS.)
        assert re.findall(r"redis_toolkit\.\w+", told) == ["redis_toolkit.W072", "redis_toolkit.W096"]
        cookies = CookieJar()
        assert "What would you like to change?" in signed_in(demo, "office", cookies)
        demo.run("shell", "-v", "0", "-c", CLEAR)
        assert "0 cache hits" in read(demo.url + "rooms/A/").replace("<b>", "").replace("</b>", "")
        browser = build_opener(HTTPCookieProcessor(cookies))
        with browser.open(demo.url + "devices/", timeout=20) as response:
            assert "This device" in response.read().decode()
    assert not (tmp_path / "durable-address").exists()
