"""Where private directories lie."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from redis_toolkit.testing import ServerFailed, processes

TMP = Path("/tmp").resolve()  # noqa: S108


def test_the_temporary_directory_is_taken(monkeypatch):
    """TMPDIR counts, and the name cannot be guessed: 48 random bits."""
    monkeypatch.setattr(tempfile, "tempdir", "/spacious")
    first, second = processes.private_path("valkey"), processes.private_path("valkey")
    assert str(first.parent) == "/spacious"
    assert len(first.name) == len("valkey-") + 12
    assert first != second
    assert not first.exists()


def test_a_temporary_directory_too_deep_for_a_socket_is_left_aside(monkeypatch):
    """A unix socket's path has at most 103 bytes on macOS, 107 on Linux; beyond, /tmp is taken."""
    monkeypatch.setattr(tempfile, "tempdir", "/" + "x" * 100)
    path = processes.private_path("postgres")
    assert path.parent.name == "tmp"
    assert len(os.fsencode(path / ".s.PGSQL.65535")) <= 103


def test_a_temporary_directory_closed_to_the_server_s_user_is_left_aside(monkeypatch):
    """Root's own TMPDIR may lie where the user that PostgreSQL runs as cannot go."""
    with tempfile.TemporaryDirectory(dir=TMP) as closed:
        monkeypatch.setattr(tempfile, "tempdir", closed)
        stranger = (os.getuid() + 1, os.getgid() + 1)
        assert processes.private_path("x").parent == Path(closed)
        assert processes.private_path("x", stranger).parent == TMP


def test_no_directory_short_enough_is_an_error(monkeypatch):
    """The cure is a shorter TMPDIR."""
    monkeypatch.setattr(processes, "SOCKET_PATH_LIMIT", 20)
    with pytest.raises(ServerFailed, match="set TMPDIR to another one"):
        processes.private_path("valkey")
