"""Django's own tests of session engines and of the middleware, as they come with its sdist."""

from __future__ import annotations

import ast
import unittest
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path
from typing import Any

import django
import pytest
from django.test import SimpleTestCase, TestCase

from redis_toolkit.core.connections import reset
from redis_toolkit.sessions import SessionStore
from redis_toolkit.sessions.middleware import SessionMiddleware
from tests.django_suite import sources

#: Tests of the middleware that do not hold for ours, and why.
OTHERWISE = {
    "test_empty_session_saved",  # looks into the SQL table of sessions
    "test_session_update_error_redirect",  # a GET whose session has ended is answered as it was, and not by 400
}


@cache
def theirs(name: str) -> Any:
    """A class of ``sessions_tests/tests.py``.

    (The file imports a model of an app that is not installed here.)
    """
    tree = ast.parse((sources.fetch() / "sessions_tests" / "tests.py").read_text("utf-8"))
    tree.body = [
        node
        for node in tree.body
        if isinstance(node, ast.Import)
        or (isinstance(node, ast.ImportFrom) and not node.level)
        or (isinstance(node, ast.ClassDef) and node.name == name)
    ]
    names: dict[str, Any] = {"__name__": "sessions_tests.tests"}
    exec(compile(tree, "sessions_tests/tests.py", "exec"), names)  # noqa: S102 - Django's
    if name == "SessionMiddlewareTests":
        names["SessionMiddleware"] = SessionMiddleware
    return names[name]


def played(kind: type[unittest.TestCase], *, without: AbstractSet[str] = frozenset()) -> tuple[int, list[str]]:
    """How many tests were run, and what those say that did not pass."""
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(kind(name) for name in loader.getTestCaseNames(kind) if name not in without)
    result = unittest.TestResult()
    suite.run(result)
    return result.testsRun, [f"{test}\n{told}" for test, told in (*result.failures, *result.errors)]


@pytest.fixture(autouse=True)
def patience(settings: Any) -> None:
    """However busy the machine is, Redis is not taken to be away: an event loop for each test connects anew."""
    settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = 30
    reset()


def test_all_65_tests_of_the_contract() -> None:
    """Sync and async: an id that is unknown is not adopted, what has ended does not come back, nothing is forgotten."""
    kind = type("Contract", (theirs("SessionTestsMixin"), SimpleTestCase), {"backend": SessionStore})
    assert played(kind) == (65, [])


@pytest.mark.django_db
def test_the_middleware_does_what_djangos_does(settings: Any) -> None:
    """Ten of twelve; the two others are named above. Cookies are renewed where records are: here by each request."""
    settings.REDIS_TOOLKIT_SESSION_RENEW_SHARE = 0
    kind = type("Middleware", (theirs("SessionMiddlewareTests"),), {})
    assert issubclass(kind, TestCase)
    assert played(kind, without=OTHERWISE) == (10, [])


def test_two_runs_that_fetch_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1. two Pythons of one Django find no tests  2. one puts them in their place  3. the other takes those."""
    kept = tmp_path / "build" / "django-tests" / django.get_version()

    def unpack(_: object, folder: Path) -> Path:
        for each in (kept, folder / "tests"):
            each.mkdir()
            (each / "runtests.py").touch()
        return folder / "tests"

    monkeypatch.setattr(sources, "ROOT", tmp_path)
    monkeypatch.setattr(sources, "_download", lambda *_: None)
    monkeypatch.setattr(sources, "_unpack", unpack)
    assert sources.fetch() == kept
    assert [each.name for each in kept.parent.iterdir()] == [kept.name]
