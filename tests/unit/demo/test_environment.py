"""What the demo's settings take from the environment."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from demo_project.environment import database_from, redis_address, secret_key_in


def test_sqlite_waits_and_begins_immediately() -> None:
    """A path makes a SQLite database with the options that make invalidation exact there."""
    settings = database_from("sqlite:////var/lib/demo.sqlite3")
    assert (settings["ENGINE"], settings["NAME"]) == ("django.db.backends.sqlite3", "/var/lib/demo.sqlite3")
    assert settings["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in settings["OPTIONS"]["init_command"]


def test_postgresql_is_taken_apart() -> None:
    """User, password (with escapes), host, port, name and options each go where Django wants them."""
    settings = database_from("postgresql://ann:p%40ss@db.example:5433/school?sslmode=require")
    chosen = [settings[name] for name in ("ENGINE", "USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS")]
    assert chosen == [
        "django.db.backends.postgresql",
        *("ann", "p@ss", "db.example", "5433", "school"),
        {"sslmode": "require"},
    ]


@pytest.mark.parametrize(
    "url", ["postgresql://ann@%2Ftmp%2FRun/school", "postgres://ann@/school?host=/tmp/Run"], ids=["escaped", "option"]
)
def test_postgresql_on_a_socket(url: str) -> None:
    """The folder of a unix socket is a host too, its capitals kept."""
    settings = database_from(url)
    assert (settings["HOST"], settings["NAME"], settings["OPTIONS"]) == ("/tmp/Run", "school", {})  # noqa: S108


def test_other_databases_are_refused() -> None:
    """The message names the setting and what it may begin with."""
    with pytest.raises(
        ImproperlyConfigured, match="DATABASE_URL begins with 'oracle'; the demo knows sqlite and postg"
    ):
        database_from("oracle://somewhere")


def test_redis_is_the_named_one_the_running_one_or_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REDIS_URL wins; without it the file of a running demo counts; without that, port 6379."""
    running = tmp_path / "redis-address"
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert redis_address(running) == "redis://127.0.0.1:6379/0"
    running.write_text("unix:///run/valkey?db=0")
    assert redis_address(running) == "unix:///run/valkey?db=0"
    monkeypatch.setenv("REDIS_URL", "redis://cache.example/1")
    assert redis_address(running) == "redis://cache.example/1"


def test_the_secret_key_is_made_once(tmp_path: Path) -> None:
    """The first call writes 50 characters for the owner's eyes only; the second reads them."""
    path = tmp_path / "secret-key"
    key = secret_key_in(path)
    assert len(key) == 50
    assert secret_key_in(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
