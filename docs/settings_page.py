"""The settings' reference, written from their declarations: `python -m docs.settings_page` (`make docs` runs it)."""

from __future__ import annotations

from pathlib import Path

from redis_toolkit.conf import settings

PAGE = Path(__file__).parent / "reference" / "settings.md"
HEAD = """# Settings

Module: `redis_toolkit.conf`. This page is written from it: change the declaration, then `make docs`.

All are optional: flat names in your settings module, read when they are needed, so `override_settings` is followed at
once. A `REDIS_TOOLKIT_` name that is not on this page is an error of `manage.py check`, and so is a value that cannot
work.
"""


def render() -> str:
    """The page's text."""
    sections = (
        f"\n## `{setting.name}`\n\nDefault: `{setting.default!r}`. Must be {setting.must}.\n\n{setting.doc}\n"
        for setting in settings.declared()
    )
    return HEAD + "".join(sections)


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
