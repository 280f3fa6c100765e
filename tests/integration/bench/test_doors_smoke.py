"""Sessions, tokens and codes are measured, and all say what they should; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from bench.doors.chance import Interval, auc, compared, dealt, shift
from bench.doors.plan import CASES, chosen
from bench.doors.telling import CLOCKS, DOORS, KINDS, PAIRS, Telling, as_markdown
from bench.doors.telling import Pace as Blocks

ROOT = Path(__file__).parents[3]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )


def test_a_short_run_of_sessions_and_tokens(tmp_path: Path) -> None:
    """Nobody is wrong, ours keep what overlapping requests write, and cost what is written of them; the floor is there."""
    file = tmp_path / "doors.json"
    only = "ours-signed,django-cache,ours-rows"
    done = bench("doors", "--quick", "--rounds", "1", "--seed", "7", "--only", only, "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(file.read_text())["sessions and tokens"]
    assert [data[what] for what in ("wrong", "failed", "absent")] == [{}, {}, {}]
    assert [data["about"][name] for name in ("seed", "rounds", "requests")] == ["7", 1, 100]
    rows = chosen(tuple(CASES), only)
    rounds = {
        name: {case: len(each["rounds"]) for case, each in of.items()} for name, of in data["microseconds"].items()
    }
    assert rounds == {row.name: dict.fromkeys(CASES[row.kind], 1) for row in rows}

    # Django's own asks whether the session is there before it writes it.
    trips = {name: tuple(of.values()) for name, of in data["round_trips"].items()}
    assert trips == {
        "floor-session": (1, 2, 1), "ours-signed": (1, 2, 1), "django-cache": (1, 3, 2), "floor-class": (0, 0),
        "ours-rows": (1, 2),
    }  # fmt: skip
    # The user, and the row of a token that Redis does not know.
    statements = {name: tuple(of.values()) for name, of in data["statements"].items() if any(of.values())}
    assert statements == {"floor-class": (1, 1), "ours-rows": (1, 1)}
    assert data["kept"]["ours-signed"] == 100 > data["kept"]["django-cache"]
    assert {name for name, each in data["bytes"].items() if each["keys"]} == {
        "floor-session", "ours-signed", "django-cache", "ours-rows",
    }  # fmt: skip
    assert done.stdout.startswith("# Doors, 20")


def test_a_short_run_of_codes(tmp_path: Path) -> None:
    """Known and unknown, locked out or not, all are answered as they must be, alike; and are compared."""
    file = tmp_path / "codes.json"
    done = bench("codes", "--quick", "--rounds", "2", "--operations", "15", "--seed", "7", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(file.read_text())
    assert data["wrong"] == {}
    times, doors = data["microseconds"], [f"{door}, {clock}" for door in DOORS for clock in CLOCKS]
    assert {door: list(of) for door, of in times.items()} == {door: list(KINDS) for door in doors}
    # Of each block the first twenty requests are not counted.
    for of in times.values():
        assert [sum(len(each[block]) for each in of.values()) for block in range(2)] == [55, 55]
    assert {door: list(of) for door, of in data["compared"].items()} == {
        door: [f"{one} - {other}" for one, other, _ in PAIRS] for door in doors
    }
    assert done.stdout.startswith("# Codes: does the time tell who is known?, 20")


def test_unknown_contestant_is_an_error_that_lists_the_known() -> None:
    """Exit code 2 before any server starts; who is there but of another kind is unknown."""
    done = bench("tokens", "--only", "drf,ours-signed")
    assert done.returncode == 2
    assert done.stderr.startswith("bench: nobody at the door is called ours-signed; there are floor-text, ")


def samples(longer: float, *, seed: int = 0) -> list[tuple[list[float], list[float]]]:
    """Blocks of times with a long tail, of a machine that is slower in each block; the first are ``longer``."""
    dice = Random(seed)

    def times(base: float) -> list[float]:
        return [base + dice.lognormvariate(0, 1) * 100 for _ in range(100)]

    return [(times(1000 * block + longer), times(1000 * block)) for block in range(1, 6)]


def test_times_that_are_alike_are_told_apart_no_better_than_chance() -> None:
    """Of pairs of samples of one distribution one in a hundred is told apart; those of two are, by both tests."""
    pairs = [samples(0, seed=seed)[:2] for seed in range(100, 300)]
    found = [auc(each) for each in pairs]
    assert 194 <= sum(each.low <= 0.5 <= each.high for each in found) < 200
    assert sum(dealt(each, 99, Random(1)) > 0.01 for each in pairs[:20]) >= 19
    other = compared(samples(60), 199, Random(1))
    assert not other.is_chance
    assert other.auc.low > 0.5
    assert other.p == 1 / 200
    assert other.apart.value == pytest.approx(60, abs=25)
    assert 0 < other.apart.low < 60 < other.apart.high


def test_low_quantiles_tell_what_noise_hides() -> None:
    """Where the noise is far above the difference the AUC sees nothing, and the fastest answers tell all the same."""
    dice = Random(5)

    def times(base: float) -> list[float]:
        # Hardly any answer is left alone, but some are.
        return [base + (dice.random() if dice.random() < 0.05 else 500 * dice.random()) for _ in range(200)]

    blocks = [(times(10), times(0)) for _ in range(2)]
    hidden = auc(blocks)
    assert hidden.low < 0.5 < hidden.high
    assert dealt(blocks, 199, dice) == 1 / 200


def test_auc_and_shift_by_hand() -> None:
    """Of 2 against 1, 2 and 3 one is shorter, one equal: a half; what is longer than all is 1. And so much apart."""
    assert auc([([2.0, 2.0], [1.0, 2.0, 3.0])]).value == 0.5
    assert auc([([4.0, 5.0], [1.0, 2.0])]) == Interval(1.0, 1.0, 1.0)
    assert shift([([11.0, 12.0, 13.0], [1.0, 2.0, 3.0])]).value == pytest.approx(10, abs=0.001)


def test_verdicts() -> None:
    """Who should not be told apart and is, is named; so is a control that shows that the tests see nothing."""
    alike, unlike = (compared(samples(longer), 99, Random(1)) for longer in (0, 60))
    of = {f"{one} - {another}": alike for one, another, _ in PAIRS}
    told = Telling(compared={"issuing": of, "verifying": dict.fromkeys(of, unlike)})
    report = as_markdown(told, Blocks(blocks=5, size=100, permutations=99), "TCP", "1")
    said = [line.rsplit("|", 2)[1].strip() for line in report.splitlines() if " - " in line and line.startswith("|")]
    assert said == [
        *["told apart no better than chance"] * 2, *["NO POWER"] * 2, *["TOLD APART"] * 2,
        *["told apart, as it must be"] * 2,
    ]  # fmt: skip
