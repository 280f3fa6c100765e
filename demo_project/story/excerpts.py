"""The lines behind each pattern, read from this project's own files when the page is asked for, so they cannot drift.

What can be shown is named here: classes, functions, and assignments. Nobody chooses a file by an address.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any

from django.utils.safestring import SafeString

from demo_project import environment, log_in
from demo_project.api import permissions
from demo_project.doors import mail
from demo_project.doors import views as doors
from demo_project.lab.storms import hot_key
from demo_project.limits import views as limits
from demo_project.story import figures
from demo_project.story.colouring import coloured
from demo_project.timetable import admin, models, views

__all__ = ["BEHIND", "Excerpt", "Piece"]

ROOT = Path(environment.__file__).parent.parent
SETTINGS, URLS = "demo_project.settings", "demo_project.urls"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of a file, coloured: where they are, and what is to be seen in them."""

    about: str
    path: str
    first: int
    last: int
    lines: SafeString

    @property
    def parts(self) -> list[str]:
        """What it is about, in parts: each second one is code."""
        return self.about.split("`")


@dataclass(frozen=True, slots=True)
class Piece:
    """What is shown of `source`: a class or a function; or a module, by its name, and what that assigns to `names`."""

    about: str
    source: Any
    names: tuple[str, ...] = ()

    def excerpt(self) -> Excerpt:
        """The lines as they are now. Raises LookupError if a name is assigned nothing."""
        if isinstance(self.source, str):
            path, first, text = _assigned(self.source, self.names)
        else:
            lines, first = inspect.getsourcelines(self.source)
            text = dedent("".join(lines)).rstrip()
            path = inspect.getsourcefile(inspect.unwrap(self.source)) or ""
        place = Path(path).relative_to(ROOT).as_posix()
        return Excerpt(self.about, place, first, first + text.count("\n"), coloured(text))


def _assigned(module: str, names: tuple[str, ...]) -> tuple[str, int, str]:
    """From the first of the names that a module assigns to the last, with the comment above: file, first line, text.

    The module is not imported for it: settings and URLs are read where others have begun to import them.
    """
    spec = find_spec(module)
    path = (spec and spec.origin) or ""
    source = Path(path).read_text("utf-8")
    found = {
        target.id: node
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id in names
    }
    if missing := set(names) - set(found):
        raise LookupError(f"{module} assigns nothing to {', '.join(sorted(missing))}.")
    lines = source.splitlines()
    first = min(node.lineno for node in found.values())
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    last = max(node.end_lineno or node.lineno for node in found.values())
    return path, first, "\n".join(lines[first - 1 : last])


#: What is shown of each pattern, by its name.
BEHIND: dict[str, tuple[Piece, ...]] = {
    "cache-aside": (
        Piece("A model has a second manager. `objects` stays Django’s own.", models.Room),  # noqa: RUF001
        Piece("A view asks `cached` where it would have asked `objects`.", views.room),
        Piece("One question with all that the page says about a lesson: one answer, one round trip.", views.lessons),
    ),
    "invalidation": (
        Piece(
            "`by` names what pages ask for: a write touches only the answers about the values it had and has.",
            models.Attendance,
        ),
        Piece(
            "The admin does nothing for it. It saves through `Lesson.objects`, as any admin does.", admin.LessonAdmin
        ),
    ),
    "stampede": (
        Piece("Single flight is on by default. The storm switches it off for one of its two runs.", hot_key.play),
        Piece(
            "Each of two hundred readers asks for the same answer in the moment in which it has expired.", hot_key.read
        ),
    ),
    "throttling": (
        Piece(
            "Rules for whole paths, asked by the middleware before anything else is done.",
            SETTINGS,
            ("REDIS_TOOLKIT_THROTTLES",),
        ),
        Piece("Django REST framework’s own way, with our classes.", SETTINGS, ("REST_FRAMEWORK",)),  # noqa: RUF001
        Piece("One page: the narrow door.", limits.Door),
        Piece("And its rule.", "demo_project.limits.counters", ("DOOR",)),
    ),
    "codes": (
        Piece("The pages are the toolkit’s: `log-in/` includes them.", URLS, ("urlpatterns",)),  # noqa: RUF001
        Piece("Passwords are guessed by trying, so that way in is counted by address and by name.", log_in.log_in),
        Piece("In this demo mail goes into files, and into a page for staff. Redis holds digests alone.", mail.Mailbox),
    ),
    "devices": (
        Piece(
            "An engine for Django’s sessions, on a server that forgets nothing; the list of devices is one setting.",  # noqa: RUF001
            SETTINGS,
            (
                "SESSION_ENGINE",
                "REDIS_TOOLKIT_DURABLE_ALIAS",
                "REDIS_TOOLKIT_SESSION_DEVICES",
                "REDIS_TOOLKIT_SESSION_ABSOLUTE_AGE",
            ),
        ),
        Piece("Two servers: a copy may be forgotten, a session may not.", SETTINGS, ("CACHES",)),
        Piece("The page is the toolkit’s as well: `devices/`.", URLS, ("urlpatterns",)),  # noqa: RUF001
    ),
    "tokens": (
        Piece("Who makes a token has given a code just before, and sees its text once.", doors.new),
        Piece("Another text for the same purpose; the old one may go on for a while.", doors.rotate),
        Piece("What a token may do in the API.", permissions.MayRead),
    ),
    "dashboard": (
        Piece("The app brings its pages for the admin along.", SETTINGS, ("INSTALLED_APPS",)),
        Piece("Its figures are to be had by everybody: those of the first page are read like this.", figures.told),
    ),
}
