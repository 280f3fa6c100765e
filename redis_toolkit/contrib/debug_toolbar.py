"""A panel for django-debug-toolbar: the cached reads of a request, and why each that was no hit was none.

    DEBUG_TOOLBAR_PANELS = [..., "redis_toolkit.contrib.debug_toolbar.CachePanel"]

It hears the toolkit's signals and asks nobody, so it adds no round trip and no query.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar, Final

from debug_toolbar.panels import Panel
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from redis_toolkit import signals
from redis_toolkit.cache.stamps import is_generation, subject_of

__all__ = ["CachePanel", "sentence"]

#: Most lines of one request; more are only counted.
_MOST: Final = 1000

#: Outcomes that count as a hit, as statistics do.
_HITS: Final = frozenset({"hit", "shared", "stale", "absent", "kept"})

_REASONS: Final[Mapping[str, Any]] = {
    "empty": gettext_lazy("Nothing was stored."),
    "columns": gettext_lazy("It was stored when the model had other columns."),
    "run": gettext_lazy("It was stored in another run of the Redis server."),
    "unreadable": gettext_lazy("What was stored could not be read."),
    "asked": gettext_lazy("refresh() asked for it."),
    "due": gettext_lazy("It was valid, but past its freshness or nearly over, and so made anew."),
    "off": gettext_lazy("REDIS_TOOLKIT_ENABLED is False."),
    "breaker": gettext_lazy("Redis is away: its circuit breaker is open."),
    "outage": gettext_lazy("Redis did not answer."),
    "untrusted": gettext_lazy("Redis was away, and what it has is not trusted yet."),
    "transaction": gettext_lazy("This transaction has written what it depends on."),
    "writing": gettext_lazy("Another transaction is writing what it depends on."),
    "snapshot": gettext_lazy("This connection may see an old state, so nothing that it reads is stored."),
    "uncacheable": gettext_lazy("It is never cached; the log of redis_toolkit.cache says why."),
}

#: The panel of the request that this thread, or task, answers. Threads that a view starts itself have none.
_current: ContextVar[CachePanel | None] = ContextVar("redis_toolkit_cache_panel", default=None)


def sentence(reason: str, stamp: str = "", pins: Sequence[str] = ()) -> str:
    """Why a read was no hit, for people; empty for a hit. The arguments are those of ``cache_read``."""
    if reason == "ended":
        return _ended(stamp, pins)
    return str(_REASONS.get(reason, reason))


def _ended(stamp: str, pins: Sequence[str]) -> str:
    model, what = subject_of(stamp)
    if not model:
        return _("A write has ended it.")
    whole = _("A write to {model} as a whole has ended it.") if is_generation(stamp) else None
    known = whole or {
        "row": _("A write to this row of {model} has ended it."), "new": _("A row was added to {model}."),
    }.get(what)  # fmt: skip
    if known is not None:
        return known.format(model=model)
    if what != "*":
        return _("A write to a row of {model} with this {fields} has ended it.").format(
            model=model, fields=what.replace(",", ", ")
        )
    ended = _("A write to some row of {model} has ended it.").format(model=model)
    if not pins:
        return ended
    # What is pinned is of the model that was asked for, which need not be the one that was written.
    return ended + " " + _("The query pins {fields}.").format(fields=", ".join(pins))


class CachePanel(Panel):
    """The cached reads of one request, its writes, its throttles, and what failed."""

    # (The toolbar has a CachePanel of its own, and calls panels by the names of their classes.)
    panel_id: ClassVar[str] = "RedisToolkitCachePanel"
    template = "redis_toolkit/debug_toolbar/cache.html"
    is_async = True
    nav_title = gettext_lazy("Cached reads")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._before: CachePanel | None = None
        self._outcomes: Counter[str] = Counter()
        self._seconds = 0.0
        self._saved = 0.0
        self._rows: list[dict[str, Any]] = []
        self._written: Counter[tuple[str, str]] = Counter()
        self._throttles: list[dict[str, Any]] = []
        self._errors: list[dict[str, str]] = []

    @property
    def _untyped(self) -> Any:
        # The toolbar's classes have types from version 8 on, and some of their methods have none.
        return self

    @property
    def title(self) -> str:
        """The totals, in words."""
        found = self._untyped.get_stats()
        return _(
            "{hits} of {reads} cached reads were hits, in {milliseconds:.1f} ms; loading them took {saved:.1f} ms"
        ).format(
            hits=found.get("hits", 0), reads=found.get("reads", 0), milliseconds=found.get("milliseconds", 0.0),
            saved=found.get("saved", 0.0),
        )  # fmt: skip

    @property
    def nav_subtitle(self) -> str:
        """The totals, in short."""
        found = self._untyped.get_stats()
        reads = found.get("reads", 0)
        text = ngettext("{hits} hits of {reads} read", "{hits} hits of {reads} reads", reads)
        return text.format(hits=found.get("hits", 0), reads=reads)

    # Hearing

    def enable_instrumentation(self) -> None:
        """Hear what this request does from now on."""
        if _current.get() is self:
            return
        self._before = _current.get()
        _current.set(self)
        for signal, receiver in self._hearing():
            signal.connect(receiver)

    def disable_instrumentation(self) -> None:
        """Hear nothing more."""
        for signal, receiver in self._hearing():
            signal.disconnect(receiver)
        if _current.get() is self:
            _current.set(self._before)

    def _hearing(self) -> list[tuple[Any, Any]]:
        return [
            (signals.cache_read, self._read),
            (signals.cache_invalidated, self._ended),
            (signals.cache_failed, self._failed),
            (signals.throttle_checked, self._checked),
            (signals.throttle_failed, self._decided_alone),
        ]

    def _read(self, sender: Any, **told: Any) -> None:
        if _current.get() is not self:
            return
        outcome, count, loaded = told["outcome"], told["count"], told["loaded"]
        self._outcomes[outcome] += count
        self._seconds += told["seconds"]
        if outcome in _HITS and loaded is not None:
            self._saved += loaded
        if len(self._rows) < _MOST:
            self._rows.append(self._row(sender, **told))

    @staticmethod
    def _row(sender: Any, **told: Any) -> dict[str, Any]:
        loaded, size = told["loaded"], told["size"]
        why = sentence(told["reason"], told["stamp"], told["pins"])
        if told["outcome"] == "miss" and size is None:
            why += " " + _("The answer was not stored.")
        return {
            "what": told["name"] or (sender._meta.label if sender is not None else ""),
            "kind": told["kind"],
            "outcome": told["outcome"],
            "is_hit": told["outcome"] in _HITS,
            "count": told["count"],
            "why": why,
            "key": told["key"],
            "size": size,
            "milliseconds": told["seconds"] * 1000,
            "loaded": None if loaded is None else loaded * 1000,
        }

    def _ended(self, stamps: Sequence[str], **_told: Any) -> None:
        if _current.get() is self:
            self._written.update(subject_of(stamp) for stamp in stamps)

    def _failed(self, during: str, error: Exception, **_told: Any) -> None:
        if _current.get() is self:
            self._errors.append({"during": during, "error": f"{type(error).__name__}: {error}"})

    def _checked(self, decisions: Sequence[Any], **_told: Any) -> None:
        if _current.get() is self:
            self._throttles += [_decided(decision) for decision in decisions]

    def _decided_alone(self, error: Exception, **_told: Any) -> None:
        if _current.get() is self:
            self._errors.append({"during": "throttle", "error": f"{type(error).__name__}: {error}"})

    # Telling

    def generate_stats(self, request: Any, response: Any) -> None:  # noqa: ARG002 - the toolbar's signature
        """Leave the request's reads to the toolbar, as plain values."""
        reads = sum(self._outcomes.values())
        self._untyped.record_stats({
            "reads": reads,
            "hits": sum(number for outcome, number in self._outcomes.items() if outcome in _HITS),
            "outcomes": dict(self._outcomes.most_common()),
            "milliseconds": self._seconds * 1000,
            "saved": self._saved * 1000,
            "rows": self._rows,
            "more": max(0, reads - sum(row["count"] for row in self._rows)),
            "written": [
                {"model": model, "what": what.replace(",", ", "), "times": times}
                for (model, what), times in sorted(self._written.items())
            ],
            "throttles": self._throttles,
            "errors": self._errors,
        })  # fmt: skip

    def generate_server_timing(self, request: Any, response: Any) -> None:  # noqa: ARG002 - as above
        """The time that cached reads took, for the browser's own tools."""
        milliseconds = self._untyped.get_stats().get("milliseconds", 0.0)
        self._untyped.record_server_timing("reads", "Cached reads", milliseconds)


def _decided(decision: Any) -> dict[str, Any]:
    said = "allowed" if decision.allowed else "denied in shadow" if decision.shadow else "denied"
    return {
        "name": decision.name,
        "said": said,
        "source": decision.source,
        "limit": decision.limit,
        "remaining": decision.remaining,
    }
