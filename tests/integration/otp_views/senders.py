"""Ways to send that fail, or remember."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from redis_toolkit.otp.delivery import CallableDelivery, Delivery, EmailDelivery

texts: list[tuple[str, str]] = []
messages: list[str] = []


class Refusing(Delivery):
    """A provider that repeats what it refuses."""

    def hand_over(self, destination: str, code: str, **told: Any) -> None:
        raise ConnectionError(f"cannot send {code} to {destination}")


class Texting(CallableDelivery):
    """SMS."""

    call = staticmethod(lambda destination, text: texts.append((destination, text)))


def remember(message: str) -> None:
    """What a broker is given."""
    messages.append(message)


def refuse(message: str) -> None:
    """A broker that is away."""
    raise ConnectionError("no broker")


class Mailing(EmailDelivery):
    """By mail; each is a file at once."""


class RefusingAtFirst(EmailDelivery):
    """Refuses the first code it is given, and writes it down beside the mails, for the test."""

    def hand_over(self, destination: str, code: str, **told: Any) -> None:
        folder = Path(os.environ["MAILS"])
        folder.mkdir(exist_ok=True)
        with suppress(FileExistsError), (folder / "first.refused").open("x") as file:
            file.write(code)
            raise ConnectionError(f"cannot send {code} to {destination}")
        super().hand_over(destination, code, **told)
