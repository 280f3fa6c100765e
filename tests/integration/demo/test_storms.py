"""Each storm, small, as ``manage.py storm`` runs it: what it counts with the defence and without it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import redis

from tests import servers

ROOT = Path(__file__).parents[3]
PATIENCE = 120

Environment = dict[str, str]


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment of a demo whose week is loaded, on SQLite."""
    return prepared(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def loaded_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    """The same on a PostgreSQL of its own."""
    with servers.new_postgres() as server:
        yield prepared(tmp_path_factory.mktemp("postgres"), DATABASE_URL=server.url)


@pytest.fixture(params=["loaded", "loaded_postgres"])
def on_each(request: pytest.FixtureRequest) -> Environment:
    """On each database."""
    environment: Environment = request.getfixturevalue(request.param)
    return environment


def prepared(var: Path, **more: str) -> Environment:
    inherited = {name: value for name, value in os.environ.items() if name not in {"REDIS_URL", "DATABASE_URL"}}
    environment = {**inherited, "DEMO_VAR": str(var), "DJANGO_SETTINGS_MODULE": "demo_project.settings", **more}
    # There is no Redis: what was written is dropped in the storm's, before its first hit.
    for command in ("migrate", "load_timetable"):
        run(environment, command, "--verbosity", "0")
    return environment


def run(environment: Environment, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def storm(environment: Environment, name: str, size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The records of a storm without its defence and with it, as printed; they are what the page is drawn from."""
    printed = [json.loads(line) for line in run(environment, "storm", name, "--size", str(size)).splitlines()]
    assert [(each["storm"], each["defended"]) for each in printed] == [(name, False), (name, True)]
    for each, side in zip(printed, ("without", "with"), strict=True):
        kept = Path(environment["DEMO_VAR"], "lab", f"storm-{name}-{side}.json")
        assert json.loads(kept.read_text()) == each
    assert not Path(environment["DEMO_VAR"], "lab", "underway.json").exists()
    return printed[0], printed[1]


def test_a_hot_key(on_each: Environment) -> None:
    """Eight readers, in four processes, of an expired answer: eight questions, or one, for which the others wait."""
    without, with_ = storm(on_each, "hot-key", 8)
    counted = ("readers", "questions", "spared")
    assert [without["figures"][name] for name in counted] == [8, 8, 0]
    assert [with_["figures"][name] for name in counted] == [8, 1, 7]
    assert [asked for _, asked in without["series"]["waits"]] == [True] * 8
    assert sum(asked for _, asked in with_["series"]["waits"]) == 1


def test_absent_ids(on_each: Environment) -> None:
    """Four hundred lookups: a question for each, or for those few that the filter took for others; nothing is found."""
    without, with_ = storm(on_each, "absent-ids", 400)
    counted = ("lookups", "questions", "spared", "found")
    assert [without["figures"][name] for name in counted] == [400, 400, 0, 0]
    mistaken = with_["figures"]["questions"]
    assert [with_["figures"][name] for name in counted] == [400, mistaken, 400 - mistaken, 0]
    # One in a hundred is what it was built for; six standard deviations above is sixteen.
    assert mistaken <= 16
    assert without["series"]["asked"][-1] == [400, 400]
    assert with_["series"]["asked"][-1] == [400, mistaken]


def test_mass_expiry(loaded: Environment) -> None:
    """Sixty answers expire as far apart as they were stored, or over some of the hour's last six minutes."""
    without, with_ = storm(loaded, "mass-expiry", 60)
    assert (without["figures"]["entries"], with_["figures"]["entries"]) == (60, 60)
    assert without["figures"]["spread"] <= without["figures"]["written_within"] + 0.001
    assert 60 < with_["figures"]["spread"] <= 360 + with_["figures"]["written_within"]
    for each in (without, with_):
        assert sum(count for _, count in each["series"]["bars"]) == 60


def test_an_outage(loaded: Environment) -> None:
    """Both sides answer rightly; with the defence the breaker is open till Redis is back, and readers are answered meanwhile.

    Without it each of four readers may be answered once more, before it waits for as long as Redis hangs.
    """
    without, with_ = storm(loaded, "outage", 4)
    assert (without["figures"]["wrong"], with_["figures"]["wrong"]) == (0, 0)
    assert without["series"]["breaker"] == []
    states = [state for _, state in with_["series"]["breaker"]]
    assert (states[0], states[-1]) == ("open", "closed")
    # (Its parent stops Redis, and starts it again, by another clock than the readers', and perhaps somewhat late.)
    assert "closed" not in [state for at, state in with_["series"]["breaker"] if 1.5 <= at < 3.9]
    assert answered(without, 2.0, 2.9) == 0
    assert answered(with_, 2.0, 2.9) > 4
    assert without["figures"]["hung"] < with_["figures"]["hung"]
    assert without["figures"]["longest"] > 1000


def answered(record: dict[str, Any], since: float, until: float) -> int:
    """How many reads ended in these seconds of the storm."""
    columns = [each for each in record["series"]["columns"] if since <= each["at"] < until]
    return sum(each["spared"] + each["asked"] for each in columns)


def test_a_killed_storm_leaves_nothing(loaded: Environment) -> None:
    """After `kill -9` of the command its readers end, too, and its Valkey."""
    process = subprocess.Popen([sys.executable, "manage.py", "storm", "outage"], cwd=ROOT, env=loaded)
    deadline = perf_counter() + PATIENCE
    underway = Path(loaded["DEMO_VAR"], "lab", "underway.json")
    while not underway.exists() or json.loads(underway.read_text())["share"] < 0.1:
        assert perf_counter() < deadline
        assert process.poll() is None
    # Two readers, the watcher of Valkey, and what spawning needs beside them.
    family = children(process.pid)
    ends = [os.pidfd_open(pid) for pid in family]
    process.kill()
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert len(family) >= 3
    assert all(select.select([end], [], [], PATIENCE)[0] for end in ends)
    for end in ends:
        os.close(end)


def children(pid: int) -> list[int]:
    """Every process that this one started, and those that they did."""
    ours = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [each for child in ours for each in (child, *children(child))]


def test_the_site_hears_nothing_of_a_storm(loaded: Environment) -> None:
    """Afterwards the site's server is as empty as before: no entry, no stamp, and no figure of its statistics."""
    with servers.new_valkey() as server, redis.Redis.from_url(server.url) as client:
        told = json.loads(
            run({**loaded, "REDIS_URL": server.url}, "storm", "hot-key", "--defence", "on", "--size", "8")
        )
        assert told["figures"]["readers"] == 8
        assert client.dbsize() == 0
