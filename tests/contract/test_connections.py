"""Links to real servers: threads, forks, lost connections, refusals, outages and what is said about them."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import hiredis
import pytest
import redis

from redis_toolkit.core import keyspaces
from redis_toolkit.core.connections import Link, link, pack
from redis_toolkit.core.lanes import RUN_SIZE
from redis_toolkit.exceptions import BreakerOpen, Misconfigured, StoreUnavailable
from redis_toolkit.signals import breaker_changed
from tests import servers

ROOT = Path(__file__).parents[2]
PING = pack(("PING",))
CLIENT_ID = pack(("CLIENT", "ID"))
PATIENCE = 10.0


def trips(work: Callable[[], Any]) -> int:
    """How many round trips ``work`` costs this thread."""
    before = link().round_trips
    work()
    return link().round_trips - before


def until(condition: Callable[[], bool]) -> None:
    """Ask until it is so."""
    deadline = perf_counter() + PATIENCE
    while not condition():
        assert perf_counter() < deadline


@pytest.fixture
def states() -> Iterator[queue.Queue[str]]:
    """The states of breakers as they are announced, but for probes that find nothing."""
    announced: queue.Queue[str] = queue.Queue()

    def receive(state: str, before: str, **_: Any) -> None:
        if "closed" in {state, before}:
            announced.put(state)

    breaker_changed.connect(receive)
    yield announced
    breaker_changed.disconnect(receive)


@pytest.fixture
def hasty(settings: Any, valkey: Any) -> Any:
    """A server of this test's own behind a link that waits a quarter of a second and probes fifty times a second."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = 0.25
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.02
    return valkey


# One command after another


def test_a_command_is_one_round_trip():
    """One command, or a hundred of them joined, is one round trip; opening a connection counts for nothing."""
    link().close()
    assert trips(lambda: link().ask(PING)) == 1
    assert trips(lambda: link().ask_many(PING * 100, 100)) == 1
    assert link().ask_many(PING + pack(("ECHO", "x")), 2) == [b"PONG", b"x"]


def test_a_thread_keeps_its_connection():
    """A thread's commands go through the same connection until it is closed."""
    ids = [link().ask(CLIENT_ID) for _ in range(3)]
    link().close()
    assert len(set(ids)) == 1
    assert link().ask(CLIENT_ID) != ids[0]


def test_large_answers_come_whole():
    """An answer of many packets is put together."""
    data = os.urandom(3_000_000)
    assert link().ask(pack(("SET", "x", data))) == b"OK"
    assert link().ask_many(pack(("GET", "x")) + PING, 2) == [data, b"PONG"]


def test_the_run_names_one_run_of_the_server(valkey):
    """It is empty before the first answer, stays the same for every connection, and is another after a restart."""
    assert link().run == b""
    link().ask(PING)
    first = link().run
    link().close()
    link().ask(PING)
    assert link().run == first
    assert len(first) == RUN_SIZE == 8
    valkey.restart()
    link().ask(PING)
    assert link().run not in {first, b""}


def test_the_run_changes_when_a_replica_takes_over(valkey, redis_client):
    """A server that followed another one is not the same store any more, though its process is."""
    link().ask(PING)
    first = link().run
    redis_client.execute_command("REPLICAOF", "127.0.0.1", "1")
    redis_client.execute_command("REPLICAOF", "NO", "ONE")
    link().close()
    link().ask(PING)
    assert link().run not in {first, b""}


# Threads and forks


def test_sixteen_threads_get_their_own_answers(redis_client):
    """16 threads of 200 commands have a connection each, get the answers to what they asked, and close behind them."""
    start, end = threading.Barrier(16), threading.Barrier(17)
    wrong: list[Any] = []
    costs: list[int] = []
    theirs: set[int] = set()

    def connected() -> set[int]:
        # (Others come and go: of a thread of an earlier test, say, that has had nothing to do for a while.)
        return theirs & {int(each["id"]) for each in redis_client.client_list()}

    def work(name: int) -> None:
        start.wait(PATIENCE)
        theirs.add(link().ask(CLIENT_ID))
        for at in range(200):
            said = b"%d-%d" % (name, at)
            answer = link().ask(pack(("ECHO", said)))
            if answer != said:
                wrong.append((said, answer))
        costs.append(link().round_trips)
        end.wait(PATIENCE)
        end.wait(PATIENCE)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(16)]
    for thread in threads:
        thread.start()
    end.wait(PATIENCE)
    assert len(connected()) == len(theirs) == 16
    end.wait(PATIENCE)
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert costs == [201] * 16
    until(lambda: not connected())


