"""The first page: each pattern with its figures, which come and go with Redis, and the code behind it, which is real."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import pytest_django
from django.test import Client

from demo_project.lab.outcomes import Outcome, keep
from demo_project.story.excerpts import BEHIND, Piece
from demo_project.story.patterns import PATTERNS
from redis_toolkit.stats import flush
from redis_toolkit.testing import ValkeyServer
from tests.integration.demo.pages import Page

ROOT = Path(__file__).parents[3]
NAMES = ["cache-aside", "invalidation", "stampede", "throttling", "codes", "devices", "tokens", "dashboard"]
PRE = re.compile(r"<pre[^>]*><code>(.*?)</code></pre>", re.DOTALL)
PLACE = re.compile(r'<p class="place"><code>([^<]+)</code> lines? (\d+)(?:–(\d+))?</p>')  # noqa: RUF001


@pytest.fixture
def counted(settings: pytest_django.Settings, valkey: ValkeyServer) -> None:
    """Statistics are on, and begin with nothing."""
    settings.REDIS_TOOLKIT_STATS = True


def now(client: Client) -> dict[str, dict[str, str]]:
    """What the page's script is told: the figures of each pattern by their labels."""
    answer = client.get("/now/")
    assert answer.status_code == 200
    return {name: {each["label"]: each["value"] for each in told["figures"]} for name, told in answer.json().items()}


def test_the_story_names_eight_patterns(visit: Callable[..., Any]) -> None:
    """Each with a sentence, a page that is there or that staff may see, and its code; no question to the database."""
    first = visit("/")
    page = Page(first.text)
    rows = [attrs["id"] for tag, attrs in page.elements if tag == "li"]
    assert rows == list(PATTERNS) == NAMES
    assert first.queries == 0
    assert page.count("h1") == page.count("main") == 1
    assert page.count("dd") == 20
    for pattern in PATTERNS.values():
        assert pattern.what in unescape(first.text)
        assert f'href="{pattern.address}"' in first.text
        assert f'href="/code/{pattern.name}/"' in first.text
        assert Client().get(pattern.address).status_code in ({302} if pattern.for_staff else {200, 302})


def test_the_story_needs_nothing_but_its_own_files(visit: Callable[..., Any]) -> None:
    """One script and it is a file; no style in the page, no address elsewhere; nor in the pages of code."""
    for path in ("/", *(f"/code/{name}/" for name in NAMES)):
        page = Page(visit(path).text)
        scripts = [attrs for tag, attrs in page.elements if tag == "script"]
        assert [attrs["src"] for attrs in scripts] == (["/static/story/story.js"] if path == "/" else [])
        assert page.count("style") == 0
        assert not [a for _, a in page.elements if "style" in a or any(name.startswith("on") for name in a)]
        assert not [a for _, attrs in page.elements for a in (attrs.get("href"), attrs.get("src")) if a and "//" in a]


def test_its_figures_are_what_was_done(timetable: None, counted: None, client: Client) -> None:
    """Two answers missed and twice found are 66 %; an edit and what it ended; three times through a door for two."""
    flush()
    before = now(client)
    for _ in range(3):
        client.get("/rooms/A/")
    flush()
    told = now(client)["cache-aside"]
    assert told == {"from Redis": "66 %", "answers from Redis": "4", "asked of the database": "2"}

    from demo_project.timetable.models import Lesson

    lesson = Lesson.objects.filter(room__code="A").first()
    assert lesson
    lesson.save()
    client.get("/rooms/A/")
    statuses = [client.get("/limits/door/").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
    flush()
    told = now(client)["invalidation"]
    assert int(told["writes"]) - int(before["invalidation"]["writes"]) == 1
    assert told["answers ended by them"] == "1"
    assert now(client)["throttling"]["denied"] == "1"


def test_the_last_storm_is_told(timetable: None, counted: None, client: Client) -> None:
    """Before the first there is none; then what it asked of the database without its defence, and with it."""
    assert now(client)["stampede"]["questions without it"] == "not yet"
    keep("hot-key", defended=False, outcome=Outcome({"questions": 200}, {}))
    keep("hot-key", defended=True, outcome=Outcome({"questions": 1}, {}))
    told = now(client)["stampede"]
    assert (told["questions without it"], told["and with it"]) == ("200", "1")


def test_without_redis_the_figures_are_not_known(visit: Callable[..., Any], valkey: ValkeyServer) -> None:
    """The page is there all the same, with each of its 20 figures "not known" and no bar; its script is told so, too."""
    valkey.kill()
    text = visit("/").text
    assert text.count("<dd>not known</dd>") == 20
    assert '<path d=""/>' in text
    assert {value for told in now(Client()).values() for value in told.values()} == {"not known"}


def test_a_page_left_open_uses_nothing_up(visit: Callable[..., Any], settings: pytest_django.Settings) -> None:
    """Where one page a minute is allowed, its figures are had as often as one likes."""
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "1/m", "key": "ip"}}
    client = Client()
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]
    assert [client.get("/now/").status_code for _ in range(5)] == [200] * 5


@pytest.mark.parametrize("name", NAMES)
def test_the_code_is_that_of_the_files(visit: Callable[..., Any], name: str) -> None:
    """Without its colours each excerpt is, line for line, what stands at that place of that file."""
    text = visit(f"/code/{name}/").text
    shown, places = PRE.findall(text), PLACE.findall(text)
    assert len(shown) == len(places) == len(BEHIND[name]) > 1
    for excerpt, (path, first, last) in zip(shown, places, strict=True):
        lines = (ROOT / path).read_text("utf-8").splitlines()[int(first) - 1 : int(last or first)]
        assert unescape(re.sub(r"</?span[^>]*>", "", excerpt)).splitlines() == lines
        assert path.startswith("demo_project/")


@pytest.mark.parametrize("name", ["settings", "..", "cache-aside/../../settings", "nothing"])
def test_no_other_file_is_shown(visit: Callable[..., Any], name: str) -> None:
    """What is no pattern is not found: an address chooses among eight, and no file."""
    assert visit(f"/code/{name}/").response.status_code == 404


def test_what_is_not_assigned_cannot_be_shown() -> None:
    """An excerpt of a name that has gone fails here, and not before a visitor."""
    piece = Piece("Gone.", "demo_project.settings", ("CACHES", "NOTHING"))
    with pytest.raises(LookupError, match=r"demo_project\.settings assigns nothing to NOTHING\."):
        piece.excerpt()


def test_every_page_leads_home(visit: Callable[..., Any]) -> None:
    """By the name of the site in the head and by the foot; and the search of the head finds."""
    text = visit("/rooms/A/").text
    assert '<a class="wordmark" href="/">' in text
    assert '<p><a href="/">Home</a></p>' in text
    assert '<form class="search small" action="/groups/"' in text
