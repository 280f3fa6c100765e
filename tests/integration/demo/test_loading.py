"""The real week arrives whole, once, and without a clash."""

from __future__ import annotations

from collections import Counter
from io import StringIO

import pytest
from django.core.management import call_command

from demo_project.timetable.loading import load, row_count
from demo_project.timetable.models import Attendance, Course, Department, Lesson, Room, StudentGroup, Teacher

pytestmark = pytest.mark.django_db

MODELS = (Department, Teacher, Room, Course, StudentGroup, Attendance, Lesson)


def sizes() -> list[int]:
    return [model.objects.count() for model in MODELS]


def test_the_whole_week_is_loaded() -> None:
    """82 courses, 283 lessons, 16 rooms, 70 groups, 71 teachers and 265 attendances stand in the files and come in."""
    load(progress=lambda _: None)
    assert sizes() == [6, 71, 16, 82, 70, 265, 283]


def test_progress_adds_up() -> None:
    """The bar is told of 793 rows, the number it was promised."""
    told = list[int]()
    load(progress=told.append)
    assert sum(told) == row_count() == 793


def test_each_course_has_as_many_lessons_as_the_data_say() -> None:
    """The lessons a week of c0155 are 7, of c0638 4; the most frequent number of all 82 is 3."""
    load(progress=lambda _: None)
    held = Counter(Lesson.objects.values_list("course__code", flat=True))
    assert (held["c0155"], held["c0638"], held.total()) == (7, 4, 283)
    assert Counter(held.values()) == {3: 66, 5: 12, 7: 3, 4: 1}


def test_no_lesson_clashes_with_another() -> None:
    """Each of the 283 lessons passes the checks the office's form makes: room, teacher, groups, seats."""
    load(progress=lambda _: None)
    for lesson in Lesson.objects.select_related("course", "room"):
        lesson.full_clean()


def test_loading_again_changes_nothing() -> None:
    """The command leaves a loaded timetable as it is, edits included."""
    call_command("load_timetable", verbosity=0)
    Room.objects.filter(code="A").update(name="Aula Magna")
    out = StringIO()
    call_command("load_timetable", stdout=out)
    assert "loaded already" in out.getvalue()
    assert sizes() == [6, 71, 16, 82, 70, 265, 283]
    assert Room.objects.get(code="A").name == "Aula Magna"


def test_reset_starts_over(capfd: pytest.CaptureFixture[str]) -> None:
    """With --reset what was there goes, and the week comes anew, with a bar."""
    call_command("load_timetable", verbosity=0)
    Room.objects.filter(code="A").update(name="Aula Magna")
    out = StringIO()
    call_command("load_timetable", "--reset", stdout=out)
    assert out.getvalue() == "82 courses, 283 lessons, 16 rooms, 70 groups.\n"
    assert "793/793" in capfd.readouterr().err
    assert Room.objects.get(code="A").name == "Hall A"


def test_names_are_readable_and_keep_their_codes() -> None:
    """A group is called by programme, year and section, and found by its code."""
    load(progress=lambda _: None)
    assert str(StudentGroup.objects.get(code="q065")) == "Management Engineering, master’s year 1, C"  # noqa: RUF001
    assert str(StudentGroup.objects.get(code="q012")) == "Computer Engineering, year 1"
    assert str(Teacher.objects.get(code="t027")) == "Laura De Monte"