def test_round_trips_of_all_threads_are_counted(redis_client):
    """Those of a thread that lives, 10; that has had its connection replaced twice and ended, 13; and one's own."""
    link().ask(PING)
    before, own = link().total_round_trips, link().round_trips
    begin, end = threading.Barrier(2), threading.Barrier(2)
    identities: list[int] = []

    def work() -> None:
        identities.extend(link().ask(CLIENT_ID) for _ in range(10))
        begin.wait(PATIENCE)
        end.wait(PATIENCE)
        # Closed by the server: asked in vain, and once more.
        link().ask(PING)
        link().close()
        link().ask(PING)

    thread = threading.Thread(target=work)
    thread.start()
    begin.wait(PATIENCE)
    assert link().total_round_trips - before == 10
    redis_client.client_kill_filter(_id=identities[0])
    end.wait(PATIENCE)
    thread.join(PATIENCE)
    assert link().total_round_trips - before == 13
    link().ask(PING)
    assert (link().total_round_trips - before, link().round_trips - own) == (14, 1)


FORK = """
import json, os, signal
import django
django.setup()
from redis_toolkit.core import connections
from redis_toolkit.core.connections import link, pack
ask = lambda: link().ask(pack(("CLIENT", "ID")))
before = ask()
link().breaker.is_open = True
end, begin = os.pipe()
with connections._making:
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        told = [link().breaker.is_open, ask(), ask(), link("another").alias, link().round_trips]
        os.write(begin, json.dumps(told).encode())
        os._exit(0)
link().breaker.is_open = False
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps([status, before, ask(), json.loads(os.read(end, 4096))]))
"""


def test_a_forked_child_has_a_connection_of_its_own(redis_url):
    """A child begins with a closed breaker, no held lock and its own socket, and its parent's connection goes on."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "REDIS_URL": redis_url},
    )
    status, before, after, (is_open, first, second, alias, round_trips) = json.loads(done.stdout)
    assert (status, is_open, alias, round_trips) == (0, False, "another", 2)
    assert before == after
    assert first == second != before


# Connections that die


def test_an_idle_connection_that_was_closed_is_replaced(redis_client):
    """A connection the server closed costs one more round trip: the command is sent again, once, and done once."""
    identity = link().ask(CLIENT_ID)
    redis_client.client_kill_filter(_id=identity)
    assert trips(lambda: link().ask(pack(("INCR", "n")))) == 2
    assert redis_client.get("n") == b"1"
    assert link().ask(CLIENT_ID) != identity
    assert trips(lambda: link().ask(PING)) == 1


def test_what_must_not_be_sent_twice_looks_first(redis_client):
    """Before a command that is not idempotent a closed connection is noticed, and the command is sent once."""
    redis_client.client_kill_filter(_id=link().ask(CLIENT_ID))
    assert trips(lambda: link().ask_many(pack(("INCR", "n")), 1, idempotent=False)) == 1
    assert trips(lambda: link().ask_many(pack(("INCR", "n")), 1, idempotent=False)) == 1
    assert redis_client.get("n") == b"2"


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_connection_that_dies_during_a_command(idempotent, settings, valkey, redis_client):
    """What may be sent twice is sent again, once; what may not fails, having been done once."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = PATIENCE
    identity = link().ask(CLIENT_ID)
    answers: list[Any] = []

    def is_waiting() -> bool:
        return redis_client.info("clients")["blocked_clients"] == 1

    def interfere() -> None:
        until(is_waiting)
        redis_client.client_kill_filter(_id=identity)
        if idempotent:
            until(lambda: redis_client.get("n") == b"2")
            until(is_waiting)
            redis_client.rpush("list", "x")

    thread = threading.Thread(target=interfere)
    thread.start()
    commands = pack(("INCR", "n")) + pack(("BLPOP", "list", 0))
    try:
        answers += link().ask_many(commands, 2, idempotent=idempotent)
    except StoreUnavailable as error:
        answers.append(type(error.__cause__))
    thread.join(PATIENCE)
    assert answers == ([2, [b"list", b"x"]] if idempotent else [ConnectionResetError])
    assert redis_client.get("n") == (b"2" if idempotent else b"1")
    assert link().ask(PING) == b"PONG"


