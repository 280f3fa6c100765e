"""The test run itself: its servers, its fixtures, and what it does when a promised server is not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connections

from tests import servers

ROOT = Path(__file__).parents[3]
BOTH = ["default", "postgres"]


def run_tests(*selected: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A test run of its own, with these environment variables and without the servers' variables of this one."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "DATABASE_URL"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *selected],
        cwd=ROOT, env={**inherited, **environment}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


THIS = Path(__file__).relative_to(ROOT).as_posix()
EMPTY = f"{THIS}::test_each_test_begins_with_an_empty_server"


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_begins_with_an_empty_server(redis_client, turn):
    """Neither of two tests sees what the other, or another numbered database, was left with."""
    assert redis_client.dbsize() == 0
    redis_client.set("left", turn)
    cache.set("behind", turn)
    assert redis_client.dbsize() == 2


def test_the_alias_default_is_the_server_of_the_fixtures(redis_client, redis_url):
    """django-redis, the raw client and the fixture's address are one server."""
    assert redis_url == servers.redis_url
    cache.set("week", 47)
    assert redis_client.keys() == [b":1:week"]


def test_a_server_of_the_test_s_own_may_be_killed(valkey, redis_client, redis_url):
    """The fixture `valkey` stands behind the alias; killing it hurts nobody else."""
    assert redis_url == valkey.url != servers.redis_url
    cache.set("week", 47)
    assert redis_client.dbsize() == 1
    valkey.kill()
    with pytest.raises(redis.ConnectionError):
        redis_client.ping()
    with redis.Redis.from_url(servers.redis_url) as shared:
        assert shared.dbsize() == 0


@pytest.mark.django_db(databases=BOTH)
def test_the_two_databases():
    """`default` is an SQLite file in write-ahead mode, `postgres` is PostgreSQL."""
    assert [connections[alias].vendor for alias in BOTH] == ["sqlite", "postgresql"]
    with connections["default"].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone() == ("wal",)
    assert connections["default"].settings_dict["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


@pytest.mark.django_db(databases=BOTH, transaction=True)
def test_another_process_can_join(django_environment, redis_client):
    """A process with django_environment sees the test's rows and keys, and the test sees its."""
    for alias in BOTH:
        User.objects.using(alias).create(username="parent")
    cache.set("parent", 1)
    code = """
import json, django
django.setup()
from django.contrib.auth.models import User
from django.core.cache import cache
seen = [User.objects.using(alias).get().username for alias in ("default", "postgres")] + [cache.get("parent")]
for alias in ("default", "postgres"):
    User.objects.using(alias).create(username="child")
cache.set("child", 1)
print(json.dumps(seen))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env={**os.environ, **django_environment}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout) == ["parent", "parent", 1]
    assert [User.objects.using(alias).filter(username="child").count() for alias in BOTH] == [1, 1]
    assert sorted(redis_client.keys()) == [b":1:child", b":1:parent"]


def test_redis_url_without_a_server_ends_the_run():
    """Nothing is skipped: the run stops with exit code 3 and the reason."""
    done = run_tests(EMPTY, REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 3
    assert "The server named by REDIS_URL does not answer" in done.stdout
    assert "passed" not in done.stdout


def test_database_url_without_a_server_ends_the_run():
    """The same for PostgreSQL, before Django tries to make a test database there."""
    done = run_tests(f"{THIS}::test_the_two_databases", DATABASE_URL="postgresql://127.0.0.1:1/timetable")
    assert done.returncode == 3
    assert "The server named by DATABASE_URL does not answer" in done.stdout


def test_redis_url_with_somebody_s_data_ends_the_run():
    """A database that is not empty is not ours to empty."""
    with servers.new_valkey(tcp=True) as server, redis.Redis.from_url(server.url_of(2)) as client:
        client.set("precious", 1)
        done = run_tests(EMPTY, REDIS_URL=server.url_of(2))
        assert done.returncode == 3
        assert "names a database with 1 keys" in done.stdout
        assert client.get("precious") == b"1"


def test_a_missing_server_program_ends_the_run():
    """REDIS_TOOLKIT_SERVER_BINARY that leads nowhere: exit code 3 and the variable's name."""
    done = run_tests(EMPTY, REDIS_TOOLKIT_SERVER_BINARY="/no/such/redis-server")
    assert done.returncode == 3
    assert "/no/such/redis-server, is not an executable file" in done.stdout


def test_servers_that_run_already_are_used():
    """With REDIS_URL and DATABASE_URL the same tests pass on those servers."""
    with servers.new_valkey() as valkey, servers.new_postgres(tcp=True) as postgres:
        selected = [EMPTY, f"{THIS}::test_the_two_databases", f"{THIS}::test_another_process_can_join"]
        done = run_tests(*selected, REDIS_URL=valkey.url_of(5), DATABASE_URL=postgres.url_of("template1"))
        assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "4 passed"), done.stdout
