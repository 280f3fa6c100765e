"""The measurement of statistics runs, and what it counts is right; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_short_run(tmp_path: Path) -> None:
    """A hit is one round trip and one command, without statistics and with them; with them each is counted."""
    file = tmp_path / "stats.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "stats", "--quick", "--rounds", "2", "--seed", "7", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    data = json.loads(file.read_text())
    assert (data["wrong"], done.returncode) == ([], 0), done.stderr
    assert [data["about"][name] for name in ("seed", "rounds")] == ["7", 2]
    assert set(data["turns"]) == set(data["ratios"]) == {"get", "week", "count"}
    for pairs in data["turns"].values():
        assert len(pairs) == 2
        for without, with_them in pairs:
            assert without["trips"] == without["commands"] == without["calls"] > 0 == without["counted"]
            assert with_them["trips"] == with_them["calls"] == with_them["counted"] > 0
            # (One batch may have been told meanwhile: a script, and what it does.)
            assert with_them["commands"] >= with_them["calls"]
    assert done.stdout.startswith("# What statistics cost a hit, 20")
    assert "| 1, 1 |" in done.stdout
