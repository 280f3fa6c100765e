"""What differs between two answers, and what does not."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.db import connections

from redis_toolkit.cache.differences import Difference, between_rows, between_values
from redis_toolkit.core.codecs import RowsCodec, column_for
from tests.app.models import Lesson

CODEC = RowsCodec(
    [column_for(Lesson._meta.get_field(name).get_col("app_lesson"), connections["default"]) for name in ("id", "title")]
)
ONE, TWO, THREE = (1, "a"), (2, "b"), (3, "c")


@pytest.mark.parametrize(
    ("cached", "stored", "is_ordered"),
    [
        ([], [], True),
        ([ONE, TWO], [ONE, TWO], True),
        ([ONE, TWO], [TWO, ONE], False),
        ([ONE, ONE, TWO], [ONE, TWO, ONE], False),
        (None, None, False),
        ([(1, None)], [(1, None)], False),
    ],
)
def test_no_difference(cached, stored, is_ordered):
    """Equal rows, and equal rows in another order where none was asked for."""
    assert between_rows(CODEC, cached, stored, is_ordered=is_ordered) is None


@pytest.mark.parametrize(
    ("cached", "stored", "columns", "amounts"),
    [
        ([ONE], None, ("the row's existence",), ("1 row", "no such row")),
        (None, [ONE], ("the row's existence",), ("no such row", "1 row")),
        ([ONE], [(1, "b")], ("app.lesson.title",), ("1 row", "1 row")),
        ([ONE], [(1, None)], ("app.lesson.title",), ("1 row", "1 row")),
        ([ONE], [(1.0, "a")], ("app.lesson.id",), ("1 row", "1 row")),
        ([ONE], [(True, "a")], ("app.lesson.id",), ("1 row", "1 row")),
        ([ONE], [(1, object)], ("app.lesson.title",), ("1 row", "1 row")),
        ([ONE, ONE, TWO], [ONE, TWO, TWO], ("app.lesson.id", "app.lesson.title"), ("3 rows", "3 rows")),
        ([ONE, TWO], [ONE], ("which rows",), ("2 rows", "1 row")),
        ([], [ONE, TWO], ("which rows",), ("0 rows", "2 rows")),
        ([ONE, TWO], [TWO, ONE], ("the order",), ("2 rows", "2 rows")),
        ([ONE, TWO], [(1, "b"), (2, "a")], ("which values go together",), ("2 rows", "2 rows")),
    ],
)
def test_differences(cached, stored, columns, amounts):
    """Each is named by its columns, or by what else it is; a value of another type is another value."""
    found = between_rows(CODEC, cached, stored, is_ordered=True)
    assert found is not None
    assert (found.columns, (found.cached, found.stored)) == (columns, amounts)


def test_values_of_rows():
    """Of each column that differs the first three values are shown that one side alone has, none longer than 60."""
    found = between_rows(CODEC, [ONE, *[(at, "x" * 99) for at in range(5, 9)]], [ONE] * 5, is_ordered=False)
    assert found is not None
    (one, other) = found.values
    assert one == ("app.lesson.id", "5, 6, 7, …", "1, 1, 1, …")
    assert other[1] == ", ".join(["'" + "x" * 58 + "…"] * 3) + ", …"


@pytest.mark.parametrize("value", [0, True, None, "x", Decimal("1.10"), {"a": 1, "b": [1.5]}])
def test_equal_values(value):
    """A value is itself."""
    assert between_values("count", value, value) is None


def test_other_values():
    """Counts and aggregates, each by its name."""
    assert between_values("count", 1, 2) == Difference(("count",), "one value", "another", (("count", "1", "2"),))
    assert between_values("aggregate", {"a": 1, "b": 2}, {"a": 1, "b": None}) == Difference(
        ("b",), "one value", "another", (("b", "2", "None"),)
    )
    assert between_values("aggregate", {"a": 1}, {"b": 1}) is not None
    assert between_values("exists", True, 1) is not None
    assert between_values("value", SimpleNamespace(a=1), SimpleNamespace(a=2)) is not None