class Interruption(BaseException):
    """Like a KeyboardInterrupt or a gevent time-out."""


def test_an_interrupted_command_leaves_no_answer_behind(settings):
    """After an exception in the middle of a command the next one gets its own answer, on another connection."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = PATIENCE
    link().close()
    identity = link().ask(CLIENT_ID)

    def interrupt(*_: Any) -> None:
        raise Interruption

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(Interruption):
            link().ask(pack(("BLPOP", "list", 5)))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert link().ask(pack(("ECHO", "mine"))) == b"mine"
    assert link().ask(CLIENT_ID) != identity
    assert link().breaker.is_open is False


# Outages


def test_silence_costs_one_time_out(hasty, states):
    """A server that does not answer costs READ_TIMEOUT once; then the breaker is open and nothing is asked."""
    link().ask(PING)
    hasty.pause()
    began = perf_counter()
    with pytest.raises(StoreUnavailable, match="'default' in CACHES") as raised:
        link().ask(PING)
    waited = perf_counter() - began
    assert 0.24 < waited < PATIENCE
    assert not isinstance(raised.value, BreakerOpen)
    assert isinstance(raised.value.__cause__, BlockingIOError | TimeoutError)
    assert link().breaker.is_open
    before = link().round_trips
    for _ in range(100):
        with pytest.raises(BreakerOpen):
            link().ask(PING)
    assert link().round_trips == before
    hasty.resume()
    assert [states.get(timeout=PATIENCE) for _ in range(2)] == ["open", "closed"]
    assert link().ask(PING) == b"PONG"


def test_silence_at_the_door_opens_the_breaker_too(hasty):
    """A server that is silent when the connection is opened is one that timed out."""
    hasty.pause()
    with pytest.raises(StoreUnavailable):
        link().ask(PING)
    assert link().breaker.is_open
    hasty.resume()


def test_a_dead_server_is_asked_three_times(hasty, states):
    """Refused connections open the breaker at the third; a probe closes it when the server is back."""
    link().ask(PING)
    hasty.kill()
    seen = []
    for _ in range(4):
        with pytest.raises(StoreUnavailable) as raised:
            link().ask(PING)
        seen.append((raised.type, link().breaker.is_open))
    assert seen == [(StoreUnavailable, False), (StoreUnavailable, False), (StoreUnavailable, True), (BreakerOpen, True)]
    assert states.get(timeout=PATIENCE) == "open"
    hasty.start()
    assert states.get(timeout=PATIENCE) == "closed"
    assert link().breaker.is_open is False
    assert link().ask(PING) == b"PONG"


def test_failures_are_counted_in_a_row(hasty):
    """An answer in between begins the count anew."""
    for _ in range(2):
        assert link().ask(PING) == b"PONG"
        hasty.kill()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                link().ask(PING)
        hasty.start()
    assert link().breaker.is_open is False


@pytest.fixture
def loading(settings: Any) -> Iterator[redis.Redis]:
    """A client of a server that reads its file again, and takes ten seconds or until `key-load-delay` is 0."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = PATIENCE
    settings.REDIS_TOOLKIT_BREAKER_RETRY = 0.02
    # It listens after each kilobyte that it has read.
    config = {"enable-debug-command": "local", "loading-process-events-interval-bytes": 1024}
    with servers.new_valkey(config=config) as server, redis.Redis.from_url(server.url, socket_timeout=None) as client:
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
        client.mset({str(at): os.urandom(2000) for at in range(500)})
        client.config_set("key-load-delay", 20_000)
        with redis.Redis.from_url(server.url, socket_timeout=None) as another:
            thread = threading.Thread(target=another.execute_command, args=("DEBUG", "RELOAD"))
            thread.start()
            until(lambda: client.info("persistence")["loading"] == 1)
            yield client
            client.config_set("key-load-delay", 0)
            thread.join(PATIENCE)


