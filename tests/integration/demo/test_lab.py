"""The lab's pages: who may start a storm, one at a time, and what a page draws of what is known."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from time import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from demo_project.lab import charts, records, running
from demo_project.lab.catalogue import STORMS
from demo_project.lab.outcomes import Outcome, keep
from demo_project.timetable.accounts import demo_password, ensure_accounts
from tests.integration.demo.pages import Page

PATIENCE = 120
PATHS = ["/lab/", *(f"/lab/{name}/" for name in STORMS)]

SERIES: dict[str, Any] = {
    "hot-key": {"waits": [[50.0, True], [51.0, False], [52.5, False], [53.0, False]]},
    "absent-ids": {"asked": [[100, 100], [200, 150], [300, 150]]},
    "mass-expiry": {"bars": [[3240, 3], [3400, 5], [3590, 1]]},
    "outage": {
        "phases": [1.5, 3.0, 4.0, 8.0],
        "columns": [
            {"at": 0.0, "spared": 10, "asked": 0, "longest": 1.5},
            {"at": 2.0, "spared": 0, "asked": 4, "longest": 510.0},
            {"at": 7.9, "spared": 6, "asked": 1, "longest": 2.0},
        ],
        "breaker": [[2.0, "open"], [2.5, "half-open"], [2.6, "open"], [4.5, "closed"], [7.0, "open"]],
    },
}


@pytest.fixture
def staff(transactional_db: None, demo_settings: None) -> Client:
    """The browser of the clerk."""
    ensure_accounts()
    client = Client()
    assert client.login(username="office", password=demo_password())
    return client


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, django_environment: dict[str, str], demo_settings: None) -> Iterator[None]:
    """A storm that a page starts finds this test's servers and records; it is ended with the test."""
    for name, value in {**django_environment, "DEMO_VAR": str(records.folder().parent)}.items():
        monkeypatch.setenv(name, value)
    yield
    for companion in running._started:
        companion.stop()
    running._started.clear()


def an_outcome(storm: str, *, defended: bool, value: float) -> None:
    """Keep a record of this storm, each figure of it having this value."""
    figures = {figure.name: value for figure in STORMS[storm].figures}
    keep(storm, defended=defended, outcome=Outcome(figures, SERIES[storm]))


@pytest.mark.parametrize("path", PATHS)
def test_the_lab_is_for_staff(transactional_db: None, demo_settings: None, client: Client, path: str) -> None:
    """A visitor, and a user who is no staff, are sent to the sign-in by every page and every button."""
    User.objects.create_user("student", password="a long password")
    for known in (False, True):
        assert client.login(username="student", password="a long password") is True if known else True
        for answer in (client.get(path), client.post(path), client.post(f"{path}start/", {"defence": "on"})):
            if answer.status_code != 404:
                assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (302, "/admin/login/")
    assert running.underway() is None


@pytest.mark.parametrize("path", PATHS)
def test_a_page_of_the_lab_needs_nothing_but_its_own_files(staff: Client, path: str) -> None:
    """With everything to draw: no script, no style in the page, one h1, and two drawings that say what they show."""
    for storm in STORMS:
        for defended in (False, True):
            an_outcome(storm, defended=defended, value=3)
    page = Page(staff.get(path).content.decode())
    assert page.count("script") == page.count("style") == 0
    assert not [attrs for _, attrs in page.elements if "style" in attrs or any(name.startswith("on") for name in attrs)]
    assert page.count("h1") == page.count("main") == 1
    drawings = [attrs for tag, attrs in page.elements if tag == "svg" and attrs.get("class") == "chart"]
    assert len(drawings) == (0 if path == "/lab/" else 2)
    assert all(each["role"] == "img" and each["aria-label"] for each in drawings)


def test_a_button_needs_its_token(staff: Client) -> None:
    """A form of another site, without the token, is refused, and nothing starts."""
    strict = Client(enforce_csrf_checks=True)
    assert strict.login(username="office", password=demo_password())
    assert strict.post("/lab/hot-key/start/", {"defence": "on"}).status_code == 403
    assert running.underway() is None


def test_what_a_page_refuses(staff: Client) -> None:
    """GET starts nothing, a defence is on, off or both, and only the four storms there are."""
    assert staff.get("/lab/hot-key/start/").status_code == 405
    assert staff.post("/lab/hot-key/start/", {"defence": "perhaps"}).status_code == 400
    assert staff.post("/lab/hot-key/start/").status_code == 400
    assert staff.post("/lab/hail/start/", {"defence": "on"}).status_code == 404
    assert staff.get("/lab/hail/").status_code == 404
    assert running.underway() is None


def test_one_storm_at_a_time(staff: Client) -> None:
    """While a storm says that it is under way no other starts: the buttons are off, the page loads itself again."""
    running.tell("outage", defended=True, share=0.5)
    page = staff.post("/lab/hot-key/start/", {"defence": "on"}, follow=True).content.decode()
    assert "A storm is under way already. One at a time." in page
    assert '<meta http-equiv="refresh" content="1">' in page
    assert page.count(" disabled") == 3
    assert '<progress max="100" value="50">' in page
    assert not running._started


def test_a_storm_that_fell_silent_is_over(staff: Client) -> None:
    """A record that was not renewed for eleven seconds is that of a storm which was killed."""
    records.write("underway", {"storm": "outage", "defended": True, "share": 0.5, "when": time() - 11})
    page = staff.get("/lab/outage/").content.decode()
    assert (page.count(" disabled"), page.count("http-equiv")) == (0, 0)


