"""The commands' options, written from their parsers: `python -m docs.commands_page` (`make docs` runs it)."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PAGE", "names", "render"]

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).parent / "reference" / "command-options.md"
HEAD = """# Options of the commands

Module: `redis_toolkit.management.commands`. This page is written from their parsers: change one, then `make
docs`. What each command does, prints and returns is in [Management commands](commands.md).

All have Django's own options, too: `--verbosity`, `--settings`, `--pythonpath`, `--traceback`, `--no-color`,
`--force-color` and, where the project is checked first, `--skip-checks`.
"""


def names() -> list[str]:
    """The commands there are, in the order of the alphabet."""
    return sorted(path.stem for path in (ROOT / "redis_toolkit/management/commands").glob("redis_*.py"))


def render() -> str:
    """The page's text."""
    return HEAD + "".join(f"\n## `{name}`\n\n{''.join(_told(name))}" for name in names())


def _told(name: str) -> Iterator[str]:
    from django.core.management import load_command_class  # noqa: PLC0415 - needs configured settings
    from django.core.management.base import BaseCommand  # noqa: PLC0415

    given = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}  # noqa: SLF001 - argparse has no other way
    command = load_command_class("redis_toolkit", name)
    yield f"{_sentence(command.help)}\n"
    yield from _options(command.create_parser("manage.py", name), given)


def _options(parser: ArgumentParser, given: set[str]) -> Iterator[str]:
    own = [action for action in parser._actions if action.dest not in given]  # noqa: SLF001
    plain = [action for action in own if not isinstance(action, _SubParsersAction) and action.help is not SUPPRESS]
    if plain:
        yield "\n| | | default |\n|---|---|---|\n"
        yield from (f"| {_written(action)} | {_sentence(_help(action))} | {_default(action)} |\n" for action in plain)
    for action in own:
        if isinstance(action, _SubParsersAction):
            helps = {choice.dest: choice.help for choice in action._choices_actions}  # noqa: SLF001
            for word, below in action.choices.items():
                said = _sentence(helps.get(word) or below.description or "")
                yield f"\n**`{parser.prog.rpartition(' ')[2]} {word}`** {said}\n"
                yield from _options(below, given)


def _written(action: Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = "" if action.nargs == 0 else f" {_metavar(action)}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _metavar(action: Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    return " ".join(action.metavar) if action.metavar else action.dest.upper()


def _help(action: Action) -> str:
    # (As argparse does it; the choices of some are the project's own databases.)
    return (action.help or "") % {"default": action.default, "dest": action.dest} if action.help else ""


def _default(action: Action) -> str:
    is_said = action.default not in (None, False, [], "", SUPPRESS)
    return f"`{action.default}`" if is_said else ""


def _sentence(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def main() -> None:
    """Write the page."""
    import django  # noqa: PLC0415 - only here: in the tests there are settings already
    from django.conf import settings  # noqa: PLC0415, TID251 - to make some

    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "redis_toolkit"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    django.setup()
    PAGE.write_text(render(), "utf-8")


if __name__ == "__main__":
    main()
