"""Which field is gathered, where, and how its rows are named in Redis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.core import checks
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connections, router
from django.db.models import Field, Model, QuerySet

from redis_toolkit.cache.behind.kinds import KINDS, Kind, kind_of
from redis_toolkit.cache.columns import namer_of, plain_type
from redis_toolkit.cache.databases import logical_name
from redis_toolkit.core import keys
from redis_toolkit.core.connections import Link, link
from redis_toolkit.exceptions import Misconfigured

__all__ = ["Counter", "Keys", "declare", "declared"]

#: The room of the keys.
_ROOM: Final = "wb"
#: Characters of a key that still may name a row.
_LONGEST: Final = 400
#: What a column of whole numbers may hold at most.
_LARGEST: Final = 2**63 - 1
#: Bytes of the ledger's column.
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one counter, all in one slot, and its name in the ledger."""

    gathered: str
    batch: str
    settled: str

    @property
    def ledger(self) -> str:
        """The key of the batch, which is another for each prefix, database and tenant; its digest if it is long."""
        name = self.batch
        return name if len(name) <= _LONGEST_NAME else keys.digest(name.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Counter:
    """A field whose changes are gathered. ``using`` and ``alias``: None for the usual database and Redis server."""

    model: type[Model]
    field_name: str
    kind_name: str
    using: str | None
    alias: str | None
    most: int

    @property
    def label(self) -> str:
        """``app.Model.field``."""
        return f"{self.model._meta.label}.{self.field_name}"

    @property
    def field(self) -> Field[Any, Any]:
        """The field. Raises FieldDoesNotExist."""
        found: Any = self.model._meta.get_field(self.field_name)
        return found  # type: ignore[no-any-return]

    @property
    def kind(self) -> Kind:
        """How its values are gathered."""
        return kind_of(self.field, self.kind_name)

    @property
    def database(self) -> str:
        """The alias of the database whose rows are changed."""
        return self.using or router.db_for_write(self.model)

    @property
    def link(self) -> Link:
        """The way to the server where it is gathered."""
        return link(self.alias)

    @property
    def rows(self) -> QuerySet[Any]:
        """All rows, by no manager of the project's own, which may show a part."""
        return QuerySet(model=self.model, using=self.database)

    def keys(self) -> Keys:
        """Its keys now: the tenant may be another each time."""
        tag = f"{logical_name(self.database)}@{self.label}"
        return Keys(*(keys.tagged(_ROOM, tag, part) for part in ("gathered", "batch", "settled")))

    def named(self, key: Any) -> str:
        """How the row of a primary key is called in Redis. Raises ValueError for what no row can have."""
        pk: Any = self.model._meta.pk
        try:
            name = str(pk.to_python(key.pk if isinstance(key, self.model) else key))
        except ValidationError:
            name = ""
        if not name or name == "None" or len(name) > _LONGEST or not _can_be(plain_type(pk), name):
            raise ValueError(f"{key!r} is no primary key of {self.model._meta.label}.")
        return name

    def key_named(self, name: str) -> Any:
        """The primary key that is called so. Raises ValueError."""
        pk: Any = self.model._meta.pk
        try:
            return pk.to_python(name)
        except ValidationError as error:
            raise ValueError(name) from error

    def problem(self) -> checks.CheckMessage | None:
        """What is wrong with the declaration; None if it can work."""
        label, model = self.label, self.model
        wrong = self._wrong_field()
        if wrong is not None:
            hint = "Sums are for whole numbers and decimals, kind='latest' is for a DateTimeField."
            return checks.Error(wrong, hint=hint, obj=model, id="redis_toolkit.E030")
        pk: Any = model._meta.pk
        if plain_type(pk) not in {int, str, UUID} or namer_of(pk, connections[self.database].vendor) is None:
            return checks.Error(
                f"{label} cannot be gathered: the primary key of {model._meta.label} may be written in several ways.",
                hint="Whole numbers, UUIDs, and text that the database compares byte by byte name their row in one.",
                obj=model,
                id="redis_toolkit.E031",
            )
        return None

    def _wrong_field(self) -> str | None:
        try:
            field = self.field
        except FieldDoesNotExist:
            return f"{self.model._meta.label} has no field {self.field_name!r}."
        if self.kind_name not in KINDS:
            return f"{self.label}: {self.kind_name!r} is no kind; there are {', '.join(map(repr, KINDS))}."
        fields, called = KINDS[self.kind_name]
        if not isinstance(field, fields) or field.primary_key:
            return f"{self.label} does not hold {called}, which is what kind={self.kind_name!r} is for."
        if field.model._meta.concrete_model is not self.model._meta.concrete_model:
            return f"{self.label} lies in the table of {field.model._meta.label}: declare it for that model."
        return None

    def ensure(self) -> None:
        """Raises Misconfigured if the declaration cannot work. Looked at once."""
        if self not in _sound:
            problem = self.problem()
            if problem is not None:
                raise Misconfigured(f"WriteBehind: {problem.msg}")
            _sound.add(self)


def _can_be(kind: type | None, name: str) -> bool:
    """Whether the database can be asked for such a key: some refuse the question, and whatever is asked beside it."""
    if kind is int:
        return abs(int(name)) <= _LARGEST
    return "\0" not in name and name.encode("utf-8", "ignore").decode() == name


_declared: dict[Counter, None] = {}
_sound: set[Counter] = set()


def declare(counter: Counter) -> None:
    """Remember that it is there, for those who flush all."""
    _declared[counter] = None


def declared() -> Iterator[Counter]:
    """Every counter that this process has declared, in order."""
    yield from list(_declared)
