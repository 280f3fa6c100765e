"""A server that answers, and refuses: it is full, a replica, without replicas, or its user may not."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from redis_toolkit.cache import WriteBehind, debts, flights, looks, trust
from redis_toolkit.cache.behind import counters
from redis_toolkit.core.clock import travel
from redis_toolkit.core.connections import link
from redis_toolkit.models import Outbox
from redis_toolkit.testing import ValkeyServer
from tests.app.models import Page

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

#: Commands that make it refuse, commands that end this, and the steps that fail: of a write, and of the reads after it.
REFUSING: dict[str, tuple[str, str, list[str], list[str]]] = {
    "full": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", ["mark"], ["store", "store"]),
    "a replica": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", ["mark", "unmark"], []),
    "without its replicas": (
        "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", ["mark", "unmark"], [],
    ),
    "no scripts": ("ACL SETUSER default -@scripting", "ACL SETUSER default +@scripting", ["mark", "unmark"], []),
    "nothing": ("ACL SETUSER default -@all +acl +ping", "ACL SETUSER default +@all", ["mark", "unmark"], []),
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_server(valkey: ValkeyServer) -> None:
    """A server of one's own, and a process that has looked at no outbox."""
    looks.forget()


@pytest.mark.parametrize(("refuse", "allow", "write", "read"), REFUSING.values(), ids=REFUSING)
def test_a_server_that_refuses(term, redis_client, cost, refuse, allow, write, read):
    """A write goes on, the reads after it are right at once, and so are all when the server takes commands again."""

    def ask() -> list[str]:
        return [lesson.title for lesson in term.cached.filter(group=term.groups[5])]

    ask()
    redis_client.execute_command(*refuse.split())
    with cost() as it:
        assert ask() == ["Lesson 5"]
    # Whoever may read is given what is there.
    nothing = "-@all" in refuse
    assert (it.outcomes, len(it.failures)) == ([("rows", "bypass" if nothing else "hit")], nothing)
    with cost() as it:
        lesson = term.again(5)
        lesson.title = "new"
        lesson.save()
    assert [during for during, _ in it.failures] == write
    with cost() as it:
        assert [ask(), ask()] == [["new"], ["new"]]
    assert it.outcomes == [("rows", "bypass")] * 2
    assert [during for during, _ in it.failures] == read
    assert Outbox.objects.using(term.alias).count() == write.count("unmark")
    assert (link().breaker.is_open, debts.any_owed()) == (False, False)
    redis_client.execute_command(*allow.split())
    with travel(2), cost() as it:
        assert ask() == ["new"]
    # What was a replica is another run of the server now, and waited for.
    assert [outcome for _, outcome in it.outcomes] == ["bypass" if "REPLICAOF" in refuse else "miss"]
    with travel(4):
        assert ask() == ["new"]
    with travel(4), cost() as it:
        assert ask() == ["new"]
    assert it.outcomes == [("rows", "hit")]
    assert Outbox.objects.using(term.alias).count() == 0


def test_a_server_that_does_not_say_which_it_is(term, redis_client, cost, caplog: Any):
    """Without INFO a restart could not be told: a new connection serves nothing, and the log says what to allow."""
    read = term.cached.filter(group=term.groups[5]).count
    assert (read(), read()) == (1, 1)
    redis_client.execute_command("ACL", "SETUSER", "default", "-info")
    link().close()
    with cost() as it:
        for seconds in (0, 2, 4):
            with travel(seconds):
                assert (read(), read()) == (1, 1)
    assert it.outcomes == [("count", "bypass")] * 6
    assert (
        "Redis refuses INFO, so a restart could not be told: a connection serves no answers but its own, and the second of"
        " a process none. Allow +info."
    ) in caplog.text


def test_a_process_that_began_without_info(term, redis_client, cost):
    """Its first connection serves what was stored through it, and nobody else's; the second serves nothing."""
    read, other = term.cached.filter(group=term.groups[5]).count, term.cached.filter(group=term.groups[6]).count
    other()
    trust.forget()
    link().close()
    redis_client.execute_command("ACL", "SETUSER", "default", "-info")
    with cost() as it:
        assert (other(), read(), read()) == (1, 1, 1)
    assert it.outcomes == [("count", "miss"), ("count", "miss"), ("count", "hit")]
    link().close()
    with cost() as it:
        for seconds in (0, 2, 4):
            with travel(seconds):
                assert (read(), read()) == (1, 1)
    assert it.outcomes == [("count", "bypass")] * 6


def test_a_user_who_may_do_what_the_page_says(term, redis_client, cost, monkeypatch):
    """With the commands and keys of docs/reference/keys.md and no others everything works, and nothing fails."""
    page = Path(__file__).parents[3] / "docs" / "reference" / "keys.md"
    (rules,) = re.findall(r"^~prefix:\* -@all .*$", page.read_text("utf-8"), re.MULTILINE)
    allowed = rules.replace("prefix", "rt").split()
    monkeypatch.setattr(flights, "_WORTH", 0.0)
    monkeypatch.setattr(counters, "_declared", {})
    redis_client.execute_command("ACL", "SETUSER", "default", "resetkeys", *allowed, "+acl")
    link().close()
    try:
        with cost() as it:
            for title in ("new", "newer"):
                lesson = term.again(5)
                lesson.title = title
                lesson.save()
                for _ in range(2):
                    assert [each.title for each in term.cached.filter(group=term.groups[5])] == [title]
        assert (it.failures, [outcome for _, outcome in it.outcomes]) == ([], ["miss", "hit"] * 2)
        views = WriteBehind(Page, "views", using=term.alias)
        views.add(1)
        for batches in (1, 2):
            views.add_many(dict.fromkeys(range(600 * batches), 1))
            assert (views.values([1]), views.flush().absent) == ({}, 600 * batches)
        call_command("redis_verify", stdout=StringIO())
        call_command("redis_invalidate", "--purge", stdout=StringIO())
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "allkeys", "+@all")


def test_a_user_who_may_use_no_streams(term, redis_client, cost, monkeypatch):
    """Without the stream commands of claims answers are stored all the same, and nothing fails."""
    monkeypatch.setattr(flights, "_WORTH", 0.0)
    redis_client.execute_command("ACL", "SETUSER", "default", "-@stream")
    link().close()
    try:
        term.cached.filter(group=term.groups[5]).count()
        term.again(5).save()
        with cost() as it:
            for _ in range(2):
                assert term.cached.filter(group=term.groups[5]).count() == 1
        assert [outcome for _, outcome in it.outcomes] == ["miss", "hit"]
        assert it.failures == []
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "+@stream")
