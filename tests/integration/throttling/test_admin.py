"""The throttles' page in the admin: what it shows, what it does, and to whom."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client

from redis_toolkit.models import Ledger
from redis_toolkit.stats import offenders
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Ban, Throttle, banning

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parents[3]
PAGE = "/admin/redis_toolkit/ban/"
RULES = {
    "site": {"rate": "100/m", "key": "ip", "ban": {"strikes": 3, "length": 600}},
    "api": {"rate": {"free": "5/h", "pro": None}, "tier": lambda request: "free", "key": "ip", "shadow": True},
}


@pytest.fixture(autouse=True)
def rules(settings: Any) -> None:
    settings.REDIS_TOOLKIT_THROTTLES = RULES
    settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = True


@pytest.fixture
def staff() -> User:
    return User.objects.create_user("desk", password="desk", is_staff=True)


@pytest.fixture
def desk(client: Client, staff: User) -> Client:
    client.force_login(staff)
    return client


def permit(staff: User, *codenames: str) -> None:
    staff.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


def shown(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return response.content.decode()


def denied(times: int) -> str:
    """``203.0.113.5`` is denied so often by a throttle of the name of the rule; its digest."""
    throttle = Throttle("site", "1/h", ban=Ban(strikes=1000))
    assert throttle.hit("ip", "203.0.113.5")
    assert not any(throttle.hit("ip", "203.0.113.5") for _ in range(times))
    [found] = offenders.top()
    assert found[0::2] == ("site", "ip 203.0.113.5")
    return found.identity


def test_who_sees_it(desk: Client, staff: User) -> None:
    """Staff with the permission, and nobody else; what stands in the admin's index follows."""
    assert desk.get(PAGE).status_code == 403
    assert "throttles and bans" not in desk.get("/admin/").content.decode().lower()
    permit(staff, "view_ban")
    assert "Nobody is banned." in shown(desk)
    assert "throttles and bans" in desk.get("/admin/").content.decode().lower()
    assert Client().get(PAGE).status_code == 302


@pytest.mark.parametrize("is_root", [False, True])
def test_there_are_no_rows(desk: Client, staff: User, is_root: bool) -> None:
    """What Django has for each row is refused, to a superuser too; what its log leads to leads to the page."""
    permit(staff, "view_ban", "add_ban", "delete_ban")
    staff.is_superuser = is_root
    staff.save()
    assert [
        (way, desk.get(PAGE + way).status_code, desk.post(PAGE + way).status_code)
        for way in ("add/", "1/history/", "1/delete/", "1/change/", "1/")
    ] == [
        ("add/", 403, 403),
        ("1/history/", 403, 403),
        ("1/delete/", 403, 403),
        ("1/change/", 302, 302),
        ("1/", 302, 302),
    ]
    assert desk.get(PAGE + "1/change/").headers["Location"] == PAGE


def test_what_it_shows(desk: Client, staff: User) -> None:
    """Rules, bans with the time they last, and who was denied how often: to who may do something about it by name."""
    permit(staff, "view_ban", "delete_ban")
    denied(7)
    Throttle("site", "1/h", ban=Ban(length=630)).ban("ip", "198.51.100.7")
    text = " ".join(shown(desk).split())
    assert '<th scope="row">ip 198.51.100.7</th> <td>site</td> <td class="number">10 minutes</td>' in text
    assert (
        '<th scope="row">ip 203.0.113.5</th> <td>site</td> <td class="number"><span class="narrow">Denied: </span>7</td>'
        in text
    )
    assert "<td>free: 5/h, pro: None</td><td>ip</td><td>/</td><td>local</td>" in text


def test_who_they_are_is_not_for_all(desk: Client, staff: User) -> None:
    """Who may only look sees a part of a digest, and no form; nothing of an address stands in the page."""
    permit(staff, "view_ban")
    identity = denied(7)
    Throttle("site", "1/h", ban=Ban(length=630)).ban("ip", "198.51.100.7")
    [ban] = banning.listed()
    text = " ".join(shown(desk).split())
    for each in (identity, ban.identity):
        assert f'<th scope="row">{each[:8]}…</th> <td>site</td>' in text
        assert each[:9] not in text
    assert "203.0.113" not in text
    assert "198.51.100" not in text
    assert "<form" not in text.partition('id="content-main"')[2].partition("</footer>")[0]


def test_a_ban_is_begun_and_ended(desk: Client, staff: User) -> None:
    """By who may, with the same effect as by the command; both are in the admin's log."""
    permit(staff, "view_ban", "add_ban", "delete_ban")
    identity = denied(2)
    throttle = Throttle("site", "100/m", ban=Ban(strikes=3, length=600))
    asked = {"action": "ban", "name": "site", "identity": identity}
    told = desk.post(PAGE, asked, follow=True).context["messages"]
    assert [str(each) for each in told] == ["site: ip 203.0.113.5: banned"]
    assert throttle.hit("ip", "203.0.113.5").banned
    desk.post(PAGE, asked | {"action": "unban"})
    assert throttle.hit("ip", "203.0.113.5")
    assert "Nobody is banned." in shown(desk)
    assert [(each.object_repr, each.change_message, each.user) for each in LogEntry.objects.order_by("pk")] == [
        ("site: ip 203.0.113.5", "banned", staff),
        ("site: ip 203.0.113.5", "banned no more", staff),
    ]
    [where] = {each.get_admin_url() for each in LogEntry.objects.all()}
    assert where == f"{PAGE}{identity}/change/"
    assert desk.get(where, follow=True).redirect_chain == [(PAGE, 302)]
    assert f'href="{where}"' in desk.get("/admin/").content.decode()


