"""The timetable every contestant reads, as plain Django models."""

from __future__ import annotations
