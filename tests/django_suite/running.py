"""The tests of one app, run by Django's own runner in this process, and what came of them."""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

__all__ = ["Report", "forbid_what_will_go", "name_of", "run"]


class Report(NamedTuple):
    """What came of one app's tests: how many ran, what failed, how the cached reads were answered."""

    ran: int
    skipped: int
    failed: list[str]
    outcomes: dict[str, int]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The report that :func:`run` wrote in another process."""
        return cls(*json.loads(path.read_text("utf-8")))

    def write(self, path: Path) -> None:
        """Keep it for :meth:`read`."""
        path.write_text(json.dumps(self), "utf-8")


def run(labels: Sequence[str], report: Path) -> None:
    """Run Django's tests ``labels`` (all of one app) and write the report."""
    import django

    from tests import servers
    from tests.django_suite.managers import replace_managers

    os.environ["RUNNING_DJANGOS_TEST_SUITE"] = "true"
    sys.path.append(os.environ["ORM_TESTS_SOURCES"])
    forbid_what_will_go()
    if servers.valkey is None:
        raise SystemExit("These tests empty their Redis server, and start one of their own: unset REDIS_URL.")
    with servers.valkey:
        replace_managers()
        django.setup()
        _run(labels).write(report)


def _run(labels: Sequence[str]) -> Report:
    import redis
    from django.test.runner import DiscoverRunner

    from tests import servers
    from tests.django_suite.counting import count_as_without_cache
    from tests.django_suite.isolation import commit_test_data
    from tests.django_suite.twice import outcomes

    results: list[Any] = []

    class Runner(DiscoverRunner):
        def setup_databases(self, **options: Any) -> Any:
            made = super().setup_databases(**options)
            commit_test_data(options["aliases"])
            return made

        def run_suite(self, suite: Any, **options: Any) -> Any:
            count_as_without_cache(redis.Redis.from_url(servers.redis_url))
            results.append(super().run_suite(suite, **options))
            return results[0]

    Runner(verbosity=1, interactive=False, parallel=1).run_tests(list(labels))
    (result,) = results
    failed = [name_of(test) for test, _ in (*result.failures, *result.errors)]
    failed += [name_of(test) for test in result.unexpectedSuccesses]
    return Report(result.testsRun, len(result.skipped), sorted(set(failed)), dict(outcomes))


def forbid_what_will_go() -> None:
    """Make errors of some warnings, as Django's tests expect."""
    from django.utils import deprecation

    warnings.simplefilter("error", RuntimeWarning)
    for name, kind in vars(deprecation).items():
        if re.fullmatch(r"RemovedInDjango\d+Warning", name):
            warnings.simplefilter("error", kind)


def name_of(test: Any) -> str:
    """The id of a test; a subtest counts as its test."""
    name: str = getattr(test, "test_case", test).id()
    return name
