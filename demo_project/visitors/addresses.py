"""Where the visitors come from: loopback addresses of their own. Knows nothing of Django's models."""

from __future__ import annotations

import logging
import socket

__all__ = ["PEOPLE", "NotOfVisitors", "address_of", "can_come", "is_one"]

#: How many there are.
PEOPLE = 6


def address_of(number: int) -> str:
    """Of the first, whose number is 0: 127.0.0.2."""
    return f"127.0.0.{number + 2}"


def is_one(address: object) -> bool:
    """Whether the address is one of theirs."""
    return address in {address_of(number) for number in range(PEOPLE)}


def can_come() -> bool:
    """Whether this machine lets them have their addresses. Linux does; macOS has none but 127.0.0.1."""
    with socket.socket() as trial:
        try:
            trial.bind((address_of(0), 0))
        except OSError:
            return False
    return True


class NotOfVisitors(logging.Filter):
    """Drops what the log says of the visitors' requests, unless the site has failed: they are denied on purpose."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        address = getattr(request, "META", {}).get("REMOTE_ADDR")
        return record.levelno >= logging.ERROR or not is_one(address)
