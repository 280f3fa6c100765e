"""``SESSION_ENGINE = "redis_toolkit.sessions.moving"``: our engine, while sessions of the database engine come along.

For the time of a change of engines: a session that Redis does not know is looked for in the table of
``django.contrib.sessions``, once, and taken over. So nobody is logged out, and nothing has to be stopped:

1. Let the engine be this one. Whoever comes is taken over as he comes.
2. ``manage.py redis_sessions move`` takes over the others. Only then do lists of devices have all there are, and does
   "end all others" end all of them.
3. Let the engine be ``redis_toolkit.sessions``, and empty the table.

Processes that still have the old engine see the row of a session as it was when it was taken over; when one ends here
its row goes too. What they write after that, and who logs out there, is not seen here: let none be left before step 2.
Each unknown id costs a query, as it does with Django's own engine.
"""

from __future__ import annotations

from typing import Any, Final

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.db import SessionStore as RowStore

from redis_toolkit.sessions import store
from redis_toolkit.sessions.adopting import SPENT, THERE, Found, adopting, found, spending, standing

__all__ = ["SessionStore", "held_by", "rows"]

#: Longest id that the table can have.
_LONGEST: Final = 40


class SessionStore(store.SessionStore):
    """A session in Redis, or else in the database until somebody asks for it."""

    def load(self) -> dict[str, Any]:
        """What the session holds, taken over if need be. Raises StoreUnavailable, and errors of the database."""
        session_id = self.session_key
        session = super().load()
        if self.session_key is not None or session_id is None:
            return session
        row = _look(session_id)
        if row is None or SPENT in self._do(adopting([row], self._writer)):
            return session
        self._session_key = session_id
        return super().load()

    async def aload(self) -> dict[str, Any]:
        """:meth:`load`."""
        session_id = self.session_key
        session = await super().aload()
        if self.session_key is not None or session_id is None:
            return session
        row = await sync_to_async(_look)(session_id)
        if row is None or SPENT in await self._ado(adopting([row], self._writer)):
            return session
        self._session_key = session_id
        return await super().aload()

    def exists(self, session_key: str | None) -> bool:
        """Whether there is a session of that id, here or there."""
        if not session_key:
            return False
        [known] = self._do(standing([session_key]))
        return known == THERE or (known is None and _look(session_key) is not None)

    async def aexists(self, session_key: str | None) -> bool:
        """:meth:`exists`."""
        if not session_key:
            return False
        [known] = await self._ado(standing([session_key]))
        return known == THERE or (known is None and await sync_to_async(_look)(session_key) is not None)

    def delete(self, session_key: str | None = None) -> None:
        """End it here and there."""
        session_id = session_key or self.session_key
        if session_id is not None:
            self._do(spending(session_id))
            super().delete(session_id)
            _drop(session_id)

    async def adelete(self, session_key: str | None = None) -> None:
        """:meth:`delete`."""
        session_id = session_key or self.session_key
        if session_id is not None:
            await self._ado(spending(session_id))
            await super().adelete(session_id)
            await sync_to_async(_drop)(session_id)

    def cycle_key(self) -> None:
        """Give it another id: by the old one there is none any more, neither here nor there."""
        session_id = self.session_key
        super().cycle_key()
        if session_id is not None and self.session_key != session_id:
            _drop(session_id)

    async def acycle_key(self) -> None:
        """:meth:`cycle_key`."""
        session_id = self.session_key
        await super().acycle_key()
        if session_id is not None and self.session_key != session_id:
            await sync_to_async(_drop)(session_id)


def rows() -> Any:
    """The rows of Django's database engine, a queryset. Raises RuntimeError without ``django.contrib.sessions``."""
    return RowStore.get_model_class()._default_manager.all()


def held_by(row: Any) -> Found | None:
    """What is in a row; None: it has run out, or nothing that can be read is in it."""
    return found(row, RowStore().decode)


def _look(session_id: str) -> Found | None:
    if len(session_id) > _LONGEST or not (session_id.isascii() and session_id.isalnum()):
        # None of Django's, and nothing to bother a database with.
        return None
    row = rows().filter(pk=session_id).first()
    return None if row is None else held_by(row)


def _drop(session_id: str) -> None:
    rows().filter(pk=session_id).delete()
