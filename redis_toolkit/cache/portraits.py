"""Values as plain ones that tell them apart: what is remembered for one of them is never given for another."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.utils.functional import Promise
from django.utils.safestring import SafeData

from redis_toolkit.exceptions import CodecError

__all__ = ["portrait"]


def portrait(value: Any) -> Any:
    """A plain value for ``value``, another for each that may look otherwise, as text does when it is marked safe.

    Of an instance these are its model and every field it has loaded, not its key alone. So what is remembered for it
    is right for just what it holds, however old that is: 1. a reader loads a row  2. a writer commits a new title
    3. the reader stores what it makes of the old one: that lies where nobody with the new row looks.
    Raises CodecError for an expression that only the database can tell. Others are given back as they are.
    """
    if isinstance(value, Model):
        # (Behind a lazy object, as `request.user` is one, too.)
        options, held = value._meta, value.__dict__ if not hasattr(value, "_wrapped") else vars(value._wrapped)
        fields = {
            field.attname: _stored(field, held[field.attname])
            for field in options.concrete_fields
            if field.attname in held
        }
        return "row", options.label_lower, str(value._state.db), fields
    if isinstance(value, Promise):
        value = str(value)
    if isinstance(value, str) and type(value) is not str:
        return ("safe" if isinstance(value, SafeData) else "text"), str.__str__(value)
    return value


def _stored(field: Any, value: Any) -> Any:
    if not hasattr(value, "resolve_expression"):
        try:
            return field.get_prep_value(value)
        except (TypeError, ValueError) as error:
            raise CodecError(f"{field.name} of a {field.model._meta.label} is none of its values.") from error
    raise CodecError(
        f"{field.name} of a {field.model._meta.label} is an expression, which the database alone can tell."
    )
