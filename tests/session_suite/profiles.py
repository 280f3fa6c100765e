"""With which settings Django's tests are run."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["DJANGOS_MIDDLEWARE", "ENGINE", "OUR_MIDDLEWARE", "PROFILES"]

ENGINE: Final = "redis_toolkit.sessions"
DJANGOS_MIDDLEWARE: Final = "django.contrib.sessions.middleware.SessionMiddleware"
OUR_MIDDLEWARE: Final = "redis_toolkit.sessions.middleware.SessionMiddleware"

#: Settings by profile; ``MIDDLEWARE`` names what stands first in it.
PROFILES: Final[dict[str, dict[str, Any]]] = {
    "bare": {"SESSION_ENGINE": ENGINE, "MIDDLEWARE": DJANGOS_MIDDLEWARE},
    "full": {
        "SESSION_ENGINE": ENGINE,
        "MIDDLEWARE": OUR_MIDDLEWARE,
        "REDIS_TOOLKIT_SESSION_SEAL": "signed",
        "REDIS_TOOLKIT_SESSION_DEVICES": True,
        # Longer than any life that a test gives a session.
        "REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE": 400 * 24 * 3600,
        "REDIS_TOOLKIT_SESSION_LIMIT": 50,
    },
    "moving": {"SESSION_ENGINE": f"{ENGINE}.moving", "MIDDLEWARE": OUR_MIDDLEWARE},
}
