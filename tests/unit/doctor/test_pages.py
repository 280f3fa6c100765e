"""The doctor's page: each id once in the table, in the code, and named by a test; each public name and field."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from redis_toolkit import doctor
from redis_toolkit.doctor.findings import LEVELS

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "doctor.md"
ID = re.compile(r'"(D1\d\d)"')


def text_of(pattern: str) -> str:
    return "\n".join(path.read_text("utf-8") for path in sorted(ROOT.glob(pattern)))


def test_every_id_is_documented_and_tested():
    """Each stands once in the page's tables, with levels that there are, and in a test."""
    rows = re.findall(r"^\| `(D\d+)` \| ([\w, ]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    in_code = set(ID.findall(text_of("redis_toolkit/doctor/*.py")))
    assert Counter(name for name, _ in rows) == Counter(in_code)
    assert {level for _, levels in rows for level in levels.split(", ")} <= set(LEVELS)
    assert in_code - set(ID.findall(text_of("tests/*/doctor/test_*.py"))) == set()


def test_every_public_name_is_documented():
    """Each of `__all__`, and each field of what it returns."""
    page = PAGE.read_text("utf-8")
    records = doctor.Finding, doctor.Key, doctor.Report, doctor.Server, doctor.Slow
    fields = {name for record in records for name in record.__annotations__}
    assert [name for name in sorted({*doctor.__all__, *fields}) if f"`{name}" not in page] == []
