"""``standing``: what is left to a client, without counting."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from redis_toolkit.core.connections import link
from redis_toolkit.throttling import Rule, client_address, standing, throttle

make = RequestFactory()


@pytest.fixture(autouse=True)
def rules(settings: Any) -> None:
    settings.REDIS_TOOLKIT_THROTTLES = {
        "site": {"rate": "5/h", "key": "ip"},
        "api": {"rate": "1/h", "key": "ip", "paths": ["/api/"]},
        "hidden": {"rate": "1/h", "key": "ip", "shadow": True},
        "posts": {"rate": "1/h", "key": "ip", "method": "POST"},
        "inside": {"rate": "1/h", "key": "ip", "exempt": ["127.0.0.0/8"]},
        "users": {"rate": "1/h", "key": "user"},
    }


def test_what_is_left_and_nothing_is_counted() -> None:
    """Of the rules that count this client, whatever their paths; asked three times it is the same, in one round trip."""
    standing(make.get("/"))
    before = link().round_trips
    for _ in range(3):
        assert [(each.name, each.allowed, each.remaining) for each in standing(make.get("/"))] == [
            ("site", True, 5), ("api", True, 1),
        ]  # fmt: skip
    assert link().round_trips - before == 3


def test_who_is_denied_one_thing_sees_the_others() -> None:
    """A denial that this process remembers says nothing of the other rules: they are asked."""
    view = throttle("1/h", key="ip", name="api")(lambda request: HttpResponse())
    assert [view(make.get("/")).status_code for _ in range(3)] == [200, 429, 429]
    assert [(each.name, each.allowed, each.remaining, each.source) for each in standing(make.get("/"))] == [
        ("site", True, 5, "redis"), ("api", False, 0, "denied before"),
    ]  # fmt: skip


def test_rules_of_ones_own() -> None:
    """Those that are given, for this address and method; none is nothing, and asks nobody."""
    posts = Rule("posts", "2/h", key="ip", method="POST")
    assert [each.remaining for each in standing(make.post("/"), [posts])] == [2]
    assert standing(make.get("/"), [posts]) == []
    assert standing(make.get("/"), []) == []


def test_the_address_that_is_counted() -> None:
    """IPv6 by network; what is no address is one client for all."""
    addresses = ("203.0.113.5", "2001:db8::1", "::ffff:203.0.113.5", "nowhere")
    assert [client_address(make.get("/", REMOTE_ADDR=each)) for each in addresses] == [
        "203.0.113.5", "2001:db8::/64", "203.0.113.5", "unknown",
    ]  # fmt: skip
