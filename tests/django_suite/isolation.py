"""How one test is kept from the next: by committed data that is deleted, for inside a transaction little is cached.

Django's ``TestCase`` knows databases without transactions: there it runs ``setUpTestData`` before each test and empties
the tables after it. Here it takes every database for one of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.db import connections, transaction
from django.test import TestCase, TransactionTestCase

__all__ = ["commit_test_data"]


def commit_test_data(aliases: Iterable[str]) -> None:
    """Run ``TestCase`` without a transaction around it. ``aliases`` are the databases that the tests were given."""
    no: Any = classmethod(lambda _cls: False)
    tests: Any = TestCase
    tests._databases_support_transactions = no
    tests._databases_support_savepoints = no
    cleaners = {alias: _Cleaner(alias) for alias in aliases}

    def clean(test: Any) -> None:
        for alias in test._databases_names(include_mirrors=False):
            cleaners[alias].clean()

    plain: Any = TransactionTestCase
    plain._fixture_teardown = clean


class _Cleaner:
    """Deletes what a test left behind. Django's ``flush`` empties every table there is, and takes ten times as long."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        found = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
        # Content types and permissions are made with the tables, and stay.
        self._tables = sorted(set(found) - set(self._filled(found)), key=_referring_first().index)

    def clean(self) -> None:
        """Delete every row that was not there at the beginning."""
        connection = connections[self._alias]
        filled = self._filled(self._tables)
        # One transaction: most foreign keys are looked at when it ends.
        with transaction.atomic(using=self._alias), connection.cursor() as cursor:
            for table in filled:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")

    def _filled(self, tables: list[str]) -> list[str]:
        connection = connections[self._alias]
        quote = connection.ops.quote_name
        looks = [f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {quote(table)})" for table in tables]
        found: list[str] = []
        with connection.cursor() as cursor:
            # SQLite takes 500 parts at most.
            for at in range(0, len(looks), 400):
                cursor.execute(" UNION ALL ".join(looks[at : at + 400]))
                found += [row[0] for row in cursor.fetchall()]
        return found


def _referring_first() -> list[str]:
    """Every table, those that refer to others before these as far as there are no circles."""
    found: dict[str, None] = {}
    passed: set[Any] = set()

    def visit(model: Any) -> None:
        if model not in passed:
            passed.add(model)
            for field in model._meta.local_concrete_fields:
                if field.remote_field is not None:
                    visit(field.remote_field.model)
            found.setdefault(model._meta.db_table)

    for model in apps.get_models(include_auto_created=True):
        visit(model)
    return list(reversed(found))
