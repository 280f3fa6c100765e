"""The whole examination: every server the toolkit uses, each judged by all that is known of it, then the project."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import MappingProxyType
from typing import Final

from redis_toolkit.cache.behind import problems as counters
from redis_toolkit.conf import Settings, settings
from redis_toolkit.core.clients import UNKNOWN
from redis_toolkit.doctor.access import judge_access
from redis_toolkit.doctor.caches import judge_company, judge_options
from redis_toolkit.doctor.findings import Finding, Report, Server, sorted_findings
from redis_toolkit.doctor.lasting import evicts_marks, forgets, judge_lasting
from redis_toolkit.doctor.memory import judge_memory, megabytes
from redis_toolkit.doctor.project import judge_outboxes, judge_project, said_by_checks, translated
from redis_toolkit.doctor.reach import judge_away, judge_libraries, judge_reach, version_of
from redis_toolkit.doctor.readings import Away, Reading, read
from redis_toolkit.doctor.roles import LASTING, roles
from redis_toolkit.throttling import problems as throttles

__all__ = ["examine"]

#: Facts that are one line of INFO, by their names in a report.
_FACTS: Final = {
    "role": "role",
    "policy": "maxmemory_policy",
    "clients": "connected_clients",
    "replicas": "connected_slaves",
    "commands a second": "instantaneous_ops_per_sec",
    "evicted": "evicted_keys",
    "expired": "expired_keys",
}


def examine(*, sample: int = 1000, aliases: Collection[str] | None = None) -> Report:
    """What is wrong, and what is well, with every server the toolkit uses and with the settings around it.

    ``sample``: how many keys of each server are looked at, to see whose they are. ``aliases``: only these of CACHES,
    and nothing of the project. Some twenty round trips to each server, one more for each hundred keys, and a query to
    each database. Nothing is changed. A server that does not answer, or refuses a command, is a finding. Where a
    setting of the toolkit cannot be what it is, no server is asked, and what the system checks say is all.
    """
    if not all(setting.valid(getattr(settings, setting.attribute)) for setting in Settings.declared()):
        return Report((), sorted_findings(said_by_checks(), ()))
    known = roles()
    asked = known if aliases is None else {alias: known.get(alias, ()) for alias in aliases}
    readings = [read(alias, kept, sample) for alias, kept in asked.items()]
    found = [finding for reading in readings for finding in _judged(reading)]
    if aliases is None:
        found += [*judge_libraries(), *judge_project(), *judge_outboxes(), *said_by_checks()]
    return Report(tuple(map(_server, readings)), sorted_findings(found, asked))


def _judged(reading: Reading | Away) -> Iterator[Finding]:
    yield from judge_options(reading.alias)
    if isinstance(reading, Away):
        yield judge_away(reading)
        return
    for judge in (judge_reach, judge_memory, judge_lasting, judge_access, judge_company):
        yield from judge(reading)
    if not reading.info:
        return
    if reading.keeps("cache"):
        yield from translated(evicts_marks(reading.info), reading.alias)
    if reading.keeps("write-behind"):
        yield from translated(counters.of_server(reading.alias, reading.info), reading.alias)
    if reading.keeps("throttles"):
        yield from translated(throttles.of_server(reading.info), reading.alias)
    if kept := [role for role in reading.roles if role in LASTING]:
        yield from translated(forgets(reading.alias, kept, reading.info), reading.alias)


def _server(reading: Reading | Away) -> Server:
    if isinstance(reading, Away):
        return Server(reading.alias, reading.roles, "", MappingProxyType({}))
    facts = {name: reading.info[line] for name, line in _FACTS.items() if line in reading.info}
    # (Valkey's own name for it comes first.)
    if mode := reading.info.get("server_mode") or reading.info.get("redis_mode"):
        facts["mode"] = mode
    facts["latency"] = f"{reading.latency * 1000:.2f} ms"
    facts["host"] = reading.road.host or UNKNOWN
    if "used_memory" in reading.info:
        most = reading.number("maxmemory")
        facts["memory"] = megabytes(reading.number("used_memory"))
        facts["maxmemory"] = megabytes(most) if most else "no bound"
    if "uptime_in_seconds" in reading.info:
        facts["uptime"] = f"{reading.number('uptime_in_seconds') / 3600:.1f} h"
    if "aof_enabled" in reading.info:
        facts["append-only file"] = "on" if reading.info["aof_enabled"] == "1" else "off"
        facts["last snapshot"] = reading.info.get("rdb_last_bgsave_status", UNKNOWN)
    return Server(reading.alias, reading.roles, version_of(reading), MappingProxyType(facts))
