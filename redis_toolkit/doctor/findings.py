"""What the doctor says: findings, servers, and the report that holds both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from redis_toolkit.conf import settings

__all__ = ["LEVELS", "Finding", "Level", "Report", "Server", "good", "sorted_findings"]

Level = Literal["error", "warning", "advice", "good"]
#: The worst first.
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "advice", "good")


@dataclass(frozen=True, slots=True)
class Finding:
    """One judgement.

    ``id``: "D101", or that of a system check ("W072"); it never changes its meaning. ``level``: "error" (something does
    not work, or is open to others), "warning" (something will be lost or go wrong), "advice" or "good". ``subject``: an
    alias of CACHES, or a setting. ``sentence``: what is the matter. ``cure``: what to do, empty where all is well.
    """

    id: str
    level: Level
    subject: str
    sentence: str
    cure: str


@dataclass(frozen=True, slots=True)
class Server:
    """A server as an ``alias`` of CACHES leads to it.

    ``roles``: what the toolkit keeps there ("cache", "throttles", "sessions", "codes", "tokens", "write-behind",
    "stats"). ``version``: as "Valkey 8.1.0", empty where it is not known. ``facts``: texts for people by a name.
    """

    alias: str
    roles: tuple[str, ...]
    version: str
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Report:
    """What :func:`redis_toolkit.doctor.examine` found: the worst first of each subject, servers before settings."""

    servers: tuple[Server, ...]
    findings: tuple[Finding, ...]

    def of(self, level: Level) -> tuple[Finding, ...]:
        """The findings of this level and of those that are worse."""
        asked = LEVELS[: LEVELS.index(level) + 1]
        return tuple(each for each in self.findings if each.level in asked)


def good(name: str, subject: str, sentence: str) -> Finding:
    """A finding that all is well."""
    return Finding(name, "good", subject, sentence, "")


def sorted_findings(found: Iterable[Finding], aliases: Iterable[str]) -> tuple[Finding, ...]:
    """Each once, the servers' first, the worst first; without those that SILENCED_SYSTEM_CHECKS names."""
    places = {alias: place for place, alias in enumerate(aliases)}
    silenced = set(settings.django("SILENCED_SYSTEM_CHECKS"))
    heard = dict.fromkeys(each for each in found if f"redis_toolkit.{each.id}" not in silenced)
    return tuple(
        sorted(heard, key=lambda each: (places.get(each.subject, len(places)), LEVELS.index(each.level), each.id))
    )
