"""What Prometheus is told: names, labels, values, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.test import RequestFactory
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families

from redis_toolkit.cache.telling import report
from redis_toolkit.contrib.prometheus import Collector, metrics
from redis_toolkit.core.connections import link
from redis_toolkit.stats import Figures, flush
from redis_toolkit.stats.telling import gathered, teller
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Lesson

Look = Callable[[], Figures]
TOKEN = "only for tests"


def ask(user: Any = None, **headers: str) -> Any:
    request = RequestFactory().get("/metrics", headers=headers)
    if user is not None:
        request.user = user
    return metrics(request)


@pytest.fixture
def scrape(counting: None, settings: Any) -> Callable[..., dict[tuple[str, frozenset[tuple[str, str]]], float]]:
    """The samples by name and labels, as Prometheus' own parser reads them."""
    settings.REDIS_TOOLKIT_METRICS_TOKEN = TOKEN

    def look() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        flush()
        response = ask(authorization=f"Bearer {TOKEN}")
        assert response.status_code == 200
        families = text_string_to_metric_families(response.content.decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    return look


def named(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"redis_toolkit_{name}", frozenset(labels.items())


def test_what_is_told(scrape: Any) -> None:
    """Each metric by its name, with the unit in it, and its labels; all of it in seconds and bytes."""
    report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.25, loaded=1.0)
    report(model=Lesson, kind="get", outcome="miss", alias="default", seconds=2.5, loaded=2.0, size=512, reason="empty")
    for cell in (
        ("write", "app.Lesson", ""), ("error", "read", ""), ("breaker", "default", "open"), ("ban", "mails", ""),
        ("throttle", "mails", "denied"), ("code", "login", "wrong"), ("session", "", "logout"),
        ("token", "", "refused.unknown"), ("dropped", "", ""), ("ended", "app.Lesson", "*"),
    ):  # fmt: skip
        gathered.add(cell, 3)
    teller._sample()
    found = scrape()
    model = {"model": "app.Lesson"}
    expected = {
        named("up"): 1,
        named("cache_reads_total", **model, kind="get", outcome="hit"): 1,
        named("cache_reads_total", **model, kind="get", outcome="miss"): 1,
        named("cache_read_seconds_total", **model, kind="get", outcome="hit"): 0.25,
        named("cache_loads_total", **model, kind="get"): 1,
        named("cache_load_seconds_total", **model, kind="get"): 2,
        named("cache_saved_seconds", **model, kind="get"): 0.75,
        named("cache_reasons_total", **model, reason="empty"): 1,
        named("cache_ended_total", **model, stamp="*"): 3,
        named("cache_writes_total", **model): 3,
        named("cache_stored_total", **model): 1,
        named("cache_stored_bytes_total", **model): 512,
        named("cache_errors_total", during="read"): 3,
        named("breaker_changes_total", alias="default", state="open"): 3,
        named("throttle_decisions_total", throttle="mails", decision="denied"): 3,
        named("throttle_bans_begun_total", throttle="mails"): 3,
        named("codes_total", purpose="login", outcome="wrong"): 3,
        named("sessions_ended_total", reason="logout"): 3,
        named("tokens_total", event="refused.unknown"): 3,
        named("statistics_dropped_total"): 3,
        named("server_evicted_keys_total", alias="default"): 0,
        named("server_expired_keys_total", alias="default"): 0,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found[named("server_memory_bytes", alias="default")] > 500_000
    assert found[named("server_clients", alias="default")] >= 1
    assert named("server_operations_per_second", alias="default") in found


def test_hostile_names(scrape: Any) -> None:
    """Quotes, backslashes, line breaks and braces in a name make one label each, of the metric they belong to."""
    odd = ['a"b', "a\\", "a\nb 1", '"} 1\nredis_toolkit_up 5\n#', "x" * 500, "", "\ud800", "{}", "ключ"]
    for name in odd:
        report(model=None, kind="value", outcome="hit", alias="default", seconds=0.0, name=name)
    found = scrape()
    reads = {labels: value for (name, labels), value in found.items() if name == "redis_toolkit_cache_reads_total"}
    assert (len(reads), set(reads.values())) == (len(odd), {1})
    assert found[named("up")] == 1
    assert {'a"b', "a\\", "", "{}", "ключ"} <= {dict(labels)["model"] for labels in reads}


def test_open_metrics(scrape: Any) -> None:
    """Who asks for OpenMetrics gets it, and it can be read."""
    report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.25)
    scrape()
    response = ask(authorization=f"Bearer {TOKEN}", accept="application/openmetrics-text; version=1.0.0")
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    samples = [each for family in open_families(response.content.decode()) for each in family.samples]
    assert [each.value for each in samples if each.name == "redis_toolkit_cache_reads_total"] == [1]


def test_counters_never_go_back(scrape: Any) -> None:
    """They are sums of everything: two scrapes, between which a thing was counted, differ by that."""
    read = named("cache_reads_total", model="app.Lesson", kind="get", outcome="hit")
    for times in (1, 2):
        report(model=Lesson, kind="get", outcome="hit", alias="default", seconds=0.25)
        assert scrape()[read] == times


def test_while_redis_is_away(valkey: ValkeyServer, counting: None, settings: Any) -> None:
    """It is answered all the same: nothing but that it is away."""
    settings.REDIS_TOOLKIT_METRICS_TOKEN = TOKEN
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 3600
    valkey.kill()
    response = ask(authorization=f"Bearer {TOKEN}")
    families = list(text_string_to_metric_families(response.content.decode()))
    assert [(each.name, each.value) for family in families for each in family.samples] == [("redis_toolkit_up", 0)]


def test_registering_asks_nobody(counting: None) -> None:
    """Where Redis is away a process starts all the same."""
    before = link().total_round_trips
    CollectorRegistry().register(Collector())
    assert link().total_round_trips == before


@pytest.mark.django_db
def test_who_may_see_it(counting: None, settings: Any) -> None:
    """Nobody, unless there is a token and it is said, or somebody is logged in who may see the statistics."""
    ada = User.objects.create(username="ada", is_staff=True)
    assert [ask().status_code, ask(AnonymousUser()).status_code, ask(ada).status_code] == [403] * 3
    assert ask(authorization="Bearer ").status_code == 403
    ada.user_permissions.add(Permission.objects.get(codename="view_statistic"))
    assert ask(User.objects.get(pk=ada.pk)).status_code == 200
    settings.REDIS_TOOLKIT_METRICS_TOKEN = TOKEN
    said = ["Bearer", "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"]
    assert [ask(authorization=each).status_code for each in said] == [403] * len(said)
    assert ask(authorization=f"Bearer {TOKEN}").status_code == 200
    assert metrics(RequestFactory().post("/metrics")).status_code == 405
