"""400 threads of four processes: a code is right once, five guesses are compared, one code is sent.

None can pass because its threads came one after the other: the server is told to wait, and counts those whose question
it has and has not answered; only when it has all of them are they answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any

import redis

from redis_toolkit.otp import MagicLink, OneTimeCode

PROCESSES = 4
#: Seconds until all have asked.
PATIENCE = 60
#: A process of a crowd: its threads, which are connected, wait for the word, and each does the same once.
CROWD = """
import json, os, sys, threading
import django
from django.conf import settings
settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = settings.REDIS_TOOLKIT_READ_TIMEOUT = 60
django.setup()
from redis_toolkit.exceptions import CodeRefused
from redis_toolkit.otp import MagicLink, OneTimeCode
threads, words = json.loads(sys.argv[1])
gate, found = threading.Barrier(threads + 1), []
threading.excepthook = lambda told: (sys.__excepthook__(*told[:3]), os._exit(1))
def act():
    {deed}
def come():
    OneTimeCode("warm").verify("0" * 64, "1")
    gate.wait()
    gate.wait()
    found.append(act())
crowd = [threading.Thread(target=come) for _ in range(threads)]
for thread in crowd:
    thread.start()
gate.wait()
print("ready", flush=True)
sys.stdin.readline()
gate.wait()
for thread in crowd:
    thread.join()
print(json.dumps(found), flush=True)
"""
VERIFY = 'return OneTimeCode("login").verify(*words).reason'
CONSUME = 'return MagicLink("login").verify(*words).reason'
ARM = 'return OneTimeCode("login").arm(*words) is not None'
ISSUE = """try:
        return OneTimeCode("login").issue(*words, ip="1.2.3.4") and "sent"
    except CodeRefused as error:
        return error.reason"""


def play(environment: dict[str, str], server: redis.Redis, deed: str, words: Any, *, threads: int) -> Counter[Any]:
    """What the threads of all processes were told, and how often, all having asked before one was answered."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CROWD.replace("{deed}", deed), json.dumps([threads // PROCESSES, words])]
    with ExitStack() as stack:
        crowd = []
        for _ in range(PROCESSES):
            process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
            crowd.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in crowd:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        with held(server):
            for process in crowd:
                assert process.stdin is not None
                process.stdin.write("\n")
                process.stdin.flush()
            deadline = perf_counter() + PATIENCE
            while waiting(server) < threads:
                assert perf_counter() < deadline
        lines = [process.stdout.readline() for process in crowd if process.stdout is not None]
    found = Counter(each for line in lines for each in json.loads(line))
    assert sum(found.values()) == threads
    return found


@contextmanager
def held(server: redis.Redis) -> Iterator[None]:
    """The server answers no script meanwhile."""
    server.client_pause(PATIENCE * 1000, all=False)
    try:
        yield
    finally:
        server.client_unpause()


def waiting(server: redis.Redis) -> int:
    """How many have asked it and have no answer."""
    number: int = server.info("clients")["blocked_clients"]
    return number


def test_400_right_answers_and_one_is_right(django_environment: dict[str, str], redis_client: redis.Redis) -> None:
    """With more attempts than there are answers: one consumes the code, 399 find it spent."""
    issued = OneTimeCode("login", attempts=100).issue("ada@example.com")
    found = play(django_environment, redis_client, VERIFY, [issued.challenge, issued.code], threads=400)
    assert found == {"": 1, "spent": 399}


def test_400_wrong_guesses_and_five_are_compared(django_environment: dict[str, str], redis_client: redis.Redis) -> None:
    """The others find no attempt left, and so does the right code."""
    code = OneTimeCode("login")
    issued = code.issue("ada@example.com")
    guess = str((int(issued.code) + 1) % 10**6).zfill(6)
    found = play(django_environment, redis_client, VERIFY, [issued.challenge, guess], threads=400)
    assert found == {"wrong": 5, "spent": 395}
    assert code.verify(issued.challenge, issued.code).reason == "spent"
    [key] = redis_client.scan_iter("*:f")
    assert redis_client.hgetall(key) == {b"s": b"5", b"*": b"5"}


def test_200_ask_for_a_code_and_one_is_sent(django_environment: dict[str, str], redis_client: redis.Redis) -> None:
    """Within the cooldown; what the refused took of their address' budget is given back."""
    found = play(django_environment, redis_client, ISSUE, ["ada@example.com"], threads=200)
    assert found["sent"] == 1
    assert set(found) <= {"sent", "cooldown", "quota"}
    [budget] = redis_client.scan_iter("*:b")
    assert redis_client.zcard(budget) == 1


def test_200_consume_a_link_and_one_does(django_environment: dict[str, str], redis_client: redis.Redis) -> None:
    """The others find it spent."""
    token = MagicLink("login").issue("ada@example.com").code
    assert play(django_environment, redis_client, CONSUME, [token], threads=200) == {"": 1, "spent": 199}


def test_200_workers_arm_and_one_does(django_environment: dict[str, str], redis_client: redis.Redis) -> None:
    """So one mail is sent for one challenge."""
    held = OneTimeCode("login").reserve("ada@example.com")
    assert play(django_environment, redis_client, ARM, [held.challenge], threads=200) == {True: 1, False: 199}
