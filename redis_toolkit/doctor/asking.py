"""A conversation with one server in which a refusal is an answer, apart from the link that all others use."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from redis_toolkit.core.breaker import Breaker
from redis_toolkit.core.connections import Link, pack

__all__ = ["Command", "Inquiry", "is_refused"]

Command = tuple[str | bytes | int, ...]

#: Commands whose second word says what they do.
_CONTAINERS: Final = {"ACL", "CONFIG", "MEMORY", "OBJECT", "SLOWLOG"}


class _Patient(Breaker):
    """One that never opens: what the doctor meets is told in the report, and to nobody by a signal."""

    def failed(self, *, timed_out: bool, error: BaseException | None = None) -> None:
        """Leave it at that."""


class _Curious(Link):
    """A link that hands out refusals among the answers."""

    def forget_connections(self) -> None:
        """Begin anew, with a breaker of its own kind."""
        super().forget_connections()
        self.breaker = _Patient(self.alias, lambda: False)

    def _refuse(self, answers: list[Any]) -> None:
        """Take it for an answer."""


class Inquiry:
    """A connection of its own to the server of ``alias``, closed at the end of the block.

    ``refused``: the commands that were refused, each with the server's words. Raises Misconfigured, StoreUnavailable.
    """

    def __init__(self, alias: str) -> None:
        self.refused: dict[str, str] = {}
        self._link = _Curious(alias)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._link.close()

    @property
    def round_trips(self) -> int:
        """How many times something was sent."""
        return self._link.round_trips

    def ask(self, *command: str | bytes | int) -> Any:
        """The answer to one command; None where it is refused."""
        return self.ask_all([command])[0]

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to several, in one round trip; None for each that is refused."""
        return [
            self._noted(command, answer) for command, answer in zip(commands, self.try_all(commands), strict=True)
        ]  # fmt: skip

    def try_all(self, commands: Sequence[Command]) -> list[Any]:
        """The same, refusals as they are."""
        if not commands:
            return []
        return self._link.ask_many(b"".join(map(pack, commands)), len(commands))

    def _noted(self, command: Command, answer: Any) -> Any:
        if not is_refused(answer):
            return answer
        first = str(command[0])
        name = f"{first} {command[1]!s}" if first in _CONTAINERS else first
        self.refused.setdefault(name, str(answer))
        return None


def is_refused(answer: Any) -> bool:
    """Whether an answer is an error (of the parser's own class, which is none of redis-py's)."""
    return isinstance(answer, Exception)
