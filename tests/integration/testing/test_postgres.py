"""PostgresServer with a real server."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from redis_toolkit.testing import ServerFailed
from redis_toolkit.testing.binaries import find_postgres
from tests import servers


@pytest.fixture(scope="module")
def postgres():
    """One server for this module; starting one takes most of a second."""
    with servers.new_postgres() as server:
        yield server


def test_the_address_works_as_it_stands(postgres):
    """The driver takes .url; the server has UTF-8, the C locale, UTC, no fsync and no port."""
    with psycopg.connect(postgres.url) as connection:
        query = """
            SELECT current_setting('server_encoding'), current_setting('timezone'), current_setting('fsync'),
                   current_setting('listen_addresses'), datcollate
            FROM pg_database WHERE datname = current_database()
        """
        assert connection.execute(query).fetchone() == ("UTF8", "UTC", "off", "", "C")


def test_databases_can_be_made(postgres):
    """create_database() takes any name, and refuses one that is taken with the server's reason."""
    postgres.create_database('week "47"')
    with psycopg.connect(postgres.url_of('week "47"')) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ('week "47"',)
    with pytest.raises(ServerFailed, match="already exists"):
        postgres.create_database('week "47"')


def test_an_entry_for_django(postgres):
    """django_settings() names the engine and where the server is."""
    assert postgres.django_settings("timetable") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "timetable",
        "USER": "postgres",
        "PASSWORD": "",
        "HOST": str(postgres.directory),
        "PORT": "5432",
    }


def test_a_port_when_asked_for():
    """With tcp=True the server is on 127.0.0.1, and further settings are its own."""
    with servers.new_postgres(tcp=True, config={"max_connections": "7"}) as server:
        assert server.url == f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SHOW max_connections").fetchone() == ("7",)


def test_data_outlive_a_crash_and_a_restart():
    """What was committed is there after kill() and start(), and after restart(); open connections are cut."""
    with servers.new_postgres() as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE lesson (id int)")
            connection.execute("INSERT INTO lesson VALUES (1), (2)")
        with psycopg.connect(server.url) as connection:
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        server.start()
        server.restart()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT count(*) FROM lesson").fetchone() == (2,)


def test_programs_that_the_server_s_user_cannot_reach(tmp_path):
    """Root may have them in its closed home, where `nobody` cannot go: the server runs all the same."""
    program = find_postgres(servers.new_postgres().binary)
    installation = program.parent.parent
    package = installation.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    copied = closed / package.name / installation.name
    shutil.copytree(installation, copied)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed / libraries.name)
    with (
        servers.new_postgres(binary=copied / "bin" / "postgres") as server,
        psycopg.connect(server.url) as connection,
    ):
        assert connection.execute("SELECT 6 * 7").fetchone() == (42,)


def test_nothing_is_left_in_shared_memory():
    """After stop() the System V segments are those there were before."""
    segments = Path("/proc/sysvipc/shm")
    with servers.new_postgres() as server:
        pid = server.pid
        if segments.exists():
            assert pid in creators(segments)
    if segments.exists():
        assert pid not in creators(segments)


def creators(segments: Path) -> set[int]:
    """The process ids that made the shared memory segments."""
    return {int(line.split()[4]) for line in segments.read_text().splitlines()[1:]}
