"""The README's table and the table of sizes are what the benchmark makes; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.contestants import CONTESTANTS as READERS
from bench.doors.plan import CONTESTANTS as DOORS
from bench.stampede.plan import CONTESTANTS as STORMED
from bench.summary import HEAD, LINES, PARTS, as_markdown, only, parts_of
from bench.throttle.plan import CONTESTANTS as THROTTLES

RATIO = re.compile(r" \S \d+(?:\.\d)?(?:,|$)")
ROOT = Path(__file__).parents[3]
KNOWN: dict[str, Any] = {
    "reads": READERS, "throttle": THROTTLES, "sessions": DOORS, "tokens": DOORS, "stampede": STORMED,
}  # fmt: skip


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )


def rows_of(text: str) -> list[list[str]]:
    """The cells of the first table in a text, without the line below its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def test_a_short_run_of_two_parts(tmp_path: Path) -> None:
    """Two parts of five make their 5 lines of 11, each with ours in microseconds and every peer there is as a ratio to it."""
    file = tmp_path / "summary.json"
    done = bench("summary", "--quick", "--rounds", "1", "--only", "throttle,sessions", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(file.read_text())
    assert [(name, part["failed"]) for name, part in data.items()] == [("throttle", {}), ("sessions", {})]
    # (Where the peers are not installed, as `make test` has it, they are left out and named.)
    absent = {name for part in data.values() for name in part["absent"]}
    assert all(why.endswith(" not installed") for part in data.values() for why in part["absent"].values())
    head, *rows = rows_of(done.stdout)
    assert head == list(HEAD)
    lines = [line for line in LINES if line.part in {"throttle", "sessions"}]
    assert [row[0] for row in rows] == [line.title for line in lines]
    assert len(rows) == 5
    for row, line in zip(rows, lines, strict=True):
        assert row[1].endswith(" µs")
        there = [label for label, _ in line.others if label not in absent]
        assert [len(RATIO.findall(cell)) for cell in row[2:]] == [len(line.django), len(there)]
    assert "by `make bench ARGS=summary` on" in done.stdout


def test_loads_are_counted_and_who_was_not_there_is_left_out() -> None:
    """Of a storm the median of the loads is told, of 200 callers; a peer without a measurement has no place."""
    turns = {"expired": {"ours": [{"loads": 1}], "django": [{"loads": 5}, {"loads": 7}, {"loads": 9}]}}
    data = {"about": {"processes": 4, "callers": 50, "servers": {"Valkey": "9"}}, "turns": turns}
    [row] = rows_of(as_markdown({"stampede": data}, "TCP"))[1:]
    assert row == ["200 callers of one entry that has expired: loads", "1", "`get_or_set` 7", ""]


def test_every_name_in_the_table_takes_part() -> None:
    """Whom the table compares is a contestant of the measurement it is taken from."""
    for part in PARTS:
        names = only(part).split(",")
        assert set(names) <= {each.name for each in KNOWN[part]}
        assert len(names) == len(set(names)) > 1


def test_a_part_that_is_not_there() -> None:
    """An unknown part is refused with the names of the five; without any all are measured."""
    assert parts_of(None) == PARTS
    assert parts_of("tokens,reads") == ("reads", "tokens")
    with pytest.raises(ValueError, match="no part of the summary is called sums; there are reads, throttle"):
        parts_of("sums")


def test_a_short_run_of_sizes(tmp_path: Path) -> None:
    """Each of the 12 things is made and weighed; a throttle's client is one key, but a session has its index beside it."""
    file = tmp_path / "sizes.json"
    done = bench("sizes", "--quick", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["what"]: each for each in json.loads(file.read_text())["sizes"]}
    assert len(found) == 12
    assert all(each["times"] == 20 and each["bytes"] > 0 for each in found.values())
    assert {each["keys"] for what, each in found.items() if "throttle" in what} == {1}
    assert found["a session, logged in, a cart of three"]["keys"] == 2
