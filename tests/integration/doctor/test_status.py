"""``manage.py redis_status`` on servers other than the cache's, on filters, and on what waits for write-behind."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from redis_toolkit.cache import WriteBehind
from redis_toolkit.cache.behind import counters
from redis_toolkit.core.connections import reset
from tests.app.models import Page
from tests.integration.doctor.conftest import LASTING, Start

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")


def asked(**options: Any) -> str:
    out = StringIO()
    call_command("redis_status", stdout=out, **options)
    return out.getvalue()


@pytest.fixture(autouse=True)
def two_servers(settings: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One for the cache, one for sessions and throttles."""
    monkeypatch.setattr(counters, "_declared", {})
    start({})
    settings.SESSION_ENGINE = "redis_toolkit.sessions"
    settings.REDIS_TOOLKIT_THROTTLES = {"views": {"rate": "10/m"}}
    settings.REDIS_TOOLKIT_DURABLE_ALIAS = settings.REDIS_TOOLKIT_THROTTLE_ALIAS = "durable"
    return start(LASTING, alias="durable")


def test_it_tells_of_the_other_servers():
    """A line for each, with what is kept there and how long it takes to answer."""
    [line] = [each for each in asked().splitlines() if each.startswith("durable")]
    assert line.startswith("durable (throttles, sessions): answers in ")
    found = json.loads(asked(json=True))["servers"]["durable"]
    assert (found["roles"], found["error"], found["latency"] > 0) == (["throttles", "sessions"], "", True)


def test_one_of_them_is_away(two_servers: Any):
    """Exit code 1, the reason, and the rest is told all the same."""
    two_servers.kill()
    reset()
    out = StringIO()
    with pytest.raises(CommandError, match=r"^durable: Redis \('durable' in CACHES\) did not answer") as refused:
        call_command("redis_status", stdout=out)
    assert refused.value.returncode == 1
    assert "durable (throttles, sessions): does not answer" in out.getvalue()
    assert out.getvalue().startswith("default: answers in ")


def test_it_tells_of_filters_and_counters():
    """A filter that was not built, and 3 rows of a counter that wait."""
    views = WriteBehind(Page, "views")
    for key in (1, 2, 3):
        views.add(key)
    said = asked()
    assert "filter of app.Coupon (default): missing\n" in said
    assert said.endswith("write-behind of app.Page.views: 3 rows\n")
    found = json.loads(asked(json=True))
    assert found["write_behind"] == {"app.Page.views": 3}
    assert found["filters"]["app.Coupon (default)"] == "missing"
