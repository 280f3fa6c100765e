"""The measurement of counting runs, counts rightly, and reports; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_short_run(tmp_path: Path) -> None:
    """Of 200 increments a plain way makes 200 statements, write-behind 4; the database has all of them, 0 are wrong."""
    file = tmp_path / "counting.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "write-behind", "--rounds", "2", "--operations", "200", "--seed", "7", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    data = json.loads(file.read_text())
    assert [data["about"][name] for name in ("seed", "rounds", "increments")] == ["7", 2, 200]
    assert [way["wrong"] for way in data["ways"]] == [0, 0, 0, 0]
    plain, cached, *behind = [way["statements"] for way in data["ways"]]
    assert (plain, cached) == ([200, 200], [200, 200])
    assert behind == [[4, 4], [4, 4]]
    assert done.stdout.startswith("# Counting, 20")
