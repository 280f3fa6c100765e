"""What it means to count queries where answers are cached and test data is committed."""

from __future__ import annotations

import re
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.test import TransactionTestCase
from django.test.testcases import _AssertNumQueriesContext
from django.test.utils import CaptureQueriesContext

__all__ = ["count_as_without_cache"]


def count_as_without_cache(server: Any) -> None:
    """Let tests count what they would without a cache, in the transaction that ``TestCase`` puts around them.

    Redis is emptied where counting begins, so that each query's first answer is a miss and counts. (By the protocol it
    may be emptied at any moment; answers stay exact.)
    """
    enter = CaptureQueriesContext.__enter__

    def enter_with_nothing_cached(context: Any) -> Any:
        server.flushall()
        return enter(context)

    CaptureQueriesContext.__enter__ = enter_with_nothing_cached  # type: ignore[method-assign]
    tests: Any = TransactionTestCase
    tests.assertNumQueries = _assert_num_queries


#: ``atomic(savepoint=False)`` inside the test's own transaction makes no statement; here it begins and commits.
_TRANSACTION: Final = re.compile("BEGIN|COMMIT")
#: What the toolkit reads under a write of rows by key: the one SELECT that does not say whose columns it wants.
_LOCK: Final = re.compile(r'SELECT "\w+"(?:, "\w+")* FROM "\w+" WHERE "\w+" IN ')


class _Counting(_AssertNumQueriesContext):
    """Counts what Django asks, with or without what begins and ends its transactions."""

    def __exit__(self, *raised: Any) -> None:  # noqa: PYI036 - what it hands on has types
        queries = [query["sql"] for query in self.captured_queries if not _LOCK.match(query["sql"])]
        counts = len(queries), sum(not _TRANSACTION.match(sql) for sql in queries)
        if raised[0] is None and self.num in counts:
            CaptureQueriesContext.__exit__(self, *raised)
        else:
            super().__exit__(*raised)


def _assert_num_queries(
    test: Any, num: int, func: Any = None, *args: Any, using: str = DEFAULT_DB_ALIAS, **kwargs: Any
) -> Any:
    context = _Counting(test, num, connections[using])
    if func is None:
        return context
    with context:
        func(*args, **kwargs)
    return None