def test_the_command_runs_one_storm_at_a_time(staff: Client) -> None:
    """Beside a storm that any other process started the command fails at once."""
    with (records.folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match=r"Another storm is under way\."):
            call_command("storm", "hot-key")


def test_a_storm_from_the_page(staff: Client, timetable: None, started: None) -> None:
    """The button starts it in another process; a second press is refused; at its end the page has drawn both."""
    assert staff.post("/lab/mass-expiry/start/", {"defence": "both"}).status_code == 302
    underway = running.underway()
    assert underway is not None
    assert underway["storm"] == "mass-expiry"
    assert "One at a time" in staff.post("/lab/outage/start/", {"defence": "on"}, follow=True).content.decode()
    [companion] = running._started
    assert companion.wait(PATIENCE) == 0, companion.log
    assert running.underway() is None
    page = staff.get("/lab/mass-expiry/").content.decode()
    assert page.count('<svg class="chart"') == 2
    # 793 rows by key; the lessons of 82 courses, 71 teachers, 16 rooms, and of these on five days.
    # (A third time, where without the defence all of them end in one second.)
    assert page.count('<td class="number">1,042</td>') in {2, 3}
    assert not records.read("underway")


def test_a_storm_that_fails_says_why(staff: Client, started: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its settings the process ends with an error; the page shows its last line and lets one start another."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "no.such.settings")
    staff.post("/lab/hot-key/start/", {"defence": "on"})
    [companion] = running._started
    assert companion.wait(PATIENCE) == 1
    page = staff.get("/lab/hot-key/").content.decode()
    assert "The last storm came to nothing: ModuleNotFoundError: No module named" in page
    assert page.count(" disabled") == 0


def test_each_side_is_shown_as_it_was_last(staff: Client) -> None:
    """The figures stand in the table, with units; what was not started yet is a dash."""
    an_outcome("hot-key", defended=False, value=1234.5)
    page = Page(text := staff.get("/lab/hot-key/").content.decode())
    assert text.count('<td class="number">1,234 ms</td>') == 2
    assert text.count('<td class="number">–</td>') == 5  # noqa: RUF001 - a dash
    assert "Not started yet." in text
    assert page.count("svg", "chart") == 1


def test_what_a_task_returned_is_told_in_words(staff: Client) -> None:
    """Not as Python writes it."""
    records.note_run("redis_toolkit.build_blooms", "SUCCESS", {"Lesson": "built", "Room": "not due"})
    page = staff.get("/lab/").content.decode()
    assert "Lesson: built; Room: not due" in page
    assert "{" not in page.partition("redis_toolkit.build_blooms")[2].partition("</tr>")[0]


def test_background_tasks_are_shown(staff: Client) -> None:
    """What each task returned last, or what became of it."""
    assert "No task has run yet" in staff.get("/lab/").content.decode()
    records.note_run("redis_toolkit.drain_outbox", "SUCCESS", 7)
    records.note_run("redis_toolkit.other", "FAILURE", ValueError("why"))
    page = staff.get("/lab/").content.decode()
    assert "<code>redis_toolkit.drain_outbox</code>" in page
    assert "<td>7</td>" in page
    assert "<td>failure: why</td>" in page


def test_staff_find_the_lab(staff: Client, client: Client) -> None:
    """The link is on each page of staff and in their office, and on no visitor's."""
    link = '<a href="/lab/"'
    assert link in staff.get("/").content.decode()
    assert link in staff.get("/admin/").content.decode()
    assert link not in client.get("/").content.decode()


@pytest.mark.parametrize(
    ("storm", "kinds"),
    [
        ("hot-key", {"asked": 1, "spared": 3}),
        ("absent-ids", {}),
        ("mass-expiry", {"end": 3}),
        ("outage", {"away": 1, "spared": 2, "asked": 2, "wait": 3, "open": 2}),
    ],
)
def test_a_drawing_has_a_shape_for_each_thing(storm: str, kinds: dict[str, int]) -> None:
    """A bar for each reader, each ten seconds, each column's answers and wait, each spell of the breaker."""
    chart, other = charts.draw(storm, {"series": SERIES[storm]}, None)
    assert other is None
    assert chart is not None
    drawn = [bar.kind for bar in chart.bars]
    assert {kind: drawn.count(kind) for kind in set(drawn)} == kinds
    numbers = [float(number) for bar in chart.bars for number in (bar.x, bar.y, bar.width, bar.height)]
    assert all(0 <= number <= 480 for number in numbers)


def test_two_drawings_have_one_scale() -> None:
    """A wait of 50 ms is drawn as high beside one of 500 ms as that scale has it: a tenth."""
    slow = {"series": {"waits": [[500.0, True]]}}
    quick = {"series": {"waits": [[50.0, False]]}}
    [tall], [low] = (chart.bars for chart in charts.draw("hot-key", slow, quick) if chart)
    assert float(tall.height) == pytest.approx(10 * float(low.height), abs=0.5)
    [alone] = [chart.bars for chart in charts.draw("hot-key", None, quick) if chart]
    assert float(alone[0].height) > float(low.height)


@pytest.mark.parametrize(
    ("most", "steps", "step"), [(100, 4, 50), (1, 4, 0.5), (1625, 4, 500), (10_000, 4, 5000), (8, 4, 2), (0.3, 3, 0.1)]
)
def test_axes_have_round_steps(most: float, steps: int, step: float) -> None:
    """1, 2 or 5 times a power of ten."""
    assert charts.nice_step(most, steps) == pytest.approx(step)
