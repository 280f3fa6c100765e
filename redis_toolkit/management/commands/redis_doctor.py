from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from redis_toolkit.conf import Settings
from redis_toolkit.doctor import Finding, Report, Server, examine
from redis_toolkit.doctor.findings import LEVELS

#: Grows when the JSON changes in a way that who reads it must know of.
FORMAT = 1


class Command(BaseCommand):
    help = (
        "Examines every Redis server the toolkit uses, and the settings around it: what is the matter, and what to do."
        " Changes nothing. Exits with 1 if something is found that --fail-on names."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")
        parser.add_argument(
            "--alias", action="append", metavar="ALIAS", help="Only this server, of CACHES. May be repeated."
        )
        parser.add_argument(
            "--fail-on", choices=LEVELS[:3], default="error", help="The least that is a failure. Default: error."
        )
        parser.add_argument(
            "--sample", type=int, default=1000, metavar="N", help="Keys of each server to look at. Default: 1000."
        )

    def handle(self, *, fail_on: Any, sample: int, verbosity: int = 1, **options: Any) -> None:
        unknown = [each for each in options["alias"] or () if each not in Settings.caches()]
        if unknown:
            raise CommandError(f"CACHES has no {' and no '.join(map(repr, unknown))}.", returncode=2)
        if sample < 0:
            raise CommandError("--sample is a number of keys: 0 or more.", returncode=2)
        report = examine(sample=sample, aliases=options["alias"])
        if options["json"]:
            self.stdout.write(json.dumps(as_json(report), indent=2))
        else:
            for line in lines(report, verbosity):
                self.stdout.write(line)
        if bad := report.of(fail_on):
            told = ", ".join(dict.fromkeys(each.id for each in bad))
            raise CommandError(f"{len(bad)} found that must be seen to: {told}.")


def as_json(report: Report) -> dict[str, Any]:
    """The report for programs."""
    counts = Counter(each.level for each in report.findings)
    return {
        "format": FORMAT,
        "counts": {level: counts[level] for level in LEVELS},
        "servers": [
            {"alias": each.alias, "roles": list(each.roles), "version": each.version, "facts": dict(each.facts)}
            for each in report.servers
        ],
        "findings": [asdict(each) for each in report.findings],
    }


def lines(report: Report, verbosity: int) -> list[str]:
    """The report for people, a heading for each subject."""
    servers = {each.alias: each for each in report.servers}
    said: list[str] = []
    for subject, found in groupby(report.findings, key=lambda each: each.subject):
        block = [line for each in found for line in told(each, verbosity)]
        if block:
            said += [*([""] if said else []), headed(subject, servers.get(subject)), *block]
    return said


def headed(subject: str, server: Server | None) -> str:
    """What a block is about."""
    if server is None:
        return f"{subject}:"
    kept = ", ".join(server.roles) or "nothing of ours"
    return f"{subject} ({kept}){f': {server.version}' if server.version else ':'}"


def told(finding: Finding, verbosity: int) -> list[str]:
    """One finding: what is the matter and what to do; of what is well one line, if that is asked for."""
    if finding.level == "good":
        return [f"  ok       {finding.id}  {finding.sentence}"] if verbosity else []
    said = [f"  {finding.level:<8} {finding.id}  {finding.sentence}"]
    return [*said, f"{'':<17}{finding.cure}"] if finding.cure else said
