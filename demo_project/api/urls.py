from __future__ import annotations

from django.urls import path

from demo_project.api import views

app_name = "api"
urlpatterns = [
    path("", views.Index.as_view(), name="index"),
    path("groups/", views.Groups.as_view(), name="groups"),
    path("groups/<str:code>/", views.GroupDetail.as_view(), name="group"),
    path("groups/<str:code>/lessons/", views.GroupLessons.as_view(), name="group-lessons"),
    path("rooms/", views.Rooms.as_view(), name="rooms"),
    path("rooms/<str:code>/", views.RoomDetail.as_view(), name="room"),
    path("rooms/<str:code>/lessons/", views.RoomLessons.as_view(), name="room-lessons"),
    path("search/", views.Search.as_view(), name="search"),
    path("me/", views.Me.as_view(), name="me"),
]
