"""What holds for every server of the kit, Valkey/Redis and PostgreSQL alike."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from redis_toolkit.testing import PostgresServer, ServerFailed, ValkeyServer
from tests import servers

ROOT = Path(__file__).parents[3]
PATIENCE = 20.0  # seconds until a test gives up waiting for an event
KINDS = {"valkey": ValkeyServer, "postgres": PostgresServer}

START = """
import os, sys, threading
from redis_toolkit.testing import PostgresServer, ValkeyServer
server = {kind}(binary={binary!r})
server.start()
print(server.pid, server._lifeline.watcher_pid, server.directory, flush=True)
"""


def new_server(kind, **options):
    """A server of the kind under test, not started."""
    made = servers.new_valkey(**options) if kind == "valkey" else servers.new_postgres(**options)
    assert type(made) is KINDS[kind]
    return made


def link(directory: Path) -> socket.socket:
    """A connection to the server in ``directory``, whichever of the two it is."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(PATIENCE)
    path = next(path for path in sorted(directory.iterdir()) if path.is_socket())
    connection.connect(str(path))
    return connection


def wait_for_end(stream: int) -> bytes:
    """What comes from ``stream`` until its last writer has gone."""
    received = b""
    while select.select([stream], [], [], PATIENCE)[0]:
        chunk = os.read(stream, 65536)
        if not chunk:
            return received
        received += chunk
    raise AssertionError(f"somebody still holds the stream after {PATIENCE} s; so far: {received!r}")


@dataclass(frozen=True)
class Family:
    """A process that has started a server, the watcher between them, and the server; the parent's three streams."""

    parent: subprocess.Popen[bytes]
    orders: IO[bytes]
    words: IO[bytes]
    complaints: IO[bytes]
    server_pid: int
    watcher_pid: int
    directory: Path

    def wait_until_all_are_gone(self) -> None:
        """The parent and the watcher hold the error stream, and the watcher goes last, its work done."""
        assert wait_for_end(self.complaints.fileno()) == b""
        self.parent.wait(PATIENCE)
        with pytest.raises(ProcessLookupError):
            os.kill(self.server_pid, 0)


