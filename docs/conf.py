"""Sphinx's settings. Nothing is fetched while building."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import django
from django.conf import settings  # noqa: TID251 - to make some

ROOT = Path(__file__).parents[1]

project = "redis_toolkit"
author = "redis_toolkit contributors"
copyright = "2026, redis_toolkit contributors"  # noqa: A001 - Sphinx's name for it
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
version = release

sys.path.insert(0, str(ROOT))
# The rooms import with no settings at all; what they say of models wants an app that is there.
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "redis_toolkit"])
django.setup()

extensions = ["myst_parser", "sphinx.ext.autodoc"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"redis_toolkit {release}"


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _marked)


def _marked(_app: Any, what: str, _name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Say of the code in a module's docstring that it is code: we indent it, and Sphinx wants two colons before it."""
    if what != "module":
        return
    for at in range(len(lines) - 1, 1, -1):
        if lines[at].startswith("    ") and not lines[at - 1] and not lines[at - 2].startswith("    "):
            lines[at:at] = ["::", ""]
