"""Runs the Python of a documentation page as a reader would: files in a project, the rest in its shell.

A block whose first line is a comment with a path is that file. `# 2 queries` at the end of a statement's line is
checked: the database must see exactly so many.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["blocks", "django_test", "file_name", "make_project", "pytest", "run"]

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# ([\w/]+\.py)\n")
EXPECTED = re.compile(r"#.*?\b(\d+) quer(?:y|ies)\b")

SETTINGS = """
SECRET_KEY = "only for tests"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware", "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [], "APP_DIRS": True,
    "OPTIONS": {{"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]}},
}}]
STATIC_URL = "static/"
MAILERS = {{"default": {{"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}}}
{urls}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}}
{block}
CACHES["default"]["LOCATION"] = {redis!r}
"""


def blocks(page: Path) -> list[str]:
    """The Python blocks of a Markdown page."""
    return FENCE.findall(page.read_text("utf-8"))


def file_name(block: str) -> str | None:
    """The path a block gives itself, None for one that is typed into a shell."""
    found = FILE.match(block)
    return found[1] if found else None


def make_project(home: Path, files: dict[str, str], redis: str) -> None:
    """Write `files`, settings.py among them, as a project in `home` that uses the server at `redis`.

    As in a project of `startproject`, there are the admin, sessions and messages, the URLs are those of mysite/urls.py (if
    there are any), and the database is SQLite with nothing said about it.
    """
    for name, text in files.items():
        target = home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent != home:
            (target.parent / "__init__.py").touch()
        if name == "settings.py":
            urls = 'ROOT_URLCONF = "mysite.urls"' if "mysite/urls.py" in files else ""
            text = SETTINGS.format(urls=urls, database=str(home / "db.sqlite3"), block=text, redis=redis)  # noqa: PLW2901
        target.write_text(text, "utf-8")


def run(home: Path, shell: list[str]) -> subprocess.CompletedProcess[str]:
    """Migrate the project, then type the blocks of `shell` into one session of it."""
    # -P: beside this file lies another `settings`, which is not the reader's.
    return _python(home, "-P", "-W", "error", str(Path(__file__)), typed=json.dumps(shell))


def pytest(home: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests of the project under pytest and pytest-django."""
    return _python(home, "-W", "error", "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "tests")


def django_test(home: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run tests of the project under Django's own runner."""
    return _python(home, "-W", "error", "-m", "django", "test", *names)


def _python(home: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": f"{home}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *arguments],
        input=typed, capture_output=True, check=False, text=True, cwd=home, env=environment,
    )  # fmt: skip


class CountingQueries(ast.NodeTransformer):
    """Puts each statement that says how many queries it takes into a block that counts them."""

    def __init__(self, source: str) -> None:
        self.lines = source.splitlines()

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Wrap simple statements; look for more of them inside the others."""
        super().generic_visit(node)
        if not isinstance(node, ast.Expr | ast.Assign):
            return node
        line = self.lines[(node.end_lineno or node.lineno) - 1]
        if not (said := EXPECTED.search(line)):
            return node
        [counted] = ast.parse(f"with expected_queries({said[1]}, {line!r}): pass").body
        assert isinstance(counted, ast.With)
        counted.body = [node]
        return ast.copy_location(counted, node)


@contextmanager
def expected_queries(number: int, line: str) -> Iterator[None]:
    """Fail with the line's text unless the block asks the database `number` times."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        yield
    assert len(queries) == number, f"{len(queries)} queries in: {line.strip()}\n{queries.captured_queries}"


def main() -> None:
    """Run the blocks on standard input in the project of the environment."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("check", fail_level="WARNING")
    call_command("migrate", run_syncdb=True, verbosity=0)
    session: dict[str, object] = {"__name__": "__main__", "expected_queries": expected_queries}
    for block in json.load(sys.stdin):
        tree = ast.fix_missing_locations(CountingQueries(block).visit(ast.parse(block)))
        exec(compile(tree, "<the page>", "exec"), session)  # noqa: S102 - our own documentation


if __name__ == "__main__":
    main()