def test_a_server_that_is_loading_is_asked_three_times(loading, states):
    """`LOADING` is an answer, and opens the breaker at the third; a probe closes it when the server has its data."""
    seen = []
    for _ in range(4):
        with pytest.raises(StoreUnavailable) as raised:
            link().ask(pack(("GET", "x")))
        seen.append((str(raised.value).rpartition(": ")[2][:7], link().breaker.is_open))
    assert seen == [("LOADING", False), ("LOADING", False), ("LOADING", True), (str(BreakerOpen())[:7], True)]
    assert states.get(timeout=PATIENCE) == "open"
    assert loading.info("persistence")["loading"] == 1
    assert states.empty()
    loading.config_set("key-load-delay", 0)
    assert states.get(timeout=PATIENCE) == "closed"
    assert link().ask(PING) == b"PONG"


def test_what_must_come_first_is_done_before_redis_is_trusted(hasty, states):
    """`before_trust` runs while all others are still refused, is tried again if it fails, and may itself ask."""
    seen: list[Any] = []

    def stranger() -> None:
        try:
            seen.append(link().ask(PING))
        except BreakerOpen:
            seen.append("refused")

    def prepare() -> None:
        seen.append((link().breaker.is_open, link().ask(PING)))
        thread = threading.Thread(target=stranger)
        thread.start()
        thread.join(PATIENCE)
        if len(seen) < 6:
            raise StoreUnavailable

    link().before_trust.append(prepare)
    hasty.pause()
    with pytest.raises(StoreUnavailable):
        link().ask(PING)
    hasty.resume()
    assert [states.get(timeout=PATIENCE) for _ in range(2)] == ["open", "closed"]
    assert seen == [(True, b"PONG"), "refused"] * 3


def test_nobody_pays_for_the_probe(hasty, redis_client, states):
    """The probe has a connection of its own and closes it."""
    link().ask(PING)
    idle = len(redis_client.client_list())
    hasty.pause()
    with pytest.raises(StoreUnavailable):
        link().ask(PING)
    hasty.resume()
    assert [states.get(timeout=PATIENCE) for _ in range(2)] == ["open", "closed"]
    until(lambda: len(redis_client.client_list()) == idle - 1)


# Refusals


def test_a_full_server_is_unavailable(valkey, redis_client):
    """What the server has no memory for is StoreUnavailable; the connection is kept, the breaker stays closed."""
    identity = link().ask(CLIENT_ID)
    redis_client.config_set("maxmemory", 1)
    with pytest.raises(StoreUnavailable, match=r"^Redis \('default' in CACHES\) refused a command: OOM ") as raised:
        link().ask(pack(("SET", "x", "y")))
    assert isinstance(raised.value.__cause__, hiredis.ReplyError)
    redis_client.config_set("maxmemory", 0)
    assert link().ask(pack(("SET", "x", "y"))) == b"OK"
    assert link().ask(CLIENT_ID) == identity
    assert link().breaker.is_open is False


def test_a_replica_is_unavailable(valkey, redis_client):
    """A server that became a replica refuses writes, and the next command goes through a new connection."""
    identity = link().ask(CLIENT_ID)
    redis_client.execute_command("REPLICAOF", "127.0.0.1", "1")
    for _ in range(5):
        with pytest.raises(StoreUnavailable, match="READONLY"):
            link().ask(pack(("SET", "x", "y")))
    redis_client.execute_command("REPLICAOF", "NO", "ONE")
    assert link().ask(pack(("SET", "x", "y"))) == b"OK"
    assert link().ask(CLIENT_ID) != identity


def test_a_refusal_among_answers(redis_client):
    """One refused command of several fails the call; the others were done and the connection is kept."""
    redis_client.rpush("list", "x")
    identity = link().ask(CLIENT_ID)
    commands = pack(("INCR", "n")) + pack(("GET", "list")) + pack(("INCR", "n"))
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        link().ask_many(commands, 3)
    assert redis_client.get("n") == b"2"
    assert link().ask(CLIENT_ID) == identity


# Addresses


