"""The stampede runs, counts, and reports; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.contestants import Contestant
from bench.servers import running
from bench.stampede.plan import PROCESSES, Pace
from bench.stampede.run import Stampede, connections, run

ROOT = Path(__file__).parents[3]
PACE = Pace(callers=3, rounds=1, patience=60)
EVERYBODY = PROCESSES * PACE.callers


def stampede(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "stampede", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def played() -> Stampede:
    """Contestants who are not what they are called, on one pair of servers."""
    contestants = [
        Contestant("plain", "No cache at all", "Reader", "postgres", ("invalidated",)),
        Contestant("django", "Said to notice writes", "GetOrSet", "postgres", ("invalidated",)),
        Contestant("forgetful", "Said to store something", "Reader", "postgres", ("invalidated", "expired")),
    ]
    with running(contestants, tcp=False, connections=connections(PACE)) as servers:
        return run(contestants, ("invalidated", "expired"), servers, PACE, "7")


def test_short_run_of_two_contestants(tmp_path: Path) -> None:
    """Ours and get_or_set: all 12 callers are answered, the 9 others where one process is killed, nobody wrongly."""
    file = tmp_path / "stampede.json"
    done = stampede("--rounds", "1", "--callers", "3", "--seed", "7", "--only", "ours,django", "--json", str(file))
    assert done.returncode == 0, done.stderr

    data = json.loads(file.read_text())
    assert [data["about"][name] for name in ("seed", "processes", "callers", "rounds")] == ["7", 4, 3, 1]
    assert [data["absent"], data["failed"]] == [{}, {}]
    assert list(data["turns"]) == ["present", "expired", "invalidated", "servable", "killed"]
    able = set() if data["unable"] else {"ours"}
    both = {"ours", "django"}
    assert [set(names) for names in data["turns"].values()] == [both, both, {"ours"}, able, both]
    for scenario, names in data["turns"].items():
        for [turn] in names.values():
            assert len(turn["waits"]) == EVERYBODY - (PACE.callers if scenario == "killed" else 0)
            assert [turn["errors"], turn["unanswered"], turn["old"]] == [[], 0, 0]
            assert turn["loads"] in ([0] if scenario == "present" else range(1, EVERYBODY + 1))
    assert len(data["aims"]) == 12
    assert data["aims"][2] == {
        "contestant": "ours",
        "aim": "invalidated: 0 answers from before the write",
        "value": 0,
        "reached": True,
    }

    assert done.stdout.startswith("# Stampedes of 20")
    assert "Seed 7." in done.stdout
    assert done.stdout.count("\n## ") == 5 + len(able)
    assert done.stdout.count("\n| redis_toolkit ") == 4 + len(able) + 6
    assert done.stdout.count("\n| Django, get_or_set ") == 3


def test_without_a_cache_everybody_loads(played: Stampede) -> None:
    """12 loads for 12 callers, however close they come."""
    [turn] = played.turns["invalidated"]["plain"]
    assert [turn.loads, len(turn.waits), turn.old, turn.errors] == [EVERYBODY, EVERYBODY, 0, []]


def test_who_notices_no_write_is_found_out(played: Stampede) -> None:
    """get_or_set, called one that notices writes: no load, and 12 answers from before the write."""
    [turn] = played.turns["invalidated"]["django"]
    assert [turn.loads, len(turn.waits), turn.old, turn.errors] == [0, EVERYBODY, EVERYBODY, []]


def test_who_stores_nothing_is_named(played: Stampede) -> None:
    """Plain Django, called a cache, is told as failed, and what it did before counts for nothing."""
    assert played.failed == {"forgetful": "forgetful has no entry, but []"}
    assert set(played.turns["invalidated"]) == {"plain", "django"}
    assert played.turns["expired"] == {}


def test_unknown_contestant_is_an_error_that_lists_the_known() -> None:
    """A misspelt name ends the run with exit code 2 before any server starts."""
    done = stampede("--only", "ours,dogpil")
    assert done.returncode == 2
    assert done.stderr == (
        "bench: no contestant of the stampede is called dogpil; there are "
        "ours, ours-function, cacheops, cacheops-lock, cachalot, dogpile, cashews, floor, django\n"
    )
