"""The run with made-up ids counts and reports; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_short_run(tmp_path: Path) -> None:
    """Of 400 made-up ids all reach the database without a filter, at most 6 with one, and no new row is missed."""
    file = tmp_path / "penetration.json"
    command = [sys.executable, "-m", "bench", "penetration", "--quick", "--operations", "400", "--seed", "7"]
    done = subprocess.run(
        [*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    ways = json.loads(file.read_text())["ways"]
    plain, without, filtered = ways.values()
    assert [each["lookups"] for each in ways.values()] == [400] * 3
    assert [each["hidden"] for each in ways.values()] == [0] * 3
    assert (plain["queries"], without["queries"]) == (400, 400)
    assert filtered["queries"] <= 6
    assert without["keys"] > 800 > filtered["keys"]
    assert done.stdout.startswith("# 400 made-up ids asked of 5,000 rows")