@pytest.mark.parametrize("counts", [True, False])
def test_a_form_does_not_say_who_it_is(desk: Client, staff: User, settings: Any, counts: bool) -> None:
    """A forged name is written nowhere: who it is stands in the lists, and of who is in none the digest is shown."""
    permit(staff, "view_ban", "add_ban", "delete_ban")
    identity = denied(2)
    settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = counts
    known = "ip 203.0.113.5" if counts else identity
    assert 'name="told"' not in shown(desk)
    desk.post(PAGE, {"action": "ban", "name": "site", "identity": identity, "told": "the director"})
    assert [(ban.told, ban.identity) for ban in banning.listed()] == [(known, identity)]
    Throttle("site", "1/h", ban=Ban()).ban("ip", "198.51.100.7")
    banned = next(ban.identity for ban in banning.listed() if ban.told == "ip 198.51.100.7")
    desk.post(PAGE, {"action": "unban", "name": "site", "identity": banned, "told": "the director"})
    assert [each.object_repr for each in LogEntry.objects.order_by("pk")] == [f"site: {known}", "site: ip 198.51.100.7"]


def test_a_client_is_forgotten(desk: Client, staff: User) -> None:
    """Who was denied may begin anew."""
    permit(staff, "view_ban", "delete_ban")
    identity = denied(1)
    desk.post(PAGE, {"action": "forget", "name": "site", "identity": identity})
    assert Throttle("site", "1/h").hit("ip", "203.0.113.5")


@pytest.mark.parametrize(
    ("permissions", "asked", "says"),
    [
        (["view_ban"], {"action": "unban"}, "You are not allowed to do this."),
        (["view_ban", "delete_ban"], {"action": "ban"}, "You are not allowed to do this."),
        (["view_ban", "delete_ban"], {"action": "unban"}, "Nothing was known of"),
        (["view_ban", "add_ban"], {"action": "ban", "name": "nothing"}, "has no rule"),
        (["view_ban", "add_ban"], {"action": "ban", "name": "api"}, "bans nobody"),
        (["view_ban", "delete_ban"], {"action": "forget", "identity": "*"}, "This cannot be done."),
        (["view_ban", "delete_ban"], {"action": "flush"}, "This cannot be done."),
        (["view_ban", "delete_ban"], {"action": "unban", "name": ""}, "This cannot be done."),
    ],
)
def test_what_is_refused(desk: Client, staff: User, permissions: list[str], asked: dict[str, str], says: str) -> None:
    """Without the permission, of who is not known, and what no form of ours sends: said, not done, not logged."""
    permit(staff, *permissions)
    given = {"name": "site", "identity": "0" * 32, "told": "<b>somebody</b>"} | asked
    text = desk.post(PAGE, given, follow=True).content.decode()
    assert says in text
    assert "<b>somebody" not in text
    assert not LogEntry.objects.exists()


def test_forged_posts_are_refused(staff: User) -> None:
    """Without the token of the form nothing is done."""
    permit(staff, "view_ban", "delete_ban")
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    assert client.post(PAGE, {"action": "unban", "name": "site", "identity": "0" * 32}).status_code == 403


def test_redis_is_away(desk: Client, staff: User, valkey: ValkeyServer) -> None:
    """The page is there, with the rules, and says what is the matter."""
    permit(staff, "view_ban")
    assert "Nobody is banned." in shown(desk)
    valkey.kill()
    text = shown(desk)
    assert "did not answer" in text or "breaker" in text.lower()
    assert "100/m" in text
    assert text.count("Not known.") == 2
    assert "Nobody" not in text


def test_rules_that_cannot_be_read(desk: Client, staff: User, settings: Any) -> None:
    """That the rules are wrong says nothing of bans; and nothing is said of there being none."""
    permit(staff, "view_ban")
    settings.REDIS_TOOLKIT_THROTTLES = {"site": {"rate": "many"}}
    text = shown(desk)
    assert ("Nobody is banned." in text, "Nobody was denied." in text, "declares none" in text) == (True, True, False)
    assert "errornote" in text


def test_a_database_is_dumped() -> None:
    """``dumpdata`` has the tables of the toolkit, and looks for none of bans."""
    Ledger.objects.create(counter="c", batch="b")
    out = StringIO()
    call_command("dumpdata", "redis_toolkit", stdout=out)
    models = [each["model"] for each in json.loads(out.getvalue())]
    assert (models.count("redis_toolkit.ledger"), models.count("redis_toolkit.ban")) == (1, 0)


def test_a_fresh_database(tmp_path: Path, django_environment: dict[str, str]) -> None:
    """``migrate`` makes no table of bans but three permissions; no migration is missing, and all can be dumped."""
    place = tmp_path / "fresh.sqlite3"
    environment = {**os.environ, **django_environment, "SQLITE_PATH": str(place)}

    def manage(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "django", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    manage("migrate", "--run-syncdb", "--verbosity", "0")
    assert (
        manage("makemigrations", "--check", "--dry-run", "redis_toolkit")
        == "No changes detected in app 'redis_toolkit'\n"
    )
    dumped = json.loads(manage("dumpdata", "redis_toolkit", "auth.permission", "--natural-foreign"))
    assert sorted(each["fields"]["codename"] for each in dumped if each["fields"]["content_type"][1] == "ban") == [
        "add_ban", "delete_ban", "view_ban",
    ]  # fmt: skip
    with sqlite3.connect(place) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {name for name in tables if name.startswith("redis_toolkit")} == {
        "redis_toolkit_ledger",
        "redis_toolkit_otp_device",
        "redis_toolkit_outbox",
        "redis_toolkit_token",
    }
