"""The timetable office's desk. It edits through `objects`, as any Django admin does; the public pages follow."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from demo_project.timetable.models import Attendance, Course, Department, Lesson, Room, StudentGroup, Teacher

admin.site.site_header = "Timetable office"
admin.site.site_title = "Timetable office"
admin.site.index_title = "What would you like to change?"


def _row_field(field: models.Field[Any, Any], **options: Any) -> forms.Field | None:
    """A field of the list, without the buttons that a form has beside it; one query for all rows' choices."""
    shown = field.formfield(**options)
    if isinstance(shown, forms.ModelChoiceField):
        shown.choices = list(shown.choices)  # type: ignore[arg-type]
    return shown


class LessonInline(admin.TabularInline):
    model = Lesson
    extra = 0
    autocomplete_fields = ["teacher"]
    show_change_link = True


class AttendanceInline(admin.TabularInline):
    model = Attendance
    extra = 0
    autocomplete_fields = ["course"]


@admin.register(Lesson)
class LessonAdmin(admin.ModelAdmin):
    list_display = ["course", "weekday", "period", "room", "teacher"]
    list_editable = ["weekday", "period", "room"]
    list_filter = ["weekday", "period", "room", "course__department"]
    list_select_related = ["course", "teacher", "room"]
    list_per_page = 30
    search_fields = ["course__title", "course__code", "teacher__family_name", "room__name"]
    autocomplete_fields = ["course", "teacher", "room"]
    readonly_fields = ["changed"]

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        return super().get_changelist_formset(request, formfield_callback=_row_field, **kwargs)


@admin.register(StudentGroup)
class StudentGroupAdmin(admin.ModelAdmin):
    list_display = ["__str__", "code", "department"]
    list_filter = ["department", "year"]
    list_select_related = ["department"]
    search_fields = ["programme", "code"]
    inlines = [AttendanceInline]


@admin.register(Course)
class CourseAdmin(admin.ModelAdmin):
    list_display = ["title", "code", "department", "teacher", "students"]
    list_filter = ["department"]
    list_select_related = ["department", "teacher"]
    search_fields = ["title", "code"]
    autocomplete_fields = ["teacher"]
    inlines = [LessonInline]


@admin.register(Teacher)
class TeacherAdmin(admin.ModelAdmin):
    list_display = ["__str__", "code"]
    search_fields = ["given_name", "family_name", "code"]


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):
    list_display = ["name", "code", "capacity"]
    list_editable = ["capacity"]
    search_fields = ["name", "code"]


@admin.register(Department)
class DepartmentAdmin(admin.ModelAdmin):
    list_display = ["name", "code", "tone"]
    list_editable = ["tone"]
    search_fields = ["name", "code"]
