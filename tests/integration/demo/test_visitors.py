"""The visitors who come by themselves: bounded, the same from the same seed, in nobody's way, and gone without a trace."""

from __future__ import annotations

import json
import os
import re
import select
import signal
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from threading import Event
from time import perf_counter
from typing import Any
from urllib.request import urlopen

import pytest
import pytest_django
from django.contrib.auth.models import User
from django.core.signals import request_started
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from demo_project import environment
from demo_project.doors.mail import ASIDE, letters, take
from demo_project.lab import running
from demo_project.timetable.accounts import ADDRESSES
from demo_project.timetable.hours import PERIODS
from demo_project.timetable.models import Lesson
from demo_project.visitors import people as visitors
from demo_project.visitors import rounds
from demo_project.visitors.addresses import PEOPLE, address_of, is_one
from demo_project.visitors.deeds import LOOK, moved_lesson
from demo_project.visitors.people import Pace, ensure_people
from demo_project.visitors.rounds import visit
from redis_toolkit.sessions import sessions_for
from redis_toolkit.tokens import make_token, tokens_for
from tests.demo import Demo

PATIENCE = 120
#: By the fortieth step each of their special deeds is done once: a code, the door, a lesson that is moved.
STEPS = 40


class Hurry(Event):
    """Time that passes at once; `slept` counts it. After `end` seconds it is over.

    Between two looks for a letter it passes as always, for that is sent after the answer, by another thread.
    """

    def __init__(self, end: float = 3600) -> None:
        super().__init__()
        self.slept = 0.0
        self.end = end

    def wait(self, timeout: float | None = None) -> bool:
        self.slept += timeout or 0
        return super().wait(timeout if timeout == LOOK else 0) or self.slept > self.end


@pytest.fixture
def heard(timetable: None) -> Iterator[list[tuple[str, str]]]:
    """Who asked for what: the address and the path of each request that comes over HTTP."""
    asked: list[tuple[str, str]] = []

    def hear(environ: dict[str, Any], **_: Any) -> None:
        asked.append((environ["REMOTE_ADDR"], environ["PATH_INFO"]))

    request_started.connect(hear)
    yield asked
    request_started.disconnect(hear)


