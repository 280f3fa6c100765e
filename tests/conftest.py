"""Fixtures and markers of the whole test run."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from weakref import ReferenceType, ref

import psycopg
import pytest
import pytest_django
import redis
from django.db import connections
from django.db.backends.signals import connection_created

from redis_toolkit.cache import debts, flights, recency, refreshing, snapshots, trust
from redis_toolkit.cache.watch import watch_of
from redis_toolkit.conf import settings as toolkit_settings
from redis_toolkit.core import connections as toolkit
from redis_toolkit.core.connections import reset
from redis_toolkit.exceptions import RedisToolkitError
from redis_toolkit.stats.telling import teller
from redis_toolkit.testing import PostgresServer, ValkeyServer
from redis_toolkit.throttling import checking
from tests import servers

TESTS = Path(__file__).parent
TIERS = {"unit", "contract", "integration", "concurrency", "property", "browser"}

DATABASE_URL_PARTS = ("USER", "PASSWORD", "HOST", "PORT", "NAME")


# Whether something is stored must not depend on when the interpreter last collected all of its garbage.
snapshots._SWEEP = 0


def pytest_report_header() -> list[str]:
    """Say which servers the run is about."""
    valkey = servers.valkey.binary or "found on PATH" if servers.valkey else "the one REDIS_URL names"
    postgres = servers.postgres.binary or "found on PATH" if servers.postgres else "the one DATABASE_URL names"
    return [f"redis server: {valkey}", f"postgresql server: {postgres}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier, the name of its folder under tests/."""
    for item in items:
        if item.path.is_relative_to(TESTS):
            tier = item.path.relative_to(TESTS).parts[0]
            if tier in TIERS:
                item.add_marker(tier)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """What a test has written is rolled back behind it: Redis is told so now, and not by a statement of the next one."""
    yield
    for connection in connections.all(initialized_only=True):
        watch_of(connection).settle(connection)


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[redis.Redis]:
    """A raw client of the server all tests share; the server is started first unless REDIS_URL names one."""
    if servers.valkey:
        _promise(servers.valkey)
    # The databases were made before there was a server, and the breaker noticed.
    reset()
    trust.forget()
    client = redis.Redis.from_url(servers.redis_url)
    if not servers.valkey:
        _claim(client)
    yield client
    client.close()
    if servers.valkey:
        servers.valkey.stop()


@pytest.fixture(autouse=True)
def empty_redis(request: pytest.FixtureRequest) -> None:
    """Each test begins with an empty server that is trusted; only unit tests, which have no sockets, do without."""
    if request.node.get_closest_marker("unit") and "redis_url" not in request.fixturenames:
        return
    shared_redis = request.getfixturevalue("shared_redis")
    for each in toolkit._links.values():
        # (A machine that was held up takes its server for away; that is no matter of the next test's.)
        each.breaker.close()
        each.breaker.succeeded()
    trust.forget()
    flights.forget()
    recency.forget()
    checking.forget()
    debts.pay(toolkit.link())
    if servers.valkey:
        shared_redis.flushall()
    else:
        shared_redis.flushdb()


@pytest.fixture(autouse=True)
def no_files_open_elsewhere() -> Iterator[None]:
    """After a test no other thread has SQLite's file open: it might hinder who wants it alone.

    Those in which coroutines ask the database live on, or their connections do, till the garbage is collected.
    """
    opened: list[ReferenceType[Any]] = []

    def note(connection: Any, **_: object) -> None:
        if connection.vendor == "sqlite" and threading.current_thread() is not threading.main_thread():
            opened.append(ref(connection))

    connection_created.connect(note)
    yield
    connection_created.disconnect(note)
    for connection in [found for found in (each() for each in opened) if found is not None]:
        connection.inc_thread_sharing()
        connection.close()
        connection.dec_thread_sharing()


@pytest.fixture(autouse=True)
def no_threads_at_work(no_files_open_elsewhere: None) -> Iterator[None]:
    """After a test no thread goes on refreshing answers, or telling statistics to whichever server the next one has."""
    yield
    refreshing.wait()
    if teller.is_running:
        teller.stop()
    for thread in threading.enumerate():
        if thread.name == "redis-toolkit-stats":
            thread.join()


@pytest.fixture
def usual_time_outs(settings: pytest_django.Settings) -> None:
    """Redis is given as long as a project gives it that says nothing of that."""
    settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = type(toolkit_settings).CONNECT_TIMEOUT.default
    settings.REDIS_TOOLKIT_READ_TIMEOUT = type(toolkit_settings).READ_TIMEOUT.default


@pytest.fixture
def valkey(settings: pytest_django.Settings, usual_time_outs: None) -> Iterator[ValkeyServer]:
    """A server for this test alone, behind the alias ``default``: it may be paused, killed and started again."""
    with servers.new_valkey() as server:
        settings.CACHES = {**settings.CACHES, "default": {**settings.CACHES["default"], "LOCATION": server.url}}
        yield server


@pytest.fixture
def redis_url(request: pytest.FixtureRequest) -> str:
    """The address of the server behind the alias ``default`` in this test."""
    if "valkey" in request.fixturenames:
        url: str = request.getfixturevalue("valkey").url
        return url
    return servers.redis_url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A raw redis-py client, answers in bytes, to look at what is really there."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Start PostgreSQL and find SQLite a file, before pytest-django makes the test databases."""
    folder = tmp_path_factory.mktemp("sqlite")
    connections["default"].settings_dict["TEST"]["NAME"] = str(folder / "default.sqlite3")
    if servers.postgres:
        _promise(servers.postgres)
    else:
        _reach(os.environ["DATABASE_URL"])
    yield
    if servers.postgres:
        servers.postgres.stop()


@pytest.fixture
def django_environment(redis_url: str) -> dict[str, str]:
    """Environment variables by which another process with ``tests.settings`` uses this test's servers and databases."""
    postgres: dict[str, Any] = connections["postgres"].settings_dict
    user, password, host, port, name = (quote(str(postgres[part]), safe="") for part in DATABASE_URL_PARTS)
    return {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"postgresql://{user}:{password}@{host}:{port}/{name}",
        "SQLITE_PATH": str(connections["default"].settings_dict["NAME"]),
    }


def _promise(server: ValkeyServer | PostgresServer) -> None:
    """Start ``server`` or end the whole run: a test that cannot run has not passed."""
    try:
        server.start()
    except RedisToolkitError as error:
        pytest.exit(str(error), 3)


def _reach(url: str) -> None:
    """See that the server named by DATABASE_URL answers."""
    try:
        psycopg.connect(url).close()
    except psycopg.Error as error:
        pytest.exit(f"The server named by DATABASE_URL does not answer: {error}", 3)


def _claim(client: redis.Redis) -> None:
    """See that the server named by REDIS_URL answers and is nobody's, for the tests empty it."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.exit("REDIS_URL names one server and parallel workers need one each: run without -n, or unset it.", 3)
    try:
        keys = client.dbsize()
    except redis.RedisError as error:
        pytest.exit(f"The server named by REDIS_URL does not answer: {error}", 3)
    if keys:
        pytest.exit(f"REDIS_URL names a database with {keys} keys, and each test would delete them.", 3)
