"""The same timetable with ``Lesson.cached``."""

from __future__ import annotations
