"""Sessions that many requests write at once: everybody is heard, what has ended stays ended, there are no more than may be."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from django.contrib.sessions.backends.base import UpdateError

from redis_toolkit.core.connections import link
from redis_toolkit.exceptions import SessionLimitReached
from redis_toolkit.sessions import SessionStore, revoke_all, sessions_for

PROCESSES, THREADS, WRITES = 4, 32, 500
#: A process of a crowd: its threads have loaded the session before any of them writes to it.
CROWD = """
import json, os, sys, threading
import django
from django.conf import settings
settings.REDIS_TOOLKIT_READ_TIMEOUT = 30
django.setup()
from redis_toolkit.sessions import SessionStore
session_id, threads, mine = json.loads(sys.argv[1])
gate = threading.Barrier(threads + 1)
threading.excepthook = lambda told: (sys.__excepthook__(*told[:3]), os._exit(1))
def write(keys):
    stores = [SessionStore(session_id) for _ in keys]
    for store in stores:
        store.get("base")
    gate.wait()
    gate.wait()
    for key, store in zip(keys, stores):
        store[key] = key
        store.save()
crowd = [threading.Thread(target=write, args=(mine[at::threads],)) for at in range(threads)]
for thread in crowd:
    thread.start()
gate.wait()
print("ready", flush=True)
sys.stdin.readline()
gate.wait()
for thread in crowd:
    thread.join()
print("done", flush=True)
"""


@pytest.fixture(autouse=True)
def patient(settings: Any) -> None:
    """A hundred threads on a busy machine wait for each other, and that is not what is shown here."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = 30


def begin(**given: Any) -> Any:
    store = SessionStore()
    store.update(given)
    store.save()
    return store


def loaded(store: Any) -> Any:
    other = SessionStore(store.session_key)
    other._get_session()
    return other


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """What each returns, or raises, done by threads that begin together."""
    gate = threading.Barrier(len(deeds))
    found: list[Any] = [None] * len(deeds)

    def act(at: int, deed: Callable[[], Any]) -> None:
        gate.wait()
        try:
            found[at] = deed()
        except Exception as error:  # noqa: BLE001 - told to the test
            found[at] = error
        finally:
            link().close()

    threads = [threading.Thread(target=act, args=each) for each in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("seal", ["", "signed"])
def test_500_writes_are_kept(seal: str, django_environment: dict[str, str], redis_client: Any, settings: Any) -> None:
    """Four processes of 32 threads have all loaded the session before the first writes; each sets keys of its own."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = seal or None
    deed = CROWD
    if seal:
        deed = deed.replace("django.setup()", f"settings.REDIS_TOOLKIT_SESSION_SEAL = {seal!r}; django.setup()")
    store = begin(base=1)
    keys = [f"k{at}" for at in range(WRITES)]
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        crowd = []
        for at in range(PROCESSES):
            words = json.dumps([store.session_key, THREADS, keys[at::PROCESSES]])
            process = subprocess.Popen(
                [sys.executable, "-c", deed, words], env=django_environment, stdin=pipe, stdout=pipe, text=True
            )
            crowd.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in crowd:
            assert process.stdout.readline() == "ready\n"
        for process in crowd:
            process.stdin.write("\n")
            process.stdin.flush()
        for process in crowd:
            assert process.stdout.readline() == "done\n"
    found = dict(loaded(store).items())
    assert found.pop("base") == 1
    assert len(found) == WRITES
    assert found == {key: key for key in keys}


def test_a_log_out_among_100_saves(redis_client: redis.Redis) -> None:
    """Whoever comes after it is told so, and nothing is left: neither a session nor an entry in the user's list."""
    store = begin(_auth_user_id="1")
    requests = [loaded(store) for _ in range(100)]

    def save(at: int) -> None:
        requests[at][f"k{at}"] = at
        requests[at].save()

    deeds = [lambda at=at: save(at) for at in range(100)]
    found = at_once(*deeds[:50], loaded(store).flush, *deeds[50:])
    assert {type(each) for each in found} <= {type(None), UpdateError}
    assert not store.exists(store.session_key)
    late = loaded(store)
    assert dict(late.items()) == {}
    assert sessions_for("1") == []
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize("seal", [None, "signed"])
def test_a_new_id_among_50_saves(seal: str | None, settings: Any) -> None:
    """What was saved is under the new id, and what came too late says so; one of two who give it an id has."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = seal
    store = begin(_auth_user_id="1", base=1)
    requests, cyclists = [loaded(store) for _ in range(50)], [loaded(store) for _ in range(2)]

    def save(at: int) -> None:
        requests[at][f"k{at}"] = at
        requests[at].save()

    deeds = [lambda at=at: save(at) for at in range(50)]
    found = at_once(*deeds[:25], cyclists[0].cycle_key, cyclists[1].cycle_key, *deeds[25:])
    saves = [*found[:25], *found[27:]]
    assert {type(each) for each in found} <= {type(None), UpdateError}
    assert found[25:27] == [None, None]
    [winner] = [each for each in cyclists if each.session_key != store.session_key]
    kept = {key for key in dict(loaded(winner).items()) if key.startswith("k")}
    assert kept == {f"k{at}" for at, each in enumerate(saves) if each is None}
    assert not store.exists(store.session_key)
    assert len(sessions_for("1")) == 1


def test_ending_all_while_they_get_new_ids(redis_client: redis.Redis) -> None:
    """Nobody slips through: what has another id meanwhile is followed."""
    for _ in range(10):
        stores = [begin(_auth_user_id="1", a=1) for _ in range(8)]
        at_once(*(loaded(store).cycle_key for store in stores), lambda: revoke_all("1"))
        assert sessions_for("1") == []
        assert redis_client.dbsize() == 0


def test_as_many_as_may_be(settings: Any, redis_client: redis.Redis) -> None:
    """Of 30 who log in as one user at once three are let in, neither more nor fewer."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 3
    settings.REDIS_TOOLKIT_SESSION_LIMIT_POLICY = "refuse"
    found = at_once(*(lambda: begin(_auth_user_id="1") for _ in range(30)))
    assert sum(isinstance(each, SessionStore) for each in found) == 3
    assert sum(isinstance(each, SessionLimitReached) for each in found) == 27
    assert len(sessions_for("1")) == 3


def test_the_oldest_go(settings: Any, redis_client: redis.Redis) -> None:
    """Of 30 who log in as one user at once three are left; none that is left is missing from the list."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 3
    found = at_once(*(lambda: begin(_auth_user_id="1") for _ in range(30)))
    assert all(isinstance(each, SessionStore) for each in found)
    assert sum(SessionStore().exists(each.session_key) for each in found) == 3
    assert len(sessions_for("1")) == 3


def test_who_looks_at_the_list_takes_nobody_off_it(redis_client: redis.Redis) -> None:
    """Sessions begin and get new ids while others read the list."""
    for _ in range(5):
        stores = at_once(*(lambda: begin(_auth_user_id="1") for _ in range(10)), *(lambda: sessions_for("1"),) * 10)[
            :10
        ]
        at_once(*(store.cycle_key for store in stores), *(lambda: sessions_for("1"),) * 10)
        assert len(sessions_for("1")) == 10
        revoke_all("1")
