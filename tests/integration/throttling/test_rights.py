"""What a user of Redis must be allowed for throttles, as docs/reference/keys.md says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from redis_toolkit.core import keys, keyspaces
from redis_toolkit.core.connections import link
from redis_toolkit.stats import offenders
from redis_toolkit.throttling import Ban, Concurrency, Throttle, banning, checking


def test_a_user_who_may_do_what_the_page_says(redis_client: Any, settings: Any) -> None:
    """With these commands and no others every algorithm, bans and leases work."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "keys.md").read_text("utf-8")
    [commands] = re.findall(r"^(\+set .*\+zadd .*)$", page, re.MULTILINE)
    redis_client.execute_command("ACL", "SETUSER", "default", "resetkeys", "~rt:*", "-@all", *commands.split(), "+acl")
    link().close()
    try:
        for algorithm in ("gcra", "fixed_window", "sliding_counter", "sliding_log"):
            limit = Throttle(algorithm, "1/h", algorithm=algorithm, on_outage="closed", ban=Ban(strikes=1))
            assert [limit.hit("ada").source for _ in range(2)] == ["redis"] * 2
            limit.refund("ada")
            assert [ban.name for ban in banning.listed()] == [algorithm]
            assert checking.drop_all(algorithm, limit._asked(("ada",), None).identity)
        settings.REDIS_TOOLKIT_THROTTLE_OFFENDERS = True
        nobody = Throttle("nobody", "0/h")
        assert not nobody.hit("ada")
        assert [each.told for each in offenders.top()] == ["ada"]
        assert keyspaces.drop(link(), keyspaces.scan(link(), keys.pattern()))
        jobs = Concurrency("jobs", 1, on_outage="closed")
        with jobs.place("ada") as lease:
            assert jobs.keep(lease)
    finally:
        redis_client.execute_command("ACL", "SETUSER", "default", "allkeys", "+@all")
        link().close()
