"""What was counted, for Prometheus: a collector for ``prometheus_client``, and a view that serves it.

Needs ``prometheus-client``. The numbers are those of all processes since counting began, as Redis has them: whichever
process is asked says the same, none is lost with a process that ends, and the multiprocess mode of
``prometheus_client`` is not needed. Where Redis has lost them they begin at 0, as counters may.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from redis_toolkit.conf import settings
from redis_toolkit.exceptions import RedisToolkitError
from redis_toolkit.stats import Figures, Span, buckets
from redis_toolkit.stats.reading import whole

__all__ = ["Collector", "metrics"]

_STEM: Final = "redis_toolkit_"
#: The last minute may have been looked at by nobody yet.
_LATELY: Final = Span(60, 3)

Labels = Callable[[str, str], tuple[str, ...]]


class _Counted(NamedTuple):
    """A counter: its name without stem and ``_total``, what it is, of which metric, its labels, and which number."""

    name: str
    says: str
    metric: str
    labels: tuple[str, ...]
    values: Labels
    sums: bool = False


def _kind_and_outcome(subject: str, detail: str) -> tuple[str, ...]:
    kind, _, outcome = detail.rpartition(".")
    return subject, kind, outcome


def _both(subject: str, detail: str) -> tuple[str, ...]:
    return subject, detail


def _subject(subject: str, _detail: str) -> tuple[str, ...]:
    return (subject,)


def _detail(_subject: str, detail: str) -> tuple[str, ...]:
    return (detail,)


_READ: Final = ("model", "kind", "outcome")
_COUNTERS: Final = (
    _Counted("cache_reads", "Cached reads.", "read", _READ, _kind_and_outcome),
    _Counted("cache_read_seconds", "What they took.", "read", _READ, _kind_and_outcome, sums=True),
    _Counted("cache_loads", "Loads from the database.", "load", ("model", "kind"), _both),
    _Counted("cache_load_seconds", "What they took.", "load", ("model", "kind"), _both, sums=True),
    _Counted("cache_reasons", "Why reads were no hits.", "reason", ("model", "reason"), _both),
    _Counted("cache_ended", "Misses by the stamp that ended the entry.", "ended", ("model", "stamp"), _both),
    _Counted("cache_writes", "Transactions that wrote.", "write", ("model",), _subject),
    _Counted("cache_stored", "Entries stored.", "bytes", ("model",), _subject),
    _Counted("cache_stored_bytes", "Their size.", "bytes", ("model",), _subject, sums=True),
    _Counted("cache_errors", "What the cache could not do.", "error", ("during",), _subject),
    _Counted("breaker_changes", "Changes of circuit breakers.", "breaker", ("alias", "state"), _both),
    _Counted("throttle_decisions", "What throttles said.", "throttle", ("throttle", "decision"), _both),
    _Counted("throttle_bans_begun", "Bans that began.", "ban", ("throttle",), _subject),
    _Counted("codes", "One-time codes.", "code", ("purpose", "outcome"), _both),
    _Counted("sessions_ended", "Sessions ended by other means than time.", "session", ("reason",), _detail),
    _Counted("tokens", "What became of API tokens.", "token", ("event",), _detail),
    _Counted("statistics_dropped", "What was counted and could not be told.", "dropped", (), lambda _, __: ()),
)
#: What servers say, by its detail: the name, what it is, and whether it is a counter.
_SERVERS: Final = {
    "evicted": ("server_evicted_keys", "Keys that were evicted.", True),
    "expired": ("server_expired_keys", "Keys that ran out.", True),
    "memory": ("server_memory_bytes", "Memory in use.", False),
    "clients": ("server_clients", "Connections.", False),
    "ops": ("server_operations_per_second", "Commands per second.", False),
}


class Collector:
    """To be registered: ``prometheus_client.REGISTRY.register(Collector())``. Each scrape makes two round trips.

    Register it in one process that is scraped, or scrape one: each says what all have counted. ``redis_toolkit_up`` is
    0, and nothing else is told, while Redis does not answer.
    """

    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is is not known before Redis is asked."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics of now."""
        try:
            figures, lately = whole(), buckets(_LATELY)
        except RedisToolkitError:
            yield GaugeMetricFamily(_STEM + "up", _UP, value=0)
            return
        yield GaugeMetricFamily(_STEM + "up", _UP, value=1)
        for each in _COUNTERS:
            yield _counter(each, figures)
        yield _saved(figures)
        for detail, (name, says, counts) in _SERVERS.items():
            if counts:
                yield _counter(_Counted(name, says, "server", ("alias",), _subject, sums=True), figures, only=detail)
            else:
                yield _gauge(name, says, detail, [bucket.figures for bucket in lately])


_UP: Final = "Whether Redis says what was counted."


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """What Prometheus scrapes. 403 for who neither says ``REDIS_TOOLKIT_METRICS_TOKEN`` nor may see the statistics."""
    if not _may_see(request):
        return HttpResponseForbidden("Say REDIS_TOOLKIT_METRICS_TOKEN as a bearer token.\n", content_type="text/plain")
    registry = CollectorRegistry()
    registry.register(Collector())
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(registry), content_type=kind)


def _may_see(request: HttpRequest) -> bool:
    expected = settings.METRICS_TOKEN
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if expected and scheme.lower() == "bearer":
        return hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
    user: Any = getattr(request, "user", None)
    return user is not None and user.is_active and user.has_perm("redis_toolkit.view_statistic")


def _counter(counted: _Counted, figures: Figures, *, only: str | None = None) -> Metric:
    family = CounterMetricFamily(_STEM + counted.name, counted.says, labels=counted.labels)
    added: dict[tuple[str, ...], float] = {}
    for (subject, detail), number in figures.numbers.get(counted.metric, {}).items():
        if only in {None, detail}:
            labels = counted.values(subject, detail)
            added[labels] = added.get(labels, 0) + (number.total if counted.sums else number.count)
    for labels, value in added.items():
        # (A counter says nothing below 0.)
        family.add_metric(labels, max(0, value))
    return family


def _saved(figures: Figures) -> Metric:
    # No counter: a hit that takes longer than the load takes it back.
    family = GaugeMetricFamily(
        _STEM + "cache_saved_seconds",
        "What hits would have taken to load, less what they took.",
        labels=("model", "kind"),
    )
    for place, number in figures.numbers.get("saved", {}).items():
        family.add_metric(place, number.total)
    return family


def _gauge(name: str, says: str, detail: str, lately: list[Figures]) -> Metric:
    family = GaugeMetricFamily(_STEM + name, says, labels=("alias",))
    latest = {
        alias: figures.total("server", alias, detail) / count
        for figures in lately
        for alias in figures.subjects("server")
        if (count := figures.count("server", alias, detail))
    }
    for alias, value in latest.items():
        family.add_metric((alias,), value)
    return family
