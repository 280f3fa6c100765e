"""Many rows by primary key or another unique column: one round trip for all; one query for those that are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connections
from django.db.models import QuerySet

from redis_toolkit.cache import gate, outages
from redis_toolkit.cache.answers import execute, pack_rows, read_rows
from redis_toolkit.cache.entries import open_entry, took_of
from redis_toolkit.cache.freshness import Terms
from redis_toolkit.cache.reading import Loaded, Reader, Source, unreadable
from redis_toolkit.cache.rows import ABSENT, Place, Rows
from redis_toolkit.cache.telling import Why, grouped, report, why_dead
from redis_toolkit.conf import settings
from redis_toolkit.core.clock import monotonic
from redis_toolkit.exceptions import CodecError
from redis_toolkit.signals import cache_read

__all__ = ["fill", "in_bulk"]

Places = Mapping[Any, Place]
_Payload = tuple[bytes | None, CodecError | None]


def in_bulk(
    rows: Rows, wanted: Iterable[Any], source: Source, terms: Terms, field_name: str = "pk"
) -> dict[Any, Any] | None:
    """The rows with these keys, by key, in the order asked; None if Django must look at one of the keys.

    ``field_name`` is ``"pk"``, or the attribute name of a unique column whose values the keys are.
    """
    places = rows.places(wanted, source) if field_name == "pk" else rows.places_by(field_name, wanted, source)
    if places is None:
        return None
    found = _Bulk(rows, source, terms, field_name).answer(places)
    return {key: found[key] for key in places if found.get(key, ABSENT) is not ABSENT}


def fill(rows: Rows, wanted: Iterable[Any], source: Source, terms: Terms) -> None:
    """Load the rows with these primary keys and store them, as a reader does who finds none: 2 round trips, 1 query.

    Nothing is loaded where it could not be stored. Rows that are not there are left to readers.
    """
    _Bulk(rows, source, terms, "pk").fill(rows.places(wanted, source) or {})


class _Bulk:
    """The means of one bulk read."""

    def __init__(self, rows: Rows, source: Source, terms: Terms, field_name: str) -> None:
        self._told_at = monotonic()
        self._pins: tuple[str, ...] = ()
        self._rows = rows
        self._source = source
        self._terms = terms
        self._ttl = terms.ttl or settings.CACHE_TTL
        self._field_name = field_name
        self._reader = Reader(source)

    def answer(self, places: Places) -> dict[Any, Any]:
        """The rows by key (or ABSENT)."""
        self._pins = next((place.by.names for place in places.values()), ())
        stamps = list(dict.fromkeys(stamp for place in places.values() for stamp in place.stamps))
        entries = [place.key for place in places.values()]
        reader = self._reader
        seen = reader.fetch((*entries, *stamps)) if reader.may_ask(self._rows.tables) else None
        if seen is None:
            return self._without_redis(places)
        values = dict(zip(stamps, seen[len(entries) :], strict=True))
        there = dict(zip(places, seen, strict=False))
        found = self._hits(there, places, values)
        missing = {key: place for key, place in places.items() if key not in found}
        if found and cache_read.is_heard:
            hits = [entry for key in found if (entry := there[key]) is not None]
            # (One query would have loaded them all.)
            self._tell("hit", {Why(""): len(found)}, max(map(took_of, hits)), sum(map(len, hits)))
        if not missing:
            return found
        absent = self._rows.absent(missing.values(), self._source)
        if absent is not None:
            ruled_out = reader.ruled_out(*absent)
            found |= {key: ABSENT for key, out in zip(missing, ruled_out, strict=True) if out}
            missing = {key: place for key, place in missing.items() if key not in found}
            if any(ruled_out):
                self._tell("absent", {Why("empty"): sum(ruled_out)})
            if not missing:
                return found
        return found | self._fill(missing, there, values)

    def _without_redis(self, places: Places) -> dict[Any, Any]:
        """The rows from the database, but for those that this process keeps."""
        shape = self._rows.shape
        outage = outages.Outage(self._reader, self._rows.tables, shape.codec.fingerprint, self._terms.outage)
        kept = {key: outage.find(place.key) for key, place in places.items()} if outage else {}
        found: dict[Any, Any] = {key: ABSENT for key, payload in kept.items() if payload is None}
        raws = {key: read_rows(shape, payload, self._source.read)[0] for key, payload in kept.items() if payload}
        found |= zip(raws, self._rows.build(list(raws.values()), self._source), strict=True)
        missing = {key: place for key, place in places.items() if key not in found}
        if found:
            self._tell("kept", {Why(self._reader.why): len(found)})
        if not missing:
            return found
        outage.begin(self._reader.connection)
        started = monotonic()
        loaded, payloads = self._load(missing)
        took = monotonic() - started
        for key, place in missing.items():
            payload, error = payloads.get(key, (None, None))
            if error is None:
                outage.keep(place.key, payload)
        self._tell("bypass", {Why(self._reader.why): len(missing)}, took)
        return found | loaded

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

    def fill(self, places: Places) -> None:
        """Load and store these rows, those that are there."""
        reader = self._reader
        needed = list(dict.fromkeys(stamp for place in places.values() for stamp in place.stamps))
        if not needed or not reader.may_ask(self._rows.tables):
            return
        tokens = reader.tokens(needed, [None] * len(needed), self._ttl)
        if tokens is not None:
            run, started = reader.link.run, monotonic()
            payloads = self._read(places)[1]
            self._store(
                {key: places[key] for key in payloads}, dict(zip(needed, tokens, strict=True)), run, payloads,
                monotonic() - started,
            )  # fmt: skip

    def _fill(
        self, missing: Places, there: Mapping[Any, bytes | None], values: Mapping[str, bytes | None]
    ) -> dict[Any, Any]:
        """The rows that are missing, loaded and stored, where ``there`` lay no valid entry."""
        reader = self._reader
        whys = self._whys(missing, there, values) if cache_read.is_heard else {}
        needed = list(dict.fromkeys(stamp for place in missing.values() for stamp in place.stamps))
        tokens = reader.tokens(needed, [values[stamp] for stamp in needed], self._ttl)
        run, started = reader.link.run, monotonic()
        found, payloads = self._load(missing)
        took = monotonic() - started
        if tokens is None:
            self._tell("bypass", {Why(reader.why): len(missing)}, took)
            return found
        self._store(missing, dict(zip(needed, tokens, strict=True)), run, payloads, took)
        self._tell("miss", whys, took, reader.stored or None)
        return found

    def _whys(
        self, missing: Places, there: Mapping[Any, bytes | None], values: Mapping[str, bytes | None]
    ) -> dict[Why, int]:
        """How many entries are missing for what reason."""
        run, fingerprint, whys = self._reader.link.run, self._rows.shape.codec.fingerprint, []
        for key, place in missing.items():
            entry, now = there[key], [values[stamp] for stamp in place.stamps]
            whys.append(Why("empty") if entry is None else why_dead(entry, fingerprint, run, place.stamps, now))
        return grouped(whys)

    def _tell(
        self, outcome: str, whys: Mapping[Why, int], loaded: float | None = None, size: int | None = None
    ) -> None:
        """Tell watchers how many rows were come by so: each its share of time and bytes, and the first of the load."""
        if not cache_read.is_heard:
            return
        before, self._told_at = self._told_at, monotonic()
        total = sum(whys.values())
        for at, ((reason, stamp), count) in enumerate(whys.items()):
            share = count / total
            report(
                kind="bulk", model=self._rows.model, outcome=outcome, alias=self._source.read, count=count,
                seconds=(self._told_at - before) * share, reason=reason, stamp=stamp, pins=self._pins,
                loaded=None if at else loaded, size=None if size is None else round(size * share),
            )  # fmt: skip

    def _store(
        self, missing: Places, now: Mapping[str, bytes], run: bytes, payloads: Mapping[Any, _Payload], took: float
    ) -> None:
        """Store rows, or that they are not there, under the tokens ``now`` of their stamps."""
        fingerprint, commands = self._rows.shape.codec.fingerprint, []
        for key, place in missing.items():
            payload, error = payloads.get(key, (None, None))
            loaded = Loaded(None, payload, len(place.stamps) - 1 if key in payloads else None, error)
            under = [now[stamp] for stamp in place.stamps]
            commands += self._reader.entry(place.key, fingerprint, run, under, loaded, self._ttl, took)
        self._reader.store(commands)

    def _load(self, wanted: Iterable[Any]) -> tuple[dict[Any, Any], dict[Any, _Payload]]:
        """Instances by key, and the payload of each, or what kept it from being written."""
        found, payloads = self._read(wanted)
        return dict(zip(payloads, self._rows.build(found, self._source), strict=True)), payloads

    def _read(self, wanted: Iterable[Any]) -> tuple[list[tuple[Any, ...]], dict[Any, _Payload]]:
        """Rows, and by key, in the same order, their payloads."""
        keys, model, alias = list(wanted), self._rows.model, self._source.read
        attname = model._meta.pk.attname if self._field_name == "pk" else self._field_name
        key_at = [field.attname for field in model._meta.concrete_fields].index(attname)
        batch = connections[alias].features.max_query_params or len(keys)
        found: list[tuple[Any, ...]] = []
        payloads: dict[Any, _Payload] = {}
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
        return found, payloads
