"""The benchmark runs, checks what it times, and reports; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.contestants import CASES, HITS, REFERENCE, Contestant, chosen
from bench.driver import Pace, WorkerError, run
from bench.figures import AIMS, judged, ratio
from bench.servers import running

ROOT = Path(__file__).parents[3]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )


def test_quick_run_of_three_contestants(tmp_path: Path) -> None:
    """Ours, Django on SQLite and redis-py's GET agree on every answer, and the report has every table."""
    file = tmp_path / "bench.json"
    only = "ours,django-sqlite,redis-get"
    done = bench("--quick", "--rounds", "2", "--only", only, "--profile", "--json", str(file))
    assert done.returncode == 0, done.stderr

    data = json.loads(file.read_text())
    assert data["failed"] == {}
    assert data["absent"] == {}
    assert data["about"]["rounds"] == 2
    assert data["about"]["transport"] == "unix socket"
    assert {name for name in data["about"]["servers"] if name != "SQLite"} <= {"Valkey", "Redis"}
    times = data["microseconds"]
    assert tuple(times) == CASES
    for case in CASES:
        assert set(times[case]) == {"ours", "django-sqlite"} | ({"redis-get"} if case in HITS else set())
        rounds = 2 if case in HITS else 1
        assert {len(found["rounds"]) for found in times[case].values()} == {rounds}
        assert all(found["median"] > 0 for found in times[case].values())
    assert {case: set(found) for case, found in data["bytes_per_row"].items()} == {
        "get": {"ours", "redis-get"},
        "week": {"ours", "redis-get"},
    }
    assert [aim["aim"] for aim in data["aims"]] == [aim.sentence for aim in AIMS]
    assert {aim["reached"] for aim in data["aims"]} == {None}

    assert done.stdout.startswith("# Benchmark of 20")
    headings = [line for line in done.stdout.splitlines() if line.startswith("## ")]
    assert headings == [
        "## A hit",
        "## A miss and a write",
        "## Memory",
        "## Aims",
        "## Profile of get(pk)",
        "## Profile of week of 50, 3 relations",
        "## Profile of count()",
    ]
    assert done.stdout.count("not judged") == 8


def test_a_read_that_is_no_hit_ends_the_run() -> None:
    """A contestant said to cache, and asking the database all the same, is not timed but named."""
    forgetful = Contestant("forgetful", "Plain Django called a cache", "Reader")
    contestants = [*chosen(REFERENCE), forgetful]
    with (
        running(contestants, tcp=True) as servers,
        pytest.raises(WorkerError, match=r"forgetful asked the database .* times during get: not a hit"),
    ):
        run(contestants, servers, Pace(rounds=1, batch_seconds=0.001))


def test_unknown_contestant_is_an_error_that_lists_the_known() -> None:
    """A misspelt name ends the run with exit code 2 before any server starts."""
    done = bench("--only", "ours,cacheop")
    assert done.returncode == 2
    assert done.stderr.startswith("bench: no contestant is called cacheop; there are ours, redis-get,")


def test_ratio_is_taken_round_by_round() -> None:
    """A machine that slows down tenfold between two rounds leaves the ratio alone."""
    assert ratio([2.0, 20.0, 4.0], [1.0, 10.0, 2.0]) == 2.0


def test_aims_are_judged_on_both_sides_of_their_bound() -> None:
    """Each aim is reached at its bound, missed beyond it, and not judged where a contestant is missing."""
    times = {
        "get": {"ours": [8.0], "redis-pickle": [10.0], "cacheops": [64.0], "cachalot": [63.9]},
        "week": {"ours": [1.0], "cacheops": [6.0], "cachalot": [5.9]},
        "count": {"ours": [1.0], "cacheops": [7.0]},
    }
    verdicts = judged(times, {"ours": 300.0, "cacheops": 600.0})
    assert [verdict.reached for verdict in verdicts] == [True, True, False, True, False, True, None, True]
    assert [verdict.value for verdict in verdicts if verdict.aim.of == "cachalot"][:2] == [63.9 / 8, 5.9]