@pytest.mark.parametrize("alias", ["plain", "nowhere"])
def test_a_wrong_alias_is_told_with_its_cure(alias, settings):
    """An alias that is no django-redis cache is Misconfigured, and the text says what to set."""
    settings.CACHES = {**settings.CACHES, "plain": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.REDIS_TOOLKIT_ALIAS = alias
    with pytest.raises(Misconfigured) as raised:
        link().ask(PING)
    assert str(raised.value) == (
        f"CACHES['{alias}'] is not a django-redis cache. Set its BACKEND to 'django_redis.cache.RedisCache', or name"
        " another alias in REDIS_TOOLKIT_ALIAS."
    )


PASSWORD, WRONG = "open-sesame-4711", "close-sesame-0815"


def told(error: BaseException) -> str:
    """Everything the exception and its causes say."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__)


@pytest.mark.parametrize("place", ["url", "options"])
def test_no_message_tells_a_password(place, settings):
    """Neither a refused password nor a dead server makes one stand in an error, and the right one works."""

    def use(password: str) -> None:
        at = f"unix://:{password}@{server.socket_path}?db=0" if place == "url" else server.url
        options = {"PASSWORD": password} if place == "options" else {}
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": at, "OPTIONS": options}}

    with servers.new_valkey(config={"requirepass": PASSWORD}) as server:
        use(WRONG)
        with pytest.raises(StoreUnavailable) as refused:
            link().ask(PING)
    with servers.new_valkey(config={"requirepass": PASSWORD}) as server:
        use(PASSWORD)
        assert link().ask(PING) == b"PONG"
        server.kill()
        with pytest.raises(StoreUnavailable) as dead:
            link().ask(PING)
    for raised in (refused, dead):
        assert "'default' in CACHES" in str(raised.value)
        assert PASSWORD not in told(raised.value)
        assert WRONG not in told(raised.value)


def test_a_location_that_is_no_address_is_told_without_its_password(settings):
    """A slash in a password makes the address unreadable; the error names the alias and the cure, not the password."""
    location = "redis://:open/sesame@127.0.0.1:6379/0"
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}
    with pytest.raises(Misconfigured, match=r"CACHES\['default'\]") as raised:
        link().ask(PING)
    assert (
        str(raised.value)
        == "LOCATION of CACHES['default'] is no address: redis://host:6379/0. Percent-encode its password."
    )
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_change_of_caches_is_followed(settings, redis_client):
    """Another CACHES means another link; the old one's connection of this thread is closed."""
    first = link()
    identity = first.ask(CLIENT_ID)
    first.ask(pack(("SET", "x", "first")))
    with servers.new_valkey() as server:
        before = settings.CACHES
        settings.CACHES = {"default": {**before["default"], "LOCATION": server.url}}
        assert link() is not first
        assert link().ask(pack(("GET", "x"))) is None
        until(lambda: identity not in {int(each["id"]) for each in redis_client.client_list()})
        settings.CACHES = before
    assert link().ask(pack(("GET", "x"))) == b"first"


def test_the_alias_is_followed(settings):
    """REDIS_TOOLKIT_ALIAS is read on each use, and each alias has a link of its own."""
    settings.CACHES = {**settings.CACHES, "second": {**settings.CACHES["default"]}}
    assert link().alias == "default"
    settings.REDIS_TOOLKIT_ALIAS = "second"
    assert link().alias == "second"
    assert link() is link("second") is not link("default")
    assert link().ask(PING) == b"PONG"


def test_all_threads_share_one_link():
    """Threads that ask for a link at the same moment get the same one."""
    barrier = threading.Barrier(8)
    found: list[Link] = []

    def work() -> None:
        barrier.wait(PATIENCE)
        found.append(link("another"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_a_scan_lists_every_key(redis_client):
    """A keyspace's scan gives each of 3,000 keys of its pattern, in pages, and none of another's."""
    redis_client.mset({f"rt:x:{at}": at for at in range(3000)})
    redis_client.mset({f"other:{at}": at for at in range(300)})
    pages = list(keyspaces.scan(link(), "rt:x:*"))
    assert len(pages) > 2
    assert {key for page in pages for key in page} == {b"rt:x:%d" % at for at in range(3000)}
    assert link().ask(PING) == b"PONG"
