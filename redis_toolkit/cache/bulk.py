"""Many rows by primary key or another unique column: one round trip for all; one query for those that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from redis_toolkit.cache import gate, outages
from redis_toolkit.cache.answers import execute, pack_rows, read_rows
from redis_toolkit.cache.entries import open_entry
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.reading import Loaded, Reader, Source, report, unreadable
from redis_toolkit.cache.rows import ABSENT, Place, Rows
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.exceptions import CodecError

__all__ = ["in_bulk"]

Places = Mapping[Any, Place]


def in_bulk(
    rows: Rows, wanted: Iterable[Any], source: Source, terms: Terms, field_name: str = "pk"
) -> dict[Any, Any] | None:
    """The rows with these keys, by key, in the order asked; None if Django must look at one of the keys.

    ``field_name`` is ``"pk"``, or the attribute name of a unique column whose values the keys are.
    """
    places = rows.places(wanted, source) if field_name == "pk" else rows.places_by(field_name, wanted, source)
    if places is None:
        return None
    began = monotonic()
    found, outcome = _Bulk(rows, source, terms, field_name).answer(places)
    report("bulk", rows.model, outcome, source, began)
    return {key: found[key] for key in places if found.get(key, ABSENT) is not ABSENT}


class _Bulk:
    """The means of one bulk read."""

    def __init__(self, rows: Rows, source: Source, terms: Terms, field_name: str) -> None:
        self._rows = rows
        self._source = source
        self._terms = terms
        self._ttl = terms.ttl or settings.CACHE_TTL
        self._field_name = field_name
        self._reader = Reader(source)

    def answer(self, places: Places) -> tuple[dict[Any, Any], str]:
        """The rows by key (or ABSENT), and how they were come by."""
        stamps = list(dict.fromkeys(stamp for place in places.values() for stamp in place.stamps))
        entries = [place.key for place in places.values()]
        reader = self._reader
        seen = reader.fetch((*entries, *stamps)) if reader.may_ask(self._rows.tables) else None
        if seen is None:
            return self._without_redis(places)
        values = dict(zip(stamps, seen[len(entries) :], strict=True))
        found = self._hits(dict(zip(places, seen, strict=False)), places, values)
        missing = {key: place for key, place in places.items() if key not in found}
        if not missing:
            return found, "hit"
        absent = self._rows.absent(missing.values(), self._source)
        if absent is not None:
            ruled_out = reader.ruled_out(*absent)
            found |= {key: ABSENT for key, out in zip(missing, ruled_out, strict=True) if out}
            missing = {key: place for key, place in missing.items() if key not in found}
            if not missing:
                return found, "absent"
        loaded, outcome = self._fill(missing, values)
        return found | loaded, outcome

    def _without_redis(self, places: Places) -> tuple[dict[Any, Any], str]:
        """The rows from the database, but for those that this process keeps."""
        shape = self._rows.shape
        outage = outages.Outage(self._reader, self._rows.tables, shape.codec.fingerprint, self._terms.outage)
        kept = {key: outage.find(place.key) for key, place in places.items()} if outage else {}
        found: dict[Any, Any] = {key: ABSENT for key, payload in kept.items() if payload is None}
        raws = {key: read_rows(shape, payload, self._source.read)[0] for key, payload in kept.items() if payload}
        found |= zip(raws, self._rows.build(list(raws.values()), self._source), strict=True)
        missing = {key: place for key, place in places.items() if key not in found}
        if not missing:
            return found, "kept"
        outage.begin(self._reader.connection)
        loaded, payloads = self._load(missing)
        for key, place in missing.items():
            payload, error = payloads.get(key, (None, None))
            if error is None:
                outage.keep(place.key, payload)
        return found | loaded, "bypass"

    def _hits(
        self, entries: Mapping[Any, bytes | None], places: Places, values: Mapping[str, bytes | None]
    ) -> dict[Any, Any]:
        """The rows whose entries are valid."""
        found: dict[Any, Any] = {}
        decoded: dict[Any, tuple[Any, ...]] = {}
        run, fingerprint = self._reader.link.run, self._rows.shape.codec.fingerprint
        for key, entry in entries.items():
            if entry is None:
                continue
            try:
                body = open_entry(entry, fingerprint, run, [values[stamp] for stamp in places[key].stamps])
                if body is not None and body.payload is not None:
                    (decoded[key],) = read_rows(self._rows.shape, body.payload, self._source.read)
            except (CodecError, ValueError) as error:
                unreadable(self._rows.model, error)
                continue
            if body is not None and body.payload is None:
                found[key] = ABSENT
        instances = self._rows.build(list(decoded.values()), self._source)
        return found | dict(zip(decoded, instances, strict=True))

    def _fill(self, missing: Places, values: Mapping[str, bytes | None]) -> tuple[dict[Any, Any], str]:
        """The rows that are missing, loaded and stored."""
        reader = self._reader
        needed = list(dict.fromkeys(stamp for place in missing.values() for stamp in place.stamps))
        tokens = reader.tokens(needed, [values[stamp] for stamp in needed], self._ttl)
        if tokens is None:
            return self._load(missing)[0], "bypass"
        now = dict(zip(needed, tokens, strict=True))
        run, started = reader.link.run, monotonic()
        found, payloads = self._load(missing)
        took, fingerprint, commands = monotonic() - started, self._rows.shape.codec.fingerprint, []
        for key, place in missing.items():
            payload, error = payloads.get(key, (None, None))
            loaded = Loaded(None, payload, len(place.stamps) - 1 if key in payloads else None, error)
            under = [now[stamp] for stamp in place.stamps]
            commands += reader.entry(place.key, fingerprint, run, under, loaded, self._ttl, took)
        reader.store(commands)
        return found, "miss"

    def _load(self, wanted: Iterable[Any]) -> tuple[dict[Any, Any], dict[Any, tuple[bytes | None, CodecError | None]]]:
        """Instances by key, and the payload of each, or what kept it from being written."""
        keys, model, alias = list(wanted), self._rows.model, self._source.read
        attname = model._meta.pk.attname if self._field_name == "pk" else self._field_name
        key_at = [field.attname for field in model._meta.concrete_fields].index(attname)
        batch = connections[alias].features.max_query_params or len(keys)
        found: list[tuple[Any, ...]] = []
        payloads: dict[Any, tuple[bytes | None, CodecError | None]] = {}
        for at in range(0, len(keys), batch):
            query = (
                QuerySet(model=model, using=alias).filter(**{f"{attname}__in": keys[at : at + batch]}).order_by().query
            )
            with gate.admit():
                raws = list(execute(query, alias))
            for raw in raws:
                (row,), payload, error = pack_rows(self._rows.shape, iter([raw]), alias)
                found.append(row)
                payloads[row[key_at]] = (payload, error)
        instances = self._rows.build(found, self._source)
        return {row[key_at]: instance for row, instance in zip(found, instances, strict=True)}, payloads
