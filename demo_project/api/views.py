"""The API. It reads through `Model.cached`, as the pages do: asked a second time, it asks the database nothing.

Who may ask how often is not said here: `REST_FRAMEWORK` in the settings names the throttles and their rates.
"""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework.exceptions import ParseError
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView

from demo_project.api.permissions import MaySearch
from demo_project.api.serializers import FoundSerializer, GroupSerializer, LessonSerializer, RoomSerializer
from demo_project.timetable.models import Room, StudentGroup
from demo_project.timetable.search import find
from demo_project.timetable.views import courses_of, lessons
from redis_toolkit.tokens import Token

__all__ = ["GroupDetail", "GroupLessons", "Groups", "Index", "Me", "RoomDetail", "RoomLessons", "Rooms", "Search"]


class Index(APIView):
    """Where everything is."""

    def get(self, request: Request) -> Response:
        return Response({name: reverse(f"api:{name}", request=request) for name in ("groups", "rooms", "search", "me")})


class Me(APIView):
    """Who asks, and by which token: for whoever has one, whatever its scopes, or is signed in."""

    permission_classes = [IsAuthenticated]

    def get(self, request: Request) -> Response:
        token = request.auth
        told: dict[str, Any] = {"user": request.user.get_username(), "token": None}
        if isinstance(token, Token):
            told["token"] = {"name": token.name, "scopes": token.scopes, "expires": token.expires}
        return Response(told)


class Groups(ListAPIView):
    serializer_class = GroupSerializer

    def get_queryset(self) -> Any:
        return StudentGroup.cached.select_related("department").order_by("programme", "year", "section", "code")


class GroupDetail(RetrieveAPIView):
    serializer_class = GroupSerializer
    lookup_field = "code"

    def get_queryset(self) -> Any:
        return StudentGroup.cached.select_related("department")


class GroupLessons(ListAPIView):
    """A group's week."""

    serializer_class = LessonSerializer

    def get_queryset(self) -> Any:
        group: StudentGroup = get_object_or_404(StudentGroup.cached, code=self.kwargs["code"])
        return lessons(course__in=courses_of(group))


class Rooms(ListAPIView):
    serializer_class = RoomSerializer

    def get_queryset(self) -> Any:
        return Room.cached.order_by("name", "code")


class RoomDetail(RetrieveAPIView):
    serializer_class = RoomSerializer
    lookup_field = "code"

    def get_queryset(self) -> Any:
        return Room.cached.all()


class RoomLessons(ListAPIView):
    """A room's week."""

    serializer_class = LessonSerializer

    def get_queryset(self) -> Any:
        return lessons(room=get_object_or_404(Room.cached, code=self.kwargs["code"]))


class Search(APIView):
    """What has all words of `q`. It goes through every name, so it has a scope, and with that a rate, of its own."""

    throttle_scope = "search"
    permission_classes = [MaySearch]

    def get(self, request: Request) -> Response:
        text = request.query_params.get("q", "").strip()
        if not text:
            raise ParseError("Say what to look for: ?q=physics")
        return Response(FoundSerializer(find(text).everything, many=True).data)
