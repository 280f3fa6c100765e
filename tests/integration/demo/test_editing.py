"""The office edits in Django's own admin; the next load of the page shows it, and only the pages concerned pay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from demo_project.timetable.accounts import demo_password
from demo_project.timetable.models import Attendance, Course, Lesson, Room, StudentGroup, Teacher


@pytest.fixture
def office(timetable: None) -> Client:
    """The browser of the clerk who edits the timetable."""
    client = Client()
    assert client.login(username="office", password=demo_password())
    return client


def lesson() -> Lesson:
    """Engineering Economics on Wednesday at 17:15 in Hall F, by Tommaso Basso (t026) for the groups q019 and q065."""
    return Lesson.objects.get(course__code="c0193", period=5)


def form_of(lesson: Lesson, **changes: Any) -> dict[str, Any]:
    names = ("course_id", "teacher_id", "room_id", "weekday", "period")
    return {name.removesuffix("_id"): getattr(lesson, name) for name in names} | changes


def on_day(text: str, day: str) -> str:
    """The part of a week's page that is about this day."""
    return text.partition(f'scope="row">{day}')[2].partition("</tr>")[0]


def save(office: Client, lesson: Lesson, **changes: Any) -> Any:
    return office.post(f"/admin/timetable/lesson/{lesson.pk}/change/", form_of(lesson, **changes))


def test_an_edited_lesson_moves_on_the_page(visit: Callable[..., Any], office: Client) -> None:
    """Moved to Friday's last period in the admin, it is there at the next load, and gone from where it was."""
    before = visit("/groups/q065/").text
    assert on_day(before, "Wednesday").count("Engineering Economics") == 2
    assert on_day(before, "Friday").count("Engineering Economics") == 0
    assert save(office, lesson(), weekday=5, room=_room("DS1")).status_code == 302
    after = visit("/groups/q065/")
    assert on_day(after.text, "Wednesday").count("Engineering Economics") == 1
    assert on_day(after.text, "Friday").count("Engineering Economics") == 1
    assert (after.hits, after.misses) == (2, 1)


def test_only_the_pages_concerned_are_made_anew(visit: Callable[..., Any], office: Client) -> None:
    """Both rooms and their days, the teacher, the course and its two groups: one answer each. Nobody else pays."""
    concerned = [
        *("/rooms/F/", "/rooms/F/3/", "/rooms/DS1/", "/rooms/DS1/5/"),
        *("/teachers/t026/", "/courses/c0193/", "/groups/q019/", "/groups/q065/"),
    ]
    others = ["/rooms/B/", "/rooms/F/2/", "/rooms/DS1/1/", "/teachers/t027/", "/courses/c0088/", "/groups/q012/"]
    for path in concerned + others:
        visit(path)
    assert save(office, lesson(), weekday=5, room=_room("DS1")).status_code == 302
    assert [visit(path).misses for path in concerned] == [1] * 8
    assert [visit(path).misses for path in others] == [0] * 6


def test_editing_in_the_list_changes_the_page(visit: Callable[..., Any], office: Client) -> None:
    """Day, period and room are fields of the admin's list, and saved there they count just as much."""
    chosen = lesson()
    visit("/groups/q065/")
    page = office.get("/admin/timetable/lesson/?q=c0193")
    formset = page.context["cl"].formset
    data: dict[str, Any] = {
        f"form-{name}": value for name, value in formset.management_form.initial.items() if value is not None
    }
    for form in formset.forms:
        row = form.instance
        data |= {
            f"{form.prefix}-id": row.pk,
            f"{form.prefix}-weekday": 5 if row.pk == chosen.pk else row.weekday,
            f"{form.prefix}-period": row.period,
            f"{form.prefix}-room": _room("DS1") if row.pk == chosen.pk else row.room_id,
        }
    assert office.post("/admin/timetable/lesson/?q=c0193", {**data, "_save": "Save"}).status_code == 302
    assert Lesson.objects.get(pk=chosen.pk).weekday == 5
    assert on_day(visit("/groups/q065/").text, "Friday").count("Engineering Economics") == 1


def test_a_new_lesson_and_a_deleted_one(visit: Callable[..., Any], office: Client) -> None:
    """Deleted in the admin the week has 21 lessons, added again 22."""
    gone = lesson()
    assert "22 lessons a week" in visit("/groups/q065/").text
    assert office.post(f"/admin/timetable/lesson/{gone.pk}/delete/", {"post": "yes"}).status_code == 302
    assert "21 lessons a week" in visit("/groups/q065/").text
    assert office.post("/admin/timetable/lesson/add/", form_of(gone)).status_code == 302
    assert "22 lessons a week" in visit("/groups/q065/").text


def test_renaming_a_room_shows_wherever_it_is_named(visit: Callable[..., Any], office: Client) -> None:
    """A week names its rooms; a room renamed is renamed there."""
    assert "Aula Magna" not in visit("/groups/q065/").text
    hall = Room.objects.get(code="A")
    data = {"code": "A", "name": "Aula Magna", "capacity": 312}
    assert office.post(f"/admin/timetable/room/{hall.pk}/change/", data).status_code == 302
    assert visit("/groups/q065/").text.count("Aula Magna") == 6


def test_a_course_taken_out_of_a_curriculum_leaves_the_week(visit: Callable[..., Any], office: Client) -> None:
    """Without Quality Engineering q065 has 17 lessons; q012 is not asked again."""
    visit("/groups/q065/")
    visit("/groups/q012/")
    Attendance.objects.get(group__code="q065", course__code="c0366").delete()
    assert "17 lessons a week" in visit("/groups/q065/").text
    assert visit("/groups/q012/").misses == 0


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"weekday": 1, "period": 1, "room": "A"}, "The room is taken in this period."),
        ({"weekday": 3, "period": 3, "room": "G"}, "The teacher gives another lesson in this period."),
        ({"weekday": 3, "period": 5, "room": "36"}, "Room 36 has 42 seats for 84 students."),
        ({"weekday": 5, "period": 1, "room": "DS1"}, "(q065) has another lesson in this period."),
    ],
    ids=["room", "teacher", "seats", "group"],
)
def test_a_clash_is_refused(office: Client, wish: dict[str, Any], complaint: str) -> None:
    """The form says who stands in the way, and the lesson stays where it was."""
    response = save(office, lesson(), **{**wish, "room": _room(wish["room"])})
    assert response.status_code == 200
    assert complaint in response.content.decode()
    assert (lesson().weekday, lesson().period, lesson().room.code) == (3, 5, "F")


def test_the_office_sees_the_timetable_only(office: Client) -> None:
    """The clerk's index has the timetable's models and no accounts."""
    text = office.get("/admin/").content.decode()
    assert "Lessons" in text
    assert "Users" not in text
    assert office.get("/admin/auth/user/").status_code == 403


@pytest.mark.parametrize("model", [Attendance, Course, Lesson, Room, StudentGroup, Teacher])
def test_the_admin_reads_from_the_database(model: Any) -> None:
    """Django's own manager is the default one: forms, relations and the admin never see a cached row."""
    assert model._default_manager is model._meta.managers_map["objects"]
    assert model._base_manager is not model._meta.managers_map["cached"]


def _room(code: str) -> int:
    pk: int = Room.objects.get(code=code).pk
    return pk
