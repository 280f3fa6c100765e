"""What docs/reference/throttling.md says of bytes, and what a server says."""

from __future__ import annotations

from pathlib import Path

import redis

__all__ = ["PAGE", "column", "documented", "used"]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "throttling.md"


def documented(what: str, server: str) -> int:
    """The bytes in the row of ``what``, in the column of ``server``."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    [at] = [at for at, row in enumerate(rows) if server in row]
    [found] = [row[rows[at].index(server)] for row in rows[at:] if row[0] == what]
    return int(found.replace(",", ""))


def column(client: redis.Redis) -> str:
    """The column for this server."""
    return "Valkey 9" if "valkey_version" in client.info("server") else "Redis 7.0"


def used(client: redis.Redis) -> int:
    """The bytes that a server uses, without those of its connections."""
    # (What INFO says of connections, mem_clients_normal, is as of a moment ago.)
    with client.pipeline(transaction=True) as steps:
        steps.info("memory")
        steps.client_list()
        told, connections = steps.execute()
    return int(told["used_memory"] - sum(int(each["tot-mem"]) for each in connections))
