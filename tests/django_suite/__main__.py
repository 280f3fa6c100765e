"""Run Django's ORM tests on the cache: every app in a process of its own, two at a time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.django_suite.exceptions import EXCEPTIONS
from tests.django_suite.running import Report
from tests.django_suite.sources import Unavailable, fetch

APPS = (
    "queries", "expressions", "composite_pk", "aggregation", "prefetch_related", "lookup", "basic", "delete",
    "model_inheritance", "bulk_create", "get_or_create", "many_to_one", "transactions", "many_to_many", "ordering",
    "update", "select_related", "distinct_on_fields", "null_queries",
)  # fmt: skip
REPORT = "report.json"
#: Seconds that the tests of one app may take.
PATIENCE = 900
#: Fewer hits than this among the cached reads of a run, and the cache was not really used.
LEAST_HITS = 0.4


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.django_suite", description=__doc__)
    parser.add_argument("tests", nargs="*", help="apps, or tests by dotted name; without any, all nineteen apps")
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--jobs", type=int, default=2, help="apps at a time (%(default)s)")
    options = parser.parse_args()
    labels = _by_app(options.tests or APPS)
    try:
        sources = fetch()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 3
    environment = {**os.environ, "ORM_TESTS_SOURCES": str(sources), "ORM_TESTS_DATABASE": options.database}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.django_suite.settings"
    with _database(options.database) as further, ThreadPoolExecutor(options.jobs) as pool:
        environment |= further
        jobs = {app: pool.submit(_run_apart, app, names, environment) for app, names in labels.items()}
        reports = {app: job.result() for app, job in jobs.items()}
    return _judge(reports, labels, options.database)


def _by_app(labels: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(label.partition(".")[0], []).append(label)
    return found


@contextmanager
def _database(kind: str) -> Iterator[dict[str, str]]:
    """The database server of the run, as environment variables."""
    if kind == "sqlite" or servers.postgres is None:
        yield {}
        return
    with servers.postgres as server:
        yield {"DATABASE_URL": server.url}


def _run_apart(app: str, labels: Sequence[str], environment: Mapping[str, str]) -> Report | None:
    """The report of one app's tests, run in a process of its own; None if that did not live to write one."""
    with tempfile.TemporaryDirectory(prefix="orm-tests-") as folder:
        report = Path(folder) / REPORT
        variables = {**environment, "ORM_TESTS_APP": app, "ORM_TESTS_FOLDER": folder}
        command = [sys.executable, "-m", "tests.django_suite.child", *labels]
        with subprocess.Popen(
            command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                said = process.communicate(timeout=PATIENCE)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                said = process.communicate()[0]
        print(f"==== {app}\n{said}", flush=True)
        return Report.read(report) if report.exists() else None


def _judge(reports: Mapping[str, Report | None], labels: Mapping[str, Sequence[str]], database: str) -> int:
    """Say what came of it all; 0 if nothing failed but what is listed, and all that is listed did."""
    listed = _listed(database)
    wrong: list[str] = []
    outcomes: Counter[str] = Counter()
    print(f"{'app':20} {'ran':>5} {'skipped':>8} {'listed':>7} {'failed':>7} {'hits':>7} {'misses':>7} {'bypassed':>9}")
    for app, report in reports.items():
        if report is None:
            wrong.append(f"{app} did not come to an end")
            continue
        known = [name for name in report.failed if name in listed]
        wrong += [f"{name} failed" for name in report.failed if name not in listed]
        if labels[app] == [app]:
            expected = {name for name in listed if name.startswith(f"{app}.")}
            wrong += [f"{name} is listed in exceptions.py and passed" for name in sorted(expected - set(known))]
        if not report.ran + report.skipped:
            # (From Python 3.12 on those skipped do not count as run.)
            wrong.append(f"of {app} no test was found")
        outcomes.update(report.outcomes)
        answers = [report.outcomes.get(outcome, 0) for outcome in ("hit", "miss", "bypass")]
        print(
            f"{app:20} {report.ran:5} {report.skipped:8} {len(known):7} {len(report.failed) - len(known):7}"
            f" {answers[0]:7} {answers[1]:7} {answers[2]:9}"
        )
    reads = sum(outcomes[outcome] for outcome in ("hit", "miss", "bypass"))
    print(f"{reads} cached reads, {outcomes['hit']} of them hits; {outcomes['compared']} compared with {database}")
    if outcomes["hit"] < LEAST_HITS * reads:
        wrong.append("too few reads were hits: the cache was not really used")
    print(*wrong, sep="\n")
    return 1 if wrong else 0


def _listed(database: str) -> set[str]:
    names = {name.rpartition(":")[::2] for name in EXCEPTIONS}
    return {name for where, name in ((first or database, last) for first, last in names) if where == database}


if __name__ == "__main__":
    sys.exit(main())
