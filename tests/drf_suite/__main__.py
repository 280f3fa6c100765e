"""Run DRF's throttling tests on our classes, once with each algorithm, in processes of their own."""

# ruff: noqa: T201

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import redis

from tests import servers
from tests.drf_suite.exceptions import EXCEPTIONS
from tests.drf_suite.sources import ROOT, VERSION, Unavailable, fetch

#: Our default; and what DRF's own classes do.
ALGORITHMS = ("gcra", "sliding_log")
#: All of the one module, and of the other those that name throttles.
TESTS = ("tests/test_throttling.py", "tests/test_decorators.py", "-k", "throttl")
#: Seconds that one run may take.
PATIENCE = 300
#: Of this process's environment, what would have DRF's tests run in another way than DRF has them.
FOREIGN = {"DATABASE_URL", "DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_PLUGINS"}


def main() -> int:
    try:
        sources = fetch()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 3
    wrong: list[str] = []
    for algorithm in ALGORITHMS:
        # (One of its own, even if REDIS_URL names one: DRF's tests empty their cache.)
        with servers.new_valkey() as server:
            outcomes, said = _run_apart(sources, algorithm, server.url)
            found = _judge(outcomes, algorithm, _checks(server.url))
        if found:
            print(said, *found, sep="\n", flush=True)
        wrong += found
    return 1 if wrong else 0


def _run_apart(sources: Path, algorithm: str, server: str) -> tuple[dict[str, str], str]:
    """The outcome of each test, run in a process of its own (none if that did not live to write it), and what pytest said."""
    with tempfile.TemporaryDirectory(prefix="drf-tests-") as folder:
        report = Path(folder) / "report.json"
        environment = {name: value for name, value in os.environ.items() if name not in FOREIGN} | {
            # DRF's folder first, so that `tests` is DRF's.
            "PYTHONPATH": os.pathsep.join(map(str, (sources, ROOT, Path(__file__).parent))),
            "DRF_TESTS_SERVER": server,
            "DRF_TESTS_ALGORITHM": algorithm,
            "DRF_TESTS_REPORT": str(report),
        }
        # In the order in which they are written: DRF's tests leave scopes, timers and settings behind.
        command = [sys.executable, "-m", "pytest", "-p", "replacing", "-p", "no:randomly", "-p", "no:cacheprovider"]
        with subprocess.Popen(
            [*command, *TESTS], cwd=sources, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                said = process.communicate(timeout=PATIENCE)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                said = process.communicate()[0]
        return json.loads(report.read_text("utf-8")) if report.exists() else {}, said


def _checks(url: str) -> int:
    """How many scripts the server has run."""
    with redis.Redis.from_url(url) as client:
        statistics = client.info("commandstats")
    return int(statistics.get("cmdstat_evalsha", {}).get("calls", 0))


def _judge(outcomes: Mapping[str, str], algorithm: str, checks: int) -> list[str]:
    """Say what came of one run; what is wrong with it: what is not listed and failed, what is listed and did not."""
    listed = {name.rpartition(":")[2] for name in EXCEPTIONS if name.rpartition(":")[0] in {"", algorithm}}
    known = {name for name in listed if outcomes.get(name) == "failed"}
    wrong = [f"{name} {outcome}" for name, outcome in outcomes.items() if outcome != "passed" and name not in known]
    wrong += [f"{name} is listed and {outcomes.get(name, 'not there')}" for name in sorted(listed - known)]
    if not outcomes:
        wrong.append("no test came to an end")
    if not checks:
        wrong.append("Redis was never asked")
    passed = Counter(outcomes.values())["passed"]
    print(
        f"DRF {VERSION}, {algorithm}: {len(outcomes)} tests, {passed} passed, {len(known)} listed in exceptions.py;"
        f" {checks} checks in Redis",
        flush=True,
    )
    return [f"{algorithm}: {each}" for each in wrong]


if __name__ == "__main__":
    sys.exit(main())
