"""The command ``redis_verify`` as tests run it, and writes that the toolkit cannot see."""

from __future__ import annotations

import re
from contextlib import closing
from io import StringIO
from typing import Any, NamedTuple

from django.core.management import call_command
from django.db import connections

__all__ = ["Report", "unseen", "verify"]


class Report(NamedTuple):
    """How a run ended: its exit code, the lines before the summary, the counts of the summary, and the rest of it."""

    code: int
    lines: list[str]
    counts: dict[str, int]
    beyond: int


def verify(*arguments: str) -> Report:
    """Run the command over everything (or as the arguments say), and take its report apart."""
    out = StringIO()
    code = 0
    chosen = arguments if "--sample" in arguments else ("--all", *arguments)
    try:
        call_command("redis_verify", *chosen, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    *lines, last = out.getvalue().splitlines()
    summary = re.fullmatch(r"(\d+) entries looked at: (.*)\. Without a transcript: (\d+)\.", last)
    assert summary is not None, last
    counts = {name: int(number) for number, name in re.findall(r"(\d+) ([a-z ]+)", summary[2]) if int(number)}
    assert sum(counts.values()) == int(summary[1])
    return Report(code, lines, counts, int(summary[3]))


def unseen(alias: str, sql: str) -> int:
    """Write through the driver's own cursor, which no wrapper of Django's sees; the number of rows."""
    connection: Any = connections[alias]
    connection.ensure_connection()
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(sql)
        count: int = cursor.rowcount
    return count
