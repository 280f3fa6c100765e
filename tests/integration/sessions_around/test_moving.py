"""Sessions of the database engine come along: by the command, and as their users come; each once, none twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore as RowStore
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connections

from redis_toolkit.core.connections import link, reset
from redis_toolkit.core.scripts import load
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.sessions import SessionStore, names, revoke, revoke_all, sessions_for
from redis_toolkit.sessions import moving as engine_of_moving
from redis_toolkit.testing import ValkeyServer

Moving = engine_of_moving.SessionStore
InTable = Callable[..., str]


@pytest.fixture
def patience(settings: Any) -> None:
    """However busy the machine is, Redis is not taken to be away: for what asks it for seconds, or from many threads."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = 30
    reset()


@pytest.fixture
def moving(settings: Any) -> None:
    settings.SESSION_ENGINE = "redis_toolkit.sessions.moving"


def run(*words: str) -> str:
    out = StringIO()
    call_command("redis_sessions", *words, stdout=out)
    return out.getvalue()


def moved(many: int, there: int = 0, spent: int = 0, empty: int = 0) -> str:
    return (
        f"{many} moved, {there} were here already, {spent} have ended since they were moved, {empty} hold nothing that"
        " can be read.\n"
    )


def loaded(key: str | None) -> dict[str, Any]:
    return SessionStore(key).load()


def test_move_keeps_keys_life_and_owner(ada: User, in_table: InTable):
    """The cookie of before opens the same session, which ends when it would have and is on its user's list."""
    of_ada = in_table(ada, age=5000, cart=[1, {"n": "ü"}])
    of_nobody = in_table(seen=True)
    assert run("move") == moved(2)
    assert loaded(of_ada) == RowStore(of_ada).load()
    assert loaded(of_nobody) == {"seen": True}
    [device] = sessions_for(ada)
    life = (device.expires - device.created).total_seconds()
    assert life == pytest.approx(5000, abs=5)
    assert link().ask(b"*2\r\n$4\r\nPTTL\r\n$%d\r\n%s\r\n" % wire(of_nobody)) == pytest.approx(
        14 * 24 * 3600e3, abs=5000
    )


def wire(key: str | None) -> tuple[int, bytes]:
    record = names.record_key(key or "", names.digest(key or "")).encode()
    return len(record), record


def test_a_moved_session_is_as_one_of_ours(ada: User, in_table: InTable, redis_client: Any):
    """Its record has the same fields, of the same size, as one that was saved with the same in it."""
    key = in_table(ada, cart=[1, 2])
    run("move")
    twin = SessionStore()
    twin.update(loaded(key))
    twin.save()
    mine, other = (redis_client.hgetall(wire(each)[1].decode()) for each in (key, twin.session_key))
    assert mine.keys() == other.keys()
    ours = {names.HANDLE, names.CREATED, names.LAST}
    assert {name: mine[name] for name in mine if name not in ours} == {n: other[n] for n in other if n not in ours}


def test_a_moved_session_lives_on(ada: User, in_table: InTable):
    """It is written, named anew and ended as any."""
    store = SessionStore(in_table(ada, a=1))
    run("move")
    store["b"] = 2
    store.save()
    old = store.session_key
    store.cycle_key()
    store.save()
    assert store.session_key != old
    assert loaded(old) == {}
    assert {"a": 1, "b": 2}.items() <= loaded(store.session_key).items()
    [device] = sessions_for(ada)
    assert revoke(ada, device.handle)
    assert loaded(store.session_key) == {}


@pytest.mark.parametrize("seal", [None, "signed"])
def test_sealed(ada: User, in_table: InTable, settings: Any, seal: str | None):
    """What is moved is sealed as what is saved."""
    settings.REDIS_TOOLKIT_SESSION_SEAL = seal
    key = in_table(ada, a=1)
    run("move")
    assert loaded(key)["a"] == 1
    store = SessionStore(key)
    store.cycle_key()
    assert loaded(store.session_key)["a"] == 1


def test_move_again_changes_nothing(ada: User, in_table: InTable):
    """Once more, in batches of any size, it moves what has come since, and a live session stays as it is."""
    keys = [in_table(ada, n=n) for n in range(7)]
    assert run("move", "--batch", "3") == moved(7)
    store = SessionStore(keys[0])
    store["n"] = "newer"
    store.save()
    in_table(n=8)
    assert run("move", "--batch", "2") == moved(1, there=7)
    assert loaded(keys[0])["n"] == "newer"
    assert len(sessions_for(ada)) == 7


def test_move_brings_back_nothing_that_has_ended(ada: User, in_table: InTable):
    """1. moved  2. its user logs out (or ends it from another device)  3. it is moved again: it stays ended."""
    logged_out, ended = in_table(ada), in_table(ada)
    run("move")
    SessionStore(logged_out).delete()
    assert revoke_all(ada) == 1
    assert run("move") == moved(0, spent=2)
    assert loaded(logged_out) == loaded(ended) == {}
    assert sessions_for(ada) == []


