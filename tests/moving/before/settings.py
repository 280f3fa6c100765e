"""The settings of a process that runs the version before."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - all but one line of them
from tests.settings import INSTALLED_APPS as NOW

INSTALLED_APPS = ["tests.moving.before" if app == "tests.moving" else app for app in NOW]
MIGRATION_MODULES = {"moving": None}
