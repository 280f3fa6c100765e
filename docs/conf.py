"""Sphinx's settings. Nothing is fetched while building."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "redis_toolkit"
author = "redis_toolkit contributors"
copyright = "2026, redis_toolkit contributors"  # noqa: A001 - Sphinx's name for it
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
version = release

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True

html_theme = "furo"
html_title = f"redis_toolkit {release}"
