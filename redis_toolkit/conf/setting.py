"""What a setting is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, overload

from django.conf import settings as django_settings

__all__ = ["PREFIX", "Setting"]

T = TypeVar("T")

PREFIX = "REDIS_TOOLKIT_"


class Setting(Generic[T]):
    """One setting: ``default``, what it means (``doc``), what it must be (``must``) and the test for it (``valid``)."""

    def __init__(self, default: T, doc: str, *, must: str, valid: Callable[[object], bool]) -> None:
        self.default = default
        self.doc = doc
        self.must = must
        self.valid = valid

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name
        self.name = PREFIX + name

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | Setting[T]:
        if instance is None:
            return self
        # Kept in the instance's __dict__, which shadows this non-data descriptor until `setting_changed` empties it: on
        # the hot path a setting costs an attribute look-up, not the exception Django raises inside for an absent name.
        value: T = getattr(django_settings, self.name, self.default)
        instance.__dict__[self.attribute] = value
        return value
