"""What a user of Redis must be allowed for statistics, as docs/reference/keys.md says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from redis_toolkit.cache.telling import report
from redis_toolkit.core.connections import link
from redis_toolkit.stats import DAY, buckets, flush, hottest, summed
from redis_toolkit.stats.reading import whole
from redis_toolkit.stats.telling import teller


def test_a_user_who_may_do_what_the_page_says(counting: None, redis_client: Any) -> None:
    """With these commands and no others everything is told, the servers are looked at, and all of it is read."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "keys.md").read_text("utf-8")
    [commands] = re.findall(r"^(\+evalsha .*\+zincrby .*)$", page, re.MULTILINE)
    redis_client.execute_command("ACL", "SETUSER", "default", "resetkeys", "~rt:*", "-@all", *commands.split(), "+acl")
    for each in (link(), teller._link()):
        each.close()
    try:
        report(model=None, kind="value", outcome="hit", alias="default", seconds=0.1, name="app.f", key="rt:f:1")
        teller._sample()
        flush()
        found = summed(buckets(DAY))
        assert (found.hits(), whole().hits(), [each.times for each in hottest()]) == (1, 1, [1])
        assert found.total("server", "default", "memory") > 0
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "allkeys", "+@all")
        for each in (link(), teller._link()):
            each.close()
