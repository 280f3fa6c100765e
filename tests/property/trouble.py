"""A server of one's own that gets into trouble and out of it, each at a step and at no other moment."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Any

import redis
from django.conf import settings as django_settings
from django.core.signals import setting_changed

from redis_toolkit.cache import debts, looks, trust
from redis_toolkit.core.connections import link, pack
from redis_toolkit.exceptions import StoreUnavailable
from redis_toolkit.testing import ValkeyServer

__all__ = ["LOSSES", "TROUBLES", "Bench"]

#: The breaker opens though the server is well; it answers nothing for a while; it is gone and comes back empty; it
#: comes back with what it knew when it last saved its file.
TROUBLES = ("breaker", "frozen", "killed", "old file")
#: What Redis may lose.
LOSSES = ("anything", "entries", "stamps", "marks")
#: Longer than any example: nothing happens by itself.
NEVER = 3600
#: Seconds that a server may take to answer, however busy the machine is: what is not told to be in trouble is not.
PATIENCE = 10


class Bench:
    """The server that a machine plays with, and what was counted meanwhile."""

    def __init__(self, server: ValkeyServer, client: redis.Redis, settings: Any) -> None:
        self.server = server
        self.client = client
        self.trouble: str | None = None
        #: Rules, kinds of blocks and writes by name, and how often each was done.
        self.done: Counter[str] = Counter()
        #: How cached reads ended, all of them.
        self.reads: Counter[str] = Counter()
        self.examples = 0
        settings.REDIS_TOOLKIT_READ_TIMEOUT = settings.REDIS_TOOLKIT_CONNECT_TIMEOUT = PATIENCE
        settings.REDIS_TOOLKIT_BREAKER_RETRY = NEVER
        settings.REDIS_TOOLKIT_OUTBOX_INTERVAL = NEVER

    def reset(self) -> None:
        """A server that is well and empty, and a process that owes it nothing and knows of no other."""
        self.mend()
        link().close()
        trust.forget()
        looks.forget()
        self.examples += 1
        self.put("ENABLED", True)
        debts.pay(link())
        self.client.flushall()

    def put(self, name: str, value: Any) -> None:
        """Change a setting, until the end of the test."""
        # Not by an override: a thousand of them, one within the other, are more than Python can look through.
        setattr(django_settings, f"REDIS_TOOLKIT_{name}", value)
        setting_changed.send(sender=Bench, setting=f"REDIS_TOOLKIT_{name}", value=value, enter=True)

    def lose(self, what: str, share: int) -> None:
        """Drop every ``share``-th of the keys of a kind, as eviction and FLUSHALL do."""
        if self.trouble not in {None, "breaker"}:
            return
        keys = sorted(key for key in self.client.scan_iter() if what == "anything" or self._kind(key) == what)
        if keys:
            self.client.delete(*keys[::share])

    def _kind(self, key: bytes) -> str:
        if not key.startswith(b"rt:s:"):
            return "entries"
        return "marks" if (self.client.get(key) or b"")[:1] == b"m" else "stamps"

    def save(self) -> None:
        """Have the server write its file."""
        if self.trouble in {None, "breaker"}:
            self.client.save()

    def begin(self, trouble: str) -> None:
        """Get into trouble. It is noticed at once, so that the server hears nothing late."""
        self.mend()
        self.trouble = trouble
        if trouble == "breaker":
            link().breaker.failed(timed_out=True)
        elif trouble == "frozen":
            self.server.pause()
            self.put("READ_TIMEOUT", 0.02)
            link().close()
            with suppress(StoreUnavailable):
                link().ask(pack(("PING",)))
            self.put("READ_TIMEOUT", PATIENCE)
        else:
            self.server.kill()

    def mend(self) -> None:
        """Get out of it. The breaker closes as it does when its probe is answered, and Redis is trusted at once."""
        trouble, self.trouble = self.trouble, None
        if trouble is None:
            return
        if trouble == "frozen":
            self.server.resume()
            while not self.server._answers():
                pass
        elif trouble != "breaker":
            if trouble == "killed":
                (self.server.directory / "dump.rdb").unlink(missing_ok=True)
            self.server.start()
        assert link()._is_back()
        link().breaker.close()
        trust.forget()
        looks.forget()
