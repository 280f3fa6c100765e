from __future__ import annotations

from django.urls import path

from demo_project.timetable import views

app_name = "timetable"
urlpatterns = [
    path("groups/", views.home, name="home"),
    path("groups/<str:code>/", views.group, name="group"),
    path("groups/<str:code>/calendar.ics", views.group_calendar, name="group-calendar"),
    path("teachers/", views.teachers, name="teachers"),
    path("teachers/<str:code>/", views.teacher, name="teacher"),
    path("rooms/", views.rooms, name="rooms"),
    path("rooms/<str:code>/", views.room, name="room"),
    path("rooms/<str:code>/<int:weekday>/", views.room_day, name="room-day"),
    path("courses/", views.courses, name="courses"),
    path("courses/<str:code>/", views.course, name="course"),
]
