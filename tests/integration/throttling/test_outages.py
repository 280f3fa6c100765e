"""Redis is away: open, closed and local do as they say. At what cost, and how all is well again: test_recovery.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.signals import throttle_failed
from redis_toolkit.testing import ValkeyServer
from redis_toolkit.throttling import Ban, Concurrency, Throttle, checking, throttle


@pytest.fixture
def failed() -> Iterator[list[dict[str, Any]]]:
    """What is said of decisions without Redis."""
    told: list[dict[str, Any]] = []

    def listen(**said: Any) -> None:
        told.append(said)

    throttle_failed.connect(listen)
    yield told
    throttle_failed.disconnect(listen)


@pytest.fixture
def away(valkey: ValkeyServer, settings: Any) -> ValkeyServer:
    """It was there, and was killed; nobody finds out by himself that it is back."""
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    Throttle("warm", "1/h").hit("ada")
    valkey.kill()
    return valkey


@pytest.mark.usefixtures("away")
def test_open_and_closed(failed: list[dict[str, Any]]) -> None:
    """One lets everything through, the other nothing, and says when to ask again."""
    opened, closed = (Throttle(policy, "1/h", on_outage=policy) for policy in ("open", "closed"))
    assert [(each.allowed, each.source) for each in (opened.hit("ada"), opened.hit("ada"))] == [(True, "open")] * 2
    decision = closed.hit("ada")
    assert (decision.allowed, decision.source, decision.retry_after_seconds) == (False, "closed", 3600)
    assert [[each.source for each in said["decisions"]] for said in failed] == [["open"], ["open"], ["closed"]]
    assert all(isinstance(said["error"], StoreUnavailable) for said in failed)


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("algorithm", ["gcra", "fixed_window", "sliding_counter", "sliding_log"])
def test_local(algorithm: str) -> None:
    """A quarter of the limit for each identity, all rates or none; what is refunded to Redis is not given back here."""
    limit = Throttle("mails", "8/h, 400/d", algorithm=algorithm, ban=Ban(strikes=1))
    decisions = [limit.hit("ada") for _ in range(4)]
    assert [each.allowed for each in decisions] == [True, True, False, False]
    assert {each.source for each in decisions} == {"local"}
    assert (decisions[0].limit, decisions[0].remaining, decisions[2].banned) == (2, 1, False)
    assert [quota.remaining for quota in limit.peek("ada", cost=0).quotas] == [0, 98]
    assert limit.hit("bob")


@pytest.mark.usefixtures("away")
def test_what_costs_more_than_a_share_is_allowed_now_and_then() -> None:
    """Five of eight would never be allowed by a quarter of eight: it counts as all of that."""
    limit = Throttle("mails", "8/h")
    assert [bool(limit.hit("ada", cost=5)) for _ in range(2)] == [True, False]


@pytest.mark.usefixtures("away")
def test_each_by_its_own_policy() -> None:
    """Of three that are asked at once."""
    limits = [Throttle(policy, "1/h", on_outage=policy) for policy in ("open", "closed", "local")]
    decisions = checking.check([limit._asked(("ada",), None) for limit in limits])
    assert [(each.allowed, each.source) for each in decisions] == [(True, "open"), (False, "closed"), (True, "local")]


@pytest.mark.usefixtures("away")
def test_at_the_door() -> None:
    """Who is let in nowhere is told that it is not his fault: 503."""

    @throttle("1/h", key="ip", name="closed", on_outage="closed")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    response = view(RequestFactory().get("/"))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "3600")
    assert b"temporary-reduced-capacity" in response.content
    assert "RateLimit" not in response.headers


@pytest.mark.usefixtures("away")
def test_places() -> None:
    """Open or closed; there is nothing to give back."""
    assert Concurrency("jobs", 1).take("ada")
    assert not Concurrency("jobs", 1, on_outage="closed").take("ada")
    opened = Concurrency("jobs", 1)
    opened.give_back(opened.take("ada"))


def test_it_refuses_to_write(valkey: ValkeyServer, redis_client: Any) -> None:
    """Full, or a replica: that is away, too, and nothing is raised."""
    limit = Throttle("mails", "4/h", on_outage="closed")
    assert limit.hit("ada")
    redis_client.config_set("min-replicas-to-write", 1)
    assert limit.hit("ada").source == "closed"
    redis_client.config_set("min-replicas-to-write", 0)
    assert limit.hit("ada").source == "redis"


def test_scripts_are_loaded_again(redis_client: Any) -> None:
    """After SCRIPT FLUSH, or a restart, nobody notices."""
    limit = Throttle("mails", "4/h")
    limit.hit("ada")
    redis_client.script_flush()
    assert limit.hit("ada").remaining == 2
