"""Tests of Django's that cannot pass, each with its reason. One that passes all the same is a failure of the run."""

from __future__ import annotations

from typing import Final

__all__ = ["EXCEPTIONS"]

#: Reason by test, as ``app.module.Class.test``; in front of it the version of Django (``6.1:``) where only that has it.
EXCEPTIONS: Final[dict[str, str]] = {
    "sessions_tests.tests.SessionMiddlewareTests.test_empty_session_saved": (
        "Looks for the session in the table of django.contrib.sessions."
    ),
    "6.1:auth_tests.test_middleware.TestLoginRequiredMiddleware.test_protected_view_logged_in_performance": (
        "Counts two queries, of which one is for the session: ours takes none."
    ),
}