@contextmanager
def family(kind: str, script: str) -> Iterator[Family]:
    """A Python process that starts a server and then runs ``script``."""
    code = START.format(kind=KINDS[kind].__name__, binary=str(new_server(kind).binary)) + script
    command = [sys.executable, "-W", "error", "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as parent:
        assert parent.stdin and parent.stdout and parent.stderr  # noqa: PT018 - for the types' sake
        try:
            pid, watcher, directory = parent.stdout.readline().split()
            streams = (parent.stdin, parent.stdout, parent.stderr)
            yield Family(parent, *streams, int(pid), int(watcher), Path(os.fsdecode(directory)))
        finally:
            parent.kill()


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    """Each kind of server in turn."""
    return request.param


# What no server has a word in is shown with the one that starts faster.
once = pytest.mark.parametrize("kind", ["valkey"])


def test_a_killed_parent_takes_its_server_with_it(kind):
    """After kill -9 of the process that started it, neither the server nor its directory is left."""
    with family(kind, "sys.stdin.read()") as case:
        assert case.directory.is_dir()
        case.parent.kill()
        case.wait_until_all_are_gone()
        assert not case.directory.exists()


@once
def test_a_parent_that_forgets_to_stop_leaves_nothing(kind):
    """A process that simply ends, without stop(), leaves neither server nor directory."""
    with family(kind, "os._exit(0)") as case:
        case.wait_until_all_are_gone()
        assert not case.directory.exists()


if sys.platform == "linux":

    def test_killing_parent_and_watcher_still_ends_the_server(kind, tmp_path):
        """When even the watcher is shot, together with the parent, the kernel ends the server."""
        with family(kind, "sys.stdin.read()") as case:
            server = os.pidfd_open(case.server_pid)
            case.parent.kill()
            os.kill(case.watcher_pid, signal.SIGKILL)
            assert select.select([server], [], [], PATIENCE)[0] == [server]
            os.close(server)
            # Nobody was left to do this.
            case.directory.rename(tmp_path / "left-over")


def test_a_forked_child_that_ends_leaves_the_server_running(kind):
    """A child that calls stop() and exits in the normal way changes nothing for its parent."""
    script = """
child = os.fork()
if child == 0:
    server.stop()
    sys.exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), server.pid, flush=True)
sys.stdin.read()
server.stop()
"""
    with family(kind, script) as case:
        assert case.words.readline().split() == [b"0", str(case.server_pid).encode()]
        link(case.directory).close()
        case.orders.close()
        case.wait_until_all_are_gone()
        assert not case.directory.exists()


@once
def test_a_forked_child_that_lives_on_does_not_keep_the_server(kind):
    """The lifeline ends with the parent, though a child forked from it is still there."""
    script = """
if os.fork() == 0:
    os.close(2)
    print("child", flush=True)
sys.stdin.read()
"""
    with family(kind, script) as case:
        assert case.words.readline() == b"child\n"
        case.parent.kill()
        case.wait_until_all_are_gone()
        assert not case.directory.exists()
        # The child is still there: it holds the output stream until its input ends.
        assert select.select([case.words], [], [], 0)[0] == []
        case.orders.close()
        assert wait_for_end(case.words.fileno()) == b""


@once
def test_a_forked_child_may_not_command_the_server(kind):
    """kill() in a forked child is refused with the reason, and the server goes on."""
    script = """
child = os.fork()
if child == 0:
    try:
        server.kill()
    except Exception as error:
        print(type(error).__name__, str(error), flush=True)
    os._exit(0)
os.waitpid(child, 0)
sys.stdin.read()
"""
    with family(kind, script) as case:
        assert case.words.readline().startswith(b"ServerFailed This server belongs to the parent process")
        link(case.directory).close()


def test_a_server_started_by_a_thread_outlives_the_thread(kind):
    """The server answers after the thread that started it has ended."""
    server = new_server(kind)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join(PATIENCE)
    try:
        with link(server.directory) as connection:
            # An idle connection that the server has not closed gives no end of file.
            assert select.select([connection], [], [], 0.05)[0] == []
        assert server.pid > 0
    finally:
        server.stop()


def test_stop_removes_the_directory_and_may_be_repeated(kind):
    """After stop() there is no process and no directory; a second stop() is harmless."""
    with new_server(kind) as server:
        pid = server.pid
        assert server.directory.stat().st_mode & 0o777 == 0o700
        server.stop()
        assert not server.directory.exists()
        assert server.pid == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@once
def test_a_stopped_server_starts_again_at_the_same_address(kind):
    """start() after stop() is a new, empty server with the old address."""
    server = new_server(kind, tcp=True)
    with server:
        address, pid = server.url, server.pid
    with server:
        assert server.url == address
        assert server.pid not in {0, pid}


@once
def test_starting_twice_is_refused(kind):
    """start() on a running server raises, and the server goes on."""
    with new_server(kind) as server:
        with pytest.raises(ServerFailed, match="is running already"):
            server.start()
        link(server.directory).close()


@once
def test_commands_need_a_running_server(kind):
    """kill() before start() says that start() is missing."""
    with pytest.raises(ServerFailed, match=r"is not running; call start\(\) first"):
        new_server(kind).kill()


def test_a_tcp_server_has_no_address_before_it_starts(kind):
    """A free port is chosen at the first start, so url raises until then."""
    server = new_server(kind, tcp=True)
    with pytest.raises(ServerFailed, match=r"before its first start\(\)"):
        server.url  # noqa: B018


def test_a_taken_port_is_not_fatal(kind, monkeypatch):
    """When another process takes the proposed port first, the next one is tried."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports = [taken.getsockname()[1], taken.getsockname()[1], free.getsockname()[1]]
        proposals = iter(ports)
        monkeypatch.setattr("redis_toolkit.testing.server._free_port", lambda: next(proposals))
        with new_server(kind, tcp=True) as server:
            assert server.port == ports[2]
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE):
                assert list(proposals) == []


@once
def test_a_port_taken_during_an_outage_is_an_error(kind):
    """A killed server comes back at its own port or not at all; the error quotes the server."""
    with new_server(kind, tcp=True) as server:
        server.kill()
        with socket.socket() as squatter:
            squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            squatter.bind(("127.0.0.1", server.port))
            squatter.listen()
            with pytest.raises(ServerFailed, match="in use"):
                server.start()
        assert not server.directory.exists()


def test_a_server_that_cannot_start_says_why(kind):
    """A wrong directive: the error quotes the server's own words, and no directory is left."""
    server = new_server(kind, config={"no_such_directive": "1"})
    with pytest.raises(ServerFailed, match=r"did not start \(exit code 1\)[^$]*no_such_directive"):
        server.start()
    assert not server.directory.exists()


def test_a_server_that_is_not_ready_in_time_is_an_error(kind):
    """The limit is the caller's; nothing is left behind."""
    server = new_server(kind, start_timeout=0.0)
    with pytest.raises(ServerFailed, match=r"initdb failed|was not ready within 0.0 s"):
        server.start()
    assert not server.directory.exists()


@once
def test_a_directory_that_is_there_already_is_refused(kind):
    """The private directory must be of the server's own making, or somebody else could sit in it."""
    server = new_server(kind)
    server.directory.mkdir()
    try:
        with pytest.raises(ServerFailed, match="Could not make the private directory"):
            server.start()
        assert server.directory.exists()
    finally:
        server.directory.rmdir()
