"""One run in a process of its own: ``python -m tests.session_suite.child sessions_tests``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.django_suite.running import Report, forbid_what_will_go, name_of


def main(labels: list[str]) -> None:
    """Run Django's tests ``labels`` and write the report."""
    import django

    os.environ["RUNNING_DJANGOS_TEST_SUITE"] = "true"
    sys.path.append(os.environ["SESSION_TESTS_SOURCES"])
    forbid_what_will_go()
    django.setup()
    _run(labels).write(Path(os.environ["SESSION_TESTS_REPORT"]))


def _run(labels: list[str]) -> Report:
    from django.test.runner import DiscoverRunner

    results: list[Any] = []

    class Runner(DiscoverRunner):
        def run_suite(self, suite: Any, **options: Any) -> Any:
            results.append(super().run_suite(suite, **options))
            return results[0]

    Runner(verbosity=1, interactive=False, parallel=1).run_tests(labels)
    (result,) = results
    failed = {name_of(test) for test, _ in (*result.failures, *result.errors)}
    failed |= {name_of(test) for test in result.unexpectedSuccesses}
    return Report(result.testsRun, len(result.skipped), sorted(failed), {})


if __name__ == "__main__":
    main(sys.argv[1:])
