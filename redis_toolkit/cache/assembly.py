"""Functions that turn rows into instances, written out for one query shape.

Building instances is the largest part of a hit. A function that names every column, as ``dataclasses`` writes its
``__init__``, builds one in little more than half the time that a loop over column names takes. For a lesson with its
room the text is::

    def assemble(rows, db, mode):
        result = []
        for v0, v1, v2, v3, v4 in rows:
            s0 = State(); s0.db = db; s0.adding = False
            o0 = new0(M0); o0.__dict__ = {"_state": s0, "id": v0, "title": v1, "room_id": v2}
            if v3 is None: o1 = None
            else:
                s1 = State(); s1.db = db; s1.adding = False
                o1 = new1(M1); o1._state = s1; o1.id = v3; o1.code = v4
            s0.fields_cache = {"room": o1}
            result.append(o0)
        return result

Attributes set one by one need no dictionary of their own until somebody asks for one: a third less to do, and half as
many objects for the garbage collector. A model with a foreign key or a file has descriptors that would hear of it, so
there the dictionary is filled. Only names of columns come from outside; they are written as string literals, or as
attributes where they are plain names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import getattr_static
from keyword import iskeyword
from typing import Any, Final

from django.db.models import Field
from django.db.models.base import ModelState
from django.db.models.fields.mixins import FieldCacheMixin

from redis_toolkit.cache.origins import MARK, is_followed

__all__ = ["Assemble", "assembler", "models_of"]

#: (rows, database alias, fetch mode or None) -> instances
Assemble = Callable[[Sequence[Sequence[Any]], str, Any], list[Any]]
Klass = Mapping[str, Any]

#: From Django 6.1 on.
_HAS_FETCH_MODE: Final = hasattr(ModelState, "fetch_mode")


def models_of(klass: Klass) -> list[Any]:
    """The models whose instances a row holds, the outermost first."""
    return [klass["model"], *(model for inner in klass.get("related_klass_infos", ()) for model in models_of(inner))]


def assembler(klass: Klass, select: Sequence[Any], annotations: Mapping[str, int]) -> Assemble | None:
    """The function for a SELECT as Django's compiler describes it; None for a layout that it does not cover."""
    writer = _Writer(select)
    body = writer.instance(klass, "        ")
    if body is None:
        return None
    body += [f"        setattr(o0, {name!r}, v{at})" for name, at in annotations.items()]
    values = "".join(f"v{at}, " for at in range(len(select)))
    lines = [
        "def assemble(rows, db, mode):",
        "    result = []",
        "    for " + values + "in rows:",
        *body,
        "        result.append(o0)",
        "    return result",
    ]
    exec("\n".join(lines), writer.names)  # noqa: S102 - written above, from numbers and repr() of column names
    assemble: Assemble = writer.names["assemble"]
    return assemble


def _make_room() -> None:
    """Let every ModelState file what we set beside the instance, without a dictionary of its own.

    CPython keeps room there only for names that the first instances of a class had, and most of Django's have no
    ``fields_cache``. So one of the first instances, this one, has everything.
    """
    first = ModelState()
    # (Django 6.1 empties the dictionary of relations when a state goes.)
    everything: dict[str, Any] = {"db": None, "adding": True, "fields_cache": {}, MARK: True}
    for name, value in (everything | ({"fetch_mode": None} if _HAS_FETCH_MODE else {})).items():
        setattr(first, name, value)


_make_room()


class _Writer:
    """Writes the lines that build the instances of one row."""

    def __init__(self, select: Sequence[Any]) -> None:
        self.names: dict[str, Any] = {"State": ModelState}
        self._select = select
        self._count = 0

    def instance(self, klass: Klass, indent: str) -> list[str] | None:
        """The lines that build ``o<n>`` and all that hangs on it."""
        if klass.get("from_parent"):
            return None
        number, self._count = self._count, self._count + 1
        model = klass["model"]
        self.names |= {f"M{number}": model, f"new{number}": model.__new__}
        lines = [
            f"s{number} = State()",
            f"s{number}.db = db",
            f"s{number}.adding = False",
            *(["if mode is not None:", f"    s{number}.fetch_mode = mode"] if _HAS_FETCH_MODE else []),
            *([f"s{number}.{MARK} = True"] if is_followed(model) else []),
            f"o{number} = new{number}(M{number})",
        ]
        columns = {self._select[at][0].target.attname: f"v{at}" for at in klass["select_fields"]}
        if all(_is_free(model, name) for name in columns):
            values = {"_state": f"s{number}", **columns}
            lines += [f"o{number}.{name} = {value}" for name, value in values.items()]
        else:
            items = "".join(f", {name!r}: {value}" for name, value in columns.items())
            lines.append(f"o{number}.__dict__ = {{'_state': s{number}{items}}}")
        lines = [indent + line for line in lines]
        return self._add_related(lines, klass, number, indent)

    def _add_related(self, lines: list[str], klass: Klass, number: int, indent: str) -> list[str] | None:
        cached: list[str] = []
        links: list[str] = []
        for inner in klass.get("related_klass_infos", ()):
            at = self._count
            body = self.instance(inner, indent + "    ")
            if body is None:
                return None
            lines += [f"{indent}if v{_key_at(inner, self._select)} is None" + ":", f"{indent}    o{at} = None"]
            lines += [indent + "else:", *body]
            name = _cache_name(inner["local_setter"])
            if name is None:
                self.names[f"local{at}"] = inner["local_setter"]
                links.append(f"{indent}local{at}(o{number}, o{at})")
            else:
                cached.append(f"{name!r}: o{at}")
            if not _sets_nothing(inner["local_setter"]):
                self.names[f"remote{at}"] = inner["remote_setter"]
                links += [f"{indent}if o{at} is not None" + ":", f"{indent}    remote{at}(o{at}, o{number})"]
        if cached:
            lines.append(f"{indent}s{number}.fields_cache = {{{', '.join(cached)}}}")
        return lines + links


def _is_free(model: Any, name: str) -> bool:
    """Whether ``instance.name = value`` is a name in code, and does no more than file the value."""
    if not (name.isascii() and name.isidentifier()) or iskeyword(name):
        return False
    return not hasattr(type(getattr_static(model, name, None)), "__set__")


def _key_at(klass: Klass, select: Sequence[Any]) -> int:
    """The column whose NULL tells that an outer join found nothing."""
    key = klass["model"]._meta.pk_fields[0].attname
    at: int = next(at for at in klass["select_fields"] if select[at][0].target.attname == key)
    return at


def _cache_name(setter: Any) -> str | None:
    """The name under which ``setter`` files an instance in the field cache, if that is all it does."""
    if getattr(setter, "__func__", None) is not FieldCacheMixin.set_cached_value:
        return None
    name: str = setter.__self__.cache_name
    return name


def _sets_nothing(local: Any) -> bool:
    """Whether the other side of a forward relation has nothing to remember: many rows may point at one."""
    field = getattr(local, "__self__", None)
    return isinstance(field, Field) and not field.unique
