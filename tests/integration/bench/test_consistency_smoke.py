"""The consistency run finds nothing in ours, and finds plenty where there is something to find. Nothing is timed here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.consistency.scenarios import SCENARIOS

ROOT = Path(__file__).parents[3]


def consistency(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench.consistency", "--quick", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def played(file: Path, subject: str, scenarios: str, *options: str) -> tuple[int, dict[str, Any]]:
    done = consistency(
        "--subject", subject, "--scenario", scenarios, "--seconds", "2", "--seed", "1", "--json", str(file), *options
    )  # fmt: skip
    assert done.stdout.startswith(f"# Consistency of {subject}\n\nSeed 1;"), done.stderr
    outcomes: dict[str, Any] = json.loads(file.read_text())["outcomes"]
    assert list(outcomes) == scenarios.split(",")
    caught = re.search(r" was caught, in attempt (\d+)\.", done.stdout)
    assert done.stdout.count("\n| ") == len(outcomes) * (int(caught[1]) if caught else 1) + 1
    for outcome in outcomes.values():
        assert outcome["reads"] > 0 < outcome["commits"]
        assert [outcome["counts"].get("harness", 0), outcome["crashed"], outcome["idle"]] == [0, 0, []]
    return done.returncode, outcomes


def test_ours_is_exact(tmp_path: Path) -> None:
    """Under plain load and with writers killed at random: 0 stale, 0 uncommitted, 0 own writes unseen, 0 wrong."""
    code, outcomes = played(tmp_path / "found.json", "ours", "plain,killed-writers")
    assert {name: outcome["violations"] for name, outcome in outcomes.items()} == {"plain": [], "killed-writers": []}
    assert outcomes["killed-writers"]["happened"]["kills"] > 0
    assert code == 0


@pytest.mark.parametrize("subject", ["naive", "unmarked"])
def test_others_are_not(tmp_path: Path, subject: str) -> None:
    """By-hand cache-aside, and ours without its marks: more than 0 wrong answers while writers die after COMMIT."""
    code, outcomes = played(tmp_path / "found.json", subject, "killed-after-commit", "--until-broken")
    counts = outcomes["killed-after-commit"]["counts"]
    assert sum(counts.get(fault, 0) for fault in ("stale", "early", "own")) > 0
    assert outcomes["killed-after-commit"]["violations"] != []
    assert code == 0


def test_unknown_scenario_is_an_error_that_lists_the_known() -> None:
    """A misspelt name ends the run with exit code 2 before any server starts."""
    done = consistency("--scenario", "plain,frosen")
    assert done.returncode == 2
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    assert done.stderr == f"consistency: no scenario is called frosen; there are {names}\n"
