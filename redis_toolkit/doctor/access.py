"""Who else may come in, and what our own user may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from redis_toolkit.doctor.findings import Finding, good
from redis_toolkit.doctor.readings import Reading

__all__ = ["judge_access"]

_EVERYWHERE: Final = {"*", "0.0.0.0", "::", "::*"}  # noqa: S104 - looked for, not listened at
_CURE: Final = "Give the server a user and a password (ACL SETUSER, requirepass)"


def judge_access(reading: Reading) -> Iterator[Finding]:
    """Passwords, rights, and what can be overheard."""
    if reading.needs_password is False:
        yield _open(reading)
    elif reading.needs_password:
        yield good("D151", reading.alias, "Nobody comes in without a password.")
    yield from _rights(reading)
    if reading.road.tls:
        yield good("D153", reading.alias, "The connection is encrypted (TLS).")
    elif not reading.road.near:
        yield Finding(
            "D153", "warning", reading.alias,
            f"The server is on another machine ({reading.road.host}), and the connection is not encrypted: who is"
            " between reads what is stored, and the password.",
            f"Let LOCATION of CACHES[{reading.alias!r}] begin with rediss://, and the server have a tls-port.",
        )  # fmt: skip


def _open(reading: Reading) -> Finding:
    config = reading.config
    # (A server without `bind` listens everywhere, and a leading minus only says that an address may be missing.)
    bound = {each.removeprefix("-") for each in config.get("bind", "127.0.0.1").split()} or {"*"}
    if config.get("port") == "0" and config.get("tls-port", "0") == "0":
        return good("D151", reading.alias, "The server listens at a unix socket alone, whose file says who comes in.")
    if config.get("protected-mode") == "no" and bound & _EVERYWHERE:
        return Finding(
            "D150", "error", reading.alias,
            "The server listens on all addresses, with protected-mode off and without a password: anybody who reaches"
            " this machine reads and empties it, and may take the machine over.",
            f"{_CURE}, bind it to the addresses it needs, and set protected-mode yes.",
        )  # fmt: skip
    if not reading.road.near:
        return Finding(
            "D151", "warning", reading.alias, "The server asks for no password, and is on another machine.",
            f"{_CURE}, and close its port to all machines but yours.",
        )  # fmt: skip
    return Finding(
        "D151", "advice", reading.alias,
        "The server asks for no password: whatever runs on this machine reads it and empties it.",
        f"{_CURE}, or let it listen at a unix socket that only your user may open.",
    )  # fmt: skip


def _rights(reading: Reading) -> Iterator[Finding]:
    user = reading.user
    if user is None or not user.commands or reading.needs_password is False:
        # (Who comes in without a password may do all of it, too, and that has been said.)
        return
    words = user.commands.split()
    may = words[:1] == ["+@all"] and not {"-@dangerous", "-@admin", "-flushall"} & set(words)
    if may:
        yield Finding(
            "D152", "advice", reading.alias,
            f"Our user ({user.name}) may do everything: whoever gets hold of its password empties and reconfigures the"
            " server.",
            "Give the toolkit a user of its own with the commands and keys that docs/reference/keys.md lists.",
        )  # fmt: skip
    else:
        yield good("D152", reading.alias, f"Our user ({user.name}) may not do everything.")
