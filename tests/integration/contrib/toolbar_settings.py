"""The test project with django-debug-toolbar, shown to everybody, for a process of its own."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - all of it, and more
from tests.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = [*APPS, "django.contrib.staticfiles", "debug_toolbar"]
MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
ROOT_URLCONF = "tests.integration.contrib.toolbar_site"
DEBUG_TOOLBAR_CONFIG = {
    "SHOW_TOOLBAR_CALLBACK": "tests.integration.contrib.toolbar_settings.always",
    # Fetched when they are opened. (Up to version 5 that depended on the server.)
    "RENDER_PANELS": False,
}
DEBUG_TOOLBAR_PANELS = ["debug_toolbar.panels.cache.CachePanel", "redis_toolkit.contrib.debug_toolbar.CachePanel"]


def always(_request: object) -> bool:
    """Show the toolbar."""
    return True
