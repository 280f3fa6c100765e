"""``python -m bench`` and ``python -m bench mix``: see ``--help``."""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.behind import run as behind
from bench.contestants import CONTESTANTS, chosen
from bench.driver import Pace, WorkerError, run
from bench.mix import report as mixed
from bench.mix import run as mix
from bench.mix.report import OURS
from bench.report import as_data, as_markdown
from bench.servers import running

FULL = Pace(rounds=40, batch_seconds=0.012)
QUICK = Pace(rounds=6, batch_seconds=0.006)
FULL_MIX = mix.Slice(rounds=12, operations=1000)
QUICK_MIX = mix.Slice(rounds=3, operations=250)

FULL_TURNS = behind.Turns(rounds=20, increments=1000)
QUICK_TURNS = behind.Turns(rounds=5, increments=500)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and print the report; 1 if a contestant failed, was wrong or did not serve its hits from the cache."""
    options = _parser().parse_args(arguments)
    measure = {"reads": _reads, "mix": _mixed, "write-behind": _counted}[options.what]
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


def _counted(options: argparse.Namespace) -> tuple[str, dict[str, Any], int]:
    turns = QUICK_TURNS if options.quick else FULL_TURNS
    turns = replace(turns, rounds=options.rounds or turns.rounds, increments=options.operations or turns.increments)
    seed = options.seed or str(random.randrange(10**6))
    with running(behind.contestants(), tcp=options.tcp) as servers:
        found = behind.run(servers, turns, seed)
    told = (found, turns, _transport(options), seed)
    return behind.as_markdown(*told), behind.as_data(*told), 1 if any(way.wrong for way in found) else 0


def _transport(options: argparse.Namespace) -> str:
    return "TCP" if options.tcp else "unix socket"


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    parser = argparse.ArgumentParser(prog="python -m bench", description="Cached reads side by side, in one run.")
    parser.add_argument(
        "what", nargs="?", choices=("reads", "mix", "write-behind"), default="reads",
        help="reads: one process each, what a hit, a miss and a save cost; mix: 95 reads to 5 writes in four"
        " processes; write-behind: what it costs to count",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="a few short rounds, under half a minute")
    parser.add_argument("--only", metavar="A,B", help=f"some contestants of: {names}")
    parser.add_argument("--tcp", action="store_true", help="Redis by TCP on 127.0.0.1 instead of a unix socket")
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"turns each contestant has ({FULL.rounds}; mix: {FULL_MIX.rounds})"
    )
    parser.add_argument(
        "--operations",
        type=int,
        metavar="N",
        help=f"of a process in a turn (mix: {FULL_MIX.operations}; write-behind: {FULL_TURNS.increments})",
    )
    parser.add_argument("--seed", metavar="S", help="mix: the operations of an earlier run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there, too")
    parser.add_argument("--profile", action="store_true", help="show where the time of our own hits goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
