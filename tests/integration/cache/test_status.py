"""How the cache is: ``health()``, ``manage.py redis_status``, and the states of a breaker as Redis goes and comes."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from redis_toolkit.cache import Health, gate, health, outages, trust
from redis_toolkit.core.connections import link
from redis_toolkit.signals import breaker_changed
from tests.integration.cache.leftovers import leave
from tests.integration.cache.threads import elsewhere

pytestmark = [pytest.mark.django_db(transaction=True, databases="__all__"), pytest.mark.usefixtures("empty_outboxes")]

PATIENCE = 10.0


def test_health_of_a_process_where_all_is_well(redis_client, settings):
    """Nobody is asked unless one says so: 0 round trips, and then 2; the run is that of the connection."""
    settings.REDIS_TOOLKIT_LOADS = 7
    outages.forget()
    link().close()
    before = link().round_trips
    found = health()
    assert link().round_trips == before
    assert found == Health("default", "closed", link().breaker.since, 0, True, 0, 0, 7, 0)
    asked = health(ask=True)
    assert link().round_trips - before == 2
    assert (asked.run, asked.error, asked.latency is not None and asked.latency > 0) == (link().run.hex(), "", True)


def test_health_tells_who_is_at_the_gate():
    """A load is seen from another thread while it lasts."""
    with gate.admit():
        assert elsewhere(health).loading == 1
    assert health().loading == 0


def test_health_and_the_states_of_an_outage(valkey):
    """Closed; open when Redis is gone; half-open while a probe is under way; closed when it is back, and not trusted yet."""
    # (With the pause of the default: who is told that it is open looks at it before the first probe.)
    told: queue.Queue[tuple[str, str, str, bool]] = queue.Queue()

    def heard(state: str, before: str, **_: Any) -> None:
        now = health()
        told.put((before, state, now.state, now.trusted))

    health(ask=True)
    breaker_changed.connect(heard)
    try:
        valkey.kill()
        for _ in range(3):
            assert health(ask=True).error
        assert [told.get(timeout=PATIENCE) for _ in range(3)] == [
            ("closed", "open", "open", False),
            ("open", "half-open", "half-open", False),
            ("half-open", "open", "open", False),
        ]
        valkey.start()
        last = told.get(timeout=PATIENCE)
        while last[1] != "closed":
            last = told.get(timeout=PATIENCE)
        assert last == ("half-open", "closed", "closed", False)
    finally:
        breaker_changed.disconnect(heard)
    trust.forget()
    assert health(ask=True).trusted


def test_the_command(redis_client):
    """Five lines on the cache for people, none with verbosity 0, one object for programs; each outbox is counted."""
    leave("postgres", redis_client, range(3))
    out = StringIO()
    call_command("redis_status", stdout=out)
    lines = [
        re.sub(r"\d+\.\d+ ms|[0-9a-f]{16}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "…", each)
        for each in out.getvalue().splitlines()
    ]
    assert lines == [
        "default: answers in …; run …",
        "breaker: closed since …+00:00, 0 failures in a row; hits are trusted",
        "gate: 0 loading, 0 waiting, at most 32; 0 answers kept",
        "outbox of default: 0 rows",
        "outbox of postgres: 3 rows",
    ] + [each for each in lines if each.startswith(("filter of ", "write-behind of "))]
    quiet, programs = StringIO(), StringIO()
    call_command("redis_status", stdout=quiet, verbosity=0)
    assert quiet.getvalue() == ""
    call_command("redis_status", "--json", stdout=programs)
    found = json.loads(programs.getvalue())
    assert (found["state"], found["run"], found["most"]) == ("closed", link().run.hex(), 32)
    assert found["outbox"] == {"default": 0, "postgres": 3}


def test_the_command_without_redis(valkey, django_environment):
    """Exit code 1, the reason and its cure on stderr, and all that is known on stdout."""
    valkey.kill()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", "redis_status", "--json"],
        env={**django_environment, "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Start the server or correct LOCATION of CACHES['default']." in done.stderr
    assert "Traceback" not in done.stderr
    found = json.loads(done.stdout)
    assert (found["latency"], found["failures"], found["outbox"]) == (None, 1, {"default": 0, "postgres": 0})
    valkey.start()


def test_the_command_with_an_alias_that_is_none(settings):
    """An alias that is no django-redis cache is told as such."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    with pytest.raises(CommandError, match="is not a django-redis cache"):
        call_command("redis_status")