@pytest.fixture
def site(
    heard: list[tuple[str, str]], settings: pytest_django.Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of the demo's pages; `live_server` is of the whole run, and has the middleware of its beginning."""
    # (What a busy machine takes for an answer is nobody's fault here: who gives up does something else next.)
    monkeypatch.setattr(visitors, "PATIENCE", PATIENCE)
    settings.ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


def people() -> list[User]:
    return list(User.objects.filter(username__startswith="visitor-").order_by("username"))


def week() -> list[tuple[int, int, int, int]]:
    return list(Lesson.objects.order_by("pk").values_list("pk", "weekday", "period", "room"))


def test_they_do_a_bit_of_everything_and_leave_nothing(heard: list[tuple[str, str]], site: str) -> None:
    """Forty steps: pages, API, a code, the door, a moved lesson. Then no session, token or letter is left, nor a move."""
    before = week()
    assert visit(site, seed=7, over=Hurry(), steps=STEPS) == STEPS
    paths = [path for _, path in heard]
    assert {address for address, _ in heard} == {address_of(number) for number in range(PEOPLE)}
    assert paths.count("/limits/door/") == 3
    assert [path for path in paths if path.startswith(("/log-in/", "/devices/"))] == [
        *["/log-in/"] * 2,  # the form, and an address in it
        *["/log-in/code/"] * 3,  # its form, a wrong one, the right one
        *["/devices/"] * 3,  # the list, the way out, the list
        "/log-in/",  # which asks who one is
    ]
    assert len(paths) == STEPS - 3 + 9 + 3 + 2 + 1  # (one search has one answer, and leads there)
    assert len([path for path in paths if path.startswith("/api/")]) > 3
    assert [sessions_for(user) for user in people()] == [[]] * PEOPLE
    assert [tokens_for(user) for user in people()] == [[]] * PEOPLE
    assert [user.last_login is not None for user in people()].count(True) == 1
    assert letters() == []
    assert list((environment.VAR / "mailbox" / "visitors").iterdir()) == []
    assert week() == before


def test_what_a_killed_run_has_left_is_ended(heard: list[tuple[str, str]], site: str) -> None:
    """A session and a token of a visitor who never left: they are gone before the next day begins."""
    ensure_people()
    first = people()[0]
    Client().force_login(first)
    make_token(first, name="left behind")
    assert (len(sessions_for(first)), len(tokens_for(first))) == (1, 1)
    assert visit(site, seed=7, over=Hurry(), steps=0) == 0
    assert (len(sessions_for(first)), len(tokens_for(first))) == (0, 0)
    assert heard == []


def test_one_seed_is_one_day(heard: list[tuple[str, str]], site: str) -> None:
    """Twice with 7, before the first code, the same addresses ask for the same pages; with 8 for others."""
    days = []
    for seed in (7, 7, 8):
        heard.clear()
        visit(site, seed=seed, over=Hurry(), steps=10)
        days.append(list(heard))
    assert len(days[0]) == 10
    assert days[0] == days[1] != days[2]


def test_three_requests_a_second_are_the_most() -> None:
    """Sixty requests wait for twenty seconds less one turn, whatever is asked for; a day is no faster if told to be."""
    time = Hurry()
    pace = Pace(3.0, time, clock=lambda: time.slept)
    for _ in range(60):
        pace.wait()
    assert time.slept == pytest.approx(59 / 3)


def test_nobody_is_faster_than_allowed(
    heard: list[tuple[str, str]], site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told to make a thousand requests a second they wait a third of a second between two all the same."""
    time = Hurry()
    monkeypatch.setattr(rounds, "Pace", partial(Pace, clock=lambda: time.slept))
    moments: list[float] = []

    def hear(**_: Any) -> None:
        moments.append(time.slept)

    request_started.connect(hear)
    try:
        visit(site, seed=7, over=time, steps=10, per_second=1000)
    finally:
        request_started.disconnect(hear)
    assert len(heard) == len(moments) == 10
    assert min(later - before for before, later in pairwise(moments)) > 0.333


def test_they_use_up_nothing_of_anybodys(heard: list[tuple[str, str]], site: str, client: Client) -> None:
    """Who looks on from 127.0.0.1 has all of each limit when they have been; and logs in by a code, with the first try."""
    visit(site, seed=7, over=Hurry(), steps=STEPS)
    left = {
        meter["id"]: (meter["remaining"], meter["limit"])
        for counter in client.get("/limits/now/").json()["counters"]
        for meter in counter["meters"]
    }
    assert left["door-60s"] == (2, 2)
    assert [remaining for remaining, limit in left.values() if remaining < limit] == []
    client.post("/log-in/", {"email": ADDRESSES["student"]})
    [letter] = letters()
    assert client.post("/log-in/code/", {"code": letter.paragraphs[1]}).status_code == 302


def test_their_letters_are_nobody_elses(timetable: None, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """A visitor's code is neither in the mailbox nor on the screen; the student's is in both."""
    ensure_people()
    for email in ("visitor-1" + ASIDE, ADDRESSES["student"]):
        Client().post("/log-in/", {"email": email})
    assert [letter.to for letter in letters()] == [ADDRESSES["student"]]
    assert capsys.readouterr().out.count("Mail to") == 1
    letter = take("visitor-1" + ASIDE)
    assert letter is not None
    assert letter.subject == "Your code"
    assert take("visitor-1" + ASIDE) is None


def test_they_make_room_for_a_storm(heard: list[tuple[str, str]], site: str) -> None:
    """While one is under way they ask for nothing; once it is over they go on."""

    class Storm(Hurry):
        def wait(self, timeout: float | None = None) -> bool:
            if self.slept > 3:
                running.forget()
            elif self.slept:
                assert heard == []
            return super().wait(timeout)

    running.tell("hot-key", defended=True, share=0.5)
    assert visit(site, seed=7, over=Storm(), steps=2) == 2
    assert len(heard) == 2


def test_what_is_over_is_over(heard: list[tuple[str, str]], site: str) -> None:
    """Told to stop in the middle of a day that has no end they stop, and their tokens end."""
    assert 0 < visit(site, seed=7, over=Hurry(end=10)) < 100
    assert [tokens_for(user) for user in people()] == [[]] * PEOPLE


def test_a_site_that_does_not_answer_is_asked_again_later(timetable: None) -> None:
    """Nobody listens there: two seconds after each try, and no end of it."""
    time = Hurry()
    assert visit("http://127.0.0.1:9", seed=7, over=time, steps=5) == 5
    assert time.slept >= 10


def test_a_lesson_is_put_back_whatever_happens(timetable: None) -> None:
    """Within the block it is elsewhere; after Ctrl-C it is where it was."""
    before = week()
    with pytest.raises(KeyboardInterrupt), moved_lesson(Random(7)) as lesson:
        assert lesson is not None
        assert len(set(before) ^ set(week())) == 2
        raise KeyboardInterrupt
    assert week() == before


def test_what_the_office_does_meanwhile_stays(timetable: None) -> None:
    """Somebody moves the same lesson elsewhere: it is left there."""
    with moved_lesson(Random(7)) as lesson:
        assert lesson is not None
        Lesson.objects.exclude(pk=lesson.pk).delete()  # nobody is in its way
        now = lesson.weekday, lesson.period % len(PERIODS) + 1
        Lesson.objects.filter(pk=lesson.pk).update(weekday=now[0], period=now[1])
    assert [place[1:3] for place in week()] == [now]


def test_their_requests_are_not_said(timetable: None, caplog: pytest.LogCaptureFixture) -> None:
    """Of a denial from one of their addresses the log's filter lets nothing through; of yours it does."""
    from demo_project.visitors.addresses import NotOfVisitors

    client = Client()
    for address in (address_of(0), "127.0.0.1"):
        client.get("/rooms/Z/", REMOTE_ADDR=address)
    records = [record for record in caplog.records if record.name == "django.request"]
    assert [NotOfVisitors().filter(record) for record in records] == [False, True]
    assert [is_one(f"127.0.0.{number}") for number in (1, 2, 7, 8)] == [False, True, True, False]


def figures(demo: Demo) -> dict[str, dict[str, str]]:
    """What the first page says now."""
    with urlopen(f"{demo.url}now/", timeout=20) as answer:
        told = json.load(answer)
    return {name: {each["label"]: each["value"] for each in rest["figures"]} for name, rest in told.items()}


def process(demo: Demo) -> int:
    found = re.search(r"Visitors +6, a few requests a second \(process (\d+)\)", demo.output)
    assert found is not None
    return int(found[1])


def test_the_demo_has_visitors_and_takes_them_along(tmp_path: Path) -> None:
    """They are announced, their code is right within two minutes, and after `kill -9` of the demo their process ends."""
    demo = Demo(tmp_path, DEMO_VISITORS="1")
    demo.start()
    end = os.pidfd_open(process(demo))
    assert "make demo ARGS=--no-visitors leaves them out" in demo.output
    deadline = perf_counter() + PATIENCE
    while figures(demo)["codes"]["right"] == "0" or figures(demo)["throttling"]["denied"] == "0":
        assert perf_counter() < deadline
    assert int(figures(demo)["cache-aside"]["answers from Redis"].replace(",", "")) > 0
    assert "Too Many Requests" not in demo.errors.read_text()
    assert demo.stop(signal.SIGKILL) == -signal.SIGKILL
    assert "Mail to" not in demo.output
    assert select.select([end], [], [], PATIENCE)[0] == [end]
    os.close(end)


def test_visitors_end_with_the_demo(tmp_path: Path) -> None:
    """Ctrl-C: the demo's exit code is 0, their process has ended before it, and they have left no session."""
    demo = Demo(tmp_path, DEMO_VISITORS="1")
    demo.start()
    end = os.pidfd_open(process(demo))
    deadline = perf_counter() + PATIENCE
    while figures(demo)["cache-aside"]["asked of the database"] == "0":  # they have not come yet
        assert perf_counter() < deadline
    assert demo.stop(signal.SIGINT) == 0
    assert select.select([end], [], [], 0)[0] == [end]
    assert demo.errors.read_text().count("Traceback") == 0
    assert (tmp_path / "visitors.log").read_text().endswith(" steps.\n")
    os.close(end)


@pytest.mark.parametrize(("arguments", "variable"), [(["--no-visitors"], "1"), ([], "0")])
def test_they_can_be_left_out(tmp_path: Path, arguments: list[str], variable: str) -> None:
    """By the argument or by the variable: the demo says so, and there is neither a process nor a log of one."""
    with Demo(tmp_path, *arguments, DEMO_VISITORS=variable) as demo:
        assert "Visitors    none but you\n" in demo.output
        assert not (tmp_path / "visitors.log").exists()


def test_a_visitors_process_that_dies_is_missed(tmp_path: Path) -> None:
    """Killed, it is named with its exit code, and the site goes on."""
    with Demo(tmp_path, DEMO_VISITORS="1") as demo:
        os.kill(process(demo), signal.SIGKILL)
        deadline = perf_counter() + PATIENCE
        while "The process of the visitors has ended (exit code -9)." not in demo.errors.read_text():
            assert perf_counter() < deadline
            assert figures(demo)
