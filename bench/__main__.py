"""``python -m bench``; ``mix``, ``stampede``, ``throttle``, … after it: see ``--help``."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import sizes, summary
from bench.behind import run as behind
from bench.contestants import CONTESTANTS, chosen
from bench.doors import plan as gates
from bench.doors import report as guarded
from bench.doors import run as doors
from bench.doors import telling
from bench.driver import Pace, WorkerError, run
from bench.mix import report as mixed
from bench.mix import run as mix
from bench.mix.report import OURS
from bench.penetration import run as penetration
from bench.report import as_data, as_markdown
from bench.servers import running
from bench.stampede import plan as storms
from bench.stampede import report as stamped
from bench.stampede import run as stampede
from bench.stats import run as counting
from bench.storms import avalanche, outage
from bench.throttle import plan as limits
from bench.throttle import report as throttled
from bench.throttle import run as throttle

FULL = Pace(rounds=40, batch_seconds=0.012)
QUICK = Pace(rounds=6, batch_seconds=0.006)
FULL_MIX = mix.Slice(rounds=12, operations=1000)
QUICK_MIX = mix.Slice(rounds=3, operations=250)
FULL_STAMPEDE = storms.Pace(callers=50, rounds=5, patience=10)
QUICK_STAMPEDE = storms.Pace(callers=10, rounds=1, patience=5)
#: Rows that are there, and ids that are not.
FULL_PROBES = (100_000, 10_000)
QUICK_PROBES = (5_000, 2_000)
#: Share of made-up ids that may reach the database.
MOST_QUERIES = 0.015

FULL_TURNS = behind.Turns(rounds=20, increments=1000)
QUICK_TURNS = behind.Turns(rounds=5, increments=500)
FULL_CHECKS = limits.Pace(rounds=60, batch_seconds=0.006, crowds=3)
QUICK_CHECKS = limits.Pace(rounds=4, batch_seconds=0.004, crowds=1)
FULL_DOORS = gates.Pace(rounds=40, batch_seconds=0.02, entries=1000, requests=500)
QUICK_DOORS = gates.Pace(rounds=3, batch_seconds=0.005, entries=50, requests=100)
FULL_COUNTS = counting.Pace(rounds=40, seconds=0.4, seconds_told=5)
QUICK_COUNTS = counting.Pace(rounds=4, seconds=0.005, seconds_told=1)
FULL_CODES = telling.Pace(blocks=10, size=250, permutations=299)
QUICK_CODES = telling.Pace(blocks=2, size=30, permutations=99)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and print the report; 1 if a contestant failed, was wrong or did not serve its hits from the cache."""
    options = _parser().parse_args(arguments)
    measure = _MEASURES[options.what]
    try:
        report, data, code = measure(options)
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except WorkerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(report)
    if options.json:
        options.json.write_text(json.dumps(data, indent=2) + "\n")
    return code


