"""Starts a process for each way of answering and puts the same questions to each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bench.contestants import CONTESTANTS
from bench.driver import Worker
from bench.servers import running

__all__ = ["WAYS", "as_markdown", "run"]

#: Ways of answering: the contestant, and whether a filter was built.
WAYS = {
    "plain Django": ("django-postgres", False),
    "redis_toolkit, no filter": ("ours-postgres", False),
    "redis_toolkit, filter": ("ours-postgres", True),
}


def run(rows: int, lookups: int, seed: str, *, tcp: bool) -> dict[str, dict[str, Any]]:
    """What each way came to. Raises ``WorkerError`` if one fails."""
    known = {contestant.name: contestant for contestant in CONTESTANTS}
    found = {}
    with running([known["ours-postgres"]], tcp=tcp) as servers:
        for number, (way, (name, filtered)) in enumerate(WAYS.items()):
            contestant = replace(known[name])
            job = {**servers.job(number, contestant), "penetration": {"rows": rows, "filtered": filtered, "seed": seed}}
            worker = Worker(contestant, job)
            try:
                found[way] = worker.ask("probe", lookups=lookups)
            finally:
                worker.close()
    return found


def as_markdown(found: dict[str, dict[str, Any]], rows: int, seed: str) -> str:
    """The table."""
    lookups = next(iter(found.values()))["lookups"]
    lines = [
        f"# {lookups:,} made-up ids asked of {rows:,} rows",
        "",
        f"PostgreSQL; a row is created and read after every hundredth. Seed {seed}.",
        "",
        "| | queries | reach the database | keys left in Redis | µs for one | new rows not found |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for way, each in found.items():
        share, micros = each["queries"] / lookups, each["seconds"] / lookups * 1e6
        lines.append(
            f"| {way} | {each['queries']:,} | {share:.2%} | {each['keys']:,} | {micros:,.0f} | {each['hidden']} |"
        )
    return "\n".join(lines)
