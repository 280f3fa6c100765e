"""Run Django's tests of sessions, log-ins and clients on our engine, once with each profile, in processes of their own."""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import django
import redis

from tests import servers
from tests.django_suite.running import Report
from tests.django_suite.sources import Unavailable, fetch
from tests.session_suite.exceptions import EXCEPTIONS
from tests.session_suite.profiles import PROFILES

#: All of these, and Django's tests of an engine for ours.
LABELS = (
    "sessions_tests", "auth_tests", "test_client", "test_client_regress", "csrf_tests", "messages_tests",
    "tests.session_suite.contract",
)  # fmt: skip
#: Seconds that one run may take.
PATIENCE = 900


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.session_suite", description=__doc__)
    parser.add_argument("tests", nargs="*", help="apps, or tests by dotted name; without any, all seven")
    parser.add_argument("--profile", choices=tuple(PROFILES), help="one alone; without it, each")
    options = parser.parse_args()
    labels = options.tests or LABELS
    try:
        sources = fetch()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 3
    wrong: list[str] = []
    for profile in [options.profile] if options.profile else PROFILES:
        begun = perf_counter()
        with servers.new_valkey() as server:
            report, said = _run_apart(sources, profile, server.url, labels)
            found = _judge(report, profile, _asked(server.url), perf_counter() - begun, is_whole=labels is LABELS)
        if found:
            print(said, *found, sep="\n", flush=True)
        wrong += found
    return 1 if wrong else 0


def _run_apart(sources: Path, profile: str, server: str, labels: Sequence[str]) -> tuple[Report | None, str]:
    """The report of a run in a process of its own (None if that did not live to write one), and what Django said."""
    with tempfile.TemporaryDirectory(prefix="session-tests-") as folder:
        report = Path(folder) / "report.json"
        environment: Mapping[str, str] = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.session_suite.settings",
            "SESSION_TESTS_SOURCES": str(sources),
            "SESSION_TESTS_PROFILE": profile,
            "SESSION_TESTS_SERVER": server,
            "SESSION_TESTS_REPORT": str(report),
        }
        with subprocess.Popen(
            [sys.executable, "-m", "tests.session_suite.child", *labels], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                said = process.communicate(timeout=PATIENCE)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                said = process.communicate()[0]
        return (Report.read(report) if report.exists() else None), said


def _asked(url: str) -> dict[str, int]:
    """How many sessions the server was asked for, and how many scripts it has run."""
    with redis.Redis.from_url(url) as client:
        statistics = client.info("commandstats")
    return {name: int(statistics.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("hgetall", "evalsha")}


def _judge(
    report: Report | None, profile: str, asked: Mapping[str, int], seconds: float, *, is_whole: bool
) -> list[str]:
    """Say what came of one run; what is wrong with it: what is not listed and failed, what is listed and did not."""
    version = django.get_version()
    if report is None:
        return [f"{profile}: the run did not come to an end"]
    names = [name.rpartition(":") for name in EXCEPTIONS]
    listed = {name for where, _, name in names if version.startswith(where)}
    known = listed & set(report.failed)
    wrong = [f"{name} failed" for name in report.failed if name not in known]
    if is_whole:
        wrong += [f"{name} is listed in exceptions.py and passed" for name in sorted(listed - known)]
    if not report.ran:
        wrong.append("no test was found")
    wrong += [f"the server was never asked by {command}" for command, times in asked.items() if is_whole and not times]
    print(
        f"Django {version}, {profile}: {report.ran} tests, {report.skipped} skipped, {len(known)} listed in exceptions.py,"
        f" {len(report.failed) - len(known)} failed; {asked['hgetall']} sessions read, {asked['evalsha']} scripts run;"
        f" {seconds:.0f} s",
        flush=True,
    )
    return [f"{profile}: {each}" for each in wrong]


if __name__ == "__main__":
    sys.exit(main())
