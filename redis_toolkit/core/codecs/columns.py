"""The columns of a query: which kind each is, and which of Django's converters run before storing, which after.

Values of Django's own fields are stored as Django returns them, so that a hit runs no converter. From the first
converter on that is the project's own (a ``from_db_value``, the decoder of a JSON field) the value is stored as that
converter found it, and it runs again on every hit: so its result may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from django.db.models import Field
from django.db.models.expressions import Col, ColPairs

from redis_toolkit.core.codecs.kinds import ANY, DATETIME, KINDS, Kind, array, composite
from redis_toolkit.exceptions import CodecError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["Column", "Converter", "column_for", "unsupported_reason"]

#: Django's signature of what turns a driver's value into a field's: ``(value, expression, connection)``.
Converter = Callable[[Any, Any, Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """How one selected column travels. Made by :func:`column_for`.

    ``late`` of its converters, the last ones, run when a stored value is read; ``parts`` are the columns of a composite
    primary key, which is one value of several columns.
    """

    name: str
    kind: Kind
    expression: Any
    late: int = 0
    parts: tuple[Column, ...] = ()

    @property
    def identity(self) -> str:
        """Everything that decides what a stored value means, the same in every process: text for a fingerprint."""
        if self.parts:
            return f"({','.join(part.identity for part in self.parts)})"
        identity = f"{self.name} {self.kind.name}"
        field = _output_field(self.expression)
        if field is None:
            return identity
        places = getattr(field, "decimal_places", None)
        return f"{identity} {type(field).__module__}.{type(field).__qualname__} {self.late} {places}"

    def early(self, connection: BaseDatabaseWrapper) -> Sequence[Converter]:
        """Return the converters to run before a value is stored: the backend's, and the field's but for the late.

        They are asked for each time: many are bound to a connection, which belongs to one thread.
        """
        if not self.expression:
            return []
        found = [*connection.ops.get_db_converters(self.expression), *self.expression.get_db_converters(connection)]
        return found[: len(found) - self.late]

    def reader(self, connection: BaseDatabaseWrapper) -> Callable[[Any], Any] | None:
        """Return what turns a stored value into Django's; None where they are the same."""
        if self.parts:
            readers = [part.reader(connection) for part in self.parts]
            if not any(readers):
                return None
            return lambda value: tuple(read(item) if read else item for read, item in zip(readers, value, strict=True))
        if not self.late:
            return None
        late = self.expression.get_db_converters(connection)[-self.late :]

        def read_one(value: Any) -> Any:
            for convert in late:
                value = convert(value, self.expression, connection)
            return value

        return read_one


def column_for(expression: Any, connection: BaseDatabaseWrapper) -> Column:
    """Return the column for ``expression``, one of ``SQLCompiler.select``, read through ``connection``.

    Raises what Django raises for an expression whose type cannot be told, as executing the query would; and
    ``CodecError`` for one of the project's own with a ``convert_value``.
    """
    if isinstance(expression, ColPairs):
        parts = tuple(column_for(part, connection) for part in expression.get_source_expressions())
        name = f"({', '.join(part.name for part in parts)})"
        return Column(name, composite([part.kind for part in parts]), expression, parts=parts)
    converters = expression.get_db_converters(connection) if expression else []
    early = len(list(takewhile(_is_django, converters)))
    late = converters[early:]
    if not isinstance(expression, Col) and not all(isinstance(getattr(each, "__self__", None), Field) for each in late):
        # Two that differ only in what they hold in Python have one SQL, and so would share one answer.
        raise CodecError(
            f"What {type(expression).__name__}.convert_value makes of a value may depend on more than its SQL, so its "
            "answers cannot be cached: give the expression an output_field whose from_db_value converts, or use "
            ".nocache()."
        )
    field = _output_field(expression)
    # A truncated moment is in the zone of the moment it was asked in, so only plain columns are known to be in UTC.
    in_utc = isinstance(expression, Col) and connection.timezone in (None, UTC)
    kind = ANY if field is None else _kind_of(field, in_utc=in_utc)
    return Column(_name(expression), kind, expression, len(late))


def unsupported_reason(field: Any) -> str | None:
    """Return why values of the model ``field`` cannot be cached, and the way out, in a sentence; None: they can."""
    inner = getattr(field, "base_field", None) or getattr(field, "output_field", None)
    for kind in type(field).__mro__:
        if kind.__module__.startswith("django.contrib.gis.") or kind.__module__.endswith("postgres.fields.ranges"):
            return (
                f"The database returns {type(field).__name__} as an object that cannot be stored without loss; keep "
                "it out of cached queries with .defer() or .only(), read it with .nocache(), or keep its parts in "
                "plain fields."
            )
    return None if inner is None else unsupported_reason(inner)


def _output_field(expression: Any) -> Any:
    # Django, too, takes an expression that is false (an empty Q) for a column without a type.
    return getattr(expression, "output_field", None) if expression else None


def _is_django(converter: Converter) -> bool:
    """Whether ``converter`` is Django's and calls nothing of the project's."""
    function = getattr(converter, "__func__", converter)
    if not getattr(function, "__module__", "").startswith("django."):
        return False
    field = getattr(converter, "__self__", None)
    if getattr(field, "decoder", None) is not None:
        return False
    # An array converts its items by the from_db_value of its base field.
    inner = getattr(getattr(field, "base_field", None), "from_db_value", None)
    return inner is None or _is_django(inner)


def _kind_of(field: Any, *, in_utc: bool) -> Kind:
    for other in ("target_field", "output_field"):
        if (meant := getattr(field, other, None)) is not None:
            return _kind_of(meant, in_utc=in_utc)
    names = [cls.__name__ for cls in type(field).__mro__ if cls.__module__.startswith("django.")]
    if "ArrayField" in names:
        return array(_kind_of(field.base_field, in_utc=in_utc))
    kind = next((KINDS[name] for name in [*names, field.get_internal_type()] if name in KINDS), ANY)
    return ANY if kind is DATETIME and not in_utc else kind


def _name(expression: Any) -> str:
    target = getattr(expression, "target", None)
    model = getattr(target, "model", None)
    if target is None or model is None:
        return type(expression).__name__
    return f"{model._meta.label_lower}.{target.column}"
