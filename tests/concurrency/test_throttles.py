"""Four processes of sixteen threads: a hundred of 3,200 are allowed, neither more nor fewer; and of places so many are held.

``for run in 1 2 3 4 5 6 7 8 9 10; do make test ARGS=tests/concurrency/test_throttles.py; done`` does it ten times.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from redis_toolkit.throttling import Concurrency, Throttle
from redis_toolkit.throttling.algorithms import ALGORITHMS

PROCESSES, THREADS, HITS = 4, 16, 50
EACH = ("gcra", "fixed_window", "sliding_counter", "sliding_log")
#: A process of a crowd: its threads are there, wait for the word, and do what they are told, all at once.
CROWD = """
import json, os, sys, threading
import django
from django.conf import settings
settings.REDIS_TOOLKIT_READ_TIMEOUT = 30
django.setup()
from redis_toolkit.core.connections import link
from redis_toolkit.throttling import Concurrency, Throttle, checking
threads, hits, words = json.loads(sys.argv[1])
gate, found = threading.Barrier(threads + 1), []
# A thread that fails takes the process with it, so that nobody counts without it.
threading.excepthook = lambda told: (sys.__excepthook__(*told[:3]), os._exit(1))
{deed}
def come():
    Throttle("warm", "1/d").peek("nobody")
    gate.wait()
    act()
crowd = [threading.Thread(target=come) for _ in range(threads)]
for thread in crowd:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
gate.wait()
for thread in crowd:
    thread.join()
print(json.dumps(found), flush=True)
"""
#: ``found``: what remained of the first throttle after each hit that was allowed by all.
HIT = """
limits = [(Throttle(name, rate, algorithm=algorithm, on_outage="closed"), who) for name, rate, algorithm, who in words]
asked = [limit._asked((who,), None) for limit, who in limits]
def act():
    for _ in range(hits):
        decisions = checking.check(asked)
        assert {decision.source for decision in decisions} <= {"redis", "denied before", "none"}, decisions
        if all(decision.allowed for decision in decisions):
            found.append(decisions[0].remaining)
"""
#: ``found``: how many were at work, counted by each who works before it begins; and -1 for each who found no place.
WORK = """
jobs = Concurrency("jobs", words, lease=3600, on_outage="closed")
def act():
    for _ in range(hits):
        lease = jobs.take("everybody")
        assert lease.decision.source == "redis", lease
        if lease:
            found.append(link().ask(b"INCR at-work\\r\\n"))
            link().ask(b"DECR at-work\\r\\n")
            jobs.give_back(lease)
        else:
            found.append(-1)
"""
#: The same, and nobody gives back: who takes first has the place.
KEEP = WORK.replace('link().ask(b"DECR at-work\\r\\n")', "pass").replace("jobs.give_back(lease)", "pass")


def play(environment: dict[str, str], deed: str, words: Any, *, hits: int = HITS) -> list[int]:
    """What the threads of all processes found."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CROWD.replace("{deed}", deed), json.dumps([THREADS, hits, words])]
    with ExitStack() as stack:
        crowd = []
        for _ in range(PROCESSES):
            process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
            crowd.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in crowd:
            assert _line(process) == "ready"
        for process in crowd:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [each for process in crowd for each in json.loads(_line(process))]


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def left(name: str, rate: str, algorithm: str, who: str) -> list[int]:
    """What is left of each rate."""
    return [quota.remaining for quota in Throttle(name, rate, algorithm=algorithm).peek(who, cost=0).quotas]


# (Windows of a year: there is no edge to come across.)
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_exactly_a_hundred_of_3200(algorithm: str, django_environment: dict[str, str], redis_client: Any) -> None:
    """Each of the hundred is told another remainder, from 99 to 0."""
    allowed = play(django_environment, HIT, [["crowd", "100/52w", algorithm, "everybody"]])
    assert sorted(allowed) == list(range(100))
    assert left("crowd", "100/52w", algorithm, "everybody") == [0]


@pytest.mark.parametrize("algorithm", EACH)
def test_of_several_rules_too(algorithm: str, django_environment: dict[str, str], redis_client: Any) -> None:
    """Two rules of one identity, one of two rates: what the narrowest denies, 580 of 640, consumes nothing of any."""
    rules = [["wide", "80/51w, 100/52w", algorithm, "everybody"], ["narrow", "60/52w", "gcra", "everybody"]]
    allowed = play(django_environment, HIT, rules, hits=10)
    assert sorted(allowed) == list(range(20, 80))
    assert [left(*rule) for rule in rules] == [[20, 40], [0]]


@pytest.mark.parametrize("algorithm", EACH)
def test_of_rules_of_different_identities_too(
    algorithm: str, django_environment: dict[str, str], redis_client: Any
) -> None:
    """Two identities, so two calls: what one has charged is given back when the other denies, and nothing is lost."""
    rules = [["wide", "1000/52w", algorithm, "an address"], ["narrow", "60/52w", "sliding_log", "a user"]]
    allowed = play(django_environment, HIT, rules, hits=10)
    assert len(allowed) == 60
    assert [left(*rule) for rule in rules] == [[940], [0]]


def test_so_many_are_at_work_and_no_more(django_environment: dict[str, str], redis_client: redis.Redis) -> None:
    """Of 64 who work and come again, fifty times each, never more than five are at work; all places are given back."""
    found = play(django_environment, WORK, 5)
    assert len(found) == PROCESSES * THREADS * HITS
    at_work = [each for each in found if each > 0]
    assert 1 <= max(at_work) <= 5
    assert redis_client.zcard(Concurrency("jobs", 5)._key(("everybody",))) == 0


def test_as_many_as_there_are_places(django_environment: dict[str, str], redis_client: redis.Redis) -> None:
    """Of 64 who come at once, and of all who come again, five get a place: neither more nor fewer."""
    found = play(django_environment, KEEP, 5)
    assert sorted(each for each in found if each > 0) == [1, 2, 3, 4, 5]
    assert found.count(-1) == PROCESSES * THREADS * HITS - 5
    assert redis_client.zcard(Concurrency("jobs", 5)._key(("everybody",))) == 5
