"""Lua by name: ``redis_toolkit/lua/<name>.lua``, run by its hash, loaded again where a server has lost it.

Every script here takes one key, or keys of one hash tag, so that any of them can be pipelined with any other and runs
on a Cluster unchanged. Each may run twice without harm, unless its header says that it must not (``cache_gather``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import Any

from redis_toolkit.core.async_links import async_link
from redis_toolkit.core.connections import Link, ScriptMissing, pack

__all__ = ["Script", "arun", "load", "run"]

_scripts: list[Script] = []


class Script:
    """A Lua script. ``call(key, *args)`` is the packed command that runs it."""

    def __init__(self, name: str) -> None:
        self.name = name
        _scripts.append(self)

    @cached_property
    def source(self) -> str:
        """The text of the script."""
        return (files("redis_toolkit") / "lua" / f"{self.name}.lua").read_text("utf-8")

    @cached_property
    def sha(self) -> str:
        """The name under which Redis knows the script."""
        return sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def call(self, key: str, *args: str | bytes | int) -> bytes:
        """The packed EVALSHA of this script on ``key``."""
        return self.call_on((key,), *args)

    def call_on(self, keys: Sequence[str], *args: str | bytes | int) -> bytes:
        """The packed EVALSHA of this script on several keys of one hash tag."""
        return pack(("EVALSHA", self.sha, len(keys), *keys, *args))


def run(link: Link, calls: list[bytes], *, idempotent: bool = True) -> list[Any]:
    """The answers to ``calls`` in one round trip; three, once, on a server that does not have the scripts yet.

    ``idempotent``: whether they may be sent again: on a new connection, and those that ran where another's script was
    missing. If not, each runs once at most, those of missing scripts after the others. Raises what
    :meth:`Link.ask_many` does.
    """
    if not calls:
        return []
    data = b"".join(calls)
    try:
        return link.ask_many(data, len(calls), idempotent=idempotent)
    except ScriptMissing as missing:
        load(link)
        if idempotent:
            # All of them, for their order may matter.
            return link.ask_many(data, len(calls))
        answers, places = missing.answers, missing.places
        again = link.ask_many(b"".join(calls[at] for at in places), len(places), idempotent=False)
        for at, answer in zip(places, again, strict=True):
            answers[at] = answer
        return answers


async def arun(alias: str | None, calls: list[bytes], *, idempotent: bool = True) -> list[Any]:
    """:func:`run` for coroutines, over the link of the running loop to ``alias`` (None: ``REDIS_TOOLKIT_ALIAS``)."""
    if not calls:
        return []
    ask = async_link(alias).ask_many
    data = b"".join(calls)
    try:
        return await ask(data, len(calls), idempotent=idempotent)
    except ScriptMissing as missing:
        await ask(_loading(), len(_scripts))
        if idempotent:
            return await ask(data, len(calls))
        answers, places = missing.answers, missing.places
        again = await ask(b"".join(calls[at] for at in places), len(places), idempotent=False)
        for at, answer in zip(places, again, strict=True):
            answers[at] = answer
        return answers


def load(link: Link) -> None:
    """See that the server has every script, in one round trip. Raises StoreUnavailable."""
    link.ask_many(_loading(), len(_scripts))


def _loading() -> bytes:
    return b"".join(pack(("SCRIPT", "LOAD", script.source)) for script in _scripts)
