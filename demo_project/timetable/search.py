"""Finding a group, a teacher, a room or a course by a few letters of its name or code."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import chain
from typing import TypeVar

from demo_project.timetable.models import Course, Room, StudentGroup, Teacher

__all__ = ["Found", "find"]

Row = TypeVar("Row", StudentGroup, Teacher, Room, Course)


@dataclass(frozen=True, slots=True)
class Found:
    groups: list[StudentGroup]
    teachers: list[Teacher]
    rooms: list[Room]
    courses: list[Course]

    @property
    def everything(self) -> list[StudentGroup | Teacher | Room | Course]:
        return list(chain.from_iterable(getattr(self, field.name) for field in fields(self)))


def find(text: str) -> Found:
    """What has, for each word of the text, a word in its name or code that begins so.

    Case, accents and punctuation do not matter. The words are looked for in whole cached lists of a few hundred rows:
    whatever people type, it is the same four answers from the cache, where an `icontains` would be a new one for each
    spelling.
    """
    words = _plain(text).split()
    return Found(
        groups=_matching(StudentGroup.cached.all(), words),
        teachers=_matching(Teacher.cached.all(), words),
        rooms=_matching(Room.cached.all(), words),
        courses=_matching(Course.cached.select_related("department"), words),
    )


def _matching(rows: Iterable[Row], words: list[str]) -> list[Row]:
    found = []
    for row in rows:
        said = _plain(f"{row} {row.code}").split()
        if all(any(part.startswith(word) for part in said) for word in words):
            found.append(row)
    return found


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in letters if letter.isalnum() or letter.isspace())