def test_move_leaves_out_what_has_run_out_and_what_cannot_be_read(in_table: InTable, caplog: Any):
    """The rest is moved."""
    in_table(age=-10, a=1)
    spoilt = in_table(a=1)
    Session.objects.filter(pk=spoilt).update(session_data="spoilt")
    good = in_table(a=1)
    assert run("move") == moved(1, empty=1)
    assert loaded(good) == {"a": 1}
    assert "Session data corrupted" in caplog.text


def test_move_has_no_limit(ada: User, in_table: InTable, settings: Any):
    """Nobody is logged out by it who has more sessions than he could begin now."""
    settings.REDIS_TOOLKIT_SESSION_LIMIT = 2
    keys = [in_table(ada) for _ in range(4)]
    assert run("move") == moved(4)
    assert all(loaded(key) for key in keys)
    assert len(sessions_for(ada)) == 4


def test_move_gives_an_absolute_age(in_table: InTable, settings: Any, redis_client: Any):
    """Counted from the move: nobody knows when the session began."""
    settings.REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE = 100
    key = in_table(a=1)
    run("move")
    assert redis_client.pttl(wire(key)[1].decode()) == pytest.approx(100_000, abs=5000)


def test_move_waits_for_our_engine(settings: Any, in_table: InTable):
    """While the old engine decides who is logged in, what it ends would go on here."""
    key = in_table(a=1)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    with pytest.raises(CommandError, match=r"redis_toolkit\.sessions\.moving") as caught:
        run("move")
    assert caught.value.returncode == 2
    assert loaded(key) == {}


def test_move_without_redis(valkey: ValkeyServer, in_table: InTable):
    """Says so, and goes on where it stood when it is run again."""
    key = in_table(a=1)
    valkey.kill()
    reset()
    with pytest.raises(CommandError, match="Run it again when Redis is back"):
        run("move")
    valkey.start()
    reset()
    assert run("move") == moved(1)
    assert loaded(key) == {"a": 1}


def test_two_round_trips_a_batch(in_table: InTable):
    """However many sessions there are in it: which are known, and the rest at once."""
    for n in range(50):
        in_table(n=n)
    load(link())
    before = link().total_round_trips
    run("move")
    assert link().total_round_trips - before == 2


def test_count_list_and_revoke(ada: User, in_table: InTable):
    """What there is and what is to come; a user's sessions by their handles, which end them; no session key is told."""
    keys = [in_table(ada) for _ in range(3)]
    assert run("--count") == "In Redis: 0\nIn the table of django.contrib.sessions: 3, of which 3 to move\n"
    run("move")
    assert run("--count") == "In Redis: 3\nIn the table of django.contrib.sessions: 3, of which 0 to move\n"
    told = run("list", "--user", str(ada.pk))
    handles = [line.split()[0] for line in told.splitlines()]
    assert handles == [each.handle for each in sessions_for(ada)]
    assert not any(key in told for key in keys)
    assert run("revoke", "--user", str(ada.pk), handles[0]) == "1 ended.\n"
    with pytest.raises(CommandError, match=f"no session {handles[0]}"):
        run("revoke", "--user", str(ada.pk), handles[0])
    assert run("revoke", "--user", str(ada.pk), "--all") == "2 ended.\n"
    assert run("list", "--user", str(ada.pk)) == ""
    assert run("--count") == "In Redis: 0\nIn the table of django.contrib.sessions: 3, of which 0 to move\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--count", "move"),
        ("revoke", "--user", "1"),
        ("revoke", "--user", "1", "x", "--all"),
        ("move", "--batch", "0"),
    ],
)
def test_unclear_words(db: None, words: tuple[str, ...]):
    """What is half said is not guessed at."""
    with pytest.raises(CommandError) as caught:
        run(*words)
    assert caught.value.returncode == 2


def test_who_comes_is_taken_over(moving: None, ada: User, in_table: InTable, client: Any):
    """With the engine of moving a log-in of before goes on, by the same cookie; and is the user's."""
    client.cookies["sessionid"] = in_table(ada)
    User.objects.filter(pk=ada.pk).update(is_staff=True)
    response = client.get("/admin/password_change/")
    assert (response.status_code, response.wsgi_request.user) == (200, ada)
    assert len(sessions_for(ada)) == 1
    Session.objects.all().delete()
    assert client.get("/admin/password_change/").status_code == 200


