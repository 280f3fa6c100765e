"""The measurement of checks runs, and all say what they should; nothing here looks at how long anything took."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.throttle.plan import ALLOWED, CONTESTANTS, DENIED, LIBRARIES
from bench.throttle.report import aims
from bench.throttle.run import Checks
from bench.throttle.turns import counted

ROOT = Path(__file__).parents[3]


def throttle(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "throttle", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip


def test_a_short_run(tmp_path: Path) -> None:
    """Nobody is wrong. Ours costs 1 round trip, 0 what is remembered; 4 threads get exactly 100 of a limit of 100."""
    file = tmp_path / "checks.json"
    done = throttle("--quick", "--rounds", "2", "--seed", "7", "--json", str(file))
    data = json.loads(file.read_text())
    assert (data["wrong"], data["failed"], done.returncode) == ({}, {}, 0), done.stderr
    assert [data["about"][name] for name in ("seed", "rounds")] == ["7", 2]
    # The peers come with `make bench`, and may be missing where the tests alone are installed.
    absent = {library.name: library.title for library in LIBRARIES if library.absent}
    assert set(data["absent"]) == set(absent.values()) <= {"django-ratelimit", "limits", "throttled-py"}
    rows = [row for row in CONTESTANTS if row.library not in absent]
    for case in (ALLOWED, DENIED):
        rounds = {name: len(times["rounds"]) for name, times in data["microseconds"][case].items()}
        assert rounds == {row.name: 2 for row in rows if case in row.cases}

    allowed, denied = (data["round_trips"][case] for case in (ALLOWED, DENIED))
    documented: dict[str, tuple[int | None, int | None]] = {
        "drf": (2, 1), "drf-view": (2, 1), "drf-bare-view": (0, None), "ratelimit": (2, 2), "ratelimit-view": (2, 2),
        "ours-remembered": (None, 0), "ours-view-remembered": (None, 0),
    }  # fmt: skip
    # Of whom nothing else is said: 1.
    found = {row.name: (allowed.get(row.name), denied.get(row.name)) for row in rows}
    assert found == {row.name: documented.get(row.name, (1, 1)) for row in rows}
    # Django REST framework's own reads, counts and writes: how many more it admits is a matter of luck.
    assert {number for name, each in data["admitted"].items() if not name.startswith("drf") for number in each} == {100}
    assert min(data["admitted"]["drf"]) >= 100
    assert done.stdout.startswith("# Checks of limits, 20")
    assert "WRONG:" not in done.stdout


def test_unknown_contestant_is_an_error_that_lists_the_known() -> None:
    """Exit code 2 before any server starts."""
    done = throttle("--only", "ours-gcra,cell")
    assert done.returncode == 2
    assert done.stderr.startswith("bench: nobody who throttles is called cell; there are floor, ours-gcra, ")


def test_round_trips_are_counted_at_the_socket() -> None:
    """Two sent and one received, twice, are 2; of another thread, unasked, the rest of an answer: none; then nothing."""

    def ask_elsewhere(here: socket.socket, there: socket.socket) -> None:
        here.sendall(b"ask")
        there.sendall(b"answer")
        here.recv(6)

    with counted() as turns:
        here, there = socket.socketpair()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(ask_elsewhere, here, there).result()
        there.recv(3)
        for _ in range(2):
            here.sendall(b"ask")
            here.send(b"more")
            there.send(b"answer")
            assert (here.recv(3), here.recv_into(bytearray(3))) == (b"ans", 3)
        before = turns.round_trips
        there.send(b"unasked")
        here.recv(7)
    assert (before, turns.round_trips) == (2, 2)
    here.sendall(b"ask")
    there.sendall(b"answer")
    assert here.recv(6) == b"answer"
    assert turns.round_trips == 2
    here.close()
    there.close()
    assert "sendall" not in vars(socket.socket)


def test_aims_are_judged_on_both_sides_of_their_bound() -> None:
    """1.25 of the floor, faster than the fastest peer, under 3 µs; what did not take part is not judged."""
    times = {
        "floor": [40.0, 80.0],
        "ours-gcra": [50.0, 100.0],
        "limits-fixed": [51.0, 102.0],
        "throttled": [70.0, 140.0],
    }
    found = Checks(
        microseconds={ALLOWED: times, DENIED: {**times, "ours-gcra": [52.0, 104.0], "ours-remembered": [2.9, 2.9]}}
    )
    judged = list(aims(found))
    assert [aim.reached for aim in judged] == [True, False, True, False, *[None] * 6, True]
    assert [judged[at].measured for at in (0, 1, 2, 3, 10)] == [
        "1.25", "1.30", "limits-fixed takes 1.02 of ours-gcra", "limits-fixed takes 0.98 of ours-gcra", "2.90 µs",
    ]  # fmt: skip
    found.microseconds[DENIED]["ours-remembered"] = [3.0]
    assert [aim.reached for aim in aims(found)][-1] is False
