"""System checks of tokens."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

from redis_toolkit.models import Token as Row
from redis_toolkit.tokens import problems


def said(settings: Any, **given: Any) -> list[str]:
    """The ids of what is said of these settings; each has a hint."""
    for name, value in given.items():
        setattr(settings, f"REDIS_TOOLKIT_TOKEN_{name}", value)
    found = list(problems.of_settings())
    assert all(each.hint for each in found)
    return [each.id.removeprefix("redis_toolkit.") for each in found]


def test_nothing_is_wrong(settings: Any) -> None:
    """The defaults, either store, and what another check says already."""
    assert said(settings) == said(settings, STORE="redis") == []
    assert said(settings, SCOPES=5, TTL="x", CACHE_TTL="y") == []


def test_e085(settings: Any) -> None:
    """Tokens that live for ever need a row."""
    assert said(settings, TTL=None) == []
    assert said(settings, STORE="redis") == ["E085"]


def test_e086(settings: Any) -> None:
    """A scope with a blank would be two."""
    assert said(settings, SCOPES=["read", "with blank"]) == ["E086"]


def test_w085(settings: Any) -> None:
    """Renewed by use, with and without an end."""
    assert said(settings, RENEW=True) == []
    assert said(settings, ABSOLUTE_AGE=None) == ["W085"]


def test_w086(settings: Any) -> None:
    """An end before the first renewal."""
    assert said(settings, RENEW=True, ABSOLUTE_AGE=60) == ["W086"]


def test_w087(settings: Any) -> None:
    """Copies that outlive a change behind our back; of rows alone."""
    assert said(settings, CACHE_TTL=3600) == ["W087"]
    assert said(settings, STORE="redis") == []


@pytest.mark.django_db(transaction=True)
def test_w088(settings: Any) -> None:
    """A migrated database without the table, where rows are kept."""
    assert list(problems.of_databases(["default"])) == []
    with connections["default"].schema_editor() as editor:
        editor.alter_db_table(Row, "redis_toolkit_token", "elsewhere")
    try:
        [found] = problems.of_databases(["default"])
        assert found.id == "redis_toolkit.W088"
        assert list(problems.of_databases([])) == []
        settings.REDIS_TOOLKIT_TOKEN_STORE = "redis"
        assert list(problems.of_databases(["default"])) == []
    finally:
        with connections["default"].schema_editor() as editor:
            editor.alter_db_table(Row, "elsewhere", "redis_toolkit_token")
