"""Users as the pages name them: found by a part of their name or by their primary key."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q

__all__ = ["Person", "found", "key_of", "person"]


class Person(NamedTuple):
    """A user: the primary key as text, and the user name."""

    key: str
    name: str


def key_of(users: Any, text: str) -> Any:
    """A primary key as the model ``users`` has it; None where ``text`` can be none."""
    try:
        return users._meta.pk.to_python(text)
    except (ValidationError, ValueError, TypeError):
        return None


def found(text: str, limit: int) -> list[Person]:
    """Users with such a primary key, or with ``text`` in their name, at most ``limit``. One query."""
    wanted = text.strip()
    # (PostgreSQL takes no text that has a NUL in it.)
    if not wanted or "\0" in wanted:
        return []
    users = get_user_model()
    name = users.USERNAME_FIELD
    which = Q(**{f"{name}__icontains": wanted})
    key = key_of(users, wanted)
    if key is not None:
        which |= Q(pk=key)
    return [_person(each) for each in users._default_manager.filter(which).order_by(name, "pk")[:limit]]


def person(text: str) -> Person | None:
    """The user with this primary key; None: there is none. One query."""
    users = get_user_model()
    key = None if "\0" in text else key_of(users, text)
    user = None if key is None else users._default_manager.filter(pk=key).first()
    return None if user is None else _person(user)


def _person(user: Any) -> Person:
    return Person(str(user._meta.pk.value_to_string(user)), str(user.get_username()))
