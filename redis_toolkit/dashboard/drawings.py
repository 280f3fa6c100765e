"""The charts of the cache's pages: what was counted over time, of one subject or of all."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.translation import gettext as _

from redis_toolkit.dashboard.charts import Chart, Series, areas, lines
from redis_toolkit.dashboard.measures import evicted, hit_time, load_time, memory
from redis_toolkit.dashboard.units import duration, percent, size
from redis_toolkit.dashboard.wording import whole
from redis_toolkit.stats import Figures

__all__ = ["of_evictions", "of_memory", "of_ratio", "of_reads", "of_times"]


def of_reads(times: list[str], figures: Sequence[Figures], subject: str | None = None) -> Chart:
    """Hits, misses and bypasses."""
    return areas(
        _("Reads"), times,
        [
            Series(_("hits"), "hit", [each.hits(subject) for each in figures]),
            Series(_("misses"), "miss", [each.misses(subject) for each in figures]),
            Series(_("bypasses"), "bypass", [each.bypasses(subject) for each in figures]),
        ],
        whole,
    )  # fmt: skip


def of_ratio(times: list[str], figures: Sequence[Figures], subject: str | None = None) -> Chart:
    """Hits of all reads."""
    ratios = [each.hit_ratio(subject) for each in figures]
    return lines(_("Hit ratio"), times, [Series(_("hits of all reads"), "hit", ratios)], percent, top=1)


def of_times(times: list[str], figures: Sequence[Figures], subject: str | None = None) -> Chart:
    """How long loads and hits take."""
    return lines(
        _("Mean time"), times,
        [
            Series(_("of a load"), "miss", [load_time(each, subject) for each in figures]),
            Series(_("of a hit"), "hit", [hit_time(each, subject) for each in figures]),
        ],
        duration,
    )  # fmt: skip


def of_memory(times: list[str], figures: Sequence[Figures], alias: str) -> Chart:
    """What the server of ``alias`` had in use."""
    used = [memory(each, alias) for each in figures]
    return lines(_("Memory of the server"), times, [Series(_("used"), "memory", used)], size, is_size=True)


def of_evictions(times: list[str], figures: Sequence[Figures], alias: str) -> Chart:
    """Keys that it has evicted."""
    gone = [evicted(each, alias) for each in figures]
    return areas(_("Evicted keys"), times, [Series(_("evicted"), "denied", gone)], whole)
