"""``python -m bench``: see ``--help``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.contestants import CONTESTANTS, chosen
from bench.driver import Pace, WorkerError, run
from bench.report import as_data, as_markdown
from bench.servers import running

FULL = Pace(rounds=40, batch_seconds=0.012)
QUICK = Pace(rounds=6, batch_seconds=0.006)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once and print the report; 1 if a contestant failed, was wrong or did not serve its hits from the cache."""
    options = _parser().parse_args(arguments)
    try:
        contestants = chosen(options.only, brief=options.quick)
    except ValueError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    pace = QUICK if options.quick else FULL
    if options.rounds:
        pace = replace(pace, rounds=options.rounds)
    try:
        with running(contestants, tcp=options.tcp) as servers:
            found = run(contestants, servers, pace, profile=options.profile)
    except WorkerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    transport = "TCP" if options.tcp else "unix socket"
    print(as_markdown(found, pace, transport))
    if options.json:
        options.json.write_text(json.dumps(as_data(found, pace, transport), indent=2) + "\n")
    return 1 if found.failed else 0


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(contestant.name for contestant in CONTESTANTS)
    parser = argparse.ArgumentParser(prog="python -m bench", description="Cached reads side by side, in one run.")
    parser.add_argument("--quick", action="store_true", help="a few short rounds, under half a minute")
    parser.add_argument("--only", metavar="A,B", help=f"some contestants of: {names}")
    parser.add_argument("--tcp", action="store_true", help="Redis by TCP on 127.0.0.1 instead of a unix socket")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"turns each contestant has ({FULL.rounds})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement there, too")
    parser.add_argument("--profile", action="store_true", help="show where the time of our own hits goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
