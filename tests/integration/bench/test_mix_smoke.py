"""The mix of reads and writes runs, counts, and reports; nothing here looks at how long anything took."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.mix.plan import GROUPS, plan
from bench.mix.report import judged
from bench.mix.run import Total
from bench.timetable import LESSONS_PER_GROUP

ROOT = Path(__file__).parents[3]


def mix(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "mix", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_short_run_of_two_contestants(tmp_path: Path) -> None:
    """Four processes each of ours and of plain Django do the same 320 operations; ours is 0 times wrong at rest."""
    file = tmp_path / "mix.json"
    only = "ours-postgres,django-postgres"
    done = mix("--rounds", "2", "--operations", "40", "--seed", "7", "--only", only, "--json", str(file))
    assert done.returncode == 0, done.stderr

    data = json.loads(file.read_text())
    assert [data["about"][name] for name in ("seed", "processes", "rounds", "operations")] == ["7", 4, 2, 40]
    ours, django = (data["contestants"][name] for name in ("ours-postgres", "django-postgres"))
    assert ours["done"] == django["done"]
    assert sum(ours["done"].values()) == 4 * 2 * 40
    # The first 40 of each process are for warming up.
    measured = itertools.chain.from_iterable(itertools.islice(plan("7", process), 40, 120) for process in range(4))
    assert ours["done"] == Counter(operation.kind for operation in measured)
    assert [len(found["rates"]) for found in (ours, django)] == [2, 2]
    assert django["hits"] == {"week": 0, "get": 0, "save": 0}
    assert ours["hits"]["save"] == 0
    assert ours["hits"]["week"] > 0 < ours["hits"]["get"]
    assert [ours["wrong"], django["wrong"]] == [0, 0]
    assert [aim["reached"] for aim in data["aims"]] == [None, None, True]
    assert done.stdout.startswith("# Reads and writes of 20")
    assert done.stdout.count("not judged") == 2


def test_unknown_contestant_is_an_error_that_lists_the_known() -> None:
    """Who does not read PostgreSQL has no part in the mix: exit code 2 before any server starts."""
    done = mix("--only", "ours-postgres,ours")
    assert done.returncode == 2
    assert done.stderr == (
        "bench: no contestant of the mix is called ours; there are "
        "django-postgres, ours-postgres, cacheops-postgres, cachalot-postgres\n"
    )


def test_the_plan_is_as_the_report_says() -> None:
    """Of 40,000 operations 5 % write, a quarter of which move; group 1 has 1 : 2^1.1 of group 2; a seed says it all."""
    mine = list(itertools.islice(plan("7", 0), 40_000))
    assert mine == list(itertools.islice(plan("7", 0), 40_000))
    assert mine[:10] != list(itertools.islice(plan("7", 1), 10))
    kinds = Counter(operation.kind for operation in mine)
    assert round(kinds["save"] / 40_000, 2) == 0.05
    assert round(kinds["week"] / (kinds["week"] + kinds["get"]), 1) == 0.5
    moved = [operation for operation in mine if operation.group is not None]
    assert {operation.kind for operation in moved} == {"save"}
    assert round(len(moved) / kinds["save"], 1) in {0.2, 0.3}
    weeks = Counter(operation.number for operation in mine if operation.kind == "week")
    assert round(weeks[1] / weeks[2]) == round(2**1.1)
    assert set(weeks) <= set(range(1, GROUPS + 1))
    assert {operation.number for operation in mine if operation.kind == "get"} <= set(
        range(1, GROUPS * LESSONS_PER_GROUP + 1)
    )


def test_aims_are_judged_on_both_sides_of_their_bound() -> None:
    """Hits at least the peer's, twice its rate in the median slice, nothing wrong at rest."""
    ours = Total([20.0, 40.0, 5.0], Counter(week=10), Counter(week=9))
    peer = Total([10.0, 20.0, 5.0], Counter(week=10), Counter(week=9))
    totals = {"ours-postgres": ours, "cacheops-postgres": peer}
    assert [(verdict.value, verdict.reached) for verdict in judged(totals)] == [(1.0, True), (2.0, True), (0, True)]
    ours.hits["week"], ours.rates[1], ours.wrong = 8, 39.0, 1
    assert [verdict.reached for verdict in judged(totals)] == [False, False, False]
