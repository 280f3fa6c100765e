"""How often: exact, in one round trip, safe behind proxies, alive when Redis is not.

@throttle("100/m", key="ip")
def timetable(request): ...

@throttle("5/15m", key=("ip", "post:username"), algorithm="sliding_log", method="POST", on_outage="closed")
async def log_in(request): ...

mails = Throttle("mails", "3/h")
if not mails.hit(user.pk): ...
"""

from __future__ import annotations

from redis_toolkit.core.clients import client_address
from redis_toolkit.exceptions import Throttled
from redis_toolkit.throttling.bans import Ban
from redis_toolkit.throttling.decisions import Decision, Quota
from redis_toolkit.throttling.decorators import ThrottleMixin, throttle
from redis_toolkit.throttling.exemptions import exempt
from redis_toolkit.throttling.leases import Concurrency, Lease
from redis_toolkit.throttling.places import concurrency
from redis_toolkit.throttling.rates import Rate
from redis_toolkit.throttling.rules import Rule
from redis_toolkit.throttling.standings import standing
from redis_toolkit.throttling.throttles import Throttle

__all__ = [
    "Ban",
    "Concurrency",
    "Decision",
    "Lease",
    "Quota",
    "Rate",
    "Rule",
    "Throttle",
    "ThrottleMixin",
    "Throttled",
    "client_address",
    "concurrency",
    "exempt",
    "standing",
    "throttle",
]
