"""Redis refuses, hangs, is slow, and is killed in the midst of reads: what they cost, and the database bears."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from typing import Any

from bench.consistency.proxy import Proxy
from bench.contestants import CONTESTANTS
from bench.driver import Worker
from bench.servers import Servers, running

__all__ = ["AIM", "LOADS", "as_markdown", "failed", "run"]

THREADS, LOADS = 50, 4
#: Milliseconds by which the slowest of a hundred reads may be slower than Django's own once the breaker is open.
AIM = 5.0
#: What is the matter, the state of the proxy, and whether the breaker has to open.
TROUBLES = (
    ("none", {}, False),
    ("slow: 10 ms each way", {"delay": (0.01, 0.01)}, False),
    ("slow: 400 ms each way", {"delay": (0.4, 0.4)}, True),
    ("refuses", {"mode": "refuse"}, True),
    ("hangs", {"mode": "hole"}, True),
)


def run(reads: int, seed: str) -> dict[str, Any]:
    """One outage of each kind, one after the other, and one in the midst of a crowd of readers."""
    [ours] = [contestant for contestant in CONTESTANTS if contestant.name == "ours-postgres"]
    with ExitStack() as stack:
        servers = stack.enter_context(running([ours], tcp=False))
        proxy = stack.enter_context(closing(Proxy(seed)))
        proxy.set(target=str(servers.valkey.socket_path), mode="open")
        job = {**servers.job(0, ours), "redis_url": f"redis://127.0.0.1:{proxy.port}/0"}
        reader, writer = (_worker(stack, ours, job, first=first) for first in (True, False))
        reader.ask("warm")
        troubles = [_suffer(trouble, (reader, writer, proxy), reads, f"{seed}:{trouble[0]}") for trouble in TROUBLES]
        killed = _kill(reader, writer, servers, reads, seed)
        about = reader.ask("versions")
    return {"about": {"seed": seed, "reads": reads, **about}, "troubles": troubles, "killed": killed}


def _worker(stack: ExitStack, ours: Any, job: dict[str, Any], *, first: bool) -> Worker:
    worker = Worker(ours, {**job, "storm": {"first": first}})
    stack.callback(worker.close)
    worker.ask("versions")
    return worker


def _suffer(
    trouble: tuple[str, dict[str, Any], bool], who: tuple[Worker, Worker, Proxy], reads: int, seed: str
) -> dict[str, Any]:
    (name, state, must_open), (reader, writer, proxy) = trouble, who
    proxy.set(**state)
    first = reader.ask("until_open", most=5 if must_open else 3)
    # Where each read waits for the line, fewer will do.
    number = reads if must_open or not state else max(20, reads // 50)
    found = {"name": name, "first": first, "state": reader.ask("state"), "opens": must_open}
    found["latencies"] = reader.ask("latencies", reads=number, seed=seed)
    if must_open:
        found["crowd"] = reader.ask("crowd", threads=THREADS, loads=LOADS, reads=max(2, reads // 100), seed=seed)
    for worker, at in ((reader, 1), (writer, 101)):
        worker.ask("write", first=at, number=10)
    proxy.set(mode="open", delay=(0.0, 0.0))
    found["after"] = [worker.ask("until_trusted") for worker in (reader, writer)]
    found["stale"] = [worker.ask("stale") for worker in (reader, writer)]
    return found


def _kill(reader: Worker, writer: Worker, servers: Servers, reads: int, seed: str) -> dict[str, Any]:
    """Redis is killed while fifty threads read, and is started again, empty."""
    reader.ask("warm")
    reader.send("crowd", threads=THREADS, loads=LOADS, reads=max(10, reads // 10), seed=seed)
    time.sleep(0.3)
    servers.valkey.kill()
    writer.ask("write", first=201, number=10)
    found: dict[str, Any] = {"crowd": reader.receive()}
    servers.valkey.start()
    found["after"] = [worker.ask("until_trusted") for worker in (reader, writer)]
    found["stale"] = [worker.ask("stale") for worker in (reader, writer)]
    return found


def failed(found: dict[str, Any]) -> list[str]:
    """What is not as it has to be; nothing of it but the added latency is a matter of time."""
    wrong = []
    for each in [*found["troubles"], {"name": "killed", **found["killed"]}]:
        name, crowd = each["name"], each.get("crowd")
        if each.get("opens") and each["state"] == "closed":
            wrong.append(f"{name}: the breaker did not open")
        if crowd and (crowd["answered"] != crowd["asked"] or crowd["errors"]):
            wrong.append(f"{name}: {crowd['answered']} of {crowd['asked']} reads answered {crowd['errors']}")
        if crowd and crowd["most"] > LOADS:
            wrong.append(f"{name}: {crowd['most']} loads at once")
        if any(each["stale"]):
            wrong.append(f"{name}: {each['stale']} stale afterwards")
        if each.get("opens") and _added(each) > AIM:
            wrong.append(f"{name}: p99 is {_added(each):.1f} ms above Django's own")
    return wrong


def _added(trouble: dict[str, Any]) -> float:
    """By how many milliseconds the p99 through the cache is above that of Django's own reads in the same run."""
    return (trouble["latencies"]["cached"][1] - trouble["latencies"]["plain"][1]) / 1000


def as_markdown(found: dict[str, Any]) -> str:
    """The tables."""
    about = found["about"]
    lines = [
        f"# Reads while Redis is in trouble ({about['reads']} of each, seed {about['seed']})", "",
        "`get(pk=…)` of PostgreSQL, through the cache and by Django's own manager, by turns; microseconds, p50 / p99.",
        "Between two reads of one row: *added* by the cache, and *noise*, between Django's own and Django's own.", "",
        "| Redis | breaker | first reads, ms | through the cache | Django's own | added | noise |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for each in found["troubles"]:
        first = ", ".join(f"{took:.0f}" for took in each["first"])
        times = [each["latencies"][name] for name in ("cached", "plain", "added", "noise")]
        told = " | ".join(f"{half:,.0f} / {most:,.0f}" for half, most in times)
        lines.append(f"| {each['name']} | {each['state']} | {first} | {told} |")
    lines += [
        "", f"{THREADS} threads at once, REDIS_TOOLKIT_LOADS = {LOADS}:", "",
        "| Redis | answered | most loads at once | slowest, ms | stale afterwards |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for each in [*found["troubles"], {"name": "killed in the midst", **found["killed"]}]:
        if crowd := each.get("crowd"):
            told = f"{crowd['answered']:,} of {crowd['asked']:,} | {crowd['most']} | {1000 * crowd['slowest']:,.0f}"
            lines.append(f"| {each['name']} | {told} | {sum(each['stale'])} |")
    wrong = failed(found)
    return "\n".join([*lines, "", f"Not as it has to be: {'; '.join(wrong)}." if wrong else "All is as it has to be."])