def _reads(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    contestants = chosen(options.only, brief=options.quick)
    pace = QUICK if options.quick else FULL
    if options.rounds:
        pace = replace(pace, rounds=options.rounds)
    with running(contestants, tcp=options.tcp) as servers:
        found = run(contestants, servers, pace, profile=options.profile)
    transport = _transport(options)
    return as_markdown(found, pace, transport), as_data(found, pace, transport), 1 if found.failed else 0


def _mixed(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    contestants = mix.chosen(options.only)
    pace = QUICK_MIX if options.quick else FULL_MIX
    pace = replace(pace, rounds=options.rounds or pace.rounds, operations=options.operations or pace.operations)
    seed = options.seed or str(random.randrange(10**6))
    with running(contestants, tcp=options.tcp) as servers:
        found = mix.run(contestants, servers, pace, seed)
    told = (found, pace, _transport(options), seed)
    wrong = found.totals[OURS].wrong if OURS in found.totals else 0
    return mixed.as_markdown(*told), mixed.as_data(*told), 1 if wrong else 0


def _stampede(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    contestants, scenarios = storms.chosen(options.only), storms.plays(options.scenario)
    pace = QUICK_STAMPEDE if options.quick else FULL_STAMPEDE
    pace = replace(pace, rounds=options.rounds or pace.rounds, callers=options.callers or pace.callers)
    seed = options.seed or str(random.randrange(10**6))
    with running(contestants, tcp=options.tcp, connections=stampede.connections(pace)) as servers:
        found = stampede.run(contestants, scenarios, servers, pace, seed)
    told = (found, pace, _transport(options), seed)
    played = found.turns.get("invalidated", {})
    wrong = sum(turn.old for name in storms.OURS for turn in played.get(name, ()))
    return stamped.as_markdown(*told), stamped.as_data(*told), 1 if wrong or found.failed else 0


def _penetrated(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    rows, lookups = QUICK_PROBES if options.quick else FULL_PROBES
    lookups = options.operations or lookups
    seed = options.seed or str(random.randrange(10**6))
    found = penetration.run(rows, lookups, seed, tcp=options.tcp)
    ours = found["redis_toolkit, filter"]
    wrong = ours["hidden"] > 0 or ours["queries"] > MOST_QUERIES * lookups
    return penetration.as_markdown(found, rows, seed), {"rows": rows, "seed": seed, "ways": found}, int(wrong)


def _outage(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    seed = options.seed or str(random.randrange(10**6))
    found = outage.run(options.operations or (200 if options.quick else 5000), seed)
    return outage.as_markdown(found), found, 1 if outage.failed(found) else 0


def _avalanche(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    found = avalanche.run(options.operations or (1000 if options.quick else 10_000))
    return avalanche.as_markdown(found), found, 0


def _counted(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    turns = QUICK_TURNS if options.quick else FULL_TURNS
    turns = replace(turns, rounds=options.rounds or turns.rounds, increments=options.operations or turns.increments)
    seed = options.seed or str(random.randrange(10**6))
    with running(behind.contestants(), tcp=options.tcp) as servers:
        found = behind.run(servers, turns, seed)
    told = (found, turns, _transport(options), seed)
    return behind.as_markdown(*told), behind.as_data(*told), 1 if any(way.wrong for way in found) else 0


def _throttled(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    rows = limits.chosen(options.only)
    pace = QUICK_CHECKS if options.quick else FULL_CHECKS
    pace = replace(pace, rounds=options.rounds or pace.rounds)
    seed = options.seed or str(random.randrange(10**6))
    with running(throttle.libraries(rows), tcp=options.tcp) as servers:
        found = throttle.run(rows, servers, pace, seed, profile=options.profile)
    told = (found, pace, _transport(options), seed)
    return throttled.as_markdown(*told), throttled.as_data(*told), 1 if found.wrong or found.failed else 0


def _guarded(options: argparse.Namespace, *kinds: str) -> tuple[str, dict[str, Any], int]:
    rows = gates.chosen(kinds, options.only)
    pace = QUICK_DOORS if options.quick else FULL_DOORS
    pace = replace(pace, rounds=options.rounds or pace.rounds, requests=options.operations or pace.requests)
    seed = options.seed or str(random.randrange(10**6))
    with running(doors.libraries(rows), tcp=options.tcp, connections=200) as servers:
        found = doors.run(rows, servers, pace, seed)
    told = (found, pace, _transport(options), seed)
    return guarded.as_markdown(*told), guarded.as_data(*told), 1 if found.wrong or found.failed else 0


def _sessions(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    return _guarded(options, "session")


def _tokens(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    return _guarded(options, "text", "class")


def _codes(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    pace = QUICK_CODES if options.quick else FULL_CODES
    pace = replace(pace, blocks=options.rounds or pace.blocks, size=options.operations or pace.size)
    seed = options.seed or str(random.randrange(10**6))
    with running([telling.CONTESTANT], tcp=options.tcp) as servers:
        found = telling.run(servers, pace, seed)
    told = (found, pace, _transport(options), seed)
    return telling.as_markdown(*told), telling.as_data(*told), 1 if found.wrong else 0


def _doors(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    parts = {"sessions and tokens": _guarded(options, *gates.KINDS)}
    if options.only is None:
        parts["codes"] = _codes(options)
    return (
        "\n".join(report for report, _, _ in parts.values()),
        {name: data for name, (_, data, _) in parts.items()},
        max(code for _, _, code in parts.values()),
    )


def _sized(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    found = sizes.run(options.operations or (20 if options.quick else 500))
    return sizes.as_markdown(found), {"sizes": [each._asdict() for each in found]}, 0


def _statistics(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    pace = QUICK_COUNTS if options.quick else FULL_COUNTS
    pace = replace(pace, rounds=options.rounds or pace.rounds)
    seed = options.seed or str(random.randrange(10**6))
    with running([counting.CONTESTANT], tcp=options.tcp) as servers:
        found = counting.run(servers, pace, seed)
    told = (found, pace, _transport(options), seed)
    return counting.as_markdown(*told), counting.as_data(*told), 1 if found.wrong else 0


def _summed(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    parts, codes = {}, []
    for part in summary.parts_of(options.only):
        chosen_here = argparse.Namespace(**vars(options) | {"only": summary.only(part), "scenario": summary.STORM})
        _, parts[part], code = _MEASURES[part](chosen_here)
        codes.append(code)
    return summary.as_markdown(parts, _transport(options)), parts, max(codes)


_MEASURES = {
    "reads": _reads, "mix": _mixed, "stampede": _stampede, "penetration": _penetrated, "outage": _outage,
    "avalanche": _avalanche, "write-behind": _counted, "throttle": _throttled,
    "doors": _doors, "sessions": _sessions, "tokens": _tokens, "codes": _codes, "stats": _statistics,
    "summary": _summed, "sizes": _sized,
}  # fmt: skip


def _transport(options: argparse.Namespace) -> str:
    return "TCP" if options.tcp else "unix socket"


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    stormed = ", ".join(contestant.name for contestant in storms.CONTESTANTS)
    guarding = ", ".join(row.name for row in gates.CONTESTANTS)
    checked = ", ".join(row.name for row in limits.CONTESTANTS)
    parser = argparse.ArgumentParser(prog="python -m bench", description="Cached reads side by side, in one run.")
    parser.add_argument(
        "what", nargs="?", choices=tuple(_MEASURES), default="reads",
        help="reads: one process each, what a hit, a miss and a save cost; mix: 95 reads to 5 writes in four processes;"
        " stampede: four processes of many callers ask for one answer that is gone;"
        " penetration: how many made-up ids reach the database;"
        " outage: reads while Redis refuses, hangs, is slow or killed; avalanche: when entries written together end;"
        " write-behind: what it costs to count; throttle: what a check of a limit costs; sessions, tokens: what engines"
        " of sessions cost and lose, and a look at a token; codes: whether the time tells who is known; doors: these;"
        " stats: what statistics cost a hit;"
        " summary: some of them in the README's table; sizes: bytes of Redis that one of each thing takes",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a few short rounds, under half a minute")
    parser.add_argument(
        "--only", metavar="A,B",
        help=f"some contestants of: {names}; stampede: of {stormed}; throttle: of {checked}; doors: of {guarding};"
        f" summary: parts, of {', '.join(summary.PARTS)}",
    )  # fmt: skip
    parser.add_argument("--tcp", action="store_true", help="Redis by TCP on 127.0.0.1 instead of a unix socket")
    turns = f"{FULL.rounds}; mix: {FULL_MIX.rounds}; stampede: {FULL_STAMPEDE.rounds}; throttle: {FULL_CHECKS.rounds}"
    turns += f"; doors: {FULL_DOORS.rounds}; codes: blocks ({FULL_CODES.blocks})"
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns each contestant has ({turns})")
    parser.add_argument(
        "--operations",
        type=int,
        metavar="N",
        help=f"mix: of a process in a turn ({FULL_MIX.operations}); penetration: ids ({FULL_PROBES[1]});"
        f" outage: reads; avalanche: entries; write-behind: increments ({FULL_TURNS.increments});"
        f" sessions: requests that overlap ({FULL_DOORS.requests}); codes: of each kind in a block ({FULL_CODES.size})",
    )
    parser.add_argument("--callers", type=int, metavar="N", help=f"stampede: of each process ({FULL_STAMPEDE.callers})")
    parser.add_argument("--scenario", metavar="A,B", help=f"stampede: some of {', '.join(storms.SCENARIOS)}")
    parser.add_argument("--seed", metavar="S", help="the operations of an earlier run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there, too")
    parser.add_argument("--profile", action="store_true", help="show where the time of our own hits goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
