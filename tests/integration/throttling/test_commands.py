"""``redis_throttle``: what is seen, what is left, who is banned; and the bans themselves."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.urls import path

from redis_toolkit.core.clock import travel
from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.signals import throttle_banned
from redis_toolkit.stats import offenders
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Ban, Throttle, exempt

RULES = {
    "site": {"rate": "100/m", "key": "ip", "ban": {"strikes": 1, "length": 600}},
    "api": {"rate": "5/h", "key": "ip", "paths": ["/api/"], "exempt": ["10.0.0.0/8"], "deny": ["192.0.2.0/24"]},
    "users": {"rate": "5/h", "key": "user"},
}


@pytest.fixture(autouse=True)
def rules(settings: Any) -> None:
    settings.REDIS_TOOLKIT_THROTTLES = RULES
    settings.REDIS_TOOLKIT_TRUSTED_PROXIES = ["172.16.0.0/12"]


def run(*words: str) -> list[str]:
    out = StringIO()
    call_command("redis_throttle", *words, stdout=out)
    return out.getvalue().splitlines()


def test_explain() -> None:
    """The address, by whom it is known, and each rule that is for the path."""
    Throttle("api", "5/h").hit("ip", "203.0.113.5", cost=2)
    found = run(
        "explain", "--peer", "172.16.0.1", "--header", "X-Forwarded-For: 1.1.1.1, 203.0.113.5", "--path", "/api/x"
    )
    assert found[0] == "address: 203.0.113.5 (by X-Forwarded-For)"
    assert found[1].startswith("site: counts ip 203.0.113.5 (")
    assert found[1].endswith("): 100 of 100/m left")
    assert found[2].endswith("): 3 of 5/h left")
    assert found[3] == "users: does not count it"
    assert (
        run("explain", "--peer", "1.2.3.4", "--header", "X-Forwarded-For: 5.5.5.5")[0]
        == "address: 1.2.3.4 (by REMOTE_ADDR)"
    )
    assert run("explain", "--peer", "2001:db8::1")[0] == "address: 2001:db8::/64 (by REMOTE_ADDR)"
    assert run("explain", "--peer", "10.1.1.1", "--path", "/api/")[2] == "api: does not count it"
    assert run("explain", "--peer", "192.0.2.1", "--path", "/api/")[2] == "api: kept out, by its deny list"
    assert run("explain", "--peer", "x")[:2] == [
        "address: unknown (by REMOTE_ADDR)",
        "  Nobody can tell the address of such a request; all of them are one client.",
    ]
    with pytest.raises(CommandError, match="is no header"):
        run("explain", "--header", "x")


def test_explain_to_whom_a_user_rule_is_asked(settings: Any) -> None:
    """A visitor is counted by address, who is logged in by the key that is given; callables find them in the request."""
    settings.REDIS_TOOLKIT_THROTTLES = {
        "either": {"rate": "5/h", "key": "user_or_ip"},
        "users": {"rate": "5/h", "key": "user"},
        "plans": {
            "rate": {"none": "1/h", "some": "9/h"}, "key": "ip", "after_login": True,
            "tier": lambda request: "some" if request.user.is_authenticated else "none",
        },
    }  # fmt: skip
    Throttle("users", "5/h").hit("user", "7")
    [_, either, users, plans] = run("explain", "--peer", "1.2.3.4")
    assert either.startswith("either: counts user_or_ip ip 1.2.3.4 (")
    assert users == "users: does not count it"
    assert plans.endswith("1 of 1/h left")
    [_, either, users, plans] = run("explain", "--peer", "1.2.3.4", "--user", "7")
    assert either.startswith("either: counts user_or_ip user 7 (")
    assert users.startswith("users: counts user 7 (")
    assert users.endswith("4 of 5/h left")
    assert plans.endswith("9 of 9/h left")


def open_to_all(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def test_explain_an_exempt_view(settings: Any) -> None:
    """Nothing is counted there, and deny lists hold; in a project without URLs no view is exempt."""
    settings.ROOT_URLCONF = (path("api/open/", exempt(open_to_all)),)
    assert run("explain", "--peer", "1.2.3.4", "--path", "/api/open/")[1:] == [
        f"{name}: does not count it, for the view is exempt" for name in RULES
    ]
    assert run("explain", "--peer", "192.0.2.1", "--path", "/api/open/")[2] == "api: kept out, by its deny list"
    assert run("explain", "--peer", "1.2.3.4", "--path", "/api/")[1].endswith("100 of 100/m left")
    del settings.ROOT_URLCONF
    assert run("explain", "--peer", "1.2.3.4", "--path", "/api/open/")[1].endswith("100 of 100/m left")


def test_an_identity_is_read_as_the_key_has_it(settings: Any) -> None:
    """An address of a network is the network, a name is compared as it is counted; who cannot be is refused."""
    settings.REDIS_TOOLKIT_THROTTLES = {
        "site": RULES["site"],
        "log-in": {"rate": "9/h", "key": ("ip", "post:username"), "ban": {"strikes": 1}},
        "either": {"rate": "9/h", "key": "user_or_ip", "ban": {"strikes": 1}},
    }
    assert run("ban", "site", "ip", "2001:db8::7") == ["site: ip 2001:db8::/64 is banned."]
    assert "banned for another" in run("explain", "--peer", "2001:db8::8")[1]
    assert run("unban", "site", "ip", "2001:db8::9") == ["site: ip 2001:db8::/64 is banned no more."]
    both = Throttle("log-in", "9/h")
    both.hit("ip", "1.2.3.4", "post:username", "ada")
    assert run("reset", "log-in", "ip", "1.2.3.4", "post:username", " ADA") == [
        "log-in: ip 1.2.3.4 post:username ada is forgotten."
    ]
    assert both.peek("ip", "1.2.3.4", "post:username", "ada").remaining == 9
    assert run("ban", "either", "user_or_ip", "user", "7") == ["either: user_or_ip user 7 is banned."]
    assert "banned for another" in run("explain", "--user", "7")[-1]
    for action in ("ban", "unban", "reset"):
        for words in (
            ("log-in", "1.2.3.4"),
            ("log-in", "ip", "1.2.3.4"),
            ("log-in", "ip", "x", "post:username", "ada"),
        ):
            with pytest.raises(CommandError, match="It is: ip ADDRESS post:username TEXT") as caught:
                run(action, *words)
            assert caught.value.returncode == 2


def test_bans_are_listed_begun_and_ended() -> None:
    """By hand, and by denials; with who it is."""
    told: list[dict[str, Any]] = []

    def listen(**said: Any) -> None:
        told.append(said)

    throttle_banned.connect(listen)
    assert run("ban", "site", "ip", "1.2.3.4", "--for", "60") == ["site: ip 1.2.3.4 is banned."]
    limit = Throttle("log-in", "1/h", ban=Ban(strikes=1, length=3600))
    limit.hit("ada")
    assert limit.hit("ada").banned
    throttle_banned.disconnect(listen)
    assert [(said["name"], said["told"], said["seconds"]) for said in told] == [
        ("site", "ip 1.2.3.4", 60.0), ("log-in", "ada", 3600.0),
    ]  # fmt: skip
    listed = run("list")
    assert listed[:3] == ["site: 100/m by ip, for /", "api: 5/h by ip, for /api/", "users: 5/h by user, for /"]
    assert [line.partition(" (")[0] for line in listed[3:]] == [
        "banned by log-in for another 3600 s: ada", "banned by site for another 60 s: ip 1.2.3.4",
    ]  # fmt: skip
    assert run("explain", "--peer", "1.2.3.4")[1].endswith("banned for another 60 s")
    assert run("unban", "site", "ip", "1.2.3.4") == ["site: ip 1.2.3.4 is banned no more."]
    assert run("reset", "log-in", "ada") == ["log-in: ada is forgotten."]
    assert run("reset", "log-in", "ada") == ["log-in: nothing is known of ada."]
    assert (len(run("list")), limit.hit("ada").allowed) == (3, True)
    with pytest.raises(CommandError, match="is not banned"):
        run("unban", "site", "ip", "1.2.3.4")


def test_who_bans_nobody() -> None:
    """A rule that is not there, and one without a ban: nobody would ask."""
    with pytest.raises(CommandError, match="no rule 'nothing': site, api, users"):
        run("ban", "nothing", "ip", "1.2.3.4")
    with pytest.raises(CommandError, match="The throttle 'api' bans nobody"):
        run("ban", "api", "ip", "1.2.3.4")
    with pytest.raises(CommandError, match="A ban is a number of seconds"):
        run("ban", "site", "ip", "1.2.3.4", "--for", "0")
    with pytest.raises(Misconfigured, match="bans nobody"):
        Throttle("mails", "1/h").ban("ada")


def test_what_may_be_a_secret_is_not_told() -> None:
    """Of a header its beginning, in lists and signals."""
    limit = Throttle("keys", "1/h", ban=Ban(strikes=1))
    limit.ban("header:X-Api-Key", "s3cr3t-and-long")
    assert "header:X-Api-Key s3cr…" in run("list")[-1]
    limit.ban("post:username", "ada@example.com")
    assert "post:username ad…@example.com (" in "".join(run("list"))
    assert "ada@" not in "".join(run("list"))


def test_by_the_digest_that_the_list_prints() -> None:
    """A ban of who is shown in part is ended by the digest beside it."""
    limit = Throttle("keys", "1/h", ban=Ban(strikes=1))
    limit.ban("post:username", "ada@example.com")
    digest = run("list")[-1].rpartition("(")[2].rstrip(")")
    assert run("unban", "keys", digest) == [f"keys: {digest} is banned no more."]
    assert limit.hit("post:username", "ada@example.com")


def test_who_is_denied_most(settings: Any) -> None:
    """Counted where it is wished for; the most first, over an hour that ends, and without who was denied long ago."""
    limit = Throttle("mails", "1/h")
    assert not offenders.top()
    settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = True
    for who, times in (("ada", 3), ("bob", 5)):
        for _ in range(times + 1):
            limit.hit(who)
    assert [each[2:] for each in offenders.top()] == [("bob", 5), ("ada", 3)]
    assert [line.partition(" (")[0] for line in run("list")[-2:]] == [
        "denied by mails 5 times: bob", "denied by mails 3 times: ada",
    ]  # fmt: skip
    with travel(7200):
        assert offenders.top() == []
        assert [each.times for each in offenders.top(hours=3)] == [5, 3]
    settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = False
    limit.hit("ada")
    assert [each.times for each in offenders.top()] == [5, 3]


@pytest.mark.usefixtures("patience")
def test_a_flood_of_offenders_is_bounded(settings: Any, redis_client: Any) -> None:
    """Of three thousand clients the thousand that were denied most stand there, for a day at most; Redis away is fine."""
    settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = True
    settings.REDIS_TOOLKIT_THROTTLE_DENIALS = 0
    nobody = Throttle("none", "0/h")
    for client in range(3 * offenders.MOST):
        nobody.hit(client)
        if client % 500 == 499:
            with travel(client / 100):  # a second or more has passed
                nobody.hit("the worst")
    with travel(30):  # when the last was denied: another hour may have begun meanwhile
        assert offenders.top(limit=10)[0].times == 6
    hours = redis_client.keys("rt:h:offenders:*")
    assert len(hours) in {1, 2}
    assert all(redis_client.zcard(key) <= offenders.MOST for key in hours)
    assert all(0 < redis_client.ttl(key) <= 86_400 for key in hours)


def test_redis_is_away(valkey: ValkeyServer) -> None:
    """It is said, with a code to go by."""
    valkey.kill()
    for words in (("list",), ("reset", "site", "ip", "1.2.3.4"), ("ban", "site", "ip", "1.2.3.4")):
        with pytest.raises(CommandError, match="Run it again when Redis is back"):
            run(*words)
    out = StringIO()
    with pytest.raises(CommandError, match="Redis does not answer") as caught:
        call_command("redis_throttle", "explain", stdout=out)
    assert caught.value.returncode == 1
    [_, site, users] = out.getvalue().splitlines()
    assert (site.endswith("Redis is away, so it is local"), users) == (True, "users: does not count it")