def test_it_is_looked_for_once(moving: None, in_table: InTable, django_assert_num_queries: Any):
    """One query for a session of before, none when it is here, and one for an id that nobody has."""
    key = in_table(a=1)
    with django_assert_num_queries(1):
        assert Moving(key).load() == {"a": 1}
    with django_assert_num_queries(0):
        assert Moving(key).load() == {"a": 1}
    unknown = Moving("x" * 32)
    with django_assert_num_queries(1):
        assert unknown.load() == {}
    assert unknown.session_key is None
    for odd in ("é" * 32, "a b c d e f g", "x" * 41):
        with django_assert_num_queries(0):
            assert Moving(odd).load() == {}


def test_what_has_ended_is_not_taken_over_again(moving: None, ada: User, in_table: InTable):
    """1. taken over  2. ended, by logging out and from another device  3. the old cookie comes back: nobody."""
    one, other = in_table(ada), in_table(ada)
    Moving(one).load()
    Moving(other).load()
    Moving(one).delete()
    assert not Session.objects.filter(pk=one).exists()
    revoke_all(ada)
    assert Session.objects.filter(pk=other).exists()
    assert Moving(one).load() == Moving(other).load() == {}
    assert not Moving().exists(other)


def test_logging_out_who_never_came(moving: None, in_table: InTable):
    """A session that is ended without being loaded is ended in the table too, and for who has read its row."""
    key = in_table(a=1)
    row = engine_of_moving.held_by(Session.objects.get(pk=key))
    assert row is not None
    Moving(key).delete()
    assert not Session.objects.exists()
    from redis_toolkit.sessions.adopting import SPENT, adopting
    from redis_toolkit.sessions.asking import drive

    assert drive(adopting([row], Moving().serializer())) == [SPENT]
    assert Moving(key).load() == {}


def test_a_new_id_leaves_nothing_behind(moving: None, ada: User, in_table: InTable):
    """By the id of before a log-in there is nobody, neither here nor there."""
    old = in_table(a=1)
    store = Moving(old)
    store.cycle_key()
    store.save()
    assert not Session.objects.exists()
    assert Moving(old).load() == {}
    assert Moving(store.session_key).load() == {"a": 1}


def test_exists(moving: None, in_table: InTable):
    """Here, there, and nowhere; with answers that are booleans."""
    key = in_table(a=1)
    assert Moving().exists(key) is True
    Moving(key).load()
    assert Moving().exists(key) is True
    assert Moving().exists("x" * 32) is False
    assert Moving().exists(None) is False
    assert Moving().exists("") is False


@pytest.mark.django_db(transaction=True)
def test_without_blocking(moving: None, in_table: InTable):
    """The same for coroutines: loaded, known, named anew, ended."""
    key, other = in_table(a=1), in_table(a=2)

    async def visit() -> None:
        store = Moving(key)
        assert await store.aexists(key) is True
        assert await store.aload() == {"a": 1}
        assert await store.aexists("x" * 32) is False
        assert await store.aexists(None) is False
        await store.acycle_key()
        await store.asave()
        assert await Moving(key).aload() == {}
        assert await Moving(store.session_key).aload() == {"a": 1}
        await Moving(other).adelete()
        assert await Moving(other).aload() == {}
        assert await Moving("x" * 32).aload() == {}
        await Moving().adelete()

    asyncio.run(visit())
    assert not Session.objects.exists()
    Moving().delete()


def test_redis_being_away_is_no_reason_to_ask_the_table(moving: None, valkey: ValkeyServer, in_table: InTable):
    """What the table has may have ended long since: nobody is let in by it."""
    key = in_table(a=1)
    valkey.kill()
    reset()
    with pytest.raises(StoreUnavailable):
        Moving(key).load()


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """What each gives, begun at one moment in threads with database connections of their own."""
    barrier = threading.Barrier(len(deeds))

    def do(deed: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return deed()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patience")
def test_many_at_once(moving: None, ada: User, in_table: InTable):
    """32 requests of one browser find its session in the table: each has it, it is taken over once, its user has one."""
    key = in_table(ada, a=1)
    load(link())
    assert [session["a"] for session in at_once(*[lambda: Moving(key).load()] * 32)] == [1] * 32
    assert len(sessions_for(ada)) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("patience")
def test_logging_out_races_those_who_come(moving: None, ada: User, in_table: InTable):
    """Whoever comes first, when a log-out is over the session is gone, of 20 such races."""
    load(link())
    for key in [in_table(ada) for _ in range(20)]:
        at_once(*[partial(lambda key: Moving(key).load(), key)] * 7, Moving(key).delete)
        assert Moving(key).load() == {}
        assert sessions_for(ada) == []


def test_a_save_of_what_has_ended_is_refused(moving: None, in_table: InTable):
    """A request under way cannot bring it back either."""
    store = Moving(in_table(a=1))
    store["b"] = 1
    Moving(store.session_key).delete()
    with pytest.raises(UpdateError):
        store.save()
