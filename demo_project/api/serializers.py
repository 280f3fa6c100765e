"""What the API says of a group, a room and a lesson."""

from __future__ import annotations

from rest_framework import serializers

from demo_project.timetable.hours import PERIODS
from demo_project.timetable.models import Lesson, Room, StudentGroup

__all__ = ["FoundSerializer", "GroupSerializer", "LessonSerializer", "RoomSerializer"]


def _link(view_name: str) -> serializers.HyperlinkedIdentityField:
    return serializers.HyperlinkedIdentityField(view_name=view_name, lookup_field="code")


class GroupSerializer(serializers.ModelSerializer):
    url = _link("api:group")
    department = serializers.CharField(source="department.name")
    lessons = _link("api:group-lessons")

    class Meta:
        model = StudentGroup
        fields = ["url", "code", "programme", "year", "section", "department", "lessons"]


class RoomSerializer(serializers.ModelSerializer):
    url = _link("api:room")
    lessons = _link("api:room-lessons")

    class Meta:
        model = Room
        fields = ["url", "code", "name", "capacity", "lessons"]


class LessonSerializer(serializers.ModelSerializer):
    """A lesson of the week, with the names of all that it is about."""

    day = serializers.CharField(source="get_weekday_display")
    starts = serializers.SerializerMethodField()
    ends = serializers.SerializerMethodField()
    course = serializers.CharField(source="course.title")
    course_code = serializers.CharField(source="course.code")
    teacher = serializers.CharField()
    room = serializers.CharField(source="room.name")
    room_code = serializers.CharField(source="room.code")

    class Meta:
        model = Lesson
        fields = ["day", "starts", "ends", "course", "course_code", "teacher", "room", "room_code"]

    def get_starts(self, lesson: Lesson) -> str:
        return f"{PERIODS[lesson.period].start:%H:%M}"

    def get_ends(self, lesson: Lesson) -> str:
        return f"{PERIODS[lesson.period].end:%H:%M}"


class FoundSerializer(serializers.Serializer):
    """Whatever a search finds: a group, a teacher, a room or a course."""

    kind = serializers.CharField(source="_meta.verbose_name")
    code = serializers.CharField()
    name = serializers.CharField(source="__str__")
    page = serializers.CharField(source="get_absolute_url")
