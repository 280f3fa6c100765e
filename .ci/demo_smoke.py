"""Start `make demo`, read a page, see a background task run, press Ctrl-C: nothing stays behind. Linux: reads /proc."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

PATIENCE = 240  # seconds from the first line to the address: install, migrate, load
GRACE = 20  # seconds from Ctrl-C to the end
SOON = 30  # seconds until a task that is sent every five has run

WORKER_LOG = Path(__file__).parents[1] / "demo_project/var/celery-worker.log"
DONE = re.compile(r"Task redis_toolkit\.drain_outbox\[\S+\] succeeded in .*")


def processes() -> dict[str, tuple[str, str]]:
    """Parent and description of each living process; born when it says, so that a reused id is no match."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (process / "stat").read_text().partition(" (")[2].rpartition(") ")
        except OSError:  # it ended while we looked
            continue
        state, parent, *others = rest.split()
        if state != "Z":
            found[process.name] = (parent, f"{name}, process {process.name}, born {others[17]}")
    return found


def family(head: int) -> set[str]:
    """What `head` and all its descendants are."""
    alive = processes()
    wanted = {str(head)}
    while more := {pid for pid, (parent, _) in alive.items() if parent in wanted} - wanted:
        wanted |= more
    return {alive[pid][1] for pid in wanted if pid in alive}


def address(demo: subprocess.Popen[str]) -> str:
    """What the demo prints of where it is served, its output passed on meanwhile."""
    for line in demo.stdout or ():
        print("  |", line, end="", flush=True)
        if found := re.search(r"http://127\.0\.0\.1:\d+/?", line):
            return found[0].rstrip("/") + "/"
    sys.exit("make demo ended without printing an address")


def task_that_ran() -> str:
    """What the worker says of the drain that beat sent it."""
    for _ in range(SOON):
        if found := DONE.search(WORKER_LOG.read_text()):
            return found[0]
        time.sleep(1)
    sys.exit(f"no task ran within {SOON} s:\n{WORKER_LOG.read_text()}")


def main() -> None:
    # A shell that runs this in the background has it ignore Ctrl-C, and what it starts would ignore it, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    demo = subprocess.Popen(
        ["make", "--no-print-directory", "demo"],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a process group of its own, as a terminal gives
    )
    too_long = threading.Timer(PATIENCE, os.killpg, (demo.pid, signal.SIGKILL))
    too_long.start()
    try:
        url = address(demo)
        with urllib.request.urlopen(url, timeout=30) as page:
            body = page.read()
            print(f"{url}: {page.status}, {len(body)} bytes")
            if page.status != 200 or b"</html>" not in body:
                sys.exit("that is not a page")
        members = family(demo.pid)
        print("running:", *sorted(members), sep="\n  ")
        if not any(member.startswith(("valkey", "redis")) for member in members):
            sys.exit("no server of its own")
        print(task_that_ran())
    finally:
        too_long.cancel()
        if demo.poll() is None:
            os.killpg(demo.pid, signal.SIGINT)
    try:
        demo.communicate(timeout=GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(demo.pid, signal.SIGKILL)
        sys.exit(f"still running {GRACE} s after Ctrl-C")
    if behind := members & {what for _, what in processes().values()}:
        sys.exit(f"left running: {behind}")
    print("Ctrl-C stopped everything.")


if __name__ == "__main__":
    main()
