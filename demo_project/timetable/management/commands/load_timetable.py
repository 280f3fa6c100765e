from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from demo_project.timetable.loading import clear, load, row_count
from demo_project.timetable.models import Course, Lesson, Room, StudentGroup


class Command(BaseCommand):
    help = "Loads a real week of the University of Udine. Does nothing where one is loaded already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reset", action="store_true", help="Remove what is there, edits included, and load anew.")

    def handle(self, *, reset: bool, verbosity: int, **_: Any) -> None:
        if reset:
            clear()
        elif Lesson.objects.exists():
            if verbosity:
                self.stdout.write("A timetable is loaded already; --reset starts over.")
            return
        with tqdm(total=row_count(), desc="Loading the timetable", unit=" rows", disable=not verbosity) as bar:
            load(bar.update)
        if verbosity:
            self.stdout.write(
                f"{Course.objects.count()} courses, {Lesson.objects.count()} lessons, "
                f"{Room.objects.count()} rooms, {StudentGroup.objects.count()} groups."
            )
