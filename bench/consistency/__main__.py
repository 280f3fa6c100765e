"""``python -m bench.consistency``: see ``--help``."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from bench.consistency.outcome import FEW_HITS, MANY_READS, Outcome
from bench.consistency.play import play, prepare
from bench.consistency.proxy import Proxy
from bench.consistency.report import as_data, examples, head, line
from bench.consistency.scenarios import SCENARIOS, Scenario, chosen
from bench.consistency.stage import new_postgres
from redis_toolkit.testing import PostgresServer

FULL = 15.0
QUICK = 4.0
#: How often a subject that has to be caught is given the chance.
MOST_ATTEMPTS = 12
SUBJECTS = ("ours", "naive", "unmarked")


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the scenarios and print the report; 1 if a promise was broken, 2 for a name unknown."""
    options = _parser().parse_args(arguments)
    try:
        scenarios = chosen(options.scenario)
    except ValueError as error:
        print(f"consistency: {error}", file=sys.stderr)
        return 2
    seconds = options.seconds or (QUICK if options.quick else FULL)
    seed = options.seed or str(random.randrange(10**6))
    print(head(options.subject, seed, seconds), flush=True)
    with _servers(options.subject, seed) as servers:
        outcomes = list(_played(scenarios, options, seconds, seed, servers))
        attempts = 1
        while options.until_broken and attempts < MOST_ATTEMPTS and not any(outcome.lies for outcome in outcomes):
            attempts += 1
            outcomes = list(_played(scenarios, options, seconds, f"{seed}:{attempts}", servers))
    if options.json:
        options.json.write_text(json.dumps(as_data(outcomes, seed, seconds), indent=2) + "\n")
    if options.until_broken:
        caught = any(outcome.lies for outcome in outcomes)
        print(f"\n{options.subject} was {'' if caught else 'NOT '}caught, in attempt {attempts}.")
        return 0 if caught else 1
    return _verdict(outcomes, full=not options.quick, whole=options.scenario is None)


def _played(
    scenarios: Sequence[Scenario], options: argparse.Namespace, seconds: float, seed: str,
    servers: tuple[PostgresServer, Proxy],
) -> Iterator[Outcome]:  # fmt: skip
    for scenario in scenarios:
        outcome = play(scenario, options.subject, seconds, seed, *servers)
        print(line(outcome, full=not options.quick), flush=True)
        shown = examples(outcome) if (outcome.violations and not options.until_broken) or options.examples else ""
        if shown:
            print(shown, file=sys.stderr, flush=True)
        yield outcome


def _verdict(outcomes: Sequence[Outcome], *, full: bool, whole: bool) -> int:
    """Speed is judged scenario by scenario, in a full run; a short one must only have had hits to be wrong about."""
    broken = [outcome for outcome in outcomes if outcome.violations or outcome.idle]
    missed = [outcome for outcome in outcomes if outcome.slack and full]
    calm = sum(outcome.calm for outcome in outcomes)
    ratio = sum(outcome.hits for outcome in outcomes) / max(1, calm)
    print(f"\n{len(broken)} of {len(outcomes)} scenarios broke a promise, {len(missed)} missed an aim of speed.")
    judged = whole and calm >= MANY_READS * len(outcomes)
    print(f"Hits in all of it: {ratio:.0%}{' (of too few reads to be judged)' if whole and not judged else ''}.")
    return 1 if broken or missed or (judged and ratio <= FEW_HITS) else 0


@contextmanager
def _servers(subject: str, seed: str) -> Iterator[tuple[PostgresServer, Proxy]]:
    """PostgreSQL with empty tables, and the proxy; Django knows both."""
    with new_postgres() as postgres, closing(Proxy(seed)) as proxy:
        job = {
            "subject": subject,
            "database": postgres.django_settings(),
            "redis_url": f"redis://127.0.0.1:{proxy.port}/0",
        }
        os.environ["CONSISTENCY_JOB"] = json.dumps(job)
        os.environ["DJANGO_SETTINGS_MODULE"] = "bench.consistency.settings"
        prepare()
        yield postgres, proxy


def _parser() -> argparse.ArgumentParser:
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    parser = argparse.ArgumentParser(
        prog="python -m bench.consistency", description="Is a cached read ever older than the last commit?"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:g} s of load a scenario; speed is not judged")
    parser.add_argument("--seconds", type=float, metavar="N", help=f"seconds of load a scenario ({FULL:g})")
    parser.add_argument("--scenario", metavar="A,B", help=f"some scenarios of: {names}")
    parser.add_argument("--seed", metavar="S", help="the dice of an earlier run; the order of events is still chance")
    parser.add_argument("--subject", choices=SUBJECTS, default="ours", help="who is tested (ours)")
    parser.add_argument(
        "--until-broken", action="store_true",
        help=f"play until an answer is wrong, {MOST_ATTEMPTS} times at most; the exit code is 0 if one was",
    )  # fmt: skip
    parser.add_argument("--examples", action="store_true", help="show what was stale even where its bound was kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there, too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
