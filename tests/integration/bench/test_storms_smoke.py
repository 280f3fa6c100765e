"""The storms run and report; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_an_outage_of_each_kind(tmp_path: Path) -> None:
    """Refusing, hanging, slow, killed: 50 threads are all answered, never more than 4 loads at once, 0 stale afterwards."""
    file = tmp_path / "outage.json"
    done = bench("outage", "--operations", "100", "--seed", "7", "--json", str(file))
    # (1: it was too slow, which is nothing to a test.)
    assert done.returncode in {0, 1}, done.stderr
    found = json.loads(file.read_text())
    assert [(each["name"].partition(":")[0], each["state"]) for each in found["troubles"]] == [
        ("none", "closed"), ("slow", "closed"), ("slow", "open"), ("refuses", "open"), ("hangs", "open"),
    ]  # fmt: skip
    assert [len(each["first"]) for each in found["troubles"]] == [3, 3, 1, 3, 1]
    crowds = [each["crowd"] for each in (*found["troubles"][2:], found["killed"])]
    assert [(each["answered"], each["errors"]) for each in crowds] == [(100, []), (100, []), (100, []), (500, [])]
    # (0: all had been given hits when Redis was killed.)
    assert [each["most"] for each in crowds if each["most"] > 4] == []
    assert max(each["most"] for each in crowds) > 0
    for each in (*found["troubles"], found["killed"]):
        assert (each["stale"], each["after"]) == ([0, 0], ["closed", "closed"])
    assert "| refuses | 100 of 100 |" in done.stdout


def test_an_avalanche() -> None:
    """Without jitter 3,000 entries end in the last twentieth of the drawing; with it no twentieth has more than 250."""
    done = bench("avalanche", "--operations", "3000")
    assert done.returncode == 0, done.stderr
    without, having = done.stdout.split("## REDIS_TOOLKIT_TTL_JITTER = ")[1:]
    counts = [
        [int(line.split()[-1].replace(",", "")) for line in each.splitlines() if line.startswith("  3")]
        for each in (without, having)
    ]
    assert [len(each) for each in counts] == [20, 20]
    assert [sum(each) for each in counts] == [3000, 3000]
    assert counts[0][-1] == 3000
    # 150 are expected in each twentieth; more than 250 have, by Chernoff's bound, a probability below 1e-12.
    assert max(counts[1]) <= 250
